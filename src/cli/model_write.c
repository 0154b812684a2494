#include "cli/model_write.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/print.h"
#include "cli/term.h"
#include "engine/kernel/rope.h"

#include "base/banned.h"

const char *const model_write_types[] = {"keep", "f32",  "f16",  "bf16", "q8_0", "q4_0",
                                         "q4_1", "q4_k", "q5_k", "q6_k", NULL};

enum err model_write_type(str name, enum tensor_type *ret, struct diag *d)
{
    if (model_save_type(name, ret))
        return ERR_OK;
    return diag_set(d, ERR_INVALID,
                    "'" STR_FMT "' is no type that is written: f32, f16, bf16, q8_0, q6_k, q5_k, "
                    "q4_k, q4_1 and q4_0 are",
                    STR_ARG(name));
}

// "." and ".." have a name, too: the folder's own.
static str whole_path(struct arena *a, str source)
{
    bool dots = str_ends(source, STR(".")) || str_ends(source, STR("./"));
    char *real = dots ? realpath(source.ptr, NULL) : NULL;
    if (real)
        source = arena_printf(a, "%s", real);
    free(real);
    return source;
}

str model_write_default_path(struct arena *a, str source, const char *type)
{
    source = whole_path(a, source);
    while (source.len > 1 && source.ptr[source.len - 1] == '/')
        source.len--;
    size_t start = source.len;
    while (start > 0 && source.ptr[start - 1] != '/')
        start--;
    str name = str_sub(source, start, SIZE_MAX);
    if (str_ends(name, STR(".gguf")))
        name.len -= 5;
    str path =
        arena_printf(a, STR_FMT "%s%s.gguf", STR_ARG(name), type ? "-" : "", type ? type : "");
    char *text = (char *)(uintptr_t)path.ptr;
    for (size_t i = name.len; text && i < path.len; i++)
        text[i] = (char)tolower((unsigned char)text[i]);
    return path;
}

// Llama 3's scaling of the rotary frequencies, which a GGUF file holds as a table.
static float *divisors_of(const struct hparams *h)
{
    if (h->rope_scaling != ROPE_SCALING_LLAMA3)
        return NULL;
    double *f = mem_array(h->rope_dims / 2, sizeof *f);
    float *divisors = mem_array(h->rope_dims / 2, sizeof *divisors);
    rope_frequencies((double)h->rope_base, h->rope_dims, f);
    rope_llama3_divisors(f, h->rope_dims, (double)h->rope_factor, (double)h->rope_low_freq_factor,
                         (double)h->rope_high_freq_factor, (double)h->rope_original_ctx, divisors);
    mem_free(f);
    return divisors;
}

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
    struct term_progress *p = ctx;
    p->total = total;
    term_progress_update(p, done);
}

struct outcome {
    const char *path;
    uint64_t source_bytes;
    double seconds;
    struct model_save_report report;
};

static void write_json(struct buf *out, const struct outcome *x)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_z(&w, "path", x->path);
    jw_kv_int(&w, "bytes", (int64_t)x->report.bytes);
    jw_kv_int(&w, "source_bytes", (int64_t)x->source_bytes);
    jw_key(&w, "tensors");
    jw_object_begin(&w);
    for (size_t i = 0; i < ARRAY_LEN(x->report.tensors); i++)
        if (x->report.tensors[i])
            jw_kv_int(&w, tensor_type_name((enum tensor_type)i), x->report.tensors[i]);
    jw_object_end(&w);
    jw_kv_int(&w, "narrow", x->report.n_narrow);
    jw_kv_f64(&w, "seconds", x->seconds);
    jw_object_end(&w);
    (void)buf_append_char(out, '\n');
}

static void write_text(struct buf *out, const struct outcome *x)
{
    char size[16], before[16];
    const char *comma = "";
    (void)buf_printf(out, "%s\n%s from %s in %.1f s; tensors: ", x->path,
                     term_bytes(x->report.bytes, size), term_bytes(x->source_bytes, before),
                     x->seconds);
    for (size_t i = 0; i < ARRAY_LEN(x->report.tensors); i++)
        if (x->report.tensors[i]) {
            (void)buf_printf(out, "%s%u %s", comma, x->report.tensors[i],
                             tensor_type_name((enum tensor_type)i));
            comma = ", ";
        }
    (void)buf_append_char(out, '\n');
    if (x->report.n_narrow)
        (void)buf_printf(out,
                         "%u matri%s rows that are no multiple of the type's blocks, and got "
                         "the nearest type with smaller ones.\n",
                         x->report.n_narrow, x->report.n_narrow == 1 ? "x has" : "ces have");
}

static int status_of(enum err e)
{
    return e == ERR_DENIED || e == ERR_UNSUPPORTED ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED;
}

int model_write(struct command_call *call, struct model_file *f, const char *path,
                const struct model_save_options *o, bool json)
{
    struct term_progress progress;
    struct model_save_options save = *o;
    struct outcome x = {.path = path, .source_bytes = model_file_bytes(f)};
    struct diag d = {0};
    uint64_t start_us = clock_mono_us();
    float *divisors = divisors_of(model_file_hparams(f));
    save.rope_divisors = divisors;
    save.progress = on_progress;
    save.progress_ctx = &progress;
    term_progress_begin(&progress, "writing", 0, 0, true);
    enum err e = model_save(f, path, &save, &x.report, &d);
    term_progress_end(&progress);
    mem_free(divisors);
    model_file_free(f);
    if (e == ERR_DENIED)
        return command_fail_text(call, status_of(e), "%s: --force writes it anew", d.text);
    if (e != ERR_OK)
        return command_fail(call, status_of(e), &d);
    x.seconds = (double)(clock_mono_us() - start_us) / 1e6;
    struct buf out;
    buf_init(&out, 1u << 16);
    if (json)
        write_json(&out, &x);
    else
        write_text(&out, &x);
    return print_and_done(&out);
}
