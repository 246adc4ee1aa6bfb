"""The tables hold the numbers that the files hold."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from passerby import settings
from passerby.errors import BadInput
from passerby.report import content, outcomes, published, rows, tables, why
from passerby.report.tables import Table
from passerby.settings import Params

Make = Callable[..., tuple[Params, Path]]


def result(params: Params, data: Path, set_name: str) -> Table:
    table = rows.rows(outcomes.read(data / "results", params.branches), params)
    return tables.results(table, rows.gains(table, params), params, set_name)


def texts(table: Table) -> list[list[str]]:
    return [[cell.text for cell in line] for line in table.lines]


def test_one_seed_stands_as_it_was_measured(make: Make) -> None:
    params, data = make()
    table = result(params, data, "city-market1501")
    assert table.caption == "city-market1501, in % (protocol market1501)"
    assert table.head == (
        "start or model", "mAP", "gain", "mAP (trapezoid)", "mINP", "R1", "R5", "R10",
        "reranked mAP",
    )  # fmt: skip
    assert texts(table) == [
        ["random", "20.0", "", "21.0", "10.0", "40.0", "60.0", "70.0", "25.0"],
        ["moco", "25.0", "+5.0", "26.0", "12.5", "45.0", "65.0", "75.0", "30.0"],
        ["attributes", "10.0", "", "11.0", "5.0", "30.0", "50.0", "60.0", "15.0"],
    ]
    metrics = json.loads(
        (data / "results/moco-published-100-0-city-market1501/metrics.json").read_text()
    )
    assert texts(table)[1][5] == f"{100 * metrics['cmc']['1']:.1f}"


def test_verification_has_a_table_of_its_own_and_of_an_error_rate_the_least_is_best(
    make: Make,
) -> None:
    params, data = make()
    read = rows.rows(outcomes.read(data / "results", params.branches), params)
    table = tables.verified(read, params, "city-market1501")
    assert table.head == (
        "start or model", "TAR@0.1 %", "TAR@1 %", "TPIR@0.1 %", "TPIR@1 %", "EER", "AUC",
    )  # fmt: skip
    missing = tables.NOT_MEASURED
    assert texts(table)[1] == ["moco", "8.3", missing, missing, "6.2", "20.0", "80.0"]
    eer = rows.verification([outcome for row in read for outcome in row.outcomes])[-2]
    assert tables._best([], eer, "city-market1501") == ""


def test_a_single_seed_has_the_interval_of_other_people_beneath(make: Make) -> None:
    params, data = make()
    path = data / "results/moco-published-100-0-city-market1501/metrics.json"
    metrics = json.loads(path.read_text())
    spans = {"map": [0.2, 0.3], "cmc": {"1": [0.4, 0.5]}, "tar_at_far": {"0.001": [0.01, 0.02]}}
    path.write_text(json.dumps(metrics | {"intervals": spans}))
    table = result(params, data, "city-market1501")
    assert [cell.small for cell in table.lines[1]][1:6] == [
        "20.0 to 30.0",
        "",
        "",
        "",
        "40.0 to 50.0",
    ]
    read = rows.rows(outcomes.read(data / "results", params.branches), params)
    verified = tables.verified(read, params, "city-market1501")
    assert verified.lines[1][1].small == "1.0 to 2.0"
    assert verified.lines[0][1].small == ""


def test_rates_from_fewer_than_thirty_errors_are_marked(make: Make) -> None:
    params, data = make()

    def verified() -> tables.Table:
        read = rows.rows(outcomes.read(data / "results", params.branches), params)
        return tables.verified(read, params, "city-market1501")

    before = verified()
    assert "*" not in before.caption
    path = data / "results/moco-published-100-0-city-market1501/metrics.json"
    told = json.loads(path.read_text())
    told |= {"impostor_errors_at_far": {"0.001": 29}, "impostor_errors_at_fpir": {"0.01": 30}}
    path.write_text(json.dumps(told))
    after = verified()
    assert after.caption.endswith("; * from fewer than 30 errors of impostors: not sure")
    assert texts(after)[1][1] == f"{texts(before)[1][1]}*"
    assert texts(after)[1][2:] == texts(before)[1][2:]


def test_cuhk03_stands_by_both_protocols(make: Make) -> None:
    params, data = make()

    def read() -> list[rows.Row]:
        return rows.rows(outcomes.read(data / "results", params.branches), params)

    assert tables.both_protocols(read(), params) is None
    path = data / "results/moco-published-100-0-city-cuhk03/metrics.json"
    classic = {
        "counts": {"gallery": [100, 100]},
        "cmc": {"1": {"mean": 0.5, "deviation": 0.02}, "5": {"mean": 0.7, "deviation": None}},
    }
    told = json.loads(path.read_text()) | {"trials": {"cuhk03-classic": classic}}
    path.write_text(json.dumps(told))
    table = tables.both_protocols(read(), params)
    assert table is not None
    assert texts(table) == [
        ["moco", "city-cuhk03", "17.0", "37.0", "100", "50.0 ± 2.0", "70.0", ""]
    ]


def test_seeds_are_pooled_with_mean_least_and_greatest(several: tuple[Params, Path]) -> None:
    table = result(*several, "city-cuhk03")
    assert table.caption.startswith("city-cuhk03, never seen in training, in %")
    assert [line[0].text for line in table.lines] == [
        "random, 100 %", "part, 100 %", "moco, 100 %", "part-moco, 100 %",
        "random, 10 %", "part, 10 %", "moco, 10 %", "part-moco, 10 %", "attributes",
    ]  # fmt: skip
    moco = table.lines[2]
    assert [cell.text for cell in moco[1:4]] == ["3", "18.0", "+6.0"]
    assert [cell.small for cell in moco[2:4]] == ["17.0 to 19.0", "+5.0 to +7.0"]
    assert moco[0].small == "pretrained from random"
    assert moco[3].mark == "up"
    against_its_own_start = table.lines[3]
    assert against_its_own_start[0].small == "pretrained from part"
    assert against_its_own_start[3].text == "−2.0"
    assert against_its_own_start[3].mark == "down"
    assert table.lines[1][0].small == "a part"
    assert [line[2].text for line in table.lines if line[2].mark == "best"] == ["22.0"]


def test_the_set_that_was_finetuned_on_comes_first(several: tuple[Params, Path]) -> None:
    assert rows.sets(several[0]) == ["city-market1501", "city-cuhk01", "city-cuhk03"]


def test_report_003_stands_with_its_figures_and_what_is_known_of_them() -> None:
    lines = texts(tables.published())
    assert lines[0][:3] == ["Market-1501", "82.68", "93.91"]
    assert lines[1][:3] == ["CUHK03 (not trained on)", "68.58", "72.88"]
    assert any("not comparable" in remark for remark in published.REMARKS)


def test_crops_are_counted_by_source_and_reason(make: Make) -> None:
    table = why.crops(make()[1] / "crops_counts.json")
    assert table.caption == "Unlabelled crops, 321 tracks"
    assert table.head == ("from", "sources", "boxes", "crops", "left out: cut", "left out: small")
    assert texts(table) == [
        ["videos", "2", "20,000", "12,345", "655", "7,000"],
        ["city-x", "1", "101", "100", "0", "1"],
        ["total", "3", "20,101", "12,445", "655", "7,001"],
    ]


def test_counts_of_another_form_are_refused(tmp_path: Path) -> None:
    (tmp_path / "counts.json").write_text("{}")
    with pytest.raises(BadInput, match="lacks total, videos, images"):
        why.crops(tmp_path / "counts.json")


def test_what_started_afresh_is_named(several: tuple[Params, Path]) -> None:
    params, data = several
    lines = {line[0]: line for line in texts(why.starts(data / "init", params))}
    assert lines["random"] == ["random", "random, seed 0", "none"]
    assert lines["part"][2] == "1 of its tensors: layer4.0.conv2.weight"


def test_arms_stand_with_their_curves_ends(make: Make) -> None:
    params, data = make()
    folder = data / "pretrain"
    (line,) = texts(why.arms(why.histories(folder, params), why.monitors(folder, params), params))
    assert line[:7] == ["moco", "random", "tracklet", "nothing", "199", "7.00 to 3.11", "48.6 %"]
    assert line[7:] == ["20.0 to 30.0", ""]


def test_an_arm_says_what_it_replaces_and_how_many_mined_pairs_are_right(make: Make) -> None:
    arm = {"start": "random", "positives": "mined", "mining": {"share": 0.4}}
    quiet = {"benchmark": "city-market1501", "every_epochs": 0}
    params, data = make(sections={"arms": {"moco": arm | {"monitor": quiet}}})
    folder = data / "pretrain"
    head = "step\tloss\tpairs\tpaired_tracks\tright_pairs\n"
    for right, said in (
        ("nan", "1,203, not known how many are right"),
        ("0.5", "1,203, 50 % right"),
    ):
        (folder / "moco" / "history.tsv").write_text(f"{head}9\t7\t1203\t0.4\t{right}\n")
        (line,) = texts(why.arms(why.histories(folder, params), {}, params))
        assert line[3].startswith("mining.share 0.4, monitor.benchmark city-market1501, ")
        assert line[6:] == ["", "not watched", said]
    assert why.monitors(folder, params) == {}


def test_a_perfect_trackers_tracks_are_named(make: Make) -> None:
    params, _ = make(sections={"crops": {"benchmarks": ["city-cuhk03"]}})
    assert "Training images of city-cuhk03" in why.tracks(params)
    assert "a perfect tracker's" in why.tracks(params)
    assert why.tracks(settings.read("profiles/city.yaml")) == ""


def test_mined_positives_come_with_the_word_when_they_apply(make: Make) -> None:
    arm = {"start": "random", "positives": "mined"}
    params, data = make(sections={"arms": {"moco": arm}})
    assert why.mined(params).startswith("Mined positives (moco) pair tracks of different cameras")
    assert why.mined(settings.read("profiles/city.yaml")) == ""
    reasons = next(s for s in content.gather(params, data).sections if s.title == "Why")
    assert why.mined(params) in reasons.remarks


def test_markdown_and_html_hold_the_same_texts(make: Make) -> None:
    table = result(*make(), "city-cuhk03")
    for text in (cell for line in texts(table) for cell in line):
        assert text in table.html()
        assert text in table.markdown()


def test_features_without_any_label_have_rows_and_gains_of_their_own(make: Make) -> None:
    params, data = make(
        unlabelled=["random", "moco"],
        maps=lambda init, percent, seed, name: {"random": 0.1, "moco": 0.3}.get(init, 0.2),
    )
    lines = {line[0]: line for line in texts(result(params, data, "city-market1501"))}
    assert lines["moco, no label"][1:3] == ["30.0", "+20.0"]
    assert lines["random, no label"][1:3] == ["10.0", ""]
    assert list(lines)[:4] == ["random", "moco", "random, no label", "moco, no label"]


def test_several_recipes_are_lines_of_their_own(make: Make) -> None:
    params, data = make(
        sections={"recipes": {"gentle": {"loaded_lr_factor": 0.1}}},
        recipes=["published", "gentle"],
    )
    found = content.gather(params, data)
    (table,) = [t for t in found.sections[0].tables if t.caption.startswith("city-market1501")]
    titles = [line[0].text for line in table.lines]
    assert titles[:4] == ["random, published", "random, gentle", "moco, published", "moco, gentle"]
    assert any("(moco, gentle)" in sentence for sentence in found.sentences)


def test_candidates_are_set_side_by_side_and_the_best_mean_is_chosen(make: Make) -> None:
    recipes = {"gentle": {"loaded_lr_factor": 0.1}}
    params, data = make(
        sections={"recipes": recipes},
        candidates=["published", "gentle"],
        compared=["random", "moco"],
    )
    (data / "validation").mkdir()
    for init, recipe, values in (
        ("random", "published", (0.2, 0.3)),
        ("random", "gentle", (0.1, 0.2)),
        ("moco", "published", (0.2, 0.2)),
        ("moco", "gentle", (0.5, 0.3)),
    ):
        lines = [f"{fold}\t8\t2\t4\t{value}\t0.5" for fold, value in enumerate(values)]
        head = "fold\tpeople\theld_out\titeration\tmap\trank_1"
        (data / "validation" / f"{init}-{recipe}.tsv").write_text("\n".join([head, *lines]) + "\n")
    (section,) = [
        s for s in content.gather(params, data).sections if s.title == "Ways of finetuning"
    ]
    random, moco, mean = section.tables[0].lines
    assert [cell.text for cell in random] == ["random", "25.0", "15.0"]
    assert [(cell.text, cell.small, cell.mark) for cell in moco[1:]] == [
        ("20.0", "20.0 to 20.0", ""), ("40.0", "30.0 to 50.0", "best"),
    ]  # fmt: skip
    assert [(cell.text, cell.small) for cell in mean[1:]] == [("22.5", ""), ("27.5", "chosen")]


def test_published_figures_for_few_labels_stand_beside_ours(
    make: Make, several: tuple[Params, Path]
) -> None:
    (section,) = [s for s in content.gather(*several).sections if s.title == "Published figures"]
    assert texts(section.tables[1])[0] == ["10 % of the people", "53.1", "64.6", "72.4"]
