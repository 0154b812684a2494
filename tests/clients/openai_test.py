# REQ: ENG-8 API-1 API-2 API-3 API-4 API-10 API-11
"""OpenAI's own SDK for Python, unmodified."""

import asyncio
import time
import unittest

import harness

try:
    import openai
except ImportError:
    openai = None

MESSAGES = [{"role": "user", "content": "Tell me a story."}]


@unittest.skipIf(openai is None, "the Python package openai is missing (scripts/setup test)")
class Sdk(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)
        cls.model = cls.client.models.list().data[0].id

    def create(self, **fields):
        return self.client.chat.completions.create(model=self.model, messages=MESSAGES, **fields)

    def test_models(self):
        self.assertEqual(self.client.models.retrieve(self.model).id, self.model)
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nobody")

    def test_whole_and_streamed(self):
        whole = self.create(max_tokens=24, seed=1)
        stream = self.create(max_tokens=24, seed=1, stream=True, stream_options={"include_usage": True})
        text, usage = "", None
        for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            usage = chunk.usage or usage
        self.assertEqual(text, whole.choices[0].message.content)
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)
        self.assertTrue(whole._request_id)

    def test_a_predicted_answer(self):
        whole = self.create(max_tokens=24, seed=1)
        told = {"type": "content", "content": whole.choices[0].message.content}
        again = self.create(max_tokens=24, seed=1, prediction=told)
        self.assertEqual(again.choices, whole.choices)
        self.assertGreater(again.usage.completion_tokens_details.accepted_prediction_tokens, 0)

    def test_the_stream_helper(self):
        whole = self.create(temperature=0)
        with self.client.chat.completions.stream(model=self.model, messages=MESSAGES, temperature=0) as stream:
            text = "".join(e.delta for e in stream if e.type == "content.delta")
            if whole.choices[0].finish_reason == "length":  # the helper takes that for an error, by its own rule
                with self.assertRaises(openai.LengthFinishReasonError):
                    stream.get_final_completion()
            else:
                self.assertEqual(stream.get_final_completion().choices[0].message.content, text)
        self.assertEqual(text, whole.choices[0].message.content)

    def test_n_stop_seed_logprobs(self):
        self.assertEqual(len(self.create(n=3, max_tokens=4).choices), 3)
        text = self.create(temperature=0, max_tokens=24).choices[0].message.content
        cut = self.create(temperature=0, max_tokens=24, stop=[text[5:8]]).choices[0]
        self.assertEqual((cut.message.content, cut.finish_reason), (text[:text.find(text[5:8])], "stop"))
        self.assertEqual(self.create(seed=9, max_tokens=16).choices[0].message.content,
                         self.create(seed=9, max_tokens=16).choices[0].message.content)
        scored = self.create(max_tokens=4, logprobs=True, top_logprobs=3).choices[0].logprobs.content
        self.assertTrue(all(len(t.top_logprobs) == 3 for t in scored))

    def test_answers_come_parsed_into_classes(self):
        from typing import Literal, Optional, Union

        from pydantic import BaseModel, Field

        class Cat(BaseModel):
            kind: Literal["cat"]
            lives: int = Field(ge=1, le=9)

        class Dog(BaseModel):
            kind: Literal["dog"]
            name: str = Field(max_length=10, pattern="^[A-Z][a-z]+$")

        class Owner(BaseModel):
            name: str = Field(max_length=12)
            born: Optional[int] = Field(ge=1900, le=2020)
            pets: list[Union[Cat, Dog]] = Field(max_length=2)

        for seed in range(4):
            choice = self.client.chat.completions.parse(model=self.model, messages=MESSAGES, response_format=Owner, seed=seed,
                                                        max_tokens=400).choices[0]
            self.assertIsInstance(choice.message.parsed, Owner, choice)
            answer = self.client.responses.parse(model=self.model, input="Hi", text_format=Owner, temperature=1.3)
            self.assertIsInstance(answer.output_parsed, Owner, answer)

    def test_legacy_completions(self):
        answer = self.client.completions.create(model=self.model, prompt="Once upon a time", echo=True, logprobs=1,
                                                max_tokens=0)
        self.assertIsNone(answer.choices[0].logprobs.token_logprobs[0])
        text = "".join(c.choices[0].text for c in self.client.completions.create(
            model=self.model, prompt="Once upon a time", max_tokens=8, seed=1, stream=True))
        self.assertEqual(text, self.client.completions.create(
            model=self.model, prompt="Once upon a time", max_tokens=8, seed=1).choices[0].text)

    def test_embeddings(self):
        answer = self.client.embeddings.create(model=self.model, input=["a dog", "a cat"])
        plain = self.client.embeddings.create(model=self.model, input="a dog", encoding_format="float")
        for a, b in zip(answer.data[0].embedding, plain.data[0].embedding):
            self.assertAlmostEqual(a, b, places=6)

    def test_errors_are_the_classes_of_their_status(self):
        cases = [({"temperature": 9}, openai.BadRequestError, "above_max_value"),
                 ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
                 ({"messages": []}, openai.BadRequestError, "empty_array")]
        for fields, kind, code in cases:
            for stream in (False, True):
                with self.assertRaises(kind) as caught:
                    self.client.chat.completions.create(**{"model": self.model, "messages": MESSAGES, "stream": stream,
                                                           **fields})
                self.assertEqual(caught.exception.code, code)
                self.assertTrue(caught.exception.request_id)

    def test_leaving_a_stream_stops_the_work(self):
        stream = self.create(n=16, stream=True, extra_body={"ignore_eos": True})
        next(iter(stream))
        stream.close()
        start = time.monotonic()
        harness.wait_until(self.is_idle, 2, 0.002)
        self.assertLess(time.monotonic() - start, 0.5)

    def test_cancelling_a_waiting_call_stops_the_work(self):
        async def run():
            client = openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0)
            task = asyncio.create_task(client.chat.completions.create(
                model=self.model, messages=MESSAGES, n=64, extra_body={"ignore_eos": True}))
            await asyncio.sleep(0.05)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task
            await client.close()

        asyncio.run(run())
        start = time.monotonic()
        harness.wait_until(self.is_idle, 2, 0.002)
        self.assertLess(time.monotonic() - start, 0.5)

    def test_many_at_once(self):
        async def run():
            client = openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0)
            answers = await asyncio.gather(*(client.chat.completions.create(
                model=self.model, messages=MESSAGES, seed=i % 4, max_tokens=12) for i in range(32)))
            await client.close()
            return [a.choices[0].message.content for a in answers]

        texts = asyncio.run(run())
        for i, text in enumerate(texts):
            self.assertEqual(text, texts[i % 4])


if __name__ == "__main__":
    harness.main()
