"""The `passerby` command: one subcommand a verb; what a verb needs is imported when it runs.

Exit codes: 0 done, 2 a mistake of the user or of a file, 75 stopped (run again), 1 a bug of ours.
"""

import argparse
from pathlib import Path
from typing import Any

from passerby import errors, leftovers
from passerby.errors import BadInput
from passerby.foreign import exists, is_folder
from passerby.options import Channels, Size, Whole
from passerby.text import line, say

MOST_SHOWN = 4096
"""Crops in one picture of them: a JPEG has room for no more than 65,535 rows."""

EXAMPLES = """\
examples:
  passerby profile tiny                      settings of a profile into params.yaml
  passerby crops info data/crops.lmdb        what was cut, and what was left out and why
  passerby embed data/models/moco-published-100-0 photos/ --out features.npz
  passerby evaluate features.npz             figures of anybody's features
  passerby evaluate data/models/moco-published-100-0 --set city-market1501
"""


def main() -> None:
    """Entry point of the `passerby` command."""
    errors.run(_run)


def _run() -> None:
    """Do what was typed; no argument can be left over."""
    asked = vars(parser().parse_args())
    asked.pop("verb")(**asked)


def parser() -> argparse.ArgumentParser:
    """The whole command line: each verb's arguments bear the names of its function's."""
    top = errors.Parser(
        prog="passerby",
        description="Street videos in, a person re-identification encoder out.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = top.add_subparsers(required=True, metavar="VERB")
    _add_profile(verbs)
    _add_clip(verbs)
    _add_crops(verbs)
    _add_extract(verbs)
    _add_adopt(verbs)
    _add_export(verbs)
    _add_calibrate(verbs)
    _add_embed(verbs)
    _add_evaluate(verbs)
    _add_record(verbs)
    _add_plot(verbs)
    leftovers.arguments(_verb(verbs, leftovers.scratch, "scratch"))
    return top


def _verb(verbs: Any, function: Any, name: str) -> argparse.ArgumentParser:
    """A subcommand whose help is its function's docstring."""
    what = " ".join(function.__doc__.partition("Raises:")[0].split())
    made: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what)
    made.set_defaults(verb=function)
    return made


def _add_profile(verbs: Any) -> None:
    made = _verb(verbs, profile, "profile")
    made.add_argument("name", nargs="?", help="city, tiny, real-small, single-gpu, paper, ...")
    made.add_argument("--folder", type=Path, default=Path("profiles"), help="default: %(default)s")
    made.add_argument("--out", type=Path, default=Path("params.yaml"), help="default: %(default)s")


def profile(name: str | None, folder: Path, out: Path) -> None:
    """Check a profile's settings and write them to params.yaml; without a name, list them."""
    from passerby import files
    from passerby.settings import profile as profiles

    if name is None:
        say("\n".join(map(line, profiles.names(folder))))
        return
    files.write_text(out, profiles.compose(name, folder))
    say(f"{out}: the settings of profile '{name}'")


def _add_clip(verbs: Any) -> None:
    made = _verb(verbs, clip, "clip")
    made.add_argument("frames", type=Path, help="folder of pictures, in the order of their names")
    made.add_argument("out", type=Path, help="the video: country+city+id.mp4")
    made.add_argument(
        "--fps", type=Whole("--fps", 1, 1000), default=25, help="default: %(default)s"
    )


def clip(frames: Path, out: Path, fps: int) -> None:
    """Make a video of a folder of pictures, so that it can stand in a list of videos."""
    from passerby.video import sequence

    sequence.pack(frames, out, fps)
    say(f"{out}: written")


def _add_crops(verbs: Any) -> None:
    crops = verbs.add_parser("crops", help="Say, show, check or export a store of crops.")
    inner = crops.add_subparsers(required=True, metavar="WHAT")
    for function in (crops_info, crops_show, crops_verify, crops_export):
        made = _verb(inner, function, function.__name__.removeprefix("crops_"))
        made.add_argument("path", type=Path, help="a store, e.g. data/crops.lmdb")
        if function is crops_show:
            made.add_argument("out", type=Path, help="the picture (JPEG)")
            most = Whole("--count", 1, MOST_SHOWN)
            made.add_argument("--count", type=most, default=128, help="default: %(default)s")
            track = Whole("--track", 0, 2**62)
            made.add_argument("--track", type=track, help="only crops of this track")
        if function is crops_export:
            made.add_argument("folder", type=Path, help="a new folder")


def crops_info(path: Path) -> None:
    """Say what a store holds, and what was left out and why."""
    from passerby.crops import verbs

    say(verbs.info(path))


def crops_show(path: Path, out: Path, count: int, track: int | None) -> None:
    """Draw crops of a store, a track a row."""
    from passerby.crops import verbs

    say(verbs.show(path, out, count, track))


def crops_verify(path: Path) -> None:
    """Decode every crop of a store and check its counts."""
    from passerby.crops import verbs

    say(verbs.verify(path))


