#include <stdio.h>

#include "base/clock.h"
#include "cli/cmd_key.h"
#include "cli/open_store.h"
#include "cli/print.h"
#include "gateway/money.h"
#include "store/spend.h"

#include "base/banned.h"

static const char *date(int64_t wall_ms, char out[static 25])
{
    if (!wall_ms)
        return "-";
    clock_iso8601((uint64_t)wall_ms, out);
    out[10] = 0;
    return out;
}

static str or_dash(str s)
{
    return s.len ? s : STR("-");
}

static const char *per_minute(int64_t limit, char *out, size_t size)
{
    if (!limit)
        return "-";
    snprintf(out, size, "%lld", (long long)limit);
    return out;
}

static const char *budget(const struct store_key *k, char *out, size_t size)
{
    char money[MONEY_TEXT_MAX];
    if (k->budget_nano_usd < 0)
        return "-";
    snprintf(out, size, "$%s/" STR_FMT, money_text(k->budget_nano_usd, money),
             STR_ARG(k->budget_period));
    return out;
}

static void write_line(struct buf *out, const struct store_key *k)
{
    char day[25], requests[24], tokens[24], money[64];
    (void)buf_printf(out, "%-20.*s %-17.*s %-8s %-10s %8s %10s %-14s " STR_FMT "\n",
                     STR_ARG(k->name), STR_ARG(k->id), key_state(k), date(k->expires_ms, day),
                     per_minute(k->requests_per_minute, requests, sizeof requests),
                     per_minute(k->tokens_per_minute, tokens, sizeof tokens),
                     budget(k, money, sizeof money), STR_ARG(or_dash(k->models)));
}

static void write_keys(struct buf *out, const struct store_key *keys, size_t len, bool json)
{
    struct json_writer w;
    if (!json) {
        (void)buf_printf(out, "%-20s %-17s %-8s %-10s %8s %10s %-14s %s\n", "NAME", "ID", "STATE",
                         "EXPIRES", "REQ/MIN", "TOK/MIN", "BUDGET", "MODELS");
        for (size_t i = 0; i < len; i++)
            write_line(out, &keys[i]);
        return;
    }
    jw_init(&w, out);
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++)
        key_write_json(&w, &keys[i]);
    jw_array_end(&w);
    (void)buf_append_char(out, '\n');
}

static int run_list(struct command_call *call)
{
    const struct store_verb_options *o = call->options;
    struct store_key *keys;
    struct db b;
    struct buf out;
    struct diag d = {0};
    size_t len;
    int status;
    if (!open_store(call, DB_EXISTING, &b, &status))
        return status;
    enum err e = store_key_list(&b, call->arena, &keys, &len, &d);
    db_close(&b);
    if (e != ERR_OK)
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    buf_init(&out, 64u << 20);
    write_keys(&out, keys, len, o->json);
    return print_and_done(&out);
}

const struct command cmd_key_list = {
    .name = "list",
    .summary = "show all keys, what they may do, and whether they still live",
    .examples = "weir key list --json   # for a program",
    .options = store_verb_option_table,
    .options_size = sizeof(struct store_verb_options),
    .run = run_list,
};

// --- One key

// The one in use before revoked ones of the same name; the newest of those.
static const struct store_key *named(const struct store_key *keys, size_t len, str which)
{
    const struct store_key *found = NULL;
    for (size_t i = 0; i < len; i++)
        if ((str_eq(keys[i].name, which) || str_eq(keys[i].id, which)) &&
            (!found || found->revoked_ms))
            found = &keys[i];
    return found;
}

