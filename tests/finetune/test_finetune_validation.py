"""People held out of training: who they are, what is kept by them, recipes set side by side."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from passerby.datasets.index import Benchmark
from passerby.errors import BadInput
from passerby.finetune import crossvalidation, run, validation
from passerby.finetune.job import Job
from passerby.finetune.validation import Best
from passerby.models import artifact
from passerby.models.embedder import Embedder
from passerby.settings import Encoder, Finetune, Validation
from passerby.training.panel import Panel

FOLDS: dict[str, Any] = {"people_per_batch": 2, "iterations": 4, "iterations_per_epoch": 2}


@pytest.fixture
def job(
    benchmark_set: Benchmark, plan: Finetune, encoder: Encoder, start: Path, tmp_path: Path
) -> Callable[..., Job]:
    def of(percent: int = 100, **changes: Any) -> Job:
        return Job(
            name="finetune@tried",
            init=str(start),
            percent=percent,
            seed=0,
            index=str(tmp_path / "noise.tsv"),
            root=str(benchmark_set.root),
            plan=Finetune.model_validate({**plan.model_dump(), **FOLDS, **changes}),
            encoder=encoder,
            threads=1,
        )

    return of


def rows(path: Path) -> list[dict[str, float]]:
    head, *lines = path.read_text().splitlines()
    return [
        dict(zip(head.split("\t"), map(float, line.split("\t")), strict=True)) for line in lines
    ]


@pytest.mark.parametrize("folds", [2, 3, 8])
def test_each_person_is_held_out_in_one_fold(folds: int) -> None:
    people = tuple(range(10, 18))
    held: list[int] = []
    for fold in range(folds):
        kept, out = validation.split(people, Validation(folds=folds, fold=fold), seed=3)
        assert sorted([*kept, *out]) == list(people)
        held += out
    assert sorted(held) == list(people)


def test_nobody_is_held_out_unless_asked() -> None:
    assert validation.split((4, 5), Validation(), 0) == ((4, 5), ())


def test_more_folds_than_people_are_refused() -> None:
    with pytest.raises(BadInput, match=r"3 folds of 2 labelled people: some would be empty"):
        validation.split((4, 5), Validation(folds=3), 0)


def test_nobody_who_is_held_out_is_trained_on(job: Callable[..., Job]) -> None:
    made = job(validation={"folds": 4, "fold": 1})
    trained = {person for _, person, _ in made.images}
    assert len(made.held_out) == 2
    assert trained == {f"noise_{person}" for person in made.people}
    assert not trained & {f"noise_{person}" for person in made.held_out}


def test_the_best_weights_are_kept_and_the_last_beside_them(
    job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With scores that fall after the first epoch the model is that of the first."""
    scores = iter([0.9, 0.5])
    monkeypatch.setattr(Panel, "score", lambda *_: {"map": next(scores), "rank_1": 1.0})
    seen: list[dict[str, torch.Tensor]] = []
    monkeypatch.setattr(
        Best,
        "offer",
        lambda self, row, weights, offer=Best.offer: (
            seen.append({name: value.clone() for name, value in weights.items()}),
            offer(self, row, weights),
        ),
    )
    card = run.finetune(job(validation={"folds": 4, "keep": "best"}), tmp_path / "out", quiet=True)
    best, last = artifact.read(tmp_path / "out")[0], artifact.read(tmp_path / "out" / run.LAST)[0]
    for state, of in ((best, seen[0]), (last, seen[1])):
        assert torch.equal(state["conv1.weight"], of["backbone.conv1.weight"])
    assert (card.metrics["iterations"], card.metrics["held_out_map"]) == (2, 0.9)
    assert artifact.read_card(tmp_path / "out" / run.LAST).metrics["held_out_map"] == 0.5
    assert [row["map"] for row in rows(tmp_path / "out" / run.VALIDATION)] == [0.9, 0.5]


def test_c4_weights_that_are_worse_than_those_before_a_kill_do_not_replace_them(
    tmp_path: Path,
) -> None:
    first = Best(tmp_path / "best.pt")
    first.offer({"map": 0.5}, {"w": torch.zeros(1)})
    resumed = Best(tmp_path / "best.pt")
    resumed.row = first.row
    resumed.offer({"map": 0.4}, {"w": torch.ones(1)})
    assert resumed.weights() == {"w": torch.zeros(1)}
    resumed.offer({"map": 0.6}, {"w": torch.ones(1)})
    assert resumed.weights() == {"w": torch.ones(1)}


