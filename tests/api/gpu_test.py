# REQ: ENG-12
"""`weir gpu`: what is missing is said, with a remedy; what is there is tried. Where the build carries code for GPUs it runs on
the machine of tests/ptx, which stands in for a driver and a device."""

import json
import os
import unittest

import harness

MACHINE = os.environ.get("WEIR_PTX_DRIVER")


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
        for args in ((), ("--list",), ("--json",)):
            self.refused(gpu(*args, driver="/nowhere/libcuda.so.1"), "no NVIDIA driver", "/nowhere/libcuda.so.1", "--gpus all")

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
        run = gpu("--json")
        self.assertEqual(run.returncode, 0, run.stderr)
        found = json.loads(run.stdout)
        self.assertGreater(found["check"]["values"], 100000)
        self.assertEqual((found["check"]["different"], found["check"]["largest_difference"]), (0, 0))
        self.assertGreater(found["speed"]["read_bytes_per_s"], 0)
        self.assertIsNone(found["speed"]["matrix_bf16_per_s"])  # this machine has no matrix unit

    def test_other_bits_are_an_error(self):
        run = gpu(WEIR_PTX_UNFUSED="1")
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("WRONG", run.stdout)
        self.assertIn("first in: exp", run.stdout)

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


if __name__ == "__main__":
    harness.main()
