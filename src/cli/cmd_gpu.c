#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/gpu_compare.h"
#include "cli/model_choice.h"
#include "cli/print.h"
#include "cli/term.h"
#include "engine/cuda/check.h"
#include "engine/cuda/gpu.h"
#include "engine/cuda/measure.h"

#include "base/banned.h"

struct gpu_options {
    str device, model;
    int64_t prompt_tokens, tokens, repeat, threads;
    bool list, json;
};

#define FIELD(f) offsetof(struct gpu_options, f)

static const struct option options[] = {
    {.name = "device",
     .type = OPTION_STRING,
     .offset = FIELD(device),
     .value = "cuda",
     .arg = "NAME",
     .help = "Which one to try: cuda (the first), cuda:1 and so on."},
    {.name = "model",
     .type = OPTION_STRING,
     .offset = FIELD(model),
     .arg = "NAME|FILE",
     .short_name = 'm',
     .help = "The model to compute on both; without it, the bundled one."},
    {.name = "prompt_tokens",
     .type = OPTION_INT,
     .offset = FIELD(prompt_tokens),
     .value = "128",
     .min = 1,
     .max = 4096,
     .help = "Length of the prompt."},
    {.name = "tokens",
     .type = OPTION_INT,
     .offset = FIELD(tokens),
     .value = "32",
     .min = 1,
     .max = 1e6,
     .help = "Tokens after it, one at a time."},
    {.name = "repeat",
     .type = OPTION_INT,
     .offset = FIELD(repeat),
     .value = "5",
     .min = 1,
     .max = 100,
     .help = "Runs of each; the median is shown."},
    {.name = "threads",
     .type = OPTION_INT,
     .offset = FIELD(threads),
     .value = "0",
     .max = 1024,
     .help = "Compute threads of the CPU; 0 takes every one."},
    {.name = "list",
     .type = OPTION_BOOL,
     .offset = FIELD(list),
     .help = "Only say which there are."},
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = FIELD(json),
     .help = "Print JSON that a program can read; what is missing stands there as 'error'."},
    {0},
};

// --- Which there are

static void say_device(struct buf *out, const struct gpu_info *i)
{
    char memory[16];
    (void)buf_printf(out, "cuda:%d  %s, %s, %d multiprocessors, compute capability %d.%d%s\n",
                     i->index, i->name, term_bytes(i->memory_bytes, memory), i->multiprocessors,
                     i->major, i->minor, i->usable ? "" : " (too old: 8.0 or newer is needed)");
}

static void write_device(struct json_writer *w, const struct gpu_info *i)
{
    jw_object_begin(w);
    jw_kv_int(w, "index", i->index);
    jw_kv_z(w, "name", i->name);
    jw_kv_int(w, "memory_bytes", (int64_t)i->memory_bytes);
    jw_kv_int(w, "multiprocessors", i->multiprocessors);
    jw_kv_int(w, "capability_major", i->major);
    jw_kv_int(w, "capability_minor", i->minor);
    jw_kv_int(w, "driver_cuda_version", i->cuda_version);
    jw_kv_bool(w, "usable", i->usable);
    jw_object_end(w);
}

// What went wrong, in the same object: a program reads it there, a person on standard error.
static void write_error(struct json_writer *w, bool listed, const struct diag *d)
{
    if (!listed) {
        jw_key(w, "devices");
        jw_array_begin(w);
        jw_array_end(w);
    }
    jw_kv_z(w, "error", d->text);
}

static enum err list(struct buf *out, struct json_writer *w, struct diag *d)
{
    struct gpu_info all[GPU_COUNT_MAX];
    size_t n;
    ERR_TRY(gpu_list(all, &n, d));
    if (w) {
        jw_key(w, "devices");
        jw_array_begin(w);
    }
    for (size_t i = 0; i < n; i++) {
        if (w)
            write_device(w, &all[i]);
        else
            say_device(out, &all[i]);
    }
    if (w)
        jw_array_end(w);
    return ERR_OK;
}

// --- Does it compute right, and how fast

