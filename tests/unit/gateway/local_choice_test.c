// REQ: API-1 API-2 ENG-7
// One job's events to exchange events: a score goes out with the text that its token is part of,
// what a stop string swallowed is never scored, an echo's offsets count characters.
#include <math.h>
#include <stdio.h>

#include "gateway/local_internal.h"
#include "models/models.h"
#include "support/unit.h"

static struct engine *engine;
static struct engine_model *model;
static int32_t letter, control;

static int32_t token_of(const char *text)
{
    struct engine_tokens t;
    assert_int_equal(engine_tokenize(model, str_of(text), false, true, &t), ERR_OK);
    assert_int_equal(t.len, 1);
    int32_t id = t.ids[0];
    engine_tokens_done(&t);
    return id;
}

static int load(void **state)
{
    (void)state;
    struct engine_options o;
    struct engine_model_options mo = {.name = "m", .image = models_bundled_gguf()};
    engine_options_default(&o);
    o.threads = 1;
    assert_int_equal(engine_new(&o, &engine, NULL), ERR_OK);
    assert_int_equal(engine_model_load(engine, &mo, &model, NULL), ERR_OK);
    char eos[64];
    str name = engine_model_info(model)->eos_text;
    snprintf(eos, sizeof eos, STR_FMT, STR_ARG(name));
    letter = token_of("a");
    control = token_of(eos);
    return 0;
}

static int unload(void **state)
{
    (void)state;
    engine_free(engine);
    return 0;
}

struct fixture {
    struct exchange_request request;
    struct local_prompt prompt;
    struct local_plan plan;
    struct local_choice choice;
    struct exchange_events queue;
};

static void fixture_init(struct fixture *f, enum exchange_kind kind, const char *echo)
{
    memset(f, 0, sizeof *f);
    exchange_request_init(&f->request, kind);
    f->request.logprobs = true;
    f->request.echo = echo != NULL;
    f->prompt.echo = str_of(echo);
    f->plan.prompts = &f->prompt;
    f->plan.len = 1;
    local_choice_init(&f->choice, 0, &f->request, &f->plan);
}

static void fixture_done(struct fixture *f)
{
    local_choice_done(&f->choice);
    exchange_events_done(&f->queue);
}

static void feed(struct fixture *f, struct engine_event e)
{
    local_choice_feed(&f->choice, model, &e, &f->queue);
}

static void token_with(struct fixture *f, int32_t id, const char *piece, const char *text)
{
    feed(f, (struct engine_event){.type = ENGINE_TOKEN,
                                  .token = id,
                                  .piece = str_of(piece),
                                  .text = str_of(text),
                                  .logprob = -1});
}

static void token(struct fixture *f, const char *piece, const char *text)
{
    token_with(f, letter, piece, text);
}

static void end(struct fixture *f, const char *text, const char *stop)
{
    feed(f, (struct engine_event){.type = ENGINE_ENDED,
                                  .finish = ENGINE_FINISH_STOP,
                                  .text = str_of(text),
                                  .stop_matched = str_of(stop)});
}

// The next event must be text, of these tokens' pieces joined by '|'.
static void expect_text(struct fixture *f, const char *text, const char *pieces)
{
    struct exchange_event e;
    struct buf joined;
    buf_init(&joined, 4096);
    assert_true(exchange_events_pop(&f->queue, &e));
    assert_int_equal(e.type, EXCHANGE_EVENT_TEXT);
    for (size_t i = 0; i < e.tokens_len; i++)
        (void)buf_printf(&joined, "%s" STR_FMT, i ? "|" : "", STR_ARG(e.tokens[i].bytes));
    assert_true(str_eq(e.text, str_of(text)));
    assert_string_equal(buf_cstr(&joined), pieces);
    buf_done(&joined);
}

static void expect_nothing(struct fixture *f)
{
    struct exchange_event e;
    assert_false(exchange_events_pop(&f->queue, &e));
}

