"""Putting people into a picture: the near ones in front, and a true count of what is seen."""

import numpy as np

from passerby import seeds
from passerby.settings import World
from passerby.world.camera import draw_camera
from passerby.world.compose import Placed, compose
from passerby.world.figure import Sprite
from passerby.world.street import draw_walks, looks_of
from passerby.world.style import CAMPUSES, STREETS


def block(level: int) -> Sprite:
    """A solid sprite of 10 x 20 pixels that stands on its lower edge."""
    pixels = np.full((20, 10, 4), 255, np.uint8)
    pixels[..., :3] = level
    return Sprite(pixels, (5.0, 20.0), (0.0, 0.0, 10.0, 20.0))


def test_the_near_person_covers_the_far_one() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    near, far = Placed(block(200), 22, 34), Placed(block(100), 17, 30)
    seen = compose(image, [near, far])
    assert (image[20, 20] == 200).all()
    assert (image[20, 13] == 100).all()
    assert [s.inside for s in seen] == [1.0, 1.0]
    assert seen[0].visible == 1.0
    assert seen[1].visible == (200 - 5 * 16) / 200  # 5 columns x 16 rows lie behind the near one


def test_what_is_cut_by_the_frame_is_not_inside() -> None:
    image = np.zeros((40, 40, 3), np.uint8)
    seen = compose(image, [Placed(block(9), 0, 30), Placed(block(9), 20, 100)])
    assert [s.inside for s in seen] == [0.5, 0.0]
    assert np.array_equal(Placed(block(9), 0, 30).box, [-5, 10, 5, 30])


def test_translucent_pixels_mix_with_what_is_behind() -> None:
    image = np.full((40, 40, 3), 200, np.uint8)
    sprite = Sprite(np.full((20, 10, 4), 51, np.uint8), (5.0, 20.0), (0.0, 0.0, 10.0, 20.0))
    compose(image, [Placed(sprite, 20, 25)])
    assert image[10, 20].tolist() == [51 + 200 * 204 // 255] * 3


def test_people_are_higher_the_nearer_they_stand() -> None:
    camera = draw_camera(STREETS, seeds.stream(0, "camera"), 136, 240)
    assert camera.height_px(136) == camera.near_height_px
    assert camera.height_px(100) < camera.height_px(130)


def test_cameras_differ_and_places_differ_in_style() -> None:
    one, other = (
        draw_camera(STREETS, seeds.stream(0, "camera", n), 136, 240).scene.astype(int)
        for n in range(2)
    )
    assert np.abs(one - other).mean() > 10
    campus = draw_camera(CAMPUSES, seeds.stream(0, "camera"), 136, 240)
    assert campus.horizon_px < 0.12 * 136 < 0.16 * 136


def test_everybody_of_a_street_walks_past_each_camera() -> None:
    world = World(people_per_street=6)
    looks = looks_of(world, "toy", 0)
    for place in range(3):
        camera = draw_camera(STREETS, seeds.stream(0, "camera", place), 136, 240)
        walks = draw_walks(looks, camera, 5, seeds.stream(0, "walks", place))
        assert sorted(looks.index(walk.look) for walk in walks) == [0, 1, 2, 3, 4, 5]
