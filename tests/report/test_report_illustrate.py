"""The folder of pictures: what is in it, equal bytes, and what is said."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from evaluated_samples import FARS, GALLERY, QUERIES, arrays
from PIL import Image

from passerby import files
from passerby.datasets import index
from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.evaluation import evaluate
from passerby.report.evaluated import files_of
from passerby.report.illustrate import illustrate
from passerby.settings import BenchmarkSource

ROOT = Path(__file__).resolve().parents[2]
CURVES = {
    "roc", "cmc", "distances", "embedding_map", "query_distances_hardest", "query_distances_random",
}  # fmt: skip
RANKED = {"ranked_hardest", "ranked_random"}


def names(stems: set[str]) -> set[str]:
    return {f"{stem}.{kind}" for stem in stems for kind in ("svg", "png")} | {"hardest.tsv"}


def a_set(root: Path) -> Benchmark:
    """A set of one's own whose pictures are as many as the samples' features."""
    for split, count in (("query", QUERIES), ("gallery", GALLERY)):
        for n in range(count):
            folder = root / split / f"p{n % 6}"
            folder.mkdir(parents=True, exist_ok=True)
            colour = n * 1000 + (split == "query")
            picture = np.full((16, 8, 3), [colour % 251, colour % 241, n], np.uint8)
            Image.fromarray(picture).save(folder / f"{n:02d}.png")
    return index.build("mine", BenchmarkSource(kind="folder", root=str(root)))


@pytest.mark.slow
def test_without_picture_files_ranked_lists_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    given = arrays()
    result = evaluate(**given, fars=(1e-9, 1e-1))
    (tmp_path / "ranked_random.png").write_bytes(b"of an earlier run")
    (tmp_path / "notes.txt").write_text("the user's own")
    said = illustrate(tmp_path, "a model", result, given)
    assert {path.name for path in tmp_path.iterdir()} == names(CURVES) | {"notes.txt"}
    assert said == (
        f"{tmp_path}: roc, cmc, distances, embedding_map, query_distances_hardest, "
        "query_distances_random (SVG, PNG), hardest.tsv; left out: ranked lists (features alone, "
        "no picture files); TAR at FAR 1e-07 % (less than one pair of different people)"
    )


@pytest.mark.slow
def test_equal_inputs_give_equal_bytes_and_name_no_folder(tmp_path: Path) -> None:
    given = arrays()
    result = evaluate(**given, fars=FARS, draws=5)
    benchmark = a_set(tmp_path / "set")
    for name in ("one", "two"):
        said = illustrate(tmp_path / name, "a model on mine", result, given, benchmark)
        assert said.endswith("ranked_random (SVG, PNG), hardest.tsv; left out: nothing")
    assert {path.name for path in (tmp_path / "one").iterdir()} == names(CURVES | RANKED)
    for path in (tmp_path / "one").iterdir():
        assert files.sha256(path) == files.sha256(tmp_path / "two" / path.name), path.name
        assert str(tmp_path).encode() not in path.read_bytes()
    svg = (tmp_path / "one" / "ranked_hardest.svg").read_text()
    assert svg.count("<image ") == 6 * (1 + 10)  # each photograph by itself


def test_a_picture_that_cannot_be_read_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    benchmark = a_set(tmp_path / "set")
    for path in (tmp_path / "set" / "query").rglob("*.png"):
        path.unlink()
    given = arrays()
    with pytest.raises(BadInput, match=r"\.png: no such file"):
        illustrate(tmp_path / "out", "a model", evaluate(**given), given, benchmark)
    assert not (tmp_path / "out").exists()


def test_pictures_stand_in_the_order_in_which_they_are_embedded(tmp_path: Path) -> None:
    benchmark = a_set(tmp_path)
    found = files_of(benchmark)
    assert [found.root / name for name in found.gallery] == benchmark.split("gallery").paths
    assert [found.root / name for name in found.query] == benchmark.split("query").paths
    assert found.query[0] == "query/p0/00.png"


@pytest.mark.slow
def test_pictures_need_no_torch() -> None:
    code = "import sys, passerby.report.illustrate; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
