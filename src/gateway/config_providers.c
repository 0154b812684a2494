// The providers' part of the configuration.
#include "gateway/config.h"
#include "gateway/provider_fault.h"
#include "http/head.h"
#include "http/url.h"

#include "base/banned.h"

#define AT(member) offsetof(struct gateway_provider, member)

static const char *const kinds[] = {"openai", "azure", "nim", "anthropic", "ollama", "fault", NULL};
static const char *const spoken[] = {"openai", "azure", "nim", "anthropic", "ollama", NULL};

static const char *const http2_uses[] = {"auto", "off", "prior-knowledge", NULL};

#define HEALTH_AT(member) offsetof(struct gateway_health, member)

static const struct option health_table[] = {
    {.name = "path",
     .type = OPTION_STRING,
     .offset = HEALTH_AT(path),
     .arg = "PATH|off",
     .help = "What is asked, from the server's root: any answer but an error is well. Without it: "
             "NIM's /v1/health/ready, Ollama's /api/version, of others nothing. off: nothing."},
    {.name = "interval",
     .type = OPTION_DURATION,
     .offset = HEALTH_AT(interval_ms),
     .value = "10s",
     .min = 10,
     .max = 86400e3,
     .help = "How long after the last answer it is asked again."},
    {.name = "timeout",
     .type = OPTION_DURATION,
     .offset = HEALTH_AT(timeout_ms),
     .value = "2s",
     .min = 1,
     .max = 3600e3,
     .help = "No answer in that time is not well."},
    {.name = "failures",
     .type = OPTION_INT,
     .offset = HEALTH_AT(failures),
     .value = "2",
     .min = 1,
     .max = 1000,
     .help = "So many times in a row not well: its models are asked only when no others can be, "
             "until it is well once."},
    {.name = "metrics",
     .type = OPTION_STRING,
     .offset = HEALTH_AT(metrics),
     .arg = "PATH|off",
     .help = "Where its Prometheus page is, from the server's root: requests running and waiting "
             "there count for least_busy, whoever sent them. Without it: NIM's /v1/metrics, of "
             "others none. Known are the names of NIM, vLLM, SGLang, llama.cpp and weir."},
    {0},
};

const struct option gateway_provider_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(name),
     .help = "Lower-case letters, digits, '-' and '_'. A request for the model NAME/MODEL goes to "
             "this provider, whatever MODEL is."},
    {.name = "kind",
     .type = OPTION_CHOICE,
     .offset = AT(kind),
     .value = "openai",
     .choices = kinds,
     .help = "What it speaks. openai: OpenAI, and every server of its shape (vLLM, llama.cpp, LM "
             "Studio, another weir). fault: no provider at all, but one in this process that "
             "misbehaves on order, for tests (docs/fault.md)."},
    {.name = "base_url",
     .type = OPTION_STRING,
     .offset = AT(base_url),
     .arg = "URL",
     .help = "Where it is: https://api.openai.com/v1, https://RESOURCE.openai.azure.com, "
             "https://integrate.api.nvidia.com/v1, https://api.anthropic.com, "
             "http://127.0.0.1:11434. Without it: the kind's own address (Azure has none)."},
    {.name = "key",
     .type = OPTION_SECRET,
     .offset = AT(key),
     .help = "Its key, by reference only: {env: NAME}, {file: PATH} or ${NAME}."},
    {.name = "api_version",
     .type = OPTION_STRING,
     .offset = AT(api_version),
     .help = "Azure: the date of the API (2024-10-21); 'v1', or nothing, is the one without dates. "
             "Anthropic: the version header, 2023-06-01 without it."},
    {.name = "headers",
     .type = OPTION_STRINGS,
     .offset = AT(headers),
     .secret = true,
     .help = "Headers of every request to it, \"Name: value\" each."},
    {.name = "models",
     .type = OPTION_STRINGS,
     .offset = AT(models),
     .help = "Its models that are listed, in order; each is also called by its own name where no "
             "other has it. None: those that it says it has."},
    {.name = "discover",
     .type = OPTION_BOOL,
     .offset = AT(discover),
     .value = "true",
     .help = "Ask it for its models, where none are given: in the background, and again every "
             "minute. Without, it is not asked for its health by itself either."},
    {.name = "health",
     .type = OPTION_TABLE,
     .offset = AT(health),
     .table = health_table,
     .table_size = sizeof(struct gateway_health),
     .help = "Whether it is ready, asked in between (weir_provider_up)."},
    {.name = "connect_timeout",
     .type = OPTION_DURATION,
     .offset = AT(connect_timeout_ms),
     .value = "10s",
     .min = 1,
     .max = 3600e3,
     .help = "For its name, the connection, a proxy and TLS together."},
    {.name = "first_token_timeout",
     .type = OPTION_DURATION,
     .offset = AT(first_token_timeout_ms),
     .value = "2m",
     .min = 1,
     .max = 86400e3,
     .help = "Streams: from the request to the first word."},
    {.name = "idle_timeout",
     .type = OPTION_DURATION,
     .offset = AT(idle_timeout_ms),
     .value = "60s",
     .min = 1,
     .max = 86400e3,
     .help = "Streams: between two words. Keep-alive comments do not count."},
    {.name = "total_timeout",
     .type = OPTION_DURATION,
     .offset = AT(total_timeout_ms),
     .value = "10m",
     .min = 1,
     .max = 86400e3,
     .help = "For the whole of one attempt."},
    {.name = "ca_file",
     .type = OPTION_STRING,
     .offset = AT(ca_file),
     .arg = "FILE",
     .help = "Certificates to trust instead of the system's (PEM). There is no way to trust "
             "without."},
    {.name = "http2",
     .type = OPTION_CHOICE,
     .offset = AT(http2),
     .value = "auto",
     .choices = http2_uses,
     .help = "auto: HTTP/2 where TLS is spoken and the server chooses it (ALPN), many requests on "
             "one connection; else HTTP/1.1. prior-knowledge: without TLS, too, for a server that "
             "is known to speak it (h2c)."},
    {.name = "tokens_max",
     .type = OPTION_INT,
     .offset = AT(tokens_max),
     .value = "4096",
     .min = 1,
     .max = 1e9,
     .help = "Anthropic: the limit of an answer whose client gave none, for the API wants one."},
    {.name = "continues",
     .type = OPTION_BOOL,
     .offset = AT(continues),
     .value = "false",
     .help = "Its models go on with a trailing assistant message instead of answering it (vLLM, "
             "NIM and llama.cpp with continue_final_message; Ollama; older Claude models): a "
             "stream that broke off elsewhere can be continued there."},
    {.name = "strict",
     .type = OPTION_BOOL,
     .offset = AT(strict),
     .value = "false",
     .help = "Refuse a request with members that this provider cannot be told (400), instead of "
             "naming them in x-weir-dropped-params."},
    {.name = "speaks",
     .type = OPTION_CHOICE,
     .offset = AT(speaks),
     .value = "openai",
     .choices = spoken,
     .help = "fault: whose wire format it speaks."},
    {.name = "script",
     .type = OPTION_STRING,
     .offset = AT(script),
     .arg = "FILE",
     .help = "fault: what it does wrong, for which requests, as for weir fault --script."},
    {.name = "always",
     .type = OPTION_STRING,
     .offset = AT(always),
     .arg = "ORDERS",
     .help = "fault: what it does with every request, as in the x-fault header."},
    {0},
};