static void report_check(struct buf *out, struct json_writer *w, const struct gpu_check *c)
{
    if (w) {
        jw_key(w, "check");
        jw_object_begin(w);
        jw_kv_int(w, "checks", (int64_t)c->checks);
        jw_kv_int(w, "values", (int64_t)c->values);
        jw_kv_int(w, "different", (int64_t)c->different);
        jw_kv_f64(w, "largest_difference", c->largest);
        jw_kv_z(w, "first_different", c->first_different);
        jw_object_end(w);
    } else if (c->different) {
        (void)buf_printf(out,
                         "exactness: WRONG: %zu of %zu values have other bits than the CPU's, by "
                         "up to %g; the first in: %s\n",
                         c->different, c->values, c->largest, c->first_different);
    } else {
        (void)buf_printf(out, "exactness: the CPU's bits in %zu checks of %zu values\n", c->checks,
                         c->values);
    }
}

// "4.31 TB/s"
static void say_rate(struct buf *out, double v, const char *what)
{
    static const char PREFIXES[] = "MGTP";
    size_t i = 0;
    for (v /= 1e6; v >= 1000 && PREFIXES[i + 1]; i++)
        v /= 1000;
    (void)buf_printf(out, "%10.2f %c%s\n", v, PREFIXES[i], what);
}

static void report_speed(struct buf *out, struct json_writer *w, const struct gpu_speed *s)
{
    if (w) {
        jw_key(w, "speed");
        jw_object_begin(w);
    }
    for (enum gpu_figure f = 0; f < GPU_FIGURES; f++) {
        double v = s->figure[f];
        if (w && v > 0) {
            jw_kv_f64(w, gpu_figure_name(f), v);
        } else if (w) {
            jw_kv_null(w, gpu_figure_name(f));
        } else {
            (void)buf_printf(out, "%-32s", gpu_figure_label(f));
            if (v > 0)
                say_rate(out, v, gpu_figure_is_bytes(f) ? "B/s" : "FLOP/s");
            else
                (void)buf_printf(out, "%10s\n", "-");
        }
    }
    if (w)
        jw_object_end(w);
}

static enum err try_device(const struct gpu_options *o, struct buf *out, struct json_writer *w,
                           bool *ret_wrong, struct diag *d)
{
    int index;
    struct gpu *g;
    struct gpu_check check;
    struct gpu_speed speed;
    ERR_TRY(gpu_parse_name(o->device.ptr, &index, d));
    ERR_TRY(gpu_open(index, &g, d));
    enum err e = gpu_check(g, &check, d);
    if (e == ERR_OK) {
        report_check(out, w, &check);
        *ret_wrong = check.different > 0;
        e = gpu_measure(g, &speed, d);
    }
    if (e == ERR_OK)
        report_speed(out, w, &speed);
    gpu_close(g);
    return e;
}

// --- A model on both

static void say_times(struct buf *out, const char *what, const double seconds[2])
{
    (void)buf_printf(out, "%-26s %11.3f %11.3f %+11.3f %8.2f\n", what, seconds[0] * 1e3,
                     seconds[1] * 1e3, (seconds[1] - seconds[0]) * 1e3, seconds[0] / seconds[1]);
}

static void say_comparison(struct buf *out, const struct gpu_comparison *c)
{
    char prompt[48];
    snprintf(prompt, sizeof prompt, "prompt of %zu tokens", c->prompt_tokens);
    (void)buf_printf(out, "\n%-26s %11s %11s %11s %8s\n", "a model on both, ms", "CPU", "GPU",
                     "GPU-CPU", "CPU/GPU");
    say_times(out, prompt, c->prompt_s);
    say_times(out, "a token after it", c->token_s);
    (void)buf_printf(out, "(CPU: %s, %zu threads; GPU ready in %.2f s)\n", c->isa, c->threads,
                     c->load_s);
    (void)buf_printf(out, "largest logit difference: %g (%zu of %zu logits have other bits)\n",
                     c->largest, c->different, c->logits);
}

