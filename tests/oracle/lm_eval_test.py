"""What a harness that is not ours measures of weir: lm-eval's local-completions over SmolLM2-135M-Instruct, as the quantised
file and as a folder of its dequantised weights, beside the same harness over transformers with those weights; and beside our
own sum of the same scores.

Not part of `make test`: run by `make test-oracle`, which installs all of it. The data are the first documents of LAMBADA,
HellaSwag and WikiText-2 (how many: $WEIR_LM_EVAL_DOCUMENTS), read from files; nothing is asked of a hub."""
# REQ: API-2 ENG-13

import bz2
import json
import math
import os
import re
import sys
import tempfile
import unittest
from pathlib import Path

import gguf
import lm_eval
import tokenizers
import transformers
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.models.openai_completions import LocalCompletionsAPI

sys.path.insert(0, str(Path(__file__).parent.parent / "api"))
import harness  # noqa: E402

MODEL = harness.SOURCE / "build" / "models" / "smollm2.gguf"
DOCUMENTS = int(os.environ.get("WEIR_LM_EVAL_DOCUMENTS", "40"))
TASKS = {
    "weir_lambada": {"output_type": "loglikelihood", "doc_to_text": "{{text.split(' ')[:-1]|join(' ')}}",
                     "doc_to_target": "{{' '+text.split(' ')[-1]}}",
                     "metric_list": [{"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False},
                                     {"metric": "acc", "aggregation": "mean", "higher_is_better": True}]},
    "weir_hellaswag": {"output_type": "multiple_choice", "doc_to_text": "{{query}}", "doc_to_target": "{{label}}",
                       "doc_to_choice": "choices",
                       "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True},
                                       {"metric": "acc_norm", "aggregation": "mean", "higher_is_better": True}]},
    "weir_wikitext": {"output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
                      "metric_list": [{"metric": "word_perplexity", "aggregation": "weighted_perplexity", "higher_is_better": False},
                                      {"metric": "byte_perplexity", "aggregation": "weighted_perplexity",
                                       "higher_is_better": False}]},
}  # fmt: skip


def hellaswag():
    """The task's own form: a query, four endings, which of them is right; six lines an item."""
    lines = bz2.decompress(harness.data("data", "hellaswag", "hellaswag_val_full.txt.bz2").read_bytes()).decode().split("\n")
    for at in range(0, 6 * DOCUMENTS, 6):
        yield {"query": lines[at], "label": int(lines[at + 1]), "choices": lines[at + 2 : at + 6]}


def lambada():
    lines = harness.data("data", "lambada", "lambada_test.jsonl").read_text().split("\n")
    return [{"text": json.loads(line)["text"]} for line in lines[:DOCUMENTS]]


def wikitext():
    """The first articles, cut at the end of a paragraph."""
    text = harness.data("data", "wikitext2", "wikitext2-raw-test.hfjoin.txt").read_text()
    articles = re.split(r"\n(?= = [^=])", text)[1:]
    for article in articles[: max(DOCUMENTS // 8, 3)]:
        yield {"text": article[: article.find("\n", 1500)].strip()}


def made_tasks(folder):
    documents = {"weir_lambada": lambada(), "weir_hellaswag": hellaswag(), "weir_wikitext": wikitext()}
    for name, task in TASKS.items():
        path = folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(d) + "\n" for d in documents[name]))
        yield {"task": name, "dataset_path": "json", "test_split": "test",
               "dataset_kwargs": {"data_files": {"test": str(path)}}, **task}  # fmt: skip


def evaluate(folder, model):
    tasks = {task["task"]: ConfigurableTask(config=task) for task in made_tasks(folder)}
    found = lm_eval.evaluate(model, tasks, bootstrap_iters=500, log_samples=True)
    return found["results"], found["samples"]


def tokenizer_of(path):
    """SmolLM2's own, put together from the file's vocabulary: what transformers makes of a GGUF file leaves out that digits
    stand alone."""
    fields = gguf.GGUFReader(path).fields
    tokens = fields["tokenizer.ggml.tokens"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    kinds = fields["tokenizer.ggml.token_type"].contents()
    made = tokenizers.Tokenizer(tokenizers.models.BPE({t: i for i, t in enumerate(tokens)}, merges))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([
        tokenizers.pre_tokenizers.Digits(individual_digits=True),
        tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)])  # fmt: skip
    made.decoder = tokenizers.decoders.ByteLevel()
    made.add_special_tokens([t for t, kind in zip(tokens, kinds) if kind == gguf.TokenType.CONTROL])
    bos, eos = (tokens[fields[f"tokenizer.ggml.{word}_token_id"].contents()] for word in ("bos", "eos"))
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, bos_token=bos, eos_token=eos)


