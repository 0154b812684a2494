#!/usr/bin/env python3
"""The engine over HTTP beside llama-server ($WEIR_PEER_LLAMA_SERVER): chats under one system prompt, a stream beside another
client's long prompt, the start, and rest.

GPT-2 124M's shape with random weights. What such a model writes is noise that llama-server's chat parser may refuse, so a
bias makes every token the same word: the work is the same. $WEIR_BENCH_ROUNDS (3) rounds are taken in turns, each
with a system prompt that is new to both.
"""

import collections
import json
import os
import selectors
import socket
import statistics
import subprocess
import threading
import time
from pathlib import Path

import bench
import engine_peers as peers
from servers import free_port

ROUNDS = int(os.environ.get("WEIR_BENCH_ROUNDS", 3))
TOKENS, SYSTEM_WORDS, REQUESTS_EACH = 48, 170, 2  # a word is one or two tokens
SLOTS = 32
# Beside a stream: in one prompt of these a gap may be the machine's own. The stream runs for a while first, since memory may
# be twice as fast after a pause as it is under load.
PROMPTS, SETTLE_S, ALONE_S = 5, 1.5, 0.5
WORD = "300"  # a token of ASCII letters in mkmodel's vocabulary
KINDS = {"f32": "ratio >= 1.7", "q8_0": "ratio >= 2.5"}
TEMPLATE = ("{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}"
            "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}")


def name_of(kind):
    return f"gpt2-124m-chat-{kind}"  # weir names a model by its file; llama-server does not ask


def chat_model(kind):
    return peers.model("gpt2-124m", kind, "--set", "tokenizer.chat_template=" + TEMPLATE, name="gpt2-124m-chat")


class Server:
    """A server on a free port, in a process of its own; `ready` says 200 when it can answer."""

    def __init__(self, command, port, ready):
        self.port = port
        self.process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.ready = ready

    def wait(self):
        for _ in range(3000):
            if self.get(self.ready).startswith(b"HTTP/1.1 200"):
                return self
            time.sleep(0.02)
        raise SystemExit(f"{self.process.args[0]} does not answer")

    def get(self, path):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                s.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                return s.recv(4096)
        except OSError:
            return b""

    def cpu_ns(self):
        return sum(int(Path(f"/proc/{self.process.pid}/task/{task}/schedstat").read_text().split()[0])
                   for task in os.listdir(f"/proc/{self.process.pid}/task"))

    def close(self):
        self.process.terminate()
        self.process.wait(timeout=60)


def weir(path):
    port = free_port()
    return Server([bench.WEIR, "serve", "-q", "-m", path, "--threads", peers.THREADS, "--listen", f"127.0.0.1:{port}"], port,
                  "/readyz")


def llama_server(program, path):
    port = free_port()
    return Server([program, "-m", path, "-t", peers.THREADS, "-np", SLOTS, "-c", SLOTS * peers.CONTEXT, "--host", "127.0.0.1",
                   "--port", port, "--chat-template", "chatml"], port, "/health")


# ---- streams ----


def request(path, body):
    data = json.dumps(body).encode()
    return (f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(data)}\r\n\r\n").encode() + data


def chat(kind, system, question):
    return request("/v1/chat/completions", {
        "model": name_of(kind), "stream": True, "max_tokens": TOKENS, "temperature": 0, "logit_bias": {WORD: 100},
        "stream_options": {"include_usage": True},
        "messages": [{"role": "system", "content": system}, {"role": "user", "content": question}]})


class Stream:
    """One streamed answer, from its request on."""

    def __init__(self, port, data):
        self.began, self.first, self.ended, self.text = time.perf_counter(), None, None, b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self.socket.sendall(data)

    def read(self):
        """Takes what is there; false at the end."""
        block = self.socket.recv(65536)
        self.text += block
        if self.first is None and b'"content":"' in self.text.replace(b'"content":""', b"").replace(b'"content": "', b'"content":"'):
            self.first = time.perf_counter()
        if block:
            return True
        self.ended = time.perf_counter()
        self.socket.close()
        return False

    def tokens(self):
        usages = [line for line in self.text.split(b"\n") if b'"completion_tokens"' in line]
        if not usages:
            raise SystemExit(f"a stream without its usage: {self.text[-600:]!r}")
        return int(usages[-1].split(b'"completion_tokens":')[1].split(b",")[0].split(b"}")[0])


