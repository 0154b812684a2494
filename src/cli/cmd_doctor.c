#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <openssl/x509.h>

#include "base/clock.h"
#include "base/fs.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/doctor.h"
#include "cli/print.h"
#include "cli/term.h"
#include "models/library.h"

#include "base/banned.h"

struct doctor_options {
    str config;
    bool json;
};

static const struct option options[] = {
    {.name = "config",
     .type = OPTION_STRING,
     .offset = offsetof(struct doctor_options, config),
     .arg = "FILE",
     .short_name = 'c',
     .help = "Look at this configuration too."},
    {.name = "json",
     .type = OPTION_BOOL,
     .offset = offsetof(struct doctor_options, json),
     .help = "Print JSON that a program can read."},
    {0},
};

// --- what is written

struct doctor {
    struct buf *out;
    struct json_writer *json; // NULL for people
    bool colour;
    uint32_t count[3];
};

void doctor_say(struct doctor *doc, enum doctor_verdict v, const char *what, const char *detail,
                const char *remedy)
{
    static const char *const names[] = {"ok", "note", "wrong"};
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    doc->count[v]++;
    if (doc->json) {
        jw_object_begin(doc->json);
        jw_kv_z(doc->json, "check", what);
        jw_kv_z(doc->json, "verdict", names[v]);
        jw_kv_z(doc->json, "detail", detail);
        jw_key(doc->json, "remedy");
        if (remedy)
            jw_z(doc->json, remedy);
        else
            jw_null(doc->json);
        jw_object_end(doc->json);
        return;
    }
    (void)buf_printf(doc->out, "%s%-6s%s %-14s %s\n", doc->colour ? colours[v] : "", names[v],
                     doc->colour ? "\033[0m" : "", what, detail);
    if (remedy)
        (void)buf_printf(doc->out, "%21s -> %s\n", "", remedy);
}

// --- the machine

static void check_memory(struct doctor *doc)
{
    char detail[160], total[16], available[16];
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t free_bytes = (uint64_t)sysconf(_SC_AVPHYS_PAGES) * page;
    term_bytes((uint64_t)sysconf(_SC_PHYS_PAGES) * page, total);
    term_bytes(free_bytes, available);
    snprintf(detail, sizeof detail, "%s in all, %s free", total, available);
    bool low = free_bytes < (256u << 20);
    doctor_say(doc, low ? DOCTOR_NOTE : DOCTOR_OK, "memory", detail,
               low ? "models over 100 MB will not fit: stop something or take a bigger machine"
                   : NULL);
}

static void check_descriptors(struct doctor *doc)
{
    struct rlimit r;
    char detail[96];
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    snprintf(detail, sizeof detail, "%llu open files allowed (at most %llu)",
             (unsigned long long)r.rlim_cur, (unsigned long long)r.rlim_max);
    bool low = r.rlim_max < 4096; // weir serve takes all that it may
    doctor_say(
        doc, low ? DOCTOR_NOTE : DOCTOR_OK, "descriptors", detail,
        low ? "each client takes one: raise it with 'ulimit -n 65536' or LimitNOFILE= in the unit"
            : NULL);
}

static void check_clock(struct doctor *doc)
{
    char now[25];
    clock_iso8601(clock_wall_ms(), now);
    bool wrong = clock_wall_ms() < 1735689600000ull; // 2025-01-01
    doctor_say(
        doc, wrong ? DOCTOR_WRONG : DOCTOR_OK, "clock", now,
        wrong ? "TLS certificates will look not yet valid: set the time (timedatectl set-ntp true)"
              : NULL);
}

// --- what weir needs around it

static void check_trust_store(struct doctor *doc)
{
    const char *file = getenv(X509_get_default_cert_file_env());
    const char *folder = getenv(X509_get_default_cert_dir_env());
    file = file ? file : X509_get_default_cert_file();
    folder = folder ? folder : X509_get_default_cert_dir();
    bool found = fs_exists(file) || fs_exists(folder);
    doctor_say(doc, found ? DOCTOR_OK : DOCTOR_WRONG, "certificates",
               fs_exists(file) ? file : folder,
               found ? NULL : "no certificate can be verified: apt-get install ca-certificates");
}

