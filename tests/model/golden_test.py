#!/usr/bin/env python3
# REQ: ENG-10
"""The bundled file answers the golden prompts, by an independent forward pass: in f32, and rounded as the engine rounds."""

import json
import os
import sys
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
sys.path.insert(0, os.path.join(ROOT, "tools", "train"))
sys.dont_write_bytecode = True

try:
    from reference import Model
except ImportError:
    print("skipped: numpy is missing (Debian package python3-numpy)")
    sys.exit(77)


def problems(case, answer):
    """What the answer lacks of what the case asks for."""
    lacks = [text for text in case["all"] if text.lower() not in answer.lower()]
    if len(answer.split()) < case.get("words_min", 1):
        lacks.append("%d words" % case["words_min"])
    return lacks


class Golden(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with open(os.path.join(ROOT, "tests", "data", "weir_tiny_golden.json"), encoding="utf8") as f:
            cls.cases = json.load(f)["cases"]

    def check(self, quantise):
        model = Model(os.path.join(ROOT, "models", "weir-tiny.gguf"), quantise)
        conversations = [[(m["role"], m["content"]) for m in c["messages"]] for c in self.cases]
        answers = model.chat(conversations, max(c["max_tokens"] for c in self.cases))
        bad = ["%s: %r lacks %s" % (c["name"], a, problems(c, a)) for c, a in zip(self.cases, answers) if problems(c, a)]
        self.assertFalse(bad, "\n".join(bad))

    def test_answers_in_f32(self):
        self.check(quantise=False)

    def test_answers_with_rounded_activations(self):
        self.check(quantise=True)

    def test_check_notices_a_wrong_answer(self):
        case = {"all": ["72"], "words_min": 2}
        self.assertEqual(problems(case, "27 + 45 = 72."), [])
        self.assertEqual(problems(case, "73"), ["72", "2 words"])


if __name__ == "__main__":
    unittest.main()
