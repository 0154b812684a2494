#!/usr/bin/env python3
"""Builds the training text of weir-tiny: base.txt, tune.txt and heldout.txt, one document a line.

Everything follows from --seed and the public texts under --data; --extra-text FILE adds documents that a
teacher wrote (same form: kind<TAB>text, newline as \\n, backslash doubled).
"""

import argparse
import collections
import json
import os
import random
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import facts  # noqa: E402
import stories  # noqa: E402
import sums  # noqa: E402
import talk  # noqa: E402
import texts  # noqa: E402
import weirfacts  # noqa: E402
from grammar import as_typed, chat  # noqa: E402

TEXT = "<|endoftext|>"
SIZES = {  # documents a kind, for a corpus of scale 1
    "base": {"talk": 26000, "dialog": 32000, "weir": 22000, "facts": 36000, "sums": 62000, "story": 22000},
    "tune": {"talk": 14000, "dialog": 20000, "weir": 11000, "facts": 9000, "sums": 28000, "story": 10000},
    "heldout": {"talk": 150, "dialog": 250, "weir": 100, "facts": 150, "sums": 300, "story": 150},
}


class Writer:
    def __init__(self):
        self.docs = []
        self.stat = collections.Counter()

    def add(self, kind, text):
        self.docs.append((kind, text))
        self.stat[kind] += len(text)

    def save(self, path, rng):
        rng.shuffle(self.docs)
        with open(path, "w", encoding="ascii", errors="ignore") as f:
            for kind, text in self.docs:
                f.write("%s\t%s\n" % (kind, text.replace("\\", "\\\\").replace("\n", "\\n")))
        total = sum(self.stat.values())
        print(path, "%d documents, %.1f MB:" % (len(self.docs), total / 1e6), ", ".join("%s %.1f%%" % (k, 100 * v / total) for k, v in self.stat.most_common()))


def words_of(root):
    """Common words from CC0 lists: what may be spelled, repeated, or asked for in a story."""
    out = []
    for name, key in (("animals/common", "animals"), ("foods/fruits", "fruits"), ("foods/vegetables", "vegetables")):
        path = os.path.join(root, "corpora-cc0/data", name + ".json")
        out += [w for w in json.load(open(path, encoding="utf8"))[key] if w.isalpha() and w.isascii() and 3 <= len(w) <= 10]
    own = list(facts.IS_A) + stories.ANIMALS + stories.OBJECTS + list(facts.OPPOSITES) + talk.COLOURS
    return sorted({w.lower() for w in out}), sorted({w for w in own if w.isalpha()} | {w.lower() for w in out})


class Asker:
    def __init__(self, rng, heroes, words):
        self.rng, self.heroes, self.words = rng, heroes, words

    def typed(self, pair):
        return as_typed(self.rng, pair[0]), pair[1]

    def any(self, _=None):
        dice = self.rng.random()
        if dice < 0.38:
            return self.typed(talk.small_talk(self.rng))
        if dice < 0.58:
            return self.typed(weirfacts.ask(self.rng))
        if dice < 0.74:
            return self.typed(facts.ask(self.rng, self.words))
        if dice < 0.94:
            return self.typed(sums.ask(self.rng))
        if dice < 0.96:
            return self.typed(talk.repeat_after(self.rng, self.words))
        return self.typed(stories.ask(self.rng, self.heroes))

    def one(self, kind):
        rng = self.rng
        if kind == "talk":
            return [self.typed(talk.small_talk(rng) if rng.random() < 0.75 else talk.say(rng, rng.choice(talk.OPENERS)))]
        if kind == "dialog":
            return [self.typed(t) for t in talk.dialog(rng, self.any)]
        if kind == "weir":
            return [self.typed(weirfacts.ask(rng)) for _ in range(rng.choice((1, 1, 2, 3)))]
        if kind == "facts":
            return [self.typed(facts.ask(rng, self.words)) for _ in range(rng.choice((1, 1, 2, 3)))]
        if kind == "sums":
            return [self.typed(sums.ask(rng)) for _ in range(rng.choice((1, 2, 3, 5)))]
        turns = [self.typed(stories.ask(rng, self.heroes))]
        if rng.random() < 0.2:
            turns.append(self.typed(talk.say(rng, talk.THANKS)))
        return turns


def generated(out, rng, sizes, scale, asker):
    for kind, count in sizes.items():
        for _ in range(max(1, int(count * scale))):
            out.add(kind, chat(rng, asker.one(kind)))


def public_texts(base, rng, root):
    for text in texts.tiny_stories(root):
        base.add("tinystories", TEXT + text + TEXT)
    for text in texts.books(root):
        if rng.random() < 0.5:  # old prose teaches grammar, but must not set the tone
            base.add("books", TEXT + text + TEXT)
    for text in texts.fairy_tales(root):
        if rng.random() < 0.6:
            base.add("fairytales", TEXT + text + TEXT)
    for title, body in texts.fables(root):
        base.add("fables", chat(rng, [("Tell me the fable of %s." % title, body)]))
    for turns in texts.chatterbot(root):
        pairs = list(zip(turns[::2], turns[1::2]))
        if all(a and b and len(b) < 200 for a, b in pairs):
            base.add("chatterbot", chat(rng, pairs))


def extra(base, tune, path):
    with open(path, encoding="utf8") as f:
        for line in f:
            kind, _, text = line.rstrip("\n").partition("\t")
            text = text.replace("\\n", "\n").replace("\\\\", "\\")
            base.add(kind, text)
            if text.startswith("<|im_start|>"):
                tune.add(kind, text)


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("--data", help="folder of the public texts; without it only generated text is written")
    args.add_argument("--out", required=True)
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--scale", type=float, default=1.0, help="share of the generated documents")
    args.add_argument("--extra-text", help="documents of a teacher to add")
    o = args.parse_args()
    os.makedirs(o.out, exist_ok=True)
    heroes, words = words_of(o.data) if o.data else (stories.ANIMALS, stories.ANIMALS + stories.OBJECTS)
    out = {name: Writer() for name in SIZES}
    for i, (name, sizes) in enumerate(SIZES.items()):
        rng = random.Random(o.seed * 1000 + i)
        generated(out[name], rng, sizes, o.scale, Asker(rng, heroes, words))
    if o.data:
        public_texts(out["base"], random.Random(o.seed * 1000 + 7), o.data)
    if o.extra_text:
        extra(out["base"], out["tune"], o.extra_text)
    for name, writer in out.items():
        writer.save(os.path.join(o.out, name + ".txt"), random.Random(o.seed * 1000 + 8))


if __name__ == "__main__":
    main()