static void expect_finish(struct fixture *f, enum exchange_finish finish)
{
    struct exchange_event e;
    assert_true(exchange_events_pop(&f->queue, &e));
    assert_int_equal(e.type, EXCHANGE_EVENT_FINISH);
    assert_int_equal(e.finish, finish);
    expect_nothing(f);
}

static void each_token_goes_with_its_text(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    token(&f, "Hel", "Hel");
    expect_text(&f, "Hel", "Hel");
    token(&f, "lo", "lo");
    expect_text(&f, "lo", "lo");
    end(&f, "", NULL);
    expect_finish(&f, EXCHANGE_FINISH_STOP);
    fixture_done(&f);
}

static void the_parts_of_a_character_go_out_with_it(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    token(&f, "\xf0\x9f", "");
    expect_nothing(&f);
    token(&f, "\x99", "");
    expect_nothing(&f);
    token(&f, "\x82!", "\xf0\x9f\x99\x82!");
    expect_text(&f, "\xf0\x9f\x99\x82!", "\xf0\x9f|\x99|\x82!");
    end(&f, "", NULL);
    expect_finish(&f, EXCHANGE_FINISH_STOP);
    fixture_done(&f);
}

static void a_control_token_stands_for_no_text(void **state)
{
    (void)state;
    struct fixture f;
    struct exchange_event e;
    fixture_init(&f, EXCHANGE_COMPLETION, NULL);
    token(&f, "ab", "ab");
    expect_text(&f, "ab", "ab");
    token_with(&f, control, "<|end|>", "");
    token(&f, "c", "c");
    assert_true(exchange_events_pop(&f.queue, &e));
    assert_int_equal(e.tokens_len, 2);
    assert_int_equal(e.tokens[0].text_offset, 2);
    assert_int_equal(e.tokens[1].text_offset, 2);
    assert_true(str_eq(e.text, STR("c")));
    fixture_done(&f);
}

static void what_a_stop_string_swallowed_is_not_scored(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    token(&f, "abc", "ab"); // "c" may begin the stop string "cde"
    expect_text(&f, "ab", "");
    token(&f, "d", "");
    expect_nothing(&f);
    token(&f, "ef", "");
    expect_nothing(&f);
    end(&f, "", "cde");
    expect_text(&f, "", "abc"); // a part of it was shown
    expect_finish(&f, EXCHANGE_FINISH_STOP);
    fixture_done(&f);
}

static void what_was_held_back_in_vain_is_scored_after_all(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    token(&f, "ab", "");
    token(&f, "c", "");
    expect_nothing(&f);
    end(&f, "abc", NULL);
    expect_text(&f, "abc", "ab|c");
    expect_finish(&f, EXCHANGE_FINISH_STOP);
    fixture_done(&f);
}

static void prompt_token(struct fixture *f, const char *piece, uint32_t offset)
{
    struct exchange_event e;
    feed(f, (struct engine_event){.type = ENGINE_PROMPT_TOKEN,
                                  .piece = str_of(piece),
                                  .logprob = f->choice.prompt_tokens ? -1 : NAN});
    assert_true(exchange_events_pop(&f->queue, &e));
    assert_int_equal(e.tokens_len, 1);
    assert_true(str_eq(e.tokens[0].bytes, str_of(piece)));
    assert_int_equal(e.tokens[0].text_offset, offset);
    assert_int_equal(e.tokens[0].scored, f->choice.prompt_tokens > 1);
}

