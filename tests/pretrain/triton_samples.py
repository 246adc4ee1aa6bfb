"""Triton kernels without a GPU, in processes of their own that print JSON.

A program runs its kernels in Triton's interpreter (`interpreted`), or compiles them for GPUs that
are not there (`compiled`). Which of the two is settled when the kernels are imported, by the
environment variable TRITON_INTERPRET.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def run(program: str, what: str, cache: Path) -> dict[str, Any]:
    """Run a program of this folder, `interpreted` or `compiled`, and return what it prints."""
    others = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    own = {"TRITON_CACHE_DIR": str(cache), "CUDA_VISIBLE_DEVICES": ""}
    if what == "interpreted":
        own["TRITON_INTERPRET"] = "1"
    paths = [HERE, HERE.parent / "crops", *sys.path]
    done = subprocess.run(
        [sys.executable, HERE / program, what],
        env={**others, **own, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main(interpreted: Callable[[], object], compiled: Callable[[], object]) -> None:
    """Run the one of the two functions that the command line names, and print its result."""
    print(json.dumps({"interpreted": interpreted, "compiled": compiled}[sys.argv[1]]()))


def needs(
    kernels: Mapping[str, tuple[Any, Mapping[str, Any]]], types: Mapping[str, Any], warps: int
) -> dict[str, dict[str, int]]:
    """What kernels use on GPUs of compute capability 8.0 and 9.0; see `usage`.

    Args:
        kernels: The kernels by name, each with its constants.
        types: Types of the other arguments by their names, as Triton writes them.
        warps: Number of warps of a program.
    """
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    found = {}
    for capability, (name, (kernel, constants)) in product((80, 90), kernels.items()):
        source = ASTSource(
            kernel,
            {argument: types.get(argument, "constexpr") for argument in kernel.arg_names},
            dict(constants),
            # as at run time, where memory and lines of pictures begin at multiples of 16
            {
                (place,): [["tt.divisibility", 16]]
                for place, argument in enumerate(kernel.arg_names)
                if str(types.get(argument)).startswith(("*", "i"))
            },
        )
        target = GPUTarget("cuda", capability, 32)
        made = compile(source, target=target, options={"num_warps": warps})
        found[f"{name}, {capability}"] = usage(made.asm["cubin"])
    return found


def usage(cubin: bytes) -> dict[str, int]:
    """Registers of a thread, and bytes of its stack and local memory, which spills use."""
    import triton

    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        told = subprocess.run(
            [tool, "--dump-resource-usage", file.name], capture_output=True, text=True, check=True
        ).stdout
    words = dict(
        word.split(":") for word in told.split() if word.count(":") == 1 and word[-1] != ":"
    )
    return {name: int(words[name]) for name in ("REG", "STACK", "LOCAL")}
