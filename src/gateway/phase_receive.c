// What does it say? The body to JSON, the JSON to the exchange. Any thread.
#include "base/utf8.h"
#include "gateway/call.h"
#include "gateway/gateway_internal.h"
#include "gateway/phase_prompt.h"

#include "base/banned.h"

static bool refuse_json(struct call *c, enum err e, const struct diag *d)
{
    char place[48] = "";
    enum api_error_code code = e == ERR_INVALID ? API_DUPLICATE_MEMBER
                               : e == ERR_LIMIT ? API_JSON_LIMIT
                                                : API_INVALID_JSON;
    size_t valid = utf8_valid_prefix(c->in.body);
    if (valid < c->in.body.len) // JSON is UTF-8, so the parser took offence at it too
        return api_error_set(call_error(c), API_INVALID_UTF8, NULL,
                             "The body is not UTF-8 (at byte %zu).", valid);
    if (d->line)
        snprintf(place, sizeof place, " (line %u, column %u)", d->line, d->col);
    return api_error_set(call_error(c), code, NULL, "The body is not acceptable JSON%s: %s", place,
                         d->text);
}

static bool parse(struct call *c)
{
    str body = c->in.body;
    struct diag d = {0};
    struct json_limits limits = {
        .bytes_max = (size_t)c->gateway->config->limits.body_bytes_max,
        .depth_max = (uint32_t)c->gateway->config->limits.json_depth_max,
        .values_max = 4u << 20,
    };
    if (!body.len)
        return api_error_set(call_error(c), API_INVALID_JSON, NULL,
                             "The body is empty. Send a JSON object.");
    enum err e = json_parse(&c->doc, body, limits, &d);
    if (e != ERR_OK)
        return refuse_json(c, e, &d);
    if (!yyjson_is_obj(c->doc.root))
        return api_error_set(call_error(c), API_INVALID_TYPE, NULL,
                             "The body must be a JSON object, but it is %s.",
                             json_type_words(c->doc.root));
    return true;
}

// "application/json", or anything that ends in "+json", with or without parameters.
static bool is_json_type(str type)
{
    size_t end = str_find_char(type, ';');
    str media = str_trim(str_sub(type, 0, end == SIZE_MAX ? type.len : end));
    return str_eq_nocase(media, STR("application/json")) ||
           (media.len > 5 && str_eq_nocase(str_sub(media, media.len - 5, 5), STR("+json")));
}

bool phase_receive(struct call *c)
{
    const struct dialect *d = c->kind->dialect;
    if (!(d && d->any_content_type) && !is_json_type(c->in.content_type))
        return api_error_set(call_error(c), API_UNSUPPORTED_MEDIA_TYPE, NULL,
                             "The Content-Type must be application/json, but it is '" STR_FMT "'.",
                             STR_ARG(c->in.content_type));
    if (!parse(c))
        return false;
    if (!d)
        return true;
    return phase_prompt(c) && phase_read_document(c);
}

bool phase_read_document(struct call *c)
{
    const struct dialect *d = c->kind->dialect;
    struct api_error e;
    bool ok = d->read(c->doc.root, &c->arena, &c->request, &e);
    if (!ok)
        *call_error(c) = e;
    c->request.spoken = d;
    c->request.root = c->doc.root;
    c->request.body = c->in.body;
    return ok;
}
