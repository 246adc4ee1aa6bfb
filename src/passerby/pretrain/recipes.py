"""The augmentation lists of LUPerson and MoCo, by their names.

LUPerson's (`lup_moco/libs/transform.py`) are the list of MoCo v2 (`ori`) with parts taken away
(`-cj` colour jitter, `-gs` grey, `-gb` blur), with weaker jitter (`+wcj`, `+wwcj`) and with erasing
of up to 20, 40, 60 or 80 % of the picture (`+wre`, `+re`, `+sre`, `+ssre`). `mocov2` is MoCo v2's
own list, `moco` the first MoCo's as LUPerson has it, `reid` the list of supervised re-ID.
"""

from dataclasses import dataclass, replace

from passerby.errors import BadInput
from passerby.settings.pretraining import ORI, VIEWS_WANTED

_JITTER = {"+wcj": 0.2, "+wwcj": 0.1}
_ERASE = {"+wre": 0.2, "+re": 0.4, "+sre": 0.6, "+ssre": 0.8}


@dataclass(frozen=True)
class Recipe:
    """What is drawn for a view.

    Attributes:
        jitter: Probability of colour jitter.
        strengths: Of brightness, contrast, saturation (factors 1 - s to 1 + s) and hue (turns).
        grey: Probability of losing all colour.
        blur: Probability of a Gaussian blur with a deviation of 0.1 to 2 pixels.
        erase: Probability of a hole.
        erase_most: The largest hole, as a share of the picture; the smallest is 0.02.
        body: Cut bodies as supervised re-ID does (64 to 100 % of the area, 2 to 3 times as high as
            wide), whatever the settings say of area and aspect.
    """

    jitter: float = 0.8
    strengths: tuple[float, float, float, float] = (0.4, 0.4, 0.4, 0.1)
    grey: float = 0.2
    blur: float = 0.5
    erase: float = 0.0
    erase_most: float = 0.0
    body: bool = False


_NAMED = {
    "mocov2": Recipe(),
    "moco": Recipe(jitter=1.0, strengths=(0.4, 0.4, 0.4, 0.4), blur=0.0),
    "reid": Recipe(jitter=0.0, grey=0.0, blur=0.0, erase=0.5, erase_most=0.4, body=True),
}


def recipe(name: str) -> Recipe:
    """The list called `name`.

    Raises:
        BadInput: there is none of that name.

    Example:
        >>> recipe("ori-cj+sre").jitter, recipe("ori-cj+sre").erase_most
        (0.0, 0.6)
    """
    if name in _NAMED:
        return _NAMED[name]
    found = ORI.fullmatch(name)
    if not found:
        raise BadInput(f"views: no list is called '{name}'; known: {VIEWS_WANTED}")
    no_jitter, no_grey, no_blur, weak, erase = found.groups()
    made = Recipe(
        jitter=0.0 if no_jitter else 0.8,
        grey=0.0 if no_grey else 0.2,
        blur=0.0 if no_blur else 0.5,
    )
    if weak:
        s = _JITTER[weak]
        made = replace(made, strengths=(s, s, s, 0.1))
    return replace(made, erase=0.5, erase_most=_ERASE[erase]) if erase else made