def test_the_score_is_that_of_the_models_features(job: Callable[..., Job], tmp_path: Path) -> None:
    made = job(validation={"folds": 2})
    run.finetune(made, tmp_path / "out", quiet=True)
    embedder = Embedder.load(tmp_path / "out")
    items = made.labelled.split("train").of_people(made.held_out)
    found = Panel(items, "market1501", made.seed, whole=True).score(embedder, 1)
    last = rows(tmp_path / "out" / run.VALIDATION)[-1]
    assert last["iteration"] == 4
    assert (last["map"], last["rank_1"]) == pytest.approx((found["map"], found["rank_1"]), rel=1e-5)


def test_the_model_has_thresholds_chosen_on_those_held_out(
    job: Callable[..., Job], tmp_path: Path
) -> None:
    made = job(validation={"folds": 2})
    card = run.finetune(made, tmp_path / "out", quiet=True)
    table = card.thresholds
    assert f": {len(made.held_out)} people held out of its training" in table["chosen_on"]
    items = made.labelled.split("train").of_people(made.held_out)
    found = Panel(items, "market1501", 0, whole=True).assess(
        Embedder.load(tmp_path / "out"), 1, distance="cosine"
    )
    assert table["impostor_pairs"] == found.counts["impostor_pairs"]
    for far, row in table["at_far"].items():
        point = found.verification.true_accept_rate(float(far))
        assert point == pytest.approx((row["tar"], row["distance"]), abs=1e-6)
    assert not run.finetune(job(), tmp_path / "none", quiet=True).thresholds


def test_a_model_is_scored_without_being_changed(job: Callable[..., Job], tmp_path: Path) -> None:
    scored, other = (
        job(validation={"folds": 4, "every_epochs": 1}),
        job(validation={"folds": 4, "every_epochs": 9}),
    )
    run.finetune(scored, tmp_path / "one", quiet=True)
    run.finetune(other, tmp_path / "two", quiet=True)
    one, two = (artifact.read(tmp_path / name)[0] for name in ("one", "two"))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert [row["iteration"] for row in rows(tmp_path / "one" / run.VALIDATION)] == [2, 4]
    assert [row["iteration"] for row in rows(tmp_path / "two" / run.VALIDATION)] == [4]


def test_cross_validation_has_a_row_a_fold_and_goes_on_after_a_kill(
    job: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, train = tmp_path / "whole.tsv", run.train
    crossvalidation.crossvalidate(job(), 2, out, quiet=True)
    found = rows(out)
    assert [(row["fold"], row["people"], row["held_out"]) for row in found] == [
        (0, 4, 4),
        (1, 4, 4),
    ]
    folds: list[int] = []

    def killed(made: Job, *rest: Any) -> None:
        folds.append(made.plan.validation.fold)
        if folds == [0, 1]:
            raise KeyboardInterrupt
        train(made, *rest)

    monkeypatch.setattr(run, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        crossvalidation.crossvalidate(job(), 2, tmp_path / "again.tsv", quiet=True)
    crossvalidation.crossvalidate(job(), 2, tmp_path / "again.tsv", quiet=True)
    assert folds == [0, 1, 1]
    assert (tmp_path / "again.tsv").read_text() == out.read_text()


def test_a_fold_whose_scores_are_damaged_is_named_and_done_again(
    job: Callable[..., Job],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, folds = run.train, []

    def killed(made: Job, *rest: Any) -> None:
        folds.append(made.plan.validation.fold)
        if folds == [0, 1]:
            raise KeyboardInterrupt
        train(made, *rest)

    monkeypatch.setattr(run, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        crossvalidation.crossvalidate(job(), 2, tmp_path / "out.tsv", quiet=True)
    (kept,) = (path for path in tmp_path.rglob("fold-0.json"))
    kept.write_text(kept.read_text().replace("4", "5", 1))  # the iteration
    crossvalidation.crossvalidate(job(), 2, tmp_path / "out.tsv", quiet=True)
    said = capsys.readouterr().err
    assert f"{kept}: damaged: its checksum is not that of what it holds; the fold is done" in said
    assert folds == [0, 1, 0, 1]


@pytest.mark.parametrize("share_of", ["people", "images"])
def test_labels_that_are_not_used_play_no_part(job: Callable[..., Job], share_of: str) -> None:
    made = job(percent=50, share_of=share_of, validation={"folds": 2})
    paths = {path for path, _, _ in made.images}
    held = made.labelled.split("train").of_people(made.held_out)
    used = paths | set(map(str, held.paths))
    assert len(made.people) + len(made.held_out) == (4 if share_of == "people" else 8)
    assert len(used) == 12 == len(made.labelled.rows)
    assert np.isin(held.person, made.held_out).all()
