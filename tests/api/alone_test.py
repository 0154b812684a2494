# REQ: ENG-10 PROV-1
"""The program alone: one file, copied to an empty folder, without environment, answers from the model inside it."""

import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness

# What every Linux machine has: the C library and its loader.
EVERYWHERE = {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"}


def needed_libraries():
    words = subprocess.run(["readelf", "-d", harness.WEIR], capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"\(NEEDED\).*\[(.*?)\]", words))


class Alone(unittest.TestCase):
    def test_it_needs_no_library_but_the_c_library(self):
        needed = needed_libraries()
        if any(re.match(r"lib[atu]b?san", name) for name in needed):
            self.skipTest("a build with a sanitizer needs its library")
        if "libyyjson.so.0" in needed:
            self.skipTest("yyjson is linked as a shared library (scripts/archive-yyjson says why)")
        self.assertEqual(needed - EVERYWHERE, set())

    def test_it_chats_from_an_empty_folder_without_environment(self):
        with tempfile.TemporaryDirectory(prefix="weir-alone-") as folder:
            program = Path(folder, "weir")
            shutil.copy(harness.WEIR, program)
            done = subprocess.run([program, "chat"], input="Hello! Who are you?\n", cwd=folder, env={}, text=True,
                                  capture_output=True, timeout=60 * harness.SLOWNESS)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stdout, r"[A-Za-z]{2}")
            self.assertEqual(os.listdir(folder), ["weir"])


if __name__ == "__main__":
    harness.main()
