// REQ: SEC-4 OBS-1
// A record as it lies in the store: read or refused; what is read is written, and reads the same.
#include <stdlib.h>

#include "base/mem.h"
#include "store/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_again(const struct store_request *r, struct arena *a)
{
    struct store_request back;
    struct record *record = record_of_request(r);
    str message = str_slice((const char *)record->bytes, record->len);
    if (record_read_request(message, a, &back, NULL) != ERR_OK)
        abort();
    struct record *again = record_of_request(&back);
    if (again->len != record->len || memcmp(again->bytes, record->bytes, record->len) != 0)
        abort();
    mem_free(again);
    mem_free(record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct store_request r;
    struct store_shadow shadow;
    str message = str_slice((const char *)data, size);
    arena_init(&a, 16u << 20);
    if (record_read_request(message, &a, &r, NULL) == ERR_OK)
        check_again(&r, &a);
    (void)(record_read_shadow(message, &shadow, NULL) == ERR_OK);
    arena_done(&a);
    return 0;
}
