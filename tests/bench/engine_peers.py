"""The engine and its peers on one model file: weir's own bench, llama.cpp's and ik_llama.cpp's programs, and the machine's probes.

Each call runs one process and gives one figure. $WEIR_PEER_LLAMA_BENCH, $WEIR_PEER_LLAMA_BATCHED_BENCH and
$WEIR_PEER_LLAMA_SERVER name llama.cpp's programs, $WEIR_PEER_IK_LLAMA_BENCH ik_llama.cpp's.
"""

import json
import subprocess

import bench

THREADS = 2
PROMPT = 128  # tokens before those that are counted, on both sides
CONTEXT = 1024


def output_of(*command):
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=900)
    if run.returncode != 0:
        raise RuntimeError(f"{command[0]}: {run.stderr.strip()[-500:]}")
    return run.stdout


def model(shape, kind, *options, name=None):
    """A model file with random weights, made once by tools/mkmodel."""
    path = bench.SOURCE / "build" / "models" / f"{name or shape}-{kind}.gguf"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        output_of(bench.SOURCE / "tools" / "mkmodel", shape, kind, path, *options)
    return path


def llama_model(kind):
    """1.1 billion weights in TinyLlama's shape. llama.cpp does not load a vocabulary that is made up: its own is taken."""
    vocabulary = bench.DATA / "models" / "ggml-vocab" / "ggml-vocab-llama-spm.gguf"
    return model("llama-1.1b", kind, "--vocab", vocabulary) if vocabulary.exists() else None


def weir(path, streams, tokens, prompt=PROMPT):
    """The rows of `weir bench`, by number of streams."""
    wanted = [word for n in streams for word in ("--streams", n)]
    text = output_of(bench.WEIR, "bench", "--json", "-m", path, "--threads", THREADS, *wanted, "--prompt-tokens", prompt,
                     "--tokens", tokens, "--repeat", 1)
    return {row["streams"]: row for row in json.loads(text)["rows"]}


def weir_decode(path, tokens):
    return weir(path, [1], tokens)[1]["decode_tokens_per_s"]


def weir_prefill(path, prompt):
    """One of three prompts in a process, the best: the first also touches fresh memory, as llama-bench's warm-up does."""
    rows = [json.loads(output_of(bench.WEIR, "bench", "--json", "-m", path, "--threads", THREADS, "--streams", 1,
                                 "--prompt-tokens", prompt, "--tokens", 2, "--repeat", 3))["rows"][0]]
    return max(row["prefill_tokens_per_s"] for row in rows)


def llama_bench(program, path, *what):
    """llama-bench's one figure. Fields that a peer's version lacks are not asked for."""
    rows = json.loads(output_of(program, "-m", path, "-t", THREADS, "-o", "json", *what))
    return rows[-1]["avg_ts"]


def llama_decode(program, path, tokens):
    return llama_bench(program, path, "-p", 0, "-n", tokens, "-d", PROMPT, "-r", 1)


def llama_prefill(program, path, prompt):
    return llama_bench(program, path, "-p", prompt, "-n", 0, "-r", 3)


def ik_decode(program, path, tokens):
    """ik_llama.cpp's bench knows no depth: it counts the tokens that come after a prompt (-gp)."""
    return llama_bench(program, path, "-p", 0, "-n", 0, "-gp", f"{PROMPT},{tokens}", "-rtr", 1, "-r", 1)


def ik_prefill(program, path, prompt):
    return llama_bench(program, path, "-p", prompt, "-n", 0, "-rtr", 1, "-r", 3)


def llama_many(program, path, streams, tokens):
    """Tokens/s of llama-batched-bench's generation, by number of streams."""
    text = output_of(program, "-m", path, "-t", THREADS, "-c", max(streams) * (PROMPT + tokens) + 64, "-npp", PROMPT,
                     "-ntg", tokens, "-npl", ",".join(map(str, streams)), "--output-format", "jsonl")
    rows = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {row["pl"]: row["speed_tg"] for row in rows}


def machine():
    """What `weir bench machine` finds: for each row, the figure of one thread and that of all."""
    return json.loads(output_of(bench.WEIR, "bench", "machine", "--json", "--threads", THREADS))


def read_bandwidth(path):
    """Bytes a second that this machine's threads read now, from a working set of the model's size."""
    mib = max(1, path.stat().st_size >> 20)
    found = json.loads(output_of(bench.WEIR, "bench", "machine", "--json", "--threads", THREADS, "--read-mib", mib,
                                 "--seconds", 0.25))
    return max(rate for rates in found["read_bytes_per_s"].values() for rate in rates)
