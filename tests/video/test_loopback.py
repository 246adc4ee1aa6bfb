"""The loopback server: whole files, ranges, and nothing outside its folder."""

import http.client
from pathlib import Path

import pytest

from passerby.video import loopback


def ask(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, str | None]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    found = answer.status, answer.read(), answer.getheader("Content-Range")
    connection.close()
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a+b+c.mp4").write_bytes(bytes(range(100)))
    (tmp_path / "in" / "empty").touch()
    (tmp_path / "secret").write_text("outside")
    return tmp_path / "in"


def test_server_sends_whole_files_and_ranges(folder: Path) -> None:
    data = bytes(range(100))
    with loopback.serve(folder) as port:
        assert ask(port, "/a%2Bb%2Bc.mp4") == (200, data, None)
        assert ask(port, "/a+b+c.mp4", Range="bytes=10-19") == (206, data[10:20], "bytes 10-19/100")
        assert ask(port, "/a+b+c.mp4", Range="bytes=90-") == (206, data[90:], "bytes 90-99/100")
        assert ask(port, "/a+b+c.mp4", Range="bytes=-5") == (206, data[95:], "bytes 95-99/100")
        assert ask(port, "/a+b+c.mp4", Range="bytes=100-") == (416, b"", "bytes */100")
        assert ask(port, "/a+b+c.mp4", method="HEAD") == (200, b"", None)
        assert ask(port, "/empty") == (200, b"", None)


def test_server_knows_nothing_outside_its_folder(folder: Path) -> None:
    with loopback.serve(folder) as port:
        for path in ("/../secret", "/%2e%2e/secret", "/nothing", "/", "//secret"):
            assert ask(port, path)[0] == 404


def test_server_ends_with_its_context(folder: Path) -> None:
    with loopback.serve(folder) as port:
        pass
    with pytest.raises(ConnectionRefusedError):
        ask(port, "/a+b+c.mp4")
