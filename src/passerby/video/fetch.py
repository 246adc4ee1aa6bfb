"""Fetching one video with yt-dlp's Python API, and saying what became of it.

Videos of a synthetic city come from a server on loopback through the same code.
"""

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yt_dlp

from passerby import files
from passerby.errors import BadInput, listing
from passerby.settings import Videos, addresses
from passerby.video import decode, faults
from passerby.video.ledger import Row
from passerby.video.listing import Entry

_SENDABLE = re.compile(r"[^\s/?#\[\]\\\x00-\x20\x7f-\U0010ffff]+")


class TooLarge(Exception):
    """The transfer went beyond the size limit."""


class Several(Exception):
    """The address is that of a page or a list with several videos."""


class _Silent:
    """yt-dlp's log goes nowhere: the ledger says what happened to each video."""

    def debug(self, text: str) -> None: ...
    def info(self, text: str) -> None: ...
    def warning(self, text: str) -> None: ...
    def error(self, text: str) -> None: ...


@dataclass(frozen=True)
class Access:
    """What a run has beside its settings to get at videos.

    Attributes:
        port: Of the loopback server, where there is one.
        cookies: Text of a checked cookies file; empty where there is none.
        secrets: Environment variables that the template of addresses names, with their values.
    """

    port: int = 0
    cookies: str = field(default="", repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)

    def without_secrets(self, text: str) -> str:
        """A message of others, less the secrets that it may quote."""
        return addresses.masked(self.hidden(text))

    def hidden(self, text: str) -> str:
        """A text, less the values of the environment variables, the longest first."""
        values = sorted(self.secrets.values(), key=len, reverse=True)
        forms = (form for value in values for form in (value, quote(value, safe="")))
        pattern = "|".join(map(re.escape, forms))  # in any case: names of hosts have none
        return re.sub(pattern, "***", text, flags=re.IGNORECASE) if pattern else text


def secrets(template: str) -> dict[str, str]:
    """The environment variables that a template of addresses names.

    Raises:
        BadInput: one is not set, or yt-dlp could not send it as a user or password.
    """
    found = {name: os.environ.get(name, "") for name in addresses.variables(template)}
    if missing := [name for name, value in found.items() if not value]:
        raise BadInput(
            f"videos.url_template: the environment has no {listing(missing)}; set what the address "
            "needs before the run"
        )
    user = addresses.variables(addresses.split(template)[1])
    if odd := [name for name in user if not _SENDABLE.fullmatch(found[name])]:
        raise BadInput(
            f"videos.url_template: {listing(odd)} in the environment holds a character that cannot "
            "stand in front of the '@' of an address; wanted ASCII without blanks and '/?#[]'"
        )
    return found


def address(template: str, entry: Entry, access: Access) -> str:
    """The address of a video.

    Example:
        >>> entry = Entry("syn", "city", "s01")
        >>> address("http://127.0.0.1:{port}/{name}.mp4", entry, Access(80))
        'http://127.0.0.1:80/syn%2Bcity%2Bs01.mp4'
        >>> address("http://me:{env[A]}@x/{id}?key={env[A]}", entry, Access(secrets={"A": "p&w"}))
        'http://me:p&w@x/s01?key=p%26w'
    """
    parts = {"id": entry.id, "name": entry.name, "country": entry.country, "city": entry.city}
    values: dict[str, Any] = {key: quote(part, safe="") for key, part in parts.items()}
    coded = {name: quote(value, safe="") for name, value in access.secrets.items()}
    scheme, user, host, rest = addresses.split(template)
    # yt-dlp sends what stands before the `@` as it is; all else is decoded by whom it reaches.
    return "".join(
        part.format(port=access.port, env=env, **values)
        for part, env in (
            (scheme, coded),
            (user, access.secrets),
            (host, coded),
            (rest, coded),
        )
    )


def selector(section: Videos) -> str:
    """The format selector with the size and rate limits in place."""
    text = section.format.replace("{max_height_px}", str(section.max_height_px))
    return text.replace("{max_fps}", str(section.max_fps))


