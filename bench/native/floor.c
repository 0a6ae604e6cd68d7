/* floor - the least that a fan-out server can do, to measure servers against.
 *
 *   floor [-1 | -r REDIS_PORT] PORT FEED_PORT
 *
 * Accepts WebSocket clients on PORT, answers each upgrade with 101 and a WELCOME in one send, and
 * counts a client as a receiver once it has sent anything more.  One publisher connects to
 * FEED_PORT and sends records: a length (32 bits, little endian) and a JSON payload.  Whatever
 * records one read brings are framed as [8,"bench",PAYLOAD] and handed to every receiver with one
 * send; with -1, with one send for each record.
 *
 * With -r, it is the floor of several nodes: records are published to a channel of a Redis server,
 * and what that channel brings is framed and handed over, whoever has published it.
 *
 * There is no parsing, no policy, no queue: a receiver that takes nothing is waited for, and then
 * dropped.  What is left is the kernel's cost.
 */
#define _GNU_SOURCE
#include "common.h"
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>

enum { READ_BYTES = 1 << 18, MAX_RECORD = 1 << 21, PATIENCE_MS = 2000 };
enum { FRESH, UPGRADED, RECEIVER };

typedef struct client {
	int fd, state;
	size_t place; /* in receivers */
} client;

static client **receivers;
static size_t receiver_count, receiver_room;
static int poller, each_alone;
static int listening, feed_listening, feed = -1, commands = -1, channel = -1;
static char listening_mark, feed_listening_mark, feed_mark, commands_mark, channel_mark;
/* What is made of the records of one read: frames, or commands. */
static uint8_t out[2 * (MAX_RECORD + READ_BYTES)];

static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			     "Connection: Upgrade\r\nSec-WebSocket-Accept: " HANDSHAKE_PROOF
			     "\r\nSec-WebSocket-Protocol: wamp\r\n\r\n"
			     "\x81\x33" "[0,\"AAAAAAAAAAAAAAAAAAAAAA\",1,\"floor/1.0.0-bare-x\"]";

static void watch(int fd, void *mark)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = mark};
	if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event))
		die("epoll_ctl");
}

static int listen_on(int port)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct sockaddr_in at = loopback(port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(fd, (void *)&at, sizeof at) || listen(fd, 4096))
		die("listen");
	return fd;
}

static void drop(client *c)
{
	if (c->state == RECEIVER) {
		receivers[c->place] = receivers[--receiver_count];
		receivers[c->place]->place = c->place;
	}
	close(c->fd);
	free(c);
}

static void accept_clients(void)
{
	int fd, one = 1;
	/* A bounded share a turn, so that those who are accepted are answered meanwhile. */
	for (int i = 0; i < 64 && (fd = accept4(listening, 0, 0, SOCK_NONBLOCK)) >= 0; i++) {
		client *c = need(calloc(1, sizeof *c));
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
		c->fd = fd;
		watch(fd, c);
	}
}

static void read_client(client *c)
{
	static char data[65536];
	ssize_t size = recv(c->fd, data, sizeof data, 0);
	if (size <= 0) {
		if (size == 0 || errno != EAGAIN)
			drop(c);
		return;
	}
	if (c->state == FRESH) {
		/* The load generator sends its request with one send, so it arrives whole. */
		if (send(c->fd, answer, sizeof answer - 1, MSG_NOSIGNAL) < 0) {
			drop(c);
			return;
		}
		c->state = UPGRADED;
	} else if (c->state == UPGRADED) {
		if (receiver_count == receiver_room) {
			receiver_room = receiver_room * 2 + 1024;
			receivers = need(realloc(receivers, receiver_room * sizeof *receivers));
		}
		c->state = RECEIVER;
		c->place = receiver_count;
		receivers[receiver_count++] = c;
	}
}

static int hand_over(int fd, const uint8_t *data, size_t size)
{
	while (size) {
		ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
		if (sent > 0) {
			data += sent;
			size -= (size_t)sent;
		} else {
			struct pollfd wait = {fd, POLLOUT, 0};
			if (errno != EAGAIN || poll(&wait, 1, PATIENCE_MS) <= 0)
				return 0;
		}
	}
	return 1;
}

static void send_all(const uint8_t *data, size_t size)
{
	for (size_t i = receiver_count; i-- > 0;)
		if (!hand_over(receivers[i]->fd, data, size)) {
			fprintf(stderr, "dropped a receiver that took nothing\n");
			/* Its client structure may be in the events of this turn: only the socket ends. */
			shutdown(receivers[i]->fd, SHUT_RDWR);
		}
}

/* Append the frame of an event; returns where it ends. */
static size_t add_frame(size_t made, const uint8_t *payload, size_t size)
{
	static const char front[] = "[8,\"bench\",";
	const size_t front_size = sizeof front - 1;
	made += frame_header(out + made, OP_TEXT, front_size + size + 1, 0);
	memcpy(out + made, front, front_size);
	memcpy(out + made + front_size, payload, size);
	made += front_size + size;
	out[made++] = ']';
	return made;
}

