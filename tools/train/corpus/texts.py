"""Public texts with clean licences, cut into documents. See README.md for each source and its licence."""

import csv
import glob
import os
import re

NAMES = "Lily Tim Tom Sue Sam Ben Max Mia Anna Jack Lucy Bob Spot Fluffy Timmy Tommy Billy Sara Sarah Emma Mary Jane Jill Jim Joe John Amy Benny Bobby Daisy Ellie Fred Jimmy Jenny Kitty Lila Leo Lisa Mark Molly Nemo Peter Rex Rosie Sally Sammy Susie Tina Tweety Whiskers Buddy Kim Nick Polly Mimi Momo Bella Alice Anne Dan Sophie Zoe".split()
# Children's books whose authors died long ago; all published before 1928.
BOOKS = ("Aesop", "Beatrix Potter", "Carlo Collodi", "Edith Nesbit", "Hans Christian Andersen", "J. M. Barrie", "Johanna Spyri", "Kenneth Grahame", "L. Frank Baum", "Lewis Carroll", "The Brothers Grimm")


def plain(text):
    for a, b in (("\r", ""), ("\u2019", "'"), ("\u2018", "'"), ("\u201c", '"'), ("\u201d", '"'), ("\u2014", " - "), ("\u2013", "-"), ("--", " - "), ("\u2026", "..."), ("\xa0", " "), ("\u00e9", "e"), ("\u00e8", "e"), ("\u00e6", "ae"), ("\u0153", "oe"), ("\u00fc", "u"), ("\u00f6", "o"), ("\u00e4", "a")):
        text = text.replace(a, b)
    text = re.sub(r"[*_]", "", text)
    return text.encode("ascii", "ignore").decode()


def join_lines(text):
    text = re.sub(r"(?<=\S)\n(?=\S)", " ", text)
    text = re.sub(r"[ \t]+", " ", text)
    return re.sub(r"\n\s*\n+", "\n", text)


def with_capitals(text):
    """The lower-cased head of TinyStories, written as one writes."""
    text = re.sub(r"(^|[.!?\n]\s*\"?\s*|\" ?(?=[a-z])|, \"|: \")([a-z])", lambda m: m.group(1) + m.group(2).upper() if not m.group(1) == '" ' else m.group(0), text)
    text = re.sub(r"\bi\b", "I", text)
    text = re.sub(r"\b(%s)\b" % "|".join(n.lower() for n in NAMES if n not in ("Mark", "Spot", "Max", "Rex", "Bob", "Nick", "Daisy", "Rosie", "Buddy", "Kitty", "Fluffy", "Sue", "Whiskers")), lambda m: m.group(1).capitalize(), text)
    for m in set(re.findall(r"\bnamed ([a-z]+)", text)):
        text = re.sub(r"\b%s\b" % m, m.capitalize(), text)
    return text


def story_split(text):
    """Stories follow one another without a mark: a new one starts where a paragraph opens like a story."""
    start = re.compile(r"^(once upon a time|one day, (a|there|two|in)\b|once there was|there was once|there once was|a long time ago|long ago)", re.I)
    story = []
    for paragraph in re.split(r"\n+", text):
        paragraph = paragraph.strip()
        if not paragraph:
            continue
        if start.match(paragraph) and story and len(" ".join(story)) > 250:
            yield "\n\n".join(story)
            story = []
        story.append(paragraph)


def tiny_stories(root):
    cased = open(os.path.join(root, "tinystories-1M/tiny_stories.txt"), encoding="utf8", errors="ignore").read()
    lower = open(os.path.join(root, "tinystories-4M/tinystories.txt"), encoding="utf8", errors="ignore").read()
    seen = set()
    for source, fix in ((cased, str), (lower, with_capitals)):
        for text in story_split(plain(source)):
            key = re.sub(r"\W", "", text.lower())[:120]
            if key in seen or not 150 < len(text) < 1700 or text[-1] not in ".!?\"":
                continue
            seen.add(key)
            yield fix(text)


def chunks(text, size=1300):
    piece = ""
    for paragraph in text.split("\n"):
        piece += paragraph.strip() + "\n"
        if len(piece) > size - 300:
            if len(piece) < size + 500:
                yield piece.strip()
            piece = ""


def books(root):
    for author in BOOKS:
        for path in sorted(glob.glob(os.path.join(root, "classic-books", author, "*.md"))):
            text = join_lines(plain(open(path, encoding="utf8", errors="ignore").read()))
            lines = [x for x in text.split("\n") if not x.startswith(("#", "---"))]
            yield from chunks("\n".join(lines))


def fairy_tales(root):
    for path in sorted(glob.glob(os.path.join(root, "fairytaleqa/data-by-train-split/section-stories/all/*.csv"))):
        with open(path, encoding="utf8", errors="ignore", newline="") as f:
            text = "\n".join(join_lines(plain(r["text"])) for r in csv.DictReader(f) if r.get("text"))
        yield from chunks(text)


def fables(root):
    text = open(os.path.join(root, "classic-books/Aesop/Aesop's Fables.md"), encoding="utf8").read()
    for m in re.finditer(r"## ([A-Z][A-Z ,'\-]+)\n+(.*?)(?=\n## |\Z)", text, re.S):
        title = m.group(1).title().replace("'S", "'s").replace(" And ", " and ").replace(" The ", " the ")
        body = join_lines(plain(m.group(2))).strip()
        if 80 < len(body) < 1500:
            yield title[0].lower() + title[1:], body


def chatterbot(root):
    """Greetings and small talk of the ChatterBot corpus; files on other subjects are not for a small model."""
    for name in ("greetings", "conversations"):
        path = os.path.join(root, "chatterbot-corpus/chatterbot_corpus/data/english/%s.yml" % name)
        talk = []
        for line in open(path, encoding="utf8"):
            if line.startswith("- - "):
                if len(talk) > 1:
                    yield talk[: len(talk) // 2 * 2]
                talk = [plain(line[4:].strip().strip("'\""))]
            elif line.startswith("  - "):
                talk.append(plain(line[4:].strip().strip("'\"")))
