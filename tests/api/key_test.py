# REQ: LIMIT-1 SEC-1
"""Virtual keys: made, shown once, known to a running server within a second, limited to models, expired, revoked."""

import hashlib
import json
import sqlite3
import tempfile
import time
import unittest

import harness

CONFIG = """
keys:
  - name: of-the-file
    key: ${WEIR_TEST_KEY}
  - name: narrow
    key: ${WEIR_TEST_NARROW_KEY}
    models: ["other-*"]
  - name: old
    key: ${WEIR_TEST_OLD_KEY}
    expires: 2020-01-31
"""
ENV = {"WEIR_TEST_KEY": "sk-of-the-file-0123456789", "WEIR_TEST_NARROW_KEY": "sk-narrow-0123456789",
       "WEIR_TEST_OLD_KEY": "sk-old-0123456789"}


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def create(server, *options):
    """Makes a key in the server's store; gives {"key": …, "about": …}."""
    run = harness.weir("key", "create", "--store", server.store, "--json", *options)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def wait_known(server, key, timeout_s=2):
    return harness.wait_until(lambda: server.get("/v1/models", bearer(key)).status == 200, timeout_s)


class AKeylessServer(harness.ServerCase):
    def test_asks_for_keys_from_the_first_one_on_and_for_ever(self):
        self.assertEqual(self.get("/v1/models").status, 200)
        key = create(self.server, "--name", "first")["key"]
        begun = time.monotonic()
        self.assertTrue(harness.wait_until(lambda: self.get("/v1/models").status == 401, 2))
        self.assertLess(time.monotonic() - begun, 1)
        self.assert_error(self.get("/v1/models"), 401, "missing_api_key")
        self.assertEqual(self.get("/v1/models", bearer(key)).status, 200)
        self.assertEqual(self.get("/v1/models", {"x-api-key": key}).status, 200)
        run = harness.weir("key", "revoke", "first", "--store", self.server.store)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(harness.wait_until(lambda: self.get("/v1/models", bearer(key)).status == 401, 1))
        self.assert_error(self.get("/v1/models", bearer(key)), 401, "invalid_api_key")
        self.assert_error(self.get("/v1/models"), 401, "missing_api_key")  # it does not open again


class AServerWithKeys(harness.ServerCase):
    config = CONFIG
    env = ENV

    def ask(self, key, **fields):
        body = {"model": "default", "max_tokens": 2, "messages": [{"role": "user", "content": "Hi"}], **fields}
        return self.post("/v1/chat/completions", body, bearer(key))

    def test_keys_of_the_file_keep_working_beside_those_of_the_store(self):
        made = create(self.server, "--name", "beside")
        self.assertTrue(wait_known(self.server, made["key"]))
        self.assertEqual(self.ask(made["key"]).status, 200)
        self.assertEqual(self.ask(ENV["WEIR_TEST_KEY"]).status, 200)
        self.assert_error(self.ask(made["key"][:-1] + "x"), 401, "invalid_api_key")

    def test_a_key_reaches_its_models_alone(self):
        for key in (ENV["WEIR_TEST_NARROW_KEY"], create(self.server, "--name", "narrow2", "--models", "a,other-*")["key"]):
            self.assertTrue(wait_known(self.server, key))
            error = self.assert_error(self.ask(key), 403, "model_not_allowed")
            self.assertEqual(error["param"], "model")
        wide = create(self.server, "--name", "wide", "--models", "weir-*")["key"]
        self.assertTrue(wait_known(self.server, wide))
        self.assertEqual(self.ask(wide).status, 200)  # by its own name, though asked for as "default"

    def test_an_expired_key_is_told_so(self):
        self.assert_error(self.ask(ENV["WEIR_TEST_OLD_KEY"]), 401, "expired_api_key")
        short = create(self.server, "--name", "short", "--lifetime", "1200ms")["key"]
        self.assertTrue(wait_known(self.server, short))
        self.assertTrue(harness.wait_until(lambda: self.ask(short).status == 401, 3))
        self.assert_error(self.ask(short), 401, "expired_api_key")

    def test_keys_survive_a_kill(self):
        key = create(self.server, "--name", "survivor")["key"]
        env = {**ENV, "WEIR_STORE": self.server.store}
        other = harness.Server(config=CONFIG, env=env).start()
        self.assertTrue(wait_known(other, key))
        other.stop(9)
        with harness.Server(config=CONFIG, env=env) as again:
            self.assertEqual(again.get("/v1/models", bearer(key)).status, 200)


