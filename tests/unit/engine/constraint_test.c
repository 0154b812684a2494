// Answers held to a grammar, on real forward passes of random models: they fit, they end, they are
// cut at their limit without harm; and they are the same, bit for bit, alone and together, with
// guesses and without, on one thread and two.
//
// REQ: ENG-6 ENG-8
#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "engine/constraint.h"
#include "support/engine_client.h"
#include "support/random_model.h"
#include "support/unit.h"

enum { REQUESTS = 24 };

static struct buf image;
static struct client_job *reference[REQUESTS];

static void make_model(const char *arch)
{
    struct random_model shape;
    random_model_tiny(arch, &shape);
    buf_done(&image);
    buf_init(&image, 64 << 20);
    random_model_image(&shape, &image);
}

static const char list_schema[] =
    "{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":"
    "99},"
    "\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"red\",\"green\",\"blue\"]},\"maxItems\":4}"
    ","
    "\"note\":{\"type\":\"string\",\"maxLength\":10}},\"required\":[\"id\",\"tags\",\"note\"]}";

static const struct grammar_part grammars[] = {
    {GRAMMAR_SCHEMA, {list_schema, sizeof list_schema - 1}, {0}, {0}},
    {GRAMMAR_REGEX, STR("([a-f]{3}-){2}(ä|€)+!"), {0}, {0}},
    {GRAMMAR_GBNF, STR("root ::= \"(\" root \")\" | [0-9]{1,3}"), {0}, {0}},
    {GRAMMAR_CHOICE, STR("[\"yes\",\"no\",\"perhaps\"]"), {0}, {0}},
};

// Greedy and drawn, with penalties and logprobs, four grammars.
static struct engine_request request(uint32_t i)
{
    static const int32_t prompt[] = {40, 41, 42, 43, 44, 45, 46, 47};
    struct engine_request r = client_request(prompt, 3 + i % 6, 180);
    r.grammar = &grammars[i % 4];
    r.grammar_len = 1;
    r.temperature = i % 3 ? 1.5f : 0;
    r.seed = i;
    r.top_k = i % 5 == 1 ? 20 : 0;
    r.top_p = i % 5 == 2 ? 0.9f : 1;
    r.frequency_penalty = i % 2 ? 0.3f : 0;
    r.repetition_penalty = i % 7 == 3 ? 1.2f : 1;
    r.logprobs = i % 2;
    r.top_logprobs = i % 2 ? 5 : 0;
    return r;
}

static bool fits_schema(str text)
{
    struct json_doc doc;
    int64_t id;
    if (json_parse(&doc, text, JSON_LIMITS_DEFAULT, NULL) != ERR_OK)
        return false;
    bool ok = yyjson_obj_size(doc.root) == 3 && json_is_int(json_get(doc.root, "id"), &id) &&
              id >= 1 && id <= 99 && yyjson_arr_size(json_get(doc.root, "tags")) <= 4 &&
              json_str(json_get(doc.root, "note")).ptr;
    json_done(&doc);
    return ok;
}

static void check_fit(const struct client_job *c, uint32_t i)
{
    str text = buf_str(&c->text);
    if (c->finish == ENGINE_FINISH_LENGTH) // a greedy random model may never close a bracket
        return;
    if (c->finish != ENGINE_FINISH_STOP)
        fail_msg("request %u: %s", i, c->error.text);
    bool fits = i % 4 == 0   ? fits_schema(text)
                : i % 4 == 1 ? str_ends(text, STR("!")) && text.ptr[3] == '-'
                : i % 4 == 2 ? text.ptr[0] == '(' || (text.ptr[0] >= '0' && text.ptr[0] <= '9')
                             : str_eq(text, STR("yes")) || str_eq(text, STR("no")) ||
                                   str_eq(text, STR("perhaps"));
    if (!fits)
        fail_msg("request %u: " STR_FMT, i, STR_ARG(text));
}

static uint32_t run_all(enum engine_speculation speculation, uint32_t threads, uint32_t together)
{
    struct engine_options o = client_options();
    o.threads = threads;
    o.sequences_max = together;
    const struct engine_model_options mo = {
        .name = "m", .image = buf_str(&image), .speculation = speculation};
    struct engine_model *m;
    struct engine *e = client_engine_of(&o, &mo, &m);
    uint32_t complete = 0;
    for (uint32_t i = 0; i < REQUESTS; i += together) {
        struct client_job *c[REQUESTS];
        for (uint32_t k = 0; k < together; k++)
            c[k] = client_start(m, request(i + k));
        assert_true(client_wait_all(c, together, 60000));
        for (uint32_t k = 0; k < together; k++) {
            check_fit(c[k], i + k);
            complete += c[k]->finish == ENGINE_FINISH_STOP;
            if (!reference[i + k]) {
                reference[i + k] = c[k];
                continue;
            }
            if (!client_same(reference[i + k], c[k]))
                fail_msg("request %u is not what it was alone", i + k);
            client_free(c[k]);
        }
    }
    engine_free(e);
    return complete;
}

static void check_model(const char *arch)
{
    make_model(arch);
    uint32_t complete = run_all(ENGINE_SPECULATION_OFF, 1, 1);
    assert_true(complete >= REQUESTS / 2);
    run_all(ENGINE_SPECULATION_OFF, 2, 8);
    run_all(ENGINE_SPECULATION_LOOKUP, 2, 1);
    run_all(ENGINE_SPECULATION_LOOKUP, 1, 6);
    for (size_t i = 0; i < REQUESTS; i++) {
        client_free(reference[i]);
        reference[i] = NULL;
    }
}

static void test_byte_level_vocabulary(void **state UNUSED)
{
    check_model("gpt2");
}

