// REQ: DEP-3
// The command line: options by one table, in every spelling that people use, and errors that say
// what to do.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/parse.h"

struct sample {
    bool quick;
    int64_t count;
    str name;
    int64_t kv_bytes_max;
};

static const struct option options[] = {
    {.name = "quick",
     .type = OPTION_BOOL,
     .offset = offsetof(struct sample, quick),
     .help = "Be quick.",
     .short_name = 'q'},
    {.name = "count",
     .type = OPTION_INT,
     .offset = offsetof(struct sample, count),
     .value = "3",
     .min = 1,
     .max = 9,
     .help = "How many."},
    {.name = "name",
     .type = OPTION_STRING,
     .offset = offsetof(struct sample, name),
     .help = "Who.",
     .short_name = 'n'},
    {.name = "kv_bytes_max",
     .type = OPTION_BYTES,
     .offset = offsetof(struct sample, kv_bytes_max),
     .value = "1MiB",
     .help = "Memory."},
    {0},
};

static const struct command command = {
    .name = "sample",
    .args = "[A [B]]",
    .options = options,
    .options_size = sizeof(struct sample),
    .args_max = 2,
};

struct outcome {
    struct arena arena;
    struct command_call call;
    struct diag d;
    enum err e;
};

static const struct sample *parse(struct outcome *o, int argc, const char *const *argv)
{
    *o = (struct outcome){0};
    arena_init(&o->arena, 1u << 20);
    o->e = parse_command_line(&command, "some sample", argc, (char **)(uintptr_t)argv, &o->arena,
                              &o->call, &o->d);
    return o->e == ERR_OK ? o->call.options : NULL;
}

#define PARSE(o, ...)                                                                              \
    parse(o, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)),                        \
          (const char *[]){__VA_ARGS__})

static void defaults_stand_when_nothing_is_given(void **state)
{
    (void)state;
    struct outcome o;
    const struct sample *s = parse(&o, 0, NULL);
    assert_non_null(s);
    assert_false(s->quick);
    assert_int_equal(s->count, 3);
    assert_int_equal(s->kv_bytes_max, 1 << 20);
    assert_false(o.call.given[1]);
    arena_done(&o.arena);
}

static void every_spelling_is_read(void **state)
{
    (void)state;
    struct outcome o;
    const struct sample *s =
        PARSE(&o, "--count", "5", "-q", "first", "--name=weir", "--kv-bytes-max", "2MiB", "second");
    assert_non_null(s);
    assert_true(s->quick);
    assert_int_equal(s->count, 5);
    assert_true(str_eq_z(s->name, "weir"));
    assert_int_equal(s->kv_bytes_max, 2 << 20);
    assert_int_equal(o.call.args_len, 2);
    assert_string_equal(o.call.args[0], "first");
    assert_string_equal(o.call.args[1], "second");
    assert_true(o.call.given[1]);
    arena_done(&o.arena);
    s = PARSE(&o, "-nweir", "--quick", "--no-quick");
    assert_non_null(s);
    assert_true(str_eq_z(s->name, "weir"));
    assert_false(s->quick);
    arena_done(&o.arena);
}

static void words_after_two_dashes_are_not_options(void **state)
{
    (void)state;
    struct outcome o;
    assert_non_null(PARSE(&o, "--", "--count", "-q"));
    assert_int_equal(o.call.args_len, 2);
    assert_string_equal(o.call.args[0], "--count");
    arena_done(&o.arena);
}

static void an_unknown_option_names_the_nearest(void **state)
{
    (void)state;
    struct outcome o;
    assert_null(PARSE(&o, "--cuont", "5"));
    assert_int_equal(o.e, ERR_INVALID);
    assert_non_null(strstr(o.d.text, "--count"));
    arena_done(&o.arena);
    assert_null(PARSE(&o, "-x"));
    assert_non_null(strstr(o.d.text, "weir help some sample"));
    arena_done(&o.arena);
}

static void wrong_values_and_counts_are_refused(void **state)
{
    (void)state;
    struct outcome o;
    assert_null(PARSE(&o, "--count", "12"));
    assert_non_null(strstr(o.d.where, "--count"));
    arena_done(&o.arena);
    assert_null(PARSE(&o, "--count"));
    assert_non_null(strstr(o.d.text, "needs a value"));
    arena_done(&o.arena);
    assert_null(PARSE(&o, "one", "two", "three"));
    assert_non_null(strstr(o.d.text, "three"));
    assert_non_null(strstr(o.d.text, "weir help some sample"));
    arena_done(&o.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_stand_when_nothing_is_given),
        cmocka_unit_test(every_spelling_is_read),
        cmocka_unit_test(words_after_two_dashes_are_not_options),
        cmocka_unit_test(an_unknown_option_names_the_nearest),
        cmocka_unit_test(wrong_values_and_counts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
