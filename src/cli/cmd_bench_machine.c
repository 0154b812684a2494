#include <stdio.h>

#include "base/json.h"
#include "base/thread.h"
#include "cli/cmd_bench.h"
#include "cli/print.h"
#include "engine/kernel/kernel.h"
#include "probe/probe.h"

#include "base/banned.h"

struct machine_options {
    int64_t threads, read_mib;
    double seconds;
    bool json;
};

#define FIELD(f) offsetof(struct machine_options, f)

static const struct option options[] = {
    {.name = "threads",
     .type = OPTION_INT,
     .offset = FIELD(threads),
     .value = "0",
     .max = 1024,
     .help = "How many threads together, beside the figures of one alone; 0 takes every CPU."},
    {.name = "read_mib",
     .type = OPTION_INT,
     .offset = FIELD(read_mib),
     .value = "0",
     .max = 1 << 18,
     .arg = "MIB",
     .help = "Read a working set of so many MiB, and measure nothing else."},
    {.name = "seconds",
     .type = OPTION_FLOAT,
     .offset = FIELD(seconds),
     .value = "0.3",
     .min = 0.001,
     .max = 60,
     .help = "How long each figure is looked for; the best run of a few milliseconds counts."},
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = FIELD(json),
     .help = "Print JSON that a program can read."},
    {0},
};

struct machine {
    const struct machine_options *o;
    size_t threads[2], n; // one, and all (where that is more)
    struct buf *out;
    struct json_writer *w; // NULL: for people
};

static const uint64_t READ_KIB[] = {32, 256, 1024, 4096, 32768, 262144};

// "123.4 G"
static void say_rate(struct buf *out, double v)
{
    if (v > 0)
        (void)buf_printf(out, "%12.1f G", v / 1e9);
    else
        (void)buf_printf(out, "%14s", "-");
}

static void begin_row(const struct machine *m, const char *key, const char *label)
{
    if (m->w) {
        jw_key(m->w, key);
        jw_array_begin(m->w);
    } else {
        (void)buf_printf(m->out, "%-28s", label);
    }
}

static void row_figure(const struct machine *m, double v)
{
    if (!m->w)
        say_rate(m->out, v);
    else if (v > 0)
        jw_f64(m->w, v);
    else
        jw_null(m->w);
}

static void end_row(const struct machine *m, const char *unit)
{
    if (m->w)
        jw_array_end(m->w);
    else
        (void)buf_printf(m->out, "%s\n", unit);
}

static enum err read_row(const struct machine *m, uint64_t kib, struct diag *d)
{
    char key[32], label[48];
    snprintf(key, sizeof key, "%llu", (unsigned long long)kib << 10);
    snprintf(label, sizeof label, "reading %llu %s",
             (unsigned long long)(kib < 1024 ? kib : kib >> 10), kib < 1024 ? "KiB" : "MiB");
    begin_row(m, key, label);
    for (size_t i = 0; i < m->n; i++) {
        double v = 0;
        uint64_t bytes = kib << 10, least = (uint64_t)m->threads[i] << 14;
        ERR_TRY(probe_read(bytes > least ? bytes : least, m->threads[i], m->o->seconds, &v, d));
        row_figure(m, v);
    }
    end_row(m, "B/s");
    return ERR_OK;
}

static enum err read_rows(const struct machine *m, struct diag *d)
{
    if (m->w) {
        jw_key(m->w, "read_bytes_per_s");
        jw_object_begin(m->w);
    }
    if (m->o->read_mib) {
        ERR_TRY(read_row(m, (uint64_t)m->o->read_mib << 10, d));
    } else {
        for (size_t i = 0; i < ARRAY_LEN(READ_KIB); i++)
            ERR_TRY(read_row(m, READ_KIB[i], d));
    }
    if (m->w)
        jw_object_end(m->w);
    return ERR_OK;
}

static enum err peak_rows(const struct machine *m, struct diag *d)
{
    for (enum probe_peak p = 0; p < PROBE_PEAKS && !m->o->read_mib; p++) {
        begin_row(m, probe_peak_name(p), probe_peak_label(p));
        for (size_t i = 0; i < m->n; i++) {
            double v = 0;
            ERR_TRY(probe_peak_measure(p, m->threads[i], m->o->seconds, &v, d));
            row_figure(m, v);
        }
        end_row(m, "OP/s");
    }
    return ERR_OK;
}

static void begin(const struct machine *m)
{
    if (m->w) {
        jw_init(m->w, m->out);
        jw_object_begin(m->w);
        jw_kv_z(m->w, "isa", kernel_find(NULL)->name);
        jw_key(m->w, "threads");
        jw_array_begin(m->w);
        for (size_t i = 0; i < m->n; i++)
            jw_int(m->w, (int64_t)m->threads[i]);
        jw_array_end(m->w);
        return;
    }
    (void)buf_printf(m->out, "%-28s", kernel_find(NULL)->name);
    for (size_t i = 0; i < m->n; i++)
        (void)buf_printf(m->out, "%6zu thread%s", m->threads[i], m->threads[i] == 1 ? " " : "s");
    (void)buf_append_char(m->out, '\n');
}

static int run(struct command_call *call)
{
    const struct machine_options *o = call->options;
    struct buf out;
    struct json_writer w = {0};
    struct diag d = {0};
    struct machine m = {.o = o, .out = &out, .w = o->json ? &w : NULL, .threads = {1}, .n = 1};
    size_t all = o->threads ? (size_t)o->threads : thread_cpu_count();
    if (all > 1)
        m.threads[m.n++] = all;
    buf_init(&out, 1u << 20);
    begin(&m);
    enum err e = read_rows(&m, &d);
    if (e == ERR_OK)
        e = peak_rows(&m, &d);
    if (e != ERR_OK) {
        buf_done(&out);
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    }
    if (m.w) {
        jw_object_end(m.w);
        (void)buf_append_char(&out, '\n');
    }
    return print_and_done(&out);
}

const struct command cmd_bench_machine = {
    .name = "machine",
    .summary = "measure what this machine could do at most",
    .description =
        "How fast memory is read, by the size of what is read, and how many multiply-adds of each "
        "kind the processors do in a second: the bounds of any engine on this machine. A token of "
        "one stream cannot come sooner than the model's weights are read; a prompt cannot be read "
        "sooner than its multiply-adds are done.",
    .examples = "weir bench machine                    # one thread, and all\n"
                "weir bench machine --read-mib 126     # only reading, of a model's size\n"
                "weir bench machine --json             # for a program",
    .options = options,
    .options_size = sizeof(struct machine_options),
    .run = run,
};
