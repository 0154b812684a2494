# REQ: PROV-3 API-11
"""Models of a provider over the network: a second weir is the provider, and answers through the first as it does itself."""

import json
import unittest

import harness

GATEWAY = """
listen: 127.0.0.1:0
providers:
  - name: up
    base_url: "{url}/v1"
    models: [{model}]
  - name: dead
    base_url: "http://127.0.0.1:1/v1"
"""
HELLO = [{"role": "user", "content": "Hello! Who are you?"}]


class SecondWeir(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.upstream = harness.Server().start()
        cls.addClassCleanup(cls.upstream.stop)
        cls.config = GATEWAY.format(url=cls.upstream.url, model=cls.upstream.model)
        super().setUpClass()
        cls.name = "up/" + cls.upstream.model

    def ask(self, server, model, **fields):
        body = {"model": model, "messages": HELLO, "seed": 7, "max_tokens": 12, **fields}
        return server.post("/v1/chat/completions", body)

    def stream_of(self, server, model, **fields):
        body = {"model": model, "messages": HELLO, "seed": 7, "max_tokens": 12, "stream": True, **fields}
        return [e.data for e in server.stream("/v1/chat/completions", body)]

    def test_a_whole_answer_is_the_providers_own(self):
        answer, own = self.ask(self.server, self.name), self.ask(self.upstream, self.upstream.model)
        self.assertEqual(answer.status, 200, answer)
        mine, theirs = answer.json(), own.json()
        for field in ("model", "choices", "usage", "system_fingerprint"):
            self.assertEqual(mine[field], theirs[field])
        self.assertEqual(answer.headers["x-weir-model"], self.upstream.model)

    def test_a_stream_is_the_providers_own_frame_by_frame(self):
        def without_names(frames):
            return [f if f == "[DONE]" else {k: v for k, v in json.loads(f).items() if k not in ("id", "created")}
                    for f in frames]

        for options in ({}, {"stream_options": {"include_usage": True}}):
            mine = self.stream_of(self.server, self.name, **options)
            theirs = self.stream_of(self.upstream, self.upstream.model, **options)
            self.assertEqual(without_names(mine), without_names(theirs))
            self.assertEqual(mine[-1], "[DONE]")

    def test_usage_of_a_stream_is_known_although_the_client_did_not_ask(self):
        body = {"model": self.name, "messages": HELLO, "max_tokens": 12, "ignore_eos": True, "stream": True}
        for _ in self.server.stream("/v1/chat/completions", body, {"x-request-id": "usage-probe"}):
            pass
        line = self.server.log_line("usage-probe")
        self.assertNotIn("prompt_tokens=0", line)
        self.assertIn("completion_tokens=12", line)

    def test_both_names_are_listed_and_unlisted_ones_are_passed_on(self):
        listed = {m["id"]: m["provider"] for m in self.get("/v1/models").json()["data"]}
        self.assertEqual(listed[self.name], "up")
        error = self.assert_error(self.ask(self.server, "up/no-such-model"), 404, "model_not_found")
        self.assertIn("'up'", error["message"])

    def test_the_local_model_keeps_its_name_and_is_the_default(self):
        answer = self.ask(self.server, "default")
        self.assertEqual(answer.status, 200)
        self.assertIn("x-weir-seed", answer.headers)

    def test_completions_and_embeddings_go_through(self):
        for path, body in (("/v1/completions", {"prompt": "Once", "seed": 3, "max_tokens": 5}),
                           ("/v1/embeddings", {"input": ["one", "two"]}),
                           ("/v1/embeddings", {"input": "one", "encoding_format": "base64"})):
            mine = self.post(path, {"model": self.name, **body})
            theirs = self.upstream.post(path, {"model": self.upstream.model, **body})
            self.assertEqual(mine.status, 200, mine)
            for field in ("choices", "data", "usage"):
                self.assertEqual(mine.json().get(field), theirs.json().get(field))

    def test_a_provider_that_is_not_there_is_named(self):
        error = self.assert_error(self.ask(self.server, "dead/model"), 502, "upstream_unreachable")
        self.assertIn("'dead'", error["message"])

    def test_a_client_that_goes_stops_the_provider(self):
        def running():
            text = self.upstream.get("/metrics").text
            return sum(float(l.split()[-1]) for l in text.splitlines() if l.startswith("weir_requests_inflight"))

        stream = self.server.stream("/v1/chat/completions",
                                    {"model": self.name, "messages": HELLO, "stream": True, "ignore_eos": True,
                                     "max_tokens": 400})
        next(stream)
        stream.close()
        self.assertTrue(harness.wait_until(lambda: running() == 0, 5 * harness.SLOWNESS))

    def test_what_the_local_model_cannot_honour_is_told_and_refused_when_strict(self):
        body = {"messages": HELLO, "max_tokens": 2, "reasoning_effort": "high"}
        answer = self.post("/v1/chat/completions", body)
        self.assertEqual((answer.status, answer.headers["x-weir-dropped-params"]), (200, "reasoning_effort"))
        refused = self.server.post("/v1/chat/completions", body, {"x-weir-strict": "true"})
        self.assertEqual(self.assert_error(refused, 400, "params_dropped")["param"], "reasoning_effort")


if __name__ == "__main__":
    harness.main()
