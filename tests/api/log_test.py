# REQ: OBS-1 OBS-2 SEC-2
"""One structured line a request: what was counted and how long it took, never what was said."""

import json

import harness

CHAT = "/v1/chat/completions"
CANARY = "xylophone-canary-4711"


class Log(harness.ServerCase):
    config = "log:\n  format: json\n"

    def lines(self, request_id):
        found = []
        for line in self.server.output.splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record.get("request_id") == request_id:
                found.append(record)
        return found

    def line_of(self, request_id, body, path=CHAT):
        self.server.post(path, body, {"x-request-id": request_id})
        self.assertTrue(harness.wait_until(lambda: self.lines(request_id), 5), self.server.output)
        found = self.lines(request_id)
        self.assertEqual(len(found), 1, found)
        return found[0]

    def test_an_answer_is_one_line_with_every_stage(self):
        body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5, "ignore_eos": True, "seed": 12}
        line = self.line_of("log-1", body)
        self.assertEqual((line["msg"], line["level"], line["endpoint"]), ("request", "info", "chat"))
        self.assertEqual((line["status"], line["outcome"], line["finish"]), (200, "ok", "length"))
        self.assertEqual((line["completion_tokens"], line["seed"], line["provider"]), (5, 12, "local"))
        self.assertGreater(line["prompt_tokens"], 0)
        for stage in ("read_ms", "queue_ms", "prefill_ms", "decode_ms", "first_token_ms", "total_ms"):
            self.assertGreaterEqual(line[stage], 0, stage)
        self.assertGreaterEqual(line["total_ms"], line["first_token_ms"])
        self.assertTrue(line["time"])
        self.assertTrue(line["model"])

    def test_streams_embeddings_and_refusals_are_logged_alike(self):
        hello = [{"role": "user", "content": "Hello"}]
        self.assertTrue(self.line_of("log-2", {"messages": hello, "max_tokens": 2, "stream": True})["stream"])
        self.assertEqual(self.line_of("log-3", {"input": "a"}, "/v1/embeddings")["endpoint"], "embeddings")
        refused = self.line_of("log-4", {"messages": hello, "temperature": 9})
        self.assertEqual((refused["status"], refused["code"], refused["param"]),
                         (400, "above_max_value", "temperature"))

    def test_no_prompt_and_no_answer_is_written(self):
        text = self.chat(f"Repeat: {CANARY}", max_tokens=12, temperature=0).json()["choices"][0]["message"]["content"]
        self.post("/v1/completions", {"prompt": CANARY, "max_tokens": 1})
        self.post("/v1/embeddings", {"input": CANARY})
        self.post("/tokenize", {"prompt": CANARY})
        self.post(CHAT, {"messages": [{"role": CANARY, "content": CANARY}]})
        self.post(CHAT, {"messages": CANARY, "user": CANARY})
        self.post(CHAT, f'{{"broken": "{CANARY}', {"Content-Type": "application/json"})
        self.line_of("log-5", {"messages": [{"role": "user", "content": CANARY}], "stop": CANARY, "max_tokens": 1})
        self.assertNotIn(CANARY, self.server.output)
        if len(text.strip()) > 12:
            self.assertNotIn(text.strip(), self.server.output)

    def test_control_characters_cannot_forge_a_line(self):
        self.server.post(CHAT, {"model": 'x\n{"msg":"forged"}', "messages": [{"role": "user", "content": "x"}]})
        self.line_of("log-6", {"messages": 1})
        self.assertNotIn('"msg":"forged"', [line[:15] for line in self.server.output.splitlines()])
        for line in self.server.output.splitlines():
            self.assertFalse(line.startswith('{"msg":"forged"'))


if __name__ == "__main__":
    harness.main()
