"""Result files: contents, equal bytes, and files that are refused."""

import json
from pathlib import Path

import numpy as np
import pytest

from passerby.errors import BadInput
from passerby.evaluation import cuhk01, evaluate, evaluate_trials, results


def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    people = rng.integers(1, 6, 60)
    features = (np.eye(6)[people] + rng.normal(size=(60, 6))).astype(np.float32)
    cameras = rng.integers(1, 4, 60)
    return {
        "query_features": features[:20],
        "gallery_features": features[20:],
        "query_people": people[:20],
        "gallery_people": people[20:],
        "query_cameras": cameras[:20],
        "gallery_cameras": cameras[20:],
    }


def written(folder: Path) -> Path:
    given = arrays()
    about = {"model": "moco-100-0", "set": "city", "hashes": {"model": "ab"}}
    results.write(folder, evaluate(**given), given, about)
    return folder


def columns(path: Path) -> dict[str, list[str]]:
    head, *rows = [line.split("\t") for line in path.read_text().splitlines()]
    return {name: [row[i] for row in rows] for i, name in enumerate(head)}


def test_metrics_hold_figures_and_whose_they_are(tmp_path: Path) -> None:
    metrics = json.loads((written(tmp_path) / "metrics.json").read_text())
    assert metrics["format"] == "passerby.result/1"
    assert (metrics["model"], metrics["set"]) == ("moco-100-0", "city")
    assert metrics["map"] == round(evaluate(**arrays()).map, 6)
    assert metrics["counts"]["queries"] == 20


def test_tables_have_the_columns_that_plots_use(tmp_path: Path) -> None:
    written(tmp_path)
    roc = columns(tmp_path / "roc.tsv")
    assert list(roc) == ["fpr", "tpr", "threshold"]
    assert (roc["fpr"][-1], roc["tpr"][-1]) == ("1", "1")
    assert min(map(float, roc["fpr"])) > 0  # drawn on a logarithmic axis
    cmc = columns(tmp_path / "cmc.tsv")
    assert cmc["rank"] == [str(k) for k in range(1, 51)]
    assert float(cmc["share"][0]) == pytest.approx(evaluate(**arrays()).ranking.cmc(1), abs=1e-5)
    spread = columns(tmp_path / "distances.tsv")
    assert spread["kind"] == ["genuine"] * 100 + ["impostor"] * 100
    assert sum(map(float, spread["share"])) == pytest.approx(2.0, abs=1e-3)


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    first, second = written(tmp_path / "a"), written(tmp_path / "b")
    names = sorted(path.name for path in first.iterdir())
    assert names == ["cmc.tsv", "distances.tsv", "embeddings.npz", "metrics.json", "roc.tsv"]
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    assert b"\x00\x00\x21\x00" in (first / "embeddings.npz").read_bytes()[:30]  # 1980-01-01


def test_embeddings_evaluate_to_the_same_figures(tmp_path: Path) -> None:
    found = evaluate(**results.read_embeddings(written(tmp_path) / "embeddings.npz"))
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert found.to_dict().items() <= metrics.items()


def test_repeated_trials_stand_beside_by_their_protocols_name(tmp_path: Path) -> None:
    given = arrays()
    labels, views = np.repeat([1, 2, 3], 2), np.tile([1, 2], 3)
    trials = evaluate_trials(
        given["query_features"][:6], labels, views, cuhk01(labels, views, [(1, 2, 3)])
    )
    results.write(tmp_path, evaluate(**given), given, {}, [trials])
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["trials"] == {"cuhk01-multi-shot": trials.to_dict()}


def test_long_numbers_of_unknown_cameras_come_back(tmp_path: Path) -> None:
    given = arrays()
    given["query_cameras"] = given["query_cameras"] - (1 << 60)
    results.write_embeddings(tmp_path / "x.npz", given)
    found = results.read_embeddings(tmp_path / "x.npz")
    assert found["query_cameras"].tolist() == given["query_cameras"].tolist()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"features\.npz: no such file"):
        results.read_embeddings(tmp_path / "features.npz")


def test_lacking_arrays_are_named(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", query_features=np.ones((2, 2)), other=np.ones(1))
    with pytest.raises(BadInput, match=r"lacks gallery_features, .*found query_features, other"):
        results.read_embeddings(tmp_path / "x.npz")


@pytest.mark.parametrize("data", [b"", b"no archive", b"PK\x03\x04 cut"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npz").write_bytes(data)
    with pytest.raises(BadInput, match=r"x\.npz: not arrays as np\.savez writes them"):
        results.read_embeddings(tmp_path / "x.npz")


def test_pickled_arrays_are_refused(tmp_path: Path) -> None:
    given: dict[str, np.ndarray] = {**arrays(), "query_people": np.array([object()])}
    np.savez(tmp_path / "x.npz", **given)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="Python objects") as caught:
        results.read_embeddings(tmp_path / "x.npz")
    assert "unsafely" not in str(caught.value)  # numpy's advice


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    with pytest.raises(BadInput, match=r"x\.npy: not arrays as np\.savez writes them"):
        results.read_embeddings(tmp_path / "x.npy")
