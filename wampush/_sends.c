/* Threads that share sends. The caller is one of them; the others wait for the next call. Signals go to
 * other threads than these.
 *
 * A call shows its sends. Everybody takes the next few of them, until there are none; then the caller
 * waits for those who still send. So a thread that wakes late delays nobody.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "_sends.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0
#endif

/* Sends that a thread takes at a time: about 60 us, in which taking the lock counts for nothing, and
 * which is the longest that the caller waits at the end.
 */
#define SENDS_AT_A_TIME 16

struct SendPool {
    pid_t process;   /* that the threads belong to; constant */
    int started;     /* threads besides the caller; constant once all are */
    pthread_t threads[THREADS_MOST - 1];
    pthread_mutex_t lock; /* of everything below */
    pthread_cond_t begun; /* there are sends, or it is the end */
    pthread_cond_t done;  /* no other thread sends any more */
    Send *sends;          /* of the present call; NULL between calls */
    size_t count;
    size_t next; /* the first that nobody has taken */
    int sending; /* threads besides the caller that do so now */
    int is_ending;
};

void
send_alone(Send *sends, size_t count)
{
    for (size_t index = 0; index < count; index++) {
        Send *each = &sends[index];
        if (each->descriptor < 0) {
            each->sent = -EBADF;
            continue;
        }
        ssize_t sent;
        do {
            sent = send(each->descriptor, each->data, each->size, MSG_DONTWAIT | MSG_NOSIGNAL);
        } while (sent < 0 && errno == EINTR);
        if (sent >= 0) {
            each->sent = sent;
        }
        else {
            each->sent = errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -(ssize_t)errno;
        }
    }
}

/* Take and do sends until there are none; called with the lock, which is released meanwhile. */
static void
take_part(SendPool *pool)
{
    while (pool->next < pool->count) {
        Send *first = pool->sends + pool->next;
        size_t left = pool->count - pool->next;
        size_t taken = left < SENDS_AT_A_TIME ? left : SENDS_AT_A_TIME;
        pool->next += taken;
        pthread_mutex_unlock(&pool->lock);
        send_alone(first, taken);
        pthread_mutex_lock(&pool->lock);
    }
}

/* What a thread does until the end. */
static void *
run_thread(void *argument)
{
    SendPool *pool = argument;
    pthread_mutex_lock(&pool->lock);
    while (!pool->is_ending) {
        if (pool->next == pool->count) {
            pthread_cond_wait(&pool->begun, &pool->lock);
            continue;
        }
        pool->sending++;
        take_part(pool);
        pool->sending--;
        if (pool->sending == 0) {
            pthread_cond_signal(&pool->done);
        }
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void
send_together(SendPool *pool, Send *sends, size_t count)
{
    if (pool->process != getpid()) {
        /* The lock may have been held when the process was forked, by a thread that is not here. */
        send_alone(sends, count);
        return;
    }
    pthread_mutex_lock(&pool->lock);
    if (pool->sends != NULL) {
        pthread_mutex_unlock(&pool->lock);
        send_alone(sends, count);
        return;
    }
    pool->sends = sends;
    pool->count = count;
    pool->next = 0;
    pthread_cond_broadcast(&pool->begun);
    take_part(pool);
    while (pool->sending > 0) {
        pthread_cond_wait(&pool->done, &pool->lock);
    }
    pool->sends = NULL;
    pool->count = 0;
    pool->next = 0;
    pthread_mutex_unlock(&pool->lock);
}

/* Start one thread after the other; 0, or why one could not be started. */
static int
start_threads(SendPool *pool, int wanted)
{
    sigset_t all, before;
    sigfillset(&all);
    /* A thread inherits what is blocked. */
    int error = pthread_sigmask(SIG_SETMASK, &all, &before);
    if (error != 0) {
        return error;
    }
    while (error == 0 && pool->started < wanted) {
        error = pthread_create(&pool->threads[pool->started], NULL, run_thread, pool);
        if (error == 0) {
            pool->started++;
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

int
pool_start(int count, SendPool **started)
{
    SendPool *pool = calloc(1, sizeof(SendPool));
    if (pool == NULL) {
        return ENOMEM;
    }
    pool->process = getpid();
    int error = pthread_mutex_init(&pool->lock, NULL);
    if (error != 0) {
        goto no_lock;
    }
    error = pthread_cond_init(&pool->begun, NULL);
    if (error != 0) {
        goto no_begun;
    }
    error = pthread_cond_init(&pool->done, NULL);
    if (error != 0) {
        goto no_done;
    }
    error = start_threads(pool, count - 1);
    if (error != 0) {
        pool_end(pool);
        return error;
    }
    *started = pool;
    return 0;
no_done:
    pthread_cond_destroy(&pool->begun);
no_begun:
    pthread_mutex_destroy(&pool->lock);
no_lock:
    free(pool);
    return error;
}

void
pool_end(SendPool *pool)
{
    if (pool == NULL) {
        return;
    }
    /* In a process that was forked, there is nothing but memory to give back. */
    if (pool->process == getpid()) {
        pthread_mutex_lock(&pool->lock);
        pool->is_ending = 1;
        pthread_cond_broadcast(&pool->begun);
        pthread_mutex_unlock(&pool->lock);
        for (int index = 0; index < pool->started; index++) {
            pthread_join(pool->threads[index], NULL);
        }
        pthread_cond_destroy(&pool->done);
        pthread_cond_destroy(&pool->begun);
        pthread_mutex_destroy(&pool->lock);
    }
    free(pool);
}
