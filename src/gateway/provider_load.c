#include "gateway/provider_load.h"

#include <math.h>

#include "base/banned.h"

#define LOAD_MAX 1e6 // more requests than that no server has

static const struct {
    const char *name;
    bool waiting;
} gauges[] = {
    {"num_requests_running", false},         // NIM
    {"num_requests_waiting", true},          //
    {"vllm:num_requests_running", false},    // vLLM, and weir
    {"vllm:num_requests_waiting", true},     //
    {"sglang:num_running_reqs", false},      // SGLang
    {"sglang:num_queue_reqs", true},         //
    {"llamacpp:requests_processing", false}, // llama.cpp
    {"llamacpp:requests_deferred", true},    //
};

// "name{labels} value timestamp": what stands behind the labels, whose values may hold anything.
static str behind_labels(str rest)
{
    if (!rest.len || rest.ptr[0] != '{')
        return rest;
    bool quoted = false;
    for (size_t i = 1; i < rest.len; i++) {
        if (quoted && rest.ptr[i] == '\\')
            i++;
        else if (rest.ptr[i] == '"')
            quoted = !quoted;
        else if (!quoted && rest.ptr[i] == '}')
            return str_sub(rest, i + 1, SIZE_MAX);
    }
    return STR_NONE;
}

static bool read_value(str rest, double *ret)
{
    str text = str_trim(behind_labels(rest));
    size_t space = str_find_char(text, ' ');
    return str_to_f64(str_sub(text, 0, space), ret) == ERR_OK && isfinite(*ret) && *ret >= 0;
}

static size_t name_len(str line)
{
    size_t i = 0;
    while (i < line.len && line.ptr[i] != '{' && line.ptr[i] != ' ' && line.ptr[i] != '\t')
        i++;
    return i;
}

static bool read_line(str line, struct provider_load *sum)
{
    size_t len = name_len(line);
    double value;
    for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
        if (!str_eq_z(str_sub(line, 0, len), gauges[i].name) ||
            !read_value(str_sub(line, len, SIZE_MAX), &value))
            continue;
        double *to = gauges[i].waiting ? &sum->waiting : &sum->running;
        *to = fmin(*to + value, LOAD_MAX);
        return true;
    }
    return false;
}

bool provider_load_read(str page, struct provider_load *ret)
{
    struct provider_load sum = {0};
    bool told = false;
    str line;
    while (str_split(&page, '\n', &line))
        told = (line.len && line.ptr[0] != '#' && read_line(line, &sum)) || told;
    if (told)
        *ret = sum;
    return told;
}
