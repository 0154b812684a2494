// A certificate of our own authority for "localhost", and its key, in two files: a group's setup
// and teardown. One thread.
#pragma once

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static char cert_path[] = "/tmp/weir-cert-XXXXXX", key_path[] = "/tmp/weir-key-XXXXXX";

static void write_pem(char *path, X509 *cert, EVP_PKEY *key)
{
    int fd = mkstemp(path);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f)
        abort();
    if (cert)
        PEM_write_X509(f, cert);
    else
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static int make_certificate(void **state)
{
    (void)state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), -60);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME *name = X509_get_subject_name(cert);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"weir test", -1, -1,
                               0);
    X509_set_issuer_name(cert, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:localhost");
    X509_add_ext(cert, names, -1);
    X509_EXTENSION_free(names);
    X509_sign(cert, key, EVP_sha256());
    write_pem(cert_path, cert, NULL);
    write_pem(key_path, NULL, key);
    X509_free(cert);
    EVP_PKEY_free(key);
    return 0;
}

static int remove_certificate(void **state)
{
    (void)state;
    unlink(cert_path);
    unlink(key_path);
    return 0;
}
