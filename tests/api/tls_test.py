# REQ: SEC-1 SEC-3 OBS-3
"""TLS on the listener: who gets in and how, what everybody else is told, and certificates that change while it runs."""

import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

import harness

try:
    import openai
except ImportError:
    openai = None

OPENSSL, CURL = shutil.which("openssl"), shutil.which("curl")
HANDSHAKE_S = 1.0
CONFIG = """
listen: 127.0.0.1:0
log: {{level: info}}
limits: {{header_timeout: 1s, handshakes_max: 200}}
tls: {{certificate: {folder}/cert.pem, key: {folder}/key.pem{more}}}
providers:
  - {{name: f, kind: fault, always: "first=10ms"}}
"""


class Authority:
    """A certificate authority in a folder, by the openssl program."""

    def __init__(self, folder, name="test authority"):
        self.folder = Path(folder)
        self.folder.mkdir(exist_ok=True)
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
                 "-out", "ca.pem", "-days", "2", "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign")

    def run(self, *words):
        subprocess.run([OPENSSL, *words], check=True, capture_output=True, cwd=self.folder)

    def issue(self, to, days=90, name="localhost", key="ec"):
        """cert.pem and key.pem for this machine in the folder `to`, each put there whole."""
        new = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if key == "ec" else [key]
        self.run("req", "-newkey", *new, "-nodes", "-keyout", "new.key", "-out", "new.csr", "-subj", f"/CN={name}")
        (self.folder / "ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:false\n"
                                         "keyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\n"
                                         "authorityKeyIdentifier=keyid\n")
        self.run("x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out",
                 "new.pem", "-days", str(days), "-extfile", "ext")
        os.chmod(self.folder / "new.key", 0o600)
        Path(to).mkdir(exist_ok=True)
        os.replace(self.folder / "new.key", Path(to, "key.pem"))
        os.replace(self.folder / "new.pem", Path(to, "cert.pem"))

    def trust(self):
        return ssl.create_default_context(cafile=str(self.folder / "ca.pem"))


def serial(server):
    """Of the certificate that new connections get."""
    with server.connect() as s:
        return s.getpeercert()["serialNumber"]


def metric(server, name, **labels):
    for line in server.get("/metrics").text.splitlines():
        if line.startswith(name) and all(f'{k}="{v}"' in line for k, v in labels.items()):
            return float(line.split()[-1])
    return None


@unittest.skipIf(OPENSSL is None, "the openssl program is missing (scripts/setup test)")
class Case(unittest.TestCase):
    more = ""

    @classmethod
    def setUpClass(cls):
        if cls is Case:
            raise unittest.SkipTest("the base of the others")
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="weir-tls-")))
        cls.authority = Authority(cls.folder / "ca")
        cls.authority.issue(cls.folder)
        config = CONFIG.format(folder=cls.folder, more=cls.more.format(folder=cls.folder))
        cls.server = harness.Server(config=config, tls=cls.trust(), wait_ready=not cls.more).start()
        cls.addClassCleanup(cls.stop)

    @classmethod
    def trust(cls):
        return cls.authority.trust()

    @classmethod
    def stop(cls):
        died = cls.server.process.poll()
        status = cls.server.stop()
        if died is not None or status != 0 or harness.SIGNS_OF_TROUBLE.search(cls.server.output):
            raise AssertionError(f"weir ended with {died}, {status}:\n{cls.server.output}")

    def plain(self):
        return socket.create_connection((self.server.host, self.server.port), 10)

    def says(self, *arguments):
        return self.server.says(*arguments)


