"""Masks of an image: embed it once, then ask for as many as one likes."""

from __future__ import annotations

import numpy as np

import mezzo
from mezzo.errors import ArgumentTypeError, ArgumentValueError, MezzoError
from mezzo.models.sam2.base import SAM2Base
from mezzo.models.sam2.images import image_size, read_image
from mezzo.models.sam2.layers import product_dtype
from mezzo.models.sam2.prompts import (
    Asked,
    PromptError,
    check_inside,
    read_boxes,
    read_numbers,
    read_points,
)
from mezzo.models.sam2.transforms import SAM2Transforms

WHAT_IS_A_PROMPT = (
    "a prompt says which object is meant: point_coords=[[x, y]] with point_labels=[1] (0: not this), "
    "box=[x0, y0, x1, y1], or mask_input from an earlier prediction. For every object of the image without "
    "prompts use SAM2AutomaticMaskGenerator(model).generate(image)."
)
CLAMP = 32.0  # low resolution logits are returned within plus and minus this


class NoImageError(MezzoError, RuntimeError):
    """Something was asked about an image before one was set."""


class SAM2ImagePredictor:
    """Embeds images with SAM 2 and predicts masks for prompts.

        predictor = SAM2ImagePredictor(build_sam2("configs/sam2.1/sam2.1_hiera_l.yaml", "sam2.1_hiera_large.pt"))
        with mezzo.inference_mode(), mezzo.autocast("cpu", dtype=mezzo.bfloat16):
            predictor.set_image("photo.jpg")
            masks, scores, logits = predictor.predict(point_coords=[[500, 375]], point_labels=[1])

    mask_threshold: logits above it belong to the mask. max_hole_area, max_sprinkle_area: holes and islands of at
    most so many pixels (of the low resolution mask, 256 x 256) are filled and removed.

    Source: sam2.sam2_image_predictor.SAM2ImagePredictor
    """

    def __init__(
        self,
        sam_model: SAM2Base,
        mask_threshold: float = 0.0,
        max_hole_area: float = 0.0,
        max_sprinkle_area: float = 0.0,
        **kwargs,
    ):
        self.model, self.mask_threshold = sam_model, mask_threshold
        self._transforms = SAM2Transforms(
            sam_model.image_size, mask_threshold, max_hole_area, max_sprinkle_area
        )
        self.reset_predictor()

    def reset_predictor(self) -> None:
        """Forget the image."""
        self._is_image_set = False
        self._features: dict | None = None
        self._orig_hw: list = []
        self._is_batch = False

    @property
    def device(self):
        """Where the model is."""
        return self.model.device

    # ---- images

    def set_image(self, image) -> None:
        """Embed an image: an array (h, w, 3) in RGB, a Pillow image, or a path.

        uint8, uint16, or floats in [0, 1]; grey, alpha and (in files) EXIF orientation are handled.
        Raises: TypeError, ValueError with what the image must be; FileNotFoundError
        """
        self._embed([read_image(image, "set_image")], False)

    def set_image_batch(self, image_list: list) -> None:
        """Embed several images, of any sizes, for predict_batch.

        Raises: TypeError unless it is a list; ValueError if it is empty
        """
        if not isinstance(image_list, (list, tuple)):
            raise ArgumentTypeError(
                f"set_image_batch: image_list is a {type(image_list).__name__}; it must be a list of "
                "images. For one image call set_image."
            )
        if not image_list:
            raise ArgumentValueError(
                "set_image_batch: image_list is empty; give one image or more."
            )
        images = [read_image(x, f"set_image_batch: image {i}") for i, x in enumerate(image_list)]
        self._embed(images, True)

    def _pixels(self, images: list[np.ndarray]):
        """The model's input, in the dtype to which its first convolution would round it."""
        pixels = self._transforms.forward_batch(images)
        return pixels.to(self.device, product_dtype(self.device) or pixels.dtype)

    @mezzo.no_grad()
    def _embed(self, images: list[np.ndarray], batch: bool) -> None:
        self.reset_predictor()
        sizes = [image_size(image) for image in images]
        maps = self.model.image_maps(self._pixels(images))
        embedding = maps[-1]
        if self.model.directly_add_no_mem_embed:
            embedding = embedding + self.model.no_mem_embed.reshape(1, -1, 1, 1)
        self._features = {"image_embed": embedding, "high_res_feats": list(maps[:-1])}
        self._orig_hw, self._is_batch, self._is_image_set = sizes, batch, True

    def get_image_embedding(self):
        """The coarsest feature map (b, c, h, w) of the image that is set, typically (1, 256, 64, 64).

        Raises: RuntimeError before set_image
        """
        return self._set("get_image_embedding")["image_embed"]

    def _set(self, who: str) -> dict:
        if self._features is None:
            raise NoImageError(f"{who}: no image is set; call set_image(image) first.")
        return self._features

    # ---- masks

    def predict(
        self,
        point_coords=None,
        point_labels=None,
        box=None,
        mask_input=None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ):
        """(masks (m, h, w), scores (m,), low resolution logits (m, 256, 256)) for one prompt, as float32 arrays.

        point_coords: (n, 2) as x, y in pixels of the image; or (b, n, 2) for b prompts at once, which puts b
            in front of the shapes of the results.
        point_labels: (n,) or (b, n): 1 on the object, 0 beside it.
        box: (4,) or (b, 4) as x0, y0, x1, y1.
        mask_input: (1, 256, 256) logits that an earlier call returned.
        multimask_output: three readings of an ambiguous prompt (m = 3), else one.
        return_logits: masks as logits rather than 0 and 1.
        normalize_coords: coordinates are pixels; False: they lie between 0 and 1.
        Raises: RuntimeError before set_image; PromptError (a ValueError) if there is no prompt or it does not fit
        """
        self._set("predict")
        prompts = self._prep_prompts(
            point_coords, point_labels, box, mask_input, normalize_coords, who="predict"
        )
        return self._predicted(prompts, multimask_output, return_logits, -1)

    def predict_batch(
        self,
        point_coords_batch=None,
        point_labels_batch=None,
        box_batch=None,
        mask_input_batch=None,
        multimask_output: bool = True,
        return_logits: bool = False,
        normalize_coords: bool = True,
    ):
        """predict for every image of set_image_batch: three lists with an entry for each image.

        Every argument is a list with that image's argument of predict, or None.
        """
        features = self._set("predict_batch")
        if not self._is_batch:
            raise NoImageError(
                "predict_batch: one image is set, by set_image; call predict, or set_image_batch."
            )
        count = features["image_embed"].shape[0]
        given = {
            "point_coords_batch": point_coords_batch,
            "point_labels_batch": point_labels_batch,
            "box_batch": box_batch,
            "mask_input_batch": mask_input_batch,
        }
        for name, many in given.items():
            if many is not None and len(many) != count:
                raise PromptError(
                    f"predict_batch: {name} has {len(many)} entries for {count} images; it must have one "
                    "for each."
                )
        found: tuple[list, list, list] = ([], [], [])
        for i in range(count):
            one = [None if many is None else many[i] for many in given.values()]
            who = f"predict_batch: image {i}"
            prompts = self._prep_prompts(
                one[0], one[1], one[2], one[3], normalize_coords, img_idx=i, who=who
            )
            results = self._predicted(prompts, multimask_output, return_logits, i)
            for many, result in zip(found, results):
                many.append(result)
        return found

    def _predicted(self, prompts: tuple, multimask_output: bool, return_logits: bool, img_idx: int):
        mask_input, coords, labels, box = prompts
        found = self._predict(
            coords, labels, box, mask_input, multimask_output, return_logits, img_idx
        )
        return tuple(x.squeeze(0).float().detach().cpu().numpy() for x in found)

    def _prep_prompts(
        self,
        point_coords,
        point_labels,
        box,
        mask_logits,
        normalize_coords: bool,
        img_idx: int = -1,
        who: str = "predict",
    ):
        """(mask logits, coordinates, labels, box), as tensors in the model's pixels; None where there is none."""
        if all(x is None for x in (point_coords, box, mask_logits)):
            lone = "point_labels without point_coords" if point_labels is not None else "no prompt"
            raise PromptError(f"{who}: got {lone}; {WHAT_IS_A_PROMPT}")
        size = self._orig_hw[img_idx]
        move = {"normalize": normalize_coords, "orig_hw": size}
        asked, device = Asked(who, WHAT_IS_A_PROMPT), self.device
        coords = labels = corners = logits = None
        if point_coords is not None:
            coords, labels = read_points(point_coords, point_labels, asked)
            check_inside(coords, size, normalize_coords, asked.points, asked)
            coords = self._transforms.transform_coords(coords.to(device), **move)
            labels = labels.to(device)
        if box is not None:
            boxes = read_boxes(box, size, normalize_coords, asked)
            corners = self._transforms.transform_boxes(boxes.to(device), **move)
        if coords is not None and corners is not None and coords.shape[0] != corners.shape[0]:
            raise PromptError(
                f"{who}: box has {corners.shape[0]} boxes and point_coords has {coords.shape[0]} prompts; "
                "they must be as many, each box with its own points (b, n, 2)."
            )
        if mask_logits is not None:
            logits = self._mask(mask_logits, asked)
        return logits, coords, labels, corners

    def _mask(self, mask_logits, asked: Asked):
        masks = read_numbers(mask_logits, "mask_input", asked).to(self.device)
        masks = masks[None] if masks.ndim == 3 else masks
        side = self.model.sam_prompt_encoder.mask_input_size
        if masks.ndim != 4 or tuple(masks.shape[1:]) != (1, *side):
            raise PromptError(
                f"{asked.who}: mask_input has shape {tuple(mask_logits.shape)}; it must be (1, {side[0]}, {side[1]}): "
                "one of the low resolution logits that predict returned, as logits[i:i + 1]."
            )
        return masks

    @mezzo.no_grad()
    def _predict(
        self,
        point_coords,
        point_labels,
        boxes=None,
        mask_input=None,
        multimask_output: bool = True,
        return_logits: bool = False,
        img_idx: int = -1,
    ):
        """predict on tensors in the model's pixels, for b prompts at once; returns tensors.

        point_coords (b, n, 2), point_labels (b, n), boxes (b, 2, 2) or (b, 4), mask_input (b, 1, 256, 256)
        -> masks (b, m, h, w), scores (b, m), logits (b, m, 256, 256)
        """
        logits, scores = self._logits(
            point_coords, point_labels, boxes, mask_input, multimask_output, img_idx
        )
        masks = self._transforms.postprocess_masks(logits, self._orig_hw[img_idx])
        if not return_logits:
            masks = masks > self.mask_threshold
        return masks, scores, logits.clamp(-CLAMP, CLAMP)

    @mezzo.no_grad()
    def _logits(
        self,
        point_coords,
        point_labels,
        boxes=None,
        mask_input=None,
        multimask_output: bool = True,
        img_idx: int = -1,
    ):
        """What the model itself says, as _predict takes it: logits (b, m, 256, 256) and scores (b, m)."""
        features = self._set("predict")
        points = None if point_coords is None else (point_coords, point_labels)
        if boxes is not None:  # a box is two points with labels of their own
            corners = boxes.reshape(-1, 2, 2)
            labels = mezzo.tensor([[2, 3]], dtype=mezzo.int32, device=corners.device)
            labels = labels.expand(corners.shape[0], -1)
            if points is not None:
                corners = mezzo.cat((corners, points[0]), dim=1)
                labels = mezzo.cat((labels, points[1]), dim=1)
            points = (corners, labels)
        sparse, dense = self.model.sam_prompt_encoder(points=points, boxes=None, masks=mask_input)
        many = points is not None and points[0].shape[0] > 1
        logits, scores, _, _ = self.model.sam_mask_decoder(
            image_embeddings=features["image_embed"][img_idx].unsqueeze(0),
            image_pe=self.model.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask_output,
            repeat_image=many,
            high_res_features=[x[img_idx].unsqueeze(0) for x in features["high_res_feats"]],
        )
        return logits, scores
