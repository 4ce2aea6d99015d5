"""The frames of a video: from a folder of JPEG files, an MP4 file, or images in memory."""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mezzo.errors import ArgumentTypeError, ArgumentValueError, MezzoError, UnsupportedError
from mezzo.models.sam2.images import image_size, read_image
from mezzo.models.sam2.transforms import SAM2Transforms

JPEG = (".jpg", ".jpeg")
MOVIES = (".mp4", ".m4v", ".mov")  # one format, which cannot refer to other files as playlists do
FFMPEG = "ffmpeg -i {} -q:v 2 -start_number 0 FOLDER/%05d.jpg"
FORMS = (
    "a folder of JPEG files named by number (00000.jpg, 00001.jpg, ...), an MP4 file, a list of images (arrays, "
    "Pillow images or paths), or an array (frames, height, width, 3)"
)


class NoFramesError(ArgumentValueError, RuntimeError):
    """A video without frames."""


class FrameError(ArgumentValueError, RuntimeError):
    """A frame that cannot be read, or does not fit the others."""


class LoadingError(MezzoError, RuntimeError):
    """What went wrong in the thread that loads frames; its cause says more."""


def _numbered(folder: str) -> list[str]:
    """The paths of a folder's JPEG files in the order of their numbers."""
    names = sorted(os.listdir(folder))
    found = [name for name in names if Path(name).suffix.lower() in JPEG]
    if not found:
        others = f"; it holds {', '.join(names[:4])}" if names else "; it is empty"
        raise NoFramesError(
            f"init_state: there are no images in {folder!r}{others}. It must hold JPEG files named by number, "
            "00000.jpg, 00001.jpg, ...; or pass a list of the paths of images of any kind."
        )
    odd = [name for name in found if not Path(name).stem.isdecimal()]
    if odd:
        raise FrameError(
            f"init_state: {folder!r} has frames whose names are no numbers: {', '.join(odd[:4])}. Name them "
            "by their place in time, as 00000.jpg; or pass a list of paths in the right order."
        )
    return [os.path.join(folder, name) for name in sorted(found, key=lambda n: int(Path(n).stem))]


def _movie(video):
    """The path or the bytes of an MP4 file, if that is what a video is; else None."""
    if isinstance(video, bytes):
        return video
    named = isinstance(video, (str, os.PathLike)) and os.path.isfile(video)
    if not named:
        return None
    path = os.fspath(video)
    if Path(path).suffix.lower() not in MOVIES:
        raise UnsupportedError(
            f"init_state: video_path is the file {path!r}; it must be {FORMS}. Frames of another kind of video "
            f"are taken out by\n    {FFMPEG.format(path)}"
        )
    return path


def _decoded(movie) -> Iterator[np.ndarray]:
    """The frames of an MP4 file (path or bytes), (h, w, 3) uint8, turned as they are shown."""
    name = "the bytes given" if isinstance(movie, bytes) else repr(movie)
    try:
        import av
    except ImportError:
        path = "VIDEO.mp4" if isinstance(movie, bytes) else movie
        raise UnsupportedError(
            f"init_state: video_path is an MP4 file ({name}), which is read by PyAV; install it by "
            f"pip install 'mezzo[video]', or take the frames out by\n    {FFMPEG.format(path)}"
        ) from None
    source = io.BytesIO(movie) if isinstance(movie, bytes) else movie
    try:
        with av.open(source, format="mp4") as container:
            for frame in container.decode(video=0):
                turns = round(frame.rotation / 90)
                yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
    except (av.FFmpegError, IndexError) as problem:  # IndexError: there is sound alone
        raise FrameError(
            f"init_state: {name} cannot be read as an MP4 video ({problem}); encode it again, or pass a "
            "folder of its frames."
        ) from None


