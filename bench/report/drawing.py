"""How every plot looks: SVG in a light and a dark variant, the same bytes for the same input.

Blue is simdnorm everywhere, and no other thing is blue; the colours are those of Okabe and Ito, which people tell apart
however they see colours, lightened where the page is dark. Figures have no background of their own.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

WIDTH = 8.6  # inches: 826 pixels, as wide as GitHub shows a README
TITLE, TEXT = 11.5, 9.0  # sizes in points
MARKERS = {"simdnorm": "o", "onednn": "s", "libtorch": "^", "onnxruntime": "D", "ggml": "v"}


@dataclass(frozen=True)
class Theme:
    name: str
    text: str
    muted: str
    grid: str
    middle: str  # of the heat map: as fast as the peer
    cells: tuple[str, str]  # text on its cells: one of the two
    slow: str
    fast: str
    colours: dict[str, str]


LIGHT = Theme(
    "light", "#1f2328", "#59636e", "#d8dee4", "#f3f3f1", ("#1f2328", "#ffffff"), "#D55E00", "#0072B2",
    {"simdnorm": "#0072B2", "onednn": "#D55E00", "libtorch": "#009E73", "onnxruntime": "#B85F93", "ggml": "#B87F00"})
DARK = Theme(
    "dark", "#f0f6fc", "#9198a1", "#2b3138", "#2a2f36", ("#0d1117", "#f0f6fc"), "#E8743B", "#45A9EE",
    {"simdnorm": "#45A9EE", "onednn": "#F0803C", "libtorch": "#22C195", "onnxruntime": "#DD93BC", "ggml": "#E9B93B"})
THEMES = (LIGHT, DARK)


@dataclass(frozen=True)
class Plot:
    """A figure to be drawn once in each theme."""

    name: str  # of its files, before "-light.svg"
    alt: str  # in words, for those who cannot see it
    draw: Callable[[Theme], Figure]

    def files(self) -> dict[str, bytes]:
        return {f"{self.name}-{theme.name}.svg": self.svg(theme) for theme in THEMES}

    def svg(self, theme: Theme) -> bytes:
        settings = {
            "svg.fonttype": "none", "svg.hashsalt": "simdnorm", "font.size": TEXT, "text.color": theme.text,
            # DejaVu comes with matplotlib and is the widest: what fits in it fits in a reader's font.
            "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial", "sans-serif"],
            "axes.edgecolor": theme.grid, "axes.labelcolor": theme.muted, "axes.linewidth": 0.8,
            "xtick.color": theme.muted, "ytick.color": theme.muted,
        }
        out = io.BytesIO()
        with matplotlib.rc_context(settings):
            figure = self.draw(theme)
            figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return out.getvalue()


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones and at least a gap apart, in the same order, within low and high."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[tuple[float, int]] = []  # neighbours that touch move as one, to the mean of their wishes
    for rank, i in enumerate(order):
        mean, count = wanted[i] - rank * gap, 1
        while blocks and blocks[-1][0] > mean:
            other, others = blocks.pop()
            mean, count = (mean * count + other * others) / (count + others), count + others
        blocks.append((mean, count))
    starts = [mean for mean, count in blocks for _ in range(count)]
    places = [0.0] * len(wanted)
    for rank, i in enumerate(order):
        places[i] = max(low, min(starts[rank], high - (len(wanted) - 1) * gap)) + rank * gap
    return places


@dataclass(frozen=True)
class Line:
    label: str
    points: list[tuple[float, float]]
    colour: str
    width: float = 1.4
    style: Any = "-"
    marker: str = ""
    strong: bool = False
    lost: tuple[tuple[float, float], ...] = ()  # where the value was not a number

    @property
    def end(self) -> tuple[float, float]:
        return max((*self.points, *self.lost), key=lambda point: point[0])


def new_figure(height: float) -> Figure:
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasSVG(figure)
    return figure


def blank(theme: Theme, height: float, title: str, subtitle: str) -> tuple[Figure, Axes]:
    """A figure with its words at the top left, and room for labels at the right."""
    figure = new_figure(height)
    left, right, top, bottom = 0.62, 1.98, 0.66, 0.52  # inches
    axes = figure.add_axes((left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height))
    head(figure, height, theme, title, subtitle)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0, pad=5)
    axes.tick_params(axis="x", length=3, color=theme.grid)
    axes.grid(axis="y", color=theme.grid, linewidth=0.7)
    axes.set_axisbelow(True)
    return figure, axes


def head(figure: Figure, height: float, theme: Theme, title: str, subtitle: str) -> None:
    figure.text(0.12 / WIDTH, 1 - 0.22 / height, title, size=TITLE, weight="bold", va="center")
    figure.text(0.12 / WIDTH, 1 - 0.43 / height, subtitle, size=TEXT, color=theme.muted, va="center")


def draw_lines(axes: Axes, lines: Iterable[Line]) -> None:
    for order, line in enumerate(reversed([line for line in lines if line.points])):  # the first on top
        axes.plot(*zip(*line.points), color=line.colour, linewidth=line.width, linestyle=line.style,
                  marker=line.marker, markersize=5.5 if line.strong else 3.8, markeredgewidth=0, zorder=3 + order,
                  solid_capstyle="round", clip_on=False)


def label_ends(axes: Axes, lines: Sequence[Line], theme: Theme) -> None:
    """Writes each line's name to the right of its end, apart from one another, with a thin line between."""
    to_axes = axes.transData + axes.transAxes.inverted()
    ends = [to_axes.transform(line.end) for line in lines]
    height = axes.get_window_extent().height * 72 / axes.figure.dpi  # in points
    places = spread([end[1] for end in ends], 1.45 * TEXT / height, 0.0, 1.0)
    for line, end, y in zip(lines, ends, places):
        axes.plot((end[0], 1.045, 1.06), (end[1], y, y), transform=axes.transAxes, color=line.colour, linewidth=0.7,
                  alpha=0.6, clip_on=False, zorder=2)
        axes.text(1.07, y, line.label, transform=axes.transAxes, va="center_baseline", color=line.colour,
                  weight="bold" if line.strong else "normal", size=TEXT + 0.5 if line.strong else TEXT)
