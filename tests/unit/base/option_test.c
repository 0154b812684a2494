// REQ: SEC-2 DEP-3
// Option tables: defaults, the configuration file, the command line; every refusal says where,
// which key, what is wrong and what to write; secrets come by reference and are never repeated.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/option.h"
#include "support/unit.h"

enum mood { MOOD_CALM, MOOD_KEEN };

struct model {
    str name, file;
    int64_t context;
};

struct server {
    str listen;
    int64_t port;
};

struct config {
    struct server server;
    bool debug;
    double factor;
    str api_key;
    int64_t timeout_ms, body_bytes_max, mood;
    struct option_strings stop, header;
    struct option_items models, routes;
};

static const char *const moods[] = {"calm", "keen", NULL};

static const struct option model_table[] = {
    {.name = "name", .type = OPTION_STRING, .offset = offsetof(struct model, name)},
    {.name = "file", .type = OPTION_STRING, .offset = offsetof(struct model, file)},
    {.name = "context",
     .type = OPTION_INT,
     .offset = offsetof(struct model, context),
     .value = "2048",
     .min = 1,
     .max = 1e6,
     .help = "Tokens."},
    {0}};

static const struct option server_table[] = {{.name = "listen",
                                              .type = OPTION_STRING,
                                              .offset = offsetof(struct server, listen),
                                              .value = "127.0.0.1",
                                              .arg = "HOST",
                                              .help = "Where to listen."},
                                             {.name = "port",
                                              .type = OPTION_INT,
                                              .offset = offsetof(struct server, port),
                                              .value = "8080",
                                              .min = 1,
                                              .max = 65535,
                                              .help = "The port | a pipe."},
                                             {0}};

// The same rows without a leading `name`: a list only.
static const struct option route_table[] = {
    {.name = "file", .type = OPTION_STRING, .offset = offsetof(struct model, file)}, {0}};

static const struct option table[] = {
    {.name = "server",
     .type = OPTION_TABLE,
     .offset = offsetof(struct config, server),
     .table = server_table,
     .table_size = sizeof(struct server),
     .help = "The listener."},
    {.name = "debug",
     .type = OPTION_BOOL,
     .offset = offsetof(struct config, debug),
     .value = "true"},
    {.name = "factor",
     .type = OPTION_FLOAT,
     .offset = offsetof(struct config, factor),
     .value = "0.5",
     .min = 0,
     .max = 2},
    {.name = "api_key", .type = OPTION_SECRET, .offset = offsetof(struct config, api_key)},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = offsetof(struct config, timeout_ms),
     .value = "90s",
     .min = 10,
     .max = 3600e3},
    {.name = "body_max",
     .type = OPTION_BYTES,
     .offset = offsetof(struct config, body_bytes_max),
     .value = "16MiB",
     .min = 1,
     .max = (double)INFINITY},
    {.name = "mood",
     .type = OPTION_CHOICE,
     .offset = offsetof(struct config, mood),
     .value = "keen",
     .choices = moods},
    {.name = "stop",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct config, stop),
     .value = "a,b"},
    {.name = "header",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct config, header),
     .repeated = true},
    {.name = "models",
     .type = OPTION_TABLES,
     .offset = offsetof(struct config, models),
     .table = model_table,
     .table_size = sizeof(struct model)},
    {.name = "routes",
     .type = OPTION_TABLES,
     .offset = offsetof(struct config, routes),
     .table = route_table,
     .table_size = sizeof(struct model)},
    {0}};

static struct arena arena;
static struct config config;

static int setup(void **state)
{
    (void)state;
    struct diag d = {0};
    arena_init(&arena, 1 << 20);
    memset(&config, 0xa5, sizeof config); // what a row names is written, whatever was there
    return option_defaults(table, &config, &arena, &d) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    arena_done(&arena);
    return 0;
}

