"""The command for a machine with a GPU: rehearsed whole on a CPU, with few packages."""

import argparse
import doctest
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import bare_environment
import pytest

import _gpu_plan
import _gpu_speeds
import _gpu_stages
import _gpu_table
import _gpu_tests
import _gpu_time
import gpu
from _gpu_plan import Step
from passerby.errors import BadInput

ROOT = bare_environment.ROOT
SCRIPT = ROOT / "benchmarks" / "gpu.py"
STEPS = [step.name for step in _gpu_plan.STEPS]
EVERYTHING = ("train", "query", "gallery")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_whole_command_runs_on_a_cpu_with_few_packages(tmp_path: Path) -> None:
    environment = bare_environment.make(tmp_path / "packages")
    python = bare_environment.interpreter()
    for package in bare_environment.ABSENT:
        done = subprocess.run([python, "-s", "-c", f"import {package}"], env=environment, **QUIET)
        assert "ModuleNotFoundError" in done.stderr, f"{package}: {done.stderr}"
    words = ["--device", "cpu", "--quick", "--minutes", "14", "--out", "found"]
    done = subprocess.run(
        [python, "-s", SCRIPT, *words], cwd=tmp_path, env=environment, timeout=880, **QUIET
    )
    out = tmp_path / "found"
    assert sorted(path.name for path in out.iterdir()) == ["gpu.json", "logs.txt", "table.txt"]
    found = json.loads((out / "gpu.json").read_text(), parse_constant=pytest.fail)
    steps, logs = found["steps"], (out / "logs.txt").read_text()
    assert found["left_out"] == {}
    assert set(steps) == set(STEPS)
    faults = {name: step.get("error") for name, step in steps.items() if step["status"] != "passed"}
    absent = {} if _gpu_tests.FOLDER.is_dir() else {"tests": _gpu_tests.ABSENT}
    assert faults == absent, logs
    assert done.returncode == len(absent), done.stdout + done.stderr
    assert {"machine", "versions", "commit", "date", "settings", "goals"} <= set(found)
    assert found["versions"]["torch"]
    _check_figures({name: step["result"] for name, step in steps.items()})
    assert done.stdout.endswith((out / "table.txt").read_text())
    assert done.stdout.splitlines()[-1].startswith(f"passed: {len(STEPS) - len(absent)}")
    assert "QUICK: the figures mean nothing" in done.stdout
    assert str(tmp_path) not in json.dumps(found)


QUIET: dict[str, Any] = {"capture_output": True, "text": True, "check": False}


def _check_figures(results: dict[str, dict[str, Any]]) -> None:
    """That everything which is measured on a CPU, too, is there and is a positive number."""
    assert results["machine"]["copy_gb_per_s"] > 0
    assert results["machine"]["bf16_tflop_per_s"] > 0
    assert results["syncs"]["steps"] > 0
    assert results["syncs"]["host_syncs_per_step"] is None
    rows = results["speeds"]["configurations"]
    assert "faults" not in results["speeds"]
    for row in rows:
        for kind in ("end_to_end", "batches", "training"):
            assert row[f"{kind}_pairs_per_s"] > 0
        assert 0 < row["views_share_of_step"] < 1
    assert results["profile"]["launches_per_step"] > 10
    assert 0 <= results["profile"]["device_idle_share"] < 1
    assert set(results["profile"]["parts"]) == {"views", "forward_backward", "training"}
    for scale in ("scale_1", "scale_2"):
        assert results["views"][scale]["passerby"]["wall_ms"] > 0
        assert results["views"][scale]["torch_form"]["wall_ms"] > 0
    tracklet, mined = results["pretrain"]["tracklet"], results["pretrain"]["mined"]
    assert 0 < tracklet["stopped_at_step"] < tracklet["steps"]
    assert tracklet["pairs_per_s"] > 0
    assert mined["pairs_per_s"] > 0
    assert mined["mined_pairs"] > 0
    for curve in (tracklet["monitor"], mined["monitor"], results["longer"]["monitor"]):
        assert curve[0]["epoch"] == 0
        assert all(0 <= row["map"] <= 1 for row in curve)
    assert results["finetune"]["iterations_per_s"] > 0
    assert results["finetune"]["same_bytes"] is True
    assert 0 < results["evaluate"]["map"] <= 1
    assert results["evaluate"]["against_cpu"]["largest_feature"] > 0
    assert results["evaluate"]["against_cpu"]["largest_difference"] == 0
    assert results["rival"]["ratios"]["end_to_end"] > 0
    assert results["compiled"]["note"].startswith("not on a CPU")


