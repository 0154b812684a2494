#include "telemetry/exposition.h"

#include <math.h>

#include "base/json.h"
#include "telemetry/metrics_internal.h"

#include "base/banned.h"

// ---- negotiation (RFC 9110, section 12.5.1) ----

// Whether the media range `text` ("type/sub;a=b;q=0.5") is `type` with the version, and how much it
// is wanted.
static bool media_matches(str text, str type, str version, double *ret_q)
{
    str part;
    if (!str_split(&text, ';', &part) || !str_eq_nocase(str_trim(part), type))
        return false;
    double q = 1;
    while (str_split(&text, ';', &part)) {
        str name;
        str value = part;
        if (!str_split(&value, '=', &name))
            continue;
        name = str_trim(name);
        value = str_trim(value);
        if (str_eq_nocase(name, STR("q")) && str_to_f64(value, &q) != ERR_OK)
            q = 0;
        if (str_eq_nocase(name, STR("version")) && !str_eq(value, version))
            return false;
    }
    *ret_q = q;
    return true;
}

static double wanted(str accept, str type, str version)
{
    double most = 0;
    str range;
    while (str_split(&accept, ',', &range)) {
        double q;
        if (media_matches(str_trim(range), type, version, &q) && q > most)
            most = q;
    }
    return most;
}

enum exposition_format exposition_negotiate(str accept)
{
    double open = wanted(accept, STR("application/openmetrics-text"), STR("1.0.0"));
    double text = wanted(accept, STR("text/plain"), STR("0.0.4"));
    return open > 0 && open >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}

const char *exposition_content_type(enum exposition_format format)
{
    return format == EXPOSITION_OPENMETRICS
               ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
               : "text/plain; version=0.0.4; charset=utf-8";
}

// ---- numbers ----

static void write_number(struct buf *out, double value)
{
    struct json_writer w;
    if (isnan(value)) {
        buf_append_str(out, STR("NaN"));
    } else if (isinf(value)) {
        buf_append_str(out, value > 0 ? STR("+Inf") : STR("-Inf"));
    } else if (value == trunc(value) && fabs(value) < 0x1p53) {
        buf_printf(out, "%.0f", value);
    } else {
        jw_init(&w, out);
        jw_f64(&w, value); // the shortest text that reads back
    }
}

// OpenMetrics wants edges in one canonical form, "1.0" and not "1".
static void write_edge(struct buf *out, double edge, bool open)
{
    write_number(out, edge);
    if (open && edge == trunc(edge) && isfinite(edge))
        buf_append_str(out, STR(".0"));
}

// ---- a family ----

struct writer {
    struct buf *out;
    bool open; // OpenMetrics
    const struct metric *metric;
};

// OpenMetrics names a counter's family without the suffix of its sample.
static str family_name(const struct metric *m, bool open)
{
    str name = str_of(m->name);
    if (open && m->type == METRIC_COUNTER && str_ends(name, STR("_total")))
        name.len -= strlen("_total");
    return name;
}

static void write_help(struct buf *out, const char *help, bool open)
{
    for (const char *c = help; *c; c++) {
        if (*c == '\\')
            buf_append_str(out, STR("\\\\"));
        else if (*c == '\n')
            buf_append_str(out, STR("\\n"));
        else if (*c == '"' && open)
            buf_append_str(out, STR("\\\""));
        else
            buf_append_char(out, *c);
    }
}

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

static void write_head(struct writer *w)
{
    str name = family_name(w->metric, w->open);
    buf_printf(w->out, "# HELP " STR_FMT " ", STR_ARG(name));
    write_help(w->out, w->metric->help, w->open);
    buf_printf(w->out, "\n# TYPE " STR_FMT " %s\n", STR_ARG(name), type_names[w->metric->type]);
    if (w->open && w->metric->unit)
        buf_printf(w->out, "# UNIT " STR_FMT " %s\n", STR_ARG(name), w->metric->unit);
}

static void write_sample(struct writer *w, const char *suffix, const char *labels, double value)
{
    buf_printf(w->out, "%s%s", w->metric->name, suffix);
    if (*labels)
        buf_printf(w->out, "{%s}", labels);
    buf_append_char(w->out, ' ');
    write_number(w->out, value);
    buf_append_char(w->out, '\n');
}

static void write_bucket(struct writer *w, const char *labels, double edge, uint64_t count)
{
    buf_printf(w->out, "%s_bucket{%s%sle=\"", w->metric->name, labels, *labels ? "," : "");
    write_edge(w->out, edge, w->open);
    buf_append_str(w->out, STR("\"} "));
    write_number(w->out, (double)count);
    buf_append_char(w->out, '\n');
}