def fetch(section: Videos, entry: Entry, access: Access, into: Path) -> Row:
    """Fetch one video into `into/NAME.mp4` and look into it.

    A transfer that was cut earlier is taken up where it ended. A video that is not ok leaves no
    file, except a part of one when the state is retryable.

    Args:
        section: How to download.
        entry: Which video.
        access: What is needed beside the settings.
        into: A folder for the file and its part.

    Raises:
        BadInput: the fault is not the video's: the address has no known scheme, the disk is full.
    """
    path = into / f"{entry.name}.mp4"
    arriving = into / f"{files.fingerprint(entry.name)}.mp4"
    for old in (path, arriving):  # yt-dlp would take whatever bears the name for the whole video
        old.unlink(missing_ok=True)
    url = address(section.url_template, entry, access)
    try:
        saved = _transfer(section, url, access, arriving)
    except TooLarge:
        saved = False
    except Several:
        return Row(entry.name, "unreadable", reason="several videos at the address")
    except yt_dlp.networking.exceptions.RequestError as error:  # outside DownloadError: a setting
        template = addresses.masked(section.url_template)
        words = access.without_secrets(str(error))
        raise BadInput(f"videos.url_template: {template}: {words}") from None
    except (yt_dlp.utils.YoutubeDLError, *faults.ODD) as error:
        state, reason = faults.classify(error, access.hidden)
        return Row(entry.name, state, reason=access.without_secrets(reason))
    most = int(section.max_size_mb * 1e6)
    if not saved or arriving.stat().st_size > most:
        _remove(arriving)
        return Row(entry.name, "too large", reason=f"more than {section.max_size_mb:g} MB")
    row = _examined(entry.name, arriving)
    if row.state == "ok":
        arriving.replace(path)
    return row


def _transfer(section: Videos, url: str, access: Access, path: Path) -> bool:
    """Download `url` to `path`; whether there is a file now (there is none beyond the limit)."""
    # From memory: yt-dlp writes its cookies anew, and threads share the file.
    cookies = io.StringIO(access.cookies) if access.cookies else None
    with _Client(_options(section, cookies), path) as client:
        info = client.extract_info(url) or {}
    if info.get("_type") == "playlist":
        raise Several
    asked = info.get("requested_downloads") or [{}]
    # Beyond max_filesize yt-dlp reports success, and a download without a path.
    return bool(asked[0].get("filepath")) and path.exists()


class _Client(yt_dlp.YoutubeDL):
    """A yt-dlp that writes to one path.

    Its own way to a file name is a template, in which `%(...)s`, `$NAME` and `~` are filled in:
    nothing that comes from a list or from the name of a folder goes through it.
    """

    def __init__(self, options: dict[str, Any], path: Path) -> None:
        self._path = path
        super().__init__(options)

    def prepare_filename(self, *_: Any, **__: Any) -> str:
        """The path, whatever is asked for: nothing but the video is written."""
        return str(self._path)


def _options(section: Videos, cookies: io.StringIO | None) -> dict[str, Any]:
    most = int(section.max_size_mb * 1e6)

    def watch(state: dict[str, Any]) -> None:
        if state.get("downloaded_bytes", 0) > most:  # a server that did not say how much it sends
            raise TooLarge

    options: dict[str, Any] = {
        "format": selector(section),
        "max_filesize": most,
        "progress_hooks": [watch],
        "noplaylist": True,
        "playlist_items": "0",  # none: several videos would get one name
        "retries": section.retries,
        "extractor_retries": section.retries,
        "fragment_retries": section.retries,
        "retry_sleep_functions": {"http": lambda n: section.retry_wait_s * 2**n},
        "socket_timeout": section.timeout_s,
        "ratelimit": section.rate_limit_kb_s * 1000 or None,
        "js_runtimes": {name: {} for name in section.js_runtimes},
        "cookiefile": cookies,
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
