"""The plots of the report: throughput over D, speed-up over N and D, error over offset."""

from __future__ import annotations

import math
from typing import Any, Callable, Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from drawing import LIGHT, MARKERS, TEXT, WIDTH, Line, Plot, Theme, blank, draw_lines, head, label_ends, new_figure
from results import LIMITS, NAMES, PASSES, Contender, ErrorPoint, Run, geometric_mean, place, set_name

CELL = 7.0  # points: the size of the numbers in the heat map
WHERE = {"call": "a single small call", "L1": "data in L1", "L2": "data in L2", "L3": "data in L3",
         "memory": "data in memory", "row": "long rows", "column": "long columns"}


def threads_in_words(threads: int) -> str:
    return f"{threads} thread" if threads == 1 else f"{threads} threads"


def powers_of_two(low: float, high: float) -> list[float]:
    return [2.0**k for k in range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)]


def line_for(contender: Contender, label: str, points: list[tuple[float, float]], ours: str, theme: Theme) -> Line:
    colour = theme.colours.get(contender.name, theme.muted)
    marker = MARKERS.get(contender.name, "P")
    if contender == Contender("simdnorm", ours):
        return Line(label, points, colour, width=3.2, marker=marker, strong=True)
    if contender.name == "simdnorm":
        return Line(label, points, colour, style=(0, (4, 1.6)))
    return Line(label, points, colour, marker=marker)


def throughput_lines(run: Run, pass_name: str, regime: str, threads: int, theme: Theme) -> tuple[list[Line], Line]:
    """A line for each contender, and the limit. The scalar set serves to check, not to race."""
    points: dict[Contender, list[tuple[float, float]]] = {}
    for case, rates in sorted(run.passes[pass_name].items()):
        if case.regime == regime and case.threads == threads:
            for contender, rate in rates.items():
                points.setdefault(contender, []).append((case.columns, rate * 1e-9))
    ours = run.our_set(pass_name)
    limit = PASSES[pass_name].streaming if regime == "memory" else PASSES[pass_name].plain
    checker = Contender("simdnorm", "scalar")
    lines = []
    for contender in sorted(points, key=lambda c: (place(c.name, list(NAMES)), c.set != ours, c)):
        if contender.name in LIMITS or (contender == checker and ours != "scalar"):
            continue
        lines.append(line_for(contender, run.title(pass_name, contender), points[contender], ours, theme))
    limits = [found for contender, found in points.items() if contender.name == limit]
    return lines, Line(NAMES[limit], limits[0] if limits else [], theme.muted, 1.3, (0, (5, 3)))


