#include "engine/park.h"

#include <time.h>

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "base/banned.h"

enum { AWAKE, SIGNALLED, ASLEEP };

void park_init(struct park *p)
{
    atomic_init(&p->state, AWAKE);
}

#if defined(__linux__)
static void sleep_while_asleep(struct park *p, uint32_t timeout_ms)
{
    struct timespec t = {.tv_sec = timeout_ms / 1000,
                         .tv_nsec = (long)(timeout_ms % 1000) * 1000000};
    syscall(SYS_futex, &p->state, FUTEX_WAIT_PRIVATE, ASLEEP,
            timeout_ms == PARK_FOREVER ? NULL : &t, NULL, 0);
}

static void rouse(struct park *p)
{
    syscall(SYS_futex, &p->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}
#else
// Without a futex the sleeper looks every few milliseconds: correct, and portable everywhere.
static void sleep_while_asleep(struct park *p, uint32_t timeout_ms)
{
    enum { LOOK_MS = 2 };
    struct timespec t = {.tv_nsec = LOOK_MS * 1000000L};
    for (uint32_t slept = 0;
         (slept < timeout_ms || timeout_ms == PARK_FOREVER) && atomic_load(&p->state) == ASLEEP;
         slept += LOOK_MS)
        nanosleep(&t, NULL);
}

static void rouse(struct park *p)
{
    (void)p;
}
#endif

void park_signal(struct park *p)
{
    if (atomic_exchange(&p->state, SIGNALLED) == ASLEEP)
        rouse(p);
}

void park_wait(struct park *p, uint32_t timeout_ms)
{
    uint32_t expected = AWAKE;
    if (atomic_compare_exchange_strong(&p->state, &expected, ASLEEP))
        sleep_while_asleep(p, timeout_ms);
    atomic_exchange(&p->state, AWAKE);
}
