# REQ: PROV-6 PROV-2 ROUTE-4 OBS-3
"""Active health: providers are asked in between whether they are ready, one that is not is taken out of the balance and comes
back, and what its metrics say of its load counts."""

import http.server
import json
import threading
import time
import unittest

import harness

CONFIG = """
listen: 127.0.0.1:0
log: {{level: info}}
routing: {{breaker: {{results_min: 1000000}}}}
providers:
  - {{name: a, kind: nim, base_url: "{a}/v1", models: [m], health: {{interval: 50ms, timeout: 300ms}}}}
  - {{name: b, kind: nim, base_url: "{b}/v1", models: [m], health: {{interval: 50ms, timeout: 300ms}}}}
  - {{name: plain, base_url: "{a}/v1", models: [m]}}
  - {{name: own, base_url: "{c}/v1", models: [m], health: {{path: /ping, interval: 50ms, failures: 1, metrics: /prom}}}}
  - {{name: ollama, kind: ollama, base_url: "{c}", models: [m], health: {{interval: 50ms, failures: 40}}}}
  - {{name: hosted, kind: nim, base_url: "{d}/v1", models: [m], health: {{interval: 20ms}}}}
  - {{name: silent, kind: nim, base_url: "{d}/v1", models: [m], health: {{path: off, metrics: off, interval: 20ms}}}}
routes:
  - {{name: order, targets: [{{name: a/m}}, {{name: b/m}}]}}
  - {{name: busy, strategy: least_busy, targets: [{{name: a/m}}, {{name: b/m}}]}}
  - {{name: alone, targets: [{{name: a/m}}]}}
  - {{name: draws, targets: [{{name: b/m}}, {{name: a/m}}], canary: {{target: a/m, percent: 100}}}}
"""
NIM_PAGE = """# HELP num_requests_running Number of requests currently running on GPU.
# TYPE num_requests_running gauge
num_requests_running{{model_name="m"}} {running}
# TYPE num_requests_waiting gauge
num_requests_waiting{{model_name="m"}} {waiting}
"""


class Upstream:
    """A server of OpenAI's shape whose health and load are what the test says."""

    def __init__(self):
        self.health, self.running, self.waiting, self.hangs, self.paths = 200, 0, 0, False, []
        self.unknown = ()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, text, kind="application/json"):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            def do_GET(self):
                outer.paths.append(self.path)
                if self.path in outer.unknown:
                    self.answer(404, "{}")
                elif self.path in ("/v1/metrics", "/prom"):
                    self.answer(200, NIM_PAGE.format(running=outer.running, waiting=outer.waiting), "text/plain")
                else:
                    while outer.hangs:
                        time.sleep(0.02)
                    self.answer(outer.health, '{"status":"ready"}')

            def do_POST(self):
                outer.paths.append(self.path)
                self.rfile.read(int(self.headers["Content-Length"]))
                message = {"role": "assistant", "content": "Hello"}
                self.answer(200, json.dumps({"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [
                    {"index": 0, "message": message, "finish_reason": "stop"}]}))

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # who asked did not wait for the answer
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def stop(self):
        self.hangs = False
        self.server.shutdown()
        self.server.server_close()


