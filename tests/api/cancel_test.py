# REQ: API-11
# ctest: serial
"""A client that goes stops its work: the engine's sequences and the gateway's calls are gone within 100 ms."""

import json
import re
import time

import harness

CHAT = "/v1/chat/completions"


class Cancel(harness.ServerCase):
    def gauge(self, name):
        text = self.get("/metrics").text
        return sum(float(v) for v in re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)$", text, re.M))

    def running(self):
        return (self.gauge("weir_engine_requests_running") + self.gauge("weir_engine_requests_waiting")
                + self.gauge("weir_requests_inflight"))

    def begin(self, **fields):
        """A connection with a request at work on it."""
        body = json.dumps({"messages": [{"role": "user", "content": "Go on for ever."}], "ignore_eos": True,
                           **fields}).encode()
        connection = self.server.connect()
        connection.sendall(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                           b"Content-Length: %d\r\n\r\n" % (CHAT.encode(), len(body)) + body)
        return connection

    def gone_within(self, limit_s):
        start = time.monotonic()
        harness.wait_until(lambda: self.running() == 0, 5, every_s=0.002)
        took = time.monotonic() - start
        self.assertLess(took, limit_s * harness.SLOWNESS)
        return took

    def many(self, **fields):
        """Enough work that it outlasts the look at it."""
        connections = [self.begin(n=4, **fields) for _ in range(4)]
        for c in connections:
            self.addCleanup(c.close)
        self.assertTrue(harness.wait_until(lambda: self.gauge("weir_engine_requests_running") > 0, 5, 0.002),
                        "the work never began")
        return connections

    def test_a_closed_stream(self):
        connections = self.many(stream=True)
        for c in connections:
            c.close()
        self.gone_within(0.1)

    def test_a_closed_connection_that_waits_for_a_whole_answer(self):
        connections = self.many()
        for c in connections:
            c.close()
        self.gone_within(0.1)

    def test_a_half_closed_connection_is_a_cancel(self):
        connections = self.many()
        for c in connections:
            c.shutdown(harness.socket.SHUT_WR)
        self.gone_within(0.1)
        for c in connections:
            c.close()

    def test_a_reset_connection(self):
        connections = self.many(stream=True)
        for c in connections:
            c.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            c.close()
        self.gone_within(0.1)

    def test_the_connection_serves_on_for_others(self):
        for c in self.many(stream=True):
            c.close()
        self.assertEqual(self.chat("Hello", max_tokens=2).status, 200)
        self.gone_within(0.1)

    def test_it_is_counted_and_logged_as_the_clients_doing(self):
        before = self.gauge("weir_stream_aborts_total")
        for c in self.many(stream=True):
            c.close()
        self.gone_within(0.1)
        self.assertGreater(self.gauge("weir_stream_aborts_total"), before)
        self.says("outcome=cancelled")


class HalfCloseAllowed(harness.ServerCase):
    config = "half_close_cancels: false\n"

    def test_a_client_may_end_its_side_and_still_read(self):
        body = json.dumps({"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3}).encode()
        answer = self.server.exchange(b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                                      b"Connection: close\r\nContent-Length: %d\r\n\r\n" % (CHAT.encode(), len(body))
                                      + body, half_close=True)
        self.assertIn(b"200 OK", answer)
        self.assertIn(b"chat.completion", answer)


if __name__ == "__main__":
    harness.main()
