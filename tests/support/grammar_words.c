#include "support/grammar_words.h"

#include "base/buf.h"
#include "base/random.h"

const char *const grammar_words[] = {
    "{\"",   "\":", "\": ", "\",",      "\", \"",   "\"}",   "\"}}",  "},",   "}, {", "[{\"",
    "}]",    "]}",  "true", "false",    "null",     "name",  "the",   " the", "a\"",  "\\\"",
    "\\u00", "é",   "ü\"",  "\xE2\x82", "\x82\xAC", "12",    "2024-", "-01",  "0.",   "ab",
    "abc",   "aaa", "e+",   " ",        "\n  ",     "\": {", "\": [", "10",   ",",    "\"",
};

static char bytes[256];

str grammar_word(uint32_t token)
{
    if (token >= 256)
        return str_of(grammar_words[token - 256]);
    bytes[token] = (char)token;
    return str_slice(&bytes[token], 1);
}

void grammar_words_trie(struct token_trie *ret)
{
    str texts[GRAMMAR_TOKENS];
    _Static_assert(sizeof grammar_words / sizeof *grammar_words == GRAMMAR_WORDS, "as many");
    for (uint32_t i = 0; i < GRAMMAR_TOKENS; i++)
        texts[i] = grammar_word(i);
    token_trie_init(ret, texts, GRAMMAR_TOKENS);
}

bool grammar_begins(struct automaton *a, str text)
{
    return automaton_feed(a, automaton_start(a), text) != AUTOMATON_DEAD;
}

bool grammar_fits(struct automaton *a, str text)
{
    uint32_t state = automaton_feed(a, automaton_start(a), text);
    return state != AUTOMATON_DEAD && automaton_accepts(a, state);
}

static uint32_t nth_allowed(const uint64_t *mask, uint64_t n)
{
    for (uint32_t i = 0; i < GRAMMAR_TOKENS; i++)
        if (mask[i / 64] >> (i % 64) & 1 && n-- == 0)
            return i;
    return GRAMMAR_TOKENS;
}

static uint64_t count_allowed(const uint64_t *mask)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < GRAMMAR_TOKENS; i++)
        n += mask[i / 64] >> (i % 64) & 1;
    return n;
}

bool grammar_ramble(struct automaton *a, struct random *r, size_t tokens_max, struct buf *out)
{
    uint32_t state = automaton_start(a);
    for (size_t i = 0; i < tokens_max; i++) {
        if (!automaton_goes_on(a, state))
            return automaton_accepts(a, state);
        if (automaton_accepts(a, state) && random_below(r, 4) == 0)
            return true;
        const uint64_t *mask = automaton_mask(a, &state);
        uint64_t n = count_allowed(mask);
        ASSERT(n > 0); // never a dead end
        str text = grammar_word(nth_allowed(mask, random_below(r, n)));
        (void)buf_append_str(out, text);
        state = automaton_feed(a, state, text);
        ASSERT(state != AUTOMATON_DEAD);
    }
    return false;
}