def _sources(video) -> list:
    """Whatever read_image reads, for every frame."""
    if isinstance(video, (str, os.PathLike)):
        path = os.fspath(video)
        if os.path.isdir(path):
            return _numbered(path)
        raise FileNotFoundError(f"init_state: there is no {path!r}; video_path must be {FORMS}.")
    if isinstance(video, np.ndarray):
        if video.ndim != 4:
            raise FrameError(
                f"init_state: video_path is an array of shape {video.shape}; it must be (frames, height, "
                "width, 3)."
            )
    elif not isinstance(video, (list, tuple)):
        raise ArgumentTypeError(
            f"init_state: video_path is a {type(video).__name__}; it must be {FORMS}."
        )
    if not len(video):
        raise NoFramesError(
            f"init_state: video_path is an {type(video).__name__} without frames; give one or more."
        )
    return list(video)


def _square(image: np.ndarray, side: int) -> np.ndarray:
    """An image (h, w, 3) at (side, side, 3), by Pillow's bicubic filter as the official code does it."""
    from PIL import Image

    if image.shape[:2] == (side, side):
        return image
    if image.dtype == np.uint8:
        return np.asarray(Image.fromarray(image).resize((side, side)))
    planes = [Image.fromarray(np.ascontiguousarray(p)) for p in np.moveaxis(image, -1, 0)]
    scaled = [np.asarray(p.resize((side, side), Image.Resampling.BICUBIC)) for p in planes]
    return np.stack(scaled, -1).clip(0, 1)  # the filter overshoots; 8 bits are cut off too


class Frames:
    """The frames of a video as the model wants them: frames[i] is (3, side, side), normalised float32.

    They are kept in the 8 bits a channel that they came with. height, width: of the video.
    """

    def __init__(self, video, side: int, in_background: bool = False):
        self._side, self._transforms = side, SAM2Transforms(side, 0.0)
        self._lock = threading.Lock()
        self._problem: Exception | None = None
        self._sources: list = []
        self._kept: list[np.ndarray | None] = []
        self.height = self.width = 0
        movie = _movie(video)
        if movie is not None:
            self._decode(movie)
            return
        self._sources = _sources(video)
        self._kept = [None] * len(self._sources)
        self.pixels(0)
        if in_background:
            threading.Thread(target=self._load_aside, daemon=True).start()
        else:
            self._load()

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int):
        return self._transforms(self.pixels(index))

    def _decode(self, movie) -> None:
        """Read all frames of an MP4 file: they come one after the other only."""
        for index, image in enumerate(_decoded(movie)):
            self._check(image, index, None)
            self._kept.append(_square(image, self._side))
        if not self._kept:
            raise NoFramesError("init_state: the MP4 file has no frames; encode it again.")

    def _load(self) -> None:
        """Read the frames that were not read yet."""
        for index in range(len(self)):
            self.pixels(index)

    def _load_aside(self) -> None:
        try:
            self._load()
        except Exception as problem:
            self._problem = problem

    def pixels(self, index: int) -> np.ndarray:
        """A frame (side, side, 3), uint8 or floats in [0, 1], as the model sees it; read if it was not yet."""
        if self._problem is not None:
            raise LoadingError(
                f"init_state: the thread that loads frames stopped: {self._problem}"
            ) from self._problem
        with self._lock:
            kept = self._kept[index]
            if kept is None:
                source = self._sources[index]
                image = read_image(source, f"init_state: frame {index}")
                self._check(image, index, source)
                kept = self._kept[index] = _square(image, self._side)
                self._sources[index] = None  # what came as an array need not be kept twice
        return kept

    def _check(self, image: np.ndarray, index: int, source) -> None:
        height, width = image_size(image)
        if not self.height:
            self.height, self.width = height, width
        if (height, width) != (self.height, self.width):
            name = f" ({os.fspath(source)})" if isinstance(source, (str, os.PathLike)) else ""
            raise FrameError(
                f"init_state: frame {index}{name} has {width} x {height} pixels, and the first frame "
                f"{self.width} x {self.height}; all frames must be of one size."
            )
