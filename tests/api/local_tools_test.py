# REQ: API-1 API-12 ENG-2
"""Tool calls of a local model, by each format that models write them in, through every protocol, whole and streamed."""

import json
import subprocess
import tempfile
import unittest

import harness

TOOLS = [{"name": "weather", "description": "The weather", "parameters": {
    "type": "object", "properties": {"city": {"enum": ["Rome", "Oslo"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"], "additionalProperties": False}}]
CHAT_TOOLS = [{"type": "function", "function": tool} for tool in TOOLS]
CALL = '{"name": "weather", "%s": {"city": "Oslo", "days": 3}}'
ARGUMENTS = {"city": "Oslo", "days": 3}
# What a model of the family writes to call once, and to call twice.
WRITTEN = {
    "chatml-tools": (f"<tool_call>\n{CALL % 'arguments'}\n</tool_call>",
                     f"<tool_call>\n{CALL % 'arguments'}\n</tool_call>\n<tool_call>\n{CALL % 'arguments'}\n</tool_call>"),
    "llama3-tools": (CALL % "parameters", f"{CALL % 'parameters'}; {CALL % 'parameters'}"),
    "mistral-tools": (f"[TOOL_CALLS] [{CALL % 'arguments'}]", f"[{CALL % 'arguments'}, {CALL % 'arguments'}]"),
}


class LocalTools(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        """A small random model, with room for the templates' words."""
        cls.folder = tempfile.TemporaryDirectory(prefix="weir-tools-")
        path = f"{cls.folder.name}/model.gguf"
        made = subprocess.run(["/usr/bin/python3", harness.SOURCE / "tools" / "mkmodel", "llama-tiny", "f32", path, "--context",
                               "8192"], capture_output=True)  # fmt: skip
        if made.returncode:
            raise unittest.SkipTest(f"no model could be made: {made.stderr.decode().strip()[-200:]}")
        cls.config = "models:\n" + "".join(
            f"  - {{name: {family}, source: '{path}', chat_family: {family}}}\n" for family in WRITTEN)
        super().setUpClass()

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.folder.cleanup()

    def whole_or_streamed(self, path, body, gather, calls_of):
        """The same calls both ways: (name, arguments as text) of each."""
        answer = self.post(path, body)
        self.assertEqual(answer.status, 200, answer)
        whole = calls_of(answer.json())
        streamed = gather(list(self.stream(path, {**body, "stream": True})))
        self.assertEqual([(n, json.loads(a)) for n, a in streamed], [(n, json.loads(a)) for n, a in whole])
        return whole

    def chat(self, model, **fields):
        def calls_of(answer):
            choice = answer["choices"][0]
            self.assertEqual(choice["finish_reason"], "tool_calls")
            self.assertFalse((choice["message"]["content"] or "").strip())
            return [(c["function"]["name"], c["function"]["arguments"]) for c in choice["message"]["tool_calls"]]

        def gather(events):
            calls = {}
            for event in events[:-1]:
                for call in event.json()["choices"][0]["delta"].get("tool_calls", ()):
                    known = calls.setdefault(call["index"], [None, ""])
                    known[0] = known[0] or call["function"].get("name")
                    self.assertTrue(known[0], "the name comes first")
                    known[1] += call["function"].get("arguments") or ""
            return [tuple(calls[i]) for i in sorted(calls)]

        body = {"model": model, "messages": [{"role": "user", "content": "How is it in Oslo?"}], "tools": CHAT_TOOLS,
                "temperature": 0, "max_tokens": 400, **fields}
        return self.whole_or_streamed("/v1/chat/completions", body, gather, calls_of)

    def responses(self, model):
        def calls_of(answer):
            return [(i["name"], i["arguments"]) for i in answer["output"] if i["type"] == "function_call"]

        body = {"model": model, "input": "How is it in Oslo?", "temperature": 0, "max_output_tokens": 400,
                "tools": [{"type": "function", **tool} for tool in TOOLS], "tool_choice": "required"}
        return self.whole_or_streamed("/v1/responses", body, lambda e: calls_of(e[-1].json()["response"]), calls_of)

    def messages(self, model):
        def calls_of(answer):
            self.assertEqual(answer["stop_reason"], "tool_use")
            return [(b["name"], json.dumps(b["input"])) for b in answer["content"] if b["type"] == "tool_use"]

        def gather(events):
            calls = []
            for event in (e.json() for e in events):
                if event["type"] == "content_block_start" and event["content_block"]["type"] == "tool_use":
                    calls.append([event["content_block"]["name"], ""])
                elif event["type"] == "content_block_delta" and event["delta"]["type"] == "input_json_delta":
                    calls[-1][1] += event["delta"]["partial_json"]
            return [tuple(c) for c in calls]

        body = {"model": model, "messages": [{"role": "user", "content": "How is it in Oslo?"}], "temperature": 0,
                "max_tokens": 400, "tools": [{"name": t["name"], "input_schema": t["parameters"]} for t in TOOLS],
                "tool_choice": {"type": "any"}}
        return self.whole_or_streamed("/v1/messages", body, gather, calls_of)

    def test_a_forced_call_is_the_same_in_every_protocol(self):
        for model in WRITTEN:
            with self.subTest(model):
                calls = self.chat(model, tool_choice="required")
                self.assertEqual([name for name, _ in calls], ["weather"])
                self.assertEqual(sorted(json.loads(calls[0][1])), ["city", "days"])
                for other in (self.responses(model), self.messages(model)):
                    self.assertEqual([(n, json.loads(a)) for n, a in other], [(n, json.loads(a)) for n, a in calls])

    def test_what_models_of_the_family_write_is_read_as_calls(self):
        """The model is held to the text that such a model writes by itself."""
        for model, (once, twice) in WRITTEN.items():
            for text, count in ((once, 1), (twice, 2)):
                with self.subTest(f"{model}: {count}"):
                    calls = self.chat(model, guided_choice=[text])
                    self.assertEqual([(n, json.loads(a)) for n, a in calls], [("weather", ARGUMENTS)] * count)

    def test_text_that_is_no_call_stays_text(self):
        for model in WRITTEN:
            for text in ('{"name": "Ann", "parameters": 3}', "<tool_call>no", "[1, 2]"):
                with self.subTest(f"{model}: {text}"):
                    answer = self.post("/v1/chat/completions", {
                        "model": model, "messages": [{"role": "user", "content": "x"}], "tools": CHAT_TOOLS,
                        "guided_choice": [text]}).json()
                    self.assertEqual(answer["choices"][0]["message"]["content"], text)
                    self.assertEqual(answer["choices"][0]["finish_reason"], "stop")

    def test_results_are_answered_in_every_protocol(self):
        for model in WRITTEN:
            with self.subTest(model):
                call = {"id": "call_abc123def", "type": "function", "function": {
                    "name": "weather", "arguments": json.dumps(ARGUMENTS)}}
                chat = self.post("/v1/chat/completions", {"model": model, "max_tokens": 8, "temperature": 0, "tools": CHAT_TOOLS,
                    "messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": None, "tool_calls": [call]},
                                 {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}]})
                messages = self.post("/v1/messages", {"model": model, "max_tokens": 8, "temperature": 0,
                    "tools": [{"name": t["name"], "description": t["description"], "input_schema": t["parameters"]} for t in TOOLS],
                    "messages": [{"role": "user", "content": "x"},
                                 {"role": "assistant", "content": [
                                     {"type": "tool_use", "id": call["id"], "name": "weather", "input": ARGUMENTS}]},
                                 {"role": "user", "content": [
                                     {"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"}]}]})
                ollama = self.post("/api/chat", {"model": model, "stream": False, "options": {"num_predict": 8, "temperature": 0},
                    "tools": CHAT_TOOLS, "messages": [
                        {"role": "user", "content": "x"},
                        {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather",
                                                                                          "arguments": ARGUMENTS}}]},
                        {"role": "tool", "tool_name": "weather", "content": "sunny"}]})
                for answer in (chat, messages, ollama):
                    self.assertEqual(answer.status, 200, answer)
                said = chat.json()["choices"][0]["message"]["content"]
                self.assertEqual(messages.json()["content"][0]["text"], said)
                usage = messages.json()["usage"]
                self.assertEqual(chat.json()["usage"]["prompt_tokens"],
                                 usage["input_tokens"] + usage["cache_read_input_tokens"] + usage["cache_creation_input_tokens"])


if __name__ == "__main__":
    harness.main()
