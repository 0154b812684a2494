"""weir's logits beside those of PyTorch and transformers: every variant in variants.py, written by transformers itself as a
Hugging Face folder, and as a GGUF file. With --write: what transformers computes becomes tests/data/transformers_logits.json,
to which truth_test.py holds the engine in `make test`.

Not part of `make test`: run by `make test-oracle`, which installs both. The program under test is oracle_logits
(tests/oracle/logits.c, $WEIR_ORACLE_LOGITS)."""
# REQ: ENG-1 ENG-2

import json
import sys
import tempfile
import unittest
from pathlib import Path

import numpy
import torch
import transformers
import variants
from truth_test import RELATIVE_MAX, TABLE, engine

CLASSES = {"gpt2": "GPT2", "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3", "smollm3": "SmolLM3",
           "glm": "Glm"}  # fmt: skip


def build(case, **changes):
    config = getattr(transformers, CLASSES[case.kind] + "Config")(**{**case.configuration(), **changes})
    config._attn_implementation = "eager"
    head = "LMHeadModel" if case.kind == "gpt2" else "ForCausalLM"
    model = getattr(transformers, CLASSES[case.kind] + head)(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(variants.weight(name, tuple(parameter.shape))))
    return model


def logits(model):
    with torch.no_grad():
        return model.to(torch.float64)(torch.tensor([variants.ids()])).logits[0].numpy()


KEYS = ("model_type", "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
        "num_key_value_heads", "head_dim", "max_position_embeddings", "rms_norm_eps", "rope_theta", "rope_scaling",
        "attention_bias", "mlp_bias", "tie_word_embeddings", "sliding_window", "use_sliding_window", "max_window_layers",
        "layer_types", "no_rope_layers", "partial_rotary_factor", "n_embd", "n_layer", "n_head", "n_positions",
        "layer_norm_epsilon", "activation_function")  # fmt: skip


def row(model, found):
    """What the table keeps: of the configuration the members that say what is computed."""
    everything = model.config.to_dict()
    config = {key: everything[key] for key in KEYS if key in everything}
    if "rope_parameters" in everything:  # as transformers 5 has it
        rope = dict(everything["rope_parameters"])
        config["rope_theta"] = rope.pop("rope_theta")
        config["rope_scaling"] = rope if rope["rope_type"] != "default" else None
    kept = found[list(variants.KEPT_POSITIONS)][:, list(variants.KEPT_LOGITS)]
    return {"config": config, "shapes": {n: list(p.shape) for n, p in model.named_parameters()},
            "largest": round(float(numpy.abs(found).max()), 4), "best": found.argmax(axis=1).tolist(),
            "logits": [[float(f"{x:.8g}") for x in r] for r in kept]}  # fmt: skip


def write_table():
    rows = []
    for name, case in variants.CASES.items():
        model = build(case)
        r = row(model, logits(model))
        rows.append(f"{json.dumps(name)}: {json.dumps(r)}")
    TABLE.write_text("{\n" + ",\n".join(rows) + "\n}\n")


class Logits(unittest.TestCase):
    def compare(self, what, path, expected):
        difference = float(numpy.abs(engine(path) - expected).max())
        relative = difference / float(numpy.abs(expected).max())
        print(f"{what}: largest difference {difference:.1e}, {relative:.1e} of the largest logit")
        self.assertLess(relative, RELATIVE_MAX, what)

    def one(self, name, case, folder):
        model = build(case)
        if case.folder:
            model.save_pretrained(folder, safe_serialization=True)
            variants.write_vocabulary(folder, model.config.vocab_size)
        expected = logits(model)
        if case.without:
            change = float(numpy.abs(logits(build(case, **case.without)) - expected).max())
            self.assertGreater(change, 0.1, f"{name}: the plain model says the same")
        if case.folder:
            self.compare(name, folder, expected)
        if case.in_gguf and case.kind != "gpt2":
            here = row(model, expected)
            variants.write_gguf(folder / "model.gguf", case, here["config"], here["shapes"])
            self.compare(f"{name}, as GGUF", folder / "model.gguf", expected)
        return row(model, expected)

    def test_every_variant(self):
        table = json.loads(TABLE.read_text())
        for name, case in variants.CASES.items():
            with self.subTest(name), tempfile.TemporaryDirectory(prefix="weir-oracle-") as folder:
                now = self.one(name, case, Path(folder))
                self.assertTrue(numpy.allclose(now.pop("logits"), table[name]["logits"], rtol=0, atol=1e-4), name)
                self.assertEqual(now["config"], table[name]["config"], name)
                self.assertEqual(now["best"], table[name]["best"], name)

    def test_gpt2_of_124_million_parameters(self):
        torch.manual_seed(1)
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
        with tempfile.TemporaryDirectory(prefix="weir-oracle-") as name:
            folder = Path(name)
            model.save_pretrained(folder, safe_serialization=True)
            variants.write_vocabulary(folder, model.config.vocab_size)
            self.compare("gpt2, 124 million parameters", folder, logits(model))

    def test_what_is_not_computed_is_refused_by_name(self):
        case = variants.CASES["llama"]
        lists = {"short_factor": [1.0] * 8, "long_factor": [2.0] * 8, "original_max_position_embeddings": 64}
        for scaling in ({"rope_type": "longrope", "factor": 4.0, **lists},):
            with self.subTest(scaling["rope_type"]), tempfile.TemporaryDirectory(prefix="weir-oracle-") as name:
                build(case, rope_scaling=scaling).save_pretrained(name, safe_serialization=True)
                variants.write_vocabulary(Path(name), case.configuration()["vocab_size"])
                with self.assertRaisesRegex(RuntimeError, scaling["rope_type"]):
                    engine(name)


if __name__ == "__main__":
    if "--write" in sys.argv:
        sys.exit(write_table())
    unittest.main(verbosity=2)
