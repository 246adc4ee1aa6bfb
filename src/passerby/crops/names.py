"""The names in the header of a crop store, which may come from anywhere.

`passerby crops export` makes folders of them, and they are printed. So they are checked when a
store is opened, before anything is done with them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from passerby import files
from passerby.errors import BadInput, listing


def checked(path: Path, header: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The names of the sources and of the cameras of a store.

    Args:
        path: The store.
        header: Its header, as `checks.header` gives it.

    Raises:
        BadInput: a name cannot be that of a file within a folder.
    """
    names: list[str] = [source["name"] for source in header["sources"]]
    cameras: list[str] = header["cameras"]
    faults = [
        *_faults("source", names, lambda name: [name, *parts(name)]),
        *_faults("camera", cameras, lambda name: [name.replace("/", " ")]),  # never a folder
    ]
    if faults:
        raise BadInput(f"{path}: {listing(faults)}; {_AGAIN}")
    return names, cameras


def parts(source: str) -> list[str]:
    """The folders of a source on export: those of country, city and video, or one.

    Example:
        >>> parts("peru+lima+-a_b"), parts("benchmark-market1501")
        (['peru', 'lima', '-a_b'], ['benchmark-market1501'])
    """
    return source.split("+", 2)


def _faults(what: str, names: list[str], told: Callable[[str], list[str]]) -> Iterator[str]:
    """The names that cannot be used; `told` gives all that is called by a name."""
    for number, name in enumerate(names):
        if fault := next(filter(None, map(files.fault_of_name, told(name))), ""):
            yield f"the name of {what} {number} {fault}: {name[:80]!r}"


_AGAIN = "no store that passerby wrote: get it anew, or 'dvc repro crop' makes it"
