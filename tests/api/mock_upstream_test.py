# REQ: PROV-2 PROV-3 PROV-4 PROV-5 PROV-6 API-11
"""Providers played by a program that we did not write for these tests: the fast mock of the shared tools, compiled here.
What it is told to do stands behind a comma in the model's name. Skipped by name without it."""

import concurrent.futures
import json
import shutil
import socket
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import harness

KINDS = {"openai": "/v1", "azure": "", "nim": "/v1", "anthropic": "", "ollama": ""}
KEY = "sk-mock-key-1"
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {
    "x": {"type": "string"}}}}}]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Mock(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        source, compiler = harness.data("tools", "mock", "mock.c"), shutil.which("cc")
        if not compiler:
            raise unittest.SkipTest("no C compiler for the mock")
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="weir-mock-"))
        program, port = Path(folder, "mock"), free_port()
        subprocess.run([compiler, "-O1", "-pthread", "-w", "-o", program, source], check=True)
        mock = subprocess.Popen([program, "-p", str(port), "-r", "-a", KEY], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.addClassCleanup(mock.wait)
        cls.addClassCleanup(mock.terminate)

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0

        if not harness.wait_until(listens, 10):
            raise AssertionError("the mock does not listen")
        cls.env = {"MOCK_KEY": KEY}
        cls.config = ("listen: 127.0.0.1:0\nrouting: {attempts_max: 1, breaker: {results_min: 1000000}}\nproviders:\n" + "".join(
            f"  - {{name: {kind}, kind: {kind}, base_url: \"http://127.0.0.1:{port}{path}\", key: \"${{MOCK_KEY}}\"}}\n"
            for kind, path in KINDS.items()))
        super().setUpClass()

    def body(self, kind, orders="", **fields):
        return {"model": f"{kind}/m,{orders}", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 40, **fields}

    def whole(self, *arguments, **fields):
        answer = self.post("/v1/chat/completions", self.body(*arguments, **fields))
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def streamed(self, *arguments, **fields):
        """Text, calls, finish, and the last frame."""
        text, arguments_of, finish, frame = "", {}, None, None
        for event in self.stream("/v1/chat/completions", self.body(*arguments, stream=True, **fields)):
            frame = event.data
            for choice in json.loads(frame).get("choices", ()) if frame != "[DONE]" else ():
                text += choice["delta"].get("content") or ""
                finish = choice["finish_reason"] or finish
                for call in choice["delta"].get("tool_calls") or ():
                    arguments_of[call["index"]] = arguments_of.get(call["index"], "") + call["function"]["arguments"]
        return text, arguments_of, finish, frame

    def test_streams_and_whole_answers_say_the_same_however_the_bytes_are_cut(self):
        for kind in KINDS:
            answer = self.whole(kind, "tokens=12")["choices"][0]
            for orders in ("tokens=12", "tokens=12,slice=1", "tokens=12,crlf=1,comment=1,slice=7", "tokens=12,batch=5"):
                with self.subTest(f"{kind} {orders}"):
                    text, _, finish, last = self.streamed(kind, orders)
                    self.assertEqual((text, finish), (answer["message"]["content"], answer["finish_reason"]))
                    self.assertEqual(last, "[DONE]")

    def test_tool_calls(self):
        for kind in KINDS:
            with self.subTest(kind):
                call = self.whole(kind, "tool=1", tools=TOOLS)["choices"][0]
                self.assertEqual(call["finish_reason"], "tool_calls")
                self.assertEqual(call["message"]["tool_calls"][0]["function"]["name"], "look_up")
                _, arguments, finish, _ = self.streamed(kind, "tool=1,slice=3", tools=TOOLS)
                self.assertEqual((json.loads(arguments[0]), finish),
                                 (json.loads(call["message"]["tool_calls"][0]["function"]["arguments"]), "tool_calls"))

    def test_a_cut_stream_never_looks_whole(self):
        for kind in KINDS:
            with self.subTest(kind):
                body = json.dumps(self.body(kind, "tokens=12,cut=4", stream=True)).encode()
                raw = self.server.exchange(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                           b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                self.assertIn(b"upstream_cut", raw)
                self.assertNotIn(b"[DONE]", raw)
                self.assertFalse(raw.endswith(b"0\r\n\r\n"), raw[-200:])

    def test_embeddings(self):
        for kind in ("openai", "nim", "ollama"):
            answer = self.post("/v1/embeddings", {"model": kind + "/mock-embed", "input": ["a", "b"]})
            self.assertEqual((answer.status, len(answer.json()["data"])), (200, 2), answer)

    def test_many_streams_at_once_stay_apart(self):
        def one(n):
            return self.streamed("openai", f"tokens={n},itl_us=5000")

        began = time.monotonic()
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(one, range(5, 37)))
        self.assertEqual({(finish, last) for _, _, finish, last in answers}, {("stop", "[DONE]")})
        lengths = [len(text) for text, *_ in answers]
        self.assertEqual(lengths, sorted(lengths))
        self.assertLess(time.monotonic() - began, 3 * harness.SLOWNESS)


if __name__ == "__main__":
    harness.main()
