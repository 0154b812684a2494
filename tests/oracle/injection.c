// oracle_injection: reads texts (a line "LENGTH\n", then as many bytes, over and over) from
// standard input and writes "SCORE SIGN SIGN …\n" for each. For tests/oracle/injection_test.py.
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "guard/injection.h"

enum { TEXT_BYTES_MAX = 1 << 24 };

static bool read_text(char *text, size_t *ret_len)
{
    char line[32];
    uint64_t len;
    if (!fgets(line, sizeof line, stdin) || str_to_u64(str_trim(str_of(line)), &len) != ERR_OK ||
        len > TEXT_BYTES_MAX)
        return false;
    *ret_len = len;
    return fread(text, 1, len, stdin) == len;
}

int main(void)
{
    struct injection *j = injection_new();
    struct scan_scratch scratch;
    char *text = mem_alloc(TEXT_BYTES_MAX);
    size_t len;
    injection_scratch_init(&scratch, j);
    while (read_text(text, &len)) {
        struct injection_stream s;
        injection_stream_init(&s, j);
        injection_stream_feed(&s, &scratch, str_slice(text, len));
        injection_stream_end(&s, &scratch);
        printf("%.4f", injection_score(s.signs));
        for (int i = 0; i < INJECTION_SIGNS; i++)
            if (s.signs >> i & 1)
                printf(" %s", injection_sign_name((enum injection_sign)i));
        putchar('\n');
        injection_stream_done(&s);
    }
    mem_free(text);
    scan_scratch_done(&scratch);
    injection_free(j);
    return 0;
}
