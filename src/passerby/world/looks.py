"""What lasts of a person: body, hair, clothes and what is carried.

A look is drawn once from a random stream and is the identity: every picture of the person, from any
camera, is drawn from the same look. Many people share colours; they differ in combinations.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from passerby.world.colours import HAIRS, SKINS, Colour, choose, hsv, mixed, shade_of

Hair = Literal["bald", "short", "bob", "long", "tail"]
Hat = Literal["none", "cap", "beanie", "brim"]
Cut = Literal["trousers", "shorts", "skirt", "long skirt", "dress"]
Sleeve = Literal["long", "short", "none"]

PATTERNS = {
    "plain": 0.36, "hoops": 0.11, "pinstripes": 0.07, "checks": 0.08, "logo": 0.11, "print": 0.06,
    "halves": 0.07, "open": 0.09, "band": 0.05,
}  # fmt: skip
LOWER_PATTERNS = {"plain": 0.7, "side stripe": 0.13, "faded": 0.17}


@dataclass(frozen=True)
class Manner:
    """What the people of one place have in common; another place has another manner."""

    upper: dict[str, float] = field(
        default_factory=lambda: {
            "black": 0.24,
            "white": 0.19,
            "gray": 0.15,
            "blue": 0.15,
            "red": 0.1,
            "green": 0.07,
            "yellow": 0.05,
            "purple": 0.05,
        }
    )
    """Weights of the colour families of tops."""
    lower: dict[str, float] = field(
        default_factory=lambda: {
            "black": 0.3,
            "blue": 0.27,
            "gray": 0.15,
            "brown": 0.1,
            "white": 0.07,
            "green": 0.04,
            "pink": 0.03,
            "purple": 0.02,
            "yellow": 0.02,
        }
    )
    """Weights of the colour families of trousers and skirts."""
    saturation: float = 1.0
    backpacks: float = 0.26
    """Share of the people who carry a backpack."""
    bags: float = 0.24
    hats: float = 0.2
    ages: tuple[float, float, float, float] = (0.04, 0.3, 0.54, 0.12)
    """Shares of children, young, adult and old people."""


STREET = Manner()
CAMPUS = Manner(
    upper={
        "white": 0.28,
        "black": 0.2,
        "blue": 0.14,
        "gray": 0.12,
        "green": 0.08,
        "red": 0.08,
        "purple": 0.05,
        "yellow": 0.05,
    },
    lower={
        "blue": 0.42,
        "black": 0.24,
        "gray": 0.12,
        "brown": 0.08,
        "white": 0.06,
        "green": 0.04,
        "pink": 0.02,
        "purple": 0.01,
        "yellow": 0.01,
    },
    saturation=0.75,
    backpacks=0.48,
    bags=0.22,
    hats=0.08,
    ages=(0.0, 0.62, 0.33, 0.05),
)


@dataclass(frozen=True)
class Cloth:
    """One garment's colours and pattern."""

    family: str
    colour: Colour
    second: Colour
    pattern: str
    pitch: float
    """How fine the pattern is: stripes over the length of the garment."""


@dataclass(frozen=True)
class Look:
    """All that lasts of one person."""

    female: bool
    age: int
    """1 child, 2 young, 3 adult, 4 old, as Market-1501's attributes count."""
    stature: float
    """Height over a grown person's mean height."""
    girth: float
    skin: Colour
    hair: Hair
    hair_colour: Colour
    hat: Hat
    hat_colour: Colour
    top: Cloth
    sleeve: Sleeve
    hem: float
    """Where the top ends, as a share of the body's height above the ground."""
    bottom: Cloth
    cut: Cut
    shoes: Colour
    backpack: Colour | None
    bag: Colour | None
    """A bag on a strap across the body."""
    bag_side: float
    """-1: at the person's right hip, 1: at the left."""
    handbag: Colour | None
    scarf: Colour | None
    beard: bool


