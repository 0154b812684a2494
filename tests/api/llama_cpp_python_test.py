"""A provider that we did not write: the server of llama.cpp's Python bindings (llama-cpp-python) behind weir. What a client gets
through weir is held against what the same request gets from that server directly.

It runs in the python that $WEIR_PEER_LLAMA_CPP_PYTHON names, or in the tests' own where that has it; without one the file is
skipped by name. It tells no usage of a stream, and a new request cuts off the stream that runs.
"""

# REQ: PROV-3 API-5 ROUTE-7

import json

import harness
from llama_servers import CHAT, COMPLETIONS, SAME, STORY, Beside, PythonServer, finish_of, started, text_of, told

LONG = {**SAME, "max_tokens": 600, "logit_bias": {"2": -100}}  # a second: its model never ends by itself
CONFIG = """
listen: 127.0.0.1:0
log: {{level: info}}
routing: {{breaker: {{results_min: 1000000}}}}
providers:
  - {{name: llama, base_url: "{chat}/v1"}}
  - {{name: vectors, base_url: "{vectors}/v1", models: [stories]}}
"""


class Bindings(Beside):
    @classmethod
    def setUpClass(cls):
        cls.llama = started(cls, PythonServer)
        cls.vectors = started(cls, PythonServer, arguments=["--embedding", "true"])
        cls.config = CONFIG.format(chat=cls.llama.url, vectors=cls.vectors.url)
        super().setUpClass()

    def test_a_whole_chat(self):
        direct, through = self.both(CHAT, messages=STORY, max_tokens=40, **SAME)
        self.assert_same_answer(direct, through)
        self.assertEqual((through["choices"][0]["finish_reason"], through["usage"]["completion_tokens"]), ("length", 40))
        stopped, told_so = self.both(CHAT, messages=STORY, max_tokens=200, stop=["."], **SAME)
        self.assert_same_answer(stopped, told_so)
        self.assertEqual(told_so["choices"][0]["finish_reason"], "stop")

    def test_a_streamed_chat(self):
        direct, through = self.both_streams(messages=STORY, max_tokens=40, **SAME)
        self.assertEqual([c["choices"] for c in through], [c["choices"] for c in direct])
        self.assertEqual((text_of(through), finish_of(through)), (self.expected(40)[0], ["length"]))

    def test_completions(self):
        direct, through = self.both(COMPLETIONS, prompt="Once upon a time", max_tokens=20, **SAME)
        self.assert_same_answer(direct, through)
        direct, pieces = self.both_streams(COMPLETIONS, prompt="Once upon a time", max_tokens=20, **SAME)
        self.assertEqual([c["choices"] for c in pieces], [c["choices"] for c in direct])
        self.assertEqual("".join(c["choices"][0]["text"] for c in pieces), through["choices"][0]["text"])

    def test_embeddings_of_each_token_are_not_taken_for_a_texts(self):
        direct = self.vectors.post("/v1/embeddings", {"model": "stories", "input": "Hello"})
        self.assertIsInstance(direct.json()["data"][0]["embedding"][0], list)  # its model names no pooling
        self.assert_error(self.post("/v1/embeddings", {"model": "vectors/stories", "input": "Hello"}), 502,
                          "upstream_malformed")

    def test_what_it_has_is_listed(self):
        found = harness.wait_until(lambda: "llama/stories" in {m["id"] for m in self.get("/v1/models").json()["data"]},
                                   10 * harness.SLOWNESS)
        self.assertTrue(found, self.get("/v1/models").text)

    def test_other_protocols_clients(self):
        text, usage = self.expected(30)
        anthropic = {"model": "llama/stories", "messages": STORY, "max_tokens": 30, "temperature": 0}
        whole = self.post("/v1/messages", anthropic).json()
        self.assertEqual((whole["content"][0]["text"], whole["stop_reason"], whole["usage"]["input_tokens"]),
                         (text, "max_tokens", usage["prompt_tokens"]))
        events = list(self.stream("/v1/messages", {**anthropic, "stream": True}))
        self.assertEqual(events[-1].name, "message_stop")
        self.assertEqual("".join(e.json()["delta"]["text"] for e in events if e.name == "content_block_delta"), text)
        ollama = {"model": "llama/stories", "messages": STORY, "options": {"temperature": 0, "seed": 1, "num_predict": 30}}
        lines = [json.loads(line) for line in self.post("/api/chat", ollama).text.splitlines()]
        self.assertEqual("".join(line["message"]["content"] for line in lines), text)
        self.assertEqual((lines[-1]["done"], lines[-1]["done_reason"]), (True, "length"))

    def test_a_prompt_that_does_not_fit(self):
        body = {"model": "llama/stories", "messages": [{"role": "user", "content": "word " * 5000}], "max_tokens": 4}
        self.assert_error(self.post(CHAT, body), 400, "context_length_exceeded")
        # Of a stream it says nothing at all, with status 200.
        self.assert_error(self.post(CHAT, {**body, "stream": True}), 502, "upstream_cut")

    def test_a_stream_that_another_request_cuts_off_does_not_look_whole(self):
        stream = self.stream(CHAT, {"model": "llama/stories", "messages": STORY, "stream": True, **LONG})
        first = [next(stream).json() for _ in range(5)]
        self.assertEqual(self.llama.post(CHAT, {"model": "stories", "messages": STORY, "max_tokens": 1}).status, 200)
        chunks, done = told(stream)
        text = text_of(first + chunks)
        if done:  # it was asked again, and said all of it
            self.server.says(" attempts=2 ")
            self.assertEqual(finish_of(chunks), ["length"])
            self.assertEqual(text, self.llama.post(CHAT, {"model": "stories", "messages": STORY, **LONG})
                             .json()["choices"][0]["message"]["content"])
        else:
            self.assertEqual(finish_of(chunks), [])
            self.assertEqual(chunks[-1]["error"]["code"], "upstream_cut", chunks[-1])


if __name__ == "__main__":
    harness.main()
