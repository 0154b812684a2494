# REQ: API-1 API-5 API-6 PROV-1 PROV-2 PROV-3 PROV-4 PROV-5 PROV-6
"""Every client protocol against every kind of provider, feature by feature; docs/COMPATIBILITY.md is what this test finds.

A cell is yes, what the answer's x-weir-dropped-params names, or the code of a clear refusal. Anything else is a failure:
there is no silent gap. WEIR_WRITE_PAGES=1 writes the page instead of comparing it.
"""

import base64
import json
import os
import struct
from pathlib import Path

import harness
from fault_provider import Fault

PAGE = harness.SOURCE / "docs" / "COMPATIBILITY.md"
KINDS = ("local", "openai", "azure", "nim", "anthropic", "ollama")
CONFIG = """
listen: 127.0.0.1:0
log: {{level: error}}
routing:
  attempts_max: 1
  breaker: {{results_min: 1000000, hard_down: 1ms, rate_limited: 1ms}}
providers:
  - {{name: openai, kind: openai, base_url: "{url}/v1", discover: false}}
  - {{name: azure, kind: azure, base_url: "{url}", discover: false, api_version: "2024-10-21", key: "env:MATRIX_KEY"}}
  - {{name: nim, kind: nim, base_url: "{url}/v1", discover: false}}
  - {{name: anthropic, kind: anthropic, base_url: "{url}", discover: false}}
  - {{name: ollama, kind: ollama, base_url: "{url}", discover: false}}
"""
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA = {"type": "object", "properties": {"capital": {"type": "string"}}, "required": ["capital"], "additionalProperties": False}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = ("weather", "clock")
SAID = "to be or not"


class Said:
    """An answer in no protocol's words."""

    def __init__(self):
        self.text = self.thinking = self.finish = ""
        self.calls, self.usage = [], (0, 0)
        self.vectors, self.count, self.estimated = [], 0, False

    def call(self, name, arguments):
        # A provider that writes no arguments at all means none; in its own dialect that goes through as it is.
        self.calls.append((name, json.loads(arguments or "{}") if isinstance(arguments, str) else arguments))


# --- The protocols of clients: how a request is made of a wish, and an answer read


class Chat:
    """OpenAI's chat completions."""
    path, finishes = "/v1/chat/completions", {"stop": "stop", "length": "length", "tool_calls": "tools", "content_filter": "filter"}

    def request(self, w):
        content = w["prompt"]
        if w.get("image"):
            content = [{"type": "text", "text": content},
                       {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PIXEL}}]
        messages = [{"role": "system", "content": w["system"]}] if w.get("system") else []
        messages.append({"role": "user", "content": content})
        if w.get("result"):
            messages.append({"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\": \"Rome\"}"}}]})
            messages.append({"role": "tool", "tool_call_id": "call_1", "content": w["result"]})
        body = {"messages": messages, "max_tokens": w.get("max_tokens", 64)}
        if w.get("tools"):
            body["tools"] = [{"type": "function", "function": {"name": n, "description": n, "parameters": PARAMETERS}} for n in TOOLS]
        if w.get("forced"):
            body["tool_choice"] = {"type": "function", "function": {"name": w["forced"]}}
        if w.get("schema"):
            body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA}}
        if w.get("stop"):
            body["stop"] = w["stop"]
        if w.get("stream"):
            body["stream_options"] = {"include_usage": True}
        return body

    def whole(self, doc):
        s, choice = Said(), doc["choices"][0]
        s.text, s.thinking = choice["message"]["content"] or "", choice["message"].get("reasoning_content") or ""
        for c in choice["message"].get("tool_calls") or []:
            s.call(c["function"]["name"], c["function"]["arguments"])
        s.finish = self.finishes[choice["finish_reason"]]
        s.usage = (doc["usage"]["prompt_tokens"], doc["usage"]["completion_tokens"])
        return s

    def streamed(self, frames):
        s, calls = Said(), {}
        assert frames[-1] == "[DONE]"
        for doc in map(json.loads, frames[:-1]):
            if doc.get("usage"):
                s.usage = (doc["usage"]["prompt_tokens"], doc["usage"]["completion_tokens"])
            for choice in doc["choices"]:
                s.text += choice["delta"].get("content") or ""
                s.thinking += choice["delta"].get("reasoning_content") or ""
                for c in choice["delta"].get("tool_calls") or []:
                    call = calls.setdefault(c["index"], ["", ""])
                    call[0] += c["function"].get("name") or ""
                    call[1] += c["function"].get("arguments") or ""
                s.finish = self.finishes.get(choice["finish_reason"], s.finish)
        for name, arguments in calls.values():
            s.call(name, arguments)
        return s

    def code(self, doc):
        return doc["error"]["code"]


