"""`mezzo segment`: results against the predictor and COCO's tools, pictures, and what it says of bad input."""

from __future__ import annotations

import io
import itertools
import json
import re

import click
import numpy as np
import pytest
import segment_files
from click.testing import CliRunner
from PIL import Image
from pycocotools.coco import COCO

import mezzo
from mezzo.cli import main
from mezzo.cli.segment import overlay, photos, report, run, save
from mezzo.models.sam2 import build_sam2, rle

GRID = ("--everything", "--points-per-side", "3", "--min-score", "0", "--min-stability", "0")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A folder with the checkpoint and a photo."""
    folder = tmp_path_factory.mktemp("segment")
    segment_files.checkpoint(folder)
    segment_files.photo(folder / "hopper.png")
    return folder


@pytest.fixture(scope="module")
def predictor(files):
    return segment_files.predictor(files / "micro.safetensors")


@pytest.fixture
def segment(files):
    """Runs the command on the small model."""

    def call(*arguments, model=("--config", segment_files.CONFIG)):
        base = ("segment", "--checkpoint", files / "micro.safetensors", *model)
        return CliRunner().invoke(main, [str(a) for a in (*base, *arguments)], prog_name="mezzo")

    return call


def said(result) -> str:
    """What a failed call printed, in one line: messages are wrapped."""
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())


# ---- results


def test_a_point_gives_the_predictor_s_masks(segment, files, predictor, tmp_path):
    out, masks = tmp_path / "out.png", tmp_path / "masks.npz"
    result = segment(
        files / "hopper.png", "--point", "50,40", "--dtype", "fp32", "--out", out, "--masks", masks
    )
    assert result.exit_code == 0, result.output
    predictor.set_image(files / "hopper.png")
    wanted, scores, _ = predictor.predict([[50, 40]], [1])
    order = np.argsort(-scores)
    with np.load(masks) as found:
        assert np.array_equal(found["masks"], wanted[order].astype(bool))
        assert np.allclose(found["scores"], scores[order])
        assert np.array_equal(found["areas"], wanted[order].sum((1, 2)))
        assert np.array_equal(found["boxes"], rle.batched_mask_to_box(found["masks"]))
        assert found["masks"].dtype == bool and 0 < found["masks"].mean() < 1
    lines = re.findall(r"mask \d  score ([-\d.]+)  area ([\d,]+) px", result.output)
    assert [f"{s:.3f}" for s in scores[order]] == [score for score, _ in lines]
    assert [f"{m.sum():,.0f}" for m in wanted[order]] == [area for _, area in lines]
    assert re.search(r"image [\d.]+ s, masks [\d.]+ s in fp32", result.output)
    assert re.search(r"tensors [\d.,]+ MiB, process [\d.,]+ MiB", result.output)
    with Image.open(out) as picture:
        assert picture.size == segment_files.SIZE and picture.mode == "RGB"


def test_box_and_points_mean_one_object(segment, files, predictor, tmp_path):
    masks = tmp_path / "masks.npz"
    prompt = ("--box", "20,10,80,90", "--point", "50,40", "--point", "5,5,-")
    result = segment(files / "hopper.png", *prompt, "--dtype", "fp32", "--masks", masks)
    assert result.exit_code == 0, result.output
    predictor.set_image(files / "hopper.png")
    wanted = predictor.predict(
        [[50, 40], [5, 5]], [1, 0], box=[20, 10, 80, 90], multimask_output=False
    )[0]
    with np.load(masks) as found:
        assert np.array_equal(found["masks"], wanted.astype(bool))


def test_everything_as_coco(segment, files, tmp_path):
    masks = tmp_path / "coco.json"
    result = segment(files / "hopper.png", *GRID, "--dtype", "fp32", "--masks", masks)
    assert result.exit_code == 0, result.output
    coco = COCO(str(masks))
    (image,) = coco.loadImgs(coco.getImgIds())
    assert (image["width"], image["height"]) == segment_files.SIZE
    assert image["file_name"] == "hopper.png"
    found = coco.loadAnns(coco.getAnnIds())
    assert found
    for each in found:
        mask = coco.annToMask(each).astype(bool)
        x0, y0, x1, y1 = rle.batched_mask_to_box(mask)
        assert each["area"] == mask.sum() > 0 and 0 <= each["score"] <= 1
        assert each["bbox"] == [x0, y0, x1 - x0 + 1, y1 - y0 + 1]
    assert [each["area"] for each in found] == sorted((e["area"] for e in found), reverse=True)
    assert len(re.findall(r"mask +\d+  score .* stability", result.output)) == len(found)


def test_several_photos(segment, files, tmp_path):
    folder = tmp_path / "photos"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "b.jpg", "more/a.png"):
        segment_files.photo(folder / name)
    (folder / "notes.txt").write_text("no image")
    out, coco = tmp_path / "out", tmp_path / "all.json"
    given = (folder, folder / "more" / "a.png", "--point", "50,40")
    result = segment(*given, "--out", out, "--masks", coco)
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in out.iterdir()) == ["a-2.png", "a.png", "b.png"]
    content = json.loads(coco.read_text())
    assert [image["file_name"] for image in content["images"]] == ["a.png", "b.jpg", "a.png"]
    assert {each["image_id"] for each in content["annotations"]} == {1, 2, 3}
    arrays = tmp_path / "arrays"
    assert segment(*given, "--masks", arrays).exit_code == 0
    assert sorted(p.name for p in arrays.iterdir()) == ["a-2.npz", "a.npz", "b.npz"]


def test_low_precision_is_shown_and_compared(segment, files, tmp_path):
    photo = files / "hopper.png"
    result = segment(
        photo, "--point", "50,40", "--dtype", "bf16", "--compare", "--out", tmp_path / "o.png"
    )
    assert result.exit_code == 0, result.output
    ratio = re.search(r"IoU with fp32 \(mean, least\) │ +│ ([\d.]+), ([\d.]+)", result.output)
    assert 0.8 < float(ratio[2]) <= float(ratio[1]) <= 1
    assert re.search(
        r"peak memory of tensors +│ +[\d.]+ MiB │ +[\d.]+ MiB │ +[\d.]+x", result.output
    )
    low = re.search(r"│ bfloat16 │(.*(?:\n│ {10}│.*)*)", result.output)[1]
    assert "affine" in low or "product" in low


def test_dtypes_are_the_ledger_s(files, predictor, settled):
    photo = photos.read(files / "hopper.png")
    prompt = run.Prompt(points=((50.0, 40.0, 1),))
    # the first run of each keeps panels of weights, unless another test's did
    full, low = (
        [run.segment(predictor.model, files, photo, prompt, dtype) for _ in range(2)][1]
        for dtype in ("fp32", "bf16")
    )
    assert all("bfloat16" not in found for found in full.ran.values())
    assert "bfloat16" in low.ran["convolve"] and full.peak_bytes > low.peak_bytes > 0
    assert report.agreement(full.masks, full.masks) == [1.0] * 3


def test_agreement_is_the_best_iou():
    def found(rows):
        mask = np.zeros((10, 10), bool)
        mask[rows] = True
        box = tuple(rle.batched_mask_to_box(mask).tolist())
        return run.Found(rle.mask_to_rle(mask[None])[0], 0.5, box)

    full = [found(np.s_[0:4]), found(np.s_[8:10])]
    low = [found(np.s_[0:2]), found(np.s_[0:3])]
    assert report.agreement(full, low) == [0.75, 0.0]


def test_auto_is_bf16_only_where_it_is_native(monkeypatch):
    class Host:
        has_avx512_bf16 = has_amx_bf16 = False

    monkeypatch.setattr(run.target, "host", lambda: Host)
    assert run.choose_dtype("auto") == "fp32"
    Host.has_amx_bf16 = True
    assert run.choose_dtype("auto") == "bf16"
    assert run.choose_dtype("fp16") == "fp16"


def test_config_is_guessed_from_the_weights(tmp_path):
    with mezzo.device("meta"):
        state = build_sam2("sam2.1_hiera_s", device="meta").state_dict()
    kept = {k: mezzo.zeros(v.shape) for k, v in state.items() if "trunk" in k or "tpos_proj" in k}
    path = tmp_path / "small.safetensors"
    mezzo.io.save_file(kept, path)
    assert run.guess_config(path) == "configs/sam2.1/sam2.1_hiera_s.yaml"


# ---- photos of every kind


def test_photos_of_every_kind(tmp_path):
    colours = segment_files.noise(20, 30)
    Image.fromarray(colours).save(tmp_path / "rgb.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the camera turned: the first row is the right side
    Image.fromarray(colours).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(colours[..., 0]).save(tmp_path / "grey.png")
    Image.fromarray(colours[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    alpha = np.concatenate([colours, np.full((20, 30, 1), 0, np.uint8)], -1)
    Image.fromarray(alpha, "RGBA").save(tmp_path / "clear.png")

    def read(name):
        return photos.as_bytes(photos.read(tmp_path / name))

    assert np.array_equal(read("rgb.png"), colours)
    assert np.array_equal(read("turned.png"), np.rot90(colours, -1))
    grey = np.repeat(colours[..., :1], 3, axis=-1)
    assert np.array_equal(read("grey.png"), grey)
    assert np.array_equal(read("deep.png"), grey)
    assert (read("clear.png") == 255).all()


def test_damaged_photos_are_told_whatever_the_decoder_raises():
    image = Image.fromarray(segment_files.noise(20, 30))
    seeds = []
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "PPM", "JPEG2000"):
        file = io.BytesIO()
        image.save(file, kind)
        seeds.append(file.getvalue())
    random = np.random.default_rng(0)
    read = told = 0
    for number in range(800):
        content = bytearray(seeds[number % len(seeds)])
        for _ in range(random.integers(1, 5)):
            at = random.integers(0, min(len(content), random.choice([40, len(content)])))
            if random.random() < 0.7:
                content[at] = random.integers(0, 256)
            else:
                del content[at : at + random.integers(1, 30)]
        try:
            found = photos.decode(bytes(content), "it")
            assert found.ndim == 3 and found.shape[2] == 3
            read += 1
        except click.UsageError as problem:
            assert problem.message.startswith("it: ")
            told += 1
    assert read > 50 and told > 50


def test_what_would_start_other_programs_is_not_read(tmp_path):
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "EPS")
    with pytest.raises(click.UsageError, match="of these kinds: PNG, JPEG"):
        photos.decode(file.getvalue(), "it")


# ---- the picture


def test_masks_are_tinted_and_the_rest_left_alone():
    photo = segment_files.noise(200, 300)
    mask = np.zeros((200, 300), bool)
    mask[60:140, 100:200] = True
    picture = np.asarray(overlay.draw(photo, [mask]), float)
    assert np.array_equal(picture[:45], photo[:45]) and np.array_equal(
        picture[:, 220:], photo[:, 220:]
    )
    inside = np.s_[75:125, 115:185]
    tint = np.array(overlay.color(0))
    wanted = photo[inside] + overlay.TINT * (tint - photo[inside].astype(float))
    assert np.abs(picture[inside] - wanted).max() <= 1
    edge = picture[100, 96:106]
    assert np.abs(edge - tint).sum(-1).min() < 60, "no outline in the mask's colour"


def test_prompts_are_drawn_and_the_rest_darkened():
    photo = np.full((200, 300, 3), 120, np.uint8)
    mask = np.zeros((200, 300), bool)
    mask[60:140, 100:200] = True
    points = [(150, 100, 1), (30, 30, 0)]
    picture = np.asarray(overlay.draw(photo, [mask], points, (90, 50, 210, 150), dim=mask))
    assert picture[180, 20].tolist() == [round(120 * overlay.DIM)] * 3
    assert (picture[100, 150] > 240).all() and picture[94, 150].argmax() == 1  # a plus on green
    assert picture[24, 30].argmax() == 0  # on red
    assert abs(picture[50, 150].astype(int) - (255, 176, 0)).max() < 3
    corner = overlay.draw(photo, [], [(0, 0, 1), (300, 200, 0)])  # markers over the edge
    assert corner.size == (300, 200)


def test_colours_of_neighbours_differ():
    tones = [overlay.color(n) for n in range(12)]
    near = [np.abs(np.subtract(a, b)).sum() for a, b in itertools.pairwise(tones)]
    assert len(set(tones)) == 12 and min(near) > 120


def test_an_empty_mask_draws_nothing():
    photo = segment_files.noise(20, 20)
    assert np.array_equal(overlay.draw(photo, [np.zeros((20, 20), bool)]), photo)


# ---- files


def test_a_picture_is_there_whole_or_not(tmp_path, monkeypatch):
    target = tmp_path / "out.png"
    target.write_bytes(b"the old one")

    def broken(self, file, *args, **kwargs):
        with open(file, "wb") as opened:
            opened.write(b"half")
        raise OSError("the disk is full")

    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(OSError, match="disk is full"):
        save.picture(Image.new("RGB", (4, 4)), target)
    assert [p.name for p in tmp_path.iterdir()] == ["out.png"]
    assert target.read_bytes() == b"the old one"


@pytest.mark.parametrize(("suffix", "kind"), [(".png", "PNG"), (".JPG", "JPEG"), (".webp", "WEBP")])
def test_pictures_are_of_the_kind_their_name_says(tmp_path, suffix, kind):
    save.picture(Image.new("RGB", (8, 6)), tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as found:
        assert (found.format, found.size) == (kind, (8, 6))


def test_a_failing_disk_is_said(segment, files, tmp_path, monkeypatch):
    def full(image, path):
        raise OSError("no space left on the device")

    monkeypatch.setattr(save, "picture", full)
    result = segment(files / "hopper.png", "--point", "5,6", "--out", tmp_path / "out.png")
    assert result.exit_code == 1 and "Error: no space left on the device" in result.output


def test_no_masks_are_saved_as_none(tmp_path):
    outcome = run.Outcome(tmp_path / "a.png", (4, 6), [], 1.0)
    save.arrays(outcome, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as found:
        assert found["masks"].shape == (0, 4, 6) and found["boxes"].shape == (0, 4)
    save.coco([outcome], tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())["annotations"] == []


# ---- bad input


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "no prompt: say which object you mean with --point x,y"),
        (("--point", "5"), "'5' is not a point; write x,y"),
        (("--point", "5,6,maybe"), "is not a point"),
        (("--point", "5,six"), "'six' in '5,six' is not a number"),
        (("--point", "nan,6"), "'nan' in 'nan,6' is not a number"),
        (("--point", "500,6"), "500,6 lies outside PHOTO, which is 100 pixels wide and 117 high"),
        (("--point", "-1,6"), "lies outside"),
        (("--point", "5,6,-"), "every point lies beside the object"),
        (("--box", "1,2,3"), "'1,2,3' is not a box; write x0,y0,x1,y1"),
        (("--box", "80,90,20,10"), "upside down or empty"),
        (("--box", "80,90,20,10"), "Did you mean 20,10,80,90?"),
        (("--box", "10,10,10,50"), "upside down or empty"),
        (("--box", "10,10,101,50"), "--box: 101,50 lies outside"),
        (("--everything", "--point", "5,6"), "--everything takes no prompt"),
        (("--point", "5,6", "--min-score", "0.5"), "--min-score: only with --everything"),
        (("--point", "5,6", "--dtype", "int8"), "'int8' is not one of"),
        (("--point", "5,6", "--dtype", "fp32", "--compare"), "choose --dtype bf16"),
        (("--point", "5,6", "--masks", "m.txt"), "'m.txt' must end in .npz or .json"),
        (("--point", "5,6", "--masks", "no/such/m.npz"), "folder 'no/such' does not exist"),
    ],
)
def test_bad_options(segment, files, tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    photo = files / "hopper.png"
    text = said(segment(photo, "--out", "out.png", *arguments))
    assert expected.replace("PHOTO", str(photo)) in text
    assert list(tmp_path.iterdir()) == []


def test_bad_places(segment, files, tmp_path):
    photo, point = files / "hopper.png", ("--point", "5,6")
    assert "nowhere to write" in said(segment(photo, *point))
    assert "must end in .png, .jpg, .jpeg or .webp" in said(
        segment(photo, *point, "--out", tmp_path / "out.txt")
    )
    assert "is a folder; name a file" in said(segment(photo, *point, "--out", tmp_path))
    assert "is the photo itself" in said(segment(photo, *point, "--out", photo))
    two = (photo, files)
    assert "name a folder, not" not in said(segment(*two, *point))
    other = segment_files.photo(tmp_path / "other.png")
    assert "2 photos give as many results: name a folder" in said(
        segment(photo, other, *point, "--out", tmp_path / "out.png")
    )
    assert "no image: name one or more files" in said(segment(*point, "--out", tmp_path / "o.png"))
    assert "there is no file or folder 'absent.png'" in said(
        segment("absent.png", *point, "--out", tmp_path / "o.png")
    )
    (tmp_path / "empty").mkdir()
    assert "holds no images" in said(
        segment(tmp_path / "empty", *point, "--out", tmp_path / "o.png")
    )


def test_bad_photos_are_all_named_before_any_work(segment, files, tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    good = segment_files.photo(folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(good[: len(good) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "text.jpg").write_text("no image")
    out = tmp_path / "out"
    text = said(segment(folder, "--point", "5,6", "--out", out))
    assert "cut.png: it is damaged or cut short" in text
    assert "empty.png: it is empty" in text
    assert "text.jpg: it is no image that Pillow can read" in text
    assert "good.png" not in text and not out.exists()


def test_huge_photos_are_refused_by_their_header(segment, tmp_path, monkeypatch):
    monkeypatch.setattr(photos, "MAX_PIXELS", 1000)
    photo = segment_files.photo(tmp_path / "huge.png")
    text = said(segment(photo, "--point", "5,6", "--out", tmp_path / "out.png"))
    assert "huge.png: 100 x 117 has more than" in text and not (tmp_path / "out.png").exists()
    monkeypatch.setattr(photos, "MAX_FILE", 100)
    assert "huge.png: 0 MiB; an image file of at most" in said(
        segment(photo, "--point", "5,6", "--out", tmp_path / "out.png")
    )


def test_checkpoints_that_do_not_fit(segment, files, tmp_path):
    call = (files / "hopper.png", "--point", "5,6", "--out", tmp_path / "out.png")
    text = said(segment(*call, model=()))
    assert "not those of a model whose config comes with mezzo" in text and "--config PATH" in text
    text = said(segment(*call, model=("--config", "sam2.1_hiera_t")))
    assert "does not fit the config sam2.1_hiera_t" in text and "keys are missing" in text
    text = said(segment(*call, model=("--config", "sam2.1_hiera_xl")))
    assert "there is no config 'sam2.1_hiera_xl'" in text
    (tmp_path / "junk.pt").write_bytes(b"junk")
    text = said(segment(*call, model=("--checkpoint", tmp_path / "junk.pt")))
    assert "junk.pt" in text
    text = said(segment(*call, model=("--checkpoint", tmp_path / "absent.pt")))
    assert "absent.pt' does not exist" in text
    assert not (tmp_path / "out.png").exists()


def test_the_server_takes_no_photos_from_the_line(segment, files):
    text = said(segment(files / "hopper.png", "--serve"))
    assert "--serve takes its photos and prompts from the page" in text
