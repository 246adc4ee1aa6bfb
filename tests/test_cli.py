"""The `passerby` command as a user types it: real processes, messages, exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from passerby import cli, seeds
from passerby.errors import BadInput
from passerby.models import artifact, backbones
from passerby.models.artifact import ModelCard
from passerby.settings import Encoder

ROOT = Path(__file__).resolve().parent.parent


def passerby(*arguments: object, code: int = 0, folder: Path = ROOT) -> str:
    """What `passerby ARGUMENTS` printed, stdout and stderr together."""
    done = subprocess.run(
        [sys.executable, "-m", "passerby.cli", *map(str, arguments)],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stdout
    assert "Traceback" not in done.stdout
    return done.stdout


@pytest.mark.parametrize(
    "verb",
    [
        ["profile"], ["clip"], ["crops"], ["crops", "info"], ["crops", "show"], ["crops", "verify"],
        ["crops", "export"], ["extract"], ["adopt"], ["export"], ["calibrate"], ["embed"],
        ["evaluate"], ["record"], ["plot"], ["scratch"], [],
    ],
    ids=" ".join,
)  # fmt: skip
def test_every_verb_has_a_help_that_says_what_it_does(
    verb: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.parser().parse_args([*verb, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) > 6
    assert "Raises:" not in said


@pytest.mark.slow
def test_profile_writes_checked_settings_and_lists_profiles(tmp_path: Path) -> None:
    out = tmp_path / "params.yaml"
    assert passerby("profile", "city", "--out", out) == f"{out}: the settings of profile 'city'\n"
    assert out.read_text() == (ROOT / "profiles" / "city.yaml").read_text()
    assert "paper\nreal-small\n" in passerby("profile")
    assert "did you mean 'tiny'?" in passerby("profile", "tny", "--out", out, code=2)


@pytest.mark.slow
def test_features_of_anybody_are_evaluated(tmp_path: Path) -> None:
    rng = seeds.stream(0, "features")
    people = np.arange(1, 9)
    query = rng.normal(size=(8, 16)).astype(np.float32)
    np.savez(
        tmp_path / "features.npz",
        query_features=query,
        gallery_features=query + 0.01,
        query_people=people,
        gallery_people=people,
        query_cameras=np.ones(8, int),
        gallery_cameras=np.full(8, 2),
    )
    said = passerby(
        "evaluate", tmp_path / "features.npz", "--out", tmp_path / "result",
        "--pictures", tmp_path / "pictures",
    )  # fmt: skip
    assert "mAP        100.00%" in said
    assert f"{tmp_path / 'pictures'}: roc, cmc, distances, embedding_map, " in said
    assert "left out: ranked lists (features alone, no picture files)" in said
    assert (tmp_path / "pictures" / "roc.svg").exists()
    assert (tmp_path / "result" / "metrics.json").exists()


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("model", ["--protocol", "folder"], "--protocol: {} is a model, whose card and set decide"),
        ("model", ["--distance", "cosine", "--queries", "3"], "--queries, --distance: {} is a mod"),
        ("x.npz", ["--set", "a", "--flip"], "--set, --flip: {} is features, and that is for model"),
        ("x.npz", ["--queries", "3"], "{}: says itself which are queries; leave --queries out"),
        ("typo", ["--set", "city-market1501"], "{}: no such file or folder"),
    ],
)
def test_an_option_that_would_be_passed_over_is_refused(
    what: str, options: list[str], said: str, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "x.npz").touch()
    asked = vars(cli.parser().parse_args(["evaluate", str(tmp_path / what), *options]))
    with pytest.raises(BadInput) as refused:
        asked.pop("verb")(**asked)
    assert str(refused.value).startswith(said.format(tmp_path / what))


@pytest.mark.slow
def test_mistakes_are_answered_in_one_line_with_exit_code_2(tmp_path: Path) -> None:
    assert "no such file" in passerby("crops", "info", tmp_path / "no.lmdb", code=2)
    said = passerby("adopt", "a.onnx", tmp_path / "a", "--size", "256", code=2)
    assert said == (
        "passerby: --size: found '256', wanted 2 whole numbers from 1 to 4,096 joined by 'x'\n"
    )
    said = passerby("evaluate", tmp_path, code=2)
    assert said.startswith("passerby: --set: a model is evaluated on one of city-market1501")


def test_the_public_names_are_looked_up_when_used() -> None:
    import passerby as package

    assert package.CropStore.__name__ == "CropStore"
    assert package.Embedder.__name__ == "Embedder"
    assert (
        package.evaluate([[1.0, 0], [0, 1]], [[1.0, 0], [0, 1]], [1, 2], [1, 2], [1, 1], [2, 2]).map
        == 1
    )
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing


def called(*words: object) -> None:
    asked = vars(cli.parser().parse_args([str(word) for word in words]))
    asked.pop("verb")(**asked)


def verbs(place: Path, name: str) -> list[tuple[object, ...]]:
    """Verbs that write `place / name`; their inputs are not looked at before it is."""
    file, model = place / name, place.parent / "model"
    return [
        ("embed", model, place.parent, "--out", file),
        ("evaluate", place.parent / "x.npz", "--out", file / "deep"),
        ("evaluate", place.parent / "x.npz", "--pictures", file / "deep"),
        ("adopt", place.parent / "x.npz", file / "deep"),
        ("extract", place.parent / "x.npz", file / "deep"),
        ("profile", "tiny", "--folder", ROOT / "profiles", "--out", file),
    ]


@pytest.mark.parametrize("number", range(6))
def test_what_cannot_be_written_is_refused_before_anything_is_read(
    number: int, tmp_path: Path, disk_of: Callable[..., Path]
) -> None:
    (tmp_path / "x.npz").write_text("no features")
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(BadInput, match="a file stands where a folder was wanted"):
        called(*verbs(tmp_path / "notes", "a")[number])
    assert (tmp_path / "notes").read_text() == "mine"
    full = disk_of("8k")
    (full / "a").write_bytes(bytes(8192))
    with pytest.raises(BadInput, match=r"the disk is full|a file stands where"):
        called(*verbs(full, "b")[number])
    assert os.listdir(full) == ["a"]


@pytest.fixture
def own_set(tmp_path: Path) -> Path:
    """A model and the settings of a set of one's own, three people by two cameras."""
    encoder = Encoder(architecture="resnet18")
    card = ModelCard.of(
        encoder, title="t", height_px=32, width_px=16, embedding_size=512, distance="cosine",
        trained_on="nothing",
    )  # fmt: skip
    artifact.write(tmp_path / "model", backbones.build(encoder, seed=1).state_dict(), card)
    rng = np.random.default_rng(1)
    for person in ("ann", "bo", "cy"):
        for split, names in (("query", ["1_c1"]), ("gallery", ["2_c2", "3_c2"])):
            folder = tmp_path / "set" / split / person
            folder.mkdir(parents=True)
            for name in names:
                pixels = rng.integers(0, 256, (32, 16, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f"{name}.png")
    read = yaml.safe_load((ROOT / "params.yaml").read_text())
    read["benchmarks"]["mine"] = {"kind": "folder", "root": str(tmp_path / "set")}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(read))
    return tmp_path


@pytest.mark.slow
def test_figures_of_an_own_set_come_with_what_is_known_of_its_cameras(own_set: Path) -> None:
    asked = ("evaluate", own_set / "model", "--set", "mine", "--params", own_set / "params.yaml")
    said = passerby(*asked).splitlines()
    assert said[-1] == "mine: cameras known of 9 of 9 pictures in query and gallery"
    picture = own_set / "set" / "gallery" / "ann" / "2_c2.png"
    picture.rename(picture.with_name("2.png"))
    refused = passerby(*asked, code=2)
    assert "known of 8 of 9 pictures in query and gallery, not of gallery/ann/2.png" in refused
