"""Street videos in, a person re-identification encoder out, with the proof of what it is worth.

    from passerby import CropStore, Embedder, evaluate

The names are looked up when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from passerby.crops.store import CropStore
    from passerby.evaluation.assessment import evaluate
    from passerby.models.embedder import Embedder

_HOMES = {
    "CropStore": "passerby.crops.store",
    "Embedder": "passerby.models.embedder",
    "evaluate": "passerby.evaluation.assessment",
}

__all__ = ["CropStore", "Embedder", "evaluate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'passerby' has no attribute '{name}'")
    return getattr(import_module(_HOMES[name]), name)
