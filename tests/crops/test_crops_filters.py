import math
from collections import Counter

import cv2
import numpy as np
import pytest
from crop_samples import picture

from passerby import seeds
from passerby.crops import filters
from passerby.crops.source import REASONS
from passerby.settings import Crops

SIZE = (200, 100)
SETTINGS = Crops(every=5, min_height_px=20, min_width_px=8, min_aspect=1.2, max_aspect=4)


def reason_by_definition(box, size, settings):
    """Why one box is left out by its shape, from the words of the settings."""
    x1, y1, x2, y2 = (float(edge) for edge in box)
    if not all(math.isfinite(edge) for edge in (x1, y1, x2, y2)) or x2 <= x1 or y2 <= y1:
        return "empty"
    left, top = max(x1, 0), max(y1, 0)
    right, bottom = min(x2, size[0]), min(y2, size[1])
    if right <= left or bottom <= top:
        return "outside"
    if (right - left) * (bottom - top) < settings.min_visible * (x2 - x1) * (y2 - y1):
        return "cut"
    width = math.ceil(right) - math.floor(left)
    height = math.ceil(bottom) - math.floor(top)
    if height < settings.min_height_px:
        return "small"
    if width < settings.min_width_px:
        return "narrow"
    return None if settings.min_aspect <= height / width <= settings.max_aspect else "aspect"


def chosen_by_definition(frame, box, track, size, settings):
    """Reasons of all boxes, by looking back at every earlier box."""
    reasons = []
    for row in range(len(frame)):
        reason = reason_by_definition(box[row], size, settings)
        used = [frame[i] for i in range(row) if reasons[i] is None and track[i] == track[row]]
        if reason is None and used and frame[row] - used[-1] < settings.every:
            shares_turn = track[row] == -1 and frame[row] == used[-1]
            reason = None if shares_turn else "every"
        reasons.append(reason)
    return reasons


def named(codes):
    return [None if code == filters.KEPT else REASONS[code] for code in codes]


@pytest.mark.parametrize(
    ("box", "reason"),
    [
        ((50, 20, 70, 60), None),
        ((50, 20, 50, 60), "empty"),
        ((70, 20, 50, 60), "empty"),  # its corners are the wrong way round
        ((math.nan, 20, 70, 60), "empty"),
        ((50, 20, math.inf, 60), "empty"),
        ((200, 20, 220, 60), "outside"),  # begins where the picture ends
        ((-30, 20, 0, 60), "outside"),
        ((-9, 20, 11, 60), "cut"),  # 55 % of it is to be seen
        ((-8, 20, 12, 60), None),  # 60 %
        ((50, 20, 58, 39), "small"),
        ((50, 20, 58, 39.1), None),  # 20 pixels are touched
        ((50, 20, 57, 60), "narrow"),
        ((50, 20, 90, 60), "aspect"),  # 1.0
        ((50, 10, 60, 51), "aspect"),  # 4.1
        ((50, 10, 60, 50), None),  # 4.0
    ],
)
def test_each_reason_of_shape(box, reason):
    codes = filters.by_shape(np.array([box], np.float32), SIZE, SETTINGS)
    assert named(codes) == [reason]
    assert reason_by_definition(np.float32(box), SIZE, SETTINGS) == reason


def test_choice_equals_the_definition_on_random_boxes():
    rng = seeds.stream(3, "boxes")
    seen = Counter()
    for _ in range(20):
        count = 60
        frame = np.sort(rng.integers(0, 40, count))
        corner = rng.uniform(-30, (210, 110), (count, 2))
        box = np.concatenate([corner, corner + rng.uniform(-2, (40, 90), (count, 2))], axis=1)
        box = box.astype(np.float32)
        box[rng.random(count) < 0.03] = np.nan
        track = rng.integers(-1, 3, count)
        settings = SETTINGS.model_copy(update={"every": int(rng.integers(1, 9))})
        wanted = chosen_by_definition(frame, box, track, SIZE, settings)
        assert named(filters.chosen(frame, box, track, SIZE, settings)) == wanted
        seen.update(wanted)
    assert set(seen) == {None, *REASONS[: REASONS.index("every") + 1]}  # each was put to the test


def test_boxes_without_track_share_the_turn_of_their_frame():
    frame = np.array([0, 0, 2, 5, 5])
    early = filters.too_soon(frame, np.full(5, -1), every=5)
    assert early.tolist() == [False, False, True, False, False]


def test_a_track_that_was_out_of_turn_does_not_wait_longer():
    early = filters.too_soon(np.array([0, 4, 5, 9, 10]), np.zeros(5, int), every=5)
    assert early.tolist() == [False, True, False, True, False]


def test_no_boxes_are_no_trouble():
    nothing = np.zeros(0, np.int64)
    assert len(filters.chosen(nothing, np.zeros((0, 4), np.float32), nothing, SIZE, SETTINGS)) == 0


def grey(image):
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def hash_by_definition(image):
    tiny = cv2.resize(image, (9, 8), interpolation=cv2.INTER_AREA)
    bits = ["1" if tiny[y, x + 1] > tiny[y, x] else "0" for y in range(8) for x in range(8)]
    return int("".join(bits), 2)


def test_difference_hash_equals_its_definition():
    for seed in range(5):
        image = grey(picture(seed, 30, 70))
        assert filters.difference_hash(image) == hash_by_definition(image)


def test_difference_hash_survives_size_and_light_but_not_another_picture():
    image = grey(picture(1, 40, 80))
    larger = cv2.resize(image, (80, 160), interpolation=cv2.INTER_LINEAR)
    darker = (image * 0.5).astype(np.uint8)
    hashed = filters.difference_hash(image)
    assert (hashed ^ filters.difference_hash(larger)).bit_count() <= 4
    assert (hashed ^ filters.difference_hash(darker)).bit_count() <= 4
    assert (hashed ^ filters.difference_hash(grey(picture(2, 40, 80)))).bit_count() > 16


def test_sharpness_falls_with_blur_and_hardly_with_size():
    noise = seeds.stream(1, "noise").integers(0, 256, (128, 64), np.uint8)
    sharp = cv2.resize(noise, (128, 256), interpolation=cv2.INTER_LINEAR)
    blurred = cv2.GaussianBlur(sharp, (9, 9), 3)
    assert filters.sharpness(blurred) < 0.05 * filters.sharpness(sharp)
    assert filters.sharpness(np.full((50, 20), 90, np.uint8)) == 0
    by_hand = cv2.resize(sharp, (64, 128), interpolation=cv2.INTER_AREA)
    assert filters.sharpness(sharp) == cv2.Laplacian(by_hand, cv2.CV_64F).var()
