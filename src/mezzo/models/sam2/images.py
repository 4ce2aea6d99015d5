"""Images from files, Pillow and NumPy as arrays of red, green and blue."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np

from mezzo.errors import ArgumentTypeError, ArgumentValueError, MezzoError

MAX_PIXELS = 250_000_000  # more is a broken or hostile file rather than a photo

# What photos come as. Not every kind that Pillow knows: reading EPS, for one, starts another program.
FORMATS = ("PNG", "JPEG", "MPO", "WEBP", "TIFF", "AVIF", "JPEG2000", "BMP", "GIF", "PPM")


def read_image(image, who: str = "set_image", max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """An image as (h, w, 3): uint8, or float32 between 0 and 1 where it came with more than 8 bits.

    image: a path, the bytes of a file, a Pillow image, or an array (h, w, 3). Grey is repeated; of an image with alpha the colours
    are laid over white; a file is turned as its EXIF orientation says.
    Raises: ArgumentTypeError, ArgumentValueError; FileNotFoundError for a path that leads nowhere
    """
    if isinstance(image, (str, os.PathLike)):
        return _from_path(image, who, max_pixels)
    if isinstance(image, bytes):
        return _from_file(io.BytesIO(image), "it", len(image), who, max_pixels)
    if isinstance(image, np.ndarray):
        return _from_array(image, who, max_pixels)
    if _is_pillow(image):
        return _from_pillow(image, who, max_pixels)
    raise ArgumentTypeError(
        f"{who}: image is a {type(image).__name__}; it must be a NumPy array (height, width, 3), a Pillow "
        "image, or the path of an image file."
    )


def image_size(image: np.ndarray) -> tuple[int, int]:
    """(height, width) of an image."""
    return image.shape[0], image.shape[1]


def _is_pillow(image) -> bool:
    # Without importing Pillow: whoever has such an image has imported it.
    return any(c.__module__ == "PIL.Image" and c.__name__ == "Image" for c in type(image).__mro__)


def _from_path(path, who: str, max_pixels: int) -> np.ndarray:
    path = os.fspath(path)
    if not os.path.exists(path):
        raise FileNotFoundError(f"{who}: there is no file {path!r}; give the path of an image.")
    if os.path.isdir(path):
        raise ArgumentValueError(f"{who}: {path!r} is a folder; give the path of one image.")
    with open(path, "rb") as file:
        return _from_file(file, repr(path), os.path.getsize(path), who, max_pixels)


def _from_file(file, name: str, size: int, who: str, max_pixels: int) -> np.ndarray:
    """An image from an open file of `size` bytes."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not size:
        raise ArgumentValueError(f"{who}: {name} is empty: it has 0 bytes. Save or copy it again.")
    Image.init()
    kinds = [kind for kind in FORMATS if kind in Image.OPEN]  # AVIF is newer than the rest
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # tags that are odd do not matter, size is checked here
            with Image.open(file, formats=kinds) as image:
                _check_size(image.size[1], image.size[0], who, max_pixels)
                image.load()
                return _from_pillow(ImageOps.exif_transpose(image), who, max_pixels)
    except Image.DecompressionBombError:
        raise _too_large(who, name, max_pixels) from None
    except UnidentifiedImageError:
        raise ArgumentValueError(
            f"{who}: {name} is no image that Pillow can read ({size} bytes), of these kinds: "
            f"{', '.join(kinds)}. Convert it to PNG or JPEG."
        ) from None
    except (MezzoError, MemoryError):
        raise
    except Exception as problem:  # a decoder of Pillow's may raise anything on damaged data
        raise ArgumentValueError(
            f"{who}: {name} is damaged or cut short ({problem}); save it again."
        ) from None


def _from_pillow(image, who: str, max_pixels: int) -> np.ndarray:
    _check_size(image.size[1], image.size[0], who, max_pixels)
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image)
        if image.mode.startswith("I") and grey.size and grey.min() >= 0 and grey.max() < 1 << 16:
            grey = grey.astype(np.uint16)
        return _from_array(grey, who, max_pixels)
    if image.has_transparency_data:
        return _from_array(np.asarray(image.convert("RGBA")), who, max_pixels)
    return np.asarray(image.convert("RGB"))


def _from_array(array: np.ndarray, who: str, max_pixels: int) -> np.ndarray:
    shape = array.shape
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4):
        hint = ""
        if len(shape) == 3 and shape[0] in (1, 3, 4):
            hint = " The channels seem to come first: pass image.transpose(1, 2, 0)."
        raise ArgumentValueError(
            f"{who}: image has shape {shape}; it must be (height, width, 3), or 1 or 4 channels, or "
            f"(height, width).{hint}"
        )
    _check_size(array.shape[0], array.shape[1], who, max_pixels)
    array = _over_white(_unit(array, who))
    return np.ascontiguousarray(np.broadcast_to(array, (*array.shape[:2], 3)))


def _unit(array: np.ndarray, who: str) -> np.ndarray:
    """uint8 as it is; what has more bits as float32 between 0 and 1."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return array.astype(np.float32) / np.float32(65535)
    if array.dtype.kind == "f":
        low, high = float(array.min()), float(array.max())
        if not (low >= -1e-3 and high <= 1.001):
            raise ArgumentValueError(
                f"{who}: image has dtype {array.dtype} and values from {low:g} to {high:g}; floats must lie "
                "between 0 and 1. Divide by 255, or pass uint8."
            )
        return array.astype(np.float32)
    if array.dtype.kind in "iu" and array.min() >= 0 and array.max() <= 255:
        return array.astype(np.uint8)
    raise ArgumentValueError(
        f"{who}: image has dtype {array.dtype} and values from {array.min()} to {array.max()}; it must be "
        "uint8, uint16, or floats between 0 and 1."
    )


def _over_white(array: np.ndarray) -> np.ndarray:
    if array.shape[2] != 4:
        return array
    top = 255 if array.dtype == np.uint8 else 1
    alpha = array[:, :, 3:].astype(np.float32) / top
    mixed = array[:, :, :3] * alpha + top * (1 - alpha)
    return np.rint(mixed).astype(np.uint8) if top == 255 else mixed.astype(np.float32)


def _check_size(height: int, width: int, who: str, max_pixels: int) -> None:
    if not height or not width:
        raise ArgumentValueError(
            f"{who}: image has {height} rows and {width} columns; it must have at least one of each."
        )
    if height * width > max_pixels:
        raise _too_large(who, f"{width} x {height}", max_pixels)


def _too_large(who: str, what: str, max_pixels: int) -> ArgumentValueError:
    return ArgumentValueError(
        f"{who}: {what} has more than {max_pixels // 10**6} million pixels; scale it down first (the model "
        "looks at 1024 x 1024)."
    )
