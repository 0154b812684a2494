"""The command line as people and scripts use it: help with examples, exit codes, completion and man page from one table."""

# REQ: DEP-3

import json
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness

VERBS = ["serve", "chat", "model", "bench", "config", "doctor", "version", "completion", "help"]


class Help(unittest.TestCase):
    def test_every_verb_is_listed_and_has_help_with_an_example(self):
        overview = harness.weir("help").stdout
        for verb in VERBS:
            with self.subTest(verb):
                self.assertRegex(overview, rf"(?m)^  {verb} ")
                text = harness.weir("help", verb).stdout
                self.assertIn("Examples:", text)
                self.assertEqual(harness.weir(verb, "--help").stdout, text)

    def test_no_line_of_help_is_too_wide_for_a_terminal(self):
        for verb in VERBS:
            for line in harness.weir("help", verb).stdout.splitlines():
                self.assertLessEqual(len(line), 120, f"{verb}: {line}")

    def test_help_tells_the_size_that_the_list_tells(self):
        size = re.search(r"(?m)^smollm2 +(\d+ MB)", harness.weir("model", "list").stdout)
        if not size:
            self.skipTest("smollm2 is here already, or the list has no size of it")
        self.assertIn(size[1], harness.weir("help", "model").stdout)

    def test_sub_verbs_have_help(self):
        for verb in ("list", "info", "pull", "rm"):
            self.assertIn("Usage: weir model " + verb, harness.weir("help", "model", verb).stdout)


class WithoutTemplate(unittest.TestCase):
    def test_a_family_can_be_named_and_the_refusal_says_how(self):
        with tempfile.TemporaryDirectory(prefix="weir-template-") as folder:
            path = Path(folder, "bare.gguf")
            self.assertEqual(harness.weir("model", "quantize", "weir-tiny", "q8_0", path).returncode, 0)
            path.write_bytes(path.read_bytes().replace(b"tokenizer.chat_template", b"tokenizer.chat_tempXate"))
            ask = ("chat", "--temperature", "0", "--tokens-max", "8", "Who are you?")
            run = harness.weir(*ask, "-m", path)
            self.assertEqual(run.returncode, 1)
            self.assertIn("--chat-family", run.stderr)
            self.assertEqual(harness.weir(*ask, "-m", path, "--chat-family", "chatml").stdout, harness.weir(*ask).stdout)


class ExitCodes(unittest.TestCase):
    def test_no_verb_shows_help_and_is_a_usage_error(self):
        run = harness.weir()
        self.assertEqual(run.returncode, 2)
        self.assertIn("weir serve", run.stdout)

    def test_unknown_words_are_refused_with_the_nearest(self):
        run = harness.weir("srve")
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertIn("did you mean 'serve'", run.stderr)
        run = harness.weir("bench", "--stream", "2")
        self.assertEqual(run.returncode, 2)
        self.assertIn("--streams", run.stderr)

    def test_hints_name_the_whole_command(self):
        for words, hint in ((("config", "show", "--nope"), "weir help config show"), (("config", "show", "-x"), "weir help config show"),
                            (("prompt", "render"), "weir prompt render NAME"), (("model", "show"), "weir help model'")):
            run = harness.weir(*words)
            self.assertEqual(run.returncode, 2)
            self.assertIn(hint, run.stderr)

    def test_wrong_values_of_options_are_usage_errors(self):
        for words, told in ((("serve", "--listen", "127.0.0.1:0", "--device", "foo"), "cuda:N"), (("chat", "--device", "foo", "Hi"), "cuda:N"),
                            (("bench", "--device", "foo"), "cuda:N"), (("bench", "--isa", "foo"), "'foo'"),
                            (("gpu", "--list", "--device", "foo"), "cuda:N"), (("bench", "--prompt-tokens", "600"), "512 tokens")):
            with self.subTest(words):
                run = harness.weir(*words)
                self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
                self.assertIn(told, run.stderr)

    def test_an_absent_model_is_unreachable(self):
        run = harness.weir("chat", "-m", "nobody", "Hello")
        self.assertEqual(run.returncode, 3)
        self.assertIn("weir model list", run.stderr)

    def test_the_codes_are_documented(self):
        text = harness.weir("help", "exit-codes").stdout
        for code in ("0", "1", "2", "3", "130"):
            self.assertRegex(text, rf"(?m)^ +{code} ")


