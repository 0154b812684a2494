# REQ: LIMIT-4
"""The exact cache: the same answer told again, whole or as a stream; one attempt for those who ask at once; tenants apart."""

import threading
import time

import harness

KEYS = ("one", "two")
ENV = {f"WEIR_TEST_{name.upper()}": f"sk-{name}-0123456789" for name in KEYS}
CONFIG = """
keys:
  - {name: one, key: "${WEIR_TEST_ONE}"}
  - {name: two, key: "${WEIR_TEST_TWO}"}
providers:
  - {name: slow, kind: fault, always: "first=400ms, token=10ms, tokens=12", models: [m]}
  - {name: cutting, kind: fault, always: "first=300ms, token=20ms, tokens=40, cut=12", models: [m]}
cache: {enabled: true, ttl: 2s, bytes_max: 1MiB, entry_bytes_max: 64KiB}
"""


def bearer(name):
    return {"Authorization": f"Bearer sk-{name}-0123456789"}


def body(content="Hi", **fields):
    return {"model": "weir-tiny", "max_tokens": 8, "temperature": 0,
            "messages": [{"role": "user", "content": content}], **fields}


def text_of(events):
    chunks = [event.json() for event in events if event.data != "[DONE]"]
    return "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks if c["choices"])


class CacheCase(harness.ServerCase):
    config = CONFIG
    env = ENV

    def ask(self, request, name="one", **headers):
        return self.post("/v1/chat/completions", request, {**bearer(name), **headers})

    def use(self, *arguments, **fields):
        answer = self.ask(*arguments, **fields)
        self.assertEqual(answer.status, 200, answer)
        return answer.headers.get("x-weir-cache")

    def attempts(self, provider):
        """How many requests the scripted provider has answered, from the metrics of this server."""
        return sum("provider=" + provider in line and "attempts=1" in line for line in self.server.output.splitlines())


class Hits(CacheCase):
    def test_the_same_question_gets_the_same_answer_at_once(self):
        first, again = self.ask(body("same")), self.ask(body("same"))
        self.assertEqual((first.headers["x-weir-cache"], again.headers["x-weir-cache"]), ("miss", "hit"))
        one, two = first.json(), again.json()
        self.assertNotEqual(one["id"], two["id"])
        for field in ("model", "choices", "usage", "system_fingerprint"):
            self.assertEqual(one[field], two[field])
        self.assertNotIn("x-weir-attempts", again.headers)  # nobody was asked

    def test_a_whole_answer_is_told_as_a_stream_and_a_stream_whole(self):
        whole = self.ask(body("both")).json()["choices"][0]["message"]["content"]
        self.assertEqual(text_of(self.stream("/v1/chat/completions", body("both", stream=True), bearer("one"))), whole)
        self.assertEqual(self.use(body("both")), "hit")
        streamed = text_of(self.stream("/v1/chat/completions", body("other", stream=True), bearer("one")))
        again = self.ask(body("other"))
        self.assertEqual(again.headers["x-weir-cache"], "hit")
        self.assertEqual(again.json()["choices"][0]["message"]["content"], streamed)

    def test_a_stream_from_the_cache_is_the_stream_that_was(self):
        def frames():
            request = body("frames", stream=True, stream_options={"include_usage": True})
            found = []
            for event in self.stream("/v1/chat/completions", request, bearer("one")):
                frame = event.data if event.data == "[DONE]" else {k: v for k, v in event.json().items()
                                                                   if k not in ("id", "created")}
                found.append(frame)
            return found

        self.assertEqual(frames(), frames())

    def test_another_tenant_has_answers_of_its_own(self):
        self.assertEqual(self.use(body("tenant")), "miss")
        self.assertEqual(self.use(body("tenant"), "two"), "miss")
        self.assertEqual(self.use(body("tenant"), "two"), "hit")

    def test_what_changes_the_answer_changes_the_key_and_what_does_not_does_not(self):
        self.assertEqual(self.use(body("key", seed=1)), "miss")
        self.assertEqual(self.use(dict(reversed(body("key", seed=1).items()))), "hit")
        self.assertEqual(self.use(body("key", seed=1, user="somebody", metadata={"a": "b"})), "hit")
        self.assertEqual(self.use(body("key", seed=1, model="default")), "hit")
        for change in ({"seed": 2}, {"max_tokens": 9}, {"stop": ["x"]}, {"top_p": 0.5}, {"anything": 1}, {"seed": "1"}):
            request = body("key", **{"seed": 1, **change})
            answer = self.ask(request)
            self.assertNotEqual(answer.headers.get("x-weir-cache"), "hit", change)

    def test_only_what_is_deterministic_is_kept_unless_told(self):
        free = {"model": "weir-tiny", "max_tokens": 4, "messages": [{"role": "user", "content": "dice"}]}
        self.assertIsNone(self.use(free))
        self.assertIsNone(self.use(free))
        self.assertEqual(self.use(free, **{"x-weir-cache": "on"}), "miss")
        self.assertEqual(self.use(free, **{"x-weir-cache": "on"}), "hit")
        self.assertEqual(self.use({**free, "seed": 3}), "miss")

    def test_the_client_may_pass_it_by_or_refresh_it(self):
        self.assertEqual(self.use(body("wish")), "miss")
        self.assertIsNone(self.use(body("wish"), **{"x-weir-cache": "bypass"}))
        self.assertEqual(self.use(body("wish"), **{"x-weir-cache": "refresh"}), "miss")
        self.assertEqual(self.use(body("wish")), "hit")

    def test_an_answer_gets_too_old(self):
        self.assertEqual(self.use(body("age")), "miss")
        self.assertEqual(self.use(body("age")), "hit")
        time.sleep(2.1)
        self.assertEqual(self.use(body("age")), "miss")

    def test_embeddings_and_completions_too(self):
        for path, request in (("/v1/embeddings", {"model": "weir-tiny", "input": "Hi"}),
                              ("/v1/completions", {"model": "weir-tiny", "prompt": "Once", "max_tokens": 4, "seed": 1})):
            first, again = self.post(path, request, bearer("one")), self.post(path, request, bearer("one"))
            self.assertEqual((first.headers["x-weir-cache"], again.headers["x-weir-cache"]), ("miss", "hit"))
            self.assertEqual({**first.json(), "id": 0, "created": 0}, {**again.json(), "id": 0, "created": 0})

    def test_errors_are_not_kept(self):
        for _ in range(2):
            answer = self.ask(body("x" * 9000))
            self.assert_error(answer, 400, "context_length_exceeded")
            self.assertNotEqual(answer.headers.get("x-weir-cache"), "hit")


