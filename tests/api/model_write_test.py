"""`weir model quantize` and `weir model convert`: what they write serves, what they refuse is said, and a killed one leaves nothing.

llama.cpp's llama-perplexity, named by $WEIR_PEER_LLAMA_PERPLEXITY, reads the same files and finds the same perplexity; without it
that part is skipped by name.
"""

# REQ: ENG-1 ENG-2 ENG-5 ENG-11

import json
import math
import os
import re
import signal
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness

TYPES = ("f32", "f16", "bf16", "q8_0", "q6_k", "q5_k", "q4_k", "q4_1", "q4_0")


class Files(unittest.TestCase):
    """Each test has a folder of its own; `self.source` is the bundled model with whole weights."""

    @classmethod
    def setUpClass(cls):
        kept = tempfile.TemporaryDirectory(prefix="weir-write-")
        cls.addClassCleanup(kept.cleanup)
        cls.source = Path(kept.name) / "source.gguf"
        done = harness.weir("model", "quantize", "weir-tiny", "f32", cls.source)
        if done.returncode != 0:
            raise AssertionError(done.stderr)

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-write-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def quantize(self, source, type_name, *more, status=0):
        done = harness.weir("model", "quantize", source, type_name, *more)
        self.assertEqual(done.returncode, status, done.stderr)
        return done

    def write(self, source, type_name):
        path = self.folder / f"{type_name}.gguf"
        return json.loads(self.quantize(source, type_name, path, "--json").stdout) | {"file": path}


