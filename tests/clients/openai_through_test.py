# REQ: PROV-3 API-1 API-11
"""OpenAI's SDK for Python against a weir whose model is another weir's: all that it does with a local model, through
a provider."""

import unittest

import harness
import openai_test

CONFIG = """
listen: 127.0.0.1:0
providers:
  - {{name: up, base_url: "{url}/v1", models: [{model}]}}
"""


@unittest.skipIf(openai_test.openai is None, "the Python package openai is missing (scripts/setup test)")
class Through(openai_test.Sdk):
    @classmethod
    def setUpClass(cls):
        cls.upstream = harness.Server().start()
        cls.addClassCleanup(cls.upstream.stop)
        cls.config = CONFIG.format(url=cls.upstream.url, model=cls.upstream.model)
        super().setUpClass()
        cls.model = "up/" + cls.upstream.model

    def is_idle(self):
        return super().is_idle() and self.upstream.is_idle()

    def test_the_answers_are_the_providers(self):
        answer = self.create(seed=4, max_tokens=8)
        own = self.upstream.chat(openai_test.MESSAGES[0]["content"], seed=4, max_tokens=8).json()
        self.assertEqual(answer.choices[0].message.content, own["choices"][0]["message"]["content"])
        self.assertEqual(answer.system_fingerprint, own["system_fingerprint"])


if __name__ == "__main__":
    harness.main()
