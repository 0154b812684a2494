// Paged K and V: counts, sharing by prefix, eviction, promises, one budget for several pools.
//
// REQ: ENG-3
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/random.h"
#include "engine/kv.h"
#include "support/unit.h"

enum { BIG = 1 << 18 }; // a block of whole pages, whatever their size

static struct kv_budget budget;
static struct kv *kv;

static void open_pool(uint64_t blocks)
{
    budget = (struct kv_budget){.bytes_max = blocks * 4096};
    assert_int_equal(kv_new(&budget, 4096, UINT64_MAX, &kv, NULL), ERR_OK);
}

static const int32_t *tokens_of(int32_t which)
{
    static int32_t t[8][KV_BLOCK_TOKENS];
    static int next;
    int32_t *at = t[next++ % 8];
    for (int32_t i = 0; i < KV_BLOCK_TOKENS; i++)
        at[i] = which * 100 + i;
    return at;
}

static uint32_t take(void)
{
    uint32_t b = UINT32_MAX;
    assert_true(kv_take(kv, &b));
    return b;
}

static void test_blocks_are_taken_and_given_back(void **state)
{
    (void)state;
    open_pool(3);
    assert_int_equal(kv_available(kv), 3);
    uint32_t a = take(), b = take(), c = take(), none;
    assert_true(a != b && b != c && a != c);
    assert_false(kv_take(kv, &none));
    assert_int_equal(kv_available(kv), 0);
    memset(kv_pool(kv) + c * (size_t)4096, 1, 4096);
    kv_drop(kv, b);
    assert_int_equal(kv_available(kv), 1);
    assert_int_equal(take(), b);
    kv_free(kv);
    assert_int_equal(budget.bytes_used, 0);
}

static void test_a_pool_without_room_is_refused(void **state)
{
    (void)state;
    budget = (struct kv_budget){.bytes_max = 100};
    struct diag d = {0};
    assert_int_equal(kv_new(&budget, 4096, UINT64_MAX, &kv, &d), ERR_LIMIT);
    assert_non_null(strstr(d.text, "one block"));
}

static void test_a_pool_takes_no_more_than_its_own_room(void **state)
{
    (void)state;
    uint32_t none;
    budget = (struct kv_budget){.bytes_max = 8 * 4096};
    assert_int_equal(kv_new(&budget, 4096, 4095, &kv, NULL), ERR_LIMIT);
    assert_int_equal(kv_new(&budget, 4096, 2 * 4096 + 1, &kv, NULL), ERR_OK);
    assert_int_equal(kv_available(kv), 2);
    assert_true(take() < 2 && take() < 2);
    assert_false(kv_take(kv, &none));
    kv_free(kv);
}

// Cached blocks cover what is promised: who adopts them leaves nothing, however much the budget
// has.
static void test_adopting_what_covers_promises_leaves_nothing(void **state)
{
    (void)state;
    uint32_t block, held;
    uint64_t serial;
    budget = (struct kv_budget){.bytes_max = 100 * 4096};
    assert_int_equal(kv_new(&budget, 4096, 4 * 4096, &kv, NULL), ERR_OK);
    uint64_t root = kv_new_serial(&budget);
    block = kv_publish(kv, take(), root, tokens_of(1), &serial);
    kv_drop(kv, block);
    held = take();
    kv_promise(kv, kv_available(kv));
    assert_true(kv_find(kv, root, tokens_of(1), &block, &serial));
    assert_int_equal(kv_available(kv), 0);
    kv_drop(kv, block);
    kv_drop(kv, held);
    kv_free(kv);
}

static void test_a_prefix_is_found_only_under_its_parent(void **state)
{
    (void)state;
    open_pool(8);
    uint64_t root = kv_new_serial(&budget), other_root = kv_new_serial(&budget), s1, s2, s;
    uint32_t a = take(), b = take(), found;
    assert_int_equal(kv_publish(kv, a, root, tokens_of(1), &s1), a);
    assert_int_equal(kv_publish(kv, b, s1, tokens_of(2), &s2), b);
    assert_true(kv_find(kv, root, tokens_of(1), &found, &s));
    assert_int_equal(found, a);
    assert_int_equal(s, s1);
    assert_true(kv_find(kv, s1, tokens_of(2), &found, &s));
    assert_int_equal(found, b);
    assert_false(kv_find(kv, root, tokens_of(2), &found, &s));
    assert_false(kv_find(kv, other_root, tokens_of(1), &found, &s));
    assert_false(kv_find(kv, s2, tokens_of(2), &found, &s));
    kv_free(kv);
}

