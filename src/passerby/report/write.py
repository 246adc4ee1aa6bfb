"""The stage's work: read everything, then write the page, the summary and the pictures."""

from pathlib import Path

from passerby import files
from passerby.report import page, summary
from passerby.report.content import Content, gather
from passerby.settings import Params


def report(params: Params, data: Path = Path("data"), out: Path | None = None) -> Content:
    """Write the report of all branches in the settings.

    Args:
        params: All settings; `branches` says what must be there.
        data: Folder with `results/`, `pretrain/`, `init/` and `crops_counts.json`.
        out: Folder to write, emptied first; `data/report` unless given.

    Returns:
        What was written, so that a caller can show the first sentences.

    Raises:
        BadInput: a branch has no result, or a file cannot be read; then nothing is written.
    """
    content = gather(params, data)
    folder = files.empty_folder(out or data / "report")
    for picture in (picture for section in content.sections for picture in section.pictures):
        for kind, data_bytes in (("svg", picture.svg), ("png", picture.png)):
            with files.written_whole(folder / f"{picture.name}.{kind}") as beside:
                beside.write_bytes(data_bytes)
    files.write_text(folder / "summary.md", summary.markdown(content))
    files.write_text(folder / "index.html", page.html(content))
    return content
