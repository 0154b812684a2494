"""Several models under one bound of memory: each answers when it is asked, whichever had to make room; /api/ps lists those in memory."""

# REQ: ENG-4 API-11 OBS-3

import re
import tempfile
import threading
import unittest
from pathlib import Path

import harness

CONFIG = """
listen: 127.0.0.1:0
engine: {{weights_bytes_max: {bound}}}
models:
  - {{name: one}}
  - {{name: two, source: "{copy}"}}
  - {{name: three, source: "{copy}", kv_type: q8_0}}
"""


class ThreeModels(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="weir-residence-")
        cls.addClassCleanup(folder.cleanup)
        copy = Path(folder.name) / "copy.gguf"
        done = harness.weir("model", "quantize", "weir-tiny", "q8_0", copy)
        assert done.returncode == 0, done.stderr
        cls.config = CONFIG.format(copy=copy, bound=int(copy.stat().st_size * 1.5))  # room for one
        super().setUpClass()

    def setUp(self):
        names = lambda: {m["id"] for m in self.get("/v1/models").json()["data"]}
        self.assertTrue(harness.wait_until(lambda: {"one", "two", "three"} <= names()))

    def ask(self, name):
        answer = self.post("/v1/completions", {"model": name, "prompt": "Once upon a time", "max_tokens": 8, "temperature": 0,
                                               "ignore_eos": True})
        self.assertEqual(answer.status, 200, answer)
        return answer.json()

    def in_memory(self):
        return [m["name"].removesuffix(":latest") for m in self.get("/api/ps").json()["models"]]

    def test_each_answers_and_one_is_in_memory(self):
        first = {name: self.ask(name) for name in ("one", "two", "three")}
        for name in ("two", "one", "three", "one"):
            answer = self.ask(name)
            self.assertEqual(answer["choices"], first[name]["choices"])
            self.assertEqual(self.in_memory(), [name])
        self.assertEqual(first["one"]["choices"][0]["text"], first["two"]["choices"][0]["text"])
        self.assertTrue(first["three"]["system_fingerprint"].endswith("-kv-q8_0"))
        self.assertNotEqual(first["three"]["system_fingerprint"], first["two"]["system_fingerprint"])

    def metric(self, name, **labels):
        """The one series of that name with these labels."""
        found = [float(value) for said, value in re.findall(rf"^{re.escape(name)}{{(.*)}} (\S+)$", self.get("/metrics").text, re.M)
                 if all(f'{k}="{v}"' in said for k, v in labels.items())]
        self.assertEqual(len(found), 1, (name, labels))
        return found[0]

    def test_metrics_tell_which_is_in_memory(self):
        for asked in ("one", "two", "three"):
            self.ask(asked)
            for name in ("one", "two", "three"):
                here = name == asked
                self.assertEqual(self.metric("weir_engine_model_state", model=name, state="ready"), here)
                self.assertEqual(self.metric("weir_engine_model_state", model=name, state="unloaded"), not here)
                self.assertEqual(self.metric("weir_engine_weights_bytes", model=name) > 0, here)

    def test_each_is_counted_for_itself(self):
        count = lambda name: self.metric("vllm:generation_tokens_total", model_name=name)
        before = {name: count(name) for name in ("one", "two", "three")}
        self.ask("one")
        self.ask("two")
        self.ask("two")
        self.assertEqual({name: count(name) - before[name] for name in before}, {"one": 8, "two": 16, "three": 0})
        for name in before:
            for series in ("weir_engine_requests_running", "weir_engine_requests_waiting"):
                self.assertEqual(self.metric(series, model=name), 0)
            self.assertGreater(self.metric("weir_engine_kv_blocks", model=name, state="free"), 0)

    def test_the_build_tells_its_kernels(self):
        said = lambda: re.search(r'msg="model loaded".* isa=(\S+)|"isa":"(\w+)"', self.server.output)
        self.assertTrue(harness.wait_until(said))
        self.assertEqual(self.metric("weir_build_info", isa=next(filter(None, said().groups()))), 1)

    def test_all_at_once_are_all_answered(self):
        answers = []
        threads = [threading.Thread(target=lambda name=name: answers.append(self.ask(name))) for name in ("one", "two", "three") * 3]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 9)


class Refusals(unittest.TestCase):
    def refused(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("listen: 127.0.0.1:0\n" + text)
            file.flush()
            done = harness.weir("serve", "--config", file.name)
        self.assertNotEqual(done.returncode, 0)
        return done.stderr

    def test_a_model_beyond_the_bound_is_refused_by_name(self):
        said = self.refused("engine: {weights_bytes_max: 100kB}\nmodels: [{name: mine}]\n")
        self.assertRegex(said, r"weir serve: mine: .* more than all models may have \(weights_bytes_max: 0\.1 MB\)")

    def test_errors_begin_with_the_name_and_have_the_source(self):
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.gguf"
            copy.write_bytes((harness.SOURCE / "models/weir-tiny.gguf").read_bytes())
            for model, name in (("context_max: 1000000", "mine"), (f"context_max: 1000000, source: {copy}", f"mine ({copy})"),
                                ("source: /nowhere/a.gguf", "mine (/nowhere/a.gguf)")):
                with self.subTest(model):
                    self.assertIn(f"weir serve: {name}: ", self.refused(f"models: [{{name: mine, {model}}}]\n"))
            copy.write_bytes(copy.read_bytes()[:100_000])
            done = harness.weir("serve", "--listen", "127.0.0.1:0", "--model", copy)
            self.assertRegex(done.stderr, rf"weir serve: copy(:| \() ?{copy}")

    def test_a_context_beyond_the_trained_one_is_refused(self):
        self.assertIn("was trained for", self.refused("models: [{name: m, context_max: 1000000}]\n"))


if __name__ == "__main__":
    harness.main()
