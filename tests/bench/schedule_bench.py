#!/usr/bin/env python3
"""What the scheduler makes of a model: guesses on text that repeats itself and on plain text, the gaps of a stream
while another client's prompt of 1,000 tokens is read, and two streams beside one.

Prompt lookup on SmolLM2 (build/models/smollm2.gguf, which api/smollm2 pulls), a draft model on random weights: the F32
model with its own weights in Q8_0. The program is tests/bench/schedule.c.
"""

import re
import statistics
import subprocess

import bench
import engine_peers as peers

ROUNDS = 5
GUESSES = re.compile(r"guesses (\S+) (\d) (\S+) (\S+) tokens/s \S+ (\d+) of (\d+) right")
GAPS = re.compile(r"gaps usual \S+ median \S+ longest \S+ ms, ratio (\S+) of .*")
TWO = re.compile(r"two (\S+) beside (\S+) tokens/s, ratio \S+")


def measured(b, pattern, only, *words):
    command = [b.program("schedule"), *map(str, words), "--rounds", str(ROUNDS), "--only", only]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return [pattern.fullmatch(line).groups() for line in run.stdout.splitlines()]


def guesses(b, names, *words):
    """Rows of the ways to guess that have names, each beside the same text without."""
    base = {}
    for text, temperature, way, speed, right, tried in measured(b, GUESSES, "guesses", *words):
        if way == "off":
            base[text, temperature] = float(speed)
        elif way in names:
            b.row(f"{names[way]}, {text} text, temperature {temperature} ({right} of {tried} guesses right)", float(speed), "tokens/s",
                  reference=base[text, temperature], must="ratio >= 0.95")


def gaps(b, what, path):
    """The longest gap of each round; the median round counts, for a machine may be disturbed."""
    longest = [float(ratio) for (ratio,) in measured(b, GAPS, "gaps", path)]
    b.row(f"longest gap of a stream beside a prompt of 1,000, in its usual gaps, {what}", statistics.median(longest), "times",
          must="value <= 3")


def two(b, what, path):
    ((both, alone),) = measured(b, TWO, "two", path)
    b.row(f"two streams together beside one, {what}", float(both), "tokens/s", reference=float(alone), must="ratio >= 1")


def main(b):
    smollm2 = bench.SOURCE / "build" / "models" / "smollm2.gguf"
    names = {"prompt-lookup": "prompt lookup, SmolLM2 135M",
             "prediction": "a predicted answer with one token in 25 wrong, SmolLM2 135M"}
    if smollm2.exists():
        guesses(b, names, smollm2)
    else:
        b.not_measured(names["prompt-lookup"], "no build/models/smollm2.gguf")
    guesses(b, {"draft": "a Q8_0 draft of its F32 model, GPT-2 124M"}, peers.model("gpt2-124m", "f32"),
            "--draft", peers.model("gpt2-124m", "q8_0"))
    for kind in ("f32", "q8_0"):
        gaps(b, f"GPT-2 124M {kind}", peers.model("gpt2-124m", kind))
        two(b, f"GPT-2 124M {kind}", peers.model("gpt2-124m", kind))


if __name__ == "__main__":
    bench.run("schedule", main)
