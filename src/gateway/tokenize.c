#include "gateway/tokenize.h"

#include "dialect/field.h"
#include "gateway/gateway_internal.h"
#include "gateway/server.h"

#include "base/banned.h"

#define TEXT_BYTES_MAX (64u << 20)

struct tokenize_request {
    str prompt, content;
    bool add_special, add_special_tokens, parse_special, with_pieces, strings, add_generation;
};

#define AT(member) offsetof(struct tokenize_request, member)
// clang-format off
static const struct field tokenize_fields[] = {
    {"model", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"messages", FIELD_ACCEPTED, 0, 0, 0, 0, NULL, NULL},
    {"prompt", FIELD_STRING, AT(prompt), 0, 0, 0, NULL, NULL},
    {"content", FIELD_STRING, AT(content), 0, 0, 0, NULL, NULL},
    {"add_special_tokens", FIELD_BOOL, AT(add_special_tokens), 0, 0, 0, NULL, NULL},
    {"add_special", FIELD_BOOL, AT(add_special), 0, 0, 0, NULL, NULL},
    {"parse_special", FIELD_BOOL, AT(parse_special), 0, 0, 0, NULL, NULL},
    {"with_pieces", FIELD_BOOL, AT(with_pieces), 0, 0, 0, NULL, NULL},
    {"return_token_strs", FIELD_BOOL, AT(strings), 0, 0, 0, NULL, NULL},
    {"add_generation_prompt", FIELD_BOOL, AT(add_generation), 0, 0, 0, NULL, NULL},
    {0},
};
// clang-format on

static bool no_tokenizer(struct call *c)
{
    return api_error_set(call_error(c), API_OPERATION_UNSUPPORTED, "model",
                         "The tokenizer of '" STR_FMT "' is not on this machine.",
                         STR_ARG(c->model->root));
}

static bool has_tokenizer(struct call *c)
{
    return c->model->provider->tokenize || no_tokenizer(c);
}

// The text to tokenise: given, or rendered from messages.
static bool find_text(struct call *c, struct tokenize_request *t, struct buf *out, str *ret)
{
    yyjson_val *root = c->doc.root;
    if (json_get(root, "messages")) {
        struct exchange_request chat;
        if (!dialect_openai_chat.read(root, &c->arena, &chat, call_error(c)) ||
            !c->model->provider->render(c->model, &chat, t->add_generation, &c->arena, out,
                                        call_error(c)))
            return false;
        t->parse_special = true; // the template's own tokens are meant
        *ret = buf_str(out);
        return true;
    }
    if (!json_get(root, "prompt") && !json_get(root, "content"))
        return api_error_set(call_error(c), API_MISSING_PARAMETER, "prompt",
                             "'prompt' (or 'content', or 'messages') is required.");
    *ret = t->prompt.ptr ? t->prompt : t->content;
    return true;
}

static void write_piece(struct call *c, struct json_writer *w, int32_t id)
{
    struct buf piece;
    struct api_error ignored;
    buf_init(&piece, TEXT_BYTES_MAX);
    c->model->provider->detokenize(c->model, &id, 1, &piece, &ignored);
    jw_str(w, buf_str(&piece));
    buf_done(&piece);
}

static void write_tokens(struct call *c, const struct tokenize_request *t, const int32_t *ids,
                         size_t len)
{
    struct json_writer w;
    jw_init(&w, &c->out);
    jw_object_begin(&w);
    jw_kv_int(&w, "count", (int64_t)len);
    jw_kv_int(&w, "max_model_len", c->model->context_max);
    jw_key(&w, "tokens");
    jw_array_begin(&w);
    for (size_t i = 0; i < len; i++) {
        if (!t->with_pieces) {
            jw_int(&w, ids[i]);
            continue;
        }
        jw_object_begin(&w);
        jw_kv_int(&w, "id", ids[i]);
        jw_key(&w, "piece");
        write_piece(c, &w, ids[i]);
        jw_object_end(&w);
    }
    jw_array_end(&w);
    jw_key(&w, "token_strs");
    if (t->strings) {
        jw_array_begin(&w);
        for (size_t i = 0; i < len; i++)
            write_piece(c, &w, ids[i]);
        jw_array_end(&w);
    } else {
        jw_null(&w);
    }
    jw_object_end(&w);
}