class Responses:
    """OpenAI's responses."""
    path = "/v1/responses"

    def request(self, w):
        content = w["prompt"]
        if w.get("image"):
            content = [{"type": "input_text", "text": content},
                       {"type": "input_image", "image_url": "data:image/png;base64," + PIXEL}]
        items = [{"role": "user", "content": content}]
        if w.get("result"):
            items += [{"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{\"city\": \"Rome\"}"},
                      {"type": "function_call_output", "call_id": "call_1", "output": w["result"]}]
        body = {"input": items, "max_output_tokens": w.get("max_tokens", 64)}
        if w.get("system"):
            body["instructions"] = w["system"]
        if w.get("tools"):
            body["tools"] = [{"type": "function", "name": n, "description": n, "parameters": PARAMETERS} for n in TOOLS]
        if w.get("forced"):
            body["tool_choice"] = {"type": "function", "name": w["forced"]}
        if w.get("schema"):
            body["text"] = {"format": {"type": "json_schema", "name": "answer", "strict": True, "schema": SCHEMA}}
        return body

    def whole(self, doc):
        s = Said()
        for item in doc["output"]:
            if item["type"] == "message":
                s.text += "".join(p.get("text", "") for p in item["content"])
            elif item["type"] == "function_call":
                s.call(item["name"], item["arguments"])
            elif item["type"] == "reasoning":
                s.thinking += "".join(p["text"] for p in (item.get("content") or item.get("summary") or []))
        reason = (doc.get("incomplete_details") or {}).get("reason")
        s.finish = {"max_output_tokens": "length", "content_filter": "filter"}.get(reason, "tools" if s.calls else "stop")
        s.usage = (doc["usage"]["input_tokens"], doc["usage"]["output_tokens"])
        return s

    def streamed(self, frames):
        events = [json.loads(f) for f in frames if f != "[DONE]"]
        last = events[-1]
        assert last["type"] in ("response.completed", "response.incomplete"), last
        s = self.whole(last["response"])
        assert "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta") == s.text
        return s

    def code(self, doc):
        return doc["error"]["code"]


