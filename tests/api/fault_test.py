"""The scripted provider: every fault as a raw client sees it, and the record of what the provider saw."""
# REQ: PROV-7

import email.utils
import json
import re
import tempfile
import time
import unittest

import harness
from fault_provider import PATHS, Fault

CHATS = ("openai", "anthropic", "ollama")
DONE = {"openai": "[DONE]", "anthropic": "message_stop", "ollama": '"done":true'}
SHORT_S = 0.4  # a silence that is one


def prefill(text):
    return [{"role": "user", "content": "Say something."}, {"role": "assistant", "content": text}]


class FaultCase(unittest.TestCase):
    script = None
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.provider = Fault(cls.script, **cls.options).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.provider.__exit__()

    def setUp(self):
        self.provider.clear()

    def ask(self, *arguments, **fields):
        return self.provider.ask(*arguments, **fields)


class Answers(FaultCase):
    def test_the_same_conversation_has_the_same_text_in_every_protocol_whole_and_streamed(self):
        texts = {self.ask(p, stream=stream, system="Be brief.").said() if p == "anthropic" else
                 self.ask(p, stream=stream, messages=[{"role": "system", "content": "Be brief."},
                                                      {"role": "user", "content": "Say something."}]).said()
                 for p in CHATS for stream in (False, True)}
        self.assertEqual(len(texts), 1, texts)
        self.assertGreater(len(texts.pop()), 20)
        plain = {self.ask(p, stream=stream).said() for p in PATHS for stream in (False, True)}
        self.assertEqual(len(plain), 1, plain)

    def test_another_prompt_or_another_seed_says_something_else(self):
        text = self.ask("openai").said()
        self.assertNotEqual(text, self.ask("openai", prompt="Say something else.").said())
        with Fault(seed=1) as other:
            self.assertNotEqual(text, other.ask("openai").said())

    def test_streams_end_with_their_terminal_event(self):
        for p in CHATS:
            answer = self.ask(p, stream=True)
            self.assertEqual(answer.ending, "whole")
            self.assertIn(DONE[p], answer.events()[-1])

    def test_ollama_streams_unasked(self):
        answer = self.provider.request("POST", "/api/chat", {"model": "m", "messages": []})
        self.assertEqual(answer.headers["content-type"], "application/x-ndjson")

    def test_max_tokens_ends_an_answer_with_its_reason(self):
        for p, fields, reason in (("openai", {"max_tokens": 3}, '"finish_reason":"length"'),
                                  ("openai", {"max_completion_tokens": 3}, '"finish_reason":"length"'),
                                  ("anthropic", {"max_tokens": 3}, '"stop_reason":"max_tokens"'),
                                  ("ollama", {"options": {"num_predict": 3}}, '"done_reason":"length"')):
            answer = self.ask(p, **fields)
            self.assertIn(reason, answer.text)
            self.assertEqual(len(answer.said().split(" ")), 3)

    def test_usage_comes_where_it_was_asked_for_or_ordered(self):
        asked = {"stream_options": {"include_usage": True}}
        self.assertNotIn("prompt_tokens", self.ask("openai", stream=True).text)
        self.assertIn("prompt_tokens", self.ask("openai", stream=True, **asked).text)
        self.assertIn("prompt_tokens", self.ask("openai", stream=True, fault="usage=always").text)
        for p, name in (("openai", "usage"), ("anthropic", "usage"), ("ollama", "eval_count")):
            self.assertIn(name, self.ask(p).text)
            self.assertNotIn(name, self.ask(p, fault="usage=none").text)

    def test_embeddings_are_the_same_each_time_and_of_the_asked_size(self):
        for path, get in (("/v1/embeddings", lambda d: [e["embedding"] for e in d["data"]]),
                          ("/api/embed", lambda d: d["embeddings"])):
            body = {"model": "m", "input": ["a", "b"], "dimensions": 5}
            vectors = get(self.provider.request("POST", path, body).json())
            self.assertEqual([len(v) for v in vectors], [5, 5])
            self.assertNotEqual(vectors[0], vectors[1])
            self.assertAlmostEqual(sum(x * x for x in vectors[0]), 1, 5)
            self.assertEqual(vectors, get(self.provider.request("POST", path, body).json()))

    def test_models_and_versions_are_told_as_each_provider_does(self):
        get = lambda path, **headers: self.provider.request("GET", path, headers=headers).json()
        self.assertEqual(get("/v1/models")["data"][0]["object"], "model")
        self.assertEqual(get("/v1/models", **{"anthropic-version": "2023-06-01"})["data"][0]["type"], "model")
        self.assertEqual(get("/v1/models/abc")["id"], "abc")
        self.assertEqual(get("/api/tags")["models"][0]["name"], "fault")
        self.assertIn("version", get("/api/version"))
        self.assertEqual(get("/v1/health/ready")["status"], "ready")

    def test_azures_paths_name_the_model_and_answer_with_filter_results(self):
        path = "/openai/deployments/mine/chat/completions?api-version=2024-10-21"
        body = {"messages": [{"role": "user", "content": "hi"}]}
        answer = self.provider.request("POST", path, body).json()
        self.assertEqual(answer["model"], "mine")
        self.assertIn("prompt_filter_results", answer)
        events = self.provider.request("POST", path, {**body, "stream": True}).events()
        self.assertEqual(json.loads(events[0])["choices"], [])
        error = self.provider.request("POST", path, body, {"x-fault": "error=filter"}).json()["error"]
        self.assertEqual(error["innererror"]["code"], "ResponsibleAIPolicyViolation")

    def test_a_trailing_assistant_message_is_continued_where_the_provider_does_so(self):
        whole = self.ask("openai").said()
        for cut in (1, 9, len(whole) // 2, len(whole)):
            for p, fields in (("anthropic", {}), ("ollama", {}), ("openai", {"continue_final_message": True}),
                              ("openai", {"fault": "continues=yes"})):
                rest = self.ask(p, messages=prefill(whole[:cut]), **fields).said()
                self.assertEqual(whole[:cut] + rest, whole, p)
        self.assertNotEqual(whole[:9] + self.ask("openai", messages=prefill(whole[:9])).said(), whole)
        refused = self.ask("anthropic", messages=prefill("x"), fault="continues=refuse")
        self.assertEqual(refused.status, 400)


TOOLS = [{"type": "function", "function": {"name": name, "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}}} for name in ("a", "b")]
ANTHROPIC_TOOLS = [{"name": t["function"]["name"], "input_schema": t["function"]["parameters"]} for t in TOOLS]


def openai_calls(answer):
    calls = {}
    for e in answer.events()[:-1]:
        for c in json.loads(e)["choices"][0]["delta"].get("tool_calls", []):
            call = calls.setdefault(c["index"], {"name": None, "arguments": ""})
            call["name"] = call["name"] or c["function"].get("name")
            call["arguments"] += c["function"]["arguments"]
    return list(calls.values())


class Tools(FaultCase):
    def test_a_forced_call_is_made_with_arguments_of_its_schema(self):
        forced = {"type": "function", "function": {"name": "b"}}
        answer = self.ask("openai", tools=TOOLS, tool_choice=forced).json()
        call = answer["choices"][0]["message"]["tool_calls"][0]["function"]
        self.assertEqual((answer["choices"][0]["finish_reason"], call["name"]), ("tool_calls", "b"))
        self.assertIsInstance(json.loads(call["arguments"])["days"], int)
        block = self.ask("anthropic", tools=ANTHROPIC_TOOLS, tool_choice={"type": "tool", "name": "b"}).json()
        self.assertEqual((block["stop_reason"], block["content"][0]["name"]), ("tool_use", "b"))

    def test_without_force_or_order_and_after_a_result_there_is_text(self):
        self.assertTrue(self.ask("openai", tools=TOOLS).said())
        messages = [{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "1", "content": "sunny"}]
        self.assertTrue(self.ask("openai", tools=TOOLS, tool_choice="required", messages=messages).said())

    def test_parallel_calls_streamed(self):
        calls = openai_calls(self.ask("openai", stream=True, tools=TOOLS, fault="tools=3"))
        self.assertEqual([c["name"] for c in calls], ["a", "b", "a"])
        self.assertTrue(all("city" in json.loads(c["arguments"]) for c in calls))
        events = [json.loads(e) for e in
                  self.ask("anthropic", stream=True, tools=ANTHROPIC_TOOLS, fault="tools=2").events()]
        self.assertEqual([e["content_block"]["name"] for e in events if e["type"] == "content_block_start"], ["a", "b"])
        lines = self.ask("ollama", stream=True, tools=TOOLS, fault="tools=2").events()
        self.assertEqual(len(json.loads(lines[0])["message"]["tool_calls"]), 2)

    def test_arguments_can_be_missing_or_broken(self):
        empty = openai_calls(self.ask("openai", stream=True, tools=TOOLS, fault="tools=1, arguments=empty"))
        self.assertEqual(empty[0]["arguments"], "")
        broken = openai_calls(self.ask("openai", stream=True, tools=TOOLS, fault="tools=1, arguments=broken"))
        with self.assertRaises(ValueError):
            json.loads(broken[0]["arguments"])


class Times(FaultCase):
    def test_head_first_token_and_the_others_wait_apart(self):
        answer = self.ask("openai", stream=True, fault="head=100ms, first=200ms, token=20ms, tokens=10")
        self.assertGreaterEqual(answer.first_byte_s, 0.099)
        self.assertGreaterEqual(answer.times[1][0], 0.299)
        self.assertGreaterEqual(answer.duration_s, 0.1 + 0.2 + 9 * 0.02 - 0.002)
        self.assertLess(answer.duration_s, 0.48 + 1.5 * harness.SLOWNESS)

    def test_a_whole_answer_takes_as_long_as_its_stream(self):
        answer = self.ask("openai", fault="first=100ms, token=10ms, tokens=11")
        self.assertGreaterEqual(answer.first_byte_s, 0.199)

    def test_draws_repeat_with_the_seed(self):
        def run():
            with Fault(seed=3) as provider:
                for _ in range(3):
                    provider.ask("openai", fault="head=uniform:1ms:120ms")
                return [a["did"]["duration_ms"] for a in provider.attempts()]

        first, second = run(), run()
        self.assertGreater(max(first) - min(first), 5, first)
        for a, b in zip(first, second):
            self.assertAlmostEqual(a, b, delta=25 * harness.SLOWNESS)

    def test_drip_sends_byte_by_byte(self):
        answer = self.ask("openai", stream=True, fault="drip=1ms, tokens=1")
        self.assertEqual({len(c) for c in answer.chunks}, {1})
        self.assertEqual(answer.ending, "whole")
        self.assertIn("[DONE]", answer.text)

    def test_hang_answers_nothing_and_sees_the_client_go(self):
        answer = self.ask("openai", "hang", silence_s=SHORT_S)
        self.assertEqual((answer.ending, bytes(answer.received)), ("silent", b""))
        self.assertTrue(harness.wait_until(lambda: self.provider.attempts()[0]["did"]["client_closed"]))

    def test_a_stall_keeps_the_connection_in_silence(self):
        answer = self.ask("openai", "stall@4", stream=True, silence_s=SHORT_S)
        self.assertEqual((answer.ending, len(answer.events())), ("silent", 4))
        answer = self.ask("openai", "stall@0", stream=True, silence_s=SHORT_S)
        self.assertEqual((answer.ending, answer.status, answer.body), ("silent", 200, b""))


class Ends(FaultCase):
    def test_cut_at_every_event_in_every_protocol(self):
        for p in CHATS:
            whole = self.ask(p, stream=True, fault="tokens=4").events()
            for n in range(len(whole)):
                answer = self.ask(p, stream=True, fault=f"tokens=4, cut@{n}")
                self.assertEqual((answer.ending, len(answer.events())), ("cut", n), p)

    def test_cut_at_every_byte(self):
        self.provider.clear()
        whole = self.ask("ollama", stream=True, fault="tokens=2").body
        for n in range(0, len(whole), 7):
            self.provider.clear()
            answer = self.ask("ollama", stream=True, fault=f"tokens=2, cut@{n}b")
            self.assertEqual((answer.ending, answer.body), ("cut", whole[:n]))

    def test_a_whole_answer_is_cut_in_the_middle(self):
        answer = self.ask("anthropic", "cut@3")
        self.assertEqual((answer.status, answer.ending), (200, "cut"))
        with self.assertRaises(ValueError):
            answer.json()

    def test_reset_before_headers_and_inside_a_stream(self):
        answer = self.ask("openai", "reset")
        self.assertEqual((answer.ending, answer.status), ("reset", None))
        answer = self.ask("openai", "reset@3", stream=True, fault="token=5ms")
        self.assertEqual((answer.ending, len(answer.events())), ("reset", 3))

    def test_stop_looks_whole_and_is_not(self):
        for p in CHATS:
            answer = self.ask(p, "stop@4", stream=True)
            self.assertEqual((answer.ending, len(answer.events())), ("whole", 4))
            self.assertNotIn(DONE[p], answer.text)

    def test_only_the_terminal_event_is_missing(self):
        for p in CHATS:
            whole, lacking = self.ask(p, stream=True), self.ask(p, "no-done", stream=True)
            self.assertEqual(len(lacking.events()), len(whole.events()) - 1)
            self.assertNotIn(DONE[p], lacking.text)

    def test_an_error_event_inside_the_stream(self):
        for p, sign in (("openai", '"error":{'), ("anthropic", "overloaded_error"), ("ollama", '"error":"')):
            answer = self.ask(p, "fail@3", stream=True)
            self.assertEqual((answer.ending, len(answer.events())), ("whole", 4))
            self.assertIn(sign, answer.events()[-1])
        self.assertIn("rate_limit", self.ask("openai", stream=True, fault="fail@2, error=rate_limit").events()[-1])


class Errors(FaultCase):
    def test_each_error_has_its_protocols_status_and_words(self):
        for p, word, status, sign in (
                ("openai", "rate_limit", 429, "rate_limit_exceeded"), ("openai", "quota", 429, "insufficient_quota"),
                ("openai", "context", 400, "context_length_exceeded"), ("openai", "filter", 400, "content_filter"),
                ("openai", "auth", 401, "invalid_api_key"), ("openai", "overloaded", 503, "overloaded"),
                ("openai", "500", 500, "server_error"), ("openai", "418", 418, "ordered"),
                ("anthropic", "overloaded", 529, "overloaded_error"), ("anthropic", "529", 529, "overloaded_error"),
                ("anthropic", "rate_limit", 429, "rate_limit_error"), ("anthropic", "context", 400, "too long"),
                ("ollama", "model", 404, "does not exist"), ("ollama", "503", 503, "overloaded")):
            answer = self.ask(p, fault=f"error={word}", stream=True)
            self.assertEqual((answer.status, answer.ending), (status, "whole"))
            self.assertIn(sign, answer.text)
            self.assertIn("error", answer.json())

    def test_retry_after_in_all_its_spellings(self):
        header = lambda fault: self.ask("openai", fault="error=429, " + fault).headers
        self.assertEqual(header("retry-after=7")["retry-after"], "7")
        self.assertEqual(header("retry-after=soon")["retry-after"], "soon")
        self.assertEqual(header("retry-after-ms=1500")["retry-after-ms"], "1500")
        self.assertEqual(header("x-ms-retry-after-ms=20")["x-ms-retry-after-ms"], "20")
        date = email.utils.parsedate_to_datetime(header("retry-after-date=60")["retry-after"])
        self.assertAlmostEqual(date.timestamp() - time.time(), 60, delta=5)

    def test_an_error_in_disguise_and_one_of_a_proxy(self):
        answer = self.ask("openai", stream=True, fault="error=rate_limit, status=200")
        self.assertEqual((answer.status, answer.json()["error"]["code"]), (200, "rate_limit_exceeded"))
        answer = self.ask("openai", fault="error=502, body=html")
        self.assertEqual((answer.status, answer.headers["content-type"]), (502, "text/html"))
        self.assertEqual(self.ask("openai", fault="error=500, body=empty").body, b"")

    def test_a_redirect_names_a_place_that_records_who_came(self):
        answer = self.ask("openai", fault="error=302")
        self.assertEqual((answer.status, answer.headers["location"]), (302, "/fault/redirected"))
        self.provider.request("GET", "/fault/redirected", headers={"authorization": "Bearer canary-1"})
        self.assertEqual(self.provider.attempts()[-1]["path"], "/fault/redirected")

    def test_an_unknown_fault_is_refused_with_the_nearest(self):
        answer = self.ask("openai", fault="cutt@5")
        self.assertEqual(answer.status, 400)
        self.assertIn("did you mean 'cut'", answer.text)


class Contents(FaultCase):
    def test_a_malformed_event_is_broken_and_the_others_are_not(self):
        for p in CHATS:
            for how in ("half", "brace", "utf8"):
                answer = self.ask(p, stream=True, fault=f"malformed@3, malformed-as={how}")
                bad = [i for i, e in enumerate(answer.body.strip().split(b"\n" if p == "ollama" else b"\n\n"))
                       if not well_formed(e)]
                self.assertEqual(bad, [3], (p, how))

    def test_a_malformed_whole_answer(self):
        self.assertFalse(well_formed(self.ask("openai", "malformed").body))

    def test_a_huge_token(self):
        answer = self.ask("openai", stream=True, fault="huge=2MiB")
        self.assertEqual(answer.ending, "whole")
        self.assertGreater(max(len(e) for e in answer.events()), 2 << 20)

    def test_a_filter_ends_an_answer(self):
        for p, sign in (("openai", '"finish_reason":"content_filter"'), ("anthropic", '"stop_reason":"refusal"')):
            answer = self.ask(p, "filter@2", stream=True)
            self.assertIn(sign, answer.text)
            self.assertEqual(len(answer.said().split(" ")), 2)

    def test_reasoning_comes_before_the_text(self):
        for p, sign in (("openai", "reasoning_content"), ("anthropic", "thinking_delta"), ("ollama", '"thinking"')):
            plain, answer = self.ask(p, stream=True), self.ask(p, stream=True, fault="reasoning=3")
            self.assertEqual(sum(sign in e for e in answer.events()), 3)
            self.assertEqual(answer.said(), plain.said())

    def test_text_empty_answers_pings_and_unstreamed(self):
        self.assertEqual(self.ask("anthropic", stream=True, fault="text=to be or not").said(), "to be or not")
        self.assertEqual(self.ask("openai", "empty", stream=True).said(), "")
        self.assertGreater(self.ask("openai", stream=True, fault="pings=2").text.count(": ping\n\n"), 3)
        self.assertIn("event: ping", self.ask("anthropic", stream=True, fault="pings=2").text)
        answer = self.ask("openai", "unstreamed", stream=True)
        self.assertEqual(answer.json()["object"], "chat.completion")


def well_formed(event):
    data = event.split(b"data: ")[-1]
    try:
        return data == b"[DONE]" or bool(json.loads(data))
    except ValueError:
        return False


class Script(FaultCase):
    options = {"seed": 5, "record_bodies": True, "env": {"FAULT_TEST_KEY": "script-key-1"},
               "key": "script-key-1"}
    script = """
key: ${FAULT_TEST_KEY}
models: [one, two]
always: {tokens: 5}
rules:
  - {name: down, model: "down-*", do: {error: "503", flap: "2:1"}}
  - {name: rare, model: rare, do: {error: "500", rate: 0.3}}
  - {name: half, model: mixed, do: {error: "500", rate: 0.5}}
  - {name: other half, model: mixed, do: {error: "503", rate: 0.5}}
  - {name: first, model: first, do: {error: "429", times: 2, retry_after: "1"}}
  - {name: path, path: "/api/*", do: {cut: "1"}}
"""

    def ask(self, protocol, model="one", headers=None, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
        return self.provider.request("POST", PATHS[protocol], body,
                                     {"authorization": "Bearer script-key-1", **(headers or {})})

    def test_the_key_is_asked_for(self):
        self.assertEqual(self.ask("openai", headers={"authorization": "Bearer other"}).status, 401)
        self.assertEqual(self.ask("openai", headers={"authorization": "", "x-api-key": "script-key-1"}).status, 200)

    def test_the_record_asks_for_the_key_too(self):
        self.assertEqual(self.provider.request("GET", "/fault/attempts").status, 401)
        self.assertEqual(self.provider.request("DELETE", "/fault/attempts").status, 401)

    def test_what_is_always_done_lies_under_rules_and_headers(self):
        self.assertEqual(len(self.ask("openai").said().split(" ")), 5)
        self.assertEqual(len(self.ask("openai", headers={"x-fault": "first=1ms"}).said().split(" ")), 5)
        self.assertEqual(self.ask("ollama", stream=True).ending, "cut")

    def test_flapping_lets_good_ones_pass(self):
        self.assertEqual([self.ask("openai", "down-1").status for _ in range(6)], [200, 200, 503] * 2)

    def test_a_number_of_times(self):
        self.assertEqual([self.ask("openai", "first").status for _ in range(4)], [429, 429, 200, 200])

    def test_a_rate_is_drawn_from_the_seed(self):
        statuses = [self.ask("openai", "rare").status for _ in range(100)]
        self.assertTrue(15 <= statuses.count(500) <= 45, statuses.count(500))
        self.provider.clear()
        self.assertEqual(statuses, [self.ask("openai", "rare").status for _ in range(100)])

    def test_each_rule_draws_for_itself(self):
        statuses = [self.ask("openai", "mixed").status for _ in range(100)]
        for status, share in ((500, 50), (503, 25), (200, 25)):
            self.assertTrue(share - 15 <= statuses.count(status) <= share + 15, (status, statuses.count(status)))

    def test_gates_count_each_order_of_a_client_by_itself(self):
        ask = lambda fault: self.ask("openai", headers={"x-fault": fault}).status
        self.assertEqual([ask("error=500, every=2") for _ in range(4)], [200, 500, 200, 500])
        self.assertEqual([ask("error=500, times=1"), ask("error=500, times=1")], [500, 200])

    def test_attempts_tell_what_came_without_secrets(self):
        self.ask("openai", "down-1", stream=True)
        self.ask("anthropic", headers={"x-api-key": "canary-2", "api-key": "canary-3", "x-other": "seen"})
        record = self.provider.record()
        self.assertEqual((record["total"], record["forgotten"]), (2, 0))
        first, second = record["attempts"]
        self.assertEqual((first["path"], first["did"]["model"], first["did"]["stream"], first["did"]["wire"]),
                         ("/v1/chat/completions", "down-1", True, "openai"))
        self.assertEqual(json.loads(first["body"])["model"], "down-1")
        self.assertEqual(first["did"]["outcome"], "answered")
        self.assertIn(["x-other", "seen"], second["headers"])
        self.assertLess(first["at_ms"], second["at_ms"])
        for canary in ("canary-2", "canary-3", "script-key-1"):
            self.assertNotIn(canary, json.dumps(record))

    def test_a_wrong_script_is_refused_with_its_place(self):
        for text, place in (("seed: x\n", "script.yaml:1:7"), ("rules:\n  - {name: a, do: {cutt: '5'}}\n", "'cut'"),
                            ("always: {first: fast}\n", "'fast'"), ("always: {cut: here}\n", "'here'")):
            with self.assertRaises(AssertionError) as caught, Fault(text):
                pass
            self.assertIn(place, str(caught.exception))


class InsideAGateway(harness.ServerCase):
    """A provider of kind `fault`: the same server, spoken to like any other."""

    env = {"FAULT_TEST_KEY": "inside-key-1"}
    config = """
providers:
  - {name: chaos, kind: fault, always: "tokens=6", key: "${FAULT_TEST_KEY}"}
  - {name: other, kind: fault, speaks: nim}
"""

    def ask(self, model, **fields):
        body = {"model": model, "messages": [{"role": "user", "content": "Say something."}], **fields}
        return self.post("/v1/chat/completions", body)

    def test_it_answers_with_the_text_that_the_server_alone_gives(self):
        with Fault() as alone:
            text = alone.ask("openai", fault="tokens=6").said()
        self.assertEqual(self.ask("chaos/any").json()["choices"][0]["message"]["content"], text)

    def test_it_is_listed_and_its_models_names_are_orders(self):
        names = [m["id"] for m in self.get("/v1/models").json()["data"]]
        self.assertIn("chaos/fault", names)
        self.assertEqual(self.ask("chaos/error=context").status, 400)
        self.assertEqual(self.ask("other/error=auth").json()["error"]["code"], "upstream_denied")

    def test_its_record_can_be_read_with_the_configured_key_alone(self):
        port = int(self.says(r"provider=chaos port=([0-9]+)").group(1))
        get = lambda headers: Port(port).get("/fault/attempts", headers)
        self.ask("chaos/seen")
        self.assertEqual(get({}).status, 401)
        record = get({"Authorization": "Bearer inside-key-1"}).json()
        self.assertIn("seen", [a["did"]["model"] for a in record["attempts"]])

    def test_a_wrong_script_is_found_when_the_configuration_is_checked(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("providers:\n  - {name: chaos, kind: fault, always: 'cutt@5'}\n")
            file.flush()
            checked = harness.weir("config", "check", file.name)
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("did you mean 'cut'", checked.stderr)


class Port(harness.Server):
    """A server that is there already, to speak to."""

    def __init__(self, port):
        super().__init__()
        self.port = port


class Documentation(unittest.TestCase):
    def test_every_fault_is_described_with_an_example(self):
        listed = [line.split()[0].partition("=")[0] for line in harness.weir("fault", "--orders").stdout.splitlines()]
        page = (harness.SOURCE / "docs" / "fault.md").read_text()
        self.assertGreater(len(listed), 30)
        missing = [name for name in listed if f"| `{name}` |" not in page]
        self.assertEqual(missing, [])


if __name__ == "__main__":
    harness.main()
