"""The whole chain on the tiny city: it runs, runs once, and survives a kill of any stage.

Real processes all the way: dvc, yt-dlp against a server on loopback, torchrun, fast-reid. A stage
is killed half-way through the time that it took undisturbed.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from passerby.settings import profile

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {
    **{k: v for k, v in os.environ.items() if k != "DVC_ROOT"},
    "DVC_NO_ANALYTICS": "1",
    "PASSERBY_PROCESSES": "1",
}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@dataclass(frozen=True)
class Run:
    """One `dvc repro` that went through."""

    folder: Path
    said: str
    took_s: dict[str, float]

    def sha256(self, name: str) -> str:
        return hashlib.sha256((self.folder / name).read_bytes()).hexdigest()


def new_project(folder: Path) -> Path:
    """The committed graph with the tiny settings, and an own cache."""
    folder.mkdir(parents=True)
    for name in ("dvc.yaml", "stages", "src", "profiles", ".dvcignore"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / ".dvc", folder / ".dvc", ignore=lambda *_: ["cache", "tmp"])
    (folder / "params.yaml").write_text(profile.compose("tiny", ROOT / "profiles"))
    subprocess.run(["git", "init", "-q"], cwd=folder, check=True)
    return folder


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        ["dvc", "repro", *arguments],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def repro(folder: Path, *arguments: str) -> Run:
    """Run `dvc repro` to its end and time each stage."""
    process = start(folder, *arguments)
    assert process.stdout is not None
    lines, took_s, at, since_s = [], {}, "", time.monotonic()
    for line in process.stdout:
        lines.append(line)
        if found := re.match(r"Running stage '(.+)'", line):
            now_s = time.monotonic()
            took_s[at] = now_s - since_s
            at, since_s = found[1], now_s
    took_s[at] = time.monotonic() - since_s
    assert process.wait() == 0, "".join(lines)
    return Run(folder, "".join(lines), took_s)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return repro(new_project(tmp_path_factory.mktemp("undisturbed") / "project"))


def test_the_chain_ends_in_a_report_with_a_row_for_each_branch(undisturbed: Run) -> None:
    summary = (undisturbed.folder / "data" / "report" / "summary.md").read_text()
    for row in ("random", "moco", "attributes"):
        assert row in summary
    for set_name in ("city-market1501", "city-cuhk03"):
        metrics = json.loads(
            (
                undisturbed.folder
                / "data/results"
                / f"moco-published-100-0-{set_name}"
                / "metrics.json"
            ).read_text()
        )
        assert 0 < metrics["map"] < 1


def test_nothing_that_the_graph_made_names_the_machine(undisturbed: Run) -> None:
    place = str(undisturbed.folder).encode()
    for path in sorted((undisturbed.folder / "data").rglob("*")):
        if path.is_file():
            assert place not in path.read_bytes(), path


def test_a_second_repro_runs_nothing(undisturbed: Run) -> None:
    again = repro(undisturbed.folder)
    assert "Running stage" not in again.said
    assert "Data and pipelines are up to date." in again.said


def test_a_changed_temperature_runs_again_from_pretraining_on(undisturbed: Run) -> None:
    done = subprocess.run(
        ["dvc", "repro", "--dry"],
        cwd=undisturbed.folder,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Running stage" not in done.stdout
    params = undisturbed.folder / "params.yaml"
    text = params.read_text()
    try:
        params.write_text(re.sub(r"\n  temperature: [\d.]+", "\n  temperature: 0.2", text))
        done = subprocess.run(
            ["dvc", "status"],
            cwd=undisturbed.folder,
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        params.write_text(text)
    assert sorted(re.findall(r"^(\S+):$", done.stdout, re.M)) == ["pretrain@moco", "report"]


def kill_in_the_middle(folder: Path, stage: str, took_s: float) -> bool:
    """Start one stage and kill it and dvc on its way; False if it had ended before."""
    process = start(folder, "-s", stage)
    assert process.stdout is not None
    while "Running stage" not in process.stdout.readline():
        assert process.poll() is None
    with contextlib.suppress(subprocess.TimeoutExpired):  # it is to be still running
        process.wait(took_s / 3)  # the machine may be thrice as fast as it was then
    # dvc waits for the stage: it is not at its own files, which it writes in place.
    in_the_middle = process.poll() is None and bool(psutil.Process(process.pid).children())
    if in_the_middle:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return in_the_middle


def test_a_kill_of_any_stage_changes_no_byte(undisturbed: Run, tmp_path: Path) -> None:
    folder = new_project(tmp_path / "project")
    killed = []
    for stage, took_s in undisturbed.took_s.items():
        if stage:
            if kill_in_the_middle(folder, stage, took_s):
                killed.append(stage)
            repro(folder, "-s", stage)
    assert {"world@city", "crop", "pretrain@moco", "finetune@moco-published-100-0"} <= set(killed)
    rest = repro(folder)
    assert "Running stage" not in rest.said
    for name in ("data/crops.lmdb", "data/pretrain/moco/weights.safetensors"):
        assert rest.sha256(name) == undisturbed.sha256(name)
    assert sorted(os.listdir(folder / "scratch")) == []


def test_a_kill_of_dvc_alone_is_waited_for(undisturbed: Run, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(undisturbed.folder, folder, symlinks=True)
    stage = "pretrain@moco"
    process = start(folder, "-s", "-f", stage)
    deadline_s = time.monotonic() + 60
    while not list(folder.glob(f"scratch/{stage}/*.lock")):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)  # its stage lives on
    process.wait()
    again = repro(folder, "-s", "-f", stage)
    process.communicate()
    assert "of an earlier run is still at this; waiting for it" in again.said
    assert again.sha256("data/pretrain/moco/weights.safetensors") == undisturbed.sha256(
        "data/pretrain/moco/weights.safetensors"
    )


def test_make_repro_goes_on_from_a_lock_that_a_kill_cut_short(undisturbed: Run) -> None:
    folder = undisturbed.folder
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "ready").touch()
    lock = folder / ".dvc" / "tmp" / "rwlock"
    lock.write_text("")
    alone = start(folder)
    said, _ = alone.communicate()
    assert alone.returncode != 0
    assert "RWLock" in said
    made = subprocess.run(
        ["make", "repro"], cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert "Data and pipelines are up to date." in made.stdout