static bool name_ok(str name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-_", name.ptr[i]))
            return false;
    return name.len > 0 && name.len <= 64;
}

static bool header_ok(str line)
{
    size_t colon = str_find_char(line, ':');
    if (colon == SIZE_MAX)
        return false;
    return http_token_ok(str_sub(line, 0, colon)) &&
           http_value_ok(str_trim(str_sub(line, colon + 1, SIZE_MAX)));
}

static bool path_ok(str path)
{
    return !path.len || str_eq_z(path, "off") || (path.ptr[0] == '/' && http_value_ok(path));
}

static enum err check(const struct gateway_provider *p, struct diag *d)
{
    struct url url;
    if (!path_ok(p->health.path) || !path_ok(p->health.metrics))
        return diag_set(d, ERR_INVALID, "health: a path begins with '/', or is off");
    if (!name_ok(p->name))
        return diag_set(d, ERR_INVALID, "the name must be lower-case letters, digits, '-' and '_'");
    bool fault = p->kind == GATEWAY_PROVIDER_FAULT;
    if (fault && p->base_url.len)
        return diag_set(d, ERR_INVALID, "a provider of kind fault has no base_url");
    if (fault)
        ERR_TRY(provider_fault_check(p, d));
    if (p->base_url.len)
        ERR_TRY(url_parse(p->base_url, &url, d));
    else if (p->kind == GATEWAY_PROVIDER_AZURE)
        return diag_set(d, ERR_INVALID, "base_url is needed: https://RESOURCE.openai.azure.com");
    if (p->base_url.len && url.userinfo.len)
        return diag_set(d, ERR_INVALID, "base_url must not hold a password: use key");
    if (!p->key.len && (p->kind == GATEWAY_PROVIDER_AZURE ||
                        (p->kind != GATEWAY_PROVIDER_OLLAMA && !fault && !p->base_url.len)))
        return diag_set(d, ERR_INVALID, "key is needed, such as key: {env: NAME}");
    if (!http_value_ok(p->key))
        return diag_set(d, ERR_INVALID, "the key holds bytes that a header may not hold");
    for (size_t i = 0; i < p->headers.len; i++)
        if (!header_ok(p->headers.items[i]))
            return diag_set(d, ERR_INVALID, "headers[%zu] must be \"Name: value\"", i);
    return ERR_OK;
}

enum err gateway_provider_check(const struct gateway_provider *p, struct diag *d)
{
    enum err e = check(p, d);
    if (e != ERR_OK)
        diag_where(d, "providers." STR_FMT, STR_ARG(p->name));
    return e;
}
