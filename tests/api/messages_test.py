"""POST /v1/messages and /v1/messages/count_tokens: Anthropic's shape, over the program's socket."""

# REQ: API-5 API-10 API-11 PROV-4

from fault_provider import Fault
import harness

PATH = "/v1/messages"
HELLO = [{"role": "user", "content": "Tell me a story."}]


class Anthropic(harness.ServerCase):
    """What the cases below share: asking, streaming, and Anthropic's error document."""

    def ask(self, messages=None, **fields):
        answer = self.post(PATH, {"max_tokens": 24, "messages": messages or HELLO, **fields})
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def events(self, **fields):
        body = {"max_tokens": 24, "messages": HELLO, "stream": True, **fields}
        return [(e.name, e.json()) for e in self.server.stream(PATH, body)]

    def assert_refused(self, answer, status, kind, code=None):
        self.assertEqual(answer.status, status, answer)
        document = answer.json()
        self.assertEqual((document["type"], document["error"]["type"]), ("error", kind))
        self.assertTrue(document["error"]["message"])
        self.assertEqual(document["request_id"], answer.headers["request-id"])
        self.assertEqual(answer.headers["request-id"], answer.headers["x-request-id"])
        if code:
            self.assertEqual(document["error"]["details"]["error_code"], code)


class Messages(Anthropic):
    def test_an_answer(self):
        answer = self.ask()
        self.assertEqual((answer["type"], answer["role"], answer["model"]), ("message", "assistant", self.server.model))
        self.assertTrue(answer["id"].startswith("msg_"))
        self.assertEqual([b["type"] for b in answer["content"]], ["text"])
        self.assertIn(answer["stop_reason"], ("end_turn", "max_tokens"))
        self.assertIsNone(answer["stop_sequence"])

    def test_a_stream_says_what_the_whole_answer_says(self):
        whole = self.ask(temperature=0)
        events = self.events(temperature=0)
        self.assertEqual([name for name, _ in events], [data["type"] for _, data in events])
        text = "".join(d["delta"]["text"] for n, d in events if n == "content_block_delta")
        self.assertEqual(text, whole["content"][0]["text"])
        ends = dict(events)["message_delta"]
        self.assertEqual(ends["delta"]["stop_reason"], whole["stop_reason"])
        self.assertEqual(ends["usage"]["output_tokens"], whole["usage"]["output_tokens"])
        self.assertEqual(events[-1][0], "message_stop")

    def test_the_first_event_has_the_true_count_of_the_prompt(self):
        for messages in (HELLO, [{"role": "user", "content": [{"type": "text", "text": "Sing a song, please. " * 9}]}]):
            count = self.post(PATH + "/count_tokens", {"messages": messages, "system": "Be kind."}).json()["input_tokens"]
            events = self.events(messages=messages, system="Be kind.")
            for usage in (events[0][1]["message"]["usage"], dict(events)["message_delta"]["usage"],
                          self.ask(messages, system="Be kind.")["usage"]):
                self.assertEqual(usage["input_tokens"] + usage["cache_read_input_tokens"], count)

    def test_a_stop_sequence_is_named_and_left_out(self):
        text = self.ask(temperature=0)["content"][0]["text"]
        stop = text[6:9]
        cut = self.ask(temperature=0, stop_sequences=[stop, "never said"])
        self.assertEqual((cut["stop_reason"], cut["stop_sequence"]), ("stop_sequence", stop))
        self.assertEqual(cut["content"][0]["text"], text[:text.find(stop)])
        self.assertEqual(dict(self.events(temperature=0, stop_sequences=[stop]))["message_delta"]["delta"],
                         {"stop_reason": "stop_sequence", "stop_sequence": stop})

    def test_a_conversation_of_blocks(self):
        self.ask([{"role": "user", "content": [{"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}]},
                  {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
                  {"role": "user", "content": [{"type": "document", "source": {
                      "type": "text", "media_type": "text/plain", "data": "A dog."}}, {"type": "text", "text": "Go on"}]}],
                 system=[{"type": "text", "text": "You tell stories."}], metadata={"user_id": "u"}, top_k=5, top_p=0.9)

    def test_an_answer_that_was_begun_goes_on(self):
        for words in (9, 14):
            text = self.ask(temperature=0)["content"][0]["text"]
            begun, rest = text[:words], text[words:]
            messages = HELLO + [{"role": "assistant", "content": begun}]
            self.assertEqual(self.ask(messages, temperature=0, max_tokens=40)["content"][0]["text"][:len(rest)], rest)
            streamed = "".join(d["delta"]["text"] for n, d in self.events(messages=messages, temperature=0, max_tokens=40)
                               if n == "content_block_delta")
            self.assertEqual(streamed[:len(rest)], rest)

    def test_a_version_and_a_beta_change_nothing(self):
        answer = self.post(PATH, {"max_tokens": 2, "messages": HELLO},
                           {"anthropic-version": "2023-06-01", "anthropic-beta": "some-2025-01-01"})
        self.assertEqual(answer.status, 200)

    def test_thoughts_of_earlier_turns_are_left_out_and_told(self):
        answer = self.post(PATH, {"max_tokens": 2, "messages": HELLO + [
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                                              {"type": "text", "text": "Once"}]},
            {"role": "user", "content": "Go on"}]})
        self.assertEqual((answer.status, answer.headers["x-weir-dropped-params"]), (200, "messages[].thinking"))

    # ---- refusals, all in Anthropic's words ----

    def test_refusals_of_the_body(self):
        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}
        cases = [(b"{", "invalid_json"), (b"\xff", "invalid_utf8"), (b'{"messages":[]}', "empty_array"),
                 ({"messages": HELLO}, "missing_required_parameter"),
                 ({"messages": HELLO, "max_tokens": 0}, "below_min_value"),
                 ({"messages": HELLO, "max_tokens": 1, "temperature": 1.5}, "above_max_value"),
                 ({"messages": [{"role": "user", "content": [image]}], "max_tokens": 1}, "images_unsupported"),
                 ({"messages": HELLO, "max_tokens": 1, "tools": [{"name": "f", "input_schema": {}}]}, "tools_unsupported"),
                 ({"messages": [{"role": "user", "content": "word " * 20000}], "max_tokens": 1}, "context_length_exceeded")]
        for body, code in cases:
            with self.subTest(code):
                answer = self.post(PATH, body, {"Content-Type": "application/json"})
                self.assert_refused(answer, 400, "invalid_request_error", code)

    def test_refusals_of_the_rest(self):
        body = {"max_tokens": 1, "messages": HELLO}
        self.assert_refused(self.post(PATH, {**body, "model": "nobody"}), 404, "not_found_error", "model_not_found")
        self.assert_refused(self.post(PATH, "{}", {"Content-Type": "text/plain"}), 415, "invalid_request_error")
        self.assert_refused(self.get(PATH), 405, "invalid_request_error", "method_not_allowed")
        self.assert_refused(self.get(PATH + "/batches"), 404, "not_found_error", "unknown_url")
        self.assert_refused(self.post(PATH, body, {"Host": "elsewhere.example"}), 403, "permission_error", "foreign_host")

    def test_a_refusal_of_the_server_itself(self):
        raw = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n"
        answer, = self.server.raw_answers(raw)
        self.assertEqual(answer.status, 413)
        self.assertEqual(answer.json()["error"]["type"], "request_too_large")
        self.assertEqual(answer.json()["request_id"], answer.headers["x-request-id"])

    # ---- counting ----

    def test_a_count_of_what_is_too_long_to_answer(self):
        answer = self.post(PATH + "/count_tokens", {"messages": [{"role": "user", "content": "word " * 20000}]})
        self.assertGreater(answer.json()["input_tokens"], 20000)
        self.assert_refused(self.post(PATH + "/count_tokens", {"messages": 5}), 400, "invalid_request_error")
        self.assert_refused(self.post(PATH + "/count_tokens", {"model": "x", "messages": HELLO}), 404, "not_found_error")


class Keys(Anthropic):
    config = "keys:\n  - name: tester\n    key: {env: TEST_KEY}\n"
    env = {"TEST_KEY": "k" * 32}

    def test_a_key_is_asked_for_in_anthropics_way(self):
        body = {"max_tokens": 1, "messages": HELLO}
        for path in (PATH, PATH + "/count_tokens"):
            self.assert_refused(self.post(path, body), 401, "authentication_error", "missing_api_key")
            self.assert_refused(self.post(path, body, {"x-api-key": "wrong"}), 401, "authentication_error")
            self.assertEqual(self.post(path, body, {"x-api-key": "k" * 32}).status, 200)


class Tools(Anthropic):
    """A template with a place for tools."""

    config = "models:\n  - name: tooled\n    chat_family: chatml-tools\n"
    TOOL = {"name": "add", "description": "Adds", "input_schema": {"type": "object", "properties": {"a": {"type": "number"}}}}

    def test_tools_are_part_of_the_prompt(self):
        def count(**fields):
            return self.post(PATH + "/count_tokens", {"messages": HELLO, **fields}).json()["input_tokens"]

        plain, none = count(), count(tools=[self.TOOL], tool_choice={"type": "none"})
        offered, forced = count(tools=[self.TOOL]), count(tools=[self.TOOL], tool_choice={"type": "tool", "name": "add"})
        self.assertEqual(plain, none)
        self.assertGreater(offered, plain + 20)
        self.assertGreater(forced, offered)

    def test_each_choice_is_answered_and_results_are_read(self):
        for choice in ("auto", "any", "none"):
            self.ask(tools=[self.TOOL], tool_choice={"type": choice, "disable_parallel_tool_use": True}, max_tokens=4)
        self.ask(HELLO + [
            {"role": "assistant", "content": [{"type": "tool_use", "id": "a", "name": "add", "input": {"a": 1}},
                                              {"type": "tool_use", "id": "b", "name": "add", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "a", "content": "4"},
                                         {"type": "tool_result", "tool_use_id": "b", "is_error": True, "content": [
                                             {"type": "text", "text": "no"}]},
                                         {"type": "text", "text": "So?"}]}], tools=[self.TOOL], max_tokens=4)

    def test_a_tool_of_another_provider_is_refused(self):
        answer = self.post(PATH, {"max_tokens": 1, "messages": HELLO, "tools": [
            {"type": "web_search_20250305", "name": "web_search"}]})
        self.assert_refused(answer, 400, "invalid_request_error", "tools_unsupported")


class CountsElsewhere(Anthropic):
    """Whoever has the model counts its tokens; where nobody can be asked the count is an estimate and says so."""

    CONFIG = """
keys: [{{name: tester, key: {{env: TEST_KEY}}, tokens_per_minute: 10, budget: "0.000001"}}]
prices: [{{name: "*", input: "1000", output: "1000"}}]
routing: {{attempts_max: 1, breaker: {{results_min: 1000000, hard_down: 1ms, rate_limited: 1ms}}}}
providers:
  - {{name: anthropic, kind: anthropic, base_url: "{url}", discover: false}}
  - {{name: openai, kind: openai, base_url: "{url}/v1", discover: false}}
routes:
  - {{name: both, targets: [{{name: anthropic/error=529}}, {{name: weir-tiny}}], attempts_max: 2}}
"""
    env = {"TEST_KEY": "k" * 32}

    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=5, record_bodies=True))
        cls.config = cls.CONFIG.format(url=cls.provider.url)
        super().setUpClass()

    def count(self, model, path=PATH + "/count_tokens", **fields):
        self.provider.clear()
        return self.post(path, {"model": model, "messages": HELLO, **fields}, {"x-api-key": "k" * 32})

    def test_the_provider_is_asked_in_the_clients_own_words(self):
        answer = self.count("anthropic/claude", system="Be kind.", some_beta_field={"x": 1})
        attempt, = self.provider.attempts()
        self.assertEqual(attempt["path"], PATH + "/count_tokens")
        for said in ('"claude"', '"Be kind."', '"some_beta_field"'):
            self.assertIn(said, attempt["body"])
        self.assertEqual(list(answer.json()), ["input_tokens"])
        self.assertEqual(answer.headers["x-weir-provider"], "anthropic")
        self.assertEqual(answer.headers["x-weir-attempts"], "1")

    def test_a_count_uses_no_tokens_and_no_money(self):
        for _ in range(5):
            answer = self.count("anthropic/claude")
            self.assertEqual((answer.status, answer.headers["x-weir-cost"]), (200, "0"), answer)
        inflight = [l for l in self.get("/metrics", {"x-api-key": "k" * 32}).text.splitlines()
                    if l.startswith("weir_requests_inflight") and not l.endswith(" 0")]
        self.assertEqual(inflight, [])

    def test_what_goes_wrong_there_is_told(self):
        self.assert_refused(self.count("anthropic/reset"), 502, "api_error")
        self.assertEqual(self.count("both").status, 529)  # another model's count would be another number
        self.assert_refused(self.count("anthropic/error=429"), 429, "rate_limit_error")

    def test_where_nobody_can_count_it_is_an_estimate(self):
        short, long = self.count("openai/gpt"), self.count("openai/gpt", system="word " * 3000)
        self.assertTrue(short.json()["usage_estimated"])
        self.assertTrue(3000 < long.json()["input_tokens"] < 10000, long)
        self.assertEqual(self.provider.attempts(), [])


if __name__ == "__main__":
    harness.main()
