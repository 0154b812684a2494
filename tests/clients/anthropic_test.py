# REQ: API-5 API-10 API-11
"""Anthropic's own SDK for Python, unmodified."""

import asyncio
import time
import unittest

import harness

try:
    import anthropic
except ImportError:
    anthropic = None

MESSAGES = [{"role": "user", "content": "Tell me a story."}]
WEATHER = {"name": "get_weather", "description": "The weather of a city",
           "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


@unittest.skipIf(anthropic is None, "the Python package anthropic is missing (scripts/setup test)")
class Sdk(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = anthropic.Anthropic(base_url=cls.server.url, api_key="none", max_retries=0)
        cls.model = cls.server.model

    def create(self, **fields):
        return self.client.messages.create(**{"model": self.model, "max_tokens": 24, "messages": MESSAGES, **fields})

    def test_whole_streamed_and_counted(self):
        whole = self.create(extra_body={"temperature": 0})
        with self.client.messages.stream(model=self.model, max_tokens=24, messages=MESSAGES,
                                         extra_body={"temperature": 0}) as stream:
            text = "".join(stream.text_stream)
            final = stream.get_final_message()
        self.assertEqual(text, whole.content[0].text)
        self.assertEqual(final.content[0].text, text)
        self.assertEqual((final.stop_reason, final.usage.output_tokens), (whole.stop_reason, whole.usage.output_tokens))
        count = self.client.messages.count_tokens(model=self.model, messages=MESSAGES).input_tokens
        for usage in (whole.usage, final.usage):
            self.assertEqual(usage.input_tokens + usage.cache_read_input_tokens, count)
        self.assertTrue(whole._request_id.startswith("req_"))

    def test_models(self):
        self.assertEqual([m.id for m in self.client.models.list()], [self.model])
        self.assertEqual(self.client.models.retrieve(self.model).display_name, self.model)

    def test_raw_events_are_in_order(self):
        names = [event.type for event in self.create(stream=True)]
        self.assertEqual(names[0], "message_start")
        self.assertEqual(names[-3:], ["content_block_stop", "message_delta", "message_stop"])

    def test_errors_are_the_classes_of_their_status(self):
        cases = [({"model": "nobody"}, anthropic.NotFoundError, "not_found_error"),
                 ({"messages": []}, anthropic.BadRequestError, "invalid_request_error"),
                 ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error")]
        for fields, kind, name in cases:
            for stream in (False, True):
                with self.assertRaises(kind) as caught:
                    self.create(stream=stream, **fields)
                self.assertEqual(caught.exception.body["error"]["type"], name)
                self.assertTrue(caught.exception.request_id.startswith("req_"))

    def test_leaving_a_stream_stops_the_work(self):
        stream = self.create(stream=True, max_tokens=4000)
        next(iter(stream))
        stream.close()
        start = time.monotonic()
        harness.wait_until(self.is_idle, 2 * harness.SLOWNESS, 0.002)
        self.assertLess(time.monotonic() - start, 0.5 * harness.SLOWNESS)

    def test_many_at_once(self):
        async def run():
            client = anthropic.AsyncAnthropic(base_url=self.server.url, api_key="none", max_retries=0)
            answers = await asyncio.gather(*(client.messages.create(
                model=self.model, messages=MESSAGES, max_tokens=12, extra_body={"temperature": 0}) for _ in range(16)))
            await client.close()
            return {a.content[0].text for a in answers}

        self.assertEqual(len(asyncio.run(run())), 1)


@unittest.skipIf(anthropic is None, "the Python package anthropic is missing (scripts/setup test)")
class Keys(harness.ServerCase):
    config = "keys:\n  - name: tester\n    key: {env: TEST_KEY}\n"
    env = {"TEST_KEY": "k" * 32}

    def test_the_sdk_sends_its_key(self):
        for key, works in (("k" * 32, True), ("wrong", False)):
            client = anthropic.Anthropic(base_url=self.server.url, api_key=key, max_retries=0)
            if works:
                self.assertTrue(client.messages.create(model="default", max_tokens=1, messages=MESSAGES).id)
                continue
            with self.assertRaises(anthropic.AuthenticationError):
                client.messages.create(model="default", max_tokens=1, messages=MESSAGES)


@unittest.skipIf(anthropic is None, "the Python package anthropic is missing (scripts/setup test)")
class Tools(harness.ToolCase):
    def ask(self, **fields):
        return {"model": "tooled", "max_tokens": 80, "messages": [
            {"role": "user", "content": "What is the weather in Paris?"}], "tools": [WEATHER],
            "tool_choice": {"type": "tool", "name": "get_weather"}, "extra_body": {"temperature": 0}, **fields}

    def test_a_call_its_result_and_the_answer(self):
        client = anthropic.Anthropic(base_url=self.server.url, api_key="none", max_retries=0)
        whole = client.messages.create(**self.ask())
        call = next(b for b in whole.content if b.type == "tool_use")
        self.assertEqual((whole.stop_reason, call.name, type(call.input)), ("tool_use", "get_weather", dict))
        with client.messages.stream(**self.ask()) as stream:
            final = stream.get_final_message()
        streamed = next(b for b in final.content if b.type == "tool_use")
        self.assertEqual((final.stop_reason, streamed.name, streamed.input), ("tool_use", call.name, call.input))
        messages = self.ask()["messages"] + [
            {"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "Sunny, 21 degrees"}]}]
        answer = client.messages.create(**self.ask(messages=messages, tool_choice={"type": "none"}))
        self.assertEqual(answer.content[0].type, "text")


if __name__ == "__main__":
    harness.main()
