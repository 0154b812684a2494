"""Every limit and deadline of the server: what just fits passes, what does not gets the answer that belongs to it."""

# REQ: API-10 SEC-3

import resource
import socket
import sys
import time
import unittest

from echo_server import Answer, EchoTest, get, on_each_backend, post


def padded(total, path="/health"):
    """A GET whose head has exactly `total` bytes."""
    head = get(path, "X: ")
    return get(path, "X: " + "y" * (total - len(head)))


class Sizes(EchoTest):
    args = ("header_bytes_max=2000", "headers_max=10", "target_bytes_max=300", "body_bytes_max=5000")

    def refused(self, data, status, code):
        a = self.server.ask(data)
        self.assertEqual((a.status, a.code), (status, code))
        self.assertEqual(a.headers["connection"], "close")
        self.assertEqual(a.headers["content-type"], "application/json")
        self.assertRegex(a.headers["x-request-id"], "^req_")

    def test_header_bytes(self):
        self.assertEqual(self.server.ask(padded(2000)).status, 200)
        self.refused(padded(2001), 431, "header_too_large")
        self.refused(padded(200_000), 431, "header_too_large")

    def test_header_count(self):
        nine = [f"X-{i}: y" for i in range(9)]
        self.assertEqual(self.server.ask(get("/health", *nine)).status, 200)
        self.refused(get("/health", *nine, "One-More: y"), 431, "header_too_large")

    def test_target_bytes(self):
        self.assertEqual(self.server.ask(get("/echo?" + "x" * 294)).status, 200)
        self.refused(get("/echo?" + "x" * 295), 414, "target_too_long")
        self.refused(get("/echo?" + "x" * 100_000), 414, "target_too_long")

    def test_body_bytes_by_length(self):
        self.assertEqual(len(self.server.ask(post("/echo", b"x" * 5000)).body), 5000)
        self.refused(post("/echo", b"x" * 5001), 413, "body_too_large")
        self.refused(get("/echo", "Content-Length: 99999999999", method="POST"), 413, "body_too_large")

    def test_body_bytes_by_chunks(self):
        head = get("/echo", "Transfer-Encoding: chunked", method="POST")
        fits = b"fa0\r\n%s\r\n3e8\r\n%s\r\n0\r\n\r\n" % (b"x" * 4000, b"y" * 1000)
        self.assertEqual(len(self.server.ask(head + fits).body), 5000)
        self.refused(head + b"fa0\r\n%s\r\n3e9\r\n%s\r\n0\r\n\r\n" % (b"x" * 4000, b"y" * 1001), 413, "body_too_large")

    def test_a_refusal_reaches_a_client_that_is_still_sending(self):
        for size in (100_000, 3_000_000):
            with self.server.connect() as s:
                s.sendall(get("/echo", f"Content-Length: {size}", method="POST"))
                sent = 0
                try:
                    while sent < size:
                        sent += s.send(b"x" * 50_000)
                except (BrokenPipeError, ConnectionResetError):
                    self.fail("reset before the answer could be read")
                self.assertEqual(Answer.read(s.makefile("rb")).status, 413)

    def test_the_server_goes_on_after_each_refusal(self):
        for _ in range(20):
            self.server.ask(padded(2001))
        self.assertEqual(self.server.ask(get("/health")).status, 200)