class SingleFlight(CacheCase):
    def together(self, count, request, name="one"):
        answers = [None] * count

        def run(i):
            answers[i] = self.ask(request(i), name)

        threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def test_those_who_ask_at_once_share_one_attempt(self):
        before = self.attempts("slow")
        answers = self.together(8, lambda _: body("share", model="slow/m"))
        self.assertEqual([a.status for a in answers], [200] * 8)
        self.assertEqual(sorted(a.headers["x-weir-cache"] for a in answers), ["miss"] + ["shared"] * 7)
        self.assertEqual(len({a.json()["choices"][0]["message"]["content"] for a in answers}), 1)
        self.assertTrue(harness.wait_until(lambda: self.attempts("slow") == before + 1))
        time.sleep(0.1)
        self.assertEqual(self.attempts("slow"), before + 1)

    def test_streams_fan_out_as_they_come(self):
        found = [None] * 4

        def run(i):
            events = []
            for event in self.stream("/v1/chat/completions", body("fan", model="slow/m", stream=True), bearer("one")):
                events.append(event)
            found[i] = events

        threads = [threading.Thread(target=run, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len({text_of(events) for events in found}), 1)
        for events in found:
            times = [e.time_s for e in events]
            self.assertGreater(times[-1] - times[0], 0.05)  # not all at its end
            self.assertEqual(events[-1].data, "[DONE]")

    def test_others_get_it_all_when_the_one_who_asked_first_goes(self):
        request = body("gone", model="slow/m", stream=True)
        first = self.stream("/v1/chat/completions", request, bearer("one"))
        collected = []
        follower = threading.Thread(target=lambda: collected.extend(
            self.stream("/v1/chat/completions", request, bearer("one"))))
        next(first)
        follower.start()
        time.sleep(0.03)
        first.close()
        follower.join()
        self.assertEqual(collected[-1].data, "[DONE]")
        whole = self.ask(body("gone", model="slow/m"))
        self.assertEqual(whole.headers["x-weir-cache"], "hit")
        self.assertEqual(whole.json()["choices"][0]["message"]["content"], text_of(collected))

    def test_the_attempt_ends_when_nobody_hears_it_any_more(self):
        request = {**body("deserted"), "max_tokens": 450, "ignore_eos": True, "n": 32, "stream": True}
        streams = [self.stream("/v1/chat/completions", request, bearer("one")) for _ in range(3)]
        for stream in streams:
            next(stream)
        for stream in streams:
            stream.close()

        def idle():
            text = self.get("/metrics", bearer("one")).text
            return 'weir_engine_requests_running{model="weir-tiny",engine="0"} 0' in text

        self.assertTrue(harness.wait_until(idle, 5))

    def test_when_the_shared_attempt_fails_each_goes_on_its_own_or_is_told(self):
        answers = self.together(4, lambda _: body("cut", model="cutting/m"))
        for answer in answers:
            self.assertIn(answer.status, (502, 504), answer)
        self.assertEqual(self.use(body("still fine")), "miss")


if __name__ == "__main__":
    harness.main()
