# REQ: ENG-10 ENG-4 SEC-2
"""The program on a terminal (a pseudo-terminal here): conversations, Ctrl-C, progress that is drawn and then gone."""

import fcntl
import http.server
import os
import pty
import select
import signal
import subprocess
import tempfile
import termios
import threading
import time
import unittest
from pathlib import Path

import harness

PROMPT = "> "


class Terminal:
    """A program with a terminal of its own; what it writes is read until an expected end."""

    def __init__(self, *words, env=None):
        self.master, slave = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "NO_COLOR": "1", **(env or {})}
        self.process = subprocess.Popen([harness.WEIR, *words], stdin=slave, stdout=slave, stderr=slave,
                                        env=environment, start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(slave)
        self.seen = ""

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)

    def read(self, until=None, timeout_s=60):
        """Text up to `until` (a predicate of what came, or its end); to the end of the program without one."""
        text, end = "", time.monotonic() + timeout_s
        matches = until if callable(until) else lambda t: until and t.endswith(until)
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                try:
                    block = os.read(self.master, 65536)
                except OSError:  # the other side is closed
                    break
                text += block.decode("utf-8", "replace")
            elif self.process.poll() is not None:
                break
            if matches(text):
                break
        self.seen += text
        return text

    def type(self, text):
        os.write(self.master, text.encode())

    def interrupt(self):
        """Ctrl-C while the program is held, so that it cannot have come to its end before."""
        self.process.send_signal(signal.SIGSTOP)
        self.type("\x03")
        self.process.send_signal(signal.SIGCONT)

    def ask(self, question):
        """Types a line and returns what is printed up to the next prompt."""
        self.type(question + "\n")
        return self.read(until="\n" + PROMPT).removeprefix(question).removesuffix(PROMPT).strip()


class Chat(unittest.TestCase):
    def chat(self, *words, **options):
        terminal = Terminal("chat", "--temperature", "0", *words, **options)
        self.addCleanup(terminal.close)
        greeting = terminal.read(until=PROMPT)
        self.assertIn("context", greeting)
        return terminal

    def test_a_conversation_has_turns_and_ctrl_d_ends_it(self):
        terminal = self.chat()
        first = terminal.ask("Who are you?")
        self.assertIn("weir", first)
        self.assertGreater(len(terminal.ask("Tell me a joke.")), 3)
        terminal.type("\x04")
        terminal.read()
        self.assertEqual(terminal.process.wait(20), 0)

    def test_an_answer_depends_on_what_was_said_before_and_clear_forgets_it(self):
        terminal = self.chat()
        alone = terminal.ask("Tell me a story about a fox.")
        after = terminal.ask("Tell me a story about a fox.")
        self.assertNotEqual(alone, after, "the second answer knows nothing of the first")
        self.assertIn("anew", terminal.ask("/clear"))
        self.assertEqual(terminal.ask("Tell me a story about a fox."), alone)

    # An answer takes some 50 ms. On a busy machine one may be over before this process is there to interrupt it: then
    # another is asked for.

    def test_ctrl_c_stops_an_answer_and_the_conversation_goes_on(self):
        for _ in range(10):
            terminal = self.chat("--seed", "1", "--temperature", "1.5")
            terminal.type("Tell me a long story about a fox.\n")
            terminal.read(until=lambda text: len(text) > 50)
            terminal.interrupt()
            terminal.read(until="\n" + PROMPT, timeout_s=20)
            if terminal.process.poll() is None:
                break
        self.assertTrue(terminal.seen.endswith("\n" + PROMPT), terminal.seen[-200:])
        self.assertIsNone(terminal.process.poll())
        self.assertGreater(len(terminal.ask("Hello!")), 1)

    def test_ctrl_c_at_the_prompt_leaves(self):
        for _ in range(10):  # at once: also before the program has begun to wait for a line
            terminal = self.chat()
            terminal.type("\x03")
            terminal.read(timeout_s=20)
            self.assertEqual(terminal.process.wait(1), 0)

    def test_an_interrupted_single_answer_says_so_by_its_exit_status(self):
        for _ in range(10):
            terminal = Terminal("chat", "--temperature", "0", "Tell me a story about a fox.")
            self.addCleanup(terminal.close)
            terminal.read(until=lambda text: len(text) > 2)
            terminal.interrupt()
            terminal.read()
            if terminal.process.wait(20) != 0:
                break
        self.assertEqual(terminal.process.returncode, 130, terminal.seen)

    def test_slash_words_and_empty_lines(self):
        terminal = self.chat()
        self.assertIn("/clear", terminal.ask("/help"))
        self.assertIn("/quit", terminal.ask("/nonsense"))
        self.assertEqual(terminal.ask(""), "")
        terminal.type("/quit\n")
        terminal.read()
        self.assertEqual(terminal.process.wait(20), 0)

    def test_a_full_context_forgets_the_oldest_turns_and_says_so(self):
        terminal = self.chat()
        for _ in range(30):
            answer = terminal.ask("Tell me a story about a dog.")
            self.assertNotIn("weir chat:", answer)
            if "forgotten" in answer:
                break
        else:
            self.fail("thirty stories fit into one small context")
        self.assertGreater(len(terminal.ask("Hello!")), 1)

    def test_a_question_that_can_never_fit_is_refused_and_the_conversation_goes_on(self):
        terminal = self.chat()
        self.assertIn("shorten", terminal.ask("word " * 700))
        self.assertIn("weir", terminal.ask("Who are you?"))

    def test_colour_only_where_it_is_wanted(self):
        plain = self.chat()
        self.assertNotIn("\x1b", plain.seen)
        coloured = Terminal("chat", env={"NO_COLOR": ""})
        self.addCleanup(coloured.close)
        coloured.read(until=lambda text: ">" in text and text.endswith(" "))
        self.assertIn("\x1b[", coloured.seen)


