// Real weights through the whole engine: the greedy text of stories260K is the one its author
// publishes, and the perplexity of stories260K and stories3M, from prompt log-probabilities, is
// what independent programs give. Skipped by name without the shared data.
//
// REQ: ENG-2 ENG-6 ENG-7
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/engine_client.h"
#include "support/shared_data.h"
#include "support/unit.h"

// karpathy/llama2.c, test_all.py: 200 tokens at temperature 0 from an empty prompt.
static const char greedy_text[] =
    "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. "
    "One day, she saw a big, red ball. She wanted to play with it, but it was too high.\n"
    "Lily's mom said, \"Lily, let's go to the park.\" Lily was sad and didn't know what to do. "
    "She said, \"I want to play with your ball, but I can't find it.\"\n"
    "Lily was sad and didn't know what to do. She said, \"I'm sorry, Lily. I didn't know what to "
    "do.\"\n"
    "Lily didn't want to help her mom, so she";

static const char *need(const char *path)
{
    const char *p = shared_data_path(path);
    if (!p) {
        print_message("skipped: %s is not there\n", path);
        skip();
    }
    return p;
}

static void test_greedy_text_is_the_published_one(void **state)
{
    (void)state;
    struct engine_options o = client_options();
    struct engine_model *m;
    struct engine *e = client_engine(&o, need("models/stories260K/stories260K-f32.gguf"), &m);
    struct engine_request r = client_request(NULL, 0, 200);
    r.prompt_text = STR("");
    struct client_job *c = client_run(m, r);
    assert_int_equal(c->text.len, sizeof greedy_text - 1);
    assert_memory_equal(buf_ptr(&c->text), greedy_text, sizeof greedy_text - 1);
    client_free(c);
    engine_free(e);
}

// As llama.cpp's perplexity program: windows of 256 tokens, each begun with bos, the second half
// scored, over the first 120000 bytes of a cased head of TinyStories.
static double perplexity(struct engine_model *m, str text)
{
    enum { WINDOW = 256, SCORED_FROM = 129 };
    struct engine_tokens t;
    assert_int_equal(engine_tokenize(m, text, true, false, &t), ERR_OK);
    double sum = 0;
    size_t n = 0;
    for (size_t at = 0; at + WINDOW <= t.len; at += WINDOW) {
        t.ids[at] = t.ids[0];
        struct engine_request r = client_request(t.ids + at, WINDOW, 0);
        r.prompt_logprobs = true;
        struct client_job *c = client_run(m, r);
        for (size_t i = SCORED_FROM; i < c->n_prompt; i++, n++)
            sum -= (double)c->prompt[i].logprob;
        client_free(c);
    }
    engine_tokens_done(&t);
    return exp(sum / (double)n);
}

static void check_perplexity(const char *model, double want, double within)
{
    const char *path = need("corpora/tinystories-1M/tiny_stories.txt");
    char text[120000];
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, sizeof text, f), sizeof text);
    fclose(f);
    struct engine_options o = client_options();
    o.step_tokens_max = 256;
    struct engine_model *m;
    struct engine *e = client_engine(&o, need(model), &m);
    double got = perplexity(m, str_slice(text, sizeof text));
    print_message("%s: perplexity %.4f, elsewhere %.3f\n", model, got, want);
    assert_true(fabs(got - want) <= within);
    engine_free(e);
}

// The figures of llama.cpp on the same files; it keeps K and V in f16 and rounds elsewhere when
// weights are quantised, so three digits are what can be asked for.
static void test_perplexity_is_what_others_find(void **state)
{
    (void)state;
    check_perplexity("models/stories260K/stories260K-f32.gguf", 5.86, 0.01);
    if (getenv("WEIR_TEST_EMULATED")) // minutes there; the digests hold it to these bits
        return;
    check_perplexity("models/stories3M/stories3M-f32.gguf", 8.041, 0.001);
    check_perplexity("models/stories3M/stories3M-q8_0.gguf", 8.045, 0.006);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy_text_is_the_published_one),
        cmocka_unit_test(test_perplexity_is_what_others_find),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
