"""Fetching one video with yt-dlp's Python API, and saying what became of it.

Videos of a synthetic city come from a server on loopback through the same code.
"""

import shutil
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yt_dlp

from passerby import files
from passerby.errors import BadInput
from passerby.settings import Videos
from passerby.video import decode, faults
from passerby.video.ledger import Row
from passerby.video.listing import Entry


class TooLarge(Exception):
    """The transfer went beyond the size limit."""


class _Silent:
    """yt-dlp's log goes nowhere: the ledger says what happened to each video."""

    def debug(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


def address(template: str, entry: Entry, port: int = 0) -> str:
    """The address of a video.

    Example:
        >>> address("http://127.0.0.1:{port}/{name}.mp4", Entry("syn", "city", "s01"), 80)
        'http://127.0.0.1:80/syn%2Bcity%2Bs01.mp4'
    """
    parts = {"id": entry.id, "name": entry.name, "country": entry.country, "city": entry.city}
    return template.format(port=port, **{key: quote(part, safe="") for key, part in parts.items()})


def selector(section: Videos) -> str:
    """The format selector with the size and rate limits in place."""
    text = section.format.replace("{max_height_px}", str(section.max_height_px))
    return text.replace("{max_fps}", str(section.max_fps))


def fetch(section: Videos, entry: Entry, port: int, into: Path) -> Row:
    """Fetch one video into `into/NAME.mp4` and look into it.

    A transfer that was cut earlier is taken up where it ended. A video that is not ok leaves no
    file, except a part of one when the state is retryable.

    Args:
        section: How to download.
        entry: Which video.
        port: Port of the loopback server, where there is one.
        into: A folder for the file and its part.

    Raises:
        BadInput: the fault is not the video's: the address has no known scheme, the disk is full.
    """
    path = into / f"{entry.name}.mp4"
    path.unlink(missing_ok=True)  # yt-dlp would take whatever bears the name for the whole video
    try:
        saved = _transfer(section, address(section.url_template, entry, port), path)
    except TooLarge:
        saved = False
    except yt_dlp.networking.exceptions.RequestError as error:  # outside DownloadError: a setting
        raise BadInput(f"videos.url_template: {section.url_template}: {error}") from None
    except yt_dlp.utils.YoutubeDLError as error:
        state, reason = faults.classify(error)
        return Row(entry.name, state, reason=reason)
    most = int(section.max_size_mb * 1e6)
    if not saved or path.stat().st_size > most:
        _remove(path)
        return Row(entry.name, "too large", reason=f"more than {section.max_size_mb:g} MB")
    return _examined(entry.name, path)


def _transfer(section: Videos, url: str, path: Path) -> bool:
    """Download `url` to `path`; whether there is a file now (there is none beyond the limit)."""
    cookies = path.with_suffix(".cookies")
    try:
        if section.cookies_file:  # a copy: yt-dlp writes its cookie file anew, and threads share it
            shutil.copy(section.cookies_file, cookies)  # with its mode: it is a secret
        with yt_dlp.YoutubeDL(_options(section, path, cookies)) as client:
            info = client.extract_info(url)
    finally:
        cookies.unlink(missing_ok=True)
    asked = (info or {}).get("requested_downloads") or [{}]
    # Beyond max_filesize yt-dlp reports success, and a download without a path.
    return bool(asked[0].get("filepath")) and path.exists()


def _options(section: Videos, path: Path, cookies: Path) -> dict[str, Any]:
    most = int(section.max_size_mb * 1e6)

    def watch(state: dict[str, Any]) -> None:
        if state.get("downloaded_bytes", 0) > most:  # a server that did not say how much it sends
            raise TooLarge

    options: dict[str, Any] = {
        "format": selector(section),
        "outtmpl": {"default": str(path).replace("%", "%%")},
        "max_filesize": most,
        "progress_hooks": [watch],
        "noplaylist": True,
        "retries": section.retries,
        "extractor_retries": section.retries,
        "fragment_retries": section.retries,
        "retry_sleep_functions": {"http": lambda n: section.retry_wait_s * 2**n},
        "socket_timeout": section.timeout_s,
        "ratelimit": section.rate_limit_kb_s * 1000 or None,
        "js_runtimes": {name: {} for name in section.js_runtimes},
        "cookiefile": str(cookies) if section.cookies_file else None,
        "cachedir": False,
        "updatetime": False,
        "fixup": "never",
        "quiet": True,
        "no_warnings": True,
        "noprogress": True,
        "logger": _Silent(),
    }
    if section.serve:
        options["proxy"] = ""  # a proxy of the machine's cannot reach its loopback
    return options


def _examined(name: str, path: Path) -> Row:
    """The row of a file that came: its hash and what is in it, or that it cannot be read."""
    try:
        info = decode.probe(path)
    except BadInput as error:
        _remove(path)
        return Row(name, "unreadable", reason=str(error).removeprefix(f"{path}: "))
    return Row(
        name,
        "ok",
        bytes=path.stat().st_size,
        frames=info.frames,
        fps=info.fps,
        width=info.width,
        height=info.height,
        sha256=files.sha256(path),
    )


def _remove(path: Path) -> None:
    for file in (path, path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.ytdl")):
        file.unlink(missing_ok=True)
