# REQ: PROMPT-2
"""Conversations that are too long: refused, or cut by their route's policy, counted by the engine for a model of this
machine and estimated for a provider's; what is sent, what is told, what is on record."""

import json
import unittest

import harness
import upstreams

CONFIG = """
listen: 127.0.0.1:0
providers:
  - {{name: openai, base_url: "{url}/v1"}}
  - {{name: anthropic, kind: anthropic, base_url: "{url}", tokens_max: 77}}
models:
  - {{name: weir-tiny}}
  - {{name: small, context_max: 256}}
routes:
  - {{name: local-oldest, targets: [{{name: weir-tiny}}], context_policy: truncate_oldest, context_max: 400}}
  - {{name: local-middle, targets: [{{name: weir-tiny}}], context_policy: truncate_middle, context_max: 400}}
  - {{name: oldest, targets: [{{name: openai/m}}], context_policy: truncate_oldest, context_max: 400}}
  - {{name: anthropic-oldest, targets: [{{name: anthropic/m}}], context_policy: truncate_oldest, context_max: 400}}
  - {{name: middle, targets: [{{name: openai/m}}], context_policy: truncate_middle, context_max: 400}}
  - {{name: refuse, targets: [{{name: openai/m}}], context_max: 400}}
  - {{name: larger, targets: [{{name: small}}, {{name: weir-tiny}}], context_policy: truncate_oldest}}
"""


def turns(n, size=150, system="Be kind."):
    said = [{"role": "system", "content": system}] if system else []
    for i in range(n):
        said += [{"role": "user", "content": f"question {i} " + "x" * size}, {"role": "assistant", "content": f"answer {i}"}]
    return [*said, {"role": "user", "content": "the last question"}]


