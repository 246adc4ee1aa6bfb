"""Files are opened only if they are files, and all that goes wrong is one message."""

import os
from pathlib import Path

import pytest

from passerby import foreign
from passerby.errors import BadInput, SettingsError


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("none", "none: no such file; look elsewhere"),
        ("file/none", "none: no such file; look elsewhere"),
        ("x" * 300, "no such file: the name is longer than a disk can hold"),
        ("a\0b", r"a\\x00b: no such file: no name can hold a NUL"),
        (".", "a folder; a regular file was wanted"),
        ("loop", r"loop: cannot be read \(\[Errno 40\]"),
    ],
)
def test_a_file_that_is_not_there_is_said(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    for function in (foreign.require_file, lambda p, a: foreign.read_bytes(p, 10, a)):
        with pytest.raises(BadInput, match=said):
            function(tmp_path / name, "look elsewhere")
    assert not foreign.is_file(tmp_path / name)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInput, match="pipe: a pipe; a regular file was wanted"):
        foreign.read_bytes(tmp_path / "pipe", 10)
    with pytest.raises(BadInput, match="zero: a device; a regular file was wanted"):
        foreign.read_bytes("/dev/zero", 10)


def test_a_file_that_is_too_long_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with open(tmp_path / "long", "wb") as file:
        file.truncate(1 << 40)  # a hole: no disk holds it
    with pytest.raises(BadInput, match="1,099,511,627,776 bytes; at most 1,024 wanted"):
        foreign.read_bytes(tmp_path / "long", 1024)


def test_a_link_to_a_file_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"held")
    (tmp_path / "link").symlink_to("file")
    assert foreign.read_bytes(tmp_path / "link", 10) == b"held"
    assert foreign.is_file(tmp_path / "link")
    assert not foreign.is_folder(tmp_path / "link")


class PanicException(BaseException):
    """What libraries that are written in Rust raise where they give up."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (KeyError("x"), "a.bin: not a thing ('x'); make it anew"),
        (MemoryError(), "a.bin: not a thing that fits into memory; make it anew"),
        (RecursionError("deep\nand more"), "a.bin: not a thing (deep); make it anew"),
        (ValueError("\x1b[2Jx" + "y" * 999), None),
        (PanicException("gave up"), "a.bin: not a thing (gave up); make it anew"),
    ],
)
def test_whatever_is_raised_becomes_one_message(error: BaseException, said: str | None) -> None:
    with pytest.raises(BadInput) as caught, foreign.reading("a.bin", "a thing", "make it anew"):
        raise error
    message = str(caught.value)
    assert said is None or message == said
    assert message.isprintable()
    assert len(message) < 500


def test_a_refusal_passes_as_it_is_and_so_does_an_interruption() -> None:
    with pytest.raises(SettingsError, match=r"^mine$"), foreign.reading("a", "b"):
        raise SettingsError("mine")
    with pytest.raises(KeyboardInterrupt), foreign.reading("a", "b"):
        raise KeyboardInterrupt


def test_a_name_that_is_no_utf8_is_refused_for_libraries_that_take_texts(tmp_path: Path) -> None:
    foreign.require_utf8_name(tmp_path / "größe 大.bin")
    with pytest.raises(BadInput, match=r"/gr\\udcf6sse/x: a name that is no text in UTF-8"):
        foreign.require_utf8_name(os.fsencode(tmp_path).decode() + "/gr\udcf6sse/x")
