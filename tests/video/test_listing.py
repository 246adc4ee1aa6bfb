"""LUPerson's list: what is accepted, and how bad lines are named."""

from pathlib import Path

import pytest

from passerby.errors import BadInput
from passerby.video import listing
from passerby.video.listing import Entry


def test_list_accepts_blank_ends_windows_lines_and_counts_repeats() -> None:
    text = "argentina+buenos_aires+-0UsgiQiPbY \r\n\r\nperu+lima+a_b\nperu+lima+a_b \nperu+lima+c"
    found = listing.parse(text, "list.txt")
    assert found.entries == (
        Entry("argentina", "buenos_aires", "-0UsgiQiPbY"),
        Entry("peru", "lima", "a_b"),
        Entry("peru", "lima", "c"),
    )
    assert found.repeats == 1


def test_list_names_all_bad_lines_at_once() -> None:
    text = "peru+lima+a\nusa+dallas+fort+worth+x\nnothing\nperu++b\nperu+lima+../c\n"
    with pytest.raises(BadInput) as refusal:
        listing.parse(text, "data/list.txt")
    assert str(refusal.value) == (
        "data/list.txt: 4 of 5 lines are not 'country+city+id'\n"
        "  line 2: 5 parts where 3 were wanted: 'usa+dallas+fort+worth+x'\n"
        "  line 3: 1 parts where 3 were wanted: 'nothing'\n"
        "  line 4: part '' is empty or has a blank, a slash or a control character: 'peru++b'\n"
        "  line 5: part '../c' is empty or has a blank, a slash or a control character: "
        "'peru+lima+../c'"
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("..+..+evil", "part '..' names another folder"),
        ("peru+.+a", "part '.' names another folder"),
        ("peru+lima+..", "part '..' names another folder"),
        ("peru+lima+/abs", "part '/abs' is empty or has a blank, a slash or a control character"),
        ("peru+lima+a\\b", "is empty or has a blank, a slash or a control character"),
        ("peru+lima+a\x1b[2Jb", "is empty or has a blank, a slash or a control character"),
        ("peru+lima+a\x9b2Jb", "holds a control character"),
        ("peru+lima+gpj\u202eexe", "holds a control character"),
        ("peru+lima+a\0b", "is empty or has a blank, a slash or a control character"),
        ("peru+lima+" + "x" * 300, "has 300 bytes where 200 are the most"),
        ("peru+lima+" + "é" * 101, "has 202 bytes where 200 are the most"),
        ("+".join(["x" * 80] * 3), "it has 242 bytes where 200 are the most"),
    ],
)
def test_a_line_that_cannot_name_files_is_refused(line: str, said: str) -> None:
    with pytest.raises(BadInput) as refusal:
        listing.parse(f"peru+lima+a\n{line}\n", "list.txt")
    assert said in str(refusal.value)
    assert "line 2: " in str(refusal.value)
    assert len(str(refusal.value)) < 400


@pytest.mark.parametrize("id", ["$HOME", "%(id)s", "{id}", "~", "...", ".hidden", "日本", "a..b"])
def test_a_name_that_only_looks_odd_is_a_name(id: str) -> None:
    assert listing.parse(f"peru+lima+{id}\n", "list.txt").entries[0].id == id


def test_list_of_a_windows_editor_has_no_mark_in_its_first_name(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfperu+lima+a\r\n")
    assert listing.read(tmp_path / "list.txt").entries[0].country == "peru"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b"\n \n", "no video in it"),
        (b"\xff\xfe\x00", "text in UTF-16; save it as UTF-8"),
    ],
)
def test_list_that_is_no_list_is_refused(content: bytes | None, said: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(BadInput, match=said):
        listing.read(tmp_path / "list.txt")


@pytest.mark.real
def test_the_published_list_is_read_whole(realdata: Path) -> None:
    found = listing.read(realdata / "luperson" / "vnames.txt")
    assert (len(found.entries), found.repeats) == (44_550, 0)
    assert len({entry.city for entry in found.entries}) == 100
