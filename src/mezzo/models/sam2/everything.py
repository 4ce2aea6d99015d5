"""Segment everything: a grid of point prompts over an image and its crops, filtered to distinct masks.

Source: the automatic mask generator of SAM 2 (Ravi et al., 2024) and of Segment Anything (Kirillov et al.,
2023, appendix B).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import mezzo
from mezzo.errors import ArgumentValueError, ShapeError
from mezzo.models.sam2 import boxes as box_rules
from mezzo.models.sam2 import rle as run_lengths
from mezzo.models.sam2.images import read_image
from mezzo.models.sam2.regions import remove_small_regions
from mezzo.models.sam2.sam2_image_predictor import CLAMP, SAM2ImagePredictor

OUTPUT_MODES = ("binary_mask", "uncompressed_rle", "coco_rle")
_BATCH_BYTES = (
    1 << 28
)  # of logits at the size of the image: a large one is given its masks in parts


class MaskData(dict):
    """Columns of one length, arrays or lists, of which rows are kept and added together."""

    def filter(self, keep: np.ndarray) -> None:
        """Keep the rows where `keep` is True, or those whose numbers it holds, in its order."""
        rows = np.flatnonzero(keep) if keep.dtype == bool else keep
        for name, column in self.items():
            self[name] = [column[row] for row in rows] if isinstance(column, list) else column[rows]

    def cat(self, other: MaskData) -> None:
        """Add the rows of `other`, which has the same columns."""
        for name, column in other.items():
            if name not in self:
                self[name] = column
            elif isinstance(column, list):
                self[name] = self[name] + column
            else:
                self[name] = np.concatenate([self[name], column])


class SAM2AutomaticMaskGenerator:
    """Masks of all that a SAM 2 model finds in an image.

    model: from build_sam2.
    points_per_side: the grid has this many points a side; or None, with point_grids given.
    points_per_batch: points that are decoded together; more take more memory.
    pred_iou_thresh: keep masks whose own estimate of their IoU is greater.
    stability_score_thresh, stability_score_offset: keep masks whose IoU between the logits cut at
        mask_threshold + offset and at mask_threshold - offset is at least this.
    mask_threshold: logits above it are the mask.
    box_nms_thresh: of masks whose boxes overlap by more (IoU) only the best is kept, within a crop.
    crop_n_layers: 0 for the image alone; layer i adds 4**i crops, each a run of its own.
    crop_nms_thresh: as box_nms_thresh, between crops; masks of smaller crops win.
    crop_overlap_ratio: how much crops of the first layer share, as a fraction of the shorter side.
    crop_n_points_downscale_factor: crops of layer i have points_per_side / factor**i points a side.
    point_grids: for each layer of crops points (n, 2) as (x, y) from 0 to 1, instead of points_per_side.
    min_mask_region_area: holes and islands of at most so many pixels of the model's low-resolution
        masks (a quarter of the model's input size a side: 256 x 256) are filled and removed.
    output_mode: "binary_mask", bool (h, w); "uncompressed_rle" or "coco_rle", a dict of run lengths.
    use_m2m: decode each mask once more with itself as the prompt.
    multimask_output: three masks for each point, or one.

    Raises: ValueError for impossible arguments.
    """

    def __init__(
        self,
        model,
        points_per_side: int | None = 32,
        points_per_batch: int = 64,
        pred_iou_thresh: float = 0.8,
        stability_score_thresh: float = 0.95,
        stability_score_offset: float = 1.0,
        mask_threshold: float = 0.0,
        box_nms_thresh: float = 0.7,
        crop_n_layers: int = 0,
        crop_nms_thresh: float = 0.7,
        crop_overlap_ratio: float = 512 / 1500,
        crop_n_points_downscale_factor: int = 1,
        point_grids: list[np.ndarray] | None = None,
        min_mask_region_area: int = 0,
        output_mode: str = "binary_mask",
        use_m2m: bool = False,
        multimask_output: bool = True,
        **kwargs,
    ):
        _check_choices(points_per_side, point_grids, points_per_batch, crop_n_layers, output_mode)
        if points_per_side is not None:
            point_grids = box_rules.build_all_layer_point_grids(
                points_per_side, crop_n_layers, crop_n_points_downscale_factor
            )
        self.point_grids = _check_grids([] if point_grids is None else point_grids, crop_n_layers)
        self.predictor = SAM2ImagePredictor(
            model,
            max_hole_area=min_mask_region_area,
            max_sprinkle_area=min_mask_region_area,
        )
        self.points_per_batch = points_per_batch
        self.pred_iou_thresh = pred_iou_thresh
        self.stability_score_thresh = stability_score_thresh
        self.stability_score_offset = stability_score_offset
        self.mask_threshold = mask_threshold
        self.box_nms_thresh = box_nms_thresh
        self.crop_n_layers = crop_n_layers
        self.crop_nms_thresh = crop_nms_thresh
        self.crop_overlap_ratio = crop_overlap_ratio
        self.crop_n_points_downscale_factor = crop_n_points_downscale_factor
        self.min_mask_region_area = min_mask_region_area
        self.output_mode = output_mode
        self.use_m2m = use_m2m
        self.multimask_output = multimask_output

    def generate(self, image, *, progress: Callable[[int, int], None] | None = None) -> list[dict]:
        """The masks of an image, best first within each crop.

        image: uint8 (h, w, 3), RGB; or a Pillow image, or a path.
        progress: called with the number of points done and of all, after each batch.

        Returns a list of dicts:
          segmentation     the mask, by output_mode
          area             its pixels, int
          bbox             its box [x, y, width, height] in pixels, floats
          predicted_iou    the model's estimate of its quality, float
          point_coords     [[x, y]], the point that it answers
          stability_score  float, 0 to 1
          crop_box         the crop it was found in, [x, y, width, height]
        """
        image = read_image(image, "generate")
        with mezzo.no_grad():
            data = self._generate_masks(image, progress)
        encode = {
            "binary_mask": run_lengths.rle_to_mask,
            "uncompressed_rle": lambda rle: rle,
            "coco_rle": run_lengths.coco_encode_rle,
        }[self.output_mode]
        return [
            {
                "segmentation": encode(rle),
                "area": run_lengths.area_from_rle(rle),
                "bbox": box_rules.box_xyxy_to_xywh(data["boxes"][row]).astype(float).tolist(),
                "predicted_iou": float(data["iou_preds"][row]),
                "point_coords": [data["points"][row].tolist()],
                "stability_score": float(data["stability_score"][row]),
                "crop_box": box_rules.box_xyxy_to_xywh(data["crop_boxes"][row])
                .astype(float)
                .tolist(),
            }
            for row, rle in enumerate(data["rles"])
        ]

    def _generate_masks(self, image: np.ndarray, progress) -> MaskData:
        size = image.shape[:2]
        crops, layers = box_rules.generate_crop_boxes(
            size, self.crop_n_layers, self.crop_overlap_ratio
        )
        total = sum(len(self.point_grids[layer]) for layer in layers)
        done = 0

        def advance(points: int) -> None:
            nonlocal done
            done += points
            if progress is not None:
                progress(done, total)

        data = MaskData()
        for crop, layer in zip(crops, layers):
            data.cat(self._process_crop(image, crop, layer, size, advance))
        if len(crops) > 1:  # a mask of a smaller crop has more detail than one of a larger
            with np.errstate(divide="ignore"):
                scores = 1 / box_rules.box_area(data["crop_boxes"])
            data.filter(box_rules.nms(data["boxes"], scores, self.crop_nms_thresh))
        return data

    def _process_crop(self, image, crop_box, layer: int, orig_size, advance) -> MaskData:
        x0, y0, x1, y1 = crop_box
        crop = np.ascontiguousarray(image[y0:y1, x0:x1])
        size = crop.shape[:2]
        self.predictor.set_image(crop)
        points = (self.point_grids[layer] * np.array([size[1], size[0]])).astype(np.float32)
        data = MaskData()
        try:
            for batch in _batches(points, self.points_per_batch):
                data.cat(self._process_batch(batch, size, crop_box, orig_size, normalize=True))
                advance(len(batch))
        finally:
            self.predictor.reset_predictor()
        data.filter(box_rules.nms(data["boxes"], data["iou_preds"], self.box_nms_thresh))
        data["boxes"] = box_rules.uncrop_boxes_xyxy(data["boxes"], crop_box)
        data["points"] = box_rules.uncrop_points(data["points"], crop_box)
        data["crop_boxes"] = np.tile(np.array(crop_box, np.int64), (len(data["rles"]), 1))
        return data

    def _process_batch(
        self, points: np.ndarray, im_size, crop_box, orig_size, normalize: bool = False
    ) -> MaskData:
        """The masks of some points of a crop that pass the filters; boxes in the crop's frame."""
        low, ious = self._decode(points, im_size, normalize)
        points = np.repeat(points, low.shape[1], axis=0)
        low, ious = low.flatten(0, 1), ious.flatten(0, 1)
        if self.use_m2m:
            low, ious = self._refine(points, im_size, normalize, low)
        ious = ious.float().numpy()
        # The low-resolution masks that fail need not be brought to the size of the image.
        rows = np.arange(len(points))
        if self.pred_iou_thresh > 0:
            rows = rows[ious > self.pred_iou_thresh]
        # Without any there is still one part, for the columns.
        parts = list(_batches(rows, self._masks_at_a_time(im_size))) or [rows]
        data = MaskData()
        for some in parts:
            part = MaskData(iou_preds=ious[some], points=points[some])
            logits = self._to_image(low[mezzo.from_numpy(some)], im_size)
            data.cat(self._filtered(part, logits, crop_box, orig_size))
        return data

    def _to_image(self, low, im_size):
        """Low-resolution logits (n, h, w) at the size of the crop."""
        if not len(low):
            return mezzo.zeros(0, *im_size)
        return self.predictor._transforms.postprocess_masks(low.unsqueeze(0), im_size)[0]

    def _masks_at_a_time(self, size: tuple[int, int]) -> int:
        return max(1, _BATCH_BYTES // (4 * size[0] * size[1]))

    def _filtered(self, data: MaskData, logits, crop_box, orig_size) -> MaskData:
        """The stable masks that the crop does not cut, as run lengths; logits (n, h, w)."""
        data["stability_score"] = calculate_stability_score(
            logits, self.mask_threshold, self.stability_score_offset
        )
        data["masks"] = (logits > self.mask_threshold).numpy()
        if self.stability_score_thresh > 0:
            data.filter(data["stability_score"] >= self.stability_score_thresh)
        data["boxes"] = run_lengths.batched_mask_to_box(data["masks"])
        height, width = orig_size
        cut = box_rules.is_box_near_crop_edge(data["boxes"], crop_box, [0, 0, width, height])
        data.filter(~cut)
        whole = box_rules.uncrop_masks(data.pop("masks"), crop_box, height, width)
        data["rles"] = run_lengths.mask_to_rle(whole)
        return data

    def _decode(self, points: np.ndarray, im_size, normalize: bool, mask_input=None):
        """Low-resolution logits (n, masks, h, w) and IoU estimates (n, masks) of points."""
        device = self.predictor.device
        coords = self.predictor._transforms.transform_coords(
            mezzo.from_numpy(points).to(device), normalize=normalize, orig_hw=im_size
        )
        return self.predictor._logits(
            coords[:, None, :],
            mezzo.ones(len(points), 1, dtype=mezzo.int32, device=device),
            mask_input=mask_input,
            multimask_output=self.multimask_output and mask_input is None,
        )

    def _refine(self, points: np.ndarray, im_size, normalize: bool, low):
        """Each mask decoded once more from its point and its own low-resolution logits."""
        low = low.clamp(-CLAMP, CLAMP)
        logits, ious = [], []
        for rows in _batches(np.arange(len(points)), self.points_per_batch):
            part = low[int(rows[0]) : int(rows[-1]) + 1]
            some, iou = self._decode(points[rows], im_size, normalize, part[:, None])
            logits.append(some.flatten(0, 1))
            ious.append(iou.flatten(0, 1))
        return mezzo.cat(logits), mezzo.cat(ious)

    @staticmethod
    def postprocess_small_regions(
        mask_data: MaskData, min_area: int, nms_thresh: float
    ) -> MaskData:
        """Fill holes and remove islands of less than min_area pixels of the image, in place.

        Masks that thereby become duplicates (boxes' IoU over nms_thresh) are dropped, changed ones first.
        mask_data has the columns "rles" and "boxes" at least; it is returned.
        """
        if not mask_data["rles"]:
            return mask_data
        masks, scores = [], []
        for rle in mask_data["rles"]:
            mask, filled = remove_small_regions(run_lengths.rle_to_mask(rle), min_area, "holes")
            mask, cleared = remove_small_regions(mask, min_area, "islands")
            masks.append(mask)
            scores.append(float(not (filled or cleared)))
        changed = [row for row, score in enumerate(scores) if not score]
        boxes = run_lengths.batched_mask_to_box(np.stack(masks))
        for row in changed:
            mask_data["rles"][row] = run_lengths.mask_to_rle(masks[row][None])[0]
            mask_data["boxes"][row] = boxes[row]
        mask_data.filter(box_rules.nms(boxes, np.array(scores), nms_thresh))
        return mask_data


def calculate_stability_score(masks, mask_threshold: float, threshold_offset: float) -> np.ndarray:
    """IoU of each mask cut a little higher and a little lower: near 1 where its edges are sharp.

    Shapes:  masks, a tensor of logits (n, h, w) -> float32 array (n,); 0 where the lower cut is empty
    """
    inner = (masks > mask_threshold + threshold_offset).sum(dim=(-2, -1)).numpy()
    outer = (masks > mask_threshold - threshold_offset).sum(dim=(-2, -1)).numpy()
    return inner.astype(np.float32) / np.maximum(outer, 1).astype(np.float32)


def _batches(rows: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _check_choices(points_per_side, point_grids, points_per_batch, crop_n_layers, mode) -> None:
    name = "SAM2AutomaticMaskGenerator"
    if (points_per_side is None) == (point_grids is None):
        got = "neither" if points_per_side is None else "both"
        raise ArgumentValueError(
            f"{name}: {got} of points_per_side and point_grids given; exactly one says where the points "
            "are. points_per_side has a default: with point_grids write points_per_side=None."
        )
    for label, value, least in (
        ("points_per_side", points_per_side, 1),
        ("points_per_batch", points_per_batch, 1),
        ("crop_n_layers", crop_n_layers, 0),
    ):
        if value is not None and value < least:
            raise ArgumentValueError(
                f"{name}: argument {label} is {value}; it must be at least {least}."
            )
    if mode not in OUTPUT_MODES:
        raise ArgumentValueError(
            f"{name}: argument output_mode is {mode!r}; it must be one of {', '.join(OUTPUT_MODES)}."
        )


def _check_grids(grids: list[np.ndarray], layers: int) -> list[np.ndarray]:
    name = "SAM2AutomaticMaskGenerator: argument point_grids"
    grids = [np.asarray(grid, np.float64) for grid in grids]
    if len(grids) <= layers:
        raise ArgumentValueError(
            f"{name} has {len(grids)} grids; crop_n_layers={layers} needs {layers + 1}: one for the image "
            "and one for each layer of crops."
        )
    for grid in grids:
        if grid.ndim != 2 or grid.shape[1] != 2 or not len(grid):
            raise ShapeError(
                f"{name} holds a grid of shape {grid.shape}; each must be (n, 2), points (x, y)."
            )
        if not ((grid >= 0) & (grid <= 1)).all():
            raise ArgumentValueError(
                f"{name} has coordinates from {grid.min():g} to {grid.max():g}; they are fractions of the "
                "image's width and height, from 0 to 1."
            )
    return grids
