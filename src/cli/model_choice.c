#include "cli/model_choice.h"

#include <stdio.h>

#include "engine/cuda/gpu.h"
#include "models/library.h"
#include "models/models.h"

#include "base/banned.h"

static bool is_bundled(str name)
{
    return name.len == 0 || str_eq_z(name, models_bundled_name());
}

enum err model_choice_check_device(str device, struct diag *d)
{
    int index;
    return !device.len || str_eq_z(device, "cpu") ? ERR_OK : gpu_parse_name(device.ptr, &index, d);
}

enum err model_choice_open_file(struct arena *a, str name, struct model_file **ret, struct diag *d)
{
    if (is_bundled(name))
        return model_file_from_memory(models_bundled_gguf(), ret, d);
    str path;
    ERR_TRY(model_library_resolve(a, name, &path, d));
    return model_file_open(path.ptr, ret, d);
}

static str base_name(str path)
{
    while (path.len > 1 && path.ptr[path.len - 1] == '/')
        path.len--;
    for (size_t i = path.len; i > 0; i--)
        if (path.ptr[i - 1] == '/')
            return str_sub(path, i, SIZE_MAX);
    return path;
}

enum err model_choice_options(struct arena *a, str name, struct engine_model_options *ret,
                              struct diag *d)
{
    *ret = (struct engine_model_options){0};
    if (is_bundled(name)) {
        ret->name = models_bundled_name();
        ret->image = models_bundled_gguf();
        return ERR_OK;
    }
    str path;
    ERR_TRY(model_library_resolve(a, name, &path, d));
    str file = base_name(path);
    if (str_ends(file, STR(".gguf")))
        file.len -= 5;
    ret->name = arena_str(a, file).ptr;
    ret->path = path.ptr;
    return ret->name ? ERR_OK : diag_set(d, ERR_LIMIT, "the name of the model is too long");
}

// The name of another model here, or what a model's source may be.
static enum err choose_draft(struct arena *a, const struct gateway_config *c, str wanted,
                             struct engine_model_options *mo, struct diag *d)
{
    struct engine_model_options draft;
    const struct gateway_model *models = gateway_config_models(c);
    str source = wanted;
    for (size_t i = 0; i < c->models.len; i++)
        if (models[i].name.len && str_eq(models[i].name, wanted))
            source = models[i].source;
    ERR_TRY(model_choice_options(a, source, &draft, d));
    mo->draft_path = draft.path;
    mo->draft_image = draft.image;
    return ERR_OK;
}

static enum err configured(struct arena *a, const struct gateway_config *c,
                           const struct gateway_model *m, struct engine_model_options *ret,
                           struct diag *d)
{
    ERR_TRY(model_choice_options(a, m->source, ret, d));
    if (m->name.len)
        ret->name = m->name.ptr;
    ret->context_max = (uint32_t)m->context_max;
    ret->kv_type = m->kv_type ? gateway_kv_types[m->kv_type] : NULL;
    ret->pooling = (enum engine_pooling)m->pooling;
    ret->speculation = (enum engine_speculation)m->speculation;
    ret->draft_tokens_max = (uint32_t)m->draft_tokens_max;
    ret->chat_family = m->chat_family.len ? m->chat_family.ptr : NULL;
    if (ret->speculation == ENGINE_SPECULATION_DRAFT)
        return choose_draft(a, c, m->draft_model, ret, d);
    return ERR_OK;
}

enum err model_choice_configured(struct arena *a, const struct gateway_config *c,
                                 const struct gateway_model *m, struct engine_model_options *ret,
                                 struct diag *d)
{
    *ret = (struct engine_model_options){0};
    enum err e = configured(a, c, m, ret, d);
    if (e != ERR_OK)
        model_choice_name_error(m, ret, d);
    return e;
}

void model_choice_name_error(const struct gateway_model *m, const struct engine_model_options *o,
                             struct diag *d)
{
    char place[sizeof d->where];
    str name = m->name.len ? m->name : o->name ? str_of(o->name) : m->source;
    snprintf(place, sizeof place, "%s", d->where);
    if (place[0])
        diag_where(d, STR_FMT ": %s", STR_ARG(name), place);
    else if (m->source.len && !str_eq(name, m->source))
        diag_where(d, STR_FMT " (" STR_FMT ")", STR_ARG(name), STR_ARG(m->source));
    else
        diag_where(d, STR_FMT, STR_ARG(name));
}
