# REQ: SEC-2 DEP-3
"""`weir config`: one table, read strictly; what is wrong is said with its place, and secrets are never in the file."""

import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness

SECRET = "sk-test-0123456789abcdef"


class Config(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-config-")
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "weir.yaml")

    def weir(self, verb, text, env=None):
        self.path.write_text(text)
        return harness.weir("config", verb, self.path, env=env)

    def refused(self, text, place, *words, env=None):
        """The file is refused by check, show and serve alike, with the same words."""
        check = self.weir("check", text, env)
        self.assertEqual((check.returncode, check.stdout), (2, ""), check)
        self.assertTrue(check.stderr.startswith(f"weir config check: {self.path}:{place}: "), check.stderr)
        for word in words:
            self.assertIn(word, check.stderr)
        sentence = check.stderr.removeprefix("weir config check: ")
        for command in (("config", "show", self.path), ("serve", "--config", self.path)):
            run = harness.weir(*command, env=env)
            self.assertEqual(run.returncode, 2, run)
            self.assertTrue(run.stderr.endswith(sentence), run.stderr)

    # ---- what is wrong, and where ----

    def test_an_unknown_key_is_named_with_its_place_and_the_nearest(self):
        self.refused("lisen: 127.0.0.1:0\n", "1:1", "'lisen'", "did you mean 'listen'?")
        self.refused("log:\n  level: info\nlimits:\n  body_byte_max: 1MB\n", "4:3", "in 'limits'",
                     "did you mean 'body_bytes_max'?")
        self.refused("models:\n  - name: a\n    alias: [b]\n", "3:5", "in 'models[0]'", "did you mean 'aliases'?")
        self.refused("zzzzzzzzzz: 1\n", "1:1", "known here: listen")

    def test_wrong_types_and_ranges_are_named_with_their_place(self):
        self.refused("limits: 5\n", "1:9", "'limits'", "map")
        self.refused("limits:\n  headers_max: many\n", "2:16", "'limits.headers_max'")
        self.refused("limits:\n  headers_max: 7\n", "2:16", "between 8 and 128", "7")
        self.refused("limits:\n  body_bytes_max: 1 parsec\n", "2:19", "'limits.body_bytes_max'")
        self.refused("limits:\n  idle_timeout: soon\n", "2:17", "'limits.idle_timeout'")
        self.refused("log:\n  level: loud\n", "2:10", "debug", "error")
        self.refused("half_close_cancels: perhaps\n", "1:21", "'half_close_cancels'")
        self.refused("engine:\n  threads: -1\n", "2:12", "between 0 and 1024")

    def test_a_draft_model_belongs_to_speculation_by_draft(self):
        for model, word in (("speculation: draft", "needs a draft_model"), ("draft_model: b", "with speculation: draft alone")):
            check = self.weir("check", f"models:\n  - name: a\n    {model}\n")
            self.assertEqual(check.returncode, 2, check)
            self.assertIn("models[0]", check.stderr)
            self.assertIn(word, check.stderr)

    def test_models_that_serve_would_refuse_without_opening_them(self):
        for models, place, words in (("[{name: a, chat_family: foo}]", "models[0]", '"foo" is unknown; choose one of'),
                                     ("[{name: a}, {name: b, aliases: [a]}]", "models[0]", "'a' is given twice"),
                                     ("[{name: a}, {name: b, aliases: [c, c]}]", "models[1]", "'c' is given twice")):
            with self.subTest(models):
                check = self.weir("check", f"models: {models}\n")
                self.assertEqual(check.returncode, 2, check)
                self.assertIn(place, check.stderr)
                self.assertIn(words, check.stderr)
        self.assertEqual(self.weir("check", "models: [{name: a, chat_family: chatml}, {name: b, aliases: [c]}]\n").returncode, 0)

    def test_what_two_readers_could_read_in_two_ways_is_refused(self):
        self.refused("listen: 127.0.0.1:1\nlisten: 127.0.0.1:2\n", "2:1", "twice")
        self.refused("listen: &x 127.0.0.1:1\n", "1:9", "anchors")
        self.refused("log: &x\n  level: info\nengine: *x\n", "1:6", "anchors")
        self.refused("listen: *x\n", "1:9", "aliases")
        self.refused("listen: !!str 127.0.0.1:1\n", "1:9", "tags")
        self.refused("listen: !evil 127.0.0.1:1\n", "1:9", "tags")
        self.refused("listen: 127.0.0.1:1\n---\nlisten: 127.0.0.1:2\n", "2:1", "second document")
        self.refused("? [a, b]\n: 1\n", "1:3", "key")

    def test_broken_yaml_is_refused_with_its_place(self):
        self.refused("limits:\n\theaders_max: 8\n", "2:1", "not valid YAML")
        self.refused("cors: [\n", "2:1", "not valid YAML")

    def test_depth_and_size_are_bounded(self):
        self.refused("log: " + "[" * 40 + "]" * 40 + "\n", "1:37", "32 deep")
        check = self.weir("check", "# " + "x" * (1 << 20) + "\n")
        self.assertEqual(check.returncode, 2)
        self.assertIn("larger than", check.stderr)

    def test_an_absent_file_is_not_a_wrong_one(self):
        for command in (("config", "check"), ("config", "show"), ("serve", "--config")):
            run = harness.weir(*command, "/nonexistent/weir.yaml")
            self.assertEqual(run.returncode, 3, run)
            self.assertIn("/nonexistent/weir.yaml", run.stderr)

    # ---- the environment and secrets ----

    def test_a_whole_value_may_come_from_the_environment(self):
        show = self.weir("show", "listen: ${WEIR_TEST_LISTEN}\n", {"WEIR_TEST_LISTEN": "127.0.0.1:4711"})
        self.assertIn('listen: "127.0.0.1:4711"', show.stdout)
        self.refused("listen: ${WEIR_TEST_ABSENT}\n", "1:9", "WEIR_TEST_ABSENT", "not set")
        self.refused("listen: 127.0.0.1:${PORT}\n", "1:9", "only a whole value", env={"PORT": "1"})

    def test_what_comes_from_the_environment_is_no_yaml(self):
        self.refused("limits:\n  headers_max: ${WEIR_TEST_VALUE}\n", "2:16", "'limits.headers_max'",
                     env={"WEIR_TEST_VALUE": "9\nlisten: 0.0.0.0:80"})

    def test_a_secret_is_never_in_the_file(self):
        self.refused(f"keys:\n  ann:\n    key: {SECRET}\n", "3:10", "'keys.ann.key'", "${NAME}", "{file: PATH}")
        self.assertNotIn(SECRET, self.weir("check", f"keys:\n  ann:\n    key: {SECRET}\n").stderr)

    def test_every_way_to_refer_to_a_secret(self):
        secret = self.path.with_name("key")
        secret.write_text(SECRET + "\n")
        for reference in ("${WEIR_TEST_KEY}", "{env: WEIR_TEST_KEY}", f"{{file: {secret}}}"):
            text = f"listen: 127.0.0.1:0\nkeys:\n  ann:\n    key: {reference}\n"
            with self.subTest(reference):
                show = self.weir("show", text, {"WEIR_TEST_KEY": SECRET})
                self.assertEqual(show.returncode, 0, show)
                self.assertNotIn(SECRET, show.stdout + show.stderr)
                self.assertIn("ann", show.stdout)
                with harness.Server(["--config", self.path], env={"WEIR_TEST_KEY": SECRET}) as server:
                    self.assertEqual(server.get("/v1/models").status, 401)
                    bearer = {"Authorization": f"Bearer {SECRET}"}
                    self.assertEqual(server.get("/v1/models", bearer).status, 200)
                    self.assertNotIn(SECRET.encode(), Path(f"/proc/{server.pid}/cmdline").read_bytes())

    def test_a_secret_that_is_not_there_or_too_short_is_said_without_it(self):
        check = self.weir("check", "keys:\n  ann:\n    key: {file: /nonexistent/key}\n")
        self.assertEqual(check.returncode, 3)
        self.assertIn(":3:10: 'keys.ann.key' cannot be read from /nonexistent/key", check.stderr)
        self.refused("keys:\n  ann:\n    key: {env: A, file: B}\n", "3:10", "{env: NAME} or {file: PATH}")
        check = self.weir("check", "keys:\n  ann:\n    key: ${WEIR_TEST_KEY}\n", {"WEIR_TEST_KEY": "abc123"})
        self.assertEqual(check.returncode, 2)
        self.assertIn("8 characters", check.stderr)
        self.assertNotIn("abc123", check.stderr)

    # ---- what is in force ----

    def test_a_good_file_is_good_and_so_are_none_and_the_one_in_the_environment(self):
        self.assertEqual(self.weir("check", "log:\n  level: warn\n").returncode, 0)
        self.assertEqual(harness.weir("config", "check").returncode, 0)
        show = harness.weir("config", "show", env={"WEIR_CONFIG": str(self.path)})
        self.assertIn("level: warn", show.stdout)

    def test_what_show_prints_is_a_configuration_that_comes_to_the_same(self):
        for text in ("", "limits:\n  idle_timeout: 90s\n  body_bytes_max: 3MiB\nmodels:\n  - name: x\n    aliases: [y, 'z w']\n"
                         "cors:\n  origins: ['https://a.example', '*']\ndrain_delay: 1500ms\nlog: {format: json}\n"):
            first = self.weir("show", text).stdout
            again = self.weir("show", first)
            self.assertEqual((again.returncode, again.stdout), (0, first), again.stderr)
        self.assertIn("idle_timeout: 90s", first.replace("1m30s", "90s"))
        self.assertIn("body_bytes_max: 3MiB", first)

    def test_the_command_line_is_stronger_than_the_file(self):
        self.path.write_text("listen: 127.0.0.1:1\nengine:\n  threads: 1\n")
        with harness.Server(["--config", self.path]) as server:  # which gives --listen 127.0.0.1:0
            self.assertNotEqual(server.port, 1)

    # ---- what is generated ----

    def test_the_schema_knows_every_key_that_show_prints(self):
        schema = json.loads(harness.weir("config", "schema").stdout)
        self.assertFalse(schema["additionalProperties"])
        keys = [line.split(":")[0] for line in harness.weir("config", "show").stdout.splitlines() if line[0] not in " -"]
        self.assertEqual(sorted(schema["properties"]), sorted(keys))
        for name, property in schema["properties"].items():
            self.assertTrue(property.get("description"), name)

    def test_the_pages_in_the_tree_are_what_the_program_says(self):
        for page, words in (("configuration.md", ["config", "schema", "--markdown"]),
                            ("weir.schema.json", ["config", "schema"]), ("weir.1", ["help", "--man"])):
            with self.subTest(page):
                self.assertEqual((harness.SOURCE / "docs" / page).read_text(), harness.weir(*words).stdout,
                                 "run: make docs")


