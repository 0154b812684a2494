// Change a few members of a JSON object in its text: everything else stays byte for byte as it was,
// blanks and order included. For bodies that pass through. Pure functions; the text is one that a
// parser took (what is no object is ERR_PARSE, never read beyond its end).
#pragma once

#include "base/buf.h"
#include "base/json.h"

struct json_edit {
    str name;  // the member's name, unescaped
    str value; // JSON text that takes the value's place; a member that is not there goes to the end
    bool remove; // `value` is not used
};

// Members are those of the object itself, not of objects within. Each name stands once in `edits`.
// ERR_LIMIT when `out` is full.
enum err json_splice(str object, const struct json_edit *edits, size_t len,
                     struct buf *out) MUST_USE;

// Leave one member out, found in the text by the document that was parsed from it: *ret_before and
// *ret_after are what stands around it, its comma gone with it. False: it is not there.
bool json_cut(const struct json_doc *d, str text, const char *name, str *ret_before,
              str *ret_after) MUST_USE;
