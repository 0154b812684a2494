#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/engine_wait.h"
#include "cli/model_choice.h"
#include "cli/term.h"
#include "engine/text/chat_template.h"

#include "base/banned.h"

struct chat_options {
    str model, system, device, chat_family;
    double temperature, top_p;
    int64_t tokens_max, seed, threads;
    bool stats;
};

#define FIELD(f) offsetof(struct chat_options, f)

static const struct option options[] = {
    {.name = "model",
     .type = OPTION_STRING,
     .offset = FIELD(model),
     .arg = "NAME|FILE",
     .short_name = 'm',
     .help = "The model to talk to; without it, the bundled one."},
    {.name = "system",
     .type = OPTION_STRING,
     .offset = FIELD(system),
     .arg = "TEXT",
     .help = "A system message that stands before the conversation."},
    {.name = "chat_family",
     .type = OPTION_STRING,
     .offset = FIELD(chat_family),
     .arg = "NAME",
     .help = "The chat template's family where the model has none that weir knows: chatml, llama2, "
             "llama3, mistral, zephyr, phi3, gemma, roletag, plain."},
    {.name = "temperature",
     .type = OPTION_FLOAT,
     .offset = FIELD(temperature),
     .value = "0.7",
     .max = 2,
     .help = "0 always takes the likeliest token."},
    {.name = "top_p",
     .type = OPTION_FLOAT,
     .offset = FIELD(top_p),
     .value = "0.95",
     .max = 1,
     .help = "Sample from the likeliest tokens that together have this probability."},
    {.name = "tokens_max",
     .type = OPTION_INT,
     .offset = FIELD(tokens_max),
     .arg = "N",
     .max = 1e6,
     .help = "Longest answer, in tokens; without it, what the context leaves."},
    {.name = "seed",
     .type = OPTION_INT,
     .offset = FIELD(seed),
     .value = "-1",
     .min = -1,
     .max = 9007199254740992.0,
     .help = "Same seed, same answers; -1 draws one."},
    {.name = "threads",
     .type = OPTION_INT,
     .offset = FIELD(threads),
     .value = "0",
     .max = 1024,
     .help = "Compute threads; 0 takes every CPU."},
    {.name = "device",
     .type = OPTION_STRING,
     .offset = FIELD(device),
     .arg = "NAME",
     .help = "Where models compute: cpu, or a GPU: cuda, cuda:1 and so on, to the same bits."},
    {.name = "stats",
     .type = OPTION_BOOL,
     .offset = FIELD(stats),
     .help = "After each answer, say how many tokens it had and how fast they came."},
    {0},
};

// One conversation: messages are kept and rendered anew each turn; the engine's prefix cache makes
// that cheap.
struct conversation {
    const struct chat_options *o;
    struct engine_model *model;
    struct chat_message *messages;
    size_t len, cap;
    bool colour;     // of the prompt
    bool screen;     // answers go to a terminal
    bool cut;        // the last answer, by Ctrl-C
    uint32_t tokens; // of the last prompt and its answer
    uint32_t turn;
};

// Ctrl-C sets the flag, for a loop that computes, and writes a byte, for a poll that waits: so none
// is lost that comes between looking at the one and sleeping in the other.
static volatile int interrupted;
static int interrupt_pipe[2] = {-1, -1};

static void on_interrupt(int signal_number UNUSED)
{
    int saved = errno;
    interrupted = 1;
    (void)!write(interrupt_pipe[1], "", 1); // full: it is known already
    errno = saved;
}

static enum err catch_interrupts(struct diag *d)
{
    if (pipe(interrupt_pipe) != 0)
        return diag_sys(d, ERR_IO, errno, "cannot make a pipe");
    for (int i = 0; i < 2; i++) {
        fcntl(interrupt_pipe[i], F_SETFD, FD_CLOEXEC);
        fcntl(interrupt_pipe[i], F_SETFL, O_NONBLOCK);
    }
    const struct sigaction action = {.sa_handler = on_interrupt};
    sigaction(SIGINT, &action, NULL);
    return ERR_OK;
}

// Waits for a line on the terminal. False: Ctrl-C came instead.
static bool line_comes(void)
{
    struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                         {.fd = interrupt_pipe[0], .events = POLLIN}};
    while (!interrupted) {
        char stale[64]; // bytes of those that an answer has heeded
        if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
            return true;
        if (p[1].revents)
            (void)!read(interrupt_pipe[0], stale, sizeof stale);
        else if (p[0].revents)
            return true;
    }
    return false;
}

static void push(struct conversation *c, const char *role, str content)
{
    if (c->len == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 16;
        c->messages = mem_resize(c->messages, c->cap, sizeof *c->messages);
    }
    c->messages[c->len++] = (struct chat_message){
        .role = str_of(role), .content = {mem_strndup(content.ptr, content.len), content.len}};
}