class Deadlines(EchoTest):
    args = ("header_timeout_ms=300", "idle_timeout_ms=600", "body_window_ms=200", "body_rate_min=1000", "write_timeout_ms=500")

    def test_a_head_that_drips_is_refused_when_its_time_is_over(self):
        with self.server.connect() as s:
            began = time.monotonic()
            s.settimeout(0.02)
            got = b""
            for byte in get("/health", "X: " + "y" * 1000):
                try:
                    s.sendall(bytes([byte]))
                    got += s.recv(65536)
                except TimeoutError:
                    continue
                break
            took = time.monotonic() - began
            self.assertTrue(got.startswith(b"HTTP/1.1 408 "), got[:100])
            self.assertIn(b"request_timeout", got)
            self.assertTrue(0.25 < took < 0.9, took)

    def test_a_body_that_drips_is_refused_after_the_first_window(self):
        with self.server.connect() as s:
            s.settimeout(0.02)
            s.sendall(get("/echo", "Content-Length: 4000", method="POST"))
            began, got = time.monotonic(), b""
            while not got and time.monotonic() - began < 5:
                s.sendall(b"x")
                try:
                    got = s.recv(65536)
                except TimeoutError:
                    pass
            self.assertTrue(got.startswith(b"HTTP/1.1 408 "), got[:100])
            self.assertTrue(0.3 < time.monotonic() - began < 1.2)

    def test_a_body_at_the_rate_passes(self):
        with self.server.connect() as s:
            s.sendall(get("/echo", "Content-Length: 3000", method="POST"))
            for _ in range(30):
                s.sendall(b"x" * 100)
                time.sleep(0.03)  # 3300 bytes/s for 0.9 s
            self.assertEqual(len(Answer.read(s.makefile("rb")).body), 3000)

    def test_an_idle_connection_is_closed_without_a_word(self):
        for before in (b"", get("/health")):
            with self.server.connect() as s:
                f = s.makefile("rb")
                if before:
                    s.sendall(before)
                    Answer.read(f)
                began = time.monotonic()
                self.assertEqual(f.read(), b"")
                self.assertTrue(0.4 < time.monotonic() - began < 1.5)

    def test_a_running_call_is_not_idle(self):
        a = self.server.ask(get("/stream?n=2&gap_ms=900"))
        self.assertFalse(a.cut)
        self.assertEqual(a.body.count(b"data: "), 2)

    def test_a_client_that_reads_nothing_is_cut(self):
        before = self.server.counts()["cancels"]
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", self.server.port))
        s.sendall(get("/blast?n=2000&size=65536"))
        began = time.monotonic()
        self.assertEqual(self.server.wait_for("cancels", before + 1), before + 1)
        self.assertTrue(0.4 < time.monotonic() - began < 2)
        s.close()

    def test_a_client_that_reads_none_of_a_finished_answer_is_cut_too(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", self.server.port))
        s.sendall(get("/big?bytes=20000000"))
        time.sleep(0.1)
        self.assertEqual(self.server.wait_for("connections", 1), 1)
        s.close()

    def test_slow_clients_do_not_keep_others_from_being_served(self):
        slow = [self.server.connect() for _ in range(300)]
        for s in slow:
            s.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nX: ")
        began = time.monotonic()
        for _ in range(50):
            self.assertEqual(self.server.ask(get("/health")).status, 200)
        self.assertLess(time.monotonic() - began, 1)
        for s in slow:
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 408 "))
            s.close()


class Crowds(EchoTest):
    args = ("connections_max=20",)

    def test_connections_in_all(self):
        held = [self.server.connect() for _ in range(20)]
        held[0].sendall(get("/health"))
        self.assertEqual(Answer.read(held[0].makefile("rb")).status, 200)
        with self.server.connect() as s:
            a = Answer.read(s.makefile("rb"))
            self.assertEqual((a.status, a.code), (503, "overloaded"))
        held.pop().close()
        time.sleep(0.05)
        self.assertEqual(self.server.ask(get("/health")).status, 200)
        for s in held:
            s.close()


class CrowdsOfOneAddress(EchoTest):
    args = ("connections_per_address_max=5",)

    def test_connections_of_one_address(self):
        held = [self.server.connect() for _ in range(5)]
        with self.server.connect() as s:
            s.sendall(get("/health"))
            a = Answer.read(s.makefile("rb"))
            self.assertEqual((a.status, a.code), (429, "too_many_connections"))
        other = socket.socket()
        other.bind(("127.0.0.2", 0))
        other.connect(("127.0.0.1", self.server.port))
        other.sendall(get("/health"))
        self.assertEqual(Answer.read(other.makefile("rb")).status, 200)
        other.close()
        for s in held:
            s.close()
        time.sleep(0.05)
        self.assertEqual(self.server.ask(get("/health")).status, 200)


class Floods(EchoTest):
    args = ("connections_per_address_max=5",)

    def test_a_flood_of_refused_connections_leaves_nothing_behind(self):
        held = [self.server.connect() for _ in range(5)]
        before = self.server_descriptors_settled()
        for _ in range(600):
            self.server.connect().close()
        time.sleep(1.5)
        self.assertLessEqual(self.server.descriptors(), before + 2)
        for s in held:
            s.close()

    def server_descriptors_settled(self):
        time.sleep(0.2)
        return self.server.descriptors()


class Descriptors(EchoTest):
    def test_running_out_of_descriptors_is_survived(self):
        self.assertEqual(self.server.ask(get("/health")).status, 200)
        resource.prlimit(self.server.process.pid, resource.RLIMIT_NOFILE, (24, 4096))
        held = [self.server.connect() for _ in range(40)]
        held[0].sendall(get("/health"))
        self.assertEqual(Answer.read(held[0].makefile("rb")).status, 200)  # those who are in are served
        for s in held[:30]:
            s.close()
        held[-1].sendall(get("/health"))
        self.assertEqual(Answer.read(held[-1].makefile("rb")).status, 200)  # those who waited come in
        for s in held:
            s.close()
        resource.prlimit(self.server.process.pid, resource.RLIMIT_NOFILE, (4096, 4096))


class Claims(EchoTest):
    def test_memory_follows_the_bytes_and_not_the_claims(self):
        self.server.ask(get("/health"))
        before = self.server.resident_kb()
        claims = [self.server.connect() for _ in range(200)]
        for s in claims:
            s.sendall(get("/echo", "Content-Length: 30000000", method="POST") + b"x" * 100)
        self.server.wait_for("calls", 201)
        self.assertLess(self.server.resident_kb() - before, 200 * 12)
        for s in claims:
            s.close()


on_each_backend(sys.modules[__name__])

if __name__ == "__main__":
    unittest.main()
