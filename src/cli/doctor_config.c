#include <stdio.h>
#include <unistd.h>

#include "cli/configuration.h"
#include "cli/doctor.h"
#include "cli/model_choice.h"
#include "cli/tls_files.h"
#include "net/sock.h"

#include "base/banned.h"

static enum err check_model(struct arena *a, const struct gateway_config *c,
                            const struct gateway_model *m, struct engine_model_options *ret,
                            struct diag *d)
{
    ERR_TRY(model_choice_configured(a, c, m, ret, d));
    enum err e = engine_model_check(ret, d);
    if (e != ERR_OK)
        model_choice_name_error(m, ret, d);
    return e;
}

static void check_models(struct doctor *doc, struct arena *arena, const struct gateway_config *c)
{
    const struct gateway_model *models = gateway_config_models(c);
    for (size_t i = 0; i < c->models.len; i++) {
        struct engine_model_options o;
        struct diag d = {0};
        char detail[640];
        if (check_model(arena, c, &models[i], &o, &d) == ERR_OK) {
            snprintf(detail, sizeof detail, "%s is a model that can be served", o.name);
            doctor_say(doc, DOCTOR_OK, "model", detail, NULL);
            continue;
        }
        doctor_say(doc, DOCTOR_WRONG, "model", diag_format(&d, detail, sizeof detail),
                   "mend models: in the configuration, or fetch the file");
    }
}

static void check_address(struct doctor *doc, str listen)
{
    struct diag d = {0};
    char detail[640];
    struct sock_address address;
    int fd;
    enum err e = sock_address_parse(listen.ptr, &address, &d);
    if (e == ERR_OK)
        e = sock_listen(&address, false, &fd, &d);
    if (e == ERR_OK) {
        close(fd);
        snprintf(detail, sizeof detail, STR_FMT " is free", STR_ARG(listen));
        doctor_say(doc, DOCTOR_OK, "address", detail, NULL);
        return;
    }
    doctor_say(
        doc, DOCTOR_NOTE, "address", diag_format(&d, detail, sizeof detail),
        "perhaps weir is already running there; else choose another with --listen HOST:PORT");
}

static void check_tls(struct doctor *doc, const struct gateway_config *c)
{
    struct tls_files files;
    struct diag d = {0};
    char detail[640];
    if (tls_files_check(&c->tls, &files, &d) != ERR_OK)
        doctor_say(doc, DOCTOR_WRONG, "tls", diag_format(&d, detail, sizeof detail),
                   "mend tls: in the configuration, or the file; weir does not start like this");
    else if (files.detail[0])
        doctor_say(doc, files.note[0] ? DOCTOR_NOTE : DOCTOR_OK, "tls", files.detail,
                   files.note[0] ? files.note : NULL);
}

void doctor_check_config(struct doctor *doc, struct arena *arena, str path)
{
    struct gateway_config c;
    struct diag d = {0};
    char detail[640];
    str read;
    if (configuration_load(arena, path, &c, &read, &d) != ERR_OK) {
        doctor_say(doc, DOCTOR_WRONG, "configuration", diag_format(&d, detail, sizeof detail),
                   d.code == ERR_NOT_FOUND
                       ? "name a file that is there (--config, $WEIR_CONFIG)"
                       : "mend that place; 'weir config schema --markdown' lists every key");
        return;
    }
    snprintf(detail, sizeof detail, "%s", read.len ? read.ptr : "no file: the defaults");
    doctor_say(doc, DOCTOR_OK, "configuration", detail, NULL);
    check_models(doc, arena, &c);
    check_address(doc, c.listen);
    check_tls(doc, &c);
}
