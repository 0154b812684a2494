"""POST /v1/embeddings beside the last hidden states of transformers in float64: the mean and the last token, whole and cut to
fewer dimensions, alone and in a list. The models are those of variants.py, and their folders transformers' own.

Not part of `make test`: run by `make test-oracle`."""
# REQ: API-4 ENG-13

import sys
import tempfile
import unittest
from pathlib import Path

import numpy
import torch
import variants
from transformers_test import build

sys.path.insert(0, str(Path(__file__).parent.parent / "api"))
import harness  # noqa: E402

DIFFERENCE_MAX = 5e-6  # of a vector of unit length


def expected(model, ids, pooling, dimensions=None):
    with torch.no_grad():
        states = model.base_model(torch.tensor([ids])).last_hidden_state[0].numpy()
    vector = (states.mean(axis=0) if pooling == "mean" else states[-1])[:dimensions]
    return vector / numpy.linalg.norm(vector)


class Embeddings(unittest.TestCase):
    def compare(self, what, model, server, **fields):
        texts = [variants.ids(), variants.ids()[:1], variants.ids()[5:40]]
        answer = server.post("/v1/embeddings", {"input": texts, **fields})
        self.assertEqual(answer.status, 200, answer)
        found = [d["embedding"] for d in answer.json()["data"]]
        wanted = [expected(model, ids, fields.get("pooling", "mean"), fields.get("dimensions")) for ids in texts]
        largest = max(float(numpy.abs(numpy.array(f) - w).max()) for f, w in zip(found, wanted))
        print(f"{what} {fields}: {largest:.1e} apart at most")
        self.assertLess(largest, DIFFERENCE_MAX, what)

    def test_vectors_are_those_of_transformers(self):
        for name in ("gpt2", "llama", "qwen2", "qwen3"):
            with self.subTest(name), tempfile.TemporaryDirectory(prefix="weir-oracle-") as folder:
                model = build(variants.CASES[name])
                model.save_pretrained(folder, safe_serialization=True)
                variants.write_vocabulary(Path(folder), model.config.vocab_size)
                model = model.to(torch.float64)
                with harness.Server(["--model", folder]) as server:
                    for fields in ({}, {"pooling": "last"}, {"dimensions": 24}, {"pooling": "last", "dimensions": 5}):
                        self.compare(name, model, server, **fields)

    def test_a_folder_says_how_it_pools(self):
        with tempfile.TemporaryDirectory(prefix="weir-oracle-") as folder:
            model = build(variants.CASES["qwen3"])
            model.save_pretrained(folder, safe_serialization=True)
            variants.write_vocabulary(Path(folder), model.config.vocab_size)
            Path(folder, "1_Pooling").mkdir()
            Path(folder, "1_Pooling", "config.json").write_text('{"pooling_mode_lasttoken": true}')
            with harness.Server(["--model", folder]) as server:
                answer = server.post("/v1/embeddings", {"input": variants.ids()}).json()
            wanted = expected(model.to(torch.float64), variants.ids(), "last")
            self.assertLess(float(numpy.abs(numpy.array(answer["data"][0]["embedding"]) - wanted).max()), DIFFERENCE_MAX)


if __name__ == "__main__":
    unittest.main(verbosity=1)
