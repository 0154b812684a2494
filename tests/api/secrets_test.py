# REQ: SEC-2
"""Canaries: a secret in every place where one can be configured or sent; then everything that weir says is searched."""

import base64
import http.server
import json
import os
import re
import tempfile
import threading
from pathlib import Path

import harness


def canary(name):
    return f"sk-CANARY-{name}-7f3a9c1e5b"


SECRETS = {name: canary(name) for name in ("env-key", "file-key", "short-key", "up-key", "up-file-key", "up-header", "wrong-bearer",
                                           "wrong-x", "wrong-api", "query", "cookie", "basic", "prompt", "user", "tool",
                                           "header", "body-key", "ollama")}
CONFIG = """
keys:
  - {{name: by-env, key: {{env: WEIR_TEST_ENV_KEY}}}}
  - {{name: by-file, key: {{file: "{file}"}}}}
  - {{name: by-variable, key: "${{WEIR_TEST_SHORT_KEY}}"}}
providers:
  - {{name: echo, base_url: "{url}/v1", key: {{env: WEIR_TEST_UP_KEY}}, models: [m], headers: ["${{WEIR_TEST_UP_HEADER}}"]}}
  - {{name: echo2, base_url: "{url}/v1", key: {{file: "{up_file}"}}, models: [n]}}
  - {{name: anthropic-echo, kind: anthropic, base_url: "{url}", key: {{env: WEIR_TEST_UP_KEY}}, models: [o]}}
cache: {{enabled: true, all: true}}
log: {{level: debug, format: {format}}}
"""


