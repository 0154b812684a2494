# REQ: API-11 SEC-3 REL-2
# ctest: serial
"""Hundreds of streams that wait for their provider's next word: all stay, none costs much, and all can go at once. And
requests of which some fail at the provider in every way: nothing of them stays behind. `make bench-gateway` does both with
thousands and a million."""

import json
import signal
import time

import harness
from fault_provider import Fault

STREAMS = 300
CHAT = "/v1/chat/completions"
KEY = "sk-crowd-0123456789"
CONFIG = """
log: {{level: error}}
keys: [{{name: crowd, key: {{env: CROWD_KEY}}, tokens_per_minute: 1000000000, concurrency: 10000, budget: "1000"}}]
prices: [{{name: "*", input: "2.50", output: "10"}}]
rate_limits: [{{name: all, requests_per_minute: 1000000000}}]
stream_ping: 1h
routing:
  backoff: 2ms
  breaker: {{results_min: 1000000, hard_down: 1ms, rate_limited: 1ms}}
providers:
  - {{name: up, kind: openai, base_url: "{url}/v1", discover: false}}
"""
FAULTS = ("error=500", "error=429", "reset", "cut=3")


def post(model, **fields):
    body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello"}], **fields}).encode()
    return (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: %d\r\n\r\n" % (CHAT.encode(), KEY.encode(), len(body)) + body)


class Crowd(harness.ServerCase):
    env = {"CROWD_KEY": KEY}

    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=11))
        cls.config = CONFIG.format(url=cls.provider.url)
        super().setUpClass()

    def page(self):
        return self.get("/metrics", {"Authorization": f"Bearer {KEY}"}).text

    def in_flight(self):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.page().splitlines()
                   if line.startswith("weir_requests_inflight{"))


class Waiting(Crowd):
    def open_streams(self, count):
        connections = [self.server.connect() for _ in range(count)]
        for connection in connections:
            connection.sendall(post("up/tokens=10, stall=2", stream=True, max_tokens=10))
        for connection in connections:
            self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 200"))
        return connections

    def test_all_stay_and_all_go_at_once(self):
        few = self.open_streams(20)
        before, open_before = harness.own_bytes(self.server.pid), self.server.descriptors()
        many = self.open_streams(STREAMS)
        self.assertLess((harness.own_bytes(self.server.pid) - before) / STREAMS, 25_000 * harness.SLOWNESS)
        self.assertEqual(self.server.descriptors() - open_before, 2 * STREAMS)
        time.sleep(0.5)
        self.assertEqual(harness.ended(few + many), 0)
        self.assertEqual(self.in_flight(), STREAMS + 20)
        slow = harness.slow_turns(self.page())
        self.server.process.send_signal(signal.SIGSTOP)  # so that it sees them all go in one turn
        for connection in few + many:
            connection.close()
        self.server.process.send_signal(signal.SIGCONT)
        self.assertTrue(harness.wait_until(lambda: self.in_flight() == 0, 5 * harness.SLOWNESS))
        if harness.SLOWNESS == 1:
            self.assertEqual(harness.slow_turns(self.page()) - slow, 0)
        self.assertTrue(harness.wait_until(lambda: self.server.descriptors() <= open_before - 2 * 20 + 1, 5))


class Failing(Crowd):
    def ask(self, number):
        """One request, whatever becomes of it. One in twenty goes wrong at the provider."""
        order = "tokens=6" if number % 20 else FAULTS[number // 20 % len(FAULTS)]
        with self.server.connect() as connection:
            connection.sendall(post("up/" + order, stream=number % 3 == 0, max_tokens=6))
            try:
                harness.read_answer(connection)
            except harness.http.client.IncompleteRead:
                pass  # a stream that ends with an error is cut

    def test_nothing_of_them_stays_behind(self):
        requests, rounds, seen = 1000, 9, []
        for _ in range(rounds):
            for i in range(requests):
                self.ask(i)
            seen.append(harness.own_bytes(self.server.pid))
        if harness.SLOWNESS == 1:  # a sanitizer keeps what was freed
            self.assertLess(seen[-1] - seen[-4], 100 * 3 * requests, seen)  # the store's cache has found its size by then
        failed = sum(float(line.rsplit(" ", 1)[1]) for line in self.page().splitlines()
                     if line.startswith("weir_attempts_total{") and 'outcome="ok"' not in line)
        self.assertGreater(failed, 0.04 * rounds * requests)
        # no more than the kept connections to the provider
        self.assertTrue(harness.wait_until(lambda: self.server.descriptors() < 40, 5), self.server.descriptors())


if __name__ == "__main__":
    harness.main()
