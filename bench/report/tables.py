"""The tables of the report, in Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Optional, Sequence

from results import (NAMES, PASSES, REGIMES, RIVALS, SETS, Case, Contender, ErrorPoint, Run, geometric_mean, place,
                     rate_of, ratio, set_name)

NARROW = (33, 48, 64, 96, 100, 128)  # the D below 256
NOTHING = "–"
Ratio = Callable[[Case], Optional[float]]


@dataclass(frozen=True)
class Group:
    """A line of the summary."""

    title: str
    holds: Callable[[Case], bool]


GROUPS = (
    Group("a call on at most 4,096 elements", lambda case: case.regime == "call"),
    Group(
        "D below 256, in cache and memory",
        lambda case: case.columns in NARROW and case.regime in ("L1", "L2", "L3", "memory"),
    ),
    Group("data in L2, D = 384 to 5,120", lambda case: case.regime == "L2" and 384 <= case.columns <= 5120),
    Group("data in L3, D = 256 to 50,257", lambda case: case.regime == "L3" and 256 <= case.columns <= 50257),
    Group("data in memory, D = 320 to 50,257", lambda case: case.regime == "memory" and 320 <= case.columns <= 50257),
    Group("long rows", lambda case: case.regime == "row"),
    Group("long columns", lambda case: case.regime == "column"),
    Group("**every shape**", lambda case: True),
)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """A table whose first `left` columns are aligned to the left, all others to the right."""
    rules = ["---" if column < left else "---:" for column in range(len(header))]
    return "".join("| " + " | ".join(cells) + " |\n" for cells in (header, rules, *rows))


def number(value: Optional[float]) -> str:
    return NOTHING if value is None else f"{value:.2f}"


def gigabytes(rate: Optional[float]) -> str:
    return NOTHING if rate is None else f"{rate * 1e-9:.{2 if rate < 10e9 else 1}f}"


def in_order(contenders: Iterable[Contender]) -> list[Contender]:
    """simdnorm's sets from the widest, then the peers, then the limits."""
    names = list(NAMES)
    return sorted(contenders, key=lambda c: (place(c.name, names), -place(c.set, SETS), c.name, c.set))


def mean_of(ratio_of: Ratio, cases: Sequence[Case]) -> str:
    """The geometric mean, and of how many shapes where some lack one of the two rates."""
    values = [value for value in map(ratio_of, cases) if value is not None]
    if not values:
        return NOTHING
    return number(geometric_mean(values)) + (f" ({len(values)} of {len(cases)})" if len(values) < len(cases) else "")


def least_of(ratio_of: Ratio, cases: Iterable[Case]) -> str:
    """The least ratio, and the shape that has it."""
    found = [(value, case) for case in cases if (value := ratio_of(case)) is not None]
    if not found:
        return NOTHING
    value, case = min(found)
    return f"{number(value)} ({case.rows:,} × {case.columns:,})"


def summary(run: Run, pass_name: str) -> str:
    cases = run.passes[pass_name]
    ours = set_name(run.our_set(pass_name))
    rival = run.rival_name(pass_name)
    streaming = PASSES[pass_name].streaming

    def speed_up(case: Case) -> Optional[float]:
        return run.speed_up(pass_name, case)

    def share_of_stream(case: Case) -> Optional[float]:
        return ratio(run.our_rate(pass_name, case), rate_of(cases[case], streaming))

    def of_sets(case: Case) -> Optional[float]:
        return ratio(rate_of(cases[case], "simdnorm", "avx2"), rate_of(cases[case], "simdnorm", "avx512"))

    def avx2_speed_up(case: Case) -> Optional[float]:
        return ratio(rate_of(cases[case], "simdnorm", "avx2"), rate_of(cases[case], "onednn", "avx2"))

    header = ["", "threads", "shapes", f"{ours} / {rival}", "least (N × D)", f"{ours} / {NAMES[streaming]}, in memory",
              "least (N × D)", "AVX2 / AVX-512, in memory"]
    # In a run that held oneDNN to AVX2 the first ratio is this one.
    both_avx2 = not run.limited_to(pass_name) and any(avx2_speed_up(case) is not None for case in cases)
    if both_avx2:
        header += ["AVX2 / oneDNN held to AVX2", "least (N × D)"]
    lines = []
    for group in GROUPS:
        for threads in sorted({case.threads for case in cases}):
            chosen = sorted(case for case in cases if case.threads == threads and group.holds(case))
            if not chosen:
                continue
            in_memory = [case for case in chosen if case.regime == "memory"]
            line = [group.title, str(threads), str(len(chosen)), mean_of(speed_up, chosen), least_of(speed_up, chosen),
                    mean_of(share_of_stream, in_memory), least_of(share_of_stream, in_memory),
                    mean_of(of_sets, in_memory)]
            if both_avx2:
                line += [mean_of(avx2_speed_up, chosen), least_of(avx2_speed_up, chosen)]
            lines.append(line)
    return markdown(header, lines)


