#!/usr/bin/env python3
"""What blocks of each storage type mean, by another implementation: `gguf` of the Python index (0.19.0), which its authors wrote
in numpy beside ggml.

  python3 -m venv V && V/bin/pip install gguf==0.19.0 && V/bin/python tests/oracle/storage_types.py > tests/data/storage_types.txt

A line a block: the type, its bytes, and its values as the bits of f32, all in hexadecimal. The bytes are random but for the scales in
f16, which are finite and of ordinary size; the second block of each type has all other bits set. tests/unit/engine_format/
storage_types_test.c holds weir's reader to every bit.
"""

import gguf
import numpy

# Where a block has its f16 scales.
SCALES = {"F16": [], "BF16": [], "Q8_0": [0], "Q4_0": [0], "Q4_1": [0, 2], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}


def block(kind, random, full):
    size = gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][1]
    raw = numpy.full(size, 255, numpy.uint8) if full else random.integers(0, 256, size, numpy.uint8)
    for at in SCALES[kind]:
        raw[at:at + 2] = numpy.array([random.normal()], numpy.float16).view(numpy.uint8)
    if kind in ("F16", "BF16"):
        raw[1] &= 0x3F  # finite
    return raw


def main():
    random = numpy.random.default_rng(20260501)
    for kind in SCALES:
        for full in (False, True):
            raw = block(kind, random, full)
            values = gguf.quants.dequantize(raw.reshape(1, -1), gguf.GGMLQuantizationType[kind]).reshape(-1)
            bits = values.astype("<f4").view("<u4")
            print(kind, raw.tobytes().hex(), "".join(f"{b:08x}" for b in bits))


if __name__ == "__main__":
    main()
