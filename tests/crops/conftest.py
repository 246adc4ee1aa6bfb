"""Small stores with known contents. Tests import the helper modules beside this file by name."""

import sys
from collections.abc import Callable
from pathlib import Path

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
