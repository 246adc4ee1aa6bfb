"""The cookies of a browser session: a file in Netscape's format, read once and kept in memory.

Cookies are as good as a password. Nothing of the file is printed, and no copy of it is written:
yt-dlp, which would print a line that it does not understand and write its file anew, is given a
text in memory that has been checked before.
"""

import io
import re
import warnings
from pathlib import Path

from yt_dlp.cookies import YoutubeDLCookieJar

from passerby.errors import BadInput, listing

MAX_BYTES = 16 << 20
FIELDS = 7
_HEAD = re.compile(r"#( Netscape)? HTTP Cookie File")
_NUMBER = re.compile(r"([0-9]+(\.[0-9]+)?)?")


def read(path: str | Path) -> str:
    """The text of a file of cookies, checked.

    Raises:
        BadInput: it is missing, is no such file, or has lines that are no cookies (their numbers
            are given, never their text).
    """
    file = Path(path)
    where = f"videos.cookies_file: {path}"
    if not file.is_file():
        raise BadInput(f"{where}: {'not a regular file' if file.exists() else 'no such file'}")
    try:
        data = file.open("rb").read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except OSError as error:
        raise BadInput(f"{where}: cannot be read ({error.strerror}); see to its rights") from None
    except UnicodeDecodeError:
        raise BadInput(f"{where}: not a text file; {_WANTED}") from None
    if len(data) > MAX_BYTES:
        raise BadInput(f"{where}: more than {MAX_BYTES >> 20} MB; {_WANTED}")
    if faults := _faults(text):
        raise BadInput(f"{where}: {listing(faults)}; {_WANTED}")
    return text


def _faults(text: str) -> list[str]:
    """What is wrong with a text, by lines; nothing of it is quoted."""
    head, *lines = text.split("\n")
    if head.lstrip()[:1] in ("[", "{"):
        return ["it is JSON"]
    if not _HEAD.match(head):
        return ["line 1 is not '# Netscape HTTP Cookie File'"]
    found = ((number, _fault(line)) for number, line in enumerate(lines, start=2))
    return [f"line {number} {fault}" for number, fault in found if fault] or _refused(text)


def _fault(line: str) -> str:
    """What is wrong with one line; comments and empty lines are fine."""
    cookie = line.removeprefix("#HttpOnly_")
    if cookie.startswith("#") or not cookie.strip():
        return ""
    fields = cookie.split("\t")
    if len(fields) != FIELDS:
        return f"is not of {FIELDS} fields with tabs between them (found {len(fields)})"
    if (fields[1] == "TRUE") != fields[0].startswith("."):
        return "has TRUE in its second field, or a dot before its domain, and not both"
    if not _NUMBER.fullmatch(fields[4]):
        return "has an expiry, its fifth field, that is no number"
    return ""


def _refused(text: str) -> list[str]:
    """The last word is yt-dlp's own reader's."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # they quote
            YoutubeDLCookieJar(io.StringIO(text)).load()
    except Exception:  # whatever it is: it may quote, too
        return ["a line cannot be read as a cookie"]
    return []


_WANTED = "cookies in Netscape's format wanted: export them from the browser again, as cookies.txt"
