"""SAM 2.1 on a film, against goldens of the official predictor on weights that both draw by tests/programs/sam2."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path

import numpy as np
import pytest

import mezzo
from mezzo.models.sam2 import build_sam2_video_predictor, tracking
from programs.sam2 import film
from programs.sam2.sample import sample

FOLDER = Path(__file__).parent / "sam2"
FP32, BF16 = 1e-4, 0.03
ROUNDED = 2.0**-7  # memories are kept in bfloat16: one may be rounded the other way
MODELS: dict = {}


def build(config: str, overrides: dict, changed: dict):
    """The predictor of a scene; the one of the scene before if nothing differs but the weights that are changed."""
    key = (config, tuple(overrides.items()))
    if key not in MODELS:
        path = FOLDER / config if config == film.MICRO else config
        extra = [f"++{k}={v}" for k, v in overrides.items()]
        MODELS.clear()
        MODELS[key] = build_sam2_video_predictor(path, hydra_overrides_extra=extra)
        load(MODELS[key], film.weights(MODELS[key], {}))
    model = MODELS[key]
    load(model, {k: film.weight(model, k, changed) for k in (film.PRESENCE, film.PRESENCE_SMALL)})
    return model


def load(model, weights: dict) -> None:
    """Put arrays into a model, by name."""
    found = {k: mezzo.from_numpy(v) for k, v in weights.items() if v is not None}
    model.load_state_dict(found, strict=False, assign=True)


def memories(state, found: dict) -> None:
    """As make_video.py keeps them."""
    for obj_id, track in state["tracks"].items():
        for kind, outputs in (("cond", track.kept.cond), ("non_cond", track.kept.other)):
            for frame, out in outputs.items():
                key = f"object {obj_id} {kind} {frame}"
                memory = out.maskmem_features.float().numpy()
                found[f"{key} pointer"] = sample(out.obj_ptr.float().numpy(), 32)
                found[f"{key} memory"] = sample(memory, 64)
                found[f"{key} memory statistics"] = np.array([memory.mean(), memory.std()])


@pytest.fixture(scope="module")
def golden():
    return np.load(FOLDER / "video.npz")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("film")
    film.write(path)
    return path


@pytest.fixture(scope="module")
def found_in(folder):
    """What we make of a scene, played once."""
    return functools.cache(lambda name: play(folder, name))


def expected_of(golden, name: str) -> dict:
    """What the official predictor made of it."""
    return {k.partition("/")[2]: golden[k] for k in golden.files if k.startswith(f"{name}/")}


def play(folder, name: str) -> dict:
    """What we make of a scene."""
    low = name in film.LOW
    config, overrides, changed, steps = film.SCENES[film.LOW[name][0] if low else name]
    steps = film.LOW[name][1] if low else steps
    model, found = build(config, overrides, changed), {}
    region = mezzo.autocast("cpu", mezzo.bfloat16) if low else contextlib.nullcontext()
    with mezzo.inference_mode(), region:
        state = model.init_state(folder)
        film.play(model, state, steps, found, low)
    memories(state, found)
    return found


def relative(mine: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, relative to the largest value."""
    assert mine.shape == theirs.shape
    return float(np.abs(mine - theirs).max() / np.abs(theirs).max()) if theirs.size else 0.0


@pytest.mark.parametrize("name", [*film.SCENES, *film.LOW])
def test_as_the_official_predictor(name, found_in, golden):
    found, expected = found_in(name), expected_of(golden, name)
    assert list(found) == list(expected)  # the same calls and results in the same order
    errors = {k: relative(found[k], expected[k]) for k in expected}
    assert {k: e for k, e in errors.items() if e > tolerance(name, k)} == {}


def tolerance(name: str, key: str) -> float:
    if name in film.LOW:
        return BF16
    return ROUNDED if key.startswith("object") and key.endswith("memory") else FP32


@pytest.mark.parametrize("name", [*film.SCENES, *film.LOW])
def test_masks_are_the_official_ones(name, found_in, golden):
    """Where the official logits are not near 0; and there is something to compare."""
    found = found_in(name)
    keys = [k for k in found if k.startswith("step") and found[k].size]
    mine, theirs = (
        np.concatenate([x[k] for k in keys]) for x in (found, expected_of(golden, name))
    )
    present = theirs > tracking.NO_OBJ_SCORE / 2
    near = (0.05 if name in film.LOW else 1e-3) * np.sqrt(np.mean(theirs[present] ** 2))
    sure = np.abs(theirs) > near
    assert 0.1 < (theirs[present] > 0).mean() < 0.9
    mine, theirs = mine[sure] > 0, theirs[sure] > 0
    assert (mine & theirs).sum() / (mine | theirs).sum() >= (0.99 if name in film.LOW else 1.0)


def test_the_film_shows_objects_come_and_go(golden):
    signs = {name: set() for name in film.SCENES}
    for key in golden.files:
        name, _, what = key.partition("/")
        if what.startswith("presence") and name in signs:
            signs[name].add(bool(golden[key] > 0))
    assert signs["clicks"] == {True} and signs["hiding"] == signs["other options"] == {True, False}
