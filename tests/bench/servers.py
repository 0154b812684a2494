"""Servers to measure: weir and the peers beside it, each on a free port and on one CPU, asked over one kept connection or by wrk."""

import http.client
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

import bench

SERVER_CPU, CLIENT_CPU = 0, min(1, os.cpu_count() - 1)
LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Peer:
    """A server on a free port, on `cpu`; `wrap` stands before its command. It is waited for until `ready` says 200: what
    it does to get ready is no part of a request. `ask` is the request that is measured."""

    def __init__(self, command, port, ready, ask, wrap=(), cpu=SERVER_CPU):
        self.port, self.ask = port, ask
        self.process = subprocess.Popen(["taskset", "-c", str(cpu), *wrap, *command], stdin=subprocess.DEVNULL,
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
        """n requests on one kept connection; gives the seconds that each took."""
        took = []
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as s:
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(n):
                began = time.perf_counter()
                s.sendall(self.ask)
                self._answer(s)
                took.append(time.perf_counter() - began)
        return took

    @staticmethod
    def _answer(s):
        answer = b""
        while True:
            block = s.recv(65536)
            answer += block
            head, found, body = answer.partition(b"\r\n\r\n")
            length = LENGTH.search(head) if found else None
            if not block or (found and not head.startswith(b"HTTP/1.1 200")):
                raise SystemExit(f"a bad answer: {answer[:500]!r}")
            if length and len(body) >= int(length.group(1)):
                return
            if found and not length and body.endswith(b"0\r\n\r\n"):
                return

    def rate(self, wrk, seconds=3, script=None, path="/"):
        """Requests/s by wrk, 64 connections."""
        out = subprocess.run(["taskset", "-c", str(CLIENT_CPU), wrk, "-t1", "-c64", f"-d{seconds}s",
                              *(["-s", str(script)] if script else []), f"http://127.0.0.1:{self.port}{path}"],
                             capture_output=True, text=True, check=True).stdout
        if "Non-2xx" in out or "Socket errors" in out:
            raise SystemExit(out)
        return float(re.search(r"Requests/sec:\s*([0-9.]+)", out)[1])

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def nginx(path, folder, location, ready, ask, http_block="", wrap=()):
    port = free_port()
    conf = Path(folder) / "nginx.conf"
    temp = " ".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    conf.write_text(f"""
daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error crit;
events {{ worker_connections 1000; multi_accept on; }}
http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 3600s; {temp} {http_block}
  server {{ listen 127.0.0.1:{port} backlog=1024; {location} }} }}
""")
    return Peer([path, "-c", str(conf), "-e", f"{folder}/error", "-p", str(folder)], port, ready, ask, wrap)


def weir(ready, ask, options=(), wrap=()):
    port = free_port()
    return Peer([bench.WEIR, "serve", "--quiet", "--listen", f"127.0.0.1:{port}", *options], port, ready, ask, wrap)


def counted_run(start, out, n):
    """Instructions inside the program over n requests. None where callgrind, as it sometimes does, ends without a word."""
    peer = start(("valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--instr-atstart=no"))
    try:
        peer.requests(300)
        pid = str(peer.process.pid)
        subprocess.run(["callgrind_control", "-i", "on", pid], capture_output=True, check=True)
        peer.requests(n)
        subprocess.run(["callgrind_control", "-i", "off", pid], capture_output=True, check=True)
    finally:
        peer.close()
    found = re.search(r"^totals: (\d+)", out.read_text(), re.M)
    return int(found[1]) if found else None


def user_instructions(start, folder, name, counts=(1000, 3000)):
    """Instructions a request inside the program, by callgrind: the difference of two runs of different length."""
    totals = {}
    for n in counts:
        for attempt in range(5):
            totals[n] = counted_run(start, Path(folder) / f"callgrind.{name}.{n}.{attempt}", n)
            if totals[n] is not None:
                break
        else:
            raise SystemExit(f"callgrind counts nothing of {name}")
    return (totals[counts[1]] - totals[counts[0]]) / (counts[1] - counts[0])
