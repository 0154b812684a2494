// REQ: API-5 API-6
// Whatever order events come in, blocks come out one at a time and whole: nothing is lost, doubled
// or put into another block, and what need not wait does not.
#include "dialect/blocks.h"
#include "support/events.h"
#include "support/unit.h"

struct seen {
    struct buf log;
    bool is_open;
    uint32_t opened;
};

static void on_open(void *ctx, const struct block *b)
{
    static const char *const names[] = {"think", "text", "call"};
    struct seen *s = ctx;
    assert_false(s->is_open);
    assert_int_equal(b->index, s->opened++);
    s->is_open = true;
    (void)buf_printf(&s->log, "%s" STR_FMT "%s(", names[b->type], STR_ARG(b->name),
                     b->redacted ? "!" : "");
}

static void on_grow(void *ctx, const struct block *b, str text)
{
    struct seen *s = ctx;
    assert_true(s->is_open && b->index + 1 == s->opened && text.len > 0);
    (void)buf_append_str(&s->log, text);
}

static void on_sign(void *ctx, const struct block *b)
{
    struct seen *s = ctx;
    assert_true(s->is_open && b->type == BLOCK_THINKING && b->signature.len > 0);
    (void)buf_append_str(&s->log, STR("#"));
}

static void on_close(void *ctx, const struct block *b)
{
    struct seen *s = ctx;
    assert_true(s->is_open && b->index + 1 == s->opened);
    s->is_open = false;
    (void)buf_append_str(&s->log, STR(") "));
}

static const struct block_sink sink = {on_open, on_grow, on_sign, on_close};

struct bench {
    struct seen seen;
    struct blocks blocks;
};

static void bench_init(struct bench *b, enum blocks_keep keep, size_t bytes_max)
{
    *b = (struct bench){0};
    buf_init(&b->seen.log, 1 << 20);
    blocks_init(&b->blocks, &sink, &b->seen, keep, bytes_max);
}

static void bench_done(struct bench *b)
{
    blocks_done(&b->blocks);
    buf_done(&b->seen.log);
}

static void text(struct bench *b, const char *s)
{
    blocks_feed(&b->blocks,
                &(struct exchange_event){.type = EXCHANGE_EVENT_TEXT, .text = str_of(s)});
}

static void call(struct bench *b, uint32_t index, const char *name)
{
    blocks_feed(&b->blocks,
                &(struct exchange_event){.type = EXCHANGE_EVENT_CALL,
                                         .call_index = index,
                                         .call = {.id = STR("i"), .name = str_of(name)}});
}

static void arguments(struct bench *b, uint32_t index, const char *s)
{
    blocks_feed(&b->blocks, &(struct exchange_event){.type = EXCHANGE_EVENT_ARGUMENTS,
                                                     .call_index = index,
                                                     .text = str_of(s)});
}

static void expect(struct bench *b, const char *log)
{
    assert_string_equal(buf_cstr(&b->seen.log), log);
}

static void interleaved_calls_come_one_after_the_other(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, BLOCKS_KEEP_NONE, 1 << 20);
    text(&b, "hm");
    call(&b, 0, "A");
    arguments(&b, 0, "{\"x\":");
    call(&b, 1, "B");
    arguments(&b, 1, "{\"y\"");
    expect(&b, "text(hm) callA({\"x\":");
    arguments(&b, 0, "1}");
    expect(&b, "text(hm) callA({\"x\":1}) callB({\"y\"");
    arguments(&b, 1, ":2}");
    text(&b, "done");
    blocks_finish(&b.blocks);
    expect(&b, "text(hm) callA({\"x\":1}) callB({\"y\":2}) text(done) ");
    bench_done(&b);
}

static void a_call_without_arguments_waits_for_the_end_only_when_others_do(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, BLOCKS_KEEP_NONE, 1 << 20);
    call(&b, 0, "A");
    call(&b, 1, "B");
    arguments(&b, 1, "{}");
    expect(&b, "callA(");
    blocks_finish(&b.blocks);
    expect(&b, "callA() callB({}) ");
    bench_done(&b);
}

static void a_seal_without_thoughts_is_a_block_of_its_own(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, BLOCKS_KEEP_NONE, 1 << 20);
    struct exchange_event e = {.type = EXCHANGE_EVENT_THINKING, .signature = STR("s")};
    blocks_feed(&b.blocks, &e);
    e.text = STR("so");
    blocks_feed(&b.blocks, &e);
    blocks_finish(&b.blocks);
    expect(&b, "think!() think(so#) ");
    bench_done(&b);
}

static void what_it_may_hold_is_bounded(void **state)
{
    (void)state;
    struct bench b;
    bench_init(&b, BLOCKS_KEEP_ALL, 4096);
    for (int i = 0; i < 1000 && !b.blocks.failed; i++)
        text(&b, "0123456789");
    assert_true(b.blocks.failed);
    bench_done(&b);
}

// The events' own fold: text and thoughts joined, arguments by call.
static void fold(const struct events *e, enum exchange_event_type type, uint32_t index,
                 struct buf *out)
{
    for (size_t i = 0; i < e->len; i++)
        if (e->items[i].type == type && e->items[i].call_index == index)
            (void)buf_append_str(out, e->items[i].text);
}

static void same(const struct blocks *b, const struct events *e, enum block_type type,
                 enum exchange_event_type from, uint32_t index)
{
    struct buf want, got;
    buf_init(&want, 1 << 20);
    buf_init(&got, 1 << 20);
    fold(e, from, index, &want);
    for (size_t i = 0; i < b->len; i++)
        if (b->items[i]->type == type && b->items[i]->call_index == index)
            (void)buf_append_str(&got, buf_str(&b->items[i]->text));
    // Blanks behind complete arguments may be left out.
    assert_true(str_eq(str_trim(buf_str(&got)), str_trim(buf_str(&want))));
    buf_done(&want);
    buf_done(&got);
}

static void any_order_gives_whole_blocks(void **state)
{
    (void)state;
    static struct events e;
    for (uint32_t seed = 0; seed < 5000; seed++) {
        struct bench b;
        bench_init(&b, BLOCKS_KEEP_ALL, 1 << 20);
        events_draw(&e, seed);
        for (size_t i = 0; i < e.len; i++) {
            blocks_feed(&b.blocks, &e.items[i]);
            if (e.items[i].type == EXCHANGE_EVENT_FINISH)
                blocks_finish(&b.blocks);
        }
        assert_false(b.seen.is_open || b.blocks.failed);
        same(&b.blocks, &e, BLOCK_TEXT, EXCHANGE_EVENT_TEXT, 0);
        same(&b.blocks, &e, BLOCK_THINKING, EXCHANGE_EVENT_THINKING, 0);
        for (uint32_t k = 0; k < e.calls; k++)
            same(&b.blocks, &e, BLOCK_CALL, EXCHANGE_EVENT_ARGUMENTS, k);
        bench_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(interleaved_calls_come_one_after_the_other),
        cmocka_unit_test(a_call_without_arguments_waits_for_the_end_only_when_others_do),
        cmocka_unit_test(a_seal_without_thoughts_is_a_block_of_its_own),
        cmocka_unit_test(what_it_may_hold_is_bounded),
        cmocka_unit_test(any_order_gives_whole_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
