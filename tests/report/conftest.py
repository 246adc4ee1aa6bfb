"""A small graph's results on disk, made by formula so that every figure is known."""

import json
import sys
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

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(Path(__file__).parent))  # for `evaluated_samples`
MAP = {"random": 0.20, "moco": 0.25, "attributes": 0.10, "part": 0.30, "part-moco": 0.28}
UNSEEN_LESS = 0.08
GAIN_BY_SEED = 0.01


def asked(sections: dict[str, Any] | None = None, **branches: Any) -> Params:
    """The city's settings with changed branches, and with keys added to other sections."""
    values = yaml.safe_load((ROOT / "profiles" / "city.yaml").read_text())
    for name, keys in (sections or {}).items():
        values[name] |= keys
    values["branches"].update({"unlabelled": []} | branches)
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
        "tpir_at_fpir": {"0.001": None, "0.01": value / 4},
        "reranked": {"map": value + 0.05, "minp": value, "cmc": {"1": value}},
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


def write_history(path: Path) -> None:
    """200 steps, the loss falling from 7 to 3.02 and the accuracy rising to 0.4975."""
    rows = [
        f"{n}\t{n // 10}\t{7 - n / 50:.4f}\t{n / 400:.4f}\t{0.05 + n / 9999:.4f}\t0.1"
        for n in range(200)
    ]
    head = "step\tepoch\tloss\taccuracy\tspread\tlr"
    files.write_text(path, "\n".join([head, *rows]) + "\n")


def write_counts(path: Path) -> None:
    """What `crop` counted: 12,345 crops of two videos and 100 of a labelled set."""
    videos = {"sources": 2, "boxes": 20000, "crops": 12345, "left_out": {"small": 7000, "cut": 655}}
    images = {"sources": 1, "boxes": 101, "crops": 100, "left_out": {"small": 1}}
    total = {"sources": 3, "boxes": 20101, "crops": 12445, "left_out": {"small": 7001, "cut": 655}}
    found = {"total": {**total, "tracks": 321}, "videos": videos, "images": {"city-x": images}}
    files.write_json(path, found)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., tuple[Params, Path]]:
    """Write the data of a graph whose branches are given; returns settings and folder."""

    def of(
        maps: Callable[..., float] = known_map,
        sections: dict[str, Any] | None = None,
        **branches: Any,
    ) -> tuple[Params, Path]:
        params, data = asked(sections, **branches), tmp_path / "data"
        for model in outcomes.models(params.branches):
            for name in params.branches.sets:
                value = maps(model.init, model.percent, model.seed, name)
                write_result(data / "results" / f"{model.name}-{name}", value, model.name, name)
        for start in params.starts:
            fresh = ["layer4.0.conv2.weight"] if start == "part" else []
            write_start(data / "init" / f"{start}.safetensors", f"{start}, seed 0", fresh)
        for arm in params.arms:
            write_start(data / "init" / f"{arm}.safetensors", f"pretrain {arm}", [])
            write_history(data / "pretrain" / arm / "history.tsv")
            scores = "epoch\tmap\trank_1\n0\t0.2\t0.3\n5\t0.3\t0.4\n"
            files.write_text(data / "pretrain" / arm / "monitor.tsv", scores)
        write_counts(data / "crops_counts.json")
        return params, data

    return of


@pytest.fixture
def several(make: Callable[..., tuple[Params, Path]]) -> tuple[Params, Path]:
    """Two arms from two starts, three seeds, two percents, three sets of which two are unseen."""
    part = {"kind": "file", "file": "x.safetensors", "sha256": "0" * 64, "title": "a part"}
    return make(
        sections={"starts": {"part": part}, "arms": {"part-moco": {"start": "part"}}},
        inits=["random", "part", "moco", "part-moco"],
        percents=[10, 100],
        seeds=[0, 1, 2],
        sets=["city-cuhk01", "city-market1501", "city-cuhk03"],
    )
