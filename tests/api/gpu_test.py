# REQ: ENG-12
"""`weir gpu`: what is missing is said, with a remedy; what is there is tried. Where the build carries code for GPUs it runs on
the machine of tests/ptx, which stands in for a driver and a device."""

import json
import os
import re
import shutil
import subprocess
import unittest

import harness

MACHINE = os.environ.get("WEIR_PTX_DRIVER")
PTX = os.environ.get("WEIR_PTX")
PTXAS = os.environ.get("WEIR_PTXAS") or shutil.which("ptxas")


def gpu(*args, driver=MACHINE, **env):
    return harness.weir("gpu", *args, env={"WEIR_CUDA_DRIVER": driver, **env}, timeout_s=120)


class Case(unittest.TestCase):
    def refused(self, run, *words, status=3):
        self.assertEqual(run.returncode, status, run.stderr)
        self.assertEqual(run.stdout, "")
        for word in words:
            self.assertIn(word, run.stderr)


class WithoutDriver(Case):
    def test_no_driver_is_said_with_a_remedy(self):
        for args in ((), ("--list",)):
            self.refused(gpu(*args, driver="/nowhere/libcuda.so.1"), "no NVIDIA driver", "/nowhere/libcuda.so.1", "--gpus all")

    def test_programs_read_it_as_json(self):
        for args in (("--json",), ("--list", "--json")):
            run = gpu(*args, driver="/nowhere/libcuda.so.1")
            self.assertEqual(run.returncode, 3)
            told = json.loads(run.stdout)
            self.assertEqual(told["devices"], [])
            self.assertIn("no NVIDIA driver", told["error"])

    def test_a_library_that_is_no_driver_is_named(self):
        self.refused(gpu(driver="libm.so.6"), "libm.so.6 has no cuInit", "CUDA 11")

    def test_the_program_is_not_linked_with_it(self):
        self.assertEqual(harness.weir("version").returncode, 0)
        with open(os.environ["WEIR"], "rb") as program:
            self.assertNotIn(b"libcudart", program.read())


