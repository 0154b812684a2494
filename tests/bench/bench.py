#!/usr/bin/env python3
"""What the benches share: paired runs, medians, peers, and one way to write figures down.

A bench is `tests/bench/<name>_bench.py`; a program of its own that it needs is `tests/bench/<program>.c`, built as
build/release/tests/bench_<program>. It ends so:

    import bench

    def main(b):
        nginx = b.peer("nginx")                      # $WEIR_PEER_NGINX, else found on PATH, else None
        if not nginx:
            return b.not_measured("GET /health", "no nginx")
        speed = b.interleave({"weir": run_weir, "nginx": run_nginx}, rounds=7)
        b.row("GET /health, keep-alive", speed["weir"], "requests/s", reference=speed["nginx"], must="ratio >= 1")

    if __name__ == "__main__":
        bench.run("http", main)

Figures of two programs come from one run in turns, since a machine's speed drifts from minute to minute. Rows go to
build/bench/<name>.json: {"machine", "rows": [{"what", "value", "unit", "reference", "ratio", "must", "ok"}]}.
`bench.py --all [NAME...]` runs every bench, and fails where one broke or a row missed what it must reach.
`bench.py --table` prints the last figures as Markdown, for the README.
"""

import json
import operator
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
OUT = SOURCE / "build" / "bench"
PROGRAMS = SOURCE / "build" / "release" / "tests"
os.environ.setdefault("WEIR_STORE", "off")  # the user's stays as it is; a bench that weighs it names one
os.environ.setdefault("WEIR_PROVIDERS_FROM_ENVIRONMENT", "false")
DATA = Path(os.environ.get("WEIR_TEST_DATA", SOURCE.parent / "shared"))
WEIR = os.environ.get("WEIR", str(SOURCE / "build" / "weir"))
sys.path.insert(0, str(SOURCE / "tests" / "api"))  # harness.Server, for benches of the server


def machine():
    """The machine and the day, in one line: figures mean nothing without them."""
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text()) if Path("/proc/cpuinfo").exists() else None
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{cpu.group(1) if cpu else platform.processor()}, {os.cpu_count()} cores, {memory:.0f} GiB, "
            f"Linux {platform.release()}, {time.strftime('%Y-%m-%d')}")


def meets(must, value, ratio, of_bound=None):
    """Whether a row reaches `must`: "value <= 24", "ratio >= 0.9", "ratio >= 1.15 or of_bound >= 0.85"."""
    return any(meets_one(part, value, ratio, of_bound) for part in must.split(" or "))


def meets_one(must, value, ratio, of_bound):
    found = re.fullmatch(r"(value|ratio|of_bound) (>=|<=|==) ([0-9.]+)", must)
    if not found:
        raise ValueError(f"must is 'value|ratio|of_bound >=|<=|== NUMBER', not {must!r}")
    which, how, bound = found.groups()
    number = {"value": value, "ratio": ratio, "of_bound": of_bound}[which]
    if number is None:
        raise ValueError(f"{must!r} needs a reference")
    return {">=": operator.ge, "<=": operator.le, "==": operator.eq}[how](number, float(bound))


