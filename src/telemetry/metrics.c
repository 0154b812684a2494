#include "telemetry/metrics.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "telemetry/metrics_internal.h"

#include "base/banned.h"

enum { KEY_BYTES_MAX = 8 + METRICS_LABELS_MAX * (METRICS_VALUE_MAX + 2) };

static size_t label_count(const struct metric *m)
{
    size_t count = 0;
    while (m->labels[count].name)
        count++;
    return count;
}

// ---- a series' identity: metric and label values, each value with its length in front ----

struct key {
    size_t len;
    char text[KEY_BYTES_MAX];
};

static str clean_value(str value)
{
    return value.len <= METRICS_VALUE_MAX && utf8_valid(value) ? value : STR("invalid");
}

static void key_add(struct key *k, str value)
{
    k->text[k->len++] = (char)value.len;
    if (value.len)
        memcpy(k->text + k->len, value.ptr, value.len);
    k->len += value.len;
}

static void key_make(struct key *k, size_t metric, size_t labels, const str *values)
{
    k->len = 0;
    key_add(k, str_slice((const char *)&metric, sizeof metric));
    for (size_t i = 0; i < labels; i++)
        key_add(k, values[i]);
}

// ---- making series; all of this under the lock ----

static struct metrics_series *cell_new(const struct metric *metric)
{
    size_t buckets = metric->type == METRIC_HISTOGRAM ? metric->buckets_len + 1 : 0;
    struct metrics_series *cell =
        mem_zalloc(sizeof *cell + buckets * sizeof(_Atomic uint64_t)); // +0.0 is all zero bits
    cell->metric = metric;
    return cell;
}

static void append_escaped(struct buf *out, str value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c == '\n')
            buf_append_str(out, STR("\\n"));
        else if (c == '"' || c == '\\')
            buf_append(out, (char[]){'\\', c}, 2);
        else
            buf_append_char(out, c);
    }
}

static char *render_labels(const struct metric *metric, const str *values)
{
    struct buf text;
    buf_init(&text, SIZE_MAX);
    for (size_t i = 0; metric->labels[i].name; i++) {
        buf_printf(&text, "%s%s=\"", i ? "," : "", metric->labels[i].name);
        append_escaped(&text, values[i]);
        buf_append_char(&text, '"');
    }
    char *copy = mem_strdup(buf_cstr(&text));
    buf_done(&text);
    return copy;
}

static struct metrics_entry *entry_of(struct metrics *m, size_t metric, const str *values)
{
    struct key key;
    key_make(&key, metric, label_count(&m->table[metric]), values);
    str text = str_slice(key.text, key.len);
    struct metrics_entry *entry = map_get(&m->entries, text);
    if (entry || m->entries.len >= m->series_max)
        return entry;
    entry = mem_new(struct metrics_entry);
    entry->labels = render_labels(&m->table[metric], values);
    map_put(&m->entries, text, entry);
    struct metrics_family *family = &m->families[metric];
    if (family->last)
        atomic_store_explicit(&family->last->next, entry, memory_order_release);
    else
        atomic_store_explicit(&family->first, entry, memory_order_release);
    family->last = entry;
    atomic_store_explicit(&m->series_count, m->entries.len, memory_order_relaxed);
    return entry;
}

// Every combination of the closed labels beside these values of the open ones.
static void make_siblings(struct metrics *m, size_t metric, size_t label, str *values)
{
    const struct metric_label *l = &m->table[metric].labels[label];
    if (!l->name) {
        (void)entry_of(m, metric, values);
        return;
    }
    if (!l->values) {
        make_siblings(m, metric, label + 1, values);
        return;
    }
    str given = values[label];
    for (size_t i = 0; l->values[i]; i++) {
        values[label] = str_of(l->values[i]);
        make_siblings(m, metric, label + 1, values);
    }
    values[label] = given;
}

static bool has_open_label(const struct metric *metric)
{
    for (size_t i = 0; metric->labels[i].name; i++)
        if (!metric->labels[i].values)
            return true;
    return false;
}

// ---- look-up ----

static bool is_allowed(const struct metric_label *l, str value)
{
    for (size_t i = 0; l->values && l->values[i]; i++)
        if (str_eq_z(value, l->values[i]))
            return true;
    return l->values == NULL;
}

static struct metrics_series *nowhere(struct metrics_shard *s, size_t metric)
{
    atomic_fetch_add_explicit(&s->metrics->dropped, 1, memory_order_relaxed);
    if (!s->nowhere[metric])
        s->nowhere[metric] = cell_new(&s->metrics->table[metric]);
    return s->nowhere[metric];
}

static struct metrics_series *first_sight(struct metrics_shard *s, size_t metric, str *values,
                                          str key)
{
    struct metrics *m = s->metrics;
    for (size_t i = 0; m->table[metric].labels[i].name; i++)
        ASSERT(is_allowed(&m->table[metric].labels[i], values[i]));
    struct metrics_series *cell = NULL;
    pthread_mutex_lock(&m->lock);
    make_siblings(m, metric, 0, values);
    struct metrics_entry *entry = entry_of(m, metric, values);
    if (entry) {
        cell = cell_new(&m->table[metric]);
        cell->next = atomic_load_explicit(&entry->cells, memory_order_relaxed);
        atomic_store_explicit(&entry->cells, cell, memory_order_release);
    }
    pthread_mutex_unlock(&m->lock);
    if (!cell)
        return nowhere(s, metric);
    map_put(&s->cells, key, cell);
    return cell;
}

