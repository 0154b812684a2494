# REQ: LIMIT-2 LIMIT-5
"""Limits: requests and tokens a minute, places at once, the queue before them; and what clients are told of them."""

import re
import threading
import time

import harness

KEYS = ("few", "tokens", "many", "single", "high", "low", "free", "ruled", "wide")
ENV = {f"WEIR_TEST_{name.upper()}": f"sk-{name}-0123456789" for name in KEYS}
CONFIG = """
keys:
  - {name: few, key: "${WEIR_TEST_FEW}", requests_per_minute: 3}
  - {name: tokens, key: "${WEIR_TEST_TOKENS}", tokens_per_minute: 400}
  - {name: many, key: "${WEIR_TEST_MANY}", tokens_per_minute: 600}
  - {name: single, key: "${WEIR_TEST_SINGLE}", concurrency: 1}
  - {name: high, key: "${WEIR_TEST_HIGH}", priority: high}
  - {name: low, key: "${WEIR_TEST_LOW}", priority: low}
  - {name: free, key: "${WEIR_TEST_FREE}"}
  - {name: ruled, key: "${WEIR_TEST_RULED}"}
  - {name: wide, key: "${WEIR_TEST_WIDE}", requests_per_minute: 1000, tokens_per_minute: 100000}
"""


def bearer(name):
    return {"Authorization": f"Bearer sk-{name}-0123456789"}


def body(content="Hi", **fields):
    return {"model": "default", "messages": [{"role": "user", "content": content}], **fields}


def long_answer(tokens):
    return body("Tell a long story.", max_tokens=tokens, ignore_eos=True)


def together(count, work):
    """Runs work(i) on so many threads at once; gives the results by number."""
    results = [None] * count

    def run(i):
        results[i] = work(i)

    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def seconds(text):
    """OpenAI's durations: "850ms", "12s", "6m0s"."""
    if text.endswith("ms"):
        return int(text[:-2]) / 1000
    minutes, _, rest = text.rpartition("m")
    return int(minutes or 0) * 60 + int(rest[:-1])


class LimitCase(harness.ServerCase):
    config = CONFIG
    env = ENV

    def ask(self, name, request=None, **headers):
        return self.post("/v1/chat/completions", request or body(max_tokens=2), {**bearer(name), **headers})


class Rates(LimitCase):
    def test_a_minute_has_its_requests_and_the_refusal_says_when(self):
        answers = [self.ask("few") for _ in range(4)]
        self.assertEqual([a.status for a in answers], [200, 200, 200, 429])
        left = [int(a.headers["x-ratelimit-remaining-requests"]) for a in answers]
        self.assertEqual(left, [2, 1, 0, 0])
        error = self.assert_error(answers[3], 429, "rate_limit_exceeded")
        self.assertIn("few", error["message"])
        self.assertIn("requests per minute", error["message"])
        self.assertEqual(answers[3].headers["x-should-retry"], "true")
        self.assertLessEqual(int(answers[3].headers["Retry-After"]), 20)
        self.assertGreater(int(answers[3].headers["Retry-After"]), 15)
        self.assertEqual(answers[0].headers["x-ratelimit-limit-requests"], "3")
        self.assertEqual(self.ask("free").status, 200)  # another key has its own

    def test_every_answer_tells_what_is_left(self):
        headers = ("limit", "remaining", "reset")
        asked = [self.ask("wide"), self.ask("wide", body(max_tokens=-1)), self.ask("wide", {"model": "nobody", "messages": []}),
                 self.post("/v1/completions", {"model": "default", "prompt": "Once", "max_tokens": 2}, bearer("wide")),
                 self.post("/v1/embeddings", {"model": "default", "input": "Hi"}, bearer("wide"))]
        for answer in asked:
            for word in headers:
                for kind in ("requests", "tokens"):
                    self.assertIn(f"x-ratelimit-{word}-{kind}", answer.headers, answer)
            self.assertLessEqual(seconds(answer.headers["x-ratelimit-reset-tokens"]), 60)
        self.assertNotIn("x-ratelimit-limit-requests", self.ask("free").headers)

    def test_a_stream_tells_it_too(self):
        raw = self.ask("wide", body(stream=True, max_tokens=3))
        self.assertEqual(raw.status, 200)
        self.assertEqual(raw.headers["x-ratelimit-limit-tokens"], "100000")


class Tokens(LimitCase):
    def test_what_was_reserved_and_not_used_comes_back(self):
        before = self.ask("tokens", body(max_tokens=200))
        used = before.json()["usage"]["total_tokens"]
        left = int(before.headers["x-ratelimit-remaining-tokens"])
        self.assertLess(used, 60)
        self.assertIn(left, range(400 - used - 1, 400 - used + 2))

    def test_a_request_that_can_never_fit_is_told_so(self):
        answer = self.ask("tokens", body(max_tokens=401))
        error = self.assert_error(answer, 429, "rate_limit_exceeded")
        self.assertIn("400", error["message"])
        self.assertNotIn("Retry-After", answer.headers)

    def test_any_number_at_once_stays_below_the_bound(self):
        answers = together(16, lambda _: self.ask("many", long_answer(60)))
        served = [a for a in answers if a.status == 200]
        used = sum(a.json()["usage"]["total_tokens"] for a in served)
        self.assertGreaterEqual(len(served), 2)
        self.assertTrue(all(a.status in (200, 429) for a in answers), answers)
        self.assertLessEqual(used, 600 + 10)  # and what flowed in meanwhile
        # Left is what was not used: nothing stays reserved.
        left = int(self.ask("many", body(max_tokens=10_000)).headers["x-ratelimit-remaining-tokens"])
        self.assertLessEqual(abs(600 - used - left), 40)

    def test_an_answer_without_a_limit_gets_one_that_the_bound_holds(self):
        with harness.Server(config=CONFIG, env=ENV) as server:
            request = {"model": "default", "prompt": "Once upon a time", "ignore_eos": True}
            answer = server.post("/v1/completions", request, bearer("tokens"))
            self.assertEqual(answer.status, 200, answer)
            usage = answer.json()["usage"]
            self.assertLessEqual(usage["total_tokens"], 400)
            self.assertEqual(answer.json()["choices"][0]["finish_reason"], "length")
            self.assertGreaterEqual(int(answer.headers["x-ratelimit-remaining-tokens"]), 400 - usage["total_tokens"] - 1)

    def test_a_client_that_goes_gets_its_reservation_back(self):
        with harness.Server(config=CONFIG, env=ENV) as server:
            stream = server.stream("/v1/chat/completions", {**long_answer(300), "stream": True}, bearer("tokens"))
            next(stream)
            next(stream)
            stream.close()

            def left():
                answer = server.post("/v1/chat/completions", body(max_tokens=100_000), bearer("tokens"))
                return int(answer.headers["x-ratelimit-remaining-tokens"]) > 250

            self.assertTrue(harness.wait_until(left, 5))


