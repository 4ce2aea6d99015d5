"""The video predictor: what it takes, what it refuses, what it remembers and forgets; on a model of a few channels.

Its values are held against the official code in tests/programs/test_sam2_video.py.
"""

from __future__ import annotations

import importlib.util
import io
import sys

import av
import numpy as np
import pytest
from PIL import Image

import mezzo
from mezzo.models.sam2 import (
    SAM2ImagePredictor,
    SAM2VideoPredictor,
    build_sam2,
    build_sam2_video_predictor,
)
from mezzo.models.sam2.tracking import NO_OBJ_SCORE, closest_frames, sine_positions
from mezzo.models.sam2.transformer import Attention
from mezzo.models.sam2.transforms import MEAN, STD
from mezzo.models.sam2.video_frames import Frames

COUNT, HEIGHT, WIDTH = 5, 60, 80
FILM = np.random.default_rng(0).integers(0, 256, (COUNT, HEIGHT, WIDTH, 3), np.uint8)
CLICK = {"points": [[20, 30]], "labels": [1]}


@pytest.fixture(scope="module")
def micro(root):
    return root / "tests" / "programs" / "sam2" / "micro.yaml"


def build(micro, **options) -> SAM2VideoPredictor:
    mezzo.manual_seed(0)
    extra = [f"++model.{k}={v}" for k, v in options.items()]
    return build_sam2_video_predictor(micro, hydra_overrides_extra=extra)


@pytest.fixture(scope="module")
def predictor(micro):
    made = build(micro, use_mask_input_as_output_without_sam=True)
    made.sam_mask_decoder.pred_obj_score_head.bias.data.fill_(9.0)  # objects stay in the frame
    return made


@pytest.fixture
def state(predictor):
    return predictor.init_state(FILM)


def write(folder, kind="JPEG", names="{:05d}.jpg"):
    for i, frame in enumerate(FILM):
        Image.fromarray(frame).save(folder / names.format(i), format=kind)
    return folder


def followed(predictor, state, **how) -> dict:
    """Logits by frame."""
    return {t: x.numpy().copy() for t, _, x in predictor.propagate_in_video(state, **how)}


# ---- frames


def test_frames_are_scaled_as_by_pillow(tmp_path):
    made = Frames(str(write(tmp_path)), 128)
    assert (len(made), made.height, made.width) == (COUNT, HEIGHT, WIDTH)
    for i in range(COUNT):
        scaled = Image.open(tmp_path / f"{i:05d}.jpg").convert("RGB").resize((128, 128))
        expected = (np.asarray(scaled) / 255.0 - MEAN) / STD
        np.testing.assert_allclose(made[i].numpy(), expected.transpose(2, 0, 1), atol=1e-6)


def test_frames_in_every_form(tmp_path):
    write(tmp_path, "PNG")
    paths = sorted(tmp_path.iterdir())
    forms = [str(tmp_path), tmp_path, FILM, list(FILM), paths, tuple(map(Image.open, paths))]
    for form in forms:
        made = Frames(form, 96)
        for i in range(COUNT):
            np.testing.assert_array_equal(made[i].numpy(), Frames(FILM, 96)[i].numpy())


