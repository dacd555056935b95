"""Reads the benchmark's JSON, and compares what was measured within one file.

A file is one run. Rates of different runs were taken at different times, perhaps on different machines: nothing here
divides a rate of one by a rate of another.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterable, Optional, Sequence, Union

REGIMES = ("call", "L1", "L2", "L3", "memory", "row", "column")
SETS = ("scalar", "neon", "avx2", "avx512")  # simdnorm's, the later the wider
RIVALS = ("onednn", "libtorch")  # the best peer is the faster of them
NAMES = {
    "simdnorm": "simdnorm",
    "onednn": "oneDNN",
    "libtorch": "libtorch",
    "onnxruntime": "ONNX Runtime",
    "ggml": "ggml",
    "copy": "copy",
    "stream": "streaming copy",
    "triad": "triad",
    "stream_triad": "streaming triad",
}
SET_NAMES = {"scalar": "scalar", "neon": "NEON", "avx2": "AVX2", "avx512": "AVX-512"}
REQUIRED_CONTEXT = ("cpu", "compiler", "simdnorm_version", "automatic_instruction_set")


def set_name(instruction_set: str) -> str:
    return SET_NAMES.get(instruction_set, instruction_set)


@dataclass(frozen=True)
class Pass:
    """What is counted, and the contenders that do nothing but move that: the limits."""

    counted: str
    plain: str
    streaming: str


PASSES = {
    "forward": Pass("x read once and y written once, 8 bytes an element", "copy", "stream"),
    "backward": Pass("dy and x read once and dx written once, 12 bytes an element", "triad", "stream_triad"),
}
LIMITS = tuple(name for one in PASSES.values() for name in (one.plain, one.streaming))


class ReportError(Exception):
    """Input that no report can be made of; the message names the file and the field."""


@dataclass(frozen=True, order=True)
class Case:
    """What every contender is given: a shape, where its data lie, and threads."""

    columns: int
    rows: int
    threads: int
    regime: str


@dataclass(frozen=True, order=True)
class Contender:
    name: str
    set: str


Rates = dict[Contender, float]  # bytes per second


def rate_of(rates: Rates, name: str, instruction_set: Optional[str] = None) -> Optional[float]:
    """The rate of a contender; of its fastest set, if none is named."""
    found = [rate for who, rate in rates.items() if who.name == name and instruction_set in (None, who.set)]
    return max(found, default=None)


def ratio(part: Optional[float], whole: Optional[float]) -> Optional[float]:
    return None if part is None or whole is None else part / whole


def limit_of(pass_name: str, case: Case, rates: Rates) -> Optional[float]:
    """The copy or triad that bounds a case: the streaming one in memory, the plain one in cache.

    Long rows and columns lie wherever their size puts them, so there it is the faster of the two.
    """
    plain, streaming = rate_of(rates, PASSES[pass_name].plain), rate_of(rates, PASSES[pass_name].streaming)
    if case.regime == "memory":
        return streaming
    if case.regime in ("row", "column"):
        return max((rate for rate in (plain, streaming) if rate is not None), default=None)
    return plain


def place(name: str, order: Sequence[str]) -> int:
    """Where a name stands in an order; those that are not in it come last."""
    return order.index(name) if name in order else len(order)


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(math.log(value) for value in values))


@dataclass
class Run:
    """One file: every rate in it is a median of repetitions, by pass and case."""

    path: str
    context: dict[str, Any]
    passes: dict[str, dict[Case, Rates]]
    left_out: list[str] = field(default_factory=list)  # one line for each measurement that failed

    @property
    def automatic_set(self) -> str:
        return str(self.context["automatic_instruction_set"])

    def contenders(self, pass_name: str) -> set[Contender]:
        return {contender for rates in self.passes[pass_name].values() for contender in rates}

    def limited_to(self, pass_name: str) -> Optional[str]:
        """The instruction set that oneDNN was held to, if that is a lesser one than simdnorm's automatic set."""
        sets = {contender.set for contender in self.contenders(pass_name) if contender.name == "onednn"}
        if len(sets) != 1 or self.automatic_set not in SETS:
            return None
        only = sets.pop()
        return only if only in SETS and SETS.index(only) < SETS.index(self.automatic_set) else None

    def our_set(self, pass_name: str) -> str:
        """The set of simdnorm that is compared: the automatic one, or that which oneDNN was held to as well."""
        return self.limited_to(pass_name) or self.automatic_set

    def rival_name(self, pass_name: str) -> str:
        limit = self.limited_to(pass_name)
        return f"oneDNN held to {set_name(limit)}" if limit else "best peer"

    def title(self, pass_name: str, contender: Contender) -> str:
        """simdnorm goes by its instruction set as well, and so does a contender with several sets or one held back."""
        name = NAMES.get(contender.name, contender.name)
        sets = {other.set for other in self.contenders(pass_name) if other.name == contender.name}
        held = contender.name == "onednn" and self.limited_to(pass_name) is not None
        return f"{name} {set_name(contender.set)}" if contender.name == "simdnorm" or len(sets) > 1 or held else name

    def our_rate(self, pass_name: str, case: Case) -> Optional[float]:
        return rate_of(self.passes[pass_name][case], "simdnorm", self.our_set(pass_name))

    def speed_up(self, pass_name: str, case: Case) -> Optional[float]:
        """simdnorm's rate as a multiple of the best peer's; like with like in a run that held oneDNN back."""
        rivals = RIVALS[:1] if self.limited_to(pass_name) else RIVALS
        rates = [rate_of(self.passes[pass_name][case], rival) for rival in rivals]
        best = max((rate for rate in rates if rate is not None), default=None)
        return ratio(self.our_rate(pass_name, case), best)

    def share_of_limit(self, pass_name: str, case: Case) -> Optional[float]:
        return ratio(self.our_rate(pass_name, case), limit_of(pass_name, case, self.passes[pass_name][case]))


