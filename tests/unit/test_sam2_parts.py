"""The parts of SAM 2: configs, checkpoints, images, prompts, components; on a model of a few channels."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import mezzo
from mezzo.models.sam2 import (
    SAM2ImagePredictor,
    build_sam2,
    config,
    hiera,
    mask_decoder,
    transformer,
)
from mezzo.models.sam2.components import label, small_parts
from mezzo.models.sam2.images import read_image
from mezzo.models.sam2.positions import PositionEmbeddingRandom, rotate
from mezzo.models.sam2.transforms import SAM2Transforms
from mezzo.models.sam2.windows import partition, unpartition


@pytest.fixture(scope="module")
def micro(root):
    return root / "tests" / "programs" / "sam2" / "micro.yaml"


@pytest.fixture(scope="module")
def predictor(micro):
    mezzo.manual_seed(0)
    return SAM2ImagePredictor(build_sam2(micro))


def picture(height=90, width=120, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# ---- configs


def test_every_config_is_found_by_its_names():
    assert config.names() == [
        f"configs/sam2.1/sam2.1_hiera_{s}.yaml" for s in ("b+", "l", "s", "t")
    ]
    for name in ("sam2.1_hiera_t", "sam2.1/sam2.1_hiera_t.yaml", "configs/sam2.1/sam2.1_hiera_t"):
        assert config.load(name) == config.load("configs/sam2.1/sam2.1_hiera_t.yaml")


def test_a_file_with_references_and_exponents(micro):
    found = config.load(micro, ("++model.image_size=256", "model.new.thing=[1, 2]"))["model"]
    assert found["image_encoder"]["trunk"]["embed_dim"] == 16
    assert found["memory_encoder"]["fuser"]["layer"]["layer_scale_init_value"] == 1e-6
    assert (found["image_size"], found["new"]) == (256, {"thing": [1, 2]})


def test_partial_and_positional_parts():
    made = config.instantiate(
        {"_target_": "torch.nn.LayerNorm", "_args_": [4], "_partial_": True, "eps": 0.5}
    )
    assert made().eps == 0.5 and made().normalized_shape == (4,)


@pytest.mark.parametrize(
    "text, message",
    [
        ("model: {_target_: os.system, command: ls}", "no part of SAM 2"),
        ("model: {_target_: sam2.SAM2Base, colour: red}", "colour"),
        ("model: {_target_: torch.nn.Identity}", "_target_ must be SAM2Base"),
        ("model: [1, 2]", "no entry 'model' that is a mapping"),
        ("model: {a: '${model.b}'}", "does not define"),
        ("model: {a: '${model.b}', b: '${model.a}'}", "circle"),
        ("model: &x {a: 1}\nother: *x", "aliases"),
        ("model: {unclosed", "not YAML"),
        ("model: !!python/object/apply:os.getcwd []", "not YAML"),
        ("- 1", "list; it must hold a mapping"),
        ("defaults: [elsewhere]\nmodel: {}", "not in the same folder"),
        ("defaults: [../up]\nmodel: {}", "defaults are"),
    ],
)
def test_bad_configs_say_what_is_wrong(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(config.ConfigError, match=message):
        build_sam2(path)


def test_unknown_names_list_the_known():
    with pytest.raises(ValueError, match="sam2.1_hiera_l.yaml"):
        build_sam2("configs/sam2.1/sam2.1_hiera_xl.yaml")
    with pytest.raises(ValueError, match="mode"):
        build_sam2("sam2.1_hiera_t", mode="test")


def test_trunk_and_neck_must_fit(micro):
    with pytest.raises(ValueError, match="backbone_channel_list"):
        build_sam2(micro, hydra_overrides_extra=["++model.image_encoder.trunk.embed_dim=8"])


# ---- checkpoints


def test_a_checkpoint_is_adopted(micro, tmp_path, predictor):
    state = predictor.model.state_dict()
    path = tmp_path / "model.pt"
    mezzo.save({"model": state}, path)
    model = build_sam2(micro, path)
    assert not model.training and all(not p.is_meta for p in model.parameters())
    for key, value in model.state_dict().items():
        assert np.array_equal(value.numpy(), state[key].numpy()), key
    other = SAM2ImagePredictor(model)
    image = picture()
    for each in (predictor, other):
        each.set_image(image)
    ours, theirs = (each.predict([[50, 40]], [1]) for each in (other, predictor))
    for a, b in zip(ours, theirs):
        assert np.array_equal(a, b)


def test_a_compiled_image_encoder_gives_the_same(micro, predictor):
    model = build_sam2(micro, hydra_overrides_extra=["++model.compile_image_encoder=true"])
    model.load_state_dict(predictor.model.state_dict())
    compiled = SAM2ImagePredictor(model)
    for seed in range(2):
        for dtype in (None, mezzo.bfloat16):
            with mezzo.inference_mode(), mezzo.autocast("cpu", dtype, enabled=dtype is not None):
                for each in (predictor, compiled):
                    each.set_image(picture(seed=seed))
                a, b = (x.get_image_embedding().float().numpy() for x in (predictor, compiled))
            np.testing.assert_allclose(a, b, atol=1e-5 if dtype is None else 3e-2)


def test_safetensors_too(micro, tmp_path, predictor):
    path = tmp_path / "model.safetensors"
    mezzo.io.save_file(predictor.model.state_dict(), path)
    assert build_sam2(micro, path, mode="train").training


@pytest.mark.parametrize("dtype", [mezzo.bfloat16, mezzo.float16], ids=str)
def test_weights_kept_low_give_the_same_under_autocast(micro, tmp_path, predictor, dtype):
    path = tmp_path / "model.pt"
    mezzo.save({"model": predictor.model.state_dict()}, path)
    low = SAM2ImagePredictor(build_sam2(micro, path, weights_dtype=dtype))
    dtypes = {v.dtype for v in low.model.state_dict().values()}
    assert dtypes == {dtype, mezzo.float32}
    with mezzo.inference_mode(), mezzo.autocast("cpu", dtype=dtype):
        for each in (predictor, low):
            each.set_image(picture())
        found = [each.predict([[50, 40]], [1], return_logits=True) for each in (predictor, low)]
    for a, b in zip(*found):
        assert np.array_equal(a, b)
    with pytest.raises(ValueError, match="weights_dtype"):
        build_sam2(micro, weights_dtype=mezzo.float64)


def heights(module, run) -> list:
    """Rows of what a module gets while `run` is called."""
    found = []
    hook = module.register_forward_hook(lambda _m, args, _out: found.append(args[0].shape[1]))
    run()
    hook.remove()
    return found


@pytest.mark.parametrize("budget, rows", [(1, 8), (32 * 64 * 4 * 16, 16), (1 << 30, 32)])
def test_strips_of_windows_give_the_same(predictor, monkeypatch, budget, rows):
    x = mezzo.randn(2, 3, 128, 128)
    trunk = predictor.model.image_encoder.trunk
    monkeypatch.setattr(hiera, "STRIP_BYTES", 2 * budget)
    whole = trunk(x)  # gradients are recorded: no strips
    assert trunk._depth_of_strips(32) == 3  # layers, before one that attends to everything
    with mezzo.no_grad():
        assert heights(trunk.blocks[0].norm1, lambda: trunk(x)) == [rows] * (32 // rows)
        assert heights(trunk.blocks[0], lambda: trunk(x)) == [32]  # who watches layers sees all
        strips = trunk(x)
        kept = []
        hooks = [b.register_forward_hook(lambda _m, _a, y: kept.append(y)) for b in trunk.blocks]
        watched = trunk(x)
        for hook in hooks:
            hook.remove()
    for a, b, c in zip(whole, strips, watched):
        assert a.requires_grad and not b.requires_grad
        np.testing.assert_allclose(a.detach().numpy(), b.numpy(), atol=1e-5)
        np.testing.assert_allclose(b.numpy(), c.numpy(), atol=1e-5)
    seen = [kept[i].permute(0, 3, 1, 2) for i in trunk.stage_ends]
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(watched, seen))


def test_layers_leave_their_input_alone(predictor):
    for block in predictor.model.image_encoder.trunk.blocks:
        x = mezzo.randn(1, 16, 16, block.dim)
        before = x.clone()
        with mezzo.no_grad():
            block(x)
        assert mezzo.equal(x, before)


@pytest.mark.parametrize("tokens", [3, 9, 20])
def test_few_tokens_and_pixels_attend_as_ever(tokens):
    attention = transformer.CrossAttention(32, 4, downsample_rate=2)
    few, many = mezzo.randn(2, tokens, 32), mezzo.randn(2, 50, 32)
    other = mezzo.randn(2, 50, 32)
    assert attention._is_few(few) == (tokens == 3)
    for found, expected in (
        (attention.tokens_to_pixels(few, many, other), attention(few, many, other)),
        (attention.pixels_to_tokens(many, few, few + 1), attention(many, few, few + 1)),
    ):
        np.testing.assert_allclose(found.detach(), expected.detach(), atol=1e-5)


def test_two_pointwise_convolutions_at_once(predictor):
    encoder, decoder = predictor.model.image_encoder, predictor.model.sam_mask_decoder
    x = mezzo.randn(1, 3, 128, 128)
    plain = encoder.maps(x)
    finer = encoder.maps(x, (decoder.conv_s0, decoder.conv_s1))
    expected = [decoder.conv_s0(plain[0]), decoder.conv_s1(plain[1]), plain[2]]
    for a, b in zip(finer, expected):
        np.testing.assert_allclose(a.detach(), b.detach(), atol=1e-5)


def test_masks_are_drawn_in_strips(predictor, monkeypatch):
    monkeypatch.setattr(mask_decoder, "STRIP_PIXELS", 1 << 30)
    predictor.set_image(picture())
    whole = predictor.predict([[50, 40]], [1], return_logits=True)
    monkeypatch.setattr(mask_decoder, "STRIP_PIXELS", 48)
    strips = predictor.predict([[50, 40]], [1], return_logits=True)
    for a, b in zip(whole, strips):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_what_does_not_fit_is_listed(micro, tmp_path, predictor):
    state = dict(predictor.model.state_dict())
    del state["no_obj_ptr"]
    state["extra.weight"] = mezzo.zeros(1)
    state["no_mem_embed"] = mezzo.zeros(3)
    path = tmp_path / "model.pt"
    mezzo.save({"model": state}, path)
    with pytest.raises(RuntimeError, match="missing: no_obj_ptr") as caught:
        build_sam2(micro, path)
    text = str(caught.value)
    assert "unexpected: extra.weight" in text and "no_mem_embed (3,) instead of (1, 1, 32)" in text


def test_the_likeliest_config_is_named(micro, tmp_path):
    with mezzo.device("meta"):
        state = build_sam2("sam2.1_hiera_s", device="meta").state_dict()
    keep = {k: mezzo.zeros(v.shape) for k, v in state.items() if "trunk" in k or "tpos_proj" in k}
    path = tmp_path / "small.pt"
    mezzo.save({"model": keep}, path)
    with pytest.raises(ValueError, match="like the weights of configs/sam2.1/sam2.1_hiera_s.yaml"):
        build_sam2(micro, path)


def test_files_that_are_no_checkpoint(micro, tmp_path):
    with pytest.raises(FileNotFoundError):
        build_sam2(micro, tmp_path / "absent.pt")
    path = tmp_path / "list.pt"
    mezzo.save([1, 2], path)
    with pytest.raises(ValueError, match="holds a list"):
        build_sam2(micro, path)


# ---- images


def test_images_in_every_form(tmp_path):
    image = picture()
    assert np.array_equal(read_image(image), image)
    assert np.array_equal(read_image(Image.fromarray(image)), image)
    Image.fromarray(image).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), image)
    assert np.array_equal(read_image(str(tmp_path / "a.png")), image)
    grey = image[:, :, 0]
    for form in (grey, grey[:, :, None], Image.fromarray(grey)):
        assert np.array_equal(read_image(form), np.repeat(grey[:, :, None], 3, 2))


def test_sixteen_bits_and_floats():
    grey = np.arange(12, dtype=np.uint16).reshape(3, 4) * 5957
    expected = np.repeat((grey / 65535)[:, :, None], 3, 2)
    for form in (grey, Image.fromarray(grey)):
        np.testing.assert_allclose(read_image(form), expected, rtol=1e-6)
    floats = np.random.default_rng(0).random((3, 4, 3))
    np.testing.assert_allclose(read_image(floats), floats, rtol=1e-6)


def test_alpha_is_laid_over_white():
    image = np.dstack([picture(2, 2), np.array([[255, 0], [128, 255]], np.uint8)])
    found = read_image(Image.fromarray(image))
    assert np.array_equal(found, read_image(image))
    assert np.array_equal(found[0, 0], image[0, 0, :3]) and (found[0, 1] == 255).all()
    mixed = image[1, 0, :3] * (128 / 255) + 255 * (1 - 128 / 255)
    assert np.abs(found[1, 0] - mixed).max() <= 0.5


def test_orientation_of_files_is_followed(tmp_path):
    image = Image.fromarray(picture(4, 6))
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    image.save(tmp_path / "turned.png", exif=exif)
    assert read_image(tmp_path / "turned.png").shape == (6, 4, 3)
    assert np.array_equal(read_image(tmp_path / "turned.png"), np.rot90(np.asarray(image), -1))


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((0, 5, 3), np.uint8), "0 rows"),
        (np.zeros((3, 20, 30), np.uint8), "transpose"),
        (np.zeros((4, 4, 2), np.uint8), "1 or 4 channels"),
        (np.full((4, 4, 3), 255.0), "Divide by 255"),
        (np.full((4, 4, 3), np.nan), "between 0 and 1"),
        (np.full((4, 4, 3), -1), "uint8"),
        (np.zeros((4, 4, 3), complex), "complex128"),
        (np.broadcast_to(np.uint8(0), (1 << 15, 1 << 15, 3)), "million pixels"),
    ],
)  # fmt: skip
def test_bad_arrays(predictor, image, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            predictor.set_image(image)


def test_bad_files(predictor, tmp_path):
    with pytest.raises(FileNotFoundError, match="absent"):
        predictor.set_image(tmp_path / "absent.png")
    with pytest.raises(ValueError, match="folder"):
        predictor.set_image(tmp_path)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(ValueError, match="no image that Pillow can read"):
        predictor.set_image(tmp_path / "text.png")
    Image.fromarray(picture()).save(tmp_path / "a.png")
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="cut short"):
        predictor.set_image(tmp_path / "cut.png")
    with pytest.raises(TypeError, match="must be a NumPy array"):
        predictor.set_image(7)


@pytest.mark.parametrize("shape", [(300, 200), (70, 128), (128, 128)])
def test_transform_is_torchs_antialiased_resize(shape):
    image = picture(*shape)
    mean, std = (torch.tensor(x)[:, None, None] for x in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))  # fmt: skip
    pixels = torch.from_numpy(image).permute(2, 0, 1).float() / 255
    if shape != (128, 128):
        pixels = torch.nn.functional.interpolate(
            pixels[None], (128, 128), mode="bilinear", antialias=True, align_corners=False
        )[0]
    expected = (pixels - mean) / std
    found = SAM2Transforms(128, 0.0)(image)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=2e-6)


# ---- prompts


def test_seven_ways_to_ask(predictor):
    predictor.set_image(picture())
    masks, scores, logits = predictor.predict([[50, 40]], [1])
    assert masks.shape == (3, 90, 120) and scores.shape == (3,) and logits.shape == (3, 32, 32)
    assert masks.dtype == np.float32 and set(np.unique(masks)) <= {0.0, 1.0}
    raw, *_ = predictor.predict([[50, 40]], [1], return_logits=True)
    assert np.array_equal(raw > 0, masks > 0)
    unit, *_ = predictor.predict([[50 / 120, 40 / 90]], [1], return_logits=True, normalize_coords=False)  # fmt: skip
    np.testing.assert_allclose(unit, raw, atol=1e-4)
    again, *_ = predictor.predict(mask_input=logits[:1], multimask_output=False)
    assert again.shape == (1, 90, 120)
    many, scores, _ = predictor.predict(box=[[0, 0, 50, 50], [10, 10, 120, 90]])
    assert many.shape == (2, 3, 90, 120) and scores.shape == (2, 3)
    one, *_ = predictor.predict(box=np.array([10, 10, 120, 90]), return_logits=True)
    np.testing.assert_array_equal(many[1], one > 0)
    tensors, *_ = predictor.predict(mezzo.tensor([[50.0, 40.0]]), mezzo.tensor([1]))
    assert np.array_equal(tensors, masks)


def test_several_images(predictor):
    images = [picture(), picture(64, 200, 1)]
    predictor.set_image_batch(images)
    masks, scores, logits = predictor.predict_batch([[[5, 5]]] * 2, [[1]] * 2, return_logits=True)
    assert [m.shape for m in masks] == [(3, 90, 120), (3, 64, 200)]
    for i, image in enumerate(images):
        predictor.set_image(image)
        one = predictor.predict([[5, 5]], [1], return_logits=True)
        for ours, theirs in zip((masks[i], scores[i], logits[i]), one):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
    with pytest.raises(RuntimeError, match="call predict"):
        predictor.predict_batch([[[5, 5]]], [[1]])


def test_no_image_no_mask(predictor):
    predictor.set_image(picture())
    assert predictor.get_image_embedding().shape == (1, 32, 8, 8)
    predictor.reset_predictor()
    for call in (predictor.get_image_embedding, predictor.predict, predictor.predict_batch):
        with pytest.raises(RuntimeError, match="call set_image"):
            call()
    assert predictor.device.type == "cpu"


@pytest.mark.parametrize(
    "prompt, message",
    [
        ({}, "SAM2AutomaticMaskGenerator"),
        ({"point_coords": ""}, "a prompt says which object.*SAM2AutomaticMaskGenerator"),
        ({"point_labels": [1]}, "point_labels without point_coords"),
        ({"point_coords": [[1, 2]]}, "without point_labels"),
        ({"point_coords": [1, 2], "point_labels": [1]}, r"\(n, 2\)"),
        ({"point_coords": [[1, 2, 3]], "point_labels": [1]}, r"\(n, 2\)"),
        ({"point_coords": [[1, 2]], "point_labels": [1, 0]}, "a label for every point"),
        ({"point_coords": [[1, 2]], "point_labels": [7]}, "point_labels has the values"),
        ({"point_coords": np.zeros((0, 2)), "point_labels": []}, "no points"),
        ({"point_coords": [[1, np.nan]], "point_labels": [1]}, "finite"),
        ({"point_coords": [[121, 5]], "point_labels": [1]}, "outside the image.*within 0 and 120"),
        ({"point_coords": [[-1, 5]], "point_labels": [1]}, "outside the image"),
        ({"point_coords": [[5, 5]], "point_labels": [1], "normalize_coords": False}, "unit square"),
        ({"box": [1, 2, 3]}, "x0, y0, x1, y1"),
        ({"box": [50, 10, 20, 40]}, "top left corner first"),
        ({"box": [0, 0, 500, 40]}, "box has points outside"),
        ({"box": [[0, 0, 9, 9]] * 2, "point_coords": [[5, 5]], "point_labels": [1]}, "2 boxes"),
        ({"mask_input": np.zeros((3, 32, 32))[0]}, r"must be \(1, 32, 32\)"),
        ({"mask_input": np.zeros((3, 32, 32))}, r"must be \(1, 32, 32\)"),
        ({"box": "left"}, "no array of numbers"),
    ],
)  # fmt: skip
def test_bad_prompts_say_what_a_prompt_is(predictor, prompt, message):
    predictor.set_image(picture())
    with pytest.raises(ValueError, match=message):
        predictor.predict(**prompt)


# ---- parts


def test_positions_follow_their_matrix():
    encoding = PositionEmbeddingRandom(3)
    first = encoding((4, 5)).numpy().copy()
    assert np.array_equal(encoding((4, 5)).numpy(), first) and encoding((2, 5)).shape == (6, 2, 5)
    matrix = encoding.positional_encoding_gaussian_matrix.numpy()
    at = np.stack(np.meshgrid((np.arange(5) + 0.5) / 5, (np.arange(4) + 0.5) / 4), -1) * 2 - 1
    turns = 2 * np.pi * (at @ matrix)
    expected = np.concatenate([np.sin(turns), np.cos(turns)], -1).transpose(2, 0, 1)
    np.testing.assert_allclose(first, expected, atol=1e-5)
    encoding.positional_encoding_gaussian_matrix.mul_(2)
    assert not np.allclose(encoding((4, 5)).numpy(), first)
    encoding.load_state_dict(
        {"positional_encoding_gaussian_matrix": mezzo.zeros(2, 3)}, assign=True
    )
    assert np.array_equal(encoding((4, 5)).numpy(), np.repeat([0.0, 1.0], 60).reshape(6, 4, 5))


def test_windows_with_padding_come_back():
    x = mezzo.arange(2 * 5 * 7 * 3, dtype=mezzo.float32).reshape(2, 5, 7, 3)
    tiles, full = partition(x, 4)
    assert tuple(tiles.shape) == (2 * 2 * 2, 4, 4, 3) and full == (8, 8)
    assert np.array_equal(tiles[0].numpy(), x[0, :4, :4].numpy())
    assert (tiles[3].numpy()[1:] == 0).all()
    assert np.array_equal(unpartition(tiles, 4, full, (5, 7)).numpy(), x.numpy())


def test_rotations_are_complex_products():
    rng = np.random.default_rng(0)
    x, angles = rng.normal(size=(2, 6, 8)).astype(np.float32), rng.normal(size=(3, 4))
    turns = mezzo.from_numpy(np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32))
    found = rotate(mezzo.from_numpy(x), turns).numpy()
    expected = x.reshape(2, 6, 4, 2) @ np.array([1, 1j]) * np.exp(1j * np.tile(angles, (2, 1)))
    np.testing.assert_allclose(found[..., 0::2], expected.real, atol=1e-5)
    np.testing.assert_allclose(found[..., 1::2], expected.imag, atol=1e-5)


def flood(mask: np.ndarray) -> np.ndarray:
    """Labels by flooding each part in turn, in reading order."""
    found, count = np.zeros(mask.shape, int), 0
    for start in zip(*np.nonzero(mask)):
        if found[start]:
            continue
        count += 1
        todo = [start]
        found[start] = count
        while todo:
            y, x = todo.pop()
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    at = y + dy, x + dx
                    inside = 0 <= at[0] < mask.shape[0] and 0 <= at[1] < mask.shape[1]
                    if inside and mask[at] and not found[at]:
                        found[at] = count
                        todo.append(at)
    return found


@pytest.mark.parametrize("density", [0.0, 0.2, 0.4, 0.6, 0.9, 1.0])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (23, 31)])
def test_components_are_those_of_flooding(density, shape):
    mask = np.random.default_rng(3).random(shape) < density
    labels, areas = label(mask)
    expected = flood(mask)
    assert np.array_equal(labels, expected)
    assert np.array_equal(areas, np.bincount(expected.ravel())[1:])
    small = np.isin(expected, 1 + np.flatnonzero(areas <= 4)) & mask
    assert np.array_equal(small_parts(mask, 4), small)


def test_components_of_a_spiral():
    mask = np.zeros((101, 101), bool)
    for r in range(0, 50, 4):  # one long arm, which labels must follow all the way
        mask[r, r : 101 - r] = mask[r : 101 - r, 100 - r] = True
        mask[100 - r, r : 101 - r] = mask[r + 4 : 101 - r, r] = True
        mask[r + 4, r : r + 5] = True
    labels, areas = label(mask)
    assert areas.tolist() == [mask.sum()] and labels.max() == 1


def test_holes_are_filled_and_sprinkles_removed(micro):
    logits = np.full((1, 1, 32, 32), -1.0, np.float32)
    logits[0, 0, 4:20, 4:20] = 1.0
    logits[0, 0, 8, 8] = -1.0  # a hole
    logits[0, 0, 28, 28:30] = 1.0  # a sprinkle
    given = mezzo.from_numpy(logits)
    plain = SAM2Transforms(128, 0.0).postprocess_masks(given, (32, 32)).numpy()[0, 0]
    assert np.array_equal(plain, logits[0, 0])
    clean = SAM2Transforms(128, 0.0, 4, 4).postprocess_masks(given, (32, 32)).numpy()[0, 0]
    expected = logits[0, 0].copy()
    expected[8, 8], expected[28, 28:30] = 10.0, -10.0
    assert np.array_equal(clean, expected)