def test_frames_of_more_bits():
    x = np.linspace(30, 220, WIDTH)[:, None] * [
        1,
        0.7,
        0.4,
    ]  # smooth: 8 bits cut off overshoots midway
    frame = np.broadcast_to(x, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    made, coarse = Frames([frame.astype(np.uint16) * 257], 96), Frames([frame], 96)
    np.testing.assert_allclose(made[0].numpy(), coarse[0].numpy(), atol=2 / 255 / min(STD))


IDENTITY, QUARTER = (
    b"".join(n.to_bytes(4, "big", signed=True) for n in matrix)
    for matrix in (
        (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30),
        (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30),  # x goes down, y to the left: clockwise
    )
)


def movie(quarter: bool = False) -> bytes:
    """The film without loss; a track's matrix may say that it is to be shown turned clockwise."""
    file = io.BytesIO()
    with av.open(file, "w", format="mov") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "rgb24"
        for frame in FILM:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    data = file.getvalue()
    at = data.index(IDENTITY, data.index(b"tkhd"))
    return data[:at] + (QUARTER if quarter else IDENTITY) + data[at + len(IDENTITY) :]


def test_frames_of_an_mp4_file(tmp_path):
    (tmp_path / "film.mov").write_bytes(movie())
    for form in (movie(), tmp_path / "film.mov", str(tmp_path / "film.mov")):
        made = Frames(form, 96)
        assert (len(made), made.height, made.width) == (COUNT, HEIGHT, WIDTH)
        for i in range(COUNT):
            np.testing.assert_array_equal(made[i].numpy(), Frames(FILM, 96)[i].numpy())


def test_films_are_turned_as_they_are_shown():
    made, turned = Frames(movie(quarter=True), 96), Frames(np.rot90(FILM, -1, (1, 2)), 96)
    assert (made.height, made.width) == (WIDTH, HEIGHT)
    np.testing.assert_array_equal(made[0].numpy(), turned[0].numpy())


def test_without_the_library_for_mp4_files(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(NotImplementedError, match=r"mezzo\[video\].*\n.*ffmpeg -i"):
        Frames(b"film", 96)


def test_frames_are_ordered_by_number(tmp_path):
    for i in (2, 10, 1):
        Image.fromarray(np.full((8, 8, 3), i * 20, np.uint8)).save(tmp_path / f"{i}.JPG")
    found = [float(Frames(str(tmp_path), 8)[i].mean()) for i in range(3)]
    assert found == sorted(found)


def test_frames_read_in_the_background(predictor, tmp_path):
    folder = str(write(tmp_path))
    found = []
    for aside in (False, True):
        state = predictor.init_state(folder, async_loading_frames=aside)
        predictor.add_new_points_or_box(state, 0, 1, **CLICK)
        found.append(followed(predictor, state))
    for frame in range(COUNT):
        np.testing.assert_array_equal(found[0][frame], found[1][frame])


def test_what_goes_wrong_in_the_background_is_told(predictor, tmp_path):
    write(tmp_path)
    (tmp_path / "00003.jpg").write_bytes(b"no image")
    with pytest.raises(ValueError, match="frame 3.*00003.jpg"):
        predictor.init_state(tmp_path)
    with pytest.raises((RuntimeError, ValueError), match=r"frame 3.*00003.jpg"):
        # Told by the first call after the thread came to the frame, which may be any of these.
        state = predictor.init_state(tmp_path, async_loading_frames=True)
        predictor.add_new_points_or_box(state, 0, 1, **CLICK)
        followed(predictor, state)


def test_videos_that_are_none(predictor, tmp_path):
    film = tmp_path / "film.mp4"
    film.write_bytes(b"film")
    (tmp_path / "film.avi").write_bytes(b"film")
    empty = tmp_path / "empty"
    empty.mkdir()
    odd = write(tmp_path / "odd" if (tmp_path / "odd").mkdir() is None else tmp_path)
    (odd / "last.jpg").write_bytes(b"")
    sizes = [FILM[0], FILM[1], FILM[2][:50]]
    for video, kind, message in (
        (tmp_path / "film.avi", NotImplementedError, r"\n.*ffmpeg -i .*film.avi .*%05d.jpg"),
        (film, RuntimeError, "film.mp4' cannot be read as an MP4 video"),
        (b"", RuntimeError, "the bytes given cannot be read"),
        (movie()[:900], RuntimeError, "the bytes given cannot be read"),
        (tmp_path / "nowhere", FileNotFoundError, "there is no .*nowhere"),
        (empty, RuntimeError, "no images.*it is empty"),
        (tmp_path, RuntimeError, "no images.*it holds empty, film.avi, film.mp4, odd"),
        (odd, ValueError, "no numbers: last.jpg"),
        ([], RuntimeError, "without frames"),
        (FILM[:0], RuntimeError, "without frames"),
        (FILM[0], ValueError, r"\(frames, height, width, 3\)"),
        (7, TypeError, "is a int; it must be a folder"),
        ([FILM[0], 7], TypeError, "frame 1: image is a int"),
        (sizes, RuntimeError, "frame 2 has 80 x 50 pixels, and the first frame 80 x 60"),
    ):
        with pytest.raises(kind, match=message):
            predictor.init_state(video)


# ---- prompts and results


def test_results(predictor, state):
    assert [state[k] for k in ("num_frames", "video_height", "video_width")] == [5, 60, 80]
    frame, ids, logits = predictor.add_new_points(state, 2, "cat", **CLICK)
    assert (frame, ids, tuple(logits.shape)) == (2, ["cat"], (1, 1, HEIGHT, WIDTH))
    assert logits.dtype is mezzo.float32 and not mezzo.is_inference_mode_enabled()
    frame, ids, logits = predictor.add_new_mask(state, 3, 7, np.ones((HEIGHT, WIDTH), bool))
    assert ids == state["obj_ids"] == ["cat", 7]
    assert logits[0].eq(NO_OBJ_SCORE).all() and logits[1].gt(0).all()  # of cat nothing is known
    seen = []
    for frame, ids, logits in predictor.propagate_in_video(state):
        assert not mezzo.is_inference_mode_enabled()  # the caller's mode is left alone
        assert ids == ["cat", 7] and tuple(logits.shape) == (2, 1, HEIGHT, WIDTH)
        seen.append(frame)
    assert seen == [2, 3, 4]


@pytest.mark.parametrize(
    "how, expected",
    [
        ({}, [1, 2, 3, 4]),
        ({"reverse": True}, [1, 0]),
        ({"start_frame_idx": 0}, [0, 1, 2, 3, 4]),
        ({"start_frame_idx": 3, "max_frame_num_to_track": 0}, [3]),
        ({"start_frame_idx": 2, "max_frame_num_to_track": 1}, [2, 3]),
        ({"start_frame_idx": 3, "max_frame_num_to_track": 2, "reverse": True}, [3, 2, 1]),
        ({"start_frame_idx": 0, "reverse": True}, []),
    ],
)
def test_frames_that_are_followed(predictor, state, how, expected):
    predictor.add_new_points_or_box(state, 1, 1, **CLICK)
    assert list(followed(predictor, state, **how)) == expected


def test_a_box_is_two_points(predictor):
    asked = [
        {"box": [10, 12, 50, 40]},
        {"points": [[10, 12], [50, 40]], "labels": [2, 3]},
        {"box": np.array([10, 12, 50, 40]) / [80, 60, 80, 60], "normalize_coords": False},
    ]
    found = [
        predictor.add_new_points_or_box(predictor.init_state(FILM), 0, 1, **a)[2] for a in asked
    ]
    for other in found[1:]:
        np.testing.assert_allclose(other.numpy(), found[0].numpy(), atol=1e-5)


def test_the_first_frame_is_what_the_image_predictor_says(micro):
    made, model = (
        build(micro, fill_hole_area=0, pred_obj_scores=False),
        build_sam2(micro, hydra_overrides_extra=["++model.pred_obj_scores=false"]),
    )
    model.load_state_dict(made.state_dict())
    image = SAM2ImagePredictor(model)
    frame = np.asarray(Image.fromarray(FILM[0]).resize((128, 128)))  # the two scale differently
    image.set_image(frame)
    prompt = {"point_coords": [[20, 30]], "point_labels": [1], "multimask_output": False}
    expected, _, _ = image.predict(**prompt, return_logits=True)
    _, _, found = made.add_new_points_or_box(made.init_state([frame]), 0, 1, **CLICK)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def test_objects_do_not_disturb_each_other(predictor, state):
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    alone = followed(predictor, state)
    both = predictor.init_state(FILM)
    predictor.add_new_points_or_box(both, 0, 1, **CLICK)
    predictor.add_new_points_or_box(both, 0, 2, points=[[70, 50]], labels=[1])
    for frame, logits in followed(predictor, both).items():
        np.testing.assert_array_equal(logits[:1], alone[frame])


def test_masks_without_overlaps(micro):
    made = build(micro, non_overlap_masks=True)
    state = made.init_state(FILM)
    made.add_new_mask(state, 0, 1, np.ones((HEIGHT, WIDTH)))
    _, _, logits = made.add_new_mask(state, 0, 2, mezzo.ones(HEIGHT, WIDTH))
    assert ((logits > -10).sum(0) <= 1).all()


def test_a_mask_of_any_size_or_kind(predictor):
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[15:45, 20:60] = True
    for given in (mask, mask.astype(np.float64), mask[::2, ::2], mezzo.from_numpy(mask)):
        _, _, logits = predictor.add_new_mask(predictor.init_state(FILM), 0, 1, given)
        assert ((logits[0, 0].numpy() > 0) == mask).mean() > 0.98


def test_more_points_are_added_or_replace(predictor, state):
    points = state["tracks"]
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    predictor.add_new_points_or_box(
        state, 0, 1, points=[[40, 30]], labels=[0], clear_old_points=False
    )
    coords, labels = points[1].points[0]
    scale = np.array([128 / WIDTH, 128 / HEIGHT])
    np.testing.assert_allclose(coords.numpy()[0], [[20, 30], [40, 30]] * scale, rtol=1e-6)
    assert labels.tolist() == [[1, 0]]
    predictor.add_new_points_or_box(state, 0, 1, points=[[8, 8]], labels=[1])
    assert tuple(points[1].points[0][0].shape) == (1, 1, 2)
    predictor.add_new_mask(state, 0, 1, np.ones((HEIGHT, WIDTH)))
    assert not points[1].points and list(points[1].masks) == [0]


def test_a_video_of_one_frame(predictor):
    state = predictor.init_state(FILM[:1])
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    assert list(followed(predictor, state)) == [0]
    _, _, logits = predictor.add_new_points_or_box(state, 0, 1, points=[[5, 5]], labels=[0])
    assert np.isfinite(logits.numpy()).all()


def test_the_example_runs(micro, predictor, root, tmp_path, capsys):
    frames, weights, out = tmp_path / "frames", tmp_path / "weights.pt", tmp_path / "out.gif"
    frames.mkdir()
    write(frames)
    mezzo.save({"model": predictor.state_dict()}, weights)
    spec = importlib.util.spec_from_file_location("follow", root / "examples/follow_in_video.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    options = {"--config": micro, "--point": "20,30", "--out": out}
    example.main([str(frames), str(weights), *(str(x) for pair in options.items() for x in pair)])
    with Image.open(out) as animation:
        assert (animation.size, animation.n_frames) == ((WIDTH, HEIGHT), COUNT)
    assert capsys.readouterr().out.count("of the pixels") == COUNT


# ---- forgetting


def test_reset_forgets_objects(predictor, state):
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    first = followed(predictor, state)
    predictor.reset_state(state)
    assert state["obj_ids"] == []
    with pytest.raises(RuntimeError, match="no object has a prompt"):
        predictor.propagate_in_video(state)
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    for frame, logits in followed(predictor, state).items():
        np.testing.assert_array_equal(logits, first[frame])


def test_prompts_are_cleared_and_given_anew(predictor, state):
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    first = followed(predictor, state)
    frame, ids, logits = predictor.clear_all_prompts_in_frame(state, 0, 1)
    assert (frame, ids) == (0, [1])
    np.testing.assert_array_equal(logits.numpy(), first[0])  # the mask stays, as a tracked one
    with pytest.raises(RuntimeError, match="object 1 has no prompt"):
        predictor.propagate_in_video(state)
    assert predictor.clear_all_prompts_in_frame(state, 0, 1, need_output=False) is None
    predictor.add_new_points_or_box(state, 3, 1, **CLICK)  # it was tracked, but from nothing now
    assert list(followed(predictor, state)) == [3, 4]


def test_objects_are_removed(predictor, state):
    predictor.add_new_points_or_box(state, 0, 1, **CLICK)
    predictor.add_new_mask(state, 2, "b", np.ones((HEIGHT, WIDTH)))
    before = followed(predictor, state)
    ids, changed = predictor.remove_object(state, "b")
    assert ids == state["obj_ids"] == [1] and [t for t, _ in changed] == [2]
    np.testing.assert_array_equal(changed[0][1].numpy(), before[2][:1])
    assert predictor.remove_object(state, "b") == ([1], [])
    with pytest.raises(RuntimeError, match="no object 'b'; the objects are: 1"):
        predictor.remove_object(state, "b", strict=True)
    assert predictor.remove_object(state, 1, need_output=False) == ([], [])
    assert state["obj_ids"] == []


def test_corrections_forget_what_is_around(micro):
    made = build(micro, clear_non_cond_mem_around_input=True, num_maskmem=2)
    state = made.init_state(np.tile(FILM, (2, 1, 1, 1)))
    made.add_new_points_or_box(state, 0, 1, **CLICK)
    followed(made, state)
    kept = state["tracks"][1].kept
    assert list(kept.other) == list(range(1, 10))
    made.add_new_points_or_box(state, 6, 1, points=[[5, 5]], labels=[0])
    made.propagate_in_video_preflight(state)
    assert sorted(kept.other) == [1, 2, 3, 6, 9]  # two frames on either side of 6 are gone


# ---- refusing


@pytest.mark.parametrize(
    "prompt, message",
    [
        ({}, "neither points nor box; a prompt says which object"),
        ({"labels": [1]}, "labels without points"),
        ({"points": [[1, 2]]}, "points came without labels"),
        ({"points": [1, 2], "labels": [1]}, r"points has shape \(2,\); it must be \(n, 2\)"),
        ({"points": [[1, 2]], "labels": [1, 0]}, "a label for every point"),
        ({"points": [[1, 2]], "labels": [9]}, "labels has the values"),
        ({"points": [[81, 2]], "labels": [1]}, "outside the image.*within 0 and 80"),
        ({"points": [[2, 2]], "labels": [1], "normalize_coords": False}, "unit square"),
        ({"points": [[[1, 2]], [[3, 4]]], "labels": [[1], [1]]}, "2 prompts at once"),
        ({"box": [[0, 0, 9, 9]] * 3}, "3 prompts at once"),
        ({"box": [50, 10, 20, 40]}, "top left corner first"),
        ({"box": [0, 0, 9, 9], "clear_old_points": False}, "clear_old_points=True"),
        ({"box": "left"}, "no array of numbers"),
    ],
)
def test_bad_prompts(predictor, state, prompt, message):
    with pytest.raises(ValueError, match=message):
        predictor.add_new_points_or_box(state, 0, 1, **prompt)
    assert state["obj_ids"] == []  # a prompt that is refused introduces nothing


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.ones((1, HEIGHT, WIDTH)), r"shape \(1, 60, 80\); it must be \(height, width\)"),
        (np.ones((0, 5)), r"must be \(height, width\)"),
        ([[1.0, np.nan]], "finite"),
        ("all", "no array of numbers"),
    ],
)
def test_bad_masks(predictor, state, mask, message):
    with pytest.raises(ValueError, match=message):
        predictor.add_new_mask(state, 0, 1, mask)
    assert state["obj_ids"] == []


