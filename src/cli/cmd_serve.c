#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "cli/commands.h"
#include "cli/configuration.h"
#include "cli/model_choice.h"
#include "cli/term.h"
#include "engine/engine.h"
#include "gateway/gateway.h"
#include "gateway/shared.h"
#include "net/tls_certificate.h"
#include "net/watchdog.h"
#include "telemetry/names.h"

#include "base/banned.h"

// Threads: main waits for signals; "loop" runs the event loop and "watchdog" looks at it from
// outside; "loader" opens the models, so that the port answers at once.
enum { SERIES_MAX = 10000, ADDRESS_TEXT_MAX = 128, CURL_TEXT_MAX = 512, STALL_MS = 50 };

struct serve_options {
    str config, listen;
    struct option_strings models;
    int64_t threads;
    str device;
    bool listen_without_keys, quiet;
};

#define FIELD(f) offsetof(struct serve_options, f)

static const struct option options[] = {
    {.name = "listen",
     .type = OPTION_STRING,
     .offset = FIELD(listen),
     .arg = "HOST:PORT",
     .short_name = 'l',
     .help = "Where to listen. Default: 127.0.0.1:8080; port 0 takes a free one."},
    {.name = "model",
     .type = OPTION_STRINGS,
     .offset = FIELD(models),
     .arg = "NAME|FILE",
     .repeated = true,
     .short_name = 'm',
     .help = "A model to serve instead of those of the configuration; may be given several times. "
             "Default: the bundled one."},
    {.name = "config",
     .type = OPTION_STRING,
     .offset = FIELD(config),
     .arg = "FILE",
     .short_name = 'c',
     .help = "The configuration (YAML). Default: $WEIR_CONFIG, else none."},
    {.name = "threads",
     .type = OPTION_INT,
     .offset = FIELD(threads),
     .arg = "N",
     .max = 1024,
     .help = "Compute threads; 0 takes every CPU."},
    {.name = "device",
     .type = OPTION_STRING,
     .offset = FIELD(device),
     .arg = "NAME",
     .help = "Where models compute: cpu, or a GPU: cuda, cuda:1 and so on, to the same bits. "
             "Default: the configuration's, else cpu."},
    {.name = "listen_without_keys",
     .type = OPTION_BOOL,
     .offset = FIELD(listen_without_keys),
     .help = "Listen beyond loopback although no API keys are configured: whoever reaches the port "
             "may use the models."},
    {.name = "quiet",
     .type = OPTION_BOOL,
     .offset = FIELD(quiet),
     .short_name = 'q',
     .help = "Do not print the address and the example."},
    {0},
};

struct serve {
    struct command_call *call;
    const struct serve_options *o;
    struct gateway_config config;
    struct loop *loop;
    struct metrics *metrics;
    struct engine *engine;
    struct gateway_shared shared;
    struct gateway *gateway;
    struct watchdog *watchdog;
    struct thread loop_thread, loader;
    pthread_t main_thread;
    struct engine_model **models; // the loop's: those that can be asked
    size_t models_len;
    uint16_t port;
    uint64_t drain_until_ms;
    struct loop_timer drain_timer;
    struct diag failure; // of the loader
    _Atomic bool failed, stopping, loading;
    bool hurried; // by a person at the terminal
};

// --- Configuration

static void use_models(struct serve *s)
{
    size_t n = s->o->models.len;
    if (n == 0 && s->config.models.len)
        return;
    n = n ? n : 1; // nothing said: the bundled model
    struct gateway_model *models = arena_zalloc(s->call->arena, n, sizeof *models);
    ASSERT(models); // the arena of the command line is far larger
    for (size_t i = 0; i < s->o->models.len; i++)
        models[i].source = s->o->models.items[i];
    s->config.models = (struct option_items){models, n};
}

static enum err configure(struct serve *s, struct diag *d)
{
    ERR_TRY(configuration_load(s->call->arena, s->o->config, &s->config, NULL, d));
    if (s->o->listen.len)
        s->config.listen = s->o->listen;
    if (command_given(s->call, "threads"))
        s->config.engine.threads = s->o->threads;
    if (s->o->device.len)
        s->config.engine.device = s->o->device;
    if (s->o->listen_without_keys)
        s->config.listen_without_keys = true;
    use_models(s);
    log_configure((enum log_level)s->config.log.level, (enum log_format)s->config.log.format);
    ERR_TRY(model_choice_check_device(s->config.engine.device, d));
    return gateway_config_check(&s->config, d);
}