def draw_look(rng: np.random.Generator, manner: Manner = STREET) -> Look:
    """Draw a person's look."""
    female = bool(rng.random() < 0.5)
    age = 1 + int(rng.choice(4, p=manner.ages))
    cut = _draw_cut(female, rng)
    hat = choose({"cap": 0.5, "beanie": 0.3, "brim": 0.2}, rng)
    bag = rng.random() < manner.bags
    return Look(
        female=female,
        age=age,
        stature=_draw_stature(female, age, rng),
        girth=float(np.clip(rng.normal(1.0, 0.12), 0.8, 1.35)),
        skin=_draw_skin(rng),
        hair=_draw_hair(female, age, rng),
        hair_colour=_draw_hair_colour(age, rng),
        hat=hat if rng.random() < manner.hats else "none",  # type: ignore[arg-type]
        hat_colour=_draw_accent(rng),
        top=_draw_cloth(manner.upper, PATTERNS, manner.saturation, rng),
        sleeve=choose({"long": 0.58, "short": 0.36, "none": 0.06}, rng),  # type: ignore[arg-type]
        hem=float(choose({"0.5": 0.2, "0.46": 0.45, "0.41": 0.22, "0.3": 0.13}, rng)),
        bottom=_draw_cloth(manner.lower, LOWER_PATTERNS, manner.saturation, rng),
        cut=cut,
        shoes=_draw_shoes(rng),
        backpack=_draw_accent(rng) if rng.random() < manner.backpacks else None,
        bag=_draw_accent(rng) if bag else None,
        bag_side=float(rng.choice([-1.0, 1.0])),
        handbag=_draw_accent(rng) if not bag and rng.random() < (0.3 if female else 0.1) else None,
        scarf=_draw_accent(rng) if rng.random() < 0.12 else None,
        beard=bool(not female and age > 1 and rng.random() < 0.25),
    )


def _draw_stature(female: bool, age: int, rng: np.random.Generator) -> float:
    mean = 0.76 if age == 1 else (0.96 if female else 1.03)
    return float(np.clip(rng.normal(mean, 0.035), mean - 0.08, mean + 0.08))


def _draw_skin(rng: np.random.Generator) -> Colour:
    at = int(rng.choice(len(SKINS) - 1, p=[0.3, 0.27, 0.2, 0.13, 0.1]))
    return mixed(SKINS[at], SKINS[at + 1], float(rng.random()))


def _draw_hair(female: bool, age: int, rng: np.random.Generator) -> Hair:
    if female:
        weights = {"long": 0.45, "bob": 0.27, "tail": 0.2, "short": 0.08}
    else:
        weights = {"short": 0.78, "bald": 0.3 if age == 4 else 0.1, "bob": 0.08, "tail": 0.03}
    return choose(weights, rng)  # type: ignore[return-value]


def _draw_hair_colour(age: int, rng: np.random.Generator) -> Colour:
    if age == 4 and rng.random() < 0.75:
        return HAIRS["gray"]
    name = choose(
        {"black": 0.4, "dark brown": 0.26, "brown": 0.17, "blond": 0.12, "red": 0.05}, rng
    )
    return mixed(HAIRS[name], (110.0, 80.0, 60.0), float(rng.uniform(0, 0.2)))


def _draw_cut(female: bool, rng: np.random.Generator) -> Cut:
    if female:
        weights = {"trousers": 0.5, "shorts": 0.1, "skirt": 0.16, "long skirt": 0.1, "dress": 0.14}
    else:
        weights = {"trousers": 0.78, "shorts": 0.22}
    return choose(weights, rng)  # type: ignore[return-value]


def _draw_cloth(
    families: dict[str, float],
    patterns: dict[str, float],
    saturation: float,
    rng: np.random.Generator,
) -> Cloth:
    family = choose(families, rng)
    colour = shade_of(family, rng, saturation)
    second = shade_of(choose(families, rng), rng, saturation)
    while sum(abs(a - b) for a, b in zip(colour, second, strict=True)) < 110:  # would not be seen
        second = hsv(*(float(x) for x in rng.uniform((0, 0.0, 0.1), (360, 0.7, 0.95))))
    return Cloth(family, colour, second, choose(patterns, rng), float(rng.uniform(4.0, 7.5)))


def _draw_accent(rng: np.random.Generator) -> Colour:
    """A colour of something small: mostly dark, at times loud."""
    weights = {
        "black": 0.34, "brown": 0.14, "gray": 0.1, "blue": 0.12, "red": 0.12, "green": 0.06,
        "white": 0.05, "yellow": 0.04, "pink": 0.03,
    }  # fmt: skip
    return shade_of(choose(weights, rng), rng)


def _draw_shoes(rng: np.random.Generator) -> Colour:
    weights = {"black": 0.48, "brown": 0.16, "white": 0.22, "red": 0.05, "blue": 0.05, "gray": 0.04}
    return shade_of(choose(weights, rng), rng)
