// Which messages of a conversation are left out so that the rest fits: the fewest, from the right
// end, turns and calls whole.
// REQ: PROMPT-2
#include <stdio.h>

#include "base/random.h"
#include "gateway/context.h"
#include "support/unit.h"

enum { MESSAGES_MAX = 64 };

// A letter a message: S(ystem), U(ser), A(ssistant), T(ool); its weight is 10.
static struct exchange_message conversation[MESSAGES_MAX];
static struct exchange_part parts[MESSAGES_MAX];
static size_t counted;

static enum exchange_role role_of(char c)
{
    return c == 'S'   ? EXCHANGE_SYSTEM
           : c == 'D' ? EXCHANGE_DEVELOPER
           : c == 'U' ? EXCHANGE_USER
           : c == 'A' ? EXCHANGE_ASSISTANT
                      : EXCHANGE_TOOL;
}

static size_t speak(const char *letters)
{
    size_t len = strlen(letters);
    for (size_t i = 0; i < len; i++) {
        parts[i] = (struct exchange_part){.text = str_slice(letters + i, 1)};
        conversation[i] = (struct exchange_message){
            .role = role_of(letters[i]), .parts = &parts[i], .parts_len = 1};
    }
    return len;
}

static bool count(void *ctx UNUSED, const struct exchange_message *messages UNUSED, size_t len,
                  uint64_t *ret)
{
    counted++;
    *ret = len * 10;
    return true;
}

static bool no_count(void *ctx UNUSED, const struct exchange_message *messages UNUSED,
                     size_t len UNUSED, uint64_t *ret UNUSED)
{
    return false;
}

// What is left, each message by its number in hex.
static enum context_result fit(enum context_policy policy, const char *letters, uint64_t room,
                               char *left)
{
    struct arena arena;
    struct context_cut cut;
    arena_init(&arena, 1 << 20);
    size_t len = speak(letters);
    enum context_result result =
        context_fit(policy, conversation, len, room, count, NULL, &arena, &cut);
    for (size_t i = 0; i < cut.len; i++)
        left[i] = "0123456789abcdefghijklmnopqrstuvwxyz"[cut.messages[i].parts - parts];
    left[cut.len] = 0;
    assert_int_equal(cut.before, len * 10);
    if (result == CONTEXT_CUT) {
        assert_int_equal(cut.left_out, len - cut.len);
        assert_int_equal(cut.after, cut.len * 10);
    }
    arena_done(&arena);
    return result;
}

static void leaves(enum context_policy policy, const char *letters, uint64_t messages,
                   const char *wanted)
{
    char left[MESSAGES_MAX + 1];
    assert_int_equal(fit(policy, letters, messages * 10, left), CONTEXT_CUT);
    assert_string_equal(left, wanted);
}

#define OLDEST CONTEXT_TRUNCATE_OLDEST
#define MIDDLE CONTEXT_TRUNCATE_MIDDLE

static void the_oldest_turns_go_first(void **state)
{
    (void)state;
    leaves(OLDEST, "SUAUAU", 5, "0345");
    leaves(OLDEST, "SUAUAU", 3, "05");
    leaves(OLDEST, "SUAUAUD", 4, "056");    // what the developer says stays wherever it is
    leaves(OLDEST, "AUAUAU", 5, "12345");   // an answer without a question is the oldest
    leaves(OLDEST, "UATTAUATU", 5, "5678"); // a turn goes with its calls and their results
    leaves(OLDEST, "UAUUAU", 4, "2345");
}

static void the_middle_goes_from_the_middle(void **state)
{
    (void)state;
    leaves(MIDDLE, "SUAUAUAUAU", 8, "01234789");
    leaves(MIDDLE, "SUAUAUAUAU", 6, "012349");
    leaves(MIDDLE, "SUAUAUAUAU", 4, "0129");
    leaves(MIDDLE, "SUAUAUAUAU", 3, "09");
    leaves(MIDDLE, "SUAUAUAU", 6, "012567");
    leaves(MIDDLE, "SUAUAU", 4, "0125");
}