static void pop(struct conversation *c)
{
    mem_free((void *)(uintptr_t)c->messages[--c->len].content.ptr);
}

static void restart(struct conversation *c)
{
    while (c->len)
        pop(c);
    if (c->o->system.len)
        push(c, "system", c->o->system);
}

static void request_fill(const struct conversation *c, const struct buf *prompt,
                         struct engine_request *r)
{
    engine_request_default(r);
    r->prompt_text = buf_str(prompt);
    r->prompt_special = true;
    r->add_bos = true;
    r->tokens_max = c->o->tokens_max ? (uint32_t)c->o->tokens_max : UINT32_MAX;
    r->temperature = (float)c->o->temperature;
    r->top_p = (float)c->o->top_p;
    r->seed_given = c->o->seed >= 0;
    r->seed = (uint64_t)(c->o->seed < 0 ? 0 : c->o->seed) + c->turn;
}

static void say_stats(const struct engine_event *end)
{
    double seconds = (double)end->decode_us / 1e6;
    fprintf(stderr, "[%u tokens, %.0f ms to the first, %.1f tokens/s]\n", end->completion_tokens,
            (double)(end->queue_us + end->prefill_us) / 1e3,
            seconds > 0 && end->completion_tokens > 1
                ? (double)(end->completion_tokens - 1) / seconds
                : 0);
}

static void print_text(const struct conversation *c, str text)
{
    struct buf clean;
    buf_init(&clean, 1u << 20);
    if (c->screen)
        term_text(&clean, text, true);
    else
        (void)buf_append_str(&clean, text);
    const char *bytes = buf_ptr(&clean); // NULL when nothing was written
    if (bytes)
        fwrite(bytes, 1, clean.len, stdout);
    fflush(stdout);
    buf_done(&clean);
}

// Print the answer as it comes and collect it; Ctrl-C ends it early and keeps what was said.
static enum err stream_answer(struct conversation *c, struct engine_wait *w, struct engine_job *job,
                              struct buf *answer, struct diag *d)
{
    struct engine_event ev;
    c->cut = false;
    for (;;) {
        if (!engine_wait_event(w, job, &interrupted, &ev)) {
            engine_job_cancel(job);
            interrupted = 0;
            c->cut = true;
            continue;
        }
        if (ev.text.len) {
            print_text(c, ev.text);
            (void)buf_append_str(answer, ev.text);
        }
        if (ev.type == ENGINE_ENDED)
            break;
    }
    if (answer->len || ev.finish != ENGINE_FINISH_ERROR)
        putchar('\n');
    if (ev.finish == ENGINE_FINISH_ERROR) {
        *d = ev.error;
        return ev.error.code;
    }
    c->tokens = ev.prompt_tokens + ev.completion_tokens;
    if (c->o->stats)
        say_stats(&ev);
    return ERR_OK;
}

static enum err answer_turn(struct conversation *c, struct diag *d)
{
    struct buf prompt, answer;
    buf_init(&prompt, 16u << 20);
    buf_init(&answer, 16u << 20);
    struct engine_wait wait;
    engine_wait_init(&wait);
    struct engine_job *job = NULL;
    struct engine_request r;
    enum err e = engine_chat_render(c->model, c->messages, c->len, STR_NONE, true, &prompt, d);
    if (e != ERR_OK)
        goto out;
    request_fill(c, &prompt, &r);
    engine_wait_attach(&wait, &r);
    e = engine_submit(c->model, &r, &job, NULL, d);
    if (e != ERR_OK)
        goto out;
    e = stream_answer(c, &wait, job, &answer, d);
    engine_job_release(job);
    c->turn++;
    if (e == ERR_OK)
        push(c, "assistant", buf_str(&answer));
out:
    engine_wait_done(&wait);
    buf_done(&prompt);
    buf_done(&answer);
    return e;
}

// Drop the first question and its answer, if there is one besides the question at hand.
static bool forget_oldest(struct conversation *c)
{
    size_t first = c->o->system.len ? 1 : 0;
    if (c->len < first + 3)
        return false;
    for (size_t i = first; i < first + 2; i++)
        mem_free((void *)(uintptr_t)c->messages[i].content.ptr);
    c->len -= 2;
    memmove(c->messages + first, c->messages + first + 2, (c->len - first) * sizeof *c->messages);
    fprintf(stderr, "(The context is full: the oldest question and its answer are forgotten.)\n");
    return true;
}

static int turn(struct command_call *call, struct conversation *c, str text)
{
    struct diag d = {0};
    push(c, "user", text);
    if (c->tokens > engine_model_info(c->model)->context_max / 4 * 3)
        (void)forget_oldest(c); // or answers would have no room
    enum err e;
    do
        e = answer_turn(c, &d);
    while (e == ERR_LIMIT && forget_oldest(c));
    if (e == ERR_OK)
        return c->cut ? EXIT_STATUS_INTERRUPTED : EXIT_STATUS_OK;
    pop(c);
    return command_fail(call, EXIT_STATUS_FAILED, &d);
}

