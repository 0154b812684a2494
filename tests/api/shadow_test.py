# REQ: ROUTE-8 ROUTE-9 OBS-3 SEC-2
"""Shadow traffic and canaries over the wire: a copy that hangs, errors, breaks off or is slow changes nothing for the client,
and both answers are compared on record."""

import json
import time

import harness
from fault_provider import Fault

SEED, TOKENS = 11, 12
CONFIG = """
listen: 127.0.0.1:0
routing:
  breaker: {{results_min: 1000000, hard_down: 1ms, rate_limited: 1ms}}
providers:
  - {{name: main, base_url: "{main}/v1", discover: false}}
  - {{name: copy, base_url: "{copy}/v1", discover: false}}
  - {{name: claude, kind: anthropic, base_url: "{copy}", discover: false}}
  - {{name: other, kind: fault, always: "tokens=12, text=something else"}}
keys:
  - {{name: poor, key: {{env: POOR_KEY}}, budget: "0.001", budget_period: day, models: ["same*"]}}
  - {{name: rich, key: {{env: RICH_KEY}}}}
prices:
  - {{name: "*", input: "1", output: "10"}}
routes:
{routes}
"""
ROUTE = """
  - name: "{name}"
    attempts_max: 3
    targets: [{{name: "main/{original}"}}]
    shadow: {{target: "{target}", percent: {percent}, in_flight_max: {most}, timeout: {timeout}{more}}}
"""
CANARY = """
  - name: "canary-{by}"
    strategy: priority
    targets: [{{name: "main/some"}}, {{name: "copy/some"}}]
    canary: {{target: copy/some, percent: 30, by: {by}}}
  - name: "canary-broken"
    backoff: 1ms
    targets: [{{name: "main/some"}}, {{name: "copy/error=500"}}]
    canary: {{target: "copy/error=500", percent: 100}}
"""
HEADERS = {"Authorization": "Bearer rich-secret"}


def route(name, target="copy/some", original="some", percent=100, most=8, timeout="1s", more=""):
    return ROUTE.format(name=name, target=target, original=original, percent=percent, most=most, timeout=timeout, more=more)


