"""Training a ResNet on person pictures: small maps as matrix products against torch's convolutions.

    python benchmarks/small_maps.py [--quick]

`benchmarks/README.md` says what is compared and what the figures mean.
"""

import argparse
import copy
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

import _chart
import _measure
import _record
from passerby import errors
from passerby.models import backbones
from passerby.models.backbones import DIM
from passerby.models.small_maps import PLACES, quick_on_small_maps
from passerby.progress import Progress
from passerby.settings import Encoder
from passerby.training import precision

NAME = "small_maps"
QUICK = {"batch": 16, "rounds": 2, "seconds": 0.2}
PACKAGES = ("torch", "passerby")
CASES = [(64, 32, 2), (64, 32, 1), (128, 64, 2), (128, 64, 1)]
"""Height and width of the pictures, stride of the last stage; the last has no small map."""
RIVALS = {"torch": "torch.nn.Conv2d", "passerby": "passerby"}


def arguments(words: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--architecture", choices=sorted(DIM), default="resnet18")
    add("--batch", type=int, default=128, help="pictures in a step (128)")
    add("--seconds", type=float, default=4.0, help="of each measurement at least (4)")
    return _record.arguments(parser, words, NAME, QUICK)


def named(case: tuple[int, int, int]) -> str:
    """A case in the words of the keys.

    Example:
        >>> named((64, 32, 2))
        '64x32_stride_2'
    """
    height, width, last_stride = case
    return f"{height}x{width}_stride_{last_stride}"


def steps(case: tuple[int, int, int], asked: argparse.Namespace) -> dict[str, Callable[[], None]]:
    """A forward and a backward pass of each rival, over the same pictures and weights."""
    height, width, last_stride = case
    encoder = Encoder(architecture=asked.architecture, last_stride=last_stride)
    plain = backbones.build(encoder).to(memory_format=torch.channels_last)
    networks = {"torch": plain, "passerby": quick_on_small_maps(copy.deepcopy(plain))}
    pictures = torch.randn(asked.batch, 3, height, width).to(memory_format=torch.channels_last)
    number_format = precision.decide("auto", "cpu")

    def step(network: nn.Module) -> None:
        network.zero_grad()
        with precision.autocast("cpu", number_format):
            features = network(pictures)
        features.float().square().mean().backward()

    return {name: lambda network=network: step(network) for name, network in networks.items()}


def measured(asked: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    """Pictures per second of each case and rival in every round."""
    torch.manual_seed(0)
    torch.set_num_threads(asked.cores)
    work = {
        (named(case), rival): step for case in CASES for rival, step in steps(case, asked).items()
    }
    with Progress("measure", (asked.rounds + 1) * len(work), "measurements") as progress:

        def task(key: tuple[str, str]) -> float:
            found = _measure.rate(work[key], asked.batch, asked.seconds, lambda: None)
            progress.step(1, f"{' '.join(key)} {found:,.1f} pictures/s")
            return found

        tasks = {key: lambda key=key: task(key) for key in work}
        return _measure.alternate(tasks, asked.rounds)


def summary(found: Mapping[tuple[str, str], list[float]]) -> dict[str, Any]:
    """The figures as they are kept, but for how they came about."""
    names = [named(case) for case in CASES]
    ratios = {name: _measure.ratio(found[name, "passerby"], found[name, "torch"]) for name in names}
    return {
        "what": "small maps: training a ResNet, forward and backward, pictures per second",
        "ratios": {name: ratio["median"] for name, ratio in ratios.items()},
        "ratios_iqr": {name: ratio["iqr"] for name, ratio in ratios.items()},
        "rates": {
            name: {rival: _measure.spread(found[name, rival]) for rival in RIVALS} for name in names
        },
        "each_round": {name: {rival: found[name, rival] for rival in RIVALS} for name in names},
    }


def circumstances(asked: argparse.Namespace) -> dict[str, Any]:
    """How the figures came about."""
    names = ("quick", "architecture", "batch", "rounds", "seconds", "cores")
    own = {name: getattr(asked, name) for name in names}
    number_format = precision.decide("auto", "cpu")
    return {
        "settings": {**own, "places": PLACES, "number_format": number_format},
        **_record.circumstances(PACKAGES),
    }


def show(result: Mapping[str, Any]) -> str:
    """The result as a table in Markdown."""
    rows = [
        [
            name.replace("_stride_", ", last stride "),
            *(_record.told(rates[rival]) for rival in RIVALS),
            _record.told({"median": result["ratios"][name], "iqr": result["ratios_iqr"][name]}),
        ]
        for name, rates in result["rates"].items()
    ]
    settings, machine = result["settings"], result["machine"]
    network = f"{settings['architecture']}, batch {settings['batch']}, {settings['number_format']}"
    about = f"{network}; {machine['cpu']}, {machine['cores']} cores; {result['date']}."
    head = ["pictures/s, median ± IQR", *RIVALS.values(), "ratio"]
    return f"{about}\n\n{_record.table(head, rows)}"


def draw(path: Path, result: Mapping[str, Any]) -> None:
    """The chart of the rates."""
    panels = {
        name.replace("_stride_", ", last stride "): {
            RIVALS[rival]: figure for rival, figure in rates.items()
        }
        for name, rates in result["rates"].items()
    }
    machine = result["machine"]
    title = f"Training on {machine['cpu']}, {machine['cores']} cores"
    _chart.write(path, title, "pictures per second", panels)


def main(*words: str) -> None:
    """Measure, keep and tell."""
    asked = arguments(list(words))
    _record.keep_and_tell(
        asked, lambda: summary(measured(asked)) | circumstances(asked), draw, show
    )


if __name__ == "__main__":
    errors.run(main, *sys.argv[1:])