static void engine_settings(const struct serve *s, struct engine_options *ret)
{
    const struct gateway_engine *e = &s->config.engine;
    engine_options_default(ret);
    ret->threads = (uint32_t)e->threads;
    ret->weights_bytes_max = (uint64_t)e->weights_bytes_max;
    ret->kv_bytes_max = (uint64_t)e->kv_bytes_max;
    ret->step_tokens_max = (uint32_t)e->step_tokens_max;
    ret->sequences_max = (uint32_t)e->sequences_max;
    ret->queue_max = (uint32_t)e->queue_max;
    ret->prefix_cache = e->prefix_cache;
    ret->device = arena_str(s->call->arena, e->device).ptr;
}

// --- Loading

struct loaded {
    struct serve *serve;
    const struct gateway_model *wanted;
    struct engine_model *model;
};

static const char *scheme(const struct serve *s)
{
    return s->config.tls.certificate.len ? "https" : "http";
}

// 0.0.0.0 and the like are not addresses that a client can call.
static void client_address(const struct serve *s, char out[static ADDRESS_TEXT_MAX])
{
    str listen = s->config.listen;
    size_t colon = listen.len;
    while (colon > 0 && listen.ptr[colon - 1] != ':')
        colon--;
    str host = str_sub(listen, 0, colon ? colon - 1 : 0);
    if (str_starts(listen, STR("unix:")))
        snprintf(out, ADDRESS_TEXT_MAX, STR_FMT, STR_ARG(listen));
    else if (str_eq_z(host, "0.0.0.0") || str_eq_z(host, "*") || str_eq_z(host, "[::]"))
        snprintf(out, ADDRESS_TEXT_MAX, "%s://127.0.0.1:%u", scheme(s), s->port);
    else
        snprintf(out, ADDRESS_TEXT_MAX, "%s://" STR_FMT ":%u", scheme(s), STR_ARG(host), s->port);
}

// A certificate that nobody else vouches for is one that curl must be shown.
static bool is_own_authority(const struct serve *s)
{
    struct tls_certificate c;
    return s->config.tls.certificate.len &&
           tls_certificate_read(s->config.tls.certificate.ptr, &c, NULL) == ERR_OK && c.self_signed;
}

// What stands before the path of a curl line.
static void curl_target(const struct serve *s, char out[static CURL_TEXT_MAX])
{
    char address[ADDRESS_TEXT_MAX], trust[CURL_TEXT_MAX / 2] = "";
    client_address(s, address);
    if (is_own_authority(s))
        snprintf(trust, sizeof trust, "--cacert " STR_FMT " ", STR_ARG(s->config.tls.certificate));
    if (str_starts(s->config.listen, STR("unix:")))
        snprintf(out, CURL_TEXT_MAX, "%s--unix-socket %s %s://localhost", trust,
                 address + strlen("unix:"), scheme(s));
    else
        snprintf(out, CURL_TEXT_MAX, "%s%s", trust, address);
}

static void print_model(const struct engine_model_info *info)
{
    char count[16];
    printf(STR_FMT " (%s parameters, " STR_FMT ")", STR_ARG(info->name),
           term_count(info->parameters, count), STR_ARG(info->arch));
}

static void print_models(const struct serve *s, const char *address)
{
    printf("weir " WEIR_VERSION " serves ");
    if (s->models_len == 1) {
        print_model(engine_model_info(s->models[0]));
        printf(" at %s\n\n", address);
        return;
    }
    printf("%zu models at %s\n", s->models_len, address);
    for (size_t i = 0; i < s->models_len; i++) {
        printf("  ");
        print_model(engine_model_info(s->models[i]));
        printf("\n");
    }
    printf("\n");
}

// A model that chats is shown chatting, another one going on with a text.
static void greet(const struct serve *s)
{
    char address[ADDRESS_TEXT_MAX], target[CURL_TEXT_MAX];
    if (s->o->quiet)
        return;
    const struct engine_model_info *shown = NULL;
    for (size_t i = 0; i < s->models_len && !shown; i++)
        if (engine_model_chats(s->models[i]))
            shown = engine_model_info(s->models[i]);
    bool chats = shown;
    shown = shown ? shown : engine_model_info(s->models[0]);
    client_address(s, address);
    curl_target(s, target);
    print_models(s, address);
    printf("Try:\n  curl %s/v1/%s -H 'content-type: application/json' \\\n"
           "    -d '{\"model\":\"" STR_FMT "\",%s}'\n\n"
           "Ctrl-C stops it.\n",
           target, chats ? "chat/completions" : "completions", STR_ARG(shown->name),
           chats ? "\"messages\":[{\"role\":\"user\",\"content\":\"Hello! Who are you?\"}]"
                 : "\"prompt\":\"Once upon a time\"");
    fflush(stdout);
}

