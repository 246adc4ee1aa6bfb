"""What errors of yt-dlp say about a video; its messages as YouTube words them."""

import errno
import io

import pytest
from yt_dlp.networking import Response
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UnsupportedError

from passerby.errors import BadInput
from passerby.video import faults


def wrapped(cause: BaseException) -> DownloadError:
    return DownloadError(f"ERROR: {cause}", (type(cause), cause, None))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("private", "Private video. Sign in if you've been granted access to this video"),
        ("private", "Join this channel to get access to members-only content like this video"),
        ("removed", "Video unavailable. This video has been removed by the uploader"),
        ("removed", "Video unavailable"),
        ("removed", "This video is no longer available because the account has been terminated"),
        ("blocked", "Sign in to confirm your age. This video may be inappropriate for some users."),
        ("blocked", "Video unavailable. The uploader blocked it in your country on copyright"),
        ("limited", "Sign in to confirm you’re not a bot. Use --cookies-from-browser"),
        ("limited", "Sign in to confirm you're not a bot. This helps protect our community"),
        ("limited", "Video unavailable. This content isn't available, try again later."),
        ("limited", "Your account has been rate-limited by YouTube for up to an hour"),
        ("network", "Unable to download API page: The read operation timed out"),
        ("unreadable", "Something that nobody has seen before"),
        ("unreadable", "Requested format is not available"),
    ],
)
def test_message_of_a_host_becomes_a_state(state: str, text: str) -> None:
    error = wrapped(ExtractorError(f"[youtube] -abc_1: {text}", expected=True))
    assert faults.classify(error)[0] == state


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (401, "private"),
        (403, "limited"),
        (404, "removed"),
        (410, "removed"),
        (418, "unreadable"),
        (429, "limited"),
        (451, "blocked"),
        (500, "network"),
        (503, "network"),
    ],
)
def test_status_becomes_a_state_also_inside_another_error(status: int, state: str) -> None:
    response = Response(io.BytesIO(), "http://127.0.0.1/x", {}, status=status)
    inner = HTTPError(response)
    outer = ExtractorError("[youtube] x: Unable to download API page", cause=inner)
    for error in (wrapped(inner), wrapped(outer)):
        assert faults.classify(error) == (state, f"HTTP {status}")


def test_network_faults_have_reasons_without_addresses() -> None:
    refused = TransportError("HTTPConnection(host='127.0.0.1', port=4711): Connection refused")
    assert faults.classify(wrapped(refused)) == ("network", "connection refused")
    unknown = TransportError("HTTPConnection(host='x.invalid', port=80): Failed to resolve")
    assert faults.classify(wrapped(unknown)) == ("network", "name not resolved")


def test_geographic_restriction_and_unknown_pages() -> None:
    assert (
        faults.classify(wrapped(GeoRestrictedError("not here", countries=["PE"])))[0] == "blocked"
    )
    unsupported = wrapped(UnsupportedError("http://127.0.0.1/page"))
    assert faults.classify(unsupported) == ("unreadable", "no video at the address")


def test_reason_is_one_short_line_without_advice_and_colours() -> None:
    text = (
        "\x1b[0;31mERROR:\x1b[0m [youtube] x: Private\nvideo. See https://example.org/a for more; "
        "please report this issue"
    )
    assert faults.classify(Exception(text)) == ("private", "Private video")


def test_full_disk_is_no_state_of_a_video() -> None:
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(BadInput, match=r"cannot write what is downloaded: .*No space left"):
        faults.classify(wrapped(full))
