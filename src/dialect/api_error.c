#include "dialect/api_error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/banned.h"

#define INVALID "invalid_request_error"

// The one table of codes; docs/api.md tells clients about each of them.
static const struct api_error_row rows[API_ERROR_COUNT] = {
    [API_OK] = {"ok", "", 200, false},
    [API_INVALID_JSON] = {"invalid_json", INVALID, 400, false},
    [API_INVALID_UTF8] = {"invalid_utf8", INVALID, 400, false},
    [API_DUPLICATE_MEMBER] = {"duplicate_member", INVALID, 400, false},
    [API_JSON_LIMIT] = {"json_limit_exceeded", INVALID, 400, false},
    [API_MISSING_PARAMETER] = {"missing_required_parameter", INVALID, 400, false},
    [API_INVALID_TYPE] = {"invalid_type", INVALID, 400, false},
    [API_INVALID_VALUE] = {"invalid_value", INVALID, 400, false},
    [API_BELOW_MIN] = {"below_min_value", INVALID, 400, false},
    [API_ABOVE_MAX] = {"above_max_value", INVALID, 400, false},
    [API_EMPTY_ARRAY] = {"empty_array", INVALID, 400, false},
    [API_ARRAY_TOO_LONG] = {"array_above_max_length", INVALID, 400, false},
    [API_STRING_TOO_LONG] = {"string_above_max_length", INVALID, 400, false},
    [API_UNSUPPORTED_PARAMETER] = {"unsupported_parameter", INVALID, 400, false},
    [API_TOOLS_UNSUPPORTED] = {"tools_unsupported", INVALID, 400, false},
    [API_IMAGES_UNSUPPORTED] = {"images_unsupported", INVALID, 400, false},
    [API_OPERATION_UNSUPPORTED] = {"operation_unsupported", INVALID, 400, false},
    [API_CONTEXT_LENGTH] = {"context_length_exceeded", INVALID, 400, false},
    [API_CONTENT_POLICY] = {"content_policy_violation", INVALID, 400, false},
    [API_GUARD_BLOCKED] = {"guard_blocked", INVALID, 400, false},
    [API_PARAMS_DROPPED] = {"params_dropped", INVALID, 400, false},
    [API_ANSWER_TOO_LARGE] = {"answer_too_large", INVALID, 400, false},
    [API_BAD_REQUEST] = {"bad_request", INVALID, 400, false},
    [API_MISSING_KEY] = {"missing_api_key", INVALID, 401, false},
    [API_INVALID_KEY] = {"invalid_api_key", INVALID, 401, false},
    [API_EXPIRED_KEY] = {"expired_api_key", INVALID, 401, false},
    [API_MODEL_NOT_ALLOWED] = {"model_not_allowed", "permission_error", 403, false},
    [API_FOREIGN_HOST] = {"foreign_host", "permission_error", 403, false},
    [API_FOREIGN_ORIGIN] = {"foreign_origin", "permission_error", 403, false},
    [API_MODEL_NOT_FOUND] = {"model_not_found", INVALID, 404, false},
    [API_PROMPT_NOT_FOUND] = {"prompt_not_found", INVALID, 404, false},
    [API_UNKNOWN_URL] = {"unknown_url", INVALID, 404, false},
    [API_METHOD_NOT_ALLOWED] = {"method_not_allowed", INVALID, 405, false},
    [API_UNSUPPORTED_MEDIA_TYPE] = {"unsupported_media_type", INVALID, 415, false},
    [API_REQUEST_TIMEOUT] = {"request_timeout", INVALID, 408, true},
    [API_BODY_TOO_LARGE] = {"body_too_large", INVALID, 413, false},
    [API_TARGET_TOO_LONG] = {"target_too_long", INVALID, 414, false},
    [API_EXPECTATION_FAILED] = {"expectation_failed", INVALID, 417, false},
    [API_HEADER_TOO_LARGE] = {"header_too_large", INVALID, 431, false},
    [API_TOO_MANY_CONNECTIONS] = {"too_many_connections", "rate_limit_error", 429, true},
    [API_NOT_IMPLEMENTED] = {"not_implemented", INVALID, 501, false},
    [API_HTTP_VERSION] = {"http_version_unsupported", INVALID, 505, false},
    [API_RATE_LIMITED] = {"rate_limit_exceeded", "rate_limit_error", 429, true},
    [API_QUOTA_EXCEEDED] = {"insufficient_quota", "rate_limit_error", 429, false},
    [API_BUDGET_EXCEEDED] = {"budget_exceeded", "rate_limit_error", 429, false},
    [API_CONVERSATION_EXHAUSTED] = {"conversation_exhausted", "rate_limit_error", 429, false},
    [API_QUEUE_FULL] = {"queue_full", "rate_limit_error", 429, true},
    [API_OVERLOADED] = {"overloaded", "server_error", 503, true},
    [API_NO_TARGET] = {"no_healthy_target", "server_error", 503, true},
    [API_MODEL_LOADING] = {"model_loading", "server_error", 503, true},
    [API_SHUTTING_DOWN] = {"shutting_down", "server_error", 503, true},
    [API_TIMEOUT] = {"timeout", "server_error", 504, false},
    [API_CANCELLED] = {"cancelled", "server_error", 499, false},
    [API_UPSTREAM_UNREACHABLE] = {"upstream_unreachable", "server_error", 502, true},
    [API_UPSTREAM_DENIED] = {"upstream_denied", "server_error", 502, false},
    [API_UPSTREAM_FAILED] = {"upstream_failed", "server_error", 502, true},
    [API_UPSTREAM_CUT] = {"upstream_cut", "server_error", 502, true},
    [API_UPSTREAM_MALFORMED] = {"upstream_malformed", "server_error", 502, true},
    [API_UPSTREAM_TIMEOUT] = {"upstream_timeout", "server_error", 504, true},
    [API_ENGINE_ERROR] = {"engine_error", "server_error", 500, false},
    [API_INTERNAL_ERROR] = {"internal_error", "server_error", 500, false},
};

