// Records a second through the store alone, as a gateway's proxied chats leave them.
//   bench_store FILE [RECORDS]
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "base/timed_id.h"
#include "store/store.h"

// One record of a proxied chat.
static struct store_request record_of(int64_t n, char id[4 + TIMED_ID_LEN],
                                      struct store_attempt *attempt)
{
    memcpy(id, "req_", 4);
    timed_id_write(id + 4, (uint64_t)(1795000000000 + n / 50), random_counter(7, (uint64_t)n, 0));
    *attempt = (struct store_attempt){.target = STR("upstream/gpt-4o-mini"),
                                      .provider = STR("upstream"),
                                      .model = STR("gpt-4o-mini"),
                                      .reason = STR("first"),
                                      .breaker = STR("closed"),
                                      .result = STR("answered"),
                                      .upstream_status = 200,
                                      .upstream_request_id = STR("up-0123456789abcdef"),
                                      .started_us = 60 + n % 7,
                                      .first_us = 400 + n % 90,
                                      .ended_us = 420 + n % 90,
                                      .prompt_tokens = 120 + n % 40,
                                      .completion_tokens = 64,
                                      .cost_nano_usd = 56400 + n % 100,
                                      .protocol = STR("http/1.1")};
    return (struct store_request){.id = str_slice(id, 4 + TIMED_ID_LEN),
                                  .started_ms = 1795000000000 + n,
                                  .endpoint = STR("chat"),
                                  .status = 200,
                                  .outcome = STR("ok"),
                                  .key = STR("bench"),
                                  .key_id = STR("k_0123456789abcdef"),
                                  .peer = STR("127.0.0.1"),
                                  .model = STR("gpt-4o-mini"),
                                  .provider = STR("upstream"),
                                  .choices = 1,
                                  .finish = STR("stop"),
                                  .prompt_tokens = 120 + n % 40,
                                  .completion_tokens = 64,
                                  .reserved_tokens = 184,
                                  .attempts = attempt,
                                  .attempts_len = 1,
                                  .cost_nano_usd = 56400 + n % 100,
                                  .spend_nano_usd = 56400 + n % 100,
                                  .read_us = 20,
                                  .admitted_us = 40,
                                  .first_us = 410 + n % 90,
                                  .total_us = 430 + n % 90,
                                  .overhead_us = 70};
}

int main(int argc, char **argv)
{
    struct store_options o = {.records_max = INT64_MAX};
    struct store *s;
    struct diag d = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: bench_store FILE [RECORDS]\n");
        return 2;
    }
    int64_t records = argc > 2 ? strtoll(argv[2], NULL, 10) : 200000;
    o.path = argv[1];
    if (store_open(&o, &s, &d) != ERR_OK) {
        fprintf(stderr, "bench_store: %s\n", d.text);
        return 1;
    }
    uint64_t start = clock_mono_ns();
    for (int64_t i = 0; i < records; i++) {
        char id[4 + TIMED_ID_LEN];
        struct store_attempt attempt;
        struct store_request r = record_of(i, id, &attempt);
        while (!store_put(s, &r))
            usleep(1000);
    }
    bool all = store_flush(s, 600000);
    double seconds = 1e-9 * (double)(clock_mono_ns() - start);
    printf("{\"records\":%lld,\"records_per_second\":%.0f}\n", (long long)records,
           (double)records / seconds);
    store_close(s);
    return all ? 0 : 1;
}
