// REQ: SEC-3
// The table agrees with a plain array through any sequence of puts, gets and removes.
#include <stdio.h>
#include <string.h>

#include "base/map.h"
#include "base/random.h"
#include "support/unit.h"

static str name_of(size_t i, char out[16])
{
    snprintf(out, 16, "key-%zu", i);
    return str_of(out);
}

static void a_random_life_agrees_with_an_array(void **state)
{
    (void)state;
    enum { KEYS = 300 };
    void *model[KEYS] = {0};
    static int things[1000];
    size_t len = 0;
    struct random r;
    struct map m;
    random_seed(&r, 3);
    map_init(&m);
    for (int step = 0; step < 100000; step++) {
        size_t i = (size_t)random_below(&r, KEYS);
        char text[16];
        str key = name_of(i, text);
        switch (random_below(&r, 3)) {
        case 0: {
            void *thing = &things[random_below(&r, 1000)];
            assert_ptr_equal(map_put(&m, key, thing), model[i]);
            len += model[i] == NULL;
            model[i] = thing;
            break;
        }
        case 1:
            assert_ptr_equal(map_remove(&m, key), model[i]);
            len -= model[i] != NULL;
            model[i] = NULL;
            break;
        default:
            assert_ptr_equal(map_get(&m, key), model[i]);
        }
        assert_int_equal(m.len, len);
    }
    map_done(&m);
}

static void iteration_meets_every_entry_once(void **state)
{
    (void)state;
    enum { KEYS = 1000 };
    static char seen[KEYS];
    struct map m;
    map_init(&m);
    for (size_t i = 0; i < KEYS; i++) {
        char text[16];
        map_put(&m, name_of(i, text), &seen[i]);
    }
    size_t cursor = 0, count = 0;
    str key;
    void *value;
    while (map_next(&m, &cursor, &key, &value)) {
        char text[16];
        char *mark = value;
        assert_true(str_eq(key, name_of((size_t)(mark - seen), text)));
        assert_int_equal(*mark, 0);
        *mark = 1;
        count++;
    }
    assert_int_equal(count, KEYS);
    map_done(&m);
}

static void keys_are_any_bytes_and_are_copied(void **state)
{
    (void)state;
    int a, b, c;
    char key[] = {'x', 0, 'y'};
    struct map m;
    map_init(&m);
    assert_null(map_get(&m, STR("x")));
    assert_null(map_remove(&m, STR("x")));
    map_put(&m, str_slice(key, 3), &a);
    map_put(&m, str_slice(key, 1), &b);
    map_put(&m, STR_NONE, &c);
    memset(key, 'z', sizeof key);
    assert_ptr_equal(map_get(&m, STR("x\0y")), &a);
    assert_ptr_equal(map_get(&m, STR("x")), &b);
    assert_ptr_equal(map_get(&m, STR("")), &c);
    map_done(&m);
    map_done(&m);
    assert_null(map_get(&m, STR("x")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_random_life_agrees_with_an_array),
        cmocka_unit_test(iteration_meets_every_entry_once),
        cmocka_unit_test(keys_are_any_bytes_and_are_copied),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
