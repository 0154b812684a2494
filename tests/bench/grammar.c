// What holding an answer to a form costs: the mask of each token, over a real vocabulary, beside
// the time of a decode step.
//   bench_grammar VOCABULARY.gguf [--step-ms MS] [--answers N]
// First: an answer whose states nobody has met; later: further answers by the same form. The masks
// are made, and applied to a row of logits, as the engine does. Tokens are drawn at random among
// those allowed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/format/model_file.h"
#include "engine/grammar/grammar.h"
#include "engine/text/tokenizer.h"

static const struct {
    const char *name;
    struct grammar_part part;
} forms[] = {
    {"person",
     {GRAMMAR_SCHEMA,
      STR("{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":40},"
          "\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":120},\"email\":{\"type\":"
          "\"string\",\"format\":\"email\"},\"likes\":{\"type\":\"array\",\"items\":{\"enum\":["
          "\"tea\",\"coffee\",\"milk\"]},\"maxItems\":3}},\"required\":[\"name\",\"age\",\"email\","
          "\"likes\"]}"),
      {0},
      {0}}},
    {"free text in JSON",
     {GRAMMAR_SCHEMA,
      STR("{\"type\":\"object\",\"properties\":{\"title\":{\"type\":\"string\"},\"body\":{\"type\":"
          "\"string\"}},\"required\":[\"title\",\"body\"]}"),
      {0},
      {0}}},
    {"counted text",
     {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"minLength\":200,\"maxLength\":400}"), {0}, {0}}},
    {"counted words",
     {GRAMMAR_SCHEMA,
      STR("{\"type\":\"string\",\"pattern\":\"^[A-Za-z0-9 ,.]{1,500}$\"}"),
      {0},
      {0}}},
    {"counted items",
     {GRAMMAR_SCHEMA,
      STR("{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":100},\"minItems\":5,"
          "\"maxItems\":200}"),
      {0},
      {0}}},
    {"short text",
     {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"minLength\":1,\"maxLength\":20}"), {0}, {0}}},
    {"long text", {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"maxLength\":10000}"), {0}, {0}}},
    {"hexadecimal", {GRAMMAR_REGEX, STR("[0-9a-f]{1,500}"), {0}, {0}}},
    {"base64", {GRAMMAR_REGEX, STR("([A-Za-z0-9+/]{4}){1,500}={0,2}"), {0}, {0}}},
    {"host name", {GRAMMAR_REGEX, STR("[a-z]{1,64}(\\.[a-z]{1,64}){0,8}"), {0}, {0}}},
    {"e-mail", {GRAMMAR_SCHEMA, STR("{\"type\":\"string\",\"format\":\"email\"}"), {0}, {0}}},
    {"tree",
     {GRAMMAR_SCHEMA,
      STR("{\"$ref\":\"#/$defs/"
          "n\",\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"number\"},"
          "\"l\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
          "n\"},{\"type\":\"null\"}]},\"r\":{\"anyOf\":[{\"$ref\":\"#/$defs/"
          "n\"},{\"type\":\"null\"}]}},\"required\":[\"v\",\"l\",\"r\"]}}}"),
      {0},
      {0}}},
    {"JSON mode", {GRAMMAR_JSON, {0}, {0}, {0}}},
    {"expression", {GRAMMAR_REGEX, STR("([A-Z][a-z]+ ){3,8}[0-9]{4}-[0-9]{2}-[0-9]{2}"), {0}, {0}}},
    {"arithmetic in GBNF",
     {GRAMMAR_GBNF,
      STR("root ::= (expr \"=\" ws num \"\\n\")+\nexpr ::= term ([-+*/] ws term)*\nterm ::= num | "
          "\"(\" ws expr \")\" ws\nnum ::= [0-9]{1,8} ws\nws ::= [ \\t]?\n"),
      {0},
      {0}}},
};

static struct token_trie trie;
static float *logits, *masked;
static uint64_t *allowed;
static volatile float sink;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t); // one thread, on a machine that others use, too
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static enum err read_vocabulary(const char *path, struct diag *d)
{
    struct model_file *f;
    struct tokenizer *t;
    struct buf all;
    ERR_TRY(model_file_open(path, &f, d));
    ERR_TRY(tokenizer_new(model_file_vocab(f), &t, d));
    uint32_t n = tokenizer_size(t);
    str *texts = mem_array(n, sizeof *texts);
    size_t *ends = mem_array((size_t)n + 1, sizeof *ends);
    buf_init(&all, SIZE_MAX);
    for (uint32_t i = 0; i < n; i++) {
        if (!tokenizer_is_control(t, (int32_t)i))
            ERR_TRY(tokenizer_piece(t, (int32_t)i, true, &all));
        ends[i + 1] = all.len;
    }
    for (uint32_t i = 0; i < n; i++)
        texts[i] = str_sub(buf_str(&all), ends[i], ends[i + 1] - ends[i]);
    double start = now();
    token_trie_init(&trie, texts, n);
    printf("%u tokens, a tree of %zu nodes in %.1f ms\n", n, trie.len, 1e3 * (now() - start));
    logits = mem_array(n, sizeof *logits);
    masked = mem_array(n, sizeof *masked);
    allowed = mem_array(token_mask_words(n), sizeof *allowed);
    mem_free(ends);
    mem_free(texts);
    buf_done(&all);
    tokenizer_free(t);
    model_file_free(f);
    return ERR_OK;
}