def run_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> gpu.Run:
    """A run whose steps are those of `gpu_command_samples`."""
    here = str(Path(__file__).parent)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([here, os.environ.get("PYTHONPATH", "")]))
    asked = gpu.arguments(["--device", "cpu", "--minutes", "5", "--out", str(tmp_path / "out")])
    return gpu.Run(asked, tmp_path / "work")


def sample(name: str, limit_s: float = 60.0) -> Step:
    return Step(name, "a sample", "gpu_command_samples", 1, limit_s, 1)


@pytest.mark.slow
def test_a_step_is_killed_at_its_limit_with_all_that_it_started_and_the_next_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, monkeypatch)
    found = run.all([sample("lasts", limit_s=25), sample("passes")], ())
    lasts, passes = found["steps"]["lasts"], found["steps"]["passes"]
    assert lasts["status"] == "timed_out"
    assert lasts["took_s"] >= 25
    assert lasts["result"]["first_figure"] == 1.5  # what it had found is kept
    assert not _alive(lasts["result"]["child"])
    assert passes["status"] == "passed"
    assert passes["result"] == {"rate_per_s": 2.0}
    assert json.loads((tmp_path / "out" / "gpu.json").read_text()) == found
    assert "going on for ever" in (tmp_path / "out" / "logs.txt").read_text()
    assert _gpu_table.last_line(found).startswith("passed: 1; not passed: lasts (timed_out: killed")


def _alive(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    for _ in range(50):
        stat = Path(f"/proc/{process}/stat")
        if not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] == "Z":
            return False
        time.sleep(0.1)
    return True


@pytest.mark.slow
def test_a_step_that_fails_leaves_what_it_found_and_the_next_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, monkeypatch)
    found = run.all([sample("fails"), sample("breaks"), sample("passes")], ())
    steps = found["steps"]
    assert {name: step["status"] for name, step in steps.items()} == {
        "fails": "failed",
        "breaks": "failed",
        "passes": "passed",
    }
    assert steps["fails"]["error"] == "the other half is missing"
    assert steps["fails"]["result"] == {"half": 0.5}
    assert steps["breaks"]["error"] == "ZeroDivisionError: division of nothing"
    assert "Traceback" in (tmp_path / "out" / "logs.txt").read_text()


@pytest.mark.slow
def test_a_command_that_is_asked_to_stop_ends_with_its_table(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--quick", "--only", "machine,profile,views", "--out", "found"]
    child = subprocess.Popen(
        [sys.executable, SCRIPT, *words], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    lines = iter(child.stdout or ())
    assert any(line.startswith("gpu: profile: about") for line in lines)
    child.send_signal(signal.SIGTERM)
    rest = "".join(lines)
    assert child.wait(timeout=60) == 1
    found = json.loads((tmp_path / "found" / "gpu.json").read_text())
    assert found["steps"]["machine"]["status"] == "passed"
    assert found["steps"]["profile"]["status"] == "stopped"
    assert found["left_out"] == {"views": "the command was asked to stop"}
    assert rest.endswith((tmp_path / "found" / "table.txt").read_text())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "file"], r"file: no file can be written there \(File exists\); name another"),
        (["--out", "file/in"], "no file can be written there"),
        (["--work", "file/in"], "no file can be written there"),
        (["--minutes", "0"], "--minutes 0: a number above 0 was wanted"),
        (["--minutes", "nan"], "--minutes nan: a number above 0 was wanted"),
        (["--market", "nowhere"], "nowhere: no part of Market-1501 found"),
    ],
)
def test_what_cannot_be_used_is_refused_before_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=said):
        gpu.main("--device", "cpu", "--only", "machine", *words)


