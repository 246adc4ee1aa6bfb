"""Whatever happens to a file on its way, its reader gives a value or one refusal, and ends."""

import time
import warnings
from pathlib import Path

import foreign_samples
import pytest
from damage import damaged
from foreign_samples import KINDS, Kind

from passerby.errors import PasserbyError

MOST_S = 5.0
"""Of processor time for one file of a few kilobytes."""


def read_all(kind: Kind, folder: Path, count: int) -> int:
    """How many of `count` damaged files were refused; all else than a refusal is raised."""
    path = folder / kind.name
    kind.write(path)
    data = path.read_bytes()
    refused = 0
    for bad in damaged(data, count):
        path.unlink()  # a store stays mapped under the file that it was
        path.write_bytes(bad)
        begin_s = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                kind.read(path)
        except PasserbyError:
            refused += 1
        assert time.process_time() - begin_s < MOST_S
    return refused


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_damaged_file_is_read_or_refused(kind: Kind, tmp_path: Path) -> None:
    assert read_all(kind, tmp_path, 60) > 0


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_many_damaged_files_are_read_or_refused(kind: Kind, tmp_path: Path) -> None:
    assert read_all(kind, tmp_path, 500) > 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_good_file_is_read(kind: Kind, tmp_path: Path) -> None:
    kind.write(tmp_path / kind.name)
    if kind.name == "other.parquet":
        with pytest.raises(PasserbyError, match=r"other\.parquet: found format None"):
            kind.read(tmp_path / kind.name)
    else:
        kind.read(tmp_path / kind.name)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("what", ["a pipe", "a device", "a folder", "nothing", "an empty file"])
def test_what_is_no_regular_file_is_refused_and_not_waited_for(
    kind: Kind, what: str, tmp_path: Path
) -> None:
    path = tmp_path / kind.name
    kind.write(path)
    path.unlink()
    foreign_samples.put(path, what)
    if what == "nothing" and kind.name == "people.tsv":  # it may be absent
        assert kind.read(path) == {}
    elif what == "an empty file" and kind.name in ("any.yaml", "people.tsv"):
        assert not kind.read(path)
    elif what == "an empty file" and kind.name == "list_val.txt":
        with pytest.raises(PasserbyError, match="1 files that no list names"):
            kind.read(path)
    else:
        with pytest.raises(PasserbyError, match=rf"{path.stem}|{tmp_path.name}"):
            kind.read(path)
