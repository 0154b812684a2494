#!/usr/bin/env python3
"""What `weir serve` with the bundled model takes: time and memory before the first request, and memory a stream that waits."""

import json
import re
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import bench

ROUNDS = 7
STREAMS, CROWD = 512, 20
# One sequence runs and the others wait; K and V are soon all touched, so that they do not count.
WAITING = "engine:\n  kv_bytes_max: 3MiB\n  sequences_max: 1\n  queue_max: 2000\nlog:\n  level: error\n"


def start(*options):
    """Starts the server; gives the process, its port, and the seconds until a completion was answered."""
    began = time.monotonic()
    process = subprocess.Popen([bench.WEIR, "serve", "--listen", "127.0.0.1:0", *options], stdout=subprocess.PIPE,
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


def own_bytes(process):
    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    return int(re.search(r"Anonymous:\s+(\d+)", text).group(1)) * 1024


def crowd_bytes(process, port, streams):
    """The server's own memory while so many streams are open, all but one of them waiting for the engine."""
    body = json.dumps({"messages": [{"role": "user", "content": "Hello"}], "stream": True, "ignore_eos": True,
                       "max_tokens": 200}).encode()
    request = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
               b"Content-Length: %d\r\n\r\n" % len(body) + body)
    connections = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(streams)]
    for connection in connections:
        connection.sendall(request)
    time.sleep(1.5)
    held = own_bytes(process)
    for connection in connections:
        connection.close()
    time.sleep(0.5)
    return held


def waiting_stream_kb():
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
        config.write(WAITING)
        config.flush()
        process, port, _ = start("--config", config.name)
        for _ in range(2):
            few = crowd_bytes(process, port, CROWD)
        many = crowd_bytes(process, port, CROWD + STREAMS)
        stop(process)
    return (many - few) / STREAMS / 1000


def main(b):
    took = b.interleave({"weir": first_answer_ms}, rounds=ROUNDS, warm_up=2)
    b.row("warm start of weir serve until the model is ready", took["weir"], "ms", must="value <= 100")
    b.row("resident memory of weir serve before the first request", resident_mb(), "MB", must="value <= 24")
    b.row("resident memory of a stream that waits for the engine", waiting_stream_kb(), "kB", must="value <= 8")


if __name__ == "__main__":
    bench.run("footprint", main)
