#!/usr/bin/python3
"""An independent forward pass in numpy, float64 throughout: what the engine's logits are held to.

  tests/oracle/reference.py MODEL.gguf ID... [--save FILE]   the logits of every given token (f32, row-major), or a summary
  tests/oracle/reference.py MODEL.gguf --greedy N ID...      the N ids that follow greedily
  --rounded: with the roundings that the engine states (src/engine/kernel/kernel.h): the inputs of products with quantised
  weights to 8 bits by blocks of 32, keys and values to f16 unless the matrices are F32. Without it nothing is rounded.

Nothing is shared with the engine: GGUF parser, dequantisation and arithmetic are written here from the formats' and the
papers' definitions (ggml/docs/gguf.md; Radford et al. 2019; Touvron et al. 2023; Su et al. 2021). Architectures gpt2, llama,
qwen2 and qwen3; types F32 F16 BF16 Q8_0 Q4_0 Q4_1 Q4_K Q5_K Q6_K.
"""

import argparse
import math
import sys

import numpy

# ---- GGUF ----

SCALARS = {0: "u1", 1: "i1", 2: "<u2", 3: "<i2", 4: "<u4", 5: "<i4", 6: "<f4", 7: "u1", 10: "<u8", 11: "<i8", 12: "<f8"}
STRING, ARRAY = 8, 9


