"""A provider that we did not write: llama.cpp's server behind weir. What a client gets through weir is held against what the
same request gets from that server directly.

The server is $WEIR_PEER_LLAMA_SERVER, or `llama-server` on PATH; without one the file is skipped by name.
"""

# REQ: PROV-3 API-5 API-6 API-11 ROUTE-2 ROUTE-4 ROUTE-7

import json
import re
import signal
import unittest

import harness
from llama_servers import CHAT, COMPLETIONS, SAME, STORY, Beside, finish_of, started, text_of, told

LONG = {**SAME, "max_tokens": 1500, "ignore_eos": True}  # seconds of work: its window moves on
ENDLESS = {**SAME, "max_tokens": 1_000_000, "ignore_eos": True}
CONFIG = """
listen: 127.0.0.1:0
log: {{level: info}}
providers:
  - {{name: llama, base_url: "{chat}/v1", health: {{path: /health, metrics: /metrics, interval: 50ms, timeout: 500ms}}}}
  - {{name: vectors, base_url: "{vectors}/v1"}}
routes:
  - {{name: either, targets: [{{name: llama/stories}}, {{name: weir-tiny}}], fallback_on: [context]}}
"""
TWO = """
listen: 127.0.0.1:0
providers:
  - {{name: first, base_url: "{first}/v1", models: [stories]}}
  - {{name: second, base_url: "{second}/v1", models: [stories]}}
  - {{name: third, base_url: "{second}/v1", models: [tales], continues: true}}
routes:
  - {{name: both, targets: [{{name: first/stories}}, {{name: second/stories}}]}}
  - {{name: on, targets: [{{name: first/stories}}, {{name: third/tales}}]}}
  - {{name: alone, targets: [{{name: first/stories}}]}}
"""


