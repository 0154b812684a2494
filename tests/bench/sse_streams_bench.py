#!/usr/bin/env python3
"""512 event streams of 50 events/s each from a paced source: how even they flow, and what a stream that waits costs."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import bench

STREAMS, PER_SECOND, SECONDS = 512, 50, 10
SERVER_CPU, CLIENT_CPU = 0, min(1, os.cpu_count() - 1)


class Source:
    """tests/programs/http_echo_server: the server of src/http with a paced source behind it."""

    def __init__(self):
        program = bench.PROGRAMS / "http_echo_server"
        self.process = subprocess.Popen(["taskset", "-c", str(SERVER_CPU), str(program)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def own_kb(self):
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return int(re.search(r"Private_Dirty:\s+(\d+)", text)[1])

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)
        self.process.stdout.close()


def ask(port, path):
    s = socket.create_connection(("127.0.0.1", port), timeout=20)
    s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    if not s.recv(4096).startswith(b"HTTP/1.1 200"):
        raise SystemExit(f"{path} is not answered")
    return s


def flow(b, source):
    path = f"/stream?n=1000000000&gap_ms={1000 // PER_SECOND}&size=200"
    before = source.cpu_seconds()
    out = subprocess.run(["taskset", "-c", str(CLIENT_CPU), b.program("sse_reader"), str(source.port), path,
                          str(STREAMS), str(SECONDS)], capture_output=True, text=True, check=True).stdout
    took = source.cpu_seconds() - before
    got = json.loads(out)
    if got["cut"]:
        raise SystemExit(f"{got['cut']} streams were cut")
    what = f"SSE, {STREAMS} streams of {PER_SECOND} events/s"
    b.row(f"{what}: longest gap beside the median gap", got["max_us"] / 1000, "ms", reference=got["median_us"] / 1000,
          must="ratio <= 10")
    b.row(f"{what}: 99th percentile of gaps beside the median gap", got["p99_us"] / 1000, "ms",
          reference=got["median_us"] / 1000)
    b.row(f"{what}: CPU time an event", took / got["events"] * 1e6, "µs")


def idle(b, source):
    ask(source.port, "/health").close()
    before = source.own_kb()
    streams = [ask(source.port, "/silent") for _ in range(STREAMS)]
    b.row("SSE: resident memory of a stream that waits", (source.own_kb() - before) / STREAMS, "kB", must="value <= 8")
    for s in streams:
        s.close()


def main(b):
    source = Source()
    try:
        idle(b, source)
        flow(b, source)
    finally:
        source.close()


if __name__ == "__main__":
    bench.run("sse_streams", main)
