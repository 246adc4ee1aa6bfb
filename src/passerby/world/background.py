"""What people walk past: a street with houses, shops, trees and cars; a campus with its walls."""

import cv2
import numpy as np

from passerby.world.colours import Colour, hsv, mixed, scaled

Image = np.ndarray
_DRAWN_HEIGHT_PX = 270
"""Places are drawn at this height, in which sizes of windows and cars are meant."""
_WALLS: tuple[Colour, ...] = (
    (168, 120, 96), (196, 180, 152), (150, 152, 156), (184, 150, 112), (206, 198, 188),
    (128, 108, 98),
)  # fmt: skip


def draw(ground: str, rng: np.random.Generator, height_px: int, width_px: int, base: int) -> Image:
    """Draw an empty place, `uint8 (H, W, 3)` RGB.

    Args:
        ground: `street` or `campus`.
        rng: Where everything comes from.
        height_px: H.
        width_px: W.
        base: Row at which the ground begins.
    """
    scale = _DRAWN_HEIGHT_PX / height_px
    image = np.empty((_DRAWN_HEIGHT_PX, round(width_px * scale), 3), np.uint8)
    base = round(base * scale)
    _draw_sky(image, base, rng)
    if ground == "street":
        _draw_houses(image, base, rng)
        _draw_pavement(image, base, rng)
        _draw_trees(image, base, rng)
        _draw_cars(image, base, rng)
    else:
        _draw_walls(image, base, rng)
        _draw_plates(image, base, rng)
    _weather(image, rng)
    return cv2.resize(image, (width_px, height_px), interpolation=cv2.INTER_AREA)


def _box(image: Image, left: float, top: float, right: float, bottom: float, c: Colour) -> None:
    corners = (round(left), round(top)), (round(right) - 1, round(bottom) - 1)
    cv2.rectangle(image, *corners, tuple(round(part) for part in c), -1)


def _draw_sky(image: Image, base: int, rng: np.random.Generator) -> None:
    top = np.array(mixed((120, 164, 214), (190, 194, 200), float(rng.random())))
    down = np.linspace(0, 1, len(image))[:, None, None]
    image[:] = top + down * (np.array([226.0, 228, 230]) - top)


def _draw_houses(image: Image, base: int, rng: np.random.Generator) -> None:
    """A row of fronts; each has windows above and a shop or a door below."""
    left, width_px = -float(rng.uniform(0, 60)), image.shape[1]
    while left < width_px:
        right = left + float(rng.uniform(0.22, 0.42)) * width_px
        wall = scaled(_WALLS[int(rng.integers(len(_WALLS)))], float(rng.uniform(0.7, 1.1)))
        _box(image, left, 0, right, base, wall)
        floor = base * float(rng.uniform(0.4, 0.55))
        _draw_windows(image, left, right, base - floor, wall, rng)
        if rng.random() < 0.7:
            _draw_shop(image, left, right, base, floor, rng)
        else:
            middle = (left + right) / 2
            _box(image, middle - 9, base - floor * 0.8, middle + 9, base, scaled(wall, 0.45))
        left = right


def _draw_windows(
    image: Image, left: float, right: float, bottom: float, wall: Colour, rng: np.random.Generator
) -> None:
    step, high = float(rng.uniform(24, 40)), float(rng.uniform(18, 30))
    glass = mixed((70, 84, 100), (150, 170, 190), float(rng.random()))
    for top in np.arange(bottom - high - 8, -high, -(high + 12)):
        for x in np.arange(left + 8, right - step * 0.6, step):
            _box(image, x - 2, top - 2, x + step * 0.55 + 2, top + high + 2, scaled(wall, 1.18))
            _box(
                image,
                x,
                top,
                x + step * 0.55,
                top + high,
                scaled(glass, float(rng.uniform(0.7, 1.2))),
            )


def _draw_shop(
    image: Image, left: float, right: float, base: int, floor: float, rng: np.random.Generator
) -> None:
    """A lit window with goods, a sign and perhaps an awning."""
    sign = hsv(
        float(rng.uniform(0, 360)), float(rng.uniform(0.3, 0.8)), float(rng.uniform(0.3, 0.8))
    )
    top = base - floor
    _box(image, left + 4, top, right - 4, top + floor * 0.22, sign)
    for x in np.arange(left + 14, right - 20, 11):  # lettering
        _box(image, x, top + floor * 0.08, x + 6, top + floor * 0.15, scaled(sign, 1.9))
    _box(image, left + 6, top + floor * 0.28, right - 6, base - 4, (96, 92, 84))
    for _ in range(14):
        x, y = (
            float(rng.uniform(left + 8, right - 16)),
            float(rng.uniform(top + floor * 0.35, base - 14)),
        )
        goods = hsv(float(rng.uniform(0, 360)), 0.4, float(rng.uniform(0.3, 0.8)))
        _box(image, x, y, x + float(rng.uniform(4, 12)), y + float(rng.uniform(5, 14)), goods)
    if rng.random() < 0.5:
        for i, x in enumerate(np.arange(left + 4, right - 4, 9)):
            stripe = sign if i % 2 else (232.0, 228.0, 220.0)
            _box(image, x, top + floor * 0.2, x + 9, top + floor * 0.42, stripe)