class TheVerbs(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weir-test-")
        self.addCleanup(self.folder.cleanup)
        self.store = self.folder.name + "/deep/weir.db"

    def weir(self, *arguments):
        return harness.weir("key", *arguments, "--store", self.store)

    def test_a_key_is_printed_once_and_only_its_hash_is_kept(self):
        run = self.weir("create", "--name", "ci")
        key = run.stdout.strip()
        self.assertRegex(key, r"^wk-[0-9a-f]{64}$")
        self.assertNotIn(key, run.stderr)
        for verb in (["list"], ["list", "--json"], ["show", "ci"], ["show", "ci", "--json"]):
            run = self.weir(*verb)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertIn("ci", run.stdout)
            self.assertNotIn(key[3:], run.stdout)
        with sqlite3.connect(self.store) as db:
            dump = "\n".join(db.iterdump())
        self.assertNotIn(key[3:], dump)
        self.assertIn(hashlib.sha256(key.encode()).hexdigest(), dump)

    def test_keys_differ(self):
        keys = {self.weir("create", "--name", f"k{i}").stdout for i in range(5)}
        self.assertEqual(len(keys), 5)

    def test_what_a_key_may_do_is_shown(self):
        self.weir("create", "--name", "team", "--models", "a,b-*", "--budget", "12.50", "--budget-period", "day",
                  "--requests-per-minute", "7", "--tokens-per-minute", "900", "--concurrency", "3", "--tags", "x=1",
                  "--expires", "2099-01-31", "--priority", "low")
        about = json.loads(self.weir("show", "team", "--json").stdout)["about"]
        wanted = {"models": "a,b-*", "budget_nano_usd": 12_500_000_000, "budget_period": "day", "tags": "x=1",
                  "requests_per_minute": 7, "tokens_per_minute": 900, "concurrency": 3, "priority": "low",
                  "state": "active", "expires_ms": 4073500800000}
        self.assertEqual({name: about[name] for name in wanted}, wanted)
        text = self.weir("show", "team").stdout
        for word in ("2099-01-31", "$12.5/day", "a,b-*"):
            self.assertIn(word, text)

    def test_wrong_words_are_refused_with_the_remedy(self):
        for options, words in ((["--budget", "ten"], "money"), (["--budget", "0.0000000001"], "money"),
                               (["--expires", "tomorrow"], "2027-01-31"), (["--priority", "urgent"], "high")):
            run = self.weir("create", "--name", "x", *options)
            self.assertEqual(run.returncode, 2, run.stderr)
            self.assertIn(words, run.stderr)
        self.assertEqual(self.weir("create").returncode, 2)
        self.assertEqual(self.weir("list").returncode, 3)  # no store was made by any of this

    def test_a_name_is_in_use_once_and_revoking_wants_a_key_that_lives(self):
        self.assertEqual(self.weir("create", "--name", "one").returncode, 0)
        run = self.weir("create", "--name", "one")
        self.assertEqual(run.returncode, 2)
        self.assertIn("in use", run.stderr)
        self.assertEqual(self.weir("revoke", "one").returncode, 0)
        self.assertEqual(self.weir("revoke", "one").returncode, 3)
        self.assertEqual(self.weir("create", "--name", "one").returncode, 0)
        states = [key["state"] for key in json.loads(self.weir("list", "--json").stdout)]
        self.assertEqual(sorted(states), ["active", "revoked"])

    def test_keys_of_the_store_open_a_listener_beyond_loopback(self):
        self.weir("create", "--name", "one")
        env = {"WEIR_STORE": self.store}
        config = self.folder.name + "/weir.yaml"
        with open(config, "w") as file:
            file.write("listen: 0.0.0.0:0\n")
        self.assertEqual(harness.weir("config", "check", config, env=env).returncode, 0)
        run = harness.weir("config", "check", config, env={"WEIR_STORE": self.folder.name + "/none.db"})
        self.assertEqual(run.returncode, 2)


if __name__ == "__main__":
    harness.main()
