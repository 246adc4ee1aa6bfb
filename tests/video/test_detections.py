"""The table of detections: what is written is read, and equal contents give equal bytes."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passerby.errors import BadInput
from passerby.video import detections
from passerby.video.detections import Detections, boxes


def two_videos() -> Detections:
    rng = np.random.default_rng(0)
    parts = {
        name: boxes(
            rng.integers(0, 9, count),
            rng.normal(size=(count, 4)),
            rng.random(count),
            rng.integers(-1, 3, count),
        )
        for name, count in (("b+b+b", 5), ("a+a+a", 0), ("c+c+c", 7))
    }
    sizes = {"a+a+a": (10, 20), "b+b+b": (96, 64), "c+c+c": (640, 480)}
    return detections.joined(parts, sizes, "pickles")


def test_table_reads_what_it_wrote(tmp_path: Path) -> None:
    before = two_videos()
    detections.write(tmp_path / "d.parquet", before)
    after = detections.read(tmp_path / "d.parquet")
    for name in ("video", "frame", "box", "confidence", "track", "widths", "heights"):
        old, new = getattr(before, name), getattr(after, name)
        assert np.array_equal(old, new), name
        assert (old.dtype, old.shape) == (new.dtype, new.shape), name
    assert after.videos == ("a+a+a", "b+b+b", "c+c+c")
    assert after.source == "pickles"


def test_rows_are_sorted_by_video_then_frame_and_found_by_name(tmp_path: Path) -> None:
    found = two_videos()
    order = list(zip(found.video.tolist(), found.frame.tolist(), strict=True))
    assert order == sorted(order)
    assert found.rows("a+a+a") == slice(0, 0)
    assert found.rows("b+b+b") == slice(0, 5)
    assert found.of("c+c+c").frame.tolist() == found.frame[5:].tolist()
    with pytest.raises(KeyError):
        found.rows("b+b")


def test_order_within_a_frame_is_kept() -> None:
    found = boxes([2, 1, 2], [[0, 0, 1, 1], [1, 0, 2, 1], [2, 0, 3, 1]])
    assert found.box[:, 0].tolist() == [1, 0, 2]


def test_equal_tables_are_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        detections.write(tmp_path / name, two_videos())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_table_without_rows_and_without_videos_is_a_table(tmp_path: Path) -> None:
    empty = detections.joined({"a+a+a": boxes()}, {"a+a+a": (4, 2)}, "yolox")
    none = detections.joined({}, {}, "yolox")
    for found in (empty, none):
        detections.write(tmp_path / "d", found)
        again = detections.read(tmp_path / "d")
        assert (len(again), again.box.shape, again.videos) == (0, (0, 4), found.videos)


def test_other_tables_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.parquet"
    with pytest.raises(BadInput, match="no such file; the stage 'detect' writes it"):
        detections.read(path)
    path.write_bytes(b"PAR1 or not")
    with pytest.raises(BadInput, match="not a table of detections"):
        detections.read(path)
    table = pa.table({"a": [1]})
    pq.write_table(table, path)
    with pytest.raises(BadInput, match=r"found format None, wanted 'passerby.detections/1'"):
        detections.read(path)
    newer = table.replace_schema_metadata({"passerby": '{"format": "passerby.detections/2"}'})
    pq.write_table(newer, path)
    with pytest.raises(
        BadInput, match=r"found format 'passerby.detections/2', wanted 'passerby.de"
    ):
        detections.read(path)


@pytest.mark.parametrize("name", ["../../x", "/abs/x", "..+..+x", "a+b+\x1b[2J", "x" * 300])
def test_table_of_others_names_no_file_elsewhere(name: str, tmp_path: Path) -> None:
    table = detections.joined({name: boxes([0], [[0, 0, 2, 5]])}, {name: (96, 64)}, "pickles")
    detections.write(tmp_path / "d.parquet", table)
    with pytest.raises(BadInput, match=r"d.parquet: the name of a video .*; run 'detect' again"):
        detections.read(tmp_path / "d.parquet")
