"""Prompts called by name: what reaches the model, what is refused, what is listed; and `weir prompt`."""
# REQ: PROMPT-1

import json
import tempfile
import unittest
from pathlib import Path

import harness
from fault_provider import Fault

FILES = {
    "greet@1.yaml": "messages:\n  - {role: user, content: Old}\n",
    "greet@9.yaml": "messages:\n  - {role: user, content: Nine}\n",
    "greet@10.yaml": """
description: Greets
model: up/from-prompt
variables:
  name: {description: whom}
  mood: {default: kind}
  orders: {type: list, default: "[]"}
messages:
  - role: system
    content: |
      Be {{mood}} to {{name}}.
      {{#orders}}
      - {{id}}
      {{/orders}}
parameters: {temperature: 0.25, max_tokens: 7, stop: [END]}
""",
}


class Prompts(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.provider = Fault(record_bodies=True).__enter__()
        cls.addClassCleanup(cls.provider.__exit__)
        cls.folder = tempfile.TemporaryDirectory(prefix="weir-prompts-")
        cls.addClassCleanup(cls.folder.cleanup)
        for name, text in FILES.items():
            Path(cls.folder.name, name).write_text(text)
        cls.config = f"""
prompts: {cls.folder.name}
providers:
  - {{name: up, kind: openai, base_url: "{cls.provider.url}/v1", models: [listed]}}
"""
        super().setUpClass()

    def ask(self, prompt, path="/v1/chat/completions", **fields):
        return self.post(path, {"prompt": prompt, **fields})

    def seen(self, prompt, **fields):
        """What reached the provider."""
        self.provider.clear()
        answer = self.ask(prompt, **fields)
        self.assertEqual(answer.status, 200, answer)
        return json.loads(self.provider.attempts()[0]["body"])

    def test_the_latest_version_comes_before_the_clients_messages_with_its_model_and_parameters(self):
        own = [{"role": "user", "content": "Hello"}]
        body = self.seen({"name": "greet", "variables": {"name": "Ada", "orders": [{"id": 4}]}}, messages=own)
        self.assertEqual(body["messages"], [{"role": "system", "content": "Be kind to Ada.\n- 4\n"}, *own])
        self.assertEqual((body["model"], body["temperature"], body["stop"]), ("from-prompt", 0.25, ["END"]))
        self.assertEqual(body.get("max_tokens", body.get("max_completion_tokens")), 7)
        self.assertNotIn("prompt", body)

    def test_what_the_request_says_itself_holds(self):
        body = self.seen({"name": "greet", "variables": {"name": "Ada"}}, model="up/mine", temperature=1,
                         max_completion_tokens=3)
        self.assertEqual((body["model"], body["temperature"]), ("mine", 1))
        self.assertEqual(body.get("max_completion_tokens", body.get("max_tokens")), 3)

    def test_a_version_can_be_named_and_id_means_name(self):
        for prompt, text in (({"name": "greet", "version": "1"}, "Old"), ({"id": "greet", "version": "9"}, "Nine")):
            self.assertEqual(self.seen(prompt, model="up/x")["messages"], [{"role": "user", "content": text}])

    def test_responses_requests_take_them_before_their_input(self):
        for own in ("Hello", [{"role": "user", "content": "Hello"}]):
            self.provider.clear()
            answer = self.ask({"name": "greet", "variables": {"name": "Ada"}}, "/v1/responses", input=own,
                              temperature=1)
            self.assertEqual(answer.status, 200, answer)
            body = json.loads(self.provider.attempts()[0]["body"])
            said = [(m["role"], text_of(m["content"])) for m in body["messages"]]
            self.assertEqual(said, [("system", "Be kind to Ada.\n"), ("user", "Hello")])
            self.assertEqual((body["model"], body["temperature"]), ("from-prompt", 1))
            self.assertEqual(body.get("max_tokens", body.get("max_completion_tokens")), 7)

    def test_streams_and_the_local_model_take_prompts_too(self):
        events = list(self.server.stream("/v1/chat/completions", {"prompt": {"name": "greet", "version": "1"},
                                                                   "model": "weir-tiny", "stream": True,
                                                                   "max_tokens": 4}))
        self.assertEqual(events[-1].data, "[DONE]")

    def test_refusals_name_the_member(self):
        for prompt, status, code, param in (
                ({"name": "none"}, 404, "prompt_not_found", "prompt.name"),
                ({"name": "greet", "version": "3"}, 404, "prompt_not_found", "prompt.version"),
                ({"id": "none"}, 404, "prompt_not_found", "prompt.id"),
                ({}, 400, None, "prompt.name"),
                ({"name": "greet"}, 400, None, "prompt.variables.name"),
                ({"name": "greet", "variables": {"name": 5}}, 400, None, "prompt.variables.name"),
                ({"name": "greet", "variables": {"name": "a", "nam": "b"}}, 400, None, "prompt.variables.nam"),
                ({"name": "greet", "variables": "x"}, 400, None, "prompt.variables")):
            error = self.assert_error(self.ask(prompt), status, code)
            self.assertEqual(error["param"], param, prompt)

    def test_a_completions_prompt_is_what_it_was(self):
        answer = self.post("/v1/completions", {"model": "weir-tiny", "prompt": "Hi", "max_tokens": 2})
        self.assertEqual(answer.status, 200)

    def test_they_are_listed_with_their_variables(self):
        page = self.get("/v1/prompts").json()
        listed = [(p["name"], p["version"], p["latest"]) for p in page["data"]]
        self.assertEqual(listed, [("greet", "1", False), ("greet", "9", False), ("greet", "10", True)])
        variables = {v["name"]: v for v in page["data"][2]["variables"]}
        self.assertEqual((variables["name"]["required"], variables["mood"]["default"]), (True, "kind"))


def text_of(content):
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-prompts-")
        self.addCleanup(self.folder.cleanup)
        for name, text in FILES.items():
            Path(self.folder.name, name).write_text(text)

    def run_weir(self, verb, *arguments):
        return harness.weir("prompt", verb, "--folder", self.folder.name, *arguments)

    def test_list_and_check(self):
        self.assertIn("greet@10 *", self.run_weir("list").stdout)
        self.assertEqual(len(json.loads(self.run_weir("list", "--json").stdout)["data"]), 3)
        self.assertIn("3 prompts are good", self.run_weir("check").stdout)

    def test_render(self):
        rendered = self.run_weir("render", "greet", "-s", "name=Ada", "-s", 'orders=[{"id":1}]', "--json")
        self.assertEqual(json.loads(rendered.stdout), [{"role": "system", "content": "Be kind to Ada.\n- 1\n"}])
        self.assertIn("[user]\nOld", self.run_weir("render", "greet@1").stdout)
        self.assertEqual(self.run_weir("render", "none").returncode, 3)
        missing = self.run_weir("render", "greet")
        self.assertEqual(missing.returncode, 2)
        self.assertIn("name: ", missing.stderr)

    def test_a_mistake_is_told_with_file_line_and_column(self):
        Path(self.folder.name, "bad@1.yaml").write_text("messages:\n  - {role: user, content: 'a {{b}}'}\n")
        checked = self.run_weir("check")
        self.assertEqual(checked.returncode, 2)
        self.assertIn("bad@1.yaml:2:30: there is no variable 'b'", checked.stderr)
        Path(self.folder.name, "bad@1.yaml").rename(Path(self.folder.name, "bad.yaml"))
        self.assertIn("NAME@VERSION.yaml", self.run_weir("check").stderr)

    def test_a_server_with_a_wrong_prompt_does_not_start(self):
        Path(self.folder.name, "bad@1.yaml").write_text("messages:\n  - {role: user, content: '{{#a}}'}\n")
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as config:
            config.write(f"prompts: {self.folder.name}\n")
            config.flush()
            served = harness.weir("serve", "--listen", "127.0.0.1:0", "--config", config.name)
        self.assertNotEqual(served.returncode, 0)
        self.assertIn("bad@1.yaml:2:28", served.stderr)


if __name__ == "__main__":
    harness.main()
