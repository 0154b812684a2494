#!/usr/bin/python3
# REQ: ENG-1 ENG-2 ENG-5
"""The engine's logits beside an independent float64 forward pass (reference.py), largest difference stated.

Models have random weights from fixed seeds (tools/mkmodel, and the unit tests' own generator for the K types); those of
logits with a standard deviation of 3. GPT-2 at its true 124M shape must agree within 1e-3 at F32.
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import numpy
except ImportError:
    print("skipped: numpy is missing (Debian package python3-numpy)")
    sys.exit(77)

import reference

SOURCE = Path(__file__).resolve().parents[2]
MODELS = SOURCE / "build" / "models"
SHARED = Path(os.environ.get("WEIR_TEST_DATA") or SOURCE.parent / "shared") / "models"
LOGITS, RANDOM = os.environ.get("WEIR_ORACLE_LOGITS"), os.environ.get("WEIR_ORACLE_RANDOM")
TOKENS = 40  # more than two blocks of the cache


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


class Beside(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="weir-oracle-")
        MODELS.mkdir(parents=True, exist_ok=True)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def made(self, shape, kind, *options):
        path = Path(self.folder.name) / "model.gguf"
        run(SOURCE / "tools" / "mkmodel", shape, kind, path, *options)
        return path

    def difference(self, path, ids, rounded=True, options=(), kv=None):
        """Engine minus reference, [tokens][vocabulary], and the standard deviation of the logits."""
        options = [*options, *(["--kv", kv] if kv else [])]
        engine = numpy.frombuffer(run(LOGITS, path, *options, *ids), dtype=numpy.float32).reshape(len(ids), -1)
        own = reference.logits(reference.File(path, rounded=rounded, kv=kv), ids)
        self.assertTrue(numpy.isfinite(engine).all())
        return engine - own, own.std()

    def ids(self, path, count, seed=7):
        n_vocab = reference.File(path).tensors["token_embd.weight"][0][1]
        return numpy.random.default_rng(seed).integers(0, n_vocab, count).tolist()

    def compare(self, what, path, most, tokens=TOKENS, rounded=True, options=()):
        difference, deviation = self.difference(path, self.ids(path, tokens), rounded, options)
        largest, root = numpy.abs(difference).max(), numpy.sqrt((difference**2).mean())
        print(f"{what}: logits differ by {largest:.2e} at most, {root:.2e} on average (standard deviation {deviation:.2f})")
        self.assertLessEqual(float(largest), most, what)

    def compare_quantised(self, what, path, tokens, kv=None):
        """Short texts: where no activation falls on the other side of a rounding, which f32 arithmetic cannot promise, the
        logits must agree; where one does (a step of 1/127 of a block's largest), they may differ visibly."""
        largest = [numpy.abs(self.difference(path, self.ids(path, tokens, seed), kv=kv)[0]).max() for seed in range(9)]
        print(f"{what}: logits of 9 texts differ by {numpy.median(largest):.2e} in the median, {max(largest):.2e} at most")
        self.assertLessEqual(float(numpy.median(largest)), 1e-4, what)
        self.assertLessEqual(float(max(largest)), 1.0, what)

    def test_gpt2_124m_f32(self):
        path = MODELS / "gpt2-124m-f32.gguf"
        if not path.exists():
            run(SOURCE / "tools" / "mkmodel", "gpt2-124m", "f32", path)
        self.compare("gpt2-124m f32", path, 1e-3, tokens=24)

    def test_every_architecture_at_f32(self):
        for shape in ("gpt2-tiny", "llama-tiny", "qwen2-tiny", "qwen3-tiny"):
            with self.subTest(shape):
                self.compare(f"{shape} f32", self.made(shape, "f32"), 2e-4)

    def test_chunks_and_threads_do_not_matter(self):
        path = self.made("llama-tiny", "f32")
        self.compare("llama-tiny f32, by 7 tokens, 2 threads", path, 2e-4, options=("--batch", 7, "--threads", 2))

    def test_positions(self):
        cases = {
            "linear scaling": ("--set", "llama.rope.scaling.type=linear", "--set", "llama.rope.scaling.factor=4.0"),
            "Llama 3.1's frequencies": ("--rope-freqs",),
            "another base, part of the head": ("--set", "llama.rope.freq_base=500000.0", "--set",
                                               "llama.rope.dimension_count=8"),
            "a sliding window": ("--set", "llama.attention.sliding_window=8"),
        }
        for what, options in cases.items():
            with self.subTest(what):
                self.compare(f"llama-tiny f32, {what}", self.made("llama-tiny", "f32", *options), 2e-4)

    def test_every_storage_type(self):
        """With the roundings that the engine states."""
        for shape in ("gpt2-tiny", "llama-tiny"):
            for kind in ("f16", "bf16"):
                with self.subTest(f"{shape} {kind}"):
                    self.compare(f"{shape} {kind}", self.made(shape, kind), 0.02)
            for kind in ("q8_0", "q4_0", "q4_1"):
                with self.subTest(f"{shape} {kind}"):
                    self.compare_quantised(f"{shape} {kind}", self.made(shape, kind), tokens=4)

    def test_k_types(self):
        path = Path(self.folder.name) / "k.gguf"
        for arch in ("gpt2", "llama"):
            for kind in ("Q4_K", "Q5_K", "Q6_K"):
                with self.subTest(f"{arch} {kind}"):
                    run(RANDOM, arch, kind, 256, path)
                    self.compare_quantised(f"{arch} {kind}", path, tokens=1)

    def test_a_head_of_its_own_in_every_type(self):
        path = Path(self.folder.name) / "untied.gguf"
        for kind in ("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q4_K", "Q5_K", "Q6_K"):
            with self.subTest(kind):
                run(RANDOM, "llama", kind, 256, path, "untied")
                self.assertTrue(reference.File(path).has("output.weight"))
                if kind in ("F32", "F16", "BF16"):
                    self.compare(f"untied llama {kind}", path, 2e-4 if kind == "F32" else 0.02)
                else:
                    self.compare_quantised(f"untied llama {kind}", path, tokens=1)

    def test_keys_and_values_in_eight_bits(self):
        """Beside a reference that rounds them so, and beside one that does not: what it costs."""
        for shape in ("gpt2-tiny", "llama-tiny", "qwen3-tiny"):
            with self.subTest(shape):
                path = self.made(shape, "f32")
                self.compare_quantised(f"{shape} f32, K and V in q8_0", path, tokens=4, kv="q8_0")
                rounded, _ = self.difference(path, self.ids(path, TOKENS), kv="q8_0")
                whole, _ = self.difference(path, self.ids(path, TOKENS), options=("--kv", "q8_0"))
                cost = numpy.sqrt((whole**2).mean())
                print(f"{shape}: rounding K and V to 8 bits moves the logits by {cost:.2e} on average")
                self.assertLess(numpy.sqrt((rounded**2).mean()), cost / 4)
                self.assertLess(cost, 0.05)

    def test_folders_are_the_same_models(self):
        """As a Hugging Face folder: bit for bit, whatever order a head's rows have there."""
        path, folder = Path(self.folder.name) / "one.gguf", Path(self.folder.name) / "folder"
        for arch in ("gpt2", "qwen2", "qwen3", "llama"):
            with self.subTest(arch):
                folder.mkdir(exist_ok=True)
                run(RANDOM, arch, "F32", 64, path, folder)
                ids = self.ids(path, TOKENS)
                one, other = (numpy.frombuffer(run(LOGITS, p, *ids), dtype=numpy.float32) for p in (path, folder))
                difference = float(numpy.abs(one - other).max())
                print(f"{arch} as a folder: logits differ by {difference:.2e}")
                self.assertEqual(difference, 0.0)

    def test_eight_bits_cost_little(self):
        """Against no rounding at all: what quantised activations and an f16 cache may change."""
        for shape, kind in (("gpt2-tiny", "q8_0"), ("llama-tiny", "q8_0"), ("llama-tiny", "f16")):
            with self.subTest(f"{shape} {kind}"):
                self.compare(f"{shape} {kind}, unrounded", self.made(shape, kind), 1.0, rounded=False)

    def test_trained_models(self):
        for name in ("stories260K/stories260K-f32", "stories3M/stories3M-f32", "pilot-gpt2-3M/pilot-gpt2-3M-f32"):
            path = SHARED / f"{name}.gguf"
            if not path.exists():
                print(f"skipped: {path} is not here")
                continue
            with self.subTest(name):
                self.compare(name, path, 1e-3)

    def test_greedy_text_of_stories260k(self):
        path = SHARED / "stories260K" / "stories260K-f32.gguf"
        if not path.exists():
            self.skipTest(f"{path} is not here")
        engine = run(LOGITS, path, "--greedy", 64, 1).split()
        own = reference.greedy(reference.File(path), [1], 64)
        self.assertEqual([int(word) for word in engine], own)


if __name__ == "__main__":
    if not LOGITS or not RANDOM:
        sys.exit("reference_test: $WEIR_ORACLE_LOGITS and $WEIR_ORACLE_RANDOM must name the programs (ctest does)")
    unittest.main(verbosity=1)
