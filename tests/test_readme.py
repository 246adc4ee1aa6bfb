"""What the README says is so: commands parse, links lead somewhere, the graph is the graph."""

import csv
import itertools
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import needs
import numpy as np
import pytest
import yaml

import passerby
from passerby import cli, settings
from passerby.datasets import cuhk03, cuhk03_testsets
from passerby.settings import profile

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


COMMANDS = [
    part.strip()
    for block in blocks("sh")
    for line in block.splitlines()
    for part in line.split("#")[0].split("&&")
    if part.strip().startswith("passerby ")
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_ours_is_one_that_parses(command: str) -> None:
    cli.parser().parse_args(shlex.split(command)[1:])


def test_the_targets_of_make_are_those_that_the_makefile_explains() -> None:
    named = set(re.findall(r"(?:^|`)make (\w+)", TEXT, re.M))
    explained = set(re.findall(r"^# make (\w+) ", (ROOT / "Makefile").read_text(), re.M))
    assert {"repro", "test", "gpu"} <= named <= explained


@pytest.mark.parametrize(("target", "wanted"), [("repro", 0), ("test", 1), ("gpu", 0)])
def test_only_make_test_installs_what_tests_alone_need(
    tmp_path: Path, target: str, wanted: int
) -> None:
    needs.require("the command 'make'")
    command = ["make", "--dry-run", f"VENV={tmp_path / 'venv'}", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("-r requirements/4-tests.txt") == wanted
    assert done.stdout.count("-r requirements/1-torch.txt") == 1


def test_every_verb_is_shown() -> None:
    verbs = re.findall(r"^    (\w+)", cli.parser().format_help(), re.M)
    assert "evaluate" in verbs
    assert [verb for verb in verbs if not re.search(rf"passerby {verb}\b", TEXT)] == []


def test_the_names_that_are_imported_are_public() -> None:
    for names in re.findall(r"from passerby import (.+)", TEXT):
        assert set(names.split(", ")) <= set(passerby.__all__)


PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_lead_to_files(page: Path) -> None:
    places = re.findall(r"\]\(([^)]+)\)", page.read_text())
    lost = [p for p in places if "://" not in p and not (page.parent / p).exists()]
    assert places
    assert lost == []


def test_the_arms_that_are_shown_are_arms() -> None:
    text = (ROOT / "docs" / "pretraining.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    values = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    values["arms"] = yaml.safe_load(block)["arms"]
    params = settings.validate(yaml.safe_dump(values), "docs/pretraining.md")
    assert params.arm("mined").mining.share == 0.8


def test_the_recipes_that_are_shown_are_recipes() -> None:
    text = (ROOT / "docs" / "finetuning.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    values = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    values["recipes"] = yaml.safe_load(block)["recipes"]
    params = settings.validate(yaml.safe_dump(values), "docs/finetuning.md")
    assert params.recipe("stronger").fastreid == {"MODEL": {"HEADS": {"MARGIN": 0.25}}}


def test_the_trials_that_are_shown_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """On pictures that hold nothing: a feature is its person's own."""
    monkeypatch.chdir(tmp_path)
    campus = Path("data/raw/CUHK01/campus")
    campus.mkdir(parents=True)
    for person, image in itertools.product(range(1, 9), range(1, 5)):
        (campus / f"{person:04}{image:03}.png").touch()
    names = [cuhk03.file_name(2, p, image) for p in range(1, 9) for image in (1, 2, 6, 7)]
    np.savez("features.npz", names=names, features=np.repeat(np.eye(8), 4, axis=0))
    testsets = Path("data/raw/cuhk03/testsets.tsv")
    cuhk03_testsets.write(testsets, [[(2, 1), (2, 5)], [(2, 3), (2, 8)]])
    text = (ROOT / "docs" / "trials.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    values = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    values["benchmarks"] |= yaml.safe_load(block)["benchmarks"]
    shown = settings.validate(yaml.safe_dump(values), "docs/trials.md").benchmark("cuhk03-detected")
    assert shown.kind == "cuhk03"
    scope: dict[str, object] = {}
    for code in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(code, scope)
    said = capsys.readouterr().out
    assert "trials     20 of 4 queries" in said
    assert said.count("rank-1     100.00%") == 2


def test_the_profiles_are_all_in_the_table() -> None:
    table = TEXT.split("## Profiles")[1].split("## ")[0]
    shown = re.findall(r"^\| `([\w-]+)` \|", table, re.M)
    assert sorted(shown) == sorted(profile.names(ROOT / "profiles"))


def test_settings_that_are_shown_exist() -> None:
    known = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    for block in blocks("yaml"):
        for section, keys in yaml.safe_load(block).items():
            assert set(keys) <= set(known[section])


@pytest.mark.slow
def test_the_graph_is_the_one_that_dvc_draws(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "stages", "src"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "params.yaml").write_text(profile.compose("city", ROOT / "profiles"))
    subprocess.run(["dvc", "init", "--no-scm", "-q"], cwd=tmp_path, check=True)
    done = subprocess.run(
        ["dvc", "dag", "--md"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert blocks("mermaid") == re.findall(r"```mermaid\n(.*?)```", done.stdout, re.DOTALL)


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "results").glob("*.tsv")), ids=lambda p: p.stem
)
def test_tables_are_made_of_the_kept_rows(path: Path) -> None:
    """Of all of them, if not here, then on the page of finetuning."""
    found: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    with open(path) as file:
        for row in csv.DictReader(file, delimiter="\t"):
            figures = 100 * float(row["mAP"]), 100 * float(row["R1"])
            place = row["init"], row.get("recipe") or "", row["percent"], row["set"]
            found.setdefault(place, []).append(figures)
    assert found
    pages = TEXT + (ROOT / "docs" / "finetuning.md").read_text()
    for (init, *_), seeds in found.items():
        mean_ap, rank_1 = (sum(values) / len(values) for values in zip(*seeds, strict=True))
        assert re.search(rf"^\| `{init}`.* {mean_ap:.1f} / {rank_1:.1f} \|", pages, re.M), init