static enum err read_yaml(const char *text, struct diag *d)
{
    struct yaml_doc doc = {0};
    enum err e = yaml_parse(&doc, str_of(text), d);
    if (e == ERR_OK) {
        e = option_from_yaml(table, doc.root, &config, &arena, d);
        yaml_done(&doc);
    }
    return e;
}

static void accept(const char *text)
{
    struct diag d = {0};
    if (read_yaml(text, &d) != ERR_OK)
        fail_msg("%s: %u:%u %s", text, d.line, d.col, d.text);
}

// Refused with ERR_INVALID at that place, in these words.
static void refuse(const char *text, uint32_t line, uint32_t col, const char *words)
{
    struct diag d = {0};
    enum err e = read_yaml(text, &d);
    if (e != ERR_INVALID || d.line != line || d.col != col || strcmp(d.text, words) != 0)
        fail_msg("%s -> %s %u:%u %s", text, err_name(e), d.line, d.col, d.text);
}

static enum err set(const char *name, const char *text, struct diag *d)
{
    const struct option *row = option_find(table, str_of(name));
    assert_non_null(row);
    return option_set(row, str_of(text), &config, &arena, d);
}

static void defaults_fill_every_field(void **state)
{
    (void)state;
    assert_true(str_eq(config.server.listen, STR("127.0.0.1")));
    assert_int_equal(config.server.port, 8080);
    assert_true(config.debug);
    assert_true(config.factor == 0.5);
    assert_int_equal(config.api_key.len, 0);
    assert_int_equal(config.timeout_ms, 90000);
    assert_int_equal(config.body_bytes_max, 16 << 20);
    assert_int_equal(config.mood, MOOD_KEEN);
    assert_int_equal(config.stop.len, 2);
    assert_true(str_eq(config.stop.items[1], STR("b")));
    assert_int_equal(config.header.len, 0);
    assert_int_equal(config.models.len, 0);
}

static void a_file_is_read_over_the_defaults(void **state)
{
    (void)state;
    accept("server: {port: 9000}\n"
           "debug: false\nfactor: 1.25\ntimeout: 1.5s\nbody_max: 64kB\nmood: calm\n"
           "stop: [x]\nheader: one\n"
           "models:\n  - name: tiny\n    context: 7\n  - {name: big, file: /b}\n"
           "routes: [{file: /r}]\n");
    assert_int_equal(config.server.port, 9000);
    assert_true(str_eq(config.server.listen, STR("127.0.0.1")));
    assert_false(config.debug);
    assert_true(config.factor == 1.25);
    assert_int_equal(config.timeout_ms, 1500);
    assert_int_equal(config.body_bytes_max, 64000);
    assert_int_equal(config.mood, MOOD_CALM);
    assert_int_equal(config.stop.len, 1);
    assert_true(str_eq(config.header.items[0], STR("one")));
    const struct model *models = config.models.items;
    assert_int_equal(config.models.len, 2);
    assert_true(str_eq(models[0].name, STR("tiny")));
    assert_int_equal(models[0].context, 7);
    assert_int_equal(models[1].context, 2048);
    assert_true(str_eq(models[1].file, STR("/b")));
    assert_int_equal(config.routes.len, 1);
}

static void tables_may_be_a_map_from_names(void **state)
{
    (void)state;
    accept("models:\n  tiny: {context: 7}\n  big:\n");
    const struct model *models = config.models.items;
    assert_int_equal(config.models.len, 2);
    assert_true(str_eq(models[0].name, STR("tiny")));
    assert_int_equal(models[0].context, 7);
    assert_true(str_eq(models[1].name, STR("big")));
    refuse("models: {a: {name: b}}", 1, 13,
           "'models.a' has a 'name' other than its key; leave 'name' out");
    refuse("models:\n  - name: a\n  - name: a\n", 3, 5,
           "'models[1]' has the name 'a', which is taken already");
    refuse("models: [{file: x}]", 1, 10, "'models[0]' needs a 'name'");
    refuse("models: tiny", 1, 9, "'models' must be a list, or a map from names");
    refuse("routes: {a: {file: x}}", 1, 9, "'routes' must be a list");
}

