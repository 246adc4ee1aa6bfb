"""Downloading: real transfers from a real server, each fault with its own state, resumable."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from passerby import settings
from passerby.errors import BadInput, Stopped
from passerby.video import ledger, loopback
from passerby.video.download import download, summary
from passerby.video.ledger import Row


class Troubled(BaseHTTPRequestHandler):
    """A host that answers each name in its own bad way."""

    video: ClassVar[bytes]
    asked: ClassVar[Counter[str]]

    def log_message(self, format: str, *args: object) -> None: ...

    def do_GET(self) -> None:
        name = self.path.strip("/").removesuffix(".mp4")
        self.asked[name] += 1
        page = b"<html><body>log in first</body></html>" * 20
        if name.isdigit():
            return self.send_error(int(name))
        if name == "html":
            return self.send(page, "video/mp4", len(page))
        if name == "page":
            return self.send(page, "text/html", len(page))
        if name == "cut":
            return self.send(self.video[:20_000], "video/mp4", len(self.video))
        if name == "short":
            return self.send(self.video[:20_000], "video/mp4", 20_000)
        if name == "endless":
            return self.send(self.video * 40, "video/mp4", None)
        if name == "flaky" and self.asked[name] < 2:
            return self.send_error(503)
        return self.send(self.video, "video/mp4", len(self.video))

    def send(self, body: bytes, kind: str, length: int | None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def host(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """A troubled host; `settings(ids, ...)` writes their list and gives settings to download it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_ROOT", raising=False)
    attributes = {"video": clip.read_bytes(), "asked": Counter()}
    handler = type("Handler", (Troubled,), attributes)
    with loopback.serve_handler(handler) as port:

        def of(ids: list[str], **changes: Any) -> settings.Videos:
            (tmp_path / "list.txt").write_text("".join(f"syn+city+{id}\n" for id in ids))
            values = {
                "root": ".",
                "url_template": f"http://127.0.0.1:{port}/{{id}}.mp4",
                "format": "b",
                "retries": 1,
                "retry_wait_s": 0,
                "max_unfinished_share": 1.0,
            }
            return settings.Videos.model_validate({**values, **changes})

        yield SimpleNamespace(of=of, asked=attributes["asked"])


def states(rows: list[Row]) -> dict[str, tuple[str, str]]:
    return {row.name.removeprefix("syn+city+"): (row.state, row.reason) for row in rows}


def test_a_city_is_fetched_from_its_own_server(street: Path, clips: SimpleNamespace) -> None:
    download(clips.served(), "videos", "videos.tsv")
    rows = ledger.read("videos.tsv")
    assert [(row.name, row.state, row.frames, row.fps) for row in rows] == [
        ("syn+city+a", "ok", 40, 10.0),
        ("syn+city+-b_1", "ok", 40, 10.0),
    ]
    for row in rows:
        original = street / "videos" / f"{row.name}.mp4"
        assert Path("videos", f"{row.name}.mp4").read_bytes() == original.read_bytes()
    assert not Path("scratch/download").exists()


def test_two_downloads_write_the_same_bytes(street: Path, clips: SimpleNamespace) -> None:
    (street / "list.txt").write_text("syn+city+a\nsyn+city+gone\n")
    found = []
    for _ in range(2):  # the port is another one each time
        download(clips.served(), "videos", "videos.tsv")
        found.append(Path("videos.tsv").read_bytes())
    assert found[0] == found[1]
    assert b"removed\t-\t-\t-\t-\t-\t-\tHTTP 404" in found[0]


@pytest.mark.slow
def test_each_fault_has_its_own_state(host: SimpleNamespace) -> None:
    ids = ["good", "404", "410", "401", "403", "429", "451", "503", "html", "page", "cut"]
    rows = download(host.of([*ids, "short", "endless", "flaky"], max_size_mb=1), "v", "v.tsv")
    assert states(rows) == {
        "good": ("ok", ""),
        "404": ("removed", "HTTP 404"),
        "410": ("removed", "HTTP 410"),
        "401": ("private", "HTTP 401"),
        "403": ("limited", "HTTP 403"),
        "429": ("limited", "HTTP 429"),
        "451": ("blocked", "HTTP 451"),
        "503": ("network", "HTTP 503"),
        "html": (
            "unreadable",
            "not a video that can be read (Invalid data found when processing input)",
        ),
        "page": ("unreadable", "no video at the address"),
        "cut": ("network", "transfer cut"),
        "short": states(rows)["short"],
        "endless": ("too large", "more than 1 MB"),
        "flaky": ("ok", ""),
    }
    assert states(rows)["short"][0] == "unreadable"
    assert states(rows)["short"][1].startswith("cut short: it ends at frame ")
    assert host.asked["404"] == 1
    assert host.asked["503"] == 2
    assert sorted(os.listdir("v")) == ["syn+city+flaky.mp4", "syn+city+good.mp4"]


