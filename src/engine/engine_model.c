#include "engine/engine_model.h"

#include <stdio.h>

#include "base/mem.h"
#include "engine/internal.h"
#include "engine/kernel/kernel.h"
#include "engine/scheduler.h"

#include "base/banned.h"

enum { PIECE_BYTES_MAX = 4096 };

void engine_model_free(struct engine_model *m)
{
    if (!m)
        return;
    model_free(m->model);
    grammars_free(m->grammars);
    tokenizer_free(m->tokenizer);
    model_file_free(m->file);
    mem_free(m->eog);
    mem_free(m->kv_type);
    mem_free(m->name);
    mem_free(m->fingerprint);
    mem_free(m->file_name);
    mem_free(m);
}

// --- Loading

static enum err open_file(struct engine_model *m, const struct engine_model_options *o,
                          struct diag *d)
{
    if (o->path)
        return model_file_open(o->path, &m->file, d);
    return model_file_from_memory(o->image, &m->file, d);
}

static enum err check_pieces(struct engine_model *m, struct diag *d)
{
    const struct vocab *v = model_file_vocab(m->file);
    for (uint32_t i = 0; i < v->n_tokens; i++) // as stored a piece is never shorter than its bytes
        m->piece_bytes_max = max_size(m->piece_bytes_max, v->tokens[i].len);
    if (m->piece_bytes_max > PIECE_BYTES_MAX)
        return diag_set(d, ERR_UNSUPPORTED, "a token of the vocabulary has %zu bytes: at most %d",
                        m->piece_bytes_max, PIECE_BYTES_MAX);
    return ERR_OK;
}

static void find_eog(struct engine_model *m, uint32_t n_vocab)
{
    uint32_t n = tokenizer_size(m->tokenizer);
    n = n < n_vocab ? n : n_vocab;
    for (uint32_t i = 0; i < n; i++)
        if (tokenizer_is_eog(m->tokenizer, (int32_t)i)) {
            m->eog = mem_resize(m->eog, m->n_eog + 1, sizeof *m->eog);
            m->eog[m->n_eog++] = (int32_t)i;
        }
}

// A template that is not known costs only chat: the model is good for all else.
static enum err find_template(struct engine_model *m, const struct engine_model_options *o,
                              struct diag *d)
{
    str source = model_file_vocab(m->file)->chat_template;
    enum err e = chat_template_detect(source, o->chat_family, &m->chat, d);
    if (e == ERR_OK || o->chat_family)
        return e;
    m->chat = (struct chat_template){.family = CHAT_NONE};
    return ERR_OK;
}

static enum err open_text(struct engine_model *m, const struct engine_model_options *o,
                          struct diag *d)
{
    ERR_TRY(tokenizer_new(model_file_vocab(m->file), &m->tokenizer, d));
    ERR_TRY(check_pieces(m, d));
    return find_template(m, o, d);
}

static struct model_options weight_options(const struct engine_model *m, const struct engine *e)
{
    return (struct model_options){
        .isa = e->isa, .kv_type = m->kv_type, .device = e->device, .device_check = true};
}

enum err engine_model_open_weights(const struct engine_model *m, const struct engine *e,
                                   struct model **ret, struct diag *d)
{
    struct model_options mo = weight_options(m, e);
    ERR_TRY(team_new(1, &mo.packers, d));
    enum err err = model_open(m->file, &mo, e->team, ret, d);
    team_free(mo.packers);
    return err;
}

static bool computes_on_device(const struct engine *e)
{
    return e->device && strcmp(e->device, "cpu") != 0;
}

// The first model is packed by the whole team; then others may be computing with it, and a GPU is
// asked by one thread at a time: between two of their steps, or beside them.
static enum err open_weights(struct engine_model *m, struct engine *e,
                             const struct engine_model_options *o, struct diag *d)
{
    const struct model_options mo = weight_options(m, e);
    enum err err = ERR_OK;
    bool beside = atomic_load(&e->n_models) > 0 && !computes_on_device(e);
    if (beside)
        err = engine_model_open_weights(m, e, &m->model, d);
    scheduler_pause(&e->scheduler);
    if (!beside)
        err = model_open(m->file, &mo, e->team, &m->model, d);
    if (err == ERR_OK)
        err = lane_init(&m->lane, &e->scheduler, m, m->model, d);
    if (err == ERR_OK && o->speculation == ENGINE_SPECULATION_DRAFT)
        err = drafter_new(o, m->file, &mo, &e->scheduler, &m->lane.drafter, d);
    scheduler_resume(&e->scheduler);
    return err;
}