static void fail_from_thread(struct serve *s)
{
    atomic_store(&s->failed, true);
    pthread_kill(s->main_thread, SIGTERM);
}

// On the loop: the model can be asked from now on.
static void add_model(void *ctx)
{
    struct loaded *l = ctx;
    struct serve *s = l->serve;
    if (gateway_add_local_model(s->gateway, l->model, &l->wanted->aliases, &s->failure) != ERR_OK) {
        fail_from_thread(s);
        return;
    }
    const struct engine_model_info *info = engine_model_info(l->model);
    log_write(LOG_INFO, "model loaded", LOG_S("model", info->name), LOG_S("isa", info->isa),
              LOG_I("weight_bytes", info->weight_bytes), LOG_S("kv_type", info->kv_type),
              LOG_I("kv_token_bytes", info->kv_token_bytes));
    s->models[s->models_len++] = l->model;
    if (s->models_len == s->config.models.len)
        greet(s);
}

static enum err load(struct serve *s, const struct gateway_model *wanted, struct engine_model **ret,
                     struct diag *d)
{
    struct engine_model_options mo;
    ERR_TRY(model_choice_configured(s->call->arena, &s->config, wanted, &mo, d));
    enum err e = engine_model_load(s->engine, &mo, ret, d);
    if (e != ERR_OK)
        model_choice_name_error(wanted, &mo, d);
    return e;
}

static void load_all(struct serve *s)
{
    const struct gateway_model *models = gateway_config_models(&s->config);
    for (size_t i = 0; i < s->config.models.len && !atomic_load(&s->stopping); i++) {
        struct loaded *l = arena_zalloc(s->call->arena, 1, sizeof *l);
        ASSERT(l);
        *l = (struct loaded){.serve = s, .wanted = &models[i]};
        if (load(s, &models[i], &l->model, &s->failure) != ERR_OK) {
            fail_from_thread(s);
            return;
        }
        while (loop_post(s->loop, add_model, l) != ERR_OK && !atomic_load(&s->stopping))
            usleep(1000);
    }
}

static void load_models(void *ctx)
{
    struct serve *s = ctx;
    load_all(s);
    atomic_store(&s->loading, false);
}

// --- Ending

static void stop_when_idle(void *ctx)
{
    struct serve *s = ctx;
    if (!gateway_busy(s->gateway) || clock_mono_ms() >= s->drain_until_ms)
        loop_stop(s->loop);
    else
        loop_timer_set(s->loop, &s->drain_timer, 20);
}

static void drain(void *ctx)
{
    struct serve *s = ctx;
    log_write(LOG_INFO, "draining", LOG_I("calls", gateway_calls(s->gateway)));
    gateway_drain(s->gateway);
    s->drain_until_ms = clock_mono_ms() + (uint64_t)s->config.drain_timeout_ms;
    loop_timer_init(&s->drain_timer, stop_when_idle, s);
    stop_when_idle(s);
}

static void begin_to_end(void *ctx)
{
    struct serve *s = ctx;
    if (!s->config.drain_delay_ms || s->hurried) {
        drain(s);
        return;
    }
    log_write(LOG_INFO, "not ready any more", LOG_I("drain_in_ms", s->config.drain_delay_ms));
    gateway_unready(s->gateway);
    loop_timer_init(&s->drain_timer, drain, s);
    loop_timer_set(s->loop, &s->drain_timer, (uint64_t)s->config.drain_delay_ms);
}

static void reload(void *ctx)
{
    struct serve *s = ctx;
    log_write(LOG_INFO, "reloading", LOG_Z("why", "SIGHUP"));
    gateway_reload(s->gateway);
}

// SIGHUP reads again what may be read again; what else comes ends the program.
static int next_signal(struct serve *s, const sigset_t *signals)
{
    int number = 0;
    while (sigwait(signals, &number) == 0 && number == SIGHUP)
        if (loop_post(s->loop, reload, s) != ERR_OK)
            log_write(LOG_WARN, "not reloaded: the loop is busy", LOG_Z("why", "SIGHUP"));
    return number;
}

