// Schemas, regular expressions, GBNF and choices as outsiders write them: the first byte is the
// kind. What compiles never comes to a dead end, and all that it lets be said it takes again.
// REQ: ENG-8
#include "base/buf.h"
#include "base/random.h"
#include "engine/grammar/grammar.h"
#include "support/grammar_words.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ramble(struct automaton *a, uint64_t seed)
{
    enum { TOKENS_MAX = 40 };
    struct random r;
    struct buf out;
    random_seed(&r, seed);
    buf_init(&out, 1 << 20);
    if (grammar_ramble(a, &r, TOKENS_MAX, &out))
        ASSERT(grammar_fits(a, buf_str(&out)));
    else
        ASSERT(grammar_begins(a, buf_str(&out)));
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct token_trie trie;
    struct automaton *a;
    struct diag d;
    if (!trie.len)
        grammar_words_trie(&trie);
    if (size < 1 || size > 2000)
        return 0;
    const struct grammar_part part = {.kind = (enum grammar_kind)(data[0] % GRAMMAR_KINDS),
                                      .text = str_slice((const char *)data + 1, size - 1),
                                      .before = STR("<"),
                                      .after = STR(">")};
    if (grammar_compile(&part, 1, &trie, &a, &d) != ERR_OK)
        return 0;
    ramble(a, size);
    automaton_free(a);
    return 0;
}
