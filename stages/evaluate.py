"""Stage `evaluate`: embed a set with a model; ranking and verification figures.

python stages/evaluate.py MODEL SET
"""

import sys

from passerby import files, graph, judging, settings
from passerby.datasets import index
from passerby.evaluation import results
from passerby.models.embedder import Embedder
from passerby.text import say


def main(model: str, name: str) -> None:
    params = settings.read("params.yaml")
    listed, folder = f"data/benchmarks/{name}.tsv", f"data/models/{model}"
    benchmark = index.read(listed, params.benchmark(name).root)
    embedder = Embedder.load(folder)
    found, arrays = judging.judge(embedder, benchmark, params.evaluate, params.compute.threads)
    trials = judging.trials(benchmark, arrays, embedder.card.distance)
    say("\n\n".join(one.table() for one in (found, *trials)))
    say(benchmark.remarks())
    hashes = {"model": files.sha256(f"{folder}/model.yaml"), "set": files.sha256(listed)}
    about = {"model": model, "set": name, "hashes": hashes}
    results.write(f"data/results/{model}-{name}", found, arrays, about, trials)


if __name__ == "__main__":
    graph.run(main, *sys.argv[1:])
