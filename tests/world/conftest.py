"""A tiny city, drawn once for all tests of the room."""

from pathlib import Path

import pytest

from passerby.settings import World
from passerby.world.city import draw_city

TINY = World(
    streets=1,
    cameras_per_street=2,
    people_per_street=5,
    width_px=240,
    height_px=136,
    train_people=3,
    test_people=4,
    images_per_camera=2,
    distractors=3,
    junk=3,
    cuhk03_train_people=2,
    cuhk03_test_people=3,
    cuhk01_people=4,
)


@pytest.fixture(scope="session")
def tiny_world() -> World:
    return TINY


@pytest.fixture(scope="session")
def tiny_city(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny city called `toy`."""
    place = tmp_path_factory.mktemp("city")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(place))
        draw_city(TINY, "toy", place / "toy")
    return place / "toy"
