"""Stage `report`: tables, curves and one page that set the branches side by side.

python stages/report.py
"""

from passerby import graph, settings
from passerby.report.write import report
from passerby.text import say


def main() -> None:
    content = report(settings.read("params.yaml"))
    say("\n".join([*content.sentences, content.last_line, "data/report/index.html"]))


if __name__ == "__main__":
    graph.run(main)
