# REQ: API-2 ENG-6
"""POST /v1/completions: prompts as text and as token ids, echo and logprobs as loglikelihood harnesses need them."""

import math

import harness
import openai_schema

TEXT = "Once upon a time there was a little girl who had a red ball."


class Completions(harness.ServerCase):
    def complete(self, **fields):
        answer = self.post("/v1/completions", {"model": "default", **fields})
        self.assertEqual(answer.status, 200, answer)
        openai_schema.completion(answer.json())
        return answer.json()

    def tokens(self, text, **fields):
        return self.post("/tokenize", {"prompt": text, **fields}).json()["tokens"]

    def score(self, prompt, **fields):
        """The logprobs of one echoed prompt, without generating."""
        answer = self.complete(prompt=prompt, echo=True, logprobs=1, max_tokens=0, **fields)
        return answer["choices"][0]["logprobs"]

    def test_text_in_text_out(self):
        answer = self.complete(prompt=TEXT, max_tokens=5, ignore_eos=True)
        self.assertEqual((answer["object"], answer["usage"]["completion_tokens"]), ("text_completion", 5))
        self.assertIsNone(answer["choices"][0]["logprobs"])

    def test_text_and_its_ids_are_one_prompt(self):
        by_text = self.complete(prompt=TEXT, max_tokens=12, seed=3)
        by_ids = self.complete(prompt=self.tokens(TEXT), max_tokens=12, seed=3)
        self.assertEqual(by_text["choices"], by_ids["choices"])
        self.assertEqual(by_text["usage"]["prompt_tokens"], by_ids["usage"]["prompt_tokens"])

    def test_lists_of_prompts_answer_in_order_and_as_alone(self):
        prompts = [TEXT, "The cat", "A big dog ran"]
        alone = [self.complete(prompt=p, max_tokens=8, seed=4, n=2)["choices"] for p in prompts]
        for batch in (prompts, [self.tokens(p) for p in prompts]):
            together = self.complete(prompt=batch, max_tokens=8, seed=4, n=2)["choices"]
            self.assertEqual([c["index"] for c in together], list(range(6)))
            self.assertEqual([c["text"] for c in together], [c["text"] for choices in alone for c in choices])

    def test_a_batch_larger_than_the_engine_takes_at_once(self):
        answer = self.complete(prompt=[f"Number {i}" for i in range(150)], max_tokens=2, ignore_eos=True)
        self.assertEqual(len(answer["choices"]), 150)
        self.assertEqual(answer["usage"]["completion_tokens"], 300)

    def test_echo_gives_the_prompt_back(self):
        plain = self.complete(prompt=TEXT, max_tokens=6, seed=1)["choices"][0]["text"]
        echoed = self.complete(prompt=TEXT, max_tokens=6, seed=1, echo=True)["choices"][0]["text"]
        self.assertEqual(echoed, TEXT + plain)

    def test_scores_of_a_prompt_line_up_with_its_tokens(self):
        ids = self.tokens(TEXT)
        scores = self.score(TEXT)
        for member in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
            self.assertEqual(len(scores[member]), len(ids), member)
        self.assertIsNone(scores["token_logprobs"][0])
        self.assertIsNone(scores["top_logprobs"][0])
        self.assertTrue(all(math.isfinite(v) and v <= 0 for v in scores["token_logprobs"][1:]))
        self.assertEqual("".join(scores["tokens"]), TEXT)
        for token, offset in zip(scores["tokens"], scores["text_offset"]):
            self.assertTrue(TEXT[offset:].startswith(token), (offset, token))

    def test_offsets_count_characters_not_bytes(self):
        text = "äöü 漢字 über alles"
        answer = self.complete(prompt=text, echo=True, logprobs=0, max_tokens=24, ignore_eos=True)["choices"][0]
        scores = answer["logprobs"]
        for token, offset in zip(scores["tokens"], scores["text_offset"]):
            if not token.startswith(("bytes:", "<|")):  # half a character; a control token, which is no text
                self.assertTrue(answer["text"][offset:].startswith(token), (offset, token))

    def test_loglikelihood_as_lm_eval_asks_for_it(self):
        """local-completions: ids, echo, logprobs 1, max_tokens 1, greedy; the last, generated, token is cut off."""
        context, whole = self.tokens("Once upon a time"), self.tokens("Once upon a time there was a little")
        answer = self.complete(prompt=[whole, whole], temperature=0, max_tokens=1, logprobs=1, seed=1234, echo=True)
        choices = sorted(answer["choices"], key=lambda c: c["index"])
        for choice in choices:
            scores = choice["logprobs"]
            values = scores["token_logprobs"][len(context):-1]
            tops = scores["top_logprobs"][len(context):-1]
            self.assertEqual(len(values), len(whole) - len(context))
            for value, top in zip(values, tops):
                best = max(top.values())
                self.assertLessEqual(value, best)
                # A greedy token's score is bit for bit the best one.
                self.assertTrue(value == best or value < best)
        self.assertEqual(choices[0]["logprobs"], choices[1]["logprobs"])
        alone = self.score(whole)
        self.assertEqual(choices[0]["logprobs"]["token_logprobs"][:-1], alone["token_logprobs"])

    def test_a_greedy_token_scores_exactly_its_best_alternative(self):
        answer = self.complete(prompt=TEXT, max_tokens=10, temperature=0, logprobs=2, ignore_eos=True)
        scores = answer["choices"][0]["logprobs"]
        for value, top in zip(scores["token_logprobs"], scores["top_logprobs"]):
            self.assertEqual(value, max(top.values()))
        ids = self.tokens(TEXT) + self.tokens(answer["choices"][0]["text"], add_special_tokens=False)
        again = self.score(ids)
        self.assertEqual(again["token_logprobs"][-10:], scores["token_logprobs"])

    def test_scores_are_the_same_alone_in_a_batch_and_streamed(self):
        alone = self.score(TEXT)
        batch = self.complete(prompt=[TEXT, "x", TEXT], echo=True, logprobs=1, max_tokens=0)["choices"]
        self.assertEqual(batch[0]["logprobs"], alone)
        self.assertEqual(batch[2]["logprobs"], alone)
        body = {"prompt": TEXT, "echo": True, "logprobs": 1, "max_tokens": 0, "stream": True}
        events = list(self.stream("/v1/completions", body))
        self.assertEqual(events[-1].data, "[DONE]")
        streamed = {name: [] for name in alone}
        text = ""
        for event in events[:-1]:
            openai_schema.completion_chunk(event.json())
            choice = event.json()["choices"][0]
            text += choice["text"]
            for name in streamed:
                streamed[name] += (choice["logprobs"] or {}).get(name, [])
        self.assertEqual((text, streamed), (TEXT, alone))

    def test_max_tokens_zero_only_scores(self):
        answer = self.complete(prompt=TEXT, echo=True, logprobs=0, max_tokens=0)
        self.assertEqual(answer["usage"]["completion_tokens"], 0)
        self.assertEqual((answer["choices"][0]["text"], answer["choices"][0]["finish_reason"]), (TEXT, "length"))

    def test_what_vllm_bench_sends_is_understood(self):
        body = {"model": "default", "prompt": TEXT, "temperature": 0.0, "repetition_penalty": 1.0, "max_tokens": 6,
                "logprobs": None, "stream": True, "stream_options": {"include_usage": True}, "ignore_eos": True}
        events = list(self.stream("/v1/completions", body))
        usage = [e.json() for e in events[:-1]][-1]["usage"]
        self.assertEqual(usage["completion_tokens"], 6)
        self.assertEqual(self.get("/v1/models").json()["data"][0]["root"], self.server.model)

    def test_a_whole_context_can_be_scored(self):
        context = self.get("/v1/models").json()["data"][0]["context_length"]
        ids = (self.tokens(TEXT) * context)[:context]
        self.assertEqual(len(self.score(ids)["tokens"]), context)
        answer = self.post("/v1/completions", {"prompt": ids + ids[:1], "echo": True, "max_tokens": 0, "logprobs": 1})
        self.assert_error(answer, 400, "context_length_exceeded")

    def test_refusals_of_this_shape(self):
        cases = [({"prompt": "a", "suffix": "b"}, "unsupported_parameter", "suffix"),
                 ({"prompt": "a", "best_of": 4}, "unsupported_parameter", "best_of"),
                 ({"prompt": "a", "max_tokens": 0}, "below_min_value", "max_tokens"),
                 ({"prompt": [10**6]}, "invalid_value", None),
                 ({"prompt": []}, "empty_array", "prompt"),
                 ({}, "missing_required_parameter", "prompt")]
        for body, code, param in cases:
            error = self.assert_error(self.post("/v1/completions", body), 400, code)
            self.assertEqual(error["param"], param, body)


if __name__ == "__main__":
    harness.main()
