#include <stdio.h>

#include <openssl/crypto.h>

#include "base/clock.h"
#include "base/encode.h"
#include "base/random.h"
#include "cli/cmd_key.h"
#include "cli/open_store.h"
#include "cli/print.h"
#include "gateway/key.h"

#include "base/banned.h"

#define ID_CHARACTERS 12

struct create_options {
    struct store_verb_options store;
    struct gateway_key key; // all but the secret
    int64_t lifetime_ms;
};

#define FIELD(member)     offsetof(struct create_options, member)
#define KEY_FIELD(member) (FIELD(key) + offsetof(struct gateway_key, member))

static const struct option options[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = KEY_FIELD(name),
     .short_name = 'n',
     .help = "Who will hold it; it stands in logs and records. Needed."},
    {.name = "models",
     .type = OPTION_STRINGS,
     .offset = KEY_FIELD(models),
     .arg = "NAMES",
     .help = "Models it may use, separated by commas; * stands for any characters. Default: all."},
    {.name = "expires",
     .type = OPTION_STRING,
     .offset = KEY_FIELD(expires),
     .arg = "DATE",
     .help = "From when on it is refused: 2027-01-31 or 2027-01-31T12:00:00Z. Default: never."},
    {.name = "lifetime",
     .type = OPTION_DURATION,
     .offset = FIELD(lifetime_ms),
     .max = 1e12,
     .help = "How long it lives, instead of a date: 720h."},
    LIMIT_ROWS(struct create_options, key.rules),
    {.name = "budget",
     .type = OPTION_STRING,
     .offset = KEY_FIELD(budget),
     .arg = "USD",
     .help = "Money it may spend in each period, in US dollars. Default: any."},
    {.name = "budget_period",
     .type = OPTION_CHOICE,
     .offset = KEY_FIELD(budget_period),
     .value = "month",
     .choices = budget_period_names,
     .help = "When a new budget begins (UTC); total: never."},
    {.name = "priority",
     .type = OPTION_CHOICE,
     .offset = KEY_FIELD(priority),
     .value = "normal",
     .choices = key_priority_names,
     .help = "Who goes first when requests wait for a place."},
    {.name = "tags",
     .type = OPTION_STRINGS,
     .offset = KEY_FIELD(tags),
     .arg = "WORDS",
     .help = "Words of your own about it, separated by commas: team=red,env=test."},
    STORE_VERB_ROWS,
    {0},
};

static str join(struct arena *a, const struct option_strings *s)
{
    str all = STR("");
    for (size_t i = 0; i < s->len; i++)
        all =
            arena_printf(a, STR_FMT "%s" STR_FMT, STR_ARG(all), i ? "," : "", STR_ARG(s->items[i]));
    return all;
}

static enum err fill(struct command_call *call, struct store_key *k, struct diag *d)
{
    const struct create_options *o = call->options;
    struct gateway_key_terms terms;
    char id[ID_CHARACTERS + 1];
    if (!o->key.name.len || o->key.name.len > 128)
        return diag_set(d, ERR_INVALID, "give the key a name of 1 to 128 bytes: --name NAME");
    if (o->key.expires.len && o->lifetime_ms)
        return diag_set(d, ERR_INVALID, "--expires and --lifetime both say when it ends: give one");
    ERR_TRY(gateway_key_terms(&o->key, &terms, d));
    random_id(id, ID_CHARACTERS);
    *k = (struct store_key){
        .id = arena_printf(call->arena, "key_%s", id),
        .name = o->key.name,
        .created_ms = (int64_t)clock_wall_ms(),
        .expires_ms = terms.expires_ms,
        .models = join(call->arena, &o->key.models),
        .tags = join(call->arena, &o->key.tags),
        .requests_per_minute = o->key.rules.requests_per_minute,
        .tokens_per_minute = o->key.rules.tokens_per_minute,
        .concurrency = o->key.rules.concurrency,
        .budget_nano_usd = terms.budget_nano_usd,
        .budget_period = str_of(budget_period_names[o->key.budget_period]),
        .priority = str_of(key_priority_names[o->key.priority]),
    };
    if (o->lifetime_ms)
        k->expires_ms = k->created_ms + o->lifetime_ms;
    return ERR_OK;
}

// The key is shown when it is on disk, not before.
static enum err create(struct db *b, const struct store_key *key,
                       char secret[static KEY_SECRET_BYTES], struct diag *d)
{
    uint8_t digest[KEY_DIGEST_BYTES];
    char hex[2 * KEY_DIGEST_BYTES + 1];
    struct store_key with_digest = *key;
    key_make_secret(secret);
    key_digest(str_of(secret), digest);
    encode_hex(hex, digest, sizeof digest);
    with_digest.digest = str_of(hex);
    return store_key_insert(b, &with_digest, d);
}

static int print_key(const struct create_options *o, const struct store_key *k, const char *secret)
{
    struct buf out;
    struct json_writer w;
    buf_init(&out, 65536);
    if (!o->store.json) {
        (void)buf_printf(&out, "%s\n", secret);
        fprintf(stderr,
                "The key '" STR_FMT "' (" STR_FMT ") is made. It is shown this once and kept "
                "nowhere: store it now.\n",
                STR_ARG(k->name), STR_ARG(k->id));
        return print_and_done(&out);
    }
    jw_init(&w, &out);
    jw_object_begin(&w);
    jw_kv_z(&w, "key", secret);
    jw_key(&w, "about");
    key_write_json(&w, k);
    jw_object_end(&w);
    (void)buf_append_char(&out, '\n');
    return print_and_done(&out);
}

static int run(struct command_call *call)
{
    struct db b;
    struct store_key k;
    struct diag d = {0};
    char secret[KEY_SECRET_BYTES];
    int status;
    if (fill(call, &k, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    if (!open_store(call, DB_CREATE, &b, &status))
        return status;
    enum err e = create(&b, &k, secret, &d);
    db_close(&b);
    if (e == ERR_OK)
        status = print_key(call->options, &k, secret);
    else
        status = command_fail(call, e == ERR_INVALID ? EXIT_STATUS_USAGE : EXIT_STATUS_FAILED, &d);
    OPENSSL_cleanse(secret, sizeof secret);
    return status;
}

const struct command cmd_key_create = {
    .name = "create",
    .summary = "make a key and print it, this once",
    .description = "The key alone goes to the standard output, so that KEY=$(weir key create "
                   "--name ci) has it. It is on disk before it is printed. What a key may do never "
                   "changes: revoke it and make another.",
    .examples = "weir key create --name ci --lifetime 24h --requests-per-minute 60\n"
                "weir key create --name team-red --models 'gpt-*,weir-tiny' --budget 25 --json",
    .options = options,
    .options_size = sizeof(struct create_options),
    .run = run,
};
