"""A whole city: videos with detections and a list, three labelled sets, a manifest, a montage."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from passerby import files, parallel, sealed
from passerby.contract import of_run
from passerby.progress import Progress
from passerby.sealed import Damaged
from passerby.settings import World
from passerby.video import people
from passerby.world import montage, sets, street

FORMAT = "passerby.world/1"
FOLLOWED = ("world", "video")
"""Rooms whose code decides the result."""
COUNTRY = "syn"
Part = Callable[[], None]
_SETS: dict[str, tuple[str, Callable[[World, str, Path], dict[str, int]]]] = {
    "market1501": ("market1501", sets.draw_market),
    "cuhk03": ("cuhk03-np/detected", sets.draw_cuhk03),
    "cuhk01": ("cuhk01/campus", sets.draw_cuhk01),
}


def video_name(city: str, place: int, camera: int) -> str:
    """LUPerson's name of a video: `country+city+id`; the id tells street and camera.

    Example:
        >>> video_name("city", 3, 1)
        'syn+city+s03c1'
    """
    return f"{COUNTRY}+{city}+s{place:02d}c{camera}"


def draw_city(world: World, name: str, out: Path) -> None:
    """Draw a city into the folder `out`; what a killed run finished is not drawn again.

    Args:
        world: The settings.
        name: Of the city: part of every random stream's name, and of the sets' names.
        out: Made anew.
    """
    contract = of_run({"world": world.contract(), "name": name}, FOLLOWED, ["av"])
    with files.scratch(f"world@{name}", contract) as scratch:
        made = scratch / "city"
        parts = _parts(world, name)
        told = {part: _told(scratch, part) for part in parts}
        todo = [part for part in parts if told[part] is None]
        work = partial(_draw, world, name, scratch)
        with Progress("world", len(parts), "parts", done=len(parts) - len(todo)) as progress:
            for part, facts in zip(todo, parallel.each(work, todo), strict=True):
                told[part] = facts
                progress.step()
        _write_list(world, name, made / "street" / "list.txt")
        _write_people(world, name, told, made / "street" / "people.tsv")
        counts = {f"{name}-{key}": told[key] for key in _SETS}
        street_counts = {
            "streets": world.streets,
            "videos": len(parts) - len(_SETS),
            "people": world.streets * world.people_per_street,
        }
        files.write_json(
            made / "manifest.json", {"format": FORMAT, "street": street_counts, "counts": counts}
        )
        montage.write(made, made / "montage.jpg")
        files.put_folder(made, out)


def _parts(world: World, name: str) -> list[str]:
    """The largest first, so that no process is left alone with one at the end."""
    streets, cameras = range(world.streets), range(1, world.cameras_per_street + 1)
    return [*_SETS, *(video_name(name, s, c) for s in streets for c in cameras)]


def _mark(part: str) -> str:
    return f"{part}.done.json"


def _told(scratch: Path, part: str) -> Any:
    """What the mark of a finished part holds; `None` if it is not finished, or is damaged."""
    mark = scratch / _mark(part)
    if not mark.exists():
        return None
    try:
        kept = sealed.read_json(mark)
        for name, sha256 in kept["files"].items():
            sealed.check(scratch / name, sha256)
    except Damaged as error:
        sealed.say_again("world", error, f"{part} is drawn again")
        return None
    return kept["told"]


def _draw(world: World, city: str, scratch: Path, part: str) -> Any:
    """Draw one part; its mark, written last, holds its counts, or who its tracks are."""
    made = scratch / "city"
    told: Any
    if part in _SETS:
        folder, draw = _SETS[part]
        root = files.empty_folder(made / "benchmarks" / folder)
        root.rmdir()
        told = draw(world, city, root)
        drawn = [path for path in sorted(root.rglob("*")) if path.is_file()]
    else:
        place, camera = (int(number) for number in part.rpartition("+s")[2].split("c"))
        video = made / "street" / "videos" / f"{part}.mp4"
        table = made / "street" / "detections" / f"{part}.pkl"
        told, drawn = street.shoot(world, city, place, camera, video, table), [video, table]
    hashes = {path.relative_to(scratch).as_posix(): files.sha256(path) for path in drawn}
    sealed.write_json(scratch / _mark(part), {"told": told, "files": hashes})
    return told


def _write_list(world: World, city: str, path: Path) -> None:
    names = [part for part in _parts(world, city) if part not in _SETS]
    files.write_text(path, "".join(f"{name}\n" for name in names))


def _write_people(world: World, city: str, told: dict[str, Any], path: Path) -> None:
    """Who each track is, over all streets."""
    rows = []
    for part in _parts(world, city):
        if part not in _SETS:
            place = int(part.rpartition("+s")[2].split("c")[0])
            first = place * world.people_per_street
            rows += [(part, track, first + person) for track, person in enumerate(told[part])]
    files.write_text(path, people.text(rows))