class Messages:
    """Anthropic's messages."""
    path = "/v1/messages"
    finishes = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tools", "refusal": "filter"}

    def request(self, w):
        content = w["prompt"]
        if w.get("image"):
            content = [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                       {"type": "text", "text": content}]
        messages = [{"role": "user", "content": content}]
        if w.get("result"):
            messages += [{"role": "assistant", "content": [{"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Rome"}}]},
                         {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "call_1", "content": w["result"]}]}]
        body = {"messages": messages, "max_tokens": w.get("max_tokens", 64)}
        if w.get("system"):
            body["system"] = w["system"]
        if w.get("tools"):
            body["tools"] = [{"name": n, "description": n, "input_schema": PARAMETERS} for n in TOOLS]
        if w.get("forced"):
            body["tool_choice"] = {"type": "tool", "name": w["forced"]}
        if w.get("schema"):
            body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
        if w.get("stop"):
            body["stop_sequences"] = w["stop"]
        return body

    def whole(self, doc):
        s = Said()
        for block in doc["content"]:
            s.text += block.get("text", "")
            s.thinking += block.get("thinking", "")
            if block["type"] == "tool_use":
                s.call(block["name"], block["input"])
        s.finish = self.finishes[doc["stop_reason"]]
        s.usage = (doc["usage"]["input_tokens"], doc["usage"]["output_tokens"])
        return s

    def streamed(self, frames):
        blocks, doc = {}, {}
        for e in map(json.loads, frames):
            if e["type"] == "message_start":
                doc = e["message"]
            elif e["type"] == "content_block_start":
                blocks[e["index"]] = {**e["content_block"], "partial": ""}
            elif e["type"] == "content_block_delta":
                block, delta = blocks[e["index"]], e["delta"]
                for kind in ("text", "thinking"):
                    if kind in delta:
                        block[kind] = block.get(kind, "") + delta[kind]
                block["partial"] += delta.get("partial_json", "")
            elif e["type"] == "message_delta":
                doc = {**doc, **e["delta"], "usage": {**doc["usage"], **e["usage"]}}
        assert json.loads(frames[-1])["type"] == "message_stop"
        for block in blocks.values():
            if block["type"] == "tool_use":
                block["input"] = json.loads(block["partial"] or "{}")
        return self.whole({**doc, "content": [blocks[i] for i in sorted(blocks)]})

    def code(self, doc):
        return doc["error"]["details"]["error_code"]


