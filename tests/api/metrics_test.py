# REQ: API-9 OBS-2 OBS-3
"""GET /metrics: what promtool takes, the names that dashboards read, and figures that add up."""

import re
import shutil
import subprocess
import unittest

import harness

VLLM_NAMES = ["vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc",
              "vllm:prompt_tokens_total", "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_bucket",
              "vllm:inter_token_latency_seconds_bucket", "vllm:e2e_request_latency_seconds_bucket",
              "vllm:request_queue_time_seconds_bucket", "vllm:request_prefill_time_seconds_bucket",
              "vllm:request_decode_time_seconds_bucket", "vllm:request_success_total",
              "vllm:prefix_cache_queries_total", "vllm:prefix_cache_hits_total", "vllm:num_preemptions_total"]
OWN_NAMES = ["weir_build_info", "weir_http_requests_total", "weir_requests_total", "weir_request_duration_seconds_bucket",
             "weir_time_to_first_token_seconds_bucket", "weir_inter_token_latency_seconds_bucket",
             "weir_gateway_overhead_seconds_bucket", "weir_queue_wait_seconds_bucket", "weir_requests_inflight",
             "weir_queue_depth", "weir_tokens_total", "weir_request_tokens_bucket", "weir_engine_requests_running",
             "weir_engine_kv_cache_usage_ratio", "weir_engine_kv_blocks", "weir_engine_batch_size_bucket",
             "weir_engine_step_duration_seconds_bucket", "weir_engine_steps_total",
             "weir_engine_last_step_timestamp_seconds", "weir_engine_prefix_cache_hit_tokens_total",
             "process_resident_memory_bytes", "process_open_fds"]


class Metrics(harness.ServerCase):
    def page(self, accept=None):
        return self.get("/metrics", {"Accept": accept} if accept else None)

    def value(self, name, **labels):
        """The sum of all series of a name with these labels."""
        total = 0.0
        for found, value in re.findall(rf"^{re.escape(name)}(?:{{(.*)}})? (\S+)$", self.page().text, re.M):
            if all(f'{k}="{v}"' in found for k, v in labels.items()):
                total += float(value)
        return total

    def test_the_names_are_there(self):
        self.chat("Hello", max_tokens=4)
        text = self.page().text
        for name in VLLM_NAMES + OWN_NAMES:
            self.assertRegex(text, rf"(?m)^{re.escape(name)}[ {{]", name)

    def test_both_formats_by_the_accept_header(self):
        plain = self.page()
        self.assertTrue(plain.headers["content-type"].startswith("text/plain; version=0.0.4"))
        self.assertTrue(plain.body.endswith(b"\n"))
        modern = self.page("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
        self.assertTrue(modern.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0"))
        self.assertTrue(modern.body.endswith(b"# EOF\n"))

    @unittest.skipUnless(shutil.which("promtool"), "promtool is missing (Debian package prometheus)")
    def test_promtool_finds_nothing_in_our_own_names(self):
        self.chat("Hello", max_tokens=4)
        self.post("/v1/chat/completions", {"messages": 7})
        text = "".join(line + "\n" for line in self.page().text.splitlines() if "vllm:" not in line)
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)

    def test_requests_and_tokens_add_up(self):
        requests = self.value("weir_requests_total", outcome="ok")
        output = self.value("weir_tokens_total", type="output")
        generated = self.value("vllm:generation_tokens_total")
        made = sum(self.chat("Hello", max_tokens=n, ignore_eos=True).json()["usage"]["completion_tokens"]
                   for n in (1, 5, 9))
        self.assertEqual(made, 15)
        self.assertEqual(self.value("weir_requests_total", outcome="ok") - requests, 3)
        self.assertEqual(self.value("weir_tokens_total", type="output") - output, 15)
        self.assertEqual(self.value("vllm:generation_tokens_total") - generated, 15)
        self.assertEqual(self.value("weir_requests_inflight"), 0)

    def test_outcomes_are_told_apart(self):
        before = self.value("weir_requests_total", outcome="client_error")
        self.post("/v1/chat/completions", {"messages": 7})
        self.post("/v1/chat/completions", {"model": "nobody", "messages": [{"role": "user", "content": "x"}]})
        self.assertEqual(self.value("weir_requests_total", outcome="client_error") - before, 2)
        self.assertGreater(self.value("weir_http_requests_total", endpoint="chat", code="400"), 0)
        self.assertGreater(self.value("weir_http_requests_total", endpoint="chat", code="404"), 0)

    def test_a_client_cannot_make_series(self):
        before = len(self.page().text.splitlines())
        for i in range(50):
            self.get(f"/made-up/{i}")
            self.post("/v1/chat/completions", {"model": f"made-up-{i}", "messages": [{"role": "user", "content": "x"}]})
        self.assertLess(len(self.page().text.splitlines()), before + 30)

    def test_times_are_measured_by_stage(self):
        list(self.stream("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 9,
                                                  "ignore_eos": True, "stream": True}))
        for name in ("weir_time_to_first_token_seconds", "weir_request_duration_seconds", "weir_queue_wait_seconds",
                     "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds"):
            self.assertGreater(self.value(name + "_count"), 0, name)
        self.assertGreater(self.value("weir_inter_token_latency_seconds_count"), 4)


if __name__ == "__main__":
    harness.main()