static str word(const char *bytes, size_t len)
{
    return str_slice(bytes, len);
}

// The text of a token, from the tree: its way down.
static char **words;
static uint16_t *lengths;

static void collect_words(void)
{
    char *path = mem_alloc((size_t)trie.depth_max + 1);
    words = mem_array(trie.n_tokens, sizeof *words);
    lengths = mem_array(trie.n_tokens, sizeof *lengths);
    for (size_t i = 0; i < trie.len; i++) {
        const struct trie_node *n = &trie.nodes[i];
        path[n->depth] = (char)n->byte;
        for (int32_t t = n->token; t >= 0; t = trie.also[t]) {
            words[t] = mem_strndup(path, (size_t)n->depth + 1);
            lengths[t] = (uint16_t)(n->depth + 1);
        }
    }
    mem_free(path);
}

static uint32_t draw(struct random *r)
{
    uint64_t n = 0;
    for (size_t w = 0; w < token_mask_words(trie.n_tokens); w++)
        n += (uint64_t)__builtin_popcountll(allowed[w]);
    ASSERT(n > 0);
    n = random_below(r, n);
    for (uint32_t i = 0;; i++)
        if (allowed[i / 64] >> (i % 64) & 1 && n-- == 0)
            return i;
}

struct cost {
    double total, worst;
    uint64_t tokens;
};

static void answer(struct automaton *a, struct random *r, struct cost *c)
{
    enum { TOKENS_MAX = 200 };
    uint32_t state = automaton_start(a);
    for (int i = 0; i < TOKENS_MAX && automaton_goes_on(a, state); i++) {
        double start = now();
        memcpy(allowed, automaton_mask(a, &state), token_mask_words(trie.n_tokens) * 8);
        token_mask_apply(allowed, logits, trie.n_tokens, masked);
        double spent = now() - start;
        sink = masked[trie.n_tokens / 2];
        uint32_t token = draw(r);
        start = now();
        state = automaton_feed(a, state, word(words[token], lengths[token]));
        spent += now() - start;
        c->total += spent;
        c->worst = spent > c->worst ? spent : c->worst;
        c->tokens++;
        if (automaton_accepts(a, state) && random_below(r, 8) == 0)
            return;
    }
}

static void print(const char *name, double compile, struct cost first, struct cost later,
                  size_t bytes, double step_ms)
{
    double a = 1e6 * first.total / (double)first.tokens,
           b = 1e6 * later.total / (double)later.tokens;
    printf("%-20s %8.2f %10.1f %9.1f %10.1f %9.1f %8.1f", name, 1e3 * compile, a, 1e6 * first.worst,
           b, 1e6 * later.worst, 1e-6 * (double)bytes);
    if (step_ms > 0)
        printf("   %5.2f %%  %5.2f %%", a / step_ms / 10, b / step_ms / 10);
    printf("\n");
}

int main(int argc, char **argv)
{
    const char *path = NULL;
    double step_ms = 0;
    size_t answers = 20;
    struct diag d = {0};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--step-ms") == 0)
            step_ms = strtod(next, NULL), i++;
        else if (strcmp(argv[i], "--answers") == 0)
            answers = strtoul(next, NULL, 10), i++;
        else
            path = argv[i];
    }
    if (!path || read_vocabulary(path, &d) != ERR_OK) {
        fprintf(stderr, "bench_grammar: %s\n",
                d.text[0] ? d.text : "a file with a vocabulary is needed");
        return 2;
    }
    collect_words();
    printf("%-20s %8s %10s %9s %10s %9s %8s%s\n", "form", "ms", "first us", "worst", "later us",
           "worst", "MB kept", step_ms > 0 ? "   of a step: first, later" : "");
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct automaton *a;
        struct random r;
        struct cost first = {0}, later = {0};
        double start = now();
        if (grammar_compile(&forms[i].part, 1, &trie, &a, &d) != ERR_OK) {
            fprintf(stderr, "bench_grammar: %s: %s\n", forms[i].name, d.text);
            return 1;
        }
        double compile = now() - start;
        random_seed(&r, i + 1);
        answer(a, &r, &first);
        for (size_t k = 1; k < answers; k++)
            answer(a, &r, &later);
        print(forms[i].name, compile, first, later, automaton_bytes(a), step_ms);
        automaton_free(a);
    }
    return 0;
}
