# REQ: SEC-3 API-11 REL-2
# ctest: serial
"""Thousands of mixed requests, many of them broken off: memory and descriptors are as before."""

import json
import random
import socket
import struct
import time

import harness

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hello"}]


def post(path, body):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    return (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), len(body)) + body)


# What a client may send, and whether it waits for the answer or goes before it is complete.
WHOLE = [
    b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    post("/tokenize", {"prompt": "a few words to count"}),
    post("/v1/embeddings", {"input": "a few words"}),
    post(CHAT, {"messages": MESSAGES, "max_tokens": 2}),
    post(CHAT, {"messages": MESSAGES, "max_tokens": 2, "n": 3, "logprobs": True, "stream": True}),
    post(CHAT, {"messages": MESSAGES, "temperature": 9}),
    post(CHAT, b'{"messages": ['),
    post("/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 1, "echo": True, "logprobs": 2}),
]
BROKEN_OFF = [
    b"",
    b"GET /hea",
    b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n{\"mess",
    post(CHAT, {"messages": MESSAGES, "ignore_eos": True, "stream": True}),
    post(CHAT, {"messages": MESSAGES, "ignore_eos": True, "n": 4}),
    post("/v1/completions", {"prompt": "Once", "ignore_eos": True, "n": 8, "logprobs": 5, "stream": True}),
]


class Leaks(harness.ServerCase):
    # K and V are used over and over, in whatever order: little of it, so that all is touched soon.
    config = "engine:\n  kv_bytes_max: 3MiB\nlog:\n  level: error\n"

    def setUp(self):
        self.seed = random.randrange(1 << 32)
        self.chance = random.Random(self.seed)
        self.assertEqual(self.get("/health").status, 200)
        self.idle_descriptors = self.settled_descriptors()

    def settled_descriptors(self):
        """Without that of the last connection, which the server may see end a little later."""
        seen = [self.server.descriptors()]
        while len(seen) < 5 or seen[-1] != seen[-5]:
            time.sleep(0.05)
            seen.append(self.server.descriptors())
        return seen[-1]

    def go_through(self, raw):
        with self.server.connect() as connection:
            connection.sendall(raw)
            if raw in WHOLE:
                self.assertIsNotNone(harness.read_answer(connection))
                return
            if self.chance.random() < 0.5:
                connection.settimeout(0.01)
                try:
                    connection.recv(1000)
                except socket.timeout:
                    pass
            if self.chance.random() < 0.5:  # a reset instead of an end
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def rounds(self, requests, rounds, requests_a_round):
        """Memory after each round; descriptors must always come back."""
        seen = []
        for _ in range(rounds):
            for _ in range(requests_a_round):
                self.go_through(self.chance.choice(requests))
            harness.wait_until(lambda: self.server.descriptors() <= self.idle_descriptors, 20, every_s=0.1)
            self.assertEqual(self.server.descriptors(), self.idle_descriptors, f"seed {self.seed}")
            seen.append(harness.own_bytes(self.server.pid))
        return seen

    def assert_flat(self, seen, requests):
        """Less than 200 bytes a request: the heap may still take a step, but no struct is lost every time."""
        self.assertLess(seen[-1] - seen[0], 200 * requests * harness.SLOWNESS, f"seed {self.seed}: {seen}")

    def test_answered_requests_leave_nothing_behind(self):
        seen = self.rounds(WHOLE, 4, 800)
        self.assert_flat(seen[1:], 2 * 800)

    def test_requests_that_are_broken_off_leave_nothing_behind(self):
        # What is still running when the next one comes differs; so first much runs at once, for the heap to find its size.
        for _ in range(4):
            crowd = [self.server.connect() for _ in range(16)]
            for i, connection in enumerate(crowd):
                connection.sendall(BROKEN_OFF[3 + i % 3])
            time.sleep(0.5)
            for connection in crowd:
                connection.close()
        seen = self.rounds(BROKEN_OFF, 5, 500)
        self.assert_flat(seen[1:], 3 * 500)


if __name__ == "__main__":
    harness.main()
