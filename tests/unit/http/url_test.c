// REQ: PROV-8 SEC-3
// Addresses: what is read from them, what is refused, and where a Location leads.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http/url.h"

static void the_parts_of_an_address_are_read(void **state)
{
    (void)state;
    struct url u;
    assert_int_equal(url_parse(STR("https://user:pw@Example.org:8443/a/b?c=d#e"), &u, NULL),
                     ERR_OK);
    assert_true(u.tls);
    assert_true(str_eq_z(u.host, "Example.org"));
    assert_int_equal(u.port, 8443);
    assert_true(str_eq_z(u.authority, "Example.org:8443"));
    assert_true(str_eq_z(u.userinfo, "user:pw"));
    assert_true(str_eq_z(u.target, "/a/b?c=d"));
    assert_int_equal(url_parse(STR("http://[::1]:80"), &u, NULL), ERR_OK);
    assert_true(str_eq_z(u.host, "::1"));
    assert_true(str_eq_z(u.target, "/"));
    assert_int_equal(url_parse(STR("http://h?q"), &u, NULL), ERR_OK);
    assert_int_equal(u.port, 80);
    assert_true(str_eq_z(u.target, "?q"));
}

static void what_could_mislead_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "ftp://h/",
        "//h/",
        "http://",
        "http:///x",
        "http://h:0/",
        "http://h:x",
        "http://h:65536/",
        "http://h:-1/",
        "http://[::1/",
        "http://[::1]x/",
        "http://h/a b",
        "http://h/\r\nX: y",
        "http://h/\x01",
        "http://h\xc3\xa4/",
        "https://:443/",
        "javascript:alert(1)",
    };
    struct url u;
    struct diag d;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        d.text[0] = '\0';
        assert_int_not_equal(url_parse(str_of(bad[i]), &u, &d), ERR_OK);
        assert_true(d.text[0] != '\0');
    }
    assert_int_not_equal(url_parse((str){"http://h/\0x", 11}, &u, &d), ERR_OK);
}

static void a_location_leads_where_browsers_would_go(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"http://h/a/b?q", "/c", "http://h/c"},
        {"http://h/a/b?q", "c", "http://h/a/c"},
        {"http://h", "c", "http://h/c"},
        {"https://h:1/a", "//other/x", "https://other/x"},
        {"https://h/a", "http://o/#f", "http://o/"},
        {"http://h/a", "/x?u=http://y", "http://h/x?u=http://y"},
    };
    struct arena a;
    struct diag d;
    arena_init(&a, 1u << 16);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        str out;
        assert_int_equal(url_resolve(str_of(cases[i][0]), str_of(cases[i][1]), &a, &out, &d),
                         ERR_OK);
        assert_true(str_eq_z(out, cases[i][2]));
    }
    str out;
    assert_int_not_equal(url_resolve(STR("http://h/"), STR("/a b"), &a, &out, &d), ERR_OK);
    arena_done(&a);
}

static void origins_differ_by_scheme_host_and_port(void **state)
{
    (void)state;
    struct url a, b;
    assert_int_equal(url_parse(STR("http://Host/x"), &a, NULL), ERR_OK);
    assert_int_equal(url_parse(STR("http://host:80/y"), &b, NULL), ERR_OK);
    assert_true(url_same_origin(&a, &b));
    assert_int_equal(url_parse(STR("https://host:80/y"), &b, NULL), ERR_OK);
    assert_false(url_same_origin(&a, &b));
}

static void paths_are_decoded_and_stay_inside(void **state)
{
    (void)state;
    static const struct {
        const char *raw, *path; // NULL: refused
    } cases[] = {
        {"/v1/models", "/v1/models"},
        {"/a%20b", "/a b"},
        {"/org%2Fmodel", "/org/model"},
        {"/m.gguf", "/m.gguf"},
        {"/...", "/..."},
        {"/a..b/.c", "/a..b/.c"},
        {"/%c3%A9", "/\xc3\xa9"},
        {"", ""},
        {"/a/../b", NULL},
        {"/..", NULL},
        {"/a/.", NULL},
        {"/./a", NULL},
        {"/%2e%2E/a", NULL},
        {"/a%2f..%2fb", NULL},
        {"/%00", NULL},
        {"/%", NULL},
        {"/%1", NULL},
        {"/%g0", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena a;
        str path;
        arena_init(&a, 4096);
        enum err e = url_decode_path(str_of(cases[i].raw), &a, &path);
        assert_int_equal(e, cases[i].path ? ERR_OK : ERR_PARSE);
        if (cases[i].path)
            assert_true(str_eq_z(path, cases[i].path));
        arena_done(&a);
    }
    str path, plain = STR("/as/it/was");
    assert_int_equal(url_decode_path(plain, NULL, &path), ERR_OK); // needs no memory
    assert_ptr_equal(path.ptr, plain.ptr);
    assert_int_equal(url_decode_path(str_slice("/a\0b", 4), NULL, &path), ERR_PARSE);
    struct arena none;
    arena_init(&none, 0);
    assert_int_equal(url_decode_path(STR("/%20"), &none, &path), ERR_LIMIT);
}

static void what_may_stand_in_a_host_header_is_known(void **state)
{
    (void)state;
    static const char *const good[] = {"a",     "example.com", "example.com:80", "127.0.0.1:8080",
                                       "[::1]", "[::1]:8080",  "a-b_c.d",        "a:"};
    static const char *const bad[] = {"",    "a b",    "a/b",   "u@a",      "a:99999", "a:b",
                                      "[:1", "[::1]x", "[g::]", "::1",      "a?b",     "a%20b",
                                      ":80", "[]",     "a\\b",  "\xc3\xa9", "a#",      "a:1:2"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(url_authority_ok(str_of(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(url_authority_ok(str_of(bad[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_an_address_are_read),
        cmocka_unit_test(what_could_mislead_is_refused),
        cmocka_unit_test(a_location_leads_where_browsers_would_go),
        cmocka_unit_test(origins_differ_by_scheme_host_and_port),
        cmocka_unit_test(paths_are_decoded_and_stay_inside),
        cmocka_unit_test(what_may_stand_in_a_host_header_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
