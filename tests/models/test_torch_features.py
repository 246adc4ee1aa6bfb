"""Features that torch saved: fast-reid's batches, and dicts of tensors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from passerby.errors import BadInput
from passerby.models import torch_features


def batches() -> list[dict[str, torch.Tensor]]:
    """Five features in two batches, as `ReidEvaluator.process` keeps them."""
    features = torch.arange(20, dtype=torch.float32).reshape(5, 4)
    people, cameras = torch.tensor([1, 2, 1, 2, 3]), torch.tensor([1, 1, 2, 2, 2])
    return [
        {"feats": features[part], "pids": people[part], "camids": cameras[part]}
        for part in (slice(0, 3), slice(3, 5))
    ]


def test_fast_reids_batches_are_split_into_queries_and_gallery(tmp_path: Path) -> None:
    torch.save(batches(), tmp_path / "x.pth")
    found = torch_features.read(tmp_path / "x.pth", queries=2)
    assert found["query_people"].tolist() == [1, 2]
    assert found["gallery_people"].tolist() == [1, 2, 3]
    assert found["gallery_cameras"].tolist() == [2, 2, 2]
    assert found["gallery_features"].tolist() == np.arange(8, 20).reshape(3, 4).tolist()


def test_a_dict_of_tensors_is_read_by_name(tmp_path: Path) -> None:
    torch.save({"qf": torch.ones(2, 3), "q_pids": torch.tensor([4, 5])}, tmp_path / "x.pt")
    found = torch_features.read(tmp_path / "x.pt")
    assert found["qf"].shape == (2, 3)
    assert found["q_pids"].tolist() == [4, 5]


@pytest.mark.parametrize("queries", [None, 0, 5])
def test_how_many_are_queries_must_be_said(queries: int | None, tmp_path: Path) -> None:
    torch.save(batches(), tmp_path / "x.pth")
    with pytest.raises(BadInput, match=r"x\.pth: 5 features; say with --queries how many"):
        torch_features.read(tmp_path / "x.pth", queries)


def test_a_dict_says_itself_which_are_queries(tmp_path: Path) -> None:
    torch.save({"qf": torch.zeros(2, 3)}, tmp_path / "x.pt")
    with pytest.raises(BadInput, match=r"x\.pt: says itself which are queries; leave --queries"):
        torch_features.read(tmp_path / "x.pt", 1)


def test_what_is_no_features_is_refused(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "x.pth")
    with pytest.raises(BadInput, match="holds a list; wanted a dict of arrays, or fast-reid's"):
        torch_features.read(tmp_path / "x.pth", 1)
    (tmp_path / "y.pth").write_bytes(b"nothing")
    with pytest.raises(BadInput, match=r"y\.pth: not tensors as torch\.save writes them"):
        torch_features.read(tmp_path / "y.pth")
    with pytest.raises(BadInput, match=r"z\.pth: no such file"):
        torch_features.read(tmp_path / "z.pth")


def test_tensors_of_short_floats_and_with_gradients_simply_work(tmp_path: Path) -> None:
    given = {
        "qf": torch.tensor([[1.5, -2]]).bfloat16(),
        "gf": torch.nn.Parameter(torch.tensor([[1.5, -2]])),
        "q_pids": [7],
        "paths": ["a.jpg", "b.jpg"],
        "epoch": 3,
    }
    torch.save(given, tmp_path / "x.pth")
    found = torch_features.read(tmp_path / "x.pth")
    assert set(found) == {"qf", "gf", "q_pids"}
    assert found["qf"].tolist() == found["gf"].tolist() == [[1.5, -2]]
    assert found["qf"].dtype == np.float32
    first, second = batches()
    first["feats"] = first["feats"].bfloat16()
    torch.save([first, second], tmp_path / "y.pth")
    assert torch_features.read(tmp_path / "y.pth", 2)["query_features"].shape == (2, 4)


def test_batches_that_do_not_fit_each_other_are_refused(tmp_path: Path) -> None:
    first, second = batches()
    second["feats"] = second["feats"][:, :2]
    torch.save([first, second], tmp_path / "x.pth")
    with pytest.raises(BadInput, match=r"x\.pth: not batches of camids, feats, pids that fit each"):
        torch_features.read(tmp_path / "x.pth", 2)
