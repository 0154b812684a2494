# REQ: DEP-3 ENG-6
"""`weir doctor`: a working machine is well; what is wrong is found, named with its place, and a remedy stands beside it."""

import json
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness


class Doctor(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-doctor-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        # what this machine happens to listen on is not these tests' business
        self.healthy = self.write("healthy.yaml", "listen: 127.0.0.1:0\n")

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def examine(self, config=None, env=None):
        """The findings by name, and the exit status."""
        run = harness.weir("doctor", "--json", "--config", config or self.healthy, env=env, timeout_s=120)
        self.assertEqual(run.stderr, "")
        return {f["check"]: f for f in json.loads(run.stdout)}, run.returncode

    def ill(self, check, words, remedy, config=None, env=None, verdict="wrong"):
        """That check, and no other, has the verdict; its detail and remedy say what is asked for."""
        findings, status = self.examine(config, env)
        finding = findings[check]
        self.assertEqual(finding["verdict"], verdict, finding)
        for word in words:
            self.assertIn(word, finding["detail"])
        self.assertIn(remedy, finding["remedy"])
        self.assertEqual([c for c, f in findings.items() if f["verdict"] == "wrong" and c != check], [])
        self.assertEqual(status, 1 if verdict == "wrong" else 0)
        return findings

    def test_a_working_machine_is_well(self):
        findings, status = self.examine()
        self.assertEqual(status, 0, findings)
        for check in ("engine", "exactness", "clock", "certificates", "configuration", "address"):
            self.assertEqual(findings[check]["verdict"], "ok", findings)
            self.assertIsNone(findings[check]["remedy"])
        best = findings["engine"]["detail"].split()[-1]
        self.assertRegex(findings["exactness"]["detail"], rf"^{best} gives the same bits as .*portable")

    def test_every_finding_that_is_not_well_says_what_to_do(self):
        for finding in json.loads(harness.weir("doctor", "--json", timeout_s=120).stdout):
            if finding["verdict"] != "ok":
                self.assertTrue(finding["remedy"], finding)

    def test_a_proxy_password_is_not_shown(self):
        run = harness.weir("doctor", env={"HTTPS_PROXY": "http://user:secret-word@127.0.0.1:1"}, timeout_s=120)
        self.assertIn("HTTPS_PROXY", run.stdout)
        self.assertNotIn("secret-word", run.stdout + run.stderr)

    def test_a_wrong_key_is_named_with_its_place(self):
        config = self.write("weir.yaml", "listen: 127.0.0.1:0\nlimits:\n  body_byte_max: 1MiB\n")
        self.ill("configuration", ["weir.yaml:3:3", "body_bytes_max"], "mend that place", config)

    def test_a_configuration_that_is_not_there(self):
        self.ill("configuration", ["absent.yaml"], "name a file that is there", self.folder / "absent.yaml")

    def test_a_model_that_is_not_there(self):
        config = self.write("weir.yaml", "listen: 127.0.0.1:0\nmodels:\n"
                                         "  - name: mine\n    source: /nowhere/at-all.gguf\n")
        findings = self.ill("model", ["/nowhere/at-all.gguf"], "fetch the file", config)
        self.assertEqual(findings["configuration"]["verdict"], "ok")

    def test_a_model_file_that_is_cut_short(self):
        whole = (harness.SOURCE / "models/weir-tiny.gguf").read_bytes()
        (self.folder / "cut.gguf").write_bytes(whole[:100_000])
        config = self.write("weir.yaml", "listen: 127.0.0.1:0\nmodels:\n"
                                         f"  - name: mine\n    source: {self.folder}/cut.gguf\n")
        self.ill("model", ["cut.gguf"], "fetch the file", config)

    def test_a_model_that_would_not_be_served(self):
        for model, word in (("context_max: 1000000", "was trained for"),
                            ("source: " + str(harness.data("models", "ggml-vocab", "ggml-vocab-bert-bge.gguf")), "WordPiece"),
                            ("source: " + str(harness.data("models", "ggml-vocab", "ggml-vocab-gpt-2.gguf")), "no weights")):
            with self.subTest(model):
                config = self.write("weir.yaml", f"listen: 127.0.0.1:0\nmodels:\n  - name: mine\n    {model}\n")
                self.ill("model", ["mine", word], "mend models", config)

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            config = self.write("weir.yaml", f"listen: 127.0.0.1:{port}\n")
            self.ill("address", [f"127.0.0.1:{port}"], "--listen", config, verdict="note")

    def test_no_certificates(self):
        env = {"SSL_CERT_FILE": "/nonexistent/file", "SSL_CERT_DIR": "/nonexistent/folder"}
        self.ill("certificates", ["/nonexistent/folder"], "ca-certificates", env=env)

    def test_a_model_folder_that_cannot_be_made(self):
        blocked = self.write("file", "") / "models"
        self.ill("model folder", [str(blocked)], "WEIR_MODELS", env={"WEIR_MODELS": str(blocked)}, verdict="note")

    def test_few_descriptors(self):
        limited = ["sh", "-c", 'ulimit -n 300; exec "$@"', "sh", harness.WEIR, "doctor", "--json", "-c", self.healthy]
        run = subprocess.run(limited, capture_output=True, text=True, timeout=120)
        finding, = (f for f in json.loads(run.stdout) if f["check"] == "descriptors")
        self.assertEqual((finding["verdict"], run.returncode), ("note", 0), finding)
        self.assertIn("300", finding["detail"])
        self.assertIn("ulimit -n", finding["remedy"])

    def test_people_read_the_same_findings_and_one_closing_line(self):
        run = harness.weir("doctor", "--config", self.healthy, env={"SSL_CERT_FILE": "/x", "SSL_CERT_DIR": "/y"},
                           timeout_s=120)
        lines = run.stdout.splitlines()
        place = next(i for i, line in enumerate(lines) if line.startswith("wrong  certificates"))
        self.assertIn("ca-certificates", lines[place + 1])
        self.assertEqual((lines[-1], run.returncode), ("Something is wrong: see above.", 1))


if __name__ == "__main__":
    harness.main()
