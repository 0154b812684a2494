// tokenizer.json: a BPE model with added tokens, its normaliser and pre-tokenizer recognised.
#include "base/map.h"
#include "engine/format/hf.h"

#include "base/banned.h"

enum { STEPS_MAX = 8 };

// The steps of a normaliser or pre-tokenizer, a Sequence laid flat.
struct steps {
    yyjson_val *step[STEPS_MAX];
    size_t n;
};

static str type_of(yyjson_val *v)
{
    return json_str(json_get(v, "type"));
}

static struct steps steps_of(yyjson_val *v, const char *list_name)
{
    struct steps s = {0};
    size_t i, n;
    yyjson_val *item;
    yyjson_val *list = json_get(v, list_name);
    if (!str_eq_z(type_of(v), "Sequence")) {
        s.step[0] = v;
        s.n = yyjson_is_obj(v);
        return s;
    }
    if (!list)
        return s;
    yyjson_arr_foreach(list, i, n, item)
    {
        if (s.n < STEPS_MAX)
            s.step[s.n++] = item;
    }
    return s;
}

static yyjson_val *step_of_type(const struct steps *s, const char *type)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_eq_z(type_of(s->step[i]), type))
            return s->step[i];
    return NULL;
}

static str regex_of(yyjson_val *step)
{
    return json_str(json_get(json_get(step, "pattern"), "Regex"));
}

// The pre-tokenizers by their shape and their regular expressions; "" when unknown.
static const char *pre_of(const struct steps *pre, bool nfc)
{
    static const char llama3[] =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| "
        "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    static const char qwen2[] =
        "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| "
        "?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
    yyjson_val *split = step_of_type(pre, "Split");
    str first = regex_of(split), second = pre->n > 1 ? regex_of(pre->step[1]) : STR_NONE;
    if (!step_of_type(pre, "ByteLevel"))
        return "";
    if (step_of_type(pre, "Punctuation"))
        return "falcon";
    if (str_eq_z(second, "\\s?\\p{L}+"))
        return "deepseek-coder";
    if (str_starts(second, STR("\\s?[A-Za-z")))
        return "deepseek-llm";
    if (split)
        return str_eq_z(first, llama3)  ? "llama-bpe"
               : str_eq_z(first, qwen2) ? (nfc ? "qwen2" : "stablelm2")
                                        : "";
    if (step_of_type(pre, "Digits"))
        return nfc ? "command-r" : "smollm";
    return nfc ? "olmo" : "gpt-2";
}

static str merge_text(struct arena *a, yyjson_val *m)
{
    if (!yyjson_is_arr(m))
        return arena_str(a, json_str(m));
    str left = json_str(yyjson_arr_get(m, 0)), right = json_str(yyjson_arr_get(m, 1));
    if (left.len > 4096 || right.len > 4096)
        return STR(""); // refused as a merge that is none
    return arena_printf(a, STR_FMT " " STR_FMT, STR_ARG(left), STR_ARG(right));
}

static enum err read_merges(yyjson_val *list, struct arena *a, struct vocab *v, struct diag *d)
{
    size_t i, n;
    yyjson_val *m;
    if (!yyjson_is_arr(list) || yyjson_arr_size(list) > 1u << 22)
        return diag_set(d, ERR_INVALID, "tokenizer.json: model.merges is not a list of merges");
    str *merges = parts_array(a, yyjson_arr_size(list), sizeof *merges, d);
    if (!merges)
        return ERR_LIMIT;
    yyjson_arr_foreach(list, i, n, m)
    {
        merges[i] = merge_text(a, m);
        if (!merges[i].ptr)
            return diag_set(d, ERR_LIMIT, "the merges take too much memory");
    }
    v->merges = merges;
    v->n_merges = (uint32_t)n;
    return ERR_OK;
}

static enum err add_added(struct hf_tokens *t, yyjson_val *list, struct diag *d)
{
    size_t i, n;
    yyjson_val *item;
    if (!list)
        return ERR_OK;
    yyjson_arr_foreach(list, i, n, item)
    {
        uint64_t id;
        bool special = yyjson_is_true(json_get(item, "special"));
        str text = json_str(json_get(item, "content"));
        if (!text.ptr || str_to_u64(json_num_text(json_get(item, "id")), &id) != ERR_OK)
            return diag_set(d, ERR_INVALID,
                            "tokenizer.json: added_tokens[%zu] has no content or no id", i);
        ERR_TRY(hf_tokens_add(t, text, id, special ? TOKEN_CONTROL : TOKEN_USER, d));
    }
    return ERR_OK;
}

