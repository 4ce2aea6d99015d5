"""From an image embedding and prompts to masks."""

from __future__ import annotations

import mezzo
from mezzo import nn
from mezzo.models.sam2.layers import MLP, LayerNorm2d

STRIP_PIXELS = 4096  # of the image twice enlarged, that are enlarged further at a time
ALWAYS_PRESENT = 10.0  # the logit of an object's presence where a model does not predict it


class MaskDecoder(nn.Module):
    """Masks, how good they are, and whether there is an object at all.

    Token 0 stands for one mask, tokens 1 to num_multimask_outputs for the readings of an ambiguous prompt.
    """

    def __init__(
        self,
        *,
        transformer_dim: int,
        transformer: nn.Module,
        num_multimask_outputs: int = 3,
        activation=nn.GELU,
        iou_head_depth: int = 3,
        iou_head_hidden_dim: int = 256,
        use_high_res_features: bool = False,
        iou_prediction_use_sigmoid: bool = False,
        dynamic_multimask_via_stability: bool = False,
        dynamic_multimask_stability_delta: float = 0.05,
        dynamic_multimask_stability_thresh: float = 0.98,
        pred_obj_scores: bool = False,
        pred_obj_scores_mlp: bool = False,
        use_multimask_token_for_obj_ptr: bool = False,
    ):
        super().__init__()
        dim = transformer_dim
        self.transformer_dim, self.transformer = dim, transformer
        self.num_multimask_outputs = num_multimask_outputs
        self.num_mask_tokens = num_multimask_outputs + 1
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.pred_obj_scores = pred_obj_scores
        if pred_obj_scores:
            self.obj_score_token = nn.Embedding(1, dim)
        self.use_multimask_token_for_obj_ptr = use_multimask_token_for_obj_ptr
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            activation(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            activation(),
        )
        self.use_high_res_features = use_high_res_features
        if use_high_res_features:
            self.conv_s0 = nn.Conv2d(dim, dim // 8, kernel_size=1)
            self.conv_s1 = nn.Conv2d(dim, dim // 4, kernel_size=1)
        self.output_hypernetworks_mlps = nn.ModuleList(
            [MLP(dim, dim, dim // 8, 3) for _ in range(self.num_mask_tokens)]
        )
        self.iou_prediction_head = MLP(
            dim,
            iou_head_hidden_dim,
            self.num_mask_tokens,
            iou_head_depth,
            sigmoid_output=iou_prediction_use_sigmoid,
        )
        if pred_obj_scores:
            self.pred_obj_score_head = (
                MLP(dim, dim, 1, 3) if pred_obj_scores_mlp else nn.Linear(dim, 1)
            )
        self.dynamic_multimask_via_stability = dynamic_multimask_via_stability
        self.dynamic_multimask_stability_delta = dynamic_multimask_stability_delta
        self.dynamic_multimask_stability_thresh = dynamic_multimask_stability_thresh

    def forward(
        self,
        image_embeddings,
        image_pe,
        sparse_prompt_embeddings,
        dense_prompt_embeddings,
        multimask_output: bool,
        repeat_image: bool,
        high_res_features=None,
    ):
        """(masks (b, m, 4 h, 4 w), predicted IoU (b, m), tokens (b, m or 1, c), presence logits (b, 1)).

        m is num_multimask_outputs if multimask_output, else 1; repeat_image: one image, many prompts.
        """
        masks, scores, tokens, presence = self.predict_masks(
            image_embeddings,
            image_pe,
            sparse_prompt_embeddings,
            dense_prompt_embeddings,
            repeat_image,
            high_res_features,
        )
        if multimask_output:
            masks, scores = masks[:, 1:], scores[:, 1:]
        elif self.dynamic_multimask_via_stability and not self.training:
            masks, scores = self._stable(masks, scores)
        else:
            masks, scores = masks[:, :1], scores[:, :1]
        several = multimask_output and self.use_multimask_token_for_obj_ptr
        # While tracking, the token of the single mask is what a model without the option was trained with.
        return masks, scores, tokens[:, 1:] if several else tokens[:, :1], presence

    def _tokens(self, sparse):
        """The model's own tokens in front of the prompts': (b, own + n, c)."""
        own = [self.iou_token.weight, self.mask_tokens.weight]
        if self.pred_obj_scores:
            own.insert(0, self.obj_score_token.weight)
        own = mezzo.cat(own).unsqueeze(0).expand(sparse.shape[0], -1, -1)
        return mezzo.cat((own, sparse), dim=1)

    def _drawn(self, mixed, image, features):
        """(b, m, c / 8) and (b, c, h, w) -> (b, m, 4 h, 4 w): how much of each mask every pixel has."""
        up1, norm, act1, up2, act2 = self.output_upscaling
        image = up1(image)
        height, width = image.shape[-2:]
        rows = max(1, STRIP_PIXELS // (image.shape[0] * width))
        if rows >= height or mezzo.is_grad_enabled():
            rows = height
        strips = []
        # Every layer's result is larger than the last: strip by strip, they stay in the cache.
        for y in range(0, height, rows):
            x = image[:, :, y : y + rows]
            if not self.use_high_res_features:
                x = act2(up2(act1(norm(x))))
            else:
                fine, middle = (
                    f[:, :, y * by : (y + rows) * by] for f, by in zip(features, (2, 1))
                )
                x = act2(up2(act1(norm(x + middle))) + fine)
            strips.append((mixed @ x.flatten(2)).unflatten(2, (-1, 2 * width)))
        return strips[0] if len(strips) == 1 else mezzo.cat(strips, dim=2)

    def predict_masks(
        self,
        image_embeddings,
        image_pe,
        sparse_prompt_embeddings,
        dense_prompt_embeddings,
        repeat_image: bool,
        high_res_features=None,
    ):
        """forward before the choice: (all masks, all predicted IoU, their tokens, presence logits)."""
        tokens = self._tokens(sparse_prompt_embeddings)
        batch = tokens.shape[0]
        if not repeat_image and image_embeddings.shape[0] != batch:
            raise ValueError(
                f"MaskDecoder: {image_embeddings.shape[0]} images and {batch} prompts; they must be as "
                "many, or pass repeat_image=True for many prompts on one image."
            )
        image = image_embeddings + dense_prompt_embeddings
        _, channels, height, width = image.shape
        hidden, image = self.transformer(image, image_pe, tokens)
        first = int(self.pred_obj_scores)
        mask_tokens = hidden[:, first + 1 : first + 1 + self.num_mask_tokens]
        image = image.transpose(1, 2).reshape(-1, channels, height, width)
        mixed = [mlp(mask_tokens[:, i]) for i, mlp in enumerate(self.output_hypernetworks_mlps)]
        masks = self._drawn(mezzo.stack(mixed, dim=1), image, high_res_features or ())
        scores = self.iou_prediction_head(hidden[:, first])
        if self.pred_obj_scores:
            presence = self.pred_obj_score_head(hidden[:, 0])
        else:
            presence = scores.new_full((batch, 1), ALWAYS_PRESENT)
        return masks, scores, mask_tokens, presence

    def _stability(self, logits):
        """(..., h, w) -> (...): the IoU of the mask cut a little higher with the mask cut a little lower."""
        delta, logits = self.dynamic_multimask_stability_delta, logits.flatten(-2)
        inner = (logits > delta).sum(-1).float()
        outer = (logits > -delta).sum(-1).float()
        return mezzo.where(outer > 0, inner / outer, 1.0)

    def _stable(self, masks, scores):
        """The single mask where it is stable, else the best of the others: (b, 1, h, w) and (b, 1)."""
        best = scores[:, 1:].argmax(-1) + 1
        rows = mezzo.arange(masks.shape[0], device=masks.device)
        single, others = masks[:, :1], masks[rows, best].unsqueeze(1)
        stable = self._stability(single) >= self.dynamic_multimask_stability_thresh
        chosen = mezzo.where(stable[..., None, None], single, others)
        return chosen, mezzo.where(stable, scores[:, :1], scores[rows, best].unsqueeze(1))
