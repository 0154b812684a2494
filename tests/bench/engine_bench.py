#!/usr/bin/env python3
"""The engine beside llama.cpp and ik_llama.cpp, on the same file, machine and threads, and beside the machine's own bounds.

Random weights in the shapes of GPT-2 124M and of TinyLlama 1.1B (tools/mkmodel). Peers by $WEIR_PEER_LLAMA_BENCH,
$WEIR_PEER_LLAMA_BATCHED_BENCH, $WEIR_PEER_IK_LLAMA_BENCH (engine_peers.py). Every decode figure has the bandwidth of
memory probed before and after it: on shared machines that moves by a factor of two within minutes. $WEIR_BENCH_ROUNDS
(3) runs of each are taken in turns.
"""

import os
import statistics

import bench
import engine_peers as peers

ROUNDS = int(os.environ.get("WEIR_BENCH_ROUNDS", 3))
PROMPT, TOKENS, TOKENS_LARGE = 512, 64, 32
STREAMS, TOKENS_MANY = (1, 2, 8, 16, 32), 64

# Multiply-adds of a prompt's token, twice each: the layers' matrices (attention is small beside them at 512).
GPT2_LAYER_WEIGHTS = 12 * 12 * 768 * 768
# What a token of the large shape does not read: the embedding, which is not the head there.
LLAMA_EMBEDDING_SHARE = 32000 * 2048 / 1_100_048_384

# kind: (ratio to llama.cpp that must be reached)
DECODE_GPT2 = {"f32": "ratio >= 1.15", "f16": "ratio >= 1.15", "q8_0": "ratio >= 1.5", "q4_0": "ratio >= 1.5"}
DECODE_LLAMA = ("q8_0", "q4_0", "q4_k")
PREFILL = {"f32": ("ratio >= 1.4", "ratio >= 1.1", "fma_f32_per_s"),
           "bf16": ("ratio >= 1.6", "ratio >= 1", "tile_bf16_per_s"),
           "q8_0": ("ratio >= 2", "ratio >= 1.1", "tile_int8_per_s"),
           "q4_0": ("ratio >= 2", "ratio >= 1.1", "tile_int8_per_s")}
# Where there is no matrix unit its row is empty, and the vector unit's counts.
INSTEAD = {"tile_bf16_per_s": "dot_bf16_per_s", "tile_int8_per_s": "dot_int8_per_s", "dot_bf16_per_s": "fma_f32_per_s"}
MANY = {"f32": "ratio >= 2", "bf16": "ratio >= 2", "q8_0": "ratio >= 2.7"}


def in_turns(b, runs):
    return b.interleave({name: call for name, call in runs.items() if call}, rounds=ROUNDS, warm_up=0)


def probed(path, share, probes, call):
    """A decode call with the bandwidth probed before and after: `probes` takes the tokens/s that it allows."""
    def run():
        before = peers.read_bandwidth(path)
        figure = call()
        probes.append(max(before, peers.read_bandwidth(path)) / (path.stat().st_size * share))
        return figure
    return run


def decode(b, what, path, tokens, share, llama_must, ik=None):
    llama = b.peer("llama-bench")
    probes = []
    runs = {"weir": probed(path, share, probes, lambda: peers.weir_decode(path, tokens)),
            "llama.cpp": llama and (lambda: peers.llama_decode(llama, path, tokens)),
            "ik": ik and (lambda: peers.ik_decode(ik, path, tokens))}
    speed = in_turns(b, runs)
    bound = statistics.median(probes)
    if not llama:
        b.row(what + " (no llama.cpp: see WEIR_PEER_LLAMA_BENCH)", speed["weir"], "tokens/s", bound=bound)
    else:
        b.row(what, speed["weir"], "tokens/s", reference=speed["llama.cpp"], bound=bound, must=llama_must)
    if ik:
        b.row("… beside ik_llama.cpp", speed["weir"], "tokens/s", reference=speed["ik"], bound=bound,
              must="ratio >= 1 or of_bound >= 0.85")


