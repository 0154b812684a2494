# REQ: LIMIT-3
"""Money: what a request costs by the table of prices, and budgets by key and period, also across a restart."""

import json
import os
import sqlite3
import tempfile
import threading
from decimal import Decimal

import harness

KEYS = ("poor", "crowd", "free", "priced")
ENV = {f"WEIR_TEST_{name.upper()}": f"sk-{name}-0123456789" for name in KEYS}
# A token of prompt costs 2 and one of an answer 3 millionths of a dollar; the sum is rounded up to a billionth.
CONFIG = """
keys:
  - {name: poor, key: "${WEIR_TEST_POOR}", budget: "0.0002", budget_period: day}
  - {name: crowd, key: "${WEIR_TEST_CROWD}", budget: "0.001", budget_period: total}
  - {name: free, key: "${WEIR_TEST_FREE}"}
  - {name: priced, key: "${WEIR_TEST_PRICED}", budget: "100"}
prices:
  gpt-4o: {input: "999", output: "999"}
  "weir-*": {input: "2", output: "3.0001", cached_input: "0.5"}
"""


def bearer(name):
    return {"Authorization": f"Bearer sk-{name}-0123456789"}


def cost_nano(usage):
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    micro = (usage["prompt_tokens"] - cached) * 2_000_000_000 + cached * 500_000_000
    micro += usage["completion_tokens"] * 3_000_100_000
    return -(-micro // 1_000_000)


def ask(server, name, tokens=4, **fields):
    body = {"model": "default", "max_tokens": tokens, "ignore_eos": True,
            "messages": [{"role": "user", "content": "Tell a story."}], **fields}
    return server.post("/v1/chat/completions", body, bearer(name))


class Prices(harness.ServerCase):
    config = CONFIG
    env = ENV

    def test_the_cost_is_exact_and_everywhere(self):
        answer = ask(self.server, "free", x_test=1)
        usage = answer.json()["usage"]
        nano = cost_nano(usage)
        self.assertEqual(int(Decimal(answer.headers["x-weir-cost"]) * 10**9), nano)
        line = self.server.log_line(answer.headers["x-request-id"])
        self.assertIn(f"cost_usd={answer.headers['x-weir-cost']} ", line)
        explained = harness.wait_until(lambda: self.explain(answer))
        self.assertEqual(explained["request"]["cost_nano_usd"], nano)
        self.assertEqual(explained["attempts"][0]["cost_nano_usd"], nano)
        self.assertIn('weir_cost_usd_total{model="weir-tiny",provider="local",key="free"}',
                      self.server.get("/metrics", bearer("free")).text)

    def explain(self, answer):
        run = harness.weir("explain", answer.headers["x-request-id"], "--json", "--store", self.server.store)
        return json.loads(run.stdout) if run.returncode == 0 else None

    def test_wrong_prices_are_refused_with_their_place(self):
        for price in ("two", "-1", "0.0000000001", "1e3"):
            with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
                file.write(f'prices:\n  m: {{input: "{price}"}}\n')
                file.flush()
                run = harness.weir("config", "check", file.name)
                self.assertEqual(run.returncode, 2, price)
                self.assertIn("prices.m", run.stderr)
                self.assertIn("2.50", run.stderr)


class Budgets(harness.ServerCase):
    config = CONFIG
    env = ENV

    def test_a_budget_ends_and_says_when_it_begins_anew(self):
        spent = 0
        while (answer := ask(self.server, "poor")).status == 200:
            spent += cost_nano(answer.json()["usage"])
            self.assertLessEqual(spent, 200_000)
        error = self.assert_error(answer, 429, "budget_exceeded")
        self.assertIn("poor", error["message"])
        self.assertEqual(answer.headers["x-should-retry"], "false")
        self.assertGreater(spent, 100_000)
        self.assertEqual(ask(self.server, "free").status, 200)

    def test_any_number_at_once_stays_within_the_budget(self):
        answers = []

        def run():
            for _ in range(12):
                answers.append(ask(self.server, "crowd", 8))

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        spent = sum(cost_nano(a.json()["usage"]) for a in answers if a.status == 200)
        self.assertLessEqual(spent, 1_000_000)
        self.assertGreater(spent, 850_000)
        self.assertEqual({a.status for a in answers}, {200, 429})

    def test_what_was_spent_is_known_after_a_kill(self):
        with tempfile.TemporaryDirectory(prefix="weir-test-") as folder:
            store = os.path.join(folder, "weir.db")
            env = {**ENV, "WEIR_STORE": store}
            server = harness.Server(config=CONFIG, env=env).start()
            run = harness.weir("key", "create", "--name", "made", "--budget", "0.0002", "--store", store)
            key = {"Authorization": "Bearer " + run.stdout.strip()}
            harness.wait_until(lambda: server.get("/v1/models", key).status == 200, 2)
            body = {"model": "default", "max_tokens": 4, "messages": [{"role": "user", "content": "Tell a story."}]}
            while server.post("/v1/chat/completions", body, key).status == 200:
                pass
            while ask(server, "poor").status == 200:
                pass

            def written():
                with sqlite3.connect(store) as db:
                    spent = db.execute("SELECT key, nano_usd FROM spend WHERE period = 'total'").fetchall()
                return len([nano for _, nano in spent if nano > 120_000]) == 2

            self.assertTrue(harness.wait_until(written, 5, 0.1))
            server.stop(9)
            with harness.Server(config=CONFIG, env=env) as again:
                self.assertEqual(ask(again, "poor", 30).status, 429)
                self.assertEqual(again.post("/v1/chat/completions", {**body, "max_tokens": 30}, key).status, 429)
                self.assertEqual(ask(again, "free").status, 200)


if __name__ == "__main__":
    harness.main()
