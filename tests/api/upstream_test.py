# REQ: PROV-2 PROV-3 PROV-4 PROV-5 PROV-6 PROV-8 SEC-2 ROUTE-5
"""One client in front of every kind of provider: what each is sent (path, key, body), what its answer becomes, how its
refusals are told, when it is given up, and that no key is ever shown. The providers are scripts of ours (upstreams.py)."""

import http.client
import json
import shutil
import tempfile
import time
import unittest

import harness
import upstreams

KEY = "sk-canary-7f3a9c51"
CONFIG = """
listen: 127.0.0.1:0
store: {{path: "off"}}
routing: {{attempts_max: 1, breaker: {{results_min: 1000000, open: 1ms, open_max: 1ms, hard_down: 1ms, rate_limited: 1ms}}}}
providers:
  - {{name: openai, base_url: "{url}/v1", key: "${{EGRESS_KEY}}", headers: ["X-Extra: yes"]}}
  - {{name: azure, kind: azure, base_url: "{url}", api_version: "2024-10-21", key: "${{EGRESS_KEY}}"}}
  - {{name: azure1, kind: azure, base_url: "{url}", key: "${{EGRESS_KEY}}"}}
  - {{name: nim, kind: nim, base_url: "{url}/v1", key: "${{EGRESS_KEY}}"}}
  - {{name: anthropic, kind: anthropic, base_url: "{url}", key: "${{EGRESS_KEY}}", tokens_max: 77}}
  - {{name: ollama, kind: ollama, base_url: "{url}"}}
  - {{name: quick, base_url: "{url}/v1", models: [q], first_token_timeout: 200ms, idle_timeout: 200ms, total_timeout: 2s}}
  - {{name: firm, kind: anthropic, base_url: "{url}", key: "${{EGRESS_KEY}}", strict: true, models: [f]}}
"""
KINDS = ("openai", "azure", "azure1", "nim", "anthropic", "ollama")
PATHS = {"openai": "/v1/chat/completions", "nim": "/v1/chat/completions", "azure1": "/openai/v1/chat/completions",
         "azure": "/openai/deployments/some-model/chat/completions?api-version=2024-10-21", "anthropic": "/v1/messages",
         "ollama": "/api/chat"}
KEY_HEADERS = {"openai": ("Authorization", f"Bearer {KEY}"), "nim": ("Authorization", f"Bearer {KEY}"),
               "azure": ("api-key", KEY), "azure1": ("api-key", KEY), "anthropic": ("x-api-key", KEY)}
TOOLS = [{"type": "function", "function": {"name": n, "parameters": {"type": "object", "properties": {}}}} for n in "fg"]