def read_json(path: str) -> dict[str, Any]:
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ReportError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ReportError(f"{path}: not an object with the fields 'context' and 'benchmarks' or 'errors'")
    return content


def required(content: dict[str, Any], name: str, kind: Union[type, tuple[type, ...]], where: str) -> Any:
    if name not in content:
        raise ReportError(f"{where}: field '{name}' is missing")
    if not isinstance(content[name], kind) or isinstance(content[name], bool):
        raise ReportError(f"{where}: field '{name}' is {content[name]!r}, which is not of the right kind")
    return content[name]


def positive(row: dict[str, Any], name: str, where: str) -> float:
    value = required(row, name, (int, float), where)
    if not (math.isfinite(value) and value > 0):
        raise ReportError(f"{where}: field '{name}' is {value}, and must be positive")
    return float(value)


def whole(row: dict[str, Any], name: str, where: str) -> int:
    value = positive(row, name, where)
    if value != int(value):
        raise ReportError(f"{where}: field '{name}' is {value}, and must be a whole number")
    return int(value)


def label_facts(row: dict[str, Any], where: str) -> dict[str, str]:
    facts = dict(part.partition("=")[::2] for part in required(row, "label", str, where).split())
    for name in ("pass", "contender", "set", "regime"):
        if not facts.get(name):
            raise ReportError(f"{where}: field 'label' has no '{name}='")
    if facts["pass"] not in PASSES:
        raise ReportError(f"{where}: field 'label' has 'pass={facts['pass']}', which is none of {', '.join(PASSES)}")
    return facts


def rows_to_use(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The repetitions themselves; the medians of Google Benchmark where a file has nothing else."""
    repetitions = [row for row in rows if row.get("run_type") == "iteration"]
    medians = [row for row in rows if row.get("aggregate_name") == "median"]
    return repetitions if any(not failure(row) for row in repetitions) else repetitions + medians


def failure(row: dict[str, Any]) -> Optional[str]:
    if row.get("error_occurred") or row.get("skipped"):
        return str(row.get("error_message") or row.get("skip_message") or "failed without a message")
    return None


def read_run(path: str) -> Run:
    content = read_json(path)
    context = required(content, "context", dict, path)
    for name in REQUIRED_CONTEXT:
        required(context, name, str, f"{path}: context")
    samples: dict[tuple[str, Case, Contender], list[float]] = defaultdict(list)
    left_out: dict[str, str] = {}
    for index, row in enumerate(rows_to_use(required_rows(content, "benchmarks", path))):
        name = row.get("name", f"row {index}")
        where = f"{path}: {name}"
        if failure(row) is not None:
            left_out[name] = f"{name}: {failure(row)}"
            continue
        facts = label_facts(row, where)
        case = Case(whole(row, "D", where), whole(row, "N", where), whole(row, "num_threads", where), facts["regime"])
        contender = Contender(facts["contender"], facts["set"])
        samples[facts["pass"], case, contender].append(positive(row, "bytes_per_second", where))
    if not samples:
        raise ReportError(f"{path}: field 'benchmarks' has no result that can be used")
    passes: dict[str, dict[Case, Rates]] = defaultdict(lambda: defaultdict(dict))
    for (pass_name, case, contender), rates in sorted(samples.items()):
        passes[pass_name][case][contender] = statistics.median(rates)
    return Run(path, context, {name: dict(cases) for name, cases in passes.items()}, list(left_out.values()))


def required_rows(content: dict[str, Any], name: str, path: str) -> list[dict[str, Any]]:
    rows = required(content, name, list, path)
    if not rows:
        raise ReportError(f"{path}: field '{name}' is empty: no results")
    for index, row in enumerate(rows):
        if not isinstance(row, dict):
            raise ReportError(f"{path}: field '{name}': entry {index} is not an object")
    return rows


@dataclass(frozen=True)
class ErrorPoint:
    contender: str
    offset: float
    columns: int
    error: Optional[float]  # None where the output was not a number


def read_errors(path: str) -> list[ErrorPoint]:
    points = []
    for index, row in enumerate(required_rows(read_json(path), "errors", path)):
        where = f"{path}: errors[{index}]"
        contender = required(row, "contender", str, where)
        offset = required(row, "offset", (int, float), where)
        error = required(row, "max_abs_error", (int, float, type(None)), where)
        if error is not None and math.isnan(error):
            error = None
        if not math.isfinite(offset) or offset < 0 or (error is not None and not 0 <= error < math.inf):
            raise ReportError(f"{where}: 'offset' and 'max_abs_error' must be finite and not below 0")
        points.append(ErrorPoint(contender, float(offset), whole(row, "columns", where), error))
    return points
