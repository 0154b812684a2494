// A text as people read it.
// REQ: GUARD-1
#include "guard/fold.h"
#include "support/unit.h"

static void reads(const char *text, const char *wanted)
{
    struct buf out;
    buf_init(&out, 1 << 16);
    assert_int_equal(fold_text(str_of(text), &out), wanted != NULL);
    assert_string_equal(buf_cstr(&out), wanted ? wanted : "");
    buf_done(&out);
}

static void what_nobody_sees_goes_and_forms_are_what_they_stand_for(void **state)
{
    (void)state;
    reads("plain", NULL);
    reads("d\xc3\xa9j\xc3\xa0 vu \xe6\xbc\xa2", NULL);
    reads("ig\xe2\x80\x8bno\xc2\xadre\xef\xbb\xbf it", "ignore it");
    reads("\xef\xbc\xa9\xef\xbd\x87\xef\xbd\x8e\xef\xbd\x8f\xef\xbd\x92\xef\xbd\x85 \xef\xac\x81n",
          "Ignore fin");
    reads("\xe2\x93\x98\xe2\x93\x96", "ig");
    reads("\xd1\x96gnore", NULL); // another alphabet's letter
    reads("broken \xff\xe2\x80\x8b", NULL);
    reads("", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_nobody_sees_goes_and_forms_are_what_they_stand_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
