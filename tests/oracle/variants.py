"""The models that weir is held to transformers with: every variant of the families that it reads, small, with weights that
both sides make from the same random numbers.

A case says what transformers is to build (its configuration's arguments), what a GGUF file says of the same model, and what
to take away for the plain model beside it: the difference shows that the case is about something. Nothing here needs torch:
transformers_test.py (torch, `make test-oracle`) writes what it computes to tests/data/transformers_logits.json, and
truth_test.py (numpy alone, `make test`) holds the engine to that table."""

import json
import math
import struct
import zlib

import numpy

TOKENS = 64
KEPT_POSITIONS = (0, 9, 30, 47, 63)
KEPT_LOGITS = range(5, 288, 31)
SHAPE = {"vocab_size": 288, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 4, "num_attention_heads": 4,
         "num_key_value_heads": 2, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "bos_token_id": 1,
         "eos_token_id": 2, "pad_token_id": None}  # fmt: skip


def ids():
    return numpy.random.RandomState(5).randint(0, SHAPE["vocab_size"], TOKENS).tolist()


class Case:
    def __init__(self, kind, without=None, gguf=None, in_gguf=True, folder=True, **arguments):
        self.kind, self.arguments, self.without = kind, arguments, without
        self.gguf, self.in_gguf, self.folder = gguf or {}, in_gguf, folder

    def configuration(self):
        return {**SHAPE, **self.arguments} if self.kind != "gpt2" else dict(self.arguments)


def scaling(kind, factor, **more):
    return {"rope_type": kind, "factor": factor, **more}


def yarn_keys(factor, original, **more):
    return {"rope.scaling.type": "yarn", "rope.scaling.factor": factor,
            "rope.scaling.original_context_length": original, **more}  # fmt: skip


