# REQ: API-4 ENG-13
"""POST /v1/embeddings: unit vectors, as floats or base64, the same alone and in a list."""

import base64
import math
import struct

import harness
import openai_schema


class Embeddings(harness.ServerCase):
    def embed(self, **fields):
        answer = self.post("/v1/embeddings", {"model": "default", **fields})
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def test_vectors_have_unit_length_and_the_schema_of_openai(self):
        answer = self.embed(input=["a dog", "a cat", "the sea"])
        openai_schema.check("CreateEmbeddingResponse", answer)
        self.assertEqual([d["index"] for d in answer["data"]], [0, 1, 2])
        for item in answer["data"]:
            self.assertAlmostEqual(math.fsum(v * v for v in item["embedding"]), 1.0, places=5)

    def test_base64_is_the_same_floats(self):
        floats = self.embed(input="a dog")["data"][0]["embedding"]
        packed = base64.b64decode(self.embed(input="a dog", encoding_format="base64")["data"][0]["embedding"])
        self.assertEqual(struct.pack(f"<{len(floats)}f", *floats), packed)

    def test_alone_in_a_list_and_as_ids_are_one_vector(self):
        ids = self.post("/tokenize", {"prompt": "a dog"}).json()["tokens"]
        alone = self.embed(input="a dog")["data"][0]["embedding"]
        self.assertEqual(self.embed(input=["x", "a dog"])["data"][1]["embedding"], alone)
        self.assertEqual(self.embed(input=ids)["data"][0]["embedding"], alone)
        self.assertEqual(self.embed(input=[ids, ids])["data"][1]["embedding"], alone)

    def test_fewer_dimensions_are_the_first_ones_of_unit_length(self):
        whole = self.embed(input="a dog")["data"][0]["embedding"]
        self.assertEqual(self.embed(input="a dog", dimensions=len(whole))["data"][0]["embedding"], whole)
        part = self.embed(input="a dog", dimensions=7)["data"][0]["embedding"]
        length = math.sqrt(math.fsum(v * v for v in whole[:7]))
        self.assertEqual(len(part), 7)
        for one, other in zip(part, whole):
            self.assertAlmostEqual(one, other / length, places=6)

    def test_more_dimensions_than_the_model_has_are_refused(self):
        size = len(self.embed(input="a")["data"][0]["embedding"])
        error = self.assert_error(self.post("/v1/embeddings", {"input": "a", "dimensions": size + 1}), 400,
                                  "above_max_value")
        self.assertEqual(error["param"], "dimensions")

    def test_the_last_token_or_the_mean(self):
        """Of one token both are the same; a text's mean is by the tokens' states, each the last of what ends there."""
        ids = self.post("/tokenize", {"prompt": "a dog runs"}).json()["tokens"]
        states = [self.embed(input=ids[: i + 1], pooling="last")["data"][0]["embedding"] for i in range(len(ids))]
        self.assertEqual(self.embed(input=ids[:1], pooling="mean")["data"][0]["embedding"], states[0])
        self.assertEqual(self.embed(input=["x", "a dog runs"], pooling="last")["data"][1]["embedding"], states[-1])
        mean = self.embed(input=ids)["data"][0]["embedding"]
        self.assertEqual(self.embed(input=ids, pooling="mean")["data"][0]["embedding"], mean)
        self.assertNotEqual(mean, states[-1])
        with harness.Server(config=f"models: [{{name: m, source: '{harness.SOURCE}/models/weir-tiny.gguf', pooling: last}}]\n") as s:
            answer = s.post("/v1/embeddings", {"input": ids}).json()
            self.assertEqual(answer["data"][0]["embedding"], states[-1])

    def test_usage_counts_all_inputs(self):
        one = self.embed(input="a dog")["usage"]["prompt_tokens"]
        three = self.embed(input=["a dog"] * 3)["usage"]
        self.assertEqual((three["prompt_tokens"], three["total_tokens"]), (3 * one, 3 * one))

    def test_a_long_list(self):
        answer = self.embed(input=[f"number {i}" for i in range(500)], encoding_format="base64")
        self.assertEqual(len(answer["data"]), 500)

    def test_refusals(self):
        context = self.get("/v1/models").json()["data"][0]["context_length"]
        cases = [({}, "missing_required_parameter", "input"), ({"input": ""}, "invalid_value", "input"),
                 ({"input": "a", "encoding_format": "hex"}, "invalid_value", "encoding_format"),
                 ({"input": "a", "pooling": "max"}, "invalid_value", "pooling"),
                 ({"input": "word " * context * 2}, "context_length_exceeded", "input"),
                 ({"input": ["x"] * 2049}, "array_above_max_length", "input")]
        for body, code, param in cases:
            error = self.assert_error(self.post("/v1/embeddings", body), 400, code)
            self.assertEqual(error["param"], param)


if __name__ == "__main__":
    harness.main()