@pytest.mark.parametrize(
    "frame, kind, message",
    [
        (COUNT, IndexError, "frame_idx is 5, and the video has 5 frames; it must be from 0 to 4"),
        (-1, IndexError, "frame_idx is -1"),
        (1.5, TypeError, r"frame_idx is 1.5 \(float\); it must be an int, from 0 to 4"),
        (None, TypeError, "must be an int"),
    ],
)
def test_bad_frames(predictor, state, frame, kind, message):
    with pytest.raises(kind, match=message):
        predictor.add_new_points_or_box(state, frame, 1, **CLICK)
    with pytest.raises(kind, match=message):
        predictor.add_new_mask(state, frame, 1, np.ones((HEIGHT, WIDTH)))
    predictor.add_new_points_or_box(state, np.int64(0), 1, **CLICK)
    with pytest.raises(kind, match=message):
        predictor.clear_all_prompts_in_frame(state, frame, 1)
    if frame is not None:
        with pytest.raises(kind, match=message.replace("frame_idx", "start_frame_idx")):
            predictor.propagate_in_video(state, start_frame_idx=frame)


def test_bad_objects_and_states(predictor, state):
    with pytest.raises(TypeError, match="obj_id is a list; it must be hashable"):
        predictor.add_new_points_or_box(state, 0, [1], **CLICK)
    with pytest.raises(RuntimeError, match="no object 3; the objects are: none"):
        predictor.clear_all_prompts_in_frame(state, 0, 3)
    with pytest.raises(TypeError, match="inference_state is a str; .*init_state returned"):
        predictor.propagate_in_video("frames")
    with pytest.raises(NotImplementedError, match="build_sam2_video_predictor"):
        predictor(FILM)


