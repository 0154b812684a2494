# REQ: PROV-8 API-11 ROUTE-5
# ctest: serial
"""Providers over HTTP/2: Node's server is the provider, and nobody who speaks to weir sees a difference."""

import json
import os
import socket
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../http"))
import h2_peer as h2  # noqa: E402
from client_peers_test import make_certificates  # noqa: E402
from h2_node import NodeServer, needs_node  # noqa: E402

CONFIG = """
providers:
  - {{name: up, base_url: "{up}/v1", ca_file: "{folder}/ca.pem", models: [m], discover: false}}
  - {{name: one, base_url: "{up}/v1", ca_file: "{folder}/ca.pem", http2: off, models: [m], discover: false}}
  - {{name: plain, base_url: "{plain}/v1", http2: prior-knowledge, models: [m], discover: false}}
  - {{name: few, base_url: "{few}/v1", http2: prior-knowledge, models: [m], discover: false}}
"""
CHAT = "/v1/chat/completions"


def words(count, name):
    return "".join(f"{name}:{i} " for i in range(count))


def ask(model, count, gap_ms, name):
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": f"{count} {gap_ms} {name}"}]}


@needs_node
class ByNode(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        make_certificates(folder.name)
        cls.up, cls.plain, cls.few = NodeServer(folder.name), NodeServer(), NodeServer(maxConcurrentStreams=4)
        for node in (cls.up, cls.plain, cls.few):
            cls.addClassCleanup(node.close)
        cls.config = CONFIG.format(up=cls.up.origin, plain=cls.plain.origin, few=cls.few.origin, folder=folder.name)
        super().setUpClass()

    def text_of(self, model, count, gap_ms, name):
        events = [e.data for e in self.stream(CHAT, ask(model, count, gap_ms, name))]
        self.assertEqual(events[-1], "[DONE]")
        return "".join(json.loads(e)["choices"][0]["delta"].get("content") or "" for e in events[:-1])

    def streams(self, model, how_many, count, gap_ms):
        with ThreadPoolExecutor(how_many) as pool:
            texts = list(pool.map(lambda i: self.text_of(model, count, gap_ms, f"s{i}"), range(how_many)))
        for i, text in enumerate(texts):
            self.assertEqual(text, words(count, f"s{i}"))

    def test_two_hundred_streams_on_one_connection_are_each_their_own(self):
        before = self.up.counts()
        self.streams("up/m", 200, 40, 10)
        after = self.up.counts()
        self.assertEqual(after["connections"] - before["connections"], 0 if before["connections"] else 1)
        self.assertGreater(after["most"], 100)

    def test_without_tls_by_prior_knowledge(self):
        self.streams("plain/m", 20, 20, 1)
        self.assertEqual(self.plain.counts()["connections"], 1)

    def test_a_server_of_few_streams_gets_more_connections(self):
        self.streams("few/m", 16, 20, 5)
        self.assertLessEqual(self.few.counts()["connections"], 8)
        self.assertGreaterEqual(self.few.counts()["connections"], 2)

    def record(self, request_id):
        def found():
            run = harness.weir("explain", request_id, "--store", self.server.store, "--json")
            return json.loads(run.stdout) if run.returncode == 0 else None
        return harness.wait_until(found, 5, 0.05)

    def test_the_record_tells_what_was_spoken(self):
        connection = self.server._open(20)
        self.addCleanup(connection.close)
        connection.request("POST", CHAT, json.dumps(ask("up/m", 2, 0, "x")), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        name = answer.headers["x-weir-request-id"]
        (attempt,) = self.record(name)["attempts"]
        self.assertEqual(attempt["protocol"], "h2")
        self.assertIn("over h2", harness.weir("explain", name, "--store", self.server.store).stdout)

    def test_http2_can_be_switched_off(self):
        answer = self.post(CHAT, ask("one/m", 2, 0, "x"))
        self.assertEqual(answer.status, 502, answer)  # this server speaks nothing else

    def begin(self, model, count, gap_ms, name):
        body = json.dumps(ask(model, count, gap_ms, name)).encode()
        connection = self.server.connect()
        self.addCleanup(connection.close)
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body)
        return connection

    def test_clients_that_go_reset_their_streams_within_100_ms_and_others_go_on(self):
        before = self.up.counts()
        with ThreadPoolExecutor(1) as pool:
            other = pool.submit(self.text_of, "up/m", 60, 10, "other")
            going = [self.begin("up/m", 1_000_000, 5, f"g{i}") for i in range(20)]
            for connection in going:
                while b"g" not in connection.recv(65536):
                    pass
            began_ms = time.time() * 1000
            for connection in going:
                connection.close()
            self.assertTrue(harness.wait_until(lambda: self.up.counts()["cancelled"] == before["cancelled"] + 20))
            self.assertLess(self.up.counts()["cancelled_at_ms"] - began_ms, 100 * harness.SLOWNESS)
            self.assertEqual(other.result(30), words(60, "other"))
        self.assertEqual(self.up.counts()["connections"], max(before["connections"], 1))

    def test_a_client_that_does_not_read_holds_up_nobody_and_loses_nothing(self):
        connection = self.begin("up/m", 60_000, 0, "slow")  # some 10 MB
        time.sleep(0.5)
        before = self.server.resident_bytes()
        self.streams("up/m", 20, 50, 2)
        time.sleep(0.5)
        self.assertLess(self.server.resident_bytes() - before, 16 << 20)
        raw = b""
        while not raw.endswith(b"0\r\n\r\n"):
            chunk = connection.recv(1 << 20)
            self.assertTrue(chunk, raw[-200:])
            raw += chunk
        raw = raw.split(b"\r\n\r\n", 1)[1]
        body, at = [], 0
        while (end := raw.index(b"\r\n", at)) and (size := int(raw[at:end], 16)):
            body.append(raw[end + 2:end + 2 + size])
            at = end + 2 + size + 2
        events = [e for e in b"".join(body).decode().split("\n\n") if e.startswith("data: {")]
        text = "".join(json.loads(e[6:])["choices"][0]["delta"].get("content") or "" for e in events)
        self.assertEqual(text, words(60_000, "slow"))


ANSWER = json.dumps({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}}).encode()


