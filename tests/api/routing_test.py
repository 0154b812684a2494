# REQ: ROUTE-2 ROUTE-3 ROUTE-4 ROUTE-5 ROUTE-7 ROUTE-9 PROV-7
"""The fault wall: every fault that a provider can have, with a healthy second target, streamed and not.

The client gets the whole answer, exactly, or a clear error, in bounded time: never a truncated answer that looks whole,
never a character twice. What the provider saw is asked of the provider.
"""

import json
import socket
import threading
import time

import harness
from fault_provider import Fault

SEED, TOKENS = 11, 12
# Before anything of the answer is out, so that another target's answer is the client's, streamed or not.
BEFORE = ["hang", "reset", "error=503", "error=529", "error=500, body=html", "error=502, body=empty", "error=rate_limit",
          "error=rate_limit, retry_after=30", "error=rate_limit, retry_after_ms=900", "error=rate_limit, retry_after_date=40",
          "error=rate_limit, x_ms_retry_after_ms=700", "error=quota", "error=auth", "error=server, status=200", "cut=0",
          "first=30s", "stall=0", "error=context", "error=filter", "malformed=0", "fail=0"]
# In the middle of a stream: the second target goes on from what the client has.
INSIDE = ["cut=3", "reset=4", "stall=3", "fail=4", "stop=5"]
CUTS = [f"cut={n}" for n in range(TOKENS + 4)] + [f"cut={n}b" for n in range(0, 3000, 61)]
# A provider that is odd or slow, but gives its answer.
HARMLESS = ["no_done", "drip=1ms", "pings=2", "usage=none", "token=5ms", "malformed_as=brace, times=0"]

CONFIG = """
listen: 127.0.0.1:0
log: {{level: warn}}
routing:
  breaker: {{results_min: 1000000, hard_down: 1ms, rate_limited: 1ms}}
providers:
  - {{name: bad, base_url: "{bad}/v1", discover: false}}
  - {{name: good, base_url: "{good}/v1", discover: false, continues: true}}
routes:
"""
ROUTE = """
  - name: "{name}"
    first_token_timeout: 1500ms
    idle_timeout: 1500ms
    attempts_max: 3
    backoff: 10ms
    targets: [{{name: "bad/{order}"}}, {{name: "good/some"}}]
"""
BOUND_S = 8


def text_of(frames):
    return "".join(json.loads(f)["choices"][0]["delta"].get("content") or "" for f in frames
                   if f != "[DONE]" and json.loads(f).get("choices"))


