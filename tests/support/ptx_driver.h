// The machine of tests/ptx as the driver of this test, where the build made one.
#pragma once

// Before the first use of engine/cuda. Without the machine the test ends, skipped by name.
void ptx_driver_or_skip(void);
// A real driver and device, and code for them: without either the test ends, skipped by name.
// Programs that call it link the room engine/cuda.
void gpu_or_skip(void);
