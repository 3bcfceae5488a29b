"""The picture of a comparison: one panel per mode, one column per row, grouped by cell; how many times as long each
peer takes as ours, on a logarithmic axis. Plain SVG with a background of its own, so that it reads on light and dark
pages."""
import math

from results import modes
from roster import PEERS, TITLES

_COLUMN, _GAP, _LEFT, _TOP, _HEIGHT, _LABELS = 19, 16, 46, 56, 220, 74
_COLOURS = {"torch": "#d1495b", "onnxruntime": "#6c757d", "onednn-openmp": "#1f6fb2", "onednn-sycl": "#7aa95c"}
_INK, _FAINT = "#222222", "#e4e4e4"
_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.5, 2, 3, 5)
# PyTorch takes up to a hundred times as long in short rows. An axis that went so far would leave no room about 1, where
# the fastest peer is: what is beyond becomes a triangle at the edge.
_CEILING = 5


def svg(best, subtitle):
    panels = [_Panel(mode, {row: times for row, times in best.items() if row.mode == mode and "ours" in times})
              for mode in modes(best)]
    width = max([620] + [panel.width for panel in panels])
    pitch = _HEIGHT + _LABELS + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_TOP + pitch * len(panels)}" role="img" '
        'font-family="Helvetica, Arial, sans-serif" font-size="11">',
        f"<title>How many times as long the peers take: {subtitle}</title>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        _text(_LEFT, 20, f"Time of a peer over ours, {subtitle}. Above the line ours is faster. Columns: T, B, H.", 14)]
    parts += _legend(best)
    for index, panel in enumerate(panels):
        parts.append(f'<g transform="translate(0 {_TOP + index * pitch})">{panel.drawn(width)}</g>')
    return "\n".join(parts) + "\n</svg>\n"


def _text(x, y, content, size=11, anchor="start"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{_INK}" font-size="{size}">'
            f"{content}</text>")


def _triangle(x, y, colour, content=""):
    return f'<path d="M{x - 3.5:.1f} {y + 3:.1f}h7l-3.5 -6.5z" fill="{colour}">{content}</path>'


def _disc(x, y, colour, content=""):
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}" fill-opacity="0.85">{content}</circle>'


def _legend(best):
    x, parts = _LEFT, []
    for key in PEERS:
        if any(key in times for times in best.values()):
            parts += [_disc(x + 4, 37, _COLOURS[key]), _text(x + 12, 41, TITLES[key])]
            x += 30 + 6.2 * len(TITLES[key])
    return parts + [_triangle(x + 4, 37, _INK), _text(x + 12, 41, f"more than {_CEILING}")]


class _Panel:
    def __init__(self, mode, best):
        self.mode, self.best = mode, best
        self.cells = list(dict.fromkeys(row.cell for row in best))
        self.width = _LEFT + _COLUMN * len(best) + _GAP * len(self.cells) + 12
        ratios = [times[key] / times["ours"] for times in best.values() for key in times] or [1]
        # A line at 1 stays inside, with room to see on which side of it a mark lies.
        self.low, self.high = min(0.9, 0.95 * min(ratios)), min(_CEILING, max(1.5, 1.1 * max(ratios)))

    def _y(self, ratio):
        return _HEIGHT * math.log(self.high / ratio) / math.log(self.high / self.low)

    def drawn(self, width):
        parts = [_text(_LEFT, 14, self.mode, 13), '<g transform="translate(0 20)">']
        for tick in (tick for tick in _TICKS if self.low <= tick <= self.high):
            y = self._y(tick)
            colour, thickness = (_INK, 1.2) if tick == 1 else (_FAINT, 1)
            parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{width - 8}" y2="{y:.1f}" '
                         f'stroke="{colour}" stroke-width="{thickness}"/>')
            parts.append(_text(_LEFT - 6, y + 4, f"{tick:g}", anchor="end"))
        x = _LEFT + _GAP / 2
        for cell in self.cells:
            rows = [row for row in self.best if row.cell == cell]
            parts.append(_text(x + _COLUMN * len(rows) / 2, _HEIGHT + _LABELS + 4, cell, 12, "middle"))
            for row in rows:
                parts.append(self._column(row, x + _COLUMN / 2))
                x += _COLUMN
            x += _GAP
        return "".join(parts) + "</g>"

    def _column(self, row, x):
        """One row: its marks, the slowest first so that the fastest peer lies on top, and its shape."""
        times = self.best[row]
        t, b, i, h = row.shape
        shape = _text(0, 0, f"{t}, {b}, {h}" if i == h else f"{t}, {b}, {i}, {h}", 9, "end")
        parts = [f'<g transform="translate({x + 3:.1f} {_HEIGHT + 6}) rotate(-90)">{shape}</g>']
        beyond = 0
        for key in sorted((key for key in times if key != "ours"), key=times.get, reverse=True):
            ratio = times[key] / times["ours"]
            title = f"<title>{row.name}: {TITLES[key]} {ratio:.3f}</title>"
            if ratio > self.high:
                parts.append(_triangle(x, 5 + 9 * beyond, _COLOURS[key], title))
                beyond += 1
            else:
                parts.append(_disc(x, self._y(ratio), _COLOURS[key], title))
        return "".join(parts)
