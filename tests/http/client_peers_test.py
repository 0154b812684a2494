"""Our HTTP client against other people's servers: nginx (plain and TLS), haproxy, Python's, and our own."""

# REQ: PROV-8 SEC-1 API-11

import http.server
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from echo_server import EchoServer, EchoTest
from peers_test import free_port, needs, tool

PROBE = os.environ.get("HTTP_CLIENT_PROBE", "build/dev/tests/http_client_probe")


def fnv(data):
    h = 0xCBF29CE484222325
    for b in data:
        h = ((h ^ b) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{h:016x}"


def probe(method, url, n=1, c=1, *options, env=None):
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    r = subprocess.run([PROBE, method, url, str(n), str(c), *options], capture_output=True, timeout=60,
                       env={**clean, **(env or {})})
    if r.returncode:
        raise AssertionError(r.stderr.decode())
    return json.loads(r.stdout)


class OurServer(EchoTest):
    def url(self, path):
        return f"http://127.0.0.1:{self.server.port}{path}"

    def test_connections_are_used_again(self):
        got = probe("GET", self.url("/health"), 500, 10)
        self.assertEqual((got["ended"], got["failed"], got["status"]), (500, 0, 200))
        self.assertGreaterEqual(got["reused"], 490)

    def test_bodies_go_up_and_come_back(self):
        got = probe("POST", self.url("/echo"), 5, 2, "body=3000000")
        self.assertEqual((got["ended"], got["bytes"]), (5, 15_000_000))

    def test_a_stream_is_read_to_its_end_paused_or_not(self):
        for options in ((), ("pause",)):
            got = probe("GET", self.url("/stream?n=20&gap_ms=2&size=1000"), 3, 3, *options)
            self.assertEqual((got["ended"], got["bytes"]), (3, 60_000))

    def test_a_slow_reader_stops_the_sender(self):
        got = probe("GET", self.url("/blast?n=400&size=65536"), 1, 1, "pause")
        self.assertEqual((got["ended"], got["bytes"]), (1, 400 * 65536))
        self.assertGreater(self.server.counts()["drained"], 0)

    def test_a_cut_answer_is_an_error(self):
        got = probe("GET", self.url("/cut"))
        self.assertEqual((got["failed"], got["error"]), (1, "closed"))

    def test_a_cancelled_exchange_is_gone_at_once(self):
        before = self.server.counts()["cancels"]
        got = probe("GET", self.url("/stream?n=100000&gap_ms=1"), 8, 8, "cancel_after=200")
        self.assertEqual(got["cancelled"], 8)
        self.assertEqual(self.server.wait_for("cancels", before + 8), before + 8)


class Python(unittest.TestCase):
    """http.server: HTTP/1.0 by default, a body that the end of the connection ends."""

    @classmethod
    def setUpClass(cls):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path == "/to":
                    self.send_response(302)
                    self.send_header("Location", "/there?x=1")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                self.send_response(200)
                self.send_header("X-Test", self.path)
                self.end_headers()
                self.wfile.write(b"until the end" * 1000)

            def log_message(self, *args):
                pass

        cls.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        cls.url = f"http://127.0.0.1:{cls.http.server_address[1]}"
        threading.Thread(target=cls.http.serve_forever, daemon=True).start()

    @classmethod
    def tearDownClass(cls):
        cls.http.shutdown()
        cls.http.server_close()

    def test_a_body_without_a_length_is_read_to_the_end_of_the_connection(self):
        got = probe("GET", self.url + "/a", 10, 2)
        self.assertEqual((got["ended"], got["bytes"], got["reused"]), (10, 130_000, 0))
        self.assertEqual(got["hash"], fnv(b"until the end" * 10_000))

    def test_a_redirect_is_followed_where_asked(self):
        self.assertEqual(probe("GET", self.url + "/to")["status"], 302)
        got = probe("GET", self.url + "/to", 1, 1, "redirects=3")
        self.assertEqual((got["status"], got["header"]), (200, "/there?x=1"))

    def test_a_proxy_of_the_environment_is_used_and_exceptions_are_not(self):
        env = {"http_proxy": self.url}
        got = probe("GET", "http://name.invalid/x", env=env)
        self.assertEqual((got["status"], got["header"]), (200, "http://name.invalid/x"))
        got = probe("GET", self.url + "/x", env={"http_proxy": "http://127.0.0.1:1", "no_proxy": "127.0.0.1"})
        self.assertEqual((got["status"], got["header"]), (200, "/x"))


def make_certificates(d):
    """A CA and a certificate for localhost and 127.0.0.1, by the openssl program, as strict as Python 3.13 wants them."""
    def run(*args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=d)

    run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
        "-out", "ca.pem", "-days", "2", "-subj", "/CN=test authority", "-addext", "keyUsage=critical,keyCertSign")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "csr.pem",
        "-subj", "/CN=localhost")
    with open(f"{d}/ext", "w") as f:
        f.write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:false\n"
                "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n")
    run("x509", "-req", "-in", "csr.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "cert.pem",
        "-days", "2", "-extfile", "ext")


