"""POST /v1/responses: answers and every event of a stream held against OpenAI's own OpenAPI document."""

# REQ: API-6 API-10 API-11

import harness
import openai_schema

PATH = "/v1/responses"


class Responses(harness.ServerCase):
    def ask(self, **fields):
        answer = self.post(PATH, {"input": "Tell me a story.", "max_output_tokens": 24, **fields})
        self.assertEqual(answer.status, 200, answer)
        openai_schema.check("Response", answer.json())
        return answer.json()

    def events(self, **fields):
        body = {"input": "Tell me a story.", "max_output_tokens": 24, "stream": True, **fields}
        events = [(e.name, e.json()) for e in self.server.stream(PATH, body)]
        for number, (name, data) in enumerate(events):
            self.assertEqual((data["type"], data["sequence_number"]), (name, number))
            openai_schema.check("ResponseStreamEvent", data)
        return events

    def text(self, response):
        return "".join(p["text"] for item in response["output"] if item["type"] == "message" for p in item["content"])

    def test_an_answer(self):
        answer = self.ask(instructions="Be kind.", metadata={"a": "b"}, temperature=0.5)
        self.assertTrue(answer["id"].startswith("resp_"))
        self.assertEqual((answer["instructions"], answer["metadata"], answer["temperature"], answer["store"]),
                         ("Be kind.", {"a": "b"}, 0.5, False))
        self.assertEqual([item["type"] for item in answer["output"]], ["message"])
        usage = answer["usage"]
        self.assertEqual(usage["total_tokens"], usage["input_tokens"] + usage["output_tokens"])

    def test_a_stream_says_what_the_whole_answer_says(self):
        whole = self.ask(temperature=0)
        events = self.events(temperature=0)
        self.assertEqual([n for n, _ in events[:4]], ["response.created", "response.in_progress",
                                                      "response.output_item.added", "response.content_part.added"])
        self.assertEqual("".join(d["delta"] for n, d in events if n == "response.output_text.delta"), self.text(whole))
        name, last = events[-1]
        self.assertEqual(name, "response." + whole["status"])
        for member in ("status", "incomplete_details", "usage"):
            if member != "usage":
                self.assertEqual(last["response"][member], whole[member])
        self.assertEqual(last["response"]["usage"]["total_tokens"], whole["usage"]["total_tokens"])
        self.assertEqual(self.text(last["response"]), self.text(whole))

    def test_an_answer_cut_short_is_incomplete(self):
        answer = self.ask(max_output_tokens=3)
        self.assertEqual((answer["status"], answer["incomplete_details"]["reason"]), ("incomplete", "max_output_tokens"))
        self.assertEqual(answer["output"][0]["status"], "incomplete")

    def test_it_is_the_chat_of_the_same_conversation(self):
        chat = self.post("/v1/chat/completions", {"temperature": 0, "max_tokens": 24, "messages": [
            {"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello"}, {"role": "user", "content": "A story!"}]}).json()
        answer = self.ask(temperature=0, instructions="Be kind.", input=[
            {"role": "user", "content": "Hi"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello", "annotations": []}]},
            {"role": "user", "content": [{"type": "input_text", "text": "A story!"}]}])
        self.assertEqual(self.text(answer), chat["choices"][0]["message"]["content"])
        self.assertEqual(answer["usage"]["input_tokens"], chat["usage"]["prompt_tokens"])

    def test_scores(self):
        fields = {"include": ["message.output_text.logprobs"], "top_logprobs": 2, "temperature": 0}
        whole = self.ask(**fields)["output"][0]["content"][0]["logprobs"]
        events = self.events(**fields)
        self.assertEqual([t for n, d in events if n == "response.output_text.delta" for t in d["logprobs"]], whole)
        self.assertEqual(dict(events)["response.output_text.done"]["logprobs"], whole)
        self.assertEqual(len(whole[0]["top_logprobs"]), 2)

    def test_what_is_not_kept_is_told(self):
        answer = self.post(PATH, {"input": "Hi", "max_output_tokens": 1, "store": True, "truncation": "soon"})
        self.assertEqual(answer.headers["x-weir-ignored-fields"], "store, truncation")

    def test_refusals(self):
        image = [{"role": "user", "content": [{"type": "input_image", "image_url": "data:image/png;base64,AAAA"}]}]
        cases = [({"previous_response_id": "resp_1"}, "unsupported_parameter", "previous_response_id"),
                 ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
                 ({"input": []}, "empty_array", "input"), ({"temperature": 3}, "above_max_value", "temperature"),
                 ({"input": image}, "images_unsupported", "messages[0].content"),
                 ({"text": {"format": {"type": "json_schema", "schema": {"not": {}}}}}, "unsupported_parameter", "text.format"),
                 ({"tools": [{"type": "web_search"}]}, "tools_unsupported", "tools"),
                 ({"input": "word " * 20000}, "context_length_exceeded", "messages")]
        for fields, code, param in cases:
            with self.subTest(code):
                answer = self.post(PATH, {"input": "Hi", **fields})
                self.assertEqual(self.assert_error(answer, 400, code)["param"], param)
        self.assert_error(self.post(PATH, {"input": "Hi", "model": "nobody"}), 404, "model_not_found")
        self.assert_error(self.get(PATH + "/resp_1"), 404, "unknown_url")


class Tools(harness.ServerCase):
    """A template with a place for tools."""

    config = "models:\n  - name: tooled\n    chat_family: chatml-tools\n"
    TOOL = {"type": "function", "name": "add", "description": "Adds", "strict": False,
            "parameters": {"type": "object", "properties": {"a": {"type": "number"}}}}

    def test_tools_and_results_are_read(self):
        for choice in ("auto", "none", "required", {"type": "function", "name": "add"}):
            answer = self.post(PATH, {"input": "2 + 2?", "tools": [self.TOOL], "tool_choice": choice,
                                      "max_output_tokens": 4}).json()
            openai_schema.check("Response", answer)
            self.assertEqual((answer["tools"], answer["tool_choice"]), ([self.TOOL], choice))
        answer = self.post(PATH, {"max_output_tokens": 4, "tools": [self.TOOL], "input": [
            {"role": "user", "content": "2 + 2?"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "function_call", "call_id": "a", "name": "add", "arguments": "{\"a\":2}"},
            {"type": "function_call_output", "call_id": "a", "output": "4"}]})
        openai_schema.check("Response", answer.json())
        self.assertEqual(answer.headers["x-weir-dropped-params"], "messages[].thinking")


if __name__ == "__main__":
    harness.main()
