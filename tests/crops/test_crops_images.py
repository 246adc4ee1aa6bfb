import hashlib

import cv2
import numpy as np
import pytest
from crop_samples import picture

from passerby.crops.images import from_benchmark
from passerby.crops.source import people
from passerby.datasets import index
from passerby.datasets.index import Benchmark, _image_hash
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.images import encoded
from passerby.settings import BenchmarkSource, Crops

SETTINGS = Crops(jpeg_quality=90)
ROWS = (
    Row("train", "train/0002_c1s1_000451_03.jpg", 2, 1, 1, 451),
    Row("train", "train/0002_c1s1_000451_04.jpg", 2, 1, 1, 451),
    Row("train", "train/0002_c1s2_000020_01.jpg", 2, 1, 2, 20),
    Row("train", "train/0002_c3s1_000100_01.jpg", 2, 3, 1, 100),
    Row("train", "train/0007_c1s1_000020_01.png", 7, 1, 1, 20),
    Row("query", "query/0009_c1s1_000001_01.jpg", 9, 1, 1, 1),
    Row("gallery", "test/0009_c2s1_000001_01.jpg", 9, 2, 1, 1),
)


@pytest.fixture
def benchmark(tmp_path):
    """A labelled set of five training and two test images; gives its index and its root."""
    root = tmp_path / "set"
    for number, row in enumerate(ROWS):
        (root / row.path).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(root / row.path), picture(number, 20, 40 + number)[..., ::-1])
    hashes = tuple(_image_hash(root / row.path) for row in ROWS)
    header = {"name": "market", "kind": "market1501", "counts": {}}
    Benchmark(header, root, ROWS, hashes).write(tmp_path / "market.tsv")
    return tmp_path / "market.tsv", root


def test_training_images_join_in_order_of_frame_and_no_test_image_does(benchmark):
    source = from_benchmark(*benchmark, SETTINGS)
    order = [2, 4, 3, 0, 1]
    assert (source.name, source.kind) == ("benchmark-market", "images")
    assert (source.boxes, len(source.jpegs), source.left_out) == (5, 5, {})
    assert source.columns["frame"].tolist() == [20, 20, 100, 451, 451]
    assert source.columns["index"].tolist() == [0, 1, 0, 0, 1]
    assert source.columns["height"].tolist() == [40 + number for number in order]
    assert source.columns["box"][0].tolist() == [0, 0, 20, 42]


def test_same_person_camera_and_sequence_are_one_track(benchmark):
    source = from_benchmark(*benchmark, SETTINGS)
    # c1s2, the other person, c3, c1s1 twice
    assert source.columns["track"].tolist() == [1, 3, 2, 0, 0]
    cameras = [source.cameras[camera] for camera in source.columns["camera"]]
    assert cameras == [f"benchmark-market/c{n}" for n in (1, 1, 3, 1, 1)]


def test_a_jpeg_is_stored_as_it_is_and_another_image_is_encoded(benchmark):
    path, root = benchmark
    source = from_benchmark(path, root, SETTINGS)
    assert source.jpegs[0] == (root / ROWS[2].path).read_bytes()
    assert source.jpegs[1] == encoded(picture(4, 20, 44), 90)


def test_an_image_that_changed_or_is_missing_is_refused(benchmark):
    path, root = benchmark
    (root / ROWS[0].path).write_bytes((root / ROWS[1].path).read_bytes())
    with pytest.raises(BadInput) as error:
        from_benchmark(path, root, SETTINGS)
    assert str(error.value) == (
        f"{root / ROWS[0].path}: not the image that was indexed; unpack the set again, or index "
        "it anew with 'dvc repro benchmark'"
    )
    (root / ROWS[0].path).unlink()
    with pytest.raises(BadInput, match=r"0002_c1s1_000451_03\.jpg: no such image"):
        from_benchmark(path, root, SETTINGS)


def test_an_image_that_does_not_decode_is_refused(tmp_path):
    data = b"\xff\xd8 nothing \xff\xd9"
    (tmp_path / "a.jpg").write_bytes(data)
    row = Row("train", "a.jpg", 1, 1)
    Benchmark(
        {"name": "m", "kind": "cuhk01", "counts": {}},
        tmp_path,
        (row,),
        (hashlib.sha256(data).hexdigest()[:16],),
    ).write(tmp_path / "m.tsv")
    with pytest.raises(BadInput, match=r"a\.jpg: not a whole picture"):
        from_benchmark(tmp_path / "m.tsv", tmp_path, SETTINGS)


def test_a_deep_grey_image_has_its_levels_in_the_store(tmp_path):
    grey = picture(1)[..., 0]
    cv2.imwrite(str(tmp_path / "a.png"), grey.astype(np.uint16) * 257)
    hashes = (_image_hash(tmp_path / "a.png"),)
    rows = (Row("train", "a.png", 1, 1),)
    Benchmark({"name": "m", "kind": "cuhk01", "counts": {}}, tmp_path, rows, hashes).write(
        tmp_path / "m.tsv"
    )
    source = from_benchmark(tmp_path / "m.tsv", tmp_path, SETTINGS)
    assert source.jpegs[0] == encoded(np.stack([grey] * 3, axis=-1), 90)


def test_images_of_unknown_frame_have_names_of_their_own(tmp_path, make_store):
    rows = tuple(Row("train", f"{n}.png", 1, 1) for n in range(3))
    for number, row in enumerate(rows):
        cv2.imwrite(str(tmp_path / row.path), picture(number))
    hashes = tuple(_image_hash(tmp_path / row.path) for row in rows)
    Benchmark({"name": "m", "kind": "cuhk01", "counts": {}}, tmp_path, rows, hashes).write(
        tmp_path / "m.tsv"
    )
    store = make_store(from_benchmark(tmp_path / "m.tsv", tmp_path, SETTINGS))
    assert [store.name(i) for i in range(3)] == [f"benchmark-m/-1/{n}" for n in range(3)]
    assert np.array_equal(store.track, [0, 0, 0])


@pytest.mark.real
@pytest.mark.slow
def test_market1501_gives_its_training_images_and_the_tracks_of_its_names(realdata, tmp_path):
    root = realdata / "Market-1501-v15.09.15"
    source = BenchmarkSource(kind="market1501", root=str(root), counts="market1501")
    index.build("market1501", source).write(tmp_path / "market1501.tsv")
    crops = from_benchmark(tmp_path / "market1501.tsv", root, SETTINGS)
    files = sorted((root / "bounding_box_train").glob("*.jpg"))
    assert len(crops.jpegs) == len(files) == 12_936
    by_bytes = {path.read_bytes(): path.name for path in files}
    assert len(by_bytes) == 12_936
    names = [by_bytes[jpeg] for jpeg in crops.jpegs]  # a test image would be no key
    track_of = {name[:9]: track for name, track in zip(names, crops.columns["track"], strict=True)}
    assert len(track_of) == len(set(track_of.values())) == 3_541  # 0002_c1s1: one track each
    for name, track in zip(names, crops.columns["track"], strict=True):
        assert track_of[name[:9]] == track


def test_people_are_numbers_that_no_other_set_and_no_video_uses(benchmark):
    found = from_benchmark(*benchmark, SETTINGS).columns["person"]
    assert found.tolist() == people("market", np.array([2, 7, 2, 2, 2])).tolist()
    assert len(set(found)) == 2
    assert found.min() > 2**32
    assert not set(found) & set(people("other", np.array([2, 7])))
    assert people("market", np.array([0, -1])).tolist() == [-1, -1]
