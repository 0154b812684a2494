#!/usr/bin/env python3
"""A chat request through the gateway to a fast upstream, beside haproxy and nginx as plain proxies to the same one.

The upstream is tools/mock of the shared test data ($WEIR_TEST_DATA), compiled here. Proxies run in turns on one CPU; the
upstream and the client share the other. Instructions are those of the programs alone, by callgrind.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import bench
import servers

KEY = "sk-gateway-bench-0123456789"
BODY = json.dumps({"model": "m", "messages": [{"role": "system", "content": "You are a helpful assistant."},
                                              {"role": "user", "content": "What is the capital of France? " * 8}],
                   "max_tokens": 16, "temperature": 0.2}).encode()


def ask(model="m"):
    body = BODY.replace(b'"model": "m"', b'"model": "%s"' % model.encode())
    return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n" % (KEY.encode(), len(body)) + body)


def upstream(folder):
    source = bench.DATA / "tools" / "mock" / "mock.c"
    if not source.exists():
        return None
    program = Path(folder) / "mock"
    subprocess.run(["cc", "-O2", "-pthread", "-w", "-o", str(program), str(source)], check=True)
    port = servers.free_port()
    return servers.Peer([str(program), "-p", str(port)], port, "/health", ask(), cpu=servers.CLIENT_CPU)


class Proxies:
    """How each proxy is started, to `up`."""

    def __init__(self, b, folder, up):
        self.folder, self.up = Path(folder), up
        self.paths = {name: b.peer(name) for name in ("haproxy", "nginx")}

    def weir(self, wrap=(), model="up/m", record=True):
        """With a key, its limits and budget, prices, metrics, and the record of each request in the store."""
        config = self.folder / "weir.yaml"
        url = f"http://127.0.0.1:{self.up.port}"
        os.environ["WEIR_BENCH_KEY"] = KEY
        config.write_text(f"log: {{level: error}}\n"
                          f"keys: [{{name: bench, key: {{env: WEIR_BENCH_KEY}}, tokens_per_minute: 100000000000, "
                          f"requests_per_minute: 1000000000, concurrency: 10000, budget: '1000000'}}]\n"
                          f"prices: [{{name: '*', input: '2.50', output: '10'}}]\n"
                          f"store: {{path: {f'{self.folder}/weir.db' if record else 'off'}, records_max: 20000}}\n"
                          f"providers:\n"
                          f"  - {{name: up, kind: openai, base_url: '{url}/v1', discover: false}}\n"
                          f"  - {{name: claude, kind: anthropic, base_url: '{url}', discover: false}}\n")
        return servers.weir("/health", ask(model), ("--config", str(config)), wrap)

    def translated(self, wrap=()):
        return self.weir(wrap, "claude/m")

    def haproxy(self, wrap=()):
        port = servers.free_port()
        config = self.folder / "haproxy.cfg"
        config.write_text(f"""
global
  nbthread 1
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  http-reuse always
frontend f
  bind 127.0.0.1:{port}
  default_backend b
backend b
  server s 127.0.0.1:{self.up.port}
