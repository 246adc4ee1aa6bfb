"""Tables as data, and as HTML and Markdown: what is compared is decided here, once for both."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from passerby.evaluation.result import NOT_SURE
from passerby.report.headline import never_seen, signed
from passerby.report.outcomes import Outcome
from passerby.report.published import FEW_LABELS, FEW_LABELS_HEAD, REPORT_003
from passerby.report.rows import Column, Gain, Pooled, Row, ranking, verification
from passerby.settings import Params
from passerby.text import html as escape
from passerby.text import markdown

NOT_MEASURED = "not measured"


@dataclass(frozen=True)
class Cell:
    """One cell: a text, a second line in small (the seeds' span), and how it is marked."""

    text: str
    small: str = ""
    mark: str = ""
    """`best`, `up`, `down` or nothing."""


@dataclass(frozen=True)
class Table:
    """A table with a caption; the first column is text, the others are figures unless `plain`."""

    caption: str
    head: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    plain: bool = False

    def html(self) -> str:
        """The table as HTML."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.head)
        body = "\n".join(f"<tr>{_html_line(line)}</tr>" for line in self.lines)
        kind = "plain" if self.plain else "figures"
        return (
            f'<div class="scroll"><table class="{kind}"><caption>{escape(self.caption)}</caption>\n'
            f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
        )

    def markdown(self) -> str:
        """The table as Markdown."""
        align = "---" if self.plain else "---:"
        lines = [
            f"| {' | '.join(map(markdown, self.head))} |",
            f"|---|{'|'.join([align] * (len(self.head) - 1))}|",
            *(f"| {' | '.join(_markdown_cell(cell) for cell in line)} |" for line in self.lines),
        ]
        return f"**{markdown(self.caption)}**\n\n" + "\n".join(lines)


def figures(caption: str, head: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """A table of numbers that are texts already."""
    return replace(plain(caption, head, lines), plain=False)


def plain(caption: str, head: Sequence[str], lines: Iterable[Sequence[str]]) -> Table:
    """A table of texts."""
    cells = tuple(tuple(Cell(text) for text in line) for line in lines)
    return Table(caption, tuple(head), cells, plain=True)


def results(table: Sequence[Row], found: Sequence[Gain], params: Params, set_name: str) -> Table:
    """All rows' ranking on one set, in percent, with the gain over the start each came from."""
    shown = ranking(_outcomes(table, set_name))
    gains = {(g.arm, g.recipe, g.percent): g for g in found if g.set == set_name}
    lines = []
    for row, cells in _rows_of_figures(table, shown, params, set_name):
        gain = gains.get((row.init, row.recipe, row.percent or 0))
        place = len(cells) - len(shown) + 1
        lines.append((*cells[:place], _gain(gain), *cells[place:]))
    first, *others = (column.title for column in shown)
    head = (*_head(params), first, "gain", *others)
    return Table(_caption(table, params, set_name), head, tuple(lines))


def verified(table: Sequence[Row], params: Params, set_name: str) -> Table:
    """All rows' verification on one set, in percent."""
    shown = verification(_outcomes(table, set_name))
    lines = tuple(cells for _, cells in _rows_of_figures(table, shown, params, set_name))
    head = (*_head(params), *(column.title for column in shown))
    caption = _caption(table, params, set_name)
    if any(row.few_errors(column, set_name) for row in table for column in shown):
        caption += f"; {NOT_SURE}"
    return Table(caption, head, lines)


def _outcomes(table: Sequence[Row], set_name: str) -> list[Outcome]:
    return [outcome for row in table for outcome in row.on(set_name)]


def _head(params: Params) -> tuple[str, ...]:
    return ("start or model", "seeds") if len(params.branches.seeds) > 1 else ("start or model",)


def _rows_of_figures(
    table: Sequence[Row], shown: Sequence[Column], params: Params, set_name: str
) -> Iterator[tuple[Row, tuple[Cell, ...]]]:
    """Each row with its name, its number of seeds where there are several, and its figures."""
    best = {column.title: _best(table, column, set_name) for column in shown}
    for row in table:
        seeds = [Cell(str(len(row.on(set_name))))] if len(params.branches.seeds) > 1 else []
        cells = [
            _figure(
                row.pooled(column, set_name),
                row.span(column, set_name),
                best[column.title],
                row.few_errors(column, set_name),
            )
            for column in shown
        ]
        yield row, (_name(row, params), *seeds, *cells)


def published() -> Table:
    """What report 003 published, in percent."""
    lines = tuple(
        (
            Cell(known.set),
            Cell(f"{known.map:.2f}"),
            *(Cell(f"{known.ranks[rank]:.2f}") for rank in (1, 5, 10)),
        )
        for known in REPORT_003
    )
    return Table("Published by report 003, in %", ("set", "mAP", "R1", "R5", "R10"), lines)


def few_labels() -> Table:
    """What LUPerson and LUPerson-NL published for few labels, mAP in percent."""
    about = "MGN, ResNet-50, 384x128; arXiv 2203.16533"
    caption = f"Published mAP on Market-1501 with few labels, by the start, in % ({about})"
    return figures(caption, FEW_LABELS_HEAD, FEW_LABELS)


def both_protocols(table: Sequence[Row], params: Params) -> Table | None:
    """Ours on CUHK03 by the new protocol and by the classic one, in percent; of the first seed."""
    lines = []
    for row in table:
        for outcome in (one for name in params.branches.sets for one in row.on(name)[:1]):
            classic = outcome.metrics.get("trials", {}).get("cuhk03-classic")
            if classic:
                people = " to ".join(map(str, sorted({*classic["counts"]["gallery"]})))
                new = [_percent(outcome.metrics[key]) for key in ("map",)]
                new += (
                    [_percent(outcome.metrics["cmc"]["1"])]
                    if "1" in outcome.metrics["cmc"]
                    else [""]
                )
                ranks = [_trial(classic["cmc"].get(rank)) for rank in ("1", "5", "10")]
                lines.append([row.title, outcome.set, *new, people, *ranks])
    if not lines:
        return None
    head = ("start or model", "set", "new: mAP", "new: R1", "classic: people", "R1", "R5", "R10")
    caption = (
        "Ours by both protocols, in %: new (all queries against the whole gallery) and classic "
        "(20 test sets, a gallery of one picture each, drawn 10 times; mean ± deviation, which "
        "of a set with no more than 100 test people is of the gallery's draws only)"
    )
    return figures(caption, head, lines)


def _trial(told: dict[str, float] | None) -> str:
    if told is None:
        return ""
    more = "" if told["deviation"] is None else f" ± {_percent(told['deviation'])}"
    return f"{_percent(told['mean'])}{more}"


def _caption(table: Sequence[Row], params: Params, set_name: str) -> str:
    seen = ", never seen in training" if never_seen(set_name, params) else ""
    outcome: Outcome = table[0].on(set_name)[0]
    pooled = ""
    if len(params.branches.seeds) > 1:
        pooled = "; mean, least and greatest over the seeds"
    elif "intervals" in outcome.metrics:
        pooled = "; beneath, where 95 % of draws of other people lie"
    return f"{set_name}{seen}, in % (protocol {outcome.metrics['protocol']}{pooled})"


def _name(row: Row, params: Params) -> Cell:
    kind = "supervised baseline" if row.percent is None else ""
    if row.init in params.arms:
        kind = f"pretrained from {params.arms[row.init].start}"
    return Cell(row.title, kind or params.starts[row.init].title)


def _best(table: Sequence[Row], column: Column, set_name: str) -> str:
    """The best figure of a column, as it is shown: of an error rate the least."""
    known = [pooled.mean for row in table if (pooled := row.pooled(column, set_name))]
    best = min if column.title == "EER" else max
    return _percent(best(known)) if known else ""


def _figure(
    pooled: Pooled | None, drawn: tuple[float, float] | None, best: str, few_errors: bool
) -> Cell:
    """A figure; beneath it the seeds' span or, of one seed, that of other people."""
    if pooled is None:
        return Cell(NOT_MEASURED)
    ends = (pooled.low, pooled.high) if len(pooled.values) > 1 else drawn
    span = " to ".join(map(_percent, ends)) if ends else ""
    text = _percent(pooled.mean)
    return Cell(text + "*" * few_errors, span, "best" if text == best else "")


def _gain(gain: Gain | None) -> Cell:
    if gain is None:
        return Cell("")
    mark = "up" if gain.points > 0 else "down" if gain.points < 0 else ""
    several = len(gain.values) > 1
    least, most = (signed(100 * value) for value in (min(gain.values), max(gain.values)))
    return Cell(signed(gain.points), f"{least} to {most}" if several else "", mark)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _html_line(line: Sequence[Cell]) -> str:
    first, *others = line
    return f'<th scope="row">{_html_cell(first)}</th>' + "".join(
        f"<td{f' class={cell.mark!r}' if cell.mark else ''}>{_html_cell(cell)}</td>"
        for cell in others
    )


def _html_cell(cell: Cell) -> str:
    small = f"<small>{escape(cell.small)}</small>" if cell.small else ""
    return escape(cell.text) + small


def _markdown_cell(cell: Cell) -> str:
    text = markdown(cell.text)
    if cell.mark == "best":
        text = f"**{text}**"
    return f"{text} ({markdown(cell.small)})" if cell.small else text
