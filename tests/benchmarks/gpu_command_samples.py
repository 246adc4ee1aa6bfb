"""Steps for tests of `gpu.py`: each runs in a process of its own, which imports this module."""

import subprocess
import sys
import time

from _gpu_context import Context, Failed


def passes(context: Context) -> None:
    context.keep(rate_per_s=2.0)


def fails(context: Context) -> None:
    context.keep(half=0.5)
    raise Failed("the other half is missing")


def breaks(context: Context) -> None:
    raise ZeroDivisionError("division of nothing")


def lasts(context: Context) -> None:
    """Keep a figure, start a process, and never end."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    context.keep(first_figure=1.5, child=child.pid)
    print("going on for ever", flush=True)
    time.sleep(600)
