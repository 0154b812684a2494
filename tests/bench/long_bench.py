#!/usr/bin/env python3
"""The gateway over a long time and with a crowd: what stays behind after very many requests, and thousands of streams
that wait, held and cancelled.

The upstream is tools/mock of the shared test data ($WEIR_TEST_DATA). $WEIR_BENCH_REQUESTS says how many requests (a
million), $WEIR_BENCH_STREAMS how many streams (9,000).
"""

import http.client
import json
import os
import resource
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import bench
import gateway_bench
import harness
import servers

REQUESTS = int(os.environ.get("WEIR_BENCH_REQUESTS", 1_000_000))
STREAMS = int(os.environ.get("WEIR_BENCH_STREAMS", 9000))
SAMPLES = 24  # of memory and descriptors; the slope is that of their second half
KEY = "sk-long-bench-0123456789"
# One in twenty goes wrong: a status of 500, a 429, a connection closed without an answer, a stream that is reset.
FAULTS = "err=0.0125,r429=0.0125,retry_after=0,close=0.0125,cut=3,cutp=0.025,rst=1,tokens=8"
CONFIG = """
log: {{level: error}}
keys: [{{name: bench, key: {{env: WEIR_BENCH_KEY}}, tokens_per_minute: 1000000000, concurrency: 10000, budget: "1000000"}}]
prices: [{{name: "*", input: "2.50", output: "10"}}]
rate_limits: [{{name: all, requests_per_minute: 1000000000}}]
store: {{path: "{folder}/weir.db", records_max: 20000}}
routing:
  backoff: 2ms
  breaker: {{results_min: 1000000, hard_down: 1ms, rate_limited: 1ms}}
stream_ping: 1h
providers:
  - {{name: up, kind: openai, base_url: "http://127.0.0.1:{port}/v1", discover: false}}
"""
# Every second request is streamed.
SCRIPT = """
wrk.method = "POST"
local headers = {["Content-Type"] = "application/json", ["Authorization"] = "Bearer KEY"}
local n = 0
function request()
  n = n + 1
  return wrk.format("POST", nil, headers, n % 2 == 0 and [[WHOLE]] or [[STREAM]])
end
"""


def gateway(folder, up):
    config = Path(folder) / "long.yaml"
    config.write_text(CONFIG.format(folder=folder, port=up.port))
    os.environ["WEIR_BENCH_KEY"] = KEY
    return servers.weir("/health", b"", ("--config", str(config)))


