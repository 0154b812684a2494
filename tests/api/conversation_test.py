# REQ: API-12
"""Conversations within bounds: so many calls, tokens and dollars, whoever makes them and however long the talk has grown."""

import time

import harness
from fault_provider import Fault

KEYS = ("red", "blue")
ENV = {f"WEIR_TEST_{name.upper()}": f"sk-{name}-0123456789" for name in KEYS}
CONFIG = """
keys:
  - {{name: red, key: "${{WEIR_TEST_RED}}"}}
  - {{name: blue, key: "${{WEIR_TEST_BLUE}}"}}
prices: [{{name: "*", input: "10", output: "10"}}]
cache: {{enabled: true}}
providers:
  - {{name: open, base_url: "{url}/v1", discover: false}}
conversations: {{{bounds}}}
"""


class ConversationCase(harness.ServerCase):
    bounds = ""
    env = ENV

    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=3, always="tokens=8"))
        cls.config = CONFIG.format(url=cls.provider.url, bounds=cls.bounds)
        super().setUpClass()

    def ask(self, key="red", conversation=None, opening="Hello.", turns=0, model="open/m", **fields):
        messages = [{"role": "system", "content": "You help."}, {"role": "user", "content": opening}]
        for i in range(turns):
            messages += [{"role": "assistant", "content": f"Step {i}."}, {"role": "user", "content": f"And then, {i}?"}]
        headers = {"Authorization": f"Bearer sk-{key}-0123456789",
                   **({"x-weir-conversation": conversation} if conversation else {})}
        return self.post("/v1/chat/completions", {"model": model, "messages": messages, "max_tokens": 20, **fields}, headers)

    def assert_exhausted(self, answer):
        error = self.assert_error(answer, 429, "conversation_exhausted")
        self.assertEqual(answer.headers["x-should-retry"], "false")
        return error["message"]


class Calls(ConversationCase):
    bounds = "calls_max: 3"

    def test_a_named_conversation_has_its_calls(self):
        told = [self.ask(conversation="loop-1", turns=i).headers["x-weir-conversation"] for i in range(3)]
        self.assertEqual(told, ["calls=1/3", "calls=2/3", "calls=3/3"])
        self.assertIn("made the 3 calls", self.assert_exhausted(self.ask(conversation="loop-1", turns=3)))
        self.assertEqual(self.ask(conversation="loop-2").status, 200)
        self.assertEqual(self.ask("blue", conversation="loop-1").status, 200)  # another key's

    def test_what_names_none_has_no_bound(self):
        for _ in range(5):
            answer = self.ask()
            self.assertEqual(answer.status, 200)
            self.assertNotIn("x-weir-conversation", answer.headers)

    def test_a_refusal_before_anybody_was_asked_is_no_call(self):
        for _ in range(4):
            self.assertGreaterEqual(self.ask(conversation="wrong", model="nothing-like-it").status, 400)
        self.assertEqual(self.ask(conversation="wrong").headers["x-weir-conversation"], "calls=1/3")

    def test_streams_and_cached_answers_are_calls(self):
        for _ in range(2):
            answer = self.ask(conversation="mixed", temperature=0)
        self.assertEqual((answer.headers["x-weir-cache"], answer.headers["x-weir-conversation"]), ("hit", "calls=2/3"))
        self.assertEqual(self.ask(conversation="mixed", stream=True).headers["x-weir-conversation"], "calls=3/3")
        self.assert_exhausted(self.ask(conversation="mixed", stream=True))

    def test_other_protocols_know_it(self):
        headers = {"Authorization": "Bearer sk-red-0123456789", "x-weir-conversation": "anthropic"}
        body = {"model": "open/m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
        for _ in range(3):
            self.assertEqual(self.post("/v1/messages", body, headers).status, 200)
        answer = self.post("/v1/messages", body, headers)
        self.assertEqual((answer.status, answer.json()["error"]["type"]), (429, "rate_limit_error"))


class Opening(ConversationCase):
    bounds = "calls_max: 4, by: opening"

    def test_a_loop_is_known_by_how_it_begins(self):
        for i in range(4):
            self.assertEqual(self.ask(opening="Book a flight.", turns=i).status, 200)
        self.assert_exhausted(self.ask(opening="Book a flight.", turns=4))
        self.assertEqual(self.ask(opening="Book a train.", turns=4).status, 200)
        self.assertEqual(self.ask(opening="Book a flight.", conversation="a name goes first").status, 200)


class Money(ConversationCase):
    bounds = 'cost_max: "0.0005"'

    def test_what_it_cost_is_bounded(self):
        answers = [self.ask(conversation="dear") for _ in range(8)]
        statuses = [a.status for a in answers]
        self.assertEqual(statuses[0], 200)
        self.assertEqual(statuses, sorted(statuses))
        self.assertIn("$0.0005", self.assert_exhausted(answers[-1]))
        self.assertRegex(answers[0].headers["x-weir-conversation"], r"^cost=0\.\d+/0\.0005$")
        self.assertEqual(answers[0].headers["x-weir-conversation"], f"cost={answers[0].headers['x-weir-cost']}/0.0005")


class Tokens(ConversationCase):
    bounds = "tokens_max: 60, idle: 1s"

    def test_tokens_are_bounded_until_it_has_rested(self):
        used = 0
        while used < 60:
            answer = self.ask(conversation="long")
            used += answer.json()["usage"]["total_tokens"]
            self.assertEqual(answer.headers["x-weir-conversation"], f"tokens={used}/60")
        self.assertIn("used the 60 tokens", self.assert_exhausted(self.ask(conversation="long")))
        time.sleep(1.2)
        self.assertEqual(self.ask(conversation="long").status, 200)


class Table(ConversationCase):
    bounds = "calls_max: 1, entries_max: 2"

    def test_the_one_that_rested_longest_is_forgotten_first(self):
        for name in ("a", "b"):
            self.assertEqual(self.ask(conversation=name).status, 200)
        self.assert_exhausted(self.ask(conversation="a"))  # and is the newest again
        self.assertEqual(self.ask(conversation="c").status, 200)  # b goes
        self.assert_exhausted(self.ask(conversation="a"))
        self.assert_exhausted(self.ask(conversation="c"))
        self.assertEqual(self.ask(conversation="b").status, 200)


if __name__ == "__main__":
    harness.main()
