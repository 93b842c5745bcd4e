"""Downloads that are whole or not there: resumed where they broke off, checked by their SHA-256.

The standard library does it all; nothing is fetched unless `download` is called.
"""

from __future__ import annotations

import hashlib
import os
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from tqdm import tqdm

from minipose.errors import InputError

BLOCK = 1 << 20  # bytes read at a time
PATIENCE = 60.0  # seconds without a byte before the connection counts as broken


def download(url: str, path: str | Path, sha256: str, progress: bool = True) -> Path:
    """Fetch `url` into the file `path` and return it; a file that is there and right is kept.

    What has arrived is kept beside it as .NAME.partial until it is whole, so that the next call goes
    on where this one broke off (where the server can; else it starts again). `sha256` is the whole
    file's checksum in hexadecimal.

    Raises `InputError`, in one line, where the server is not reached or answers with an error, where
    the connection breaks off, the disk is full, or the checksum is another: then nothing is kept.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.partial")
    if not url.startswith(("http://", "https://")):
        raise InputError(url, "download", "an address that begins with http:// or https://")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_file() and _checksum(path) == sha256.lower():
            return path
        _fetch(url, partial, path.name, progress)
        found = _checksum(partial)
        if found != sha256.lower():
            partial.unlink()
            raise InputError(url, "SHA-256", f"{sha256.lower()} (nothing was kept)", found)
        os.replace(partial, path)
    except OSError as error:  # those of the network are InputErrors by now
        reason = error.strerror or str(error)
        raise InputError(path, "download", "a folder with room and permission to write", reason) from error
    return path


def _fetch(url: str, partial: Path, name: str, progress: bool) -> None:
    """Append to `partial` what is missing, or write it anew where the server sends all of it."""
    have = partial.stat().st_size if partial.exists() else 0
    response = _ask(url, have)
    if response is None:
        return
    with response:
        if response.status != 206:
            have = 0
        rest = response.headers["Content-Length"]
        total = have + int(rest) if rest is not None else None
        bar = tqdm(
            total=total, initial=have, desc=name, unit="B", unit_scale=True, unit_divisor=1024,
            disable=not progress,
        )  # fmt: skip
        with bar, partial.open("ab" if have else "wb") as file:
            for block in _blocks(response, url):
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
            arrived = file.tell()
    if total is not None and arrived != total:
        raise InputError(url, "download", f"{total} bytes; call again to go on", f"the end after {arrived}")


def _ask(url: str, have: int) -> HTTPResponse | None:
    """The server's answer to a request for all bytes from number `have` on; None: there are none.

    Status 206 promises just these bytes, 200 all from the first.
    """
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        if error.code == 416 and have:  # nothing lies behind what we have: the checksum will tell
            return None
        raise InputError(url, "download", "the file", f"HTTP {error.code} {error.reason}") from error
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise InputError(url, "download", "a server that answers (no network?)", reason) from error
    if response.status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
        found = response.headers.get("Content-Range")
        response.close()
        raise InputError(url, "Content-Range", f"bytes {have}-, as asked for", found)
    return response


def _blocks(response: HTTPResponse, url: str) -> Iterator[bytes]:
    """The body, block by block; what the network does wrong is an `InputError`."""
    try:
        while block := response.read(BLOCK):
            yield block
    except (OSError, HTTPException) as error:
        raise InputError(
            url, "download", "an unbroken connection; call again to go on", str(error) or type(error).__name__
        ) from error


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
