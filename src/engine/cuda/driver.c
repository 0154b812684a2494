#include "engine/cuda/driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/banned.h"

enum { CU_OUT_OF_MEMORY = 2, CU_NO_DEVICE = 100, VERSION_MIN = 11000 };

static struct driver the_driver;
static enum err the_error;
static struct diag the_diag;

static const char *library_name(void)
{
    const char *name = getenv("WEIR_CUDA_DRIVER");
    return name && *name ? name : "libcuda.so.1";
}

enum err(driver_fail)(const struct driver *drv, cu_result e, struct diag *d, const char *what)
{
    const char *name = NULL, *text = NULL;
    (void)drv->error_name(e, &name);
    (void)drv->error_text(e, &text);
    return diag_set(d, e == CU_OUT_OF_MEMORY ? ERR_NOMEM : ERR_IO,
                    "%s: the GPU's driver says %s (%s)", what,
                    name ? name : "an error it does not name", text ? text : "no words");
}

static enum err find_functions(struct driver *drv, struct diag *d)
{
    const struct {
        const char *symbol;
        void *slot;
    } wanted[] = {
#define CU_SLOT(name, symbol, parameters) {#symbol, &drv->name},
        CU_FUNCTIONS(CU_SLOT)
#undef CU_SLOT
    };
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        void *found = dlsym(drv->library, wanted[i].symbol);
        if (!found)
            return diag_set(d, ERR_UNSUPPORTED,
                            "%s has no %s: install an NVIDIA driver of CUDA 11 or newer",
                            drv->library_name, wanted[i].symbol);
        memcpy(wanted[i].slot, &found, sizeof found); // a pointer to a function is one here
    }
    return ERR_OK;
}

static enum err start(struct driver *drv, struct diag *d)
{
    cu_result e = drv->init(0);
    if (e == CU_NO_DEVICE)
        return diag_set(d, ERR_NOT_FOUND,
                        "NVIDIA's driver is here but finds no device: is one plugged in, and may "
                        "this user or container use it (nvidia-smi)?");
    if (e)
        return driver_fail(drv, e, d, "starting it");
    CU_TRY(drv, d, "asking its version", drv->driver_version(&drv->version));
    if (drv->version < VERSION_MIN)
        return diag_set(d, ERR_UNSUPPORTED,
                        "the NVIDIA driver supports CUDA %d.%d: weir needs one of CUDA 11 or newer",
                        drv->version / 1000, drv->version % 1000 / 10);
    return ERR_OK;
}

static enum err open_library(struct driver *drv, struct diag *d)
{
    drv->library_name = library_name();
    drv->library = dlopen(drv->library_name, RTLD_NOW | RTLD_LOCAL);
    if (!drv->library)
        return diag_set(d, ERR_NOT_FOUND,
                        "no NVIDIA driver here (%s cannot be loaded): install one, and in a "
                        "container pass the GPU on (--gpus all)",
                        drv->library_name);
    ERR_TRY(find_functions(drv, d));
    return start(drv, d);
}

static void open_once(void)
{
    the_error = open_library(&the_driver, &the_diag);
}

enum err driver_open(const struct driver **ret, struct diag *d)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, open_once);
    if (the_error == ERR_OK)
        *ret = &the_driver;
    else if (d)
        *d = the_diag;
    return the_error;
}
