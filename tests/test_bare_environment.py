"""What runs on machines with a GPU can be imported with little more than torch and NumPy.

Training, embedding and scoring need neither the video decoder nor packages that detect people, draw
figures or write ONNX files. fast-reid imports some packages that nothing here calls.
"""

import subprocess
import sys
import textwrap

import pytest

ABSENT = (
    "av",
    "dvc",
    "faiss",
    "h5py",
    "matplotlib",
    "onnx",
    "onnxruntime",
    "openvino",
    "pyarrow",
    "supervision",
    "tabulate",
    "tensorboard",
    "trackers",
    "ultralytics",
    "yt_dlp",
)
MODULES = (
    "passerby.crops.store",
    "passerby.crops.images",
    "passerby.crops.montage",
    "passerby.datasets.index",
    "passerby.pretrain.main",
    "passerby.pretrain.run",
    "passerby.finetune.main",
    "passerby.finetune.run",
    "passerby.finetune.crossvalidation",
    "passerby.baselines.attributes",
    "passerby.models.embed",
    "passerby.models.starts",
    "passerby.models.export",
    "passerby.evaluation",
    "passerby.judging",
)


@pytest.mark.slow
def test_training_and_scoring_import_without_what_they_do_not_use() -> None:
    code = f"""
        import sys

        class Without:
            \"\"\"A finder of modules to which some packages are not installed.\"\"\"

            def __init__(self, finder):
                self._finder = finder

            def find_spec(self, name, path=None, target=None):
                absent = name.split(".")[0] in {ABSENT!r}
                return None if absent else self._finder.find_spec(name, path, target)

            def __getattr__(self, name):
                return getattr(self._finder, name)

        sys.meta_path[:] = map(Without, sys.meta_path)
        for name in {ABSENT!r}:
            try:
                __import__(name)
            except ModuleNotFoundError:
                continue
            raise SystemExit(f"{{name}} is still found")
        import importlib

        for name in {MODULES!r}:
            importlib.import_module(name)
        from passerby.errors import BadInput
        from passerby.models import export

        try:
            export.read_statement("network.onnx")
        except BadInput as error:
            print(error)
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "ONNX files need the package onnx: pip install onnx\n"
