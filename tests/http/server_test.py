"""The HTTP/1.1 server as its clients see it: framing, keep-alive, pipelining, cancellation, back-pressure."""

# REQ: API-10 API-11 SEC-3

import os
import re
import signal
import socket
import struct
import sys
import time
import unittest

from echo_server import Answer, EchoTest, allow_descriptors, get, in_background, on_each_backend, post


def reset(s):
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()


class Answers(EchoTest):
    def test_a_constant_is_answered_with_the_headers_that_belong_there(self):
        a = self.server.ask(get("/health"))
        self.assertEqual((a.status, a.body), (200, b'{"status":"ok"}'))
        self.assertEqual(a.headers["content-type"], "application/json")
        self.assertEqual(a.headers["content-length"], "15")
        self.assertRegex(a.headers["x-request-id"], r"^req_[0-9a-f]{24}$")
        self.assertNotIn("connection", a.headers)
        date = time.strptime(a.headers["date"], "%a, %d %b %Y %H:%M:%S GMT")
        self.assertLess(abs(time.time() - __import__("calendar").timegm(date)), 3)

    def test_request_ids_are_the_clients_where_sane_and_never_the_same_else(self):
        self.assertEqual(self.server.ask(get("/health", "X-Request-Id: mine-1")).headers["x-request-id"], "mine-1")
        for bad in ("two words", "x" * 129, "a\tb", "\xe9"):
            made = self.server.ask(get("/health", f"X-Request-Id: {bad}")).headers["x-request-id"]
            self.assertRegex(made, r"^req_")
        ids = {self.server.ask(get("/health")).headers["x-request-id"] for _ in range(50)}
        self.assertEqual(len(ids), 50)

    def test_keep_alive_serves_many_requests_on_one_connection(self):
        with self.server.connect() as s:
            f = s.makefile("rb")
            for i in range(100):
                s.sendall(post("/echo", b"%d" % i))
                self.assertEqual(Answer.read(f).body, b"%d" % i)

    def test_connection_close_is_honoured_and_said(self):
        with self.server.connect() as s:
            s.sendall(get("/health", "Connection: close"))
            f = s.makefile("rb")
            self.assertEqual(Answer.read(f).headers["connection"], "close")
            self.assertEqual(f.read(), b"")

    def test_http_1_0_is_closed_unless_it_asks_to_be_kept(self):
        with self.server.connect() as s:
            s.sendall(b"GET /health HTTP/1.0\r\n\r\n")
            f = s.makefile("rb")
            self.assertEqual(Answer.read(f).headers["connection"], "close")
            self.assertEqual(f.read(), b"")
        with self.server.connect() as s:
            f = s.makefile("rb")
            for _ in range(2):
                s.sendall(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                self.assertEqual(Answer.read(f).headers["connection"], "keep-alive")

    def test_a_stream_to_http_1_0_is_ended_by_the_connection(self):
        a = self.server.ask(b"GET /stream?n=3&gap_ms=1 HTTP/1.0\r\n\r\n")
        self.assertNotIn("transfer-encoding", a.headers)
        self.assertEqual(a.body.count(b"data: "), 3)

    def test_head_has_the_headers_of_get_and_no_body(self):
        with self.server.connect() as s:
            f = s.makefile("rb")
            for path in ("/health", "/big?bytes=5000", "/stream?n=2&gap_ms=1"):
                s.sendall(get(path, method="HEAD"))
                a = Answer.read(f, head=True)
                self.assertEqual(a.status, 200)
            s.sendall(get("/health"))
            self.assertEqual(Answer.read(f).body, b'{"status":"ok"}')

    def test_nothing_can_break_out_of_a_header_of_an_answer(self):
        self.assertEqual(self.server.ask(post("/head", b"x-good=a b\xc3\xa9")).headers["x-good"], "a b\u00c3\u00a9")
        for bad in (b"x-a=b\r\nx-evil: 1", b"x-a=b\nx-evil: 1", b"x-a\r\nx-evil=1", b"x-evil :=1", b"x-a=\0", b"x evil=1"):
            a = self.server.ask(post("/head", bad))
            self.assertEqual((a.status, a.body), (200, b"done"))
            self.assertNotIn("evil", a.head.decode("latin-1"))
            self.assertNotIn("x-a", a.headers)

    def test_no_content_has_no_length(self):
        a = self.server.ask(get("/nothing"))
        self.assertEqual(a.status, 204)
        self.assertNotIn("content-length", a.headers)

    def test_a_large_answer_arrives_whole(self):
        for size in (0, 1, 65535, 65536, 262144, 262145, 5_000_000):
            a = self.server.ask(get(f"/big?bytes={size}"))
            self.assertEqual(len(a.body), size)
            self.assertEqual(a.body, (b"abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size])


class Requests(EchoTest):
    def test_bodies_come_whole_by_length_and_by_chunks(self):
        body = os.urandom(300_000)
        self.assertEqual(self.server.ask(post("/echo", body)).body, body)
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[i : i + 777]), body[i : i + 777]) for i in range(0, len(body), 777))
        a = self.server.ask(get("/echo", "Transfer-Encoding: chunked", method="POST") + chunks + b"0\r\n\r\n")
        self.assertEqual(a.body, body)

    def test_any_cutting_of_the_bytes_gives_the_same_answer(self):
        data = get("/echo?q=1", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n0\r\nX: y\r\n\r\n"
        for size in (1, 2, 3, 7, 50):
            with self.server.connect() as s:
                for i in range(0, len(data), size):
                    s.sendall(data[i : i + size])
                    if size < 3:
                        time.sleep(0.0005)
                self.assertEqual(Answer.read(s.makefile("rb")).body, b"hello")

    def test_pipelined_requests_are_answered_in_order(self):
        n = 500
        with self.server.connect() as s:
            f = s.makefile("rb")
            s.sendall(b"".join(post("/echo", b"%d" % i) for i in range(n)))
            self.assertEqual([Answer.read(f).body for _ in range(n)], [b"%d" % i for i in range(n)])

    def test_a_flood_of_pipelined_requests_whose_answers_nobody_reads_waits_in_little_memory(self):
        self.server.counts()
        before = self.server.resident_kb()
        n = 20_000
        with self.server.connect() as s:
            sender = in_background(s.sendall, get("/big?bytes=5000") * n)  # 100 MB of answers
            time.sleep(1)
            self.assertLess(self.server.resident_kb() - before, 3000)
            began = time.monotonic()
            self.assertEqual(self.server.ask(get("/health")).status, 200)  # and others are served
            self.assertLess(time.monotonic() - began, 0.5)
            f = s.makefile("rb", buffering=1 << 20)
            for _ in range(n):
                self.assertEqual(len(Answer.read(f).body), 5000)
            sender.join(10)

    def test_one_connection_full_of_requests_leaves_others_their_turn(self):
        with self.server.connect() as s:
            sender = in_background(s.sendall, get("/health") * 100_000)
            reader = s.makefile("rb", buffering=1 << 20)
            draining = in_background(lambda: [Answer.read(reader) for _ in range(100_000)])
            slowest = 0
            while sender.is_alive():
                began = time.monotonic()
                self.assertEqual(self.server.ask(get("/health")).status, 200)
                slowest = max(slowest, time.monotonic() - began)
            draining.join(60)
            self.assertLess(slowest, 0.5)

    def test_requests_behind_a_running_one_wait_for_it(self):
        with self.server.connect() as s:
            f = s.makefile("rb")
            s.sendall(get("/stream?n=3&gap_ms=20") + post("/echo", b"x" * 100_000) + get("/health"))
            self.assertEqual(Answer.read(f).body.count(b"data: "), 3)
            self.assertEqual(len(Answer.read(f).body), 100_000)
            self.assertEqual(Answer.read(f).body, b'{"status":"ok"}')

    def test_paths_are_decoded_and_queries_are_not(self):
        a = self.server.ask(get("/%65cho?a=%20b"))
        self.assertEqual((a.headers["x-path"], a.headers["x-query"]), ("/echo", "a=%20b"))

    def test_the_absolute_form_is_understood(self):
        a = self.server.ask(get("http://example.com:99/echo?a"))
        self.assertEqual((a.headers["x-path"], a.headers["x-query"]), ("/echo", "a"))
        self.assertEqual(a.headers["x-host"], "example.com:99")  # it outranks the Host header

    def test_bad_targets_and_hosts_are_refused(self):
        for path in ("/a/../b", "/..", "/a/./b", "/%2e%2e/x", "/%", "/%4", "/%zz", "/%00", "ftp://x/", "http://u@h/", "*"):
            self.assertEqual(self.server.ask(get(path)).status, 400, path)
        for head in (
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n",
        ):
            a = self.server.ask(head)
            self.assertEqual((a.status, a.code), (400, "bad_request"), head)
            self.assertEqual(a.headers["connection"], "close")
        self.assertEqual(self.server.ask(get("*", method="OPTIONS")).status, 404)
        self.assertEqual(self.server.ask(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n").status, 501)

    def test_an_offer_to_switch_protocols_is_ignored(self):
        a = self.server.ask(post("/echo", b"hi", "Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: x"))
        self.assertEqual((a.status, a.body), (200, b"hi"))


class Expectations(EchoTest):
    args = ("body_bytes_max=1000",)

    def test_continue_is_said_before_the_body_is_sent(self):
        with self.server.connect() as s:
            f = s.makefile("rb")
            s.sendall(get("/echo", "Content-Length: 5", "Expect: 100-continue", method="POST"))
            self.assertEqual(Answer.read(f).status, 100)
            s.sendall(b"hello")
            self.assertEqual(Answer.read(f).body, b"hello")

    def test_continue_is_not_said_when_the_body_is_there_or_too_large(self):
        a = self.server.ask(post("/echo", b"hello", "Expect: 100-continue"))
        self.assertEqual((a.status, a.body), (200, b"hello"))
        a = self.server.ask(get("/echo", "Content-Length: 5000", "Expect: 100-continue", method="POST"))
        self.assertEqual((a.status, a.code), (413, "body_too_large"))

    def test_another_expectation_is_refused(self):
        a = self.server.ask(get("/echo", "Content-Length: 5", "Expect: a miracle", method="POST"))
        self.assertEqual((a.status, a.code), (417, "expectation_failed"))


class Cancellation(EchoTest):
    def cancelled_within(self, leave, path):
        """Ask, let `leave` end the connection, and say how long the server took to notice (ms)."""
        before = self.server.counts()["cancels"]
        s = self.server.connect()
        s.sendall(get(path))
        self.server.wait_for("calls", 2)  # that one, and the one that asks
        began = time.monotonic()
        leave(s)
        self.server.wait_for("cancels", before + 1)
        took = (time.monotonic() - began) * 1000
        self.assertEqual(self.server.counts()["cancels"], before + 1)
        s.close()
        return took

    def test_a_client_that_goes_cancels_its_work_within_100_ms(self):
        ways = {
            "close": lambda s: s.close(),
            "fin": lambda s: s.shutdown(socket.SHUT_WR),
            "reset": reset,
        }
        for path in ("/silent", "/wait", "/stream?n=100000&gap_ms=5"):
            for name, leave in ways.items():
                with self.subTest(path=path, way=name):
                    self.assertLess(self.cancelled_within(leave, path), 100)

    def test_a_client_that_goes_behind_unread_requests_is_noticed_too(self):
        for name, leave in {"fin": lambda s: s.shutdown(socket.SHUT_WR), "reset": reset}.items():
            with self.subTest(name):
                before = self.server.counts()["cancels"]
                s = self.server.connect()
                s.sendall(get("/silent"))
                self.server.wait_for("calls", 2)
                # More than the server keeps, so that it stops reading, and no more than the kernel takes
                # (a FIN cannot overtake what is still on our side).
                s.sendall(post("/echo", b"x" * 140_000))
                time.sleep(0.05)
                began = time.monotonic()
                leave(s)
                self.server.wait_for("cancels", before + 1)
                self.assertLess((time.monotonic() - began) * 1000, 100)
                s.close()

    def test_a_thousand_clients_that_go_at_once_are_all_noticed(self):
        before = self.server.counts()["cancels"]
        clients = []
        for _ in range(1000):
            s = self.server.connect()
            s.sendall(get("/silent"))
            clients.append(s)
        self.server.wait_for("calls", 1001)
        began = time.monotonic()
        for s in clients:
            s.close()
        self.server.wait_for("cancels", before + 1000)
        self.assertLess(time.monotonic() - began, 3)
        self.assertEqual(self.server.wait_for("connections", 1), 1)

    def test_no_descriptor_is_left_behind(self):
        self.server.counts()
        before = self.server.descriptors()
        for leave in (lambda s: s.close(), lambda s: s.shutdown(socket.SHUT_WR), reset):
            for path in ("/silent", "/health", "/cut", "/nothing", "/stream?n=1&gap_ms=1"):
                s = self.server.connect()
                s.sendall(get(path))
                time.sleep(0.003)
                leave(s)
                s.close()
            self.server.ask(b"nonsense\r\n\r\n")
        self.server.wait_for("connections", 1)
        end = time.monotonic() + 3
        while self.server.descriptors() > before and time.monotonic() < end:
            time.sleep(0.02)
        self.assertLessEqual(self.server.descriptors(), before)


class HalfClose(EchoTest):
    args = ("half_close",)

    def test_a_client_that_ends_its_side_still_gets_its_answers_when_configured(self):
        with self.server.connect() as s:
            s.sendall(get("/stream?n=5&gap_ms=20") + get("/health"))
            s.shutdown(socket.SHUT_WR)
            f = s.makefile("rb")
            self.assertEqual(Answer.read(f).body.count(b"data: "), 5)
            self.assertEqual(Answer.read(f).status, 200)
            self.assertEqual(f.read(), b"")

    def test_a_reset_cancels_even_then(self):
        before = self.server.counts()["cancels"]
        s = self.server.connect()
        s.sendall(get("/silent"))
        self.server.wait_for("calls", 2)
        reset(s)
        self.assertEqual(self.server.wait_for("cancels", before + 1), before + 1)


class Streams(EchoTest):
    def test_events_leave_when_they_are_written(self):
        with self.server.connect() as s:
            s.sendall(get("/stream?n=5&gap_ms=50"))
            times, got = [], b""
            while got.count(b"data: ") < 5:
                got += s.recv(65536)
                times.append(time.monotonic())
            self.assertGreater(times[-1] - times[0], 0.15)

    def test_an_answer_given_up_is_seen_as_cut(self):
        a = self.server.ask(get("/cut"))
        self.assertEqual((a.status, a.body, a.cut), (200, b"half of it", True))
        with self.assertRaises(ConnectionResetError):
            self.server.ask(b"GET /cut HTTP/1.0\r\n\r\n")

    def test_a_client_that_does_not_read_stops_its_producer(self):
        s = self.server.connect()
        s.sendall(get("/blast?n=3000&size=32768"))  # 98 MB
        time.sleep(1)
        grown = self.server.resident_kb()
        self.assertLess(self.server.counts()["pending_max"], 700_000)
        time.sleep(0.5)
        self.assertLess(self.server.resident_kb(), grown + 2000)
        s.settimeout(20)
        a = Answer.read(s.makefile("rb", buffering=1 << 20))
        self.assertEqual(len(a.body), 3000 * 32768)
        self.assertGreater(self.server.counts()["drained"], 0)
        s.close()

    def test_a_stream_stays_fluent_beside_a_blast(self):
        blasts = [self.server.connect() for _ in range(4)]
        for b in blasts:
            b.sendall(get("/blast?n=2000&size=65536"))
        with self.server.connect() as s:
            s.sendall(get("/stream?n=50&gap_ms=10"))
            f = s.makefile("rb")
            gaps, last = [], time.monotonic()
            while True:
                line = f.readline()
                if line.startswith(b"data: "):
                    now = time.monotonic()
                    gaps.append(now - last)
                    last = now
                if line == b"0\r\n":
                    break
                for b in blasts:
                    b.setblocking(False)
                    try:
                        b.recv(1 << 20)
                    except BlockingIOError:
                        pass
        for b in blasts:
            b.close()
        self.assertLess(max(gaps[1:]), 0.5)


class Idle(EchoTest):
    @classmethod
    def setUpClass(cls):
        allow_descriptors(2000 + 100)
        super().setUpClass()

    def test_two_thousand_idle_connections_and_streams_cost_little(self):
        self.server.counts()
        before = self.server.resident_kb()
        idle = []
        for _ in range(2000):
            s = self.server.connect()
            s.sendall(get("/health"))
            idle.append(s)
        for s in idle:
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200"))
        kept = self.server.resident_kb()
        self.assertLess((kept - before) / 2000, 4, "kB a kept connection")
        for s in idle:
            s.sendall(get("/silent"))
        for s in idle:
            self.assertTrue(s.recv(65536).startswith(b"HTTP/1.1 200"))
        streams = self.server.resident_kb()
        self.assertLess((streams - before) / 2000, 8, "kB an idle stream")
        print(f"\n{self.backend}: {(kept - before) / 2000:.2f} kB a kept connection, "
              f"{(streams - before) / 2000:.2f} kB an idle stream", file=sys.stderr)
        for s in idle:
            s.close()
        self.assertEqual(self.server.wait_for("connections", 1), 1)


class Listening(unittest.TestCase):
    def test_a_unix_socket_is_served_and_its_file_goes_with_the_server(self):
        import tempfile
        from echo_server import PROGRAM
        import subprocess

        with tempfile.TemporaryDirectory() as d:
            path = os.path.join(d, "s")
            p = subprocess.Popen([PROGRAM, f"listen=unix:{path}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            p.stdout.readline()
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                s.sendall(get("/health"))
                self.assertEqual(Answer.read(s.makefile("rb")).status, 200)
            p.stdin.close()
            self.assertEqual(p.wait(timeout=10), 0)
            p.stdout.close()
            self.assertFalse(os.path.exists(path))


on_each_backend(sys.modules[__name__])

if __name__ == "__main__":
    unittest.main()
