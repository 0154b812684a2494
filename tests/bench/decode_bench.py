#!/usr/bin/env python3
"""The engine beside llama.cpp on the same file, machine and threads: GPT-2-124M's shape with random weights.

$WEIR_PEER_LLAMA_BENCH and $WEIR_PEER_LLAMA_BATCHED_BENCH name llama.cpp's own programs. One stream is measured at the
same depth on both sides (128 tokens of prompt before the 64 that are counted).
"""

import json
import subprocess

import bench

THREADS = 2
PROMPT, TOKENS = 128, 64


def output_of(*command):
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)
    if run.returncode != 0:
        raise RuntimeError(f"{command[0]}: {run.stderr.strip()[-500:]}")
    return run.stdout


def model(kind):
    path = bench.SOURCE / "build" / "models" / f"gpt2-124m-{kind}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        output_of(bench.SOURCE / "tools" / "mkmodel", "gpt2-124m", kind, path)
    return path


def weir(path, streams):
    text = output_of(bench.WEIR, "bench", "--json", "-m", path, "--threads", THREADS, "--streams", streams,
                     "--prompt-tokens", PROMPT, "--tokens", TOKENS, "--repeat", 1)
    return json.loads(text)["rows"][0]["decode_tokens_per_s"]


def llama_one(program, path):
    text = output_of(program, "-m", path, "-t", THREADS, "-p", 0, "-n", TOKENS, "-d", PROMPT, "-r", 1, "-o", "json")
    return json.loads(text)[0]["avg_ts"]


def llama_many(program, path, streams):
    text = output_of(program, "-m", path, "-t", THREADS, "-c", streams * (PROMPT + TOKENS) + 64, "-npp", PROMPT,
                     "-ntg", TOKENS, "-npl", streams, "--output-format", "jsonl")
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return rows[-1]["speed_tg"]


def beside(b, what, path, streams, peer, call, must):
    if not peer:
        own = b.interleave({"weir": lambda: weir(path, streams)}, rounds=3)
        return b.row(what + " (no llama.cpp: see WEIR_PEER_LLAMA_*)", own["weir"], "tokens/s")
    speed = b.interleave({"weir": lambda: weir(path, streams), "llama.cpp": call}, rounds=5)
    return b.row(what, speed["weir"], "tokens/s", reference=speed["llama.cpp"], must=must)


def main(b):
    one, many = b.peer("llama-bench"), b.peer("llama-batched-bench")
    for kind in ("f32", "q8_0"):
        path = model(kind)
        beside(b, f"decode, one stream, GPT-2 124M {kind}", path, 1, one, lambda p=path: llama_one(one, p),
               "ratio >= 0.9")
    path = model("q8_0")
    beside(b, "decode, 16 streams together, GPT-2 124M q8_0", path, 16, many, lambda: llama_many(many, path, 16),
           "ratio >= 1.5")


if __name__ == "__main__":
    bench.run("decode", main)