class Completion(unittest.TestCase):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = harness.weir("completion", "bash").stdout
        line = " ".join(f"'{w}'" for w in ("weir", *words))
        program = f'{script}\ncd /nonexistent 2>/dev/null || cd /proc/self/fdinfo; COMP_WORDS=({line}); ' \
                  f'COMP_CWORD={len(words)}; _weir; printf "%s\\n" "${{COMPREPLY[@]}}"'
        run = subprocess.run(["bash", "-c", program], capture_output=True, text=True, timeout=20, cwd="/")
        self.assertEqual(run.stderr, "")
        return run.stdout.split()

    @unittest.skipUnless(shutil.which("bash"), "no bash")
    def test_bash_offers_verbs_sub_verbs_and_options(self):
        self.assertIn("serve", self.complete("se"))
        self.assertEqual(set(self.complete("model", "")) & {"list", "info", "pull", "rm"}, {"list", "info", "pull", "rm"})
        self.assertIn("--sha256", self.complete("model", "pull", "--s"))
        self.assertIn("--listen-without-keys", self.complete("serve", "--listen"))
        self.assertIn("--config", self.complete("serve", "--quiet", "--c"))

    def test_every_shell_gets_a_script_that_it_can_read(self):
        for shell, words in (("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"]), ("fish", ["fish", "--no-execute"])):
            with self.subTest(shell), tempfile.NamedTemporaryFile("w") as file:
                script = harness.weir("completion", shell).stdout
                self.assertIn("weir", script)
                if not shutil.which(shell):
                    continue
                file.write(script)
                file.flush()
                run = subprocess.run([*words, file.name], capture_output=True, text=True, timeout=20,
                                     env={**os.environ, "LC_ALL": "C"})
                self.assertEqual((run.returncode, run.stderr), (0, ""))


if __name__ == "__main__":
    harness.main()