static void test_the_same_content_is_kept_once(void **state)
{
    (void)state;
    open_pool(8);
    uint64_t root = kv_new_serial(&budget), s1, s2;
    uint32_t a = take(), b = take();
    kv_publish(kv, a, root, tokens_of(1), &s1);
    assert_int_equal(kv_publish(kv, b, root, tokens_of(1), &s2), a);
    assert_int_equal(s1, s2);
    assert_int_equal(kv_counts(kv).used, 1);
    kv_drop(kv, a);
    assert_int_equal(kv_counts(kv).used, 1);
    kv_drop(kv, a);
    assert_int_equal(kv_counts(kv).used, 0);
    assert_int_equal(kv_counts(kv).cached, 1);
    kv_free(kv);
}

static void test_the_least_recently_used_goes_first(void **state)
{
    (void)state;
    open_pool(3);
    uint64_t root = kv_new_serial(&budget), serial[3], s;
    uint32_t block[3], found;
    for (int32_t i = 0; i < 3; i++) {
        block[i] = take();
        kv_publish(kv, block[i], root, tokens_of(i), &serial[i]);
    }
    for (int32_t i = 0; i < 3; i++)
        kv_drop(kv, block[i]);
    assert_true(kv_find(kv, root, tokens_of(0), &found, &s)); // used again: now the newest
    kv_drop(kv, found);
    take();
    assert_true(kv_find(kv, root, tokens_of(0), &found, &s));
    assert_false(kv_find(kv, root, tokens_of(1), &found, &s));
    assert_true(kv_find(kv, root, tokens_of(2), &found, &s));
    kv_free(kv);
}

static void test_a_held_block_is_never_evicted(void **state)
{
    (void)state;
    open_pool(2);
    uint64_t root = kv_new_serial(&budget), s;
    uint32_t a = take(), found, none;
    kv_publish(kv, a, root, tokens_of(1), &s);
    take();
    assert_false(kv_take(kv, &none));
    assert_true(kv_find(kv, root, tokens_of(1), &found, &s));
    kv_free(kv);
}

static void test_promises_are_kept_from_others(void **state)
{
    (void)state;
    open_pool(4);
    kv_promise(kv, 3);
    assert_int_equal(kv_available(kv), 1);
    kv_unpromise(kv, 1);
    take();
    assert_int_equal(kv_available(kv), 1);
    kv_unpromise(kv, 2);
    assert_int_equal(kv_available(kv), 3);
    kv_free(kv);
}

static void test_pools_share_one_budget(void **state)
{
    (void)state;
    open_pool(4);
    struct kv *second;
    assert_int_equal(kv_new(&budget, 8192, UINT64_MAX, &second, NULL), ERR_OK);
    uint64_t root = kv_new_serial(&budget), s;
    uint32_t block[4], found;
    for (int32_t i = 0; i < 4; i++) {
        block[i] = take();
        kv_publish(kv, block[i], root, tokens_of(i), &s);
        memset(kv_pool(kv) + block[i] * (size_t)4096, 7, 4096);
    }
    assert_false(kv_take(second, &found));
    kv_promise(second, 0);
    assert_int_equal(kv_available(second), 0);
    kv_drop(kv, block[0]);
    kv_drop(kv, block[1]);
    assert_int_equal(kv_available(second), 1);
    kv_promise(second, 1);
    assert_int_equal(kv_available(kv), 0); // what is left is promised
    kv_unpromise(second, 1);
    assert_true(kv_take(second, &found)); // the first pool gave two blocks back
    assert_false(kv_find(kv, root, tokens_of(0), &found, &s));
    assert_true(kv_find(kv, root, tokens_of(2), &found, &s));
    assert_int_equal(kv_available(kv), 0);
    kv_drop(second, 0);
    assert_int_equal(kv_available(kv), 2);
    take();
    take();
    kv_free(second);
    kv_free(kv);
    assert_int_equal(budget.bytes_used, 0);
}

// How many of the block's pages are memory.
static size_t resident_pages(uint32_t block)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), n = 0;
    unsigned char there[4];
    assert_true(4 * page <= BIG);
    assert_int_equal(mincore(kv_pool(kv) + block * (size_t)BIG, 4 * page, there), 0);
    for (size_t i = 0; i < 4; i++)
        n += there[i] & 1;
    return n;
}

