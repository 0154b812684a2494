#include "dialect/openai_common.h"

#include "base/banned.h"

void openai_error(const struct api_error *e, str request_id UNUSED, struct buf *out)
{
    const struct api_error_row *row = api_error_row(e->code);
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "error");
    jw_object_begin(&w);
    jw_kv_z(&w, "message", e->message);
    jw_kv_z(&w, "type", row->type);
    if (e->param[0])
        jw_kv_z(&w, "param", e->param);
    else
        jw_kv_null(&w, "param");
    jw_kv_z(&w, "code", row->name);
    jw_object_end(&w);
    jw_object_end(&w);
}

void openai_stream_error(struct dialect_stream *s UNUSED, const struct api_error *e, str request_id,
                         struct buf *out)
{
    openai_sse_begin(out);
    openai_error(e, request_id, out);
    openai_sse_end(out);
}