def draw_throughput(run: Run, pass_name: str, regime: str, threads: int, theme: Theme) -> Figure:
    lines, limit = throughput_lines(run, pass_name, regime, threads, theme)
    figure, axes = blank(theme, 3.7, f"{pass_name.capitalize()}, {WHERE.get(regime, regime)}, "
                         f"{threads_in_words(threads)}", "GB/s over the row length D: higher is better")
    everything = [*lines, *([limit] if limit.points else [])]
    columns = [x for line in everything for x, _ in line.points]
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(columns) / 1.08, max(columns) * 1.08)
    axes.set_ylim(0, 1.06 * max(y for line in everything for _, y in line.points))
    axes.xaxis.set_major_locator(FixedLocator([x for x in powers_of_two(min(columns), max(columns))
                                               if axes.get_xlim()[0] <= x <= axes.get_xlim()[1]]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("D")
    if limit.points:
        axes.fill_between(*zip(*limit.points), color=theme.muted, alpha=0.08, linewidth=0)
    draw_lines(axes, everything)
    label_ends(axes, everything, theme)
    return figure


def bin_of(rows: int) -> int:
    """N = 1; 2 to 7; 8 to 31; and so on by fours."""
    return 0 if rows < 2 else (rows.bit_length() - 2) // 2 + 1


def short(value: int) -> str:
    for unit, letter in ((2**20, "M"), (2**10, "K")):
        if value >= unit and value % unit == 0:
            return f"{value // unit}{letter}"
    return f"{value:,}"


def least_in_bin(index: int) -> int:
    return 1 if index == 0 else 2 * 4 ** (index - 1)


def heat_cells(run: Run, pass_name: str, threads: int) -> dict[tuple[int, int], float]:
    """The speed-up by D and bin of N; the geometric mean where shapes share a cell."""
    found: dict[tuple[int, int], list[float]] = {}
    for case in run.passes[pass_name]:
        value = run.speed_up(pass_name, case)
        if case.threads == threads and value is not None:
            found.setdefault((case.columns, bin_of(case.rows)), []).append(value)
    return {cell: geometric_mean(values) for cell, values in found.items()}


def luminance(colour: Any) -> float:
    """The relative luminance of WCAG 2."""
    red, green, blue = (c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def readable_on(colour: Any, theme: Theme) -> str:
    """The colour of text that stands out more."""
    def contrast(text: str) -> float:
        low, high = sorted((luminance(text), luminance(colour)))
        return (high + 0.05) / (low + 0.05)

    return max(theme.cells, key=contrast)


def draw_heat_map(run: Run, pass_name: str, threads: int, theme: Theme) -> Figure:
    cells = heat_cells(run, pass_name, threads)
    columns = sorted({column for column, _ in cells})
    low, high = min(index for _, index in cells), max(index for _, index in cells)
    left, right, top, bottom = 0.78, 0.12, 1.06, 0.72
    height = top + bottom + 0.27 * (high - low + 1)
    figure = new_figure(height)
    axes = figure.add_axes((left / WIDTH, bottom / height, 1 - (left + right) / WIDTH, 1 - (top + bottom) / height))
    ours = set_name(run.our_set(pass_name))
    head(figure, height, theme, f"{pass_name.capitalize()}, {threads_in_words(threads)}: how many times as fast as "
         f"{'the ' if run.rival_name(pass_name) == 'best peer' else ''}{run.rival_name(pass_name)}",
         f"simdnorm {ours}, over the number of rows N and their length D")
    shades = LinearSegmentedColormap.from_list("speed-up", [theme.slow, theme.middle, theme.fast], N=64)
    norm = LogNorm(0.5, 2, clip=True)
    for (column, index), value in cells.items():
        x, y = columns.index(column), index - low
        colour = shades(norm(value))
        axes.add_patch(Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, color=colour, linewidth=0))
        axes.text(x, y, f"{value:.2f}" if value < 9.995 else f"{value:.0f}", size=CELL, ha="center",
                  va="center_baseline", color=readable_on(colour, theme))
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, high - low + 0.5)
    names = [short(column) if column >= 2**20 else f"{column:,}" for column in columns]
    axes.set_xticks(range(len(columns)), names, rotation=45, ha="right", rotation_mode="anchor", size=TEXT - 1)
    edges = range(low, high + 2)  # each row of cells lies between two values of N
    axes.set_yticks([edge - low - 0.5 for edge in edges], [short(least_in_bin(edge)) for edge in edges], size=TEXT - 1)
    axes.tick_params(length=0, pad=3)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel("D", labelpad=2)
    axes.set_ylabel("N", rotation=0, labelpad=6)
    for (column, index), regime in band_labels(run, pass_name, threads, columns, set(cells)).items():
        axes.text(column, index - low, regime, size=TEXT - 1, color=theme.muted, va="center_baseline", style="italic")
    draw_scale(figure, height, shades, norm, theme)
    return figure


def band_labels(run: Run, pass_name: str, threads: int, columns: Sequence[int],
                cells: set[tuple[int, int]]) -> dict[tuple[float, int], str]:
    """The places, free of cells, where the bands that the levels of the memory form are named: beside their tops."""
    labels = {}
    for regime in ("L1", "L2", "L3", "memory"):
        band = {(case.columns, bin_of(case.rows)) for case in run.passes[pass_name]
                if case.regime == regime and case.threads == threads} & cells
        if band:
            top = max(index for _, index in band)
            after = 1 + max(columns.index(column) for column, index in band if index == top)
            if not any((column, top) in cells for column in columns[after:after + 2]):
                labels[after - 0.35, top] = regime
    return labels


def draw_scale(figure: Figure, height: float, shades: LinearSegmentedColormap, norm: LogNorm, theme: Theme) -> None:
    """What the colours of the heat map mean, in a strip below its title."""
    strip = figure.add_axes((0.78 / WIDTH, 1 - 0.73 / height, 2.6 / WIDTH, 0.1 / height))
    steps = 32
    for step in range(steps):
        colour = shades((step + 0.5) / steps)
        strip.add_patch(Rectangle((step / steps, 0), 1 - step / steps, 1, linewidth=0, color=colour))
    for value, words, side in ((0.5, "0.5 or less", "left"), (1, "1", "center"), (2, "2 or more", "right")):
        strip.text(norm(value), -0.6, words, size=TEXT - 1.5, color=theme.muted, va="top", ha=side)
    strip.set_xlim(0, 1)
    strip.set_ylim(0, 1)
    strip.axis("off")


def with_zero(values: Iterable[float]) -> Callable[[float], float]:
    """Where a value goes on a logarithmic axis: 0, which has no logarithm, a decade below the least other one."""
    least = min((value for value in values if value > 0), default=1.0)
    return lambda value: value if value > 0 else least / 10


def error_lines(points: Sequence[ErrorPoint], theme: Theme) -> list[Line]:
    """A line for each contender; what is not a number goes above all others, a row for each contender that has some."""
    at = with_zero(point.offset for point in points)
    up = with_zero(point.error for point in points if point.error is not None)
    row = 10.0 ** (top_decade(points) + 0.7)
    lines = []
    for name in sorted({point.contender for point in points}, key=lambda name: (place(name, list(NAMES)), name)):
        mine = sorted((at(point.offset), point) for point in points if point.contender == name)
        numbers = [(x, up(point.error)) for x, point in mine if point.error is not None]
        lost = tuple((x, row) for x, point in mine if point.error is None)
        row *= 10**0.7 if lost else 1
        strong = name == "simdnorm"
        lines.append(Line(NAMES.get(name, name), numbers, theme.colours.get(name, theme.muted),
                          3.2 if strong else 1.4, marker=MARKERS.get(name, "P"), strong=strong, lost=lost))
    return lines


def top_decade(points: Sequence[ErrorPoint]) -> int:
    return math.ceil(math.log10(max((point.error for point in points if point.error), default=1.0)))


def power_of_ten(value: float) -> str:
    exponent = round(math.log10(value))
    return "1" if exponent == 0 else "10" + str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def draw_lost(axes: Axes, lines: Sequence[Line], theme: Theme) -> list[float]:
    """Crosses for what is not a number, dotted lines that lead there, and the places of their rows."""
    for line in lines:
        if line.lost:
            last = line.points[-1:]
            after = [point for point in line.lost if not last or point[0] > last[0][0]]
            if after:
                axes.plot(*zip(*last, *after), color=line.colour, linewidth=0.9, linestyle=(0, (1, 2)))
            axes.plot(*zip(*line.lost), color=line.colour, linestyle="", marker="x", markersize=7, markeredgewidth=2,
                      clip_on=False)
    rows = sorted(line.lost[0][1] for line in lines if line.lost)
    if rows:
        axes.axhspan(rows[0] / 10**0.5, rows[-1] * 10**0.5, color=theme.muted, alpha=0.1, linewidth=0)
    return rows


def draw_errors(points: Sequence[ErrorPoint], columns: int, theme: Theme) -> Figure:
    chosen = [point for point in points if point.columns == columns]
    lines = error_lines(chosen, theme)
    figure, axes = blank(theme, 3.9, f"Error when a constant is added to the row, D = {columns:,}",
                         "Largest absolute error of y over the offset: lower is better")
    axes.set_xscale("log")
    axes.set_yscale("log")
    offsets = sorted({x for line in lines for x, _ in (*line.points, *line.lost)})
    high = top_decade(chosen)
    low = min([high - 1, *(math.floor(math.log10(y)) for line in lines for _, y in line.points)])
    rows = draw_lost(axes, lines, theme)
    axes.set_xlim(offsets[0] / 1.3, offsets[-1] * 1.3)
    axes.set_ylim(10.0**low, rows[-1] * 10**0.5 if rows else 10.0**high)
    zero = offsets[0] if any(point.offset == 0 for point in chosen) else None
    decades = range(math.ceil(math.log10(offsets[0]) - 1e-9), math.floor(math.log10(offsets[-1]) + 1e-9) + 1)
    ticks = {10.0**k: power_of_ten(10.0**k) for k in decades}
    axes.set_xticks(*zip(*sorted({**ticks, **({zero: "0"} if zero else {})}.items())))
    levels = {10.0**k: power_of_ten(10.0**k) for k in range(low, high + 1)}
    if any(point.error == 0 for point in chosen):
        levels[min(y for line in lines for _, y in line.points)] = "0"
    if rows:
        levels[math.sqrt(rows[0] * rows[-1])] = "NaN"
    axes.set_yticks(*zip(*sorted(levels.items())))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(NullLocator())
    axes.set_xlabel("offset")
    draw_lines(axes, lines)
    label_ends(axes, lines, theme)
    return figure


def throughput_plots(run: Run, pass_name: str, regimes: Sequence[str], threads: int, prefix: str) -> list[Plot]:
    words = threads_in_words(threads)
    return [
        Plot(f"{prefix}throughput-{pass_name}-{words.replace(' ', '-')}-{regime}",
             f"Throughput over D, {pass_name} pass, {WHERE.get(regime, regime)}, {words}",
             lambda theme, regime=regime: draw_throughput(run, pass_name, regime, threads, theme))
        for regime in regimes
        if throughput_lines(run, pass_name, regime, threads, LIGHT)[0]
    ]


def speed_up_plots(run: Run, pass_name: str, threads: int, prefix: str) -> list[Plot]:
    if not heat_cells(run, pass_name, threads):
        return []  # no peer was measured
    words = threads_in_words(threads)
    return [Plot(f"{prefix}speed-up-{pass_name}-{words.replace(' ', '-')}",
                 f"Speed-up over {run.rival_name(pass_name)} by N and D, {pass_name} pass, {words}",
                 lambda theme: draw_heat_map(run, pass_name, threads, theme))]


def error_plot(points: Sequence[ErrorPoint], columns: int) -> Plot:
    return Plot(f"error-{columns}-columns", f"Error against offset, D = {columns:,}",
                lambda theme: draw_errors(points, columns, theme))
