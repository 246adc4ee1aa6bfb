"""The index: what it holds, equal bytes wherever the set lies, and what is refused."""

import hashlib
import io
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from passerby.datasets import index
from passerby.errors import BadInput
from passerby.settings import BenchmarkSource

COUNTS = {
    "train_images": 3,
    "train_people": 2,
    "query_images": 2,
    "query_people": 2,
    "gallery_images": 3,
    "junk_images": 1,
    "distractor_images": 1,
}


def source(root: Path) -> BenchmarkSource:
    manifest = root / "manifest.json"
    manifest.write_text(json.dumps({"format": "passerby.world/1", "counts": {"city": COUNTS}}))
    return BenchmarkSource(kind="market1501", root=str(root), counts=str(manifest))


def test_index_reads_back_as_it_was_built(market: Path, tmp_path: Path) -> None:
    built = index.build("city", source(market))
    built.write(tmp_path / "city.tsv")
    assert index.read(tmp_path / "city.tsv", market) == built


def test_index_accounts_for_every_file_with_its_hash(market: Path) -> None:
    built = index.build("city", source(market))
    assert len(built.rows) == 9
    assert [row.split for row in built.rows] == ["train"] * 3 + ["query"] * 2 + ["gallery"] * 4
    first = (market / built.rows[0].path).read_bytes()
    assert built.hashes[0] == hashlib.sha256(first).hexdigest()[:16]
    assert built.header == {"name": "city", "kind": "market1501", "counts": COUNTS}


def test_index_has_equal_bytes_wherever_the_set_lies(
    market: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "set"
    shutil.copytree(market, elsewhere)
    for root in (market, elsewhere):
        index.build("city", source(root)).write(root / "city.tsv")
    assert (market / "city.tsv").read_bytes() == (elsewhere / "city.tsv").read_bytes()


def test_gallery_split_leaves_junk_out_and_keeps_distractors(market: Path) -> None:
    gallery = index.build("city", source(market)).split("gallery")
    assert gallery.person.tolist() == [0, 1, 3]
    assert gallery.camera.tolist() == [1, 2, 1]
    assert gallery.sequence.tolist() == [1, 1, 1]
    assert gallery.frame.tolist() == [151, 301, 26]
    assert gallery.paths[0] == market / "bounding_box_test" / "0000_c1s1_000151_01.jpg"
    assert len(gallery) == 3


def test_items_of_people_keep_their_columns_together(market: Path) -> None:
    train = index.build("city", source(market)).split("train").of_people([7])
    assert (train.person.tolist(), train.camera.tolist(), train.frame.tolist()) == (
        [7],
        [6],
        [77467],
    )
    assert [path.name for path in train.paths] == ["0007_c6s3_077467_00.jpg"]


def test_people_of_a_split_are_without_distractors(market: Path) -> None:
    built = index.build("city", source(market))
    assert built.people("gallery") == (1, 3)
    assert built.people("train") == (2, 7)


def test_a_half_unpacked_set_is_refused_with_its_counts(market: Path) -> None:
    wanted = source(market)
    (market / "query" / "0001_c1s1_001051_00.jpg").unlink()
    with pytest.raises(BadInput, match="query_images: 2 wanted, 1 found") as refused:
        index.build("city", wanted)
    assert "unpack the set again and whole" in str(refused.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"no JPEG or PNG \(0 bytes\)"),
        (b"\xff\xd8 begun", r"cut short \(8 bytes\)"),
        (b"<html>", r"no JPEG or PNG \(6 bytes\)"),
    ],
)
def test_an_image_that_is_not_whole_is_named(market: Path, data: bytes, message: str) -> None:
    (market / "query" / "0001_c1s1_001051_00.jpg").write_bytes(data)
    with pytest.raises(BadInput, match=rf"query/0001_c1s1_001051_00\.jpg: {message}"):
        index.build("city", source(market))


def picture_bytes() -> bytes:
    """A JPEG of soft colours, some kilobytes long."""
    cells = np.random.default_rng(1).integers(0, 256, (16, 8, 3), np.uint8)
    held = io.BytesIO()
    Image.fromarray(cv2.resize(cells, (64, 128))).save(held, "JPEG", quality=95)
    return held.getvalue()