static uint64_t tensor_bytes(const struct model_file *f)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < model_file_tensor_count(f); i++)
        bytes += model_file_tensor_at(f, i)->size_bytes;
    return bytes;
}

static enum err guess_draft_bytes(const struct engine_model_options *o, uint64_t *ret,
                                  struct diag *d)
{
    struct model_file *f;
    if (o->speculation != ENGINE_SPECULATION_DRAFT) {
        *ret = 0;
        return ERR_OK;
    }
    ERR_TRY(drafter_open_file(o, &f, d));
    *ret = tensor_bytes(f);
    model_file_free(f);
    return ERR_OK;
}

// Files hold weights a little tighter than memory: what they take there is known afterwards.
static enum err open_within_bounds(struct engine_model *m, struct engine *e,
                                   const struct engine_model_options *o, struct diag *d)
{
    struct residence *r = &e->residence;
    uint64_t guess = tensor_bytes(m->file), draft = 0;
    if (r->bytes_max)
        ERR_TRY(guess_draft_bytes(o, &draft, d));
    ERR_TRY(residence_make_room_for_guess(r, m, guess + draft));
    ERR_TRY(open_weights(m, e, o, d));
    atomic_store(&m->is_loaded, true);
    draft = m->lane.drafter ? drafter_weight_bytes(m->lane.drafter) : 0;
    return residence_make_room(r, m, model_weight_bytes(m->model), draft, d);
}

// --- Describing

static const char *commonest_type(const struct model_file *f)
{
    uint64_t bytes[64] = {0};
    size_t best = 0;
    for (size_t i = 0; i < model_file_tensor_count(f); i++) {
        const struct tensor *t = model_file_tensor_at(f, i);
        if (t->n_dims < 2 || (size_t)t->type >= ARRAY_LEN(bytes))
            continue;
        bytes[t->type] += t->size_bytes;
        if (bytes[t->type] > bytes[best])
            best = t->type;
    }
    return tensor_type_name((enum tensor_type)best);
}

static uint64_t parameter_count(const struct model_file *f)
{
    uint64_t n = 0;
    for (size_t i = 0; i < model_file_tensor_count(f); i++) {
        const struct tensor *t = model_file_tensor_at(f, i);
        uint64_t size = 1;
        for (uint32_t k = 0; k < t->n_dims; k++)
            size *= t->dims[k];
        n += size;
    }
    return n;
}

static char *base_name(const char *path)
{
    if (!path)
        return mem_strdup("embedded");
    const char *slash = strrchr(path, '/');
    return mem_strdup(slash && slash[1] ? slash + 1 : path);
}

// Another type of keys and values than the usual one computes other bits.
static char *fingerprint_of(const struct engine_model *m)
{
    char text[64];
    bool usual = model_kv_is_usual(m->model);
    snprintf(text, sizeof text, "weir-%.12s-n%d-%s%s%s", model_file_fingerprint(m->file),
             NUMERICS_VERSION, model_is_on_device(m->model) ? "cuda" : "cpu", usual ? "" : "-kv-",
             usual ? "" : model_kv_type(m->model));
    return mem_strdup(text);
}

static void choose_context(struct engine_model *m, uint32_t wanted)
{
    uint32_t most = model_hparams(m->model)->n_ctx, room = lane_positions_max(&m->lane);
    m->context_max = wanted && wanted < most ? wanted : most;
    if (m->context_max > room)
        m->context_max = room;
}

static str token_text(const struct vocab *v, int32_t id)
{
    return id >= 0 && (uint32_t)id < v->n_tokens ? v->tokens[id] : STR("");
}

static enum engine_pooling pooling_of(const struct engine_model *m, enum engine_pooling wanted)
{
    if (wanted != ENGINE_POOLING_AUTO)
        return wanted;
    return model_file_hparams(m->file)->pooling == POOLING_LAST ? ENGINE_POOLING_LAST
                                                                : ENGINE_POOLING_MEAN;
}

