# REQ: API-1 ENG-3 ENG-4 ENG-6 ENG-7
"""POST /v1/chat/completions: one whole answer or a stream, and every field that says how it is made."""

import concurrent.futures
import json

import harness
import openai_schema


def text_of(chunks, choice=0):
    return "".join(c["delta"].get("content") or "" for chunk in chunks for c in chunk["choices"] if c["index"] == choice)


class Chat(harness.ServerCase):
    PATH = "/v1/chat/completions"

    def ask(self, content="Tell me a story.", **fields):
        answer = self.chat(content, **fields)
        self.assertEqual(answer.status, 200, answer)
        openai_schema.check("CreateChatCompletionResponse", answer.json())
        return answer.json()

    def ask_stream(self, content="Tell me a story.", **fields):
        """All chunks but [DONE], each held against the schema."""
        body = {"model": "default", "messages": [{"role": "user", "content": content}], "stream": True, **fields}
        events = list(self.stream(self.PATH, body))
        self.assertEqual(events[-1].data, "[DONE]")
        chunks = [e.json() for e in events[:-1]]
        for chunk in chunks:
            openai_schema.check("CreateChatCompletionStreamResponse", chunk)
        return chunks

    # ---- shape ----

    def test_an_answer_has_every_member_that_clients_read(self):
        answer = self.ask("Hello", max_tokens=4)
        self.assertRegex(answer["id"], r"^chatcmpl-[a-z0-9]{24}$")
        self.assertEqual(answer["object"], "chat.completion")
        self.assertGreater(answer["created"], 1_700_000_000)
        self.assertTrue(answer["system_fingerprint"])
        choice = answer["choices"][0]
        self.assertEqual((choice["index"], choice["message"]["role"], choice["logprobs"]), (0, "assistant", None))
        self.assertIsNone(choice["message"]["refusal"])

    def test_usage_is_exact(self):
        answer = self.ask(max_tokens=7, ignore_eos=True)
        usage = answer["usage"]
        self.assertEqual(usage["completion_tokens"], 7)
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")
        self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + 7)

    def test_a_repeated_prompt_is_found_in_the_cache(self):
        question = "Please tell me a long story about a little dog who lived by the sea. " * 3
        self.ask(question, max_tokens=1)
        again = self.ask(question, max_tokens=1)["usage"]
        self.assertGreater(again["prompt_tokens_details"]["cached_tokens"], 0)
        self.assertLess(again["prompt_tokens_details"]["cached_tokens"], again["prompt_tokens"])

    def test_a_system_prompt_that_fifty_share_is_computed_once(self):
        system = " ".join(f"Rule {i}: the little dog number {i} is always kind." for i in range(22))

        def ask(i):
            messages = [{"role": "system", "content": system}, {"role": "user", "content": f"{i}?"}]
            answer = self.post(self.PATH, {"model": "default", "messages": messages, "max_tokens": 1})
            self.assertEqual(answer.status, 200, answer)
            return answer.json()["usage"]

        with concurrent.futures.ThreadPoolExecutor(50) as pool:
            usages = list(pool.map(ask, range(50)))
        cached = [u["prompt_tokens_details"]["cached_tokens"] for u in usages]
        least = min(u["prompt_tokens"] for u in usages)
        self.assertGreater(least, 300)
        self.assertEqual({hits % 16 for hits in cached}, {0})
        # Once for all of them, whoever computed which block, and the last blocks, with the questions, for each.
        computed = sum(u["prompt_tokens"] for u in usages) - sum(cached)
        self.assertLess(computed, least + 50 * 48)

    def test_a_stream_is_role_then_text_then_finish_then_done(self):
        chunks = self.ask_stream(max_tokens=8, seed=1)
        self.assertEqual(chunks[0]["choices"][0]["delta"]["role"], "assistant")
        self.assertEqual([c["choices"][0]["finish_reason"] for c in chunks[:-1]], [None] * (len(chunks) - 1))
        self.assertIn(chunks[-1]["choices"][0]["finish_reason"], ("stop", "length"))
        self.assertEqual(chunks[-1]["choices"][0]["delta"], {})
        self.assertEqual(len({(c["id"], c["created"], c["model"], c["system_fingerprint"]) for c in chunks}), 1)
        self.assertTrue(all("usage" not in c for c in chunks))

    def test_a_stream_says_what_the_whole_answer_says(self):
        for seed in range(4):
            whole = self.ask(max_tokens=40, seed=seed)
            chunks = self.ask_stream(max_tokens=40, seed=seed)
            self.assertEqual(text_of(chunks), whole["choices"][0]["message"]["content"])
            self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], whole["choices"][0]["finish_reason"])

    def test_tokens_come_one_by_one(self):
        chunks = self.ask_stream(max_tokens=30, ignore_eos=True, seed=3)
        self.assertGreater(sum(1 for c in chunks if c["choices"][0]["delta"].get("content")), 20)

    def test_include_usage_is_one_last_chunk_and_null_before(self):
        chunks = self.ask_stream(max_tokens=5, seed=1, stream_options={"include_usage": True})
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertTrue(all(c["usage"] is None for c in chunks[:-1]))
        whole = self.ask(max_tokens=5, seed=1)["usage"]
        for member in ("prompt_tokens", "completion_tokens", "total_tokens"):
            self.assertEqual(chunks[-1]["usage"][member], whole[member])

    def test_stream_headers(self):
        answer = self.server.post(self.PATH, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2,
                                              "stream": True})
        self.assertTrue(answer.headers["content-type"].startswith("text/event-stream"))
        self.assertEqual(answer.headers["cache-control"], "no-cache")
        self.assertTrue(answer.headers["x-request-id"])

    # ---- sampling ----

    def test_temperature_zero_always_says_the_same(self):
        texts = {self.ask(temperature=0, max_tokens=24)["choices"][0]["message"]["content"] for _ in range(5)}
        self.assertEqual(len(texts), 1)

    def test_a_seed_repeats_and_another_differs(self):
        def say(seed):
            return self.ask(seed=seed, max_tokens=32, temperature=1.2)["choices"][0]["message"]["content"]

        self.assertEqual(say(11), say(11))
        self.assertGreater(len({say(seed) for seed in range(8)}), 1)

    def test_the_seed_that_was_drawn_is_told_and_repeats_the_answer(self):
        first = self.chat("Tell me a story.", max_tokens=24)
        again = self.chat("Tell me a story.", max_tokens=24, seed=int(first.headers["x-weir-seed"]))
        self.assertEqual(first.json()["choices"], again.json()["choices"])

    def test_any_seed_of_64_bits_is_told_as_it_is_taken(self):
        for seed in (-1, 0, 2**53 + 1, 2**63 - 1, -2**63):
            first = self.chat("Tell me a story.", max_tokens=8, seed=seed)
            self.assertEqual(first.headers["x-weir-seed"], str(seed))
            again = self.chat("Tell me a story.", max_tokens=8, seed=int(first.headers["x-weir-seed"]))
            self.assertEqual(first.json()["choices"], again.json()["choices"])
        for seed, code in ((2**63, "above"), (-2**63 - 1, "below")):
            refused = self.chat("Tell me a story.", seed=seed)
            self.assertEqual(refused.status, 400)
            self.assertIn("between -9223372036854775808 and 9223372036854775807", refused.json()["error"]["message"])
            self.assertIn(code, refused.json()["error"]["code"])

    def test_the_same_bytes_alone_and_under_load(self):
        fields = [{"content": f"Tell me about number {i}.", "seed": i, "max_tokens": 24, "temperature": 1.0,
                   "logprobs": True, "top_logprobs": 3} for i in range(12)]
        alone = [self.ask(**f)["choices"] for f in fields]
        with concurrent.futures.ThreadPoolExecutor(12) as pool:
            together = list(pool.map(lambda f: self.ask(**f)["choices"], fields))
        self.assertEqual(alone, together)

    def test_n_choices_differ_and_are_told_apart(self):
        answer = self.ask(n=4, seed=5, max_tokens=24, temperature=1.2)
        self.assertEqual([c["index"] for c in answer["choices"]], [0, 1, 2, 3])
        self.assertGreater(len({c["message"]["content"] for c in answer["choices"]}), 1)
        self.assertEqual(answer["choices"][0], self.ask(seed=5, max_tokens=24, temperature=1.2)["choices"][0])
        chunks = self.ask_stream(n=4, seed=5, max_tokens=24, temperature=1.2)
        for i in range(4):
            self.assertEqual(text_of(chunks, i), answer["choices"][i]["message"]["content"])

    def test_n_counts_the_prompt_once(self):
        one, four = (self.ask(n=n, max_tokens=3, ignore_eos=True)["usage"] for n in (1, 4))
        self.assertEqual(one["prompt_tokens"], four["prompt_tokens"])
        self.assertEqual(four["completion_tokens"], 12)

    def test_stop_ends_before_the_string(self):
        text = self.ask(temperature=0, max_tokens=48, ignore_eos=True)["choices"][0]["message"]["content"]
        for stop in (text[5:9], text[12:13], [text[20:25], text[8:11]]):
            answer = self.ask(temperature=0, max_tokens=48, ignore_eos=True, stop=stop)["choices"][0]
            places = [text.find(s) for s in ([stop] if isinstance(stop, str) else stop)]
            self.assertEqual(answer["message"]["content"], text[:min(places)])
            self.assertEqual(answer["finish_reason"], "stop")
            chunks = self.ask_stream(temperature=0, max_tokens=48, ignore_eos=True, stop=stop)
            self.assertEqual(text_of(chunks), text[:min(places)])

    def test_logprobs_fit_the_text(self):
        answer = self.ask(max_tokens=16, logprobs=True, top_logprobs=5, seed=2)["choices"][0]
        content = answer["logprobs"]["content"]
        self.assertEqual(b"".join(bytes(t["bytes"]) for t in content).decode(), answer["message"]["content"])
        for token in content:
            self.assertLessEqual(token["logprob"], 0)
            self.assertEqual(len(token["top_logprobs"]), 5)
            values = [t["logprob"] for t in token["top_logprobs"]]
            self.assertEqual(values, sorted(values, reverse=True))
            for top in token["top_logprobs"]:
                if top["bytes"] == token["bytes"]:
                    self.assertEqual(top["logprob"], token["logprob"])

    def test_streamed_logprobs_are_those_of_the_whole_answer(self):
        whole = self.ask(max_tokens=16, logprobs=True, top_logprobs=2, seed=2)["choices"][0]["logprobs"]["content"]
        chunks = self.ask_stream(max_tokens=16, logprobs=True, top_logprobs=2, seed=2)
        streamed = [t for c in chunks for choice in c["choices"] if choice["logprobs"]
                    for t in choice["logprobs"]["content"]]
        self.assertEqual(streamed, whole)

    def test_logprobs_of_a_stop_string_are_not_shown(self):
        text = self.ask(temperature=0, max_tokens=40, ignore_eos=True)["choices"][0]["message"]["content"]
        stop = text[10:18]
        answer = self.ask(temperature=0, max_tokens=40, ignore_eos=True, stop=stop, logprobs=True)["choices"][0]
        joined = b"".join(bytes(t["bytes"]) for t in answer["logprobs"]["content"]).decode()
        self.assertTrue(joined.startswith(answer["message"]["content"]))
        self.assertNotIn(stop, joined)

    def test_logit_bias_bans_and_forces(self):
        forced = self.post("/tokenize", {"prompt": " cat", "add_special_tokens": False}).json()["tokens"][0]
        answer = self.ask(temperature=0, max_tokens=3, ignore_eos=True, logit_bias={str(forced): 100})
        piece = self.post("/detokenize", {"tokens": [forced] * 3}).json()["prompt"]
        self.assertEqual(answer["choices"][0]["message"]["content"].strip(), piece.strip())
        first = self.ask(temperature=0, max_tokens=1, logprobs=True)["choices"][0]["logprobs"]["content"][0]["token"]
        banned = self.post("/tokenize", {"prompt": first, "add_special_tokens": False}).json()["tokens"][0]
        other = self.ask(temperature=0, max_tokens=1, logprobs=True, logit_bias={str(banned): -100})
        self.assertNotEqual(other["choices"][0]["logprobs"]["content"][0]["token"], first)

    def test_penalties_and_filters_change_the_text(self):
        base = dict(seed=9, max_tokens=60, temperature=1.0, ignore_eos=True)
        plain = self.ask(**base)["choices"][0]["message"]["content"]
        for fields in ({"frequency_penalty": 2.0}, {"presence_penalty": 2.0}, {"top_k": 1}, {"top_p": 0.01},
                       {"min_p": 0.9}, {"repetition_penalty": 2.0}):
            self.assertNotEqual(self.ask(**base, **fields)["choices"][0]["message"]["content"], plain, fields)

    def test_top_k_1_and_tiny_top_p_are_greedy(self):
        greedy = self.ask(temperature=0, max_tokens=24)["choices"][0]["message"]["content"]
        for fields in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1.0}):
            self.assertEqual(self.ask(seed=4, max_tokens=24, **fields)["choices"][0]["message"]["content"], greedy)

    # ---- limits ----

    def test_without_max_tokens_the_rest_of_the_context_is_there(self):
        context = self.get("/v1/models").json()["data"][0]["context_length"]
        usage = self.ask(ignore_eos=True)["usage"]
        self.assertEqual(usage["total_tokens"], context)

    def test_more_than_the_context_ends_with_length(self):
        answer = self.ask(ignore_eos=True, max_tokens=10**9)
        self.assertEqual(answer["choices"][0]["finish_reason"], "length")

    def test_max_completion_tokens_is_the_same_limit(self):
        self.assertEqual(self.ask(max_completion_tokens=5, ignore_eos=True)["usage"]["completion_tokens"], 5)

    def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths(self):
        context = self.get("/v1/models").json()["data"][0]["context_length"]
        error = self.assert_error(self.chat("word " * context * 2), 400, "context_length_exceeded")
        self.assertEqual(error["param"], "messages")
        self.assertIn(str(context), error["message"])

    # ---- messages ----

    def test_roles_and_parts(self):
        messages = [{"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]},
                    {"role": "assistant", "content": "Hello."},
                    {"role": "user", "name": "ann", "content": "Again."}]
        split = self.post(self.PATH, {"messages": messages, "max_tokens": 8, "seed": 1}).json()
        messages[1]["content"] = "Say hello."
        joined = self.post(self.PATH, {"messages": messages, "max_tokens": 8, "seed": 1}).json()
        self.assertEqual(split["choices"], joined["choices"])
        self.assertEqual(split["usage"]["prompt_tokens"], joined["usage"]["prompt_tokens"])

    def test_a_developer_is_a_system_and_a_tool_needs_a_template(self):
        user = {"role": "user", "content": "Hi"}
        texts = [self.post(self.PATH, {"messages": [{"role": role, "content": "Be brief."}, user], "max_tokens": 8,
                                       "seed": 1}).json()["choices"] for role in ("system", "developer")]
        self.assertEqual(texts[0], texts[1])
        result = {"role": "tool", "tool_call_id": "c", "content": "4"}
        self.assert_error(self.post(self.PATH, {"messages": [user, result]}), 400)

    def test_what_is_understood_to_change_nothing_is_taken(self):
        answer = self.chat("Hi", max_tokens=1, user="u-1", metadata={"a": "b"}, store=True,
                           response_format={"type": "text"}, modalities=["text"], parallel_tool_calls=False)
        self.assertEqual(answer.status, 200, answer)
        self.assertIsNone(answer.headers.get("x-weir-ignored-fields"))

    def test_unknown_fields_are_ignored_and_reported(self):
        answer = self.chat("Hi", max_tokens=1, frobnicate=7, service_tier="flex")
        self.assertEqual(answer.status, 200)
        self.assertEqual(set(answer.headers["x-weir-ignored-fields"].split(", ")), {"frobnicate", "service_tier"})

    def test_what_this_model_cannot_do_is_refused_clearly(self):
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
        image = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]
        schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {}}}}
        cases = [({"tools": [tool]}, "tools_unsupported", "tools"),
                 ({"response_format": schema}, "unsupported_parameter", "response_format"),
                 ({"messages": [{"role": "user", "content": image}]}, "images_unsupported", "messages[0].content")]
        for fields, code, param in cases:
            body = {"messages": [{"role": "user", "content": "Hi"}], **fields}
            error = self.assert_error(self.post(self.PATH, body), 400, code)
            self.assertEqual(error["param"], param)
            if code == "tools_unsupported":
                self.assertIn("chat_family: chatml-tools", error["message"])
        body = {"messages": [{"role": "user", "content": "Hi"}], "tools": [tool], "tool_choice": "none", "max_tokens": 1}
        self.assertEqual(self.post(self.PATH, body).status, 200)

    def test_the_request_id_of_the_client_is_kept(self):
        answer = self.server.post(self.PATH, {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1},
                                  {"x-request-id": "my-id.7"})
        self.assertEqual(answer.headers["x-request-id"], "my-id.7")

    def test_content_type_may_have_a_charset(self):
        body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})
        answer = self.server.post(self.PATH, body, {"Content-Type": "application/json; charset=utf-8"})
        self.assertEqual(answer.status, 200)


