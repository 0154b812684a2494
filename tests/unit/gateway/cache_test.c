// REQ: LIMIT-4
// Tapes and the cache that holds them: told again as they were, no more memory than is said, the
// least recently used go first.
#include "gateway/cache.h"
#include "support/unit.h"

#define ENTRY_TEXT 1000

static const struct gateway_cache options = {
    .enabled = true, .ttl_ms = 1000, .bytes_max = 64 << 10, .entry_bytes_max = 16 << 10};

static void key_of(uint64_t n, uint8_t out[static CACHE_KEY_BYTES])
{
    memset(out, 0, CACHE_KEY_BYTES);
    memcpy(out + 8, &n, sizeof n); // all in one chain
}

static struct tape *told(size_t text_bytes)
{
    static char text[1 << 20];
    struct tape *t = tape_new(1 << 22);
    struct exchange_event e = {.type = EXCHANGE_EVENT_BEGIN, .seeded = true, .seed = 7};
    memset(text, 'x', sizeof text);
    assert_int_equal(tape_add(t, &e), ERR_OK);
    e = (struct exchange_event){.type = EXCHANGE_EVENT_TEXT, .text = {text, text_bytes}};
    assert_int_equal(tape_add(t, &e), ERR_OK);
    e = (struct exchange_event){.type = EXCHANGE_EVENT_END, .usage = {.prompt_tokens = 3}};
    assert_int_equal(tape_add(t, &e), ERR_OK);
    return t;
}

static void put(struct cache *c, uint64_t n, size_t text_bytes, uint64_t now_ms)
{
    uint8_t key[CACHE_KEY_BYTES];
    struct tape *t = told(text_bytes);
    key_of(n, key);
    cache_put(c, key, t, now_ms);
    cache_settle(c, key, t);
    tape_release(t);
}

static bool has(struct cache *c, uint64_t n, uint64_t now_ms)
{
    uint8_t key[CACHE_KEY_BYTES];
    key_of(n, key);
    return cache_find(c, key, now_ms);
}

static void a_tape_tells_what_it_was_told(void **state)
{
    (void)state;
    float numbers[] = {1.5f, -2};
    struct exchange_event e = {
        .type = EXCHANGE_EVENT_CALL, .call_index = 2, .call = {.id = STR("c1"), .name = STR("f")}};
    struct exchange_event embedding = {
        .type = EXCHANGE_EVENT_EMBEDDING, .embedding = numbers, .embedding_len = 2};
    struct exchange_event end = {.type = EXCHANGE_EVENT_END};
    struct tape *t = tape_new(1 << 16);
    struct tape_listener early = {.at = 0}, late = {.at = 0};
    struct exchange_event heard;
    assert_false(tape_next(t, &early, &heard));
    assert_int_equal(tape_add(t, &e), ERR_OK);
    assert_true(tape_next(t, &early, &heard));
    assert_true(str_eq(heard.call.id, STR("c1")) && str_eq(heard.call.name, STR("f")));
    assert_int_equal(heard.call_index, 2);
    assert_int_equal(tape_add(t, &embedding), ERR_OK);
    assert_int_equal(tape_add(t, &end), ERR_OK);
    assert_true(tape_next(t, &late, &heard));
    assert_true(tape_next(t, &late, &heard));
    assert_int_equal(heard.embedding_len, 2);
    assert_memory_equal(heard.embedding, numbers, sizeof numbers);
    assert_true(tape_next(t, &late, &heard));
    assert_int_equal(heard.type, EXCHANGE_EVENT_END);
    assert_false(tape_next(t, &late, &heard));
    assert_int_equal(tape_state(t), TAPE_ENDED);
    tape_release(t);
}

static void a_tape_begins_anew_only_while_nobody_has_heard_it(void **state)
{
    (void)state;
    struct tape *t = tape_new(1 << 16);
    struct tape_listener l = {.at = 0};
    struct exchange_event e = {.type = EXCHANGE_EVENT_TEXT, .text = STR("a")}, heard;
    tape_listen(t, &l);
    assert_int_equal(tape_add(t, &e), ERR_OK);
    assert_true(tape_restart(t));
    assert_false(tape_next(t, &l, &heard));
    assert_int_equal(tape_add(t, &e), ERR_OK);
    assert_true(tape_next(t, &l, &heard));
    assert_false(tape_restart(t));
    tape_leave(t, &l);
    tape_release(t);
}

static void a_tape_that_is_too_long_fails(void **state)
{
    (void)state;
    struct tape *t = tape_new(4096);
    struct exchange_event e = {.type = EXCHANGE_EVENT_TEXT, .text = STR("0123456789abcdef")};
    enum err last = ERR_OK;
    for (int i = 0; i < 1000 && last == ERR_OK; i++)
        last = tape_add(t, &e);
    assert_int_equal(last, ERR_LIMIT);
    assert_int_equal(tape_state(t), TAPE_FAILED);
    tape_release(t);
}

static void memory_is_bounded_and_the_least_used_go_first(void **state)
{
    (void)state;
    struct cache c;
    cache_init(&c, &options);
    for (uint64_t n = 0; n < 1000; n++) {
        put(&c, n, ENTRY_TEXT, 0);
        assert_true(has(&c, 0, 0)); // used all the time
        assert_true(c.bytes <= (size_t)options.bytes_max);
    }
    assert_true(c.len > 10);
    assert_false(has(&c, 1, 0));
    assert_true(has(&c, 999, 0));
    assert_true(has(&c, 998, 0));
    cache_done(&c);
    assert_int_equal(c.bytes, 0);
}

static void what_is_too_large_or_too_old_or_failed_is_not_told(void **state)
{
    (void)state;
    struct cache c;
    uint8_t key[CACHE_KEY_BYTES];
    cache_init(&c, &options);
    put(&c, 1, 20 << 10, 0);
    assert_false(has(&c, 1, 0));
    put(&c, 2, 10, 100);
    assert_true(has(&c, 2, 1099));
    assert_false(has(&c, 2, 1100));
    struct tape *t = tape_new(1 << 16);
    key_of(3, key);
    cache_put(&c, key, t, 0);
    assert_true(has(&c, 3, 999999)); // it is being made
    tape_fail(t);
    cache_settle(&c, key, t);
    assert_false(has(&c, 3, 0));
    tape_release(t);
    assert_int_equal(c.len, 0);
    cache_done(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tape_tells_what_it_was_told),
        cmocka_unit_test(a_tape_begins_anew_only_while_nobody_has_heard_it),
        cmocka_unit_test(a_tape_that_is_too_long_fails),
        cmocka_unit_test(memory_is_bounded_and_the_least_used_go_first),
        cmocka_unit_test(what_is_too_large_or_too_old_or_failed_is_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
