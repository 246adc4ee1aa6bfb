"""Rows of results that are kept in git."""

import csv
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from passerby.errors import BadInput
from passerby.report.record import record
from passerby.settings import Params

Make = Callable[..., tuple[Params, Path]]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The working folder is a git repository with one commit; its short name."""
    monkeypatch.chdir(tmp_path)
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run(["git", *words], check=True)
    words = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def test_a_row_holds_the_figures_of_one_branch_and_what_made_them(
    several: tuple[Params, Path], repository: str, tmp_path: Path
) -> None:
    params, data = several
    out = tmp_path / "rows.tsv"
    count = record(out, params, data)
    with open(out) as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert count == len(rows) == 4 * 2 * 3 * 3 + 3
    moco = {row["set"]: row for row in rows if row["model"] == "moco-100-2"}
    assert moco["city-cuhk03"]["mAP"] == "0.19"  # conftest: 0.25 - 0.08 + 2 x 0.01
    assert moco["city-cuhk03"]["R1"] == "0.39"
    assert moco["city-cuhk03"]["TAR@1 %"] == ""
    assert {row["commit"] for row in rows} == {repository}
    assert [row["percent"] for row in rows if row["init"] == "attributes"] == [""] * 3


def test_other_settings_have_another_hash(make: Make, repository: str, tmp_path: Path) -> None:
    params, data = make()
    record(tmp_path / "one.tsv", params, data)
    other = params.model_copy(
        update={"finetune": params.finetune.model_copy(update={"lr": params.finetune.lr * 2})}
    )
    record(tmp_path / "two.tsv", other, data)
    one, two = ((tmp_path / name).read_text().split("\n")[1] for name in ("one.tsv", "two.tsv"))
    assert one.rpartition("\t")[0] == two.rpartition("\t")[0]
    assert one != two


def test_outside_a_repository_it_is_refused(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, data = make()
    shutil.rmtree(tmp_path / ".git", ignore_errors=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(BadInput, match="rows name the commit that made them"):
        record(tmp_path / "rows.tsv", params, data)
