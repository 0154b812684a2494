# REQ: API-10 SEC-3
"""Every refusal is OpenAI's error object with a stable code, the right status and a request id."""

import json
import re

import harness
import openai_schema

CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hi"}]


def chat_with(**fields):
    return {"messages": HELLO, "max_tokens": 1, **fields}


def deep(levels):
    return b'{"messages":' + b"[" * levels + b"]" * levels + b"}"


class Refusals(harness.ServerCase):
    config = "limits:\n  body_bytes_max: 1MiB\n  header_bytes_max: 8KiB\n  target_bytes_max: 2KiB\n"

    def refused(self, answer, status, code, param=None):
        error = self.assert_error(answer, status, code)
        openai_schema.check("ErrorResponse", answer.json())
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(error["param"], param, error)
        self.assertIn(answer.headers["x-should-retry"], ("true", "false"))
        return error

    def post_raw(self, body, path=CHAT):
        return self.post(path, body, {"Content-Type": "application/json"})

    def test_bodies_that_are_not_json(self):
        cases = [(b"", "invalid_json"), (b"{", "invalid_json"), (b"nonsense", "invalid_json"),
                 (b'{"a":1,}', "invalid_json"), (b"{'a':1}", "invalid_json"), (b'{"a":1}{"b":2}', "invalid_json"),
                 (b'{"a":NaN}', "invalid_json"), (b'{"a":+1}', "invalid_json"), (b'{"a":"\t"}', "invalid_json"),
                 (b'{"a":"\\ud800"}', "invalid_json"), (b'\xef\xbb\xbf{"a":1}', "invalid_json"),
                 (b'{"a":"\xff"}', "invalid_utf8"), (b'{"a":"\xc0\xaf"}', "invalid_utf8"),
                 (b'{"a":"\xed\xa0\x80"}', "invalid_utf8"),
                 (b'{"model":"a","model":"b"}', "duplicate_member"),
                 (b'{"mod\\u0065l":"a","model":"b"}', "duplicate_member"),
                 (b'{"messages":[{"role":"user","role":"system"}]}', "duplicate_member"),
                 (deep(100), "json_limit_exceeded"), (deep(400_000), "json_limit_exceeded"),
                 (b"[1,2]", "invalid_type"), (b'"text"', "invalid_type"), (b"null", "invalid_type"),
                 (b"7", "invalid_type")]
        for path in (CHAT, "/v1/completions", "/v1/embeddings", "/tokenize", "/detokenize"):
            for body, code in cases:
                with self.subTest(path=path, body=body[:40]):
                    self.refused(self.post_raw(body, path), 400, code)

    def test_a_parse_error_says_where(self):
        error = self.refused(self.post_raw(b'{\n  "model": "a",\n  "messages": [}\n'), 400, "invalid_json")
        self.assertRegex(error["message"], r"line 3")

    def test_members_of_the_wrong_type_are_named(self):
        cases = [({"messages": "hi"}, "invalid_type", "messages"),
                 ({"messages": []}, "empty_array", "messages"),
                 ({"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": 5}]},
                  "invalid_type", "messages[1].content"),
                 ({"messages": [{"role": "user", "content": [{"type": "text", "text": None}]}]},
                  "invalid_type", "messages[0].content[0].text"),
                 ({"messages": [{"role": "boss", "content": "a"}]}, "invalid_value", "messages[0].role"),
                 (chat_with(temperature="hot"), "invalid_type", "temperature"),
                 (chat_with(stream="yes"), "invalid_type", "stream"),
                 (chat_with(stop=[1]), "invalid_type", "stop[0]"),
                 (chat_with(logit_bias={"x": 1}), "invalid_value", "logit_bias"),
                 (chat_with(logit_bias={"1": "a"}), "invalid_type", "logit_bias"),
                 (chat_with(model=5), "invalid_type", "model"),
                 ({}, "missing_required_parameter", "messages")]
        for body, code, param in cases:
            with self.subTest(body=body):
                self.refused(self.post(CHAT, body), 400, code, param)

    def test_absurd_numbers(self):
        cases = [('"temperature":1e999', "invalid_value", "temperature"),
                 ('"temperature":-0.1', "below_min_value", "temperature"),
                 ('"temperature":3', "above_max_value", "temperature"),
                 ('"max_tokens":1e40', "above_max_value", "max_tokens"),
                 ('"max_tokens":99999999999999999999999999', "above_max_value", "max_tokens"),
                 ('"max_tokens":-1', "below_min_value", "max_tokens"),
                 ('"max_tokens":0.5', "below_min_value", "max_tokens"),
                 ('"max_tokens":2.5', "invalid_type", "max_tokens"),
                 ('"n":1000000', "above_max_value", "n"),
                 ('"seed":123456789012345678901234567890', "above_max_value", "seed"),
                 ('"top_logprobs":1e9,"logprobs":true', "above_max_value", "top_logprobs"),
                 ('"logit_bias":{"99999999999999999999":1}', "invalid_value", "logit_bias")]
        for members, code, param in cases:
            with self.subTest(members=members):
                body = '{"messages":[{"role":"user","content":"a"}],' + members + "}"
                self.refused(self.post_raw(body.encode()), 400, code, param)

    def test_unknown_tokens_in_a_bias_are_refused_not_ignored(self):
        answer = self.post(CHAT, chat_with(logit_bias={"2000000000": 5}))
        self.assertEqual(answer.status, 400, answer)

    def test_unknown_paths_and_methods(self):
        for method, path in (("GET", "/nowhere"), ("POST", "/v1/chat"), ("GET", "/v1/models/"), ("POST", "/v2/x"),
                             ("DELETE", "/anything"), ("GET", "/v1/models/..."), ("GET", "//v1/models")):
            with self.subTest(path=path):
                answer = self.server.request(method, path)
                self.assertEqual(answer.status, 404, answer)
        self.refused(self.get("/nowhere"), 404, "unknown_url")
        for method, path, allow in (("GET", CHAT, "POST"), ("PUT", CHAT, "POST"), ("DELETE", "/v1/models", "GET"),
                                    ("POST", "/health", "GET"), ("PATCH", "/tokenize", "POST")):
            with self.subTest(method=method, path=path):
                answer = self.server.request(method, path)
                self.refused(answer, 405, "method_not_allowed")
                self.assertIn(allow, answer.headers["allow"])

    def test_other_content_types(self):
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json", ""):
            with self.subTest(kind=kind):
                answer = self.post(CHAT, json.dumps(chat_with()), {"Content-Type": kind})
                self.refused(answer, 415, "unsupported_media_type")

    def test_too_large_a_body_head_and_target(self):
        self.refused_on_the_wire(self.post_raw(b'{"a":"' + b"x" * (2 << 20) + b'"}'), 413, "body_too_large", "limits.body_bytes_max")
        self.refused_on_the_wire(self.get("/health", {"x-filler": "y" * 20000}), 431, "header_too_large")
        self.refused_on_the_wire(self.get("/health?" + "y" * 5000), 414, "target_too_long")

    def test_a_body_that_is_no_object_is_told_what_it_is(self):
        for body, words in ((b"[1]", "it is an array"), (b"7", "it is an integer"), (b'"a"', "it is a string"), (b"null", "it is null")):
            self.assertIn(words, self.assert_error(self.post_raw(body), 400, "invalid_type")["message"])

    def refused_on_the_wire(self, answer, status, code, words=""):
        self.assertIn(words, self.assert_error(answer, status, code)["message"])
        openai_schema.check("ErrorResponse", answer.json())

    def test_a_bad_request_line_is_an_error_object_too(self):
        for raw in (b"NONSENSE\r\n\r\n", b"GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n",
                    b"GET /health HTTP/1.1\r\n\r\n"):
            with self.subTest(raw=raw):
                answers = self.server.raw_answers(raw)
                self.assertEqual(len(answers), 1)
                self.assertGreaterEqual(answers[0].status, 400)
                openai_schema.check("ErrorResponse", answers[0].json())

    def test_an_error_never_shows_the_whole_body_back(self):
        answer = self.post(CHAT, {"messages": HELLO, "model": "m" * 100_000})
        self.assertLess(len(answer.body), 2000)


