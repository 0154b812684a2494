// Personal data that has a shape: what it looks like, and whether a text of that shape really is
// such (check digits, ranges). Static; any thread.
#pragma once

#include "guard/pattern.h"

enum pii_kind {
    PII_EMAIL,
    PII_CARD,  // 13 to 19 digits that pass Luhn's check
    PII_IBAN,  // passes its check modulo 97 (ISO 13616)
    PII_PHONE, // with a country code (E.164)
    PII_SSN,   // of the United States
    PII_IP,    // version 4
    PII_KEY,   // of a known provider's shape
    PII_KINDS
};
const char *pii_name(enum pii_kind kind); // "EMAIL": as it stands in placeholders
// By the name in lower case ("email").
bool pii_find(str name, enum pii_kind *ret);
enum err pii_add(struct patterns *p, enum pii_kind kind, uint32_t id, struct diag *d) MUST_USE;
// Whether a text that has the shape is one.
bool pii_is(enum pii_kind kind, str text);