static void describe(struct engine_model *m, const struct engine_model_options *o)
{
    const struct hparams *h = model_hparams(m->model);
    const struct vocab *v = model_file_vocab(m->file);
    m->file_name = base_name(o->path);
    m->fingerprint = fingerprint_of(m);
    m->info = (struct engine_model_info){
        .name = str_of(m->name),
        .arch = h->arch_name,
        .file_name = str_of(m->file_name),
        .n_layer = h->n_layer,
        .n_embd = h->n_embd,
        .n_head = h->n_head,
        .n_head_kv = h->n_head_kv,
        .n_ff = h->n_ff,
        .n_vocab = h->n_vocab,
        .context_max = m->context_max,
        .parameters = parameter_count(m->file),
        .weight_bytes = model_weight_bytes(m->model),
        .draft_bytes = m->lane.drafter ? drafter_weight_bytes(m->lane.drafter) : 0,
        .file_bytes = model_file_bytes(m->file),
        .weight_type = str_of(commonest_type(m->file)),
        .kv_type = str_of(model_kv_type(m->model)),
        .kv_token_bytes = (uint32_t)(model_kv_block_bytes(m->model) / KV_BLOCK_POSITIONS),
        .pooling = pooling_of(m, o->pooling),
        .chat_family = str_of(chat_family_name(m->chat.family)),
        .chat_tools = m->chat.tools != CHAT_TOOLS_NONE,
        .chat_tool_format = m->chat.tools,
        .chat_stops = chat_template_stops(&m->chat),
        .bos_text = token_text(v, v->bos),
        .eos_text = token_text(v, v->eos),
        .adds_bos = v->add_bos,
        .isa = str_of(model_isa(m->model)),
        .fingerprint = m->fingerprint,
    };
}

static void choose_speculation(struct engine_model *m, const struct engine_model_options *o)
{
    if (o->speculation == ENGINE_SPECULATION_OFF)
        return;
    uint32_t most = o->draft_tokens_max ? o->draft_tokens_max : DRAFT_TOKENS_DEFAULT;
    m->lane.draft_tokens_max = most < DRAFT_TOKENS_MAX ? most : DRAFT_TOKENS_MAX;
}

// Positions that it was not trained for would be noise; a scaling that stands for more is said in
// the model's file.
static enum err check_context(const struct engine_model *m, uint32_t wanted, struct diag *d)
{
    uint32_t trained = model_file_hparams(m->file)->n_ctx;
    if (wanted <= trained || model_file_tensor_count(m->file) == 0)
        return ERR_OK;
    return diag_set(d, ERR_INVALID,
                    "context_max is %u, but the model was trained for %u tokens: at most these",
                    wanted, trained);
}

static enum err load(struct engine *e, struct engine_model *m, const struct engine_model_options *o,
                     struct diag *d)
{
    ERR_TRY(open_file(m, o, d));
    ERR_TRY(check_context(m, o->context_max, d));
    ERR_TRY(open_text(m, o, d));
    ERR_TRY(open_within_bounds(m, e, o, d));
    choose_speculation(m, o);
    find_eog(m, m->lane.n_vocab);
    choose_context(m, o->context_max);
    describe(m, o);
    return ERR_OK;
}

static enum err check_draft(const struct engine_model_options *o, const struct model_file *main,
                            struct diag *d)
{
    struct model_file *f;
    if (o->speculation != ENGINE_SPECULATION_DRAFT)
        return ERR_OK;
    ERR_TRY(drafter_open_file(o, &f, d));
    enum err err = drafter_check_file(main, f, d);
    if (err == ERR_OK)
        err = model_check(f, d);
    model_file_free(f);
    return err;
}

static enum err check_description(struct engine_model *m, const struct engine_model_options *o,
                                  struct diag *d)
{
    ERR_TRY(open_file(m, o, d));
    ERR_TRY(check_context(m, o->context_max, d));
    ERR_TRY(open_text(m, o, d));
    ERR_TRY(model_check(m->file, d));
    return check_draft(o, m->file, d);
}

enum err engine_model_check(const struct engine_model_options *o, struct diag *d)
{
    struct engine_model *m = mem_new(struct engine_model);
    enum err err = check_description(m, o, d);
    engine_model_free(m);
    return err;
}