class Bench:
    """One bench's rows."""

    def __init__(self, name):
        self.name, self.rows = name, []

    def row(self, what, value, unit, reference=None, must=None, bound=None):
        """Writes down one figure; `reference` is the same figure of the peer, `bound` what the machine could do at most,
        in the same unit."""
        ratio = value / reference if reference else None
        of_bound = value / bound if bound else None
        ok = meets(must, value, ratio, of_bound) if must else None
        self.rows.append({"what": what, "value": value, "unit": unit, "reference": reference, "ratio": ratio,
                          "bound": bound, "of_bound": of_bound, "must": must, "ok": ok})
        print("  " + describe(self.rows[-1]), flush=True)

    def not_measured(self, what, why, unit="", must=None):
        """Says so where a figure cannot be had here, such as without its peer."""
        self.rows.append({"what": what, "value": None, "unit": unit, "reference": None, "ratio": None, "must": must,
                          "ok": None, "why": why})
        print("  " + describe(self.rows[-1]), flush=True)

    @staticmethod
    def peer(name):
        """Path of a program to measure beside: $WEIR_PEER_<NAME>, or what PATH has; None without one."""
        given = os.environ.get("WEIR_PEER_" + re.sub(r"\W", "_", name).upper())
        return given or shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")

    @staticmethod
    def program(name):
        """Path of a bench's own C program (tests/bench/NAME.c)."""
        return str(PROGRAMS / f"bench_{name}")

    @staticmethod
    def interleave(runs, rounds=5, warm_up=1):
        """Runs each callable once a round, every second round in reverse order; the median of each, by name.
        Each callable gives one figure. Warm-up rounds are run and forgotten."""
        figures = {name: [] for name in runs}
        for number in range(-warm_up, rounds):
            order = list(runs.items())
            for name, call in reversed(order) if number % 2 else order:
                figure = call()
                if number >= 0:
                    figures[name].append(figure)
        return {name: statistics.median(values) for name, values in figures.items()}

    @staticmethod
    def instructions(pid, during):
        """Instructions that a process retires (user and kernel) while during() runs; None where they cannot be
        counted. What during() returned comes second."""
        counter = None
        if shutil.which("perf"):
            counter = subprocess.Popen(["perf", "stat", "-x,", "-e", "instructions:u,instructions:k", "-p", str(pid)],
                                       stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
            time.sleep(0.3)  # perf has attached by then; it prints nothing that would tell
        result = during()
        if not counter:
            return None, result
        counter.send_signal(2)
        words = counter.communicate(timeout=10)[1]
        counts = [line.split(",")[0] for line in words.splitlines() if ",instructions" in line]
        return (sum(map(int, counts)) if counts and all(c.isdigit() for c in counts) else None), result

    def write(self):
        OUT.mkdir(parents=True, exist_ok=True)
        result = {"machine": machine(), "rows": self.rows}
        (OUT / f"{self.name}.json").write_text(json.dumps(result, indent=1) + "\n")


def number(value):
    if value is None:
        return "not measured"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def describe(row):
    verdict = {True: "ok", False: "MISSED", None: ""}[row["ok"]]
    words = f"{row['what']}: {number(row['value'])} {row['unit'] if row['value'] is not None else ''}"
    if row["ratio"] is not None:
        words += f" (beside {number(row['reference'])}: {row['ratio']:.2f}x)"
    if row.get("of_bound") is not None:
        words += f" ({100 * row['of_bound']:.0f} % of the {number(row['bound'])} that the machine could do)"
    if row.get("why"):
        words += f" ({row['why']})"
    return words + (f" [must: {row['must']}] {verdict}" if row["must"] else "")


def run(name, main):
    """Runs one bench and writes its rows."""
    b = Bench(name)
    print(f"{name}:", flush=True)
    main(b)
    b.write()


def table(results):
    """The rows of all benches as a Markdown table, for a terminal and for the README alike."""
    lines = ["| what | weir | beside | ratio | of the bound | must | |", "|---|---|---|---|---|---|---|"]
    for row in (row for result in results for row in result["rows"]):
        unit = f" {row['unit']}" if row["value"] is not None else ""
        lines.append(f"| {row['what']} | {number(row['value'])}{unit} | "
                     f"{number(row['reference']) if row['reference'] else ''} | "
                     f"{format(row['ratio'], '.2f') if row['ratio'] is not None else ''} | "
                     f"{format(row['of_bound'], '.0%') if row.get('of_bound') else ''} | {row['must'] or ''} | "
                     f"{ {True: 'ok', False: 'missed', None: ''}[row['ok']] } |")
    return "\n".join(lines)


def run_all(names):
    """Every bench in a process of its own; returns the exit status."""
    broken, results = [], []
    for path in sorted(Path(__file__).parent.glob("*_bench.py")):
        name = path.name.removesuffix("_bench.py")
        if names and name not in names:
            continue
        (OUT / f"{name}.json").unlink(missing_ok=True)
        if subprocess.run([sys.executable, str(path)]).returncode != 0 or not (OUT / f"{name}.json").exists():
            broken.append(name)
        else:
            results.append(json.loads((OUT / f"{name}.json").read_text()))
    print(f"\n{machine()}\n\n{table(results)}")
    missed = [row["what"] for result in results for row in result["rows"] if row["ok"] is False]
    for what in missed:
        print(f"missed: {what}")
    for name in broken:
        print(f"broken: {name} (its words are above)")
    return 1 if broken or missed else 0


def last_table():
    """The last figures of every bench, with the machine and the day."""
    results = [json.loads(path.read_text()) for path in sorted(OUT.glob("*.json"))]
    if not results:
        sys.exit("no figures in build/bench: run make bench")
    return f"{table(results)}\n\n" + "\n".join(sorted({result["machine"] for result in results}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--table"]:
        print(last_table())
        sys.exit(0)
    if sys.argv[1:2] != ["--all"]:
        sys.exit(__doc__)
    sys.exit(run_all(sys.argv[2:]))