static void test_sentencepiece_vocabulary(void **state UNUSED)
{
    check_model("llama");
}

static struct engine *open_tiny(struct engine_model **ret)
{
    const struct engine_options o = client_options();
    const struct engine_model_options mo = {.name = "m", .image = buf_str(&image)};
    return client_engine_of(&o, &mo, ret);
}

// SentencePiece writes a blank before a text's first word: it is no part of the answer.
static void test_an_answer_that_begins_the_text(void **state UNUSED)
{
    struct engine_model *m;
    make_model("llama");
    struct engine *e = open_tiny(&m);
    struct engine_tokens bos;
    assert_int_equal(engine_tokenize(m, STR(""), true, false, &bos), ERR_OK);
    struct engine_request r = client_request(bos.ids, bos.len, 40);
    r.grammar = &grammars[3];
    r.grammar_len = 1;
    for (r.seed = 0, r.temperature = 2; r.seed < 20; r.seed++) {
        struct client_job *c = client_run(m, r);
        check_fit(c, 3);
        assert_int_equal(c->finish, ENGINE_FINISH_STOP);
        client_free(c);
    }
    engine_tokens_done(&bos);
    engine_free(e);
}

static void test_a_continued_answer_goes_on_within_it(void **state UNUSED)
{
    struct engine_model *m;
    make_model("gpt2");
    struct engine *e = open_tiny(&m);
    struct engine_request r = request(3);
    r.grammar_said = STR("per");
    struct client_job *c = client_run(m, r);
    assert_true(str_eq(buf_str(&c->text), STR("haps")));
    client_free(c);
    r.grammar_said = STR("pe");
    r.forced = STR("rh");
    c = client_run(m, r);
    assert_true(str_eq(buf_str(&c->text), STR("rhaps")));
    client_free(c);
    struct diag d;
    r.grammar_said = STR("maybe");
    c = client_run(m, r);
    assert_int_equal(c->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(c->error.code, ERR_INVALID);
    client_free(c);
    assert_int_equal(engine_grammar_check(m, &r, &d), ERR_INVALID);
    engine_free(e);
}

// Whoever submits may be a loop: what has to be compiled is compiled by another thread, also while
// a third one compiles for as long as that may take.
static void test_submitting_waits_for_no_grammar(void **state UNUSED)
{
    struct engine_model *m;
    make_model("gpt2");
    struct engine *e = open_tiny(&m);
    const struct grammar_part slow = {.kind = GRAMMAR_REGEX, .text = STR("((a|b){0,60}c?){0,500}")},
                              wrong = {.kind = GRAMMAR_REGEX, .text = STR("(a")};
    struct diag d;
    uint64_t begun = clock_mono_us();
    struct engine_request r = request(2);
    r.grammar = &slow;
    enum err fits = engine_grammar_check(m, &r, &d);
    uint64_t compiling_us = clock_mono_us() - begun;
    engine_free(e);
    assert_true(compiling_us > 2000); // else this shows nothing
    e = open_tiny(&m);
    begun = clock_mono_us();
    struct client_job *first = client_start(m, r);
    r.grammar = &wrong;
    struct client_job *second = client_start(m, r), *third = client_start(m, request(3));
    assert_true(clock_mono_us() - begun < compiling_us);
    assert_true(client_wait(first, 20000) && client_wait(second, 20000) &&
                client_wait(third, 20000));
    assert_int_equal(first->finish == ENGINE_FINISH_ERROR, fits != ERR_OK);
    assert_int_equal(second->finish, ENGINE_FINISH_ERROR);
    assert_int_equal(second->error.code, ERR_PARSE);
    assert_true(second->error.text[0] != 0);
    check_fit(third, 3);
    client_free(first);
    client_free(second);
    client_free(third);
    engine_free(e);
}

static void test_at_its_limit_it_is_cut(void **state UNUSED)
{
    struct engine_model *m;
    make_model("gpt2");
    struct engine *e = open_tiny(&m);
    const struct grammar_part json = {.kind = GRAMMAR_JSON};
    struct engine_request r = request(0);
    r.grammar = &json;
    r.tokens_max = 3;
    struct client_job *c = client_run(m, r);
    assert_true(c->text.len > 0 && buf_ptr(&c->text)[0] == '{');
    assert_true(c->finish == ENGINE_FINISH_LENGTH || c->text.len >= 2);
    assert_true(c->completion_tokens <= 3);
    client_free(c);
    engine_free(e);
}

// More different ones than are kept, then the first again: the same answers.
static void test_many_grammars(void **state UNUSED)
{
    struct engine_model *m;
    make_model("gpt2");
    struct engine *e = open_tiny(&m);
    struct engine_request r = request(1);
    for (uint32_t i = 0; i < 2 * (GRAMMARS_KEPT + 4); i++) {
        char expression[32];
        uint32_t n = i % (GRAMMARS_KEPT + 4) + 1;
        snprintf(expression, sizeof expression, "x{%u}", n);
        const struct grammar_part part = {.kind = GRAMMAR_REGEX, .text = str_of(expression)};
        r.grammar = &part;
        struct client_job *c = client_run(m, r);
        assert_int_equal(c->text.len, n);
        client_free(c);
    }
    engine_free(e);
}

static int tear_down(void **state UNUSED)
{
    buf_done(&image);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_byte_level_vocabulary),
        cmocka_unit_test(test_sentencepiece_vocabulary),
        cmocka_unit_test(test_an_answer_that_begins_the_text),
        cmocka_unit_test(test_a_continued_answer_goes_on_within_it),
        cmocka_unit_test(test_submitting_waits_for_no_grammar),
        cmocka_unit_test(test_at_its_limit_it_is_cut),
        cmocka_unit_test(test_many_grammars),
    };
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
