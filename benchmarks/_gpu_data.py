"""The folder in which the stages run: Market-1501 or drawn people, settings, index, crops, start.

Nothing here needs DVC, the internet or a video: crops come from labelled images alone, and training
starts from random weights. What an earlier call made in the same folder is used again.
"""

import lzma
import shutil
import tarfile
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from ruamel.yaml import YAML

import _gpu_stages
from _gpu_context import Context
from _gpu_plan import PARTS
from _pictures import JPEG_QUALITY, NOISE, picture
from passerby import files, parallel, seeds
from passerby.crops import images
from passerby.crops.store import writing
from passerby.datasets import counts, market1501
from passerby.errors import BadInput
from passerby.images import encoded
from passerby.settings import profile, read

ROOT = Path(__file__).resolve().parent.parent
NAME = "market1501"
HEIGHT_PX, WIDTH_PX = 128, 64
CAMERAS, EACH = 2, 3
"""Cameras, and pictures by each camera, of a drawn person."""
PEOPLE, QUICK_PEOPLE = 400, 40
"""Drawn people in the training part; a quarter as many are in the test part."""
MOST_BYTES = 1 << 20
"""A larger file is none of Market-1501's pictures, which take a few thousand bytes each."""
XZ_BEGIN, XZ_END = b"\xfd7zXZ\0", b"YZ"


def parts(market: Path | None, archives: Path | None) -> tuple[str, ...]:
    """The parts of Market-1501 that are there; all where people are drawn.

    Raises:
        BadInput: a folder that was named holds no part, or an archive in it is not whole.
    """
    if not market and not archives:
        return tuple(PARTS)
    there = set()
    if market:
        root = laid_out(market)
        there |= {part for part, (folder, _) in PARTS.items() if (root / folder).is_dir()}
    if archives:
        found = {part: archives / name for part, (_, name) in PARTS.items()}
        there |= {part for part, archive in found.items() if archive.is_file()}
        for archive in filter(Path.is_file, found.values()):
            _require_whole(archive)
    if not there:
        names = ", ".join(name for _, name in PARTS.values())
        raise BadInput(
            f"{market or archives}: no part of Market-1501 found; wanted the folder that holds "
            f"bounding_box_train (--market), or one with {names} (--archives)"
        )
    return tuple(part for part in PARTS if part in there)


def _require_whole(archive: Path) -> None:
    """Refuse an archive that is not in the format of xz, or whose end is missing."""
    with open(archive, "rb") as file:
        begin = file.read(len(XZ_BEGIN))
        file.seek(-min(len(XZ_END), archive.stat().st_size), 2)
        end = file.read()
    if (begin, end) != (XZ_BEGIN, XZ_END):
        raise BadInput(f"{archive}: not a whole .tar.xz archive; copy it again")


def laid_out(market: Path) -> Path:
    """The folder with the parts: the given one, or the folder `Market-1501-v15.09.15` in it."""
    below = market / "Market-1501-v15.09.15"
    return below if below.is_dir() else market


def prepared(context: Context, arms: dict[str, Any] | None = None) -> Path:
    """Make the folder in which stages run, with everything that the available parts allow.

    Args:
        context: Says which parts are available.
        arms: Arms of pretraining besides those that are always there.
    """
    folder = context.work / f"stages-{_kind(context)}"
    folder.mkdir(parents=True, exist_ok=True)
    there, note = list(parts(context.market, context.archives)), folder / "prepared.json"
    before = files.read_json(note)["parts"] if note.exists() else []
    there = [part for part in PARTS if part in there or part in before]
    root = _market(context, there)
    _write_settings(context, folder, root, arms or {})
    if there == before:
        return folder
    _gpu_stages.run(folder, "benchmark", NAME)
    if "train" in there and not (folder / "data" / "crops.lmdb").exists():
        _cut(folder, root)
    if not (folder / "data" / "init" / "random.safetensors").exists():
        _gpu_stages.run(folder, "initialise", "random")
    files.write_json(note, {"parts": there, "counts": _counts(root), "drawn": _is_drawn(context)})
    return folder


def about(folder: Path) -> str:
    """What data a step uses, in words."""
    found = files.read_json(folder / "prepared.json")
    images = ", ".join(f"{found['counts'][f'{part}_images']:,} {part}" for part in PARTS)
    return f"{'drawn people' if found['drawn'] else 'Market-1501'}: {images} images"


def _is_drawn(context: Context) -> bool:
    return not context.market and not context.archives


def _kind(context: Context) -> str:
    """What names of folders end with, so that real and drawn pictures are never mixed."""
    return "drawn" if _is_drawn(context) else NAME


def _market(context: Context, there: Collection[str]) -> Path:
    """Make a folder in Market-1501's layout; parts that are not available are empty folders."""
    root = context.work / f"pictures-{_kind(context)}"
    root.mkdir(exist_ok=True)
    for part, (folder, archive) in PARTS.items():
        place = root / folder
        filled = place.is_symlink() or (place.is_dir() and any(place.iterdir()))
        if part not in there or filled:
            place.mkdir(exist_ok=True)
            continue
        shutil.rmtree(place, ignore_errors=True)
        if _is_drawn(context):
            _draw(place, part, QUICK_PEOPLE if context.quick else PEOPLE)
        elif context.market and (laid_out(context.market) / folder).is_dir():
            place.symlink_to((laid_out(context.market) / folder).resolve())
        elif context.archives:
            unpack(context.archives / archive, folder, place)
    return root