static void a_key_without_a_value_keeps_its_default(void **state)
{
    (void)state;
    accept("server:\ndebug: ~\nfactor: null\nmodels:\nstop:\n");
    assert_int_equal(config.server.port, 8080);
    assert_true(config.debug);
    assert_int_equal(config.stop.len, 2);
    accept("");
    accept("server: {listen: ''}"); // quoted: the empty text is meant
    assert_int_equal(config.server.listen.len, 0);
}

static void an_unknown_key_is_pointed_at_with_its_neighbour(void **state)
{
    (void)state;
    refuse("server:\n  listn: x\n", 2, 3,
           "unknown key 'listn' in 'server'; did you mean 'listen'?");
    refuse("timeuot: 1s", 1, 1, "unknown key 'timeuot'; did you mean 'timeout'?");
    refuse("server: {wherefore: 1}", 1, 10,
           "unknown key 'wherefore' in 'server'; known here: listen, port");
    refuse("models: {a: {contxt: 1}}", 1, 14,
           "unknown key 'contxt' in 'models.a'; did you mean 'context'?");
}

static void values_of_the_wrong_kind_are_refused_with_the_remedy(void **state)
{
    (void)state;
    refuse("server: {port: 0}", 1, 16, "'server.port' must be between 1 and 65535, not 0");
    refuse("server: {port: 65536}", 1, 16, "'server.port' must be between 1 and 65535, not 65536");
    refuse("server: {port: 80.5}", 1, 16, "'server.port' must be a whole number, not '80.5'");
    refuse("server: {port: 99999999999999999999}", 1, 16,
           "'server.port' is too large a number: 99999999999999999999");
    refuse("debug: yes", 1, 8, "'debug' must be true or false, not 'yes'");
    refuse("factor: -0.1", 1, 9, "'factor' must be between 0 and 2, not -0.1");
    refuse("factor: .5", 1, 9, "'factor' must be a number, not '.5'");
    refuse("mood: kene", 1, 7,
           "'mood' must be one of calm, keen; not 'kene'; did you mean 'keen'?");
    refuse("mood: [calm]", 1, 7, "'mood' must be a single value, not a list");
    refuse("mood: {a: b}", 1, 7, "'mood' must be a single value, not a map");
    refuse("server: 8080", 1, 9, "'server' must be a map of keys and values");
    refuse("stop: {a: b}", 1, 7, "'stop' must be a list of texts, not a map");
    refuse("stop: [a, [b]]", 1, 11, "'stop[1]' must be text, not a list or map");
    refuse("- a", 1, 1, "expected a map of keys and values");
}

static void durations_and_sizes_want_their_units(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } durations[] = {{"500ms", 500},  {"30s", 30000},    {"5m", 300000},
                     {"1h", 3600000}, {"0.5h", 1800000}, {"1.5 s", 1500}};
    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        assert_int_equal(set("timeout", durations[i].text, NULL), ERR_OK);
        assert_int_equal(config.timeout_ms, durations[i].ms);
    }
    const char *const bad_durations[] = {"30", "s",  "-5s",  "5 sec", "1.5ms",
                                         "",   "5S", "1e3s", "1..5s"};
    for (size_t i = 0; i < ARRAY_LEN(bad_durations); i++) {
        struct diag d = {0};
        assert_int_equal(set("timeout", bad_durations[i], &d), ERR_INVALID);
        assert_non_null(strstr(d.text, "500ms or 30s"));
    }
    static const struct {
        const char *text;
        int64_t bytes;
    } sizes[] = {{"1", 1},         {"4096", 4096},       {"64kB", 64000},     {"16MiB", 16 << 20},
                 {"1.5KiB", 1536}, {"2 GB", 2000000000}, {"1TiB", 1LL << 40}, {"7B", 7}};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        assert_int_equal(set("body_max", sizes[i].text, NULL), ERR_OK);
        assert_int_equal(config.body_bytes_max, sizes[i].bytes);
    }
    const char *const bad_sizes[] = {"64K", "64kb", "0.5B", "-1", "9999999TiB", "x"};
    for (size_t i = 0; i < ARRAY_LEN(bad_sizes); i++)
        assert_int_equal(set("body_max", bad_sizes[i], NULL), ERR_INVALID);
    refuse("timeout: 5ms", 1, 10, "'timeout' must be between 10ms and 1h, not 5ms");
    refuse("timeout: 2h", 1, 10, "'timeout' must be between 10ms and 1h, not 2h");
    refuse("body_max: 0", 1, 11, "'body_max' must be at least 1B, not 0");
}