class ItsOwn(Beside):
    """The server of llama.cpp itself."""

    @classmethod
    def setUpClass(cls):
        cls.llama = started(cls)
        cls.vectors = started(cls, arguments=["--embeddings", "--pooling", "mean"])
        cls.config = CONFIG.format(chat=cls.llama.url, vectors=cls.vectors.url)
        super().setUpClass()

    def metric(self, name, **labels):
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
                return float(line.split()[-1])
        return None

    # ---- the same protocol on both sides ----

    def test_a_whole_chat(self):
        direct, through = self.both(CHAT, messages=STORY, max_tokens=40, **SAME)
        self.assert_same_answer(direct, through)
        self.assertGreater(len(through["choices"][0]["message"]["content"]), 40)
        self.assertEqual((through["choices"][0]["finish_reason"], through["usage"]["completion_tokens"]), ("length", 40))

    def test_a_streamed_chat(self):
        direct, through = self.both_streams(messages=STORY, max_tokens=40, stream_options={"include_usage": True}, **SAME)
        self.assertEqual([c["choices"] for c in through], [c["choices"] for c in direct])
        self.assertEqual(through[-1]["usage"], direct[-1]["usage"])
        whole = self.both(CHAT, messages=STORY, max_tokens=40, **SAME)[1]
        self.assertEqual(text_of(through), whole["choices"][0]["message"]["content"])
        self.assertEqual(finish_of(through), ["length"])

    def test_usage_of_a_stream_that_asks_for_none_is_taken_out_and_still_counted(self):
        before = self.metric("weir_tokens_total", provider="llama", type="output") or 0
        direct, through = self.both_streams(messages=STORY, max_tokens=7, **SAME)
        self.assertEqual([c["choices"] for c in through], [c["choices"] for c in direct])
        self.assertFalse([c for c in through if c.get("usage")])
        self.assertEqual(self.metric("weir_tokens_total", provider="llama", type="output") - before, 7)

    def test_stop_and_several_choices_and_logprobs(self):
        stopped, told_so = self.both(CHAT, messages=STORY, max_tokens=200, stop=["."], **SAME)
        self.assert_same_answer(stopped, told_so)
        self.assertEqual(told_so["choices"][0]["finish_reason"], "stop")
        self.assertNotIn(".", told_so["choices"][0]["message"]["content"])
        direct, through = self.both(CHAT, messages=STORY, max_tokens=5, n=2, **SAME)
        self.assert_same_answer(direct, through)
        self.assertEqual([choice["index"] for choice in through["choices"]], [0, 1])
        self.assert_same_answer(*self.both(CHAT, messages=STORY, max_tokens=4, logprobs=True, top_logprobs=2, **SAME))

    def test_completions(self):
        direct, through = self.both(COMPLETIONS, prompt="Once upon a time", max_tokens=20, **SAME)
        self.assert_same_answer(direct, through)
        direct, pieces = self.both_streams(COMPLETIONS, prompt="Once upon a time", max_tokens=20, **SAME)
        self.assertEqual([c["choices"] for c in pieces if c["choices"]], [c["choices"] for c in direct if c["choices"]])
        self.assertEqual("".join(c["choices"][0]["text"] for c in pieces if c["choices"]), through["choices"][0]["text"])

    def test_embeddings(self):
        for sent in ("Hello", ["Hello", "A dog ran."]):
            direct = self.vectors.post("/v1/embeddings", {"model": "stories", "input": sent}).json()
            through = self.post("/v1/embeddings", {"model": "vectors/stories", "input": sent}).json()
            self.assertEqual((through["data"], through["usage"]), (direct["data"], direct["usage"]))
        ollama = self.post("/api/embed", {"model": "vectors/stories", "input": ["Hello", "A dog ran."]}).json()
        self.assertEqual(len(ollama["embeddings"]), 2)
        for one, other in zip(ollama["embeddings"], direct["data"]):  # read into floats of 32 bits
            self.assertLess(max(abs(a - b) for a, b in zip(one, other["embedding"], strict=True)), 1e-6)

    def test_a_schema_holds(self):
        schema = {"type": "object", "properties": {"good": {"type": "boolean"}}, "required": ["good"],
                  "additionalProperties": False}
        form = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": schema}}
        direct, through = self.both(CHAT, messages=STORY, max_tokens=200, response_format=form, **SAME)
        self.assert_same_answer(direct, through)

    def test_what_it_has_is_listed(self):
        found = harness.wait_until(lambda: {m["id"] for m in self.get("/v1/models").json()["data"]} >=
                                   {"llama/stories", "vectors/stories"}, 10 * harness.SLOWNESS)
        self.assertTrue(found, self.get("/v1/models").text)
        named = self.post(CHAT, {"model": "stories", "messages": STORY, "max_tokens": 1})
        self.assertEqual((named.status, named.headers["x-weir-provider"]), (200, "llama"))

    # ---- other protocols' clients ----

    def test_anthropics_client(self):
        text, usage = self.expected(30)
        body = {"model": "llama/stories", "messages": STORY, "max_tokens": 30, "temperature": 0}
        whole = self.post("/v1/messages", body).json()
        self.assertEqual([(b["type"], b.get("text")) for b in whole["content"]], [("text", text)])
        self.assertEqual((whole["stop_reason"], whole["usage"]["input_tokens"], whole["usage"]["output_tokens"]),
                         ("max_tokens", usage["prompt_tokens"], 30))
        events = list(self.stream("/v1/messages", {**body, "stream": True}))
        self.assertEqual((events[0].name, events[-1].name), ("message_start", "message_stop"))
        deltas = [e.json()["delta"] for e in events if e.name == "content_block_delta"]
        self.assertEqual("".join(delta["text"] for delta in deltas), text)
        last = next(e.json() for e in events if e.name == "message_delta")
        self.assertEqual((last["delta"]["stop_reason"], last["usage"]["output_tokens"]), ("max_tokens", 30))

    def test_ollamas_client(self):
        text, usage = self.expected(30)
        body = {"model": "llama/stories", "messages": STORY, "options": {"temperature": 0, "seed": 1, "num_predict": 30}}
        whole = self.post("/api/chat", {**body, "stream": False}).json()
        self.assertEqual((whole["message"]["content"], whole["done_reason"]), (text, "length"))
        self.assertEqual((whole["prompt_eval_count"], whole["eval_count"]), (usage["prompt_tokens"], 30))
        lines = [json.loads(line) for line in self.post("/api/chat", body).text.splitlines()]
        self.assertEqual("".join(line["message"]["content"] for line in lines), text)
        self.assertEqual((lines[-1]["done"], lines[-1]["eval_count"]), (True, 30))

    def test_the_responses_api(self):
        text, usage = self.expected(30)
        body = {"model": "llama/stories", "input": STORY[0]["content"], "max_output_tokens": 30, "temperature": 0}
        whole = self.post("/v1/responses", body).json()
        self.assertEqual(whole["output"][-1]["content"][0]["text"], text)
        self.assertEqual((whole["status"], whole["usage"]["input_tokens"]), ("incomplete", usage["prompt_tokens"]))
        events = [event.json() for event in self.stream("/v1/responses", {**body, "stream": True}) if event.data != "[DONE]"]
        self.assertEqual("".join(e["delta"] for e in events if e["type"] == "response.output_text.delta"), text)
        self.assertEqual(events[-1]["type"], "response.incomplete")

    def test_a_tool_that_must_be_called(self):
        function = {"name": "pet", "description": "Pets an animal.", "parameters": {
            "type": "object", "properties": {"hard": {"type": "boolean"}}, "required": ["hard"]}}
        tools = {"tools": [{"type": "function", "function": function}], "tool_choice": "required", "max_tokens": 150}
        direct, through = self.both(CHAT, messages=STORY, **tools, **SAME)
        for answer in (direct, through):
            for call in answer["choices"][0]["message"].get("tool_calls", ()):
                call.pop("id")  # theirs, made anew each time
        self.assert_same_answer(direct, through)
        direct, through = self.both_streams(messages=STORY, **tools, **SAME)
        self.assertEqual(finish_of(through), finish_of(direct))

    # ---- refusals ----

    def test_a_prompt_that_does_not_fit(self):
        long = [{"role": "user", "content": "word " * 1500}]
        direct = self.llama.post(CHAT, {"model": "stories", "messages": long, "max_tokens": 4})
        self.assertEqual((direct.status, direct.json()["error"]["type"]), (400, "exceed_context_size_error"))
        answer = self.post(CHAT, {"model": "llama/stories", "messages": long, "max_tokens": 4})
        self.assert_error(answer, 400, "context_length_exceeded")
        either = self.post(CHAT, {"model": "either", "messages": long, "max_tokens": 4})
        self.assertEqual(either.headers["x-weir-attempts"], "2", either.headers)
        anthropic = self.post("/v1/messages", {"model": "llama/stories", "messages": long, "max_tokens": 4})
        self.assertEqual((anthropic.status, anthropic.json()["error"]["type"]), (400, "invalid_request_error"))

    def test_a_request_that_it_refuses(self):
        bad = {"messages": STORY, "samplers": 7, "grammar": "root ::= ("}
        direct = self.llama.post(CHAT, {"model": "stories", **bad})
        self.assertEqual(direct.status, 400, direct)
        error = self.assert_error(self.post(CHAT, {"model": "llama/stories", **bad}), 400)
        self.assertIn(direct.json()["error"]["message"][:40], error["message"])

    def test_an_operation_that_it_does_not_offer(self):
        direct = self.llama.post("/v1/embeddings", {"model": "stories", "input": "Hello"})
        self.assertEqual(direct.status, 501)
        answer = self.post("/v1/embeddings", {"model": "llama/stories", "input": "Hello"})
        self.assert_error(answer, 400, "operation_unsupported")

    def test_a_picture_that_it_cannot_see(self):
        picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
        body = {"messages": [{"role": "user", "content": [picture]}], "max_tokens": 4}
        answer = self.post(CHAT, {"model": "llama/stories", **body})
        self.assert_error(answer, 400, "images_unsupported")

    # ---- its health, and clients that go ----

    def test_its_health_and_load_are_known(self):
        self.assertTrue(harness.wait_until(lambda: self.metric("weir_provider_up", provider="llama") == 1, 10))
        stream = self.stream(CHAT, {"model": "llama/stories", "messages": STORY, "stream": True, **ENDLESS})
        next(stream)
        busy = harness.wait_until(lambda: self.metric("weir_provider_requests", provider="llama", state="running") == 1, 10)
        self.assertTrue(busy)
        stream.close()
        self.llama.process.send_signal(signal.SIGSTOP)
        try:
            self.assertTrue(harness.wait_until(lambda: self.metric("weir_provider_up", provider="llama") == 0, 15))
        finally:
            self.llama.process.send_signal(signal.SIGCONT)
        self.assertTrue(harness.wait_until(lambda: self.metric("weir_provider_up", provider="llama") == 1, 15))

    def test_a_client_that_goes_stops_its_work(self):
        stream = self.stream(CHAT, {"model": "llama/stories", "messages": STORY, "stream": True, **ENDLESS})
        next(stream)
        self.assertTrue(harness.wait_until(lambda: self.llama.works_on() == 1, 10))
        stream.close()
        self.assertTrue(harness.wait_until(lambda: self.llama.works_on() == 0, 5 * harness.SLOWNESS))