def chunk(text):
    return b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [
        {"index": 0, "delta": {"content": text}, "finish_reason": None}]}).encode() + b"\n\n"


class ByHand(harness.ServerCase):
    """What a server may do to a connection that others use as well."""

    @classmethod
    def setUpClass(cls):
        cls.script = None
        cls.peer = h2.Peer(lambda c: cls.script(c))
        cls.addClassCleanup(cls.peer.__exit__)
        cls.config = f"""
providers:
  - {{name: up, base_url: "{cls.peer.url}/v1", http2: prior-knowledge, models: [m], discover: false}}
routing: {{attempts_max: 1}}
"""
        super().setUpClass()

    def use(self, script):
        """From now on; connections of the test before are closed."""
        type(self).script = staticmethod(script)
        for c in self.peer.connections:
            try:
                c.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        time.sleep(0.1)

    def ask(self, **fields):
        return self.post(CHAT, {"model": "up/m", "messages": [{"role": "user", "content": "Hi"}], **fields})

    def test_a_goodbye_costs_no_attempt(self):
        began = len(self.peer.connections)

        def script(c):
            c.begin()
            first = c.request()
            if c.number == began:
                c.request(), c.request()
                c.send(h2.goaway(first))
                time.sleep(0.05)
                c.send(h2.headers(first), h2.data(first, ANSWER, end=True))
                return c.until_gone()
            while True:
                c.send(h2.headers(first), h2.data(first, ANSWER, end=True))
                first = c.request()

        self.use(script)
        with ThreadPoolExecutor(3) as pool:
            answers = list(pool.map(lambda _: self.ask(), range(3)))
        self.assertEqual([(a.status, a.headers["x-weir-attempts"]) for a in answers], [(200, "1")] * 3, answers)
        self.assertEqual(len(self.peer.connections) - began, 2)

    def test_a_stream_that_is_reset_is_a_clear_error_and_its_neighbour_is_whole(self):
        reset = threading.Event()

        def script(c):
            c.begin()
            bad, good = c.request(), c.request()
            c.send(h2.headers(bad, ("content-type", "text/event-stream")), h2.data(bad, chunk("half")))
            reset.wait(10)
            c.send(h2.reset(bad, h2.INTERNAL_ERROR), h2.headers(good), h2.data(good, ANSWER, end=True))
            c.until_gone()

        self.use(script)
        body = {"model": "up/m", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
        seen = []
        with ThreadPoolExecutor(1) as pool:
            stream = self.stream(CHAT, body)
            other = pool.submit(lambda: (time.sleep(0.3), self.ask())[1])
            try:
                for event in stream:
                    seen.append(event.data)
                    if "half" in event.data:
                        reset.set()
            except Exception as e:  # the connection is cut after the error
                seen.append(repr(e))
            answer = other.result(20)
            self.assertEqual(answer.status, 200, answer)
        errors = [e for e in seen if "upstream_cut" in e]
        self.assertEqual(len(errors), 1, seen)
        self.assertNotIn("[DONE]", seen)

    def test_a_server_that_refuses_every_stream_is_unreachable_in_words(self):
        def script(c):
            c.begin()
            while True:
                c.send(h2.reset(c.request(), h2.REFUSED_STREAM))

        self.use(script)
        error = self.assert_error(self.ask(), 502)
        self.assertIn("refused the request unread", error["message"])


if __name__ == "__main__":
    harness.main()
