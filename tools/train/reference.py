"""An independent reader and forward pass of the bundled model: numpy only, written for clearness, not speed.

read_gguf(path) -> (metadata, tensors as float32); Tokenizer and Model work on those. Used to measure the model
and by the tests; it shares no code with the engine or the trainer.
"""

import re
import struct

import numpy as np

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
# GPT-2's pattern for ASCII text, which is all that the model was trained on
PIECES = re.compile(r"'s|'t|'re|'ve|'m|'ll|'d| ?[A-Za-z\u0080-\uffff]+| ?[0-9]+| ?[^\sA-Za-z0-9\u0080-\uffff]+|\s+(?!\S)|\s+")


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, form):
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self):
        n = self.scalar("<Q")
        self.at += n
        return self.data[self.at - n : self.at].decode("utf8")

    def value(self, kind):
        if kind == 8:
            return self.text()
        if kind == 9:
            item, count = self.scalar("<I"), self.scalar("<Q")
            return [self.value(item) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def tensor(data, at, kind, shape):
    count = int(np.prod(shape))
    if kind == 0:
        return np.frombuffer(data, np.float32, count, at).reshape(shape)
    if kind == 8:
        blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("q", "i1", 32)]), count // 32, at)
        return (blocks["q"].astype(np.float32) * blocks["scale"].astype(np.float32)[:, None]).reshape(shape)
    raise ValueError("tensor type %d is not read here" % kind)


def read_gguf(path):
    with open(path, "rb") as f:
        data = f.read()
    r = Reader(data)
    if data[:4] != b"GGUF":
        raise ValueError("not a GGUF file")
    r.at = 4
    version, tensors, keys = r.scalar("<I"), r.scalar("<Q"), r.scalar("<Q")
    if version != 3:
        raise ValueError("GGUF version %d" % version)
    meta = {}
    for _ in range(keys):
        key = r.text()
        meta[key] = r.value(r.scalar("<I"))
    heads = []
    for _ in range(tensors):
        name = r.text()
        shape = [r.scalar("<Q") for _ in range(r.scalar("<I"))][::-1]
        heads.append((name, shape, r.scalar("<I"), r.scalar("<Q")))
    align = meta.get("general.alignment", 32)
    start = (r.at + align - 1) // align * align
    return meta, {name: tensor(data, start + offset, kind, shape) for name, shape, kind, offset in heads}