def crops_export(path: Path, folder: Path) -> None:
    """Write a store as files country/city/video/frame_box.jpg with a table of them."""
    from passerby.crops import verbs

    say(verbs.export(path, folder))


def _add_extract(verbs: Any) -> None:
    made = _verb(verbs, extract, "extract")
    made.add_argument("mat", type=Path, help="cuhk-03.mat")
    made.add_argument("out", type=Path, help="a folder, for detected/, labeled/ and testsets.tsv")


def extract(mat: Path, out: Path) -> None:
    """Take CUHK03's cuhk-03.mat apart: pictures as PNG files, and the classic test sets."""
    from passerby.datasets import cuhk03_mat

    counts = cuhk03_mat.extract(mat, out)
    say(f"{out}: " + ", ".join(f"{count:,} {what}" for what, count in counts.items()))


def _add_adopt(verbs: Any) -> None:
    made = _verb(verbs, adopt, "adopt")
    made.add_argument("onnx_path", type=Path, help="a network from pictures to features")
    made.add_argument("folder", type=Path, help="the model's new folder")
    made.add_argument("--size", type=Size("--size"), help="height x width in px; default: 256x128")
    made.add_argument("--mean", type=Channels("--mean"), help="RGB, 0..1; default: ImageNet's")
    deviation = Channels("--deviation", is_positive=True)
    made.add_argument("--deviation", type=deviation, help="RGB, 0..1; default: ImageNet's")
    made.add_argument("--distance", choices=("cosine", "euclidean"), help="default: cosine")
    made.add_argument(
        "--interpolation",
        choices=("bicubic", "bilinear", "opencv-bilinear"),
        help="how its pictures are resized; default: bilinear, torchvision's",
    )
    made.add_argument("--title", help="what tables call it; default: the file's name")
    made.add_argument("--trained-on", help="default: not known")


def adopt(
    onnx_path: Path,
    folder: Path,
    size: tuple[int, int] | None,
    mean: Any,
    deviation: Any,
    distance: Any,
    interpolation: Any,
    title: str | None,
    trained_on: str | None,
) -> None:
    """Make a model folder of an ONNX network, to embed and evaluate with it.

    A file of `passerby export` needs no options: it says itself what it wants.
    """
    from passerby.models import adopt as adoption

    height_px, width_px = size or (None, None)
    card = adoption.adopt(
        onnx_path,
        folder,
        height_px=height_px,
        width_px=width_px,
        mean=mean,
        deviation=deviation,
        distance=distance,
        interpolation=interpolation,
        title=title,
        trained_on=trained_on,
    )
    say(f"{folder}: '{line(card.title)}', features of {card.embedding_size} numbers")


def _add_export(verbs: Any) -> None:
    made = _verb(verbs, export, "export")
    made.add_argument(
        "model", type=Path, help="folder of a model, e.g. data/models/moco-published-100-0"
    )
    made.add_argument("out", type=Path, help="the network: *.onnx")


def export(model: Path, out: Path) -> None:
    """Write a model as an ONNX network from RGB pictures (0..255) to features, and check it."""
    from passerby.models import export as exporting

    card, checked = exporting.export(model, out)
    say(
        f"{out}: '{line(card.title)}', pictures of {card.height_px}x{card.width_px} px to features "
        f"of {card.embedding_size} numbers; {checked}"
    )


def _add_calibrate(verbs: Any) -> None:
    made = _verb(verbs, calibrate, "calibrate")
    made.add_argument("model", type=Path, help="folder of a model; its card gets the table")
    made.add_argument("--set", dest="name", required=True, help="an entry of `benchmarks`")
    made.add_argument("--params", type=Path, default=Path("params.yaml"), help="where that stands")


def calibrate(model: Path, name: str, params: Path) -> None:
    """Choose a model's thresholds on the training people of a set that it has not seen."""
    from passerby import settings
    from passerby.datasets import index
    from passerby.evaluation import thresholds
    from passerby.training import calibration

    read = settings.read(params)
    benchmark = index.build(name, read.benchmark(name))
    card = calibration.calibrate_on(model, benchmark, read.compute.threads)
    chosen = card.thresholds
    say(benchmark.remarks())
    say(f"{model}: thresholds chosen on {chosen['chosen_on']} ({card.distance} distance)")
    say("\n".join(f"  {line}" for line in thresholds.lines(chosen)))


def _add_embed(verbs: Any) -> None:
    made = _verb(verbs, embed, "embed")
    made.add_argument(
        "model", type=Path, help="folder of a model, e.g. data/models/moco-published-100-0"
    )
    made.add_argument("source", type=Path, help="folder of pictures, or a text file of paths")
    made.add_argument("--out", type=Path, default=Path("features.npz"), help="default: %(default)s")
    batch = Whole("--batch", 1, 65_536)
    made.add_argument("--batch", type=batch, default=128, help="default: %(default)s")
    made.add_argument("--flip", action="store_true", help="mean of a picture and its mirror image")


