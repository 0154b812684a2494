# REQ: API-1 API-5 API-6 API-10 API-11 PROV-7
"""The official SDKs of three protocols, unmodified, over providers of three others' protocols: words, tool calls, and a
stream that breaks off, which must reach the caller as an error and never as a whole answer."""

import json
import os
import unittest

import harness
from fault_provider import Fault

try:
    import anthropic
    import ollama
    import openai
except ImportError:
    openai = None

os.environ["WEIR_TEST_AZURE_KEY"] = "azure-key"
KINDS = ("openai", "azure", "nim", "anthropic", "ollama")
CONFIG = """
log: {{level: error}}
stream_ping: 50ms
routing: {{attempts_max: 1, breaker: {{results_min: 1000000}}}}
providers:
  - {{name: openai, kind: openai, base_url: "{url}/v1", discover: false}}
  - {{name: azure, kind: azure, base_url: "{url}", key: {{env: WEIR_TEST_AZURE_KEY}}, api_version: "2024-10-21", discover: false}}
  - {{name: nim, kind: nim, base_url: "{url}/v1", discover: false}}
  - {{name: anthropic, kind: anthropic, base_url: "{url}", discover: false}}
  - {{name: ollama, kind: ollama, base_url: "{url}", discover: false}}
"""
QUESTION = [{"role": "user", "content": "What is the weather in Paris?"}]
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
NAMES = ("weather", "clock")


class Chat:
    """OpenAI's chat completions."""

    def __init__(self, url):
        self.client = openai.OpenAI(base_url=url + "/v1", api_key="none", max_retries=0, timeout=20)
        self.failures = (openai.APIError,)

    def said(self, model, tools=False):
        stream = self.client.chat.completions.create(model=model, messages=QUESTION, stream=True, **({"tools": [
            {"type": "function", "function": {"name": n, "parameters": PARAMETERS}} for n in NAMES]} if tools else {}))
        text, calls = "", {}
        for chunk in stream:
            for choice in chunk.choices:
                text += choice.delta.content or ""
                for part in choice.delta.tool_calls or []:
                    call = calls.setdefault(part.index, ["", ""])
                    call[0] += part.function.name or ""
                    call[1] += part.function.arguments or ""
        return text, [(name, json.loads(arguments)) for name, arguments in calls.values()]


class Responses(Chat):
    """OpenAI's responses."""

    def said(self, model, tools=False):
        with self.client.responses.stream(model=model, input=QUESTION, **({"tools": [
                {"type": "function", "name": n, "parameters": PARAMETERS, "strict": False} for n in NAMES]} if tools else {})) as stream:
            for event in stream:
                if event.type == "response.failed":
                    raise openai.APIError(event.response.error.message, None, body=None)
            final = stream.get_final_response()
        return final.output_text, [(i.name, json.loads(i.arguments)) for i in final.output if i.type == "function_call"]


class Messages:
    """Anthropic's messages."""

    def __init__(self, url):
        self.client = anthropic.Anthropic(base_url=url, api_key="none", max_retries=0, timeout=20)
        self.failures = (anthropic.APIError,)

    def said(self, model, tools=False):
        with self.client.messages.stream(model=model, max_tokens=64, messages=QUESTION, **({"tools": [
                {"name": n, "input_schema": PARAMETERS} for n in NAMES]} if tools else {})) as stream:
            final = stream.get_final_message()
        return ("".join(b.text for b in final.content if b.type == "text"),
                [(b.name, b.input) for b in final.content if b.type == "tool_use"])


class Ollama:
    """Ollama's chat."""

    def __init__(self, url):
        self.client = ollama.Client(host=url, timeout=20)
        self.failures = (ollama.ResponseError,)

    def said(self, model, tools=False):
        text, calls, done = "", [], False
        for part in self.client.chat(model, QUESTION, stream=True, tools=[
                {"type": "function", "function": {"name": n, "parameters": PARAMETERS}} for n in NAMES] if tools else None):
            text += part.message.content or ""
            calls += [(c.function.name, dict(c.function.arguments)) for c in part.message.tool_calls or []]
            done = part.done
        assert done, "the stream ended without its last line"
        return text, calls


@unittest.skipIf(openai is None, "the Python packages openai, anthropic and ollama are missing (scripts/setup test)")
class Protocols(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=5, always="tokens=8"))
        cls.config = CONFIG.format(url=cls.provider.url)
        super().setUpClass()
        cls.sdks = [make(cls.server.url) for make in (Chat, Responses, Messages, Ollama)]

    def each(self):
        return [(f"{type(sdk).__name__} over {kind}", kind, sdk) for kind in KINDS for sdk in self.sdks]

    def test_all_say_the_same(self):
        texts = {name: sdk.said(f"{kind}/some")[0] for name, kind, sdk in self.each()}
        self.assertEqual(len(set(texts.values())), 1, texts)
        self.assertNotIn("", texts.values())

    def test_a_silent_stream_is_kept_alive(self):
        for name, kind, sdk in self.each():
            with self.subTest(name):
                self.assertTrue(sdk.said(f"{kind}/first=300ms")[0])
        body = {"model": "openai/first=300ms", "max_tokens": 9, "messages": QUESTION, "stream": True}
        names = [e.name for e in self.server.stream("/v1/messages", body)]
        self.assertGreater(names[:names.index("content_block_start")].count("ping"), 2)  # one is of every stream

    def test_parallel_calls_arrive_whole(self):
        for name, kind, sdk in self.each():
            with self.subTest(name):
                calls = sdk.said(f"{kind}/tools=2", tools=True)[1]
                self.assertEqual([call for call, _ in calls], list(NAMES))
                self.assertTrue(all(set(arguments) == {"city"} for _, arguments in calls), calls)

    def test_calls_without_arguments_have_none(self):
        for name, kind, sdk in self.each():
            if type(sdk) is Chat and kind in ("openai", "azure", "nim"):
                continue  # spliced: the provider's own empty text
            with self.subTest(name):
                calls = sdk.said(f"{kind}/tools=1, arguments=empty", tools=True)[1]
                self.assertEqual([arguments for _, arguments in calls], [{}])

    def test_an_answer_that_was_begun_goes_on_or_is_told(self):
        body = {"max_tokens": 20, "messages": QUESTION + [{"role": "assistant", "content": "It is"}]}
        for kind in KINDS:
            dropped = self.post("/v1/messages", {"model": f"{kind}/some", **body}).headers.get("x-weir-dropped-params")
            self.assertEqual(dropped, "messages[1].prefill" if kind in ("openai", "azure", "nim") else None)

    def test_a_stream_that_breaks_off_is_an_error(self):
        for name, kind, sdk in self.each():
            for order in ("cut=3", "fail=3", "stop=3"):
                with self.subTest(f"{name}, {order}"), self.assertRaises(sdk.failures):
                    sdk.said(f"{kind}/{order}")


if __name__ == "__main__":
    harness.main()
