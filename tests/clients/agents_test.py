# REQ: API-12 PROV-3 PROV-4 PROV-2
"""Agent frameworks, unmodified, run their tool loops through weir: on a provider of each protocol, whole and streamed.

The provider is `weir fault`: it calls a tool first, and answers in words once it has the tool's result.
"""

import os
import unittest
import warnings

import harness
from fault_provider import Fault

os.environ["OPENAI_API_KEY"] = "none"  # the frameworks want one to be there
os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
try:
    import agents
    import openai
except ImportError:
    agents = None
try:
    from langchain_openai import ChatOpenAI
    from langgraph.graph import END, START, MessagesState, StateGraph
    from langgraph.prebuilt import ToolNode, tools_condition
except ImportError:
    StateGraph = None
try:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient
except ImportError:
    AssistantAgent = None

MODELS = ("open/m", "claude/m", "llama/m")
CONFIG = """
listen: 127.0.0.1:0
providers:
  - {{name: open, base_url: "{url}/v1", discover: false}}
  - {{name: claude, kind: anthropic, base_url: "{url}", discover: false}}
  - {{name: llama, kind: ollama, base_url: "{url}", discover: false}}
"""


class Loops(harness.ServerCase, unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=3, always="tools=1, tokens=8"))
        cls.config = CONFIG.format(url=cls.provider.url)
        super().setUpClass()
        cls.base = cls.server.url + "/v1"
        warnings.simplefilter("ignore")

    def setUp(self):
        self.provider.clear()
        self.calls = []

    def add(self, a, b):
        self.assertIsInstance(a, int)
        self.assertIsInstance(b, int)
        self.calls.append((a, b))
        return str(a + b)

    def assert_looped(self, text):
        """One call of the tool, its result sent back, and the words after it."""
        self.assertEqual(len(self.calls), 1)
        self.assertEqual(len(self.provider.attempts()), 2)
        self.assertGreater(len(text), 5)
        self.provider.clear()
        self.calls.clear()

    @unittest.skipIf(agents is None, "the Python package openai-agents is missing (scripts/setup test)")
    async def test_openai_agents_sdk(self):
        @agents.function_tool
        def add(a: int, b: int) -> str:
            """Add two numbers."""
            return self.add(a, b)

        client = openai.AsyncOpenAI(base_url=self.base, api_key="none", max_retries=0)
        for name in MODELS:
            with self.subTest(name):
                model = agents.OpenAIChatCompletionsModel(name, client)
                agent = agents.Agent(name="adder", instructions="Be brief.", tools=[add], model=model)
                self.assert_looped((await agents.Runner.run(agent, "What is 2 + 3?")).final_output)
                streamed = agents.Runner.run_streamed(agent, "What is 2 + 3?")
                async for _ in streamed.stream_events():
                    pass
                self.assert_looped(streamed.final_output)

    @unittest.skipIf(StateGraph is None, "the Python packages langgraph and langchain-openai are missing (scripts/setup test)")
    async def test_langgraph(self):
        def add(a: int, b: int) -> str:
            """Add two numbers."""
            return self.add(a, b)

        for name in MODELS:
            with self.subTest(name):
                model = ChatOpenAI(model=name, base_url=self.base, api_key="none", max_retries=0).bind_tools([add])

                async def think(state, model=model):
                    return {"messages": [await model.ainvoke(state["messages"])]}

                graph = StateGraph(MessagesState)
                graph.add_node("think", think)
                graph.add_node("tools", ToolNode([add]))
                graph.add_edge(START, "think")
                graph.add_conditional_edges("think", tools_condition, {"tools": "tools", END: END})
                graph.add_edge("tools", "think")
                out = await graph.compile().ainvoke({"messages": [("user", "What is 2 + 3?")]})
                self.assert_looped(out["messages"][-1].content)

    @unittest.skipIf(AssistantAgent is None, "the Python packages autogen-agentchat and autogen-ext are missing (scripts/setup test)")
    async def test_autogen(self):
        def add(a: int, b: int) -> str:
            """Add two numbers."""
            return self.add(a, b)

        info = {"vision": False, "function_calling": True, "json_output": False, "family": "unknown", "structured_output": False}
        for name in MODELS:
            with self.subTest(name):
                client = OpenAIChatCompletionClient(model=name, base_url=self.base, api_key="none", model_info=info)
                agent = AssistantAgent("adder", model_client=client, tools=[add], reflect_on_tool_use=True)
                result = await agent.run(task="What is 2 + 3?")
                await client.close()
                self.assert_looped(result.messages[-1].content)


class Bounded(harness.ServerCase, unittest.IsolatedAsyncioTestCase):
    """A framework that was told of nothing is stopped after the first step of its loop."""

    @classmethod
    def setUpClass(cls):
        cls.provider = cls.enterClassContext(Fault(seed=3, always="tools=1, tokens=8"))
        cls.config = CONFIG.format(url=cls.provider.url) + "conversations: {calls_max: 1, by: opening}\n"
        super().setUpClass()

    @unittest.skipIf(agents is None, "the Python package openai-agents is missing (scripts/setup test)")
    async def test_a_loop_ends_at_its_bound(self):
        @agents.function_tool
        def add(a: int, b: int) -> str:
            """Add two numbers."""
            return str(a + b)

        client = openai.AsyncOpenAI(base_url=self.server.url + "/v1", api_key="none")  # with its own retries
        model = agents.OpenAIChatCompletionsModel(MODELS[0], client)
        agent = agents.Agent(name="adder", instructions="Be brief.", tools=[add], model=model)
        with self.assertRaises(openai.RateLimitError) as raised:
            await agents.Runner.run(agent, "What is 2 + 3?")
        self.assertEqual(raised.exception.code, "conversation_exhausted")
        self.assertEqual(len(self.provider.attempts()), 1)


if __name__ == "__main__":
    harness.main()
