"""Fetching: names of a list become names of files as they are, and secrets stay secret."""

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import pytest

from passerby import settings
from passerby.errors import BadInput
from passerby.video import fetch, ledger, loopback
from passerby.video.download import download

COOKIES = "# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\tsession\ts3cr3t\n"
RUN = (
    "import sys; from passerby import errors, settings; "
    "from passerby.video.download import download; "
    "errors.run(lambda: download("
    "settings.Videos.model_validate_json(sys.argv[1]), 'v', 'v.tsv'))"
)


class Host(BaseHTTPRequestHandler):
    """Keeps what it was sent; knows a page with two videos and a video that never ends."""

    video: ClassVar[bytes]
    seen: ClassVar[list[tuple[str, str, str]]]

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        sent = (self.path, self.headers.get("Authorization", ""), self.headers.get("Cookie", ""))
        self.seen.append(sent)
        if "refused" in self.path:
            return self.send_error(403)
        page = b'<html><video src="/a.mp4"></video><video src="/b.mp4"></video></html>'
        two = self.path.startswith("/two")
        body = page if two else self.video
        self.send_response(200)
        self.send_header("Content-Type", "text/html" if two else "video/mp4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if "slow" in self.path:
            self.wfile.write(body[:2000])
            self.wfile.flush()
            time.sleep(30)
        self.wfile.write(body)


@pytest.fixture
def host(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """`of(ids, rest, **changes)`: settings that ask the host, at an address that ends with rest."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    seen: list[tuple[str, str, str]] = []
    handler = type("Handler", (Host,), {"video": clip.read_bytes(), "seen": seen})
    with loopback.serve_handler(handler) as port:

        def of(ids: list[str], rest: str = "{id}", user: str = "", **changes: object) -> object:
            Path("list.txt").write_text("".join(f"syn+city+{id}\n" for id in ids))
            template = f"http://{user}127.0.0.1:{port}/{rest}"
            values = {"root": ".", "url_template": template, "format": "b", "retries": 0}
            return settings.Videos.model_validate({**values, **changes})

        yield SimpleNamespace(of=of, seen=seen)


def everything_below(folder: Path) -> bytes:
    return b"".join(p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file())


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["plain", "$HOME and %(id)s"])
def test_a_name_is_filled_in_by_nobody(
    folder: str, clips: SimpleNamespace, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ["$HOME", "${HOME}", "%(ext)s", "%%", "~", "{id}", "x" * 180]
    root = tmp_path / folder
    (root / "street" / "videos").mkdir(parents=True)
    (root / "street" / "list.txt").write_text("".join(f"syn+city+{id}\n" for id in ids))
    for id in ids:
        (root / "street" / "videos" / f"syn+city+{id}.mp4").write_bytes(clip.read_bytes())
    monkeypatch.chdir(root)
    monkeypatch.setenv("DVC_ROOT", str(root))
    rows = download(clips.served(), "v", "v.tsv")
    assert [row.state for row in rows] == ["ok"] * len(ids)
    assert sorted(os.listdir("v")) == sorted(f"syn+city+{id}.mp4" for id in ids)
    assert sorted(os.listdir(root)) == ["scratch", "street", "v", "v.tsv"]
    assert os.listdir(tmp_path) == [folder]


@pytest.mark.slow
def test_an_address_with_several_videos_is_said_to_be_one(host: SimpleNamespace) -> None:
    rows = download(host.of(["two", "one"]), "v", "v.tsv")
    assert [(row.state, row.reason) for row in rows] == [
        ("unreadable", "several videos at the address"),
        ("ok", ""),
    ]
    assert os.listdir("v") == ["syn+city+one.mp4"]


def test_secrets_of_the_environment_reach_the_host_and_nothing_else(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREET_PASSWORD", "p:w&+s3cr3t")
    monkeypatch.setenv("STREET_TOKEN", "t&s3cr3t/=")
    user, rest = "me:{env[STREET_PASSWORD]}@", "{id}?t={env[STREET_TOKEN]}"
    section = host.of(["a", "refused"], rest, user, max_unfinished_share=1.0)
    rows = download(section, "v", "v.tsv")
    assert [row.state for row in rows] == ["ok", "limited"]
    ((path, authorization),) = {sent[:2] for sent in host.seen if sent[0].startswith("/a")}
    assert path == "/a?t=t%26s3cr3t%2F%3D"
    sent = base64.b64decode(authorization.removeprefix("Basic ")).decode()
    assert sent == "me:p:w&+s3cr3t"
    assert b"s3cr3t" not in everything_below(Path())
    assert "s3cr3t" not in str(section) + section.model_dump_json()


@pytest.mark.slow
@pytest.mark.parametrize("value", ["t s3cr3t  x", "t s3cr3t\tx", f"t s3cr3t{'x' * 200}"])
def test_a_secret_that_a_message_would_quote_in_part_is_not_shown(
    value: str, host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREET_TOKEN", value)
    section = host.of(["a"], "{id}/{env[STREET_TOKEN]}", format="bv*[height=1]")
    with pytest.raises(BadInput, match="unreadable: Requested format is not available") as error:
        download(section, "v", "v.tsv")
    assert "s3cr3t" not in str(error.value)


@pytest.mark.parametrize(
    ("template", "id"),
    [
        ("http://[{env[STREET_TOKEN]}]/{id}", "a"),
        ("http://{id}.invalid/", "x" * 64),
        ("http://{id}.invalid/", "a..b"),
        ("http://\u2100.invalid/{id}", "a"),
        ("http://127.0.0.1/{id}#__youtubedl_smuggle=x", "a"),
    ],
)
def test_an_address_that_is_none_is_a_fault_of_its_video(
    template: str, id: str, host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREET_TOKEN", "S3cr3t")
    with pytest.raises(BadInput, match="1 unreadable: yt-dlp cannot read the address") as error:
        download(host.of([id], url_template=template), "v", "v.tsv")
    assert "s3cr3t" not in str(error.value).lower()


def test_a_secret_that_begins_as_another_is_hidden_whole() -> None:
    access = fetch.Access(secrets={"A": "abc", "B": "abcs3cr3t"})
    assert access.without_secrets("no abcs3cr3t, ABC") == "no ***, ***"
    assert fetch.Access().without_secrets("nothing to hide") == "nothing to hide"


@pytest.mark.parametrize("value", [None, ""])
def test_a_variable_that_is_not_set_is_named_before_anything_is_asked(
    value: str | None, host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STREET_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("STREET_TOKEN", value)
    with pytest.raises(BadInput, match=r"the environment has no STREET_TOKEN; set what"):
        download(host.of(["a"], "{id}?t={env[STREET_TOKEN]}"), "v", "v.tsv")
    assert host.seen == []


@pytest.mark.parametrize(
    "value", ["s3cr3t/", "s3cr3t x", "s3cr3t#", "s3cr3t?", "s3cr3té", "[s3cr3t"]
)
def test_a_password_that_an_address_cannot_hold_is_refused_and_not_shown(
    value: str, host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREET_PASSWORD", value)
    with pytest.raises(BadInput, match="STREET_PASSWORD in the environment holds a char") as error:
        download(host.of(["a"], user="me:{env[STREET_PASSWORD]}@"), "v", "v.tsv")
    assert "s3cr3t" not in str(error.value)


def test_a_refused_address_does_not_show_its_secret(
    host: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREET_PASSWORD", "s3cr3t")
    template = "file://me:{env[STREET_PASSWORD]}@x/{id}?v=literal&key={env[STREET_PASSWORD]}"
    with pytest.raises(BadInput) as error:
        download(host.of(["a"], url_template=template), "v", "v.tsv")
    assert "videos.url_template: file://***@x/{id}?v=***&key=" in str(error.value)
    assert "s3cr3t" not in str(error.value)
    assert "literal" not in str(error.value)


@pytest.mark.slow
def test_cookies_are_sent_and_never_lie_in_scratch(host: SimpleNamespace, tmp_path: Path) -> None:
    Path("cookies.txt").write_text(COOKIES)
    (tmp_path / "scratch").mkdir()
    section = host.of(["a", "slow"], cookies_file="cookies.txt", timeout_s=3)
    process = subprocess.Popen([sys.executable, "-c", RUN, section.model_dump_json()])
    while not list(Path("scratch").rglob("*.part")):
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {cookie for _, _, cookie in host.seen} == {"session=s3cr3t"}
    assert b"s3cr3t" not in everything_below(Path("scratch"))
    assert Path("cookies.txt").read_text() == COOKIES


@pytest.mark.slow
def test_bad_cookies_are_refused_before_anything_is_asked_and_spoil_nothing(
    host: SimpleNamespace,
) -> None:
    Path("cookies.txt").write_text('[{"name": "session", "value": "s3cr3t"}]')
    section = host.of(["a"], cookies_file="cookies.txt")
    done = subprocess.run(
        [sys.executable, "-c", RUN, section.model_dump_json()], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith("passerby: videos.cookies_file: cookies.txt: it is JSON; ")
    assert "s3cr3t" not in done.stdout + done.stderr
    assert host.seen == []
    Path("cookies.txt").write_text(COOKIES)
    assert [row.state for row in download(section, "v", "v.tsv")] == ["ok"]
    assert ledger.read("v.tsv")[0].frames == 40
