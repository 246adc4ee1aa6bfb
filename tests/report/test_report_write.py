"""The whole report: what is written, equal bytes, nothing from outside, refusals."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from markdown_it import MarkdownIt
from safetensors.numpy import save_file

from passerby import files
from passerby.errors import BadInput
from passerby.evaluation import evaluate, results
from passerby.report import outcomes, pictures
from passerby.report.write import report
from passerby.settings import Params

Make = Callable[..., tuple[Params, Path]]
ROOT = Path(__file__).resolve().parents[2]


def contents(folder: Path) -> dict[str, str]:
    return {path.name: files.sha256(path) for path in sorted(folder.iterdir())}


@pytest.mark.slow
def test_page_summary_and_pictures_are_written(several: tuple[Params, Path]) -> None:
    params, data = several
    content = report(params, data)
    page = (data / "report" / "index.html").read_text()
    summary = (data / "report" / "summary.md").read_text()
    names = ("cmc", "distances", "labels", "map", "pretraining", "roc")
    wanted = {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert set(contents(data / "report")) == wanted | {"index.html", "summary.md"}
    assert page.index(content.sentences[0]) < page.index("<h2>")
    assert summary.splitlines()[2] == content.sentences[0]
    assert "82.68" in page
    assert "82.68" in summary
    for name in names:
        assert f'<figure id="{name}">' in page
        assert f"({name}.png)" in summary


@pytest.mark.slow
def test_equal_results_give_equal_bytes(make: Make, tmp_path: Path) -> None:
    params, data = make()
    report(params, data, tmp_path / "one")
    moved = tmp_path / "elsewhere"
    shutil.copytree(data, moved)
    report(params, moved, tmp_path / "two")
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert str(tmp_path) not in (tmp_path / "one" / "index.html").read_text()


@pytest.mark.slow
def test_titles_from_outside_are_words_on_both_pages(make: Make) -> None:
    odd = "<script>alert(1)</script> | a\n\n# b \x1b[31m\u202e"
    params, data = make(sections={"report": {"title": odd}})
    header = {"source": odd, "fresh": [f"{odd}.weight"], "title": odd}
    about = {"passerby": json.dumps(header)}
    save_file({"a": np.zeros(1)}, data / "init" / "random.safetensors", metadata=about)
    counts = files.read_json(data / "crops_counts.json")
    for part in (counts["total"], counts["videos"]):
        part["left_out"] = {odd: 7655}
    files.write_json(data / "crops_counts.json", counts)
    (data / "results" / "<script> x").mkdir()
    report(params, data)
    page = (data / "report" / "index.html").read_text()
    summary = (data / "report" / "summary.md").read_text()
    for whole in (page, summary):
        assert "<script" not in whole
        assert all(line.isprintable() for line in whole.splitlines())
        assert whole.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(summary)
    assert rendered.count("<h1>") == 1
    starts = next(part for part in rendered.split("<table>") if "<th>started afresh</th>" in part)
    assert {row.count("<td>") for row in starts.split("<tr>")[2:]} == {3}


@pytest.mark.slow
def test_the_page_asks_nothing_of_the_network(make: Make) -> None:
    params, data = make()
    report(params, data)
    page = (data / "report" / "index.html").read_text()
    assert re.findall(r"https?://|//cdn|@import|url\(|<script|<link", page) == []
    assert set(re.findall(r'src="(data:image/svg\+xml;base64,|.{0,20})', page)) == {
        "data:image/svg+xml;base64,"
    }


def test_a_missing_branch_is_refused_and_nothing_is_written(make: Make) -> None:
    params, data = make()
    (data / "results/moco-published-100-0-city-cuhk03/metrics.json").unlink()
    (data / "results/attributes-city-cuhk03/metrics.json").unlink()
    with pytest.raises(
        BadInput,
        match=r"no metrics\.json for moco-published-100-0-city-cuhk03, attributes-city-cuhk03; "
        r".*'dvc repro'",
    ):
        report(params, data)
    assert not (data / "report").exists()


def test_a_result_that_lacks_figures_is_refused(make: Make) -> None:
    params, data = make()
    path = data / "results/moco-published-100-0-city-cuhk03/metrics.json"
    files.write_json(path, {"map": 0.5})
    with pytest.raises(BadInput, match=r"metrics\.json: lacks map_trapezoid, minp, auc, eer"):
        report(params, data)


def test_an_arm_without_history_is_refused(make: Make) -> None:
    params, data = make()
    (data / "pretrain/moco/history.tsv").write_text("step\tepoch\tloss\taccuracy\tspread\tlr\n")
    with pytest.raises(BadInput, match=r"history\.tsv: .*0 rows; 'step' and 'loss' with rows"):
        report(params, data)


def test_results_of_no_branch_are_named_and_not_used(make: Make) -> None:
    params, data = make(seeds=[0, 1])
    fewer = params.model_copy(
        update={"branches": params.branches.model_copy(update={"seeds": (0,)})}
    )
    assert outcomes.stale(data / "results", fewer.branches) == [
        "moco-published-100-1-city-cuhk03", "moco-published-100-1-city-market1501",
        "random-published-100-1-city-cuhk03", "random-published-100-1-city-market1501",
    ]  # fmt: skip
    assert len(outcomes.read(data / "results", fewer.branches)) == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty; a head line"),
        ("a\tb\n1\n", "line 2: 1 fields, wanted 2"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "roc.tsv").write_text(text)
    with pytest.raises(BadInput, match=said):
        outcomes.read_columns(tmp_path / "roc.tsv")


def test_columns_are_numbers_where_all_of_them_are(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("# a note\ndistance\tkind\n0.5\tgenuine\n1e-3\timpostor\n")
    found = outcomes.read_columns(tmp_path / "t.tsv")
    assert found["distance"].tolist() == [0.5, 0.001]
    assert found["kind"].tolist() == ["genuine", "impostor"]


def test_the_running_mean_equals_a_loop() -> None:
    values = np.random.default_rng(0).random(300)
    half = round(pictures.SMOOTH_SHARE * 300 / 2)
    slow = []
    for place in range(300):
        reach = min(half, place, 299 - place)
        slow.append(np.mean(values[place - reach : place + reach + 1]))
    np.testing.assert_allclose(pictures.running_mean(values), slow, rtol=1e-12)


@pytest.mark.slow
def test_report_needs_no_torch() -> None:
    code = "import sys, passerby.report.write; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.slow
def test_what_evaluate_writes_is_what_report_reads(make: Make) -> None:
    params, data = make()
    rng = np.random.default_rng(0)
    arrays = {
        "query_features": rng.normal(size=(12, 8)).astype(np.float32),
        "gallery_features": rng.normal(size=(40, 8)).astype(np.float32),
        "query_people": np.arange(12) % 6 + 1,
        "gallery_people": np.arange(40) % 8,
        "query_cameras": np.ones(12, np.int32),
        "gallery_cameras": np.full(40, 2, np.int32),
    }
    measured = evaluate(**arrays, protocol="market1501", fars=(1e-3, 1e-2))
    folder = data / "results/moco-published-100-0-city-market1501"
    results.write(
        folder, measured, arrays, {"model": "moco-published-100-0", "set": "city-market1501"}
    )
    report(params, data)
    summary = (data / "report" / "summary.md").read_text()
    line = next(line for line in summary.splitlines() if line.startswith("| moco (pretrained"))
    cells = [cell.strip(" *") for cell in line.split("|")]
    assert cells[2] == f"{100 * measured.map:.1f}"
    assert cells[6] == f"{100 * measured.ranking.cmc(1):.1f}"
