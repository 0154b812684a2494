# REQ: ENG-8 API-1
"""Answers of the local model that are held to a form: JSON mode, JSON Schema, regular expressions, GBNF, choices, in every
protocol that has words for them. The model is small and talks at random; its answers must fit all the same."""

import json
import random
import unittest
from concurrent.futures import ThreadPoolExecutor

import harness

try:
    import jsonschema
except ImportError:
    jsonschema = None

PERSON = {"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
                                           "tags": {"type": "array", "items": {"enum": ["red", "green"]}, "maxItems": 3}},
          "required": ["name", "age", "tags"], "additionalProperties": False}
FORMATS = ("date", "time", "date-time", "email", "uuid", "ipv4", "uri")
PATTERNS = ("^[A-Z][a-z]{2,8}$", r"^\d{3}-\d{4}$", "(cat|dog)s?", "^(a|b{2})+c?$", "^[^x]{3}$")


def scalar(r):
    low = r.randint(-500, 500)
    return r.choice((
        {"type": "boolean"}, {"type": "null"}, {"const": r.choice(("on", 7, None, {"k": [1]}))},
        {"enum": r.sample(["red", "green", 3, 2.5, None, True, "a\"b", "\u00e9"], 4)},
        {"type": "integer", "minimum": low, "maximum": low + r.randint(0, 2000)},
        {"type": "integer", "exclusiveMinimum": low, "maximum": low + 100, "multipleOf": r.choice((1, 3, 10))},
        {"type": "number", "minimum": low / 4, "exclusiveMaximum": low / 4 + 10},
        {"type": "string", "minLength": r.randint(0, 3), "maxLength": r.randint(3, 12)},
        {"type": "string", "pattern": r.choice(PATTERNS), "maxLength": 16},
        {"type": "string", "format": r.choice(FORMATS)},
        {"type": ["integer", "null"], "maximum": 99},
    ))


def schema(r, depth):
    """A schema of what users ask for; no value of it is long."""
    kind = r.randint(0, 9) if depth else 0
    if kind < 4:
        return scalar(r)
    if kind < 7:
        names = r.sample(["id", "name", "a b", "x-1", "\u00fcber", "kind", "note"], r.randint(1, 4))
        made = {"type": "object", "properties": {n: schema(r, depth - 1) for n in names},
                "required": [n for n in names if r.random() < 0.7]}
        if r.random() < 0.5:
            made["additionalProperties"] = False
        return made
    if kind == 7:
        least = r.randint(0, 2)
        return {"type": "array", "items": schema(r, depth - 1), "minItems": least, "maxItems": least + r.randint(0, 2)}
    if kind == 8:
        return {"anyOf": [schema(r, depth - 1), {"type": "array", "prefixItems": [scalar(r), scalar(r)], "minItems": 2}]}
    return {"oneOf": [{"type": "object", "properties": {"kind": {"const": k}, "value": schema(r, depth - 1)}, "required": ["kind", "value"]}
                      for k in ("a", "b")]}


RECURSIVE = {"$ref": "#/$defs/node", "$defs": {"node": {
    "type": "object", "properties": {"value": {"type": "integer", "minimum": 0, "maximum": 9},
                                     "children": {"type": "array", "items": {"$ref": "#/$defs/node"}, "maxItems": 1}},
    "required": ["value", "children"], "additionalProperties": False}}}


