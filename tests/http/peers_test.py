"""Other people's programs against the server: curl and wrk as clients, nginx and haproxy as proxies in front of it."""

# REQ: API-11 SEC-3 PROV-8

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import unittest

from echo_server import Answer, EchoServer, EchoTest, get, post


def tool(name):
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def needs(name):
    return unittest.skipUnless(tool(name), f"{name} is not installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(*args, data=None):
    return subprocess.run(args, input=data, capture_output=True, timeout=60)


@needs("curl")
class Curl(EchoTest):
    def curl(self, *args, data=None):
        r = run("curl", "-sS", *args, data=data)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def url(self, path):
        return f"http://127.0.0.1:{self.server.port}{path}"

    def test_it_gets_posts_and_asks_for_heads(self):
        self.assertEqual(self.curl(self.url("/health")), b'{"status":"ok"}')
        self.assertEqual(self.curl("-d", "a=b", self.url("/echo")), b"a=b")
        self.assertIn(b"Content-Length: 15", self.curl("-I", self.url("/health")))
        self.assertIn(b"404", self.curl("-o", "/dev/null", "-w", "%{http_code}", self.url("/none")))

    def test_large_bodies_go_up_and_down_with_expect_and_in_chunks(self):
        body = os.urandom(3_000_000)
        up = ["--data-binary", "@-", self.url("/echo")]
        self.assertEqual(self.curl("-H", "Expect: 100-continue", *up, data=body), body)
        self.assertEqual(self.curl("-H", "Transfer-Encoding: chunked", *up, data=body), body)
        self.assertEqual(self.curl("-T", "-", self.url("/echo"), data=body), body)

    def test_it_reuses_its_connection(self):
        out = self.curl("-w", "%{num_connects}\n", *([self.url("/nothing")] * 5))
        self.assertEqual(out.split(), [b"1", b"0", b"0", b"0", b"0"])

    def test_a_stream_is_read_to_its_end_and_a_cut_is_an_error(self):
        self.assertEqual(self.curl("-N", self.url("/stream?n=5&gap_ms=5")).count(b"data: "), 5)
        self.assertEqual(run("curl", "-sS", self.url("/cut")).returncode, 18)

    def test_http_1_0_and_compression_offers_are_fine(self):
        self.assertEqual(self.curl("--http1.0", "--compressed", self.url("/health")), b'{"status":"ok"}')
        self.assertEqual(self.curl("--http2", self.url("/health")), b'{"status":"ok"}')  # an Upgrade: h2c
        r = run("curl", "-sS", "--http2-prior-knowledge", self.url("/health"))
        self.assertNotEqual(r.returncode, 0)


@needs("wrk")
class Wrk(EchoTest):
    def test_it_gets_nothing_but_good_answers(self):
        before = self.server.counts()
        r = run("wrk", "-t1", "-c50", "-d1s", f"http://127.0.0.1:{self.server.port}/health")
        text = r.stdout.decode()
        self.assertNotIn("Non-2xx", text)
        self.assertNotIn("Socket errors", text)
        asked = int(re.search(r"(\d+) requests in", text)[1])
        self.assertGreater(asked, 1000)
        after = self.server.counts()
        self.assertGreaterEqual(after["requests"] - before["requests"], asked)

    def test_pipelining_as_its_script_does(self):
        with tempfile.NamedTemporaryFile("w", suffix=".lua") as f:
            f.write("init = function() local r = {} for i = 1, 16 do r[i] = wrk.format(nil, '/health') end "
                    "req = table.concat(r) end request = function() return req end")
            f.flush()
            r = run("wrk", "-t1", "-c20", "-d1s", "-s", f.name, f"http://127.0.0.1:{self.server.port}/health")
        text = r.stdout.decode()
        self.assertNotIn("Non-2xx", text)
        self.assertNotIn("Socket errors", text)


class Proxied:
    """What must hold through a proxy between the client and the server. Mixed into a test with self.front (a port)."""

    def connect_front(self):
        return socket.create_connection(("127.0.0.1", self.front), timeout=10)

    def ask_front(self, data):
        with self.connect_front() as s:
            s.sendall(data)
            return Answer.read(s.makefile("rb"))

    def wait_for_front(self):
        for _ in range(200):
            try:
                self.connect_front().close()
                return
            except OSError:
                time.sleep(0.02)
        self.fail("the proxy did not start")

    def test_many_requests_pass(self):
        for i in range(200):
            body = os.urandom(i * 17)
            a = self.ask_front(post(f"/echo?i={i}", body, "Connection: close"))
            self.assertEqual((a.status, a.body, a.headers["x-query"]), (200, body, f"i={i}"))

    def test_many_requests_pass_on_one_connection(self):
        with self.connect_front() as s:
            f = s.makefile("rb")
            for i in range(300):
                s.sendall(post("/echo", b"%d" % i))
                self.assertEqual(Answer.read(f).body, b"%d" % i)

    def test_chunks_pass_both_ways(self):
        data = get("/echo", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n6\r\n there\r\n0\r\n\r\n"
        self.assertEqual(self.ask_front(data).body, b"hello there")

    def test_a_stream_passes_event_by_event(self):
        with self.connect_front() as s:
            s.sendall(get("/stream?n=5&gap_ms=120"))
            times, got = [], b""
            while got.count(b"data: ") < 5:
                got += s.recv(65536)
                times.append(time.monotonic())
            self.assertGreater(times[-1] - times[0], 0.15)

    def test_a_cut_answer_is_not_made_whole(self):
        try:
            a = self.ask_front(get("/cut"))
        except ConnectionResetError:
            return
        self.assertTrue(a.cut)

    def test_a_client_that_goes_is_noticed_through_the_proxy(self):
        before = self.server.counts()["cancels"]
        s = self.connect_front()
        s.sendall(get("/silent"))
        self.server.wait_for("calls", 2)
        began = time.monotonic()
        s.close()
        self.server.wait_for("cancels", before + 1)
        self.assertLess(time.monotonic() - began, 0.1)

    def test_the_proxy_finds_nothing_to_complain_of_under_load(self):
        if not tool("wrk"):
            self.skipTest("wrk is not installed")
        r = run("wrk", "-t1", "-c50", "-d1s", f"http://127.0.0.1:{self.front}/health")
        text = r.stdout.decode()
        self.assertNotIn("Non-2xx", text)
        self.assertNotIn("Socket errors", text)


@needs("nginx")
class BehindNginx(Proxied, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = EchoServer()
        cls.front = free_port()
        cls.dir = tempfile.TemporaryDirectory()
        d = cls.dir.name
        conf = f"""
daemon off; worker_processes 1; pid {d}/pid; error_log {d}/error warn;
events {{ worker_connections 1000; }}
http {{
  access_log off; client_body_temp_path {d}/b; proxy_temp_path {d}/p; fastcgi_temp_path {d}/f; uwsgi_temp_path {d}/u; scgi_temp_path {d}/s;
  upstream weir {{ server 127.0.0.1:{cls.server.port}; keepalive 16; }}
  server {{
    listen 127.0.0.1:{cls.front};
    location / {{
      proxy_pass http://weir; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_request_buffering off;
    }}
  }}
}}
"""
        with open(f"{d}/conf", "w") as f:
            f.write(conf)
        cls.proxy = subprocess.Popen([tool("nginx"), "-c", f"{d}/conf", "-e", f"{d}/error", "-p", d])
        cls.wait_for_front(cls())

    def runTest(self):
        pass

    @classmethod
    def tearDownClass(cls):
        cls.proxy.terminate()
        cls.proxy.wait(timeout=20)
        with open(f"{cls.dir.name}/error") as f:
            lines = [x for x in f if "prematurely closed" not in x]  # that was /cut
        cls.dir.cleanup()
        code = cls.server.close()
        assert code == 0 and not lines, (code, lines)


@needs("haproxy")
class BehindHaproxy(Proxied, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = EchoServer()
        cls.front = free_port()
        cls.dir = tempfile.TemporaryDirectory()
        conf = f"""
global
  nbthread 1
defaults
  mode http
  option abortonclose
  http-reuse always
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend f
  bind 127.0.0.1:{cls.front}
  default_backend b
backend b
  server weir 127.0.0.1:{cls.server.port}
"""
        with open(f"{cls.dir.name}/conf", "w") as f:
            f.write(conf)
        cls.proxy = subprocess.Popen([tool("haproxy"), "-db", "-q", "-f", f"{cls.dir.name}/conf"],
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        cls.wait_for_front(cls())

    def runTest(self):
        pass

    @classmethod
    def tearDownClass(cls):
        cls.proxy.terminate()
        cls.proxy.wait(timeout=20)
        cls.dir.cleanup()
        code = cls.server.close()
        assert code == 0, code


if __name__ == "__main__":
    unittest.main()
