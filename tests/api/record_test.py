# REQ: OBS-1 OBS-2 ROUTE-9
"""One record a request: in headers, in the log line, in the store, and told by `weir explain`."""

import json
import os
import re
import sqlite3
import tempfile
import threading
import time

import harness

CONFIG = """
providers:
  - {name: broken, kind: fault, always: "error=503", models: [m]}
routes:
  - name: careful
    targets: [{name: broken/m}, {name: weir-tiny}]
"""


class Records(harness.ServerCase):
    config = CONFIG

    def ask(self, **fields):
        body = {"model": "weir-tiny", "max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}], **fields}
        return self.post("/v1/chat/completions", body)

    def record(self, request_id):
        def found():
            run = harness.weir("explain", request_id, "--store", self.server.store, "--json")
            return json.loads(run.stdout) if run.returncode == 0 else None

        record = harness.wait_until(found, 5, 0.05)
        self.assertIsNotNone(record, request_id)
        return record

    def test_headers_log_and_store_tell_the_same(self):
        answer = self.ask()
        name = answer.headers["x-request-id"]
        self.assertEqual(answer.headers["x-weir-request-id"], name)
        self.assertEqual(answer.headers["x-weir-provider"], "local")
        self.assertEqual(answer.headers["x-weir-attempts"], "1")
        self.assertNotIn("x-weir-cost", answer.headers)  # no price is known
        record = self.record(name)["request"]
        usage = answer.json()["usage"]
        self.assertEqual(record["prompt_tokens"], usage["prompt_tokens"])
        self.assertEqual(record["completion_tokens"], usage["completion_tokens"])
        self.assertEqual(record["finish"], answer.json()["choices"][0]["finish_reason"])
        self.assertEqual((record["status"], record["outcome"], record["cost_nano_usd"]), (200, "ok", None))
        line = self.server.log_line(name)
        self.assertIn(f"prompt_tokens={usage['prompt_tokens']} ", line)
        self.assertIn("attempts=1 ", line)

    def test_stages_are_in_order_and_add_up(self):
        answer = self.ask(max_tokens=30, ignore_eos=True)
        record = self.record(answer.headers["x-request-id"])
        request, (attempt,) = record["request"], record["attempts"]
        times = [request["read_us"], request["admitted_us"], request["first_us"], request["total_us"]]
        self.assertEqual(times, sorted(times))
        self.assertTrue(all(times), times)
        self.assertLessEqual(attempt["started_us"], attempt["first_us"])
        self.assertLessEqual(attempt["queue_us"] + attempt["prefill_us"] + attempt["decode_us"], request["total_us"])
        self.assertLess(request["overhead_us"], request["total_us"])
        timing = answer.headers["Server-Timing"]
        self.assertRegex(timing, r"^(\w+;dur=[0-9.]+, )+total;dur=[0-9.]+$")
        for stage in ("read", "prefill", "decode"):
            self.assertIn(stage + ";", timing)

    def test_each_attempt_is_on_record_with_its_reason(self):
        answer = self.ask(model="careful")
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.headers["x-weir-attempts"], "2")
        record = self.record(answer.headers["x-request-id"])
        first, second = record["attempts"]
        self.assertEqual((first["target"], first["result"], first["failure"], first["upstream_status"]),
                         ("broken/m", "failed", "transient", 503))
        self.assertEqual((first["prompt_tokens"], first["completion_tokens"]), (0, 0))
        self.assertEqual((second["target"], second["result"], second["reason"]), ("weir-tiny", "answered", "fallback"))
        words = harness.weir("explain", answer.headers["x-request-id"], "--store", self.server.store).stdout
        for phrase in ("Attempt 1: broken/m", "Attempt 2: weir-tiny", "transient", "503", "the next target", "closed"):
            self.assertIn(phrase, words)

    def test_refusals_are_on_record_too(self):
        answer = self.ask(max_tokens=-1)
        record = self.record(answer.headers["x-request-id"])["request"]
        self.assertEqual((record["status"], record["outcome"], record["code"], record["attempts"]),
                         (400, "client_error", "below_min_value", 0))
        self.assertEqual(record["param"], "max_tokens")

    def test_a_client_that_goes_leaves_what_it_used(self):
        stream = self.stream("/v1/chat/completions",
                             {"model": "weir-tiny", "max_tokens": 450, "ignore_eos": True, "n": 8, "stream": True,
                              "messages": [{"role": "user", "content": "Hi"}]}, {"x-request-id": "gone-1"})
        for _ in range(5):
            next(stream)
        stream.close()
        record = self.record("gone-1")
        self.assertEqual(record["request"]["outcome"], "cancelled")
        (attempt,) = record["attempts"]
        self.assertEqual(attempt["result"], "cancelled")
        self.assertTrue(attempt["usage_estimated"])
        self.assertGreater(attempt["prompt_tokens"], 0)
        self.assertGreater(attempt["completion_tokens"], 0)

    def test_what_is_not_on_record_is_said_to_be_so(self):
        run = harness.weir("explain", "no-such-request", "--store", self.server.store)
        self.assertEqual(run.returncode, 3)
        self.assertIn("no record", run.stderr)

    def test_no_text_of_a_prompt_or_an_answer_is_on_record(self):
        answer = self.ask(messages=[{"role": "user", "content": "xylophone-quartz"}], user="somebody-else")
        self.record(answer.headers["x-request-id"])
        dump = harness.dump_store(self.server.store)
        self.assertIn(answer.headers["x-request-id"], dump)
        for text in ("xylophone", "somebody-else", answer.json()["choices"][0]["message"]["content"]):
            self.assertNotIn(text, dump)


class Crashes(harness.unittest.TestCase):
    def test_kill_9_loses_nothing_that_was_written_and_gaps_are_counted(self):
        with tempfile.TemporaryDirectory(prefix="weir-test-") as folder:
            env = {"WEIR_STORE": os.path.join(folder, "weir.db")}
            for _ in range(3):
                self.kill_under_load(env)
            with sqlite3.connect(env["WEIR_STORE"]) as db:
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchone(), ("ok",))
                (missing,) = db.execute("SELECT sum(seen - written) FROM run WHERE counted = 0").fetchone()
            with harness.Server(env=env) as server:
                text = server.get("/metrics").text
            self.assertEqual(int(re.search(r'weir_records_total\{state="missing"\} (\d+)', text).group(1)), missing)

    def kill_under_load(self, env):
        server = harness.Server(env=env).start()
        model, stop = server.model, threading.Event()

        def load():
            while not stop.is_set():
                try:
                    server.post("/v1/completions", {"model": model, "prompt": "Hi", "max_tokens": 1})
                except OSError:
                    return

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        text = server.get("/metrics").text
        written = int(re.search(r'weir_records_total\{state="written"\} (\d+)', text).group(1))
        server.stop(9)
        stop.set()
        for thread in threads:
            thread.join()
        self.assertGreater(written, 0)
        with sqlite3.connect(env["WEIR_STORE"]) as db:
            (kept,) = db.execute("SELECT sum(requests) FROM record_group WHERE number >> 40 = (SELECT max(id) FROM run)").fetchone()
        self.assertGreaterEqual(kept, written)


if __name__ == "__main__":
    harness.main()
