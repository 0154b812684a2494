"""A server of HTTP/2 in plain TCP, frame by frame, for what well-behaved libraries will not do. Nothing of it is weir's own
library's: frames are put together here, heads as literals without a table (RFC 7541 §6.2.2).

    with Peer(script) as peer:      # script(connection), on a thread for each connection
        probe("GET", peer.url, …, "h2=prior")
"""

import socket
import struct
import threading

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS = 1, 1, 4
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, REFUSED_STREAM, CANCEL, ENHANCE_YOUR_CALM = 0, 1, 2, 7, 8, 11
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind, flags=0, stream=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def settings(**values):
    numbers = {"streams": MAX_CONCURRENT_STREAMS, "window": INITIAL_WINDOW_SIZE}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HI", numbers[k], v) for k, v in values.items()))


def block(*fields):
    def text(s):
        s = s.encode()
        return (bytes([len(s)]) if len(s) < 127 else b"\x7f" + varint(len(s) - 127)) + s
    return b"".join(b"\x00" + text(name) + text(value) for name, value in fields)


def varint(n):
    out = b""
    while n >= 128:
        out += bytes([n % 128 + 128])
        n //= 128
    return out + bytes([n])


def headers(stream, *fields, status=200, end=False):
    flags = END_HEADERS | (END_STREAM if end else 0)
    return frame(HEADERS, flags, stream, block((":status", str(status)), *fields))


def data(stream, payload, end=False):
    return frame(DATA, END_STREAM if end else 0, stream, payload)


def reset(stream, code):
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def goaway(last, code=NO_ERROR, words=b""):
    return frame(GOAWAY, 0, 0, struct.pack(">II", last, code) + words)


class Gone(Exception):
    """The other side closed."""


class Connection:
    def __init__(self, sock, number):
        self.sock, self.number = sock, number
        self.buffer = b""
        self.seen = []  # (kind, flags, stream, payload) of what came
        self.lock = threading.Lock()
        self.acknowledges = True

    def send(self, *frames):
        with self.lock:
            self.sock.sendall(b"".join(frames))

    def _take(self, n):
        while len(self.buffer) < n:
            more = self.sock.recv(65536)
            if not more:
                raise Gone
            self.buffer += more
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def read(self):
        """The next frame; settings are acknowledged."""
        head = self._take(9)
        payload = self._take(int.from_bytes(head[:3], "big"))
        got = head[3], head[4], int.from_bytes(head[5:], "big"), payload
        self.seen.append(got)
        if got[0] == SETTINGS and not got[1] & ACK and self.acknowledges:
            self.send(frame(SETTINGS, ACK))
        return got

    def begin(self, **values):
        """The preface, and our settings."""
        assert self._take(len(PREFACE)) == PREFACE
        self.send(settings(**values))

    def request(self):
        """The stream of the next whole request."""
        while True:
            kind, flags, stream, _ = self.read()
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return stream

    def until(self, kind, stream=None):
        while True:
            got = self.read()
            if got[0] == kind and stream in (None, got[2]):
                return got

    def until_gone(self):
        try:
            while True:
                self.read()
        except (Gone, OSError):
            pass


class Peer:
    def __init__(self, script, wrap=lambda sock, number: sock):
        self.script, self.wrap = script, wrap
        self.connections = []
        self.failures = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}/x"
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for t in self.threads:
            t.join(10)
        if self.failures:
            raise self.failures[0]

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(20)
            try:
                sock = self.wrap(sock, len(self.connections))
            except OSError:  # a handshake that failed
                sock.close()
                continue
            self.connections.append(Connection(sock, len(self.connections)))
            self.threads.append(threading.Thread(target=self._serve, args=(self.connections[-1],), daemon=True))
            self.threads[-1].start()

    def _serve(self, connection):
        try:
            with connection.sock:
                self.script(connection)
        except (Gone, ConnectionError):
            pass
        except Exception as e:  # told where the test can see it
            self.failures.append(e)
