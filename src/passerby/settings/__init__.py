"""Settings: `params.yaml` read, checked as a whole, and handed out as frozen sections.

`settings.read("params.yaml").pretrain` is what a function of the pretraining room is given. Nobody
else opens the file.
"""

from passerby.settings.data import (
    BenchmarkSource,
    Crops,
    Detect,
    Videos,
    World,
)
from passerby.settings.learning import (
    Attributes,
    Crossvalidate,
    Encoder,
    Finetune,
    Recipe,
    Start,
    Validation,
)
from passerby.settings.params import Branches, Compute, Evaluate, Params, Report, Reranking
from passerby.settings.pretraining import Arm, Mining, Monitor, Pretrain
from passerby.settings.read import read, validate
from passerby.settings.section import Section

__all__ = [
    "Arm",
    "Attributes",
    "BenchmarkSource",
    "Branches",
    "Compute",
    "Crops",
    "Crossvalidate",
    "Detect",
    "Encoder",
    "Evaluate",
    "Finetune",
    "Mining",
    "Monitor",
    "Params",
    "Pretrain",
    "Recipe",
    "Report",
    "Reranking",
    "Section",
    "Start",
    "Validation",
    "Videos",
    "World",
    "read",
    "validate",
]
