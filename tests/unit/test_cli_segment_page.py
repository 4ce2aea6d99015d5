"""The page of `mezzo segment --serve`: over HTTP, and in a headless Chromium where there is one."""

from __future__ import annotations

import contextlib
import io
import json
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import browser
import numpy as np
import pytest
import segment_files
import waitress
from click.testing import CliRunner
from PIL import Image

import mezzo
from mezzo.cli import main
from mezzo.cli.segment import serve, studio
from mezzo.models.sam2 import rle

HERE = "127.0.0.1"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    segment_files.checkpoint(folder)
    segment_files.photo(folder / "hopper.png")
    return folder


@pytest.fixture(scope="module")
def predictor(files):
    found = segment_files.predictor(files / "micro.safetensors")
    # As the page does: there weights are packed once, and sums have that one order.
    with mezzo.inference_mode():
        found.set_image(files / "hopper.png")
    return found


@pytest.fixture(scope="module")
def page(predictor):
    """The address of a running server."""
    app = serve.application(studio.Studio(predictor.model, "configs/micro.yaml", "fp32"), True)
    sockets: dict = {}
    server = waitress.create_server(
        app, sockets, host=HERE, port=0, max_request_body_size=studio.MAX_UPLOAD + (1 << 20)
    )
    runner = threading.Thread(target=server.run)
    runner.start()
    yield f"http://{HERE}:{server.effective_port}"
    server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(sockets))
    runner.join(30)
    assert not runner.is_alive(), "the server did not end"


