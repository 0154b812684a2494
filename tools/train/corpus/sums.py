"""Small numbers: sums and differences with their steps, counting, comparing, before and after."""

from grammar import article, expand

ONES = "zero one two three four five six seven eight nine ten eleven twelve".split()
NAMES = "Anna Ben Carla David Emma Frank Grace Henry Ivy Jack Kate Leo Mia Noah Olivia Paul Rosa Sam Tina Tom".split()
THINGS = "apples books coins pens cookies marbles stamps flowers cards balls shells pears stones eggs".split()


def held_out(a, b):
    """One pair in ten is never trained on, in either order, so that a test asks what was not seen."""
    low, high = min(a, b), max(a, b)
    mixed = (low * 100 + high) * 2654435761 % 2**32 >> 16  # Knuth's multiplicative hash: no digit may decide
    return mixed % 10 == 3


def number(rng):
    top = rng.choice((10, 20, 50, 100, 100, 100))
    return rng.randrange(top)


def pair(rng, op):
    while True:
        a, b = number(rng), number(rng)
        if op == "-" and a < b:
            a, b = b, a
        if not held_out(a, b):
            return a, b


def worked(a, b, op):
    """The answer, by way of the tens and then the ones where both matter: easy steps, each a short look-up."""
    result = a + b if op == "+" else a - b
    end = "%d %s %d = %d" % (a, op, b, result)
    tens, ones = b // 10 * 10, b % 10
    if not tens or not ones or a < 10:
        return end + "."
    middle = a + tens if op == "+" else a - tens
    return "%d %s %d = %d, %d %s %d = %d, so %s." % (a, op, tens, middle, middle, op, ones, result, end)


PLUS = (
    "What is {a} + {b}?",
    "What is {a} + {b}?",
    "What is {a} plus {b}?",
    "{a} + {b}",
    "{a}+{b}",
    "{a} + {b} = ?",
    "{a}+{b}=?",
    "{a} plus {b}",
    "[Calculate|Compute|Work out] {a} + {b}[.|]",
    "Add {a} and {b}[.|]",
    "[Can you|Please|Could you] add {a} and {b}?",
    "What do you get when you add {a} and {b}?",
    "How much is {a} [plus|+] {b}?",
    "What's {a} [plus|+] {b}?",
    "What is the sum of {a} and {b}?",
    "[Tell me|Do you know] what {a} [plus|+] {b} is[.|]",
)
MINUS = (
    "What is {a} - {b}?",
    "What is {a} - {b}?",
    "What is {a} minus {b}?",
    "{a} - {b}",
    "{a}-{b}",
    "{a} - {b} = ?",
    "{a} minus {b}",
    "[Calculate|Compute|Work out] {a} - {b}[.|]",
    "[Subtract|Take] {b} from {a}[.|]",
    "How much is {a} [minus|-] {b}?",
    "What's {a} [minus|-] {b}?",
    "What is {a} take away {b}?",
)


def ask_sum(rng):
    op = "+" if rng.random() < 0.68 else "-"
    a, b = pair(rng, op)
    question = expand(rng, rng.choice(PLUS if op == "+" else MINUS), {"a": a, "b": b})
    return question, worked(a, b, op)


def ask_story_sum(rng):
    op = rng.choice("+-")
    a, b = pair(rng, op)
    while a < 2 or b < 2 or (op == "-" and a == b):
        a, b = pair(rng, op)
    one, two = rng.sample(NAMES, 2)
    things = rng.choice(THINGS)
    f = {"a": a, "b": b, "one": one, "two": two, "things": things}
    if op == "+":
        q = expand(rng, "{one} has {a} {things}[ and gets {b} more|. {two} gives {one} {b} more]. How many {things} does {one} have now?", f)
        return q, "%s %s now has %d %s." % (worked(a, b, op), one, a + b, things)
    q = expand(rng, "{one} has {a} {things} and gives {b} [away|to {two}]. How many {things} [are left|does {one} have left]?", f)
    return q, "%s %s has %d %s left." % (worked(a, b, op), one, a - b, things)


def ask_compare(rng):
    a, b = number(rng), number(rng)
    while a == b:
        b = number(rng)
    kind = rng.randrange(4)
    if kind == 0:
        word = rng.choice(("bigger", "larger", "greater"))
        question = "Which %s %s, %d or %d?" % (rng.choice(("is", "number is")), word, a, b)
        return question, "%d is %s than %d." % (max(a, b), word, min(a, b))
    if kind == 1:
        return "Which %sis smaller, %d or %d?" % (rng.choice(("", "number ")), a, b), "%d is smaller than %d." % (min(a, b), max(a, b))
    if kind == 2:
        return "Is %d %s than %d?" % (a, rng.choice(("bigger", "more", "greater")), b), (
            "Yes, %d is more than %d." if a > b else "No, %d is less than %d."
        ) % (a, b)
    return "Is %d %s than %d?" % (a, rng.choice(("smaller", "less")), b), (
        "Yes, %d is less than %d." if a < b else "No, %d is more than %d."
    ) % (a, b)


def ask_neighbour(rng):
    n = rng.randrange(1, 100)
    if rng.random() < 0.5:
        return expand(rng, "What [number |]comes after %d?" % n), "After %d comes %d." % (n, n + 1)
    return expand(rng, "What [number |]comes before %d?" % n), "Before %d comes %d." % (n, n - 1)


def ask_count(rng):
    low = rng.choice((1, 1, 1, 1, rng.randrange(2, 40)))
    high = low + rng.randrange(2, 13)
    step = 1
    question = expand(rng, "[Can you count|Count|Please count] from %d to %d[.|]" % (low, high))
    if low == 1 and rng.random() < 0.5:
        question = expand(rng, "[Can you count|Count|Please count] to %d[.|]" % high)
    return question, ", ".join(str(n) for n in range(low, high + 1, step)) + "."


def ask_even(rng):
    n = rng.randrange(100)
    kind = rng.choice(("even", "odd"))
    is_kind = "even" if n % 2 == 0 else "odd"
    return "Is %d %s number?" % (n, article(kind)), "%s, %d is %s." % ("Yes" if kind == is_kind else "No", n, is_kind)


def ask_word_number(rng):
    a, b = rng.randrange(11), rng.randrange(11)
    while held_out(a, b):
        a, b = rng.randrange(11), rng.randrange(11)
    if rng.random() < 0.5:
        return "What is %s plus %s?" % (ONES[a], ONES[b]), "%d + %d = %d." % (a, b, a + b)
    a, b = max(a, b), min(a, b)
    return "What is %s minus %s?" % (ONES[a], ONES[b]), "%d - %d = %d." % (a, b, a - b)


def ask_small_times(rng):
    a, b = rng.randrange(11), rng.randrange(11)
    return expand(rng, "[What is %d times %d?|What is %d x %d?|%d x %d|%d * %d]" % ((a, b) * 4)), "%d x %d = %d." % (a, b, a * b)


def ask(rng):
    dice = rng.random()
    if dice < 0.74:
        return ask_sum(rng)
    if dice < 0.80:
        return ask_story_sum(rng)
    return rng.choice((ask_compare, ask_neighbour, ask_count, ask_even, ask_word_number, ask_small_times))(rng)