static void the_environment_stands_for_a_whole_value_only(void **state)
{
    (void)state;
    setenv("WEIR_TEST_PORT", "9191", 1);
    setenv("WEIR_TEST_EMPTY", "", 1);
    unsetenv("WEIR_TEST_UNSET");
    accept("server: {port: '${WEIR_TEST_PORT}', listen: \"${WEIR_TEST_EMPTY}\"}");
    assert_int_equal(config.server.port, 9191);
    assert_int_equal(config.server.listen.len, 0);
    accept("stop: [x, '${WEIR_TEST_PORT}']");
    assert_true(str_eq(config.stop.items[1], STR("9191")));
    refuse("debug: ${WEIR_TEST_UNSET}", 1, 8,
           "'debug' wants the environment variable WEIR_TEST_UNSET, which is not set; set it or "
           "remove the reference");
    setenv("WEIR_TEST_PORT", "99999", 1); // what comes from there is checked alike
    refuse("server: {port: '${WEIR_TEST_PORT}'}", 1, 16,
           "'server.port' must be between 1 and 65535, not 99999");
    const char *const inside[] = {"http://${HOST}/", "${A}${B}", "${A:-b}", "${}", "x${A}", "${A"};
    for (size_t i = 0; i < ARRAY_LEN(inside); i++) {
        struct diag d = {0};
        const struct option *row = option_find(server_table, STR("listen"));
        assert_int_equal(option_set(row, str_of(inside[i]), &config.server, &arena, &d),
                         ERR_INVALID);
        assert_non_null(strstr(d.text, "only a whole value may come from the environment"));
        assert_non_null(strstr(d.text, "$${"));
    }
    accept("server: {listen: 'a$b $${HOST} $'}");
    assert_true(str_eq(config.server.listen, STR("a$b ${HOST} $")));
    setenv("WEIR_TEST_PORT", "${HOME}", 1); // a variable's content is not read again
    accept("server: {listen: '${WEIR_TEST_PORT}'}");
    assert_true(str_eq(config.server.listen, STR("${HOME}")));
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void secrets_come_by_reference(void **state)
{
    (void)state;
    char path[] = "/tmp/weir-secret-XXXXXX", text[128];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "from-file\n");
    setenv("WEIR_TEST_KEY", "from-env", 1);
    const char *const from_env[] = {"api_key: ${WEIR_TEST_KEY}", "api_key: {env: WEIR_TEST_KEY}",
                                    "api_key: env:WEIR_TEST_KEY"};
    for (size_t i = 0; i < ARRAY_LEN(from_env); i++) {
        config.api_key = STR_NONE;
        accept(from_env[i]);
        assert_true(str_eq(config.api_key, STR("from-env")));
    }
    snprintf(text, sizeof text, "api_key: {file: %s}", path);
    accept(text);
    assert_true(str_eq(config.api_key, STR("from-file")));
    snprintf(text, sizeof text, "file:%s", path);
    assert_int_equal(set("api_key", text, NULL), ERR_OK);
    write_file(path, "\n");
    struct diag d = {0};
    assert_int_equal(set("api_key", text, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "empty"));
    unlink(path);
    assert_int_equal(set("api_key", text, &d), ERR_NOT_FOUND);
    assert_non_null(strstr(d.text, path));
}