static void write_comparison(struct json_writer *w, const struct gpu_comparison *c)
{
    static const char *const NAMES[2] = {"cpu", "gpu"};
    jw_key(w, "model");
    jw_object_begin(w);
    jw_kv_z(w, "isa", c->isa);
    jw_kv_int(w, "threads", (int64_t)c->threads);
    jw_kv_int(w, "prompt_tokens", (int64_t)c->prompt_tokens);
    for (size_t s = 0; s < 2; s++) {
        jw_key(w, NAMES[s]);
        jw_object_begin(w);
        jw_kv_f64(w, "prompt_ms", c->prompt_s[s] * 1e3);
        jw_kv_f64(w, "token_ms", c->token_s[s] * 1e3);
        jw_object_end(w);
    }
    jw_kv_f64(w, "prompt_delta_ms", (c->prompt_s[1] - c->prompt_s[0]) * 1e3);
    jw_kv_f64(w, "token_delta_ms", (c->token_s[1] - c->token_s[0]) * 1e3);
    jw_kv_f64(w, "gpu_ready_s", c->load_s);
    jw_kv_int(w, "logits", (int64_t)c->logits);
    jw_kv_int(w, "different", (int64_t)c->different);
    jw_kv_f64(w, "largest_logit_difference", c->largest);
    jw_object_end(w);
}

static enum err compare(struct command_call *call, struct buf *out, struct json_writer *w,
                        bool *ret_wrong, struct diag *d)
{
    const struct gpu_options *o = call->options;
    const struct gpu_compare_options how = {.device = o->device.ptr,
                                            .threads = (size_t)o->threads,
                                            .prompt_tokens = (size_t)o->prompt_tokens,
                                            .tokens = (size_t)o->tokens,
                                            .repeat = (size_t)o->repeat};
    struct model_file *f;
    struct gpu_comparison c;
    ERR_TRY(model_choice_open_file(call->arena, o->model, &f, d));
    enum err e = gpu_compare(f, &how, &c, d);
    model_file_free(f);
    if (e != ERR_OK)
        return e;
    if (w)
        write_comparison(w, &c);
    else
        say_comparison(out, &c);
    *ret_wrong = *ret_wrong || c.different;
    return ERR_OK;
}

static enum err examine(struct command_call *call, struct buf *out, struct json_writer *w,
                        bool *ret_wrong, struct diag *d)
{
    const struct gpu_options *o = call->options;
    enum err e = list(out, w, d);
    bool listed = e == ERR_OK;
    if (e == ERR_OK && !o->list)
        e = try_device(o, out, w, ret_wrong, d);
    if (e == ERR_OK && !o->list)
        e = compare(call, out, w, ret_wrong, d);
    if (e != ERR_OK && w)
        write_error(w, listed, d);
    return e;
}

static int run(struct command_call *call)
{
    const struct gpu_options *o = call->options;
    struct diag d = {0};
    struct json_writer writer = {0}, *w = o->json ? &writer : NULL;
    struct buf out;
    bool wrong = false;
    if (model_choice_check_device(o->device, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    buf_init(&out, 1u << 20);
    if (w) {
        jw_init(w, &out);
        jw_object_begin(w);
    }
    enum err e = examine(call, &out, w, &wrong, &d);
    if (w) {
        jw_object_end(w);
        (void)buf_append_char(&out, '\n');
    }
    if (e != ERR_OK && !w)
        buf_clear(&out);
    int status = print_and_done(&out);
    if (e != ERR_OK)
        return command_fail(call,
                            e == ERR_NOT_FOUND || e == ERR_UNSUPPORTED ? EXIT_STATUS_UNREACHABLE
                            : e == ERR_INVALID                         ? EXIT_STATUS_USAGE
                                                                       : EXIT_STATUS_FAILED,
                            &d);
    return wrong ? EXIT_STATUS_FAILED : status;
}

const struct command cmd_gpu = {
    .name = "gpu",
    .summary = "say which GPUs there are, whether they compute right, and how fast",
    .description =
        "Lists the NVIDIA GPUs of this machine, then tries one: it computes what the engine "
        "computes, on made numbers, and compares with the CPU bit for bit; it measures how fast "
        "the device reads its memory and multiplies; and it runs a model on both, with the times "
        "and "
        "the largest difference of a logit. Without a driver or a device it says what is "
        "missing and leaves with status 3; with other bits than the CPU's, with status 1.",
    .examples = "weir gpu                 # everything, on the first device\n"
                "weir gpu --list          # only which there are\n"
                "weir gpu -m smollm2 --prompt-tokens 512\n"
                "weir gpu --device cuda:1 --json",
    .options = options,
    .options_size = sizeof(struct gpu_options),
    .run = run,
};
