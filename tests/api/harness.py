"""What the tests of the program over its sockets share: start weir, speak to it, stop it by pid.

A test file is `tests/api/<subject>_test.py`; it names the requirements it proves in a comment line (`# REQ: API-1`),
and ends with `harness.main()`:

    import harness

    class Health(harness.ServerCase):
        config = "..."                       # optional: the text of a configuration file
        arguments = ["--model", "bundled"]   # optional: more words for `weir serve`

        def test_health_is_ok_before_any_request(self):
            answer = self.get("/health")
            self.assertEqual((answer.status, answer.json()), (200, {"status": "ok"}))

    if __name__ == "__main__":
        harness.main()

The program under test is $WEIR (ctest sets it; by hand it is build/weir). Shared data is found by data("folder"),
which skips the test by name where there is none. What holds something to a time multiplies it by SLOWNESS, and asks by a line
`# ctest: serial` to run with nothing beside it. A file of which every test was skipped leaves with status 77.
Run as `harness.py --node NODE FILE.mjs`, it starts a server and runs a Node test file against it.
"""

import http.client
import json
import os
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

SOURCE = Path(os.environ.get("WEIR_SOURCE_DIR", Path(__file__).resolve().parents[2]))
WEIR = os.environ.get("WEIR", str(SOURCE / "build" / "weir"))
SKIPPED = 77
# A test knows all its providers: none come from this machine's environment unless it says so itself.
os.environ["WEIR_PROVIDERS_FROM_ENVIRONMENT"] = "false"
# How much longer than on a free machine with an ordinary build things may take (under a sanitizer: 10).
SLOWNESS = float(os.environ.get("WEIR_TEST_SLOWNESS", "1"))
START_TIMEOUT_S = float(os.environ.get("WEIR_START_TIMEOUT_S", "60"))
ADDRESS = re.compile(rb"https?://(127\.0\.0\.1|\[::1\]|localhost):([0-9]+)")
# What a sanitizer, an assertion or the C library writes when the program went wrong, whatever it answered.
SIGNS_OF_TROUBLE = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|ASSERT|stack smashing")


# ---- data, and running the program once ----


def data(*parts):
    """Path below the shared test data; skips the running test by name where it is absent."""
    path = Path(os.environ.get("WEIR_TEST_DATA", SOURCE.parent / "shared")).joinpath(*parts)
    if not path.exists():
        raise unittest.SkipTest(f"no shared data at {path} (set WEIR_TEST_DATA)")
    return path


def weir(*arguments, stdin="", timeout_s=60, env=None):
    """Runs `weir ARGUMENTS` to its end; gives returncode, stdout and stderr (text)."""
    return subprocess.run([WEIR, *map(str, arguments)], input=stdin, capture_output=True, text=True,
                          timeout=timeout_s, env={**os.environ, **(env or {})})


def path_with_pip():
    """$PATH with the pip of the tests' own environment first: a machine need not have one."""
    return f"{SOURCE / 'build' / 'venv' / 'bin'}:{os.environ['PATH']}"


def wait_until(condition, timeout_s=30, every_s=0.01):
    """The first true value of condition(), or its last value when the time is over."""
    end = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value or time.monotonic() >= end:
            return value
        time.sleep(every_s)


def own_bytes(pid):
    """A process's memory that is its own, without the pages of its file."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Anonymous:\s+(\d+)", rollup).group(1)) * 1024


def dump_store(path):
    """All that a store holds as text: its tables, and the bytes of its records as they lie there."""
    with sqlite3.connect(path) as db:
        records = [bytes(row[0]).decode("latin-1") for row in db.execute("SELECT message FROM record_group")]
        return "\n".join([*db.iterdump(), *records])


def slow_turns(page, seconds=0.05):
    """How many turns of its loop took longer, by weir's own page of metrics; `seconds` is one of the histogram's steps."""
    below = re.search(rf'^weir_loop_lag_seconds_bucket{{le="{seconds:g}"}} (\S+)$', page, re.M).group(1)
    return float(re.search(r"^weir_loop_lag_seconds_count (\S+)$", page, re.M).group(1)) - float(below)


def ended(connections):
    """How many of these sockets the other side has closed; what else has come is read away."""
    poll, by_number = select.poll(), {s.fileno(): s for s in connections}
    for number in by_number:
        poll.register(number, select.POLLIN)
    return sum(by_number[number].recv(65536) == b"" for number, _ in poll.poll(0))


# ---- answers ----


class Answer:
    """A whole HTTP answer. Header names are compared without case; `headers.get_all(name)` gives duplicates."""

    def __init__(self, status, reason, headers, body):
        self.status, self.reason, self.headers, self.body = status, reason, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The `data:` payloads of a server-sent event body, in order, as text."""
        return [e.data for e in parse_events([self.body])]

    def __repr__(self):
        return f"<{self.status} {self.reason}: {self.body[:300]!r}>"


