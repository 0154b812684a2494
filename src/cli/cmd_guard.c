#include <stdio.h>
#include <unistd.h>

#include "base/fs.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "guard/injection.h"
#include "guard/measure.h"
#include "guard/rules.h"

#include "base/banned.h"

enum { RULES_BYTES_MAX = 1 << 20, PIECE_BYTES = 65536, OUT_BYTES_MAX = 1 << 24 };

struct apply_options {
    str rules;
};

static const struct option apply_table[] = {
    {.name = "rules",
     .type = OPTION_STRING,
     .offset = offsetof(struct apply_options, rules),
     .arg = "FILE",
     .short_name = 'r',
     .help = "The rules (YAML): rules: {NAME: {action: block|tag|mask, patterns: […], pii: […], "
             "canary: …}}."},
    {0},
};

static enum err read_rules(const struct apply_options *o, struct guard **ret, struct diag *d)
{
    struct buf text;
    if (!o->rules.len)
        return diag_set(d, ERR_INVALID, "say where the rules are: --rules FILE");
    ERR_TRY(fs_read(o->rules.ptr, RULES_BYTES_MAX, &text, d));
    enum err e = guard_parse_file(buf_str(&text), ret, d);
    if (e != ERR_OK && !d->where[0])
        diag_where(d, STR_FMT, STR_ARG(o->rules));
    buf_done(&text);
    return e;
}

// What rules found, and what those say that look at the text as a whole. The first one that blocks,
// or -1.
static int tell_hits(const struct guard_stream *s, uint64_t fired)
{
    int stopped = s->blocked_by;
    for (size_t i = 0; i < guard_len(s->guard); i++) {
        bool whole = fired >> i & 1;
        if (s->hits[i] || whole)
            fprintf(stderr, "%s: %u\n", guard_rule_name(s->guard, i), s->hits[i] + whole);
        if (whole && stopped < 0 && guard_rule_action(s->guard, i) == GUARD_BLOCK)
            stopped = (int)i;
    }
    if (stopped >= 0)
        fprintf(stderr, "blocked by %s\n", guard_rule_name(s->guard, (size_t)stopped));
    return stopped;
}

// Standard input to standard output, piece by piece: what may go on goes at once.
static bool pump(struct guard_stream *s, struct measure *m, struct scan_scratch *x,
                 uint64_t *ret_characters)
{
    static char piece[PIECE_BYTES];
    struct buf out;
    bool ok = true;
    buf_init(&out, OUT_BYTES_MAX);
    for (ssize_t len = 1; ok && len > 0;) {
        len = read(STDIN_FILENO, piece, sizeof piece);
        str came = str_slice(piece, len > 0 ? (size_t)len : 0);
        measure_feed(m, x, came);
        for (size_t i = 0; i < came.len; i++)
            *ret_characters += ((unsigned char)came.ptr[i] & 0xc0) != 0x80;
        ok = len > 0 ? guard_stream_feed(s, x, came, &out) : guard_stream_end(s, x, &out);
        str told = buf_str(&out);
        if (told.ptr)
            fwrite(told.ptr, 1, told.len, stdout);
        fflush(stdout);
        buf_clear(&out);
    }
    buf_done(&out);
    return ok;
}

static int run_apply(struct command_call *call)
{
    struct guard *g;
    struct guard_stream s;
    struct measure m;
    struct guard_size size = {.characters = 0};
    struct scan_scratch x;
    struct vault vault;
    struct diag d = {0};
    enum err e = read_rules(call->options, &g, &d);
    if (e != ERR_OK)
        return command_fail(call,
                            e == ERR_IO || d.sys ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_USAGE, &d);
    guard_scratch_init(&x, g);
    vault_init(&vault);
    guard_stream_init(&s, g, &vault);
    measure_init(&m, g, 0);
    (void)pump(&s, &m, &x, &size.characters);
    measure_end(&m, &x);
    bool passed = tell_hits(&s, measure_fires(&m, true) | measure_size(g, &size)) < 0;
    measure_done(&m);
    guard_stream_done(&s);
    vault_done(&vault);
    scan_scratch_done(&x);
    guard_free(g);
    return passed ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static int run_score(struct command_call *call UNUSED)
{
    static char piece[PIECE_BYTES];
    struct injection *j = injection_new();
    struct injection_stream s;
    struct scan_scratch x;
    ssize_t len;
    injection_scratch_init(&x, j);
    injection_stream_init(&s, j);
    while ((len = read(STDIN_FILENO, piece, sizeof piece)) > 0)
        injection_stream_feed(&s, &x, str_slice(piece, (size_t)len));
    injection_stream_end(&s, &x);
    printf("%.3f", injection_score(s.signs));
    for (int i = 0; i < INJECTION_SIGNS; i++)
        if (s.signs >> i & 1)
            printf(" %s", injection_sign_name((enum injection_sign)i));
    putchar('\n');
    injection_stream_done(&s);
    scan_scratch_done(&x);
    injection_free(j);
    return EXIT_STATUS_OK;
}

static const struct command guard_apply = {
    .name = "apply",
    .summary = "let a text pass a file of rules",
    .description = "Reads standard input and writes what may go on, as it comes; then says on "
                   "standard error which rules found something. Ends with status 1 where the text "
                   "is blocked; what looks at a text as a whole (injection, topic, "
                   "characters_max) says so at its end.",
    .examples = "weir guard apply --rules rules.yaml < mail.txt   # the text without personal data",
    .options = apply_table,
    .options_size = sizeof(struct apply_options),
    .run = run_apply,
};

static const struct command guard_score = {
    .name = "score",
    .summary = "how much a text looks like a prompt injection",
    .description = "Reads standard input and prints a score from 0 to 1, and the signs that make "
                   "it up. From 0.5 on it is called an injection.",
    .examples = "weir guard score < prompt.txt   # 0.800 override",
    .run = run_score,
};

static const struct command *const subcommands[] = {&guard_apply, &guard_score, NULL};

const struct command cmd_guard = {
    .name = "guard",
    .summary = "try rules on a text: patterns, personal data, canaries, injections",
    .description =
        "What rules, as the configuration's guards have them, make of a text: without any "
        "model or server.",
    .examples = "weir guard apply --rules rules.yaml < mail.txt   # mask, tag or block\n"
                "weir guard score < prompt.txt                    # is it a prompt injection?",
    .subcommands = subcommands,
};
