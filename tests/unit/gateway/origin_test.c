// REQ: SEC-1
// Which Host and Origin belong to this machine.
#include "base/arena.h"
#include "gateway/origin.h"
#include "support/unit.h"

static void only_loopback_names_are_loopback(void **state)
{
    (void)state;
    static const char *const own[] = {"localhost",   "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:80",
                                      "127.8.8.8:1", "[::1]",          "[::1]:8080"};
    static const char *const foreign[] = {"example.com",       "127.0.0.1.example.com",
                                          "localhost.evil.io", "10.0.0.1:8080",
                                          "[::2]:80",          "0.0.0.0",
                                          "evil:127.0.0.1",    ""};
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        assert_true(origin_host_is_loopback(str_of(own[i])));
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++)
        if (origin_host_is_loopback(str_of(foreign[i])))
            fail_msg("%s is not this machine", foreign[i]);
}

static void origins_are_judged_by_their_host(void **state)
{
    (void)state;
    assert_true(origin_is_loopback(STR("http://localhost:3000")));
    assert_true(origin_is_loopback(STR("https://127.0.0.1")));
    assert_false(origin_is_loopback(STR("null")));
    assert_false(origin_is_loopback(STR("https://evil.example")));
    assert_false(origin_is_loopback(STR("file://localhost")));
}

static void a_listener_beyond_loopback_needs_keys_or_a_word(void **state)
{
    (void)state;
    struct arena arena;
    struct gateway_config c;
    struct diag d = {0};
    arena_init(&arena, 1 << 20);
    assert_int_equal(option_defaults(gateway_config_table, &c, &arena, NULL), ERR_OK);
    assert_int_equal(gateway_config_check(&c, &d), ERR_OK);
    static const char *const no_addresses[] = {"nonsense", "127.0.0.1:99999", ":80", "unix:", ""};
    for (size_t i = 0; i < ARRAY_LEN(no_addresses); i++) {
        c.listen = str_of(no_addresses[i]);
        assert_int_equal(gateway_config_check(&c, &d), ERR_PARSE);
        assert_string_equal(d.where, "listen");
        assert_false(gateway_address_is_loopback(c.listen));
    }
    c.listen = STR("127.0.0.1.example.com:80"); // a name that others may point anywhere
    assert_int_not_equal(gateway_config_check(&c, &d), ERR_OK);
    c.store.path = STR("off");
    c.listen = STR("0.0.0.0:8080");
    assert_int_equal(gateway_config_check(&c, &d), ERR_DENIED);
    assert_non_null(strstr(d.text, "listen_without_keys"));
    c.listen_without_keys = true;
    assert_int_equal(gateway_config_check(&c, &d), ERR_OK);
    struct gateway_key key = {.name = STR("a"), .secret = STR("sk-0123456789")};
    c.listen_without_keys = false;
    c.keys = (struct option_items){&key, 1};
    assert_int_equal(gateway_config_check(&c, &d), ERR_OK);
    key.secret = STR("short");
    assert_int_equal(gateway_config_check(&c, &d), ERR_INVALID);
    arena_done(&arena);
}

static void configured_origins_are_let_in(void **state)
{
    (void)state;
    str one = STR("https://app.example"), any = STR("*");
    struct gateway_config c = {.cors = {{&one, 1}}};
    assert_true(str_eq(origin_allowed(&c, STR("https://app.example")), one));
    assert_null(origin_allowed(&c, STR("https://other.example")).ptr);
    c.cors.origins.items = &any;
    assert_true(str_eq(origin_allowed(&c, STR("https://other.example")), any));
    assert_null(origin_allowed(&c, STR_NONE).ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_loopback_names_are_loopback),
        cmocka_unit_test(origins_are_judged_by_their_host),
        cmocka_unit_test(a_listener_beyond_loopback_needs_keys_or_a_word),
        cmocka_unit_test(configured_origins_are_let_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