@needs("nginx")
@needs("openssl")
class Nginx(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.TemporaryDirectory()
        d = cls.dir.name
        os.chmod(d, 0o755)
        make_certificates(d)
        cls.content = os.urandom(1 << 20)
        os.mkdir(f"{d}/www")
        with open(f"{d}/www/file", "wb") as f:
            f.write(cls.content)
        cls.plain, cls.tls = free_port(), free_port()
        with open(f"{d}/conf", "w") as f:
            f.write(f"""
daemon off; worker_processes 1; pid {d}/pid; error_log {d}/error crit;
events {{ worker_connections 1000; }}
http {{
  access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
  client_max_body_size 100m;
  keepalive_requests 7;
  root {d}/www;
  server {{
    listen 127.0.0.1:{cls.plain};
    location /short {{ keepalive_timeout 50ms; return 200 "kept for a moment"; }}
  }}
  server {{ listen 127.0.0.1:{cls.tls} ssl; ssl_certificate {d}/cert.pem; ssl_certificate_key {d}/key.pem; }}
}}
""")
        cls.nginx = subprocess.Popen([tool("nginx"), "-c", f"{d}/conf", "-e", f"{d}/error", "-p", d])
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", cls.tls), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        else:
            raise AssertionError("it did not start")

    @classmethod
    def tearDownClass(cls):
        cls.nginx.terminate()
        cls.nginx.wait(timeout=20)
        cls.dir.cleanup()

    def test_a_file_arrives_whole_over_and_over(self):
        got = probe("GET", f"http://127.0.0.1:{self.plain}/file", 20, 4)
        self.assertEqual((got["ended"], got["failed"], got["bytes"]), (20, 0, 20 << 20))

    def test_a_server_that_closes_after_some_requests_costs_no_error(self):
        got = probe("GET", f"http://127.0.0.1:{self.plain}/file", 100, 3)
        self.assertEqual((got["ended"], got["failed"]), (100, 0))
        self.assertTrue(50 < got["reused"] < 100, got)

    def test_a_server_that_closes_while_idle_costs_no_error(self):
        got = probe("GET", f"http://127.0.0.1:{self.plain}/short", 200, 5)
        self.assertEqual((got["ended"], got["failed"]), (200, 0))

    def test_tls_is_verified_against_the_given_authority(self):
        ca = f"ca={self.dir.name}/ca.pem"
        for host in ("localhost", "127.0.0.1"):
            got = probe("GET", f"https://{host}:{self.tls}/file", 10, 2, ca)
            self.assertEqual((got["ended"], got["failed"], got["bytes"]), (10, 0, 10 << 20), got)
            self.assertGreater(got["reused"], 5)

    def test_an_unknown_authority_is_refused_with_a_reason(self):
        got = probe("GET", f"https://localhost:{self.tls}/file")
        self.assertEqual((got["failed"], got["error"]), (1, "upstream"))
        self.assertIn("certificate", got["text"].lower())

    def test_plain_http_to_a_tls_port_and_tls_to_a_plain_port_fail_in_words(self):
        got = probe("GET", f"http://127.0.0.1:{self.tls}/file")
        self.assertEqual(got["status"], 400)
        got = probe("GET", f"https://127.0.0.1:{self.plain}/file")
        self.assertEqual((got["failed"], got["error"]), (1, "upstream"))


@needs("haproxy")
class ThroughHaproxy(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = EchoServer()
        cls.front = free_port()
        cls.dir = tempfile.TemporaryDirectory()
        with open(f"{cls.dir.name}/conf", "w") as f:
            f.write(f"""
defaults
  mode http
  option abortonclose
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout http-keep-alive 100ms
frontend f
  bind 127.0.0.1:{cls.front}
  default_backend b
backend b
  server weir 127.0.0.1:{cls.server.port}
""")
        cls.proxy = subprocess.Popen([tool("haproxy"), "-db", "-q", "-f", f"{cls.dir.name}/conf"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", cls.front), timeout=1).close()
                break
            except OSError:
                time.sleep(0.02)
        else:
            raise AssertionError("it did not start")

    @classmethod
    def tearDownClass(cls):
        cls.proxy.terminate()
        cls.proxy.wait(timeout=20)
        cls.dir.cleanup()
        cls.server.close()

    def url(self, path):
        return f"http://127.0.0.1:{self.front}{path}"

    def test_requests_streams_and_cuts_pass_as_they_are(self):
        got = probe("GET", self.url("/health"), 300, 8)
        self.assertEqual((got["ended"], got["failed"]), (300, 0))
        got = probe("GET", self.url("/stream?n=10&gap_ms=2"), 4, 4)
        self.assertEqual((got["ended"], got["bytes"]), (4, 4 * 640))
        self.assertEqual(probe("GET", self.url("/cut"))["failed"], 1)

    def test_a_cancel_reaches_the_server_behind_it(self):
        before = self.server.counts()["cancels"]
        probe("GET", self.url("/stream?n=100000&gap_ms=1"), 4, 4, "cancel_after=200")
        self.assertEqual(self.server.wait_for("cancels", before + 4), before + 4)


if __name__ == "__main__":
    unittest.main()
