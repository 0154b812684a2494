#include "cli/tls_files.h"

#include <stdio.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "net/tls.h"
#include "net/tls_certificate.h"

#include "base/banned.h"

#define DAY_MS    86400000
#define SOON_DAYS 21 // authorities of the web renew with 30 days to go: by then one has failed

static bool anyone_may_read(const char *file)
{
    struct stat s;
    return stat(file, &s) == 0 && (s.st_mode & S_IROTH);
}

static void look_for_trouble(const struct gateway_tls *t, const struct tls_certificate *c,
                             int64_t now_ms, char *out, size_t size)
{
    int64_t days = (c->until_ms - now_ms) / DAY_MS;
    char from[25];
    out[0] = 0;
    if (c->from_ms > now_ms) {
        clock_iso8601((uint64_t)c->from_ms, from);
        snprintf(out, size, "the certificate is not valid before %s: clients will refuse it", from);
    } else if (days < SOON_DAYS) {
        snprintf(out, size,
                 "the certificate ends in %lld days: renew it; a new file is taken "
                 "while weir runs",
                 (long long)days);
    } else if (anyone_may_read(t->key.ptr)) {
        snprintf(out, size,
                 "every user of this machine may read the private key: chmod o-r " STR_FMT,
                 STR_ARG(t->key));
    } else if (!c->names[0]) {
        snprintf(out, size,
                 "the certificate names no host (subjectAltName): clients will refuse it");
    }
}

enum err tls_files_check(const struct gateway_tls *t, struct tls_files *ret, struct diag *d)
{
    struct tls_certificate c;
    struct tls_context *context;
    char until[25];
    int64_t now_ms = (int64_t)clock_wall_ms();
    *ret = (struct tls_files){0};
    if (!t->certificate.len)
        return ERR_OK;
    const struct tls_server_options o = {t->certificate.ptr, t->key.ptr,
                                         t->client_ca.len ? t->client_ca.ptr : NULL};
    ERR_TRY(tls_certificate_read(o.cert_file, &c, d));
    ERR_TRY(tls_server_new(&o, &context, d));
    tls_context_free(context);
    clock_iso8601((uint64_t)c.until_ms, until);
    if (c.until_ms <= now_ms)
        return diag_set(d, ERR_INVALID, "the certificate %s has expired (%s)", o.cert_file, until);
    snprintf(ret->detail, sizeof ret->detail, "%s for %s, until %s%s", c.key,
             c.names[0] ? c.names : "nobody", until,
             c.self_signed ? ", signed by itself: clients must be told to trust it" : "");
    look_for_trouble(t, &c, now_ms, ret->note, sizeof ret->note);
    return ERR_OK;
}
