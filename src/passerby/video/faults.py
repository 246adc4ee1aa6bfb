"""What a failed download says about a video: one of the ledger's states, and a stable reason.

A bot check, a rate limit or a network fault is about us, not about the video: it is never taken for
a removal. A text that is not known claims nothing about removal either.
"""

import errno
import re
from collections.abc import Callable, Iterator

from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import (
    ContentTooShortError,
    GeoRestrictedError,
    UnavailableVideoError,
    UnsupportedError,
)

from passerby.errors import BadInput
from passerby.text import line

_STATUS = {
    401: "private",
    403: "limited",
    404: "removed",
    408: "network",
    410: "removed",
    416: "network",
    425: "network",
    429: "limited",
    451: "blocked",
}
# The first match counts: a bot check may quote "video unavailable", never the other way round.
_TEXTS = (
    (
        "limited",
        r"not a (?:ro)?bot|try again later|rate.?limit|too many requests|captcha|unusual traffic"
        r"|page needs to be reloaded|sign in to confirm you(?!r age)",
    ),
    (
        "private",
        r"private|members.only|available to this channel.s members|join this channel"
        r"|requires payment|login required|log in|sign in if",
    ),
    (
        "blocked",
        r"your age|age.restricted|inappropriate|in your country|your location|geo.?restrict"
        r"|blocked",
    ),
    (
        "network",
        r"timed out|connection (?:reset|refused|aborted)|incomplete ?read|content too short"
        r"|temporary failure|failed to resolve|unreachable|remote end closed|more expected"
        r"|did not get any data blocks|bytes read",
    ),
    (
        "removed",
        r"removed|unavailable|no longer available|terminated|does not exist|deleted"
        r"|video is not available|video isn.t available",
    ),
)
_NETWORK = (
    (r"refused", "connection refused"),
    (r"resolve|name or service", "name not resolved"),
    (r"timed out|timeout", "timed out"),
    (r"incomplete|too short|more expected|bytes read", "transfer cut"),
)
ODD = (ValueError, TypeError, AttributeError, LookupError)
"""What yt-dlp lets through where an address is none, or an answer is none that it knows: of a host
whose name is too long, say."""
_HOPELESS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}


def classify(error: BaseException, hidden: Callable[[str], str] = str) -> tuple[str, str]:
    """The state that an error of yt-dlp stands for, and the reason in few words.

    Args:
        error: What was raised.
        hidden: Takes secrets out of a text that is shown, before the text is changed or cut.

    Raises:
        BadInput: the fault is this machine's (no space, no right to write): no video's state.

    Example:
        >>> classify(Exception("[youtube] x: Confirm you're not a bot. Video unavailable"))
        ('limited', "Confirm you're not a bot. Video unavailable")
    """
    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, OSError) and cause.errno in _HOPELESS:
            raise BadInput(f"cannot write what is downloaded: {cause}") from error
    for cause in chain:
        if isinstance(cause, HTTPError):
            return _of_status(cause.status)
        if isinstance(cause, GeoRestrictedError):
            return "blocked", _clean(hidden(str(error)))
        if isinstance(cause, UnsupportedError):
            return "unreadable", "no video at the address"
    if isinstance(error, ODD):  # its words are Python's, and say nothing of a video
        why = _clean(hidden(str(error))) or type(error).__name__
        return "unreadable", f"yt-dlp cannot read the address, or its answer ({why})"
    return _of_text(str(error), chain, hidden)


def _of_status(status: int) -> tuple[str, str]:
    state = _STATUS.get(status, "network" if status >= 500 else "unreadable")
    return state, f"HTTP {status}"


def _of_text(
    text: str, chain: list[BaseException], hidden: Callable[[str], str]
) -> tuple[str, str]:
    transport = (TransportError, ContentTooShortError, UnavailableVideoError, ConnectionError)
    if any(isinstance(cause, transport) for cause in chain):
        return "network", _of_network(text)
    for state, pattern in _TEXTS:
        if re.search(pattern, text, re.IGNORECASE):
            return state, _of_network(text) if state == "network" else _clean(hidden(text))
    return "unreadable", _clean(hidden(text)) or type(chain[-1]).__name__


def _of_network(text: str) -> str:
    """Network faults in words without addresses and ports, which differ from run to run."""
    found = (words for pattern, words in _NETWORK if re.search(pattern, text, re.IGNORECASE))
    return next(found, "connection lost")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what caused it: yt-dlp hangs causes at three places."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        cause = waiting.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        info = getattr(cause, "exc_info", None) or (None, None)
        waiting += [info[1], getattr(cause, "cause", None), cause.__cause__, cause.__context__]


def _clean(text: str) -> str:
    """A message of yt-dlp as one short line, less its colours, prefixes and advice."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
    plain = re.sub(r"^ERROR:\s*", "", plain)
    plain = re.sub(r"^\[[^\]]+\]\s+\S+?:\s+", "", plain)
    plain = line(re.sub(r"\s+", " ", re.sub(r"https?://\S+", "", plain)))
    return re.split(r"; please report|\. Use --| See |\(caused by", plain)[0].strip(" .;")[:120]
