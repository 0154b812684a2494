# REQ: API-5 API-10 API-11
"""Ollama's own client for Python, unmodified."""

import asyncio
import time
import unittest

import harness

try:
    import ollama
except ImportError:
    ollama = None

MESSAGES = [{"role": "user", "content": "Tell me a story."}]
GREEDY = {"temperature": 0, "num_predict": 16}


@unittest.skipIf(ollama is None, "the Python package ollama is missing (scripts/setup test)")
class Sdk(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = ollama.Client(host=cls.server.url)
        cls.model = cls.server.model

    def test_chat_whole_and_streamed(self):
        whole = self.client.chat(self.model, MESSAGES, options=GREEDY)
        parts = list(self.client.chat(self.model, MESSAGES, options=GREEDY, stream=True))
        self.assertEqual("".join(p.message.content for p in parts), whole.message.content)
        self.assertEqual((parts[-1].done, parts[-1].eval_count), (True, whole.eval_count))
        self.assertGreater(whole.total_duration, 0)

    def test_generate_whole_and_streamed(self):
        whole = self.client.generate(self.model, "Once upon a time", options=GREEDY, raw=True)
        parts = self.client.generate(self.model, "Once upon a time", options=GREEDY, raw=True, stream=True)
        self.assertEqual("".join(p.response for p in parts), whole.response)
        self.assertEqual(self.client.generate(self.model).done_reason, "load")

    def test_embeddings(self):
        both = self.client.embed(self.model, ["a dog", "a cat"])
        self.assertEqual(len(both.embeddings), 2)
        self.assertEqual(list(self.client.embeddings(self.model, "a dog").embedding), list(both.embeddings[0]))

    def test_models(self):
        self.assertEqual([m.model for m in self.client.list().models], [self.model])
        self.assertEqual([m.model for m in self.client.ps().models], [self.model])
        self.assertIn("completion", self.client.show(self.model).capabilities)

    def test_errors(self):
        for call, status in ((lambda: self.client.chat("nobody", MESSAGES), 404),
                             (lambda: self.client.chat(self.model, MESSAGES, options={"temperature": 9}), 400),
                             (lambda: self.client.generate(self.model, "x", suffix="y"), 400),
                             (lambda: self.client.show("nobody"), 404)):
            with self.assertRaises(ollama.ResponseError) as caught:
                call()
            self.assertEqual(caught.exception.status_code, status)
        with self.assertRaises(ollama.ResponseError):
            next(iter(self.client.chat("nobody", MESSAGES, stream=True)))

    def test_leaving_a_stream_stops_the_work(self):
        async def leave():
            client = ollama.AsyncClient(host=self.server.url)
            async for _ in await client.chat(self.model, MESSAGES, stream=True):
                break

        asyncio.run(leave())
        start = time.monotonic()
        harness.wait_until(self.is_idle, 2 * harness.SLOWNESS, 0.002)
        self.assertLess(time.monotonic() - start, 0.5 * harness.SLOWNESS)


@unittest.skipIf(ollama is None, "the Python package ollama is missing (scripts/setup test)")
class Tools(harness.ToolCase):
    def test_tools_are_offered_and_results_taken_back(self):
        def get_weather(city: str) -> str:
            """The weather of a city.

            Args:
              city: its name
            """
            return f"Sunny in {city}"

        client = ollama.Client(host=self.server.url)
        messages = [{"role": "user", "content": "What is the weather in Paris?"}]
        plain = client.chat("tooled", messages, options=GREEDY)
        offered = client.chat("tooled", messages, tools=[get_weather], options=GREEDY)
        self.assertGreater(offered.prompt_eval_count, plain.prompt_eval_count + 50)
        messages += [{"role": "assistant", "content": "", "tool_calls": [
            {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]},
            {"role": "tool", "tool_name": "get_weather", "content": "Sunny, 21 degrees"}]
        answer = client.chat("tooled", messages, tools=[get_weather], options=GREEDY)
        self.assertGreater(answer.prompt_eval_count, offered.prompt_eval_count)
        for part in client.chat("tooled", messages, tools=[get_weather], options=GREEDY, stream=True):
            self.assertEqual(part.message.role, "assistant")


if __name__ == "__main__":
    harness.main()
