"""Files: save and load of nested data with tensors, and safetensors. Nothing is ever unpickled."""

from __future__ import annotations

from mezzo.io.files import load, save
from mezzo.io.format import FileFormatError
from mezzo.io.safe import load_file, save_file

__all__ = ["FileFormatError", "load", "load_file", "save", "save_file"]
