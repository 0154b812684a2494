"""Conversations with tools as weir writes them by a chat template, beside transformers' apply_chat_template with the same
template: byte for byte.

Not part of `make test`: run by `make test-oracle`. The templates are the published ones, from the folder that $WEIR_TEMPLATES
names: llama.cpp's models/templates, or any with files of these names. Without it the test is skipped by name; what it has
found is in tests/unit/engine_text/chat_tools_test.c, too."""
# REQ: API-12 ENG-2

import json
import os
import subprocess
import unittest
from pathlib import Path

from transformers.utils.chat_template_utils import render_jinja_template

PROGRAM = os.environ.get("WEIR_ORACLE_TEMPLATE")
FOLDER = os.environ.get("WEIR_TEMPLATES")
TEMPLATES = {
    "meta-llama-Llama-3.1-8B-Instruct": "<|begin_of_text|>",
    "meta-llama-Llama-3.2-3B-Instruct": "<|begin_of_text|>",
    "meta-llama-Llama-3.3-70B-Instruct": "<|begin_of_text|>",
    "mistralai-Mistral-Nemo-Instruct-2407": "<s>",
    "mistralai-Mistral-Small-3.1-24B-Instruct-2503": "<s>",
    "mistralai-Mistral-7B-Instruct-v0.3": "<s>",
    "Qwen-Qwen2.5-7B-Instruct": "",
    "Qwen-Qwen3-0.6B": "",
}
TOOLS = [
    {"type": "function", "function": {
        "name": "add", "description": "Adds. Über <tags>", "parameters": {
            "type": "object", "properties": {"a": {"type": "number", "enum": [1, 2.5]}, "b": {"type": "number"}},
            "required": ["a"], "additionalProperties": False}}},
    {"type": "function", "function": {"name": "now", "description": "The time", "parameters": {
        "type": "object", "properties": {}}}},
]  # fmt: skip


def call(name, arguments, call_id):
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def say(role, content, **more):
    return {"role": role, "content": content, **more}


ASKED = [say("user", "What is 1 + 2.5?")]
CALLED = ASKED + [say("assistant", "", tool_calls=[call("add", {"a": 1, "b": [True, None, "é\n"]}, "abcdefgh1")]),
                  say("tool", "3.5", tool_call_id="abcdefgh1")]  # fmt: skip
CONVERSATIONS = {
    "no tools": ([say("user", " Hi "), say("assistant", "Hello"), say("user", "Bye")], None),
    "tools offered": (ASKED, TOOLS),
    "tools offered, with a system message": ([say("system", "Be brief."), *ASKED], TOOLS),
    "a call and its result": (CALLED, TOOLS),
    "after the answer": (CALLED + [say("assistant", "It is 3.5."), say("user", "Thanks.")], TOOLS),
    "calls in the past alone": (CALLED + [say("assistant", "It is 3.5."), say("user", "Thanks.")], None),
}


class Templates(unittest.TestCase):
    def beside(self, name, bos, messages, tools):
        source = Path(FOLDER, name + ".jinja").read_text()
        eos = "</s>" if bos == "<s>" else ""
        texts, _ = render_jinja_template([messages], tools=tools, chat_template=source, add_generation_prompt=True,
                                         bos_token=bos, eos_token=eos, date_string="26 Jul 2024")  # fmt: skip
        text = texts[0]
        return text.removeprefix(bos)

    def ours(self, name, messages, tools):
        request = {"messages": messages, **({"tools": tools} if tools else {})}
        done = subprocess.run([PROGRAM, Path(FOLDER, name + ".jinja")], input=json.dumps(request, ensure_ascii=False).encode(),
                              capture_output=True)  # fmt: skip
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return done.stdout.decode()

    @unittest.skipUnless(FOLDER, "$WEIR_TEMPLATES names no folder of published chat templates")
    def test_every_conversation_by_every_template(self):
        for name, bos in TEMPLATES.items():
            if not Path(FOLDER, name + ".jinja").exists():
                print(f"skipped: {name}.jinja is not in {FOLDER}")
                continue
            for what, (messages, tools) in CONVERSATIONS.items():
                with self.subTest(f"{name}: {what}"):
                    self.assertEqual(self.ours(name, messages, tools), self.beside(name, bos, messages, tools))


if __name__ == "__main__":
    unittest.main(verbosity=1)