def test_a_command_without_time_for_any_step_says_so_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--device", "cpu", "--minutes", "0.01", "--only", "machine", "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as ended:
        gpu.main(*words)
    assert ended.value.code == 1
    assert capsys.readouterr().out == (
        "no step has run; drawn people\n\n\n"
        "passed: 0; left out: machine (needs about 15 s, and 0 s are left)\n"
    )


@pytest.mark.slow
def test_a_failed_step_makes_the_command_end_with_1(tmp_path: Path) -> None:
    (tmp_path / "market" / "bounding_box_train").mkdir(parents=True)
    (tmp_path / "market" / "bounding_box_train" / "no-label.jpg").write_bytes(b"")
    words = ["--device", "cpu", "--quick", "--only", "finetune,evaluate", "--market", "market"]
    done = subprocess.run([sys.executable, SCRIPT, *words], cwd=tmp_path, **QUIET)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert "finetune (failed: " in last
    assert "whose names hold no labels: no-label.jpg" in last
    assert last.endswith(
        "left out: evaluate (Market-1501 lacks query (market1501-query.tar.xz) and "
        "bounding_box_test (market1501-gallery.tar.xz))"
    )


def test_a_machine_without_a_gpu_is_told_how_to_rehearse_and_nothing_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"no GPU here; for a rehearsal .* --device cpu --quick"):
        gpu.main("--only", "machine")
    assert list(tmp_path.iterdir()) == []


def test_every_combination_is_measured_once_the_most_telling_first() -> None:
    every = _gpu_speeds.configurations()
    assert len(set(every)) == len(every)
    assert every[0].name == "resnet50_stride_2_groups_8_batch_256_scale_1"
    plain = {(c.architecture, c.last_stride, c.bn_groups, c.batch) for c in every}
    assert len(plain) == 2 * 2 * 3 * 2
    assert {c.resident_scale for c in every} == {1.0, 2.0}


@pytest.mark.parametrize("module", [_gpu_plan, _gpu_speeds, _gpu_stages, _gpu_table, _gpu_time])
def test_the_examples_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0


def test_steps_that_do_not_fit_are_left_out_and_cheaper_ones_still_run() -> None:
    left_s, runs, reasons = 100.0, [], {}
    for step in _gpu_plan.STEPS:
        why_not = _gpu_plan.obstacle(step, left_s, EVERYTHING, quick=False)
        if why_not:
            reasons[step.name] = why_not
        else:
            runs.append(step.name)
            left_s -= step.cost_s
    assert runs == ["machine", "syncs", "profile"]
    assert reasons["tests"] == "needs about 150 s, and 75 s are left"
    assert list(reasons) == [name for name in STEPS if name not in runs]


@pytest.mark.parametrize("step", _gpu_plan.STEPS, ids=lambda step: step.name)
@pytest.mark.parametrize("quick", [False, True])
def test_no_step_is_given_more_than_is_left(step: Step, quick: bool) -> None:
    left_s = step.cost(quick) + _gpu_plan.ENDING_S
    assert not _gpu_plan.obstacle(step, left_s, EVERYTHING, quick)
    budget_s, limit_s = _gpu_plan.seconds(step, left_s, quick)
    assert 0 < budget_s <= limit_s <= left_s - _gpu_plan.ENDING_S


