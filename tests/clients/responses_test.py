# REQ: API-6 API-10 API-11
"""OpenAI's own SDK for Python, unmodified, over /v1/responses."""

import time
import unittest

import harness

try:
    import openai
except ImportError:
    openai = None

WEATHER = {"type": "function", "name": "get_weather", "description": "The weather of a city", "strict": False,
           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}


@unittest.skipIf(openai is None, "the Python package openai is missing (scripts/setup test)")
class Sdk(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="none", max_retries=0)
        cls.model = cls.server.model

    def create(self, **fields):
        return self.client.responses.create(**{"model": self.model, "input": "Tell me a story.", "max_output_tokens": 24,
                                               "temperature": 0, **fields})

    def test_whole_and_streamed(self):
        whole = self.create()
        text = "".join(e.delta for e in self.create(stream=True) if e.type == "response.output_text.delta")
        self.assertTrue(whole.output_text)
        self.assertEqual(text, whole.output_text)
        self.assertTrue(whole._request_id)

    def test_the_stream_helper_gathers_the_response(self):
        with self.client.responses.stream(model=self.model, input="Tell me a story.", temperature=0,
                                          max_output_tokens=4000) as stream:
            text = "".join(e.delta for e in stream if e.type == "response.output_text.delta")
            if self.create(max_output_tokens=4000).status == "completed":
                self.assertEqual(stream.get_final_response().output_text, text)

    def test_output_goes_back_as_input(self):
        first = self.create(input=[{"role": "user", "content": "Tell me a story."}])
        second = self.create(input=[{"role": "user", "content": "Tell me a story."}, *first.output,
                                    {"role": "user", "content": "Go on."}])
        self.assertGreater(second.usage.input_tokens, first.usage.total_tokens)

    def test_errors_are_the_classes_of_their_status(self):
        cases = [({"previous_response_id": "resp_1"}, openai.BadRequestError, "unsupported_parameter"),
                 ({"model": "nobody"}, openai.NotFoundError, "model_not_found"),
                 ({"temperature": 9}, openai.BadRequestError, "above_max_value")]
        for fields, kind, code in cases:
            for stream in (False, True):
                with self.assertRaises(kind) as caught:
                    self.create(stream=stream, **fields)
                self.assertEqual(caught.exception.code, code)

    def test_leaving_a_stream_stops_the_work(self):
        stream = self.create(stream=True, max_output_tokens=4000)
        next(iter(stream))
        stream.close()
        start = time.monotonic()
        harness.wait_until(self.is_idle, 2 * harness.SLOWNESS, 0.002)
        self.assertLess(time.monotonic() - start, 0.5 * harness.SLOWNESS)


@unittest.skipIf(openai is None, "the Python package openai is missing (scripts/setup test)")
class Tools(harness.ToolCase):
    def test_a_call_its_result_and_the_answer(self):
        client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0)
        question = [{"role": "user", "content": "What is the weather in Paris?"}]
        fields = {"model": "tooled", "tools": [WEATHER], "temperature": 0, "max_output_tokens": 80}
        forced = {**fields, "tool_choice": {"type": "function", "name": "get_weather"}}
        whole = client.responses.create(input=question, **forced)
        call = next(item for item in whole.output if item.type == "function_call")
        self.assertEqual(call.name, "get_weather")
        done = next(e for e in client.responses.create(input=question, stream=True, **forced)
                    if e.type == "response.function_call_arguments.done")
        self.assertEqual((done.name, done.arguments), (call.name, call.arguments))
        answer = client.responses.create(input=question + [call, {
            "type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 21 degrees"}], **fields)
        self.assertTrue(answer.output)


if __name__ == "__main__":
    harness.main()
