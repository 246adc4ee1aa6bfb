"""Features as other projects save them give the figures of the same arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from passerby.errors import BadInput
from passerby.evaluation import evaluate, saved


def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    features, people = rng.normal(size=(60, 8)).astype(np.float32), rng.integers(1, 9, 60)
    cameras = rng.integers(1, 4, 60)
    parts = {"query": slice(20), "gallery": slice(20, None)}
    columns = {"features": features, "people": people, "cameras": cameras}
    return {
        f"{side}_{name}": values[rows]
        for side, rows in parts.items()
        for name, values in columns.items()
    }


def renamed(place: int) -> dict[str, np.ndarray]:
    return {saved.NAMES[key][place]: value for key, value in arrays().items()}


def figures(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = saved.read(path)
    return evaluate(**read).to_dict()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_arrays_by_anybodys_names_are_read(place: int, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **renamed(place))
    assert figures(tmp_path / "x.npz") == evaluate(**arrays()).to_dict()


def test_the_matlab_file_of_the_pytorch_baseline_is_read(tmp_path: Path) -> None:
    savemat(tmp_path / "pytorch_result.mat", renamed(2))  # labels come back as rows of a matrix
    assert figures(tmp_path / "pytorch_result.mat") == evaluate(**arrays()).to_dict()


def test_a_folder_of_fast_reids_demo_is_read(tmp_path: Path) -> None:
    given = arrays()
    order: dict[str, list[int]] = {}
    for side in ("query", "gallery"):
        (tmp_path / side).mkdir()
        labels = zip(given[f"{side}_people"], given[f"{side}_cameras"], strict=True)
        names = [
            f"{person:04d}_c{camera}s1_{i:06d}_00.npy" for i, (person, camera) in enumerate(labels)
        ]
        for name, feature in zip(names, given[f"{side}_features"], strict=True):
            np.save(tmp_path / side / name, feature[None])  # demo.py saves a batch of one
        order[side] = np.argsort(names).tolist()
    found = saved.read(tmp_path)
    for key, value in given.items():
        assert found[key].tolist() == value[order[key.split("_")[0]]].tolist()


def test_junk_and_distractors_keep_their_numbers(tmp_path: Path) -> None:
    for side, name in (
        ("query", "0007_c1s1_0_0"),
        ("gallery", "-1_c3s2_0_0"),
        ("gallery", "0000_c2s1_0_0"),
    ):
        (tmp_path / side).mkdir(exist_ok=True)
        np.save(tmp_path / side / f"{name}.npy", np.ones(3))
    assert saved.read(tmp_path)["gallery_people"].tolist() == [-1, 0]


def test_lacking_arrays_are_named_with_what_others_call_them(tmp_path: Path) -> None:
    given = renamed(1)
    del given["g_pids"]
    np.savez(tmp_path / "x.npz", **given)
    with pytest.raises(BadInput, match=r"lacks gallery_people \(g_pids, gallery_label\); found"):
        saved.read(tmp_path / "x.npz")


def test_files_that_are_none_of_these_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.mat").write_bytes(b"no matrix")
    with pytest.raises(BadInput, match=r"x\.mat: not a MATLAB file of version 5 to 7"):
        saved.read(tmp_path / "x.mat")
    with pytest.raises(BadInput, match=r"y\.mat: no such file"):
        saved.read(tmp_path / "y.mat")
    with pytest.raises(BadInput, match=r"query: no \.npy files; wanted"):
        saved.read(tmp_path)


def test_names_without_labels_and_features_of_unequal_length_are_refused(tmp_path: Path) -> None:
    for side in ("query", "gallery"):
        (tmp_path / side).mkdir()
        np.save(tmp_path / side / "0001_c1.npy", np.ones(3))
    np.save(tmp_path / "query" / "0002_c1.npy", np.ones(4))
    with pytest.raises(BadInput, match="query: features of 3, 4 numbers"):
        saved.read(tmp_path)
    (tmp_path / "query" / "0002_c1.npy").rename(tmp_path / "query" / "somebody.npy")
    with pytest.raises(BadInput, match=r"names without person and camera: somebody\.npy"):
        saved.read(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (f"{'9' * 30}_c1.npy", "names without person and camera: 999"),
        (f"0001_c{'9' * 30}.npy", "names without person and camera: 0001_c999"),
    ],
)
def test_labels_that_no_column_has_room_for_are_none(name: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "query").mkdir()
    np.save(tmp_path / "query" / name, np.ones(3))
    with pytest.raises(BadInput, match=said):
        saved.read(tmp_path)


def test_a_cut_feature_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "query").mkdir()
    path = tmp_path / "query" / "0001_c1.npy"
    np.save(path, np.ones(30))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(BadInput, match=r"0001_c1\.npy: cut short: 239 bytes of values"):
        saved.read(tmp_path)
    np.save(path, np.array(["text"]))
    with pytest.raises(BadInput, match="query: values of type <U4; numbers wanted"):
        saved.read(tmp_path)