LLAMA3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64}
PLAIN = {"rope_scaling": None}
YARN_MSCALE = (0.1 * 0.7 * math.log(4) + 1) / (0.1 * 1.3 * math.log(4) + 1)
CASES = {
    "gpt2": Case("gpt2", vocab_size=288, n_embd=64, n_layer=3, n_head=4, n_positions=256, bos_token_id=1,
                 eos_token_id=2),
    "llama": Case("llama", num_key_value_heads=4),
    "llama, one head for keys": Case("llama", num_key_value_heads=1),
    "tinyllama": Case("llama", num_attention_heads=8, num_key_value_heads=1, rope_theta=10000.0),
    "smollm2": Case("llama", tie_word_embeddings=True, rope_theta=100000.0),
    "llama, attention biases": Case("llama", without={"attention_bias": False}, attention_bias=True),
    "llama, mlp biases": Case("llama", without={"mlp_bias": False}, mlp_bias=True),
    "llama, linear": Case("llama", without=PLAIN, rope_scaling=scaling("linear", 4.0),
                          gguf={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "llama, dynamic NTK": Case("llama", rope_scaling=scaling("dynamic", 4.0)),
    "llama, llama3": Case("llama", without=PLAIN, rope_scaling=scaling("llama3", 8.0, **LLAMA3)),
    "llama, yarn": Case("llama", without=PLAIN, gguf=yarn_keys(8.0, 32),
                        rope_scaling=scaling("yarn", 8.0, original_max_position_embeddings=32)),
    "llama, yarn with an attention factor": Case(
        "llama", without=PLAIN,
        rope_scaling=scaling("yarn", 4.0, original_max_position_embeddings=64, attention_factor=0.8),
        gguf=yarn_keys(4.0, 64, **{"rope.scaling.attn_factor": 0.8 / (0.1 * math.log(4) + 1)})),
    "llama, yarn with mscale and its own bounds": Case(
        "llama", without=PLAIN,
        rope_scaling=scaling("yarn", 4.0, original_max_position_embeddings=64, mscale=0.7, mscale_all_dim=1.3,
                             beta_fast=8.0, beta_slow=0.5),
        gguf=yarn_keys(4.0, 64, **{"rope.scaling.attn_factor": YARN_MSCALE / (0.1 * math.log(4) + 1),
                                   "rope.scaling.yarn_beta_fast": 8.0, "rope.scaling.yarn_beta_slow": 0.5})),
    "llama, yarn not truncated": Case(  # GGUF has no word for it
        "llama", without=PLAIN, in_gguf=False,
        rope_scaling=scaling("yarn", 4.0, original_max_position_embeddings=64, truncate=False)),
    "mistral": Case("mistral", head_dim=24, sliding_window=None),
    "mistral, sliding window": Case("mistral", without={"sliding_window": None}, sliding_window=12,
                                    gguf={"attention.sliding_window": 12}),
    "qwen2": Case("qwen2", tie_word_embeddings=True, use_sliding_window=False, rope_theta=1000000.0),
    "qwen2, windows from layer 2 on": Case(
        "qwen2", without={"use_sliding_window": False}, use_sliding_window=True, sliding_window=10, max_window_layers=2,
        gguf={"attention.sliding_window": 10, "attention.sliding_window_pattern": [False, False, True, True]}),
    "qwen2, yarn": Case("qwen2", without=PLAIN, use_sliding_window=False, max_position_embeddings=64,
                        rope_scaling=scaling("yarn", 4.0, original_max_position_embeddings=64), gguf=yarn_keys(4.0, 64)),
    "qwen3": Case("qwen3", head_dim=32, tie_word_embeddings=True, use_sliding_window=False),
    "qwen3, biases and windows by layer": Case(
        "qwen3", without={"use_sliding_window": False, "layer_types": None}, head_dim=16, attention_bias=True,
        use_sliding_window=True, sliding_window=7,
        layer_types=["sliding_attention", "full_attention", "sliding_attention", "full_attention"],
        gguf={"attention.sliding_window": 7, "attention.sliding_window_pattern": [True, False, True, False]}),
    "smollm3": Case("smollm3", without={"no_rope_layers": [1, 1, 1, 1]}, tie_word_embeddings=True, rope_theta=50000.0,
                    no_rope_layer_interval=4),
    # Only its GGUF form: glm is llama with half of each head rotated, in pairs of neighbours.
    "glm, half of the head rotated": Case(
        "glm", folder=False, head_dim=16, partial_rotary_factor=0.5, attention_bias=True, gguf={"rope.dimension_count": 8}),
}  # fmt: skip


def weight(name, shape):
    """f32 by the parameter's name: streams of RandomState are the same in every numpy."""
    x = numpy.random.RandomState(zlib.crc32(name.encode())).standard_normal(shape)
    if "norm" in name or ".ln_" in name:
        x = 0.2 * x + (0.0 if name.endswith("bias") else 1.0)
    elif name.endswith("bias"):
        x = 0.3 * x
    elif "wpe" in name or "embed" in name or "wte" in name:
        x = 0.3 * x
    else:
        width = shape[0] if "c_" in name.rsplit(".", 2)[-2] else shape[1]
        x = x * (1.6 if "q_proj" in name or "k_proj" in name else 1.0) / math.sqrt(width)
    return x.astype(numpy.float32)


# ---- a folder ----


def write_vocabulary(folder, size):
    """A byte-level BPE vocabulary without merges, of the model's size: the ids are given, so no text is read."""
    letters = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in letters]
    alphabet = [chr(b) for b in letters] + [chr(256 + i) for i in range(len(others))]
    tokens = alphabet + [f"<unused{i}>" for i in range(size - len(alphabet))]
    (folder / "vocab.json").write_text(json.dumps({t: i for i, t in enumerate(tokens)}, ensure_ascii=False))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))


def write_folder(folder, config, shapes):
    at, head, data = 0, {}, []
    for name, shape in shapes.items():
        data.append(weight(name, shape).tobytes())
        head[name] = {"dtype": "F32", "shape": shape, "data_offsets": [at, at + len(data[-1])]}
        at += len(data[-1])
    text = json.dumps(head).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data))
    (folder / "config.json").write_text(json.dumps(config))
    write_vocabulary(folder, config["vocab_size"])


