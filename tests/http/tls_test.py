"""The HTTP server behind TLS: Python's ssl, curl and our own client in front of it."""

# REQ: SEC-1 API-11

import os
import socket
import ssl
import sys
import tempfile
import time
import unittest

from client_peers_test import make_certificates, probe
from echo_server import Answer, EchoTest, get, on_each_backend, post
from peers_test import needs, run


@needs("openssl")
class Tls(EchoTest):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        make_certificates(cls.dir.name)
        cls.args = (f"cert={cls.dir.name}/cert.pem", f"key={cls.dir.name}/key.pem", "header_timeout_ms=400")
        cls.context = ssl.create_default_context(cafile=f"{cls.dir.name}/ca.pem")
        super().setUpClass()
        plain, context = cls.server.connect, cls.context
        cls.server.plain_connect = plain
        cls.server.connect = lambda timeout=10: context.wrap_socket(plain(timeout), server_hostname="localhost")

    @classmethod
    def tearDownClass(cls):
        super().tearDownClass()
        cls.dir.cleanup()

    def test_requests_are_answered_on_a_kept_connection(self):
        with self.server.connect() as s:
            self.assertIn(s.version(), ("TLSv1.2", "TLSv1.3"))
            f = s.makefile("rb")
            for i in range(50):
                s.sendall(post("/echo", b"%d" % i))
                self.assertEqual(Answer.read(f).body, b"%d" % i)

    def test_large_bodies_pass_both_ways(self):
        body = os.urandom(3_000_000)
        self.assertEqual(self.server.ask(post("/echo", body)).body, body)
        self.assertEqual(len(self.server.ask(get("/blast?n=300&size=65536")).body), 300 * 65536)

    def test_old_versions_are_refused(self):
        context = ssl.create_default_context(cafile=f"{self.dir.name}/ca.pem")
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
        with self.assertRaises((ssl.SSLError, ConnectionResetError)):
            context.wrap_socket(self.server.plain_connect(), server_hostname="localhost")

    def test_http_1_1_is_what_alpn_chooses(self):
        context = ssl.create_default_context(cafile=f"{self.dir.name}/ca.pem")
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(self.server.plain_connect(), server_hostname="localhost") as s:
            self.assertEqual(s.selected_alpn_protocol(), "http/1.1")

    def test_a_client_that_goes_is_noticed_on_a_silent_stream(self):
        for leave in (lambda s: s.close(), lambda s: s.unwrap() and None):
            before = self.server.counts()["cancels"]
            s = self.server.connect()
            s.sendall(get("/silent"))
            self.server.wait_for("calls", 2)
            began = time.monotonic()
            s.settimeout(0.2)
            try:
                leave(s)
            except (OSError, ssl.SSLError):
                pass
            self.server.wait_for("cancels", before + 1)
            self.assertLess(time.monotonic() - began, 0.4)
            self.assertEqual(self.server.counts()["cancels"], before + 1)

    def test_a_handshake_that_never_comes_ends_by_its_deadline(self):
        with self.server.plain_connect() as s:
            began = time.monotonic()
            self.assertEqual(s.recv(100), b"")
            self.assertTrue(0.3 < time.monotonic() - began < 2)

    def test_plain_text_to_a_tls_port_does_no_harm(self):
        with self.server.plain_connect() as s:
            s.sendall(get("/health"))
            try:
                self.assertNotIn(b"200 OK", s.recv(4096))
            except ConnectionResetError:
                pass
        self.assertEqual(self.server.ask(get("/health")).status, 200)

    def test_our_own_client_trusts_what_it_is_told_to(self):
        url = f"https://localhost:{self.server.port}/health"
        got = probe("GET", url, 50, 5, f"ca={self.dir.name}/ca.pem")
        self.assertEqual((got["ended"], got["failed"]), (50, 0), got)
        self.assertGreater(got["reused"], 40)
        self.assertEqual(probe("GET", url)["failed"], 1)
        got = probe("GET", f"https://127.0.0.2:{self.server.port}/health", 1, 1, f"ca={self.dir.name}/ca.pem")
        self.assertEqual(got["failed"], 1)

    @needs("curl")
    def test_curl_is_content(self):
        r = run("curl", "-sS", "--cacert", f"{self.dir.name}/ca.pem", f"https://localhost:{self.server.port}/health")
        self.assertEqual((r.returncode, r.stdout), (0, b'{"status":"ok"}'))

    def test_idle_connections_are_cheap(self):
        self.server.counts()
        before = self.server.resident_kb()
        idle = []
        for _ in range(200):
            s = self.server.connect()
            s.sendall(get("/silent"))
            idle.append(s)
        for s in idle:
            self.assertTrue(s.recv(4096).startswith(b"HTTP/1.1 200"))
        each = (self.server.resident_kb() - before) / 200
        print(f"\n{self.backend}: {each:.1f} kB an idle TLS stream", file=sys.stderr)
        self.assertLess(each, 40)
        for s in idle:
            s.close()


on_each_backend(sys.modules[__name__])

if __name__ == "__main__":
    unittest.main()