static void write_histogram(struct writer *w, const struct metrics_entry *entry)
{
    uint64_t counts[METRICS_BUCKETS_MAX + 1] = {0};
    double sum = 0;
    size_t len = w->metric->buckets_len;
    const struct metrics_series *cell = atomic_load_explicit(&entry->cells, memory_order_acquire);
    for (; cell; cell = cell->next) {
        sum += metrics_value(cell);
        for (size_t i = 0; i <= len; i++)
            counts[i] += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
    }
    uint64_t total = 0;
    for (size_t i = 0; i <= len; i++) {
        total += counts[i];
        write_bucket(w, entry->labels, i < len ? w->metric->buckets[i] : (double)INFINITY, total);
    }
    write_sample(w, "_sum", entry->labels, sum);
    write_sample(w, "_count", entry->labels, (double)total);
}

static void write_single(struct writer *w, const struct metrics_entry *entry)
{
    double sum = 0;
    const struct metrics_series *cell = atomic_load_explicit(&entry->cells, memory_order_acquire);
    for (; cell; cell = cell->next)
        sum += metrics_value(cell);
    write_sample(w, "", entry->labels, sum);
}

static void write_family(struct writer *w, const struct metrics_family *family)
{
    const struct metrics_entry *entry = atomic_load_explicit(&family->first, memory_order_acquire);
    if (!entry)
        return;
    write_head(w);
    for (; entry; entry = atomic_load_explicit(&entry->next, memory_order_acquire)) {
        if (w->metric->type == METRIC_HISTOGRAM)
            write_histogram(w, entry);
        else
            write_single(w, entry);
    }
}

// A scrape that meets another one collecting goes on with what that one has just set.
static void collect(struct metrics *m)
{
    if (pthread_mutex_trylock(&m->collecting) != 0)
        return;
    for (size_t i = 0; i < m->collectors_len; i++)
        m->collectors[i].fn(m->collectors[i].ctx, m->collect_shard);
    pthread_mutex_unlock(&m->collecting);
}

enum err exposition_write(struct metrics *m, enum exposition_format format, struct buf *out)
{
    collect(m);
    for (size_t i = 0; i < m->len; i++) {
        struct writer w = {out, format == EXPOSITION_OPENMETRICS, &m->table[i]};
        write_family(&w, &m->families[i]);
    }
    if (format == EXPOSITION_OPENMETRICS)
        buf_append_str(out, STR("# EOF\n"));
    return out->failed ? ERR_LIMIT : ERR_OK;
}

// ---- the reference page ----

static void describe_labels(const struct metric *m, struct buf *out)
{
    for (size_t i = 0; m->labels[i].name; i++) {
        buf_printf(out, "%s`%s`", i ? ", " : "", m->labels[i].name);
        const char *const *values = m->labels[i].values;
        for (size_t v = 0; values && values[v]; v++)
            buf_printf(out, "%s%s", v ? ", " : " (", values[v]);
        if (values)
            buf_append_char(out, ')');
    }
}

static void describe_buckets(const struct metric *m, struct buf *out)
{
    for (size_t i = 0; i < m->buckets_len; i++) {
        buf_append_str(out, i ? STR(" ") : STR(" Buckets: "));
        write_number(out, m->buckets[i]);
    }
    if (m->buckets_len)
        buf_append_char(out, '.');
}

enum err exposition_markdown(const struct metric *table, struct buf *out)
{
    buf_append_str(out, STR("# Metrics\n\n"
                            "What `GET /metrics` answers: Prometheus text 0.0.4, or OpenMetrics "
                            "1.0.0 when the `Accept`\n"
                            "header prefers it. Generated by `make docs` from "
                            "`src/telemetry/names.c`. Names that begin\n"
                            "with `vllm:` are those that vLLM's own server exports, so that "
                            "dashboards and autoscalers\nmade for it read weir too.\n\n"
                            "| name | type | labels | meaning |\n|---|---|---|---|\n"));
    for (const struct metric *m = table; m->name; m++) {
        buf_printf(out, "| `%s` | %s | ", m->name, type_names[m->type]);
        describe_labels(m, out);
        buf_printf(out, " | %s", m->help);
        describe_buckets(m, out);
        buf_append_str(out, STR(" |\n"));
    }
    return out->failed ? ERR_LIMIT : ERR_OK;
}
