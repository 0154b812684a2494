// REQ: SEC-4
// Any bytes as a URL, as a reference against one, as a path and as a Host header.
#include <stdlib.h>

#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_lie_within(str part, str whole)
{
    if (part.len && (part.ptr < whole.ptr || part.ptr + part.len > whole.ptr + whole.len) &&
        !str_eq(part, STR("/")))
        abort();
}

static void try_url(str text)
{
    struct url u;
    if (url_parse(text, &u, NULL) != ERR_OK)
        return;
    if (u.host.len == 0 || u.port == 0 || u.target.len == 0)
        abort();
    must_lie_within(u.host, text);
    must_lie_within(u.authority, text);
    must_lie_within(u.target, text);
    for (size_t i = 0; i < u.target.len; i++)
        if (u.target.ptr[i] <= ' ' || u.target.ptr[i] > '~')
            abort(); // it would end the request line
}

static void try_reference(str reference)
{
    struct arena a;
    struct url u;
    str out;
    arena_init(&a, 1 << 20);
    if (url_resolve(STR("https://h:8443/a/b?c"), reference, &a, &out, NULL) == ERR_OK &&
        url_parse(out, &u, NULL) != ERR_OK)
        abort();
    arena_done(&a);
}

static void try_path(str raw)
{
    struct arena a;
    str path, segment;
    arena_init(&a, 1 << 20);
    if (url_decode_path(raw, &a, &path) == ERR_OK) {
        if (path.len > raw.len || str_find_char(path, '\0') != SIZE_MAX)
            abort();
        while (str_split(&path, '/', &segment))
            if (str_eq(segment, STR("..")) || str_eq(segment, STR(".")))
                abort();
    }
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str input = str_slice((const char *)data, size);
    try_url(input);
    try_reference(input);
    try_path(input);
    if (url_authority_ok(input))
        for (size_t i = 0; i < input.len; i++)
            if ((uint8_t)input.ptr[i] <= ' ' || input.ptr[i] == '/' || input.ptr[i] == '@')
                abort();
    return 0;
}