static enum err write_spend(struct db *b, const struct store_key *k, struct json_writer *w,
                            struct buf *out, struct diag *d)
{
    static const char *const labels[] = {"day", "month", "total"};
    char periods[SPEND_PERIODS][SPEND_PERIOD_TEXT_MAX], money[MONEY_TEXT_MAX];
    spend_periods((int64_t)clock_wall_ms(), periods);
    for (size_t i = 0; i < SPEND_PERIODS; i++) {
        int64_t nano;
        ERR_TRY(spend_read(b, k->id, periods[i], &nano, d));
        if (w)
            jw_kv_int(w, labels[i], nano);
        else
            (void)buf_printf(out, "%-22s $%s\n", i == 2 ? "spent" : periods[i],
                             money_text(nano, money));
    }
    return ERR_OK;
}

static void write_about(struct buf *out, const struct store_key *k)
{
    char day[25], number[24], money[64];
    (void)buf_printf(out, "%-22s " STR_FMT "\n", "name", STR_ARG(k->name));
    (void)buf_printf(out, "%-22s " STR_FMT "\n", "id", STR_ARG(k->id));
    (void)buf_printf(out, "%-22s %s\n", "state", key_state(k));
    (void)buf_printf(out, "%-22s %s\n", "created", date(k->created_ms, day));
    (void)buf_printf(out, "%-22s %s\n", "expires", date(k->expires_ms, day));
    (void)buf_printf(out, "%-22s " STR_FMT "\n", "models", STR_ARG(or_dash(k->models)));
    (void)buf_printf(out, "%-22s " STR_FMT "\n", "tags", STR_ARG(or_dash(k->tags)));
    (void)buf_printf(out, "%-22s " STR_FMT "\n", "priority", STR_ARG(k->priority));
    (void)buf_printf(out, "%-22s %s\n", "requests a minute",
                     per_minute(k->requests_per_minute, number, sizeof number));
    (void)buf_printf(out, "%-22s %s\n", "tokens a minute",
                     per_minute(k->tokens_per_minute, number, sizeof number));
    (void)buf_printf(out, "%-22s %s\n", "at once",
                     per_minute(k->concurrency, number, sizeof number));
    (void)buf_printf(out, "%-22s %s\n", "budget", budget(k, money, sizeof money));
}

static enum err write_one(struct db *b, const struct store_key *k, bool json, struct buf *out,
                          struct diag *d)
{
    struct json_writer w;
    if (!json) {
        write_about(out, k);
        return write_spend(b, k, NULL, out, d);
    }
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_key(&w, "about");
    key_write_json(&w, k);
    jw_key(&w, "spent_nano_usd");
    jw_object_begin(&w);
    ERR_TRY(write_spend(b, k, &w, out, d));
    jw_object_end(&w);
    jw_object_end(&w);
    return buf_append_char(out, '\n');
}

static int show(struct command_call *call, struct db *b, struct buf *out)
{
    const struct store_verb_options *o = call->options;
    struct store_key *keys;
    struct diag d = {0};
    size_t len;
    if (store_key_list(b, call->arena, &keys, &len, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    const struct store_key *k = named(keys, len, str_of(call->args[0]));
    if (!k)
        return command_fail_text(call, EXIT_STATUS_UNREACHABLE,
                                 "there is no key '%s'; 'weir key list' shows what there is",
                                 call->args[0]);
    if (write_one(b, k, o->json, out, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    return EXIT_STATUS_OK;
}

static int run_show(struct command_call *call)
{
    struct db b;
    struct buf out;
    int status;
    if (!open_store(call, DB_EXISTING, &b, &status))
        return status;
    buf_init(&out, 1u << 20);
    status = show(call, &b, &out);
    db_close(&b);
    if (status == EXIT_STATUS_OK)
        return print_and_done(&out);
    buf_done(&out);
    return status;
}

const struct command cmd_key_show = {
    .name = "show",
    .summary = "show one key: its limits and what it has spent",
    .args = "NAME|ID",
    .examples = "weir key show team-red   # its limits, its budget, what is spent of it",
    .options = store_verb_option_table,
    .options_size = sizeof(struct store_verb_options),
    .args_min = 1,
    .args_max = 1,
    .run = run_show,
};
