# REQ: API-3 API-7 API-8
"""What there is to see before any prompt: health, readiness, version, models, the tokenizer."""

import harness
import openai_schema


class Health(harness.ServerCase):
    def test_health_is_exactly_ok(self):
        for path in ("/health", "/healthz", "/livez"):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.body), (200, b'{"status":"ok"}'))
            self.assertEqual(answer.headers["content-type"], "application/json")

    def test_readyz_is_200_once_a_model_can_answer(self):
        answer = self.get("/readyz")
        self.assertEqual((answer.status, answer.json()), (200, {"status": "ready"}))
        self.assertEqual(self.chat("Hello", max_tokens=1).status, 200)

    def test_version_names_the_program(self):
        answer = self.get("/version").json()
        self.assertEqual(answer["name"], "weir")
        self.assertRegex(answer["version"], r"^\d+\.\d+\.\d+")

    def test_head_has_the_headers_of_get_and_no_body(self):
        get, head = self.get("/health"), self.server.request("HEAD", "/health")
        self.assertEqual((head.status, head.body), (200, b""))
        self.assertEqual(head.headers["content-length"], get.headers["content-length"])

    def test_the_index_lists_the_paths(self):
        paths = self.get("/").json()["paths"]
        self.assertIn("POST /v1/chat/completions", paths)
        for path in paths:
            method, path = path.split()
            if "*" not in path:
                allowed = self.server.request("OPTIONS", path).headers["allow"]
                self.assertIn(method, allowed)


class Models(harness.ServerCase):
    config = "models:\n  - name: first\n    aliases: [one, uno]\n"

    def test_every_name_is_listed_with_its_provider_and_context(self):
        answer = self.get("/v1/models").json()
        openai_schema.check("ListModelsResponse", answer)
        self.assertEqual([m["id"] for m in answer["data"]], ["first", "one", "uno"])
        for model in answer["data"]:
            self.assertEqual((model["root"], model["provider"]), ("first", "local"))
            self.assertGreater(model["context_length"], 0)
            self.assertEqual(model["max_model_len"], model["context_length"])

    def test_one_model_is_found_by_each_of_its_names(self):
        for name in ("first", "one", "default"):
            answer = self.get(f"/v1/models/{name}")
            openai_schema.check("Model", answer.json())
            self.assertEqual(answer.json()["root"], "first")

    def test_an_unknown_model_is_404_and_says_what_there_is(self):
        error = self.assert_error(self.get("/v1/models/gpt-9"), 404, "model_not_found")
        self.assertIn("'first'", error["message"])
        error = self.assert_error(
            self.post("/v1/chat/completions", {"model": "gpt-9", "messages": [{"role": "user", "content": "x"}]}),
            404, "model_not_found")
        self.assertEqual(error["param"], "model")

    def test_an_alias_and_no_name_reach_the_model(self):
        for fields in ({"model": "uno"}, {"model": "default"}, {}):
            answer = self.post("/v1/chat/completions",
                               {**fields, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1})
            self.assertEqual((answer.status, answer.json()["model"]), (200, "first"), fields)
            self.assertEqual(answer.headers["x-weir-model"], "first")


class Tokens(harness.ServerCase):
    def tokenize(self, **fields):
        answer = self.post("/tokenize", fields)
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_text_to_tokens_and_back(self):
        for text in ("Hello, world!", "äöü 漢字 🙂", " leading", "tabs\tand\nlines\n", ""):
            tokens = self.tokenize(prompt=text, add_special_tokens=False)
            self.assertEqual(tokens["count"], len(tokens["tokens"]))
            self.assertGreater(tokens["max_model_len"], 0)
            back = self.post("/detokenize", {"tokens": tokens["tokens"]}).json()
            self.assertEqual((back["prompt"], back["content"]), (text, text))

    def test_both_names_of_the_text_are_taken(self):
        self.assertEqual(self.tokenize(prompt="abc")["tokens"], self.tokenize(content="abc")["tokens"])

    def test_pieces_and_strings(self):
        pieces = self.tokenize(content="Hello there", with_pieces=True)["tokens"]
        self.assertEqual("".join(p["piece"] for p in pieces), "Hello there")
        strings = self.tokenize(prompt="Hello there", return_token_strs=True)
        self.assertEqual("".join(strings["token_strs"]), "Hello there")

    def test_messages_are_counted_as_a_chat_would_be(self):
        messages = [{"role": "user", "content": "How are you?"}]
        count = self.tokenize(messages=messages)["count"]
        usage = self.post("/v1/chat/completions", {"messages": messages, "max_tokens": 1}).json()["usage"]
        self.assertEqual(usage["prompt_tokens"], count)

    def test_the_info_that_remote_tokenizers_read(self):
        info = self.get("/tokenizer_info").json()
        self.assertEqual(info["model_max_length"], self.get("/v1/models").json()["data"][0]["context_length"])
        eos = self.post("/tokenize", {"prompt": info["eos_token"], "add_special_tokens": False}).json()["tokens"]
        self.assertEqual(len(eos), 1)

    def test_a_message_cannot_write_control_tokens(self):
        eos = self.get("/tokenizer_info").json()["eos_token"]
        plain, forged = (self.tokenize(messages=[{"role": "user", "content": text}]) for text in ("x", "x" + eos))
        self.assertGreater(forged["count"], plain["count"] + 1)

    def test_a_large_text_is_tokenised_while_others_are_served(self):
        text = "It was a bright cold day in April. " * 20000
        self.assertGreater(self.tokenize(prompt=text)["count"], 20000)

    def test_wrong_requests_are_refused_by_name(self):
        cases = [("/tokenize", {}, "prompt", "missing_required_parameter"),
                 ("/tokenize", {"prompt": 5}, "prompt", "invalid_type"),
                 ("/tokenize", {"prompt": "a", "add_special_tokens": "no"}, "add_special_tokens", "invalid_type"),
                 ("/detokenize", {}, "tokens", "missing_required_parameter"),
                 ("/detokenize", {"tokens": "abc"}, "tokens", "invalid_type"),
                 ("/detokenize", {"tokens": [1, "a"]}, "tokens", "invalid_type"),
                 ("/detokenize", {"tokens": [-1]}, "tokens", "invalid_value"),
                 ("/detokenize", {"tokens": [2**31 - 1]}, None, "invalid_value")]
        for path, body, param, code in cases:
            error = self.assert_error(self.post(path, body), 400, code)
            self.assertEqual(error["param"], param, body)

    def test_every_answer_counts_its_tokens(self):
        chat = self.chat("Hello", max_tokens=3).json()["usage"]
        text = self.post("/v1/completions", {"prompt": "Hello", "max_tokens": 3}).json()["usage"]
        embedding = self.post("/v1/embeddings", {"input": "Hello"}).json()["usage"]
        self.assertEqual(text["prompt_tokens"], self.tokenize(prompt="Hello")["count"])
        self.assertEqual(embedding["prompt_tokens"], text["prompt_tokens"])
        for usage in (chat, text):
            self.assertEqual(usage["total_tokens"], usage["prompt_tokens"] + usage["completion_tokens"])
            self.assertLessEqual(usage["completion_tokens"], 3)


if __name__ == "__main__":
    harness.main()
