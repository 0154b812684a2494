# REQ: API-1 API-8 API-10 API-11 SEC-3
"""What happens to a call that takes too long, a client that does not read, and a server that is told to end."""

import json
import re
import signal
import threading
import time

import harness
import openai_schema

CHAT = "/v1/chat/completions"
ENDLESS = {"messages": [{"role": "user", "content": "Go on for ever."}], "ignore_eos": True, "n": 64}


def raw_post(body, path=CHAT):
    body = json.dumps(body).encode()
    return (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % (path.encode(), len(body)) + body)


class Deadline(harness.ServerCase):
    config = "limits:\n  request_timeout: 150ms\n"

    def test_a_whole_answer_that_takes_too_long_is_504(self):
        answer = self.post(CHAT, ENDLESS)
        self.assert_error(answer, 504, "timeout")
        self.assertEqual(answer.headers["x-should-retry"], "false")

    def test_a_stream_that_takes_too_long_ends_with_an_error_event_and_a_cut(self):
        with self.server.connect() as connection:
            connection.sendall(raw_post({**ENDLESS, "stream": True}))
            received = harness.read_until_silent(connection, 10)
        self.assertTrue(received.startswith(b"HTTP/1.1 200"))
        events = [e.data for e in harness.parse_events([re.sub(rb"\r\n[0-9a-f]+\r\n", b"", received)])]
        self.assertNotIn("[DONE]", events)
        self.assertFalse(received.endswith(b"0\r\n\r\n"), "the stream looks whole")
        self.assertIn(b'data: {"error":{', received)
        self.assertIn(b'"code":"timeout"', received)
        self.assertNotIn(b'"finish_reason":"length"', received)

    def test_the_work_is_gone_afterwards(self):
        self.post(CHAT, ENDLESS)
        self.assertEqual(self.chat("Hello", max_tokens=1).status, 200)
        gauge = re.findall(r"^weir_engine_requests_running{[^}]*} (\S+)$", self.get("/metrics").text, re.M)
        self.assertEqual(gauge, ["0"])


class SlowReader(harness.ServerCase):
    def generated(self):
        return float(re.search(r"^vllm:generation_tokens_total{[^}]*} (\S+)$", self.get("/metrics").text, re.M).group(1))

    def test_a_client_that_does_not_read_stops_its_producer_and_nobody_else(self):
        memory = self.server.resident_bytes()
        with harness.socket.socket() as connection:
            connection.setsockopt(harness.socket.SOL_SOCKET, harness.socket.SO_RCVBUF, 4096)
            connection.connect((self.server.host, self.server.port))
            body = {**ENDLESS, "n": 32, "stream": True, "logprobs": True, "top_logprobs": 20}
            connection.sendall(raw_post(body))

            def rests():
                before = self.generated()
                time.sleep(1)
                return before > 0 and self.generated() == before

            self.assertTrue(harness.wait_until(rests, 30), "the engine never came to rest")
            self.assertEqual(self.chat("Hello", max_tokens=3).status, 200)
            self.assertLess(self.server.resident_bytes() - memory, 64 << 20)
            before, received = self.generated(), 0
            connection.settimeout(20)
            while received < 64 << 20 and self.generated() == before:
                received += len(connection.recv(1 << 20))
            self.assertGreater(self.generated(), before, f"reading {received} bytes did not wake it")


class Ending(harness.unittest.TestCase):
    def test_running_answers_end_and_new_ones_are_not_taken(self):
        server = harness.Server().start()
        answers = []
        body = {"messages": [{"role": "user", "content": "Hi"}], "ignore_eos": True, "n": 16}
        asking = threading.Thread(target=lambda: answers.append(server.post(CHAT, body)))
        with server.connect() as kept:
            kept.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(harness.read_answer(kept).status, 200)
            asking.start()
            harness.wait_until(lambda: "weir_requests_inflight" in server.get("/metrics").text, 5)
            time.sleep(0.05)
            status = server.stop(signal.SIGTERM)
        asking.join(30)
        self.assertEqual(status, 0)
        self.assertEqual(answers[0].status, 200)
        openai_schema.check("CreateChatCompletionResponse", answers[0].json())
        self.assertEqual(len(answers[0].json()["choices"]), 16)

    def test_a_second_signal_does_not_wait(self):
        server = harness.Server().start()
        with server.connect() as connection:
            connection.sendall(raw_post({**ENDLESS, "n": 128}))
            time.sleep(0.2)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.2)
            start = time.monotonic()
            server.stop(signal.SIGTERM)
            self.assertLess(time.monotonic() - start, 10)


class Alone(harness.ServerCase):
    """A process at rest rests."""

    def test_an_idle_server_uses_no_processor(self):
        self.chat("Hello", max_tokens=2)

        def ticks():
            fields = harness.Path(f"/proc/{self.server.pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])

        time.sleep(0.5)
        before = ticks()
        time.sleep(2)
        self.assertLessEqual(ticks() - before, 3)


if __name__ == "__main__":
    harness.main()
