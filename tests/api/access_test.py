# REQ: SEC-1 SEC-2 API-10
"""Who may ask: keys, the Host and Origin of a keyless server, pages of other origins, open listeners."""

import harness

CHAT = "/v1/chat/completions"
BODY = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}
KEY = "sk-test-0123456789abcdef"


class Keys(harness.ServerCase):
    config = "keys:\n  ann:\n    key: {env: WEIR_TEST_KEY}\n  bob:\n    key: ${WEIR_TEST_KEY_2}\n"
    env = {"WEIR_TEST_KEY": KEY, "WEIR_TEST_KEY_2": "sk-other-0123456789"}

    def test_each_way_of_sending_a_key(self):
        for headers in ({"Authorization": f"Bearer {KEY}"}, {"authorization": f"bearer {KEY}"}, {"x-api-key": KEY},
                        {"api-key": KEY}, {"Authorization": "Bearer sk-other-0123456789"}):
            self.assertEqual(self.post(CHAT, BODY, headers).status, 200, headers)

    def test_no_key_and_a_wrong_key_have_each_their_code(self):
        for path in (CHAT, "/v1/completions", "/v1/embeddings", "/tokenize"):
            answer = self.post(path, BODY)
            self.assert_error(answer, 401, "missing_api_key")
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")
            for wrong in (KEY + "x", KEY[:-1], "undefined", KEY.upper(), "k" * 4000):
                answer = self.post(path, BODY, {"Authorization": f"Bearer {wrong}"})
                self.assertEqual(answer.status, 401, wrong)
                self.assertNotIn(wrong, answer.text)
            self.assertEqual(self.post(path, BODY, {"Authorization": "Bearer "}).status, 401)
            self.assertEqual(self.post(path, BODY, {"Authorization": f"Basic {KEY}"}).status, 401)
        self.assert_error(self.get("/v1/models"), 401, "missing_api_key")
        self.assert_error(self.get("/metrics"), 401, "missing_api_key")

    def test_health_needs_no_key(self):
        for path in ("/health", "/readyz", "/version"):
            self.assertEqual(self.get(path).status, 200)

    def test_metrics_with_a_key(self):
        self.assertEqual(self.get("/metrics", {"Authorization": f"Bearer {KEY}"}).status, 200)

    def test_a_foreign_host_is_welcome_where_keys_are_asked(self):
        answer = self.post(CHAT, BODY, {"Authorization": f"Bearer {KEY}", "Host": "weir.example"})
        self.assertEqual(answer.status, 200)

    def test_no_secret_is_ever_written(self):
        self.post(CHAT, BODY, {"Authorization": f"Bearer {KEY}"})
        self.post(CHAT, BODY, {"Authorization": "Bearer sk-wrong-and-secret"})
        self.says("key=ann")
        self.says("invalid_api_key")
        for secret in (KEY, "sk-other-0123456789", "sk-wrong-and-secret"):
            self.assertNotIn(secret, self.server.output)


class Keyless(harness.ServerCase):
    def test_a_foreign_host_is_refused(self):
        for host in ("evil.example", "127.0.0.1.evil.example", "10.0.0.1:8080", "localhost.evil.example"):
            for path in ("/health", "/v1/models"):
                self.assert_error(self.get(path, {"Host": host}), 403, "foreign_host")
            self.assert_error(self.post(CHAT, BODY, {"Host": host}), 403, "foreign_host")

    def test_own_hosts_are_served(self):
        for host in ("localhost", "127.0.0.1", f"localhost:{self.server.port}", "[::1]:1", "127.1.2.3"):
            self.assertEqual(self.get("/health", {"Host": host}).status, 200, host)

    def test_a_foreign_origin_is_refused(self):
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example", "file://"):
            self.assert_error(self.post(CHAT, BODY, {"Origin": origin}), 403, "foreign_origin")
        for origin in ("http://localhost:3000", f"http://127.0.0.1:{self.server.port}"):
            self.assertEqual(self.post(CHAT, BODY, {"Origin": origin}).status, 200, origin)

    def test_no_cors_headers_unless_configured(self):
        answer = self.post(CHAT, BODY, {"Origin": "http://localhost:3000"})
        self.assertIsNone(answer.headers.get("access-control-allow-origin"))


class Pages(harness.ServerCase):
    config = "cors:\n  origins: [https://app.example]\n"

    def test_a_preflight_lets_the_headers_of_the_sdks_through(self):
        asked = "authorization,content-type,x-stainless-os,x-stainless-retry-count"
        answer = self.server.request("OPTIONS", CHAT, headers={
            "Origin": "https://app.example", "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": asked})
        self.assertEqual((answer.status, answer.body), (204, b""))
        self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
        self.assertEqual(answer.headers["access-control-allow-headers"], asked)
        self.assertIn("POST", answer.headers["access-control-allow-methods"])

    def test_a_question_about_the_server_as_a_whole_names_its_methods(self):
        for method, status in (("OPTIONS", 204), ("GET", 400), ("POST", 400)):
            raw = b"%s * HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n" % method.encode()
            answer, = self.server.raw_answers(raw)
            self.assertEqual(answer.status, status, answer)
            self.assertEqual(answer.headers.get("allow"), "GET, HEAD, POST, OPTIONS" if status == 204 else None)

    def test_answers_and_errors_carry_the_origin(self):
        origin = {"Origin": "https://app.example"}
        for answer in (self.post(CHAT, BODY, origin), self.post(CHAT, {}, origin), self.get("/nowhere", origin),
                       self.post(CHAT, {**BODY, "stream": True}, origin)):
            self.assertEqual(answer.headers["access-control-allow-origin"], "https://app.example")
            self.assertIn("x-request-id", answer.headers["access-control-expose-headers"])

    def test_another_origin_is_still_foreign(self):
        self.assert_error(self.post(CHAT, BODY, {"Origin": "https://other.example"}), 403, "foreign_origin")
        answer = self.server.request("OPTIONS", CHAT, headers={"Origin": "https://other.example"})
        self.assertIsNone(answer.headers.get("access-control-allow-origin"))


class OpenListener(harness.unittest.TestCase):
    def test_beyond_loopback_without_keys_is_refused_in_words(self):
        ended = harness.weir("serve", "--listen", "0.0.0.0:0")
        self.assertEqual(ended.returncode, 2, ended)
        self.assertIn("listen_without_keys", ended.stderr.replace("-", "_"))


if __name__ == "__main__":
    harness.main()