class Generated(unittest.TestCase):
    def test_version_for_programs(self):
        answer = json.loads(harness.weir("version", "--json").stdout)
        self.assertRegex(answer["version"], r"^\d+\.\d+\.\d+$")
        self.assertIn(answer["version"], harness.weir("--version").stdout)

    def test_bash_completion_completes(self):
        if not shutil.which("bash"):
            self.skipTest("no bash")
        script = harness.weir("completion", "bash").stdout
        program = script + '\nCOMP_WORDS=(weir model p); COMP_CWORD=2; cd /; _weir; printf "%s\\n" "${COMPREPLY[@]}"'
        run = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=20)
        self.assertIn("pull", run.stdout.split(), run.stderr)
        self.assertEqual(harness.weir("completion", "tcsh").returncode, 2)

    def test_the_man_page_is_clean_troff(self):
        page = harness.weir("help", "--man").stdout
        for verb in VERBS:
            self.assertIn(f".SS weir {verb}", page)
        if not shutil.which("man"):
            self.skipTest("no man")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "weir.1")
            path.write_text(page)
            run = subprocess.run(["man", "--warnings", "-l", str(path)], capture_output=True, text=True, timeout=30,
                                 env={"MANWIDTH": "100", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"})
        self.assertEqual(run.stderr, "")
        self.assertIn("EXIT STATUS", re.sub(r".\x08", "", run.stdout))


class Chat(unittest.TestCase):
    def test_one_question_one_answer(self):
        run = harness.weir("chat", "--temperature", "0", "Who are you?")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("weir", run.stdout.lower())

    def test_a_question_in_a_pipe(self):
        run = harness.weir("chat", "--temperature", "0", "--stats", stdin="Hello!\n")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertGreater(len(run.stdout.strip()), 2)
        self.assertIn("tokens/s", run.stderr)

    def test_the_same_seed_gives_the_same_answer(self):
        answers = {harness.weir("chat", "--seed", "7", "Tell me a story about a fox.").stdout for _ in range(3)}
        self.assertEqual(len(answers), 1)

    def test_an_empty_pipe_is_refused(self):
        self.assertEqual(harness.weir("chat", stdin="").returncode, 2)


class Bench(unittest.TestCase):
    def test_it_measures_and_prints_json(self):
        run = harness.weir("bench", "--json", "--streams", "1", "--streams", "2", "--prompt-tokens", "8", "--tokens",
                           "4", "--repeat", "1")
        self.assertEqual(run.returncode, 0, run.stderr)
        rows = json.loads(run.stdout)["rows"]
        self.assertEqual([r["streams"] for r in rows], [1, 2])
        for row in rows:
            self.assertGreater(row["prefill_tokens_per_s"], 0)
            self.assertGreater(row["decode_tokens_per_s"], 0)

    def test_the_machine_is_measured_alone(self):
        run = harness.weir("bench", "machine", "--json", "--seconds", "0.002", "--threads", "2")
        self.assertEqual(run.returncode, 0, run.stderr)
        found = json.loads(run.stdout)
        self.assertEqual(found["threads"], [1, 2])
        self.assertEqual([len(rates) for rates in found["read_bytes_per_s"].values()], [2] * 6)
        self.assertIn("fma_f32_per_s", found)
        one = harness.weir("bench", "machine", "--json", "--seconds", "0.002", "--threads", "1", "--read-mib", "3")
        self.assertEqual(list(json.loads(one.stdout)["read_bytes_per_s"]), [str(3 << 20)])
        self.assertNotIn("fma_f32_per_s", json.loads(one.stdout))

    def test_a_verb_it_does_not_have_is_refused(self):
        run = harness.weir("bench", "machin")
        self.assertEqual(run.returncode, 2)
        self.assertIn("did you mean 'machine'", run.stderr)


if __name__ == "__main__":
    harness.main()
