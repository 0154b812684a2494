#include "base/json_steps.h"

#include <string.h>

#include "base/banned.h"

enum number {
    NUMBER_MINUS,
    NUMBER_ZERO,
    NUMBER_WHOLE,
    NUMBER_POINT,
    NUMBER_FRACTION,
    NUMBER_E,
    NUMBER_SIGN,
    NUMBER_EXPONENT
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool json_steps_in_string(const struct json_steps *s)
{
    return s->place == JSON_PLACE_IN_KEY || s->place == JSON_PLACE_IN_TEXT;
}

static enum json_step open_bracket(struct json_steps *s, bool object)
{
    if (s->depth == JSON_STEPS_DEPTH_MAX)
        return JSON_STEP_BAD;
    uint64_t bit = 1ull << s->depth++;
    s->objects = object ? s->objects | bit : s->objects & ~bit;
    s->place = object ? JSON_PLACE_KEY_OR_END : JSON_PLACE_VALUE_OR_END;
    return JSON_STEP_MORE;
}

static bool in_object(const struct json_steps *s)
{
    return s->objects >> (s->depth - 1) & 1;
}

static enum json_step close_bracket(struct json_steps *s)
{
    s->place = --s->depth ? JSON_PLACE_COMMA_OR_END : JSON_PLACE_END;
    return s->depth ? JSON_STEP_MORE : JSON_STEP_DONE;
}

static enum json_step begin_word(struct json_steps *s, const char *rest)
{
    s->word = rest;
    s->place = JSON_PLACE_IN_WORD;
    return JSON_STEP_MORE;
}

static enum json_step begin_value(struct json_steps *s, char c)
{
    switch (c) {
    case '{':
        return open_bracket(s, true);
    case '[':
        return open_bracket(s, false);
    case '"':
        s->place = JSON_PLACE_IN_TEXT;
        return JSON_STEP_MORE;
    case 't':
        return begin_word(s, "rue");
    case 'f':
        return begin_word(s, "alse");
    case 'n':
        return begin_word(s, "ull");
    default:
        if (c != '-' && !is_digit(c))
            return JSON_STEP_BAD;
        s->place = JSON_PLACE_IN_NUMBER;
        s->number = c == '-' ? NUMBER_MINUS : c == '0' ? NUMBER_ZERO : NUMBER_WHOLE;
        return JSON_STEP_MORE;
    }
}

static enum json_step in_string(struct json_steps *s, char c)
{
    if (s->escape == 1) {
        if (!strchr("\"\\/bfnrtu", c) || !c)
            return JSON_STEP_BAD;
        s->escape = c == 'u' ? 2 : 0;
    } else if (s->escape) {
        if (!is_hex(c))
            return JSON_STEP_BAD;
        s->escape = s->escape == 5 ? 0 : s->escape + 1;
    } else if (c == '\\') {
        s->escape = 1;
    } else if (c == '"') {
        s->place = s->place == JSON_PLACE_IN_KEY ? JSON_PLACE_COLON : JSON_PLACE_COMMA_OR_END;
    } else if ((unsigned char)c < ' ') {
        return JSON_STEP_BAD;
    }
    return JSON_STEP_MORE;
}

static enum json_step in_word(struct json_steps *s, char c)
{
    if (c != *s->word)
        return JSON_STEP_BAD;
    if (!*++s->word)
        s->place = JSON_PLACE_COMMA_OR_END;
    return JSON_STEP_MORE;
}

static enum json_step after_value(struct json_steps *s, char c)
{
    if (c == ',') {
        s->place = in_object(s) ? JSON_PLACE_KEY : JSON_PLACE_VALUE;
        return JSON_STEP_MORE;
    }
    if (is_blank(c)) {
        s->place = JSON_PLACE_COMMA_OR_END;
        return JSON_STEP_MORE;
    }
    return c == (in_object(s) ? '}' : ']') ? close_bracket(s) : JSON_STEP_BAD;
}

static enum json_step in_number(struct json_steps *s, char c)
{
    static const struct {
        unsigned on_digit, on_point, on_e; // what part comes then; 0: the number cannot go on so
        bool complete;
    } parts[] = {
        [NUMBER_MINUS] = {NUMBER_WHOLE, 0, 0, false},
        [NUMBER_ZERO] = {0, NUMBER_POINT, NUMBER_E, true},
        [NUMBER_WHOLE] = {NUMBER_WHOLE, NUMBER_POINT, NUMBER_E, true},
        [NUMBER_POINT] = {NUMBER_FRACTION, 0, 0, false},
        [NUMBER_FRACTION] = {NUMBER_FRACTION, 0, NUMBER_E, true},
        [NUMBER_E] = {NUMBER_EXPONENT, 0, 0, false},
        [NUMBER_SIGN] = {NUMBER_EXPONENT, 0, 0, false},
        [NUMBER_EXPONENT] = {NUMBER_EXPONENT, 0, 0, true},
    };
    unsigned next = is_digit(c)            ? parts[s->number].on_digit
                    : c == '.'             ? parts[s->number].on_point
                    : c == 'e' || c == 'E' ? parts[s->number].on_e
                                           : 0;
    if (s->number == NUMBER_E && (c == '+' || c == '-'))
        next = NUMBER_SIGN;
    if (s->number == NUMBER_MINUS && c == '0')
        next = NUMBER_ZERO;
    if (!next)
        return parts[s->number].complete ? after_value(s, c) : JSON_STEP_BAD;
    s->number = next;
    return JSON_STEP_MORE;
}

static enum json_step between(struct json_steps *s, char c)
{
    bool end = s->place == JSON_PLACE_KEY_OR_END || s->place == JSON_PLACE_VALUE_OR_END;
    bool key = s->place == JSON_PLACE_KEY_OR_END || s->place == JSON_PLACE_KEY;
    if (is_blank(c))
        return JSON_STEP_MORE;
    if (end && c == (key ? '}' : ']'))
        return close_bracket(s);
    if (key) {
        s->place = JSON_PLACE_IN_KEY;
        return c == '"' ? JSON_STEP_MORE : JSON_STEP_BAD;
    }
    if (s->place == JSON_PLACE_COLON) {
        s->place = JSON_PLACE_VALUE;
        return c == ':' ? JSON_STEP_MORE : JSON_STEP_BAD;
    }
    if (s->place == JSON_PLACE_BEGIN && c != '{' && c != '[')
        return JSON_STEP_BAD;
    return begin_value(s, c);
}

enum json_step json_steps_feed(struct json_steps *s, char c)
{
    switch (s->place) {
    case JSON_PLACE_IN_KEY:
    case JSON_PLACE_IN_TEXT:
        return in_string(s, c);
    case JSON_PLACE_IN_WORD:
        return in_word(s, c);
    case JSON_PLACE_IN_NUMBER:
        return in_number(s, c);
    case JSON_PLACE_COMMA_OR_END:
        return after_value(s, c);
    case JSON_PLACE_END:
        return JSON_STEP_BAD;
    case JSON_PLACE_BEGIN:
    case JSON_PLACE_KEY_OR_END:
    case JSON_PLACE_KEY:
    case JSON_PLACE_COLON:
    case JSON_PLACE_VALUE:
    case JSON_PLACE_VALUE_OR_END:
        break;
    }
    return between(s, c);
}