def test_too_large_by_its_stated_size_is_not_fetched(host: SimpleNamespace, clip: Path) -> None:
    section = host.of(["good", "a"], max_size_mb=clip.stat().st_size / 1e6 - 0.01)
    with pytest.raises(BadInput, match=r"not one of 2 videos could be had: 2 too large: more than"):
        download(section, "v", "v.tsv")


def test_refused_connection_is_the_network(host: SimpleNamespace) -> None:
    section = host.of(["a", "b"], url_template="http://127.0.0.1:9/{id}.mp4", retries=0)
    with pytest.raises(
        BadInput, match="not one of 2 videos could be had: 2 network: connection re"
    ):
        download(section, "v", "v.tsv")


def test_unfinished_lines_stop_the_stage_and_the_next_run_asks_only_them(
    host: SimpleNamespace,
) -> None:
    section = host.of(["good", "404", "flaky"], retries=0, max_unfinished_share=0.0)
    with pytest.raises(Stopped) as stop:
        download(section, "v", "v.tsv")
    assert stop.value.exit_code == 75
    assert str(stop.value).startswith(
        "download: 1 of 3 videos could not be had now: 1 network: HTTP 503 (syn+city+flaky)\n"
        "  what was fetched is kept: run again later"
    )
    assert not Path("v.tsv").exists()
    before = dict(host.asked)
    rows = download(section, "v", "v.tsv")
    assert [row.state for row in rows] == ["ok", "removed", "ok"]
    assert {name: host.asked[name] - before[name] for name in before} == {
        "good": 0,
        "404": 0,
        "flaky": 2,  # yt-dlp looks, then fetches
    }


def test_asking_ends_when_the_host_limits_too_often(host: SimpleNamespace) -> None:
    section = host.of(["429", *(f"v{n}" for n in range(20))], max_limited=1, workers=1)
    with pytest.raises(BadInput, match="20 limited: not asked, 1 limited: HTTP 429"):
        download(section, "v", "v.tsv")
    assert sum(host.asked.values()) == 1


def test_a_finished_download_whose_file_is_gone_is_fetched_again(host: SimpleNamespace) -> None:
    section = host.of(["good", "429"], max_unfinished_share=0.0)
    with pytest.raises(Stopped):
        download(section, "v", "v.tsv")
    (kept,) = Path("scratch/download").glob("*/videos/syn+city+good.mp4")
    kept.write_bytes(b"half")
    before = host.asked["good"]
    with pytest.raises(Stopped):
        download(section, "v", "v.tsv")
    assert host.asked["good"] == before + 2


def test_a_fetched_video_of_which_a_bit_has_changed_is_named_and_fetched_again(
    host: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Stopped):
        download(host.of(["a", "b", "429"], max_unfinished_share=0.0), "v", "v.tsv")
    (kept,) = Path("scratch/download").glob("*/videos/syn+city+a.mp4")
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)
    before = dict(host.asked)
    capsys.readouterr()
    download(host.of(["a", "b", "429"]), "v", "v.tsv")
    assert capsys.readouterr().err.count("damaged") == 1
    assert host.asked["a"] > before["a"]
    assert host.asked["b"] == before["b"]
    for name in "ab":
        row = next(row for row in ledger.read("v.tsv") if row.name == f"syn+city+{name}")
        assert hashlib.sha256(Path(f"v/{row.name}.mp4").read_bytes()).hexdigest() == row.sha256
        assert Path(f"v/{row.name}.mp4").stat().st_size == len(content)


