"""The automatic mask generator and its parts: against the official generator on a drawn scene, COCO's
own run lengths, and plain definitions."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from pycocotools import mask as coco

import mezzo
from mezzo.models.sam2 import (
    SAM2AutomaticMaskGenerator,
    boxes,
    build_sam2,
    everything,
    regions,
    rle,
)
from mezzo.models.sam2.everything import MaskData


def load(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(root):
    return root / "tests" / "programs" / "sam2"


@pytest.fixture(scope="module")
def scene(folder):
    return load(folder / "scene.py")


@pytest.fixture(scope="module")
def golden(folder):
    return json.loads((folder / "everything.json").read_text())


@pytest.fixture(scope="module")
def model(folder):
    """The small network, with the rule's weights."""
    made = build_sam2(folder / "micro.yaml")
    rule = load(folder / "rule.py")
    state = made.state_dict()
    made.load_state_dict(
        {k: mezzo.from_numpy(rule.weight(k, tuple(v.shape))) for k, v in state.items()}
    )
    return made


@pytest.fixture
def generator(scene, monkeypatch):
    """Makes generators whose predictor segments the drawn scene."""
    monkeypatch.setattr(
        everything, "SAM2ImagePredictor", lambda model, **options: scene.ScenePredictor(mezzo)
    )
    return lambda **options: SAM2AutomaticMaskGenerator(None, **options)


