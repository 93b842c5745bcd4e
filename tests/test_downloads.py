"""Downloads, from a server on this machine whose sent bytes are counted."""

import hashlib
import io
import resource
import shutil
import socket
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from minipose import InputError
from minipose.cli import main
from minipose.data.downloads import ARCHIVES, Archive, download, fetch, unpack
from minipose.data.formats.files import GUIDES

CONTENT = np.random.default_rng(0).bytes(3_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Sends its contents, as far as and with the headers that the server says."""

    def do_GET(self):
        server = self.server
        if (content := server.contents.get(self.path)) is None:
            return self.send_error(404)
        self.send_response(200)
        if server.length:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        body = content[: server.cut]
        server.sent.append(len(body))  # first: the client may be done before `write` returns
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on 127.0.0.1 whose `cut` is the byte at which it hangs up."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.length, server.cut, server.sent = True, None, []
        server.contents = {"/file": CONTENT}
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
    assert "100%" in capsys.readouterr().err


def test_a_broken_connection_keeps_nothing(server, tmp_path):
    path = tmp_path / "data.zip"
    server.cut = 1_000_000
    with pytest.raises(InputError, match="download: expected the whole file from the server") as error:
        download(server.url, path, SHA256, progress=False)
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []
    server.cut = None
    download(server.url, path, SHA256, progress=False)
    assert path.read_bytes() == CONTENT
    assert files(tmp_path) == ["data.zip"]


def test_server_without_lengths(server, tmp_path):
    server.length, server.cut = False, 1_000_000
    with pytest.raises(InputError, match="SHA-256"):
        download(server.url, tmp_path / "data.zip", SHA256, progress=False)
    assert files(tmp_path) == []
    server.cut = None
    download(server.url, tmp_path / "data.zip", SHA256, progress=False)
    assert (tmp_path / "data.zip").read_bytes() == CONTENT


def test_wrong_checksum_keeps_nothing(server, tmp_path):
    wanted = "0" * 64
    with pytest.raises(
        InputError, match=rf"SHA-256: expected {wanted} \(nothing was kept\), found .*{SHA256}"
    ) as error:
        download(server.url, tmp_path / "data.zip", wanted, progress=False)
    assert "\n" not in str(error.value)
    assert files(tmp_path) == []


def test_errors_of_server_and_network(server, tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(b"as it was")
    with pytest.raises(InputError, match="elsewhere: download: expected the whole file .* 404"):
        download(server.url.replace("file", "elsewhere"), path, SHA256)
    with socket.socket() as free:  # bound, but nobody listens
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file"
        with pytest.raises(InputError, match="expected the whole file from the server") as error:
            download(url, path, SHA256)
    assert "refused" in str(error.value) and "\n" not in str(error.value)
    for url in ("file:///etc/hostname", "data.zip"):
        with pytest.raises(InputError, match="begins with http"):
            download(url, path, SHA256)
    assert files(tmp_path) == ["data.zip"]
    assert path.read_bytes() == b"as it was"


def test_full_disk(server, tmp_path):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
    try:
        with pytest.raises(InputError, match=r"data.zip: download: expected .*room.*, found File too large"):
            download(server.url, tmp_path / "data.zip", SHA256, progress=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(tmp_path) == []


def zipped(*members: tuple[str, bytes]) -> bytes:
    """A zip archive in memory."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members:
            file.writestr(name, content)
    return archive.getvalue()


ANNOTATIONS = zipped(("annotations/captions.json", b"[]"), ("annotations/people.json", b'{"images": []}'))
PHOTOS = zipped(("val/", b""), ("val/000139.jpg", b"one" * 100_000), ("val/more/000285.jpg", b"two"))


def coco(server, monkeypatch, photos: bytes = PHOTOS) -> None:
    """COCO's table with two small archives on the test's own server."""
    server.contents |= {"/annotations.zip": ANNOTATIONS, "/val.zip": photos}
    sha256 = [hashlib.sha256(content).hexdigest() for content in (ANNOTATIONS, PHOTOS)]
    url = server.url.removesuffix("/file")
    archives = (
        Archive(f"{url}/annotations.zip", sha256[0], "annotations/people.json", "person_keypoints.json"),
        Archive(f"{url}/val.zip", sha256[1], "val/", "images"),
    )
    monkeypatch.setitem(ARCHIVES, "coco", archives)


def test_fetched_into_the_guides_layout(server, tmp_path, monkeypatch, capsys):
    coco(server, monkeypatch)
    assert main(["data", "coco", "--download", str(tmp_path / "coco")]) == 0
    root = tmp_path / "coco"
    assert files(root) == ["images", "person_keypoints.json"]
    assert (root / "person_keypoints.json").read_bytes() == b'{"images": []}'
    assert (root / "images" / "000139.jpg").read_bytes() == b"one" * 100_000
    assert (root / "images" / "more" / "000285.jpg").read_bytes() == b"two"
    assert f"{root / 'images'} is there" in capsys.readouterr().out
    assert all(f"coco/{name}" in GUIDES["coco"] for name in files(root))
    assert fetch("coco", root, progress=False) == [root / "person_keypoints.json", root / "images"]
    assert len(server.sent) == 2  # nothing was sent twice


def test_the_real_table_is_the_guides():
    names = [archive.url.rpartition("/")[2] for archive in ARCHIVES["coco"]]
    assert all(name in GUIDES["coco"] for name in names)
    assert [archive.target for archive in ARCHIVES["coco"]] == ["person_keypoints.json", "images"]


def test_fetching_is_resumed(server, tmp_path, monkeypatch):
    """It breaks off in the second archive; the next call asks for that one alone."""
    coco(server, monkeypatch)
    server.cut = len(ANNOTATIONS)
    with pytest.raises(InputError, match="val.zip: download"):
        fetch("coco", tmp_path, progress=False)
    assert files(tmp_path) == ["person_keypoints.json"]
    server.cut = None
    fetch("coco", tmp_path, progress=False)
    assert files(tmp_path) == ["images", "person_keypoints.json"]
    assert server.sent == [len(ANNOTATIONS), len(ANNOTATIONS), len(PHOTOS)]


def test_fetching_another_archive_keeps_nothing_of_it(server, tmp_path, monkeypatch, capsys):
    coco(server, monkeypatch, photos=zipped(("val/000139.jpg", b"another photo")))
    assert main(["data", "coco", "--download", str(tmp_path)]) == 2
    assert "val.zip: SHA-256: expected" in capsys.readouterr().err
    assert files(tmp_path) == ["person_keypoints.json"]


def test_an_unpacking_that_broke_off_is_done_again(tmp_path, monkeypatch):
    (tmp_path / "val.zip").write_bytes(PHOTOS)
    whole = shutil.copyfileobj

    def breaks_off(source, copy):
        if source.name.endswith("285.jpg"):
            raise KeyboardInterrupt
        whole(source, copy)

    monkeypatch.setattr(shutil, "copyfileobj", breaks_off)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "val.zip", "val/", tmp_path / "images")
    assert files(tmp_path) == [".images.partial", "val.zip"]
    (tmp_path / ".images.partial" / "of another time.jpg").write_bytes(b"")
    monkeypatch.undo()
    unpack(tmp_path / "val.zip", "val/", tmp_path / "images")
    assert files(tmp_path) == ["images", "val.zip"]
    assert files(tmp_path / "images") == ["000139.jpg", "more"]