/* Append the command that publishes a payload; returns where it ends. */
static size_t add_command(size_t made, const uint8_t *payload, size_t size)
{
	made += (size_t)sprintf((char *)out + made,
				"*3\r\n$7\r\nPUBLISH\r\n$5\r\nfloor\r\n$%zu\r\n", size);
	memcpy(out + made, payload, size);
	memcpy(out + made + size, "\r\n", 2);
	return made + size + 2;
}

/* Read what has come on the feed and hand the whole records of it on. */
static void read_feed(void)
{
	static uint8_t in[MAX_RECORD + READ_BYTES];
	static size_t have;
	ssize_t size = recv(feed, in + have, READ_BYTES, 0);
	if (size <= 0) {
		if (size == 0 || errno != EAGAIN) {
			close(feed);
			feed = -1;
			have = 0;
		}
		return;
	}
	have += (size_t)size;
	size_t at = 0, made = 0;
	while (have - at >= 4) {
		uint32_t record;
		memcpy(&record, in + at, 4);
		if (record > MAX_RECORD) {
			fprintf(stderr, "a record of %u bytes\n", record);
			exit(2);
		}
		if (have - at - 4 < record)
			break;
		if (commands >= 0)
			made = add_command(made, in + at + 4, record);
		else
			made = add_frame(made, in + at + 4, record);
		at += 4 + record;
		if (each_alone) {
			send_all(out, made);
			made = 0;
		}
	}
	memmove(in, in + at, have - at);
	have -= at;
	if (made && commands < 0)
		send_all(out, made);
	else if (made && !hand_over(commands, out, made))
		die("redis");
}

static int connect_to_redis(int port, void *mark)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in at = loopback(port);
	if (connect(fd, (void *)&at, sizeof at))
		die("redis");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	watch(fd, mark);
	return fd;
}

static void join_redis(int port)
{
	static const char subscribe[] = "*2\r\n$9\r\nSUBSCRIBE\r\n$5\r\nfloor\r\n";
	static const char confirmed[] = "*3\r\n$9\r\nsubscribe\r\n$5\r\nfloor\r\n:1\r\n";
	char answer[sizeof confirmed];
	commands = connect_to_redis(port, &commands_mark);
	channel = connect_to_redis(port, &channel_mark);
	if (!hand_over(channel, (const uint8_t *)subscribe, sizeof subscribe - 1) ||
	    recv(channel, answer, sizeof confirmed - 1, MSG_WAITALL) != sizeof confirmed - 1)
		die("redis");
}

/* How many nodes have got what was published is of no interest. */
static void read_answers(void)
{
	static char answers[READ_BYTES];
	if (recv(commands, answers, sizeof answers, 0) <= 0)
		die("redis");
}

/* Read what the channel has brought and send the whole messages of it. */
static void read_channel(void)
{
	static const char front[] = "*3\r\n$7\r\nmessage\r\n$5\r\nfloor\r\n$";
	const size_t front_size = sizeof front - 1;
	static uint8_t in[MAX_RECORD + READ_BYTES + 1];
	static size_t have;
	ssize_t size = recv(channel, in + have, READ_BYTES, 0);
	if (size <= 0)
		die("redis");
	have += (size_t)size;
	in[have] = 0;
	size_t at = 0, made = 0;
	while (have - at > front_size) {
		char *rest;
		size_t payload = strtoul((char *)in + at + front_size, &rest, 10);
		uint8_t *begin = (uint8_t *)rest + 2;
		if (payload > MAX_RECORD) {
			fprintf(stderr, "a message of %zu bytes\n", payload);
			exit(2);
		}
		if (begin + payload + 2 > in + have)
			break;
		made = add_frame(made, begin, payload);
		at = (size_t)(begin + payload + 2 - in);
	}
	memmove(in, in + at, have - at);
	have -= at;
	if (made)
		send_all(out, made);
}

int main(int argc, char **argv)
{
	int redis = 0;
	for (int o; (o = getopt(argc, argv, "1r:")) != -1;)
		switch (o) {
		case '1': each_alone = 1; break;
		case 'r': redis = atoi(optarg); break;
		default: optind = argc;
		}
	if (argc != optind + 2 || (each_alone && redis)) {
		fprintf(stderr, "usage: floor [-1 | -r REDIS_PORT] PORT FEED_PORT\n");
		return 1;
	}
	prepare_process();
	poller = epoll_create1(0);
	if (redis)
		join_redis(redis);
	listening = listen_on(atoi(argv[optind]));
	feed_listening = listen_on(atoi(argv[optind + 1]));
	watch(listening, &listening_mark);
	watch(feed_listening, &feed_listening_mark);
	puts("listening");
	fflush(stdout);
	for (;;) {
		struct epoll_event events[512];
		int count = epoll_wait(poller, events, 512, -1);
		for (int i = 0; i < count; i++) {
			void *mark = events[i].data.ptr;
			if (mark == &listening_mark)
				accept_clients();
			else if (mark == &feed_mark)
				read_feed();
			else if (mark == &commands_mark)
				read_answers();
			else if (mark == &channel_mark)
				read_channel();
			else if (mark == &feed_listening_mark) {
				feed = accept4(feed_listening, 0, 0, SOCK_NONBLOCK);
				if (feed >= 0)
					watch(feed, &feed_mark);
			} else
				read_client(mark);
		}
	}
}