def decode_rows(b):
    for kind, must in DECODE_GPT2.items():
        decode(b, f"decode, one stream, GPT-2 124M {kind}", peers.model("gpt2-124m", kind), TOKENS, 1, must)
    for kind in DECODE_LLAMA:
        path, what = peers.llama_model(kind), f"decode, one stream, llama 1.1B {kind}"
        if not path:
            b.not_measured(what, "no vocabulary: see WEIR_TEST_DATA")
            continue
        decode(b, what, path, TOKENS_LARGE, 1 - LLAMA_EMBEDDING_SHARE, "ratio >= 1.15 or of_bound >= 0.85",
               b.peer("ik-llama-bench"))


def peak(found, name):
    while not found[name][-1]:
        name = INSTEAD[name]
    return max(rate for rate in found[name] if rate)


def prefill_rows(b, found):
    llama, ik = b.peer("llama-bench"), b.peer("ik-llama-bench")
    for kind, (llama_must, ik_must, unit) in PREFILL.items():
        path, what = peers.model("gpt2-124m", kind), f"prefill of {PROMPT}, GPT-2 124M {kind}"
        runs = {"weir": lambda: peers.weir_prefill(path, PROMPT),
                "llama.cpp": llama and (lambda: peers.llama_prefill(llama, path, PROMPT))}
        speed = in_turns(b, runs)
        bound = peak(found, unit) / (2 * GPT2_LAYER_WEIGHTS)
        b.row(what, speed["weir"], "tokens/s", reference=speed.get("llama.cpp"), bound=bound,
              must=llama_must if llama else None)
        ik_prefill(b, ik, kind, ik_must)


def ik_prefill(b, ik, kind, must):
    """ik_llama.cpp does not know gpt2: a llama of the same layers stands for it."""
    what = f"… of {PROMPT}, llama 134M {kind}, beside ik_llama.cpp"
    vocabulary = bench.DATA / "models" / "ggml-vocab" / "ggml-vocab-llama-spm.gguf"
    if not ik or not vocabulary.exists():
        return b.not_measured(what, "no ik_llama.cpp: see WEIR_PEER_IK_LLAMA_BENCH", must=must)
    path = peers.model("llama-134m", kind, "--vocab", vocabulary)
    speed = in_turns(b, {"weir": lambda: peers.weir_prefill(path, PROMPT), "ik": lambda: peers.ik_prefill(ik, path, PROMPT)})
    return b.row(what, speed["weir"], "tokens/s", reference=speed["ik"], must=must)


def many_rows(b):
    """All numbers of streams from one process a side and round."""
    program = b.peer("llama-batched-bench")
    for kind, must in MANY.items():
        path = peers.model("gpt2-124m", kind)
        sides = {"weir": lambda: {n: row["decode_tokens_per_s"] for n, row in peers.weir(path, STREAMS, TOKENS_MANY).items()},
                 "llama.cpp": program and (lambda: peers.llama_many(program, path, STREAMS, TOKENS_MANY))}
        taken = {name: [] for name, call in sides.items() if call}
        for _ in range(ROUNDS):
            for name in taken:
                taken[name].append(sides[name]())
        speed = {name: {n: statistics.median(run[n] for run in runs) for n in STREAMS} for name, runs in taken.items()}
        for n in STREAMS:
            b.row(f"decode, {n} streams together, GPT-2 124M {kind}", speed["weir"][n], "tokens/s",
                  reference=speed["llama.cpp"][n] if program else None, must=must if n == 32 and program else None)
        b.row(f"decode, 2 streams beside 1, GPT-2 124M {kind}", speed["weir"][2], "tokens/s", reference=speed["weir"][1],
              must="ratio >= 1")


def machine_rows(b, found):
    for size, rates in found["read_bytes_per_s"].items():
        b.row(f"the machine: reading {int(size) / 2**20:g} MiB, one thread and {peers.THREADS}", max(rates) / 1e9, "GB/s",
              reference=rates[0] / 1e9)
    for name in ("fma_f32_per_s", "dot_bf16_per_s", "dot_int8_per_s", "tile_bf16_per_s", "tile_int8_per_s"):
        if found[name][-1]:
            b.row(f"the machine: {name}, one thread and {peers.THREADS}", max(found[name]) / 1e9, "G/s",
                  reference=found[name][0] / 1e9)


def main(b):
    found = peers.machine()
    machine_rows(b, found)
    decode_rows(b)
    prefill_rows(b, found)
    many_rows(b)


if __name__ == "__main__":
    bench.run("engine", main)
