# REQ: ENG-3 API-9 OBS-3
"""At rest the program sleeps: no thread wakes up again and again, and what tells that the engine lives stays true."""
# ctest: serial

import re
import time
import unittest
from pathlib import Path

import harness

SETTLE_S, REST_S = 1, 2.5
WAKES_MAX = 3  # of all threads together; one that looks around every second is more


class AtRest(harness.ServerCase):
    def wakes(self):
        """How often each thread has slept and gone on so far."""
        found = {}
        for task in Path(f"/proc/{self.server.pid}/task").iterdir():
            text = (task / "status").read_text()
            found[task.name, re.search(r"Name:\s+(.*)", text).group(1)] = int(
                re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M).group(1))
        return found

    @unittest.skipUnless(Path("/proc/self/status").exists(), "no /proc here")
    def test_an_idle_server_sleeps(self):
        self.assertEqual(self.chat("Hello", max_tokens=4).status, 200)
        time.sleep(SETTLE_S)
        before = self.wakes()
        time.sleep(REST_S)
        woke = {who: n - before.get(who, 0) for who, n in self.wakes().items() if n != before.get(who, 0)}
        self.assertLessEqual(sum(woke.values()), WAKES_MAX, woke)
        # The engine has slept for seconds, and is none the less alive.
        page = self.get("/metrics").text
        beat = float(re.search(r"^weir_engine_last_step_timestamp_seconds\S* (\S+)$", page, re.M).group(1))
        self.assertLess(abs(time.time() - beat), 1 * harness.SLOWNESS)
        self.assertEqual(self.chat("Hello", max_tokens=1).status, 200)


if __name__ == "__main__":
    harness.main()
