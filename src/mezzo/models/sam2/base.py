"""SAM 2 as one module: image encoder, prompt encoder, mask decoder, and the memory of videos."""

from __future__ import annotations

import mezzo
from mezzo import nn
from mezzo.models.sam2.layers import MLP
from mezzo.models.sam2.mask_decoder import MaskDecoder
from mezzo.models.sam2.prompt_encoder import PromptEncoder
from mezzo.models.sam2.transformer import TwoWayTransformer


def _token(*shape: int) -> nn.Parameter:
    """A learned vector, small at first."""
    return nn.Parameter(nn.init.trunc_normal_(mezzo.empty(shape), std=0.02))


class SAM2Base(nn.Module):
    """The whole model; parameters are named as in the official checkpoints.

    The options are those of the official configs. Images are (b, 3, image_size, image_size), normalised.
    compile_image_encoder: the first image takes seconds longer, the following ones less time.
    """

    def __init__(
        self,
        image_encoder: nn.Module,
        memory_attention: nn.Module,
        memory_encoder: nn.Module,
        num_maskmem: int = 7,
        image_size: int = 512,
        backbone_stride: int = 16,
        sigmoid_scale_for_mem_enc: float = 1.0,
        sigmoid_bias_for_mem_enc: float = 0.0,
        binarize_mask_from_pts_for_mem_enc: bool = False,
        use_mask_input_as_output_without_sam: bool = False,
        max_cond_frames_in_attn: int = -1,
        directly_add_no_mem_embed: bool = False,
        use_high_res_features_in_sam: bool = False,
        multimask_output_in_sam: bool = False,
        multimask_min_pt_num: int = 1,
        multimask_max_pt_num: int = 1,
        multimask_output_for_tracking: bool = False,
        use_multimask_token_for_obj_ptr: bool = False,
        iou_prediction_use_sigmoid: bool = False,
        memory_temporal_stride_for_eval: int = 1,
        non_overlap_masks_for_mem_enc: bool = False,
        use_obj_ptrs_in_encoder: bool = False,
        max_obj_ptrs_in_encoder: int = 16,
        add_tpos_enc_to_obj_ptrs: bool = True,
        proj_tpos_enc_in_obj_ptrs: bool = False,
        use_signed_tpos_enc_to_obj_ptrs: bool = False,
        only_obj_ptrs_in_the_past_for_eval: bool = False,
        pred_obj_scores: bool = False,
        pred_obj_scores_mlp: bool = False,
        fixed_no_obj_ptr: bool = False,
        soft_no_obj_ptr: bool = False,
        use_mlp_for_obj_ptr_proj: bool = False,
        no_obj_embed_spatial: bool = False,
        sam_mask_decoder_extra_args: dict | None = None,
        compile_image_encoder: bool = False,
    ):
        options = {k: v for k, v in locals().items() if k not in _NO_OPTIONS}
        super().__init__()
        self._check(options)
        for name, value in options.items():
            setattr(self, name, value)
        self.num_feature_levels = 3 if use_high_res_features_in_sam else 1
        self.image_encoder = image_encoder
        self.memory_attention = memory_attention
        self.memory_encoder = memory_encoder
        self.hidden_dim = image_encoder.neck.d_model
        weight = getattr(getattr(memory_encoder, "out_proj", None), "weight", None)
        self.mem_dim = self.hidden_dim if weight is None else weight.shape[0]
        self.maskmem_tpos_enc = _token(num_maskmem, 1, 1, self.mem_dim)
        self.no_mem_embed = _token(1, 1, self.hidden_dim)
        self.no_mem_pos_enc = _token(1, 1, self.hidden_dim)
        if use_obj_ptrs_in_encoder:
            self.mask_downsample = nn.Conv2d(1, 1, kernel_size=4, stride=4)
            if pred_obj_scores:
                self.no_obj_ptr = _token(1, self.hidden_dim)
        self.no_obj_embed_spatial = _token(1, self.mem_dim) if no_obj_embed_spatial else None
        self._build_sam_heads()
        self._build_pointers()
        if compile_image_encoder:
            self.image_maps = mezzo.compile(self.image_maps)

    @staticmethod
    def _check(options: dict) -> None:
        if options["fixed_no_obj_ptr"] and not (
            options["pred_obj_scores"] and options["use_obj_ptrs_in_encoder"]
        ):
            raise ValueError(
                "SAM2Base: fixed_no_obj_ptr needs pred_obj_scores and use_obj_ptrs_in_encoder; correct "
                "the config."
            )
        if options["proj_tpos_enc_in_obj_ptrs"] and not options["add_tpos_enc_to_obj_ptrs"]:
            raise ValueError(
                "SAM2Base: proj_tpos_enc_in_obj_ptrs needs add_tpos_enc_to_obj_ptrs; correct the config."
            )

    def _build_sam_heads(self) -> None:
        """The prompt encoder and the mask decoder."""
        dim, side = self.hidden_dim, self.image_size // self.backbone_stride
        self.sam_prompt_embed_dim, self.sam_image_embedding_size = dim, side
        self.sam_prompt_encoder = PromptEncoder(
            embed_dim=dim,
            image_embedding_size=(side, side),
            input_image_size=(self.image_size, self.image_size),
            mask_in_chans=16,
        )
        self.sam_mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=dim, mlp_dim=2048, num_heads=8),
            transformer_dim=dim,
            iou_head_depth=3,
            iou_head_hidden_dim=256,
            use_high_res_features=self.use_high_res_features_in_sam,
            iou_prediction_use_sigmoid=self.iou_prediction_use_sigmoid,
            pred_obj_scores=self.pred_obj_scores,
            pred_obj_scores_mlp=self.pred_obj_scores_mlp,
            use_multimask_token_for_obj_ptr=self.use_multimask_token_for_obj_ptr,
            **(self.sam_mask_decoder_extra_args or {}),
        )

    def _build_pointers(self) -> None:
        """What turns a mask's token into the pointer that later frames attend to."""
        dim = self.hidden_dim
        self.obj_ptr_proj, self.obj_ptr_tpos_proj = nn.Identity(), nn.Identity()
        if self.use_obj_ptrs_in_encoder:
            wide = self.use_mlp_for_obj_ptr_proj
            self.obj_ptr_proj = MLP(dim, dim, dim, 3) if wide else nn.Linear(dim, dim)
        if self.proj_tpos_enc_in_obj_ptrs:
            self.obj_ptr_tpos_proj = nn.Linear(dim, self.mem_dim)

    @property
    def device(self):
        """Where the parameters are."""
        return next(self.parameters()).device

    def forward(self, *args, **kwargs):
        """The model is not called: it raises NotImplementedError that says what to use."""
        raise NotImplementedError(
            "SAM2Base: the model is not called itself; use SAM2ImagePredictor(model) for images, and "
            "build_sam2_video_predictor for videos."
        )

    def _finer(self) -> tuple:
        """What turns the finer maps into what the mask decoder adds: computed once for all prompts."""
        decoder = self.sam_mask_decoder
        return (decoder.conv_s0, decoder.conv_s1) if self.use_high_res_features_in_sam else ()

    def image_maps(self, img_batch) -> list:
        """Feature maps of images (b, 3, s, s), the finest first: forward_image without positions."""
        return self.image_encoder.maps(img_batch, self._finer())[-self.num_feature_levels :]

    def forward_image(self, img_batch) -> dict:
        """Images (b, 3, s, s) -> vision_features, vision_pos_enc and backbone_fpn, the finest first."""
        return self.image_encoder(img_batch, self._finer())

    def _prepare_backbone_features(self, backbone_out: dict):
        """(backbone_out, features (h w, b, c) of each level, their positions, their sizes (h, w))."""
        maps, places = (
            backbone_out[k][-self.num_feature_levels :] for k in ("backbone_fpn", "vision_pos_enc")
        )
        sizes = [tuple(x.shape[-2:]) for x in places]
        flat = [[x.flatten(2).permute(2, 0, 1) for x in xs] for xs in (maps, places)]
        return dict(backbone_out), *flat, sizes


_NO_OPTIONS = ("self", "__class__", "image_encoder", "memory_attention", "memory_encoder", "no_obj_embed_spatial")  # fmt: skip