def _draw_pavement(image: Image, base: int, rng: np.random.Generator) -> None:
    """Slabs in perspective, and a kerb with a strip of road."""
    height_px, width_px = image.shape[:2]
    slab = mixed((150, 148, 144), (176, 164, 148), float(rng.random()))
    down = np.linspace(0.84, 1.06, height_px - base)[:, None, None]
    image[base:] = np.clip(np.array(slab) * down, 0, 255)
    line = tuple(round(part) for part in scaled(slab, 0.84))
    vanish = (width_px * float(rng.uniform(0.2, 0.8)), base - (height_px - base) * 0.5)
    for x in np.arange(-width_px, 2 * width_px, 44):
        cv2.line(
            image, (round(vanish[0] + (x - vanish[0]) * 0.34), base), (round(x), height_px), line
        )
    for share in np.linspace(0, 1, 9) ** 1.7:
        y = round(base + share * (height_px - base))
        cv2.line(image, (0, y), (width_px, y), line)
    if rng.random() < 0.6:
        kerb = base + (height_px - base) * float(rng.uniform(0.08, 0.2))
        _box(image, 0, base, width_px, kerb, (92, 92, 96))
        _box(image, 0, kerb, width_px, kerb + 4, (196, 194, 188))


def _draw_trees(image: Image, base: int, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(0, 3))):
        x, high = float(rng.uniform(0, image.shape[1])), base * float(rng.uniform(0.7, 1.1))
        _box(image, x - 4, base - high * 0.6, x + 4, base + 8, (84, 66, 50))
        for _ in range(26):
            leaf = hsv(float(rng.uniform(80, 130)), 0.45, float(rng.uniform(0.2, 0.5)))
            at = rng.normal((x, base - high * 0.75), (high * 0.2, high * 0.13))
            centre = (round(float(at[0])), round(float(at[1])))
            cv2.circle(image, centre, round(high * 0.09), tuple(map(round, leaf)), -1, cv2.LINE_AA)


def _draw_cars(image: Image, base: int, rng: np.random.Generator) -> None:
    for _ in range(int(rng.integers(0, 3))):
        x, long = float(rng.uniform(0, image.shape[1])), float(rng.uniform(70, 100))
        paint = hsv(
            float(rng.uniform(0, 360)), float(rng.uniform(0, 0.7)), float(rng.uniform(0.2, 0.85))
        )
        floor, high = base + 10.0, long * 0.3
        roof = np.array(
            [[x + long * 0.2, floor - high * 0.55], [x + long * 0.32, floor - high],
             [x + long * 0.68, floor - high], [x + long * 0.82, floor - high * 0.55]]
        )  # fmt: skip
        cv2.fillPoly(image, [roof.astype(np.int32)], (58, 66, 76), cv2.LINE_AA)
        _box(image, x, floor - high * 0.58, x + long, floor - high * 0.1, paint)
        for wheel in (0.22, 0.78):
            centre = (round(x + long * wheel), round(floor - high * 0.1))
            cv2.circle(image, centre, round(high * 0.22), (28, 28, 30), -1, cv2.LINE_AA)


def _draw_walls(image: Image, base: int, rng: np.random.Generator) -> None:
    """A pale wall with pillars and a railing."""
    pale = mixed((196, 204, 192), (172, 184, 196), float(rng.random()))
    _box(image, 0, 0, image.shape[1], base, pale)
    for x in np.arange(float(rng.uniform(0, 60)), image.shape[1], float(rng.uniform(90, 150))):
        _box(image, x, 0, x + 22, base, scaled(pale, 0.82))
    _box(image, 0, base - 12, image.shape[1], base - 8, (96, 120, 104))
    for x in range(0, image.shape[1], 14):
        _box(image, x, base - 12, x + 2, base, (96, 120, 104))


def _draw_plates(image: Image, base: int, rng: np.random.Generator) -> None:
    """A floor of large plates, some darker, and a lawn along one side."""
    height_px, width_px = image.shape[:2]
    plate = mixed((176, 182, 170), (158, 150, 158), float(rng.random()))
    _box(image, 0, base, width_px, height_px, plate)
    size = int(rng.integers(30, 52))
    for y in range(base, height_px, size // 2):
        for x in range(-(y % size), width_px, size):
            shade = scaled(plate, float(rng.uniform(0.9, 1.08)))
            _box(image, x, y, x + size - 1, y + size // 2 - 1, shade)
    if rng.random() < 0.6:
        edge = width_px * float(rng.uniform(0.1, 0.25))
        lawn = np.array(
            [[0, base], [edge * 0.4, base], [edge, height_px], [0, height_px]], np.int32
        )
        cv2.fillPoly(image, [lawn], (104, 132, 84), cv2.LINE_AA)


def _weather(image: Image, rng: np.random.Generator) -> None:
    """Dirt and uneven light, so that no surface is flat."""
    coarse = rng.normal(0, 1, (9, 16)).astype(np.float32)
    fine = rng.normal(0, 1, (image.shape[0] // 2, image.shape[1] // 2)).astype(np.float32)
    size = (image.shape[1], image.shape[0])
    stain = 9 * cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC) + 4 * cv2.resize(fine, size)
    np.copyto(image, np.clip(image + stain[..., None], 0, 255).astype(np.uint8))
