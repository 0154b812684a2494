// Patterns and the texts that they are looked for in: the first line is a pattern. Cut anywhere,
// the text gives the same matches, and none of it is lost. REQ: GUARD-1
#include "guard/scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_BYTES_MAX = 1 << 20 };

static void on_text(void *ctx, str bytes)
{
    (void)buf_append_str(ctx, bytes);
}

static void on_match(void *ctx, uint32_t id UNUSED, str bytes)
{
    (void)buf_append_char(ctx, '\1');
    (void)buf_append_str(ctx, bytes);
    (void)buf_append_char(ctx, '\2');
}

static void scan_by(const struct patterns *p, str text, size_t piece, struct buf *out)
{
    static const struct scan_handler handler = {on_text, on_match};
    struct scan_scratch scratch;
    struct scan scan;
    scan_scratch_init(&scratch, p);
    scan_init(&scan, p, &handler, out);
    for (size_t at = 0; at < text.len; at += piece)
        scan_feed(&scan, &scratch, str_sub(text, at, piece));
    scan_end(&scan, &scratch);
    ASSERT(scan_held_bytes(&scan) == 0);
    scan_done(&scan);
    scan_scratch_done(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_slice((const char *)data, size), pattern;
    struct buf whole, cut;
    struct patterns *p = patterns_new();
    if (size < 2000 && str_split(&text, '\n', &pattern) &&
        patterns_add(p, pattern, 0, NULL) == ERR_OK) {
        buf_init(&whole, OUT_BYTES_MAX);
        buf_init(&cut, OUT_BYTES_MAX);
        scan_by(p, text, text.len + 1, &whole);
        scan_by(p, text, 1 + pattern.len % 5, &cut);
        ASSERT(str_eq(buf_str(&whole), buf_str(&cut)));
        ASSERT(whole.len >= text.len);
        buf_done(&whole);
        buf_done(&cut);
    }
    patterns_free(p);
    return 0;
}
