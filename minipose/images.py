"""The one reader of photos."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

from minipose.errors import InputError

try:
    import cv2
except ImportError as error:  # opencv-python needs a graphics library that servers lack
    raise ImportError(
        f"OpenCV could not be loaded ({error}). On a server without a screen install the system "
        "package libgl1 (apt-get install libgl1), or use the Python package opencv-python-headless."
    ) from error


def read_photo(path: str | Path) -> np.ndarray:
    """Photo file -> (H, W, 3) uint8 RGB, turned as its EXIF data says.

    Raises `InputError` where the file is missing, is no photo, or ends too early.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(path, "photo", "a readable file", error.strerror) from error
    _refuse_truncated(path, data)
    try:
        photo = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    except cv2.error as error:  # more pixels than OpenCV is willing to decode
        raise InputError(path, "photo", "a picture of reasonable size", error.err) from error
    if photo is None:
        raise InputError(path, "photo", "a picture (JPEG, PNG, ...)", f"{len(data)} bytes that are none")
    return photo


def _refuse_truncated(path: str | Path, data: bytes) -> None:
    """OpenCV 4 fills the missing part of a cut-off file with grey, without a word.

    A whole JPEG or PNG ends with its end mark. Some cameras write more behind it, so a missing mark
    is only a suspicion, and Pillow (which matplotlib brings) decides by decoding strictly.
    """
    if data.rstrip(b"\0").endswith((b"\xff\xd9", b"IEND\xaeB`\x82")):
        return
    from PIL import Image, UnidentifiedImageError

    try:
        Image.open(io.BytesIO(data)).load()
    except UnidentifiedImageError:
        return  # a format that only OpenCV knows
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(path, "photo", "a whole picture", f"a damaged one ({error})") from error