def ask(url: str, body=None, headers=()):
    """(status, headers, content), the content decoded if it is JSON."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    try:
        answer = urllib.request.urlopen(
            urllib.request.Request(url, data, dict(headers)), timeout=60
        )
    except urllib.error.HTTPError as problem:
        answer = problem
    with answer:
        content = answer.read()
        if answer.headers.get_content_type() == "application/json":
            content = json.loads(content)
        return answer.status, answer.headers, content


@pytest.fixture
def photo(page, files):
    """What the server says of the photo, uploaded."""
    status, _, found = ask(f"{page}/photo", (files / "hopper.png").read_bytes())
    assert status == 200, found
    return found


def mask_of(runs, photo) -> np.ndarray:
    """Run lengths row by row, as the page fills them."""
    shown = photo["shown"]
    values = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return values.reshape(shown["height"], shown["width"])


# ---- over HTTP


def test_the_page_is_self_contained(page):
    status, headers, content = ask(f"{page}/")
    text = content.decode()
    assert status == 200 and headers.get_content_type() == "text/html"
    assert "http://" not in text and "https://" not in text and "src=" not in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"


def test_state(page):
    assert ask(f"{page}/state")[2] == {
        "model": "micro",
        "dtype": "fp32",
        "max_upload": studio.MAX_UPLOAD,
        "grids": list(studio.GRIDS),
    }


def test_points_and_boxes_give_the_predictor_s_masks(page, photo, predictor):
    width, height = segment_files.SIZE
    assert (photo["width"], photo["height"]) == (width, height)
    assert photo["shown"] == {"width": width, "height": height}
    for question, call in (
        ({"points": [[50, 40, 1]]}, {"point_coords": [[50, 40]], "point_labels": [1]}),
        (
            {"points": [[50, 40, 1], [5.5, 5, 0]], "box": [20, 10, 80, 90]},
            {
                "point_coords": [[50, 40], [5.5, 5]],
                "point_labels": [1, 0],
                "box": [20, 10, 80, 90],
                "multimask_output": False,
            },
        ),
        ({"box": [20, 10, 80, 90]}, {"box": [20, 10, 80, 90], "multimask_output": False}),
    ):
        status, _, found = ask(f"{page}/predict", {"id": photo["id"], **question})
        assert status == 200, found
        with (
            mezzo.inference_mode()
        ):  # as the page does: weights are packed once, sums have one order
            masks, scores, _ = predictor.predict(**call)
        order = np.argsort(-scores)
        assert [each["score"] for each in found["masks"]] == pytest.approx(list(scores[order]))
        for each, wanted in zip(found["masks"], masks[order].astype(bool)):
            assert np.array_equal(mask_of(each["runs"], photo), wanted)
            assert each["area"] == wanted.sum()
            assert each["text"].startswith(f"score {each['score']:.3f}")


def test_large_photos_are_shown_smaller(page, monkeypatch):
    monkeypatch.setattr(studio, "SHOWN", 50)
    file = io.BytesIO()
    Image.fromarray(segment_files.noise(100, 160)).save(file, "PNG")
    photo = ask(f"{page}/photo", file.getvalue())[2]
    assert (photo["width"], photo["height"]) == (160, 100)
    assert photo["shown"] == {"width": 50, "height": 31}
    status, headers, picture = ask(f"{page}/photo/{photo['id']}")
    assert status == 200 and headers.get_content_type() == "image/jpeg"
    assert Image.open(io.BytesIO(picture)).size == (50, 31)
    found = ask(f"{page}/predict", {"id": photo["id"], "points": [[150, 90, 1]]})[2]
    assert all(sum(each["runs"]) == 50 * 31 for each in found["masks"])


def test_everything_and_the_picture_to_keep(page, photo, monkeypatch):
    real = studio.run.Prompt
    monkeypatch.setattr(studio, "GRIDS", (2, 3))

    def loose(**kwargs):
        filters = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
        options = {**kwargs.pop("options", {}), **filters}
        return real(**kwargs, options=options)

    with monkeypatch.context() as patch:
        patch.setattr(studio.run, "Prompt", loose)
        question = {"id": photo["id"], "points_per_side": 3}
        status, _, found = ask(f"{page}/everything", question)
    assert status == 200 and found["masks"], found
    areas = [each["area"] for each in found["masks"]]
    assert areas == sorted(areas, reverse=True)
    assert ask(f"{page}/progress/{photo['id']}")[2] == {"done": 9, "total": 9}
    for question in ({"everything": True}, {"points": [[50, 40, 1]], "chosen": 1}):
        status, headers, content = ask(f"{page}/result", {"id": photo["id"], **question})
        assert status == 200 and headers.get_content_type() == "image/png"
        assert Image.open(io.BytesIO(content)).size == segment_files.SIZE


def test_visitors_at_the_same_time(page, photo):
    def one(number: int):
        point = [10 + 7 * number, 20 + 5 * number, 1]
        return ask(f"{page}/predict", {"id": photo["id"], "points": [point]})

    alone = [one(n)[2]["masks"] for n in range(8)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(one, range(8)))
    assert [status for status, *_ in together] == [200] * 8
    assert [found["masks"] for *_, found in together] == alone


def test_only_the_last_photos_are_kept(page, files):
    content = (files / "hopper.png").read_bytes()
    keys = [ask(f"{page}/photo", content)[2]["id"] for _ in range(studio.MAX_PHOTOS + 1)]
    question = {"points": [[50, 40, 1]]}
    status, _, found = ask(f"{page}/predict", {"id": keys[0], **question})
    assert status == 404 and "no longer here" in found["error"]
    assert ask(f"{page}/predict", {"id": keys[1], **question})[0] == 200


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, "no prompt: click on the object"),
        ({"points": [[50, 40, 0]]}, "no prompt"),
        ({"points": "here"}, "points must be a list"),
        ({"points": [[1, 1, 1]] * 65}, "at most 64 points"),
        ({"points": [[1, 2]]}, "a point must be [x, y, label], 3 numbers"),
        ({"points": [[1, True, 1]]}, "3 numbers"),
        ({"points": [[1, 2, 7]]}, "label of a point is 7"),
        ({"points": [[1e9, 2, 1]]}, "lies outside the photo"),
        ({"box": [1, 2, 3]}, "box must be [x0, y0, x1, y1], 4 numbers"),
        ({"box": [50, 50, 10, 10]}, "left upper corner comes first"),
        ({"box": [0, 0, 1000, 10]}, "lies outside the photo"),
    ],
)
def test_bad_prompts(page, photo, question, expected):
    status, _, found = ask(f"{page}/predict", {"id": photo["id"], **question})
    assert status == 400 and expected in found["error"]


def test_bad_requests(page, photo, monkeypatch):
    for body, expected in (
        (b"{", "not JSON"),
        (b"[" * 50_000, "not JSON"),
        (b"[1]", "a JSON list"),
        (b'{"id": 7}', "no longer here"),
    ):
        status, _, found = ask(f"{page}/predict", body)
        assert status in (400, 404) and expected in found["error"]
    status, _, found = ask(f"{page}/predict", b" " * (serve.MAX_JSON + 1))
    assert status == 413 and "at most 0.1 MiB" in found["error"]
    for body, expected in ((b"", "0 bytes arrived"), (b"GIF89a", "the photo: it is")):
        status, _, found = ask(f"{page}/photo", body)
        assert status == 400 and expected in found["error"]
    monkeypatch.setattr(serve, "MAX_UPLOAD", 1000)
    status, _, found = ask(f"{page}/photo", b"x" * 1001)
    assert status == 413, found
    status, _, found = ask(f"{page}/everything", {"id": photo["id"], "points_per_side": 999})
    assert status == 400 and "points_per_side is 999" in found["error"]
    status, _, found = ask(
        f"{page}/result", {"id": photo["id"], "points": [[5, 5, 1]], "chosen": 9}
    )
    assert status == 400 and "chosen is 9" in found["error"]
    assert ask(f"{page}/nothing")[0] == 404 and "Not found" in ask(f"{page}/nothing")[2]["error"]
    assert ask(f"{page}/predict")[0] == 405


def test_huge_photos_are_refused_by_their_header(page):
    file = io.BytesIO()
    Image.new("1", (12_000, 9_000)).save(file, "PNG")  # 108 million pixels in a few kilobytes
    status, _, found = ask(f"{page}/photo", file.getvalue())
    assert status == 400 and "12000 x 9000 has more than 100 million pixels" in found["error"]


def test_other_sites_cannot_use_the_model(page):
    for headers in ({"Host": "evil.example"}, {"Origin": "http://evil.example"}):
        status, _, found = ask(f"{page}/state", headers=headers)
        assert status == 403 and "evil.example" in found["error"]
    assert ask(f"{page}/state", headers={"Origin": page})[0] == 200
    assert serve.refused("pc.example:80", None, False) is None


@pytest.mark.parametrize(
    ("host", "name", "loopback"),
    [
        ("127.0.0.1:8321", "127.0.0.1", True),
        ("localhost", "localhost", True),
        ("[::1]:8321", "::1", True),
        ("127.0.0.1.evil.example", "127.0.0.1.evil.example", False),
        ("192.168.1.5:80", "192.168.1.5", False),
        ("", "", False),
    ],
)
def test_loopback(host, name, loopback):
    assert serve.host_name(host) == name
    assert serve.is_loopback(name) is loopback


def test_a_taken_port_is_said(files, page):
    port = page.rpartition(":")[2]
    arguments = ["segment", "--serve", "--port", port, "--config", str(segment_files.CONFIG)]
    arguments += ["--checkpoint", str(files / "micro.safetensors")]
    result = CliRunner().invoke(main, arguments, prog_name="mezzo")
    assert result.exit_code == 2
    assert f"cannot listen on 127.0.0.1:{port}" in " ".join(result.output.split())


def test_without_the_extra_the_command_says_what_to_install(files, monkeypatch):
    monkeypatch.setitem(sys.modules, "bottle", None)
    monkeypatch.setattr(
        serve.importlib.util, "find_spec", lambda name: None if name == "bottle" else name
    )
    arguments = ["segment", "--serve", "--checkpoint", str(files / "micro.safetensors")]
    result = CliRunner().invoke(main, arguments, prog_name="mezzo")
    assert result.exit_code == 2 and "pip install 'mezzo[serve]'" in result.output


# ---- in a browser


@pytest.fixture(scope="module")
def window(tmp_path_factory):
    if browser.find() is None:
        pytest.skip("needs chromium and chromedriver on the PATH, and one of them is not there")
    with contextlib.ExitStack() as stack:
        yield stack.enter_context(browser.Browser(tmp_path_factory.mktemp("profile")))


def masks_shown(window, count: int) -> None:
    window.wait(f"return document.querySelectorAll('#readings button').length === {count}")
    window.wait("return document.querySelector('#status').textContent.includes('masks in')")


def tinted(window) -> int:
    """How many pixels of the canvas differ from the photo."""
    return window.run(
        """const plain = document.createElement("canvas");
        plain.width = canvas.width; plain.height = canvas.height;
        const ink = plain.getContext("2d"); ink.drawImage(image, 0, 0, canvas.width, canvas.height);
        const a = ink.getImageData(0, 0, canvas.width, canvas.height).data;
        const b = pen.getImageData(0, 0, canvas.width, canvas.height).data;
        let count = 0;
        for (let i = 0; i < a.length; i += 4)
          if (Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]) > 12) count++;
        return count;"""
    )


def test_clicking_in_a_browser(window, page, files, predictor):
    window.open(page)
    window.wait("return document.querySelector('#model').textContent === 'micro in fp32'")
    (files / "notes.txt").write_text("no image")
    window.type("#file", str(files / "notes.txt"))
    window.wait("return document.querySelector('#status.bad') !== null")
    told = window.run("return document.querySelector('#status').textContent")
    assert "no image that Pillow can read" in told
    window.type("#file", str(files / "hopper.png"))
    window.wait("return document.querySelector('#status').textContent.includes('embedded')")
    assert tinted(window) == 0

    window.press("#canvas", (0, 0))  # the middle: three readings of one click
    masks_shown(window, 3)
    width, height = segment_files.SIZE
    best = predictor.predict([[width / 2, height / 2]], [1])
    mask = best[0][best[1].argmax()].astype(bool)
    shown = window.run("return masks[0].runs")
    values = np.repeat(np.arange(len(shown)) % 2 == 1, shown).reshape(height, width)
    # A pixel of the screen is not exactly the middle of the photo.
    assert rle.iou(values, mask) > 0.9
    assert tinted(window) > 0.9 * values.sum()

    window.press("#canvas", (30, 40), button=2)  # beside the object
    masks_shown(window, 1)
    assert window.run("return prompts.map((p) => p.label)") == [1, 0]
    window.press("#canvas", (-30, -40), (0, 0), (35, 45))  # a box
    masks_shown(window, 1)
    box = window.run("return prompts[2].box")
    assert box == pytest.approx(
        [width / 2 - 30, height / 2 - 40, width / 2 + 35, height / 2 + 45], abs=1
    )
    window.click("#undo")
    window.wait("return prompts.length === 2")
    window.click("#clear")
    window.wait("return prompts.length === 0 && masks.length === 0")
    assert tinted(window) == 0
    assert [e for e in window.errors() if "400 (Bad Request)" not in e] == []


def test_everything_in_a_browser(window, page, files):
    window.open(page)
    window.wait("return document.querySelector('#model').textContent === 'micro in fp32'")
    window.type("#file", str(files / "hopper.png"))
    window.wait("return document.querySelector('#status').textContent.includes('embedded')")
    window.click("#everything")
    window.wait("return /masks? in/.test(document.querySelector('#status').textContent)")
    assert window.run("return isEverything") is True
    assert len(window.screenshot()) > 5000