# ---- parts


def test_a_checkpoint_of_the_image_model_fits(micro, tmp_path, predictor):
    mezzo.save({"model": predictor.state_dict()}, tmp_path / "weights.pt")
    made = build_sam2_video_predictor(micro, tmp_path / "weights.pt")
    assert isinstance(made, SAM2VideoPredictor) and not made.training
    states = [p.init_state(FILM) for p in (predictor, made)]
    one, other = (
        p.add_new_points_or_box(s, 0, 1, **CLICK)[2] for p, s in zip((predictor, made), states)
    )
    np.testing.assert_array_equal(one.numpy(), other.numpy())
    build_sam2(micro, tmp_path / "weights.pt")
    with pytest.raises(ValueError, match="mode is 'run'"):
        build_sam2_video_predictor(micro, mode="run")


def test_a_compiled_image_encoder_follows_too(micro, predictor, state):
    made = build_sam2_video_predictor(micro, vos_optimized=True)
    made.load_state_dict(predictor.state_dict())
    other = made.init_state(FILM)
    for p, s in ((predictor, state), (made, other)):
        p.add_new_points_or_box(s, 0, 1, **CLICK)
    expected = followed(predictor, state)
    for frame, logits in followed(made, other).items():
        np.testing.assert_allclose(logits, expected[frame], atol=1e-4)


