# REQ: API-3 LIMIT-1 API-5
"""Which names a client is told of: all that its key may use (models, aliases, routes), with provider and context length, and
no others, in every protocol's list and in every refusal."""

import unittest

import harness

CONFIG = """
listen: 127.0.0.1:0
models:
  - {name: tiny, aliases: [small, shadowed]}
providers:
  - {name: up, kind: fault, models: [alpha, beta]}
routes:
  - {name: chat, targets: [{name: tiny}, {name: up/alpha}]}
  - {name: far, targets: [{name: up/beta}]}
  - {name: shadowed, targets: [{name: up/beta}]}
keys:
  - {name: all, key: {env: ALL_KEY}}
  - {name: few, key: {env: FEW_KEY}, models: ["alpha", "chat"]}
  - {name: tiny, key: {env: TINY_KEY}, models: ["tiny"]}
  - {name: none, key: {env: NONE_KEY}, models: ["nothing-here"]}
"""
NAMES = {"tiny", "small", "up/alpha", "alpha", "up/beta", "beta", "chat", "far", "shadowed"}


def bearer(key):
    return {"Authorization": f"Bearer {key}-secret"}


class Models(harness.ServerCase):
    config = CONFIG
    env = {f"{k.upper()}_KEY": f"{k}-secret" for k in ("all", "few", "tiny", "none")}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        harness.wait_until(lambda: "tiny" in cls.names_of(cls.server, "all"), 30)

    @staticmethod
    def names_of(server, key):
        return {m["id"] for m in server.get("/v1/models", bearer(key)).json()["data"]}

    def names(self, key):
        return self.names_of(self.server, key)

    def tags(self, key, path="/api/tags"):
        return {m["name"].removesuffix(":latest") for m in self.get(path, bearer(key)).json()["models"]}

    def test_everything_is_listed_once(self):
        listed = [m["id"] for m in self.get("/v1/models", bearer("all")).json()["data"]]
        self.assertEqual((set(listed), len(listed)), (NAMES, len(NAMES)))
        self.assertEqual(self.tags("all"), NAMES)

    def test_a_key_sees_what_it_may_use(self):
        for key, names in (("few", {"alpha", "up/alpha", "chat"}), ("none", set())):
            self.assertEqual(self.names(key), names, key)
            self.assertEqual(self.tags(key), names, key)
        self.assertIn("tiny", self.names("tiny"))
        self.assertFalse(self.names("tiny") & {"alpha", "up/alpha", "beta", "chat", "far"})
        self.assertEqual(self.tags("few", "/api/ps"), {"chat"})  # the route's first target is of this machine
        page = self.get("/v1/models", bearer("none")).json()
        self.assertEqual((page["data"], page["first_id"], page["last_id"]), ([], None, None))

    def test_what_is_listed_can_be_used_and_nothing_else(self):
        for key in ("all", "few", "tiny"):
            seen = self.names(key)
            for name in NAMES:
                body = {"model": name, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
                status = self.post("/v1/chat/completions", body, bearer(key)).status
                self.assertEqual(status, 200 if name in seen else 403, (key, name))
                answer = self.get(f"/v1/models/{name}", bearer(key))
                self.assertEqual(answer.status, 200 if name in seen else 403, (key, name))
                if name not in seen:
                    self.assert_error(answer, 403, "model_not_allowed")

    def test_each_tells_its_provider_and_context_length(self):
        models = {m["id"]: m for m in self.get("/v1/models", bearer("all")).json()["data"]}
        self.assertEqual((models["tiny"]["provider"], models["up/alpha"]["provider"]), ("local", "up"))
        self.assertGreater(models["tiny"]["context_length"], 0)
        self.assertEqual(models["chat"]["context_length"], models["tiny"]["context_length"])  # its largest that is known
        self.assertEqual((models["chat"]["provider"], models["far"]["provider"]), ("local", "up"))
        self.assertEqual(models["shadowed"]["provider"], "up")  # a route comes before a model of its name
        self.assertIsNone(models["far"]["context_length"])
        for name, listed in models.items():
            self.assertEqual(self.get(f"/v1/models/{name}", bearer("all")).json(), listed)

    def test_a_refusal_names_only_what_the_key_may_use(self):
        body = {"model": "gpt-9", "messages": [{"role": "user", "content": "Hi"}]}
        for answer in (self.post("/v1/chat/completions", body, bearer("few")), self.get("/v1/models/gpt-9", bearer("few"))):
            message = self.assert_error(answer, 404, "model_not_found")["message"]
            self.assertIn("'chat'", message)
            self.assertNotIn("beta", message)
            self.assertNotIn("tiny", message)
        message = self.assert_error(self.get("/v1/models/gpt-9", bearer("none")), 404, "model_not_found")["message"]
        self.assertIn("There is nothing.", message)

    def test_without_a_key_nothing_is_told(self):
        for path in ("/v1/models", "/v1/models/tiny", "/api/tags", "/api/ps"):
            self.assertEqual(self.get(path).status, 401)


if __name__ == "__main__":
    harness.main()