@pytest.mark.parametrize("place", ["ok", "sha256", "fps", "{"])
def test_a_note_of_which_a_bit_has_changed_is_named_and_its_video_asked_for_again(
    host: SimpleNamespace, capsys: pytest.CaptureFixture[str], place: str
) -> None:
    with pytest.raises(Stopped):
        download(host.of(["a", "429"], max_unfinished_share=0.0), "v", "v.tsv")
    (note,) = Path("scratch/download").glob("*/done/syn+city+a.json")
    content = bytearray(note.read_bytes())
    content[content.index(place.encode())] ^= 1
    note.write_bytes(content)
    before = host.asked["a"]
    capsys.readouterr()
    rows = download(host.of(["a", "429"]), "v", "v.tsv")
    assert f"download: {note}: damaged: its checksum is not that of" in capsys.readouterr().err
    assert host.asked["a"] > before
    assert rows[0].state == "ok"


def test_a_city_drawn_anew_is_not_served_from_old_scratch(
    street: Path, clips: SimpleNamespace
) -> None:
    (street / "list.txt").write_text("syn+city+a\nsyn+city+bad\n")
    (street / "videos" / "syn+city+bad.mp4").write_text("<html>")
    first = download(clips.served(), "v", "v.tsv")
    assert [row.state for row in first] == ["ok", "unreadable"]
    clips.encoded(street / "videos" / "syn+city+bad.mp4", options={"crf": "30"})
    assert [row.state for row in download(clips.served(), "v", "v.tsv")] == ["ok", "ok"]


def test_cookies_are_copied_and_stay_as_they_are(
    street: Path, clips: SimpleNamespace, tmp_path: Path
) -> None:
    cookies = tmp_path / "cookies.txt"
    text = "# Netscape HTTP Cookie File\n.example.org\tTRUE\t/\tFALSE\t0\ta\tb\n"
    cookies.write_text(text)
    download(clips.served(cookies_file=str(cookies)), "v", "v.tsv")
    assert cookies.read_text() == text
    with pytest.raises(BadInput, match=r"videos.cookies_file: gone.txt: no such file"):
        download(clips.served(cookies_file="gone.txt"), "v", "v.tsv")


def test_loopback_is_asked_past_the_proxy_of_the_machine(
    street: Path, clips: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    rows = download(clips.served(), "v", "v.tsv")
    assert [row.state for row in rows] == ["ok", "ok"]


def test_missing_folder_and_unknown_scheme_are_refused(
    street: Path, clips: SimpleNamespace
) -> None:
    with pytest.raises(BadInput, match=r"nowhere/list.txt: no such file"):
        download(clips.served(root="nowhere"), "v", "v.tsv")
    section = clips.served(serve=False, url_template="file:///{name}.mp4")
    with pytest.raises(BadInput, match=r"videos.url_template: file:///\{name\}.mp4: "):
        download(section, "v", "v.tsv")


def test_settings_of_addresses_are_checked() -> None:
    with pytest.raises(ValueError, match=r"no places but \{id\}, \{name\}, \{country\}"):
        settings.Videos(root=".", url_template="http://x/{key}")
    with pytest.raises(ValueError, match=r"'serve: true' and a '\{port\}' in url_template"):
        settings.Videos(root=".", url_template="http://127.0.0.1:{port}/{id}")


def test_summary_names_repeats_and_fast_videos() -> None:
    rows = [Row("a+b+c", "ok", fps=59.94), Row("a+b+d", "ok", fps=30.3), Row("a+b+e", "private")]
    assert summary(rows, 2, settings.Videos(root=".")) == (
        "3 videos: ok 2, private 1; 2 repeated lines; faster than 30 frames/s: a+b+c"
    )


@pytest.mark.slow
def test_killed_download_goes_on_and_fetches_nothing_twice(host: SimpleNamespace) -> None:
    section = host.of([f"v{n}" for n in range(6)], workers=1, sleep_s=0.5)
    code = (
        "import sys, json; from passerby import settings; "
        "from passerby.video.download import download; "
        "download(settings.Videos.model_validate_json(sys.argv[1]), 'v', 'v.tsv')"
    )
    process = subprocess.Popen([sys.executable, "-c", code, section.model_dump_json()])
    while len(list(Path("scratch").glob("download/*/done/*.json"))) < 2:
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(Path("scratch").glob("download/*/done/*.json")))
    rows = download(section.model_copy(update={"sleep_s": 0.0}), "v", "v.tsv")
    assert [row.state for row in rows] == ["ok"] * 6
    assert len(os.listdir("v")) == 6
    twice = sum(host.asked[f"v{n}"] > 2 for n in range(6))
    assert twice <= 1 < done  # only what was under way when it was killed
