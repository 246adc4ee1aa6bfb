"""The whole of `params.yaml`, and what its sections ask of each other."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeVar

from pydantic import Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

from passerby.errors import BadInput, nearest
from passerby.settings.data import BenchmarkSource, Crops, Detect, Videos, World
from passerby.settings.learning import (
    RESNETS,
    Attributes,
    Crossvalidate,
    Encoder,
    Finetune,
    Recipe,
    Start,
)
from passerby.settings.pretraining import Arm, Pretrain
from passerby.settings.section import Count, Name, Section
from passerby.settings.wording import worded

Entry = TypeVar("Entry")


def named(section: str, entries: dict[str, Entry], name: str) -> Entry:
    """The entry called `name` of a section of named entries.

    Raises:
        BadInput: there is none.
    """
    if name not in entries:
        hint = nearest(name, [*entries])
        raise BadInput(f"{section}: no '{name}'{hint}; known: {', '.join(entries)}")
    return entries[name]


class Branches(Section):
    """Section `branches`: which branches the graph has; no stage but `report` depends on it."""

    cities: tuple[Name, ...] = ()
    inits: tuple[Name, ...] = Field(min_length=1)
    """What is finetuned: names of `starts` and `arms`."""
    recipes: tuple[Name, ...] = Field(min_length=1)
    """Ways of finetuning: names of `recipes`."""
    percents: tuple[Count, ...] = Field(min_length=1)
    """Shares of the labelled identities, in percent."""
    seeds: tuple[int, ...] = Field(min_length=1)
    unlabelled: tuple[Name, ...] = ()
    """Of `inits`, those whose features are evaluated also as they are, without any label."""
    candidates: tuple[Name, ...] = ()
    """Of `recipes`, those that are set side by side on held-out labelled people ..."""
    compared: tuple[Name, ...] = ()
    """... from these of `inits`."""
    baselines: tuple[Literal["attributes"], ...] = ()
    sets: tuple[Name, ...] = Field(min_length=1)
    """What every model is evaluated on: names of `benchmarks`."""


class Compute(Section):
    """Section `compute`: what decides bytes but not the method."""

    threads: Count = 2
    """Threads of one process; not taken from the machine, since sums depend on them."""


class Reranking(Section):
    """`evaluate.rerank`: k-reciprocal re-ranking, by the names of its paper."""

    k1: Count = 20
    k2: Count = 6
    lambda_: Annotated[float, Field(ge=0, le=1, alias="lambda")] = 0.3


class Expansion(Section):
    """`evaluate.expand`: query expansion."""

    k: Count = 10
    alpha: Annotated[float, Field(ge=0)] = 3.0


class Evaluate(Section):
    """Section `evaluate`."""

    batch: Count = 128
    flip: bool = False
    """Mean of the features of a picture and of its mirror image."""
    ranks: tuple[Count, ...] = Field(default=(1, 5, 10), min_length=1)
    """Ranks k of CMC@k."""
    fars: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (1e-4, 1e-3, 1e-2)
    """False-accept rates at which the true-accept rate is given."""
    draws: int = Field(default=1_000, ge=0)
    """How often people are drawn anew for 95 % intervals; 0 for none."""
    rerank: Reranking | None = None
    expand: Expansion | None = None


class Report(Section):
    """Section `report`."""

    title: str = "passerby"


class Params(Section):
    """The whole settings file."""

    branches: Branches
    compute: Compute = Compute()
    world: World = World()
    videos: Videos
    detect: Detect = Detect()
    crops: Crops = Crops()
    benchmarks: dict[Name, BenchmarkSource]
    encoder: Encoder = Encoder()
    starts: dict[Name, Start]
    pretrain: Pretrain
    arms: dict[Name, Arm] = Field(default_factory=dict)
    finetune: Finetune
    recipes: dict[Name, Recipe] = Field(min_length=1)
    crossvalidate: Crossvalidate = Crossvalidate()
    attributes: Attributes
    evaluate: Evaluate = Evaluate()
    report: Report = Report()

    def arm(self, name: str) -> Pretrain:
        """The settings of one arm: `pretrain` with what the arm replaces."""
        return named("arms", self.arms, name).of(self.pretrain)

    def recipe(self, name: str) -> Finetune:
        """The settings of one way to finetune: `finetune` with what the entry replaces."""
        return named("recipes", self.recipes, name).of(self.finetune)

    def benchmark(self, name: str) -> BenchmarkSource:
        """The entry of `benchmarks` called `name`."""
        return named("benchmarks", self.benchmarks, name)

    def start(self, name: str) -> Start:
        """The entry of `starts` called `name`."""
        return named("starts", self.starts, name)

    @model_validator(mode="after")
    def _sections_agree(self) -> Self:
        faults = [
            *self._unknown_names(),
            *self._faults_of_arms(),
            *self._faults_of_recipes(),
            *self._faults_of_sizes(),
        ]
        if faults:
            raise ValidationError.from_exception_data(
                "Params",
                [
                    InitErrorDetails(
                        type=PydanticCustomError("settings", "{text}", {"text": text}),
                        loc=tuple(key.split(".")),
                        input=None,
                    )
                    for key, text in faults
                ],
            )
        return self

    def _unknown_names(self) -> Iterator[tuple[str, str]]:
        """Names that point to an entry which does not exist, as `(key, text)`."""
        weights = [*self.starts, *self.arms]
        sets = list(self.benchmarks)
        asked = [
            *(("branches.inits", name, weights) for name in self.branches.inits),
            *(("branches.sets", name, sets) for name in self.branches.sets),
            *(("branches.recipes", name, [*self.recipes]) for name in self.branches.recipes),
            *(("branches.candidates", n, [*self.recipes]) for n in self.branches.candidates),
            *(("branches.compared", n, [*self.branches.inits]) for n in self.branches.compared),
            *(("branches.unlabelled", n, [*self.branches.inits]) for n in self.branches.unlabelled),
            *((f"arms.{arm}.start", self.arms[arm].start, weights) for arm in self.arms),
            *(("crops.benchmarks", name, sets) for name in self.crops.benchmarks),
            ("pretrain.monitor.benchmark", self.pretrain.monitor.benchmark, sets),
            ("finetune.benchmark", self.finetune.benchmark, sets),
            ("attributes.benchmark", self.attributes.benchmark, sets),
            ("attributes.init", self.attributes.init, weights),
        ]
        for key, name, known in asked:
            if name not in known:
                yield (
                    key,
                    f"no such entry '{name}'{nearest(name, known)}; known: {', '.join(known)}",
                )

    def _faults_of_arms(self) -> Iterator[tuple[str, str]]:
        """What is wrong with an arm, as `(key, text)`."""
        for name, arm in self.arms.items():
            try:
                asked = arm.of(self.pretrain)
            except ValidationError as error:
                yield from _faults_within(error, f"arms.{name}", Pretrain)
            else:
                # The graph gives every arm the index of one benchmark, named before any arm is.
                if asked.monitor.benchmark != self.pretrain.monitor.benchmark:
                    known = self.pretrain.monitor.benchmark
                    yield f"arms.{name}.monitor.benchmark", f"all arms have one: '{known}'"
        for name in set(self.starts) & set(self.arms):
            yield f"arms.{name}", f"'{name}' is a start already; an arm needs a name of its own"
        for name in self.arms:
            if self._leads_back(name):
                yield f"arms.{name}.start", "this arm starts, by way of others, from itself"

    def _faults_of_recipes(self) -> Iterator[tuple[str, str]]:
        """What is wrong with a way of finetuning, as `(key, text)`."""
        for name, recipe in self.recipes.items():
            try:
                asked = recipe.of(self.finetune)
            except ValidationError as error:
                yield from _faults_within(error, f"recipes.{name}", Finetune)
            else:
                # The graph gives all of them one index, and one size to features without labels.
                for key in ("benchmark", "height_px", "width_px"):
                    if getattr(asked, key) != (known := getattr(self.finetune, key)):
                        yield f"recipes.{name}.{key}", f"all recipes have one: '{known}'"

    def _leads_back(self, arm: str) -> bool:
        seen, at = {arm}, self.arms[arm].start
        while at in self.arms:
            if at in seen:
                return True
            seen.add(at)
            at = self.arms[at].start
        return False

    def _faults_of_sizes(self) -> Iterator[tuple[str, str]]:
        """Numbers that do not go together, as `(key, text)`."""
        for name, start in self.starts.items():
            if start.kind == "file" and not (start.file and start.sha256):
                yield f"starts.{name}", "kind 'file' needs 'file' and its 'sha256'"
        if self.encoder.architecture not in RESNETS:
            branches = self.branches
            for key, asked in (
                ("arms", self.arms),
                ("branches.unlabelled", branches.unlabelled),
                ("branches.baselines", branches.baselines),
            ):
                if asked:
                    text = f"'{self.encoder.architecture}' can be finetuned only: leave this empty"
                    yield key, text
        if self.detect.method != "pickles" and not self.detect.model:
            yield "detect.model", f"method '{self.detect.method}' needs a model: a name or a path"
        if self.detect.fault_of_hash:
            yield "detect.model_sha256", self.detect.fault_of_hash
        for percent in self.branches.percents:
            if percent > 100:
                yield "branches.percents", f"{percent} percent of the identities is more than all"


def _faults_within(
    error: ValidationError, place: str, section: type[Section]
) -> Iterator[tuple[str, str]]:
    """The faults of an entry that replaces part of `section`, as `(key, text)`."""
    for detail in error.errors():
        yield ".".join([place, *map(str, detail["loc"])]), worded(detail, section)
