#include "fault/attempts.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include "base/banned.h"

enum { ASKED_BYTES_MAX = 512 * 1024, BODY_BYTES_MAX = 64 * 1024 };

void attempts_init(struct attempts *a, size_t cap, bool bodies)
{
    *a = (struct attempts){.cap = cap, .bodies = bodies};
    a->items = mem_array(cap, sizeof *a->items);
    attempts_clear(a);
}

static void drop(struct attempt *t)
{
    mem_free((void *)(uintptr_t)t->asked.ptr);
    mem_free((void *)(uintptr_t)t->did.ptr);
    mem_free((void *)(uintptr_t)t->model.ptr);
    *t = (struct attempt){0};
}

void attempts_clear(struct attempts *a)
{
    for (size_t i = 0; i < a->cap; i++)
        drop(&a->items[i]);
    a->next = 0;
    a->epoch_us = clock_mono_us();
    a->epoch_wall_ms = clock_wall_ms();
}

void attempts_done(struct attempts *a)
{
    attempts_clear(a);
    mem_free(a->items);
    a->items = NULL;
}

static str owned(str s)
{
    return str_slice(mem_strndup(s.ptr ? s.ptr : "", s.len), s.len);
}

// --- What was asked

static bool is_secret(str name)
{
    static const char *const names[] = {
        "authorization", "proxy-authorization", "api-key", "x-api-key", "cookie", "x-goog-api-key"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return false;
}

static void write_headers(struct json_writer *w, const struct http_call *call)
{
    size_t len;
    const struct http_header *h = http_call_headers(call, &len);
    jw_key(w, "headers");
    jw_array_begin(w);
    for (size_t i = 0; i < len; i++) {
        jw_array_begin(w);
        jw_str(w, h[i].name);
        jw_str(w, is_secret(h[i].name) ? STR("***") : h[i].value);
        jw_array_end(w);
    }
    jw_array_end(w);
}

static str describe(const struct attempts *a, const struct http_call *call)
{
    struct buf out;
    struct json_writer w;
    str query = http_call_query(call), body = http_call_body(call);
    buf_init(&out, ASKED_BYTES_MAX);
    jw_init(&w, &out);
    jw_object_begin(&w);
    jw_kv_str(&w, "method", http_call_method(call));
    jw_kv_str(&w, "path", http_call_path(call));
    jw_kv_str(&w, "query", str_find(query, STR("key=")) == SIZE_MAX ? query : STR("***"));
    jw_kv_str(&w, "peer", http_call_peer(call));
    write_headers(&w, call);
    jw_kv_int(&w, "body_bytes", (int64_t)body.len);
    if (a->bodies)
        jw_kv_str(&w, "body", str_sub(body, 0, BODY_BYTES_MAX));
    jw_object_end(&w);
    str members = buf_str(&out);
    str asked = owned(out.failed ? STR("\"path\":null") : str_sub(members, 1, members.len - 2));
    buf_done(&out);
    return asked;
}

uint64_t attempts_add(struct attempts *a, const struct http_call *call)
{
    struct attempt *t = &a->items[a->next % a->cap];
    drop(t);
    t->number = a->next++;
    t->began_us = clock_mono_us();
    t->asked = describe(a, call);
    return t->number;
}

struct attempt *attempts_get(struct attempts *a, uint64_t number)
{
    struct attempt *t = &a->items[number % a->cap];
    return number < a->next && t->asked.ptr && t->number == number ? t : NULL;
}

void attempt_says(struct attempt *t, str model, str did)
{
    ASSERT(!t->did.ptr);
    t->model = owned(model);
    t->did = owned(did);
}

// --- What was done

static const char *const outcomes[] = {"running", "answered", "error",   "hung",  "reset",
                                       "stalled", "cut",      "stopped", "failed"};

static double since_ms(uint64_t from_us, uint64_t to_us)
{
    return (double)(to_us - from_us) / 1000;
}

static void write_one(const struct attempts *a, const struct attempt *t, struct buf *out)
{
    struct json_writer w;
    (void)buf_append_str(out, STR("{"));
    (void)buf_append_str(out, t->asked);
    (void)buf_append_str(out, STR(",\"did\":"));
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "wire", t->wire);
    jw_kv_str(&w, "model", t->model);
    jw_kv_bool(&w, "stream", t->stream);
    jw_kv_str(&w, "orders", t->did);
    jw_kv_z(&w, "outcome", outcomes[t->outcome]);
    jw_kv_int(&w, "status", t->status);
    jw_kv_int(&w, "events", (int64_t)t->events);
    jw_kv_int(&w, "body_bytes", (int64_t)t->bytes);
    jw_kv_bool(&w, "over", t->over);
    jw_kv_bool(&w, "client_closed", t->client_closed);
    jw_key(&w, "first_byte_ms");
    if (t->first_byte_us)
        jw_f64(&w, since_ms(t->began_us, t->first_byte_us));
    else
        jw_null(&w);
    jw_key(&w, "duration_ms");
    if (t->over)
        jw_f64(&w, since_ms(t->began_us, t->ended_us));
    else
        jw_null(&w);
    jw_object_end(&w);
    (void)buf_printf(out, ",\"number\":%llu,\"at_ms\":%.3f}", (unsigned long long)t->number,
                     since_ms(a->epoch_us, t->began_us));
}

void attempts_write(const struct attempts *a, struct buf *out)
{
    uint64_t kept = min_size(a->next, a->cap);
    (void)buf_printf(out, "{\"since_ms\":%llu,\"total\":%llu,\"forgotten\":%llu,\"attempts\":[",
                     (unsigned long long)a->epoch_wall_ms, (unsigned long long)a->next,
                     (unsigned long long)(a->next - kept));
    for (uint64_t n = a->next - kept; n < a->next; n++) {
        if (n > a->next - kept)
            (void)buf_append_char(out, ',');
        write_one(a, &a->items[n % a->cap], out);
    }
    (void)buf_append_str(out, STR("]}"));
}