class Context(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.up = upstreams.Upstream()
        cls.addClassCleanup(cls.up.stop)
        cls.config = CONFIG.format(url=cls.up.url)
        super().setUpClass()

    def setUp(self):
        self.up.requests.clear()

    def ask(self, model, messages, **fields):
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, **fields})

    def sent(self):
        return json.loads(self.up.posts()[-1].body)

    def test_what_fits_is_sent_as_it_came(self):
        answer = self.ask("oldest", turns(2), own_member=1)
        self.assertEqual(answer.status, 200)
        self.assertNotIn("x-weir-context", answer.headers)
        self.assertEqual(self.sent()["messages"], turns(2))
        self.assertEqual(self.sent()["own_member"], 1)

    def test_the_oldest_turns_go_and_it_is_told(self):
        for stream in (False, True):
            answer = self.ask("oldest", turns(12), stream=stream, user="u1")
            self.assertEqual(answer.status, 200)
            seen = self.sent()
            kept = [m["content"].split(" x")[0] for m in seen["messages"]]
            self.assertEqual((kept[0], kept[-1]), ("Be kind.", "the last question"))
            first = int(kept[1].split()[1])
            self.assertGreater(first, 3)
            self.assertEqual(kept[1:-1], [f"{w} {i}" for i in range(first, 12) for w in ("question", "answer")])
            self.assertRegex(answer.headers["x-weir-context"], rf"^truncate_oldest; messages={2 * first}; tokens=\d+$")
            self.assertEqual(seen["user"], "u1")
        request = answer.headers["x-weir-request-id"]
        row = {}

        def on_record():
            done = harness.weir("explain", request, "--json", "--store", self.server.store)
            row.update(json.loads(done.stdout)["request"] if done.returncode == 0 else {})
            return row

        harness.wait_until(on_record)
        self.assertEqual(row["context"], answer.headers["x-weir-context"])
        self.assertIn(f'context="{row["context"]}"', self.server.log_line(request))

    def test_the_middle_goes_and_both_ends_stay(self):
        self.assertEqual(self.ask("middle", turns(12)).status, 200)
        kept = [m["content"].split(" x")[0] for m in self.sent()["messages"]]
        self.assertEqual(kept[:3], ["Be kind.", "question 0", "answer 0"])
        self.assertEqual(kept[-2:], ["answer 11", "the last question"])
        self.assertNotIn("question 6", kept)

    def test_calls_stay_with_their_results(self):
        call = lambda i: [{"role": "assistant", "content": None, "tool_calls": [
            {"id": f"c{i}", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
            {"role": "tool", "tool_call_id": f"c{i}", "content": "y" * 200}]
        messages = [{"role": "user", "content": "do it"}, *(m for i in range(9) for m in call(i))]
        self.assertEqual(self.ask("oldest", messages).status, 200)
        seen = self.sent()["messages"]
        self.assertEqual(seen[0]["content"], "do it")
        self.assertEqual([m["tool_call_id"] for m in seen if m["role"] == "tool"],
                         [m["tool_calls"][0]["id"] for m in seen if m["role"] == "assistant"])
        self.assertEqual(seen[-1]["tool_call_id"], "c8")
        self.assertLess(len(seen), len(messages))

    def test_every_protocol_can_be_cut(self):
        body = {"model": "anthropic-oldest", "max_tokens": 9, "system": "Be kind.", "messages": turns(12, system=None)}
        answer = self.post("/v1/messages", body)
        self.assertEqual(answer.status, 200, answer)
        self.assertIn("x-weir-context", answer.headers)
        self.assertEqual(self.sent()["messages"][0]["role"], "user")
        answer = self.post("/api/chat", {"model": "oldest", "messages": turns(12), "stream": False})
        self.assertIn("x-weir-context", answer.headers)
        items = [{"role": m["role"], "content": m["content"]} for m in turns(12)]
        answer = self.post("/v1/responses", {"model": "oldest", "input": items})
        self.assertIn("x-weir-context", answer.headers)

    def test_responses_may_ask_for_it(self):
        items = turns(12)
        self.assert_error(self.post("/v1/responses", {"model": "refuse", "input": items}), 400, "context_length_exceeded")
        answer = self.post("/v1/responses", {"model": "refuse", "input": items, "truncation": "auto"})
        self.assertEqual((answer.status, answer.json()["truncation"]), (200, "auto"))
        self.assertIn("x-weir-context", answer.headers)

    def test_too_long_is_refused_before_anything_is_sent(self):
        self.assert_error(self.ask("refuse", turns(12)), 400, "context_length_exceeded")
        answer = self.ask("oldest", [{"role": "user", "content": "x" * 3000}])
        self.assert_error(answer, 400, "context_length_exceeded")
        self.assertIn("without all earlier turns", answer.text)
        self.assertEqual(self.up.posts(), [])

    def test_the_local_model_is_counted_exactly(self):
        for model in ("local-oldest", "local-middle"):
            answer = self.ask(model, turns(12), max_tokens=20)
            self.assertEqual(answer.status, 200, answer)
            used = answer.json()["usage"]["prompt_tokens"]
            left_out = int(answer.headers["x-weir-context"].split("tokens=")[1])
            self.assertLessEqual(used, 380)
            whole = self.ask("weir-tiny", turns(12), max_tokens=1)
            if whole.status == 200:
                self.assertEqual(used + left_out, whole.json()["usage"]["prompt_tokens"])
            # One turn more would not have fitted.
            turn = left_out // (int(answer.headers["x-weir-context"].split("messages=")[1].split(";")[0]) // 2)
            self.assertGreater(used + turn, 380)

    def test_a_larger_model_comes_before_a_cut(self):
        harness.wait_until(lambda: "small" in self.get("/v1/models").text, 10 * harness.SLOWNESS)
        answer = self.ask("larger", turns(2), max_tokens=8)
        self.assertEqual((answer.status, answer.headers["x-weir-attempts"]), (200, "2"), answer)
        self.assertNotIn("x-weir-context", answer.headers)
        answer = self.ask("larger", turns(80), max_tokens=8)  # too long for both: the larger one gets what fits
        self.assertEqual((answer.status, answer.headers["x-weir-attempts"]), (200, "2"), answer)
        self.assertGreater(answer.json()["usage"]["prompt_tokens"], 256)
        self.assertIn("x-weir-context", answer.headers)


if __name__ == "__main__":
    harness.main()
