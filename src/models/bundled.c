#include "models/models.h"

#include "base/banned.h"

// Defined by bundled.S around the file's bytes.
extern const char models_bundled_from[], models_bundled_end[];

str models_bundled_gguf(void)
{
    return str_slice(models_bundled_from,
                     (uintptr_t)models_bundled_end - (uintptr_t)models_bundled_from);
}

const char *models_bundled_name(void)
{
    return "weir-tiny";
}
