"""Ollama's /api/chat, /api/generate, /api/embed, /api/embeddings, /api/tags, /api/ps, /api/show and /api/version."""

# REQ: API-5 API-10 API-11

import json

import harness

HELLO = [{"role": "user", "content": "Tell me a story."}]
GREEDY = {"temperature": 0, "num_predict": 16}


class Ollama(harness.ServerCase):
    def lines(self, path, body):
        answer = self.post(path, body)
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/x-ndjson"), answer)
        return [json.loads(line) for line in answer.text.splitlines()]

    def assert_refused(self, answer, status):
        self.assertEqual(answer.status, status, answer)
        self.assertEqual(list(answer.json()), ["error", "code"])
        self.assertTrue(answer.json()["error"])

    def test_a_chat_streams_unless_told_not_to(self):
        whole = self.post("/api/chat", {"messages": HELLO, "options": GREEDY, "stream": False}).json()
        lines = self.lines("/api/chat", {"messages": HELLO, "options": GREEDY})
        self.assertEqual("".join(part["message"]["content"] for part in lines), whole["message"]["content"])
        self.assertEqual([part["done"] for part in lines], [False] * (len(lines) - 1) + [True])
        self.assertEqual((lines[-1]["done_reason"], lines[-1]["eval_count"]), (whole["done_reason"], whole["eval_count"]))
        for answer in (lines[-1], whole):
            self.assertEqual(answer["model"], self.server.model)
            self.assertRegex(answer["created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$")
            self.assertGreater(answer["prompt_eval_count"], 0)
            for name in ("total_duration", "prompt_eval_duration", "eval_duration"):
                self.assertGreater(answer[name], 0)
            self.assertGreaterEqual(answer["total_duration"], answer["prompt_eval_duration"] + answer["eval_duration"])

    def test_generate_with_and_without_the_template(self):
        body = {"prompt": "Once upon a time", "options": GREEDY}
        asked, raw = (self.post("/api/generate", {**body, **more, "stream": False}).json()
                      for more in ({}, {"raw": True}))
        self.assertGreater(asked["prompt_eval_count"], raw["prompt_eval_count"])
        lines = self.lines("/api/generate", {**body, "raw": True})
        self.assertEqual("".join(part["response"] for part in lines), raw["response"])
        completion = self.post("/v1/completions", {"prompt": "Once upon a time", "temperature": 0, "max_tokens": 16}).json()
        self.assertEqual(completion["choices"][0]["text"], raw["response"])
        chat = self.post("/api/chat", {"messages": [{"role": "system", "content": "Be kind."}, *HELLO], "options": GREEDY,
                                       "stream": False}).json()
        generated = self.post("/api/generate", {"prompt": HELLO[0]["content"], "system": "Be kind.", "options": GREEDY,
                                                "stream": False}).json()
        self.assertEqual(chat["message"]["content"], generated["response"])

    def test_an_answer_that_was_begun_goes_on(self):
        body = {"options": {"temperature": 0, "num_predict": 24}, "stream": False}
        text = self.post("/api/chat", {"messages": HELLO, **body}).json()["message"]["content"]
        rest = self.post("/api/chat", {"messages": HELLO + [{"role": "assistant", "content": text[:11]}], **body}).json()
        self.assertTrue((text[:11] + rest["message"]["content"]).startswith(text))

    def test_asking_for_nothing_finds_the_model(self):
        for path, body in (("/api/generate", {}), ("/api/chat", {"messages": []})):
            answer = self.post(path, {"model": "default", "keep_alive": "10m", **body}).json()
            self.assertEqual((answer["done"], answer["done_reason"]), (True, "load"))
        self.assert_refused(self.post("/api/generate", {"model": "nobody"}), 404)

    def test_options_do_what_they_say(self):
        def say(**options):
            return self.post("/api/chat", {"messages": HELLO, "stream": False, "options": options}).json()

        text = say(**GREEDY)["message"]["content"]
        self.assertEqual(say(**GREEDY, stop=[text[5:8]])["message"]["content"], text[:text.find(text[5:8])])
        self.assertEqual(say(seed=4, num_predict=9, top_k=9)["message"], say(seed=4, num_predict=9, top_k=9)["message"])
        answer = say(num_predict=3)
        self.assertEqual((answer["done_reason"], answer["eval_count"]), ("length", 3))

    def test_scores(self):
        body = {"messages": HELLO, "options": GREEDY, "logprobs": True, "top_logprobs": 2}
        whole = self.post("/api/chat", {**body, "stream": False}).json()
        streamed = [t for part in self.lines("/api/chat", body) for t in part.get("logprobs", [])]
        self.assertEqual(whole["logprobs"], streamed)
        self.assertEqual(len(streamed), whole["eval_count"])

    def test_names_may_have_the_latest_tag_and_no_content_type_is_needed(self):
        answer = self.server.request("POST", "/api/chat", json.dumps(
            {"model": self.server.model + ":latest", "messages": HELLO, "options": {"num_predict": 1}}))
        self.assertEqual(answer.status, 200)

    def test_embeddings(self):
        both = self.post("/api/embed", {"input": ["a dog", "a cat"]}).json()
        plain = self.post("/v1/embeddings", {"input": ["a dog", "a cat"]}).json()
        self.assertEqual(both["embeddings"], [item["embedding"] for item in plain["data"]])
        self.assertEqual(both["prompt_eval_count"], plain["usage"]["prompt_tokens"])
        self.assertEqual(self.post("/api/embed", {"input": "a dog"}).json()["embeddings"], both["embeddings"][:1])
        self.assertEqual(self.post("/api/embeddings", {"prompt": "a dog"}).json(), {"embedding": both["embeddings"][0]})

    def test_models(self):
        listed, = self.get("/api/tags").json()["models"]
        running, = self.get("/api/ps").json()["models"]
        shown = self.post("/api/show", {"model": listed["name"]}).json()
        self.assertEqual(listed["name"], self.server.model)
        self.assertEqual(listed["details"], running["details"])
        self.assertEqual(listed["details"], shown["details"])
        self.assertRegex(listed["digest"], "^[0-9a-f]{64}$")
        self.assertIn("completion", shown["capabilities"])
        self.assertTrue(self.get("/api/version").json()["version"])
        self.assertEqual(self.server.request("HEAD", "/").status, 200)

    def test_refusals_are_ollamas(self):
        image = [{"role": "user", "content": "x", "images": ["iVBORw0KGgo="]}]
        cases = [("/api/chat", {"model": "nobody", "messages": HELLO}, 404),
                 ("/api/chat", {"messages": 7}, 400), ("/api/chat", b"{", 400),
                 ("/api/chat", {"messages": image}, 400),
                 ("/api/chat", {"messages": HELLO, "format": {"not": {}}}, 400),
                 ("/api/generate", {"prompt": "x", "suffix": "y"}, 400),
                 ("/api/embed", {"model": "nobody", "input": "x"}, 404), ("/api/embed", {}, 400),
                 ("/api/show", {"model": "nobody"}, 404), ("/api/pull", {"model": "x"}, 404)]
        for path, body, status in cases:
            with self.subTest(f"{path} {body}"):
                self.assert_refused(self.post(path, body), status)
        self.assert_refused(self.get("/api/chat"), 405)
        self.assert_refused(self.post("/api/chat", {"messages": HELLO}, {"Host": "elsewhere.example"}), 403)


class Keys(harness.ServerCase):
    config = "keys:\n  - name: tester\n    key: {env: TEST_KEY}\n"
    env = {"TEST_KEY": "k" * 32}

    def test_a_key_is_asked_for(self):
        for answer in (self.get("/api/tags"), self.post("/api/chat", {"messages": HELLO})):
            self.assertEqual((answer.status, list(answer.json())), (401, ["error", "code"]))
        self.assertEqual(self.get("/api/tags", {"Authorization": "Bearer " + "k" * 32}).status, 200)


if __name__ == "__main__":
    harness.main()
