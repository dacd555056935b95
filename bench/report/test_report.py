"""python3 -m unittest discover bench/report"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Optional
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
import report  # noqa: E402
from results import Case, Contender, Run, limit_of, read_errors, read_run  # noqa: E402

HAVE_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
CONTEXT = {"cpu": "A CPU", "compiler": "GCC 12", "simdnorm_version": "0.1.0", "automatic_instruction_set": "avx512",
           "onednn_version": "3.7", "num_cpus": 2, "date": "2026-01-01T00:00:00+00:00"}
MEMORY = Case(1024, 16384, 1, "memory")
NARROW = Case(64, 262144, 1, "memory")
CACHE = Case(768, 85, 1, "L2")
CALL = Case(96, 8, 2, "call")
Json = dict[str, Any]


def setUpModule() -> None:
    if not HAVE_MATPLOTLIB:
        print("NOTE: matplotlib is missing, so the plots are not tested (Debian: apt-get install python3-matplotlib)",
              file=sys.stderr)


def row(case: Case, contender: str, gigabytes: float, instruction_set: str = "default", pass_name: str = "forward",
        **others: Any) -> Json:
    return {
        "name": f"{pass_name}/{contender}/{instruction_set}/N:{case.rows}/D:{case.columns}", "run_type": "iteration",
        "label": f"pass={pass_name} contender={contender} set={instruction_set} regime={case.regime}",
        "N": float(case.rows), "D": float(case.columns), "num_threads": float(case.threads),
        "bytes_per_second": gigabytes * 1e9, **others}


def results() -> Json:
    """A run whose ratios are round numbers."""
    rows = [row(MEMORY, "simdnorm", rate, "avx512") for rate in (1, 20, 24)]  # median 20
    rows += [row(MEMORY, "simdnorm", 10, "avx2"), row(MEMORY, "onednn", 8), row(MEMORY, "libtorch", 10),
             row(MEMORY, "ggml", 19), row(MEMORY, "copy", 16, "avx512"), row(MEMORY, "stream", 25, "avx512")]
    rows += [row(NARROW, "simdnorm", 16, "avx512"), row(NARROW, "simdnorm", 16, "avx2"), row(NARROW, "onednn", 2),
             row(NARROW, "libtorch", 1), row(NARROW, "stream", 32, "avx512")]
    rows += [row(CACHE, "simdnorm", 60, "avx512"), row(CACHE, "onednn", 80), row(CACHE, "copy", 120, "avx512"),
             row(CACHE, "stream", 40, "avx512")]
    rows += [row(CALL, "simdnorm", 6, "avx512"), row(CALL, "libtorch", 2)]
    return {"context": dict(CONTEXT), "benchmarks": rows}


def both_passes() -> Json:
    """The same, and a backward pass over two of its shapes."""
    rates = {MEMORY: (("simdnorm", 6), ("onednn", 8), ("libtorch", 4), ("triad", 20), ("stream_triad", 30)),
             CACHE: (("simdnorm", 48), ("libtorch", 16), ("triad", 96), ("stream_triad", 60))}
    content = results()
    content["benchmarks"] += [row(case, name, rate, "avx512" if name == "simdnorm" else "default", "backward")
                              for case, found in rates.items() for name, rate in found]
    return content


def limited() -> Json:
    """A run in which oneDNN was held to AVX2."""
    rows = [row(MEMORY, "simdnorm", 1000, "avx512"), row(MEMORY, "simdnorm", 500, "avx2"),
            row(MEMORY, "onednn", 200, "avx2"), row(MEMORY, "libtorch", 400), row(MEMORY, "stream", 1000, "avx512")]
    return {"context": dict(CONTEXT), "benchmarks": rows}


def cells(markdown: str, *starts: str) -> list[str]:
    """The cells of the one line of the tables that starts with these."""
    found = []
    for line in markdown.splitlines():
        parts = [part.strip() for part in line.strip("|").split(" | ")]
        if line.startswith("|") and parts[:len(starts)] == list(starts):
            found.append(parts)
    if len(found) != 1:
        raise AssertionError(f"{len(found)} lines start with {starts}:\n{markdown}")
    return found[0]


class Folder(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.out = self.folder / "out"

    def save(self, content: Any, name: str = "results.json") -> str:
        path = self.folder / name
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return str(path)

    def run_of(self, content: Json) -> Run:
        return read_run(self.save(content))

    def report(self, *arguments: str) -> tuple[int, str]:
        """The exit status, and what was said on standard error."""
        said = io.StringIO()
        with contextlib.redirect_stderr(said):
            status = report.main([*arguments, "--out", str(self.out)])
        return status, said.getvalue()

    def markdown(self, *contents: Json) -> str:
        paths = [self.save(content, f"run{i}.json") for i, content in enumerate(contents)]
        self.assertEqual(self.report(*paths, "--no-plots"), (0, ""))
        return (self.out / "report.md").read_text(encoding="utf-8")


class Reading(Folder):
    def test_takes_the_median_of_the_repetitions(self) -> None:
        rates = self.run_of(results()).passes["forward"][MEMORY]
        self.assertEqual(rates[Contender("simdnorm", "avx512")], 20e9)

    def test_ignores_aggregates_beside_repetitions(self) -> None:
        content = results()
        content["benchmarks"].append(row(MEMORY, "simdnorm", 99, "avx512", run_type="aggregate",
                                         aggregate_name="median"))
        self.assertEqual(self.run_of(content).our_rate("forward", MEMORY), 20e9)

    def test_takes_the_median_aggregate_where_there_is_nothing_else(self) -> None:
        content = results()
        content["benchmarks"] = [row(MEMORY, "simdnorm", rate, "avx512", run_type="aggregate", aggregate_name=name)
                                 for name, rate in (("mean", 5), ("median", 7), ("cv", 9))]
        self.assertEqual(self.run_of(content).our_rate("forward", MEMORY), 7e9)

    def test_leaves_out_what_failed_with_a_warning(self) -> None:
        content = results()
        bad = {"name": "forward/ggml/bad", "run_type": "iteration", "error_occurred": True, "error_message": "wrong y"}
        content["benchmarks"] += [bad, bad]
        status, said = self.report(self.save(content), "--no-plots")
        self.assertEqual(status, 0)
        self.assertEqual(said.count("warning: "), 1)
        self.assertIn("results.json: left out: forward/ggml/bad: wrong y", said)
        self.assertIn("forward/ggml/bad: wrong y", (self.out / "report.md").read_text(encoding="utf-8"))

    def test_errors_may_be_null(self) -> None:
        content = {"errors": [{"contender": "ggml", "offset": 1e4, "columns": 768, "max_abs_error": None}]}
        self.assertIsNone(read_errors(self.save(content))[0].error)


class BadInput(Folder):
    def expect(self, content: Any, *words: str, option: Optional[str] = None) -> None:
        path = content if content == "absent.json" else self.save(content, "bad.json")
        arguments = [path] if option is None else [self.save(results()), option, path]
        status, said = self.report(*arguments, "--no-plots")
        self.assertEqual(status, 1)
        for word in (path, *words):
            self.assertIn(word, said)
        self.assertFalse(self.out.exists(), "something was written")

    def without(self, name: str) -> Json:
        content = results()
        del content["benchmarks"][0][name]
        return content

    def test_no_file(self) -> None:
        self.expect("absent.json", "No such file")

    def test_no_json(self) -> None:
        self.expect("{", "not JSON")
        self.expect([], "not an object")

    def test_no_results(self) -> None:
        self.expect({"context": CONTEXT, "benchmarks": []}, "'benchmarks'", "empty")
        self.expect({"context": CONTEXT}, "'benchmarks'", "missing")

    def test_nothing_but_failures(self) -> None:
        bad = {"name": "a", "run_type": "iteration", "error_occurred": True}
        self.expect({"context": CONTEXT, "benchmarks": [bad]}, "'benchmarks'", "no result")

    def test_missing_context(self) -> None:
        self.expect({"benchmarks": results()["benchmarks"]}, "'context'", "missing")
        for name in ("cpu", "compiler", "simdnorm_version", "automatic_instruction_set"):
            content = results()
            del content["context"][name]
            self.expect(content, "context", f"'{name}'", "missing")

    def test_missing_fields(self) -> None:
        for name in ("label", "N", "D", "num_threads", "bytes_per_second"):
            self.expect(self.without(name), "forward/simdnorm/avx512/N:16384/D:1024", f"'{name}'", "missing")

    def test_incomplete_label(self) -> None:
        content = results()
        content["benchmarks"][0]["label"] = "pass=forward contender=simdnorm set=avx512"
        self.expect(content, "'label'", "regime=")

    def test_unknown_pass(self) -> None:
        content = results()
        content["benchmarks"][0]["label"] = "pass=sideways contender=simdnorm set=avx512 regime=L1"
        self.expect(content, "'label'", "pass=sideways", "forward, backward")

    def test_wrong_values(self) -> None:
        for name, value in (("N", 1.5), ("D", "many"), ("bytes_per_second", 0), ("bytes_per_second", float("nan"))):
            content = results()
            content["benchmarks"][0][name] = value
            self.expect(content, f"'{name}'")

    def test_errors_file(self) -> None:
        self.expect({"errors": []}, "'errors'", option="--errors")
        self.expect({"errors": [{"contender": "ggml", "offset": 1, "columns": 8}]}, "errors[0]", "'max_abs_error'",
                    option="--errors")

    def test_one_bad_file_of_two(self) -> None:
        self.assertEqual(self.report(self.save(results()), "absent.json", "--no-plots")[0], 1)
        self.assertFalse(self.out.exists())


class Ratios(Folder):
    def test_best_peer_is_the_faster_of_onednn_and_libtorch(self) -> None:
        run = self.run_of(results())
        self.assertEqual(run.speed_up("forward", MEMORY), 2)  # libtorch; ggml, faster still, is not asked
        self.assertEqual(run.speed_up("forward", NARROW), 8)  # oneDNN
        self.assertEqual(run.speed_up("forward", CACHE), 0.75)  # oneDNN alone
        self.assertEqual(run.speed_up("forward", CALL), 3)  # libtorch alone

    def test_peers_at_other_threads_do_not_count(self) -> None:
        content = results()
        other = Case(MEMORY.columns, MEMORY.rows, 2, MEMORY.regime)
        content["benchmarks"].append(row(other, "onednn", 1000))
        self.assertEqual(self.run_of(content).speed_up("forward", MEMORY), 2)

    def test_limit(self) -> None:
        rates = {Contender(name, "avx"): rate
                 for name, rate in (("copy", 3.0), ("stream", 2.0), ("triad", 5.0), ("stream_triad", 4.0))}
        for pass_name, plain, streaming in (("forward", 3, 2), ("backward", 5, 4)):
            self.assertEqual(limit_of(pass_name, CACHE, rates), plain)
            self.assertEqual(limit_of(pass_name, MEMORY, rates), streaming)
            self.assertEqual(limit_of(pass_name, Case(1 << 24, 1, 1, "row"), rates), plain)
            self.assertEqual(limit_of(pass_name, Case(2, 1 << 24, 1, "column"), rates), plain)

    def test_passes_are_apart(self) -> None:
        run = self.run_of(both_passes())
        self.assertEqual(run.speed_up("forward", MEMORY), 2)
        self.assertEqual(run.speed_up("backward", MEMORY), 0.75)
        self.assertEqual(run.share_of_limit("forward", MEMORY), 0.8)
        self.assertEqual(run.share_of_limit("backward", MEMORY), 0.2)


class Tables(Folder):
    def test_summary(self) -> None:
        table = self.markdown(results())
        everything = cells(table, "**every shape**", "1")
        self.assertEqual(everything[2], "3")
        self.assertEqual(everything[3], "2.29")  # (2 * 8 * 0.75)^(1/3)
        self.assertEqual(everything[4], "0.75 (85 × 768)")
        self.assertEqual(everything[5], "0.63")  # sqrt(20/25 * 16/32); the share in L2 is left aside
        self.assertEqual(everything[6], "0.50 (262,144 × 64)")
        self.assertEqual(everything[7], "0.71")  # sqrt(10/20 * 16/16)
        self.assertEqual(cells(table, "**every shape**", "2")[2:5], ["1", "3.00", "3.00 (8 × 96)"])

    def test_groups(self) -> None:
        table = self.markdown(results())
        self.assertEqual(cells(table, "a call on at most 4,096 elements", "2")[3], "3.00")
        self.assertEqual(cells(table, "D below 256, in cache and memory", "1")[3], "8.00")
        self.assertEqual(cells(table, "data in L2, D = 384 to 5,120", "1")[3:6], ["0.75", "0.75 (85 × 768)", "–"])
        self.assertEqual(cells(table, "data in memory, D = 320 to 50,257", "1")[3], "2.00")
        self.assertNotIn("long rows", table)

    def test_long_rows_and_columns(self) -> None:
        content = results()
        for case, rate in ((Case(3000000, 2, 1, "row"), 4), (Case(2, 3000000, 1, "column"), 6)):
            content["benchmarks"] += [row(case, "simdnorm", rate, "avx512"), row(case, "onednn", 2)]
        table = self.markdown(content)
        self.assertEqual(cells(table, "long rows", "1")[2:5], ["1", "2.00", "2.00 (2 × 3,000,000)"])
        self.assertEqual(cells(table, "long columns", "1")[2:5], ["1", "3.00", "3.00 (3,000,000 × 2)"])

    def test_says_how_many_shapes_have_a_peer(self) -> None:
        content = results()
        content["benchmarks"] = [line for line in content["benchmarks"]
                                 if not ("onednn" in line["label"] and line["D"] == CACHE.columns)]
        self.assertEqual(cells(self.markdown(content), "**every shape**", "1")[2:4], ["3", "4.00 (2 of 3)"])

    def test_every_shape(self) -> None:
        table = self.markdown(results())
        self.assertEqual(cells(table, "D", "N")[4:],
                         ["simdnorm AVX-512", "simdnorm AVX2", "oneDNN", "libtorch", "ggml", "copy", "streaming copy",
                          "/ best peer", "share of the copy limit"])
        self.assertEqual(cells(table, "1,024", "16,384"),
                         ["1,024", "16,384", "memory", "1", "20.0", "10.0", "8.00", "10.0", "19.0", "16.0", "25.0",
                          "2.00", "0.80"])
        self.assertEqual(cells(table, "768", "85")[-2:], ["0.75", "0.50"])  # of the plain copy

    def test_machine(self) -> None:
        table = self.markdown(results())
        self.assertEqual(cells(table, "CPU")[1], "A CPU")
        self.assertEqual(cells(table, "oneDNN")[1], "3.7")
        self.assertIn("automatic instruction set AVX-512", cells(table, "simdnorm")[1])
        self.assertNotIn("| libtorch | ", table.split("## Forward")[0])

    def test_a_section_for_each_pass(self) -> None:
        forward, backward = self.markdown(both_passes()).split("## Backward pass")
        self.assertIn("## Forward pass", forward)
        self.assertIn("8 bytes an element", forward)
        self.assertIn("12 bytes an element", backward)
        self.assertEqual(cells(backward, "", "threads")[5], "AVX-512 / streaming triad, in memory")
        self.assertEqual(cells(backward, "**every shape**", "1")[2:7],
                         ["2", "1.50", "0.75 (16,384 × 1,024)", "0.20", "0.20 (16,384 × 1,024)"])
        self.assertEqual(cells(backward, "D", "N")[4:],
                         ["simdnorm AVX-512", "oneDNN", "libtorch", "triad", "streaming triad", "/ best peer",
                          "share of the triad limit"])
        self.assertEqual(cells(backward, "768", "85")[-2:], ["3.00", "0.50"])  # of the plain triad

    def test_avx2_beside_onednn_held_to_avx2(self) -> None:
        content = results()
        content["benchmarks"].append(row(MEMORY, "onednn", 4, "avx2"))
        table = self.markdown(content)
        self.assertEqual(cells(table, "**every shape**", "1")[8:], ["2.50 (1 of 3)", "2.50 (16,384 × 1,024)"])
        self.assertEqual(cells(table, "1,024", "16,384")[-2], "2.00")

    def test_errors(self) -> None:
        points = [{"contender": name, "offset": 1e4, "columns": 768, "max_abs_error": error}
                  for name, error in (("simdnorm", 3e-7), ("ggml", None))]
        errors = self.save({"errors": points}, "errors.json")
        self.assertEqual(self.report(self.save(results()), "--errors", errors, "--no-plots"), (0, ""))
        self.assertEqual(cells((self.out / "report.md").read_text(encoding="utf-8"), "10000"),
                         ["10000", "3.0e-07", "NaN"])


class SeveralRuns(Folder):
    def test_ratios_stay_within_a_run(self) -> None:
        slow, fast = results(), results()
        for line in fast["benchmarks"]:
            line["bytes_per_second"] *= 100
        fast["benchmarks"] = [line for line in fast["benchmarks"] if "libtorch" not in line["label"]]
        first, second = self.markdown(slow, fast).split("# Run 2: run1.json")
        self.assertEqual(cells(first, "1,024", "16,384")[-2:], ["2.00", "0.80"])
        self.assertEqual(cells(second, "1,024", "16,384")[-2:], ["2.50", "0.80"])  # 2000 / 800

    def test_onednn_held_to_avx2_is_set_beside_avx2(self) -> None:
        first, second = self.markdown(results(), limited()).split("# Run 2: run1.json")
        self.assertIn("AVX-512 / best peer", first)
        self.assertIn("AVX2 / oneDNN held to AVX2", second)
        self.assertNotIn("best peer", second)
        self.assertEqual(cells(second, "**every shape**", "1")[3:],
                         ["2.50", "2.50 (16,384 × 1,024)", "0.50", "0.50 (16,384 × 1,024)", "0.50"])
        self.assertIn("oneDNN AVX2", cells(second, "D", "N"))

    def test_a_machine_without_avx512_is_not_held_back(self) -> None:
        content = limited()
        content["context"]["automatic_instruction_set"] = "avx2"
        self.assertEqual(self.run_of(content).speed_up("forward", MEMORY), 1.25)  # libtorch is the best peer


class WithoutMatplotlib(Folder):
    def test_says_how_to_install_it(self) -> None:
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            status, said = self.report(self.save(results()))
        self.assertEqual(status, 1)
        for word in ("python3-matplotlib", "--no-plots"):
            self.assertIn(word, said)
        self.assertFalse(self.out.exists())

    def test_makes_tables(self) -> None:
        with mock.patch.dict(sys.modules, {"matplotlib": None}):
            self.assertEqual(self.report(self.save(results()), "--no-plots"), (0, ""))
        self.assertEqual(os.listdir(self.out), ["report.md"])
        self.assertNotIn("<picture>", (self.out / "report.md").read_text(encoding="utf-8"))


@unittest.skipUnless(HAVE_MATPLOTLIB, "matplotlib is missing")
class Plots(Folder):
    NAMES = ("throughput-forward-1-thread-memory", "throughput-forward-1-thread-L2", "speed-up-forward-1-thread",
             "speed-up-forward-2-threads", "throughput-backward-1-thread-memory", "throughput-backward-1-thread-L2",
             "speed-up-backward-1-thread", "run2-throughput-forward-1-thread-memory", "run2-speed-up-forward-1-thread",
             "error-768-columns")

    def files(self) -> dict[str, bytes]:
        errors = [{"contender": name, "offset": offset, "columns": 768, "max_abs_error": error}
                  for name, offset, error in (("simdnorm", 0, 1e-7), ("simdnorm", 1e4, 3e-7), ("onednn", 1e4, 1e-2),
                                              ("libtorch", 1e4, 0), ("ggml", 1e4, None))]
        status = self.report(self.save(both_passes()), self.save(limited(), "limited.json"),
                             "--errors", self.save({"errors": errors}, "errors.json"))
        self.assertEqual(status, (0, ""))
        return {path.name: path.read_bytes() for path in self.out.iterdir()}

    def test_are_written_light_and_dark(self) -> None:
        names = {f"{name}-{theme}.svg" for name in self.NAMES for theme in ("light", "dark")}
        self.assertEqual(set(self.files()), names | {"report.md"})

    def test_are_embedded(self) -> None:
        text = self.files()["report.md"].decode("utf-8")
        for name in self.NAMES:
            self.assertEqual(text.count(f'srcset="{name}-dark.svg"'), 1)
            self.assertEqual(text.count(f'src="{name}-light.svg"'), 1)

    def test_are_well_formed_with_text_as_text(self) -> None:
        files = self.files()
        for name, content in files.items():
            if name.endswith(".svg"):
                words = [text for element in ElementTree.fromstring(content).iter() if (text := element.text or "")]
                self.assertTrue(any("1 thread" in word or "2 threads" in word or "Error" in word for word in words))
        self.assertIn(b">streaming copy<", files["throughput-forward-1-thread-memory-light.svg"])
        self.assertIn(b">streaming triad<", files["throughput-backward-1-thread-memory-dark.svg"])
        self.assertIn(b">triad<", files["throughput-backward-1-thread-L2-light.svg"])
        self.assertIn(b">0.75<", files["speed-up-backward-1-thread-light.svg"])
        self.assertIn(b">8.00<", files["speed-up-forward-1-thread-dark.svg"])
        self.assertIn(b">NaN<", files["error-768-columns-light.svg"])

    def test_are_the_same_bytes_again(self) -> None:
        self.assertEqual(self.files(), self.files())

    def test_need_no_peers_and_no_copies(self) -> None:
        content = results()
        content["benchmarks"] = [line for line in content["benchmarks"] if "contender=simdnorm" in line["label"]]
        self.assertEqual(self.report(self.save(content)), (0, ""))
        self.assertFalse(any(path.name.startswith("speed-up") for path in self.out.iterdir()))

    def test_errors_may_all_be_not_numbers(self) -> None:
        points = [{"contender": "ggml", "offset": 0, "columns": 768, "max_abs_error": None}]
        errors = self.save({"errors": points}, "errors.json")
        self.assertEqual(self.report(self.save(results()), "--errors", errors), (0, ""))


class Labels(unittest.TestCase):
    @unittest.skipUnless(HAVE_MATPLOTLIB, "matplotlib is missing")
    def test_keep_apart_and_in_order(self) -> None:
        from drawing import spread
        places = spread([0.5, 0.52, 0.1, 0.98, 0.99], 0.1, 0, 1)
        self.assertEqual(sorted(range(5), key=places.__getitem__), [2, 0, 1, 3, 4])
        ordered = sorted(places)
        self.assertTrue(all(b - a > 0.0999 for a, b in zip(ordered, ordered[1:])))
        self.assertLessEqual(ordered[-1], 1.0001)
        self.assertAlmostEqual(places[2], 0.1)


if __name__ == "__main__":
    unittest.main()
