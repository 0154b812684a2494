#include <stdio.h>

#include "base/json.h"
#include "cli/commands.h"
#include "cli/print.h"

#include "base/banned.h"

struct version_options {
    bool json;
};

static const struct option options[] = {
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = offsetof(struct version_options, json),
     .help = "Print an object that a program can read."},
    {0},
};

#if defined(__clang__)
#define COMPILER "clang " __clang_version__
#else
#define COMPILER "gcc " __VERSION__
#endif

#if defined(__x86_64__)
#define MACHINE "x86_64"
#elif defined(__aarch64__)
#define MACHINE "aarch64"
#else
#define MACHINE "other"
#endif

static int run(struct command_call *call)
{
    const struct version_options *o = call->options;
    struct buf out;
    buf_init(&out, 4096);
    if (o->json) {
        struct json_writer w;
        jw_init(&w, &out);
        jw_object_begin(&w);
        jw_kv_z(&w, "version", WEIR_VERSION);
        jw_kv_z(&w, "compiler", COMPILER);
        jw_kv_z(&w, "machine", MACHINE);
        jw_object_end(&w);
        (void)buf_append_char(&out, '\n');
    } else {
        (void)buf_printf(&out, "weir %s (%s, %s)\n", WEIR_VERSION, MACHINE, COMPILER);
    }
    return print_and_done(&out);
}

const struct command cmd_version = {
    .name = "version",
    .summary = "say which weir this is",
    .examples = "weir version --json   # version, compiler and machine as JSON",
    .options = options,
    .options_size = sizeof(struct version_options),
    .run = run,
};