static void a_secret_written_out_is_refused_and_not_repeated(void **state)
{
    (void)state;
    const char *const literal[] = {
        "api_key: sk-verysecret",        "api_key: 'x ${A} sk-verysecret'",
        "api_key: {env: sk-verysecret}", "api_key: [sk-verysecret]",
        "api_key: {key: sk-verysecret}", "api_key: {env: A, file: sk-verysecret}"};
    for (size_t i = 0; i < ARRAY_LEN(literal); i++) {
        struct diag d = {0};
        assert_int_equal(read_yaml(literal[i], &d), ERR_INVALID);
        assert_null(strstr(d.text, "verysecret"));
        assert_non_null(strstr(d.text, "'api_key'"));
    }
    struct diag d = {0};
    read_yaml(literal[0], &d);
    assert_non_null(strstr(d.text, "${NAME}"));
    assert_non_null(strstr(d.text, "{env: NAME}"));
    assert_non_null(strstr(d.text, "{file: PATH}"));
    unsetenv("WEIR_TEST_KEY");
    refuse("api_key: ${WEIR_TEST_KEY}", 1, 10,
           "'api_key' wants the environment variable WEIR_TEST_KEY, which is not set; set it or "
           "remove the reference");
    setenv("WEIR_TEST_KEY", "", 1);
    refuse("api_key: ${WEIR_TEST_KEY}", 1, 10,
           "'api_key' wants the environment variable WEIR_TEST_KEY, which is empty");
}

static void the_command_line_appends_or_splits_lists(void **state)
{
    (void)state;
    assert_int_equal(set("header", "a, b", NULL), ERR_OK);
    assert_int_equal(set("header", "c", NULL), ERR_OK);
    assert_int_equal(config.header.len, 2);
    assert_true(str_eq(config.header.items[0], STR("a, b")));
    assert_int_equal(set("stop", "x, y ,z", NULL), ERR_OK);
    assert_int_equal(config.stop.len, 3);
    assert_true(str_eq(config.stop.items[1], STR("y")));
    struct diag d = {0};
    assert_int_equal(set("mood", "glad", &d), ERR_INVALID);
    assert_string_equal(d.text, "'mood' must be one of calm, keen; not 'glad'");
    assert_int_equal(d.line, 0);
}

static void names_are_found_and_far_ones_are_not_near(void **state)
{
    (void)state;
    assert_ptr_equal(option_find(table, STR("debug")), &table[1]);
    assert_null(option_find(table, STR("debu")));
    assert_string_equal(option_nearest(table, STR("debu")), "debug");
    assert_string_equal(option_nearest(table, STR("modles")), "models");
    assert_null(option_nearest(table, STR("elephant")));
    assert_null(option_nearest(table, STR("")));
}

static void memory_for_options_is_bounded(void **state)
{
    (void)state;
    struct arena small;
    struct diag d = {0};
    arena_init(&small, 16);
    assert_int_equal(option_set(option_find(table, STR("stop")), STR("aaaaaaaaaaaaaaaaaaaa,b"),
                                &config, &small, &d),
                     ERR_LIMIT);
    assert_non_null(strstr(d.text, "'stop'"));
    arena_done(&small);
}

