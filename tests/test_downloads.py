"""Downloads, from a server on this machine whose sent bytes are counted."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minipose import InputError
from minipose.data.downloads import download

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Sends CONTENT, from where a Range header asks on; what it does wrong stands on the server."""

    def do_GET(self):
        server = self.server
        if self.path != "/file":
            return self.send_error(404)
        start = 0
        if (wanted := self.headers["Range"]) and server.ranges:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(CONTENT):
                return self.send_error(416)
            self.send_response(206)
            first = start + server.shift
            self.send_header("Content-Range", f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.send_response(200)
        if server.length:
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start : server.cut]
        server.sent.append(len(body))  # first: the client may be done before `write` returns
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on 127.0.0.1 whose `cut` is the byte at which it hangs up."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.ranges, server.length, server.shift, server.cut, server.sent = True, True, 0, None, []
        server.url = f"http://127.0.0.1:{server.server_port}/file"
        server.handle_error = lambda *_: None  # a client that hangs up early is part of the tests
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def files(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole(server, tmp_path, capsys):
    path = tmp_path / "new" / "data.zip"
    assert download(server.url, path, SHA256.upper(), progress=False) == path
    assert path.read_bytes() == CONTENT
    assert files(path.parent) == ["data.zip"]
    assert capsys.readouterr().err == ""
    # A file that is there and right is not fetched again; one that is wrong is replaced.
    download(server.url, path, SHA256)
    assert server.sent == [len(CONTENT)]
    path.write_bytes(b"something else")
    download(server.url, path, SHA256)
    assert path.read_bytes() == CONTENT
    assert "data.zip: 100%" in capsys.readouterr().err


def test_interrupted_and_resumed(server, tmp_path):
    path = tmp_path / "data.zip"
    for cut, sent in ((1_000_000, 1_000_000), (1_700_000, 700_000)):
        server.cut = cut
        with pytest.raises(InputError, match=f"3000000 bytes; call again .* the end after {cut}"):
            download(server.url, path, SHA256, progress=False)
        assert files(tmp_path) == [".data.zip.partial"]
        assert (tmp_path / ".data.zip.partial").read_bytes() == CONTENT[:cut]
        assert server.sent[-1] == sent
    server.cut = None
    download(server.url, path, SHA256, progress=False)
    assert path.read_bytes() == CONTENT
    assert files(tmp_path) == ["data.zip"]
    # Every byte travelled once.
    assert server.sent == [1_000_000, 700_000, 1_300_000]


def test_server_without_ranges_or_lengths(server, tmp_path):
    path = tmp_path / "data.zip"
    server.ranges, server.cut = False, 1_000_000
    with pytest.raises(InputError, match="call again"):
        download(server.url, path, SHA256, progress=False)
    server.cut, server.length = None, False
    download(server.url, path, SHA256, progress=False)
    assert path.read_bytes() == CONTENT
    assert server.sent == [1_000_000, 3_000_000]


def test_all_had_arrived(server, tmp_path):
    (tmp_path / ".data.zip.partial").write_bytes(CONTENT)
    download(server.url, tmp_path / "data.zip", SHA256, progress=False)
    assert files(tmp_path) == ["data.zip"]
    assert server.sent == []


@pytest.mark.parametrize("partial", [b"", b"x" * 1000, b"x" * 3_000_001])
def test_wrong_checksum_keeps_nothing(server, tmp_path, partial):
    (tmp_path / ".data.zip.partial").write_bytes(partial)
    wanted = SHA256 if partial else "0" * 64
    with pytest.raises(InputError, match=rf"SHA-256: expected {wanted} \(nothing was kept\), found") as error:
        download(server.url, tmp_path / "data.zip", wanted, progress=False)
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []


def test_wrong_range(server, tmp_path):
    (tmp_path / ".data.zip.partial").write_bytes(CONTENT[:1000])
    server.shift = 7
    with pytest.raises(InputError, match="Content-Range: expected bytes 1000-, .* found bytes 1007-"):
        download(server.url, tmp_path / "data.zip", SHA256, progress=False)
    assert (tmp_path / ".data.zip.partial").read_bytes() == CONTENT[:1000]


def test_errors_of_server_and_network(server, tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(b"as it was")
    with pytest.raises(InputError, match="elsewhere: download: expected the file, found HTTP 404 Not Found"):
        download(server.url.replace("file", "elsewhere"), path, SHA256)
    with socket.socket() as free:  # bound, but nobody listens
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"
        with pytest.raises(InputError, match="expected a server that answers") as error:
            download(url, path, SHA256)
    assert "refused" in str(error.value) and "\n" not in str(error.value)
    for url in ("file:///etc/hostname", "data.zip"):
        with pytest.raises(InputError, match="begins with http"):
            download(url, path, SHA256)
    assert files(tmp_path) == ["data.zip"]
    assert path.read_bytes() == b"as it was"


def test_full_disk(server, tmp_path):
    (tmp_path / ".data.zip.partial").symlink_to("/dev/full")
    with pytest.raises(InputError, match=r"data.zip: download: expected .*room.*, found No space left"):
        download(server.url, tmp_path / "data.zip", SHA256, progress=False)
    assert not (tmp_path / "data.zip").exists()
