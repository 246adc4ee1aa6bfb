import numpy as np
import pytest
from crop_samples import flip, make_source

from passerby.crops import source
from passerby.sealed import Damaged


def test_a_shard_gives_back_what_was_written(tmp_path):
    wrote = make_source("de+bonn+a")
    source.write(tmp_path / "a.npz", wrote)
    read = source.read(tmp_path / "a.npz")
    assert read.facts == wrote.facts
    assert (read.cameras, read.jpegs) == (wrote.cameras, wrote.jpegs)
    for name, dtype in source.COLUMNS.items():
        np.testing.assert_array_equal(read.columns[name], wrote.columns[name])
        assert read.columns[name].dtype == dtype


def test_a_shard_without_crops_is_a_shard(tmp_path):
    source.write(tmp_path / "a.npz", make_source("de+bonn+a", count=0))
    read = source.read(tmp_path / "a.npz")
    assert (read.boxes, read.jpegs, read.columns["box"].shape) == (2, [], (0, 4))


def test_a_box_without_an_account_is_a_bug():
    with pytest.raises(AssertionError, match=r"de\+bonn\+a: boxes without an account"):
        make_source("de+bonn+a", boxes=9)


def test_a_shard_of_another_format_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(source, "FORMAT", "passerby.shard/9")
    source.write(tmp_path / "a.npz", make_source("de+bonn+a"))
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"passerby.shard/9 found, passerby.shard/3 wanted"):
        source.read(tmp_path / "a.npz")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.97, 0.999])
def test_a_shard_with_one_changed_bit_is_named(tmp_path, share):
    source.write(tmp_path / "a.npz", make_source("de+bonn+a"))
    flip(tmp_path / "a.npz", share)
    with pytest.raises(Damaged, match=r"a\.npz: damaged: its checksum is not"):
        source.read(tmp_path / "a.npz")