static void the_last_turn_loses_steps_and_keeps_its_question_and_its_newest_step(void **state)
{
    (void)state;
    leaves(OLDEST, "SUAUATATTAT", 9, "03456789a");
    leaves(OLDEST, "SUAUATATTAT", 7, "036789a");
    leaves(OLDEST, "SUAUATATTAT", 5, "039a");
    leaves(MIDDLE, "UATATATAT", 7, "0125678");
    leaves(MIDDLE, "UATATATAT", 5, "01278");
}

static void what_cannot_fit_is_too_long(void **state)
{
    (void)state;
    char left[MESSAGES_MAX + 1];
    assert_int_equal(fit(OLDEST, "SUAU", 10, left), CONTEXT_TOO_LONG);
    assert_string_equal(left, "03");
    assert_int_equal(fit(OLDEST, "SU", 10, left), CONTEXT_TOO_LONG);
    assert_int_equal(fit(OLDEST, "S", 5, left), CONTEXT_TOO_LONG);
    assert_int_equal(fit(CONTEXT_REFUSE, "SUAU", 30, left), CONTEXT_TOO_LONG);
    assert_string_equal(left, "0123");
    assert_int_equal(fit(CONTEXT_REFUSE, "SUAU", 40, left), CONTEXT_FITS);
    assert_int_equal(fit(MIDDLE, "SUAU", 40, left), CONTEXT_FITS);
    assert_string_equal(left, "0123");
    struct arena arena;
    struct context_cut cut;
    arena_init(&arena, 1 << 16);
    assert_int_equal(context_fit(OLDEST, conversation, 4, 30, no_count, NULL, &arena, &cut),
                     CONTEXT_UNKNOWN);
    arena_done(&arena);
}

// Of any conversation: system messages, the last question and all behind the newest step stay; no
// result without its call; one unit more would not have fitted; few counts.
static void the_fewest_go_and_nothing_is_torn(void **state)
{
    (void)state;
    struct random r;
    random_seed(&r, 11);
    for (int run = 0; run < 20000; run++) {
        char letters[40], left[MESSAGES_MAX + 1];
        size_t len = 1 + random_below(&r, 36), room = 1 + random_below(&r, 40);
        for (size_t i = 0; i < len; i++) {
            bool may_answer = i && (letters[i - 1] == 'A' || letters[i - 1] == 'T');
            letters[i] = "SUUAAATT"[random_below(&r, may_answer ? 8 : 6)];
        }
        letters[len] = 0;
        counted = 0;
        enum context_policy policy = random_below(&r, 2) ? OLDEST : MIDDLE;
        enum context_result result = fit(policy, letters, room * 10, left);
        assert_true(counted <= 9);
        assert_int_equal(result == CONTEXT_FITS, len <= room);
        assert_true(result != CONTEXT_CUT || strlen(left) <= room);
        size_t last = len;
        for (size_t i = 0; i < len; i++)
            if (letters[i] == 'U')
                last = i;
        bool kept[64] = {false};
        for (size_t i = 0; left[i]; i++)
            kept[left[i] <= '9' ? left[i] - '0' : left[i] - 'a' + 10] = true;
        for (size_t i = 0; i < len; i++) {
            assert_true(kept[i] || (letters[i] != 'S' && i != last && i + 1 != len));
            if (letters[i] == 'T') // with what stands before it
                assert_int_equal(kept[i], kept[i - 1]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_oldest_turns_go_first),
        cmocka_unit_test(the_middle_goes_from_the_middle),
        cmocka_unit_test(the_last_turn_loses_steps_and_keeps_its_question_and_its_newest_step),
        cmocka_unit_test(what_cannot_fit_is_too_long),
        cmocka_unit_test(the_fewest_go_and_nothing_is_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
