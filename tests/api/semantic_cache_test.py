# REQ: LIMIT-4
"""The semantic cache: a question in other words gets the answer that is there; never one with other numbers, names or
negations; in the shadow every request goes its way, and what a hit would have said is compared with the true answer."""

import json
import re
import time
import unittest

import harness

KEYS = ("one", "two")
ENV = {f"WEIR_TEST_{name.upper()}": f"sk-{name}-0123456789" for name in KEYS}
# Near enough is what the bundled model gives "How do I" and "How can I", and not what it gives two subjects.
CONFIG = """
keys:
  - {name: one, key: "${WEIR_TEST_ONE}"}
  - {name: two, key: "${WEIR_TEST_TWO}"}
providers:
  - {name: fixed, kind: fault, always: "text=It is so", models: [m]}
  - {name: dull, kind: fault, always: "hang", models: [embedder]}
prices:
  - {name: weir-tiny, input: "2"}
cache: {enabled: true, ttl: 1m, bytes_max: 1MiB, semantic: {MODE, timeout: 20s}}
"""
BREAD, BREAD_AGAIN, SKY = "How do I bake bread?", "How can I bake some bread?", "Why is the sky blue?"


def config(mode="mode: on, threshold: 0.9"):
    return CONFIG.replace("MODE", mode)


def body(content, system="Be kind.", **fields):
    return {"model": "weir-tiny", "max_tokens": 8, "temperature": 0,
            "messages": [{"role": "system", "content": system}, {"role": "user", "content": content}], **fields}


class SemanticCase(harness.ServerCase):
    env = ENV

    def body(self, content, **fields):
        """Each test has a system message of its own, so that none hears what another asked."""
        return body(content, **{"system": self.id(), **fields})

    def ask(self, request, name="one", path="/v1/chat/completions", **headers):
        answer = self.post(path, request, {"Authorization": f"Bearer sk-{name}-0123456789", **headers})
        self.assertEqual(answer.status, 200, answer)
        return answer

    def use(self, *arguments, **fields):
        return (self.ask(*arguments, **fields).headers.get("x-weir-cache") or "").split(";")[0]

    def counts(self, metric, label):
        found = {}
        for line in self.get("/metrics", {"Authorization": "Bearer sk-one-0123456789"}).text.splitlines():
            if line.startswith(metric + "{") and float(line.rsplit(" ", 1)[1]):
                key = line.split(label + '="')[1].split('"')[0]
                found[key] = found.get(key, 0) + float(line.rsplit(" ", 1)[1])
        return found


