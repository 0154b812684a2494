"""Small grammar for text: "[a|b|c]" picks one, nested as one likes; "{name}" is filled from a dictionary."""

import re

INNER = re.compile(r"\[([^\[\]]*)\]")


def expand(rng, text, fields=None):
    while True:
        text, n = INNER.subn(lambda m: rng.choice(m.group(1).split("|")), text)
        if not n:
            break
    if fields:
        text = re.sub(r"\{(\w+)\}", lambda m: str(fields[m.group(1)]), text)
    return text


def article(noun):
    return ("an " if noun[0].lower() in "aeiou" else "a ") + noun


def capital(text):
    return text[:1].upper() + text[1:]


SYSTEM = (
    "You are a helpful assistant.",
    "You are a helpful assistant.",
    "You are a friendly assistant.",
    "You are weir-tiny, a small model that runs inside weir.",
    "You are a helpful, honest and friendly assistant.",
    "You are a helpful AI assistant. Answer briefly.",
    "Be brief.",
    "Answer in a friendly way.",
)


def as_typed(rng, text):
    """People type in many ways: lower case, no final mark, a please."""
    dice = rng.random()
    if dice < 0.10:
        text = text.lower()
    if rng.random() < 0.15:
        text = text.rstrip(".?!") or text
    if rng.random() < 0.03 and text.endswith((".", "?", "!")) and len(text) > 6:
        text = text[:-1] + ", please" + text[-1]
    return text


def chat(rng, turns, system=None):
    """turns: (user, assistant) pairs. A system turn comes first now and then, as clients send one."""
    if system is None and rng.random() < 0.12:
        system = rng.choice(SYSTEM)
    out = "<|im_start|>system\n%s<|im_end|>\n" % system if system else ""
    return out + "\n".join(
        "<|im_start|>user\n%s<|im_end|>\n<|im_start|>assistant\n%s<|im_end|>" % pair for pair in turns
    )