def every_shape(run: Run, pass_name: str) -> str:
    cases = run.passes[pass_name]
    contenders = in_order(run.contenders(pass_name))
    header = ["D", "N", "data in", "threads", *(run.title(pass_name, contender) for contender in contenders),
              f"/ {run.rival_name(pass_name)}", f"share of the {PASSES[pass_name].plain} limit"]
    lines = []
    for case in sorted(cases, key=lambda case: (case.columns, case.rows, place(case.regime, REGIMES), case.threads)):
        rates = cases[case]
        lines.append([f"{case.columns:,}", f"{case.rows:,}", case.regime, str(case.threads),
                      *(gigabytes(rates.get(contender)) for contender in contenders),
                      number(run.speed_up(pass_name, case)), number(run.share_of_limit(pass_name, case))])
    return markdown(header, lines, left=0)


def caches(run: Run) -> str:
    """As the benchmark words them, or else from Google Benchmark's list."""
    if run.context.get("cache_sizes"):
        return str(run.context["cache_sizes"])
    found = []
    for cache in run.context.get("caches") or []:
        if isinstance(cache, dict) and cache.get("type") != "Instruction" and cache.get("size"):
            kibibytes = cache["size"] / 1024
            size = f"{kibibytes / 1024:g} MiB" if kibibytes >= 1024 else f"{kibibytes:g} KiB"
            found.append(f"L{cache.get('level', '?')} {size}")
    return ", ".join(found)


def machine(run: Run) -> str:
    """What was measured, on what, when and by which command."""
    context = run.context
    lines = [("CPU", context["cpu"])]
    lines += [("CPUs", context["num_cpus"])] if "num_cpus" in context else []
    lines += [("Caches", caches(run))] if caches(run) else []
    automatic = set_name(run.automatic_set)
    lines += [("simdnorm", f"{context['simdnorm_version']}, automatic instruction set {automatic}"),
              ("Compiler", context["compiler"])]
    for peer in (*RIVALS, "onnxruntime", "ggml"):
        if context.get(f"{peer}_version"):
            lines.append((NAMES[peer], context[f"{peer}_version"]))
    lines += [("Date", context["date"])] if "date" in context else []
    program = context.get("command_line") or context.get("executable")
    lines += [("Benchmark", f"`{program}`")] if program else []
    return markdown(["", run.path.rsplit("/", 1)[-1]], ((what, str(value)) for what, value in lines), left=2)


def errors(points: Sequence[ErrorPoint], columns: int) -> str:
    """The errors at one D: offsets down, contenders across."""
    chosen = {(point.offset, point.contender): point.error for point in points if point.columns == columns}
    contenders = sorted({name for _, name in chosen}, key=lambda name: (place(name, list(NAMES)), name))
    lines = []
    for offset in sorted({offset for offset, _ in chosen}):
        cells = [f"{chosen[offset, name]:.1e}" if chosen.get((offset, name)) is not None
                 else "NaN" if (offset, name) in chosen else NOTHING for name in contenders]
        lines.append([f"{offset:g}", *cells])
    return markdown(["offset", *(NAMES.get(name, name) for name in contenders)], lines, left=0)