class Hits(SemanticCase):
    config = config()

    def test_other_words_for_the_same_get_the_answer_that_is_there(self):
        first, again, other = self.ask(self.body(BREAD)), self.ask(self.body(BREAD_AGAIN)), self.ask(self.body(SKY))
        self.assertEqual(first.headers["x-weir-cache"], "miss")
        use, similarity = again.headers["x-weir-cache"].split("; similarity=")
        self.assertEqual(use, "semantic")
        self.assertTrue(0.9 <= float(similarity) < 1, similarity)
        self.assertEqual(again.headers["x-weir-cache-source"], first.headers["x-request-id"])
        self.assertEqual(again.json()["choices"], first.json()["choices"])
        self.assertNotIn("x-weir-attempts", again.headers)  # nobody was asked
        self.assertEqual(other.headers["x-weir-cache"], "miss")

        def record():
            run = harness.weir("explain", again.headers["x-request-id"], "--store", self.server.store, "--json")
            return json.loads(run.stdout)["request"] if run.returncode == 0 else None

        row = harness.wait_until(record, 5, 0.05)
        self.assertEqual((row["cache"], row["cache_source"]), ("semantic", first.headers["x-request-id"]))
        self.assertAlmostEqual(row["cache_similarity_ppm"] / 1e6, float(similarity), places=3)
        self.assertGreater(row["cost_nano_usd"], 0)  # of its embedding
        told = harness.weir("explain", again.headers["x-request-id"], "--store", self.server.store).stdout
        self.assertIn(f"cache: semantic, the answer of {first.headers['x-request-id']}", told)

    def test_a_hit_is_streamed_like_any_answer_and_found_from_every_dialect_by_itself(self):
        whole = self.ask(self.body("How do I bake bread at home?")).json()["choices"][0]["message"]["content"]
        events = list(self.stream("/v1/chat/completions", self.body("How can I bake bread at home?", stream=True),
                                  {"Authorization": "Bearer sk-one-0123456789"}))
        self.assertEqual(events[-1].data, "[DONE]")
        said = "".join(c["choices"][0]["delta"].get("content") or "" for c in
                       (e.json() for e in events[:-1]) if c["choices"])
        self.assertEqual(said, whole)
        for path, request in (("/v1/messages", {"max_tokens": 8, "temperature": 0}),
                              ("/api/chat", {"stream": False, "options": {"temperature": 0, "num_predict": 8}})):
            def asked(words):
                return {"model": "weir-tiny", "messages": [{"role": "user", "content": words}], **request}
            self.assertEqual(self.use(asked("Is my kitchen warm?"), path=path), "miss", path)
            self.assertEqual(self.use(asked("Is my kitchen warm"), path=path), "semantic", path)
        for words, use in (("Is my cellar cold?", "miss"), ("Is my cellar cold", "semantic")):
            self.assertEqual(self.use({"model": "weir-tiny", "input": words, "temperature": 0},
                                      path="/v1/responses"), use)

    def test_other_numbers_negations_or_names_never_hit(self):
        for words, other in (("What is 2+2?", "What is 2+3?"), ("Is it safe to eat this?", "Is it not safe to eat this?"),
                             ("Tell me where Lily went.", "Tell me where Ben went.")):
            self.assertEqual(self.use(self.body(words)), "miss", words)
            self.assertEqual(self.use(self.body(other)), "miss", other)

    def test_all_else_must_be_equal(self):
        self.assertEqual(self.use(self.body("How do I bake a cake?")), "miss")
        self.assertEqual(self.use(self.body("How can I bake a cake?")), "semantic")
        for change in ({"max_tokens": 9}, {"stop": ["x"]}, {"seed": 1}, {"model": "fixed/m"},
                       {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "none"}):
            self.assertEqual(self.use({**self.body("How can I bake a cake?"), **change}), "miss", change)
        self.assertEqual(self.use(self.body("How can I bake a cake?", system="Be short.")), "miss")
        self.assertEqual(self.use(self.body("How can I bake a cake now?"), "two"), "miss")  # another tenant

    def test_a_hit_is_not_a_source_itself(self):
        first = self.ask(self.body("How do I cook rice?"))
        for words in ("How do I cook the rice?", "How do I cook some rice?", "How do I cook the rice?"):
            answer = self.ask(self.body(words))
            self.assertEqual(answer.headers.get("x-weir-cache-source"), first.headers["x-request-id"], words)

    def test_the_client_may_ask_for_its_own_words_only(self):
        self.assertEqual(self.use(self.body("How do I grow a tree?")), "miss")
        self.assertEqual(self.use(self.body("How do I grow a big tree?"), **{"x-weir-cache": "exact"}), "miss")
        self.assertEqual(self.use(self.body("How do I grow a big tree?"), **{"x-weir-cache": "exact"}), "hit")
        self.assertEqual(self.use(self.body("How do I grow the tree?"), **{"x-weir-cache": "off"}), "")
        free = {k: v for k, v in self.body("How do I grow the tree?").items() if k != "temperature"}
        self.assertEqual(self.use(free), "")  # not deterministic