def test_frames_close_by():
    frames = dict.fromkeys((0, 3, 8, 9, 20))
    for count in (-1, 5, 9):
        assert closest_frames(4, frames, count) == (frames, {})
    assert list(closest_frames(4, frames, 2)[0]) == [3, 8]
    assert list(closest_frames(4, frames, 3)[0]) == [3, 8, 0]
    assert list(closest_frames(0, frames, 2)[0]) == [0, 3]  # nothing before: the next nearest
    chosen, left = closest_frames(30, frames, 2)
    assert list(chosen) == [20, 9] and list(left) == [0, 3, 8]
    with pytest.raises(ValueError, match="max_cond_frames_in_attn is 1"):
        closest_frames(4, frames, 1)


def test_narrow_values_are_projected_after_attention():
    attention = Attention(32, num_heads=1, kv_in_dim=8)
    q, k, v = mezzo.randn(2, 5, 32), mezzo.randn(2, 7, 8), mezzo.randn(2, 7, 8)
    wide = [proj(x) for proj, x in zip((attention.q_proj, attention.k_proj, attention.v_proj), (q, k, v))]  # fmt: skip
    scores = wide[0] @ wide[1].transpose(1, 2) / 32**0.5
    expected = attention.out_proj(scores.softmax(-1) @ wide[2])
    for training in (False, True):  # without dropout both are the same
        found = attention.train(training)(q, k, v)
        np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), atol=1e-5)


def test_dropout_acts_on_projected_values():
    attention = Attention(32, num_heads=1, kv_in_dim=8, dropout=0.5)
    given = mezzo.randn(1, 400, 32), mezzo.zeros(1, 6, 8), mezzo.zeros(1, 6, 8)
    seen = attention.train()(*given).detach()
    assert seen.std(dim=1).max() > 0.01  # the bias of v_proj is dropped with its key
    assert attention.eval()(*given).std(dim=1).max() < 1e-6


def test_sines_of_distances():
    places = np.array([0.0, 0.2, -1.0])
    found = sine_positions(mezzo.tensor(places, dtype=mezzo.float32), 8).numpy()
    speeds = 10000.0 ** -np.array([0.0, 0.0, 0.5, 0.5])
    angles = places[:, None] * speeds
    np.testing.assert_allclose(found, np.hstack([np.sin(angles), np.cos(angles)]), atol=1e-6)