static void what_is_shown_reads_back(void **state)
{
    (void)state;
    setenv("WEIR_TEST_KEY", "hidden", 1);
    accept("server: {listen: 'odd \"text\" # $${x} \xc3\xa9'}\n"
           "api_key: ${WEIR_TEST_KEY}\nstop: [a b, 'yes', '']\ntimeout: 1500ms\n"
           "models: {tiny: {context: 7}, '1.5': {file: '${WEIR_TEST_KEY}'}}\n");
    struct buf out, again;
    buf_init(&out, 10000);
    buf_init(&again, 10000);
    assert_int_equal(option_show(table, &config, &out), ERR_OK);
    const char *shown = buf_cstr(&out);
    assert_non_null(strstr(shown, "timeout: 1500ms\n"));
    assert_non_null(strstr(shown, "body_max: 16MiB\n"));
    assert_non_null(strstr(shown, "api_key: \"***\"\n"));
    assert_non_null(strstr(shown, "stop: [\"a b\", \"yes\", \"\"]\n"));
    // All but the secret reads back as the same values.
    struct buf text;
    buf_init(&text, 10000);
    str rest = buf_str(&out), line;
    while (str_split(&rest, '\n', &line))
        if (!str_starts(line, STR("api_key")))
            buf_printf(&text, STR_FMT "\n", STR_ARG(line));
    str key = config.api_key;
    assert_int_equal(option_defaults(table, &config, &arena, NULL), ERR_OK);
    accept(buf_cstr(&text));
    config.api_key = key;
    assert_int_equal(option_show(table, &config, &again), ERR_OK);
    assert_string_equal(buf_cstr(&again), shown);
    buf_done(&text);
    buf_done(&out);
    buf_done(&again);
}

static void the_reference_names_every_key(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 10000);
    assert_int_equal(option_markdown(table, "", &out), ERR_OK);
    const char *page = buf_cstr(&out);
    assert_non_null(strstr(page, "| `timeout` | duration, 10ms to 1h | `90s` |"));
    assert_non_null(strstr(page, "| `mood` | `calm`, `keen` | `keen` |"));
    assert_non_null(strstr(page, "## `server`\n\nThe listener.\n"));
    assert_non_null(strstr(page, "The port \\| a pipe."));
    assert_non_null(strstr(page, "## `models[]`"));
    buf_done(&out);
    buf_init(&out, 100);
    assert_int_equal(option_markdown(table, "", &out), ERR_LIMIT);
    buf_done(&out);
}

static void the_schema_is_json_and_closed(void **state)
{
    (void)state;
    struct buf out;
    struct json_doc doc;
    buf_init(&out, 100000);
    assert_int_equal(option_json_schema(table, &out), ERR_OK);
    assert_int_equal(json_parse(&doc, buf_str(&out), JSON_LIMITS_DEFAULT, NULL), ERR_OK);
    assert_true(yyjson_is_false(json_get(doc.root, "additionalProperties")));
    yyjson_val *properties = json_get(doc.root, "properties");
    for (const struct option *row = table; row->name; row++)
        assert_non_null(json_get(properties, row->name));
    int64_t port = 0;
    yyjson_val *server = yyjson_arr_get_first(json_get(json_get(properties, "server"), "anyOf"));
    assert_true(
        json_is_int(json_get(json_get(json_get(server, "properties"), "port"), "default"), &port));
    assert_int_equal(port, 8080);
    json_done(&doc);
    buf_done(&out);
}

#define FRESH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FRESH(defaults_fill_every_field),
        FRESH(a_file_is_read_over_the_defaults),
        FRESH(tables_may_be_a_map_from_names),
        FRESH(a_key_without_a_value_keeps_its_default),
        FRESH(an_unknown_key_is_pointed_at_with_its_neighbour),
        FRESH(values_of_the_wrong_kind_are_refused_with_the_remedy),
        FRESH(durations_and_sizes_want_their_units),
        FRESH(the_environment_stands_for_a_whole_value_only),
        FRESH(secrets_come_by_reference),
        FRESH(a_secret_written_out_is_refused_and_not_repeated),
        FRESH(the_command_line_appends_or_splits_lists),
        FRESH(names_are_found_and_far_ones_are_not_near),
        FRESH(memory_for_options_is_bounded),
        FRESH(what_is_shown_reads_back),
        FRESH(the_reference_names_every_key),
        FRESH(the_schema_is_json_and_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