""")
        return servers.Peer([self.paths["haproxy"], "-db", "-f", str(config)], port, "/health", ask(), wrap)

    def nginx(self, wrap=()):
        block = (f"upstream u {{ server 127.0.0.1:{self.up.port}; keepalive 128; keepalive_requests 1000000000; }}")
        location = "location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection ''; }"
        return servers.nginx(self.paths["nginx"], self.folder, location, "/health", ask(), block, wrap)


def script_of(folder, request):
    head, _, body = request.partition(b"\r\n\r\n")
    script = Path(folder) / f"post-{len(list(Path(folder).glob('post-*')))}.lua"
    script.write_text(f"wrk.method = 'POST'\nwrk.body = [[{body.decode()}]]\n"
                      "wrk.headers['Content-Type'] = 'application/json'\n"
                      f"wrk.headers['Authorization'] = 'Bearer {KEY}'\n")
    return script


def speeds(b, proxies, folder, wrk):
    running = {"weir": proxies.weir(), "haproxy": proxies.haproxy(), "nginx": proxies.nginx()}
    try:
        scripts = {name: script_of(folder, s.ask) for name, s in running.items()}
        rates = b.interleave({name: lambda s=s, n=name: s.rate(wrk, script=scripts[n], path="/v1/chat/completions")
                              for name, s in running.items()}, rounds=5)
        b.row("proxied chat, 64 connections, one core", rates["weir"], "requests/s", reference=rates["haproxy"],
              must="ratio >= 1")
        b.row("… beside nginx", rates["weir"], "requests/s", reference=rates["nginx"])
        p50 = b.interleave({name: lambda s=s: statistics.median(s.requests(2000)) * 1e6 for name, s in running.items()},
                           rounds=20)
        b.row("proxied chat, one connection, p50, beside nginx", p50["weir"], "µs", reference=p50["nginx"],
              must="ratio <= 1.2")
        p99 = b.interleave({name: lambda s=s: statistics.quantiles(s.requests(2000), n=100)[98] * 1e6
                            for name, s in running.items()}, rounds=20)
        b.row("… p99", p99["weir"], "µs", reference=p99["nginx"], must="ratio <= 1.2")
    finally:
        for s in running.values():
            s.close()


def stream_body(model, tokens, gap_us):
    return json.dumps({"model": f"{model},tokens={tokens},itl_us={gap_us},jit=1", "stream": True, "max_tokens": tokens,
                       "messages": [{"role": "user", "content": "Tell me a story."}]})


def read_streams(b, port, model, streams, seconds):
    out = subprocess.run(["taskset", "-c", str(servers.CLIENT_CPU), b.program("sse_reader"), str(port),
                          "/v1/chat/completions", str(streams), str(seconds), stream_body(model, 1000, 20000), KEY],
                         capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def streams(b, proxies, up):
    """512 streams of 50 chunks a second: what the gateway adds to the gaps, and its CPU a chunk."""
    gateway = proxies.weir()
    try:
        before = gateway.cpu_seconds()
        through = read_streams(b, gateway.port, "up/m", 512, 6)
        took = gateway.cpu_seconds() - before
        direct = read_streams(b, up.port, "m", 512, 6)
        if through["cut"] or direct["cut"]:
            raise SystemExit(f"streams were cut: {through['cut']} through weir, {direct['cut']} directly")
        b.row("512 streams, 99th percentile of gaps: added by the gateway", (through["p99_us"] - direct["p99_us"]) / 1000,
              "ms", must="value <= 1")
        b.row("512 streams, CPU a chunk", took / through["events"] * 1e6, "µs", must="value <= 10")
    finally:
        gateway.close()


def record_instructions(b, folder, counts=(5000, 25000)):
    """Instructions of a record from the call to the disk, by callgrind: at full speed, when hundreds share a commit. (A proxy under
    callgrind is so slow that each commit has a few: that counts commits, not records.)"""
    totals = []
    for n in counts:
        out = Path(folder) / f"callgrind.store.{n}"
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", b.program("store"),
                        f"{folder}/store.{n}.db", str(n)], capture_output=True, check=True)
        totals.append(int(re.search(r"^totals: (\d+)", out.read_text(), re.M)[1]))
    return (totals[1] - totals[0]) / (counts[1] - counts[0])


def instructions(b, proxies, folder):
    if not shutil.which("valgrind"):
        b.not_measured("proxied chat, instructions a request", "no valgrind", must="ratio <= 1")
        return
    unrecorded = servers.user_instructions(lambda wrap: proxies.weir(wrap, record=False), folder, "unrecorded")
    record = record_instructions(b, folder)
    haproxy, nginx = (servers.user_instructions(getattr(proxies, name), folder, name) for name in ("haproxy", "nginx"))
    b.row("proxied chat, instructions a request (user alone, callgrind), beside haproxy", unrecorded + record, "instructions",
          reference=haproxy, must="ratio <= 1")
    b.row("… beside nginx", unrecorded + record, "instructions", reference=nginx)
    b.row("… of them the record in the store", record, "instructions", reference=unrecorded + record)
    ours = servers.user_instructions(proxies.weir, folder, "weir")
    b.row("… at callgrind's pace, where few requests share a commit", ours, "instructions", reference=haproxy)
    b.row("… translated to Anthropic's protocol, beside the same dialect",
          servers.user_instructions(proxies.translated, folder, "translated"), "instructions", reference=ours,
          must="ratio <= 2")


def main(b):
    wrk = b.peer("wrk")
    with tempfile.TemporaryDirectory() as folder:
        up = upstream(folder)
        if not up or not wrk or not all((b.peer("haproxy"), b.peer("nginx"))):
            b.not_measured("proxied chat", "no tools/mock in the test data, or no haproxy, nginx, wrk", must="ratio >= 1")
            return
        try:
            proxies = Proxies(b, folder, up)
            instructions(b, proxies, folder)
            speeds(b, proxies, folder, wrk)
            streams(b, proxies, up)
        finally:
            up.close()


if __name__ == "__main__":
    bench.run("gateway", main)