def embed(model: Path, source: Path, out: Path, batch: int, flip: bool) -> None:
    """Embed pictures of people: names and features into one .npz file."""
    from passerby.models import embed as embedding

    count = embedding.embed(model, source, out, batch, flip)
    say(f"{out}: features of {count:,} pictures")


def _add_evaluate(verbs: Any) -> None:
    made = _verb(verbs, evaluate, "evaluate")
    made.add_argument(
        "what",
        type=Path,
        help="features (.npz, .mat, .pth, a folder of .npy; docs/evaluation.md), or a model",
    )
    queries = Whole("--queries", 1, 2**31 - 1)
    made.add_argument("--queries", type=queries, help="of fast-reid's .pth: how many come first")
    made.add_argument("--protocol", help="of features; default: market1501")
    made.add_argument(
        "--distance", choices=("cosine", "euclidean"), help="of features; default: cosine"
    )
    made.add_argument("--rerank", action="store_true", help="re-rank too, as columns of their own")
    made.add_argument("--set", dest="name", help="of a model: an entry of `benchmarks`")
    made.add_argument("--params", type=Path, default=Path("params.yaml"), help="where that stands")
    made.add_argument(
        "--flip", action="store_true", help="of a model: mean of a picture and its mirror image"
    )
    made.add_argument("--out", type=Path, help="a folder for metrics.json and curves")
    made.add_argument(
        "--pictures",
        type=Path,
        help="a folder for pictures (they show the set's people) and a table",
    )


def evaluate(
    what: Path,
    queries: int | None,
    protocol: str | None,
    distance: Any,
    rerank: bool,
    name: str | None,
    params: Path,
    flip: bool,
    out: Path | None,
    pictures: Path | None,
) -> None:
    """Evaluate features with their labels, or a model on a benchmark: mAP, CMC, mINP, ROC."""
    from passerby import judging, places, settings
    from passerby.datasets import index
    from passerby.evaluation import results
    from passerby.models.embedder import Embedder

    if not exists(what):
        raise BadInput(f"{what}: no such file or folder")
    for folder in filter(None, (out, pictures)):
        places.require_folder(folder)
    benchmark, trials = None, list[Any]()
    if is_folder(what) and not is_folder(what / "query"):
        decided = "a model, whose card and set decide that"
        _refuse(what, decided, queries=queries, protocol=protocol, distance=distance)
        read = settings.read(params)
        if name is None:
            raise BadInput(f"--set: a model is evaluated on one of {', '.join(read.benchmarks)}")
        asked = judging.with_more(read.evaluate, flip, rerank)
        benchmark = index.build(name, read.benchmark(name))
        embedder = Embedder.load(what)
        found, arrays = judging.judge(embedder, benchmark, asked, read.compute.threads)
        trials = judging.trials(benchmark, arrays, embedder.card.distance)
    else:
        _refuse(what, "features, and that is for models", set=name, flip=flip)
        found, arrays = judging.assess(
            what, queries, protocol or "market1501", distance or "cosine", rerank
        )
    say("\n\n".join(one.table() for one in (found, *trials)))
    if benchmark:
        say(benchmark.remarks())
    if out:
        results.write(out, found, arrays, {"model": what.name, "set": name or what.name}, trials)
    if pictures:
        from passerby.report import illustrate

        title = f"{what.name} on {name}" if benchmark else what.name
        say(illustrate.illustrate(pictures, title, found, arrays, benchmark))


def _refuse(what: Path, why: str, **options: object) -> None:
    """Options that would be passed over without a word."""
    given = [f"--{name}" for name, value in options.items() if value]
    if given:
        raise BadInput(f"{', '.join(given)}: {what} is {why}; leave it out")


def _add_record(verbs: Any) -> None:
    made = _verb(verbs, record, "record")
    made.add_argument("out", type=Path, help="the table, e.g. docs/results/mine.tsv")
    made.add_argument("--params", type=Path, default=Path("params.yaml"), help="whose branches")
    made.add_argument(
        "--add", action="store_true", help="the results so far, beside the rows that OUT has"
    )


def record(out: Path, params: Path, add: bool) -> None:
    """Keep the results of the graph as a table with the commit and a hash of the settings."""
    from passerby import settings
    from passerby.report import record as recording

    count = recording.record(out, settings.read(params), add=add)
    say(f"{out}: {count} rows")


def _add_plot(verbs: Any) -> None:
    made = _verb(verbs, plot, "plot")
    made.add_argument("tables", type=Path, nargs="+", help="of `passerby record`")
    made.add_argument("--out", type=Path, required=True, help="a .png or .svg")
    made.add_argument("--sets", nargs="+", default=[], help="which, in this order (all)")


def plot(tables: list[Path], out: Path, sets: list[str]) -> None:
    """Draw mAP against the share of the labels from tables that were kept."""
    from passerby.report import label_curves

    label_curves.write(out, label_curves.read(tables), sets)
    say(f"{out}: written")


if __name__ == "__main__":
    main()
