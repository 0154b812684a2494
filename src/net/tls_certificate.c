#include "net/tls_certificate.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/banned.h"

#define DAY_MS 86400000

// Days and seconds from the epoch: no calendar of ours is asked.
static bool time_of(const ASN1_TIME *t, int64_t *ret_ms)
{
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days, seconds;
    bool ok = epoch && ASN1_TIME_diff(&days, &seconds, epoch, t) == 1;
    ASN1_TIME_free(epoch);
    if (ok)
        *ret_ms = (int64_t)days * DAY_MS + (int64_t)seconds * 1000;
    return ok;
}

static void add_name(char *out, size_t size, const char *name, int len)
{
    size_t used = strlen(out);
    if (used + (size_t)len + 3 > size)
        return;
    snprintf(out + used, size - used, "%s%.*s", used ? ", " : "", len, name);
}

static void add_general_name(const GENERAL_NAME *n, char *out, size_t size)
{
    char text[INET6_ADDRSTRLEN];
    const ASN1_STRING *s = n->type == GEN_DNS ? n->d.dNSName : n->d.iPAddress;
    if (n->type == GEN_DNS) {
        add_name(out, size, (const char *)ASN1_STRING_get0_data(s), ASN1_STRING_length(s));
    } else if (n->type == GEN_IPADD) {
        int family = ASN1_STRING_length(s) == 4 ? AF_INET : AF_INET6;
        int bytes = family == AF_INET ? 4 : 16;
        if (ASN1_STRING_length(s) == bytes &&
            inet_ntop(family, ASN1_STRING_get0_data(s), text, sizeof text))
            add_name(out, size, text, (int)strlen(text));
    }
}

static void read_names(const X509 *x, char *out, size_t size)
{
    out[0] = 0;
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++)
        add_general_name(sk_GENERAL_NAME_value(names, i), out, size);
    GENERAL_NAMES_free(names);
}

static enum err describe(X509 *x, const char *file, struct tls_certificate *ret, struct diag *d)
{
    struct tls_certificate c = {.self_signed = X509_self_signed(x, 0) == 1};
    if (!time_of(X509_get0_notBefore(x), &c.from_ms) ||
        !time_of(X509_get0_notAfter(x), &c.until_ms))
        return diag_set(d, ERR_PARSE, "%s: the certificate's dates cannot be read", file);
    read_names(x, c.names, sizeof c.names);
    EVP_PKEY *key = X509_get0_pubkey(x);
    const char *kind = key ? EVP_PKEY_get0_type_name(key) : NULL;
    snprintf(c.key, sizeof c.key, "%s %d", kind ? kind : "?", key ? EVP_PKEY_get_bits(key) : 0);
    *ret = c;
    return ERR_OK;
}

enum err tls_certificate_read(const char *file, struct tls_certificate *ret, struct diag *d)
{
    FILE *f = fopen(file, "re");
    if (!f)
        return diag_sys(d, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, errno,
                        "cannot read the certificate %s", file);
    X509 *x = PEM_read_X509(f, NULL, NULL, NULL);
    fclose(f);
    ERR_clear_error();
    if (!x)
        return diag_set(d, ERR_PARSE, "%s holds no certificate in PEM", file);
    enum err e = describe(x, file, ret, d);
    X509_free(x);
    return e;
}
