#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "base/fs.h"
#include "base/thread.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "fault/fault.h"

#include "base/banned.h"

enum { SCRIPT_BYTES_MAX = 1 << 20 };

struct fault_options {
    str listen, script, always;
    int64_t seed;
    bool orders, record_bodies;
};

#define FIELD(f) offsetof(struct fault_options, f)

static const struct option options[] = {
    {.name = "listen",
     .type = OPTION_STRING,
     .offset = FIELD(listen),
     .value = "127.0.0.1:9090",
     .arg = "HOST:PORT",
     .short_name = 'l',
     .help = "Where to listen; port 0 takes a free one, unix:PATH a socket."},
    {.name = "script",
     .type = OPTION_STRING,
     .offset = FIELD(script),
     .arg = "FILE",
     .help = "What to do wrong, for which requests (YAML)."},
    {.name = "always",
     .type = OPTION_STRING,
     .offset = FIELD(always),
     .arg = "ORDERS",
     .help = "What to do with every request, as in the x-fault header: \"first=2s, cut@5\"."},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .arg = "N",
     .max = 9007199254740991.0,
     .help = "What everything is drawn from; instead of the script's."},
    {.name = "record_bodies",
     .type = OPTION_BOOL,
     .offset = FIELD(record_bodies),
     .help = "Remember requests' bodies for GET /fault/attempts, too."},
    {.name = "orders",
     .type = OPTION_BOOL,
     .offset = FIELD(orders),
     .help = "Print the list of all faults that can be ordered, and end."},
    {0},
};

static enum err read_script(struct command_call *call, struct script *ret, struct diag *d)
{
    const struct fault_options *o = call->options;
    struct buf text;
    if (o->script.len == 0)
        return script_defaults(ret, call->arena, d);
    enum err e = fs_read(o->script.ptr, SCRIPT_BYTES_MAX, &text, d);
    if (e != ERR_OK)
        return e;
    e = script_parse(buf_str(&text), call->arena, ret, d);
    buf_done(&text);
    if (e != ERR_OK && !d->where[0])
        diag_where(d, STR_FMT, STR_ARG(o->script));
    return e;
}

static enum err configure(struct command_call *call, struct script *ret, struct diag *d)
{
    const struct fault_options *o = call->options;
    struct order always;
    ERR_TRY(read_script(call, ret, d));
    if (command_given(call, "seed"))
        ret->seed = o->seed;
    if (o->record_bodies)
        ret->record_bodies = true;
    ERR_TRY(order_parse(o->always, call->arena, &always, d));
    order_lay_over(&ret->always, &always);
    return ERR_OK;
}

static void run_loop(void *ctx)
{
    loop_run(ctx);
}

static void greet(str listen, uint16_t port)
{
    size_t colon = listen.len;
    while (colon > 0 && listen.ptr[colon - 1] != ':')
        colon--;
    if (str_starts(listen, STR("unix:")))
        printf("weir fault listens at " STR_FMT "\n", STR_ARG(listen));
    else
        printf("weir fault listens at http://" STR_FMT "%u\n", STR_ARG(str_sub(listen, 0, colon)),
               port);
    fflush(stdout);
}

static enum err serve(const struct fault_options *o, const struct script *script, struct loop *loop,
                      struct diag *d)
{
    struct fault *fault = NULL;
    struct thread thread = {0};
    uint16_t port = 0;
    int number = 0;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL); // inherited by the loop's thread
    ERR_TRY(fault_new(loop, script, &fault, d));
    enum err e = fault_listen(fault, o->listen.ptr, &port, d);
    if (e == ERR_OK)
        e = thread_start(&thread, "loop", run_loop, loop, d);
    if (e == ERR_OK) {
        greet(o->listen, port);
        sigwait(&signals, &number);
        loop_stop(loop);
        thread_join(&thread);
    }
    fault_free(fault);
    return e;
}

static int print_orders(void)
{
    struct buf out;
    buf_init(&out, 1u << 20);
    order_list(&out);
    return print_and_done(&out);
}

static int run(struct command_call *call)
{
    const struct fault_options *o = call->options;
    struct script script;
    struct loop *loop;
    struct diag d = {0};
    if (o->orders)
        return print_orders();
    enum err e = configure(call, &script, &d);
    if (e != ERR_OK)
        return command_fail(call,
                            e == ERR_IO || (e == ERR_NOT_FOUND && d.sys) ? EXIT_STATUS_UNREACHABLE
                                                                         : EXIT_STATUS_USAGE,
                            &d);
    e = loop_new(LOOP_BACKEND_DEFAULT, &loop, &d);
    if (e == ERR_OK) {
        e = serve(o, &script, loop, &d);
        loop_free(loop);
    }
    return e == ERR_OK ? EXIT_STATUS_OK : command_fail(call, EXIT_STATUS_FAILED, &d);
}

const struct command cmd_fault = {
    .name = "fault",
    .summary = "a provider that misbehaves on order, to test against",
    .description =
        "Speaks the wire formats of OpenAI (also under Azure's and NIM's paths), Anthropic and "
        "Ollama, and answers with text made from the seed and the prompt. What it does wrong is "
        "said by a script, by a request's x-fault header, or by the model's name: a request for "
        "the model \"cut@5\" is cut off before its sixth event. The same seed and the same "
        "requests give the same answers, waits and faults.\n\n"
        "GET /fault/attempts tells what it saw and did; DELETE forgets it and begins again.",
    .examples = "weir fault                                 # a provider at http://127.0.0.1:9090\n"
                "weir fault --always 'rate=0.2, error=503'  # a fifth of the requests fails\n"
                "weir fault --script flaky.yaml --seed 7    # as a script says\n"
                "weir fault --orders                        # every fault there is",
    .options = options,
    .options_size = sizeof(struct fault_options),
    .run = run,
};