class Health(harness.ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.ups = {name: Upstream() for name in "abcd"}
        for up in cls.ups.values():
            cls.addClassCleanup(up.stop)
        cls.ups["d"].unknown = ("/v1/health/ready", "/v1/metrics")
        cls.config = CONFIG.format(**{name: up.url for name, up in cls.ups.items()})
        super().setUpClass()

    def setUp(self):
        for up in self.ups.values():
            up.health, up.running, up.waiting, up.hangs = 200, 0, 0, False
        for name in ("a", "b", "own", "ollama", "hosted"):
            self.becomes(name, 1)

    def metric(self, name, **labels):
        for line in self.get("/metrics").text.splitlines():
            if line.startswith(name + "{") and all(f'{k}="{v}"' in line for k, v in labels.items()):
                return float(line.split()[-1])
        return None

    def becomes(self, provider, up):
        seen = harness.wait_until(lambda: self.metric("weir_provider_up", provider=provider) == up, 10 * harness.SLOWNESS)
        self.assertTrue(seen, (provider, self.server.output))

    def who(self, model):
        answer = self.post("/v1/chat/completions", {"model": model, "messages": [{"role": "user", "content": "Hi"}]})
        self.assertEqual(answer.status, 200, answer)
        return answer.headers["x-weir-provider"]

    def test_one_that_is_not_ready_is_taken_out_and_comes_back(self):
        self.assertEqual({self.who("order") for _ in range(5)}, {"a"})
        self.ups["a"].health = 503
        self.becomes("a", 0)
        self.ups["a"].paths.clear()
        self.assertEqual({self.who("order") for _ in range(5)}, {"b"})
        self.assertNotIn("/v1/chat/completions", self.ups["a"].paths)
        self.ups["a"].health = 200
        self.becomes("a", 1)
        self.assertEqual({self.who("order") for _ in range(5)}, {"a"})
        self.says("provider is not ready")
        self.says("it answers 503")
        self.says('msg="provider is ready"')
        self.assertGreaterEqual(self.metric("weir_provider_health_checks_total", provider="a", result="failed"), 2)

    def test_one_that_does_not_answer_in_time_is_taken_out(self):
        self.ups["a"].hangs = True
        self.becomes("a", 0)
        self.assertEqual(self.who("order"), "b")

    def test_a_canary_that_is_not_ready_is_left_out(self):
        self.assertEqual(self.who("draws"), "a")
        self.ups["a"].health = 503
        self.becomes("a", 0)
        self.assertEqual(self.who("draws"), "b")

    def test_when_nobody_else_is_left_it_is_asked_all_the_same(self):
        self.ups["a"].health = self.ups["b"].health = 503
        self.becomes("a", 0)
        self.becomes("b", 0)
        self.assertEqual((self.who("alone"), self.who("a/m"), self.who("order")), ("a", "a", "a"))

    def test_a_single_failure_is_forgiven(self):
        self.ups["c"].paths.clear()
        failed = self.metric("weir_provider_health_checks_total", provider="ollama", result="failed")
        self.ups["c"].health = 500
        harness.wait_until(lambda: self.metric("weir_provider_health_checks_total", provider="ollama", result="failed")
                           > failed, 5)
        self.ups["c"].health = 200
        time.sleep(0.1)
        self.assertEqual(self.metric("weir_provider_up", provider="ollama"), 1)
        self.assertIn("/api/version", self.ups["c"].paths)

    def test_a_path_of_ones_own_wants_a_good_answer(self):
        self.assertIn("/ping", self.ups["c"].paths)
        self.ups["c"].health = 404
        self.becomes("own", 0)
        self.assertEqual(self.metric("weir_provider_up", provider="ollama"), 1)  # there, and no error of its own
        self.ups["c"].health = 204
        self.becomes("own", 1)

    def test_a_service_without_such_paths_is_well_and_asked_no_more(self):
        self.assertEqual(self.metric("weir_provider_up", provider="hosted"), 1)
        self.ups["d"].paths.clear()
        time.sleep(0.3)
        self.assertEqual(self.ups["d"].paths, [])
        self.assertIsNone(self.metric("weir_provider_up", provider="silent"))
        self.assertIsNone(self.metric("weir_provider_up", provider="plain"))

    def test_the_load_that_it_tells_counts(self):
        self.ups["a"].running, self.ups["a"].waiting, self.ups["b"].running = 5, 2, 3
        told = harness.wait_until(lambda: self.metric("weir_provider_requests", provider="a", state="waiting") == 2
                                  and self.metric("weir_provider_requests", provider="b", state="running") == 3, 10)
        self.assertTrue(told)
        self.assertEqual({self.who("busy") for _ in range(5)}, {"b"})
        self.ups["b"].waiting = 50
        harness.wait_until(lambda: self.metric("weir_provider_requests", provider="b", state="waiting") == 50, 10)
        self.assertEqual({self.who("busy") for _ in range(5)}, {"a"})


class Configuration(unittest.TestCase):
    def test_a_path_that_is_none_is_refused(self):
        with harness.tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            f.write("providers: [{name: x, base_url: 'http://127.0.0.1:1', health: {path: ping}}]\n")
            f.flush()
            run = harness.weir("config", "check", f.name)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("a path begins with '/'", run.stderr)


if __name__ == "__main__":
    harness.main()