static void check_proxies(struct doctor *doc)
{
    static const char *const names[] = {"HTTPS_PROXY", "https_proxy", "http_proxy", "ALL_PROXY",
                                        "all_proxy",   "NO_PROXY",    "no_proxy"};
    char detail[256] = "";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);
        size_t used = strlen(detail);
        // names only: a proxy's address may carry a password
        if (value && value[0])
            snprintf(detail + used, sizeof detail - used, "%s%s", used ? " " : "", names[i]);
    }
    doctor_say(doc, DOCTOR_OK, "proxies", detail[0] ? detail : "none set", NULL);
}

static void check_model_folder(struct doctor *doc, struct arena *arena)
{
    str folder;
    struct diag d = {0};
    char text[640], free_text[16];
    if (model_library_folder(arena, &folder, &d) != ERR_OK || fs_mkdirs(folder.ptr, &d) != ERR_OK ||
        access(folder.ptr, W_OK) != 0) {
        doctor_say(doc, DOCTOR_NOTE, "model folder",
                   d.code ? diag_format(&d, text, sizeof text) : "not writable",
                   "'weir model pull' needs a folder that you may write: set WEIR_MODELS");
        return;
    }
    struct statvfs v;
    uint64_t room = statvfs(folder.ptr, &v) == 0 ? (uint64_t)v.f_bavail * v.f_frsize : 0;
    snprintf(text, sizeof text, "%s, %s free", folder.ptr, term_bytes(room, free_text));
    doctor_say(doc, room < (1u << 30) ? DOCTOR_NOTE : DOCTOR_OK, "model folder", text,
               room < (1u << 30)
                   ? "little room for models: free some, or set WEIR_MODELS to another disk"
                   : NULL);
}

// --- the verb

static void check_all(struct doctor *doc, struct command_call *call)
{
    const struct doctor_options *o = call->options;
    doctor_check_engine(doc, call->arena);
    check_memory(doc);
    check_descriptors(doc);
    check_clock(doc);
    check_trust_store(doc);
    check_proxies(doc);
    check_model_folder(doc, call->arena);
    doctor_check_config(doc, call->arena, o->config);
}

static int run(struct command_call *call)
{
    const struct doctor_options *o = call->options;
    struct buf out;
    buf_init(&out, 1u << 20);
    struct json_writer w;
    struct doctor doc = {
        .out = &out, .json = o->json ? &w : NULL, .colour = term_colour(STDOUT_FILENO)};
    if (o->json) {
        jw_init(&w, &out);
        jw_array_begin(&w);
    }
    check_all(&doc, call);
    if (o->json) {
        jw_array_end(&w);
        (void)buf_append_char(&out, '\n');
    } else {
        (void)buf_printf(&out, "%s\n",
                         doc.count[DOCTOR_WRONG] ? "Something is wrong: see above."
                         : doc.count[DOCTOR_NOTE]
                             ? "All that weir needs is here; the notes may matter to you."
                             : "All is well.");
    }
    int status = print_and_done(&out);
    return doc.count[DOCTOR_WRONG] ? EXIT_STATUS_FAILED : status;
}

const struct command cmd_doctor = {
    .name = "doctor",
    .summary = "say what is wrong with this machine or configuration, in plain words",
    .description = "Looks at the processor, memory, limits, clock, certificates, proxies, model "
                   "folder and configuration, and lets the "
                   "engine compute a little on every instruction set that this machine has, which "
                   "must agree bit for bit.",
    .examples = "weir doctor                     # this machine\n"
                "weir doctor --config weir.yaml  # and a configuration\n"
                "weir doctor --json | jq '.[] | select(.verdict != \"ok\")'",
    .options = options,
    .options_size = sizeof(struct doctor_options),
    .run = run,
};
