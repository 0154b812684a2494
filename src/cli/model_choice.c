#include "cli/model_choice.h"

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