// Where SentencePiece has scores, tokenizer.json has the order of merges: a token's score is minus
// the rank of the first merge that makes it. Merges are then by score, as the ranks were.
static enum err scores_from_merges(const struct hf_tokens *t, struct vocab *v, struct diag *d)
{
    float *scores = parts_array(t->arena, t->entries_max, sizeof *scores, d);
    struct map ids;
    if (!scores)
        return ERR_LIMIT;
    map_init(&ids);
    for (uint32_t i = 0; i < t->n; i++) {
        scores[i] = -1e6f;
        if (t->tokens[i].ptr)
            map_put(&ids, t->tokens[i], &scores[i]);
    }
    for (uint32_t i = v->n_merges; i-- > 0;) {
        char joined[8192];
        size_t cut = str_find_char(v->merges[i], ' ');
        if (cut == SIZE_MAX || v->merges[i].len > sizeof joined)
            continue; // refused later on, with its number
        memcpy(joined, v->merges[i].ptr, cut);
        memcpy(joined + cut, v->merges[i].ptr + cut + 1, v->merges[i].len - cut - 1);
        float *score = map_get(&ids, str_slice(joined, v->merges[i].len - 1));
        if (score)
            *score = -(float)i;
    }
    map_done(&ids);
    v->scores = scores;
    return ERR_OK;
}

// Whether a blank goes before the text: a normaliser that prepends one, or a Metaspace that does.
static bool adds_blank(const struct steps *normalizer, const struct steps *pre)
{
    yyjson_val *meta = step_of_type(pre, "Metaspace");
    if (step_of_type(normalizer, "Prepend"))
        return true;
    if (!meta)
        return false;
    str scheme = json_str(json_get(meta, "prepend_scheme"));
    if (scheme.ptr)
        return !str_eq_z(scheme, "never");
    return !yyjson_is_false(json_get(meta, "add_prefix_space"));
}

// A post-processor whose template begins with a special token.
static bool begins_with_special(yyjson_val *post)
{
    struct steps s = steps_of(post, "processors");
    yyjson_val *single = json_get(step_of_type(&s, "TemplateProcessing"), "single");
    return json_get(yyjson_arr_get_first(single), "SpecialToken") != NULL;
}

static enum err finish_spm(struct hf_tokens *t, const struct steps *normalizer,
                           const struct steps *pre, struct vocab *v, struct diag *d)
{
    v->kind = VOCAB_SPM;
    v->add_space_prefix = adds_blank(normalizer, pre);
    for (uint32_t i = 0; i < t->n; i++) {
        str s = t->tokens[i];
        if (s.ptr && s.len == 6 && str_starts(s, STR("<0x")) && t->types[i] == TOKEN_NORMAL)
            t->types[i] = TOKEN_BYTE;
    }
    return scores_from_merges(t, v, d);
}

static enum err finish_byte_level(const struct steps *normalizer, const struct steps *pre,
                                  struct vocab *v, struct diag *d)
{
    v->kind = VOCAB_BPE;
    v->pre = str_of(pre_of(pre, step_of_type(normalizer, "NFC") != NULL));
    if (v->pre.len == 0 ||
        yyjson_is_true(json_get(step_of_type(pre, "ByteLevel"), "add_prefix_space")))
        return diag_set(d, ERR_UNSUPPORTED,
                        "tokenizer.json: its pre-tokenizer (" STR_FMT ", %zu steps) is not known",
                        STR_ARG(pre->n ? type_of(pre->step[0]) : STR("none")), pre->n);
    return ERR_OK;
}

enum err hf_tokenizer_json(struct hf_folder *h, struct hf_tokens *t, struct vocab *v,
                           struct diag *d)
{
    yyjson_val *root = h->tokenizer.doc.root, *model = json_get(root, "model");
    yyjson_val *tokens = json_get(model, "vocab"), *added = json_get(root, "added_tokens");
    struct steps normalizer = steps_of(json_get(root, "normalizer"), "normalizers");
    struct steps pre = steps_of(json_get(root, "pre_tokenizer"), "pretokenizers");
    str type = type_of(model);
    if (!str_eq_z(type, "BPE") && !(type.len == 0 && json_get(model, "merges")))
        return diag_set(d, ERR_UNSUPPORTED,
                        "tokenizer.json: a model of type \"" STR_FMT "\"; BPE is supported",
                        STR_ARG(type));
    ERR_TRY(hf_tokens_init(t, &h->f->arena, yyjson_obj_size(tokens) + yyjson_arr_size(added), d));
    ERR_TRY(hf_tokens_add_map(t, tokens, d));
    ERR_TRY(add_added(t, added, d));
    ERR_TRY(read_merges(json_get(model, "merges"), &h->f->arena, v, d));
    int32_t unk = hf_tokens_find(t, json_str(json_get(model, "unk_token")));
    if (unk >= 0) {
        v->unk = unk;
        if (t->types[unk] == TOKEN_NORMAL)
            t->types[unk] = TOKEN_UNKNOWN;
    }
    v->ignore_merges = yyjson_is_true(json_get(model, "ignore_merges"));
    v->add_bos = begins_with_special(json_get(root, "post_processor"));
    // byte_fallback says nothing where a ByteLevel step leaves no byte without a character
    if (yyjson_is_true(json_get(model, "byte_fallback")) && !step_of_type(&pre, "ByteLevel"))
        return finish_spm(t, &normalizer, &pre, v, d);
    return finish_byte_level(&normalizer, &pre, v, d);
}