class Echo(http.server.BaseHTTPRequestHandler):
    """A provider that says back, in its errors and headers, all that it was sent."""

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        sent = self.headers.get("Authorization") or self.headers.get("x-api-key") or ""
        type(self).seen.append(sent)
        body = json.dumps({"type": "error", "error": {"message": f"Incorrect API key provided: {sent}.", "type": "invalid_request_error",
                                                      "param": None, "code": "invalid_api_key"}}).encode()
        self.send_response(401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", "up-1")
        self.send_header("WWW-Authenticate", f"Bearer {sent}")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Canaries(harness.unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(self.folder.cleanup)
        Echo.seen = []
        self.upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
        threading.Thread(target=self.upstream.serve_forever, daemon=True).start()
        self.addCleanup(self.upstream.server_close)
        self.addCleanup(self.upstream.shutdown)

    def path(self, name, text=None):
        path = Path(self.folder.name, name)
        if text is not None:
            path.write_text(text)
        return str(path)

    def config(self, log_format):
        return CONFIG.format(file=self.path("key", SECRETS["file-key"] + "\n"), format=log_format,
                             up_file=self.path("up", SECRETS["up-file-key"]),
                             url=f"http://127.0.0.1:{self.upstream.server_port}")

    def said_by(self, server, key):
        """Uses the server in every way that carries a secret; gives all that it answers."""
        good = {"Authorization": f"Bearer {key}"}
        chat = {"model": "weir-tiny", "max_tokens": 2, "user": SECRETS["user"],
                "messages": [{"role": "user", "content": "Hi"}]}
        asked = [
            ("POST", "/v1/chat/completions", chat, good),
            ("POST", "/v1/chat/completions", {**chat, "stream": True}, {"x-api-key": SECRETS["env-key"]}),
            ("POST", "/v1/chat/completions", chat, {"api-key": SECRETS["file-key"]}),
            ("POST", "/v1/chat/completions", {**chat, "messages": [{"role": "user", "content": SECRETS["prompt"]}]}, good),
            ("POST", "/v1/chat/completions", {**chat, "max_tokens": -1, "messages": [{"role": "user", "content": SECRETS["prompt"]}]}, good),
            ("POST", "/v1/chat/completions", {**chat, "tools": [{"type": "function", "function": {
                "name": "f", "description": SECRETS["tool"], "parameters": {}}}]}, good),
            ("POST", "/v1/chat/completions", chat, {"Authorization": f"Bearer {SECRETS['wrong-bearer']}"}),
            ("POST", "/v1/chat/completions", chat, {"x-api-key": SECRETS["wrong-x"]}),
            ("POST", "/v1/chat/completions", chat, {"api-key": SECRETS["wrong-api"]}),
            ("POST", "/v1/chat/completions", chat, {**good, "Cookie": f"session={SECRETS['cookie']}", "X-Other": SECRETS["header"]}),
            ("POST", "/v1/chat/completions", {**chat, "api_key": SECRETS["body-key"]}, good),
            ("POST", "/v1/chat/completions", {**chat, "model": "echo/m"}, good),
            ("POST", "/v1/chat/completions", {**chat, "model": "echo/m", "stream": True}, good),
            ("POST", "/v1/chat/completions", {**chat, "model": "echo2/n"}, good),
            ("POST", "/v1/chat/completions", {**chat, "model": "anthropic-echo/o"}, good),
            ("POST", "/v1/messages", {**chat, "user": None, "model": "echo/m"}, {"x-api-key": key}),
            ("POST", "/api/chat", {"model": "echo/m", "messages": chat["messages"]}, {"Authorization": f"Bearer {SECRETS['ollama']}"}),
            ("GET", "/v1/models?api_key=" + SECRETS["query"], None, good),
            ("GET", "/nowhere?key=" + SECRETS["query"], None, good),
            ("GET", "/v1/models", None, {"Authorization": "Basic " + base64.b64encode(SECRETS["basic"].encode()).decode()}),
            ("GET", "/metrics", None, good),
        ]
        said = []
        for method, path, body, headers in asked:
            answer = server.request(method, path, body, headers)
            said.append(f"{method} {path.partition('?')[0]} -> {answer.status}\n{answer.headers}\n{answer.body.decode('utf-8', 'replace')}")
        return said

    def told_by_the_verbs(self, server):
        store, config = server.store, self.path("weir.yaml")
        Path(config).write_text(server.config)
        env = {"WEIR_STORE": store, **server.env}
        dump = harness.dump_store(store)
        ids = set(re.findall(r"req_[0-9a-f]{24}", dump))
        self.assertGreater(len(ids), 10)
        verbs = [["config", "show", config], ["config", "check", config], ["key", "list"], ["key", "show", "made", "--json"]]
        verbs += [["explain", name, *json_or_not] for name in ids for json_or_not in ([], ["--json"])]
        runs = [harness.weir(*verb, env=env) for verb in verbs]
        self.assertTrue(all(run.returncode == 0 for run in runs), [r.stderr for r in runs if r.returncode])
        return [dump] + [run.stdout + run.stderr for run in runs]

    def assert_none_is_told(self, texts, key):
        needles = {**SECRETS, "made": key, "made-bare": key[3:]}
        for name, secret in needles.items():
            forms = {secret, base64.b64encode(secret.encode()).decode(), secret.encode().hex()}
            for text in texts:
                for form in forms:
                    self.assertNotIn(form, text, f"the secret '{name}' is told")

    def run_with(self, log_format):
        env = {"WEIR_TEST_ENV_KEY": SECRETS["env-key"], "WEIR_TEST_SHORT_KEY": SECRETS["short-key"],
               "WEIR_TEST_UP_KEY": SECRETS["up-key"],
               "WEIR_TEST_UP_HEADER": "x-own: " + SECRETS["up-header"], "WEIR_STORE": self.path(f"{log_format}.db")}
        with harness.Server(config=self.config(log_format), env=env) as server:
            key = harness.weir("key", "create", "--name", "made", "--store", server.store).stdout.strip()
            good = {"Authorization": f"Bearer {key}"}
            self.assertTrue(harness.wait_until(lambda: server.get("/v1/models", good).status == 200, 2))
            texts = self.said_by(server, key)
            self.assertTrue(any(SECRETS["up-key"] in sent for sent in Echo.seen))  # the canary was alive
            harness.wait_until(lambda: "waiting 0" in server.get("/metrics", good).text)
            texts.append(Path(f"/proc/{server.pid}/cmdline").read_text())
            for thread in os.listdir(f"/proc/{server.pid}/task"):
                texts.append(Path(f"/proc/{server.pid}/task/{thread}/comm").read_text())
            harness.time.sleep(0.1)
            texts += self.told_by_the_verbs(server)
            server.stop()
            texts.append(server.output)
            self.assertIn("request", server.output)
            for file in Path(self.folder.name).glob(f"{log_format}.db*"):
                texts.append(file.read_bytes().decode("latin-1"))
        self.assert_none_is_told(texts, key)

    def test_nothing_in_plain_logs_records_errors_or_the_process_list(self):
        self.run_with("logfmt")

    def test_nothing_in_json_logs(self):
        self.run_with("json")

    def test_a_secret_in_the_file_itself_is_refused_and_not_repeated(self):
        path = self.path("bad.yaml", f"keys:\n  - {{name: a, key: {SECRETS['env-key']}}}\n")
        run = harness.weir("config", "check", path)
        self.assertEqual(run.returncode, 2)
        self.assertNotIn(SECRETS["env-key"], run.stdout + run.stderr)


if __name__ == "__main__":
    harness.main()