# ---- a GGUF file ----

NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
LAYER = {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm", "self_attn.q_proj": "attn_q",
         "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate",
         "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down"}  # fmt: skip


def pairs_side_by_side(x, heads):
    """Rows of q and k from (i, i + d/2) to (2i, 2i + 1), as llama.cpp keeps the llama family's."""
    return x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def gguf_tensors(case, config, shapes):
    near = case.kind in ("llama", "mistral", "smollm3")
    for name, shape in shapes.items():
        stem, end = name.rsplit(".", 1)
        x = weight(name, shape)
        if stem in NAMES:
            yield f"{NAMES[stem]}.{end}", x
            continue
        _, _, layer, part = stem.split(".", 3)
        if part == "mlp.gate_up_proj":  # glm's
            for half, word in zip(numpy.split(x, 2), ("gate", "up")):
                yield f"blk.{layer}.ffn_{word}.{end}", half
            continue
        if near and part in ("self_attn.q_proj", "self_attn.k_proj"):
            x = pairs_side_by_side(x, config["num_attention_heads" if "q_proj" in part else "num_key_value_heads"])
        yield f"blk.{layer}.{LAYER[part]}.{end}", x
    if (config.get("rope_scaling") or {}).get("rope_type") == "llama3":
        yield "rope_freqs.weight", llama3_divisors(config)


def llama3_divisors(config):
    """What each frequency is divided by: by wavelength, smoothed between the two bounds (Llama 3.1's apply_scaling)."""
    s, dim = config["rope_scaling"], config["hidden_size"] // config["num_attention_heads"]
    wave = 2 * math.pi * config["rope_theta"] ** (numpy.arange(0, dim, 2) / dim)
    turns = s["original_max_position_embeddings"] / wave
    smooth = (turns - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"])
    return (1 / ((1 - smooth.clip(0, 1)) / s["factor"] + smooth.clip(0, 1))).astype(numpy.float32)


def gguf_keys(case, config):
    arch = {"mistral": "llama", "glm": "llama"}.get(case.kind, case.kind)
    dim = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    keys = {"block_count": config["num_hidden_layers"], "embedding_length": config["hidden_size"],
            "feed_forward_length": config["intermediate_size"], "context_length": config["max_position_embeddings"],
            "attention.head_count": config["num_attention_heads"], "attention.key_length": dim,
            "attention.value_length": dim, "attention.head_count_kv": config["num_key_value_heads"],
            "attention.layer_norm_rms_epsilon": config["rms_norm_eps"], "rope.freq_base": float(config["rope_theta"]),
            **case.gguf}  # fmt: skip
    return {"general.architecture": arch, "tokenizer.ggml.model": "none", **{f"{arch}.{k}": v for k, v in keys.items()}}


def packed(value):
    """Type and bytes of a metadata value."""
    if isinstance(value, str):
        return 8, struct.pack("<Q", len(value)) + value.encode()
    if isinstance(value, list):
        return 9, struct.pack("<IQ", 7, len(value)) + bytes(value)
    return (6, struct.pack("<f", value)) if isinstance(value, float) else (4, struct.pack("<I", value))


def write_gguf(path, case, config, shapes):
    keys, tensors = gguf_keys(case, config), list(gguf_tensors(case, config, shapes))
    head, at = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(keys))], 0
    for key, value in keys.items():
        kind, data = packed(value)
        head += [struct.pack("<Q", len(key)), key.encode(), struct.pack("<I", kind), data]
    for name, x in tensors:
        head += [struct.pack("<Q", len(name)), name.encode(), struct.pack("<I", x.ndim)]
        head += [struct.pack(f"<{x.ndim}Q", *x.shape[::-1]), struct.pack("<IQ", 0, at)]
        at += -(-x.nbytes // 32) * 32
    text = b"".join(head)
    body = [x.tobytes().ljust(-(-x.nbytes // 32) * 32, b"\0") for _, x in tensors]
    path.write_bytes(text.ljust(-(-len(text) // 32) * 32, b"\0") + b"".join(body))
