# REQ: ROUTE-9 LIMIT-3 API-1 API-5
"""x-weir-totals: a stream's last comment tells tokens, cost and attempts, as the record does; official SDKs pass over it."""

import json
import unittest

import harness

try:
    import anthropic
    import openai
except ImportError:
    anthropic = openai = None

CONFIG = """
listen: 127.0.0.1:0
providers:
  - {name: same, kind: fault, always: "tokens=9"}
  - {name: claude, kind: fault, speaks: anthropic, always: "tokens=9"}
  - {name: broken, kind: fault, always: "error=503"}
prices:
  - {name: "some", input: "1", output: "2"}
  - {name: "cut*", input: "1", output: "2"}
routes:
  - {name: second, targets: [{name: broken/some}, {name: same/some}]}
"""
MESSAGES = [{"role": "user", "content": "Hello"}]
BODIES = {"/v1/chat/completions": {"messages": MESSAGES}, "/v1/completions": {"prompt": "Hello"},
          "/v1/messages": {"messages": MESSAGES, "max_tokens": 99}, "/v1/responses": {"input": "Hello"}}
ASKED = {"x-weir-totals": "true"}


class Totals(harness.ServerCase):
    config = CONFIG

    def stream(self, path, model, headers=ASKED, **fields):
        answer = self.post(path, {"model": model, "stream": True, **BODIES[path], **fields}, headers)
        self.assertEqual(answer.status, 200, answer)
        return answer

    def totals(self, answer):
        """The last thing in the stream, and the only comment of its kind."""
        blocks = [b for b in answer.text.split("\n\n") if b]
        comments = [b for b in blocks if b.startswith(": weir ")]
        self.assertEqual(len(comments), 1, answer.text)
        self.assertEqual(blocks[-1], comments[0])
        return json.loads(comments[0].removeprefix(": weir "))

    def record(self, request):
        def look():
            run = harness.weir("explain", request, "--json", "--store", self.server.store)
            return json.loads(run.stdout)["request"] if run.returncode == 0 else None
        return harness.wait_until(look, 10, 0.05)

    def test_every_protocol_tells_what_the_record_has(self):
        for path in BODIES:
            for model in ("same/some", "claude/some", "weir-tiny"):
                if path == "/v1/completions" and model == "claude/some":
                    continue  # it has no completions
                with self.subTest(path=path, model=model):
                    answer = self.stream(path, model, **({"max_tokens": 5} if path != "/v1/responses" else {}))
                    totals = self.totals(answer)
                    record = self.record(totals["request_id"])
                    self.assertEqual(totals["request_id"], answer.headers["x-weir-request-id"])
                    for name in ("prompt_tokens", "completion_tokens", "cost_nano_usd", "attempts", "provider", "model"):
                        self.assertEqual(totals[name], record[name], name)
                    self.assertGreater(totals["completion_tokens"], 0)
                    self.assertEqual(totals["cost_nano_usd"] is None, model == "weir-tiny")
                    self.assertEqual(totals["attempts"], 1)

    def test_an_attempt_that_failed_is_counted(self):
        totals = self.totals(self.stream("/v1/chat/completions", "second"))
        self.assertEqual((totals["attempts"], totals["provider"]), (2, "same"))

    def test_a_stream_that_breaks_has_its_totals_too(self):
        answer = self.server.exchange(self.raw("same/cut=4"))
        self.assertIn(b'"upstream_cut"', answer)
        totals = json.loads(answer.split(b": weir ")[1].split(b"\n")[0])
        record = self.record(totals["request_id"])
        self.assertEqual((totals["cost_nano_usd"], totals["attempts"]), (record["cost_nano_usd"], record["attempts"]))
        self.assertGreater(totals["cost_nano_usd"], 0)  # what was seen of it is estimated and paid for

    def raw(self, model):
        body = json.dumps({"model": model, "stream": True, "messages": MESSAGES}).encode()
        return (b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nx-weir-totals: true\r\nConnection: close\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)) + body

    def test_nobody_gets_them_who_did_not_ask(self):
        for path in BODIES:
            self.assertNotIn(": weir", self.stream(path, "same/some", {}).text)
        answer = self.post("/api/chat", {"model": "same/some", "messages": MESSAGES}, ASKED)
        self.assertEqual([l for l in answer.text.splitlines() if not l.startswith("{")], [])  # lines of JSON have no comments
        self.assertNotIn("weir", self.post("/v1/chat/completions", {"model": "same/some", "messages": MESSAGES}, ASKED).text)

    @unittest.skipIf(openai is None, "the Python packages openai and anthropic are missing (scripts/setup test)")
    def test_official_sdks_pass_over_them(self):
        for model in ("same/some", "claude/some", "weir-tiny"):
            with self.subTest(model):
                client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0, default_headers=ASKED)
                chunks = list(client.chat.completions.create(model=model, messages=MESSAGES, stream=True, seed=1, max_tokens=9))
                self.assertTrue(any(c.choices and c.choices[0].finish_reason for c in chunks))
                events = list(client.responses.create(model=model, input="Hello", stream=True))
                self.assertIn(events[-1].type, ("response.completed", "response.incomplete"))
                claude = anthropic.Anthropic(base_url=self.server.url, api_key="none", max_retries=0, default_headers=ASKED)
                with claude.messages.stream(model=model, messages=MESSAGES, max_tokens=9) as stream:
                    self.assertTrue(stream.get_final_message().stop_reason)


if __name__ == "__main__":
    harness.main()
