"""llama.cpp's servers, which others wrote, for the tests that put them behind weir: its own (LlamaServer) and that of its Python
bindings (PythonServer), each on a free port with a small model of stories; and what their tests share."""

import http.client
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import unittest

import harness

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
STORY = [{"role": "user", "content": "Tell me a story about a dog."}]
SAME = {"temperature": 0, "seed": 1}  # what makes two answers the same


HOW_TO_GET_ONE = ("no llama.cpp server: build its target llama-server, or install a package that has it, and name it in "
                  "WEIR_PEER_LLAMA_SERVER or have it on PATH")
HOW_TO_GET_BINDINGS = ("no llama_cpp.server: pip install 'llama-cpp-python[server]' into some virtual environment, and name its "
                       "python in WEIR_PEER_LLAMA_CPP_PYTHON")


def program():
    found = os.environ.get("WEIR_PEER_LLAMA_SERVER") or shutil.which("llama-server")
    if not found:
        raise unittest.SkipTest(HOW_TO_GET_ONE)
    return found


def python_with_bindings():
    named = os.environ.get("WEIR_PEER_LLAMA_CPP_PYTHON")
    if not named and not importlib.util.find_spec("llama_cpp"):
        raise unittest.SkipTest(HOW_TO_GET_BINDINGS)
    return named or sys.executable


def model():
    return str(harness.data("models", "stories3M", "stories3M-f16.gguf"))


class LlamaServer(harness.Server):
    """llama.cpp's server, without a cache, so that equal requests are computed alike."""

    health = "/health"

    def command(self):
        return [program(), "--model", model(), "--alias", "stories", "--host", "127.0.0.1", "--port", "0", "--offline",
                "--threads", "1", "--parallel", "4", "--ctx-size", "1024", "--context-shift", "--no-cache-prompt",
                "--chat-template", "chatml", "--metrics"]

    def start(self):
        command = [*self.command(), *self.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._reader = harness.threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        try:
            self._await_start()
        except BaseException:
            self.stop()
            raise
        return self

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"llama.cpp's server ended ({self.process.returncode}); it said:\n{self.output}")
        try:
            return self.get(self.health).status == 200
        except OSError:
            return False

    def works_on(self):
        """How many requests it works on."""
        return int(re.search(r"^llamacpp:requests_processing (\d+)$", self.get("/metrics").text, re.M).group(1))


class PythonServer(LlamaServer):
    """The server of llama-cpp-python."""

    health = "/v1/models"

    def command(self):
        return [python_with_bindings(), "-m", "llama_cpp.server", "--model", model(), "--model_alias", "stories",
                "--host", "127.0.0.1", "--port", "0", "--n_threads", "1", "--n_ctx", "4096", "--chat_format", "chatml"]


def started(case, kind=LlamaServer, **fields):
    """A server for this test (or class) alone, which ends with it."""
    server = kind(**fields).start()
    clean_up = case.addClassCleanup if isinstance(case, type) else case.addCleanup
    clean_up(lambda: server.stop(signal.SIGKILL))
    return server


def told(events):
    """A chat stream's chunks, and whether [DONE] ended it."""
    got = []
    try:
        got.extend(events)
    except http.client.IncompleteRead:
        pass  # a stream that failed is cut without its last chunk
    done = bool(got) and got[-1].data == "[DONE]"
    return [event.json() for event in got[:len(got) - done]], done


def text_of(chunks):
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk.get("choices", ()))


def finish_of(chunks):
    return [c["finish_reason"] for chunk in chunks for c in chunk.get("choices", ()) if c["finish_reason"]]


class Beside(harness.ServerCase):
    """The same request, through weir's provider `llama` and directly to the server `llama`."""

    llama = None

    def both(self, path, **body):
        """What it answers directly, and through weir."""
        direct = self.llama.post(path, {"model": "stories", **body})
        through = self.post(path, {"model": "llama/stories", **body})
        self.assertEqual(through.status, direct.status, (direct, through))
        self.assertEqual(through.headers["x-weir-provider"], "llama")
        return direct.json(), through.json()

    def both_streams(self, path=CHAT, **body):
        direct = told(self.llama.stream(path, {"model": "stories", "stream": True, **body}))
        through = told(self.stream(path, {"model": "llama/stories", "stream": True, **body}))
        self.assertEqual((direct[1], through[1]), (True, True))
        return direct[0], through[0]

    def assert_same_answer(self, direct, through):
        """All that does not tell one request from the other, members that only llama.cpp has included."""
        own = ("id", "created", "timings")
        self.assertEqual(list(through), list(direct))
        self.assertEqual({k: v for k, v in through.items() if k not in own}, {k: v for k, v in direct.items() if k not in own})
        if "timings" in direct:
            self.assertEqual(through["timings"]["predicted_n"], direct["timings"]["predicted_n"])

    def expected(self, tokens):
        answer = self.llama.post(CHAT, {"model": "stories", "messages": STORY, "max_tokens": tokens, **SAME}).json()
        return answer["choices"][0]["message"]["content"], answer["usage"]