// Main thread: the first signal lets running calls end, the second does not wait.
static void wait_for_signals(struct serve *s, const sigset_t *signals)
{
    int number = next_signal(s, signals);
    atomic_store(&s->stopping, true);
    s->hurried = number == SIGINT;
    if (atomic_load(&s->failed) || loop_post(s->loop, begin_to_end, s) != ERR_OK) {
        loop_stop(s->loop);
        return;
    }
    // the loop stops by itself when idle; another signal stops it at once
    if (next_signal(s, signals) != SIGUSR1)
        loop_stop(s->loop);
}

static void run_loop(void *ctx)
{
    struct serve *s = ctx;
    loop_run(s->loop);
    pthread_kill(s->main_thread, SIGUSR1); // the drain is over
}

static enum err listen_there(struct serve *s, struct diag *d)
{
    struct diag why = {0};
    enum err e = gateway_listen(s->gateway, &s->port, &why);
    if (e == ERR_BUSY)
        return diag_set(d, e, "%s; choose another with --listen HOST:PORT", why.text);
    *d = why;
    return e;
}

static enum err open_all(struct serve *s, struct diag *d)
{
    struct engine_options eo;
    engine_settings(s, &eo);
    ERR_TRY(gateway_shared_open(&s->shared, &s->config, d));
    ERR_TRY(engine_new(&eo, &s->engine, d));
    ERR_TRY(loop_new(LOOP_BACKEND_DEFAULT, &s->loop, d));
    s->metrics = names_registry(engine_isa(s->engine), SERIES_MAX);
    gateway_shared_watch(&s->shared, s->metrics);
    ERR_TRY(gateway_new(s->loop, &s->config, &s->shared, s->metrics, &s->gateway, d));
    gateway_set_engine(s->gateway, s->engine);
    ERR_TRY(listen_there(s, d));
    char address[ADDRESS_TEXT_MAX];
    client_address(s, address);
    log_write(LOG_INFO, "listening", LOG_Z("address", address));
    ERR_TRY(thread_start(&s->loop_thread, "loop", run_loop, s, d));
    ERR_TRY(watchdog_start(&s->loop, 1, STALL_MS, &s->watchdog, d));
    s->models = arena_zalloc(s->call->arena, s->config.models.len, sizeof(struct engine_model *));
    ASSERT(s->models);
    atomic_store(&s->loading, true);
    return thread_start(&s->loader, "loader", load_models, s, d);
}

static void close_all(struct serve *s, int status)
{
    if (s->loop)
        loop_stop(s->loop);
    thread_join(&s->loop_thread);
    watchdog_stop(s->watchdog);
    gateway_free(s->gateway);
    gateway_shared_close(&s->shared);
    if (atomic_load(&s->loading) && !atomic_load(&s->failed))
        _exit(status); // a model that is still being read cannot be interrupted, nor is it missed
    thread_join(&s->loader);
    engine_free(s->engine);
    loop_free(s->loop);
    metrics_free(s->metrics);
}

// A shell gives 1024 and lets a program that knows what it does take more: weir never uses
// select().
static void take_all_descriptors(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur == r.rlim_max)
        return;
    r.rlim_cur = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &r); // where a system refuses, what it gave has to do
}

static int run(struct command_call *call)
{
    struct serve s = {.call = call, .o = call->options, .main_thread = pthread_self()};
    struct diag d = {0};
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);               // ours, from run_loop
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // inherited by every thread: only sigwait sees them
    enum err e = configure(&s, &d);
    if (e != ERR_OK)
        return command_fail(call, configuration_exit_status(e), &d);
    take_all_descriptors();
    int status = EXIT_STATUS_OK;
    if (open_all(&s, &d) == ERR_OK)
        wait_for_signals(&s, &signals);
    else
        status = command_fail(call, EXIT_STATUS_FAILED, &d);
    if (atomic_load(&s.failed))
        status = command_fail(
            call, s.failure.code == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
            &s.failure);
    close_all(&s, status);
    return status;
}

const struct command cmd_serve = {
    .name = "serve",
    .summary = "serve models over HTTP, as OpenAI's API does",
    .description = "Listens at once and loads the models meanwhile: /health answers immediately, "
                   "/readyz says 200 once a model can "
                   "answer. SIGTERM or Ctrl-C lets running answers end (drain_timeout, 30 s); a "
                   "second one does not wait. SIGHUP reads the listener's certificates again.",
    .examples =
        "weir serve                                  # the bundled model at http://127.0.0.1:8080\n"
        "weir serve -m smollm2 --listen 127.0.0.1:0  # a pulled model, on a free port\n"
        "weir serve --config weir.yaml               # everything else: keys, limits, several "
        "models",
    .options = options,
    .options_size = sizeof(struct serve_options),
    .run = run,
};
