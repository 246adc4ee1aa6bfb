"""The page: one HTML file that holds its pictures, works offline and prints."""

from base64 import b64encode
from string import Template

from passerby.report.content import Content, Picture, Section
from passerby.report.headline import signed
from passerby.report.rows import Gain
from passerby.text import html as escape

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title - passerby</title>
<style>
$css
</style>
</head>
<body>
<header>
<p class="kind">passerby: does pretraining help?</p>
<h1>$title</h1>
$verdict
$tiles
</header>
<main>
$sections
</main>
<footer><p>$last_line</p></footer>
</body>
</html>
""")

CSS = """
:root { --ink: #1c1f23; --soft: #5b636d; --line: #dfe3e8; --up: #00654b; --down: #a33e00; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2rem 1.25rem 3rem; max-width: 68rem; color: var(--ink);
  background: #fff; font: 16px/1.5 system-ui, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
.kind { margin: 0; color: var(--soft); font-size: .85rem; }
h1 { margin: 0 0 .75rem; font-size: 1.7rem; line-height: 1.2; }
h2 { margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--line); font-size:
  1.25rem; }
.verdict { margin: 0 0 .5rem; max-width: 46rem; font-size: 1.2rem; line-height: 1.4; }
.tiles { display: grid; gap: .75rem; margin: 1rem 0 0; padding: 0; list-style:
  none; }
.tiles li { padding: .75rem 1rem; border: 1px solid var(--line); border-radius:
  .5rem; }
.tiles b { display: block; font-size: 1.9rem; line-height: 1.15; font-variant-numeric:
  tabular-nums; }
.tiles span { color: var(--soft); font-size: .85rem; }
.up { color: var(--up); } .down { color: var(--down); }
.scroll { overflow-x: auto; margin: 0 0 1.5rem; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
.figures { min-width: 100%; }
caption { padding: 0 0 .35rem; text-align: left; font-weight: 600; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: right;
  vertical-align: top; }
thead th { border-bottom: 2px solid var(--ink); font-weight: 600; white-space: nowrap; }
th:first-child { padding-left: 0; }
th:first-child, .plain th, .plain td { text-align: left; }
.plain td:last-child { overflow-wrap: anywhere; }
tbody th { font-weight: 500; }
.best { font-weight: 700; }
td small { white-space: nowrap; }
small { display: block; color: var(--soft); font-weight: 400; font-size: .78rem; }
figure { margin: 0 0 1.75rem; break-inside: avoid; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption, .remarks { color: var(--soft); font-size: .9rem; }
.remarks { max-width: 46rem; padding-left: 1.1rem; } .remarks li { margin-bottom: .35rem; }
footer { margin-top: 2.5rem; border-top: 1px solid var(--line); color: var(--soft); font-size:
  .85rem; }
@media print { body { padding: 0; max-width: none; font-size: 11pt; } h2, caption { break-after:
  avoid; }
  tr, .tiles li { break-inside: avoid; } .scroll { overflow: visible; } }
""".strip()


def html(content: Content) -> str:
    """The whole page."""
    first, *others = content.sentences
    small = "\n".join(f"<p>{escape(sentence)}</p>" for sentence in others)
    return PAGE.substitute(
        title=escape(content.title),
        css=CSS,
        verdict=f'<p class="verdict">{escape(first)}</p>\n{small}',
        tiles=_tiles(content.gains),
        sections="\n".join(_section(section) for section in content.sections),
        last_line=escape(content.last_line),
    )


def _tiles(gains: tuple[Gain, ...]) -> str:
    """The gains in large figures."""
    if not gains:
        return ""
    tiles = "\n".join(
        f'<li><b class="{_tone(gain)}">{signed(gain.points)} mAP</b>'
        f"<span>{escape(gain.set)}: {escape(gain.arm)} over {escape(gain.start)}</span></li>"
        for gain in gains
    )
    columns = f"grid-template-columns: repeat({len({gain.set for gain in gains})}, 1fr)"
    return f'<ul class="tiles" style="{columns}">\n{tiles}\n</ul>'


def _tone(gain: Gain) -> str:
    return "up" if gain.points > 0 else "down" if gain.points < 0 else "even"


def _section(section: Section) -> str:
    parts = [
        f"<h2>{escape(section.title)}</h2>",
        *(_figure(picture) for picture in section.pictures),
        *(table.html() for table in section.tables),
    ]
    if section.remarks:
        items = "\n".join(f"<li>{escape(remark)}</li>" for remark in section.remarks)
        parts.append(f'<ul class="remarks">\n{items}\n</ul>')
    return "<section>\n" + "\n".join(parts) + "\n</section>"


def _figure(picture: Picture) -> str:
    """A picture inside the page: as an image, so that the ids of two SVGs cannot meet."""
    data = b64encode(picture.svg).decode()
    return (
        f'<figure id="{picture.name}"><img alt="{escape(picture.caption)}" '
        f'src="data:image/svg+xml;base64,{data}"><figcaption>{escape(picture.caption)}'
        "</figcaption></figure>"
    )