class Listener(Case):
    def test_the_printed_address_and_example_speak_https(self):
        self.says(r"at https://127\.0\.0\.1:")
        self.says(r"curl https://127\.0\.0\.1:\d+/v1/chat/completions")
        self.assertNotIn("http://127", self.server.output.replace("fault provider", ""))

    def test_versions_1_2_and_1_3_are_spoken_and_older_ones_refused(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.trust()
            context.minimum_version = context.maximum_version = version
            with context.wrap_socket(self.plain(), server_hostname="localhost") as s:
                self.assertEqual(s.version(), version.name.replace("_", "."))
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", s.recv(4096))
        for version in ("-tls1", "-tls1_1"):
            run = subprocess.run([OPENSSL, "s_client", version, "-cipher", "ALL:@SECLEVEL=0", "-connect",
                                  f"127.0.0.1:{self.server.port}"], input=b"", capture_output=True, timeout=20)
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(b"Cipher is (NONE)", run.stdout)

    def test_weak_ciphers_of_1_2_are_refused(self):
        for cipher in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "AES256-GCM-SHA384"):
            run = subprocess.run([OPENSSL, "s_client", "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0", "-connect",
                                  f"127.0.0.1:{self.server.port}"], input=b"", capture_output=True, timeout=20)
            self.assertNotEqual(run.returncode, 0, cipher)

    def test_alpn_chooses_http_1_1_and_never_offers_h2(self):
        context = self.trust()
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(self.plain(), server_hostname="localhost") as s:
            self.assertEqual(s.selected_alpn_protocol(), "http/1.1")
        context = self.trust()
        context.set_alpn_protocols(["h2"])
        with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
            context.wrap_socket(self.plain(), server_hostname="localhost")

    def test_sessions_are_resumed(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.trust()
            context.maximum_version = version
            before = metric(self.server, "weir_tls_handshakes_total", result="resumed")
            session = None
            for resumed in (False, True, True):
                with context.wrap_socket(self.plain(), server_hostname="localhost", session=session) as s:
                    s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    self.assertIn(b"200 OK", s.recv(4096))
                    self.assertEqual(s.session_reused, resumed, version)
                    session = s.session
            self.assertEqual(metric(self.server, "weir_tls_handshakes_total", result="resumed"), before + 2)

    def test_plain_http_is_told_to_use_https(self):
        for _ in range(3):  # the log has one such line a second
            with self.plain() as s:
                s.sendall(b"POST /v1/models HTTP/1.1\r\nHost: x\r\nContent-Length: 30000\r\n\r\n" + b"x" * 30000)
                answer = harness.read_answer(s)
            self.assertEqual(answer.status, 400)
            self.assertIn("https://", answer.json()["error"]["message"])
            time.sleep(0.6)
        self.says("speaks plain HTTP")

    def test_a_handshake_that_is_slow_ends_by_its_deadline_and_others_are_served(self):
        slow = [self.plain() for _ in range(100)]
        for s in slow[:50]:
            s.sendall(b"\x16\x03\x01\x02\x00\x01")  # the beginning of a hello, and no more of it
        began = time.monotonic()
        self.assertEqual(self.server.get("/health").status, 200)
        for s in slow:
            s.settimeout(HANDSHAKE_S * 6 * harness.SLOWNESS)
            try:
                self.assertEqual(s.recv(100), b"")
            except ConnectionResetError:
                pass
            s.close()
        self.assertLess(time.monotonic() - began, HANDSHAKE_S * 4 * harness.SLOWNESS)
        self.says("in time")

    def test_handshakes_that_are_never_finished_are_bounded_and_the_oldest_goes(self):
        time.sleep(1.1)  # the log has one line a second of such clients
        before = self.server.descriptors()
        with self.server.connect() as kept:  # it has asked, so it is none of them
            kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(harness.read_answer(kept).status, 200)
            slow, most = [], 0
            for _ in range(500):
                slow.append(self.plain())
                slow[-1].sendall(b"\x16\x03\x01\x02\x00\x01")
                if len(slow) % 50 == 0:
                    most = max(most, self.server.descriptors())
                    self.assertEqual(self.server.get("/health").status, 200)
            self.assertLess(most, before + 200 + 20)
            slow[0].settimeout(5)
            try:
                self.assertEqual(slow[0].recv(1), b"")  # long before its time
            except ConnectionResetError:
                pass
            kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(harness.read_answer(kept).status, 200)
        for s in slow:
            s.close()
        self.says("handshakes_max")

    def test_a_flood_of_handshakes_holds_no_request_up(self):
        context, stop, made = self.trust(), threading.Event(), []

        def flood():
            while not stop.is_set():
                try:
                    with socket.create_connection((self.server.host, self.server.port), 10) as s:
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        with context.wrap_socket(s, server_hostname="localhost"):
                            made.append(1)
                except OSError:
                    pass

        with self.server.connect() as kept:
            threads = [threading.Thread(target=flood) for _ in range(8)]
            for thread in threads:
                thread.start()
            slowest = 0
            for _ in range(50):
                began = time.monotonic()
                kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertEqual(harness.read_answer(kept).status, 200)
                slowest = max(slowest, time.monotonic() - began)
            stop.set()
            for thread in threads:
                thread.join()
        self.assertGreater(len(made), 8)
        self.assertLess(slowest, 1 * harness.SLOWNESS)

    @unittest.skipIf(CURL is None, "curl is missing (scripts/setup test)")
    def test_curl_is_content(self):
        run = subprocess.run([CURL, "-sS", "--cacert", str(self.authority.folder / "ca.pem"), self.server.url + "/health"],
                             capture_output=True, timeout=20)
        self.assertEqual((run.returncode, run.stdout), (0, b'{"status":"ok"}'))

    @unittest.skipIf(openai is None, "the Python package openai is missing (scripts/setup test)")
    def test_openais_sdk_streams_over_it(self):
        client = openai.OpenAI(base_url=self.server.url + "/v1", api_key="none", max_retries=0,
                               http_client=openai.DefaultHttpxClient(verify=self.trust()))
        messages = [{"role": "user", "content": "Hello"}]
        whole = client.chat.completions.create(model="f/some", messages=messages).choices[0].message.content
        parts = [c.choices[0].delta.content or "" for c in
                 client.chat.completions.create(model="f/some", messages=messages, stream=True) if c.choices]
        self.assertEqual("".join(parts), whole)
        self.assertTrue(whole)


class Reload(Case):
    def setUp(self):
        self.authority.issue(self.folder)
        self.reload()

    def reload(self):
        before = self.server.output.count("certificate taken")
        self.server.process.send_signal(signal.SIGHUP)
        self.assertTrue(harness.wait_until(lambda: self.server.output.count("certificate taken") > before))

    def test_a_signal_takes_new_files(self):
        before = serial(self.server)
        self.authority.issue(self.folder)
        self.reload()
        self.assertNotEqual(serial(self.server), before)
        self.assertGreater(metric(self.server, "weir_tls_certificate_reloads_total", result="taken"), 0)

    def test_changed_files_are_taken_without_a_signal(self):
        before = serial(self.server)
        self.authority.issue(self.folder)
        self.assertTrue(harness.wait_until(lambda: serial(self.server) != before, 15 * harness.SLOWNESS, 0.2))

    def test_bad_files_change_nothing_and_the_log_says_why(self):
        before = serial(self.server)
        good_key, good_certificate = (self.folder / "key.pem").read_bytes(), (self.folder / "cert.pem").read_bytes()
        self.authority.issue(self.folder / "other")
        for name, content, words in (("key.pem", (self.folder / "other" / "key.pem").read_bytes(), "key values mismatch"),
                                     ("cert.pem", b"nonsense", "holds no certificate"),
                                     ("key.pem", b"", "cannot read the private key"), ("cert.pem", None, "cannot read")):
            seen = self.server.output.count("new certificate refused")
            if content is None:
                (self.folder / name).unlink()
            else:
                (self.folder / name).write_bytes(content)
            self.server.process.send_signal(signal.SIGHUP)
            self.assertTrue(harness.wait_until(lambda: self.server.output.count("new certificate refused") > seen))
            self.says(words)
            self.assertEqual(serial(self.server), before)
            (self.folder / "key.pem").write_bytes(good_key)
            (self.folder / "cert.pem").write_bytes(good_certificate)
        self.assertGreaterEqual(metric(self.server, "weir_tls_certificate_reloads_total", result="refused"), 4)
        self.reload()

    def test_the_metric_tells_when_the_certificate_ends(self):
        for days in (30, 60):
            self.authority.issue(self.folder, days=days)
            self.reload()
            left_s = metric(self.server, "weir_tls_certificate_expiry_timestamp_seconds") - time.time()
            self.assertAlmostEqual(left_s / 86400, days, delta=0.1)

    def test_a_hundred_streams_run_on_over_five_reloads(self):
        want = self.server.post("/v1/chat/completions", self.body("tokens=60", stream=False)).json()
        want = want["choices"][0]["message"]["content"]
        texts, running, begun = [None] * 100, [], threading.Semaphore(0)

        def stream(i):
            text, first = "", True
            for event in self.server.stream("/v1/chat/completions", self.body("tokens=60, token=50ms", stream=True)):
                if first:
                    begun.release()
                first = False
                if event.data == "[DONE]":
                    texts[i] = text
                elif event.json()["choices"]:
                    text += event.json()["choices"][0]["delta"].get("content") or ""

        for i in range(100):
            running.append(threading.Thread(target=stream, args=(i,)))
            running[-1].start()
        for _ in running:
            self.assertTrue(begun.acquire(timeout=30 * harness.SLOWNESS))
        serials = {serial(self.server)}
        for _ in range(5):
            self.authority.issue(self.folder)
            self.reload()
            serials.add(serial(self.server))
        for thread in running:
            thread.join()
        self.assertEqual(len(serials), 6)
        self.assertEqual([t for t in texts if t != want], [])

    @staticmethod
    def body(orders, **fields):
        return {"model": "f/" + orders, "messages": [{"role": "user", "content": "Hello"}], **fields}


class ClientCertificates(Case):
    more = ", client_ca: {folder}/clients/ca.pem"

    @classmethod
    def setUpClass(cls):
        cls.clients = None
        super().setUpClass()

    @classmethod
    def trust(cls):
        cls.clients = Authority(cls.folder / "clients", "clients of the test")
        cls.clients.issue(cls.folder / "client", name="somebody")
        return cls.context(cls.folder / "client")

    @classmethod
    def context(cls, folder=None):
        context = cls.authority.trust()
        if folder:
            context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        return context

    def fails(self, context):
        """What the client is told."""
        with self.assertRaises(ssl.SSLError) as failure:
            with context.wrap_socket(self.plain(), server_hostname="localhost") as s:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                s.recv(100)
        return str(failure.exception)

    def test_a_client_of_the_authority_gets_in_again_and_again(self):
        self.assertTrue(harness.wait_until(lambda: self.server.get("/readyz").status == 200, 30))
        session = None
        for resumed in (False, True):
            with self.server.tls.wrap_socket(self.plain(), server_hostname="localhost", session=session) as s:
                s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                self.assertIn(b"200 OK", s.recv(4096))
                self.assertEqual(s.session_reused, resumed)
                session = s.session

    def test_others_are_told_so_by_an_alert(self):
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            nobody = self.context()
            nobody.maximum_version = version
            self.assertRegex(self.fails(nobody), "(?i)certificate.required|handshake.failure")
            Authority(self.folder / "strangers").issue(self.folder / "stranger")
            stranger = self.context(self.folder / "stranger")
            stranger.maximum_version = version
            self.assertRegex(self.fails(stranger), "(?i)unknown.ca")
        self.says("client not understood")


@unittest.skipIf(OPENSSL is None, "the openssl program is missing (scripts/setup test)")
class Start(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="weir-tls-")))
        self.authority = Authority(self.folder / "ca")
        self.authority.issue(self.folder)
        self.config = self.folder / "weir.yaml"
        self.write()

    def write(self, text=None):
        text = text or f"tls: {{certificate: {self.folder}/cert.pem, key: {self.folder}/key.pem}}"
        self.config.write_text("listen: 127.0.0.1:0\n" + text + "\n")

    def check(self):
        return harness.weir("config", "check", self.config)

    def refused(self, words):
        """By all three, with these words."""
        for run in (self.check(), harness.weir("serve", "--config", self.config)):
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(words, run.stderr)
        run = harness.weir("doctor", "--config", self.config, timeout_s=120)
        self.assertIn(words, run.stdout)
        self.assertEqual(run.returncode, 1)

    def test_good_files_are_good(self):
        run = self.check()
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        finding = re.search(r"(?m)^ok +tls +(.*)$", harness.weir("doctor", "--config", self.config, timeout_s=120).stdout)
        self.assertRegex(finding.group(1), r"^EC 256 for localhost, 127\.0\.0\.1, until 20")

    def test_a_key_of_another_certificate_is_refused(self):
        certificate = (self.folder / "cert.pem").read_bytes()
        self.authority.issue(self.folder)
        (self.folder / "cert.pem").write_bytes(certificate)
        self.refused("key values mismatch")

    def test_what_is_not_there_or_no_certificate_is_refused(self):
        (self.folder / "cert.pem").write_text("hello")
        self.refused("holds no certificate in PEM")
        (self.folder / "cert.pem").unlink()
        self.refused("cannot read the certificate")

    def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(self):
        self.authority.run("ec", "-in", str(self.folder / "key.pem"), "-aes256", "-passout", "pass:secret", "-out",
                           str(self.folder / "key.pem"))
        self.refused("cannot read the private key")

    def test_an_expired_certificate_is_refused(self):
        self.authority.issue(self.folder, days=0)
        time.sleep(1.1)
        self.refused("has expired")

    def test_one_that_ends_soon_is_minded(self):
        self.authority.issue(self.folder, days=9)
        run = self.check()
        self.assertEqual(run.returncode, 0)
        self.assertRegex(run.stderr, "ends in [89] days")
        self.assertRegex(harness.weir("doctor", "--config", self.config, timeout_s=120).stdout, r"(?m)^note +tls ")

    def test_a_key_that_everyone_may_read_is_minded(self):
        os.chmod(self.folder / "key.pem", 0o644)
        self.assertIn("chmod o-r", self.check().stderr)

    def test_half_a_configuration_is_refused(self):
        self.write(f"tls: {{certificate: {self.folder}/cert.pem}}")
        self.assertIn("tls: certificate and key are needed, both", self.check().stderr)

    def test_the_printed_example_trusts_a_certificate_of_its_own(self):
        self.authority.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                           str(self.folder / "key.pem"), "-out", str(self.folder / "cert.pem"), "-subj", "/CN=localhost",
                           "-addext", "subjectAltName=IP:127.0.0.1")
        context = ssl.create_default_context(cafile=str(self.folder / "cert.pem"))
        with harness.Server(config=self.config.read_text(), tls=context) as server:
            server.says(rf"curl --cacert {self.folder}/cert\.pem https://127\.0\.0\.1:")


class PlainListener(harness.ServerCase):
    def test_tls_to_a_plain_port_is_written_down(self):
        with self.server.connect() as s, self.assertRaises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(s, server_hostname="localhost")
        self.says("the client speaks TLS")
        self.assertEqual(self.get("/health").status, 200)

    def test_it_listens_on_loopback_by_default_and_is_opened_in_words_only(self):
        self.assertIn('listen: "127.0.0.1:8080"', harness.weir("config", "show").stdout)
        for more, opened in (([], False), (["--listen-without-keys"], True)):
            command = [harness.WEIR, "serve", "--listen", "0.0.0.0:0", *more]
            with tempfile.TemporaryDirectory() as folder:
                process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                           env={**os.environ, "WEIR_STORE": f"{folder}/weir.db"})
                line = process.stdout.readline()
                process.terminate()
                rest = process.communicate(timeout=30)[0]
            self.assertEqual("listening" in line, opened, line + rest)
            self.assertEqual("no keys are configured" in line + rest, not opened, line + rest)


if __name__ == "__main__":
    harness.main()