static void an_echo_has_offsets_in_characters(void **state)
{
    (void)state;
    struct fixture f;
    struct exchange_event e;
    fixture_init(&f, EXCHANGE_COMPLETION, "Once über");
    feed(&f, (struct engine_event){.type = ENGINE_STARTED});
    expect_text(&f, "Once über", "");
    prompt_token(&f, "<s>", 0);   // a control token covers nothing
    prompt_token(&f, " Once", 0); // the tokenizer's own leading blank
    prompt_token(&f, " \xc3", 4); // half a character
    prompt_token(&f, "\xbc", 6);  // its other half begins no character
    prompt_token(&f, "ber", 6);
    feed(&f, (struct engine_event){.type = ENGINE_TOKEN,
                                   .token = letter,
                                   .piece = STR(" a"),
                                   .text = STR(" a"),
                                   .logprob = -1});
    assert_true(exchange_events_pop(&f.queue, &e));
    assert_int_equal(e.tokens[0].text_offset, 9);
    fixture_done(&f);
}

static struct exchange_event next(struct fixture *f, enum exchange_event_type type)
{
    struct exchange_event e;
    assert_true(exchange_events_pop(&f->queue, &e));
    assert_int_equal(e.type, type);
    return e;
}

static void a_stop_string_is_named_when_it_was_asked_for(void **state)
{
    (void)state;
    static str stops[] = {{"END", 3}};
    struct fixture f;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    f.request.stops = stops;
    f.request.stops_len = 1;
    end(&f, "", "END");
    assert_true(str_eq_z(next(&f, EXCHANGE_EVENT_FINISH).stop_matched, "END"));
    end(&f, "", "<|im_end|>"); // the template's own
    assert_int_equal(next(&f, EXCHANGE_EVENT_FINISH).stop_matched.len, 0);
    fixture_done(&f);
}

static void a_turn_with_calls_ends_as_such_even_when_the_last_is_not_closed(void **state)
{
    (void)state;
    struct fixture f;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    f.request.logprobs = false;
    local_choice_done(&f.choice);
    f.plan.tools = CHAT_TOOLS_HERMES;
    local_choice_init(&f.choice, 0, &f.request, &f.plan);
    token(&f, "x", "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>");
    assert_true(str_eq_z(next(&f, EXCHANGE_EVENT_CALL).call.name, "f"));
    next(&f, EXCHANGE_EVENT_ARGUMENTS);
    token(&f, "x", "<tool_call>{\"name\":\"g\",\"arguments\":{\"a\":1}}");
    assert_true(str_eq_z(next(&f, EXCHANGE_EVENT_CALL).call.name, "g"));
    assert_true(str_eq_z(next(&f, EXCHANGE_EVENT_ARGUMENTS).text, "{\"a\":1}"));
    expect_nothing(&f);
    end(&f, "", NULL);
    expect_finish(&f, EXCHANGE_FINISH_TOOL_CALLS);
    fixture_done(&f);
}

static void a_failure_is_an_error_with_its_reason(void **state)
{
    (void)state;
    struct fixture f;
    struct exchange_event e;
    fixture_init(&f, EXCHANGE_CHAT, NULL);
    struct engine_event failed = {.type = ENGINE_ENDED, .finish = ENGINE_FINISH_ERROR};
    diag_set(&failed.error, ERR_TIMEOUT, "too late");
    feed(&f, failed);
    assert_true(exchange_events_pop(&f.queue, &e));
    assert_int_equal(e.type, EXCHANGE_EVENT_ERROR);
    assert_int_equal(e.error->code, API_TIMEOUT);
    assert_string_equal(e.error->message, "too late");
    fixture_done(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_token_goes_with_its_text),
        cmocka_unit_test(the_parts_of_a_character_go_out_with_it),
        cmocka_unit_test(a_control_token_stands_for_no_text),
        cmocka_unit_test(what_a_stop_string_swallowed_is_not_scored),
        cmocka_unit_test(what_was_held_back_in_vain_is_scored_after_all),
        cmocka_unit_test(an_echo_has_offsets_in_characters),
        cmocka_unit_test(a_stop_string_is_named_when_it_was_asked_for),
        cmocka_unit_test(a_turn_with_calls_ends_as_such_even_when_the_last_is_not_closed),
        cmocka_unit_test(a_failure_is_an_error_with_its_reason),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
