#include "dialect/dialect.h"

#include "base/banned.h"

int dialect_status(const struct dialect *d, const struct api_error *e)
{
    return d->status ? d->status(e) : api_error_row(e->code)->status;
}