struct metrics_series *metrics_series(struct metrics_shard *s, size_t metric, const str *values)
{
    ASSERT(metric < s->metrics->len);
    size_t labels = label_count(&s->metrics->table[metric]);
    str clean[METRICS_LABELS_MAX] = {STR_NONE};
    for (size_t i = 0; i < labels; i++)
        clean[i] = clean_value(values[i]);
    struct key key;
    key_make(&key, metric, labels, clean);
    struct metrics_series *cell = map_get(&s->cells, str_slice(key.text, key.len));
    return cell ? cell : first_sight(s, metric, clean, str_slice(key.text, key.len));
}

// ---- counting ----

static uint64_t bits_of(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

double metrics_value(const struct metrics_series *s)
{
    uint64_t bits = atomic_load_explicit(&s->value, memory_order_relaxed);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void store_value(struct metrics_series *s, double value)
{
    atomic_store_explicit(&s->value, bits_of(value), memory_order_relaxed);
}

void metrics_add(struct metrics_series *s, double by)
{
    ASSERT(s->metric->type == METRIC_GAUGE || (s->metric->type == METRIC_COUNTER && by >= 0));
    store_value(s, metrics_value(s) + by);
}

void metrics_set(struct metrics_series *s, double value)
{
    ASSERT(s->metric->type != METRIC_HISTOGRAM);
    store_value(s, value);
}

// The first bucket whose edge is not below the value.
static size_t bucket_of(const struct metric *metric, double value)
{
    size_t low = 0, high = metric->buckets_len;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (value <= metric->buckets[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void metrics_observe(struct metrics_series *s, double v)
{
    ASSERT(s->metric->type == METRIC_HISTOGRAM);
    _Atomic uint64_t *bucket = &s->buckets[bucket_of(s->metric, v)];
    uint64_t count = atomic_load_explicit(bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, count + 1, memory_order_relaxed);
    store_value(s, metrics_value(s) + v);
}

void metrics_mirror(struct metrics_series *s, const struct histogram *h, double unit)
{
    ASSERT(s->metric->type == METRIC_HISTOGRAM);
    uint64_t before = 0;
    for (size_t i = 0; i <= s->metric->buckets_len; i++) {
        uint64_t up_to = i < s->metric->buckets_len
                             ? histogram_count_to(h, s->metric->buckets[i] / unit)
                             : h->count;
        atomic_store_explicit(&s->buckets[i], up_to - before, memory_order_relaxed);
        before = up_to;
    }
    store_value(s, (double)h->sum * unit);
}

// ---- life ----

static void check_table(const struct metric *row)
{
    ASSERT(row->buckets_len <= METRICS_BUCKETS_MAX);
    ASSERT((row->type == METRIC_HISTOGRAM) == (row->buckets_len > 0));
    for (size_t i = 1; i < row->buckets_len; i++)
        ASSERT(row->buckets[i - 1] < row->buckets[i]);
}

struct metrics *metrics_new(const struct metric *table, size_t series_max)
{
    struct metrics *m = mem_new(struct metrics);
    m->table = table;
    m->series_max = series_max;
    while (table[m->len].name)
        check_table(&table[m->len++]);
    m->families = mem_array(m->len, sizeof *m->families);
    pthread_mutex_init(&m->lock, NULL);
    pthread_mutex_init(&m->collecting, NULL);
    for (size_t i = 0; i < m->len; i++) {
        str values[METRICS_LABELS_MAX] = {0};
        if (!has_open_label(&table[i]))
            make_siblings(m, i, 0, values);
    }
    m->collect_shard = metrics_shard(m);
    return m;
}

struct metrics_shard *metrics_shard(struct metrics *m)
{
    struct metrics_shard *s = mem_new(struct metrics_shard);
    s->metrics = m;
    s->nowhere = mem_array(m->len, sizeof(struct metrics_series *));
    pthread_mutex_lock(&m->lock);
    s->next = m->shards;
    m->shards = s;
    pthread_mutex_unlock(&m->lock);
    return s;
}

static void entry_free(struct metrics_entry *entry)
{
    struct metrics_series *cell = atomic_load(&entry->cells);
    while (cell) {
        struct metrics_series *next = cell->next;
        mem_free(cell);
        cell = next;
    }
    mem_free(entry->labels);
    mem_free(entry);
}

static void shard_free(struct metrics_shard *s)
{
    for (size_t i = 0; i < s->metrics->len; i++)
        mem_free(s->nowhere[i]);
    mem_free(s->nowhere);
    map_done(&s->cells);
    mem_free(s);
}

void metrics_free(struct metrics *m)
{
    if (!m)
        return;
    size_t cursor = 0;
    str key;
    void *entry;
    while (map_next(&m->entries, &cursor, &key, &entry))
        entry_free(entry);
    while (m->shards) {
        struct metrics_shard *next = m->shards->next;
        shard_free(m->shards);
        m->shards = next;
    }
    map_done(&m->entries);
    mem_free(m->families);
    pthread_mutex_destroy(&m->lock);
    pthread_mutex_destroy(&m->collecting);
    mem_free(m);
}

void metrics_collector(struct metrics *m, metrics_collect_fn fn, void *ctx)
{
    ASSERT(m->collectors_len < METRICS_COLLECTOR_MAX);
    m->collectors[m->collectors_len++] = (struct metrics_collector){fn, ctx};
}

size_t metrics_series_count(const struct metrics *m)
{
    return atomic_load_explicit(&m->series_count, memory_order_relaxed);
}

uint64_t metrics_series_dropped(const struct metrics *m)
{
    return atomic_load_explicit(&m->dropped, memory_order_relaxed);
}