class Event:
    """One server-sent event: its name (None without one), its data, and when its last byte came (monotonic)."""

    def __init__(self, name, data, time_s):
        self.name, self.data, self.time_s = name, data, time_s

    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"<{self.name or 'data'}: {self.data}>"


def parse_events(chunks):
    """Yields the events of a stream given as chunks of bytes, split anywhere."""
    name, lines, rest = None, [], b""
    for chunk in chunks:
        rest += chunk
        *whole, rest = rest.split(b"\n")
        for line in (raw.rstrip(b"\r") for raw in whole):
            field, _, value = line.partition(b":")
            value = value[1:] if value.startswith(b" ") else value
            if field == b"event":
                name = value.decode()
            elif field == b"data":
                lines.append(value.decode("utf-8"))
            elif not line and (lines or name):
                yield Event(name, "\n".join(lines), time.monotonic())
                name, lines = None, []


# ---- the server under test ----


class Server:
    """`weir serve` on a free loopback port. Use as a context manager, or call start() and stop(). `tls` is the ssl context
    to speak to it with, where its configuration has a certificate."""

    def __init__(self, arguments=(), config=None, env=None, wait_ready=True, tls=None):
        self.arguments, self.config, self.env, self.wait_ready = list(arguments), config, env or {}, wait_ready
        self.tls = tls
        self.process = self.port = None
        self.host = "127.0.0.1"
        self._output = bytearray()
        self._folder = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        command = [WEIR, "serve", "--listen", "127.0.0.1:0"]
        self._folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        if self.config is not None:
            path = Path(self._folder.name, "weir.yaml")
            path.write_text(self.config)
            command += ["--config", str(path)]
        command += [str(a) for a in self.arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT,
                                        env={**os.environ, "WEIR_STORE": self.store, **self.env})
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        try:
            self._await_start()
        except BaseException:
            self.stop()
            raise
        return self

    def _collect(self):
        while block := os.read(self.process.stdout.fileno(), 65536):
            self._output += block

    def _await_start(self):
        def printed():
            return ADDRESS.search(bytes(self._output)) or self.process.poll() is not None

        found = wait_until(printed, START_TIMEOUT_S)
        if found is True or not found:
            raise AssertionError(f"weir serve printed no address; it said:\n{self.output}")
        self.port = int(found.group(2))
        if self.wait_ready and not wait_until(self._is_ready, START_TIMEOUT_S):
            raise AssertionError(f"/readyz did not answer 200; weir said:\n{self.output}")

    def _is_ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"weir serve ended ({self.process.returncode}); it said:\n{self.output}")
        try:
            return self.request("GET", "/readyz").status == 200
        except OSError:
            return False

    def stop(self, signal_number=signal.SIGTERM, timeout_s=30):
        """Ends the process; returns its exit status (negative: the signal that ended it)."""
        if not self.process:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            status = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"weir did not end within {timeout_s} s of signal {signal_number}:\n{self.output}")
        finally:
            self._reader.join(5)
            self.process.stdout.close()
            if self._folder:
                self._folder.cleanup()
        self.process = None
        return status

    @property
    def output(self):
        """What the program has written so far, to either stream. What it writes comes in no order with what it answers: to
        find something in it, wait with says()."""
        return bytes(self._output).decode("utf-8", "replace")

    def says(self, pattern, timeout_s=30):
        """Waits until the program has written what matches `pattern` (a regular expression); returns the match."""
        found = wait_until(lambda: re.search(pattern, self.output), timeout_s * SLOWNESS)
        if not found:
            raise AssertionError(f"{pattern!r} is not in what weir said:\n{self.output}")
        return found

    def log_line(self, request_id):
        """The line of text that the log has for a request, when it is there."""
        return self.says(rf"(?m)^.*\brequest_id={re.escape(request_id)}(?= |$).*\n").group()

    @property
    def store(self):
        """The store of this server, for verbs that work on one (`--store`)."""
        return self.env.get("WEIR_STORE") or str(Path(self._folder.name, "weir.db"))

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    @property
    def pid(self):
        return self.process.pid

    def resident_bytes(self):
        """VmRSS of the process."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) * 1024

    def is_idle(self):
        """No sequence runs and no request is in flight, by its own gauges."""
        gauges = ("weir_engine_requests_running{", "weir_requests_inflight{")
        return not any(float(line.split()[-1]) for line in self.get("/metrics").text.splitlines() if line.startswith(gauges))

    def descriptors(self):
        """How many file descriptors the process holds."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    # ---- speaking to it ----

    def _open(self, timeout_s):
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self.tls)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout_s)

    def request(self, method, path, body=None, headers=None, timeout_s=60):
        """One request on a connection of its own. A body that is not bytes or text is sent as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode("utf-8", "surrogatepass")
        connection = self._open(timeout_s)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.reason, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, headers=None, timeout_s=60):
        return self.request("GET", path, None, headers, timeout_s)

    def post(self, path, body, headers=None, timeout_s=60):
        return self.request("POST", path, body, headers, timeout_s)

    def stream(self, path, body, headers=None, timeout_s=60):
        """Posts and yields events as they come. Closing the generator early closes the connection."""
        connection = self._open(timeout_s)
        try:
            connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
            answer = connection.getresponse()
            if answer.status != 200:
                raise AssertionError(Answer(answer.status, answer.reason, answer.headers, answer.read()))
            yield from parse_events(iter(lambda: answer.read1(65536), b""))
        finally:
            connection.close()

    def chat(self, content, **fields):
        """A chat completion with one user message; returns the Answer."""
        messages = [{"role": "user", "content": content}]
        return self.post("/v1/chat/completions", {"model": self.model, "messages": messages, **fields})

    @property
    def model(self):
        """The first model that the server lists."""
        return self.get("/v1/models").json()["data"][0]["id"]

    def connect(self, timeout_s=30):
        """A connected socket (through `tls`, where there is one), for what no HTTP library would send."""
        plain = socket.create_connection((self.host, self.port), timeout_s)
        return self.tls.wrap_socket(plain, server_hostname=self.host) if self.tls else plain

    def exchange(self, raw, timeout_s=10, half_close=False):
        """Sends raw bytes on a fresh connection; gives all bytes until the server closes or is silent for timeout_s."""
        with self.connect() as connection:
            try:
                connection.sendall(raw)
                if half_close:
                    connection.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused before it was all sent: the answer may still be there to read
            return read_until_silent(connection, timeout_s)

    def raw_answers(self, raw, count=1, timeout_s=10):
        """Sends raw bytes and reads `count` whole answers; fewer when the server closes first."""
        with self.connect(timeout_s) as connection:
            connection.sendall(raw)
            answers = []
            while len(answers) < count and (answer := read_answer(connection)):
                answers.append(answer)
            return answers


def read_until_silent(connection, timeout_s):
    received = bytearray()
    end = time.monotonic() + timeout_s
    while (left_s := end - time.monotonic()) > 0 and select.select([connection], [], [], left_s)[0]:
        try:
            block = connection.recv(65536)
        except ConnectionResetError:
            break
        if not block:
            break
        received += block
    return bytes(received)


def read_answer(connection, method="GET"):
    """Reads one answer from a socket (Content-Length, chunked, or until close); None where the peer has closed."""
    try:
        answer = http.client.HTTPResponse(_Unbuffered(connection), method=method)
        answer.begin()
        return Answer(answer.status, answer.reason, answer.headers, answer.read())
    except (http.client.RemoteDisconnected, http.client.BadStatusLine, ConnectionResetError):
        return None


class _Unbuffered:
    """Lets HTTPResponse read no further than its own answer, so that the next one stays in the socket."""

    def __init__(self, connection):
        self.connection = connection

    def makefile(self, _mode):
        return _ByteReader(self.connection)


class _ByteReader:
    def __init__(self, connection):
        self.connection = connection

    def readline(self, limit=-1):
        line = bytearray()
        while not line.endswith(b"\n") and len(line) != limit:
            byte = self.connection.recv(1)
            if not byte:
                break
            line += byte
        return bytes(line)

    def read(self, size=-1):
        received = bytearray()
        while size < 0 or len(received) < size:
            block = self.connection.recv(65536 if size < 0 else size - len(received))
            if not block:
                break
            received += block
        return bytes(received)

    def readinto(self, buffer):
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    def flush(self):
        pass

    def close(self):
        pass


# ---- test cases ----


class ServerCase(unittest.TestCase):
    """A test case whose tests share one server. Afterwards the server must still be up, end cleanly on SIGTERM, and
    have written no sign of trouble."""

    arguments = ()
    config = None
    env = None

    @classmethod
    def setUpClass(cls):
        cls.server = Server(cls.arguments, cls.config, cls.env).start()

    @classmethod
    def tearDownClass(cls):
        died = cls.server.process.poll()
        status = cls.server.stop()
        output = cls.server.output
        if died is not None:
            raise AssertionError(f"weir ended during the tests ({died}); it said:\n{output}")
        if status != 0:
            raise AssertionError(f"weir ended with status {status} on SIGTERM; it said:\n{output}")
        if trouble := SIGNS_OF_TROUBLE.search(output):
            raise AssertionError(f"weir wrote {trouble.group()!r}:\n{output}")

    def is_idle(self):
        return self.server.is_idle()

    def get(self, *arguments, **fields):
        return self.server.get(*arguments, **fields)

    def post(self, *arguments, **fields):
        return self.server.post(*arguments, **fields)

    def chat(self, content, **fields):
        return self.server.chat(content, **fields)

    def stream(self, *arguments, **fields):
        return self.server.stream(*arguments, **fields)

    def says(self, *arguments, **fields):
        return self.server.says(*arguments, **fields)

    def assert_error(self, answer, status, code=None):
        """The answer is OpenAI's error object with this status (and code); returns the object."""
        self.assertEqual(answer.status, status, answer)
        error = answer.json()["error"]
        self.assertEqual({"message", "type", "param", "code"} - set(error), set(), error)
        self.assertTrue(error["message"], error)
        self.assertTrue(answer.headers.get("x-request-id"), answer.headers)
        if code is not None:
            self.assertEqual(error["code"], code, error)
        return error


