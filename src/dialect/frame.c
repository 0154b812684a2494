#include "dialect/frame.h"

#include "base/banned.h"

void frame_begin(struct buf *out, const char *name)
{
    (void)buf_printf(out, "event: %s\ndata: ", name);
}

void frame_end(struct buf *out)
{
    (void)buf_append_str(out, STR("\n\n"));
}