const char *failure_name(enum failure f)
{
    static const char *const names[FAILURE_COUNT] = {
        [FAILURE_NONE] = "none",
        [FAILURE_CLIENT] = "client",
        [FAILURE_RATE_LIMITED] = "rate_limited",
        [FAILURE_TRANSIENT] = "transient",
        [FAILURE_CONNECT_TIMEOUT] = "connect_timeout",
        [FAILURE_FIRST_TIMEOUT] = "first_token_timeout",
        [FAILURE_IDLE_TIMEOUT] = "idle_timeout",
        [FAILURE_TOTAL_TIMEOUT] = "total_timeout",
        [FAILURE_HARD_DOWN] = "hard_down",
        [FAILURE_UNSUITED] = "unsuited",
        [FAILURE_CONTEXT] = "context_too_long",
        [FAILURE_CONTENT_POLICY] = "content_policy",
        [FAILURE_TRUNCATED] = "truncated",
        [FAILURE_MALFORMED] = "malformed",
    };
    return names[f];
}

enum failure failure_of(enum api_error_code code)
{
    switch (code) {
    case API_CONTEXT_LENGTH:
        return FAILURE_CONTEXT;
    case API_CONTENT_POLICY:
        return FAILURE_CONTENT_POLICY;
    case API_TOOLS_UNSUPPORTED:
    case API_IMAGES_UNSUPPORTED:
    case API_OPERATION_UNSUPPORTED:
    case API_PARAMS_DROPPED:
        return FAILURE_UNSUITED;
    case API_QUEUE_FULL:
    case API_OVERLOADED:
    case API_RATE_LIMITED:
        return FAILURE_RATE_LIMITED;
    case API_TIMEOUT:
        return FAILURE_TOTAL_TIMEOUT;
    case API_ENGINE_ERROR:
    case API_UPSTREAM_UNREACHABLE:
    case API_UPSTREAM_FAILED:
    case API_MODEL_LOADING:
        return FAILURE_TRANSIENT;
    case API_UPSTREAM_TIMEOUT:
        return FAILURE_IDLE_TIMEOUT;
    case API_UPSTREAM_DENIED:
    case API_QUOTA_EXCEEDED:
        return FAILURE_HARD_DOWN;
    case API_UPSTREAM_CUT:
        return FAILURE_TRUNCATED;
    case API_UPSTREAM_MALFORMED:
        return FAILURE_MALFORMED;
    default:
        return FAILURE_CLIENT;
    }
}

const struct api_error_row *api_error_row(enum api_error_code code)
{
    ASSERT((unsigned)code < API_ERROR_COUNT);
    return &rows[code];
}

static enum api_error_code by_status(int status)
{
    for (int code = API_BAD_REQUEST; code < API_ERROR_COUNT; code++)
        if (rows[code].status == status)
            return (enum api_error_code)code;
    return status < 500 ? API_BAD_REQUEST : API_INTERNAL_ERROR;
}

enum api_error_code api_error_find(const char *name, int status)
{
    str wanted = str_of(name);
    for (int code = API_OK + 1; code < API_ERROR_COUNT; code++)
        if (str_eq_z(wanted, rows[code].name))
            return (enum api_error_code)code;
    return by_status(status);
}

bool api_error_set(struct api_error *e, enum api_error_code code, const char *param,
                   const char *fmt, ...)
{
    va_list args;
    *e = (struct api_error){.code = code};
    if (param)
        snprintf(e->param, sizeof e->param, "%s", param);
    va_start(args, fmt);
    vsnprintf(e->message, sizeof e->message, fmt, args);
    va_end(args);
    return false;
}