class ToolCase(ServerCase):
    """Its model, "tooled", calls a tool that it is made to call: a pulled SmolLM2 with a template that has a place for
    tools. Skips by name where it has not been pulled."""

    @classmethod
    def setUpClass(cls):
        path = SOURCE / "build" / "models" / "smollm2.gguf"
        if not path.exists():
            raise unittest.SkipTest("no build/models/smollm2.gguf (api/smollm2 pulls it)")
        cls.config = f"models:\n  - name: tooled\n    source: {path}\n    chat_family: chatml-tools\n"
        super().setUpClass()


_left_out = set()


def left_out(reason):
    """Says in the closing lines that the tests of this file ran without one of the things that they look at."""
    _left_out.add(reason)


def main():
    """unittest.main(), with status 77 where every test was skipped, and the reasons printed."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    if result.testsRun == 0 and not result.skipped:
        print("no test ran")
        sys.exit(1)
    reasons = sorted({reason for _, reason in result.skipped})
    for reason in reasons + sorted(_left_out):
        print(f"skipped: {reason}")
    sys.exit(SKIPPED if reasons and len(result.skipped) >= result.testsRun else 0)


def run_node(node, script):
    """Runs a Node test file against a server of its own: WEIR_URL, WEIR_BASE_URL (…/v1) and WEIR_MODEL tell where."""
    with Server() as server:
        env = {**os.environ, "WEIR_URL": server.url, "WEIR_BASE_URL": server.url + "/v1", "WEIR_MODEL": server.model,
               "WEIR_PID": str(server.pid)}
        status = subprocess.run([node, "--test-reporter=spec", script], env=env).returncode
        died = server.process.poll()
        if died is not None:
            print(f"weir ended during the tests ({died}); it said:\n{server.output}")
            status = 1
    sys.exit(status)


if __name__ == "__main__" and sys.argv[1:2] == ["--node"]:
    run_node(sys.argv[2], sys.argv[3])
