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
    moco = {row["set"]: row for row in rows if row["model"] == "moco-published-100-2"}
    assert moco["city-cuhk03"]["mAP"] == "0.19"  # conftest: 0.25 - 0.08 + 2 x 0.01
    assert moco["city-cuhk03"]["R1"] == "0.39"
    assert moco["city-cuhk03"]["TAR@1 %"] == ""
    assert {row["commit"] for row in rows} == {repository}
    assert [row["percent"] for row in rows if row["init"] == "attributes"] == [""] * 3


def test_other_settings_have_another_hash(make: Make, repository: str, tmp_path: Path) -> None:
    params, data = make()
    record(tmp_path / "one.tsv", params, data)
    other = params.model_copy(update={"finetune": params.finetune.model_copy(update={"lr": 1e-3})})
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


def test_what_is_measured_later_is_added(
    several: tuple[Params, Path], repository: str, tmp_path: Path
) -> None:
    params, data = several
    out = tmp_path / "rows.tsv"
    record(tmp_path / "whole.tsv", params, data)
    later = data / "later"
    later.mkdir()
    for path in (data / "results").glob("moco-*"):
        path.rename(later / path.name)
    first = record(out, params, data, add=True)
    for path in (data / "results").iterdir():
        shutil.rmtree(path)
    for path in later.iterdir():
        path.rename(data / "results" / path.name)
    both = record(out, params, data, add=True)
    assert 0 < first < both
    assert out.read_text() == (tmp_path / "whole.tsv").read_text()


def test_a_row_that_is_measured_again_takes_the_place_of_the_old_one(
    make: Make, repository: str, tmp_path: Path
) -> None:
    params, data = make()
    out = tmp_path / "rows.tsv"
    count = record(out, params, data)
    wanted = out.read_text()
    out.write_text(wanted.replace(repository, "0000000"))
    assert record(out, params, data, add=True) == count
    assert out.read_text() == wanted


def test_rows_of_other_settings_are_not_added_to(
    make: Make, repository: str, tmp_path: Path
) -> None:
    params, data = make()
    out = tmp_path / "rows.tsv"
    record(out, params, data)
    before = out.read_text()
    other = params.model_copy(update={"finetune": params.finetune.model_copy(update={"lr": 1e-3})})
    with pytest.raises(BadInput, match=r"rows.tsv, line 2: a row of settings \w+, these are \w+"):
        record(out, other, data, add=True)
    assert out.read_text() == before


def test_a_table_of_other_columns_is_not_added_to(
    make: Make, repository: str, tmp_path: Path
) -> None:
    params, data = make()
    (tmp_path / "rows.tsv").write_text("model\tset\nmoco\tmarket1501\n")
    with pytest.raises(BadInput, match=r"columns .* wanted .*; name another file"):
        record(tmp_path / "rows.tsv", params, data, add=True)


def test_nothing_measured_yet_is_no_table(make: Make, repository: str, tmp_path: Path) -> None:
    params, data = make()
    shutil.rmtree(data / "results")
    (data / "results").mkdir()
    with pytest.raises(BadInput, match="no result of any branch"):
        record(tmp_path / "rows.tsv", params, data, add=True)
    assert not (tmp_path / "rows.tsv").exists()
