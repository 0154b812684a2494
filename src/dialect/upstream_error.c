// What providers say when they refuse: OpenAI's object, Anthropic's, Azure's, Ollama's string,
// FastAPI's detail, vLLM's flat one, or a page of HTML from a proxy in between.
#include <stdio.h>

#include "base/clock.h"
#include "dialect/upstream.h"

#include "base/banned.h"

#define RETRY_AFTER_MS_MAX 86400000u

struct said {
    int status;
    str code, type, message, param;
};

// --- Reading

static str first_str(yyjson_val *a, yyjson_val *b)
{
    str s = json_str(a);
    return s.len ? s : json_str(b);
}

static void read_object(yyjson_val *root, struct said *s)
{
    yyjson_val *error = json_get(root, "error");
    yyjson_val *from = yyjson_is_obj(error) ? error : root;
    int64_t status;
    s->message = first_str(json_get(from, "message"), error);
    if (!s->message.len)
        s->message = json_str(json_get(from, "detail"));
    s->type = json_str(json_get(from, "type"));
    s->code = json_str(json_get(from, "code"));
    s->param = json_str(json_get(from, "param"));
    str inner = json_str(json_get(json_get(from, "innererror"), "code"));
    if (inner.len)
        s->code = inner;
    if (!s->status &&
        (json_is_int(json_get(from, "code"), &status) ||
         json_is_int(json_get(from, "status"), &status)) &&
        status >= 400 && status < 600)
        s->status = (int)status;
}

static int status_of_type(str type)
{
    static const struct {
        const char *type;
        int status;
    } table[] = {
        {"invalid_request_error", 400},
        {"authentication_error", 401},
        {"billing_error", 402},
        {"permission_error", 403},
        {"not_found_error", 404},
        {"request_too_large", 413},
        {"rate_limit_error", 429},
        {"rate_limit_exceeded", 429},
        {"insufficient_quota", 429},
        {"tokens", 429},
        {"requests", 429},
        {"timeout_error", 504},
        {"overloaded_error", 529},
    };
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_eq_z(type, table[i].type))
            return table[i].status;
    return 500;
}

// --- Understanding

static bool contains_nocase(str text, str words)
{
    for (size_t i = 0; i + words.len <= text.len; i++)
        if (str_eq_nocase(str_sub(text, i, words.len), words))
            return true;
    return false;
}

static bool mentions(str text, const char *const *list)
{
    for (; *list; list++)
        if (contains_nocase(text, str_of(*list)))
            return true;
    return false;
}

static bool is_context(const struct said *s)
{
    static const char *const codes[] = {"context_length_exceeded", "exceed_context_size", NULL};
    static const char *const messages[] = {"maximum context length",
                                           "context window",
                                           "context length",
                                           "prompt is too long",
                                           "exceeds the available context size",
                                           "input is too long",
                                           "input length and `max_tokens` exceed",
                                           NULL};
    return mentions(s->code, codes) || mentions(s->type, codes) ||
           (s->status >= 400 && s->status < 500 && mentions(s->message, messages));
}

static bool is_content_policy(const struct said *s)
{
    static const char *const codes[] = {"content_filter", "content_policy_violation",
                                        "ResponsibleAIPolicyViolation", NULL};
    return mentions(s->code, codes) || mentions(s->type, codes);
}

static bool is_quota(const struct said *s)
{
    static const char *const codes[] = {"insufficient_quota", "billing", "credit", NULL};
    static const char *const messages[] = {"credit balance is too low",
                                           "exceeded your current quota", NULL};
    return s->status == 402 || mentions(s->code, codes) || mentions(s->type, codes) ||
           mentions(s->message, messages);
}

static bool is_model_missing(const struct said *s)
{
    return s->status == 404 &&
           (contains_nocase(s->code, STR("model")) || contains_nocase(s->message, STR("model")));
}

struct meaning {
    enum api_error_code code;
    enum failure failure;
};

// What this server, as it was started, cannot do. llama.cpp's says some of it with a status of 500.
static bool is_unsuited(const struct said *s, struct meaning *ret)
{
    static const char *const images[] = {"image input is not supported", NULL};
    static const char *const audio[] = {"audio input is not supported", NULL};
    static const char *const tools[] = {"tools param requires", NULL};
    enum api_error_code code = API_OPERATION_UNSUPPORTED;
    if (mentions(s->message, images))
        code = API_IMAGES_UNSUPPORTED;
    else if (mentions(s->message, tools))
        code = API_TOOLS_UNSUPPORTED;
    else if (s->status != 501 && !mentions(s->message, audio))
        return false;
    *ret = (struct meaning){code, FAILURE_UNSUITED};
    return true;
}