class Shadow(harness.ServerCase):
    env = {"POOR_KEY": "poor-secret", "RICH_KEY": "rich-secret"}
    # What may be wrong with a shadow, and how its copy ends then.
    WRONG = {"hang": "timeout", "error=500": "failed", "error=429, retry_after=30": "failed", "reset": "failed",
             "cut=3": "failed", "stall=2": "timeout", "first=5s": "timeout", "token=300ms": "timeout",
             "malformed=2": "failed", "error=auth": "failed"}

    @classmethod
    def setUpClass(cls):
        cls.main = cls.enterClassContext(Fault(seed=SEED, always=f"tokens={TOKENS}"))
        cls.copy = cls.enterClassContext(Fault(seed=SEED, always=f"tokens={TOKENS}"))
        routes = [route("same"), route("texts", more=", record_answers: true"), route("different", target="other/some"),
                  route("same claude", target="claude/some", more=", record_answers: true"), route("none", percent=0),
                  route("half", percent=50), route("small", more=", body_bytes_max: 300"),
                  route("two", target="copy/first=400ms", most=2), route("same local", target="weir-tiny"),
                  route("broken", original="error=500"), route("slow", original="token=100ms", target="copy/token=100ms",
                                                               timeout="9s")]
        routes += [route("wrong " + order, target="copy/" + order) for order in cls.WRONG]
        routes += [CANARY.format(by="user"), CANARY.format(by="request").split('  - name: "canary-broken"')[0]]
        cls.config = CONFIG.format(main=cls.main.url, copy=cls.copy.url, routes="".join(routes))
        super().setUpClass()

    def setUp(self):
        self.main.clear()
        self.copy.clear()

    def body(self, model, prompt="Say something.", **fields):
        return {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}

    def ask(self, model, stream=False, headers=HEADERS, **fields):
        """The answer's text, its id and how long it took."""
        began = time.monotonic()
        answer = self.post("/v1/chat/completions", self.body(model, stream=stream, **fields), headers)
        took = time.monotonic() - began
        self.assertEqual(answer.status, 200, answer)
        if not stream:
            return answer.json()["choices"][0]["message"]["content"], answer.headers["x-request-id"], took
        events = answer.events()
        self.assertEqual(events[-1], "[DONE]")
        text = "".join(c["delta"].get("content") or "" for e in events[:-1] for c in json.loads(e)["choices"])
        return text, answer.headers["x-request-id"], took

    def uncut(self, **fields):
        return self.main.ask("openai", **fields).json()["choices"][0]["message"]["content"]

    def explain(self, request):
        run = harness.weir("explain", request, "--json", "--store", self.server.store)
        return json.loads(run.stdout) if run.returncode == 0 else None

    def shadow(self, request):
        """What is on record of the copy, once it is."""
        def look():
            return (self.explain(request) or {}).get("shadow")
        found = harness.wait_until(look, 10 * harness.SLOWNESS, 0.05)
        self.assertTrue(found, self.explain(request))
        return found

    def count(self, route, outcome):
        name = f'weir_shadow_requests_total{{route="{route}",outcome="{outcome}"}}'
        for line in self.get("/metrics", HEADERS).text.splitlines():
            if line.startswith(name):
                return float(line.split()[-1])
        return 0

    def test_a_copy_with_the_same_answer_is_recorded_as_the_same(self):
        for stream in (False, True):
            text, request, _ = self.ask("same", stream)
            shadow = self.shadow(request)
            self.assertEqual(shadow["outcome"], "same", shadow)
            self.assertEqual((shadow["answer_bytes"], shadow["shadow_bytes"]), (len(text.encode()),) * 2)
            self.assertEqual((shadow["target"], shadow["provider"], shadow["model"]), ("copy/some", "copy", "some"))
            self.assertEqual(shadow["completion_tokens"], TOKENS)
            self.assertEqual(shadow["cost_nano_usd"], shadow["prompt_tokens"] * 1000 + TOKENS * 10000)
            self.assertGreater(shadow["total_us"], 0)
            self.assertIsNone(shadow["answer_text"])
            words = harness.weir("explain", request, "--store", self.server.store).stdout
            self.assertIn("its answer has the same text", words)
        self.assertEqual(len(self.copy.attempts()), 2)

    def test_another_answer_is_recorded_as_different(self):
        _, request, _ = self.ask("different")
        shadow = self.shadow(request)
        self.assertEqual(shadow["outcome"], "different")
        self.assertGreater(self.count("different", "different"), 0)

    def test_texts_are_kept_only_where_they_are_asked_for(self):
        text, request, _ = self.ask("texts", prompt="A prompt that no log shall have.")
        shadow = self.shadow(request)
        self.assertEqual((shadow["answer_text"], shadow["shadow_text"]), (text, text))
        _, request, _ = self.ask("same", prompt="A prompt that no log shall have.")
        shadow = self.shadow(request)
        self.assertNotIn(text, json.dumps(shadow))
        self.assertNotIn(text, self.server.output)
        self.assertNotIn("no log shall have", self.server.output)

    def test_a_copy_may_go_to_another_protocol_or_the_embedded_model(self):
        text, request, _ = self.ask("same claude", stream=True)
        shadow = self.shadow(request)
        self.assertEqual((shadow["outcome"], shadow["shadow_text"]), ("same", text), shadow)
        _, request, _ = self.ask("same local", max_tokens=5)
        shadow = self.shadow(request)
        self.assertEqual((shadow["outcome"], shadow["model"], shadow["completion_tokens"]), ("different", "weir-tiny", 5))

    def test_whatever_is_wrong_with_it_the_client_sees_none_of_it(self):
        want = self.uncut(prompt="Say something.")
        usual = max(self.ask("none")[2] for _ in range(5))
        for order, outcome in self.WRONG.items():
            with self.subTest(order):
                for stream in (False, True):
                    self.copy.clear()
                    text, request, took = self.ask("wrong " + order, stream)
                    self.assertEqual(text, want)
                    self.assertLess(took, usual + 0.2 * harness.SLOWNESS)
                    shadow = self.shadow(request)
                    if not (order.startswith(("cut", "stall", "malformed")) and not stream):
                        self.assertEqual(shadow["outcome"], outcome, shadow)
                    record = self.explain(request)
                    self.assertEqual(len(record["attempts"]), 1)
                    self.assertEqual(record["request"]["outcome"], "ok")
                    self.assertEqual(len(self.copy.attempts()), 1)  # never again
        self.assertGreater(self.count("wrong hang", "timeout"), 0)

    def test_no_more_than_so_many_are_under_way_and_the_rest_is_counted(self):
        before = self.count("two", "dropped")
        requests = [self.ask("two")[1] for _ in range(5)]
        self.assertEqual(self.count("two", "dropped"), before + 3)
        self.assertEqual(self.shadow(requests[0])["outcome"], "same")
        self.assertEqual(len(self.copy.attempts()), 2)

    def test_large_requests_are_not_copied(self):
        before = self.count("small", "dropped")
        self.ask("small", prompt="x" * 400)
        self.assertEqual(self.count("small", "dropped"), before + 1)
        self.assertEqual(self.shadow(self.ask("small")[1])["outcome"], "same")

    def test_the_share_is_drawn(self):
        for _ in range(100):
            self.ask("half")
            self.ask("none")
        self.assertTrue(harness.wait_until(lambda: 25 <= len(self.copy.attempts()) <= 75, 5))

    def test_a_copy_is_in_nobodys_budget(self):
        poor = {"Authorization": "Bearer poor-secret"}
        spent = 0
        for _ in range(3):
            _, request, _ = self.ask("same", headers=poor, max_tokens=TOKENS)
            self.assertGreater(self.shadow(request)["cost_nano_usd"], 0)
            spent += self.explain(request)["request"]["cost_nano_usd"]
        listed = harness.wait_until(lambda: self.spent("poor") == spent and spent, 5)
        self.assertEqual(listed, spent)

    def spent(self, key):
        cost = f'weir_cost_usd_total{{model="some",provider="main",key="{key}"}}'
        for line in self.get("/metrics", HEADERS).text.splitlines():
            if line.startswith(cost):
                return round(float(line.split()[-1]) * 1e9)
        return 0

    def test_a_client_that_goes_ends_its_copy(self):
        stream = self.server.stream("/v1/chat/completions", self.body("slow", stream=True), HEADERS)
        next(stream)
        self.assertTrue(harness.wait_until(lambda: len(self.copy.attempts()) == 1, 5))
        stream.close()
        gone = harness.wait_until(lambda: self.copy.attempts()[0]["did"]["client_closed"], 5 * harness.SLOWNESS)
        self.assertTrue(gone, self.copy.attempts())
        self.assertTrue(harness.wait_until(lambda: self.count("slow", "cancelled") == 1, 5))

    def test_where_the_original_fails_the_copy_still_tells_how_it_would_have_been(self):
        answer = self.post("/v1/chat/completions", self.body("broken"), HEADERS)
        self.assertEqual(answer.status, 502)
        shadow = self.shadow(answer.headers["x-request-id"])
        self.assertEqual((shadow["outcome"], shadow["code"], shadow["completion_tokens"]), ("failed", None, TOKENS))

    def test_other_protocols_and_operations_have_copies_too(self):
        for path, body in (("/v1/messages", {**self.body("same"), "max_tokens": 99}), ("/api/chat", self.body("same")),
                           ("/v1/responses", {"model": "same", "input": "Hello"}),
                           ("/v1/completions", {"model": "same", "prompt": "Hello"}),
                           ("/v1/embeddings", {"model": "same", "input": "Hello"})):
            answer = self.post(path, body, HEADERS)
            self.assertEqual(answer.status, 200, answer)
            self.assertEqual(self.shadow(answer.headers["x-weir-request-id"])["outcome"], "same", path)

    def test_canaries_by_user_stay(self):
        def who(**fields):
            answer = self.post("/v1/chat/completions", self.body("canary-user", **fields), HEADERS)
            return answer.headers["x-weir-provider"]

        users = {f"user-{i}": who(user=f"user-{i}") for i in range(200)}
        drawn = [u for u, provider in users.items() if provider == "copy"]
        self.assertTrue(30 <= len(drawn) <= 90, len(drawn))
        for user, provider in list(users.items())[:50]:
            self.assertEqual(who(user=user), provider)
        self.assertEqual(len({who() for _ in range(20)}), 1)  # by the key

    def test_canaries_by_request_are_drawn_each(self):
        seen = [self.post("/v1/chat/completions", self.body("canary-request", user="one"), HEADERS).headers["x-weir-provider"]
                for _ in range(200)]
        self.assertTrue(30 <= seen.count("copy") <= 90, seen.count("copy"))

    def test_a_canary_that_fails_falls_back(self):
        answer = self.post("/v1/chat/completions", self.body("canary-broken"), HEADERS)
        self.assertEqual((answer.status, answer.headers["x-weir-provider"]), (200, "main"))
        self.assertEqual(len(self.copy.attempts()), 1)


class Drain(harness.ServerCase):
    def test_copies_do_not_hold_up_the_end(self):
        with Fault(seed=SEED) as up:
            config = CONFIG.format(main=up.url, copy=up.url, routes=route("hang", target="copy/hang", timeout="60s"))
            with harness.Server(config=config, env=Shadow.env) as server:
                body = {"model": "hang", "messages": [{"role": "user", "content": "Hello"}]}
                self.assertEqual(server.post("/v1/chat/completions", body, HEADERS).status, 200)
                self.assertTrue(harness.wait_until(lambda: len(up.attempts()) == 2, 5))
                began = time.monotonic()
                self.assertEqual(server.stop(), 0)
                self.assertLess(time.monotonic() - began, 5 * harness.SLOWNESS)


if __name__ == "__main__":
    harness.main()
