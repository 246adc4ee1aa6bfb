"""Damage: bytes flipped, cut, put in; texts with odd words; and what else may bear a name."""

import os
import re
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

Rng = np.random.Generator

HEADS = (
    b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0\x00\x10JFIF", b"PK\x03\x04", b"\x93NUMPY\x01\x00",
    b"MATLAB 5.0 MAT-file", b"\x89HDF\r\n\x1a\n", b"PAR1", b"\x80\x04\x95", b"ffconcat version 1.0",
    b"#EXTM3U\n", b"RIFF\x00\x00\x00\x00WEBP", b"GIF89a", b"\xef\xbb\xbf", b"\xff\xfe", b"%PDF-1.4",
)  # fmt: skip
NUMBERS = (
    "0", "-1", "1", "-0", "2.5", "1e400", "-1e400", "nan", "inf", "-inf", ".inf", ".nan", "1e-320",
    "9" * 400, "9" * 5000, "2147483647", "2147483648", "-2147483649", "9223372036854775808",
    "1_0", "0x10", " 7 ", "٣", "", "1,5", "true", "null", "1e9", "100000", "3.0", "+1",
)  # fmt: skip
TEXTS = (
    "", " ", ".", "..", "../../outside/secret.txt", "/", "/etc/hostname", "~", "a/b", "-x",
    "--help",
    "\x1b[31m", "\r", "\n", "two\nlines", "a\tb", "\u202e", "\ufeff", "\udcff", "e\u0301", "\u00e9",
    "x" * 300, "x" * 5000, "$HOME", "$(id)", "%s%n", "{0.__class__}", "'", '"', "\\", "|", "<b>",
    "a$b$", "$\\frac$", "[1, 2", "{a: b", "&a *a", "!!python/object/apply:os.getpid []", "#",
    "null",
    "CON", "日本", "👩\u200d🔬", "64x-32", "0x0", "256x128x3", "1e400x2", "nan,nan,nan", "0,0,0",
    "inf,1,1", "-1,-1,-1", "1,2,3,4", "99999999x99999999", "\u2028", "\x7f",
)  # fmt: skip
NUL_TEXTS = (*TEXTS, "a\x00b")
"""For files; a command line cannot hold the byte 0."""


def one(rng: Rng, of: Sequence[object]) -> object:
    """One of several, by the stream."""
    return of[int(rng.integers(len(of)))]


def odd_number(rng: Rng) -> str:
    """A number that programs trip over, as text."""
    return str(one(rng, NUMBERS))


def odd_text(rng: Rng, of: Sequence[str] = TEXTS) -> str:
    """A text that programs trip over."""
    return str(one(rng, of))


