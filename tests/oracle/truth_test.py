#!/usr/bin/python3
"""weir's logits beside those that transformers computed, of every variant in variants.py, as a Hugging Face folder and as a
GGUF file. The table tests/data/transformers_logits.json holds transformers' configuration, the parameters' shapes and a
sample of its logits in float64; `make test-oracle` compares all logits and checks that the table is what transformers says."""
# REQ: ENG-1 ENG-2

import json
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy
import variants

LOGITS = os.environ.get("WEIR_ORACLE_LOGITS")
TABLE = Path(__file__).parent.parent / "data" / "transformers_logits.json"
RELATIVE_MAX = 1e-5  # of the largest logit: what f32 leaves of float64


def engine(path):
    done = subprocess.run([LOGITS, path, *map(str, variants.ids())], capture_output=True, timeout=60)
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return numpy.frombuffer(done.stdout, numpy.float32).reshape(variants.TOKENS, -1)


def newer(config):
    """The configuration with all about rotary positions in one member, as transformers 5 has it."""
    rope = config.get("rope_scaling") or {"rope_type": "default"}
    rest = {key: value for key, value in config.items() if key not in ("rope_theta", "rope_scaling")}
    return {**rest, "rope_parameters": {"rope_theta": config["rope_theta"], **rope}}


class Truth(unittest.TestCase):
    def compare(self, what, path, case):
        logits = engine(path)
        kept = logits[list(variants.KEPT_POSITIONS)][:, list(variants.KEPT_LOGITS)]
        difference = float(numpy.abs(kept - numpy.array(case["logits"])).max()) / case["largest"]
        print(f"{what}: {difference:.1e} of the largest logit ({case['largest']:.1f}) at most")
        self.assertLess(difference, RELATIVE_MAX, what)
        self.assertEqual(logits.argmax(axis=1).tolist(), case["best"], what)

    def test_every_variant(self):
        table = json.loads(TABLE.read_text())
        self.assertEqual(sorted(table), sorted(variants.CASES))
        for name, case in variants.CASES.items():
            with self.subTest(name), tempfile.TemporaryDirectory(prefix="weir-truth-") as folder:
                row = table[name]
                if case.folder:
                    variants.write_folder(Path(folder), row["config"], row["shapes"])
                    self.compare(name, folder, row)
                    if "rope_theta" in row["config"]:
                        variants.write_folder(Path(folder), newer(row["config"]), row["shapes"])
                        self.compare(f"{name}, as transformers 5 writes it", folder, row)
                if case.in_gguf and case.kind != "gpt2":
                    path = Path(folder) / "model.gguf"
                    variants.write_gguf(path, case, row["config"], row["shapes"])
                    self.compare(f"{name}, as GGUF", path, row)


if __name__ == "__main__":
    if not LOGITS:
        sys.exit("truth_test: $WEIR_ORACLE_LOGITS must name the program (ctest does)")
    unittest.main(verbosity=1)
