/* What the load generator and the floor share: the clock, descriptors, WebSocket frames.
 *
 * RFC 6455 section 5 describes the frames.
 */
#ifndef WAMPUSH_BENCH_COMMON_H
#define WAMPUSH_BENCH_COMMON_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HANDSHAKE_KEY "dGhlIHNhbXBsZSBub25jZQ=="
/* The proof for that key, as RFC 6455 section 1.3 computes it. */
#define HANDSHAKE_PROOF "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

static inline uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline void die(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(2);
}

static inline void *need(void *memory)
{
	if (!memory)
		die("memory");
	return memory;
}

/* All the descriptors that are allowed, and no process left behind when the driver is killed. */
static inline void prepare_process(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		die("getrlimit");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		die("setrlimit");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
}

static inline struct sockaddr_in loopback(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return at;
}

/* The header of an unfragmented frame; `masked` is 0x80 or 0.  At most 10 bytes, no mask key. */
static inline size_t frame_header(uint8_t *out, int opcode, size_t size, uint8_t masked)
{
	out[0] = (uint8_t)(0x80 | opcode);
	if (size < 126) {
		out[1] = (uint8_t)(masked | size);
		return 2;
	}
	if (size < 65536) {
		out[1] = masked | 126;
		out[2] = (uint8_t)(size >> 8);
		out[3] = (uint8_t)size;
		return 4;
	}
	out[1] = masked | 127;
	for (int i = 0; i < 8; i++)
		out[2 + i] = (uint8_t)((uint64_t)size >> (56 - 8 * i));
	return 10;
}

/* The header of a frame that has come so far, or 0 while it lacks bytes. */
static inline size_t parse_header(const uint8_t *in, size_t have, uint64_t *size)
{
	size_t header = 2;
	if (have < 2)
		return 0;
	*size = in[1] & 0x7f;
	if (*size == 126) {
		header = 4;
		if (have < header)
			return 0;
		*size = (uint64_t)in[2] << 8 | in[3];
	} else if (*size == 127) {
		header = 10;
		if (have < header)
			return 0;
		*size = 0;
		for (int i = 0; i < 8; i++)
			*size = *size << 8 | in[2 + i];
	}
	return header + (in[1] & 0x80 ? 4 : 0);
}

#endif
