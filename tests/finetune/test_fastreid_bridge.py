"""The bridge: our labelled images as fast-reid's items, and the batches drawn from them."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image

from passerby import files, seeds
from passerby.datasets import counts, cuhk03, index
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune import bridge, recipes
from passerby.settings import BenchmarkSource, Encoder, Finetune


def test_d7_d8_items_are_sorted_and_labelled_by_the_index_alone(benchmark_set: Benchmark) -> None:
    found = bridge.items(benchmark_set, (2, 7))
    train = benchmark_set.root / "train"
    assert found == [
        (str(train / f"{person:04d}_c{camera}.jpg"), f"noise_{person}", f"noise_c{camera}")
        for person in (2, 7)
        for camera in (1, 2, 3)
    ]
    assert bridge.items(benchmark_set, (99,)) == []  # of the test part


def test_d4_fewer_people_than_a_batch_holds_are_refused() -> None:
    bridge.check_batch(4, 4, 1)
    with pytest.raises(BadInput) as error:
        bridge.check_batch(3, 4, 1)
    assert str(error.value) == (
        "3 labelled people, but a batch holds 4 (finetune.people_per_batch): "
        "label a larger share, or make batches smaller"
    )


@pytest.mark.parametrize(("people", "processes"), [(4, 4), (4, 3), (2, 2)])
def test_m3_processes_with_fewer_than_two_people_or_uneven_shares_are_refused(
    people: int, processes: int
) -> None:
    bridge.check_batch(8, 4, 2)
    with pytest.raises(BadInput) as error:
        bridge.check_batch(8, people, processes)
    assert str(error.value) == (
        f"a batch of {people} people (finetune.people_per_batch) shared by {processes} processes: "
        "each needs the same number of people, two at least, to find triplets"
    )


def sampler(
    images: list[bridge.Item], seed: int = 0, images_per_person: int = 2
) -> list[list[int]]:
    """The batches of epochs 0, 1 and again 0."""
    drawn = bridge.EpochSampler(images, 4, images_per_person, iterations=3, seed=seed)
    epochs = []
    for drawn.epoch in (0, 1, 0):
        epochs.append([one.image for one in drawn])
        assert len(epochs[-1]) == len(drawn) == 3 * 4 * images_per_person
    return epochs


def test_d10_an_epoch_is_drawn_again_without_those_before_it(benchmark_set: Benchmark) -> None:
    images = bridge.items(benchmark_set, range(1, 9))
    first, second, again = sampler(images)
    assert first == again
    assert first != second
    assert sampler(images) == [first, second, first]
    assert sampler(images, seed=1)[0] != first


@pytest.mark.parametrize("images_per_person", [2, 3, 5])
def test_every_batch_holds_so_many_images_of_so_many_people(
    benchmark_set: Benchmark, images_per_person: int
) -> None:
    images = bridge.items(benchmark_set, range(1, 9))  # three images of each: fewer than five
    first, second, _ = sampler(images, images_per_person=images_per_person)
    size = 4 * images_per_person
    for batch in zip(*[iter(first + second)] * size, strict=True):
        people = Counter(images[index][1] for index in batch)
        assert list(people.values()) == [images_per_person] * 4


def test_an_epoch_that_is_gone_on_with_has_the_draws_that_were_left(
    benchmark_set: Benchmark,
) -> None:
    images = bridge.items(benchmark_set, range(1, 9))
    drawn = bridge.EpochSampler(images, 4, 2, iterations=3, seed=0)
    whole = list(drawn)
    drawn.first = 2
    assert list(drawn) == whole[2 * 8 :]
    assert len({one.place for one in whole}) == 3 * 8


def batches(benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, **changes: int) -> list:
    images = bridge.items(benchmark_set, (2, 4, 6, 8))
    cfg = recipes.config(plan.model_copy(update=changes), encoder, 4, len(images))
    sampler = bridge.EpochSampler(images, 4, 2, 2, seed=0)
    return list(bridge.loader(cfg, images, sampler, seed=0))


def test_batches_are_whole_pictures_in_0_to_255_with_labels_from_0(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder
) -> None:
    batch = batches(benchmark_set, plan, encoder)[0]
    assert batch["images"].shape == (8, 3, 32, 16)
    assert batch["images"].max() > 200
    people = [Path(path).name[:4] for path in batch["img_paths"]]
    labels = dict(zip(people, batch["targets"].tolist(), strict=True))
    assert labels == {"0002": 0, "0004": 1, "0006": 2, "0008": 3}


@pytest.mark.slow
def test_d10_pictures_do_not_depend_on_how_many_workers_make_them(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder
) -> None:
    alone = batches(benchmark_set, plan, encoder)
    shared = batches(benchmark_set, plan, encoder, workers=2)
    for one, other in zip(alone, shared, strict=True):
        assert torch.equal(one["images"], other["images"])
    assert not torch.equal(alone[0]["images"], alone[1]["images"])


def picture(path: Path, person: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = seeds.stream(person, path.name).integers(0, 256, (32, 16, 3)).astype(np.uint8)
    Image.fromarray(noise).save(path)


def in_three_folders(root: Path, name: str) -> None:
    people = {"bounding_box_train": (2, 7), "query": (9,), "bounding_box_test": (9,)}
    for folder, held in people.items():
        for person in held:
            for camera in (1, 2):
                picture(root / folder / name.format(person=person, camera=camera), person)


def in_market1501s_layout(root: Path) -> None:
    in_three_folders(root, "{person:04d}_c{camera}s1_000001_00.jpg")


def in_cuhk03_nps_layout(root: Path) -> None:
    in_three_folders(root, "{person:04d}_c{camera}_1.png")


def in_cuhk03s_layout(root: Path) -> None:
    people = np.repeat([2, 7, 9], 2)
    images = [(person, image) for person in (2, 7, 9) for image in (1, 6)]
    names = [cuhk03.file_name(1, person, image) for person, image in images]
    for name, person in zip(names, people, strict=True):
        picture(root / name, int(person))
    columns = {
        "filelist": np.array(names, object),
        "labels": people,
        "camId": np.tile([1, 2], 3),
        "train_idx": np.arange(1, 5),
        "query_idx": np.array([5]),
        "gallery_idx": np.array([6]),
    }
    scipy.io.savemat(root / "split.mat", columns)


def in_msmt17s_layout(root: Path) -> None:
    lists = {"list_train": (2, 7), "list_val": (), "list_query": (9,), "list_gallery": (9,)}
    for name, people in lists.items():
        folder = root / ("train" if name in ("list_train", "list_val") else "test")
        lines = []
        for number, person in enumerate(people):
            for camera in (1, 2):
                half = {"list_query": 1, "list_gallery": 2}.get(name, camera)
                path = f"{number:04d}/{number:04d}_000_{half:02d}_0303morning_000{camera}_0.jpg"
                picture(folder / path, person)
                lines.append(f"{path} {number}")
        (root / f"{name}.txt").write_text("\n".join(lines) + "\n")


def in_folders(root: Path) -> None:
    for split, people in (("train", ("anna", "bo")), ("query", ("cy",)), ("gallery", ("cy",))):
        for person in people:
            for number in (1, 2):
                picture(root / split / person / f"{split}{number}.jpg", ord(person[0]))


def in_a_table(root: Path) -> None:
    lines = ["path,person,split"]
    for split, people in (("train", ("anna", "bo")), ("query", ("cy",)), ("gallery", ("cy",))):
        for person in people:
            for number in (1, 2):
                name = f"{split}-{person}-{number}.jpg"
                picture(root / name, ord(person[0]))
                lines.append(f"{name},{person},{split}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("kind", "lay_out"),
    [
        ("market1501", in_market1501s_layout),
        ("cuhk03-np", in_cuhk03_nps_layout),
        ("cuhk03", in_cuhk03s_layout),
        ("msmt17", in_msmt17s_layout),
        ("folder", in_folders),
        ("csv", in_a_table),
    ],
)
def test_d7_d9_every_kind_of_set_makes_batches_also_without_cameras(
    tmp_path: Path, kind: str, lay_out: Any, plan: Finetune
) -> None:
    root = tmp_path / "exp-9_c4"  # D7: fast-reid would take labels from this folder's name
    root.mkdir()
    lay_out(root)
    known = {"mine": {"train_images": 4, "train_people": 2}}
    manifest = {"format": counts.MANIFEST, "counts": known}
    files.write_json(tmp_path / "manifest.json", manifest)
    source = BenchmarkSource(
        kind=kind,
        root=str(root),
        counts=str(tmp_path / "manifest.json"),
        split_file="split.mat" if kind == "cuhk03" else "",
    )
    found = index.build("mine", source)
    images = bridge.items(found, found.people("train"))
    assert list(Counter(person for _, person, _ in images).values()) == [2, 2]
    cfg = recipes.config(plan, Encoder(), 2, len(images))
    (batch,) = bridge.loader(cfg, images, bridge.EpochSampler(images, 2, 4, 1, seed=0), seed=0)
    assert batch["images"].shape == (8, 3, 32, 16)
    assert sorted(batch["targets"].tolist()) == [0] * 4 + [1] * 4
