"""The house's own tools find what they are for, on small trees made for the purpose, and pass what is right.
Run by `scripts/check tools`."""
# REQ: REP-2 DEP-3

import importlib.machinery
import importlib.util
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
sys.dont_write_bytecode = True


def load(path):
    loader = importlib.machinery.SourceFileLoader(path.name.replace("-", "_").removesuffix(".py"), str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


class Tree(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="weir-tools-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


class Layers(Tree):
    def run_tool(self):
        done = subprocess.run([SOURCE / "tools/check-layers", self.root], capture_output=True, text=True)
        return done.returncode, done.stdout

    def rooms(self, text="weir_module(base ext_yaml m)\nweir_module(net base)\nweir_module(engine/text base)\n"):
        self.write("CMakeLists.txt", text)
        self.write("base/buf.h", "#pragma once\n")
        self.write("net/loop.h", "#pragma once\n")

    def test_an_arrow_downwards_is_allowed(self):
        self.rooms()
        self.write("net/loop.c", '#include "net/loop.h"\n#include "base/buf.h"\n')
        self.assertEqual(self.run_tool(), (0, ""))

    def test_an_arrow_upwards_is_named_with_its_line(self):
        self.rooms()
        self.write("base/buf.c", '#include "base/buf.h"\n#include "net/loop.h"\n')
        status, words = self.run_tool()
        self.assertEqual(status, 1)
        self.assertIn("base/buf.c:2: room base may not see net", words)

    def test_a_room_inside_a_room_is_its_own(self):
        self.rooms()
        self.write("engine/text/bpe.c", '#include "net/loop.h"\n')
        self.assertIn("room engine/text may not see net", self.run_tool()[1])

    def test_a_folder_that_no_line_declares_is_found(self):
        self.rooms()
        self.write("attic/old.c", '#include "base/buf.h"\n')
        self.assertIn("in no room", self.run_tool()[1])

    def test_a_circle_shows_as_a_room_named_before_it_is_declared(self):
        self.rooms("weir_module(base net)\nweir_module(net base)\n")
        self.assertIn("room base names net, which is not declared above it", self.run_tool()[1])

    def test_includes_are_written_from_src(self):
        self.rooms()
        self.write("net/loop.c", '#include "loop.h"\n')
        self.assertIn("no file src/loop.h", self.run_tool()[1])


class Habits(unittest.TestCase):
    tool = load(SOURCE / "tools/check-habits")

    def test_functions_are_found_with_their_lengths(self):
        text = "static int one(int a,\n               int b)\n{\n    return a;\n}\n\nstruct s {\n    int x;\n};\n\nvoid two(void)\n{\n}\n"
        self.assertEqual(list(self.tool.functions(text.splitlines())), [("one", 1, 5), ("two", 11, 3)])

    def check(self, count, exceptions):
        lines = ["int f(void)", "{", *["    x();"] * count, "}"]
        return list(self.tool.check_sizes(SOURCE / "src/x.c", lines, exceptions, set()))

    def test_a_function_of_71_lines_is_too_long_and_of_70_is_not(self):
        self.assertEqual(self.check(67, {}), [])
        self.assertEqual(self.check(68, {}), ["src/x.c:1: f has 71 lines, over 70"])

    def test_an_exception_counts_only_with_a_reason(self):
        self.assertEqual(self.check(90, {"src/x.c:f": "one table"}), [])
        self.assertEqual(len(self.check(90, {"src/x.c:f": ""})), 1)

    def test_a_header_without_its_contract_is_found(self):
        found = list(self.tool.check_shape(SOURCE / "src/x.h", ["#pragma once"]))
        self.assertEqual(len(found), 1)
        self.assertIn("contract", found[0])


class Requirements(Tree):
    tool = load(SOURCE / "tools/requirements")
    rows = {"API-1": ("API", "chat"), "ENG-6": ("Engine", "exact")}

    def claims(self, name, text):
        self.write(name, text)
        self.tool.TESTS = self.root
        return [(i, f, t) for i, f, t, _ in self.tool.read_tests()]

    def test_a_line_at_the_head_speaks_for_the_file_and_one_above_a_test_for_the_test(self):
        text = "// What it is.\n// REQ: API-1\n#include <a.h>\n\n// REQ: ENG-6\nstatic void same_bits(void **state)\n{\n}\n"
        self.assertEqual(self.claims("unit/base/x_test.c", text),
                         [("API-1", "unit/base/x_test.c", None), ("ENG-6", "unit/base/x_test.c", "same_bits")])

    def test_python_and_node_tests_are_named(self):
        self.assertEqual(self.claims("api/x_test.py", "class A(B):\n    # REQ: API-1\n    def test_it(self):\n"),
                         [("API-1", "api/x_test.py", "test_it")])
        self.assertIn(("ENG-6", "clients/y_test.mjs", "streams a word"),
                      self.claims("clients/y_test.mjs", "// REQ: ENG-6\ntest('streams a word', async () => {\n"))

    def test_an_unknown_id_is_a_mistake(self):
        found = self.tool.unknown(self.rows, [("API-99", "api/x_test.py", None, 3)])
        self.assertEqual(found, ["tests/api/x_test.py:3: no requirement API-99 in docs/REQUIREMENTS.md"])

    def test_a_requirement_without_test_is_visible_in_the_matrix(self):
        text = self.tool.matrix_text(self.rows, [("API-1", "api/x_test.py", "test_it", 1)])
        self.assertIn("1 of 2 requirements are named by a test.", text)
        self.assertIn("| ENG-6 | exact | **none yet** |", text)
        self.assertIn("| API-1 | chat | `tests/api/x_test.py`: test_it |", text)

    def test_every_row_of_the_list_is_read(self):
        listed = sum(1 for line in (SOURCE / "docs/REQUIREMENTS.md").read_text().splitlines()
                     if line.startswith("| ") and not line.startswith("| ID"))
        self.assertEqual(len(self.tool.read_list()), listed)

    def test_results_of_ctest_are_told_by_test_and_by_requirement(self):
        junit = self.write("r.xml", '<testsuite><testcase name="api/x" time="1.5" status="run"/>'
                           '<testcase name="unit/a/b_test" status="fail"><failure/></testcase>'
                           '<testcase name="clients/y_mjs" status="notrun"><skipped/>'
                           '<system-out>skipped: no Node</system-out></testcase></testsuite>')
        claims = [("API-1", "api/x_test.py", None, 1), ("ENG-6", "unit/a/b_test.c", None, 1)]
        self.tool.print = lambda *_: None
        self.tool.write_results(self.rows, claims, junit, self.root / "out.json")
        out = json.loads((self.root / "out.json").read_text())
        self.assertEqual(out["tests"]["api/x"], {"result": "passed", "seconds": 1.5, "skipped": []})
        self.assertEqual(out["tests"]["clients/y_mjs"]["skipped"], ["no Node"])
        self.assertEqual(out["requirements"], {"API-1": {"api/x": "passed"}, "ENG-6": {"unit/a/b_test": "failed"}})


class Links(Tree):
    tool = load(SOURCE / "tools/check-links")

    def mistakes(self, text):
        self.tool.SOURCE = self.root
        return list(self.tool.mistakes(self.write("docs/a.md", text)))

    def test_a_link_to_a_missing_file_or_heading_is_found(self):
        self.write("docs/b.md", "# The loop's turn\n")
        self.assertEqual(self.mistakes("[b](b.md#the-loops-turn) [web](https://example.org)\n"), [])
        self.assertEqual(self.mistakes("[b](b.md#elsewhere)\n"), ["docs/a.md:1: no heading #elsewhere in b.md"])
        self.assertEqual(self.mistakes("\n[c](c.md)\n"), ["docs/a.md:2: no file c.md"])

    def test_a_path_in_backticks_must_exist_unless_it_is_a_pattern(self):
        self.write("src/main.c", "")
        self.assertEqual(self.mistakes("`src/main.c` `src/<room>/x.c` `tests/*_test.c`\n"), [])
        self.assertEqual(self.mistakes("`src/gone.c`\n"), ["docs/a.md:1: no src/gone.c in this tree"])

    def test_a_command_says_where_it_sends_and_that_it_is_json(self):
        typed = "curl -s host/v1/x -H 'content-type: application/json' "
        self.assertEqual(self.mistakes("```sh\n" + typed + "\\\n  -d '{}'\n" + typed + "-d '{\n}' | jq\n```\n"), [])
        self.assertEqual(self.mistakes("```sh\n" + typed + "-d '{}'\ncurl -s host/v1/x -d '{}'\n```\n"),
                         ["docs/a.md:3: curl sends no content-type: -H 'content-type: application/json'"])
        self.assertEqual(self.mistakes("```sh\n" + typed + "-d '{}'\n-d '{\"a\": 1}'\n```\n"),
                         ["docs/a.md:3: what is sent stands without the curl that sends it"])


class Bench(unittest.TestCase):
    tool = load(SOURCE / "tests/bench/bench.py")

    def test_what_a_row_must_reach_is_judged(self):
        self.assertTrue(self.tool.meets("ratio >= 0.9", 1, 0.9))
        self.assertFalse(self.tool.meets("value <= 24", 24.1, None))
        with self.assertRaises(ValueError):
            self.tool.meets("ratio >= 1", 5, None)

    def test_paired_runs_alternate_their_order_and_forget_the_warm_up(self):
        order = []
        medians = self.tool.Bench.interleave({"a": lambda: order.append("a") or len(order),
                                              "b": lambda: order.append("b") or len(order)}, rounds=2, warm_up=1)
        self.assertEqual("".join(order), "ba" "ab" "ba")
        self.assertEqual(medians, {"a": 4.5, "b": 4.5})


if __name__ == "__main__":
    unittest.main()
