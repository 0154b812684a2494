"""`weir fault` for tests: a provider that misbehaves on order, and a raw client that sees what went over the wire.

    with fault_provider.Fault(seed=7) as provider:
        answer = provider.ask("openai", "cut@5", stream=True)
        answer.ending       # "whole", "cut", "reset", or "silent" where nothing came for `silence_s`
        answer.text         # of the events or the document that came
        provider.attempts() # what the provider saw
"""

import json
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import harness

ADDRESS = re.compile(rb"listens at http://([0-9.]+):([0-9]+)")
# The four protocols: path, and how a conversation is asked for.
PATHS = {"openai": "/v1/chat/completions", "completions": "/v1/completions", "anthropic": "/v1/messages",
         "ollama": "/api/chat", "generate": "/api/generate"}


class Fault:
    """`weir fault` on a free loopback port."""

    def __init__(self, script=None, env=None, key=None, **options):
        self.script, self.env, self.options = script, env or {}, options
        self.headers = {"authorization": f"Bearer {key}"} if key else {}
        self.process = self._folder = None
        self._output = bytearray()

    def __enter__(self):
        command = [harness.WEIR, "fault", "--listen", "127.0.0.1:0"]
        for name, value in self.options.items():
            command += ["--" + name.replace("_", "-")] + ([] if value is True else [str(value)])
        if self.script is not None:
            self._folder = tempfile.TemporaryDirectory(prefix="weir-fault-")
            path = Path(self._folder.name, "script.yaml")
            path.write_text(self.script)
            command += ["--script", str(path)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, env={**os.environ, **self.env})
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()
        found = harness.wait_until(lambda: ADDRESS.search(bytes(self._output)) or self.process.poll() is not None,
                                   harness.START_TIMEOUT_S)
        if found is True or not found:
            self.stop()
            raise AssertionError(f"weir fault printed no address; it said:\n{self.output}")
        self.host, self.port = found.group(1).decode(), int(found.group(2))
        return self

    def __exit__(self, *_):
        status = self.stop()
        if status != 0 or harness.SIGNS_OF_TROUBLE.search(self.output):
            raise AssertionError(f"weir fault ended with {status}:\n{self.output}")

    def _collect(self):
        while block := os.read(self.process.stdout.fileno(), 65536):
            self._output += block

    @property
    def output(self):
        return bytes(self._output).decode("utf-8", "replace")

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def stop(self):
        self.process.terminate()
        status = self.process.wait(30)
        self._reader.join(5)
        self.process.stdout.close()
        if self._folder:
            self._folder.cleanup()
        return status

    def request(self, method, path, body=None, headers=None, silence_s=10.0):
        """One request on a connection of its own, as raw as it comes back."""
        body = json.dumps(body).encode() if isinstance(body, (dict, list)) else body or b""
        head = [f"{method} {path} HTTP/1.1", f"Host: {self.host}:{self.port}", f"Content-Length: {len(body)}"]
        head += [f"{name}: {value}" for name, value in (headers or {}).items()]
        with socket.create_connection((self.host, self.port), 10) as connection:
            connection.sendall("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            return Raw(connection, silence_s)

    def ask(self, protocol, model="some", stream=False, prompt="Say something.", fault=None, silence_s=10.0, **fields):
        """A conversation in one of PATHS' protocols."""
        body = {"model": model, "stream": stream, **fields}
        if protocol in ("completions", "generate"):
            body.setdefault("prompt", prompt)
        else:
            body.setdefault("messages", [{"role": "user", "content": prompt}])
        return self.request("POST", PATHS[protocol], body, {"x-fault": fault} if fault else {}, silence_s)

    def record(self):
        return self.request("GET", "/fault/attempts", headers=self.headers).json()

    def attempts(self):
        return self.record()["attempts"]

    def clear(self):
        self.request("DELETE", "/fault/attempts", headers=self.headers)


class Raw:
    """What came back over one connection, and how it ended."""

    def __init__(self, connection, silence_s):
        self.began, self.times, self.received = time.monotonic(), [], bytearray()
        connection.settimeout(silence_s)
        self.ending = None
        while self.ending is None:
            self._receive(connection)
        self._split()

    def _receive(self, connection):
        try:
            block = connection.recv(65536)
        except ConnectionResetError:
            self.ending = "reset"
            return
        except socket.timeout:
            self.ending = "silent"
            return
        self.times.append((time.monotonic() - self.began, len(block)))
        self.received += block
        if self._complete():
            self.ending = "whole"
        elif not block:
            self.ending = "cut"

    def _complete(self):
        head, found, body = bytes(self.received).partition(b"\r\n\r\n")
        if not found:
            return False
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length:
            return len(body) >= int(length.group(1))
        return b" 204 " in head[:14] or body == b"0\r\n\r\n" or body.endswith(b"\r\n0\r\n\r\n")

    def _split(self):
        head, _, body = bytes(self.received).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1]) if head else None
        self.headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        self.chunks = list(dechunk(body)) if "chunked" in self.headers.get("transfer-encoding", "") else [body]
        self.body = b"".join(self.chunks)

    @property
    def first_byte_s(self):
        return self.times[0][0]

    @property
    def duration_s(self):
        return self.times[-1][0]

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.body)

    def events(self):
        """Events (server-sent, or lines of JSON) that came whole, as text."""
        if "ndjson" in self.headers.get("content-type", ""):
            return [line.decode() for line in self.body.split(b"\n")[:-1]]
        return [e.data for e in harness.parse_events([self.body])]

    def said(self):
        """The answer's text out of whatever came, in any protocol."""
        stream = self.headers.get("content-type", "").partition(";")[0] != "application/json"
        return "".join(said_by(json.loads(e)) for e in (self.events() if stream else [self.text]) if e != "[DONE]")


def said_by(document):
    """The text in one document or event of any protocol."""
    if "choices" in document:
        return "".join((c.get("delta") or c.get("message") or c).get("content") or c.get("text") or ""
                       for c in document["choices"])
    if document.get("type") == "message":
        return "".join(block.get("text", "") for block in document["content"])
    if "delta" in document:
        return document["delta"].get("text", "")
    content = document.get("message", {}).get("content", "")  # a list in Anthropic's message_start
    return (content if isinstance(content, str) else "") + document.get("response", "")


def dechunk(body):
    while body:
        size, found, rest = body.partition(b"\r\n")
        if not found or int(size, 16) == 0:
            return
        yield rest[:int(size, 16)]
        body = rest[int(size, 16) + 2:]
