#!/usr/bin/env python3
# REQ: ENG-10
"""The trainer of the bundled model, whole and small: its own corpus, vocabulary, training, export.

Under a minute. Skipped by name where OpenBLAS or numpy is missing: neither is needed to build or run weir.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", ".."))
TOOLS = os.path.join(ROOT, "tools", "train")
SHAPE = ["--width", "64", "--layers", "2", "--heads", "2", "--packs", "4", "--pack-tokens", "512", "--warmup", "20", "--report", "5"]


def missing():
    """What the trainer needs and this machine lacks, or None."""
    probe = subprocess.run(["make", "-C", TOOLS, "openblas"], capture_output=True, text=True)
    if probe.returncode:
        return probe.stderr.strip().splitlines()[0] if probe.stderr.strip() else "make cannot run"
    try:
        import numpy  # noqa: F401
    except ImportError:
        return "numpy is missing (Debian package python3-numpy)"
    return None


class Training(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="weir-train-")
        cls.run_tool(["make", "-C", TOOLS, "tools", "BUILD=" + cls.folder])
        cls.run_tool([sys.executable, os.path.join(TOOLS, "corpus", "build.py"), "--out", cls.at("corpus"), "--scale", "0.01"])
        cls.run_tool([cls.at("bpe"), "train", "512", cls.at("corpus/base.txt"), cls.at("vocab")])
        for name in ("base", "heldout"):
            cls.run_tool([cls.at("bpe"), "encode", cls.at("vocab"), cls.at("corpus/%s.txt" % name), cls.at(name + ".bin")])

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    @classmethod
    def at(cls, name):
        return os.path.join(cls.folder, name)

    @staticmethod
    def run_tool(command):
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        if done.returncode:
            raise AssertionError("%s: %s%s" % (command[0], done.stdout, done.stderr))
        return done.stdout

    def train(self, out, *options):
        return self.run_tool([self.at("train"), "--data", self.at("base.bin"), "--out", self.at(out), *SHAPE, *options])

    def checkpoint(self, name):
        with open(self.at(name), "rb") as f:
            return f.read()

    def test_loss_falls_far_below_the_start(self):
        log = self.train("loss.ckpt", "--steps", "120", "--decay", "60")
        losses = [float(x) for x in re.findall(r"^step \d+ loss ([\d.]+)", log, re.M)]
        self.assertAlmostEqual(losses[0], 6.24, delta=0.25)  # ln 512: an untrained model knows nothing
        self.assertLess(losses[-1], losses[0] - 2)

    def test_same_seed_gives_the_same_bits_on_one_thread_and_on_two(self):
        self.train("one.ckpt", "--steps", "8", "--threads", "1")
        self.train("two.ckpt", "--steps", "8", "--threads", "2")
        self.train("other.ckpt", "--steps", "8", "--seed", "2")
        self.assertEqual(self.checkpoint("one.ckpt"), self.checkpoint("two.ckpt"))
        self.assertNotEqual(self.checkpoint("one.ckpt"), self.checkpoint("other.ckpt"))

    def test_resumed_run_equals_an_uninterrupted_one(self):
        self.train("whole.ckpt", "--steps", "10", "--decay", "4")
        self.train("cut.ckpt", "--steps", "4")
        self.train("cut.ckpt", "--steps", "10", "--decay", "4", "--resume", "1")
        self.assertEqual(self.checkpoint("whole.ckpt"), self.checkpoint("cut.ckpt"))

    def test_run_bounded_by_the_clock_can_be_done_again_from_its_schedule(self):
        self.train("clock.ckpt", "--steps", "1000000", "--decay", "1000000", "--wall", "2", "--record", self.at("rates"))
        self.train("again.ckpt", "--schedule", self.at("rates"))
        self.assertEqual(self.checkpoint("clock.ckpt"), self.checkpoint("again.ckpt"))

    def test_fast_products_agree_with_openblas(self):
        losses = []
        for amx in ("0", "1"):  # the same thing twice where the processor has no AMX
            log = self.train("amx.ckpt", "--steps", "20", "--amx", amx)
            losses.append(float(re.findall(r"^step 20 loss ([\d.]+)", log, re.M)[0]))
        self.assertAlmostEqual(losses[0], losses[1], delta=0.01)

    def test_exported_file_computes_what_the_trainer_computed(self):
        log = self.train("export.ckpt", "--steps", "60", "--heldout", self.at("heldout.bin"))
        trained = float(re.search(r"^end step 60 heldout ([\d.]+)", log, re.M).group(1))
        self.run_tool([self.at("export"), self.at("export.ckpt"), self.at("vocab"), self.at("m.gguf")])
        sys.path.insert(0, TOOLS)
        from reference import Model

        model = Model(self.at("m.gguf"))
        self.assertEqual(model.meta["general.architecture"], "gpt2")
        self.assertAlmostEqual(self.heldout_loss(model), trained, delta=0.02 * trained)

    def heldout_loss(self, model):
        """Mean over all tokens of the first packs, by the independent forward pass on the exported file."""
        with open(self.at("corpus/heldout.txt"), encoding="utf8") as f:
            docs = [line.rstrip("\n").split("\t", 1)[1].replace("\\n", "\n").replace("\\\\", "\\") for line in f]
        return model.loss([model.tokenizer.encode(d) for d in docs])


if __name__ == "__main__":
    reason = missing()
    if reason:
        print("skipped: " + reason)
        sys.exit(77)
    unittest.main()
