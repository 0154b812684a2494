// Tables of the configuration: local models, and the engine that runs them (config.h).
#include "engine/engine.h"
#include "gateway/config.h"

#include "base/banned.h"

#define AT(type, member) offsetof(struct type, member)

// In the order of enum engine_speculation.
static const char *const speculation_names[] = {"off", "prompt-lookup", "draft", NULL};

// In the order of enum engine_pooling.
static const char *const pooling_names[] = {"auto", "mean", "last", NULL};

const char *const gateway_kv_types[] = {"auto", "f32", "f16", "q8_0", NULL};

const struct option gateway_model_table[] = {
    {.name = "name",
     .type = OPTION_STRING,
     .offset = AT(gateway_model, name),
     .help = "The name that clients ask for."},
    {.name = "source",
     .type = OPTION_STRING,
     .offset = AT(gateway_model, source),
     .arg = "NAME|FILE",
     .help = "A GGUF file, a Hugging Face folder, or a pulled model's name. Without it: the "
             "bundled model."},
    {.name = "aliases",
     .type = OPTION_STRINGS,
     .offset = AT(gateway_model, aliases),
     .help = "Other names for the same model."},
    {.name = "chat_family",
     .type = OPTION_STRING,
     .offset = AT(gateway_model, chat_family),
     .help =
         "The chat template's family where the model's own is not known: chatml, llama2, llama3, "
         "mistral, zephyr, phi3, gemma, roletag, plain; with tools chatml-tools, llama3-tools, "
         "mistral-tools."},
    {.name = "context_max",
     .type = OPTION_INT,
     .offset = AT(gateway_model, context_max),
     .value = "0",
     .min = 0,
     .max = 1 << 24,
     .help = "Tokens of context; 0 is the model's own."},
    {.name = "kv_type",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_model, kv_type),
     .value = "auto",
     .choices = gateway_kv_types,
     .help =
         "How keys and values are kept: auto is f32 for F32 models and f16 for all others; q8_0 "
         "takes 9 bits a value, a little over half of f16, and rounds a little (not on a GPU)."},
    {.name = "pooling",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_model, pooling),
     .value = "auto",
     .choices = pooling_names,
     .help =
         "What embeddings are made of: the mean of all tokens' last states, or the last token's "
         "alone; auto is what the model's file says, else mean. A request may choose for "
         "itself."},
    {.name = "speculation",
     .type = OPTION_CHOICE,
     .offset = AT(gateway_model, speculation),
     .value = "off",
     .choices = speculation_names,
     .help = "Where tokens are guessed from, so that one pass over the weights checks several: "
             "from the text so far (prompt-lookup), or from a smaller model (draft). It changes no "
             "token, only the time."},
    {.name = "draft_model",
     .type = OPTION_STRING,
     .offset = AT(gateway_model, draft_model),
     .arg = "NAME|FILE",
     .help =
         "The smaller model for speculation: draft: the name of another model here, or a source "
         "as above. It needs the same vocabulary, and is loaded for this model alone."},
    {.name = "draft_tokens_max",
     .type = OPTION_INT,
     .offset = AT(gateway_model, draft_tokens_max),
     .value = "8",
     .min = 1,
     .max = 16,
     .help = "The most tokens that are guessed ahead for one answer; fewer where they seldom come "
             "true, none where the processor is busy without."},
    {0},
};

