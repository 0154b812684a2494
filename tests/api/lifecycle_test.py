# REQ: API-8 API-11 ENG-10 SEC-1 SEC-3
# ctest: serial
"""From the start to the end of a server: its address, the model that loads meanwhile, signals, and answers on their way."""

import json
import os
import resource
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import harness

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
# More than the buffers between two sockets hold, so it is unfinished until its client reads.
LONG_STREAM = {"messages": [{"role": "user", "content": "Go on for ever."}], "ignore_eos": True, "n": 6,
               "logprobs": True, "top_logprobs": 20, "stream": True}


def post(path, body, more=b""):
    body = json.dumps(body).encode()
    return (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%sContent-Length: %d\r\n\r\n"
            % (path.encode(), more, len(body)) + body)


def lazy_client(server, raw):
    """A connection with small buffers that has sent `raw` and seen the first bytes of the answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.settimeout(60)
    connection.connect((server.host, server.port))
    connection.sendall(raw)
    return connection, connection.recv(16)


def read_all(connection, received=b""):
    while block := connection.recv(1 << 20):
        received += block
    return received


def slow_to_load(path, width=2048):
    """A GPT-2 of 200 MB of zeros, sparse on disk: valid, and it takes its time to be read."""
    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    def entry(key, kind, payload):
        return text(key) + struct.pack("<I", kind) + payload

    def number(key, value):
        return entry(key, 4, struct.pack("<I", value))

    tokens = ["a", "b", "ab", "<|end|>"]
    entries = [
        entry("general.architecture", 8, text("gpt2")), number("gpt2.context_length", 64),
        number("gpt2.embedding_length", width), number("gpt2.feed_forward_length", 4 * width),
        number("gpt2.block_count", 1), number("gpt2.attention.head_count", width // 64),
        entry("gpt2.attention.layer_norm_epsilon", 6, struct.pack("<f", 1e-5)),
        entry("tokenizer.ggml.model", 8, text("gpt2")), number("tokenizer.ggml.eos_token_id", 3),
        entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, len(tokens)) + b"".join(map(text, tokens))),
        entry("tokenizer.ggml.token_type", 9, struct.pack("<IQ4i", 5, 4, 1, 1, 1, 3)),
        entry("tokenizer.ggml.merges", 9, struct.pack("<IQ", 8, 1) + text("a b")),
    ]
    tensors = [("token_embd.weight", (width, 4)), ("position_embd.weight", (width, 64))]
    for name, inner, outer in (("attn_qkv", width, 3 * width), ("attn_output", width, width),
                               ("ffn_up", width, 4 * width), ("ffn_down", 4 * width, width)):
        tensors += [(f"blk.0.{name}.weight", (inner, outer)), (f"blk.0.{name}.bias", (outer,))]
    for name in ("blk.0.attn_norm", "blk.0.ffn_norm", "output_norm"):
        tensors += [(f"{name}.weight", (width,)), (f"{name}.bias", (width,))]
    head, offset = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(entries)) + b"".join(entries), 0
    for name, dims in tensors:
        head += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, 0, offset)
        offset += 4 * dims[0] * (dims[1] if len(dims) > 1 else 1)
    head += bytes(-len(head) % 32)
    with open(path, "wb") as file:
        file.write(head)
        file.truncate(len(head) + offset)


class Start(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-start-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def start(self, **options):
        server = harness.Server(**options).start()
        self.addCleanup(server.stop)
        return server

    def test_while_a_model_loads_the_port_answers_and_says_so(self):
        slow_to_load(self.folder / "slow.gguf")
        server = self.start(arguments=["-m", self.folder / "slow.gguf"], wait_ready=False)
        ready = server.get("/readyz")
        self.assertEqual((ready.status, ready.json()), (503, {"status": "loading"}))
        self.assertEqual(server.get("/health").status, 200)
        refused = server.post("/v1/completions", {"prompt": "a"})
        self.assertEqual((refused.status, refused.json()["error"]["code"]), (503, "model_loading"))
        self.assertTrue(harness.wait_until(lambda: server.get("/readyz").status == 200, 60))
        self.assertEqual(server.post("/v1/completions", {"prompt": "a", "max_tokens": 1}).status, 200)

    def test_a_signal_does_not_wait_for_a_model_that_loads(self):
        slow_to_load(self.folder / "slow.gguf")
        server = self.start(arguments=["-m", self.folder / "slow.gguf"], wait_ready=False)
        self.assertEqual(server.get("/readyz").status, 503)
        self.assertEqual(server.stop(signal.SIGTERM), 0)
        self.assertNotIn("model loaded", server.output)

    def test_somebody_watches_the_loop(self):
        server = self.start()
        threads = {Path(f, "comm").read_text().strip() for f in Path(f"/proc/{server.pid}/task").iterdir()}
        self.assertLessEqual({"loop", "watchdog"}, threads)

    def test_it_takes_all_the_descriptors_that_it_may(self):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))
        with harness.Server() as server:
            self.assertEqual(resource.prlimit(server.pid, resource.RLIMIT_NOFILE), (hard, hard))

    def test_the_example_that_is_printed_works_as_it_is(self):
        for listen in ("127.0.0.1:0", f"unix:{self.folder}/weir.sock"):
            with self.subTest(listen):
                server = subprocess.Popen([harness.WEIR, "serve", "--listen", listen], stdout=subprocess.PIPE,
                                          stderr=subprocess.DEVNULL, text=True)
                self.addCleanup(server.stdout.close)
                self.addCleanup(server.wait)
                self.addCleanup(server.terminate)
                lines = []
                while not (lines and lines[-1].startswith("Ctrl-C")):
                    lines.append(server.stdout.readline())
                    self.assertTrue(lines[-1], f"weir ended; it said {lines}")
                example = lines.index("Try:\n") + 1
                self.assertIn("weir-tiny", lines[0])
                if not shutil.which("curl"):
                    self.skipTest("no curl")
                run = subprocess.run(["sh", "-c", "".join(lines[example:example + 2]).replace("curl", "curl -sS", 1)],
                                     capture_output=True, text=True, timeout=60)
                self.assertEqual(json.loads(run.stdout)["object"], "chat.completion", run.stderr)

    def greeting(self, *arguments):
        """What a server prints before it serves, and how it ended if it did."""
        server = subprocess.Popen([harness.WEIR, "serve", "--listen", "127.0.0.1:0", *arguments], stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, text=True)
        with server, server.stdout:
            lines = []
            while not (lines and (not lines[-1] or lines[-1].startswith("Ctrl-C"))):
                lines.append(server.stdout.readline())
            if lines[-1]:
                server.terminate()
            return "".join(lines), server.wait(30)

    def test_several_models_are_all_named_once_all_are_there(self):
        config = self.folder / "models.yaml"
        config.write_text("models: [{name: one}, {name: two}]\n")
        said, status = self.greeting("--config", config)
        self.assertRegex(said, r"serves 2 models at http://127\.0\.0\.1:\d+\n  one \(.* parameters, .*\)\n  two \(")
        self.assertEqual(status, 0)
        config.write_text("models: [{name: one}, {name: two, context_max: 1000000}]\n")
        said, status = self.greeting("--config", config)
        self.assertEqual((said, status), ("", 1))

    def test_a_model_without_a_chat_template_is_shown_completing(self):
        said, _ = self.greeting("--model", harness.data("models", "stories3M", "stories3M-q8_0.gguf"))
        self.assertIn("/v1/completions", said)
        self.assertNotIn("chat", said)

    def test_a_unix_socket_takes_any_host_and_is_gone_at_the_end(self):
        path = self.folder / "weir.sock"
        server = subprocess.Popen([harness.WEIR, "serve", "--quiet", "--listen", f"unix:{path}"],
                                  stderr=subprocess.DEVNULL)
        self.addCleanup(server.wait)
        self.addCleanup(server.terminate)
        self.assertTrue(harness.wait_until(path.exists, harness.START_TIMEOUT_S))
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: some-upstream\r\n\r\n")
            self.assertEqual(harness.read_answer(connection).status, 200)
        server.terminate()
        self.assertEqual(server.wait(30), 0)
        self.assertFalse(path.exists())

    def test_an_address_that_is_none_is_a_wrong_configuration(self):
        for listen in ("nonsense", "127.0.0.1:99999", "127.0.0.1.example:80", "unix:", ":80"):
            config = self.folder / "weir.yaml"
            config.write_text(f"listen: '{listen}'\n")
            for run in (harness.weir("serve", "--listen", listen), harness.weir("config", "check", config)):
                self.assertEqual(run.returncode, 2, (listen, run))
                self.assertIn("listen", run.stderr)
                self.assertNotIn("reachable from other machines", run.stderr)

    def test_a_taken_port_is_a_failure_and_named(self):
        server = self.start()
        run = harness.weir("serve", "--listen", f"127.0.0.1:{server.port}")
        self.assertEqual(run.returncode, 1)
        self.assertIn(f"127.0.0.1:{server.port}", run.stderr)
        self.assertIn("--listen", run.stderr)

    def test_an_open_listener_only_when_told_so_in_words(self):
        for words in (["--listen", "0.0.0.0:0"], ["--listen", "[::]:0"], ["--listen", "*:0"]):
            run = harness.weir("serve", *words)
            self.assertEqual(run.returncode, 2, run)
            self.assertIn("listen_without_keys", run.stderr)
        server = self.start(arguments=["--listen", "0.0.0.0:0", "--listen-without-keys"])
        self.assertEqual(server.get("/health").status, 200)
        for key in ("test-key-of-some-length",):
            server = self.start(arguments=["--listen", "0.0.0.0:0"], config="keys:\n  ann:\n    key: ${WEIR_TEST_KEY}\n",
                                env={"WEIR_TEST_KEY": key})
            self.assertEqual(server.get("/v1/models").status, 401)

    def test_the_program_alone_in_an_empty_folder_chats(self):
        copy = shutil.copy(harness.WEIR, self.folder / "weir")
        run = subprocess.run([copy, "chat", "--temperature", "0", "Who are you?"], capture_output=True, text=True,
                             timeout=60, cwd=self.folder, env={})
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("weir", run.stdout)
        self.assertEqual(os.listdir(self.folder), ["weir"], "it wrote something beside itself")

    def test_a_warm_start_answers_within_100_ms(self):
        took = []
        for _ in range(7):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            begin = time.monotonic()
            server = subprocess.Popen([harness.WEIR, "serve", "--quiet", "--listen", f"127.0.0.1:{port}"],
                                      stderr=subprocess.DEVNULL)
            try:
                answer = None
                while not answer:
                    try:
                        with socket.create_connection(("127.0.0.1", port), 5) as connection:
                            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                            answer = harness.read_answer(connection)
                    except ConnectionRefusedError:
                        self.assertIsNone(server.poll())
                        time.sleep(0.001)
                took.append(time.monotonic() - begin)
                self.assertEqual(answer.status, 200)
            finally:
                server.terminate()
                server.wait(30)
        self.assertLess(min(took), 0.1 * harness.SLOWNESS, took)


class End(unittest.TestCase):
    def start(self, config=None):
        server = harness.Server(config=config).start()
        self.addCleanup(server.stop)
        return server

    def test_readyz_flips_before_connections_are_refused_and_streams_end_whole(self):
        server = self.start("drain_delay: 500ms\n")
        connection, begun = lazy_client(server, post(CHAT, LONG_STREAM))
        self.addCleanup(connection.close)
        server.process.send_signal(signal.SIGTERM)
        ready = harness.wait_until(lambda: server.get("/readyz").status == 503 and server.get("/readyz"), 5)
        self.assertEqual(ready.json(), {"status": "draining"})
        self.assertEqual(server.get("/health").status, 200)
        self.assertEqual(server.post(CHAT, HELLO).status, 200, "requests still on their way are served")

        def refused():
            try:
                server.connect().close()
            except ConnectionRefusedError:
                return True

        self.assertTrue(harness.wait_until(refused, 20))
        self.assertIsNone(server.process.poll())
        stream = read_all(connection, begun)
        self.assertTrue(stream.startswith(b"HTTP/1.1 200"))
        self.assertIn(b"data: [DONE]\n\n", stream[-60:])
        self.assertTrue(stream.endswith(b"0\r\n\r\n"), stream[-60:])
        self.assertEqual(server.stop(), 0)

    def test_ctrl_c_does_not_make_a_person_wait_for_the_load_balancer(self):
        server = self.start("drain_delay: 1h\n")
        self.assertEqual(server.stop(signal.SIGINT), 0)

    def test_what_outlasts_the_drain_is_cut_and_looks_cut(self):
        server = self.start("drain_timeout: 200ms\n")
        connection, begun = lazy_client(server, post(CHAT, LONG_STREAM))
        self.addCleanup(connection.close)
        self.assertEqual(server.stop(), 0)
        stream = begun
        try:
            stream = read_all(connection, begun)
        except ConnectionResetError:
            pass
        self.assertFalse(stream.endswith(b"0\r\n\r\n"))

    def test_a_finished_answer_reaches_a_client_that_reads_late(self):
        large = {"input": ["a b"] * 2000}  # an answer of some 5 MB
        for how, more in (("kept open", b""), ("closed", b"Connection: close\r\n"), ("drained", b"")):
            with self.subTest(how):
                server = self.start()
                connection, received = lazy_client(server, post("/v1/embeddings", large, more))
                if how == "drained":
                    server.process.send_signal(signal.SIGTERM)
                time.sleep(1.5)  # longer than a connection lingers when all is sent
                while b"\r\n\r\n" not in received:
                    received += connection.recv(4096)
                head, _, body = received.partition(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                while len(body) < length and (block := connection.recv(1 << 20)):
                    body += block
                connection.close()
                self.assertEqual(len(body), length)
                self.assertEqual(len(json.loads(body)["data"]), 2000)
                self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    harness.main()
