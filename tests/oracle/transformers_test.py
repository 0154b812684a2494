"""weir's logits beside those of PyTorch and transformers, on the same random weights saved as a Hugging Face folder.

Not part of `make test`: run by `make test-oracle`, which installs both. The program under test is oracle_logits
(tests/oracle/logits.c, $ORACLE_LOGITS)."""
# REQ: ENG-1 ENG-2

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import numpy as np
import torch
import transformers

ORACLE = os.environ["ORACLE_LOGITS"]
DIFFERENCE_MAX = 1e-3
IDS = [0, 5, 77, 5, 401, 13, 255, 255, 8, 90, 91, 92, 93, 94, 95, 96, 97, 400, 3, 1]


def write_vocabulary(folder, size):
    """A byte-level BPE vocabulary without merges, of the model's size: the ids are given, so no text is read."""
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in letters]
    alphabet = [chr(b) for b in letters] + [chr(256 + i) for i in range(len(others))]
    tokens = alphabet + [f"<unused{i}>" for i in range(size - len(alphabet))]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))


class Logits(unittest.TestCase):
    def compare(self, model, dtype=torch.float64):
        model = model.eval()
        with tempfile.TemporaryDirectory(prefix="weir-oracle-") as name, torch.no_grad():
            folder = Path(name)
            model.save_pretrained(folder, safe_serialization=True)
            write_vocabulary(folder, model.config.vocab_size)
            expected = model.to(dtype)(torch.tensor([IDS])).logits[0].numpy()
            done = subprocess.run([ORACLE, name, *map(str, IDS)], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        logits = np.frombuffer(done.stdout, np.float32).reshape(expected.shape)
        difference = float(np.abs(logits - expected).max())
        print(f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters: largest logit "
              f"difference {difference:.2e}, largest logit {np.abs(expected).max():.2f}")
        self.assertLessEqual(difference, DIFFERENCE_MAX)
        self.assertGreater(float(np.abs(expected).max()), 0.1)

    def test_gpt2_of_124_million_parameters(self):
        torch.manual_seed(1)
        self.compare(transformers.GPT2LMHeadModel(transformers.GPT2Config()))

    def test_llama_with_grouped_queries(self):
        torch.manual_seed(2)
        self.compare(transformers.LlamaForCausalLM(transformers.LlamaConfig(
            vocab_size=1024, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=8,
            num_key_value_heads=2, max_position_embeddings=256)))

    def test_qwen2_with_biases_and_a_tied_head(self):
        torch.manual_seed(3)
        self.compare(transformers.Qwen2ForCausalLM(transformers.Qwen2Config(
            vocab_size=1024, hidden_size=256, intermediate_size=704, num_hidden_layers=4, num_attention_heads=8,
            num_key_value_heads=4, max_position_embeddings=256, tie_word_embeddings=True)),
            torch.float32)  # the mask of this version overflows in float64


if __name__ == "__main__":
    unittest.main(verbosity=2)
