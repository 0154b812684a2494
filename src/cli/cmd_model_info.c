#include <stdio.h>

#include "base/json.h"
#include "cli/cmd_model.h"
#include "cli/model_choice.h"
#include "cli/print.h"
#include "cli/term.h"
#include "engine/format/model_file.h"
#include "engine/text/chat_template.h"

#include "base/banned.h"

struct facts {
    const struct hparams *h;
    const struct vocab *v;
    uint64_t parameters, file_bytes;
    enum tensor_type weight_type;
    const char *family;
    const char *fingerprint;
};

static void count_tensors(const struct model_file *f, struct facts *ret)
{
    uint64_t by_type[32] = {0};
    for (size_t i = 0; i < model_file_tensor_count(f); i++) {
        const struct tensor *t = model_file_tensor_at(f, i);
        uint64_t n = t->dims[0] * t->dims[1] * t->dims[2] * t->dims[3];
        ret->parameters += n;
        if ((size_t)t->type < ARRAY_LEN(by_type))
            by_type[t->type] += n;
    }
    for (size_t i = 0; i < ARRAY_LEN(by_type); i++)
        if (by_type[i] > by_type[ret->weight_type])
            ret->weight_type = (enum tensor_type)i;
}

static void gather(const struct model_file *f, struct facts *ret)
{
    *ret = (struct facts){.h = model_file_hparams(f),
                          .v = model_file_vocab(f),
                          .file_bytes = model_file_bytes(f),
                          .fingerprint = model_file_fingerprint(f)};
    count_tensors(f, ret);
    struct chat_template t;
    ret->family = "unknown (name one in the configuration)";
    if (chat_template_detect(ret->v->chat_template, NULL, &t, NULL) == ERR_OK)
        ret->family = chat_family_name(t.family);
}

static void write_json(struct buf *out, const struct facts *x)
{
    struct json_writer w;
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_kv_str(&w, "name", x->h->name);
    jw_kv_str(&w, "architecture", x->h->arch_name);
    jw_kv_int(&w, "parameters", (int64_t)x->parameters);
    jw_kv_int(&w, "bytes", (int64_t)x->file_bytes);
    jw_kv_z(&w, "weight_type", tensor_type_name(x->weight_type));
    jw_kv_int(&w, "layers", x->h->n_layer);
    jw_kv_int(&w, "embedding", x->h->n_embd);
    jw_kv_int(&w, "heads", x->h->n_head);
    jw_kv_int(&w, "kv_heads", x->h->n_head_kv);
    jw_kv_int(&w, "feed_forward", x->h->n_ff);
    jw_kv_int(&w, "vocabulary", x->v->n_tokens);
    jw_kv_int(&w, "context", x->h->n_ctx);
    jw_kv_z(&w, "chat_template", x->family);
    jw_kv_z(&w, "fingerprint", x->fingerprint);
    jw_object_end(&w);
    (void)buf_append_char(out, '\n');
}

static void write_text(struct buf *out, const struct facts *x)
{
    char size[16], count[16];
    (void)buf_append_str(out, STR("name           "));
    term_text(out, x->h->name, false);
    (void)buf_append_str(out, STR("\narchitecture   "));
    term_text(out, x->h->arch_name, false);
    if (x->parameters)
        (void)buf_printf(out, ", %s parameters, mostly %s", term_count(x->parameters, count),
                         tensor_type_name(x->weight_type));
    (void)buf_printf(out, ", %s\n", term_bytes(x->file_bytes, size));
    (void)buf_printf(
        out,
        "shape          %u layers, width %u, %u heads (%u for keys and values), feed-forward %u\n",
        x->h->n_layer, x->h->n_embd, x->h->n_head, x->h->n_head_kv, x->h->n_ff);
    (void)buf_printf(out, "context        %u tokens\n", x->h->n_ctx);
    (void)buf_printf(out, "vocabulary     %u tokens, %s%s", x->v->n_tokens,
                     x->v->kind == VOCAB_SPM ? "SentencePiece" : "byte-level BPE",
                     x->v->pre.len ? ", " : "");
    term_text(out, x->v->pre, false);
    (void)buf_printf(out, "\nchat template  %s\n", x->family);
    (void)buf_printf(out, "fingerprint    %s\n", x->fingerprint);
}

// What `weir serve` would refuse it for.
static enum err check(struct arena *a, str name, struct diag *d)
{
    struct engine_model_options o;
    ERR_TRY(model_choice_options(a, name, &o, d));
    return engine_model_check(&o, d);
}

static int run(struct command_call *call)
{
    const struct model_verb_options *o = call->options;
    struct model_file *f;
    struct diag d = {0};
    str name = call->args_len ? str_of(call->args[0]) : STR_NONE;
    enum err e = model_choice_open_file(call->arena, name, &f, &d);
    if (e != ERR_OK)
        return command_fail(call, e == ERR_NOT_FOUND ? EXIT_STATUS_UNREACHABLE : EXIT_STATUS_FAILED,
                            &d);
    struct facts x;
    gather(f, &x);
    struct buf out;
    buf_init(&out, 1u << 20);
    if (o->json)
        write_json(&out, &x);
    else
        write_text(&out, &x);
    model_file_free(f);
    int status = print_and_done(&out);
    e = check(call->arena, name, &d);
    return e == ERR_OK ? status : command_fail(call, EXIT_STATUS_FAILED, &d);
}

const struct command cmd_model_info = {
    .name = "info",
    .summary = "say what a model is: shape, types, vocabulary, template",
    .args = "[NAME|FILE]",
    .description = "Without a name: the bundled model. The file is checked as the engine would "
                   "check it; what is wrong with it is said.",
    .examples = "weir model info                     # the bundled model\n"
                "weir model info ./mistral-7b.gguf   # a file\n"
                "weir model info smollm2 --json      # a pulled model, for a program",
    .options = model_verb_option_table,
    .options_size = sizeof(struct model_verb_options),
    .args_max = 1,
    .run = run,
};
