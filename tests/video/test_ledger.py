"""`videos.tsv`: what is written is read, and nothing else is."""

from pathlib import Path

import pytest

from passerby.errors import BadInput
from passerby.video import ledger
from passerby.video.ledger import Row

ROWS = [
    Row("a+b+c", "ok", bytes=123, frames=40, fps=29.97, width=96, height=64, sha256="ab" * 32),
    Row("a+b+d", "too large", reason="more than 500 MB"),
]


def test_ledger_reads_what_it_wrote(tmp_path: Path) -> None:
    ledger.write(tmp_path / "videos.tsv", ROWS)
    assert ledger.read(tmp_path / "videos.tsv") == ROWS
    assert (tmp_path / "videos.tsv").read_text() == (
        "# passerby.videos/1\n"
        "name\tstate\tbytes\tframes\tfps\twidth\theight\tsha256\treason\n"
        f"a+b+c\tok\t123\t40\t29.97\t96\t64\t{'ab' * 32}\t-\n"
        "a+b+d\ttoo large\t-\t-\t-\t-\t-\t-\tmore than 500 MB\n"
    )


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("videos/1", "videos/2", r"found '# passerby.videos/2', wanted '# passerby.videos/1'"),
        ("\tsha256", "", "line 2: wanted the columns name, state, bytes"),
        ("\tok\t", "\tfine\t", "line 3: not a row of 9 columns with a known state"),
        ("\t40\t", "\tmany\t", "line 3: numbers from 0 wanted as bytes, frames"),
    ],
)
def test_ledger_refuses_what_it_did_not_write(
    before: str, after: str, said: str, tmp_path: Path
) -> None:
    path = tmp_path / "videos.tsv"
    ledger.write(path, ROWS)
    path.write_text(path.read_text().replace(before, after))
    with pytest.raises(BadInput, match=said):
        ledger.read(path)


@pytest.mark.parametrize("name", ["../../x", "/abs/x", "..+..+x", "a+b+\x1b[2J", "x" * 300])
def test_ledger_of_others_names_no_file_elsewhere(name: str, tmp_path: Path) -> None:
    path = tmp_path / "videos.tsv"
    ledger.write(path, ROWS)
    path.write_text(path.read_text().replace("a+b+d", name))
    with pytest.raises(BadInput, match=r"line 4: the name of a video .*; run 'download' again"):
        ledger.read(path)


def test_ledger_that_is_missing_or_empty_says_which_stage_writes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file; the stage 'download' writes it"):
        ledger.read(tmp_path / "videos.tsv")
    (tmp_path / "videos.tsv").touch()
    with pytest.raises(BadInput, match=r"empty; .* run the stage 'download'"):
        ledger.read(tmp_path / "videos.tsv")