class Tools(harness.ServerCase):
    """A template with a place for tools. What a model makes of them is its own affair; here: nothing breaks."""

    config = "models:\n  - name: tooled\n    chat_family: chatml-tools\n"
    TOOL = {"type": "function", "function": {"name": "add", "description": "adds two numbers", "parameters": {
        "type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}, "required": ["a", "b"]}}}

    def ask(self, messages, **fields):
        body = {"messages": messages, "tools": [self.TOOL], "max_tokens": 24, "seed": 1, **fields}
        answer = self.post("/v1/chat/completions", body)
        self.assertEqual(answer.status, 200, answer)
        openai_schema.check("CreateChatCompletionResponse", answer.json())
        chunks = [e.json() for e in list(self.stream("/v1/chat/completions", {**body, "stream": True}))[:-1]]
        for chunk in chunks:
            openai_schema.check("CreateChatCompletionStreamResponse", chunk)
        choice = answer.json()["choices"][0]
        self.assertEqual(text_of(chunks), choice["message"]["content"] or "")
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], choice["finish_reason"])
        return answer.json()

    def test_tools_are_part_of_the_prompt(self):
        hello = [{"role": "user", "content": "What is 2 + 2?"}]
        with_tools = self.ask(hello)["usage"]["prompt_tokens"]
        without = self.ask(hello, tools=[])["usage"]["prompt_tokens"]
        self.assertGreater(with_tools, without + 20)

    def test_each_choice_of_a_tool_is_answered(self):
        named = {"type": "function", "function": {"name": "add"}}
        for choice in ("auto", "none", "required", named):
            self.ask([{"role": "user", "content": "What is 2 + 2?"}], tool_choice=choice)

    # REQ: ENG-8
    def test_a_forced_call_fits_its_schema(self):
        """Whatever the model would have said, it names a tool and gives it what it takes."""
        def tool(name, member, schema):
            return {"type": "function", "function": {"name": name, "parameters": {"properties": {member: schema}, "required": [member]}}}
        tools = [tool("dye", "color", {"enum": ["red", "blue"]}), tool("coat", "times", {"type": "integer", "minimum": 1, "maximum": 3})]
        for seed in range(3):
            for choice in ("required", {"type": "function", "function": {"name": "dye"}}):
                answer = self.ask([{"role": "user", "content": "Go."}], tools=tools, tool_choice=choice, seed=seed, max_tokens=100)["choices"][0]
                self.assertEqual(answer["finish_reason"], "tool_calls", answer)
                (call,) = answer["message"]["tool_calls"]
                made = json.loads(call["function"]["arguments"])
                if call["function"]["name"] == "coat":
                    self.assertEqual(choice, "required")
                    self.assertIn(made["times"], (1, 2, 3))
                else:
                    self.assertIn(made["color"], ("red", "blue"))

    def test_calls_and_results_are_messages(self):
        self.ask([{"role": "user", "content": "What is 2 + 2?"},
                  {"role": "assistant", "content": None, "tool_calls": [
                      {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{\"a\":2,\"b\":2}"}}]},
                  {"role": "tool", "tool_call_id": "c1", "content": "4"}])

    def test_a_name_that_is_no_tool_is_refused(self):
        body = {"messages": [{"role": "user", "content": "x"}], "tools": [self.TOOL],
                "tool_choice": {"type": "function", "function": {"name": "sub"}}}
        error = self.assert_error(self.post("/v1/chat/completions", body), 400, "invalid_value")
        self.assertEqual(error["param"], "tool_choice.function.name")


if __name__ == "__main__":
    harness.main()
