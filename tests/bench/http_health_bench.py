#!/usr/bin/env python3
"""GET /health over kept connections beside nginx serving the same constant: requests/s and instructions a request.

Both run in turns on one CPU, wrk on another. Instructions are user and kernel together where the machine counts them;
where it does not, callgrind counts those of the programs alone (their system calls are the same three).
"""

import shutil
import tempfile

import bench
import servers

ANSWER = '{"status":"ok"}'
ASK = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LOCATION = f"location = /health {{ default_type application/json; return 200 '{ANSWER}'; }}"


def weir(wrap=()):
    return servers.weir("/readyz", ASK, wrap=wrap)


def nginx(path, folder, wrap=()):
    return servers.nginx(path, folder, LOCATION, "/health", ASK, wrap=wrap)


def counted(peer, b, n=20000):
    total, _ = b.instructions(peer.process.pid, lambda: peer.requests(n))
    return total / n if total else None


def measure_instructions(b, running, path, folder):
    what = "GET /health, instructions a request"
    ours, theirs = (counted(running[name], b) for name in ("weir", "nginx"))
    if ours and theirs:
        b.row(f"{what} (user and kernel)", ours, "instructions", reference=theirs, must="ratio <= 1.2")
        return
    if not shutil.which("valgrind"):
        b.not_measured(what, "no performance counters and no valgrind", must="ratio <= 1.2")
        return
    ours = servers.user_instructions(weir, folder, "weir")
    theirs = servers.user_instructions(lambda wrap: nginx(path, folder, wrap), folder, "nginx")
    b.row(f"{what} (user alone, callgrind)", ours, "instructions", reference=theirs, must="ratio <= 1.2")


def main(b):
    path, wrk = b.peer("nginx"), b.peer("wrk")
    if not path or not wrk:
        b.not_measured("GET /health, keep-alive, 64 connections", "no nginx or no wrk", must="ratio >= 1")
        return
    with tempfile.TemporaryDirectory() as folder:
        running = {"weir": weir(), "nginx": nginx(path, folder)}
        try:
            speed = b.interleave({name: lambda s=s: s.rate(wrk, path="/health") for name, s in running.items()}, rounds=7)
            b.row("GET /health, keep-alive, 64 connections", speed["weir"], "requests/s", reference=speed["nginx"],
                  must="ratio >= 1")
            measure_instructions(b, running, path, folder)
        finally:
            for s in running.values():
                s.close()


if __name__ == "__main__":
    bench.run("http_health", main)
