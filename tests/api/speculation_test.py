# REQ: ENG-9 ENG-6
"""Models that guess ahead answer as they would without: the same text, log-probabilities and ends, greedy and drawn."""

import json

import harness

STORY = "Once upon a time there was a little dog. The little dog had a red ball. "


class Speculation(harness.ServerCase):
    config = """
models:
  - name: plain
  - name: lookup
    speculation: prompt-lookup
  - name: drafted
    speculation: draft
    draft_model: plain
    draft_tokens_max: 4
"""

    def answer(self, model, **fields):
        body = {"model": model, "prompt": STORY * 2, "max_tokens": 60, "seed": 5, "logprobs": 5, "ignore_eos": True, **fields}
        answer = self.post("/v1/completions", body)
        self.assertEqual(answer.status, 200, answer)
        said = answer.json()
        return said["choices"], said["system_fingerprint"], said["usage"]["completion_tokens"]

    def count(self, name, model):
        return next(float(line.split()[-1]) for line in self.get("/metrics").text.splitlines()
                    if line.startswith(f'{name}{{model="{model}"}}'))

    def test_the_same_answers_with_and_without_guesses(self):
        before = {name: self.count(name, "plain")
                  for name in ("weir_engine_drafted_tokens_total", "weir_engine_accepted_tokens_total")}
        for fields in ({"temperature": 0}, {"temperature": 1}, {"temperature": 0.8, "n": 3}, {"temperature": 0, "stop": "ball"},
                       {"temperature": 1, "frequency_penalty": 0.4}):
            plain = self.answer("plain", **fields)
            for model in ("lookup", "drafted"):
                with self.subTest(model=model, **fields):
                    self.assertEqual(self.answer(model, **fields), plain)
        for name in before:
            self.assertEqual(self.count(name, "plain"), before[name])  # who does not guess has none of the others' guesses
            self.assertGreater(self.count(name, "lookup") + self.count(name, "drafted"), 0, name)

    # REQ: API-1
    def test_predicted_outputs_save_time_and_are_counted(self):
        question = {"model": "plain", "messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 60,
                    "temperature": 0, "ignore_eos": True}
        plain = self.post("/v1/chat/completions", question).json()
        said = plain["choices"][0]["message"]["content"]
        changed = said[:len(said) // 2] + " something else entirely " + said[len(said) // 2:]
        for content in (said, changed, [{"type": "text", "text": said[:20]}, {"type": "text", "text": said[20:]}]):
            answer = self.post("/v1/chat/completions", {**question, "prediction": {"type": "content", "content": content}})
            self.assertEqual(answer.status, 200, answer)
            self.assertNotIn("x-weir-ignored-fields", answer.headers)
            self.assertEqual(answer.json()["choices"], plain["choices"])
            details = answer.json()["usage"]["completion_tokens_details"]
            self.assertGreater(details["accepted_prediction_tokens"], 30)
            self.assertEqual(details["rejected_prediction_tokens"] > 2, content is changed, details)
            streamed = self.stream("/v1/chat/completions", {**question, "stream": True,
                                                            "stream_options": {"include_usage": True},
                                                            "prediction": {"type": "content", "content": content}})
            last = [e.data for e in streamed if e.data != "[DONE]"][-1]
            self.assertEqual(json.loads(last)["usage"]["completion_tokens_details"], details)
        nothing = self.post("/v1/chat/completions", {**question, "prediction": {"type": "content", "content": ""}}).json()
        self.assertEqual(nothing["choices"], plain["choices"])
        refused = self.post("/v1/chat/completions", {**question, "prediction": "text"})
        self.assertEqual(self.assert_error(refused, 400, "invalid_type")["param"], "prediction")


if __name__ == "__main__":
    harness.main()