def byte_characters():
    """GPT-2's map from bytes to printable characters."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, extra = {}, 0
    for b in range(256):
        if b in plain:
            table[b] = chr(b)
        else:
            table[b] = chr(256 + extra)
            extra += 1
    return table


class Tokenizer:
    def __init__(self, meta):
        self.tokens = meta["tokenizer.ggml.tokens"]
        self.ids = {t: i for i, t in enumerate(self.tokens)}
        self.rank = {tuple(m.split(" ")): i for i, m in enumerate(meta["tokenizer.ggml.merges"])}
        self.specials = [t for t, k in zip(self.tokens, meta["tokenizer.ggml.token_type"]) if k == 3]
        self.split = re.compile("(" + "|".join(re.escape(s) for s in self.specials) + ")")
        self.of_byte = byte_characters()
        self.of_char = {c: b for b, c in self.of_byte.items()}

    def piece(self, text):
        parts = [self.of_byte[b] for b in text.encode("utf8")]
        while len(parts) > 1:
            rank, i = min((self.rank.get(p, 1 << 30), i) for i, p in enumerate(zip(parts, parts[1:])))
            if rank == 1 << 30:
                break
            parts[i : i + 2] = [parts[i] + parts[i + 1]]
        return [self.ids[p] for p in parts]

    def encode(self, text):
        out = []
        for part in self.split.split(text):
            if part in self.specials:
                out.append(self.ids[part])
            else:
                for piece in PIECES.findall(part):
                    out += self.piece(piece)
        return out

    def decode(self, ids):
        raw = b""
        for i in ids:
            t = self.tokens[i]
            raw += t.encode() if t in self.specials else bytes(self.of_char[c] for c in t)
        return raw.decode("utf8", "replace")


class Model:
    """quantise: round what goes into each matrix to Q8_0 too, as the engine does; else f32."""

    def __init__(self, path, quantise=False):
        self.quantise = quantise
        self.meta, self.tensors = read_gguf(path)
        self.tokenizer = Tokenizer(self.meta)
        self.layers = self.meta["gpt2.block_count"]
        self.heads = self.meta["gpt2.attention.head_count"]
        self.width = self.meta["gpt2.embedding_length"]
        self.ctx = self.meta["gpt2.context_length"]
        self.eps = self.meta["gpt2.attention.layer_norm_epsilon"]
        self.end = self.meta["tokenizer.ggml.eos_token_id"]

    def product(self, x, name):
        if self.quantise:
            blocks = x.reshape(len(x), -1, 32)
            scale = np.abs(blocks).max(-1, keepdims=True) / np.float32(127)
            whole = np.rint(blocks / np.where(scale > 0, scale, 1))
            x = (whole * scale).reshape(x.shape).astype(np.float32)
        return x @ self.tensors[name + ".weight"].T

    def linear(self, x, name):
        return self.product(x, name) + self.tensors[name + ".bias"]

    def norm(self, x, name):
        mean = x.mean(-1, keepdims=True)
        var = ((x - mean) ** 2).mean(-1, keepdims=True)
        return (x - mean) / np.sqrt(var + self.eps) * self.tensors[name + ".weight"] + self.tensors[name + ".bias"]

    def step(self, ids, position, cache):
        """Logits after one token of each sequence; all sequences stand at the same position."""
        batch, size = len(ids), self.width // self.heads
        x = self.tensors["token_embd.weight"][ids] + self.tensors["position_embd.weight"][position]
        for i in range(self.layers):
            blk = "blk.%d." % i
            qkv = self.linear(self.norm(x, blk + "attn_norm"), blk + "attn_qkv").reshape(batch, 3, self.heads, size)
            cache[i, 0, :, :, position], cache[i, 1, :, :, position] = qkv[:, 1], qkv[:, 2]
            keys, values = cache[i, 0, :, :, : position + 1], cache[i, 1, :, :, : position + 1]
            score = np.einsum("bhd,bhtd->bht", qkv[:, 0], keys) / np.sqrt(np.float32(size))
            score = np.exp(score - score.max(-1, keepdims=True))
            score /= score.sum(-1, keepdims=True)
            mixed = np.einsum("bht,bhtd->bhd", score, values).reshape(batch, self.width)
            x = x + self.linear(mixed, blk + "attn_output")
            up = self.linear(self.norm(x, blk + "ffn_norm"), blk + "ffn_up")
            up = 0.5 * up * (1 + np.tanh(np.float32(0.7978845608) * (up + np.float32(0.044715) * up**3)))
            x = x + self.linear(up, blk + "ffn_down")
        return self.product(self.norm(x, "output_norm"), "token_embd")

    def loss(self, documents, batch=64):
        """Mean loss (nats) of each token given those before it, in documents cut to the context."""
        total, count = 0.0, 0
        for at in range(0, len(documents), batch):
            docs = [d[: self.ctx + 1] for d in documents[at : at + batch] if len(d) > 1]
            longest = max(map(len, docs)) - 1
            cache = self.new_cache(len(docs), longest)
            for position in range(longest):
                ids = [d[position] if position + 1 < len(d) else 0 for d in docs]
                logits = self.step(np.array(ids), position, cache)
                logits -= logits.max(-1, keepdims=True)
                norm = np.log(np.exp(logits).sum(-1))
                for b, d in enumerate(docs):
                    if position + 1 < len(d):
                        total += float(norm[b] - logits[b, d[position + 1]])
                        count += 1
        return total / count

    def new_cache(self, batch, positions):
        return np.zeros((self.layers, 2, batch, self.heads, positions, self.width // self.heads), np.float32)

    def generate(self, prompts, max_tokens=100, temperature=0.0, seed=0):
        """prompts: lists of ids. Returns the new ids of each, without the end mark."""
        rng = np.random.default_rng(seed)
        batch, longest = len(prompts), max(map(len, prompts))
        total = min(self.ctx, longest + max_tokens)
        cache = self.new_cache(batch, total)
        out, done, last = [[] for _ in prompts], [False] * batch, [0] * batch
        for position in range(total):
            ids = [p[position] if position < len(p) else last[b] for b, p in enumerate(prompts)]
            logits = self.step(np.array(ids), position, cache)
            for b, p in enumerate(prompts):
                if position + 1 < len(p) or done[b]:
                    continue
                last[b] = self.choose(logits[b], temperature, rng)
                done[b] = last[b] == self.end or len(out[b]) >= max_tokens
                if not done[b]:
                    out[b].append(last[b])
            if all(done):
                break
        return out

    @staticmethod
    def choose(logits, temperature, rng):
        if temperature <= 0:
            return int(logits.argmax())
        p = np.exp((logits - logits.max()).astype(np.float64) / temperature)
        return int(rng.choice(len(p), p=p / p.sum()))

    def chat(self, conversations, max_tokens=100, temperature=0.0, seed=0):
        """conversations: lists of (role, content). Returns the assistant's next words in each."""
        prompts = [self.tokenizer.encode(chat_text(c)) for c in conversations]
        return [self.tokenizer.decode(ids) for ids in self.generate(prompts, max_tokens, temperature, seed)]


def chat_text(messages):
    turns = "".join("<|im_start|>%s\n%s<|im_end|>\n" % m for m in messages)
    return turns + "<|im_start|>assistant\n"