def over_weir(folder, model):
    with harness.Server(["--model", str(model)]) as server:
        scores = own_lambada(server)
        found = evaluate(folder, LocalCompletionsAPI(
            model="default", base_url=f"{server.url}/v1/completions", num_concurrent=4, max_length=2048,
            tokenizer_backend="remote"))  # fmt: skip
    return scores, *found


def own_lambada(server):
    """The last words' scores as we sum them: texts, echoed."""
    scores = []
    for document in lambada():
        answer = server.post("/v1/completions", {
            "model": "default", "prompt": document["text"], "echo": True, "logprobs": 0, "max_tokens": 0}).json()
        found = answer["choices"][0]["logprobs"]
        last = document["text"].rindex(" ")
        scores.append(sum(p for p, at in zip(found["token_logprobs"], found["text_offset"]) if at >= last))
    return scores


def error_over_documents(samples, metric):
    """Of a weighted perplexity, for which lm-eval states none: by leaving out one document after the other."""
    pairs = [s[metric] for s in samples]
    without = [math.exp(-sum(q[0] for q in pairs if q is not p) / sum(q[1] for q in pairs if q is not p)) for p in pairs]
    mean, n = sum(without) / len(without), len(without)
    return math.sqrt((n - 1) / n * sum((w - mean) ** 2 for w in without))


FIGURES = (("weir_lambada", "acc"), ("weir_lambada", "perplexity"), ("weir_hellaswag", "acc"), ("weir_hellaswag", "acc_norm"),
           ("weir_wikitext", "word_perplexity"), ("weir_wikitext", "byte_perplexity"))  # fmt: skip


class Harness(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="weir-lm-eval-")
        folder, dequantised = Path(cls.folder.name), Path(cls.folder.name, "f32")
        os.environ["HF_DATASETS_CACHE"] = str(folder / "cache")
        source = {"pretrained_model_name_or_path": str(MODEL.parent), "gguf_file": MODEL.name}
        model = transformers.AutoModelForCausalLM.from_pretrained(**source)
        tokenizer = tokenizer_of(MODEL)
        model.save_pretrained(dequantised, safe_serialization=True)
        tokenizer.save_pretrained(dequantised)
        cls.beside = evaluate(folder, HFLM(pretrained=model, tokenizer=tokenizer, batch_size=8, device="cpu",
                                           max_length=2047))  # fmt: skip
        cls.ours, *cls.f32 = over_weir(folder, dequantised)
        _, *cls.quantised = over_weir(folder, MODEL)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def compare(self, what, weir, tolerance):
        for task, metric in FIGURES:
            one, other = (r[0][task][f"{metric},none"] for r in (weir, self.beside))
            error = self.beside[0][task].get(f"{metric}_stderr,none")
            if not isinstance(error, float):
                error = error_over_documents(self.beside[1][task], metric)
            print(f"{what}, {task} {metric}: weir {one:.5g}, transformers {other:.5g}, standard error {error:.2g}")
            self.assertLessEqual(abs(one - other), tolerance(other, error), (what, task, metric))

    def test_the_same_weights_in_f32_give_the_same_figures(self):
        self.compare("f32", self.f32, lambda value, _: 1e-3 * value)

    def test_the_quantised_file_is_within_the_standard_error(self):
        """Of transformers over the dequantised weights: what 8-bit activations and an f16 cache change."""
        self.compare("quantised", self.quantised, lambda _, error: error)

    def test_single_scores(self):
        for what, weir, most in (("f32", self.f32, 1e-3), ("quantised", self.quantised, 1.0)):
            pairs = [(a["filtered_resps"][0], b["filtered_resps"][0])
                     for a, b in zip(weir[1]["weir_lambada"], self.beside[1]["weir_lambada"])]  # fmt: skip
            differences = sorted(abs(float(a[0]) - float(b[0])) for a, b in pairs)
            same = sum(bool(a[1]) == bool(b[1]) for a, b in pairs)
            print(f"{what}, lambada, score of the last word: {differences[len(pairs) // 2]:.1e} apart in the median, "
                  f"{differences[-1]:.1e} at most; greedy alike in {same} of {len(pairs)}")
            self.assertLess(differences[len(pairs) // 2], most)

    def test_lm_eval_reads_the_very_scores_that_we_sum(self):
        by_lm_eval = [float(s["filtered_resps"][0][0]) for s in self.f32[1]["weir_lambada"]]
        different = [abs(a - b) for a, b in zip(by_lm_eval, self.ours)]
        print(f"lambada, lm-eval beside our own sum: {max(different):.1e} apart at most")
        self.assertLess(max(different), 1e-9)


if __name__ == "__main__":
    unittest.main(verbosity=2)