class SlowFile(http.server.BaseHTTPRequestHandler):
    """A file that comes in pieces."""

    size = 400_000

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(self.size))
        self.end_headers()
        try:
            for _ in range(8):
                self.wfile.write(b"x" * (self.size // 8))
                time.sleep(0.15)
        except OSError:
            pass  # the client was interrupted

    def log_message(self, *_):
        pass


class Progress(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-progress-")
        self.addCleanup(folder.cleanup)
        self.env = {"WEIR_MODELS": folder.name, "NO_PROXY": "*", "no_proxy": "*"}
        self.folder = Path(folder.name)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), SlowFile)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}/slow.gguf"

    def test_a_download_is_drawn_on_a_terminal_and_wiped_at_its_end(self):
        terminal = Terminal("model", "pull", self.url, env=self.env)
        self.addCleanup(terminal.close)
        seen = terminal.read()
        self.assertRegex(seen, r"fetching \[#+\.+\] [0-9.]+ kB of 400 kB, [0-9.]+ [kM]B/s, [0-9]+ s left")
        self.assertIn("\r\x1b[K", seen)
        after = seen.rsplit("\r\x1b[K", 1)[1]
        self.assertNotIn("fetching", after, "the line is left on the screen")

    def test_in_a_pipe_nothing_is_drawn(self):
        run = harness.weir("model", "pull", self.url, env=self.env)
        self.assertNotIn("fetching", run.stdout + run.stderr)
        self.assertNotIn("\r", run.stdout + run.stderr)

    def test_ctrl_c_keeps_what_came_for_the_next_try(self):
        terminal = Terminal("model", "pull", self.url, env=self.env)
        self.addCleanup(terminal.close)
        terminal.read(until=lambda text: "kB/s" in text)
        terminal.type("\x03")
        terminal.read()
        self.assertIn(terminal.process.wait(20), (-signal.SIGINT, 130))
        parts = [f.name for f in self.folder.iterdir()]
        self.assertEqual(parts, ["slow.gguf.part"])
        self.assertGreater((self.folder / parts[0]).stat().st_size, 0)


if __name__ == "__main__":
    harness.main()