def crowd(server, kind, clients, label):
    """`clients` clients at once, each with REQUESTS_EACH chats one after the other: tokens/s of all, and the waits for the first."""
    words = " ".join(f"{label}{i}" for i in range(SYSTEM_WORDS // 2))
    waiting = collections.deque(chat(kind, words, f"question {i} of {label}?") for i in range(clients * REQUESTS_EACH))
    done, began = [], time.perf_counter()
    with selectors.DefaultSelector() as ready:
        def start():
            stream = Stream(server.port, waiting.popleft())
            ready.register(stream.socket, selectors.EVENT_READ, stream)
        for _ in range(clients):
            start()
        while len(done) < clients * REQUESTS_EACH:
            for key, _ in ready.select():
                stream = key.data
                fd = stream.socket
                if not stream.read():
                    ready.unregister(fd)
                    done.append(stream)
                    if waiting:
                        start()
    took = time.perf_counter() - began
    if any(stream.first is None for stream in done):
        raise SystemExit(f"a stream without a word: {done[-1].text[:600]!r}")
    return sum(stream.tokens() for stream in done) / took, [stream.first - stream.began for stream in done]


def quantile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


def crowds(b, kind, must):
    path, program = chat_model(kind), b.peer("llama-server")
    running = {"weir": weir(path)}
    if program:
        running["llama-server"] = llama_server(program, path)
    try:
        for server in running.values():
            server.wait()
        for clients in (8, 32):
            speed, waits = {name: [] for name in running}, {name: [] for name in running}
            for turn in range(ROUNDS):
                for name, server in running.items():
                    rate, first = crowd(server, kind, clients, f"{name[0]}{clients}x{turn}q")
                    speed[name].append(rate)
                    waits[name] += first
            what, peer = f"{clients} chats under one system prompt, GPT-2 124M {kind}", "llama-server" if program else None
            b.row(what, statistics.median(speed["weir"]), "tokens/s",
                  reference=statistics.median(speed[peer]) if peer else None, must=must if peer else None)
            for part, label in ((0.5, "p50"), (0.99, "p99")):
                b.row(f"… the wait for the first token, {label}", quantile(waits["weir"], part) * 1000, "ms",
                      reference=quantile(waits[peer], part) * 1000 if peer else None, must="ratio <= 0.5" if peer else None)
    finally:
        for server in running.values():
            server.close()


# ---- one stream beside a long prompt ----


def gaps_beside_a_prompt(server):
    """Gaps between the words of a stream, alone and while another client's prompt of 1,000 tokens is read."""
    ids = [(i * 7919 + time.monotonic_ns()) % 50000 for i in range(1000)]
    stream = Stream(server.port, request("/v1/completions", {
        "model": name_of("q8_0"), "prompt": [5, 3, 8], "max_tokens": 800, "temperature": 0, "stream": True, "logit_bias": {WORD: 100}}))
    long = request("/v1/completions", {"model": name_of("q8_0"), "prompt": ids, "max_tokens": 1, "temperature": 0})
    span = []

    def ask():
        time.sleep(SETTLE_S)
        span.append(time.perf_counter())
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as s:
            s.sendall(long)
            while s.recv(65536):
                pass
        span.append(time.perf_counter())

    other = threading.Thread(target=ask)
    other.start()
    times = []
    while stream.read():
        times.append(time.perf_counter())
    other.join()
    gaps = [(at, at - before) for before, at in zip(times, times[1:])]
    beside = [gap for at, gap in gaps if span[0] <= at <= span[1] + 0.05]
    # Just before and just after: a machine may be faster in the first second than in those that follow.
    alone = [gap for at, gap in gaps if span[0] - ALONE_S <= at < span[0] or span[1] + 0.05 < at <= span[1] + 0.05 + ALONE_S]
    usual = statistics.median(alone)
    return (max(beside, default=0) / usual, quantile(beside, 0.99) / usual, max(alone) / usual, usual * 1000,
            (span[1] - span[0]) * 1000)


def beside_a_prompt(b):
    server = weir(chat_model("q8_0")).wait()
    try:
        runs = [gaps_beside_a_prompt(server) for _ in range(max(PROMPTS, ROUNDS))]
        longest, most, alone, usual, took = (statistics.median(run[i] for run in runs) for i in range(5))
        b.row(f"a stream while another's 1,000 tokens are read, GPT-2 124M q8_0: its longest gap beside its usual one (median of "
              f"{len(runs)} prompts)", longest * usual, "ms", reference=usual, must="ratio <= 3")
        b.row("… the 99th of a hundred gaps", most * usual, "ms", reference=usual)
        b.row("… the longest of the gaps before and after", alone * usual, "ms", reference=usual)
        b.row("… how long these 1,000 tokens took", took, "ms")
    finally:
        server.close()


# ---- start and rest ----


def first_token_s(start):
    """From the start of a process to its first token, with the model in the page cache."""
    began, server = time.perf_counter(), start()
    data = request("/v1/completions", {"model": name_of("q8_0"), "prompt": "hello", "max_tokens": 1, "temperature": 0,
                                       "logit_bias": {WORD: 100}})
    try:
        while time.perf_counter() - began < 60:
            try:
                with socket.create_connection(("127.0.0.1", server.port), timeout=30) as s:
                    s.sendall(data)
                    if s.recv(65536).startswith(b"HTTP/1.1 200"):
                        return time.perf_counter() - began
            except OSError:
                pass
            time.sleep(0.002)
        raise SystemExit("no first token within a minute")
    finally:
        server.close()


def start(b):
    path, program = chat_model("q8_0"), b.peer("llama-server")
    runs = {"weir": lambda: first_token_s(lambda: weir(path)) * 1000}
    if program:
        runs["llama-server"] = lambda: first_token_s(lambda: llama_server(program, path)) * 1000
    took = b.interleave(runs, rounds=5)
    b.row("start to first token, warm page cache, GPT-2 124M q8_0", took["weir"], "ms", reference=took.get("llama-server"),
          must="ratio <= 0.5" if program else None)


def rest(b):
    server = weir(chat_model("q8_0")).wait()
    try:
        crowd(server, "q8_0", 2, "rest")
        time.sleep(1)
        before = server.cpu_ns()
        time.sleep(5)
        b.row("CPU at rest with a model loaded", (server.cpu_ns() - before) / 5e9 * 100, "% of a core", must="value <= 0.01")
    finally:
        server.close()


def main(b):
    start(b)
    rest(b)
    beside_a_prompt(b)
    for kind, must in KINDS.items():
        crowds(b, kind, must)


if __name__ == "__main__":
    bench.run("engine_http", main)
