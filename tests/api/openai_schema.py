"""Answers held against OpenAI's own OpenAPI document (3.1, in the shared data).

    openai_schema.check("CreateChatCompletionResponse", answer)   # raises AssertionError with the path and the rule

Where that document (or the Python package jsonschema) is not here, nothing is held against it, the test file says so in its
closing lines, and what its tests ask for themselves is asked all the same.

Known quirk of the document: it forbids `finish_reason: null` in a streamed legacy completion, and null among
`token_logprobs` and `top_logprobs`, which OpenAI's server itself sends; see `completion_chunk` and `completion`.
"""

import functools
import json
import unittest

import harness

try:
    import jsonschema
except ImportError:  # the virtual environment of scripts/setup has it
    jsonschema = None


@functools.lru_cache(maxsize=1)
def document():
    """OpenAI's document, or None, with the reason left for the closing lines."""
    try:
        if jsonschema is None:
            raise unittest.SkipTest("the Python package jsonschema is missing (scripts/setup test)")
        return _nullable(json.loads(harness.data("data", "openai-openapi", "openapi.json").read_text()))
    except unittest.SkipTest as reason:
        harness.left_out(f"answers are not held against OpenAI's document: {reason}")
        return None


def _nullable(node):
    """3.0's `nullable: true` is still there in places: 3.1 has no such word."""
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _nullable(value) for key, value in node.items()}
    if node.get("nullable") is True:
        node.pop("nullable")
        return {"anyOf": [node, {"type": "null"}]}
    return node


@functools.lru_cache(maxsize=None)
def _validator(name):
    schemas = document()["components"]["schemas"]
    return jsonschema.Draft202012Validator({"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}})


def check(name, value):
    if document() is None:
        return
    errors = sorted(_validator(name).iter_errors(value), key=lambda e: list(e.absolute_path))
    if errors:
        first = errors[0]
        place = "/".join(map(str, first.absolute_path))
        raise AssertionError(f"{name}: {place or 'the answer'}: {first.message[:300]}")


def completion(value):
    """A legacy completion, with the nulls that OpenAI's own server sends in place of scores."""
    copy = json.loads(json.dumps(value))
    for choice in copy["choices"]:
        scores = choice.get("logprobs")
        if scores:
            scores["token_logprobs"] = [s for s in scores["token_logprobs"] if s is not None]
            scores["top_logprobs"] = [s for s in scores["top_logprobs"] if s is not None]
    check("CreateCompletionResponse", copy)


def completion_chunk(value):
    copy = json.loads(json.dumps(value))
    for choice in copy["choices"]:
        if choice["finish_reason"] is None:
            choice["finish_reason"] = "stop"
    if copy.get("usage", 0) is None:
        del copy["usage"]
    completion(copy)
