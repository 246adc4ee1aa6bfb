"""Small stores with known contents. Tests import the helper modules beside this file by name."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import needs
import pytest

from passerby.crops.source import Source
from passerby.crops.store import CropStore, writing

sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def make_store(tmp_path: Path) -> Callable[..., CropStore]:
    """Write a store of the given sources and open it."""

    def make(*sources: Source, name: str = "crops.lmdb") -> CropStore:
        path = tmp_path / name
        with writing(path) as writer:
            for source in sources:
                writer.add(source)
        return CropStore(path)

    return make


@pytest.fixture
def disk_of(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mount a disk of a size such as `64k`, where this may be mounted."""
    needs.require("the right to mount a disk")
    folder = tmp_path / "small"

    def mounted(size: str) -> Path:
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        subprocess.run(mount, check=True)
        return folder

    yield mounted
    subprocess.run(["umount", str(folder)], check=True)
