"""The real sets: published counts, LUPerson's share, official attributes."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from passerby.datasets import attributes, cuhk03, cuhk03_np, fractions, index
from passerby.datasets.index import Benchmark
from passerby.datasets.rows import Row
from passerby.errors import BadInput
from passerby.settings import BenchmarkSource

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def market1501(realdata: Path) -> Benchmark:
    root = str(realdata / "Market-1501-v15.09.15")
    return index.build(
        "market1501", BenchmarkSource(kind="market1501", root=root, counts="market1501")
    )


def test_market_has_its_published_counts(market1501: Benchmark) -> None:
    sizes = [len(market1501.split(name)) for name in ("train", "query", "gallery")]
    assert sizes == [12_936, 3_368, 15_913]
    assert len(market1501.rows) == 12_936 + 3_368 + 19_732
    assert len(market1501.people("train")) == 751
    assert market1501.people("query") == market1501.people("gallery")
    assert set(market1501.split("train").camera.tolist()) == set(range(1, 7))
    assert sum(row.path.endswith(".jpg.jpg") for row in market1501.rows) == 24


def test_luperson_tenth_is_75_people_and_1170_images(market1501: Benchmark, realdata: Path) -> None:
    lists = str(realdata / "luperson" / "splits" / "market1501" / "few_ids")
    people = {
        percent: fractions.labelled_people(market1501, percent, 0, lists)
        for percent in (10, 30, 100)
    }
    assert [len(chosen) for chosen in people.values()] == [75, 225, 751]
    assert len(market1501.split("train").of_people(people[10])) == 1_170


@pytest.mark.parametrize(("percent", "count"), [(10, 1_293), (30, 3_880), (100, 12_936)])
def test_luperson_shares_of_images_are_of_everybody(
    market1501: Benchmark, realdata: Path, percent: int, count: int
) -> None:
    lists = str(realdata / "luperson" / "splits" / "market1501" / "few_ims")
    images = fractions.labelled_images(market1501, percent, 0, lists)
    drawn = fractions.labelled_images(market1501, percent, 0)
    assert len(images) == len(drawn) == count
    assert images_a_person(images) == images_a_person(drawn)


def images_a_person(paths: tuple[str, ...]) -> Counter[int]:
    """How many people keep 1, 2, ... images; as many, whoever has the one more."""
    of_person = Counter(path.split("/")[1][:4] for path in paths)
    return Counter(of_person.values())


@pytest.mark.parametrize("boxes", ["detected", "labeled"])
@pytest.mark.parametrize("percent", [10, 20, 50, 90])
def test_the_draw_keeps_as_many_a_person_as_luperson(
    realdata: Path, boxes: str, percent: int
) -> None:
    lists = realdata / "luperson" / "splits" / "cuhk03_np" / boxes / "few_ims"
    names = [line.split(";")[0] for line in (lists / "used_ims_1.00.txt").read_text().splitlines()]
    rows = tuple(Row("train", f"bounding_box_train/{n}", int(n[:4]), 1) for n in names)
    whole = Benchmark({"name": "cuhk03", "kind": "cuhk03-np"}, Path(), rows, ("",) * len(rows))
    theirs = fractions.labelled_images(whole, percent, 0, str(lists))
    ours = fractions.labelled_images(whole, percent, 0)
    assert len(theirs) == len(ours)
    assert images_a_person(theirs) == images_a_person(ours)


def test_market_as_a_folder_of_people_has_the_same_people_and_cameras(
    market1501: Benchmark, tmp_path: Path
) -> None:
    train = [row for row in market1501.rows if row.split == "train" and row.person < 100]
    for row in train:
        there = tmp_path / "train" / f"{row.person:04}"
        there.mkdir(parents=True, exist_ok=True)
        (there / Path(row.path).name).symlink_to(market1501.root / row.path)
    made = index.build("mine", BenchmarkSource(kind="folder", root=str(tmp_path)))
    as_folder = {Path(row.path).name: row for row in made.rows}
    people = {row.person: as_folder[Path(row.path).name].person for row in train}
    assert sorted(people.values()) == list(range(1, len(people) + 1))
    assert [people[row.person] for row in train] == [
        as_folder[Path(row.path).name].person for row in train
    ]
    assert [row.camera for row in train] == [as_folder[Path(r.path).name].camera for r in train]


def test_luperson_lists_of_images_are_refused_as_lists_of_people(
    market1501: Benchmark, realdata: Path
) -> None:
    lists = str(realdata / "luperson" / "splits" / "market1501" / "few_ims")
    with pytest.raises(BadInput, match="line 1: a person's number wanted, '0002_c1s2_000841_01"):
        fractions.labelled_people(market1501, 10, 0, lists)


def test_official_attributes_describe_every_person(market1501: Benchmark, realdata: Path) -> None:
    found = attributes.read(realdata / "market1501-attributes" / "market_attribute.mat")
    people = market1501.people("train") + market1501.people("query")
    assert found.of(people).shape == (751 + 750, 12)
    females = found.of(market1501.people("train"))[:, 0].sum()
    assert females == 320


def test_course_attributes_have_751_people(realdata: Path) -> None:
    found = attributes.read(realdata / "market1501-attributes" / "unitn_annotations_train.csv")
    assert found.values.shape == (751, 12)
    assert (found.values[:, 10] == 8).sum() == 72  # of no colour


def test_cuhk01_splits_into_485_and_486(realdata: Path) -> None:
    source = BenchmarkSource(kind="cuhk01", root=str(realdata / "CUHK01/campus"), counts="cuhk01")
    built = index.build("cuhk01", source)
    assert [len(built.people(name)) for name in ("train", "query", "gallery")] == [485, 486, 486]
    assert [len(built.split(name)) for name in ("train", "query", "gallery")] == [1_940, 972, 972]


@pytest.mark.parametrize("boxes", ["detected", "labeled"])
def test_cuhk03_has_the_published_counts_and_the_people_of_lupersons_list(
    lay: Callable[..., Path], realdata: Path, boxes: str
) -> None:
    path = realdata / "cuhk03-protocol" / f"cuhk03_new_protocol_config_{boxes}.mat"
    root = lay(boxes, [row.path for row in cuhk03.split(path)])
    shutil.copy(path, root)
    source = BenchmarkSource(
        kind="cuhk03",
        root=str(root),
        counts=f"cuhk03-np-{boxes}",
        split_file=path.name,
    )
    built = index.build(f"cuhk03-{boxes}", source)
    assert built.people("query") == built.people("gallery")
    train = Counter((row.person, row.camera) for row in built.rows if row.split == "train")
    luperson = realdata / "luperson/splits/cuhk03_np" / boxes / "few_ims/used_ims_1.00.txt"
    names = re.findall(r"^(\d{4})_c(\d)_", luperson.read_text(), re.M)
    assert train == Counter((int(person), int(camera)) for person, camera in names)


def test_cuhk03_has_the_rows_of_the_new_protocols_folders(realdata: Path) -> None:
    """Of the people that the part holds: 1 to 743."""
    part = cuhk03_np.read(realdata / "cuhk03-np-pair1-60x160" / "detected")
    path = realdata / "cuhk03-protocol" / "cuhk03_new_protocol_config_detected.mat"
    whole = [row for row in cuhk03.split(path) if row.person <= 743]
    counted = [Counter((r.split, r.person, r.camera) for r in rows) for rows in (part, whole)]
    assert counted[0] == counted[1]


@pytest.mark.parametrize(
    ("folder", "counts"),
    [
        ("cuhk03-np-pair1-60x160", "cuhk03-np-detected-pair1"),
        ("cuhk03-np-pair1-50ids", "cuhk03-np-detected-pair1-50ids"),
    ],
)
def test_cuhk03_part_has_its_own_counts_and_not_the_whole_sets(
    realdata: Path, folder: str, counts: str
) -> None:
    root = str(realdata / folder / "detected")
    built = index.build("part", BenchmarkSource(kind="cuhk03-np", root=root, counts=counts))
    assert built.header["published"] == counts
    assert set(built.split("gallery").camera.tolist()) == {1, 2}
    whole = BenchmarkSource(kind="cuhk03-np", root=root, counts="cuhk03-np-detected")
    with pytest.raises(BadInput, match="train_images: 7,365 wanted"):
        index.build("part", whole)
