"""Start tests/programs/http_echo_server and speak raw HTTP to it."""

import json
import os
import resource
import socket
import subprocess
import threading
import time
import unittest

PROGRAM = os.environ.get("HTTP_ECHO_SERVER", "build/dev/tests/http_echo_server")


def allow_descriptors(count):
    """This process, and what it starts, may have so many files open: a shell gives 1024 and lets a program take more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise unittest.SkipTest(f"{count} open files are needed and this machine allows {hard}")
    if soft != resource.RLIM_INFINITY and soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


class EchoServer:
    """The program, on a free port, until close(). `args` as on its command line."""

    def __init__(self, *args):
        self.process = subprocess.Popen([PROGRAM, *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def close(self):
        self.process.stdin.close()
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        return code

    def connect(self, timeout=10):
        s = socket.create_connection(("127.0.0.1", self.port), timeout=timeout)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return s

    def ask(self, data, timeout=10):
        """Send bytes on a connection of its own and read one answer."""
        with self.connect(timeout) as s:
            s.sendall(data)
            return Answer.read(s.makefile("rb"), head=data.startswith(b"HEAD "))

    def counts(self):
        return json.loads(self.ask(get("/counts")).body)

    def wait_for(self, name, value, seconds=5):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            got = self.counts()[name]
            if got == value:
                return got
            time.sleep(0.005)
        return got

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kb(self):
        """Its own memory. A sanitizer's quarantine is not: under one, a test that asks is skipped from there on."""
        with open(f"/proc/{self.process.pid}/maps") as f:
            if "san.so" in f.read():
                raise unittest.SkipTest("memory is not measured under a sanitizer")
        with open(f"/proc/{self.process.pid}/smaps_rollup") as f:
            for line in f:
                if line.startswith("Pss_Dirty:") or line.startswith("Private_Dirty:"):
                    return int(line.split()[1])
        raise AssertionError("no resident size")


class Answer:
    """One answer read from a file of a socket. `cut` says that it ended before its end."""

    def __init__(self):
        self.status, self.headers, self.body, self.cut, self.head = 0, {}, b"", False, b""

    @classmethod
    def read(cls, f, head=False):
        a = cls()
        line = f.readline()
        if not line:
            a.cut = True
            return a
        a.head = line
        a.status = int(line.split()[1])
        while (line := f.readline()) not in (b"\r\n", b""):
            a.head += line
            name, value = line.decode("latin-1").rstrip("\r\n").split(":", 1)
            a.headers[name.lower()] = value.strip()
        if head or a.status in (100, 204, 304):
            return a
        if a.headers.get("transfer-encoding") == "chunked":
            a._read_chunks(f)
        elif "content-length" in a.headers:
            length = int(a.headers["content-length"])
            a.body = f.read(length)
            a.cut = len(a.body) < length
        else:
            a.body = f.read()
        return a

    def _read_chunks(self, f):
        pieces = []
        try:
            self._gather_chunks(f, pieces)
        finally:
            self.body = b"".join(pieces)

    def _gather_chunks(self, f, pieces):
        while True:
            size = f.readline()
            if not size.endswith(b"\r\n"):
                self.cut = True
                return
            length = int(size, 16)
            piece = f.read(length + 2)
            if len(piece) < length + 2:
                self.cut = True
                return
            if length == 0:
                return
            pieces.append(piece[:-2])

    @property
    def code(self):
        return json.loads(self.body)["error"]["code"]


def get(path, *headers, method="GET"):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def post(path, body, *headers):
    return get(path, f"Content-Length: {len(body)}", *headers, method="POST") + body


class EchoTest(unittest.TestCase):
    """A server for each class of tests, on each backend of the loop."""

    args = ()
    backend = ()

    @classmethod
    def setUpClass(cls):
        cls.server = EchoServer(*cls.backend, *cls.args)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.close()
        assert code == 0, f"the server ended with {code}"


def on_each_backend(module):
    """Give every EchoTest class of a module a twin on the poll backend."""
    for name, cls in list(vars(module).items()):
        if isinstance(cls, type) and issubclass(cls, EchoTest) and cls is not EchoTest:
            twin = type(name + "OnPoll", (cls,), {"backend": ("poll",), "__module__": module.__name__})
            setattr(module, name + "OnPoll", twin)


def in_background(function, *args):
    t = threading.Thread(target=function, args=args, daemon=True)
    t.start()
    return t