@unittest.skipUnless(MACHINE, "no code for GPUs in this build (clang 16 or newer makes it; scripts/setup check)")
class OnTheMachine(Case):
    def test_the_devices_are_listed(self):
        run = gpu("--list", "--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        (device,) = json.loads(run.stdout)["devices"]
        self.assertEqual((device["index"], device["capability_major"], device["usable"]), (0, 8, True))
        self.assertIn("cuda:0  " + device["name"], gpu("--list").stdout)

    def test_it_computes_the_bits_of_the_cpu(self):
        run = gpu("--json", "--prompt-tokens", 3, "--tokens", 2, "--repeat", 1, "--threads", 1)
        self.assertEqual(run.returncode, 0, run.stderr)
        found = json.loads(run.stdout)
        model = found["model"]
        self.assertEqual((model["different"], model["largest_logit_difference"]), (0, 0))
        self.assertEqual((model["prompt_tokens"], model["logits"] % 5), (3, 0))
        self.assertAlmostEqual(model["token_delta_ms"], model["gpu"]["token_ms"] - model["cpu"]["token_ms"])
        self.assertGreater(found["check"]["values"], 100000)
        self.assertEqual((found["check"]["different"], found["check"]["largest_difference"]), (0, 0))
        self.assertGreater(found["speed"]["read_bytes_per_s"], 0)
        self.assertIsNone(found["speed"]["matrix_bf16_per_s"])  # this machine has no matrix unit

    def test_other_bits_are_an_error(self):
        run = gpu("--prompt-tokens", 3, "--tokens", 1, "--repeat", 1, WEIR_PTX_UNFUSED="1")
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("WRONG", run.stdout)
        self.assertIn("first in: exp", run.stdout)
        self.assertRegex(run.stdout, r"largest logit difference: [0-9.e-]*[1-9]")

    def test_no_device_is_said_with_a_remedy(self):
        self.refused(gpu(WEIR_PTX_DEVICES="0"), "finds no device", "nvidia-smi")

    def test_a_device_that_is_too_old_is_listed_and_refused(self):
        self.assertIn("too old", gpu("--list", WEIR_PTX_CAPABILITY="7").stdout)
        self.refused(gpu(WEIR_PTX_CAPABILITY="7"), "compute capability 7.0", "8.0")

    def test_a_device_that_is_not_there_is_refused(self):
        self.refused(gpu("--device", "cuda:5"), "no GPU 5")
        for name in ("gpu", "cuda5", "cuda:", "cuda:x", "cuda:64"):
            self.refused(gpu("--device", name), "cuda:N", status=2)

    def test_what_the_driver_refuses_is_passed_on(self):
        for call, words in {
            "cuDevicePrimaryCtxRetain": "opening the device",
            "cuModuleLoadDataEx": "compiling weir's kernels",
            "cuMemAlloc_v2": "asking for memory",
            "cuStreamSynchronize": "computing",
            "norm": "norm",
            "thin_q4_k": "thin_q4_k",
        }.items():
            self.refused(gpu(WEIR_PTX_FAIL=call), words, "CUDA_ERROR_LAUNCH_FAILED", status=1)


@unittest.skipUnless(MACHINE, "no code for GPUs in this build (clang 16 or newer makes it; scripts/setup check)")
class Serving(unittest.TestCase):
    def answer(self, *arguments, **env):
        with harness.Server(["--threads", 1, *arguments], env={"WEIR_CUDA_DRIVER": MACHINE, **env}) as server:
            body = {"prompt": [5, 3, 8], "max_tokens": 4, "seed": 7, "temperature": 0.9, "logprobs": 3}
            answer = server.post("/v1/completions", body)
            self.assertEqual(answer.status, 200, answer)
            return answer.json()

    def test_answers_are_the_same_bits_as_on_the_cpu(self):
        here, there = self.answer(), self.answer("--device", "cuda")
        self.assertEqual(here["choices"], there["choices"])
        self.assertRegex(here["system_fingerprint"], "-cpu$")
        self.assertEqual(there["system_fingerprint"], here["system_fingerprint"][:-3] + "cuda")

    def test_a_device_that_is_not_there_ends_the_server_in_words(self):
        for device, words in (("cuda:9", "no GPU 9"), ("tpu", "cuda:N")):
            run = harness.weir("serve", "--listen", "127.0.0.1:0", "--device", device, env={"WEIR_CUDA_DRIVER": MACHINE})
            self.assertNotEqual(run.returncode, 0)
            self.assertIn(words, run.stderr)

    def test_a_gpu_with_other_bits_is_refused(self):
        run = harness.weir("serve", "--listen", "127.0.0.1:0", "--device", "cuda",
                           env={"WEIR_CUDA_DRIVER": MACHINE, "WEIR_PTX_UNFUSED": "1"})
        self.assertNotEqual(run.returncode, 0)
        self.assertIn("other bits", run.stderr)


@unittest.skipUnless(PTX and PTXAS, "NVIDIA's assembler is not here (ptxas on PATH, or WEIR_PTXAS)")
class Assembler(unittest.TestCase):
    def test_the_code_assembles_and_keeps_to_registers(self):
        """Machine code for every generation that the assembler knows, with no array or register in local memory."""
        assembled = 0
        for generation in ("sm_80", "sm_86", "sm_89", "sm_90", "sm_100", "sm_120"):
            run = subprocess.run([PTXAS, "-v", f"-arch={generation}", PTX, "-o", os.devnull], capture_output=True, text=True)
            if "is not defined for option 'gpu-name'" in run.stderr:
                continue
            self.assertEqual(run.returncode, 0, run.stderr)
            frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", run.stderr)
            self.assertGreater(len(frames), 20)
            self.assertEqual(set(frames), {("0", "0", "0")}, generation)
            assembled += 1
        self.assertGreater(assembled, 2)


if __name__ == "__main__":
    harness.main()
