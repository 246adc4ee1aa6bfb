"""A small graph's results on disk, made by formula so that every figure is known."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from safetensors.numpy import save_file

from passerby import files, settings
from passerby.report import outcomes
from passerby.settings import Params

MAP = {"random": 0.20, "moco": 0.25, "attributes": 0.10}
UNSEEN_LESS = 0.08
GAIN_BY_SEED = 0.01


def asked(**changes: Any) -> Params:
    """The city's settings with changed branches."""
    values = yaml.safe_load(Path("profiles/city.yaml").read_text())
    values["branches"].update(changes)
    return settings.validate(yaml.safe_dump(values), "changed")


def known_map(init: str, percent: int | None, seed: int | None, set_name: str) -> float:
    """The mAP that the fixture writes: by init, set, seed (moco's) and labels."""
    value = MAP[init] - (UNSEEN_LESS if set_name == "city-cuhk03" else 0)
    if init == "moco":
        value += GAIN_BY_SEED * (seed or 0)
    return value * (percent or 100) / 100


def write_result(folder: Path, value: float, name: str, set_name: str) -> None:
    """One result folder in the format of `evaluate`."""
    folder.mkdir(parents=True)
    metrics = {
        "model": name,
        "set": set_name,
        "protocol": "market1501",
        "counts": {"queries": 30, "gallery": 90},
        "map": value,
        "map_trapezoid": value + 0.01,
        "minp": value / 2,
        "cmc": {"1": value + 0.2, "5": value + 0.4, "10": value + 0.5},
        "tar_at_far": {"0.001": value / 3, "0.01": None},
        "auc": 0.8,
        "eer": 0.2,
    }
    files.write_json(folder / "metrics.json", metrics)
    fpr = np.geomspace(1e-4, 1, 50)
    roc = [f"{x:.6g}\t{x ** (0.6 - value):.6g}\t{1 - x:.6g}" for x in fpr]
    files.write_text(folder / "roc.tsv", "\n".join(["fpr\ttpr\tthreshold", *roc]) + "\n")
    cmc = [f"{rank}\t{min(1, value + 0.1 * rank**0.5):.6g}" for rank in range(1, 51)]
    files.write_text(folder / "cmc.tsv", "\n".join(["rank\tshare", *cmc]) + "\n")
    far = [
        f"{x:.3f}\t{np.exp(-((x - centre) ** 2) / 0.02) / 20:.6g}\t{kind}"
        for kind, centre in (("genuine", 0.3), ("impostor", 0.3 + value))
        for x in np.arange(0, 1.0, 0.02)
    ]
    files.write_text(folder / "distances.tsv", "\n".join(["distance\tshare\tkind", *far]) + "\n")


def write_start(path: Path, source: str, fresh: list[str]) -> None:
    """A start's header, with a tensor so that the file is a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"format": "passerby.init/1", "source": source, "fresh": fresh, "title": ""}
    save_file({"conv1.weight": np.zeros(1)}, path, metadata={"passerby": json.dumps(header)})


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Params, Path]]:
    """Write the data of a graph whose branches are given; returns settings and folder."""

    def of(maps: Callable[..., float] = known_map, **branches: Any) -> tuple[Params, Path]:
        params, data = asked(**branches), tmp_path / "data"
        for model in outcomes.models(params.branches):
            for name in params.branches.sets:
                value = maps(model.init, model.percent, model.seed, name)
                write_result(data / "results" / f"{model.name}-{name}", value, model.name, name)
        write_start(data / "init" / "random.safetensors", "random, seed 0", [])
        write_start(data / "init" / "moco.safetensors", "pretrain moco", ["layer4.0.conv2.weight"])
        lines = [f"{n}\t{n // 10}\t{7 - n / 50:.4f}\t{n / 400:.4f}\t0.1" for n in range(200)]
        head = "step\tepoch\tloss\taccuracy\tlr"
        files.write_text(data / "pretrain/moco/history.tsv", "\n".join([head, *lines]) + "\n")
        files.write_json(data / "crops_counts.json", {"kept": 12345, "left_out": {"small": 6}})
        return params, data

    return of
