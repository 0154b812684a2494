// REQ: OBS-1 LIMIT-1 LIMIT-3
// The store: what it took is on disk when it says so, whatever ends the process.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/timed_id.h"
#include "store/batch.h"
#include "store/schema.h"
#include "store/spend.h"
#include "store/store.h"

#define KILLS 25

struct place {
    char folder[64], path[96];
};

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->folder, sizeof p->folder, "/tmp/weir-store-test-XXXXXX");
    assert_non_null(mkdtemp(p->folder));
    snprintf(p->path, sizeof p->path, "%s/deep/weir.db", p->folder);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const names[] = {"deep/weir.db", "deep/weir.db-wal", "deep/weir.db-shm",
                                        "deep"};
    struct place *p = *state;
    char path[160];
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", p->folder, names[i]);
        remove(path);
    }
    assert_int_equal(rmdir(p->folder), 0);
    free(p);
    return 0;
}

static struct store *open_store(const struct place *p)
{
    struct store_options o = {.path = p->path, .records_max = 1000000};
    struct store *s;
    struct diag d = {0};
    if (store_open(&o, &s, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return s;
}

static struct db open_file(const struct place *p)
{
    struct db b;
    struct diag d = {0};
    if (db_open(p->path, DB_EXISTING, &b, &d) != ERR_OK)
        fail_msg("%s", d.text);
    return b;
}

static int64_t number(const struct place *p, const char *sql)
{
    struct db b = open_file(p);
    int64_t n;
    assert_int_equal(db_number(&b, sql, &n, NULL), ERR_OK);
    db_close(&b);
    return n;
}

static struct store_request sample(uint64_t n, char id[32], struct store_attempt attempts[2])
{
    snprintf(id, 32, "req-%llu", (unsigned long long)n);
    attempts[0] = (struct store_attempt){.target = STR("far"),
                                         .provider = STR("openai"),
                                         .result = STR("failed"),
                                         .failure = STR("transient"),
                                         .upstream_status = 500,
                                         .cost_nano_usd = -1};
    attempts[1] = (struct store_attempt){.target = STR("near"),
                                         .provider = STR("local"),
                                         .result = STR("answered"),
                                         .reason = STR("fallback"),
                                         .completion_tokens = (int64_t)n,
                                         .cost_nano_usd = 40};
    return (struct store_request){.id = str_of(id),
                                  .endpoint = STR("chat"),
                                  .status = 200,
                                  .key = STR("team"),
                                  .key_id = STR("k1"),
                                  .started_ms = 1795000000000, // 2026-11-18
                                  .completion_tokens = (int64_t)n,
                                  .cost_nano_usd = 40,
                                  .spend_nano_usd = 40,
                                  .attempts = attempts,
                                  .attempts_len = 2};
}

static bool put(struct store *s, uint64_t n)
{
    char id[32];
    struct store_attempt attempts[2];
    struct store_request r = sample(n, id, attempts);
    return store_put(s, &r);
}

static int64_t requests(const struct place *p)
{
    return number(p, "SELECT sum(requests) FROM record_group");
}

static int64_t last_seq(const struct place *p)
{
    return number(p, "SELECT max(last) & ((1 << 40) - 1) FROM record_group");
}

static enum err find(const struct place *p, uint64_t n, struct arena *a, struct store_request *ret)
{
    char id[32];
    struct db b = open_file(p);
    snprintf(id, sizeof id, "req-%llu", (unsigned long long)n);
    enum err e = store_request_find(&b, str_of(id), a, ret, NULL);
    db_close(&b);
    return e;
}

static void assert_found(const struct place *p, uint64_t n)
{
    struct arena a;
    struct store_request r;
    arena_init(&a, 1u << 20);
    assert_int_equal(find(p, n, &a, &r), ERR_OK);
    assert_int_equal(r.completion_tokens, n);
    assert_int_equal(r.attempts_len, 2);
    assert_int_equal(r.attempts[1].completion_tokens, n);
    arena_done(&a);
}

static void assert_not_found(const struct place *p, uint64_t n)
{
    struct arena a;
    struct store_request r;
    arena_init(&a, 1u << 20);
    assert_int_equal(find(p, n, &a, &r), ERR_NOT_FOUND);
    arena_done(&a);
}

static void a_record_comes_back_as_it_was(void **state)
{
    struct store *s = open_store(*state);
    struct arena a;
    struct store_request r;
    arena_init(&a, 1u << 20);
    assert_true(put(s, 7));
    assert_true(store_flush(s, 10000));
    assert_int_equal(store_durable(s), 1);
    struct db b = open_file(*state);
    assert_int_equal(store_request_find(&b, STR("req-7"), &a, &r, NULL), ERR_OK);
    assert_true(str_eq(r.endpoint, STR("chat")));
    assert_true(str_eq(r.key, STR("team")));
    assert_null(r.finish.ptr);
    assert_int_equal(r.completion_tokens, 7);
    assert_int_equal(r.attempts_len, 2);
    assert_true(str_eq(r.attempts[0].failure, STR("transient")));
    assert_int_equal(r.attempts[0].cost_nano_usd, -1);
    assert_int_equal(r.attempts[0].upstream_status, 500);
    assert_true(str_eq(r.attempts[1].target, STR("near")));
    assert_int_equal(r.attempts[1].cost_nano_usd, 40);
    assert_int_equal(store_request_find(&b, STR("req-8"), &a, &r, NULL), ERR_NOT_FOUND);
    db_close(&b);
    arena_done(&a);
    store_close(s);
}

static void closing_writes_what_waits(void **state)
{
    struct store *s = open_store(*state);
    for (uint64_t n = 1; n <= 2000; n++)
        assert_true(put(s, n));
    store_close(s);
    assert_int_equal(requests(*state), 2000);
    assert_int_equal(last_seq(*state), 2000);
    assert_found(*state, 1);
    assert_found(*state, 2000);
}

// A commit has its price whatever it holds: what comes while one runs waits for the next.
static void a_steady_stream_of_records_does_not_commit_without_a_pause(void **state)
{
    struct store *s = open_store(*state);
    uint64_t begun = clock_mono_ms();
    for (uint64_t n = 1; n <= 2000; n++) {
        assert_true(put(s, n));
        usleep(150);
    }
    uint64_t took_ms = clock_mono_ms() - begun;
    store_close(s);
    assert_int_equal(requests(*state), 2000);
    assert_in_range(number(*state, "SELECT count(*) FROM record_group"), 1, took_ms / 40 + 3);
}

static void money_grows_with_the_records(void **state)
{
    struct store *s = open_store(*state);
    for (uint64_t n = 1; n <= 10; n++)
        assert_true(put(s, n));
    store_close(s);
    assert_int_equal(
        number(*state, "SELECT nano_usd FROM spend WHERE key='k1' AND period='day 2026-11-18'"),
        400);
    assert_int_equal(
        number(*state, "SELECT nano_usd FROM spend WHERE key='k1' AND period='month 2026-11'"),
        400);
    assert_int_equal(number(*state, "SELECT nano_usd FROM spend WHERE period='total'"), 400);
}

// Written as sums of a batch: no key's money reaches another's, and none is lost when there are
// more keys and days than one batch sums up.
static void money_is_summed_by_key_and_day(void **state)
{
    struct store *s = open_store(*state);
    for (uint64_t n = 0; n < 1000; n++) {
        char id[32], key[8];
        struct store_attempt attempts[2];
        struct store_request r = sample(n, id, attempts);
        snprintf(key, sizeof key, "k%u", (unsigned)(n % 50));
        r.key_id = str_of(key);
        r.started_ms += n % 3 ? 0 : 86400000;
        r.spend_nano_usd = (int64_t)n;
        assert_true(store_put(s, &r));
    }
    store_close(s);
    assert_int_equal(number(*state, "SELECT sum(nano_usd) FROM spend WHERE period='total'"),
                     999 * 1000 / 2);
    assert_int_equal(number(*state, "SELECT count(*) FROM spend WHERE period LIKE 'day %'"), 100);
    int64_t day = 0, next = 0;
    for (int64_t n = 7; n < 1000; n += 50)
        *(n % 3 ? &day : &next) += n;
    assert_int_equal(
        number(*state, "SELECT nano_usd FROM spend WHERE key='k7' AND period='day 2026-11-18'"),
        day);
    assert_int_equal(
        number(*state, "SELECT nano_usd FROM spend WHERE key='k7' AND period='day 2026-11-19'"),
        next);
    assert_int_equal(
        number(*state, "SELECT nano_usd FROM spend WHERE key='k7' AND period='month 2026-11'"),
        day + next);
}

static void a_full_queue_drops_and_counts_and_leaves_a_gap(void **state)
{
    struct store *s = open_store(*state);
    struct store_stats stats;
    uint64_t taken = 0, refused = 0;
    struct db b = open_file(*state);
    assert_int_equal(db_begin(&b, NULL), ERR_OK); // the store's thread cannot write meanwhile
    for (uint64_t n = 1; n <= STORE_QUEUE_MAX + BATCH_MAX + 1000; n++)
        if (put(s, n))
            taken++;
        else
            refused++;
    db_rollback(&b);
    db_close(&b);
    assert_true(refused > 0);
    assert_true(store_flush(s, 30000));
    assert_true(put(s, 99999));
    assert_true(store_flush(s, 30000));
    store_stats(s, &stats);
    assert_int_equal(stats.dropped, refused);
    assert_int_equal(stats.written, taken + 1);
    store_close(s);
    assert_int_equal(requests(*state), taken + 1);
    assert_int_equal(last_seq(*state), taken + 1 + refused);
    s = open_store(*state);
    store_stats(s, &stats);
    assert_int_equal(stats.missing, refused);
    store_close(s);
    s = open_store(*state); // told once
    store_stats(s, &stats);
    assert_int_equal(stats.missing, 0);
    store_close(s);
}

static void run(const struct place *p, const char *sql)
{
    struct db b = open_file(p);
    assert_int_equal(db_exec(&b, sql, NULL), ERR_OK);
    db_close(&b);
}

// Nothing else comes that would wake its thread.
static void what_cannot_be_written_is_tried_again_soon(void **state)
{
    struct store *s = open_store(*state);
    struct store_stats stats;
    run(*state, "CREATE TRIGGER refuse BEFORE INSERT ON record_group "
                "BEGIN SELECT RAISE(ABORT, 'refused'); END");
    assert_true(put(s, 1));
    uint64_t until = clock_mono_ms() + 8000; // a sleep without a reason takes ten seconds
    do {
        usleep(10000);
        store_stats(s, &stats);
    } while (stats.failures < 2 && clock_mono_ms() < until);
    assert_true(stats.failures >= 2);
    run(*state, "DROP TRIGGER refuse");
    assert_true(store_flush(s, 10000));
    store_close(s);
    assert_found(*state, 1);
}

static void the_oldest_records_go_at_the_bound(void **state)
{
    struct place *p = *state;
    struct store_options o = {.path = p->path, .records_max = 1000};
    struct store *s;
    assert_int_equal(store_open(&o, &s, NULL), ERR_OK);
    for (uint64_t n = 1; n <= 3000; n++)
        assert_true(put(s, n));
    assert_true(store_flush(s, 30000));
    store_close(s);
    int64_t kept = requests(p);
    assert_in_range(kept, 1000, 1125);
    assert_int_equal(last_seq(p), 3000);
    assert_found(p, 3000);
    assert_found(p, 2001);
    assert_not_found(p, 3000 - (uint64_t)kept);
}

// --- kill -9

// Puts records without end, never so fast that one is dropped, and tells which are said to be on
// disk.
static void write_until_killed(const struct place *p, int tell)
{
    struct store *s = open_store(p);
    uint64_t told = 0;
    for (uint64_t n = 1;; n++) {
        if (!put(s, n))
            _exit(1);
        uint64_t durable;
        while ((durable = store_durable(s)) + STORE_QUEUE_MAX / 2 < n)
            usleep(500);
        if (durable == told)
            continue;
        told = durable;
        if (write(tell, &durable, sizeof durable) != sizeof durable)
            _exit(1);
    }
}

static uint64_t run_and_kill(const struct place *p, uint64_t delay_ms)
{
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    if (child == 0) {
        close(pipe_ends[0]);
        write_until_killed(p, pipe_ends[1]);
        _exit(1);
    }
    close(pipe_ends[1]);
    uint64_t durable = 0, told;
    bool first = read(pipe_ends[0], &durable, sizeof durable) == sizeof durable;
    usleep((useconds_t)delay_ms * 1000);
    kill(child, SIGKILL);
    while (read(pipe_ends[0], &told, sizeof told) == sizeof told)
        durable = told;
    close(pipe_ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(first && WIFSIGNALED(status));
    return durable;
}

static void kill_9_loses_nothing_that_was_acknowledged(void **state)
{
    struct random random;
    uint64_t seen = 0;
    random_seed(&random, 9);
    for (int i = 1; i <= KILLS; i++) {
        char sql[160];
        uint64_t durable = run_and_kill(*state, random_below(&random, 60));
        // None was dropped, so there are as many as the last one's number.
        snprintf(sql, sizeof sql, "SELECT sum(requests) FROM record_group WHERE number >> %d = %d",
                 GROUP_RUN_SHIFT, i);
        assert_true(number(*state, sql) >= (int64_t)durable);
        snprintf(sql, sizeof sql,
                 "SELECT sum(requests) - max(last & ((1 << %d) - 1)) FROM record_group "
                 "WHERE number >> %d = %d",
                 GROUP_RUN_SHIFT, GROUP_RUN_SHIFT, i);
        assert_int_equal(number(*state, sql), 0);
        seen += durable;
    }
    assert_true(seen > 0);
    assert_int_equal(
        number(*state, "SELECT 1 FROM pragma_integrity_check WHERE integrity_check='ok'"), 1);
    // What each run had seen and not written is told at the next start.
    int64_t missing = number(*state, "SELECT sum(seen - written) FROM run WHERE counted = 0");
    struct store *s = open_store(*state);
    struct store_stats stats;
    store_stats(s, &stats);
    assert_int_equal(stats.missing, missing);
    store_close(s);
}

// --- Keys

struct watcher {
    _Atomic int told;
    size_t len;
    int64_t revoked_ms, spent;
};

static void on_keys(void *ctx, const struct store_key *keys, const int64_t *spent, size_t len)
{
    struct watcher *w = ctx;
    w->len = len;
    w->revoked_ms = len ? keys[0].revoked_ms : 0;
    w->spent = len ? spent[0] : 0;
    w->told++;
}

static bool told(struct watcher *w, int times)
{
    for (int i = 0; i < 200 && w->told < times; i++)
        usleep(10000);
    return w->told >= times;
}

static struct store_key sample_key(void)
{
    return (struct store_key){.id = STR("k1"),
                              .name = STR("team"),
                              .created_ms = 5,
                              .models = STR("gpt-*,weir-tiny"),
                              .digest = STR("00ff"),
                              .budget_period = STR("total"),
                              .budget_nano_usd = 1000};
}

static void keys_of_another_process_are_seen_within_a_second(void **state)
{
    struct place *p = *state;
    struct watcher w = {0};
    struct store_options o = {.path = p->path, .records_max = 1000, .keys = on_keys, .ctx = &w};
    struct store *s;
    assert_int_equal(store_open(&o, &s, NULL), ERR_OK);
    assert_int_equal(w.told, 1); // inside store_open
    assert_int_equal(w.len, 0);
    struct db b = open_file(p);
    struct store_key k = sample_key();
    uint64_t begun = clock_mono_ms();
    assert_int_equal(store_key_insert(&b, &k, NULL), ERR_OK);
    assert_true(told(&w, 2));
    assert_int_equal(w.len, 1);
    assert_true(clock_mono_ms() - begun < 1000);
    assert_true(put(s, 1));
    assert_true(store_flush(s, 10000));
    assert_int_equal(store_key_revoke(&b, STR("team"), 77, NULL), ERR_OK);
    assert_true(told(&w, 3));
    assert_int_equal(w.revoked_ms, 77);
    assert_int_equal(w.spent, 40);
    db_close(&b);
    store_close(s);
}

static void a_name_is_taken_until_its_key_is_revoked(void **state)
{
    struct store *s = open_store(*state);
    struct db b = open_file(*state);
    struct diag d = {0};
    struct store_key k = sample_key(), *list;
    struct arena a;
    size_t len;
    arena_init(&a, 1u << 20);
    assert_int_equal(store_key_insert(&b, &k, &d), ERR_OK);
    k.id = STR("k2");
    k.digest = STR("01");
    assert_int_equal(store_key_insert(&b, &k, &d), ERR_INVALID);
    assert_non_null(strstr(d.text, "team"));
    assert_int_equal(store_key_revoke(&b, STR("nobody"), 1, &d), ERR_NOT_FOUND);
    assert_int_equal(store_key_revoke(&b, STR("k1"), 9, &d), ERR_OK);
    assert_int_equal(store_key_revoke(&b, STR("k1"), 9, &d), ERR_NOT_FOUND);
    assert_int_equal(store_key_insert(&b, &k, &d), ERR_OK);
    assert_int_equal(store_key_list(&b, &a, &list, &len, &d), ERR_OK);
    assert_int_equal(len, 2);
    assert_int_equal(list[0].revoked_ms, 9);
    assert_true(str_eq(list[1].id, STR("k2")));
    assert_true(str_eq(list[1].models, STR("gpt-*,weir-tiny")));
    assert_int_equal(list[1].budget_nano_usd, 1000);
    arena_done(&a);
    db_close(&b);
    store_close(s);
}

// --- The file

static void nobody_else_can_read_the_file(void **state)
{
    struct place *p = *state;
    struct stat st;
    store_close(open_store(p));
    assert_int_equal(stat(p->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

// Version 5 had a row for each request and each attempt.
static void records_of_an_older_weir_are_kept(void **state)
{
    struct place *p = *state;
    struct arena a;
    struct store_request r;
    struct store_shadow shadow;
    struct db b;
    struct diag d = {0};
    assert_int_equal(db_open(p->path, DB_CREATE, &b, &d), ERR_OK);
    assert_int_equal(schema_upgrade_to(&b, 5, &d), ERR_OK);
    assert_int_equal(
        db_exec(&b,
                "INSERT INTO run(pid, started_ms, ended_ms) VALUES(1, 1, 2), (1, 1, 2);"
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1200) "
                "INSERT INTO request(run, seq, id, started_ms, status, key, stream, seed, attempts,"
                " cost_nano_usd, completion_tokens) SELECT 1 + (n > 700), n, 'req-' || n, "
                "1795000000000 + n, 200, 'team', 1, -n, 2, 40, n FROM n;"
                "INSERT INTO attempt(run, seq, number, target, result, cost_nano_usd,"
                " completion_tokens, protocol) SELECT run, seq, 1, 'far', 'failed', NULL, 0, NULL "
                "FROM request UNION ALL SELECT run, seq, 2, 'near', 'answered', 40, seq, 'h2' "
                "FROM request;"
                "INSERT INTO shadow(run, seq, request, outcome, cost_nano_usd) "
                "VALUES(2, 1201, 'req-900', 'same', NULL)",
                &d),
        ERR_OK);
    db_close(&b);
    struct store *s = open_store(p);
    assert_true(put(s, 5000));
    store_close(s);
    assert_int_equal(requests(p), 1201);
    arena_init(&a, 1u << 20);
    assert_found(p, 5000);
    for (uint64_t n = 1; n <= 1200; n += 109)
        assert_found(p, n);
    assert_int_equal(find(p, 900, &a, &r), ERR_OK);
    assert_true(str_eq(r.key, STR("team")) && r.stream && r.seed == -900 && r.status == 200);
    assert_int_equal(r.attempts[0].cost_nano_usd, -1);
    assert_int_equal(r.attempts[1].cost_nano_usd, 40);
    assert_true(str_eq(r.attempts[1].protocol, STR("h2")));
    b = open_file(p);
    assert_int_equal(store_shadow_find(&b, STR("req-900"), &a, &shadow, &d), ERR_OK);
    assert_true(str_eq(shadow.outcome, STR("same")) && shadow.cost_nano_usd == -1);
    assert_int_equal(store_shadow_find(&b, STR("req-901"), &a, &shadow, &d), ERR_NOT_FOUND);
    db_close(&b);
    arena_done(&a);
}

// Shadows may carry two texts of 64 KiB each: 512 of them are more than one group may be.
static void long_records_of_an_older_weir_are_kept(void **state)
{
    struct place *p = *state;
    struct arena a;
    struct store_shadow shadow;
    struct db b;
    struct diag d = {0};
    assert_int_equal(db_open(p->path, DB_CREATE, &b, &d), ERR_OK);
    assert_int_equal(schema_upgrade_to(&b, 5, &d), ERR_OK);
    assert_int_equal(
        db_exec(&b,
                "INSERT INTO run(pid, started_ms, ended_ms) VALUES(1, 1, 2);"
                "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 520) "
                "INSERT INTO shadow(run, seq, request, outcome, answer_text, shadow_text) "
                "SELECT 1, n, 'req-' || n, 'same', t, t FROM n, "
                "(SELECT replace(hex(zeroblob(32768)), '00', 'ab') AS t)",
                &d),
        ERR_OK);
    db_close(&b);
    store_close(open_store(p));
    b = open_file(p);
    arena_init(&a, 1u << 20);
    assert_int_equal(store_shadow_find(&b, STR("req-520"), &a, &shadow, &d), ERR_OK);
    assert_int_equal(shadow.shadow_text.len, 65536);
    arena_done(&a);
    db_close(&b);
}

// Ids that tell their time are looked for from there, others from the newest group.
static void ids_of_any_kind_are_found_and_the_newest_of_two(void **state)
{
    struct place *p = *state;
    struct store *s = open_store(p);
    struct arena a;
    struct store_request r;
    char timed[4 + TIMED_ID_LEN], other[32];
    struct store_attempt attempts[2];
    memcpy(timed, "req_", 4);
    timed_id_write(timed + 4, 1795000000000, 99);
    for (uint64_t n = 1; n <= 5; n++) {
        struct store_request twice = sample(n, other, attempts);
        twice.id = STR("mine");
        assert_true(store_put(s, &twice));
        struct store_request once = sample(n, other, attempts);
        once.id = n == 3 ? str_slice(timed, sizeof timed) : STR("req_000000000000000000000000");
        assert_true(store_put(s, &once));
        assert_true(store_flush(s, 10000));
    }
    store_close(s);
    struct db b = open_file(p);
    arena_init(&a, 1u << 20);
    assert_int_equal(store_request_find(&b, STR("mine"), &a, &r, NULL), ERR_OK);
    assert_int_equal(r.completion_tokens, 5);
    assert_int_equal(store_request_find(&b, str_slice(timed, sizeof timed), &a, &r, NULL), ERR_OK);
    assert_int_equal(r.completion_tokens, 3);
    // An id of the future, as a clock that was set back leaves it.
    timed_id_write(timed + 4, 1799000000000, 99);
    assert_int_equal(store_request_find(&b, str_slice(timed, sizeof timed), &a, &r, NULL),
                     ERR_NOT_FOUND);
    arena_done(&a);
    db_close(&b);
}

static void a_file_of_a_newer_weir_is_refused(void **state)
{
    struct place *p = *state;
    struct store_options o = {.path = p->path, .records_max = 1000};
    struct store *s;
    struct diag d = {0};
    store_close(open_store(p));
    struct db b = open_file(p);
    assert_int_equal(db_exec(&b, "PRAGMA user_version=99", NULL), ERR_OK);
    db_close(&b);
    assert_int_equal(store_open(&o, &s, &d), ERR_UNSUPPORTED);
    assert_non_null(strstr(d.text, "newer"));
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    struct place *p = *state;
    struct store_options o = {.path = p->path, .records_max = 1000};
    struct store *s;
    store_close(open_store(p));
    FILE *f = fopen(p->path, "w");
    assert_non_null(f);
    for (int i = 0; i < 200; i++)
        fputs("this is a letter to a friend, and no database\n", f);
    fclose(f);
    assert_int_equal(store_open(&o, &s, NULL), ERR_PARSE);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_record_comes_back_as_it_was),
        T(closing_writes_what_waits),
        T(a_steady_stream_of_records_does_not_commit_without_a_pause),
        T(money_grows_with_the_records),
        T(money_is_summed_by_key_and_day),
        T(a_full_queue_drops_and_counts_and_leaves_a_gap),
        T(what_cannot_be_written_is_tried_again_soon),
        T(the_oldest_records_go_at_the_bound),
        T(kill_9_loses_nothing_that_was_acknowledged),
        T(keys_of_another_process_are_seen_within_a_second),
        T(a_name_is_taken_until_its_key_is_revoked),
        T(nobody_else_can_read_the_file),
        T(records_of_an_older_weir_are_kept),
        T(long_records_of_an_older_weir_are_kept),
        T(ids_of_any_kind_are_found_and_the_newest_of_two),
        T(a_file_of_a_newer_weir_is_refused),
        T(a_file_that_is_no_database_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