enum reply { REPLY_GO_ON, REPLY_QUIT };

static enum reply slash_command(struct conversation *c, str line)
{
    if (str_eq_z(line, "/quit") || str_eq_z(line, "/exit"))
        return REPLY_QUIT;
    if (str_eq_z(line, "/clear")) {
        restart(c);
        c->tokens = 0;
        fprintf(stderr, "The conversation starts anew.\n");
    } else {
        fprintf(stderr,
                "/clear  start anew    /quit  leave (or Ctrl-D)    Ctrl-C  stop an answer\n");
    }
    return REPLY_GO_ON;
}

static void prompt_mark(const struct conversation *c)
{
    fputs(c->colour ? "\033[1;36m>\033[0m " : "> ", stdout);
    fflush(stdout);
}

static int talk(struct command_call *call, struct conversation *c)
{
    const struct engine_model_info *info = engine_model_info(c->model);
    struct buf name;
    buf_init(&name, 4096);
    term_text(&name, info->name, false);
    fprintf(stderr, "%s, context %u tokens. /help for the commands.\n", buf_cstr(&name),
            info->context_max);
    buf_done(&name);
    char *line = NULL;
    size_t cap = 0;
    for (;;) {
        interrupted = 0; // what came up to here was meant for the answer
        prompt_mark(c);
        if (!line_comes()) {
            putchar('\n');
            break;
        }
        ssize_t n = getline(&line, &cap, stdin);
        if (n < 0)
            break;
        str text = str_trim(str_slice(line, (size_t)n));
        if (text.len == 0)
            continue;
        if (text.ptr[0] == '/') {
            if (slash_command(c, text) == REPLY_QUIT)
                break;
            continue;
        }
        (void)turn(call, c, text); // what went wrong was said; the next question may go better
    }
    free(line);
    return EXIT_STATUS_OK;
}

static int read_and_answer(struct command_call *call, struct conversation *c)
{
    struct buf text;
    buf_init(&text, 1u << 20);
    char chunk[4096];
    size_t n;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
        (void)buf_append(&text, chunk, n);
    str question = str_trim(buf_str(&text));
    int status =
        text.failed ? command_fail_text(call, EXIT_STATUS_USAGE, "the question is over 1 MiB")
        : question.len
            ? turn(call, c, question)
            : command_fail_text(call, EXIT_STATUS_USAGE, "there was no question on standard input");
    buf_done(&text);
    return status;
}

static int converse(struct command_call *call, struct conversation *c)
{
    struct diag d = {0};
    if (catch_interrupts(&d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    restart(c);
    int status;
    if (call->args_len)
        status = turn(call, c, str_of(call->args[0]));
    else if (term_is_tty(STDIN_FILENO))
        status = talk(call, c);
    else
        status = read_and_answer(call, c);
    while (c->len)
        pop(c);
    mem_free(c->messages);
    return status;
}

static int run(struct command_call *call)
{
    const struct chat_options *o = call->options;
    struct diag d = {0};
    struct engine_options eo;
    engine_options_default(&eo);
    eo.threads = (uint32_t)o->threads;
    eo.device = o->device.len ? o->device.ptr : NULL;
    struct engine *engine;
    if (model_choice_check_device(o->device, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_USAGE, &d);
    if (engine_new(&eo, &engine, &d) != ERR_OK)
        return command_fail(call, EXIT_STATUS_FAILED, &d);
    struct conversation c = {
        .o = o, .colour = term_colour(STDOUT_FILENO), .screen = term_is_tty(STDOUT_FILENO)};
    struct engine_model_options mo;
    enum err e = model_choice_options(call->arena, o->model, &mo, &d);
    mo.chat_family = o->chat_family.len ? o->chat_family.ptr : NULL;
    if (e == ERR_OK)
        e = engine_model_load(engine, &mo, &c.model, &d);
    int status =
        e == ERR_OK
            ? converse(call, &c)
            : command_fail(call, e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
                           &d);
    engine_free(engine);
    return status;
}

const struct command cmd_chat = {
    .name = "chat",
    .summary = "talk to a model on this terminal",
    .args = "[QUESTION]",
    .description = "With a QUESTION, or one on standard input, answers it and ends; on a terminal, "
                   "a conversation. The engine runs in "
                   "this process: no server is needed.",
    .examples =
        "weir chat                                  # a conversation with the bundled model\n"
        "weir chat \"Tell me a story about a fox.\"   # one answer\n"
        "weir chat -m smollm2 --system \"Be brief.\"  # another model, with a system message\n"
        "echo \"What is 3 plus 4?\" | weir chat --temperature 0",
    .options = options,
    .options_size = sizeof(struct chat_options),
    .args_max = 1,
    .run = run,
};