def test_a_whole_image_may_have_bytes_behind_its_end(market: Path) -> None:
    path = market / "query" / "0001_c1s1_001051_00.jpg"
    path.write_bytes(picture_bytes() + bytes(500))
    assert len(index.build("city", source(market)).rows) == 9


def test_half_an_image_with_an_end_marker_is_not_whole(market: Path) -> None:
    path, data = market / "query" / "0001_c1s1_001051_00.jpg", picture_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with pytest.raises(BadInput, match=r"001051_00\.jpg: not a whole picture \(its coded data end"):
        index.build("city", source(market))


def test_an_image_that_is_a_pipe_is_not_waited_for(market: Path) -> None:
    path = market / "query" / "0001_c1s1_001051_00.jpg"
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(BadInput, match=r"001051_00\.jpg: a pipe; a regular file was wanted"):
        index.build("city", source(market))


def test_a_person_on_both_sides_is_refused(market: Path) -> None:
    wanted = source(market)
    (market / "query" / "0003_c2s2_012345_00.jpg.jpg").rename(
        market / "query" / "0007_c2s2_012345_00.jpg"
    )
    with pytest.raises(BadInput, match="people both in the training and in the test part: 7;"):
        index.build("city", wanted)


def test_nobody_is_a_query(market: Path) -> None:
    given = {**COUNTS, "query_people": 1}
    (market / "manifest.json").write_text(
        json.dumps({"format": "passerby.world/1", "counts": {"city": given}})
    )
    (market / "query" / "0003_c2s2_012345_00.jpg.jpg").rename(
        market / "query" / "-1_c2s2_012345_00.jpg"
    )
    counted = {**given, "query_images": 1, "junk_images": 2}
    (market / "manifest.json").write_text(
        json.dumps({"format": "passerby.world/1", "counts": {"city": counted}})
    )
    wanted = BenchmarkSource(
        kind="market1501", root=str(market), counts=str(market / "manifest.json")
    )
    with pytest.raises(BadInput, match=r"images of nobody .* outside the gallery: 1 in query"):
        index.build("city", wanted)


def test_another_version_is_refused_by_name(market: Path, tmp_path: Path) -> None:
    (tmp_path / "city.tsv").write_text("# passerby.benchmark/2 {}\n")
    with pytest.raises(
        BadInput, match=r"line 1: '# passerby\.benchmark/1 \.\.\.' wanted, '# passer"
    ):
        index.read(tmp_path / "city.tsv", market)


def test_a_broken_row_is_named_by_its_line(market: Path, tmp_path: Path) -> None:
    index.build("city", source(market)).write(tmp_path / "city.tsv")
    lines = (tmp_path / "city.tsv").read_text().splitlines()
    (tmp_path / "city.tsv").write_text("\n".join([*lines[:4], "train\tx\tseven"]))
    with pytest.raises(BadInput, match=r"city\.tsv, line 5: a row of split, path, .* wanted"):
        index.read(tmp_path / "city.tsv", market)


def test_a_missing_index_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"city\.tsv: no such file; 'dvc repro benchmark' writes"):
        index.read(tmp_path / "city.tsv", tmp_path)


def test_cuhk01_names_its_seed_in_the_header(lay, tmp_path: Path) -> None:
    root = lay("campus", [f"{p:04}{i:03}.png" for p in range(1, 5) for i in range(1, 5)])
    (tmp_path / "m.json").write_text(
        json.dumps({"format": "passerby.world/1", "counts": {"city": {"images": 16, "people": 4}}})
    )
    given = BenchmarkSource(
        kind="cuhk01", root=str(root), counts=str(tmp_path / "m.json"), split_seed=3
    )
    built = index.build("city", given)
    assert built.header["split_seed"] == 3
    assert [len(built.split(name)) for name in ("train", "query", "gallery")] == [8, 4, 4]
    assert built.kind == "cuhk01"
    assert built.name == "city"