def unpack(archive: Path, folder: str, place: Path) -> None:
    """Unpack the pictures in one folder of an archive into `place`, and nothing else.

    Raises:
        BadInput: the archive is damaged, has no such pictures, or one that is far too large.
    """
    beside = files.empty_folder(place.with_name(f"{place.name}.part"))
    try:
        with tarfile.open(archive, "r:xz") as packed:
            for member in packed:
                path = Path(member.name)
                if member.isfile() and path.parent.name == folder and path.suffix == ".jpg":
                    _unpack_one(packed, member, beside / path.name)
    except (EOFError, lzma.LZMAError, tarfile.TarError) as error:
        raise BadInput(f"{archive}: damaged ({error}); copy it again") from None
    except BadInput as error:
        raise BadInput(f"{archive}: {error}") from None
    if not any(beside.iterdir()):
        raise BadInput(f"{archive}: there is no picture in a folder '{folder}' of it")
    beside.rename(place)


def _unpack_one(packed: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """Write one file of an archive."""
    if member.size > MOST_BYTES:
        raise BadInput(f"{member.name} has {member.size:,} bytes, not {MOST_BYTES:,} at most")
    content = packed.extractfile(member)
    assert content  # it is a file
    target.write_bytes(content.read())


def _draw(place: Path, part: str, people: int) -> None:
    """Draw people in Market-1501's layout: each has colours, and each picture its own noise."""
    beside = files.empty_folder(place.with_name(f"{place.name}.part"))
    train = part == "train"
    first = 1 if train else people + 1
    cells = [
        (person, camera, number)
        for person in range(first, first + (people if train else people // 4))
        for camera in range(1, CAMERAS + 1)
        for number in range(EACH)
        if train or (number == 0) == (part == "query")
    ]

    def write(cell: tuple[int, int, int]) -> None:
        person, camera, number = cell
        rng = seeds.stream(0, "drawn person", person, camera, number)
        plain = picture(1, person, HEIGHT_PX, WIDTH_PX).astype(np.float32)
        noisy = plain + 12 * camera + 2 * NOISE * rng.standard_normal(plain.shape, np.float32)
        image = np.rint(noisy).clip(0, 255).astype(np.uint8)
        name = f"{person:04}_c{camera}s1_{number * 25 + 1:06}_00.jpg"
        (beside / name).write_bytes(encoded(image, JPEG_QUALITY))

    with ThreadPoolExecutor(parallel.workers()) as pool:
        list(pool.map(write, cells))
    beside.rename(place)


def _counts(root: Path) -> dict[str, int]:
    """Count the images and people of a folder in Market-1501's layout."""
    return counts.found(market1501.read(root), counts.PUBLISHED[NAME])


def _write_settings(context: Context, folder: Path, root: Path, arms: dict[str, Any]) -> None:
    """Write `params.yaml`: the profile `single-gpu` with the changes of this run."""
    found = _counts(root)
    wanted = NAME
    if found != counts.PUBLISHED[NAME]:  # a part of the set, or drawn people
        wanted = str(folder / "counts.json")
        files.write_json(wanted, {"format": counts.MANIFEST, "counts": {NAME: found}})
    overlay = settings(context, root, wanted)
    overlay["arms"] |= arms
    profiles = folder / "profiles"
    profiles.mkdir(exist_ok=True)
    for path in (ROOT / "profiles").glob("*.yaml"):
        shutil.copyfile(path, profiles / path.name)
    with open(profiles / "gpu-benchmark.yaml", "w") as file:
        YAML().dump(overlay, file)
    files.write_text(folder / "params.yaml", profile.compose("gpu-benchmark", profiles))
    read(folder / "params.yaml")


def settings(context: Context, root: Path, wanted_counts: str) -> dict[str, Any]:
    """What this run changes in the profile `single-gpu`.

    Args:
        context: Says whether everything is small.
        root: Folder in Market-1501's layout.
        wanted_counts: Where the numbers of images and people are stated, as settings name it.
    """
    size, quick = context.size, context.quick
    epochs, every = (6, 3) if quick else (12, 4)
    overlay: dict[str, Any] = {
        "over": "single-gpu",
        "branches": {
            "inits": ["random"],
            "percents": [10],
            "unlabelled": ["random"],
            "baselines": [],
            "sets": [NAME],
        },
        "benchmarks": {NAME: {"kind": "market1501", "root": str(root), "counts": wanted_counts}},
        "starts": {"random": {"kind": "random"}},
        "arms": {
            "tracklet": {"start": "random", "epochs": epochs, "monitor": {"every_epochs": every}},
            "mined": {
                "start": "random",
                "positives": "mined",
                "epochs": 2 if quick else 4,
                "mining": {"from_epoch": 1, "every_epochs": 1},
                "monitor": {"every_epochs": 1},
            },
        },
        "finetune": {"iterations": 200, "iterations_per_epoch": 20},
        "attributes": {"init": "random"},
        "evaluate": {"rerank": None, "draws": 0},
    }
    if quick:
        image = {"height_px": size.height_px, "width_px": size.width_px}
        overlay["compute"] = {"threads": context.threads}
        overlay["encoder"] = {"architecture": size.architecture, "last_stride": 2}
        overlay["pretrain"] = {
            **image,
            "batch": size.batch,
            "bn_groups": size.bn_groups,
            "queue": size.queue,
            "warmup_steps": 2,
            "monitor": {"people": 8},
        }
        overlay["finetune"] = {
            **image,
            "iterations": 8,
            "iterations_per_epoch": 4,
            "people_per_batch": 4,
            "workers": 0,
        }
    return overlay


def _cut(folder: Path, root: Path) -> None:
    """Write the crop store; the stage `crop` would need PyArrow, since it also reads detections."""
    asked = read(folder / "params.yaml").crops
    index = folder / "data" / "benchmarks" / f"{NAME}.tsv"
    with writing(folder / "data" / "crops.lmdb") as writer:
        writer.add(images.from_benchmark(index, root, asked))
