"""The summary: the same report as Markdown, its pictures beside it."""

from passerby.report.content import Content, Section
from passerby.text import markdown as escape


def markdown(content: Content) -> str:
    """The whole summary."""
    parts = [
        f"# {escape(content.title)}",
        *map(escape, content.sentences),
        *(_section(section) for section in content.sections),
        escape(content.last_line),
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    parts = [
        f"## {escape(section.title)}",
        *(table.markdown() for table in section.tables),
        *(f"![{escape(picture.caption)}]({picture.name}.png)" for picture in section.pictures),
    ]
    if section.remarks:
        parts.append("\n".join(f"- {escape(remark)}" for remark in section.remarks))
    return "\n\n".join(parts)
