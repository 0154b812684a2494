#include "fault/paths.h"

#include "base/banned.h"

struct row {
    const char *method, *path;
    enum path_kind kind;
    enum ask_operation operation;
    const struct wire *wire;
    const char *document;
};

static const struct row rows[] = {
    {"POST", "/v1/chat/completions", PATH_ASK, ASK_CHAT, &wire_openai, NULL},
    {"POST", "/v1/completions", PATH_ASK, ASK_COMPLETION, &wire_openai, NULL},
    {"POST", "/v1/embeddings", PATH_ASK, ASK_EMBEDDING, &wire_openai, NULL},
    {"GET", "/v1/models", PATH_MODELS, ASK_CHAT, &wire_openai, NULL},
    {"POST", "/v1/messages", PATH_ASK, ASK_CHAT, &wire_anthropic, NULL},
    {"POST", "/v1/messages/count_tokens", PATH_ASK, ASK_COUNT_TOKENS, &wire_anthropic, NULL},
    {"POST", "/api/chat", PATH_ASK, ASK_CHAT, &wire_ollama, NULL},
    {"POST", "/api/generate", PATH_ASK, ASK_GENERATE, &wire_ollama, NULL},
    {"POST", "/api/embed", PATH_ASK, ASK_EMBEDDING, &wire_ollama, NULL},
    {"GET", "/api/tags", PATH_TAGS, ASK_CHAT, &wire_ollama, NULL},
    {"POST", "/api/show", PATH_SHOW, ASK_CHAT, &wire_ollama, NULL},
    {"GET", "/api/ps", PATH_PLAIN, ASK_CHAT, &wire_ollama, "{\"models\":[]}"},
    {"GET", "/api/version", PATH_PLAIN, ASK_CHAT, &wire_ollama, "{\"version\":\"0.12.0\"}"},
    {"GET", "/", PATH_PLAIN, ASK_CHAT, &wire_ollama, "Ollama is running"},
    {"GET", "/health", PATH_PLAIN, ASK_CHAT, &wire_openai, ""},
    {"GET", "/v1/health/live", PATH_PLAIN, ASK_CHAT, &wire_openai,
     "{\"object\":\"health.response\",\"message\":\"Service is live.\",\"status\":\"live\"}"},
    {"GET", "/v1/health/ready", PATH_PLAIN, ASK_CHAT, &wire_openai,
     "{\"object\":\"health.response\",\"message\":\"Service is ready.\",\"status\":\"ready\"}"},
    {"GET", "/v1/metadata", PATH_PLAIN, ASK_CHAT, &wire_openai,
     "{\"version\":\"1.0.0\",\"modelInfo\":[]}"},
    {"GET", "/v1/version", PATH_PLAIN, ASK_CHAT, &wire_openai,
     "{\"release\":\"1.0.0\",\"api\":\"1.0.0\"}"},
    {"GET", "/fault/attempts", PATH_ATTEMPTS, ASK_CHAT, &wire_openai, NULL},
    {"DELETE", "/fault/attempts", PATH_ATTEMPTS, ASK_CHAT, &wire_openai, NULL},
    {"GET", "/fault/orders", PATH_ORDERS, ASK_CHAT, &wire_openai, NULL},
};

static struct path find_row(str method, str path)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (str_eq_z(path, rows[i].path) && str_eq_z(method, rows[i].method))
            return (struct path){.kind = rows[i].kind,
                                 .operation = rows[i].operation,
                                 .wire = rows[i].wire,
                                 .document = rows[i].document};
    return (struct path){.wire = str_starts(path, STR("/api/")) ? &wire_ollama : &wire_openai};
}

// "/openai/deployments/NAME/chat/completions" to its last part; "/openai/v1/…" to "/v1/…".
static bool azure_path(str path, str *ret_model, str *ret_operation)
{
    static const char prefix[] = "/openai/deployments/";
    if (str_starts(path, STR("/openai/v1/"))) {
        *ret_model = STR_NONE;
        *ret_operation = str_sub(path, strlen("/openai/v1"), path.len);
        return true;
    }
    if (!str_starts(path, str_of(prefix)))
        return false;
    str rest = str_sub(path, strlen(prefix), path.len);
    size_t slash = str_find_char(rest, '/');
    if (slash == SIZE_MAX || slash == 0)
        return false;
    *ret_model = str_sub(rest, 0, slash);
    *ret_operation = str_sub(rest, slash, rest.len);
    return true;
}

static struct path find_azure(str method, str model, str operation)
{
    char path[64] = "/v1";
    size_t prefix = strlen(path);
    if (operation.len >= sizeof path - prefix)
        return (struct path){.wire = &wire_azure};
    memcpy(path + prefix, operation.ptr, operation.len);
    struct path r = find_row(method, str_slice(path, prefix + operation.len));
    if (r.wire != &wire_openai)
        return (struct path){.wire = &wire_azure};
    r.wire = &wire_azure;
    r.model = model;
    return r;
}

struct path paths_find(str method, str path, bool anthropic)
{
    str model, operation;
    if (azure_path(path, &model, &operation))
        return find_azure(method, model, operation);
    struct path r = find_row(method, path);
    if (r.kind == PATH_MODELS && anthropic)
        r.wire = &wire_anthropic;
    if (r.kind == PATH_UNKNOWN && str_eq(method, STR("GET")) &&
        str_starts(path, STR("/v1/models/")))
        r = (struct path){.kind = PATH_MODEL,
                          .wire = &wire_openai,
                          .model = str_sub(path, strlen("/v1/models/"), path.len)};
    return r;
}