class Leaving(unittest.TestCase):
    """Who leaves in the middle of the work: the client, or the server, which dies."""

    def setUp(self):
        self.first = started(self)

    def weir(self, second):
        server = harness.Server(config=TWO.format(first=self.first.url, second=second.url)).start()
        self.addCleanup(server.stop)
        return server

    def assert_it_took_two(self, weir):
        weir.says(" attempts=2 ")

    def test_a_client_that_waits_for_a_whole_answer_and_goes_stops_its_work(self):
        weir = self.weir(self.first)
        body = json.dumps({"model": "alone", "messages": STORY, **ENDLESS}).encode()
        with weir.connect() as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                               b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.assertTrue(harness.wait_until(lambda: self.first.works_on() == 1, 10))
        self.assertTrue(harness.wait_until(weir.is_idle, 2 * harness.SLOWNESS, every_s=0.002))
        # It looks whether somebody still waits only after a second in which nothing else was asked of it.
        self.assertTrue(harness.wait_until(lambda: self.first.works_on() == 0, 30 * harness.SLOWNESS, every_s=2))

    def kill_after(self, events, count):
        """The stream's events; after so many of them the first server is dead."""
        for number, event in enumerate(events):
            if number == count:
                self.first.process.kill()
            yield event

    def test_a_stream_ends_with_a_clear_error(self):
        weir = self.weir(self.first)
        body = {"model": "alone", "messages": STORY, "stream": True, **ENDLESS}
        chunks, done = told(self.kill_after(weir.stream(CHAT, body), 10))
        self.assertFalse(done)
        self.assertEqual(finish_of(chunks), [])
        # Cut, or, where it was asked once more before that was told, no longer there.
        self.assertIn(chunks[-1]["error"]["code"], ("upstream_cut", "upstream_unreachable"), chunks[-1])
        self.assertGreater(len(text_of(chunks[:-1])), 10)

    def test_a_stream_goes_on_from_the_second(self):
        second = started(self)
        weir = self.weir(second)
        body = {"messages": STORY, "stream": True, **LONG}
        uncut = told(second.stream(CHAT, {"model": "stories", **body}))[0]
        chunks, done = told(self.kill_after(weir.stream(CHAT, {"model": "both", **body}), 10))
        self.assertTrue(done, chunks[-1])
        self.assertEqual((text_of(chunks), finish_of(chunks)), (text_of(uncut), ["length"]))
        self.assert_it_took_two(weir)

    def test_a_stream_is_continued_by_another_model(self):
        second = started(self, arguments=["--alias", "tales"])
        weir = self.weir(second)
        body = {"messages": STORY, "stream": True, **SAME, "max_tokens": 220}
        uncut = told(second.stream(CHAT, {"model": "tales", **body}))[0]
        chunks, done = told(self.kill_after(weir.stream(CHAT, {"model": "on", **body}), 10))
        self.assertTrue(done, chunks[-1])
        self.assertEqual((text_of(chunks), finish_of(chunks)), (text_of(uncut), finish_of(uncut)))
        self.assert_it_took_two(weir)

    def test_a_whole_answer_comes_from_the_second(self):
        second = started(self)
        weir = self.weir(second)
        expected = second.post(CHAT, {"model": "stories", "messages": STORY, **LONG}).json()["choices"][0]
        killer = harness.threading.Thread(
            target=lambda: harness.wait_until(lambda: self.first.works_on() == 1, 10) and self.first.process.kill())
        killer.start()
        answer = weir.post(CHAT, {"model": "both", "messages": STORY, **LONG})
        killer.join()
        self.assertEqual((answer.status, answer.headers["x-weir-provider"]), (200, "second"), answer)
        self.assertEqual(answer.json()["choices"][0], expected)


if __name__ == "__main__":
    harness.main()