bool tokenize_work(struct call *c)
{
    struct tokenize_request t = {.add_special_tokens = true,
                                 .add_special = true,
                                 .parse_special = true,
                                 .add_generation = true};
    struct reader r = {.arena = &c->arena, .request = &c->request, .error = call_error(c)};
    struct buf text;
    str wanted = STR_NONE;
    int32_t *ids = NULL;
    size_t len = 0;
    if (!has_tokenizer(c) || !fields_read(&r, tokenize_fields, c->doc.root, &t, true))
        return false;
    buf_init(&text, TEXT_BYTES_MAX);
    bool ok = find_text(c, &t, &text, &wanted) &&
              c->model->provider->tokenize(c->model, wanted, t.add_special_tokens && t.add_special,
                                           t.parse_special, &c->arena, &ids, &len, call_error(c));
    if (ok)
        write_tokens(c, &t, ids, len);
    buf_done(&text);
    return ok;
}

static bool read_ids(struct call *c, int32_t **ret, size_t *ret_len)
{
    struct reader r = {.arena = &c->arena, .request = &c->request, .error = call_error(c)};
    yyjson_val *tokens = json_get(c->doc.root, "tokens"), *item;
    size_t i, max;
    if (!tokens)
        return field_missing(&r, "tokens");
    if (!yyjson_is_arr(tokens))
        return field_wrong_type(&r, "tokens", "an array of token ids", tokens);
    int32_t *ids = field_alloc(&r, yyjson_arr_size(tokens), sizeof *ids);
    if (!ids)
        return false;
    yyjson_arr_foreach(tokens, i, max, item)
    {
        if (!field_token_id(&r, "tokens", item, &ids[i]))
            return false;
    }
    *ret = ids;
    *ret_len = yyjson_arr_size(tokens);
    return true;
}

static void write_special(struct json_writer *w, str text)
{
    if (text.len)
        jw_str(w, text);
    else
        jw_null(w);
}

// What lm-eval's remote tokenizer reads, in the words of Hugging Face's tokenizer_config.json.
void tokenizer_info(struct gateway *g, struct http_call *hc)
{
    const struct model_entry *m = registry_find(&g->registry, STR_NONE);
    struct api_error e;
    struct buf out;
    struct json_writer w;
    str bos, eos;
    bool adds_bos;
    if (!m) {
        api_error_set(&e, API_MODEL_LOADING, NULL, "The model is still loading.");
        server_refuse(g, hc, &e, NULL);
        return;
    }
    m->provider->special_tokens(m, &bos, &eos, &adds_bos);
    buf_init(&out, TEXT_BYTES_MAX);
    jw_init(&w, &out);
    jw_object_begin(&w);
    jw_kv_str(&w, "model", m->root);
    jw_kv_int(&w, "model_max_length", m->context_max);
    jw_kv_bool(&w, "add_bos_token", adds_bos);
    jw_key(&w, "bos_token");
    write_special(&w, bos);
    jw_key(&w, "eos_token");
    write_special(&w, eos);
    jw_key(&w, "pad_token");
    write_special(&w, eos);
    jw_object_end(&w);
    server_answer(g, hc, 200, "application/json", NULL, buf_str(&out));
    buf_done(&out);
}

bool detokenize_work(struct call *c)
{
    struct buf text;
    struct json_writer w;
    int32_t *ids = NULL;
    size_t len = 0;
    if (!has_tokenizer(c) || !read_ids(c, &ids, &len))
        return false;
    buf_init(&text, TEXT_BYTES_MAX);
    bool ok = c->model->provider->detokenize(c->model, ids, len, &text, call_error(c));
    if (ok) {
        jw_init(&w, &c->out);
        jw_object_begin(&w);
        jw_kv_str(&w, "prompt", buf_str(&text));
        jw_kv_str(&w, "content", buf_str(&text));
        jw_object_end(&w);
    }
    buf_done(&text);
    return ok;
}

bool count_tokens_work(struct call *c)
{
    const struct provider_ops *ops = c->model->provider;
    struct exchange_answer answer = {.usage = {.estimated = !ops->count}};
    uint64_t *tokens = &answer.usage.prompt_tokens;
    if (ops->counts) {
        c->request.kind = EXCHANGE_COUNT; // goes its way like a chat
        return true;
    }
    c->request.continues = c->request.prefilled && c->model->continues;
    if (ops->count && !ops->count(c->model, &c->request, &c->arena, tokens, call_error(c)))
        return false;
    if (!ops->count)
        *tokens = admission_estimate(&c->request);
    c->kind->dialect->answer(&c->request, &c->head, &answer, &c->out);
    return true;
}