class Upstreams(harness.ServerCase):
    env = {"EGRESS_KEY": KEY}

    @classmethod
    def setUpClass(cls):
        cls.up = upstreams.Upstream(models=("listed-a", "listed-b"))
        cls.addClassCleanup(cls.up.stop)
        cls.config = CONFIG.format(url=cls.up.url)
        super().setUpClass()
        harness.wait_until(lambda: any("health" in r.path for r in cls.up.requests), 10 * harness.SLOWNESS)
        cls.first_requests = list(cls.up.requests)

    @classmethod
    def tearDownClass(cls):
        server = cls.server
        super().tearDownClass()
        if KEY in server.output:
            raise AssertionError("the log shows a provider's key")

    def setUp(self):
        self.up.says = upstreams.Say("Hel", "lo")
        self.up.requests.clear()
        time.sleep(0.01)  # a target that was left alone may be asked again

    def ask(self, provider, headers=None, **fields):
        body = {"model": f"{provider}/some-model", "messages": [{"role": "user", "content": "Hi"}], **fields}
        return self.server.post("/v1/chat/completions", body, headers)

    def frames(self, provider, **fields):
        body = {"model": f"{provider}/some-model", "messages": [{"role": "user", "content": "Hi"}], "stream": True, **fields}
        return self.until_cut(self.server.stream("/v1/chat/completions", body))

    @staticmethod
    def until_cut(events):
        """The data of events; a stream that failed is cut without its last chunk."""
        frames = []
        try:
            for event in events:
                frames.append(event.data)
        except http.client.IncompleteRead:
            pass
        return frames

    def fold(self, frames):
        """A stream as one message: text, reasoning, calls, finish."""
        text, thinking, calls, finish = "", "", {}, None
        self.assertEqual(frames[-1], "[DONE]")
        for chunk in map(json.loads, frames[:-1]):
            for choice in chunk["choices"]:
                delta = choice["delta"]
                text += delta.get("content") or ""
                thinking += delta.get("reasoning_content") or ""
                finish = choice["finish_reason"] or finish
                for call in delta.get("tool_calls") or []:
                    have = calls.setdefault(call["index"], ["", ""])
                    have[0] += call["function"].get("name") or ""
                    have[1] += call["function"]["arguments"]
        return text, thinking, [(n, json.loads(a)) for n, a in calls.values()], finish

    # ---- what is sent ----

    def test_each_kind_is_addressed_in_its_own_way(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.assertEqual(self.ask(kind).status, 200)
                seen = self.up.posts()[-1]
                self.assertEqual(seen.path, PATHS[kind])
                self.assertEqual(seen.json()["model"], "some-model")
                if kind in KEY_HEADERS:
                    self.assertEqual(seen.headers[KEY_HEADERS[kind][0]], KEY_HEADERS[kind][1])
                self.assertTrue(seen.headers["User-Agent"].startswith("weir/"))

    def test_headers_of_the_configuration_and_of_the_kind_are_sent(self):
        self.ask("openai")
        self.assertEqual(self.up.posts()[-1].headers["X-Extra"], "yes")
        self.ask("anthropic")
        self.assertEqual(self.up.posts()[-1].headers["anthropic-version"], "2023-06-01")

    def test_a_client_key_never_travels_to_the_provider(self):
        self.ask("ollama", {"Authorization": "Bearer client-secret"})
        self.assertNotIn("client-secret", str(self.up.posts()[-1].headers))

    def test_the_same_format_travels_byte_for_byte_but_for_the_model(self):
        raw = ('{ "messages" : [{"role":"user","content":"h\\u0069"}], "model":"openai/some-model", "zebra":1e2,'
               ' "temperature": 0.50 }')
        self.assertEqual(self.server.post("/v1/chat/completions", raw, {"Content-Type": "application/json"}).status, 200)
        self.assertEqual(self.up.posts()[-1].body.decode(), raw.replace("openai/some-model", "some-model"))

    # ---- what comes back ----

    def test_every_kind_answers_alike_whole_and_streamed(self):
        self.up.says = upstreams.Say("Hel", "lo", finish="length")
        for kind in KINDS:
            with self.subTest(kind):
                answer = self.ask(kind).json()
                choice = answer["choices"][0]
                self.assertEqual((choice["message"]["content"], choice["finish_reason"]), ("Hello", "length"))
                self.assertEqual((answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]), (11, 7))
                self.assertEqual(self.fold(self.frames(kind)), ("Hello", "", [], "length"))

    def test_usage_of_a_stream_is_for_who_asked(self):
        for kind in KINDS:
            with self.subTest(kind):
                self.assertNotIn("usage", "".join(self.frames(kind)))
                asked = self.frames(kind, stream_options={"include_usage": True})
                usage = json.loads(asked[-2])["usage"]
                self.assertEqual((usage["prompt_tokens"], usage["completion_tokens"]), (11, 7))

    def test_usage_that_a_provider_does_not_tell_is_marked_as_estimated(self):
        def without_usage(request):
            for line in upstreams.ollama_stream(upstreams.Say("abcdefgh"), request.json()):
                document = json.loads(line)
                document.pop("eval_count", None)
                yield json.dumps(document) + "\n"
        self.up.says = without_usage
        usage = json.loads(self.frames("ollama", stream_options={"include_usage": True})[-2])["usage"]
        self.assertEqual((usage["completion_tokens"], usage["usage_estimated"]), (2, True))

    def test_tool_calls_in_parallel_and_without_arguments(self):
        self.up.says = upstreams.Say("Let me", calls=[("f", {"x": [1, "é"]}), ("g", {})])
        for kind in KINDS:
            with self.subTest(kind):
                message = self.ask(kind, tools=TOOLS).json()["choices"][0]["message"]
                calls = [(c["function"]["name"], json.loads(c["function"]["arguments"])) for c in message["tool_calls"]]
                self.assertEqual(calls, [("f", {"x": [1, "é"]}), ("g", {})])
                self.assertEqual(len({c["id"] for c in message["tool_calls"]}), 2)
                self.assertEqual(self.fold(self.frames(kind, tools=TOOLS)), ("Let me", "", calls, "tool_calls"))

    def test_reasoning_is_handed_on(self):
        self.up.says = upstreams.Say("So", thinking="Hm")
        for kind in KINDS:
            with self.subTest(kind):
                self.assertEqual(self.ask(kind).json()["choices"][0]["message"]["reasoning_content"], "Hm")
                self.assertEqual(self.fold(self.frames(kind))[:2], ("So", "Hm"))

    def test_embeddings_where_they_are_offered(self):
        for kind in ("openai", "azure", "nim", "ollama"):
            for form in ("float", "base64"):
                with self.subTest(kind + " " + form):
                    body = {"model": f"{kind}/e", "input": ["a", "b"], "encoding_format": form}
                    answer = self.post("/v1/embeddings", body)
                    self.assertEqual(answer.status, 200, answer)
                    self.assertEqual(len(answer.json()["data"]), 2)
        self.assertEqual(self.up.posts()[-1].path, "/api/embed")
        refused = self.post("/v1/embeddings", {"model": "anthropic/e", "input": "a"})
        self.assert_error(refused, 400, "operation_unsupported")

    def test_nim_is_told_what_embeddings_are_for(self):
        self.post("/v1/embeddings", {"model": "nim/e", "input": "a"})
        self.assertEqual(self.up.posts()[-1].json()["input_type"], "query")

    def test_losses_are_named_and_refused_where_the_provider_is_strict(self):
        answer = self.ask("anthropic", seed=3, logit_bias={"1": 2})
        self.assertEqual((answer.status, answer.headers["x-weir-dropped-params"]), (200, "seed, logit_bias"))
        self.assertEqual(self.up.posts()[-1].json()["max_tokens"], 77)
        self.up.requests.clear()
        body = {"model": "f", "messages": [{"role": "user", "content": "Hi"}], "seed": 3}
        self.assert_error(self.post("/v1/chat/completions", body), 400, "params_dropped")
        self.assertEqual(self.up.posts(), [])

    # ---- refusals ----

    def test_refusals_have_weirs_codes_and_say_when_to_come_back(self):
        error = {"message": "slow down", "type": "x", "code": "rate_limit_exceeded"}
        self.up.says = upstreams.Refuse(429, {"error": error}, retry_after_ms="150")
        for kind in KINDS:
            answer = self.ask(kind)
            self.assertIn("slow down", self.assert_error(answer, 429, "rate_limit_exceeded")["message"])
            self.assertEqual(answer.headers["retry-after-ms"], "150")
            self.assertEqual(answer.headers["x-should-retry"], "true")
        time.sleep(0.2)  # until they may be asked again

    def test_a_refused_key_is_not_repeated(self):
        self.up.says = upstreams.Refuse(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}})
        answer = self.ask("openai")
        self.assert_error(answer, 502, "upstream_denied")
        self.assertNotIn(KEY, answer.text)

    def test_azures_content_filter(self):
        self.up.says = upstreams.Refuse(400, {"error": {"code": "content_filter", "message": "filtered",
                                                        "innererror": {"code": "ResponsibleAIPolicyViolation"}}})
        self.assert_error(self.ask("azure"), 400, "content_policy_violation")

    def test_redirects_are_not_followed(self):
        self.up.says = upstreams.Refuse(307, {}, location=self.up.url + "/elsewhere")
        self.assert_error(self.ask("openai"), 502, "upstream_failed")
        self.assertEqual(len(self.up.posts()), 1)

    def test_an_error_with_status_200_is_an_error(self):
        self.up.says = lambda _: [b'{"error":{"message":"no","type":"server_error"}}']
        for kind in ("openai", "anthropic", "ollama"):
            self.assert_error(self.ask(kind, stream=True), 502, "upstream_failed")
            self.assert_error(self.ask(kind), 502, "upstream_failed")

    # ---- streams that go wrong ----

    def cut_after(self, count):
        def says(request):
            for i, piece in enumerate(upstreams.openai_stream(upstreams.Say("a", "b", "c"), request.json())):
                if i == count:
                    yield None
                yield piece
        self.up.says = says

    def test_a_stream_that_breaks_ends_with_an_error_and_no_done(self):
        self.cut_after(3)
        frames = self.frames("openai")
        self.assertEqual(json.loads(frames[-1])["error"]["code"], "upstream_cut")
        self.assertNotIn("[DONE]", frames)
        self.assertNotIn('"finish_reason":"stop"', "".join(frames))

    def test_a_stream_that_breaks_before_its_first_word_is_a_plain_status(self):
        self.cut_after(0)
        self.assert_error(self.ask("openai", stream=True), 502, "upstream_cut")

    def test_a_stream_without_done_but_with_a_finish_is_whole(self):
        self.up.says = lambda r: list(upstreams.openai_stream(upstreams.Say("a"), r.json()))[:-1]
        self.assertEqual(self.fold(self.frames("openai")), ("a", "", [], "stop"))

    def test_one_byte_at_a_time(self):
        def says(request):
            whole = "".join(upstreams.openai_stream(upstreams.Say("é", "ü"), request.json())).encode()
            return [whole[i:i + 1] for i in range(len(whole))]
        self.up.says = says
        self.assertEqual(self.fold(self.frames("openai")), ("éü", "", [], "stop"))

    # ---- times ----

    def slow(self, *waits_s):
        def says(request):
            for i, piece in enumerate(upstreams.openai_stream(upstreams.Say("a", "b"), request.json())):
                time.sleep(waits_s[i] if i < len(waits_s) else 0)
                yield piece
                yield ": ping\n\n"
        self.up.says = says

    def ask_quick(self):
        body = {"model": "q", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        return "\n".join(self.until_cut(self.server.stream("/v1/chat/completions", body)))

    def test_no_first_word_in_time(self):
        self.slow(0, 5)
        began = time.monotonic()
        body = {"model": "q", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        error = self.assert_error(self.post("/v1/chat/completions", body), 504, "upstream_timeout")
        self.assertIn("said nothing within 200 ms", error["message"])
        self.assertLess(time.monotonic() - began, 2 * harness.SLOWNESS)

    def test_silence_between_words_is_not_hidden_by_comments(self):
        def says(request):
            frames = list(upstreams.openai_stream(upstreams.Say("a", "b"), request.json()))
            yield from frames[:2]
            for _ in range(100):
                yield ": ping\n\n"
                time.sleep(0.05)
            yield from frames[2:]
        self.up.says = says
        began = time.monotonic()
        answer = self.ask_quick()
        self.assertIn('"content":"a"', answer)
        self.assertIn("upstream_timeout", answer)
        self.assertNotIn("[DONE]", answer)
        self.assertLess(time.monotonic() - began, 3 * harness.SLOWNESS)

    def test_the_connection_is_kept_after_a_stream(self):
        for _ in range(3):
            self.frames("openai")
        self.assertEqual(len({r.peer for r in self.up.posts()}), 1)

    def test_a_slow_client_holds_back_the_provider(self):
        sent = []

        def says(_):
            piece = 'data: {"choices":[{"index":0,"delta":{"content":"' + "x" * 60000 + '"}}]}\n\n'
            for i in range(2000):
                sent.append(i)
                yield piece
        self.up.says = says
        body = json.dumps({"model": "openai/m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]})
        with self.server.connect() as connection:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                               f"Content-Length: {len(body)}\r\n\r\n{body}".encode())
            held = harness.wait_until(lambda: len(sent) > 3 and self.stands_still(sent), 20 * harness.SLOWNESS)
            self.assertTrue(held, (len(sent), self.server.resident_bytes(), self.server.output[-400:]))
            self.assertLess(len(sent), 1000)
            self.assertLess(self.server.resident_bytes(), 400e6)
        self.assertTrue(harness.wait_until(lambda: self.up.posts()[-1].gone.wait(0.1), 5 * harness.SLOWNESS))

    @staticmethod
    def stands_still(sent):
        before = len(sent)
        time.sleep(0.3)
        return len(sent) == before

    def test_a_client_that_goes_closes_the_providers_connection(self):
        def says(_):
            for _ in range(1000):
                yield 'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
                time.sleep(0.01)
        self.up.says = says
        stream = self.server.stream("/v1/chat/completions", {"model": "openai/m", "stream": True,
                                                             "messages": [{"role": "user", "content": "Hi"}]})
        next(stream)
        stream.close()
        began = time.monotonic()
        self.assertTrue(self.up.posts()[-1].gone.wait(5 * harness.SLOWNESS))
        self.assertLess(time.monotonic() - began, 0.5 * harness.SLOWNESS)

    # ---- what there is ----

    def test_models_are_those_that_each_provider_says_it_has(self):
        def listed():
            found = {m["id"]: m["provider"] for m in self.get("/v1/models").json()["data"]}
            return found if "ollama/listed-b" in found and "openai/listed-a" in found else None

        found = harness.wait_until(listed, 10 * harness.SLOWNESS)
        self.assertTrue(found, self.server.output)
        self.assertEqual(found["anthropic/listed-a"], "anthropic")
        self.assertIn("listed-a", found)  # the first provider that has it
        self.assertNotIn("quick/listed-a", found)
        self.assertIn("/v1/health/ready", [r.path for r in self.first_requests])
        self.assertIn('weir_provider_up{provider="nim"} 1', self.get("/metrics").text)
        self.assertNotIn("weir_provider_up{provider=\"quick\"}", self.get("/metrics").text)
        answer = self.post("/v1/chat/completions", {"model": "listed-a", "messages": [{"role": "user", "content": "Hi"}]})
        self.assertEqual((answer.status, self.up.posts()[-1].json()["model"]), (200, "listed-a"))


class Environment(harness.ServerCase):
    """No file: what the environment unlocks."""

    @classmethod
    def setUpClass(cls):
        cls.up = upstreams.Upstream(models=("from-environment",))
        cls.addClassCleanup(cls.up.stop)
        cls.env = {"WEIR_PROVIDERS_FROM_ENVIRONMENT": "", "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": cls.up.url + "/v1",
                   "ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": cls.up.url, "AZURE_OPENAI_API_KEY": KEY,
                   "AZURE_OPENAI_ENDPOINT": cls.up.url, "AZURE_OPENAI_API_VERSION": "2024-10-21",
                   "AZURE_OPENAI_DEPLOYMENT": "deployed", "NVIDIA_API_KEY": "", "OLLAMA_HOST": cls.up.url[7:],
                   "WEIR_CONFIG": ""}
        super().setUpClass()

    # REQ: PROV-9
    def test_providers_are_there_at_once(self):
        def listed():
            found = {m["id"] for m in self.get("/v1/models").json()["data"]}
            return found if {"openai/from-environment", "ollama/from-environment", "anthropic/from-environment"} <= found else None

        found = harness.wait_until(listed, 10 * harness.SLOWNESS)
        self.assertTrue(found, self.server.output)
        self.assertIn("azure/deployed", found)
        self.assertFalse([name for name in found if name.startswith("nim/")])
        for name in ("openai/x", "anthropic/x", "ollama/x", "azure/deployed"):
            answer = self.post("/v1/chat/completions", {"model": name, "messages": [{"role": "user", "content": "Hi"}]})
            self.assertEqual(answer.json()["choices"][0]["message"]["content"], "Hello", answer)
        self.assertNotIn(KEY, self.server.output)

    def test_the_local_model_stays_the_default(self):
        answer = self.post("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2})
        self.assertEqual(answer.headers["x-weir-model"], "weir-tiny")


@unittest.skipUnless(shutil.which("openssl"), "the program openssl is missing")
class Tls(harness.ServerCase):
    """A provider behind a certificate that nobody vouches for but a file of the configuration."""

    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="weir-tls-"))
        cls.up = upstreams.Upstream(tls=upstreams.certificate(folder, "localhost"))
        cls.addClassCleanup(cls.up.stop)
        url = cls.up.url.replace("127.0.0.1", "localhost") + "/v1"
        cls.config = f"""
listen: 127.0.0.1:0
routing: {{attempts_max: 1}}
providers:
  - {{name: trusted, base_url: "{url}", ca_file: "{folder}/cert.pem", models: [m]}}
  - {{name: other-name, base_url: "{cls.up.url}/v1", ca_file: "{folder}/cert.pem", models: [m]}}
  - {{name: unknown, base_url: "{url}", key: "${{EGRESS_KEY}}", models: [m]}}
"""
        super().setUpClass()

    env = {"EGRESS_KEY": KEY}

    def ask(self, provider):
        return self.post("/v1/chat/completions", {"model": provider + "/m", "messages": [{"role": "user", "content": "Hi"}]})

    def test_a_trusted_certificate_is_spoken_to(self):
        self.assertEqual(self.ask("trusted").status, 200)

    def test_an_unknown_one_and_one_of_another_name_get_nothing(self):
        self.up.requests.clear()
        for name in ("unknown", "other-name"):
            error = self.assert_error(self.ask(name), 502, "upstream_unreachable")
            self.assertIn("certificate", error["message"])
        self.assertEqual(self.up.requests, [])


class Proxy(harness.ServerCase):
    """A proxy of the environment is gone through, but not to what no_proxy names."""

    @classmethod
    def setUpClass(cls):
        cls.proxy = upstreams.Upstream(upstreams.Say("by proxy"))
        cls.direct = upstreams.Upstream(upstreams.Say("direct"))
        cls.addClassCleanup(cls.proxy.stop)
        cls.addClassCleanup(cls.direct.stop)
        cls.env = {"http_proxy": cls.proxy.url, "no_proxy": "127.0.0.1"}
        cls.config = f"""
listen: 127.0.0.1:0
providers:
  - {{name: far, base_url: "http://provider.invalid/v1", models: [m]}}
  - {{name: near, base_url: "{cls.direct.url}/v1", models: [m]}}
"""
        super().setUpClass()

    def test_each_goes_its_way(self):
        for name, text in (("far", "by proxy"), ("near", "direct")):
            body = {"model": name + "/m", "messages": [{"role": "user", "content": "Hi"}]}
            answer = self.post("/v1/chat/completions", body)
            self.assertEqual(answer.json()["choices"][0]["message"]["content"], text, answer)
        self.assertEqual(self.proxy.posts()[0].path, "http://provider.invalid/v1/chat/completions")
        self.assertEqual(len(self.proxy.posts()), 1)


class Configuration(unittest.TestCase):
    def refused(self, text, *words):
        config = "providers:\n  - " + text
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(config)
            file.flush()
            run = harness.weir("config", "check", file.name)
        self.assertNotEqual(run.returncode, 0, run.stdout)
        for word in words:
            self.assertIn(word, run.stderr + run.stdout)

    def test_what_cannot_work_is_refused_by_name(self):
        self.refused("{name: Up, base_url: 'http://x/v1'}", "lower-case")
        self.refused("{name: up, base_url: 'ftp://x'}", "providers.up")
        self.refused("{name: up, base_url: 'http://u:p@x/v1'}", "password")
        self.refused("{name: up, kind: azure, key: '${HOME}'}", "base_url is needed")
        self.refused("{name: up}", "key is needed")
        self.refused("{name: up, base_url: 'http://x/v1', key: secret}", "key")
        self.refused("{name: up, base_url: 'http://x/v1', headers: ['oops']}", "Name: value")


if __name__ == "__main__":
    harness.main()