class Ollama:
    """Ollama's chat."""
    path = "/api/chat"

    def request(self, w):
        messages = [{"role": "system", "content": w["system"]}] if w.get("system") else []
        messages.append({"role": "user", "content": w["prompt"], **({"images": [PIXEL]} if w.get("image") else {})})
        if w.get("result"):
            messages += [{"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "weather", "arguments": {"city": "Rome"}}}]},
                         {"role": "tool", "tool_name": "weather", "content": w["result"]}]
        options = {"num_predict": w.get("max_tokens", 64), **({"stop": w["stop"]} if w.get("stop") else {})}
        body = {"messages": messages, "options": options}
        if w.get("tools"):
            body["tools"] = [{"type": "function", "function": {"name": n, "description": n, "parameters": PARAMETERS}} for n in TOOLS]
        if w.get("schema"):
            body["format"] = SCHEMA
        return body

    def whole(self, doc):
        s = Said()
        s.text, s.thinking = doc["message"]["content"], doc["message"].get("thinking") or ""
        for c in doc["message"].get("tool_calls") or []:
            s.call(c["function"]["name"], c["function"]["arguments"])
        s.finish = "tools" if s.calls else doc["done_reason"]
        s.usage = (doc["prompt_eval_count"], doc["eval_count"])
        return s

    def streamed(self, frames):
        docs = [json.loads(f) for f in frames]
        assert docs[-1]["done"] and not any(d["done"] for d in docs[:-1])
        message = {"content": "".join(d["message"]["content"] for d in docs),
                   "thinking": "".join(d["message"].get("thinking") or "" for d in docs),
                   "tool_calls": [c for d in docs for c in d["message"].get("tool_calls") or []]}
        return self.whole({**docs[-1], "message": message})

    def code(self, doc):
        return doc["code"]


class Count(Messages):
    """Anthropic's count of tokens."""
    path = "/v1/messages/count_tokens"
    features = ("count", "count, tools", "count, system prompt")

    def request(self, w):
        return {k: v for k, v in super().request(w).items() if k != "max_tokens"}

    def whole(self, doc):
        s = Said()
        s.count, s.estimated = doc["input_tokens"], doc.get("usage_estimated", False)
        return s


class Completions(Chat):
    """OpenAI's completions."""
    path = "/v1/completions"
    features = ("text", "stream", "token limit", "token limit, stream", "stop strings", "usage", "usage, stream", "several prompts")

    def request(self, w):
        body = {"prompt": [w["prompt"]] * 2 if w.get("many") else w["prompt"], "max_tokens": w.get("max_tokens", 64)}
        if w.get("stop"):
            body["stop"] = w["stop"]
        if w.get("stream"):
            body["stream_options"] = {"include_usage": True}
        return body

    def read(self, docs):
        s = Said()
        for doc in docs:
            for choice in doc["choices"]:
                s.text += choice["text"]
                s.finish = self.finishes.get(choice["finish_reason"], s.finish)
            if doc.get("usage"):
                s.usage = (doc["usage"]["prompt_tokens"], doc["usage"]["completion_tokens"])
        return s

    def whole(self, doc):
        return self.read([doc])

    def streamed(self, frames):
        assert frames[-1] == "[DONE]"
        return self.read(json.loads(f) for f in frames[:-1])


class Generate(Ollama):
    """Ollama's generate."""
    path = "/api/generate"
    features = ("text", "stream", "system prompt", "token limit", "token limit, stream", "stop strings", "usage", "usage, stream",
                "images", "JSON schema", "reasoning", "reasoning, stream", "raw prompt")

    def request(self, w):
        body = {k: v for k, v in super().request(w).items() if k in ("options", "format")}
        body["prompt"] = w["prompt"]
        for name, member in (("system", "system"), ("raw", "raw")):
            if w.get(name):
                body[member] = w[name]
        if w.get("image"):
            body["images"] = [PIXEL]
        return body

    def whole(self, doc):
        return super().whole({**doc, "message": {"content": doc["response"], "thinking": doc.get("thinking")}})

    def streamed(self, frames):
        docs = [json.loads(f) for f in frames]
        assert docs[-1]["done"] and not any(d["done"] for d in docs[:-1])
        return self.whole({**docs[-1], "response": "".join(d["response"] for d in docs),
                           "thinking": "".join(d.get("thinking") or "" for d in docs)})


class Embeddings(Chat):
    """OpenAI's embeddings."""
    path = "/v1/embeddings"
    features = ("one text", "several texts", "token ids", "base64")

    def request(self, w):
        body = {"input": w["prompt"]}
        if w.get("many"):
            body["input"] = [w["prompt"]] * 2
        if w.get("ids"):
            body["input"] = [1, 2, 3]
        if w.get("base64"):
            body["encoding_format"] = "base64"
        return body

    def whole(self, doc):
        s = Said()
        for item in doc["data"]:
            packed = base64.b64decode(item["embedding"]) if isinstance(item["embedding"], str) else None
            s.vectors.append(struct.unpack(f"<{len(packed) // 4}f", packed) if packed else item["embedding"])
        return s


class Embed(Ollama):
    """Ollama's embed."""
    path = "/api/embed"
    features = ("one text", "several texts")

    def request(self, w):
        return {"input": [w["prompt"]] * 2 if w.get("many") else w["prompt"]}

    def whole(self, doc):
        s = Said()
        s.vectors = doc["embeddings"]
        return s


INGRESS = {"chat": Chat(), "responses": Responses(), "messages": Messages(), "count": Count(), "ollama": Ollama(),
           "completions": Completions(), "generate": Generate(), "embeddings": Embeddings(), "embed": Embed()}

# --- The features: what is wished for, what the provider is ordered to do, and whether it came through


def has_calls(*wanted):
    return lambda said, seen: sorted(name for name, _ in said.calls) == sorted(wanted) and said.finish == "tools"


FEATURES = {
    "text": ({}, f"text={SAID}", lambda said, seen: said.text == SAID and said.finish == "stop"),
    "stream": ({"stream": True}, f"text={SAID}", lambda said, seen: said.text == SAID and said.finish == "stop"),
    "system prompt": ({"system": "Speak like Cicero."}, "tokens=3", lambda said, seen: "Cicero" in seen),
    "token limit": ({"max_tokens": 3}, "tokens=20", lambda said, seen: said.finish == "length"),
    "token limit, stream": ({"max_tokens": 3, "stream": True}, "tokens=20", lambda said, seen: said.finish == "length"),
    "stop strings": ({"stop": ["XYZ"]}, "tokens=3", lambda said, seen: "XYZ" in seen),
    "usage": ({}, "tokens=5", lambda said, seen: said.usage[0] > 0 and said.usage[1] == 5),
    "usage, stream": ({"stream": True}, "tokens=5", lambda said, seen: said.usage[0] > 0 and said.usage[1] == 5),
    "tools": ({"tools": True}, "tools=1", has_calls("weather")),
    "tools, stream": ({"tools": True, "stream": True}, "tools=1", has_calls("weather")),
    "parallel tools": ({"tools": True}, "tools=2", has_calls("weather", "clock")),
    "parallel tools, stream": ({"tools": True, "stream": True}, "tools=2", has_calls("weather", "clock")),
    "empty arguments": ({"tools": True}, "tools=1, arguments=empty", lambda said, seen: said.calls and said.calls[0][1] == {}),
    "empty arguments, stream": ({"tools": True, "stream": True}, "tools=1, arguments=empty",
                                lambda said, seen: said.calls and said.calls[0][1] == {}),
    "forced tool": ({"tools": True, "forced": "clock"}, "tools=1",
                    lambda said, seen: [name for name, _ in said.calls] == ["clock"]),
    "tool result": ({"tools": True, "result": "It is sunny."}, f"text={SAID}",
                    lambda said, seen: "It is sunny." in seen and said.text == SAID),
    "images": ({"image": True}, "tokens=3", lambda said, seen: PIXEL in seen),
    "JSON schema": ({"schema": True}, "tokens=3", lambda said, seen: "capital" in seen),
    "reasoning": ({}, f"reasoning=4, text={SAID}", lambda said, seen: said.text == SAID and len(said.thinking) > 3),
    "reasoning, stream": ({"stream": True}, f"reasoning=4, text={SAID}",
                          lambda said, seen: said.text == SAID and len(said.thinking) > 3),
    "several prompts": ({"many": True}, f"text={SAID}", lambda said, seen: said.text == SAID * 2),
    "raw prompt": ({"raw": True}, f"text={SAID}", lambda said, seen: said.text == SAID),
    "one text": ({}, "tokens=3", lambda said, seen: len(said.vectors) == 1 and len(said.vectors[0]) > 3),
    "several texts": ({"many": True}, "tokens=3", lambda said, seen: len(said.vectors) == 2),
    "token ids": ({"ids": True}, "tokens=3", lambda said, seen: len(said.vectors) == 1),
    "base64": ({"base64": True}, "tokens=3", lambda said, seen: len(said.vectors) == 1 and len(said.vectors[0]) > 3),
    "count": ({}, "tokens=3", lambda said, seen: said.count > 0),
    "count, tools": ({"tools": True}, "tools=1", lambda said, seen: said.count > 0 and (said.estimated or "weather" in seen)),
    "count, system prompt": ({"system": "Speak like Cicero."}, "tokens=3",
                             lambda said, seen: said.count > 0 and (said.estimated or "Cicero" in seen)),
    "content filter": ({}, "filter=2", lambda said, seen: said.finish == "filter"),
}
# The embedded engine takes no orders; what it is asked for is what it does.
LOCAL = {"text": lambda said: said.text, "stream": lambda said: said.text, "system prompt": lambda said: said.text,
         "token limit": lambda said: said.finish == "length", "token limit, stream": lambda said: said.finish == "length",
         "stop strings": lambda said: said.text, "usage": lambda said: min(said.usage) > 0,
         "usage, stream": lambda said: min(said.usage) > 0, "JSON schema": lambda said: said.text.lstrip().startswith("{")}
LOCAL |= {"several prompts": lambda said: said.text, "raw prompt": lambda said: said.text, "one text": lambda said: said.vectors,
          "several texts": lambda said: len(said.vectors) == 2, "token ids": lambda said: said.vectors,
          "base64": lambda said: said.vectors, "count": lambda said: said.count > 0 and not said.estimated,
          "count, system prompt": lambda said: said.count > 0}
# What a conversation has, where a protocol names no features of its own.
CONVERSATION = ("text", "stream", "system prompt", "token limit", "token limit, stream", "stop strings", "usage", "usage, stream",
                "tools", "tools, stream", "parallel tools", "parallel tools, stream", "empty arguments",
                "empty arguments, stream", "forced tool", "tool result", "images", "JSON schema", "reasoning",
                "reasoning, stream", "content filter")
# What a protocol has no words for at all.
ABSENT = {("ollama", "forced tool"), ("responses", "stop strings"), ("ollama", "content filter")}
NOT_THE_ENGINES = ("reasoning", "reasoning, stream", "content filter")


class Matrix(harness.ServerCase):
    env = {"MATRIX_KEY": "matrix-key-0123456789"}

    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=5, record_bodies=True))
        cls.config = CONFIG.format(url=cls.provider.url)
        super().setUpClass()

    def ask(self, ingress, kind, feature):
        """What came, the headers, and what the provider saw; or the code of the refusal."""
        wish, orders, _ = FEATURES[feature]
        model = "weir-tiny" if kind == "local" else f"{kind}/{orders}"
        body = {"model": model, "stream": bool(wish.get("stream")), **ingress.request({"prompt": "What is the weather?", **wish})}
        self.provider.clear()
        answer = self.post(ingress.path, body)
        if answer.status != 200:
            self.assertIn(answer.status, (400, 404, 429), answer)
            return None, {}, ingress.code(answer.json())
        if not body["stream"]:
            return ingress.whole(answer.json()), answer.headers, None
        frames = ([line for line in answer.text.split("\n") if line] if isinstance(ingress, Ollama)
                  else [e.data for e in harness.parse_events([answer.body])])
        return ingress.streamed(frames), answer.headers, None

    def cell(self, name, kind, feature):
        if (name, feature) in ABSENT or (kind, feature) == ("ollama", "content filter"):
            return "–"
        if kind == "local" and feature in NOT_THE_ENGINES:
            return "–"
        said, headers, code = self.ask(INGRESS[name], kind, feature)
        if code:
            return f"refused: {code}"
        if kind == "local":
            works = LOCAL.get(feature, lambda said: False)(said)
        else:
            seen = " ".join(a.get("body") or "" for a in self.provider.attempts())
            works = FEATURES[feature][2](said, seen)
        dropped = headers.get("x-weir-dropped-params")
        if dropped:
            return f"dropped: {dropped}"
        return ("estimated" if said.estimated else "yes") if works else "WRONG"

    def page(self):
        lines = ["# Compatibility", "",
                 "What a client of each protocol gets from each kind of provider. Written by `tests/api/matrix_test.py` from what it",
                 "finds, with `weir fault` as the provider of every kind but the embedded engine (`local`: the bundled model).",
                 "", "yes: it came through. dropped: the provider cannot be told, and `x-weir-dropped-params` names it (`strict`",
                 "refuses instead). refused: the code of a clear error. estimated: nobody here can count, and the answer says",
                 "`usage_estimated`. –: the protocol, or the model, has no such thing.", ""]
        for name, ingress in INGRESS.items():
            lines += [f"## {ingress.__doc__.rstrip('.')} (`POST {ingress.path}`)", "",
                      "| feature | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
            for feature in getattr(ingress, "features", CONVERSATION):
                cells = []
                for kind in KINDS:
                    with self.subTest(client=name, provider=kind, feature=feature):
                        cell = "WRONG"
                        try:
                            cell = self.cell(name, kind, feature)
                        finally:
                            cells.append(cell)
                        self.assertNotEqual(cell, "WRONG")
                lines.append(f"| {feature} | " + " | ".join(cells) + " |")
            lines.append("")
        return "\n".join(lines)

    def test_the_page_says_what_is_so(self):
        page = self.page()
        if os.environ.get("WEIR_WRITE_PAGES") == "1":
            Path(PAGE).write_text(page)
        self.assertEqual(PAGE.read_text(), page, "write it anew: WEIR_WRITE_PAGES=1 make test ONLY=api/matrix")


if __name__ == "__main__":
    harness.main()
