// Every refusal that weir gives a client, in one vocabulary: a stable code, its type in OpenAI's
// words, its HTTP status, and whether coming again can help. A dialect turns it into its own wire
// shape. Value type, no allocation, any thread.
#pragma once

#include <stdbool.h>

#include "base/base.h"
#include "base/err.h"
#include "base/str.h"

enum api_error_code {
    API_OK = 0,
    // the body
    API_INVALID_JSON,
    API_INVALID_UTF8,
    API_DUPLICATE_MEMBER,
    API_JSON_LIMIT,
    API_MISSING_PARAMETER,
    API_INVALID_TYPE,
    API_INVALID_VALUE,
    API_BELOW_MIN,
    API_ABOVE_MAX,
    API_EMPTY_ARRAY,
    API_ARRAY_TOO_LONG,
    API_STRING_TOO_LONG,
    API_UNSUPPORTED_PARAMETER,
    API_TOOLS_UNSUPPORTED,
    API_IMAGES_UNSUPPORTED,
    API_OPERATION_UNSUPPORTED,
    API_CONTEXT_LENGTH,
    API_CONTENT_POLICY,
    API_GUARD_BLOCKED,
    API_PARAMS_DROPPED,
    API_ANSWER_TOO_LARGE,
    API_BAD_REQUEST,
    // who and where
    API_MISSING_KEY,
    API_INVALID_KEY,
    API_EXPIRED_KEY,
    API_MODEL_NOT_ALLOWED,
    API_FOREIGN_HOST,
    API_FOREIGN_ORIGIN,
    API_MODEL_NOT_FOUND,
    API_PROMPT_NOT_FOUND,
    API_UNKNOWN_URL,
    API_METHOD_NOT_ALLOWED,
    API_UNSUPPORTED_MEDIA_TYPE,
    // the wire
    API_REQUEST_TIMEOUT,
    API_BODY_TOO_LARGE,
    API_TARGET_TOO_LONG,
    API_EXPECTATION_FAILED,
    API_HEADER_TOO_LARGE,
    API_TOO_MANY_CONNECTIONS,
    API_NOT_IMPLEMENTED,
    API_HTTP_VERSION,
    // not now
    API_RATE_LIMITED,
    API_QUOTA_EXCEEDED,
    API_BUDGET_EXCEEDED,
    API_CONVERSATION_EXHAUSTED,
    API_QUEUE_FULL,
    API_OVERLOADED,
    API_NO_TARGET,
    API_MODEL_LOADING,
    API_SHUTTING_DOWN,
    API_TIMEOUT,
    API_CANCELLED,
    // the provider
    API_UPSTREAM_UNREACHABLE,
    API_UPSTREAM_DENIED,
    API_UPSTREAM_FAILED,
    API_UPSTREAM_CUT,
    API_UPSTREAM_MALFORMED,
    API_UPSTREAM_TIMEOUT,
    API_ENGINE_ERROR,
    API_INTERNAL_ERROR,
    API_ERROR_COUNT
};

// Why an attempt failed: what the routing does next depends on it, and on it alone.
enum failure {
    FAILURE_NONE,         // or not of a provider
    FAILURE_CLIENT,       // the request is wrong: the same everywhere, no penalty
    FAILURE_RATE_LIMITED, // retry_after_ms is a floor
    FAILURE_TRANSIENT,    // 5xx, a reset, no connection
    FAILURE_CONNECT_TIMEOUT,
    FAILURE_FIRST_TIMEOUT, // nothing came within the time for the first token
    FAILURE_IDLE_TIMEOUT,  // the stream fell silent
    FAILURE_TOTAL_TIMEOUT,
    FAILURE_HARD_DOWN, // 401, 403, no quota: this target stays useless for long
    FAILURE_UNSUITED,  // not what this target can do: another may
    FAILURE_CONTEXT,   // too long for this model
    FAILURE_CONTENT_POLICY,
    FAILURE_TRUNCATED, // it ended without a proven end
    FAILURE_MALFORMED, // not what its protocol says
    FAILURE_COUNT
};
// The class of an error that was given none, by its code.
enum failure failure_of(enum api_error_code code);
const char *failure_name(enum failure f); // "rate_limited": for logs, metrics, `weir explain`

struct api_error {
    enum api_error_code code;
    enum failure failure;
    uint32_t retry_after_ms; // 0 = no word about it
    char param[96];          // "messages[1].content"; empty = none
    char message[640];       // one or two sentences with the remedy
};

// The row of the vocabulary.
struct api_error_row {
    const char *name; // "context_length_exceeded"
    const char *type; // "invalid_request_error"
    int status;
    bool retry; // may the same request succeed later?
};
const struct api_error_row *api_error_row(enum api_error_code code);
// The code of a name; API_BAD_REQUEST, API_INTERNAL_ERROR… by status when the name is unknown.
enum api_error_code api_error_find(const char *name, int status);

// Fill e and return false, so that `return api_error_set(…)` reads well. param may be NULL.
bool api_error_set(struct api_error *e, enum api_error_code code, const char *param,
                   const char *fmt, ...) PRINTF_LIKE(4, 5);