static struct meaning of_status(int status)
{
    switch (status) {
    case 401:
    case 403:
        return (struct meaning){API_UPSTREAM_DENIED, FAILURE_HARD_DOWN};
    case 408:
    case 504:
        return (struct meaning){API_UPSTREAM_TIMEOUT, FAILURE_TRANSIENT};
    case 409:
    case 425:
        return (struct meaning){API_UPSTREAM_FAILED, FAILURE_TRANSIENT};
    case 413:
        return (struct meaning){API_BODY_TOO_LARGE, FAILURE_CLIENT};
    case 429:
        return (struct meaning){API_RATE_LIMITED, FAILURE_RATE_LIMITED};
    case 503:
    case 529:
        return (struct meaning){API_OVERLOADED, FAILURE_TRANSIENT};
    default:
        break;
    }
    if (status < 400) // a redirect: never followed, for the key would travel with it
        return (struct meaning){API_UPSTREAM_FAILED, FAILURE_HARD_DOWN};
    if (status < 500)
        return (struct meaning){API_BAD_REQUEST, FAILURE_CLIENT};
    return (struct meaning){API_UPSTREAM_FAILED, FAILURE_TRANSIENT};
}

static struct meaning meaning_of(const struct said *s)
{
    char code[64];
    if (is_content_policy(s))
        return (struct meaning){API_CONTENT_POLICY, FAILURE_CONTENT_POLICY};
    if (is_context(s))
        return (struct meaning){API_CONTEXT_LENGTH, FAILURE_CONTEXT};
    if (is_quota(s))
        return (struct meaning){API_QUOTA_EXCEEDED, FAILURE_HARD_DOWN};
    if (is_model_missing(s))
        return (struct meaning){API_MODEL_NOT_FOUND, FAILURE_HARD_DOWN};
    struct meaning m;
    if (is_unsuited(s, &m))
        return m;
    m = of_status(s->status);
    if (m.code == API_BAD_REQUEST && s->code.len && s->code.len < sizeof code) {
        memcpy(code, s->code.ptr, s->code.len); // weir's word for it, where it has one
        code[s->code.len] = 0;
        enum api_error_code same = api_error_find(code, 400);
        if (api_error_row(same)->status == 400)
            m.code = same;
    }
    return m;
}

// --- Telling

static void tell(const struct said *s, str provider, struct api_error *ret)
{
    struct meaning m = meaning_of(s);
    char param[96];
    int name = (int)min_size(provider.len, 64);
    snprintf(param, sizeof param, "%.*s", (int)min_size(s->param.len, 95),
             s->param.ptr ? s->param.ptr : "");
    if (m.code == API_UPSTREAM_DENIED) // its words may repeat a part of the key
        api_error_set(ret, m.code, NULL,
                      "The provider '%.*s' refuses weir's credentials (status %d). Its key in the "
                      "configuration is wrong, missing, or not allowed to do this.",
                      name, provider.ptr, s->status);
    else
        api_error_set(ret, m.code, param[0] ? param : NULL,
                      "The provider '%.*s' answered with status %d%s%.*s", name, provider.ptr,
                      s->status, s->message.len ? ": " : ".", (int)min_size(s->message.len, 480),
                      s->message.ptr ? s->message.ptr : "");
    ret->failure = m.failure;
}

void upstream_error_of_object(yyjson_val *root, str provider, struct api_error *ret)
{
    struct said s = {.status = 0};
    read_object(root, &s);
    if (!s.status)
        s.status = status_of_type(s.type.len ? s.type : s.code);
    tell(&s, provider, ret);
}

void upstream_error_of_answer(const struct upstream_answer *a, str provider, str body,
                              struct api_error *ret)
{
    struct said s = {.status = a->status};
    struct json_doc doc = {0};
    struct diag d;
    bool parsed = json_parse(&doc, body, JSON_LIMITS_DEFAULT, &d) == ERR_OK;
    if (parsed && yyjson_is_obj(doc.root))
        read_object(doc.root, &s);
    tell(&s, provider, ret);
    ret->retry_after_ms = upstream_retry_after_ms(a);
    json_done(&doc);
}

// --- When to come back

static bool milliseconds(str text, double factor, uint32_t *ret)
{
    double value;
    if (!text.len || str_to_f64(str_trim(text), &value) != ERR_OK || value < 0)
        return false;
    value = value * factor + 0.999;
    *ret = value > RETRY_AFTER_MS_MAX ? RETRY_AFTER_MS_MAX : (uint32_t)value;
    return true;
}

uint32_t upstream_retry_after_ms(const struct upstream_answer *a)
{
    uint32_t ms = 0;
    uint64_t date_ms;
    if (milliseconds(a->retry_after_ms, 1, &ms) || milliseconds(a->x_ms_retry_after_ms, 1, &ms) ||
        milliseconds(a->retry_after, 1000, &ms))
        return ms;
    if (clock_parse_http_date(str_trim(a->retry_after), &date_ms) != ERR_OK ||
        date_ms <= a->wall_ms)
        return 0;
    uint64_t wait_ms = date_ms - a->wall_ms;
    return wait_ms > RETRY_AFTER_MS_MAX ? RETRY_AFTER_MS_MAX : (uint32_t)wait_ms;
}