class File:
    """Metadata as a dict, tensors by name; rows come out as float64."""

    def __init__(self, path, rounded=False, kv=None):
        self.rounded, self.kv = rounded, kv
        self.data = numpy.memmap(path, dtype=numpy.uint8, mode="r")
        self.at = 0
        if self.take(4).tobytes() != b"GGUF":
            raise ValueError(f"{path} is not a GGUF file")
        if self.scalar(4) not in (2, 3):
            raise ValueError("only GGUF versions 2 and 3 are read")
        n_tensors, n_keys = self.scalar(10), self.scalar(10)
        self.keys = {}
        for _ in range(n_keys):
            key = self.string()
            self.keys[key] = self.value(self.scalar(4))
        heads = [self.tensor_head() for _ in range(n_tensors)]
        alignment = self.keys.get("general.alignment", 32)
        begin = -(-self.at // alignment) * alignment
        self.tensors = {name: (dims, kind, begin + offset) for name, dims, kind, offset in heads}

    def take(self, size):
        self.at += size
        return self.data[self.at - size : self.at]

    def scalar(self, kind):
        form = numpy.dtype(SCALARS[kind])
        return self.take(form.itemsize).view(form)[0].item()

    def string(self):
        return self.take(self.scalar(10)).tobytes().decode("utf-8", "replace")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind != ARRAY:
            return self.scalar(kind)
        item, count = self.scalar(4), self.scalar(10)
        if item == STRING:
            return [self.string() for _ in range(count)]
        form = numpy.dtype(SCALARS[item])
        return self.take(count * form.itemsize).view(form).tolist()

    def tensor_head(self):
        name, n_dims = self.string(), self.scalar(4)
        dims = [self.scalar(10) for _ in range(n_dims)]
        return name, dims, self.scalar(4), self.scalar(10)

    def has(self, name):
        return name in self.tensors

    def tensor(self, name, rows=None):
        """The tensor, outermost dimension first, or the given rows of a matrix."""
        dims, kind, offset = self.tensors[name]
        values, size, unpack = TYPES[kind]
        row_bytes = dims[0] // values * size
        n_rows = math.prod(dims[1:])
        raw = self.data[offset : offset + n_rows * row_bytes].reshape(n_rows, row_bytes)
        raw = raw if rows is None else raw[rows]
        flat = unpack(numpy.ascontiguousarray(raw).reshape(-1, size)).astype(numpy.float64).reshape(len(raw), dims[0])
        return flat[0] if len(dims) == 1 else flat


# ---- storage types: (values a block, bytes a block, from bytes [blocks][bytes] to f32 [blocks][values]) ----


def part(raw, begin, end, form):
    return numpy.ascontiguousarray(raw[:, begin:end]).view(form).astype(numpy.float32)


def f32(raw):
    return raw.view("<f4")


def f16(raw):
    return raw.view("<f2").astype(numpy.float32)


def bf16(raw):
    return (raw.view("<u2").astype(numpy.uint32) << 16).view(numpy.float32)


def nibbles(q):
    return numpy.concatenate([q & 15, q >> 4], axis=1).astype(numpy.float32)


def q8_0(raw):
    return part(raw, 2, 34, "i1") * part(raw, 0, 2, "<f2")


def q4_0(raw):
    return (nibbles(raw[:, 2:]) - 8) * part(raw, 0, 2, "<f2")


def q4_1(raw):
    return nibbles(raw[:, 4:]) * part(raw, 0, 2, "<f2") + part(raw, 2, 4, "<f2")


def scales_and_minima(packed):
    """Eight 6-bit pairs in 12 bytes: the first four whole, the others' upper two bits above the first four's."""
    low, mid, high = packed[:, 0:4], packed[:, 4:8], packed[:, 8:12]
    scale = numpy.concatenate([low & 63, (high & 15) | (low >> 6) << 4], axis=1)
    minimum = numpy.concatenate([mid & 63, (high >> 4) | (mid >> 6) << 4], axis=1)
    return scale.astype(numpy.float32), minimum.astype(numpy.float32)


def groups(raw, q, d_at=0):
    """q: [blocks][8][32]; x = (d * scale) * q - dmin * minimum."""
    scale, minimum = scales_and_minima(raw[:, 4:16])
    d, dmin = part(raw, d_at, d_at + 2, "<f2"), part(raw, d_at + 2, d_at + 4, "<f2")
    x = (d * scale)[:, :, None] * q.astype(numpy.float32) - (dmin * minimum)[:, :, None]
    return x.reshape(len(raw), 256)


def pairs_of_nibbles(q):
    """[blocks][128] bytes to [blocks][8][32]: each run of 32 bytes holds two groups, low nibbles first."""
    q = q.reshape(len(q), 4, 32)
    return numpy.stack([q & 15, q >> 4], axis=2).reshape(len(q), 8, 32)


def q4_k(raw):
    return groups(raw, pairs_of_nibbles(raw[:, 16:144]))


def q5_k(raw):
    bits = (raw[:, 16:48][:, None, :] >> numpy.arange(8, dtype=numpy.uint8)[None, :, None]) & 1
    return groups(raw, pairs_of_nibbles(raw[:, 48:176]) | bits << 4)


def q6_k(raw):
    low = raw[:, 0:128].reshape(len(raw), 2, 2, 32)
    low = numpy.concatenate([low & 15, low >> 4], axis=2)  # [blocks][half][quarter][32]
    high = raw[:, 128:192].reshape(len(raw), 2, 1, 32) >> numpy.array([0, 2, 4, 6], dtype=numpy.uint8)[None, None, :, None]
    q = (low | (high & 3) << 4).reshape(len(raw), 16, 16).astype(numpy.float32) - 32
    scale = part(raw, 192, 208, "i1") * part(raw, 208, 210, "<f2")
    return (scale[:, :, None] * q).reshape(len(raw), 256)


TYPES = {
    0: (1, 4, f32), 1: (1, 2, f16), 2: (32, 18, q4_0), 3: (32, 20, q4_1), 8: (32, 34, q8_0),
    12: (256, 144, q4_k), 13: (256, 176, q5_k), 14: (256, 210, q6_k), 30: (1, 2, bf16),
}  # fmt: skip

# ---- arithmetic: x is [tokens][width] ----


def to_8_bits(x):
    """By blocks of 32: half to even of x * 127 / largest."""
    blocks = x.reshape(len(x), -1, 32)
    most = numpy.abs(blocks).max(axis=2, keepdims=True)
    d = numpy.where(most > 0, most / 127, 1)
    return (numpy.rint(blocks / d) * d).reshape(x.shape)


def product(file, x, name):
    """With the matrix of that name."""
    if file.rounded and TYPES[file.tensors[name][1]][0] > 1:
        x = to_8_bits(x)
    return x @ file.tensor(name).T


def linear(file, x, name):
    y = product(file, x, name + ".weight")
    return y + file.tensor(name + ".bias") if file.has(name + ".bias") else y


def stored(file, x):
    """Keys and values as the cache holds them: [tokens][heads][dim]."""
    if file.kv == "q8_0":
        padded = numpy.pad(x, ((0, 0), (0, 0), (0, -x.shape[2] % 32)))
        return to_8_bits(padded.reshape(len(x), -1)).reshape(padded.shape)[:, :, : x.shape[2]]
    whole = file.tensors["blk.0.attn_output.weight"][1] == 0
    return x if whole or not file.rounded else x.astype(numpy.float16).astype(numpy.float64)


def layer_norm(file, x, name, eps):
    x = x - x.mean(axis=-1, keepdims=True)
    x = x / numpy.sqrt((x * x).mean(axis=-1, keepdims=True) + eps)
    return x * file.tensor(name + ".weight") + file.tensor(name + ".bias")


def rms_norm(x, weight, eps):
    return x / numpy.sqrt((x * x).mean(axis=-1, keepdims=True) + eps) * weight


def gelu(x):
    """The tanh form, as GPT-2 was trained with."""
    return 0.5 * x * (1 + numpy.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def silu(x):
    return x / (1 + numpy.exp(-x))


def attention(file, q, k, v, window):
    """q: [tokens][heads][dim], k and v: [tokens][kv heads][dim]; each query sees itself and what came before."""
    tokens, heads, dim = q.shape
    k, v = stored(file, k), stored(file, v)
    share = heads // k.shape[1]
    k, v = numpy.repeat(k, share, axis=1), numpy.repeat(v, share, axis=1)
    scores = numpy.einsum("ihd,jhd->hij", q, k) / math.sqrt(dim)
    i, j = numpy.arange(tokens)[:, None], numpy.arange(tokens)[None, :]
    seen = (j <= i) & ((i - j < window) if window else True)
    scores = numpy.where(seen[None], scores, -numpy.inf)
    p = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
    p /= p.sum(axis=-1, keepdims=True)
    return numpy.einsum("hij,jhd->ihd", p, v).reshape(tokens, heads * dim)


class Rope:
    """Rotary positions: pairs (2i, 2i+1), or (i, i + d/2) for the NeoX order."""

    def __init__(self, file, arch, dim):
        key = file.keys.get
        self.dims = key(f"{arch}.rope.dimension_count", dim)
        self.neox = arch != "llama"
        self.frequency = key(f"{arch}.rope.freq_base", 10000.0) ** (-numpy.arange(0, self.dims, 2) / self.dims)
        if file.has("rope_freqs.weight"):
            self.frequency = self.frequency / file.tensor("rope_freqs.weight")
        if key(f"{arch}.rope.scaling.type") == "linear":
            self.frequency = self.frequency / key(f"{arch}.rope.scaling.factor", 1.0)

    def turn(self, x):
        half = self.dims // 2
        angle = numpy.arange(len(x))[:, None, None] * self.frequency
        a = x[..., :half] if self.neox else x[..., 0 : self.dims : 2]
        b = x[..., half : self.dims] if self.neox else x[..., 1 : self.dims : 2]
        cos, sin = numpy.cos(angle), numpy.sin(angle)
        first, second = a * cos - b * sin, a * sin + b * cos
        y = x.copy()
        if self.neox:
            y[..., :half], y[..., half : self.dims] = first, second
        else:
            y[..., 0 : self.dims : 2], y[..., 1 : self.dims : 2] = first, second
        return y


def gpt2(file, ids):
    key = file.keys
    heads, eps = key["gpt2.attention.head_count"], key["gpt2.attention.layer_norm_epsilon"]
    x = file.tensor("token_embd.weight", ids) + file.tensor("position_embd.weight", range(len(ids)))
    width = x.shape[1]
    for i in range(key["gpt2.block_count"]):
        b = f"blk.{i}."
        qkv = linear(file, layer_norm(file, x, b + "attn_norm", eps), b + "attn_qkv")
        q, k, v = (p.reshape(len(ids), heads, -1) for p in numpy.split(qkv, [width, 2 * width], axis=1))
        x = x + linear(file, attention(file, q, k, v, 0), b + "attn_output")
        h = linear(file, layer_norm(file, x, b + "ffn_norm", eps), b + "ffn_up")
        x = x + linear(file, gelu(h), b + "ffn_down")
    return layer_norm(file, x, "output_norm", eps)


def llama(file, ids):
    key, arch = file.keys, file.keys["general.architecture"]
    heads = key[f"{arch}.attention.head_count"]
    heads_kv = key.get(f"{arch}.attention.head_count_kv", heads)
    dim = key.get(f"{arch}.attention.key_length", key[f"{arch}.embedding_length"] // heads)
    eps = key[f"{arch}.attention.layer_norm_rms_epsilon"]
    window = key.get(f"{arch}.attention.sliding_window", 0)
    rope = Rope(file, arch, dim)
    x = file.tensor("token_embd.weight", ids)
    for i in range(key[f"{arch}.block_count"]):
        b = f"blk.{i}."
        h = rms_norm(x, file.tensor(b + "attn_norm.weight"), eps)
        q = linear(file, h, b + "attn_q").reshape(len(ids), heads, dim)
        k = linear(file, h, b + "attn_k").reshape(len(ids), heads_kv, dim)
        v = linear(file, h, b + "attn_v").reshape(len(ids), heads_kv, dim)
        if file.has(b + "attn_q_norm.weight"):
            q = rms_norm(q, file.tensor(b + "attn_q_norm.weight"), eps)
            k = rms_norm(k, file.tensor(b + "attn_k_norm.weight"), eps)
        x = x + linear(file, attention(file, rope.turn(q), rope.turn(k), v, window), b + "attn_output")
        h = rms_norm(x, file.tensor(b + "ffn_norm.weight"), eps)
        x = x + linear(file, silu(linear(file, h, b + "ffn_gate")) * linear(file, h, b + "ffn_up"), b + "ffn_down")
    return rms_norm(x, file.tensor("output_norm.weight"), eps)


def logits(file, ids, last=False):
    """[tokens][vocabulary] in float64, or the last row alone."""
    hidden = gpt2(file, ids) if file.keys["general.architecture"] == "gpt2" else llama(file, ids)
    head = "output.weight" if file.has("output.weight") else "token_embd.weight"
    rows = product(file, hidden[-1:] if last else hidden, head)
    return rows[0] if last else rows


def greedy(file, ids, count):
    ids = list(ids)
    for _ in range(count):
        ids.append(int(logits(file, ids, last=True).argmax()))
    return ids[-count:]


def main():
    parser = argparse.ArgumentParser(description="Logits by an independent float64 forward pass.")
    parser.add_argument("model")
    parser.add_argument("ids", nargs="+", type=int)
    parser.add_argument("--save", help="write the logits there (f32, row-major)")
    parser.add_argument("--rounded", action="store_true")
    parser.add_argument("--greedy", type=int, default=0)
    o = parser.parse_args()
    file = File(o.model, o.rounded)
    if o.greedy:
        return print(*greedy(file, o.ids, o.greedy))
    rows = logits(file, o.ids)
    if o.save:
        rows.astype("<f4").tofile(o.save)
        return None
    for token, row in zip(o.ids, rows):
        best = row.argsort()[::-1][:5]
        print(f"after {token}:", *(f"{i} {row[i]:.5f}" for i in best), f"(standard deviation {row.std():.4f})")
    return None


if __name__ == "__main__":
    sys.exit(main())