@pytest.mark.parametrize("name", ["val/../../evil.jpg", "val//evil.jpg", "val/more/../../../evil.jpg"])
def test_no_name_leads_out_of_the_folder(tmp_path, name):
    hostile = zipped(("val/000139.jpg", b"one"), (name, b"evil"))
    (tmp_path / "val.zip").write_bytes(hostile)
    unpack(tmp_path / "val.zip", "val/", tmp_path / "coco" / "images")
    assert files(tmp_path) == ["coco", "val.zip"]
    assert files(tmp_path / "coco") == ["images"]
    assert (tmp_path / "coco" / "images" / "000139.jpg").read_bytes() == b"one"


def test_links_in_an_archive_are_plain_files(tmp_path):
    link = zipfile.ZipInfo("val/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "val.zip", "w") as archive:
        archive.writestr(link, str(tmp_path))
        archive.writestr("val/link2/evil.jpg", b"inside")
    unpack(tmp_path / "val.zip", "val/", tmp_path / "images")
    assert not (tmp_path / "images" / "link").is_symlink()
    assert (tmp_path / "images" / "link").read_text() == str(tmp_path)


def test_archives_that_are_none(tmp_path):
    archive, target = tmp_path / "val.zip", tmp_path / "images"
    for content, message in (
        (b"no archive", "val.zip: archive: expected a whole zip archive"),
        (PHOTOS[:-30], "val.zip: archive: expected a whole zip archive"),
        (PHOTOS[:60] + b"xxxx" + PHOTOS[64:], "val.zip: archive: expected a whole zip archive"),
        (ANNOTATIONS, "val.zip: val/: expected a file or folder of this name"),
    ):
        archive.write_bytes(content)
        with pytest.raises(InputError, match=message) as error:
            unpack(archive, "val/", target)
        assert "\n" not in str(error.value)
        assert not target.exists()
    archive.write_bytes(PHOTOS)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="unpacking: expected a folder with room and permission to write"):
        unpack(archive, "val/", tmp_path / "file" / "images")


@pytest.mark.parametrize("name", ["puppets", "mpii", "flic", "lspet", "lsp"])
def test_what_may_not_be_fetched_is_refused(tmp_path, capsys, name):
    assert main(["data", name, "--download", str(tmp_path)]) == 2
    message = capsys.readouterr().err.strip()
    assert f"{name}: --download: expected coco" in message
    assert f"`minipose data {name}` says where" in message
    assert "\n" not in message
    assert files(tmp_path) == []