class Wall(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.bad = cls.enterClassContext(Fault(seed=SEED, always=f"tokens={TOKENS}"))
        cls.good = cls.enterClassContext(Fault(seed=SEED, always=f"tokens={TOKENS}"))
        orders = dict.fromkeys(BEFORE + INSIDE + CUTS + HARMLESS)
        cls.config = CONFIG.format(bad=cls.bad.url, good=cls.good.url) + "".join(
            ROUTE.format(name="wall " + order, order=order) for order in orders)
        super().setUpClass()

    def setUp(self):
        self.bad.clear()
        self.good.clear()

    def body(self, model, prompt, **fields):
        return {"model": model, "messages": [{"role": "user", "content": prompt}], **fields}

    def uncut(self, prompt):
        answer = self.good.ask("openai", prompt=prompt).json()["choices"][0]["message"]["content"]
        self.good.clear()
        return answer

    def whole(self, order, prompt):
        began = time.monotonic()
        answer = self.post("/v1/chat/completions", self.body("wall " + order, prompt))
        self.assertLess(time.monotonic() - began, BOUND_S * harness.SLOWNESS)
        return answer

    def stream(self, order, prompt):
        """Frames up to the end, and whether it was a proper one."""
        began = time.monotonic()
        frames = []
        for event in self.server.stream("/v1/chat/completions", self.body("wall " + order, prompt, stream=True)):
            frames.append(event.data)
        self.assertLess(time.monotonic() - began, BOUND_S * harness.SLOWNESS)
        return frames

    def test_before_the_first_word_the_second_target_answers(self):
        for order in BEFORE:
            prompt = f"Before: {order}"
            wanted = self.uncut(prompt)
            with self.subTest(order, stream=False):
                answer = self.whole(order, prompt)
                self.assertEqual(answer.status, 200, answer)
                self.assertEqual(answer.json()["choices"][0]["message"]["content"], wanted)
            with self.subTest(order, stream=True):
                frames = self.stream(order, prompt)
                self.assertEqual(text_of(frames), wanted)
                self.assertEqual(frames[-1], "[DONE]")
                self.assertEqual(frames.count("[DONE]"), 1)

    def test_inside_a_stream_the_second_target_goes_on(self):
        for order in INSIDE:
            prompt = f"Inside: {order}"
            wanted = self.uncut(prompt)
            with self.subTest(order):
                frames = self.stream(order, prompt)
                self.assertEqual(text_of(frames), wanted)
                self.assertEqual(frames[-1], "[DONE]")
                finishes = [json.loads(f)["choices"][0]["finish_reason"] for f in frames[:-1]
                            if json.loads(f).get("choices")]
                self.assertEqual([f for f in finishes if f], ["stop"])
                self.assertEqual(len(self.good.attempts()), 1)

    def test_what_is_merely_odd_is_one_attempt(self):
        for order in HARMLESS:
            prompt = f"Harmless: {order}"
            wanted = self.uncut(prompt)
            with self.subTest(order):
                self.assertEqual(text_of(self.stream(order, prompt)), wanted)
                self.assertEqual(self.good.attempts(), [])

    def test_every_cut_gives_the_uncut_text(self):
        prompt = "Tell me all of it."
        wanted = self.uncut(prompt)
        rescued = 0
        for order in CUTS:
            with self.subTest(order):
                frames = self.stream(order, prompt)
                self.assertEqual(text_of(frames), wanted)
                self.assertEqual(frames[-1], "[DONE]")
            rescued += len(self.good.attempts())
            self.good.clear()
        self.assertGreater(rescued, len(CUTS) // 2)

    def test_one_budget_for_all_attempts(self):
        answer = self.post("/v1/chat/completions", self.body("bad/error=503", "x"))
        self.assert_error(answer, 503, "overloaded")
        self.assertEqual(len(self.bad.attempts()), 3)

    def test_attempts_are_counted_by_why_and_how(self):
        def count(*labels):
            return sum(float(line.split()[-1]) for line in self.get("/metrics").text.splitlines()
                       if line.startswith("weir_attempts_total{") and all(label in line for label in labels))

        fallbacks = count('provider="good"', 'reason="fallback"', 'outcome="ok"')
        failures = count('provider="bad"', 'reason="first"', 'outcome="transient"')
        self.assertEqual(self.whole("error=503", "Count this.").status, 200)
        self.assertEqual(count('provider="good"', 'reason="fallback"', 'outcome="ok"'), fallbacks + 1)
        self.assertEqual(count('provider="bad"', 'reason="first"', 'outcome="transient"'), failures + 1)

    def test_a_client_fault_is_not_repeated(self):
        answer = self.post("/v1/chat/completions", self.body("bad/error=bad_request", "x"))
        self.assertEqual(answer.status, 400, answer)
        self.assertEqual(len(self.bad.attempts()), 1)

    def test_retry_after_is_a_floor(self):
        self.post("/v1/chat/completions", self.body("bad/error=rate_limit, retry_after_ms=700", "x"))
        times = [a["time"] if "time" in a else a["at_ms"] / 1000 for a in self.bad.attempts()]
        self.assertEqual(len(times), 3)
        for earlier, later in zip(times, times[1:]):
            self.assertGreaterEqual(later - earlier, 0.69)


class CuttingProxy:
    """In front of a server: cuts each answer off after so many bytes."""

    def __init__(self, port):
        self.port, self.cut_after = port, None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        left = self.cut_after
        with client, socket.create_connection(("127.0.0.1", self.port)) as server:
            threading.Thread(target=self._copy, args=(client, server), daemon=True).start()
            while block := server.recv(65536 if left is None else min(left, 65536)):
                client.sendall(block)
                if left is not None:
                    left -= len(block)
                    if left <= 0:
                        break
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    @staticmethod
    def _copy(source, sink):
        try:
            while block := source.recv(65536):
                sink.sendall(block)
        except OSError:
            pass


class LocalRescue(harness.ServerCase):
    """A second weir is cut off; the embedded engine goes on, and says what the other would have said."""

    @classmethod
    def setUpClass(cls):
        cls.upstream = harness.Server().start()
        cls.addClassCleanup(cls.upstream.stop)
        cls.proxy = CuttingProxy(cls.upstream.port)
        cls.addClassCleanup(cls.proxy.close)
        name = cls.upstream.model
        cls.config = (f"listen: 127.0.0.1:0\nrouting:\n  breaker: {{results_min: 1000000}}\n"
                      f"providers:\n  - {{name: up, base_url: '{cls.proxy.url}/v1', models: [{name}]}}\n"
                      f"routes:\n  - {{name: both, targets: [{{name: up/{name}}}, {{name: {name}}}]}}\n")
        super().setUpClass()

    def frames(self, server, model, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "Tell me a story about a fox."}],
                "stream": True, "max_tokens": 24, **fields}
        return [e.data for e in server.stream("/v1/chat/completions", body)]

    def test_the_same_model_goes_on_with_the_same_text_at_every_cut(self):
        for options in ({"seed": 5}, {"temperature": 0}):
            wanted = text_of(self.frames(self.upstream, self.upstream.model, **options))
            for cut in range(300, 7000, 450):
                self.proxy.cut_after = cut
                with self.subTest(cut=cut, **options):
                    frames = self.frames(self.server, "both", **options)
                    self.assertEqual(text_of(frames), wanted)
                    self.assertEqual(frames[-1], "[DONE]")

    def test_without_a_seed_the_answer_goes_on_after_what_was_said(self):
        for cut in range(900, 5000, 400):
            self.proxy.cut_after = cut
            with self.subTest(cut=cut):
                frames = self.frames(self.server, "both", temperature=1.2)
                self.assertEqual(frames[-1], "[DONE]")
                finishes = [json.loads(f)["choices"][0]["finish_reason"] for f in frames[:-1]]
                self.assertIn(finishes[-1], ("stop", "length"))
                self.assertNotIn("\ufffd", text_of(frames))


if __name__ == "__main__":
    harness.main()