const struct option gateway_engine_table[] = {
    {.name = "threads",
     .type = OPTION_INT,
     .offset = AT(gateway_engine, threads),
     .value = "0",
     .max = 1024,
     .help = "Compute threads; 0 takes every CPU."},
    {.name = "weights_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_engine, weights_bytes_max),
     .value = "0",
     .max = 1e13,
     .help = "Memory for the weights of all models and draft models; 0: no bound. Where another "
             "model needs the room, "
             "the one that was least recently used is unloaded, and loaded again when it is asked "
             "for; such requests wait in the engine's queue. Draft models stay. Not on a GPU."},
    {.name = "kv_bytes_max",
     .type = OPTION_BYTES,
     .offset = AT(gateway_engine, kv_bytes_max),
     .value = "0",
     .max = 1e13,
     .help =
         "Memory for the KV cache of all models; 0: a quarter of the machine's, 4 GiB at most."},
    {.name = "step_tokens_max",
     .type = OPTION_INT,
     .offset = AT(gateway_engine, step_tokens_max),
     .value = "256",
     .min = 1,
     .max = 65536,
     .help =
         "Tokens that one step may compute: bounds how long a prompt holds up running streams."},
    {.name = "sequences_max",
     .type = OPTION_INT,
     .offset = AT(gateway_engine, sequences_max),
     .value = "64",
     .min = 1,
     .max = 4096,
     .help = "Answers generated at once."},
    {.name = "queue_max",
     .type = OPTION_INT,
     .offset = AT(gateway_engine, queue_max),
     .value = "256",
     .min = 1,
     .max = 65536,
     .help = "Requests that may wait; more are answered 429 with a Retry-After."},
    {.name = "prefix_cache",
     .type = OPTION_BOOL,
     .offset = AT(gateway_engine, prefix_cache),
     .value = "true",
     .help = "Keep the KV cache of prompts for the next request that begins alike."},
    {.name = "device",
     .type = OPTION_STRING,
     .offset = AT(gateway_engine, device),
     .value = "cpu",
     .help = "Where models compute: cpu, or an NVIDIA GPU: cuda (the first), cuda:1 and so on. A "
             "GPU that does not compute the processor's bits is refused."},
    {0},
};

static enum err check_speculation(const struct gateway_model *m, struct diag *d)
{
    bool drafts = strcmp(speculation_names[m->speculation], "draft") == 0;
    if (drafts == (m->draft_model.len > 0))
        return ERR_OK;
    if (drafts)
        return diag_set(d, ERR_INVALID,
                        "speculation: draft needs a draft_model, a smaller one with the same "
                        "vocabulary");
    return diag_set(d, ERR_INVALID, "a draft_model is used with speculation: draft alone");
}

static enum err check_family(const struct gateway_model *m, struct diag *d)
{
    struct chat_template t;
    return m->chat_family.len ? chat_template_detect(STR_NONE, m->chat_family.ptr, &t, d) : ERR_OK;
}

// How often clients could mean this model by that name.
static size_t claims(const struct gateway_model *m, str name)
{
    size_t n = m->name.len && str_eq(m->name, name);
    for (size_t i = 0; i < m->aliases.len; i++)
        n += str_eq(m->aliases.items[i], name);
    return n;
}

static enum err check_name(const struct gateway_config *c, str name, struct diag *d)
{
    size_t n = 0;
    for (size_t i = 0; name.len && i < c->models.len; i++)
        n += claims(&gateway_config_models(c)[i], name);
    if (n < 2)
        return ERR_OK;
    return diag_set(d, ERR_INVALID,
                    "the model name '" STR_FMT "' is given twice, as a name or an alias",
                    STR_ARG(name));
}

static enum err check_names(const struct gateway_config *c, const struct gateway_model *m,
                            struct diag *d)
{
    ERR_TRY(check_name(c, m->name, d));
    for (size_t i = 0; i < m->aliases.len; i++)
        ERR_TRY(check_name(c, m->aliases.items[i], d));
    return ERR_OK;
}

enum err gateway_models_check(const struct gateway_config *c, struct diag *d)
{
    for (size_t i = 0; i < c->models.len; i++) {
        const struct gateway_model *m = &gateway_config_models(c)[i];
        enum err e = check_speculation(m, d);
        if (e == ERR_OK)
            e = check_family(m, d);
        if (e == ERR_OK)
            e = check_names(c, m, d);
        if (e != ERR_OK) {
            diag_where(d, "models[%zu]", i);
            return e;
        }
    }
    return ERR_OK;
}