def test_steps_whose_pictures_are_absent_are_left_out() -> None:
    evaluate, finetune = _gpu_plan.chosen("evaluate,finetune")[::-1]
    assert [evaluate.name, finetune.name] == ["evaluate", "finetune"]
    why = _gpu_plan.obstacle(evaluate, 999, ["train", "query"], quick=False)
    assert why == "Market-1501 lacks bounding_box_test (market1501-gallery.tar.xz)"
    assert not _gpu_plan.obstacle(finetune, 999, ["train", "query"], quick=False)


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(BadInput, match=r"no step is called 'viws' \(did you mean 'views'\?\)"):
        gpu.main("--only", "viws", "--list")


def test_the_list_shows_every_step(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main("--list")
    lines = capsys.readouterr().out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == STEPS


def test_every_step_is_a_function_of_its_module() -> None:
    for step in _gpu_plan.STEPS:
        assert callable(getattr(__import__(step.module), step.name))


def test_goals_depend_on_the_card_and_on_what_was_measured() -> None:
    row = {"architecture": "resnet50", "last_stride": 2, "end_to_end_pairs_per_s": 7_000.0}
    found: dict[str, Any] = {
        "settings": {"quick": False},
        "machine": {"gpu": "NVIDIA H200"},
        "steps": {
            "speeds": {"result": {"configurations": [row, row | {"last_stride": 1}]}},
            "profile": {"result": {"views_share_of_step": 0.03}},
            "syncs": {"status": "failed"},
        },
    }
    goals = {goal["what"]: goal["met"] for goal in _gpu_table.goals(found)}
    assert goals == {"resnet50, last stride 2, pairs_per_s": False, "views_share_of_step": True}
    found["machine"]["gpu"] = "NVIDIA H100 80GB HBM3"
    assert _gpu_table.goals(found)[0]["met"]
    found["settings"]["quick"] = True
    assert _gpu_table.goals(found) == []


def test_the_table_shows_figures_faults_and_goals() -> None:
    found = {
        "settings": {"quick": False, "data": "drawn people"},
        "machine": {"gpu": "NVIDIA H200"},
        "date": "2026-11-27",
        "commit": "abc",
        "steps": {
            "machine": {"status": "passed", "took_s": 12.3, "result": {"copy_gb_per_s": 4012.0}},
            "tests": {"status": "failed", "took_s": 5.0, "error": "2 failed\nof 9"},
        },
        "left_out": {"rival": "needs about 110 s, and 3 s are left"},
        "goals": [{"what": "pairs", "wanted": "at least 8", "found": 7.0, "met": False}],
    }
    assert _gpu_table.table(found).splitlines() == [
        "NVIDIA H200; 2026-11-27; commit abc; drawn people",
        "",
        "machine    passed     12 s",
        "    copy_gb_per_s  4,012",
        "tests      failed     5 s",
        "    2 failed of 9",
        "",
        "goals",
        "    NOT MET  pairs: 7, at least 8",
        "",
        "passed: 1; not passed: tests (failed: 2 failed of 9); "
        "left out: rival (needs about 110 s, and 3 s are left)",
    ]


def test_the_page_names_all_wheels_and_all_steps() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text()
    command = re.search(r"pip download[^`]*?```", page, re.DOTALL)
    assert command
    words = {bare_environment.plain(word) for word in command.group().split()}
    assert {bare_environment.plain(name) for name in bare_environment.CARRIED} <= words
    assert set(STEPS) <= set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))


def test_the_calls_of_the_page_have_time_for_all_their_steps() -> None:
    page = (ROOT / "docs" / "gpu.md").read_text().replace("\\\n", " ")
    calls = re.findall(r"--minutes (\S+) .*--only (\S+)", page)
    assert len(calls) == 3
    for minutes, only in calls:
        left_s = 60 * float(minutes)
        for step in _gpu_plan.chosen(only):
            assert not _gpu_plan.obstacle(step, left_s, EVERYTHING, quick=False), only
            left_s -= step.cost_s


def test_options_are_those_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        gpu.arguments(["--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out)) - {"--help"}
    page = (ROOT / "docs" / "gpu.md").read_text()
    assert {option for option in options if option not in page} == set()
    assert isinstance(gpu.arguments([]), argparse.Namespace)
