#!/usr/bin/env python3
"""Measures the bundled model and prints the figures that its card quotes: evaluate.py MODEL.gguf"""

import argparse
import os
import random
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "corpus")]
import facts  # noqa: E402
import stories  # noqa: E402
import sums  # noqa: E402
import weirfacts  # noqa: E402
from grammar import article, expand  # noqa: E402
from reference import Model  # noqa: E402

DIALOGS = (
    ("Hello!", "How are you?", "My name is Clara.", "What can you do?", "What is 27 + 45?", "What is my name?", "Thank you!", "Bye!"),
    ("Who are you?", "What is weir?", "How do I start it?", "Which endpoint tells that the server is ready?", "Tell me a joke."),
    ("Hi, I feel sad today.", "Tell me a story about a dragon.", "That was nice, thank you."),
    ("What is the capital of France?", "Is a carrot a fruit?", "What is the opposite of hot?", "What is the weather today?", "Explain quantum physics."),
)


UNSEEN = (  # in words that no generator has
    ("Could you say what weir is?", "language models"), ("How can I make weir start?", "weir serve"), ("How do I get talking in my terminal?", "weir chat"),
    ("How do I find out the speed of a model?", "weir bench"), ("Where can I see if the server is alive?", "/health"), ("Where do I find metrics for Prometheus?", "/metrics"),
    ("How do I fetch a model?", "weir model pull"), ("How can I tell that weir is ready to answer?", "/readyz"), ("hello my dear friend", "help"), ("What do they call you?", "weir-tiny"),
    ("Are you a living person?", "not a human"), ("Thanks so much for that!", "welcome"), ("bye for now", "oodbye"), ("I'm feeling very lonely", "sorry"), ("Which city is France's capital?", "Paris"),
    ("What is 5 and 4 together?", "9"), ("The sum of 12 and 13?", "25"), ("12 + 7 equals what?", "19"), ("What will the weather be on Friday?", "cannot know"), ("Which day follows Tuesday?", "Wednesday"),
    ("What colour does the sky have?", "blue"), ("Who has trained you?", "weir project"), ("Do you run on a GPU?", "processor"), ("What would be the opposite of tall?", "short"),
)


def one_turn(model, questions, max_tokens=70, batch=128):
    out = []
    for i in range(0, len(questions), batch):
        out += model.chat([[("user", q)] for q in questions[i : i + batch]], max_tokens)
    return out


def last_number(text):
    found = re.findall(r"\d+", text)
    return int(found[-1]) if found else None


def sums_right(model, op, pairs, form):
    answers = one_turn(model, [form % p for p in pairs])
    right = [last_number(a) == (p[0] + p[1] if op == "+" else p[0] - p[1]) for a, p in zip(answers, pairs)]
    wrong = [(form % p, a) for a, p, ok in zip(answers, pairs, right) if not ok]
    return sum(right), wrong


def pairs_of(op, held, top=100):
    return [(a, b) for a in range(top) for b in range(top) if sums.held_out(a, b) == held and (op == "+" or a >= b)]


def report_sums(model, count):
    rng = random.Random(5)
    for op, forms in (("+", ("What is %d + %d?", "%d plus %d")), ("-", ("What is %d - %d?",))):
        for form in forms:
            for held in (True, False):
                pairs = rng.sample(pairs_of(op, held), count)
                right, wrong = sums_right(model, op, pairs, form)
                print("sums  %-18s %s pairs: %d of %d right (%.1f %%)" % (form, "held-out" if held else "trained ", right, len(pairs), 100.0 * right / len(pairs)))
                for q, a in wrong[:3]:
                    print("        ", q, "->", a)


def report_weir(model):
    rng = random.Random(6)
    asked = [(expand(rng, ways), answer) for ways, answer in weirfacts.FAQ for _ in range(3)]
    answers = one_turn(model, [q for q, _ in asked])
    right = sum(a == want for a, (_, want) in zip(answers, asked))
    print("weir  questions answered word for word: %d of %d (%.1f %%)" % (right, len(asked), 100.0 * right / len(asked)))
    for a, (q, want) in zip(answers, asked):
        if a != want:
            print("        ", q, "->", a)


def report_unseen(model):
    answers = one_turn(model, [q for q, _ in UNSEEN])
    right = sum(want in a for a, (_, want) in zip(answers, UNSEEN))
    print("words that it was not trained on: %d of %d answered rightly" % (right, len(UNSEEN)))
    for a, (q, want) in zip(answers, UNSEEN):
        if want not in a:
            print("        ", q, "->", a)


def report_facts(model):
    asked = [("What is the capital of %s?" % c, v) for c, v in facts.CAPITALS.items()]
    asked += [("What is the opposite of %s?" % c, v) for c, v in facts.OPPOSITES.items()]
    asked += [(q, a) for q, a in facts.YES_NO]
    answers = one_turn(model, [q for q, _ in asked])
    right = sum(want in a for a, (_, want) in zip(answers, asked))
    print("facts capitals, opposites, yes or no: %d of %d (%.1f %%)" % (right, len(asked), 100.0 * right / len(asked)))
    for a, (q, want) in zip(answers, asked):
        if want not in a:
            print("        ", q, "->", a)


def report_stories(model):
    heroes = stories.ANIMALS[:24] + stories.OBJECTS[:8] + ["volcano", "submarine", "wizard cat", "lawyer", "potato", "violin", "cactus", "mailman"]
    told = model.chat([[("user", "Tell me a story about %s." % article(h))] for h in heroes], 260)
    named = sum(h in t.lower() for h, t in zip(heroes, told))
    print("story the hero that was asked for is in it: %d of %d; words, median %d" % (named, len(heroes), sorted(len(t.split()) for t in told)[len(told) // 2]))
    print("story without it:", [h for h, t in zip(heroes, told) if h not in t.lower()])


def report_dialogs(model):
    for dialog in DIALOGS:
        messages = []
        print()
        for user in dialog:
            messages.append(("user", user))
            answer = model.chat([messages], 260)[0]
            messages.append(("assistant", answer))
            print("> %s\n%s" % (user, answer))


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument("model")
    args.add_argument("--count", type=int, default=300, help="sums of each kind")
    o = args.parse_args()
    model = Model(o.model)
    report_sums(model, o.count)
    report_weir(model)
    report_unseen(model)
    report_facts(model)
    report_stories(model)
    report_dialogs(model)


if __name__ == "__main__":
    main()