static void test_blocks_are_touched_ahead_of_use(void **state)
{
    (void)state;
    budget = (struct kv_budget){.bytes_max = (uint64_t)16 * BIG};
    assert_int_equal(kv_new(&budget, BIG, UINT64_MAX, &kv, NULL), ERR_OK);
    assert_int_equal(resident_pages(0), 0);
    for (int i = 0; i < 3; i++)
        assert_true(kv_touch_ahead(kv, 3));
    assert_false(kv_touch_ahead(kv, 3));
    assert_int_equal(budget.bytes_used, 3 * BIG);
    assert_int_equal(kv_available(kv), 16);
    for (int i = 0; i < 3; i++)
        assert_int_equal(resident_pages(take()), 4);
    assert_true(kv_touch_ahead(kv, 1)); // those are in use now
    kv_free(kv);
    assert_int_equal(budget.bytes_used, 0);
}

static void test_touching_ahead_leaves_others_an_eighth(void **state)
{
    (void)state;
    open_pool(16);
    int touched = 0;
    while (kv_touch_ahead(kv, 16))
        touched++;
    assert_int_equal(touched, 15);
    assert_int_equal(kv_available(kv), 16);
    kv_free(kv);
}

// Blocks that share a page with their neighbours.
static void test_touching_ahead_changes_no_block(void **state)
{
    (void)state;
    enum { BYTES = 6144 };
    static uint8_t mine[BYTES];
    budget = (struct kv_budget){.bytes_max = (uint64_t)16 * BYTES};
    assert_int_equal(kv_new(&budget, BYTES, UINT64_MAX, &kv, NULL), ERR_OK);
    memset(mine, 0x5A, BYTES);
    uint32_t first = take();
    memcpy(kv_pool(kv) + first * (size_t)BYTES, mine, BYTES);
    for (int i = 0; i < 3; i++)
        assert_true(kv_touch_ahead(kv, 3));
    assert_memory_equal(kv_pool(kv) + first * (size_t)BYTES, mine, BYTES);
    kv_free(kv);
}

// A model of the tree: what was published under what, and which serial it has. Found must be
// exactly what is true; and what is held stays.
static void test_random_use_finds_only_what_is_true(void **state)
{
    (void)state;
    enum { HELD_MAX = 24, STEPS = 20000 };
    struct {
        uint32_t block;
        uint64_t parent, serial;
        int32_t which;
    } held[HELD_MAX];
    size_t n = 0;
    struct random r;
    random_seed(&r, 7);
    open_pool(HELD_MAX + 8);
    uint64_t root = kv_new_serial(&budget);
    for (int step = 0; step < STEPS; step++) {
        size_t i = n ? random_below(&r, n) : 0;
        if (n < HELD_MAX && random_below(&r, 2)) {
            uint64_t parent = n && random_below(&r, 2) ? held[i].serial : root;
            int32_t which = (int32_t)random_below(&r, 6);
            uint32_t found;
            uint64_t serial;
            if (!kv_find(kv, parent, tokens_of(which), &found, &serial)) {
                found = take();
                memcpy(kv_pool(kv) + found * (size_t)4096, &parent, sizeof parent);
                memcpy(kv_pool(kv) + found * (size_t)4096 + 8, &which, sizeof which);
                found = kv_publish(kv, found, parent, tokens_of(which), &serial);
            }
            assert_memory_equal(kv_pool(kv) + found * (size_t)4096, &parent, sizeof parent);
            assert_memory_equal(kv_pool(kv) + found * (size_t)4096 + 8, &which, sizeof which);
            held[n].block = found;
            held[n].parent = parent;
            held[n].serial = serial;
            held[n++].which = which;
        } else if (n) {
            kv_drop(kv, held[i].block);
            held[i] = held[--n];
        }
        struct kv_counts c = kv_counts(kv);
        assert_true(c.used <= n && c.used + c.cached <= c.total);
    }
    while (n > 0)
        kv_drop(kv, held[--n].block);
    assert_int_equal(kv_available(kv), HELD_MAX + 8);
    kv_free(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks_are_taken_and_given_back),
        cmocka_unit_test(test_a_pool_without_room_is_refused),
        cmocka_unit_test(test_a_pool_takes_no_more_than_its_own_room),
        cmocka_unit_test(test_adopting_what_covers_promises_leaves_nothing),
        cmocka_unit_test(test_a_prefix_is_found_only_under_its_parent),
        cmocka_unit_test(test_the_same_content_is_kept_once),
        cmocka_unit_test(test_the_least_recently_used_goes_first),
        cmocka_unit_test(test_a_held_block_is_never_evicted),
        cmocka_unit_test(test_promises_are_kept_from_others),
        cmocka_unit_test(test_pools_share_one_budget),
        cmocka_unit_test(test_blocks_are_touched_ahead_of_use),
        cmocka_unit_test(test_touching_ahead_leaves_others_an_eighth),
        cmocka_unit_test(test_touching_ahead_changes_no_block),
        cmocka_unit_test(test_random_use_finds_only_what_is_true),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