def damaged(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """Bytes with one to four kinds of damage, and which."""
    said = []
    for _ in range(1 + int(rng.integers(1 + 3 * (rng.random() < 0.3)))):
        way = one(rng, WAYS)
        data = way(data, rng)  # type: ignore[operator]
        said.append(way.__name__)  # type: ignore[attr-defined]
    return data, "+".join(said)


def _flip(data: bytes, rng: Rng) -> bytes:
    if not data:
        return data
    found = np.frombuffer(data, np.uint8).copy()
    # Half of the time near the front, where headers are.
    end = len(found) if rng.random() < 0.5 else min(len(found), 256)
    for place in rng.integers(0, end, 1 + int(rng.integers(4))):
        found[place] ^= 1 << int(rng.integers(8))
    return found.tobytes()


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _behead(data: bytes, rng: Rng) -> bytes:
    return data[int(rng.integers(min(len(data), 64) + 1)) :]


def _insert(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + rng.bytes(1 + int(rng.integers(64))) + data[at:]


def _remove(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + data[at + 1 + int(rng.integers(64)) :]


def _zero(data: bytes, rng: Rng) -> bytes:
    at, length = int(rng.integers(len(data) + 1)), 1 + int(rng.integers(512))
    return data[:at] + bytes(len(data[at : at + length])) + data[at + length :]


def _ones(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    return data[:at] + b"\xff" * len(data[at : at + 4]) + data[at + 4 :]


def _repeat(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(len(data) + 1))
    part = data[at : at + 1 + int(rng.integers(256))]
    return data[:at] + part * int(rng.integers(2, 20)) + data[at:]


def _swap(data: bytes, rng: Rng) -> bytes:
    size = max(1, len(data) // 8)
    blocks = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(blocks[i] for i in rng.permutation(len(blocks)))


def _head(data: bytes, rng: Rng) -> bytes:
    head = bytes(one(rng, HEADS))  # type: ignore[call-overload]
    return head + data[len(head) :]


def _append(data: bytes, rng: Rng) -> bytes:
    return data + rng.bytes(1 + int(rng.integers(64)))


def _noise(data: bytes, rng: Rng) -> bytes:
    return rng.bytes(int(rng.integers(300)))


WAYS: tuple[Callable[[bytes, Rng], bytes], ...] = (
    _flip, _flip, _flip, _cut, _behead, _insert, _remove, _zero, _ones, _repeat, _swap, _head,
    _append, _noise,
)  # fmt: skip
_WORD = re.compile(r"[^\s,;:\t|'\"{}\[\]]+")


def damaged_text(data: bytes, rng: Rng) -> tuple[bytes, str]:
    """A text with words replaced, lines doubled, taken out, swapped or marked; or damaged bytes."""
    if rng.random() < 0.3:
        return damaged(data, rng)
    text = data.decode("utf-8", "replace")
    way = int(rng.integers(7))
    if way < 3:
        for _ in range(1 + int(rng.integers(3))):
            words = list(_WORD.finditer(text))
            if words:
                word = words[int(rng.integers(len(words)))]
                odd = odd_number(rng) if rng.random() < 0.5 else odd_text(rng, NUL_TEXTS)
                text = text[: word.start()] + odd + text[word.end() :]
        return text.encode("utf-8", "surrogateescape"), "odd words"
    lines = text.splitlines(keepends=True)
    if way == 3 and lines:
        lines.insert(int(rng.integers(len(lines) + 1)), lines[int(rng.integers(len(lines)))])
    elif way == 4 and lines:
        lines.pop(int(rng.integers(len(lines))))
    elif way == 5:
        lines = [lines[i] for i in rng.permutation(len(lines))]
    else:
        mark = str(one(rng, ("\ufeff", "\r\n", "\n\n", "\x00", "x" * 100_000)))
        lines.insert(0 if rng.random() < 0.6 else len(lines), mark)
    kind = ("a line twice", "a line less", "lines mixed", "a mark")[way - 3]
    return "".join(lines).encode("utf-8", "surrogateescape"), kind


def replace(path: Path, data: bytes) -> None:
    """Other bytes under the name of a file; a hard link of it elsewhere keeps its own."""
    path.unlink()
    path.write_bytes(data)


def put_node(path: Path, outside: Path, rng: Rng, file: bytes = b"") -> str:
    """Something else than a file under a name; says what.

    Args:
        path: The name; whatever bears it goes.
        outside: A folder with `secret.txt`, which nobody may touch.
        rng: Chooses.
        file: Bytes for a link to lead to.
    """
    remove(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = [
        "folder",
        "full folder",
        "fifo",
        "link out",
        "dangling link",
        "loop",
        "link",
        "nothing",
    ]
    kinds += ["null device", "zero device"] if os.geteuid() == 0 else []
    kind = str(one(rng, kinds))
    if kind == "folder":
        path.mkdir()
    elif kind == "full folder":
        (path / "inner").mkdir(parents=True)
        (path / "a.txt").write_text("a\n")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link out":
        path.symlink_to(outside / "secret.txt")
    elif kind == "dangling link":
        path.symlink_to(outside / "made.txt")
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "link":
        beside = path.with_name("beside.bin")
        beside.write_bytes(file)
        path.symlink_to(beside.name)
    elif kind.endswith("device"):
        # A node of our own: nothing is risked if a program renames over it.
        number = 3 if kind == "null device" else 5
        try:
            os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, number))
        except OSError:
            return "nothing"
    return kind


def remove(path: Path) -> None:
    """Take away whatever bears a name."""
    if path.is_dir() and not path.is_symlink():
        import shutil

        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