def page(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {KEY}"})
    return connection.getresponse().read().decode()


def total(text, name, *words):
    """The sum of a metric's series whose labels have these words."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
               if line.startswith(name + "{") and all(w in line for w in words))


def kept_connections(pid, port):
    """Connections that it has to the upstream: how many are kept for the next request is a matter of the moment."""
    own = {os.readlink(f).split("[")[1].rstrip("]") for f in Path(f"/proc/{pid}/fd").iterdir()
           if os.path.islink(f) and os.readlink(f).startswith("socket:[")}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[9] in own for row in rows)


def descriptors(pid, port):
    """Those that stay open when nobody asks anything; the last client's may go a little later."""
    seen = []
    while len(seen) < 5 or len(set(seen[-5:])) > 1:
        seen.append(len(os.listdir(f"/proc/{pid}/fd")) - kept_connections(pid, port))
        time.sleep(0.05)
    return seen[-1]


def slope(points):
    """Of the line through (x, y) that has the least squares."""
    n = len(points)
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return over / sum((x - mean_x) ** 2 for x, _ in points)


def load(server, wrk, script, seconds):
    subprocess.run(["taskset", "-c", str(servers.CLIENT_CPU), wrk, "-t1", "-c64", f"-d{seconds}s", "--timeout", "30s", "-s",
                    str(script), f"http://127.0.0.1:{server.port}/v1/chat/completions"], capture_output=True, check=True)


def million(b, folder, up, wrk):
    body = {"model": f"up/m,{FAULTS}", "max_tokens": 8, "messages": [{"role": "user", "content": "Tell me a story."}]}
    script = Path(folder) / "long.lua"
    script.write_text(SCRIPT.replace("KEY", KEY).replace("WHOLE", json.dumps(body))
                      .replace("STREAM", json.dumps({**body, "stream": True})))
    server = gateway(folder, up)
    pid = server.process.pid
    try:
        load(server, wrk, script, 2)
        rate = total(page(server), "weir_requests_total") / 2
        seconds = max(1, round(REQUESTS / rate / SAMPLES))
        points = []
        while len(points) < 6 or points[-1][0] < REQUESTS:
            load(server, wrk, script, seconds)
            text = page(server)
            points.append((total(text, "weir_requests_total"), harness.own_bytes(pid), descriptors(pid, up.port)))
        late = points[len(points) // 2:]
        failed = 1 - total(text, "weir_attempts_total", 'outcome="ok"') / total(text, "weir_attempts_total")
        what = f"{points[-1][0]:,.0f} requests, {failed:.1%} of the attempts failed by order"
        b.row(f"{what}: memory, slope of the second half, for a million", slope([p[:2] for p in late]) * 1e6 / 2**20, "MiB",
              must="value <= 1")
        b.row("… memory at its end", points[-1][1] / 2**20, "MiB")
        b.row("… descriptors, slope of the second half, for a million", slope([(p[0], p[2]) for p in late]) * 1e6, "",
              must="value <= 0.5")
    finally:
        server.close()


# ---- a crowd of streams ----


def open_streams(server, count):
    """Streams that have begun, and whose provider says nothing more."""
    body = json.dumps({"model": "up/m,tokens=10,itl_us=600000000", "stream": True, "max_tokens": 10,
                       "messages": [{"role": "user", "content": "Tell me a story."}]}).encode()
    raw = (b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
           b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (KEY.encode(), len(body)) + body)
    connections = []
    for _ in range(count):
        s = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        s.sendall(raw)
        connections.append(s)
    for s in connections:
        if not s.recv(65536).startswith(b"HTTP/1.1 200"):
            raise SystemExit("a stream did not begin")
    return connections


def cancel_all(server, connections):
    """All at once, also for the one who sees it: it sleeps while they close. Gives how long until it has let go of all."""
    server.process.send_signal(signal.SIGSTOP)
    for s in connections:
        s.close()
    began = time.monotonic()
    server.process.send_signal(signal.SIGCONT)
    while total(page(server), "weir_requests_inflight"):
        if time.monotonic() - began > 60:
            raise SystemExit("cancelled streams still run after a minute")
        time.sleep(0.01)
    return time.monotonic() - began


def crowd(b, folder, up):
    what = f"{STREAMS} idle streams"
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if limit < 2 * STREAMS + 200:
        b.not_measured(what, f"{limit} descriptors may be open here, and the gateway needs {2 * STREAMS + 200}", "kB",
                       must="value <= 8")
        return
    server = gateway(folder, up)
    try:
        few = open_streams(server, 50)
        before = harness.own_bytes(server.process.pid)
        many = open_streams(server, STREAMS)
        time.sleep(3)  # they are idle: what the first word needed is given back
        b.row(f"{what}: memory each", (harness.own_bytes(server.process.pid) - before) / 1000 / STREAMS, "kB", must="value <= 8")
        time.sleep(5)
        b.row("… ended by themselves within 5 s", harness.ended(many), "", must="value <= 0")
        slow = harness.slow_turns(page(server))
        took = cancel_all(server, few + many)
        b.row("… cancelled at once: turns of the loop over 50 ms", harness.slow_turns(page(server)) - slow, "", must="value <= 0")
        b.row("… until all of them were let go", took * 1000, "ms")
    finally:
        server.close()


def main(b):
    wrk = b.peer("wrk")
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with tempfile.TemporaryDirectory() as folder:
        up = gateway_bench.upstream(folder)
        if not up or not wrk:
            b.not_measured("a million requests, 9,000 idle streams", "no tools/mock in the test data, or no wrk", must="value <= 1")
            return
        try:
            crowd(b, folder, up)
            million(b, folder, up, wrk)
        finally:
            up.close()


if __name__ == "__main__":
    bench.run("long", main)
