"""Everything that takes input from outside, and how it is known that nothing was forgotten."""

import ast
from pathlib import Path

import options
import reader_targets
from cases import Target

SOURCE = Path(__file__).resolve().parents[2] / "src" / "passerby"
CALLS = {
    "open", "open_picture", "read_text", "read_bytes", "read_json", "imread", "imdecode", "loadmat",
    "safe_open", "load_file", "read_table", "safe_load", "InferenceSession", "readNetFromONNX",
    "read_model", "YOLO", "File", "DictReader", "Unpickler", "loads",
}  # fmt: skip
"""Names of functions that read a file or what stood in one; and `load` of a library."""
LIBRARIES = {"np", "numpy", "torch", "onnx", "yaml", "pickle", "json", "joblib", "tomllib"}
OURS = {
    "crops.source": "shards in scratch, written by this project under a contract",
    "crops.verbs": "crops that it writes",
    "errors": "a device that takes what a full disk cannot",
    "finetune.crossvalidation": "scores in scratch, written by this project",
    "finetune.main": "a job in scratch, written by this project",
    "finetune.validation": "weights in scratch, written by this project",
    "graph": "the repository's own index and the cache's settings",
    "leftovers": "locks in scratch, written by this project",
    "places": "files that are written",
    "pretrain.main": "a job in scratch, written by this project",
    "pretrain.pictures": "the machine's own figures in /proc",
    "sealed": "files in scratch, written by this project",
    "training.checkpoint": "checkpoints in scratch, written by this project",
    "training.history": "a history that is appended to",
    "training.launch": "what a process of this project wrote, and /proc",
    "training.precision": "the machine's own figures in /proc",
    "video.detect": "notes in scratch, written by this project",
    "video.download": "notes in scratch, written by this project",
    "video.encode": "a video that is written",
    "video.loopback": "videos that this project's server hands on as they are",
    "world.attributes": "files that this project draws",
    "world.city": "notes in scratch, written by this project",
    "world.montage": "pictures that this project drew",
}
"""Modules that open no file of other people's, and why."""


def every() -> list[Target]:
    """All targets: readers, the settings among them, then options."""
    return [*reader_targets.every(), *options.every()]


def reading_modules() -> set[str]:
    """Modules of passerby in which something that may be a file is read, found in their code."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        for path in SOURCE.rglob("*.py")
        if any(_reads(node) for node in ast.walk(ast.parse(path.read_text())))
    }


def _reads(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    if isinstance(node.func, ast.Name):
        return node.func.id in CALLS
    if not isinstance(node.func, ast.Attribute):
        return False
    of = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
    return node.func.attr in CALLS or (node.func.attr == "load" and of in LIBRARIES)
