#!/usr/bin/env python3
"""Turns the benchmark's JSON into a report: Markdown tables, and plots as SVG for light and dark pages.

    python3 bench/report/report.py results.json [more.json ...] --out docs/benchmarks

README.md, beside this file, says what the input is and how to make it.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import Any, Optional, Sequence

import tables
from results import PASSES, REGIMES, ErrorPoint, ReportError, Run, read_errors, read_run, set_name

FIRST = ("memory", "L2")  # whose plots are seen without opening anything
NEEDS_MATPLOTLIB = ("the plots need matplotlib, which this Python does not have. On Debian and Ubuntu: "
                    "apt-get install python3-matplotlib, and run this by /usr/bin/python3; elsewhere: "
                    "python3 -m pip install matplotlib. Or give --no-plots for the tables alone.")

Files = dict[str, bytes]


def load_plots() -> Any:
    """The module that needs matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ReportError(NEEDS_MATPLOTLIB) from error
    import plots
    return plots


def picture(plot: Any, files: Files) -> str:
    """Markdown for a plot, whose files are added to those of the report."""
    files.update(plot.files())
    return (f'<picture>\n  <source media="(prefers-color-scheme: dark)" srcset="{plot.name}-dark.svg">\n'
            f'  <img alt="{plot.alt}" src="{plot.name}-light.svg" width="826">\n</picture>\n')


def folded(title: str, content: str) -> str:
    return f"<details>\n<summary>{title}</summary>\n\n{content}\n</details>\n"


def pictures(run: Run, pass_name: str, prefix: str, plots: Any, files: Files) -> list[str]:
    cases = run.passes[pass_name]
    all_threads = sorted({case.threads for case in cases})
    levels = [regime for regime in REGIMES if regime not in ("call", "row", "column", *FIRST)]
    speed_up, throughput, more = [], [], []
    for threads in all_threads:
        for plot in plots.throughput_plots(run, pass_name, FIRST, threads, prefix):
            throughput.append(picture(plot, files))
        for plot in plots.throughput_plots(run, pass_name, levels, threads, prefix):
            more.append(picture(plot, files))
        for plot in plots.speed_up_plots(run, pass_name, threads, prefix):
            speed_up.append(picture(plot, files))
    parts = []
    if throughput:
        parts += ["### Throughput\n", *throughput]
    if more:
        parts.append(folded("The same in the other caches", "\n".join(more)))
    if speed_up:
        parts += [f"### Speed-up over {'the ' if not run.limited_to(pass_name) else ''}{run.rival_name(pass_name)}\n",
                  *speed_up]
    return parts


def notes(run: Run, pass_name: str) -> str:
    ours = set_name(run.our_set(pass_name))
    held = run.limited_to(pass_name)
    if not any(run.speed_up(pass_name, case) for case in run.passes[pass_name]):
        return "Neither oneDNN nor libtorch was measured in this run. Means of ratios are geometric.\n"
    compared = (f"In this run oneDNN was held to {ours}, so simdnorm {ours} is set beside it, and no other peer."
                if held else "The best peer is the faster of oneDNN and libtorch at that shape and number of threads.")
    return (f"{compared} Means of ratios are geometric; *least* is the smallest ratio, and the shape that has it.\n")


def pass_section(run: Run, pass_name: str, prefix: str, plots: Optional[Any], files: Files) -> str:
    parts = [f"## {pass_name.capitalize()} pass\n", f"GB/s count {PASSES[pass_name].counted}.\n",
             tables.summary(run, pass_name), notes(run, pass_name)]
    if plots is not None:
        parts += pictures(run, pass_name, prefix, plots, files)
    parts += ["### Every shape\n", folded(f"GB/s of {len(run.passes[pass_name])} shapes and numbers of threads",
                                          tables.every_shape(run, pass_name))]
    return "\n".join(parts)


def run_section(run: Run, index: int, of: int, plots: Optional[Any], files: Files) -> str:
    parts = [f"# Run {index + 1}: {Path(run.path).name}\n"] if of > 1 else []
    parts.append(tables.machine(run))
    prefix = "" if index == 0 else f"run{index + 1}-"
    parts += [pass_section(run, pass_name, prefix, plots, files)
              for pass_name in PASSES if pass_name in run.passes]
    if run.left_out:
        parts.append(folded(f"{len(run.left_out)} measurements failed and are left out",
                            "\n".join(f"- `{line}`" for line in run.left_out) + "\n"))
    return "\n".join(parts)


def errors_section(points: Sequence[ErrorPoint], plots: Optional[Any], files: Files) -> str:
    parts = ["# Error against offset\n", "A constant is added to every element of the rows; the exact result stays the "
             "same. NaN: the output was not a number.\n"]
    for columns in sorted({point.columns for point in points}):
        if plots is not None:
            parts.append(picture(plots.error_plot(points, columns), files))
        parts.append(folded(f"Largest absolute error of y, D = {columns:,}", tables.errors(points, columns)))
    return "\n".join(parts)


def make_report(runs: Sequence[Run], points: Sequence[ErrorPoint], plots: Optional[Any], command: str) -> Files:
    """The files of the report, by name."""
    files: Files = {}
    parts = ["# Benchmark results\n" if len(runs) == 1 else "# Benchmark results of several runs\n",
             "GB/s count what a pass reads and writes once, whatever was really moved. Every number is the median of "
             "its repetitions, and every ratio is taken within one run. `bench/README.md` says how it is measured. "
             f"Made by:\n\n    {command}\n"]
    parts += [run_section(run, index, len(runs), plots, files) for index, run in enumerate(runs)]
    if points:
        parts.append(errors_section(points, plots, files))
    files["report.md"] = "\n".join(parts).encode("utf-8")
    return files


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Turn the benchmark's JSON into a Markdown report with plots.")
    parser.add_argument("results", nargs="+", metavar="results.json",
                        help="what simdnorm_benchmark --benchmark_out=results.json wrote; each is a run of its own")
    parser.add_argument("--out", required=True, metavar="FOLDER", help="where report.md and the plots go")
    parser.add_argument("--errors", metavar="errors.json", help="errors against offset, for a plot of them")
    parser.add_argument("--no-plots", action="store_true", help="tables alone; needs no matplotlib")
    return parser.parse_args(arguments)


def write(files: Files, out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in sorted(files.items()):
            (out / name).write_bytes(content)
    except OSError as error:
        raise ReportError(f"{error.filename}: cannot be written: {error.strerror}") from error


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    try:
        plots = None if options.no_plots else load_plots()
        runs = [read_run(path) for path in options.results]
        points = read_errors(options.errors) if options.errors else []
        for run in runs:
            for line in run.left_out:
                print(f"warning: {run.path}: left out: {line}", file=sys.stderr)
        command = shlex.join(["python3", "bench/report/report.py", *arguments])
        write(make_report(runs, points, plots, command), Path(options.out))
    except ReportError as error:
        print(f"report.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
