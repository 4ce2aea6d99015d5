"""Files: save and load of nested data with tensors, and safetensors. No pickle runs but in unpickle.py."""

from __future__ import annotations

from mezzo.errors import FileFormatError
from mezzo.io.files import load, save
from mezzo.io.safe import load_file, save_file

__all__ = ["FileFormatError", "load", "load_file", "save", "save_file"]