def blobs(seed: int, height: int, width: int, fine: int = 3) -> np.ndarray:
    """A random mask of blobs, fine pixels wide at least."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((height // fine + 1, width // fine + 1)) < 0.45
    return np.kron(coarse, np.ones((fine, fine), bool))[:height, :width]


# ---- against the official generator


def cases(folder):
    return load(folder / "make_everything.py").CASES


def networks(folder):
    return load(folder / "make_everything.py").NETWORK


NAMES = ["default", "crops", "loose", "no_filters", "one_mask", "m2m", "strict", "near"]


NETWORKS = ["network", "network m2m", "network crops", "network one"]


def test_every_golden_case_is_tested(folder, golden):
    assert list(cases(folder)) == NAMES and list(networks(folder)) == NETWORKS
    assert list(golden) == NAMES + NETWORKS


@pytest.mark.parametrize("name", NAMES)
def test_as_the_official_generator(name, generator, scene, golden, folder):
    found = generator(output_mode="coco_rle", **cases(folder)[name]).generate(scene.draw())
    assert len(found) == len(golden[name])
    for ours, theirs in zip(found, golden[name]):
        assert list(ours) == list(theirs)
        for key in ("segmentation", "area", "bbox", "point_coords", "crop_box"):
            assert ours[key] == theirs[key], key
        for key in ("predicted_iou", "stability_score"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-6), key


@pytest.mark.parametrize("name", NETWORKS)
def test_as_the_official_generator_with_a_network(name, model, golden, folder):
    image = load(folder / "rule.py").image()[::8, ::8].copy()
    made = SAM2AutomaticMaskGenerator(model, output_mode="coco_rle", **networks(folder)[name])
    found = made.generate(image)
    assert len(found) == len(golden[name]) > 3
    for ours, theirs in zip(found, golden[name]):
        for key in ("point_coords", "crop_box"):
            assert ours[key] == theirs[key], key
        assert ours["predicted_iou"] == pytest.approx(theirs["predicted_iou"], rel=1e-4, abs=1e-5)
        # A logit within rounding of the threshold may fall on either side: a few of 4,800 pixels.
        masks = [rle.rle_to_mask(each["segmentation"]) for each in (ours, theirs)]
        assert np.count_nonzero(masks[0] ^ masks[1]) <= 3
        assert abs(ours["stability_score"] - theirs["stability_score"]) <= 3 / theirs["area"]


def test_crops_without_any_mask_give_none(model, folder):
    image = load(folder / "rule.py").image()[::8, ::8].copy()
    made = SAM2AutomaticMaskGenerator(
        model, points_per_side=2, crop_n_layers=1, pred_iou_thresh=99.0
    )
    assert made.generate(image) == []


def test_finds_what_was_drawn(generator, scene):
    image = scene.draw()
    found = generator(points_per_side=16).generate(image)
    drawn = {n: image[..., 0] == n for n in (1, 2, 4)}
    for number, mask in drawn.items():
        best = max(rle.iou(mask, record["segmentation"]) for record in found)
        assert best > 0.9, f"object {number} is found with IoU {best:.3f} only"


def test_the_three_outputs_hold_the_same_masks(generator, scene):
    binary, runs, packed = (
        generator(points_per_side=8, output_mode=mode).generate(scene.draw())
        for mode in ("binary_mask", "uncompressed_rle", "coco_rle")
    )
    assert len(binary) == len(runs) == len(packed) > 0
    for one, two, three in zip(binary, runs, packed):
        mask = one["segmentation"]
        assert mask.dtype == bool and mask.shape == scene.draw().shape[:2]
        assert mask.sum() == one["area"] == two["area"]
        assert np.array_equal(rle.rle_to_mask(two["segmentation"]), mask)
        assert np.array_equal(coco.decode(three["segmentation"]).astype(bool), mask)
        json.dumps([two, three])


def test_large_images_are_given_their_masks_in_parts(generator, scene, monkeypatch):
    options = {"points_per_side": 6, "points_per_batch": 20, "pred_iou_thresh": 0.3}
    made = generator(**options)
    whole = made.generate(scene.draw())
    assert made.predictor.calls == [20, 16]
    assert len(made.predictor.sizes) == 2 and sum(made.predictor.sizes) <= 36 * 3
    pixels = scene.draw().shape[0] * scene.draw().shape[1]
    monkeypatch.setattr(everything, "_BATCH_BYTES", 4 * pixels * 7 + 1)
    parts = generator(**options)
    again = parts.generate(scene.draw())
    assert parts.predictor.calls == [20, 16] and max(parts.predictor.sizes) == 7
    assert sum(parts.predictor.sizes) == sum(made.predictor.sizes)
    assert [r["bbox"] for r in again] == [r["bbox"] for r in whole]


def test_masks_with_a_low_score_are_not_brought_to_the_size_of_the_image(generator, scene):
    made = generator(points_per_side=6, pred_iou_thresh=0.999)
    assert made.generate(scene.draw()) == [] and sum(made.predictor.sizes) == 0


def test_progress_is_told_and_the_predictor_left_clean(generator, scene):
    told = []
    made = generator(points_per_side=4, crop_n_layers=1, points_per_batch=6)
    made.generate(scene.draw(), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (80, 80) and [done for done, _ in told] == sorted(d for d, _ in told)
    assert made.predictor.image is None


def test_own_grids(generator, scene):
    made = generator(points_per_side=None, point_grids=[np.array([[45 / 210, 20 / 150]])])
    found = made.generate(scene.draw())
    assert found and all(r["point_coords"] == [[45.0, 20.0]] for r in found)


def test_small_regions_are_post_processed():
    mask = np.zeros((100, 200), bool)
    mask[21:70, 96:165] = True
    mask[30:60:9, 100:160:7] = False  # holes of one pixel
    mask[5, 5] = True
    data = MaskData(rles=rle.mask_to_rle(mask[None]), boxes=rle.batched_mask_to_box(mask[None]))
    done = SAM2AutomaticMaskGenerator.postprocess_small_regions(data, 5, 0.7)
    filled = rle.rle_to_mask(done["rles"][0])
    assert filled.sum() == 69 * 49
    assert done["boxes"].tolist() == [[96, 21, 164, 69]]


def test_post_processing_drops_what_became_a_duplicate():
    whole = np.zeros((40, 40), bool)
    whole[5:30, 5:30] = True
    pierced = whole.copy()
    pierced[10, 10] = False
    masks = np.stack([pierced, whole])
    data = MaskData(rles=rle.mask_to_rle(masks), boxes=rle.batched_mask_to_box(masks))
    done = SAM2AutomaticMaskGenerator.postprocess_small_regions(data, 3, 0.7)
    assert [rle.area_from_rle(r) for r in done["rles"]] == [625]
    empty = MaskData(rles=[], boxes=np.zeros((0, 4), np.int64))
    assert SAM2AutomaticMaskGenerator.postprocess_small_regions(empty, 3, 0.7) is empty


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"points_per_side": None}, "neither of points_per_side and point_grids given"),
        ({"point_grids": [np.zeros((1, 2))]}, "both of points_per_side and point_grids given"),
        ({"points_per_side": 0}, "points_per_side is 0; it must be at least 1"),
        ({"points_per_batch": 0}, "points_per_batch is 0"),
        ({"crop_n_layers": -1}, "crop_n_layers is -1; it must be at least 0"),
        ({"output_mode": "png"}, "output_mode is 'png'; it must be one of binary_mask"),
        (
            {"points_per_side": 4, "crop_n_layers": 3, "crop_n_points_downscale_factor": 2},
            "leaves no points",
        ),
        (
            {"points_per_side": None, "point_grids": [np.zeros((1, 2))], "crop_n_layers": 1},
            "has 1 grids; crop_n_layers=1 needs 2",
        ),
        ({"points_per_side": None, "point_grids": [np.zeros(4)]}, r"grid of shape \(4,\)"),
        (
            {"points_per_side": None, "point_grids": [np.array([[0.5, 30.0]])]},
            "coordinates from 0.5 to 30; they are fractions",
        ),
    ],
)
def test_impossible_arguments(generator, options, said):
    with pytest.raises((ValueError, RuntimeError), match=said):
        generator(**options)


def test_impossible_images(generator):
    with pytest.raises(ValueError, match="has 0 rows and 4 columns"):
        generator().generate(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(TypeError, match="image is a list"):
        generator().generate([[0, 0, 0]])


# ---- the parts


def test_point_grid_is_centred():
    grid = boxes.build_point_grid(2)
    assert grid.tolist() == [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]


def test_crops_cover_the_image_and_overlap():
    crops, layers = boxes.generate_crop_boxes((480, 640), 2, 512 / 1500)
    assert layers == [0] + [1] * 4 + [2] * 16
    assert crops[0] == [0, 0, 640, 480]
    for layer in (1, 2):
        covered = np.zeros((480, 640), int)
        for (x0, y0, x1, y1), number in zip(crops, layers):
            if number == layer:
                assert 0 <= x0 < x1 <= 640 and 0 <= y0 < y1 <= 480
                covered[y0:y1, x0:x1] += 1
        assert covered.min() == 1 and covered.max() == 4
    assert crops[1][2] - crops[3][0] == int(512 / 1500 * 480)


def slow_nms(all_boxes, scores, limit):
    """By definition: a box stays unless a better one that stays overlaps it by more than the limit."""
    kept = []
    for row in sorted(range(len(scores)), key=lambda n: -scores[n]):
        for other in kept:
            (a, b, c, d), (e, f, g, h) = all_boxes[row], all_boxes[other]
            shared = max(min(c, g) - max(a, e), 0) * max(min(d, h) - max(b, f), 0)
            if shared > limit * ((c - a) * (d - b) + (g - e) * (h - f) - shared):
                break
        else:
            kept.append(row)
    return kept


@pytest.mark.parametrize("limit", [0.0, 0.317, 0.7, 1.0])
def test_nms_is_greedy_suppression(limit):
    rng = np.random.default_rng(5)
    corners = rng.integers(0, 60, (200, 2))
    found = np.concatenate([corners, corners + rng.integers(0, 40, (200, 2))], axis=1)
    scores = rng.integers(0, 50, 200) / 50  # with ties, which keep their order
    assert boxes.nms(found, scores, limit).tolist() == slow_nms(found.tolist(), scores, limit)
    assert boxes.nms(found[:0], scores[:0], limit).shape == (0,)


def test_masks_cut_by_a_crop_are_told_from_those_cut_by_the_image():
    whole, crop = [0, 0, 300, 200], [100, 0, 300, 200]
    found = np.array([[5, 50, 60, 90], [60, 50, 199, 90], [60, 2, 90, 90], [60, 50, 90, 190]])
    assert boxes.is_box_near_crop_edge(found, crop, whole).tolist() == [True, False, False, False]


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (37, 53), (64, 64)])
def test_run_lengths_are_coco_s(shape):
    masks = np.stack(
        [blobs(3, *shape), ~blobs(4, *shape), np.zeros(shape, bool), np.ones(shape, bool)]
        + [blobs(seed, *shape, fine=1) for seed in range(4)]
    )
    for mask, runs in zip(masks, rle.mask_to_rle(masks)):
        packed = rle.coco_encode_rle(runs)
        theirs = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        assert packed == {"size": list(shape), "counts": theirs["counts"].decode()}
        assert rle.decode_counts(packed["counts"]) == runs["counts"]
        assert np.array_equal(rle.rle_to_mask(runs), mask)
        assert np.array_equal(rle.rle_to_mask(packed), mask)
        assert rle.area_from_rle(runs) == coco.area(theirs)


def test_long_runs_are_coded_as_coco_does():
    runs = {"size": [5000, 5000], "counts": [3, 10_000_000, 17, 1, 9_999_979, 5_000_000]}
    packed = rle.coco_encode_rle(runs)["counts"]
    assert packed == coco.frPyObjects(runs, 5000, 5000)["counts"].decode()
    assert rle.decode_counts(packed) == runs["counts"]


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ([3, 4], "cover 7 pixels; for size"),
        ([9, -1, 4], "for size"),
        ("00\x7f", "byte 127 at place 2"),
        ("0P", "ends within a number"),
    ],
)
def test_damaged_run_lengths(counts, said):
    with pytest.raises(ValueError, match=said):
        rle.rle_to_mask({"size": [3, 4], "counts": counts})


def test_boxes_of_masks():
    masks = np.zeros((2, 3, 20, 30), bool)
    masks[0, 0, 4:7, 9:21] = True
    masks[0, 1, 19, 29] = True
    masks[1, 2] = True
    found = rle.batched_mask_to_box(masks)
    assert found.shape == (2, 3, 4)
    assert found[0, 0].tolist() == [9, 4, 20, 6]
    assert found[0, 1].tolist() == [29, 19, 29, 19]
    assert found[1, 2].tolist() == [0, 0, 29, 19]
    assert not found[0, 2].any() and not found[1, 0].any()
    assert rle.batched_mask_to_box(masks[:0]).shape == (0, 3, 4)


def test_stability_counts_what_a_shifted_cut_changes():
    ramp = np.linspace(-3, 3, 601, dtype=np.float64).astype(np.float32)
    logits = np.stack([np.tile(ramp, (3, 1)), np.full((3, 601), -9, np.float32)])
    score = everything.calculate_stability_score(mezzo.from_numpy(logits), 0.0, 1.0)
    inner, outer = (ramp > 1).sum(), (ramp > -1).sum()
    assert score.tolist() == [pytest.approx(inner / outer), 0.0]


def flood(mask):
    """The 8-connected regions of a mask, as sets of pixels, by a plain search."""
    left = {tuple(p) for p in np.argwhere(mask)}
    found = []
    while left:
        stack, seen = [left.pop()], set()
        while stack:
            y, x = stack.pop()
            seen.add((y, x))
            near = {(y + i, x + j) for i in (-1, 0, 1) for j in (-1, 0, 1)} & left
            left -= near
            stack += near
        found.append(seen)
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("mode", ["holes", "islands"])
def test_small_regions(seed, mode):
    mask = blobs(seed, 40, 50, fine=1 + seed % 3)
    wanted = mask.copy()
    parts = flood(~mask if mode == "holes" else mask)
    small = [part for part in parts if len(part) < 12]
    for part in small:
        for pixel in part:
            wanted[pixel] = mode == "holes"
    found, changed = regions.remove_small_regions(mask, 12, mode)
    assert changed == bool(small) and np.array_equal(found, wanted)
    again, changed = regions.remove_small_regions(found, 1, mode)
    assert not changed and np.array_equal(again, found)


def test_the_largest_island_stays():
    mask = np.zeros((9, 9), bool)
    mask[1, 1] = mask[5, 5:8] = True
    found, changed = regions.remove_small_regions(mask, 50, "islands")
    assert changed and found.sum() == 3 and found[5, 6]
    with pytest.raises(ValueError, match="mode is 'caves'"):
        regions.remove_small_regions(mask, 1, "caves")
