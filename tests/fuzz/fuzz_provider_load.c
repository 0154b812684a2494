// A provider's metrics page. REQ: SEC-4 PROV-6
#include "gateway/provider_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct provider_load l;
    if (provider_load_read(str_slice((const char *)data, size), &l))
        ASSERT(l.running >= 0 && l.running <= 1e6 && l.waiting >= 0 && l.waiting <= 1e6);
    return 0;
}
