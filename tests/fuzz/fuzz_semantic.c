// REQ: SEC-4 LIMIT-4
// Any two texts as questions and as answers, parted by a NUL: a text agrees with itself, the order
// in which two are compared changes nothing, digits that differ are facts that differ.
#include <stdlib.h>

#include "gateway/semantic.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tape *saying(str text)
{
    struct tape *t = tape_new(1 << 24);
    const struct exchange_event e = {.type = EXCHANGE_EVENT_TEXT, .text = text};
    if (tape_add(t, &e) != ERR_OK)
        abort();
    return t;
}

static void check_answers(str a, str b)
{
    struct tape *x = saying(a), *y = saying(b);
    bool equal, back_equal;
    double share = semantic_agreement(x, y, &equal), back = semantic_agreement(y, x, &back_equal);
    bool same = share - back < 1e-9 && back - share < 1e-9;
    if (share < 0 || share > 1 || !same || equal != back_equal || (equal && share < 1))
        abort();
    if (semantic_agreement(x, x, &equal) < 1 || !equal)
        abort();
    tape_release(x);
    tape_release(y);
}

// The text with its first digit turned into another.
static void check_digit(str text)
{
    size_t at = 0;
    while (at < text.len && !(text.ptr[at] >= '0' && text.ptr[at] <= '9'))
        at++;
    if (at == text.len)
        return;
    char *other = malloc(text.len);
    if (!other)
        abort();
    memcpy(other, text.ptr, text.len);
    other[at] = other[at] == '9' ? '0' : (char)(other[at] + 1);
    if (semantic_facts(text) == semantic_facts(str_slice(other, text.len)))
        abort();
    free(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str all = {(const char *)data, size};
    size_t nul = min_size(str_find_char(all, '\0'), size);
    str a = str_sub(all, 0, nul), b = str_sub(all, nul + 1, SIZE_MAX);
    check_digit(a);
    (void)semantic_facts(b);
    check_answers(a, b);
    return 0;
}