class Structured(harness.ServerCase):
    def ask(self, seed=1, **fields):
        answer = self.chat("Tell me a story.", **{"seed": seed, "max_tokens": 400, **fields})
        self.assertEqual(answer.status, 200, answer)
        choice = answer.json()["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    def by_schema(self, schema, seed=1, **fields):
        form = {"type": "json_schema", "json_schema": {"name": "answer", "strict": True, "schema": schema}}
        return self.ask(seed, response_format=form, **fields)

    @unittest.skipUnless(jsonschema, "jsonschema is missing (scripts/setup test)")
    def test_answers_to_generated_schemas_are_valid(self):
        r = random.Random(2026)
        schemas = [{"type": "object", "properties": {"answer": schema(r, 3)}, "required": ["answer"]} for _ in range(60)] + [RECURSIVE] * 4
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda i: self.by_schema(schemas[i], seed=i), range(len(schemas))))
        complete = 0
        for asked, (text, finish) in zip(schemas, answers):
            if finish == "length":
                continue
            complete += 1
            with self.subTest(schema=asked, text=text):
                jsonschema.validate(json.loads(text), asked, jsonschema.Draft202012Validator,
                                    format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
        self.assertGreaterEqual(complete, len(schemas) * 0.9)

    def test_json_mode_gives_objects(self):
        for seed in range(5):
            text, finish = self.ask(seed, response_format={"type": "json_object"}, temperature=1.5)
            if finish == "stop":
                self.assertIsInstance(json.loads(text), dict)
            self.assertEqual(text[0], "{")

    def test_a_short_limit_cuts_it(self):
        text, finish = self.by_schema(PERSON, max_tokens=4)
        self.assertEqual(finish, "length")
        self.assertEqual(text.strip()[0], "{")

    def test_expressions_grammars_and_choices(self):
        grammar = 'root ::= "(" root ")" | [0-9]{1,3}'
        for seed in range(4):
            self.assertRegex(self.ask(seed, guided_regex="[a-c]{2,5}-(ä|ö)")[0], "^[a-c]{2,5}-(ä|ö)$")
            self.assertRegex(self.ask(seed, structured_outputs={"regex": r"\d\d:\d\d"})[0], r"^\d\d:\d\d$")
            self.assertIn(self.ask(seed, guided_choice=["yes", "no", "not now"])[0], ("yes", "no", "not now"))
            self.assertIn(self.ask(seed, structured_outputs={"choice": ["a", "ab"]})[0], ("a", "ab"))
            for fields in ({"grammar": grammar}, {"guided_grammar": grammar}, {"structured_outputs": {"grammar": grammar}}):
                text, finish = self.ask(seed, **fields)
                if finish == "stop":
                    self.assertEqual(text.count("("), text.count(")"))
                    self.assertRegex(text, r"^\(*\d{1,3}\)*$")
            for fields in ({"guided_json": PERSON}, {"json_schema": PERSON}, {"structured_outputs": {"json": PERSON}},
                           {"response_format": {"type": "json_object", "schema": PERSON}}):
                self.assertEqual(set(json.loads(self.ask(seed, **fields)[0])), {"name", "age", "tags"})

    def test_every_protocol_has_its_words(self):
        chat = [{"role": "user", "content": "Hi"}]
        cases = [("/v1/completions", {"prompt": "Once", "max_tokens": 300, "guided_json": PERSON}, lambda a: a["choices"][0]["text"]),
                 ("/v1/responses", {"input": "Hi", "text": {"format": {"type": "json_schema", "name": "p", "schema": PERSON}}},
                  lambda a: a["output"][0]["content"][0]["text"]),
                 ("/v1/messages", {"messages": chat, "max_tokens": 300, "output_config": {"format": {"type": "json_schema", "schema": PERSON}}},
                  lambda a: a["content"][0]["text"]),
                 ("/api/chat", {"messages": chat, "format": PERSON, "stream": False}, lambda a: a["message"]["content"]),
                 ("/api/generate", {"prompt": "Hi", "format": PERSON, "stream": False}, lambda a: a["response"]),
                 ("/api/generate", {"prompt": "Hi", "format": "json", "stream": False, "options": {"num_predict": 200}},
                  lambda a: a["response"] if a["done_reason"] == "stop" else '{"name": "", "age": 0, "tags": []}')]
        for path, body, text_of in cases:
            with self.subTest(path):
                answer = self.post(path, {"model": "default", **body})
                self.assertEqual(answer.status, 200, answer)
                made = json.loads(text_of(answer.json()))
                if body.get("format") != "json":
                    self.assertEqual(set(made), {"name", "age", "tags"})

    def test_a_stream_says_the_same(self):
        form = {"type": "json_schema", "json_schema": {"name": "p", "schema": PERSON}}
        whole = self.by_schema(PERSON, seed=5)[0]
        body = {"model": "default", "messages": [{"role": "user", "content": "Tell me a story."}], "seed": 5, "max_tokens": 400,
                "response_format": form, "stream": True}
        pieces = [e.json()["choices"][0]["delta"].get("content") or ""
                  for e in self.stream("/v1/chat/completions", body) if e.data != "[DONE]"]
        self.assertEqual("".join(pieces), whole)

    def test_scores_are_those_of_the_model_unheld(self):
        """The likelihood of a token is by all that the model could have said, so that few of them come near 1."""
        answer = self.chat("Hi", seed=1, max_tokens=8, guided_regex="[0-9]{8}", logprobs=True, top_logprobs=3).json()
        for token in answer["choices"][0]["logprobs"]["content"]:
            self.assertLess(token["logprob"], 0)
            self.assertGreaterEqual(token["top_logprobs"][0]["logprob"], token["logprob"])

    def test_a_begun_answer_goes_on_within_it(self):
        messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": '{"name": "Bo'}]
        answer = self.post("/v1/messages", {"model": "default", "max_tokens": 300, "messages": messages,
                                            "output_config": {"format": {"type": "json_schema", "schema": PERSON}}})
        self.assertEqual(answer.status, 200, answer)
        made = json.loads('{"name": "Bo' + answer.json()["content"][0]["text"])
        self.assertTrue(made["name"].startswith("Bo"))

    def test_what_cannot_be_held_is_refused_by_its_place(self):
        def by(schema):
            return {"response_format": {"type": "json_schema", "json_schema": {"name": "p", "schema": schema}}}
        cases = [(by({"properties": {"a": {"not": {}}}}), "unsupported_parameter", "response_format", "'not' at #/properties/a"),
                 (by({"type": "array", "items": {"type": "number", "multipleOf": 0.1}}), "unsupported_parameter", "response_format", "'multipleOf' at #/items"),
                 (by({"$ref": "#/nowhere"}), "invalid_value", "response_format", "leads nowhere"),
                 (by({"type": "integer", "minimum": 2, "maximum": 1}), "invalid_value", "response_format", "nothing can be said"),
                 ({"guided_regex": "a(?!b)"}, "unsupported_parameter", "guided_regex", "look-around"),
                 ({"guided_regex": "(a{900}){900}"}, "invalid_value", "guided_regex", "too large"),
                 ({"grammar": "root ::= root \"a\" | \"b\""}, "invalid_value", "grammar", "left recursion"),
                 ({"guided_choice": []}, "invalid_value", "guided_choice", "at least one"),
                 ({"guided_choice": ["a"], "guided_regex": "b"}, "invalid_value", "guided_regex", "one form")]
        for fields, code, param, words in cases:
            with self.subTest(words):
                answer = self.chat("Hi", **fields)
                error = self.assert_error(answer, 400, code)
                self.assertEqual(error["param"], param)
                self.assertIn(words, error["message"])


if __name__ == "__main__":
    harness.main()