class Places(LimitCase):
    def test_requests_wait_for_a_place_and_all_are_answered(self):
        answers = together(6, lambda _: self.ask("single", long_answer(20)))
        self.assertEqual([a.status for a in answers], [200] * 6)

    def test_a_place_is_free_again_when_its_client_goes(self):
        stream = self.stream("/v1/chat/completions", {**long_answer(400), "stream": True}, bearer("single"))
        next(stream)
        stream.close()
        begun = time.monotonic()
        self.assertEqual(self.ask("single").status, 200)
        self.assertLess(time.monotonic() - begun, 5)


class TheQueue(harness.ServerCase):
    config = CONFIG + """
rate_limits:
  - {name: engine, provider: local, concurrency: 1}
admission: {queue_max: 2, queue_timeout: 60s}
"""
    env = ENV

    def hold(self):
        """A stream that holds the only place, until it is closed."""
        stream = self.stream("/v1/chat/completions", {**long_answer(450), "n": 32, "stream": True}, bearer("free"))
        next(stream)
        return stream

    def ask(self, name, tokens=2):
        return self.post("/v1/chat/completions", long_answer(tokens), bearer(name))

    def depth(self):
        found = re.search(r'^weir_queue_depth\{[^}]*\} (\d+)', self.get("/metrics", bearer("free")).text, re.M)
        return int(found.group(1)) if found else 0

    def later(self, work):
        done = []
        thread = threading.Thread(target=lambda: done.append((work(), time.monotonic())))
        thread.start()
        self.addCleanup(thread.join)
        return done, thread

    def test_more_than_may_wait_are_refused_at_once(self):
        first = self.hold()
        waiting = [self.later(lambda: self.ask("free"))]
        self.assertTrue(harness.wait_until(lambda: self.depth() == 1))
        waiting.append(self.later(lambda: self.ask("free")))
        self.assertTrue(harness.wait_until(lambda: self.depth() == 2))
        begun = time.monotonic()
        error = self.assert_error(self.ask("free"), 429, "queue_full")
        self.assertLess(time.monotonic() - begun, 1)
        self.assertIn("at once", error["message"])
        first.close()
        for done, thread in waiting:
            thread.join()
            self.assertEqual(done[0][0].status, 200)
        self.assertEqual(self.depth(), 0)

    def test_the_more_important_goes_first(self):
        first = self.hold()
        low, low_thread = self.later(lambda: self.ask("low", 100))  # so that it is seen to end later
        self.assertTrue(harness.wait_until(lambda: self.depth() == 1))
        high, high_thread = self.later(lambda: self.ask("high"))
        self.assertTrue(harness.wait_until(lambda: self.depth() == 2))
        first.close()
        low_thread.join()
        high_thread.join()
        self.assertEqual((low[0][0].status, high[0][0].status), (200, 200))
        self.assertLess(high[0][1], low[0][1])

    def test_nobody_waits_longer_than_is_said(self):
        config = self.config.replace("queue_timeout: 60s", "queue_timeout: 300ms")
        with harness.Server(config=config, env=ENV) as server:
            stream = server.stream("/v1/chat/completions", {**long_answer(450), "n": 32, "stream": True}, bearer("free"))
            next(stream)
            begun = time.monotonic()
            answer = server.post("/v1/chat/completions", long_answer(2), bearer("free"))
            took = time.monotonic() - begun
            stream.close()
        if answer.status == 200:
            self.assertLess(took, 0.35)  # the stream was over before
        else:
            self.assert_error(answer, 429, "queue_full")
            self.assertGreater(took, 0.25)
            self.assertIn("Retry-After", answer.headers)


class Rules(harness.ServerCase):
    config = CONFIG + """
rate_limits:
  - {name: tiny, model: "weir-*", requests_per_minute: 4}
  - {name: other, model: "gpt-*", requests_per_minute: 1}
"""
    env = ENV

    def test_a_model_s_limit_is_shared_by_all_keys(self):
        answers = [self.post("/v1/chat/completions", body(max_tokens=1), bearer(name))
                   for name in ("free", "ruled", "free", "ruled", "free")]
        self.assertEqual([a.status for a in answers], [200] * 4 + [429])
        error = self.assert_error(answers[4], 429, "rate_limit_exceeded")
        self.assertIn("'tiny'", error["message"])
        self.assertEqual(answers[0].headers["x-ratelimit-limit-requests"], "4")


if __name__ == "__main__":
    harness.main()
