/* Sends to many sockets, by one thread or by several. Nothing here knows Python, so nothing needs the
 * GIL. Belongs to the extension; see _speedups.c.
 */
#ifndef WAMPUSH_SENDS_H
#define WAMPUSH_SENDS_H

#include <stddef.h>
#include <sys/types.h>

/* One send: what, where to, and how it went. */
typedef struct {
    const char *data;
    size_t size;
    ssize_t sent;   /* bytes, 0 when the socket takes none now, or a negative errno */
    int descriptor; /* -1 for a socket that is closed */
} Send;

/* As many as a machine may have cores for one server. */
#define THREADS_MOST 16

/* Threads that share sends. */
typedef struct SendPool SendPool;

/* Do sends and fill in how they went. */
void send_alone(Send *sends, size_t count);

/* Start threads.
 *
 * count: of the threads, from 2 to THREADS_MOST; one of them is the caller of send_together.
 * Returns 0, or the errno because of which a thread could not be started; then none is left.
 */
int pool_start(int count, SendPool **started);

/* Do the same as send_alone, in no certain order. In a process that was forked since pool_start, and
 * while another thread is in such a call, the caller does all of it alone.
 */
void send_together(SendPool *pool, Send *sends, size_t count);

/* End the threads, and wait for that; nobody may be in send_together. NULL is nothing to end. */
void pool_end(SendPool *pool);

#endif