static enum err check_name(const struct engine *e, const char *name, struct diag *d)
{
    if (!name || !*name)
        return diag_set(d, ERR_INVALID, "a model needs a name");
    if (engine_model_find((struct engine *)(uintptr_t)e, str_of(name)))
        return diag_set(d, ERR_INVALID, "a model named '%s' is loaded already", name);
    return ERR_OK;
}

enum err engine_model_load(struct engine *e, const struct engine_model_options *o,
                           struct engine_model **ret, struct diag *d)
{
    struct engine_model *m = mem_new(struct engine_model);
    pthread_mutex_lock(&e->loading);
    enum err err = check_name(e, o->name, d);
    if (err == ERR_OK) {
        m->engine = e;
        m->grammars = grammars_new();
        m->name = mem_strdup(o->name);
        m->kv_type = o->kv_type ? mem_strdup(o->kv_type) : NULL;
        err = load(e, m, o, d);
    }
    if (err == ERR_OK) {
        engine_add_model(e, m);
        *ret = m;
    } else {
        engine_discard_model(e, m);
    }
    pthread_mutex_unlock(&e->loading);
    return err;
}

bool engine_model_chats(const struct engine_model *m)
{
    return m->chat.family != CHAT_NONE;
}

bool engine_model_is_loaded(const struct engine_model *m)
{
    return atomic_load(&m->is_loaded);
}

const struct engine_model_info *engine_model_info(const struct engine_model *m)
{
    return &m->info;
}

size_t engine_model_record_bytes(const struct engine_model *m, const struct engine_request *r)
{
    // Each byte may turn into U+FFFD, three bytes long; up to three bytes waited; and a text that
    // could have been a stop string may be let go.
    size_t text = 3 * (m->piece_bytes_max + 3);
    for (size_t i = 0; i < r->stops_len; i++)
        text = max_size(text, 3 * (m->piece_bytes_max + 3) + r->stops[i].len);
    size_t embedding = r->embedding ? m->info.n_embd : 0;
    return job_record_bytes(text, m->piece_bytes_max, r->top_logprobs, embedding);
}

// --- Text

enum err engine_tokenize(const struct engine_model *m, str text, bool add_bos, bool parse_special,
                         struct engine_tokens *ret)
{
    struct token_ids ids = {0};
    uint32_t flags = (add_bos ? TOKENIZE_BOS : 0u) | (parse_special ? TOKENIZE_SPECIAL : 0u);
    enum err e = tokenizer_encode(m->tokenizer, text, flags, SIZE_MAX, &ids);
    if (e != ERR_OK) {
        token_ids_done(&ids);
        return e;
    }
    *ret = (struct engine_tokens){ids.ids, ids.len};
    return ERR_OK;
}

bool engine_token_is_control(const struct engine_model *m, int32_t id)
{
    return tokenizer_is_control(m->tokenizer, id);
}

void engine_tokens_done(struct engine_tokens *t)
{
    mem_free(t->ids);
    *t = (struct engine_tokens){0};
}

static bool ids_are_known(const struct engine_model *m, const int32_t *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (ids[i] < 0 || (uint32_t)ids[i] >= tokenizer_size(m->tokenizer))
            return false;
    return true;
}

enum err engine_detokenize(const struct engine_model *m, const int32_t *ids, size_t n,
                           struct buf *out)
{
    if (!ids_are_known(m, ids, n))
        return ERR_INVALID;
    return tokenizer_decode(m->tokenizer, ids, n, true, out);
}

enum err engine_token_piece(const struct engine_model *m, int32_t id, struct buf *out)
{
    if (!ids_are_known(m, &id, 1))
        return ERR_INVALID;
    return tokenizer_piece(m->tokenizer, id, true, out);
}

enum err engine_chat_render(const struct engine_model *m, const struct chat_message *messages,
                            size_t n, str tools_json, bool add_generation, struct buf *out,
                            struct diag *d)
{
    if (m->chat.family == CHAT_NONE)
        return diag_set(d, ERR_UNSUPPORTED,
                        "%.*s has no chat template that weir knows: name a family (chatml, llama2, "
                        "llama3, mistral, zephyr, phi3, gemma, plain; chat_family in the "
                        "configuration, --chat-family of weir chat), or use /v1/completions",
                        STR_ARG(m->info.name));
    return chat_template_render(&m->chat, messages, n, tools_json, add_generation, out, d);
}