class Shadow(SemanticCase):
    config = config("mode: shadow, threshold: 0.9")

    def test_every_request_goes_its_way_and_would_be_hits_are_compared(self):
        """The scripted provider says the same to all: a hit would have been true. The model's answers differ."""
        self.assertEqual(self.use(self.body(BREAD, model="fixed/m")), "miss")
        self.assertEqual(self.use(self.body(BREAD_AGAIN, model="fixed/m")), "miss")
        self.assertTrue(harness.wait_until(lambda: self.counts("weir_cache_shadow_total", "verdict") == {"equal": 1}),
                        self.counts("weir_cache_shadow_total", "verdict"))
        self.assertEqual(self.counts("weir_cache_shadow_total", "similarity"), {"0.95": 1})
        self.assertEqual(self.counts("weir_cache_shadow_agreement_total", "similarity"), {"0.95": 1})
        self.assertEqual(self.counts("weir_cache_semantic_total", "result"), {"miss": 1, "shadow": 1})
        self.assertEqual(self.use(self.body(BREAD, max_tokens=24)), "miss")
        self.assertEqual(self.use(self.body("How can I bake some good bread and cake?", max_tokens=24)), "miss")
        self.assertTrue(harness.wait_until(
            lambda: sum(self.counts("weir_cache_shadow_total", "verdict").values()) == 2))
        self.assertEqual(self.counts("weir_cache_shadow_total", "verdict").get("equal"), 1)

    def test_it_still_tells_the_very_same(self):
        self.assertEqual(self.use(self.body(SKY)), "miss")
        self.assertEqual(self.use(self.body(SKY)), "hit")


class Late(SemanticCase):
    config = CONFIG.replace("MODE", "mode: on, model: dull/embedder").replace("timeout: 20s", "timeout: 100ms")

    def test_without_an_embedding_in_time_it_is_as_if_there_were_nothing(self):
        before = self.counts("weir_cache_semantic_total", "result").get("late", 0)
        self.assertEqual(self.use(self.body(BREAD)), "miss")
        self.assertEqual(self.use(self.body(BREAD_AGAIN)), "miss")
        self.assertEqual(self.use(self.body(BREAD)), "hit")
        self.assertEqual(self.counts("weir_cache_semantic_total", "result")["late"] - before, 2)

    def test_a_client_that_goes_meanwhile_leaves_nothing_behind(self):
        request = json.dumps(self.body(SKY)).encode()
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: {self.server.host}\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer sk-one-0123456789\r\nContent-Length: {len(request)}\r\n\r\n").encode()
        for _ in range(20):
            with self.server.connect() as connection:
                connection.sendall(head + request)
                time.sleep(0.01)
        self.assertTrue(harness.wait_until(lambda: self.server.output.count("outcome=cancelled") == 20))
        self.assertEqual(self.use(self.body(SKY)), "miss")


class NoEmbeddings(SemanticCase):
    """A model that makes none: the providers of this kind have no such operation."""

    config = CONFIG.replace("MODE", "mode: on, model: talker/m").replace(
        "prices:", '  - {name: talker, kind: fault, speaks: anthropic, always: "first=700ms, text=so", models: [m]}\nprices:').replace("timeout: 20s", "timeout: 50ms")

    def turns(self):
        page = self.get("/metrics", {"Authorization": "Bearer sk-one-0123456789"}).text
        return float(re.search(r"^weir_loop_lag_seconds_count (\S+)$", page, re.M).group(1))

    def test_the_request_goes_its_way_and_waits_for_nothing(self):
        before = self.turns()
        self.assertEqual(self.use(self.body(BREAD, model="talker/m")), "miss")
        self.assertLess(self.turns() - before, 200)  # no timer that is always due
        self.assertEqual(self.use(self.body(BREAD, model="talker/m")), "hit")
        self.assertEqual(self.counts("weir_cache_semantic_total", "result"), {"failed": 1})


class Configuration(unittest.TestCase):
    def test_it_needs_the_cache_itself(self):
        run = harness.weir("config", "check", "/dev/stdin", stdin="cache: {semantic: {mode: shadow}}")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("cache.enabled", run.stderr)


if __name__ == "__main__":
    harness.main()
