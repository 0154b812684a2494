// REQ: SEC-4 ENG-11
// The first byte chooses: a safetensors image, a tokenizer.json, or a config.json. Each is read or
// refused with a sentence.
#include <stdlib.h>

#include "engine/format/hf.h"
#include "engine/format/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must_have_a_sentence(enum err e, const struct diag *d)
{
    if (e != ERR_OK && (d->code != e || d->text[0] == '\0'))
        abort();
}

static void image(str bytes)
{
    struct arena a;
    struct safetensors s = {0};
    struct diag d = {0};
    uint64_t at = 0;
    arena_init(&a, 64 << 20);
    enum err e = safetensors_parse(bytes, &a, &s, &d);
    must_have_a_sentence(e, &d);
    for (size_t i = 0; e == ERR_OK && i < s.n_entries; i++) {
        if (s.entries[i].begin != at || s.entries[i].end > bytes.len - s.data_offset)
            abort();
        at = s.entries[i].end;
    }
    if (e == ERR_OK && at != bytes.len - s.data_offset)
        abort();
    arena_done(&a);
}

static void json(str text, bool tokenizer)
{
    struct model_file f = {0};
    struct hf_folder h = {.path = "/nowhere", .f = &f};
    struct diag d = {0};
    struct hf_json *j = tokenizer ? &h.tokenizer : &h.config;
    arena_init(&f.arena, 64 << 20);
    enum err e = json_parse(&j->doc, text, JSON_LIMITS_DEFAULT, &d);
    if (e == ERR_OK && tokenizer)
        e = hf_vocab(&h, &f.vocab, &d);
    else if (e == ERR_OK)
        e = hf_config(&h, &f.hparams, &d);
    if (e == ERR_OK)
        e = tokenizer ? vocab_check(&f.vocab, &d) : hparams_check(&f.hparams, &d);
    must_have_a_sentence(e, &d);
    json_done(&j->doc);
    arena_done(&f.arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    str rest = str_slice((const char *)data + 1, size - 1);
    if (data[0] % 3 == 0)
        image(rest);
    else
        json(rest, data[0] % 3 == 1);
    return 0;
}
