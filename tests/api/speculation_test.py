# REQ: ENG-9 ENG-6
"""Models that guess ahead answer as they would without: the same text, log-probabilities and ends, greedy and drawn."""

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

    def test_the_same_answers_with_and_without_guesses(self):
        for fields in ({"temperature": 0}, {"temperature": 1}, {"temperature": 0.8, "n": 3}, {"temperature": 0, "stop": "ball"},
                       {"temperature": 1, "frequency_penalty": 0.4}):
            plain = self.answer("plain", **fields)
            for model in ("lookup", "drafted"):
                with self.subTest(model=model, **fields):
                    self.assertEqual(self.answer(model, **fields), plain)
        told = self.get("/metrics").text
        for name in ("weir_engine_drafted_tokens_total", "weir_engine_accepted_tokens_total"):
            value = next(float(line.split()[-1]) for line in told.splitlines() if line.startswith(name + "{"))
            self.assertGreater(value, 0, name)


if __name__ == "__main__":
    harness.main()
