#!/usr/bin/env python3
"""GET /health over kept connections beside nginx serving the same constant: requests/s and instructions a request.

Both run in turns on one CPU, wrk on another. Instructions are user and kernel together where the machine counts them;
where it does not, callgrind counts those of the programs alone (their system calls are the same three).
"""

import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import bench

SERVER_CPU, CLIENT_CPU = 0, min(1, os.cpu_count() - 1)
ANSWER = '{"status":"ok"}'


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """A server on a free port, on SERVER_CPU; `wrap` stands before its command. It is waited for until `ready` says
    200: what it does to get ready is no part of a request."""

    def __init__(self, command, port, ready, wrap=()):
        self.port = port
        self.process = subprocess.Popen(["taskset", "-c", str(SERVER_CPU), *wrap, *command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(1200):
            if self.status(ready) == 200:
                return
            time.sleep(0.1)
        raise SystemExit(f"{command[0]} does not answer")

    def status(self, path):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return None

    def requests(self, n):
        """n requests on one kept connection."""
        ask = f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
            for _ in range(n):
                s.sendall(ask)
                answer = s.recv(4096)
                if not answer.endswith(ANSWER.encode()):
                    raise SystemExit(f"a bad answer: {answer!r}")

    def rate(self, wrk):
        """Requests/s by wrk, 64 connections, 3 s."""
        out = subprocess.run(["taskset", "-c", str(CLIENT_CPU), wrk, "-t1", "-c64", "-d3s",
                              f"http://127.0.0.1:{self.port}/health"], capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(out)
        return float(re.search(r"Requests/sec:\s*([0-9.]+)", out)[1])

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def weir(wrap=()):
    port = free_port()
    return Peer([bench.WEIR, "serve", "--quiet", "--listen", f"127.0.0.1:{port}"], port, "/readyz", wrap)


def nginx(path, folder, wrap=()):
    port = free_port()
    conf = Path(folder) / "conf"
    temp = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf.write_text(f"""
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error crit;
events {{ worker_connections 1000; multi_accept on; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; {temp}
  server {{ listen 127.0.0.1:{port} backlog=1024;
    location = /health {{ default_type application/json; return 200 '{ANSWER}'; }} }} }}
""")
    return Peer([path, "-c", str(conf), "-e", f"{folder}/error", "-p", str(folder)], port, "/health", wrap)


def user_instructions(start, folder, name):
    """Instructions a request inside the program, by callgrind: the difference of two runs of different length."""
    totals = {}
    for n in (1000, 3000):
        out = Path(folder) / f"callgrind.{name}.{n}"
        peer = start(("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--instr-atstart=no"))
        try:
            peer.requests(300)
            pid = str(peer.process.pid)
            subprocess.run(["callgrind_control", "-i", "on", pid], capture_output=True, check=True)
            peer.requests(n)
            subprocess.run(["callgrind_control", "-i", "off", pid], capture_output=True, check=True)
        finally:
            peer.close()
        totals[n] = int(re.search(r"^totals: (\d+)", out.read_text(), re.M)[1])
    return (totals[3000] - totals[1000]) / 2000


def counted(peer, b, n=20000):
    total, _ = b.instructions(peer.process.pid, lambda: peer.requests(n))
    return total / n if total else None


def measure_instructions(b, servers, path, folder):
    what = "GET /health, instructions a request"
    ours, theirs = (counted(servers[name], b) for name in ("weir", "nginx"))
    if ours and theirs:
        b.row(f"{what} (user and kernel)", ours, "instructions", reference=theirs, must="ratio <= 1.2")
        return
    if not shutil.which("valgrind"):
        b.not_measured(what, "no performance counters and no valgrind", must="ratio <= 1.2")
        return
    ours = user_instructions(weir, folder, "weir")
    theirs = user_instructions(lambda wrap: nginx(path, folder, wrap), folder, "nginx")
    b.row(f"{what} (user alone, callgrind)", ours, "instructions", reference=theirs, must="ratio <= 1.2")


def main(b):
    path, wrk = b.peer("nginx"), b.peer("wrk")
    if not path or not wrk:
        b.not_measured("GET /health, keep-alive, 64 connections", "no nginx or no wrk", must="ratio >= 1")
        return
    with tempfile.TemporaryDirectory() as folder:
        servers = {"weir": weir(), "nginx": nginx(path, folder)}
        try:
            speed = b.interleave({name: lambda s=s: s.rate(wrk) for name, s in servers.items()}, rounds=7)
            b.row("GET /health, keep-alive, 64 connections", speed["weir"], "requests/s", reference=speed["nginx"],
                  must="ratio >= 1")
            measure_instructions(b, servers, path, folder)
        finally:
            for s in servers.values():
                s.close()


if __name__ == "__main__":
    bench.run("http_health", main)
