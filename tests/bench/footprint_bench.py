#!/usr/bin/env python3
"""What `weir serve` with the bundled model takes before the first request: time and memory."""

import re
import socket
import subprocess
import time
from pathlib import Path

import bench

ROUNDS = 7


def start():
    """Starts the server; gives the process, its port, and the seconds until a completion was answered."""
    began = time.monotonic()
    process = subprocess.Popen([bench.WEIR, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE,
                               stderr=subprocess.DEVNULL, text=True)
    line = process.stdout.readline()
    port = int(re.search(r":(\d+)$", line.strip()).group(1))
    return process, port, began


def stop(process):
    process.terminate()
    process.wait(timeout=10)
    process.stdout.close()


def first_answer_ms():
    process, port, began = start()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
        s.sendall(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        if b" 200 " not in s.recv(4096).split(b"\r\n")[0]:
            raise RuntimeError("/readyz does not say 200 although the greeting was printed")
    elapsed = (time.monotonic() - began) * 1000
    stop(process)
    return elapsed


def resident_mb():
    process, _, _ = start()
    time.sleep(0.3)  # whatever is still settling counts
    status = Path(f"/proc/{process.pid}/status").read_text()
    stop(process)
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024 / 1e6


def main(b):
    took = b.interleave({"weir": first_answer_ms}, rounds=ROUNDS, warm_up=2)
    b.row("warm start of weir serve until the model is ready", took["weir"], "ms", must="value <= 100")
    b.row("resident memory of weir serve before the first request", resident_mb(), "MB", must="value <= 24")


if __name__ == "__main__":
    bench.run("footprint", main)
