// What makes two requests the same: tenant and place (from which its guards follow), and the body
// without what only says how the answer is to be sent, its objects' members in the order of their
// names.
#include "base/encode.h"
#include "gateway/cache.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"

#include "base/banned.h"

// Objects with more members than that are taken in the order they came in.
#define MEMBERS_SORTED_MAX 256

struct hasher {
    struct sha256 *sha;
    const char *open; // the text that may be any: by where it lies; NULL: none
};

struct member {
    str name;
    yyjson_val *value;
};

static void add_bytes(struct hasher *h, const void *data, size_t len)
{
    sha256_update(h->sha, &len, sizeof len); // so that no two sequences run into each other
    if (len)
        sha256_update(h->sha, data, len);
}

static void add_str(struct hasher *h, str s)
{
    add_bytes(h, s.ptr, s.len);
}

static int by_name(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return str_cmp(x->name, y->name);
}

static size_t sorted_members(yyjson_val *object, struct member *out)
{
    size_t len = 0, at, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(object, at, count, name, value)
    {
        out[len].name = json_str(name);
        out[len++].value = value;
    }
    qsort(out, len, sizeof *out, by_name);
    return len;
}

static void add_value(struct hasher *h, yyjson_val *v);

static void add_unsorted(struct hasher *h, yyjson_val *object)
{
    size_t at, count;
    yyjson_val *name, *value;
    yyjson_obj_foreach(object, at, count, name, value)
    {
        add_str(h, json_str(name));
        add_value(h, value);
    }
}

static void add_object(struct hasher *h, yyjson_val *object)
{
    struct member members[MEMBERS_SORTED_MAX];
    if (yyjson_obj_size(object) > MEMBERS_SORTED_MAX) {
        add_unsorted(h, object);
        return;
    }
    size_t len = sorted_members(object, members);
    for (size_t i = 0; i < len; i++) {
        add_str(h, members[i].name);
        add_value(h, members[i].value);
    }
}

static void add_value(struct hasher *h, yyjson_val *v)
{
    size_t at, count;
    yyjson_val *item;
    uint8_t type = yyjson_get_type(v);
    add_bytes(h, &type, 1);
    if (yyjson_is_obj(v)) {
        add_object(h, v);
    } else if (yyjson_is_arr(v)) {
        add_bytes(h, &(size_t){yyjson_arr_size(v)}, sizeof(size_t));
        yyjson_arr_foreach(v, at, count, item) add_value(h, item);
    } else if (h->open && yyjson_is_str(v) && yyjson_get_str(v) == h->open) {
        add_bytes(h, "", 0);
    } else if (yyjson_is_bool(v)) {
        add_bytes(h, yyjson_get_bool(v) ? "t" : "f", 1);
    } else {
        add_str(h, yyjson_is_str(v) ? json_str(v) : json_num_text(v));
    }
}

// How it is sent, and on whose behalf, changes nothing about the answer.
static bool is_of_the_sending(str name)
{
    static const char *const names[] = {"stream", "stream_options", "user", "metadata", "model"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_z(name, names[i]))
            return true;
    return false;
}

static void add_body(struct hasher *h, yyjson_val *root)
{
    struct member members[MEMBERS_SORTED_MAX];
    size_t len = sorted_members(root, members);
    for (size_t i = 0; i < len; i++) {
        if (is_of_the_sending(members[i].name))
            continue;
        add_str(h, members[i].name);
        add_value(h, members[i].value);
    }
}

static void hash_call(const struct call *c, const char *open, uint8_t out[static CACHE_KEY_BYTES])
{
    struct hasher h = {sha256_new(), open};
    ASSERT(yyjson_obj_size(c->doc.root) <= MEMBERS_SORTED_MAX); // phase_cache looks
    add_str(&h, c->key ? c->key->id : STR(""));
    add_str(&h, str_of(c->kind->endpoint));
    add_str(&h, c->route->targets_len ? c->route->name : c->model->name);
    add_str(&h, c->model->root);
    add_str(&h, c->model->fingerprint);
    add_bytes(&h, c->in.strict ? "s" : "-", 1);
    add_body(&h, c->doc.root);
    sha256_finish(h.sha, out);
}

void cache_key(const struct call *c, uint8_t out[static CACHE_KEY_BYTES])
{
    hash_call(c, NULL, out);
}

void cache_bucket(const struct call *c, str open, uint8_t out[static CACHE_KEY_BYTES])
{
    hash_call(c, open.ptr, out);
}
