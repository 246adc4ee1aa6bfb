"""The summary: the same report as Markdown, its pictures beside it."""

from passerby.report.content import Content, Section


def markdown(content: Content) -> str:
    """The whole summary."""
    parts = [
        f"# {content.title}",
        *content.sentences,
        *(_section(section) for section in content.sections),
        content.last_line,
    ]
    return "\n\n".join(parts) + "\n"


def _section(section: Section) -> str:
    parts = [
        f"## {section.title}",
        *(table.markdown() for table in section.tables),
        *(f"![{picture.caption}]({picture.name}.png)" for picture in section.pictures),
    ]
    if section.remarks:
        parts.append("\n".join(f"- {remark}" for remark in section.remarks))
    return "\n\n".join(parts)
