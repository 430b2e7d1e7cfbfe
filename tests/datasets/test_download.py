from __future__ import annotations

import gzip
import hashlib
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from archindex.core.errors import ArgumentError, DataUnavailableError, StorageError
from archindex.core.metrics import MeasurementSpec, Series
from archindex.datasets import DATASETS, Table, get, info, load
from archindex.datasets.download import downloads_folder, fetch
from archindex.datasets.known import DatasetSpec, OfficialFile

KB64 = 65_536  # what is written at a time
CONTENT = np.random.default_rng(0).bytes(5_000_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site:
    """What a small web server does, and what it was asked."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.validators = {"ETag": '"1"'}
        self.drops: list[int] = []  # bytes after which the next answers end
        self.status: dict[str, int] = {}
        self.ranges = True
        self.kind = "application/octet-stream"
        self.encoding = ""
        self.asked: list[tuple[str, str | None]] = []
        self.address = ""

    def url(self, name: str = "file.bin") -> str:
        return f"{self.address}/{name}"


class Handler(BaseHTTPRequestHandler):
    site: Site

    def do_GET(self) -> None:
        site = self.site
        asked = self.headers.get("Range")
        site.asked.append((self.path, asked))
        status = site.status.get(self.path, 200)
        if status != 200:
            self.send_error(status)
            return
        start = 0
        if asked and site.ranges and self.headers.get("If-Range") in site.validators.values():
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(site.content):
                self.send_error(416)
                return
        body = site.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.content) - 1}/{len(site.content)}")
        for name, value in site.validators.items():
            self.send_header(name, value)
        self.send_header("Content-Type", site.kind)
        self.send_header("Content-Length", str(len(body)))
        if site.encoding:
            self.send_header("Content-Encoding", site.encoding)
        self.end_headers()
        if site.drops:
            body = body[: site.drops.pop(0)]
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are part of the tests."""


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    state = Site()
    server = Server(("127.0.0.1", 0), type("Handler", (Handler,), {"site": state}))
    state.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr("archindex.datasets.resume.WAIT_SECONDS", 0.001)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARCHINDEX_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ARCHINDEX_OFFLINE", raising=False)
    return tmp_path / "home"


def spec(*urls: str, sha256: str = "", size: int | None = None) -> DatasetSpec:
    return DatasetSpec(
        name="toy",
        space="nasbench201",
        rows=1,
        measures="accuracy",
        description="for tests",
        licence="CC0",
        citation="nobody",
        homepage="https://example.org/toy",
        files=(OfficialFile("toy.bin", urls, sha256, size),),
    )


def fetched(about: DatasetSpec, **options: Any) -> bytes:
    paths = fetch(about, **options)
    assert list(paths) == ["toy.bin"]
    return paths["toy.bin"].read_bytes()


def names() -> list[str]:
    return sorted(path.name for path in downloads_folder().iterdir() if path.suffix != ".lock")


def test_a_file_is_fetched_once_and_its_checksum_is_kept(site: Site) -> None:
    seen: list[tuple[int, int]] = []
    assert fetched(spec(site.url()), progress=lambda _, done, total: seen.append((done, total))) == CONTENT
    assert names() == ["toy.bin", "toy.bin.sha256"]
    assert (downloads_folder() / "toy.bin.sha256").read_text() == f"{SHA256}  toy.bin\n"
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert fetched(spec(site.url())) == CONTENT
    assert len(site.asked) == 1


def test_a_published_checksum_is_enough(site: Site) -> None:
    assert fetched(spec(site.url(), sha256=SHA256, size=len(CONTENT))) == CONTENT
    assert names() == ["toy.bin"]


def test_a_dropped_connection_goes_on_where_it_stopped(site: Site) -> None:
    site.drops = [32 * KB64, 16 * KB64]
    assert fetched(spec(site.url(), sha256=SHA256)) == CONTENT
    asked = [have for _, have in site.asked]
    assert asked[0] is None
    assert asked[1:] == [f"bytes={32 * KB64}-", f"bytes={48 * KB64}-"]


def test_a_later_call_goes_on_where_an_earlier_one_stopped(site: Site) -> None:
    site.drops = [48 * KB64, 0, 0, 0, 0, 0]
    with pytest.raises(DataUnavailableError, match="archindex data get toy, which goes on where it stopped"):
        fetch(spec(site.url()))
    assert names() == ["toy.bin.part", "toy.bin.part.json"]
    site.drops, site.asked = [], []
    assert fetched(spec(site.url())) == CONTENT
    assert site.asked == [("/file.bin", f"bytes={48 * KB64}-")]
    assert names() == ["toy.bin", "toy.bin.sha256"]


@pytest.mark.parametrize("change", ["new version", "weak", "none", "no ranges", "other address"])
def test_two_versions_are_never_joined(site: Site, change: str) -> None:
    if change in ("weak", "none"):
        site.validators = {"ETag": 'W/"1"'} if change == "weak" else {}
    site.drops = [48 * KB64, 0, 0, 0, 0, 0]
    with pytest.raises(DataUnavailableError):
        fetch(spec(site.url()))
    site.drops = []
    new = CONTENT if change == "no ranges" else bytes(reversed(CONTENT))
    site.content = new
    site.ranges = change != "no ranges"
    if change == "new version":
        site.validators = {"ETag": '"2"'}
    address = site.url("other.bin") if change == "other address" else site.url()
    assert fetched(spec(address)) == new


def test_last_modified_will_do_where_there_is_no_etag(site: Site) -> None:
    site.validators = {"Last-Modified": "Sat, 01 Jan 2022 00:00:00 GMT"}
    site.drops = [16 * KB64]
    assert fetched(spec(site.url(), sha256=SHA256)) == CONTENT
    assert site.asked[1] == ("/file.bin", f"bytes={16 * KB64}-")


def test_a_part_that_is_longer_than_the_whole_is_fetched_anew(site: Site) -> None:
    downloads_folder().mkdir(parents=True)
    (downloads_folder() / "toy.bin.part").write_bytes(CONTENT + b"more")
    (downloads_folder() / "toy.bin.part.json").write_text(json.dumps({"url": site.url(), "validator": '"1"'}))
    assert fetched(spec(site.url(), sha256=SHA256)) == CONTENT


def test_a_server_that_always_drops_at_one_place_is_given_up(site: Site) -> None:
    # Without a validator every attempt begins anew and comes as far as the one before.
    site.validators = {}
    site.drops = [16 * KB64] * 100
    with pytest.raises(DataUnavailableError, match=r"Incomplete|ended"):
        fetch(spec(site.url()))
    assert len(site.asked) < 10


def test_a_compressed_answer_is_taken_whole(site: Site) -> None:
    site.content, site.encoding = gzip.compress(CONTENT), "gzip"
    assert fetched(spec(site.url(), sha256=SHA256)) == CONTENT


@pytest.mark.parametrize("state", ["", "{", "[]", '{"url": 1}'])
def test_a_part_of_unknown_origin_is_not_used(site: Site, state: str) -> None:
    downloads_folder().mkdir(parents=True)
    (downloads_folder() / "toy.bin.part").write_bytes(b"something")
    (downloads_folder() / "toy.bin.part.json").write_text(state)
    assert fetched(spec(site.url())) == CONTENT


def test_mirrors_are_tried_in_order(site: Site) -> None:
    site.status = {"/gone.bin": 404, "/broken.bin": 500}
    dead = "http://127.0.0.1:9/file.bin"
    urls = (
        dead,
        site.url("gone.bin"),
        site.url("broken.bin"),
        site.url("mirror.bin"),
        site.url("unused.bin"),
    )
    assert fetched(spec(*urls)) == CONTENT
    asked = [path for path, _ in site.asked]
    assert asked[0] == "/gone.bin"
    assert asked.count("/gone.bin") == 1
    assert asked.count("/broken.bin") > 1
    assert asked[-1] == "/mirror.bin"


def test_where_no_address_works_every_reason_is_told(site: Site) -> None:
    site.status = {"/a": 404, "/b": 403}
    with pytest.raises(DataUnavailableError) as raised:
        fetch(spec(site.url("a"), site.url("b")))
    for part in (f"{site.url('a')}: the server answered 404", f"{site.url('b')}: the server answered 403"):
        assert part in str(raised.value)
    assert "https://example.org/toy) and type: archindex data get toy --from-file FILE" in str(raised.value)
    assert names() == []


def test_a_file_with_another_checksum_or_size_is_not_kept(site: Site) -> None:
    for wrong in (spec(site.url(), sha256="0" * 64), spec(site.url(), size=17)):
        with pytest.raises(DataUnavailableError, match=r"not the file that its authors published|not 17"):
            fetch(wrong)
        assert names() == []
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(DataUnavailableError, match="a web page and not with a file"):
        fetch(spec(site.url()))
    assert names() == []


def test_a_damaged_copy_is_noticed_and_fetched_again(site: Site) -> None:
    about = spec(site.url())
    path = fetch(about)["toy.bin"]
    path.write_bytes(CONTENT[:-1])
    assert fetched(about) == CONTENT
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(DataUnavailableError, match="downloads are off"):
        fetch(about, offline=True)
    # What the address gives now is not what came first: the user decides.
    site.content = CONTENT[::-1]
    with pytest.raises(DataUnavailableError, match=r"delete .*toy\.bin\.sha256"):
        fetch(about)
    (downloads_folder() / "toy.bin.sha256").unlink()
    path.unlink(missing_ok=True)
    assert fetched(about) == CONTENT[::-1]


def test_a_file_laid_there_by_hand_is_taken_and_stays_as_it_is(site: Site) -> None:
    downloads_folder().mkdir(parents=True)
    (downloads_folder() / "toy.bin").write_bytes(b"mine")
    assert fetched(spec(), offline=True) == b"mine"
    (downloads_folder() / "toy.bin").write_bytes(b"other")
    with pytest.raises(DataUnavailableError, match="downloads are off"):
        fetch(spec(), offline=True)


@pytest.mark.parametrize("how", ["argument", "environment"])
def test_offline_nothing_is_fetched(site: Site, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fetch(spec(site.url()))
    options: dict[str, Any] = {"offline": True} if how == "argument" else {}
    if how == "environment":
        monkeypatch.setenv("ARCHINDEX_OFFLINE", "1")
    assert fetched(spec(site.url()), **options) == CONTENT
    (downloads_folder() / "toy.bin").unlink()
    site.asked = []
    with pytest.raises(DataUnavailableError, match="without --offline and ARCHINDEX_OFFLINE"):
        fetch(spec(site.url()), **options)
    assert site.asked == []
    monkeypatch.setenv("ARCHINDEX_OFFLINE", "0")
    assert fetched(spec(site.url())) == CONTENT


def test_a_file_without_an_address_has_to_be_given(tmp_path: Path) -> None:
    with pytest.raises(DataUnavailableError, match=r"give no address.*--from-file FILE"):
        fetch(spec())
    assert not downloads_folder().exists()


def test_a_disk_that_refuses_is_told(home: Path, site: Site) -> None:
    home.write_text("a file where the folder should be")
    with pytest.raises(StorageError, match="expected to write"):
        fetch(spec(site.url()))


def test_nothing_is_written_to_the_terminal(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    fetch(spec(site.url()))
    assert capfd.readouterr() == ("", "")


# A data set made of one official file: bytes of it are its values.


def convert(paths: Mapping[str, Path]) -> Table:
    data = paths["toy.bin"].read_bytes()
    if len(data) < 10:
        raise DataUnavailableError("expected at least ten bytes", got=len(data))
    value = np.array([float(data[0]) / 3])
    native = "|nor_conv_3x3~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    about: DatasetSpec = TOY.SPEC
    return about.table([native], [Series(MeasurementSpec("acc", "cifar10", "test"), value)])


TOY: Any = ModuleType("archindex_toy_for_tests")
TOY.convert = convert


@pytest.fixture
def toy(site: Site, monkeypatch: pytest.MonkeyPatch) -> Any:
    TOY.SPEC = spec(site.url())
    monkeypatch.setitem(sys.modules, TOY.__name__, TOY)
    monkeypatch.setitem(DATASETS, "toy", TOY.__name__)
    return TOY


def test_get_fetches_and_converts_once(toy: Any, site: Site) -> None:
    assert not info("toy").available
    with pytest.raises(DataUnavailableError, match="archindex data get toy"):
        load("toy")
    about = get("toy")
    assert about.available
    assert load("toy").series[0].values[0] == CONTENT[0] / 3
    get("toy")
    assert len(site.asked) == 1


def test_get_takes_a_file_that_the_user_has(toy: Any, site: Site, tmp_path: Path) -> None:
    mine = tmp_path / "renamed.bin"
    mine.write_bytes(b"\x09" * 20)
    get("toy", from_files=[mine], offline=True)
    assert load("toy").series[0].values[0] == 3
    (tmp_path / "toy.bin").write_bytes(b"\x0c" * 20)
    get("toy", from_files=[tmp_path])
    assert load("toy").series[0].values[0] == 4
    assert site.asked == []
    # A file that cannot be converted leaves what was there.
    mine.write_bytes(b"\x00")
    with pytest.raises(DataUnavailableError, match="ten bytes"):
        get("toy", from_files=[mine])
    assert load("toy").series[0].values[0] == 4
    TOY.SPEC = spec(site.url(), sha256=SHA256)
    with pytest.raises(DataUnavailableError, match="published another checksum"):
        get("toy", from_files=[mine])
    with pytest.raises(ArgumentError, match="exists"):
        get("toy", from_files=[tmp_path / "none"])
    with pytest.raises(ArgumentError, match="expected no files for nasbench201"):
        get("nasbench201", from_files=[mine])


def test_files_of_a_data_set_are_told_apart_by_name(tmp_path: Path) -> None:
    about = DatasetSpec(
        **{
            **{name: getattr(spec(), name) for name in ("name", "space", "rows", "measures", "description")},
            "licence": "",
            "citation": "",
            "homepage": "https://example.org",
            "files": (OfficialFile("a.csv", ()), OfficialFile("b.csv", ())),
        }
    )
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(name)
    for given in ([tmp_path], [tmp_path / "b.csv", tmp_path / "a.csv"]):
        assert {k: v.read_text() for k, v in fetch(about, from_files=given).items()} == {
            "a.csv": "a.csv",
            "b.csv": "b.csv",
        }
    with pytest.raises(ArgumentError, match=r"expected b\.csv of the data set toy.*give a\.csv, b\.csv"):
        fetch(about, from_files=[tmp_path / "a.csv"])