class Vocabulary(harness.unittest.TestCase):
    def test_the_page_lists_every_code_with_its_status(self):
        table = (harness.SOURCE / "src/dialect/api_error.c").read_text()
        page = (harness.SOURCE / "docs/api.md").read_text().split("## Errors")[1]
        rows = re.findall(r'\[API_\w+\] = \{"(\w+)", [^,]+, (\d+), \w+\}', table)
        self.assertGreater(len(rows), 40)
        listed = {code: status for codes, status in re.findall(r"^\| (`.*?`) \| (\d+) \|", page, re.M)
                  for code in re.findall(r"`(\w+)`", codes)}
        self.assertEqual(listed, {name: status for name, status in rows if name != "ok"})


class Corpora(harness.ServerCase):
    """Any byte string as a body gives 200 or an error object: published collections of hostile ones."""

    def each_is_answered(self, bodies, path, statuses):
        for name, body in bodies:
            answer = self.post(path, body, {"Content-Type": "application/json"}, timeout_s=20)
            self.assertIn(answer.status, statuses, (name, answer))
            value = answer.json()
            if answer.status != 200:
                openai_schema.check("ErrorResponse", value)

    def test_jsontestsuite_as_bodies(self):
        folder = harness.data("data", "jsontestsuite", "test_parsing")
        bodies = [(p.name, p.read_bytes()) for p in sorted(folder.iterdir())]
        self.assertGreater(len(bodies), 300)
        for path in (CHAT, "/v1/completions", "/v1/embeddings", "/tokenize"):
            self.each_is_answered(bodies, path, (400,))

    def test_jsontestsuite_inside_a_request(self):
        folder = harness.data("data", "jsontestsuite", "test_parsing")
        bodies = [(p.name, b'{"messages":[{"role":"user","content":"a"}],"max_tokens":1,"metadata":' + p.read_bytes()
                   + b"}") for p in sorted(folder.iterdir())]
        self.each_is_answered(bodies, CHAT, (200, 400))

    def test_utf8_lines_as_bodies_and_as_content(self):
        lines = harness.data("data", "utf8tests", "utf8tests.bin").read_bytes().split(b"\n")
        lines += harness.data("data", "utf8tests", "utf8tests.txt").read_bytes().split(b"\n")
        quoted = [line.replace(b"\\", b"\\\\").replace(b'"', b'\\"') for line in lines]
        self.each_is_answered(enumerate(lines), CHAT, (400,))
        self.each_is_answered(((i, b'{"messages":[{"role":"user","content":"' + line + b'"}],"max_tokens":1}')
                               for i, line in enumerate(quoted)), CHAT, (200, 400))

    def test_naughty_strings_as_prompts(self):
        strings = harness.data("data", "blns", "blns.txt").read_text("utf-8").split("\n")
        self.assertGreater(len(strings), 500)
        for text in strings:
            answer = self.post("/v1/completions", {"prompt": text, "max_tokens": 1}, timeout_s=20)
            self.assertIn(answer.status, (200, 400), (text, answer))
            back = self.post("/tokenize", {"prompt": text, "add_special_tokens": False})
            self.assertEqual(back.status, 200, text)
        for text in strings[::7]:
            answer = self.chat(text, max_tokens=2)
            self.assertIn(answer.status, (200, 400), (text, answer))
            answer.json()

    def test_naughty_strings_as_every_member(self):
        strings = harness.data("data", "blns", "blns.txt").read_text("utf-8").split("\n")[::9]
        for text in strings:
            for fields in ({"model": text}, {"stop": text}, {"user": text}, {text: text}, {"tool_choice": text}):
                answer = self.post(CHAT, chat_with(**fields))
                self.assertIn(answer.status, (200, 400, 404), (fields, answer))
                answer.json()


class Busy(harness.ServerCase):
    config = "engine:\n  sequences_max: 1\n  queue_max: 1\nlimits:\n  request_timeout: 20s\n"

    def test_a_full_queue_is_429_with_when_to_come_back(self):
        long = chat_with(max_tokens=4096, ignore_eos=True, stream=True, n=1)
        running = [self.stream(CHAT, long) for _ in range(2)]
        for stream in running:
            next(stream)
            break
        try:
            waiting = self.server.connect()
            body = json.dumps(long).encode()
            waiting.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                            b"Content-Length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body)
            answer = harness.wait_until(lambda: (a := self.post(CHAT, chat_with(max_tokens=1))).status == 429 and a, 5)
            if not answer:
                self.skipTest("the model answers faster than a queue can fill")
            self.assert_error(answer, 429, "queue_full")
            self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)
            self.assertEqual(answer.headers["x-should-retry"], "true")
            waiting.close()
        finally:
            for stream in running:
                stream.close()


if __name__ == "__main__":
    harness.main()
