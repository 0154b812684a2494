#include "gateway/worker.h"

#include <pthread.h>

#include "base/mem.h"
#include "base/thread.h"

#include "base/banned.h"

#define THREADS_MAX 16

struct item {
    struct item *next;          // waiting (under the lock)
    struct item *newer, *older; // handed in and not yet done (loop thread)
    struct offload *offload;
    struct loop_wake wake;
    struct worker *worker;
};

struct worker {
    struct loop *loop;
    struct thread threads[THREADS_MAX];
    uint32_t threads_len, depth, depth_max;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct item *first, **last;
    bool closing;
    struct item *newest; // all that are not yet done (loop thread)
};

// The next item, or NULL when the pool closes and nothing waits.
static struct item *take(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    while (!w->first && !w->closing)
        pthread_cond_wait(&w->work, &w->lock);
    struct item *it = w->first;
    if (it) {
        w->first = it->next;
        if (!w->first)
            w->last = &w->first;
        w->depth--;
    }
    pthread_mutex_unlock(&w->lock);
    return it;
}

static void thread_main(void *arg)
{
    struct worker *w = arg;
    for (struct item *it; (it = take(w));) {
        it->offload->run(it->offload->ctx);
        loop_wake_signal(&it->wake);
    }
}

static void unlink_item(struct item *it)
{
    if (it->newer)
        it->newer->older = it->older;
    else
        it->worker->newest = it->older;
    if (it->older)
        it->older->newer = it->newer;
}

static void link_item(struct worker *w, struct item *it)
{
    it->older = w->newest;
    if (w->newest)
        w->newest->newer = it;
    w->newest = it;
}

static void item_done(void *ctx)
{
    struct item *it = ctx;
    struct offload *o = it->offload;
    loop_wake_done(&it->wake);
    unlink_item(it);
    mem_free(it);
    o->slot = NULL;
    o->done(o->ctx);
}

enum err worker_submit(struct worker *w, struct offload *o)
{
    struct item *it = mem_new(struct item);
    *it = (struct item){.offload = o, .worker = w};
    loop_wake_init(w->loop, &it->wake, item_done, it);
    pthread_mutex_lock(&w->lock);
    bool room = w->depth < w->depth_max;
    if (room) {
        o->slot = it;
        *w->last = it;
        w->last = &it->next;
        w->depth++;
        pthread_cond_signal(&w->work);
    }
    pthread_mutex_unlock(&w->lock);
    if (room) {
        link_item(w, it);
        return ERR_OK;
    }
    loop_wake_done(&it->wake);
    mem_free(it);
    return ERR_BUSY;
}

enum err worker_new(struct loop *l, uint32_t threads, uint32_t depth_max, struct worker **ret,
                    struct diag *d)
{
    struct worker *w = mem_new(struct worker);
    w->loop = l;
    w->depth_max = depth_max;
    w->last = &w->first;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->work, NULL);
    for (uint32_t i = 0; i < threads && i < THREADS_MAX; i++) {
        enum err e = thread_start(&w->threads[i], "weir-worker", thread_main, w, d);
        if (e != ERR_OK) {
            worker_free(w);
            return e;
        }
        w->threads_len++;
    }
    *ret = w;
    return ERR_OK;
}

void worker_free(struct worker *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_cond_broadcast(&w->work);
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < w->threads_len; i++)
        thread_join(&w->threads[i]);
    while (w->newest)
        item_done(w->newest);
    pthread_cond_destroy(&w->work);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}
