"""A file of cookies is checked before anything is asked with it, and nothing of it is shown."""

import os
from pathlib import Path

import pytest

from passerby.errors import BadInput
from passerby.video import cookies

HEAD = "# Netscape HTTP Cookie File\n"
GOOD = ".example.org\tTRUE\t/\tFALSE\t2147483647\tsession\ts3cr3t\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + GOOD,
        "# HTTP Cookie File\n\n# a comment\n" + GOOD,
        (HEAD + GOOD).replace("\n", "\r\n"),
        HEAD + "#HttpOnly_" + GOOD,
        HEAD + GOOD.replace("2147483647", "0"),
        HEAD + GOOD.replace("2147483647", ""),
        HEAD + GOOD.replace("2147483647", "2147483647.25"),
        HEAD,
    ],
)
def test_a_file_of_a_browser_is_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert cookies.read(path) == text.replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[{"domain": ".example.org", "value": "s3cr3t"}]', "it is JSON"),
        ('{"s3cr3t": 1}', "it is JSON"),
        (GOOD, "line 1 is not '# Netscape HTTP Cookie File'"),
        ("session=s3cr3t", "line 1 is not '# Netscape HTTP Cookie File'"),
        ("", "line 1 is not"),
        (
            HEAD + GOOD + GOOD.replace("\t", " "),
            "line 3 is not of 7 fields",
        ),
        (
            HEAD + GOOD.replace("\ts3cr3t", "\ts3cr3t\tx"),
            "tabs between them (found 8)",
        ),
        (HEAD + "  # s3cr3t\n", "line 2 is not of 7 fields"),
        (HEAD + "$s3cr3t\n", "line 2 is not of 7 fields"),
        (HEAD + GOOD.replace("2147483647", "s3cr3t"), "line 2 has an expiry"),
        (HEAD + GOOD.replace("2147483647", "9" * 400), "a line cannot be read as a cookie"),
        (HEAD + GOOD.replace("TRUE", "FALSE"), "line 2 has TRUE in its second field"),
        (HEAD + GOOD[1:], "line 2 has TRUE in its second field"),
        (HEAD + "s3cr3t\n" * 9, "between them (found 1) and 4 more; cookies in Netscape's format"),
    ],
)
def test_a_malformed_file_is_refused_and_nothing_of_it_is_shown(
    text: str,
    said: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    path = tmp_path / "cookies.txt"
    path.write_text(text)
    with pytest.raises(BadInput) as refusal:
        cookies.read(path)
    assert str(refusal.value).startswith(f"videos.cookies_file: {path}: ")
    assert said in str(refusal.value)
    assert "export them from the browser again" in str(refusal.value)
    told = str(refusal.value) + "".join(capfd.readouterr()) + str([w.message for w in recwarn])
    assert "s3cr3t" not in told


def test_what_is_no_text_file_of_a_sensible_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cookies, "MAX_BYTES", 1 << 20)
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "large").write_text(HEAD + GOOD * 30_000)
    for name, said in {
        "gone": "no such file",
        "pipe": "not a regular file",
        ".": "not a regular file",
        "bytes": "not a text file",
        "large": "more than 1 MB",
    }.items():
        with pytest.raises(BadInput, match=said):
            cookies.read(tmp_path / name)