class Quantize(Files):
    def test_each_type_is_written_and_read(self):
        sizes = []
        for type_name in TYPES:
            told = self.write(self.source, type_name)
            self.assertEqual(told["bytes"], told["file"].stat().st_size)
            about = json.loads(harness.weir("model", "info", told["file"], "--json").stdout)
            self.assertEqual(about["bytes"], told["bytes"])
            sizes.append(told["bytes"])
        self.assertEqual(sizes[1], sizes[2])
        self.assertLess(sizes[3], sizes[2])
        self.assertLess(sizes[-1], sizes[3])

    def test_what_it_writes_answers(self):
        model = self.write(self.source, "q8_0")["file"]
        with harness.Server(arguments=["--model", str(model)]) as server:
            answer = server.chat("Hello", max_tokens=5, ignore_eos=True)
        self.assertEqual(answer.json()["usage"]["completion_tokens"], 5)

    def test_refusals_name_the_remedy(self):
        first = self.write(self.source, "q8_0")["file"]
        before = first.read_bytes()
        self.assertIn("--force", self.quantize(self.source, "q8_0", first, status=2).stderr)
        self.assertEqual(first.read_bytes(), before)
        self.quantize(self.source, "q4_0", first, "--force")
        self.assertNotEqual(first.read_bytes(), before)
        second = self.folder / "second.gguf"
        self.assertIn("--requantize", self.quantize(first, "q4_1", second, status=2).stderr)
        self.assertIn("q4_k", self.quantize(self.source, "q3", second, status=2).stderr)
        self.quantize(self.folder / "absent.gguf", "q8_0", second, status=3)
        self.assertFalse(second.exists())

    def test_a_damaged_file_is_refused_and_nothing_written(self):
        whole = self.write(self.source, "f16")["file"].read_bytes()
        out = self.folder / "out.gguf"
        for at in (0, 9, 100, len(whole) // 2, len(whole) - 1):
            cut = self.folder / "cut.gguf"
            cut.write_bytes(whole[:at])
            done = harness.weir("model", "quantize", cut, "q8_0", out)
            self.assertIn(done.returncode, (1, 2), done.stderr)
            self.assertIn("cut.gguf", done.stderr)
            self.assertFalse(out.exists())

    def test_a_killed_writer_leaves_nothing(self):
        out = self.folder / "out.gguf"
        names = {p.name for p in self.folder.iterdir()}
        process = subprocess.Popen([harness.WEIR, "model", "quantize", str(self.source), "q4_k", str(out), "--threads", "1"],
                                   stdout=subprocess.DEVNULL)
        # Its output is open and not yet named: it is in the middle of it.
        def writing():
            return any("deleted" in os.readlink(f) or "out.gguf." in os.readlink(f)
                       for f in Path(f"/proc/{process.pid}/fd").iterdir() if f.is_symlink())
        harness.wait_until(lambda: process.poll() is not None or writing())
        process.send_signal(signal.SIGKILL)
        ended = process.wait()
        if ended == 0:
            self.skipTest("it had finished before it could be killed")
        self.assertFalse(out.exists())
        left = {p.name for p in self.folder.iterdir()} - names
        self.assertTrue(all(name.endswith(".tmp") for name in left), left)  # where files need a name from the start


class Convert(Files):
    def test_a_folder_without_weights_is_told_so(self):
        (self.folder / "config.json").write_text('{"model_type": "llama"}')
        done = harness.weir("model", "convert", self.folder, self.folder / "made.gguf")
        self.assertEqual(done.returncode, 1)
        self.assertIn("model.safetensors", done.stderr)

    def test_a_file_and_an_absent_folder_are_refused(self):
        file = self.write(self.source, "f16")["file"]
        done = harness.weir("model", "convert", file)
        self.assertEqual(done.returncode, 2)
        self.assertIn("weir model quantize", done.stderr)
        self.assertEqual(harness.weir("model", "convert", self.folder / "absent").returncode, 3)

    def test_a_folder_that_lies_is_refused_with_its_place(self):
        (self.folder / "config.json").write_text('{"model_type": "llama"}')
        (self.folder / "model.safetensors").write_bytes(b"\xff" * 100)
        done = harness.weir("model", "convert", self.folder, self.folder / "out.gguf")
        self.assertEqual(done.returncode, 1)
        self.assertIn("model.safetensors", done.stderr)
        self.assertFalse((self.folder / "out.gguf").exists())


class Perplexity(Files):
    """As llama-perplexity computes it: pieces of a fixed length, each with the beginning-of-sequence token in front where the
    model wants one, scored over their second half."""

    CONTEXT, PIECES = 256, 4

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.peer = os.environ.get("WEIR_PEER_LLAMA_PERPLEXITY")
        if not cls.peer:
            raise unittest.SkipTest("no llama-perplexity: build that target of llama.cpp and name it in WEIR_PEER_LLAMA_PERPLEXITY")

    def theirs(self, model, text):
        done = subprocess.run([self.peer, "-m", model, "-f", text, "-c", str(self.CONTEXT), "--chunks", str(self.PIECES),
                               "-t", "2"], capture_output=True, text=True, timeout=120)
        found = re.search(r"Final estimate: PPL = ([0-9.]+)", done.stdout + done.stderr)
        self.assertTrue(found, done.stderr[-2000:])
        return float(found.group(1))

    def ours(self, model, text):
        scores = []
        with harness.Server(arguments=["--model", str(model)]) as server:
            ids = server.post("/tokenize", {"prompt": text.read_text()}).json()["tokens"]
            bos = server.post("/tokenize", {"prompt": ""}).json()["tokens"]
            for piece in range(self.PIECES):
                prompt = ids[piece * self.CONTEXT:(piece + 1) * self.CONTEXT]
                prompt = bos + prompt[len(bos):]
                answer = server.post("/v1/completions", {"model": "default", "prompt": prompt, "echo": True, "logprobs": 0,
                                                         "max_tokens": 0})
                scores += answer.json()["choices"][0]["logprobs"]["token_logprobs"][self.CONTEXT // 2 + 1:]
        return math.exp(-sum(scores) / len(scores))

    def test_the_same_files_have_the_same_perplexity(self):
        source = harness.data("models", "stories3M", "stories3M-f32.gguf")
        text = self.folder / "text"
        text.write_bytes(harness.data("corpora", "tinystories-1M", "tiny_stories.txt").read_bytes()[:8000])
        for type_name in TYPES:
            model = self.write(source, type_name)["file"]
            theirs, ours = self.theirs(model, text), self.ours(model, text)
            print(f"{type_name}: llama.cpp {theirs:.4f}, weir {ours:.4f}, off by {ours / theirs - 1:+.2%}")
            # Both round the inputs of quantised products to 8 bits, each in its own way.
            self.assertLess(abs(ours / theirs - 1), 0.001 if type_name[0] in "fb" else 0.01, type_name)


if __name__ == "__main__":
    harness.main()
