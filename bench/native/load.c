/* load - many WebSocket clients of one server, and what reaches them.
 *
 *   load [options] PORT
 *
 *   -n N     clients (1)                     -c M     how many may be opening at once (64)
 *   -s TOPIC subscribe to it (bench); %d becomes the client's number
 *   -e N     events that each client shall get; ends when all have them
 *   -t S     seconds from "ready" at most (30)
 *   -z K     the last K clients stop reading once all are open; they are left out of the counts
 *   -Z S     they read again S seconds later, and shall then get all events like the others; what
 *            they get from then on is left out of the latencies.  Latencies of the others from
 *            then until the last of these clients has caught up are also told apart
 *   -r N     read N bytes per second and client once all are open, with little room in the kernel
 *   -C N     N cycles of connect, subscribe, disconnect instead; -n is how many at a time
 *   -m TEXT  send this message instead of SUBSCRIBE, such as a call of wampush.subscribe
 *   -k K     that number is taken modulo K
 *   -L       local addresses of all of 127.0.0.0/8, for more clients than one address has ports
 *
 * A client is open when it got 101 with the right proof and WELCOME.  When all are open, a line
 * {"open":...} is printed.  The run ends by -e, by -t or by the end of standard input; then
 * the last line, a JSON object, tells what was received.  A digit below 3 on standard input names
 * the part of the run that begins; without one it is 0.  The latencies of each are shown "apart".
 * A part may begin several times, and again while it is under way: "median_p99_us" is the median of
 * the p99 of these times, which a few pauses of the machine do not change.
 *
 * An event is a text frame that begins with [8, and whose payload holds "n":SEQUENCE and
 * "t":CLOCK_MONOTONIC-nanoseconds within its first bytes.  Per client, a sequence that does not
 * follow the one before is a gap or, when it is not larger, disorder.  The latency of an event is
 * the time from "t" to the return of the read that completed it.
 */
#define _GNU_SOURCE
#include "common.h"
#include <netinet/tcp.h>
#include <sys/epoll.h>

enum { IDLE, CONNECTING, UPGRADING, OPEN, GONE };
enum { SLOW_MS = 10 };
/* A client has caught up when it gets an event this soon after it was sent, or the last one. */
enum { CAUGHT_UP_MS = 100 };
/* Bytes of a frame that are looked at: the longest control frame, or the front of an event. */
enum { PARTS = 3, HEAD = 256, TURN = 512, SUB_BUCKETS = 128, BUCKETS = SUB_BUCKETS * 40 };
/* How often a part may begin; of what comes after that, no median is taken. */
enum { TIMES = 1024 };

typedef struct {
	int fd, state, number;
	int stalled, resumed, behind;
	uint32_t have; /* bytes in head */
	uint64_t skip; /* bytes of the frame in hand that need not be looked at */
	int64_t received, last, sequence;
	uint64_t sent_at; /* of the frame in hand; 0: not an event */
	uint8_t head[HEAD];
} client;

static struct {
	int port, clients, at_once, stalled, spread, topics;
	long expected, cycles, rate;
	double seconds, resume;
	const char *topic, *message;
} opt = {.clients = 1, .at_once = 64, .expected = -1, .seconds = 30, .topic = "bench"};

static client *clients;
static int poller;
static long opened, opening, failed, closed_by_server, complete, cycles_begun, cycles_done;
static int64_t total, bytes, gaps, disorder;
static uint64_t first_sent, last_received;
static struct latencies {
	int64_t histogram[BUCKETS], count;
	double sum;
	uint64_t longest;
} whole, parts[PARTS], catching_up, since_begin;
static int part; /* the one that is under way */
static struct times {
	double p99[TIMES];
	int count;
} times[PARTS];
/* From when the stalled clients read again until none is behind. */
static uint64_t resumed_at, caught_up_at;
static int behind;
static int close_code, all_open;
static char stdin_mark;

/* Latencies in microseconds: exact below SUB_BUCKETS, then SUB_BUCKETS steps for each doubling. */
static int bucket_of(uint64_t us)
{
	if (us < SUB_BUCKETS)
		return (int)us;
	int shift = 63 - __builtin_clzll(us) - 7;
	int bucket = SUB_BUCKETS * (shift + 1) + (int)((us >> shift) - SUB_BUCKETS);
	return bucket < BUCKETS ? bucket : BUCKETS - 1;
}

static void note_latency(struct latencies *of, uint64_t took)
{
	of->histogram[bucket_of(took / 1000)]++;
	of->count++;
	of->sum += (double)took;
	if (took > of->longest)
		of->longest = took;
}

static double quantile(const struct latencies *of, double share)
{
	int64_t wanted = (int64_t)((double)of->count * share), seen = 0;
	for (int i = 0; i < BUCKETS; i++) {
		seen += of->histogram[i];
		if (seen > wanted) {
			int shift = i / SUB_BUCKETS - 1;
			return shift < 0 ? i
					 : (double)((uint64_t)(i % SUB_BUCKETS + SUB_BUCKETS) << shift);
		}
	}
	return 0;
}

/* The time of the part under way is over. */
static void end_of_time(void)
{
	struct times *of = &times[part];
	if (since_begin.count && of->count < TIMES)
		of->p99[of->count++] = quantile(&since_begin, .99);
	memset(&since_begin, 0, sizeof since_begin);
}

static int compare(const void *one, const void *other)
{
	double a = *(const double *)one, b = *(const double *)other;
	return (a > b) - (a < b);
}

static double median(struct times *of)
{
	qsort(of->p99, (size_t)of->count, sizeof *of->p99, compare);
	return of->count ? of->p99[of->count / 2] : 0;
}

static void start(client *c)
{
	int one = 1, small = 4096, narrow = 1 << 17;
	struct sockaddr_in at = loopback(opt.port);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (c->fd < 0)
		die("socket");
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	if (c->stalled)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
	else if (opt.rate)
		setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &narrow, sizeof narrow);
	if (opt.spread) {
		struct sockaddr_in from = loopback(0);
		long turn = opt.cycles ? cycles_begun : c->number;
		from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(turn % 200 * 256));
		setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
		if (bind(c->fd, (void *)&from, sizeof from))
			die("bind");
	}
	if (connect(c->fd, (void *)&at, sizeof at) && errno != EINPROGRESS)
		die("connect");
	c->state = CONNECTING;
	c->have = 0;
	c->skip = 0;
	c->last = -1;
	c->sent_at = 0;
	opening++;
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
	if (epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event))
		die("epoll_ctl");
}

static void end(client *c)
{
	close(c->fd);
	if (c->state == OPEN)
		closed_by_server++;
	else {
		opening--;
		failed++;
	}
	c->state = GONE;
	if (opt.cycles && cycles_begun < opt.cycles) {
		cycles_begun++;
		start(c);
	}
}

static int send_text(client *c, const char *text, size_t size)
{
	uint8_t frame[2048];
	size_t header = frame_header(frame, OP_TEXT, size, 0x80);
	static const uint8_t key[4] = {0x3a, 0x91, 0x5c, 0xe7};
	memcpy(frame + header, key, 4);
	for (size_t i = 0; i < size; i++)
		frame[header + 4 + i] = (uint8_t)text[i] ^ key[i & 3];
	size_t whole = header + 4 + size;
	return send(c->fd, frame, whole, MSG_NOSIGNAL) == (ssize_t)whole;
}

/* WELCOME came: subscribe; in a churn, also leave and begin anew. */
static void welcomed(client *c)
{
	char topic[512], text[600];
	c->state = OPEN;
	opening--;
	opened++;
	const char *number = strstr(opt.topic, "%d");
	long which = opt.cycles ? cycles_begun : (long)c->number;
	if (opt.topics)
		which %= opt.topics;
	if (number)
		snprintf(topic, sizeof topic, "%.*s%ld%s", (int)(number - opt.topic), opt.topic,
			 which, number + 2);
	else
		snprintf(topic, sizeof topic, "%s", opt.topic);
	int size = opt.message ? snprintf(text, sizeof text, "%s", opt.message)
			       : snprintf(text, sizeof text, "[5,\"%s\"]", topic);
	if (size >= (int)sizeof text || !send_text(c, text, (size_t)size)) {
		end(c);
		return;
	}
	if (opt.cycles) {
		close(c->fd);
		c->state = GONE;
		cycles_done++;
		if (cycles_begun < opt.cycles) {
			cycles_begun++;
			start(c);
		}
	}
}

static int64_t number_after(const uint8_t *from, const uint8_t *to, const char *name)
{
	const uint8_t *at = memmem(from, (size_t)(to - from), name, strlen(name));
	int64_t value = 0;
	if (!at)
		return -1;
	for (at += strlen(name); at < to && *at >= '0' && *at <= '9'; at++)
		value = value * 10 + (*at - '0');
	return value;
}

static void finish_event(client *c, uint64_t now)
{
	c->received++;
	total++;
	if (c->received == opt.expected && !c->stalled)
		complete++;
	if (c->last >= 0) {
		if (c->sequence <= c->last)
			disorder++;
		else
			gaps += c->sequence - c->last - 1;
	}
	c->last = c->sequence;
	if (!first_sent || c->sent_at < first_sent)
		first_sent = c->sent_at;
	last_received = now;
	if (now > c->sent_at && !c->resumed) {
		note_latency(&whole, now - c->sent_at);
		note_latency(&parts[part], now - c->sent_at);
		note_latency(&since_begin, now - c->sent_at);
		if (behind)
			note_latency(&catching_up, now - c->sent_at);
	}
	if (c->behind && (now < c->sent_at + CAUGHT_UP_MS * 1000000u || c->received == opt.expected)) {
		c->behind = 0;
		if (!--behind)
			caught_up_at = now;
	}
	c->sent_at = 0;
}

/* The front of a frame is there. Returns 0 when the client is gone. */
static int look_at(client *c, const uint8_t *frame, size_t header, size_t have, uint64_t size)
{
	const uint8_t *payload = frame + header, *to = frame + have;
	int opcode = frame[0] & 15;
	if (opcode == OP_PING) {
		uint8_t pong[160];
		size_t front = frame_header(pong, OP_PONG, size, 0x80);
		memset(pong + front, 0, 4);
		memcpy(pong + front + 4, payload, size);
		if (send(c->fd, pong, front + 4 + size, MSG_NOSIGNAL) < 0)
			perror("pong");
	} else if (opcode == OP_CLOSE) {
		if (size >= 2)
			close_code = payload[0] << 8 | payload[1];
	} else if (size > 3 && payload[0] == '[' && payload[2] == ',') {
		if (payload[1] == '0' && c->state == UPGRADING)
			welcomed(c);
		else if (payload[1] == '8') {
			int64_t sent = number_after(payload, to, "\"t\":");
			c->sequence = number_after(payload, to, "\"n\":");
			c->sent_at = sent > 0 ? (uint64_t)sent : 0;
			bytes += (int64_t)size;
		}
	}
	return c->state != GONE;
}

/* Take frames out of new bytes; of each, only the first HEAD bytes are kept until they suffice. */
static void take_frames(client *c, const uint8_t *data, size_t size, uint64_t now)
{
	while (size) {
		if (c->skip) {
			size_t step = c->skip < size ? (size_t)c->skip : size;
			c->skip -= step;
			data += step;
			size -= step;
			if (!c->skip && c->sent_at)
				finish_event(c, now);
			continue;
		}
		const uint8_t *frame = data;
		size_t have = size, before = c->have;
		if (before) {
			size_t step = HEAD - before < size ? HEAD - before : size;
			memcpy(c->head + before, data, step);
			frame = c->head;
			have = before + step;
		}
		uint64_t payload = 0;
		size_t header = parse_header(frame, have, &payload);
		uint64_t whole = header + payload;
		size_t front = whole < HEAD ? (size_t)whole : HEAD;
		if (!header || have < front) {
			if (!before)
				memcpy(c->head, data, size);
			c->have = (uint32_t)have;
			return;
		}
		if (have > whole)
			have = (size_t)whole;
		c->have = 0;
		if (!look_at(c, frame, header, have < HEAD ? have : HEAD, payload))
			return;
		data += have - before;
		size -= have - before;
		c->skip = whole - have;
		if (!c->skip && c->sent_at)
			finish_event(c, now);
	}
}

/* The answer to the upgrade, and perhaps frames behind it. */
static void take_answer(client *c, const uint8_t *data, size_t size)
{
	const uint8_t *rest = memmem(data, size, "\r\n\r\n", 4);
	/* Servers send their short answer whole; a split one counts as failed, and is seen. */
	if (!rest || size < 12 || memcmp(data + 9, "101", 3) ||
	    !memmem(data, size, HANDSHAKE_PROOF, strlen(HANDSHAKE_PROOF))) {
		if (failed < 3)
			fprintf(stderr, "upgrade refused: %.80s\n", (const char *)data);
		end(c);
		return;
	}
	rest += 4;
	c->state = UPGRADING;
	c->sequence = 1; /* the header is over */
	if (rest < data + size)
		take_frames(c, rest, (size_t)(data + size - rest), now_ns());
}

static void connected(client *c)
{
	int error = 0;
	socklen_t size = sizeof error;
	char request[512];
	getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	int length = snprintf(request, sizeof request,
			      "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
			      "Connection: Upgrade\r\nSec-WebSocket-Key: " HANDSHAKE_KEY "\r\n"
			      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: wamp\r\n\r\n",
			      opt.port);
	if (error || send(c->fd, request, (size_t)length, MSG_NOSIGNAL) != length) {
		if (failed < 3)
			fprintf(stderr, "connect: %s\n", strerror(error ? error : errno));
		end(c);
		return;
	}
	c->state = UPGRADING;
	c->sequence = 0; /* still in the header of the answer */
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
	epoll_ctl(poller, EPOLL_CTL_MOD, c->fd, &event);
}

/* Read once, at most so many bytes; returns how many. */
static size_t read_some(client *c, size_t most)
{
	static uint8_t data[(1 << 20) + 1];
	if (most > sizeof data - 1)
		most = sizeof data - 1;
	ssize_t size = recv(c->fd, data, most, 0);
	if (size <= 0) {
		if (size == 0 || errno != EAGAIN)
			end(c);
		return 0;
	}
	data[size] = 0;
	if (c->state == UPGRADING && !c->sequence)
		take_answer(c, data, (size_t)size);
	else
		take_frames(c, data, (size_t)size, now_ns());
	return (size_t)size;
}

static void readable(client *c)
{
	if (all_open && (c->stalled || opt.rate))
		epoll_ctl(poller, EPOLL_CTL_DEL, c->fd, 0);
	else
		read_some(c, 1 << 20);
}

/* Let each client read what it may read in this time. */
static void read_slowly(uint64_t elapsed_ns)
{
	size_t share = (size_t)((double)opt.rate * (double)elapsed_ns / 1e9);
	for (int i = 0; i < opt.clients; i++) {
		client *c = &clients[i];
		size_t left = share, got = 1;
		while (!c->stalled && c->state == OPEN && left && got) {
			got = read_some(c, left);
			left -= got;
		}
	}
}

/* The clients that have stopped reading go on. */
static void resume(void)
{
	for (int i = opt.clients - opt.stalled; i < opt.clients; i++) {
		client *c = &clients[i];
		c->stalled = 0;
		c->resumed = c->behind = 1;
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
		/* One that got nothing meanwhile is still watched. */
		if (c->state == OPEN && epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) &&
		    errno != EEXIST)
			die("epoll_ctl");
	}
	behind = opt.stalled;
	resumed_at = now_ns();
	opt.stalled = 0;
}

static void say_open(double seconds)
{
	printf("{\"open\":%ld,\"failed\":%ld,\"seconds\":%.4f,\"per_second\":%.0f}\n", opened, failed,
	       seconds, (double)(opened + cycles_done) / seconds);
	fflush(stdout);
}

static void say_result(double seconds)
{
	struct rusage used;
	getrusage(RUSAGE_SELF, &used);
	double span = last_received > first_sent ? (double)(last_received - first_sent) / 1e9 : 0;
	printf("{\"seconds\":%.4f,\"open\":%ld,\"failed\":%ld,\"closed_by_server\":%ld,"
	       "\"close_code\":%d,\"complete\":%ld,\"events\":%ld,\"bytes\":%ld,\"gaps\":%ld,"
	       "\"disorder\":%ld,\"span_s\":%.6f,\"cycles\":%ld,\"p50_us\":%.0f,\"p99_us\":%.0f,"
	       "\"mean_us\":%.1f,\"max_us\":%.0f,\"apart\":[",
	       seconds, opened, failed, closed_by_server, close_code, complete, (long)total,
	       (long)bytes, (long)gaps, (long)disorder, span, cycles_done, quantile(&whole, .5),
	       quantile(&whole, .99), whole.count ? whole.sum / (double)whole.count / 1e3 : 0,
	       (double)whole.longest / 1e3);
	end_of_time();
	for (int i = 0; i < PARTS; i++)
		printf("%s{\"events\":%ld,\"p99_us\":%.0f,\"median_p99_us\":%.0f,\"max_us\":%.0f}",
		       i ? "," : "", (long)parts[i].count, quantile(&parts[i], .99),
		       median(&times[i]), (double)parts[i].longest / 1e3);
	printf("],\"behind\":%d,\"catch_up_s\":%.3f,\"catch_up_p50_us\":%.0f,"
	       "\"catch_up_p99_us\":%.0f,\"cpu_s\":%.3f}\n",
	       behind, caught_up_at > resumed_at ? (double)(caught_up_at - resumed_at) / 1e9 : 0,
	       quantile(&catching_up, .5), quantile(&catching_up, .99),
	       (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
		       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
}

static void read_options(int argc, char **argv)
{
	for (int o; (o = getopt(argc, argv, "n:c:s:e:t:z:Z:r:C:m:k:L")) != -1;)
		switch (o) {
		case 'n': opt.clients = atoi(optarg); break;
		case 'c': opt.at_once = atoi(optarg); break;
		case 's': opt.topic = optarg; break;
		case 'e': opt.expected = atol(optarg); break;
		case 't': opt.seconds = atof(optarg); break;
		case 'z': opt.stalled = atoi(optarg); break;
		case 'Z': opt.resume = atof(optarg); break;
		case 'r': opt.rate = atol(optarg); break;
		case 'C': opt.cycles = atol(optarg); break;
		case 'm': opt.message = optarg; break;
		case 'k': opt.topics = atoi(optarg); break;
		case 'L': opt.spread = 1; break;
		default: exit(1);
		}
	if (optind + 1 != argc || opt.clients < 1 || opt.stalled > opt.clients) {
		fprintf(stderr, "usage: load [options] PORT; the options are in load.c\n");
		exit(1);
	}
	opt.port = atoi(argv[optind]);
	if (opt.cycles)
		opt.at_once = opt.clients;
}

/* Serve what is ready; returns 0 when standard input has ended. */
static int turn(int timeout_ms)
{
	struct epoll_event events[TURN];
	int count = epoll_wait(poller, events, TURN, timeout_ms);
	for (int i = 0; i < count; i++) {
		client *c = events[i].data.ptr;
		if ((void *)c == &stdin_mark) {
			char said[256];
			ssize_t size = read(0, said, sizeof said);
			if (size <= 0)
				return 0;
			for (ssize_t at = 0; at < size; at++)
				if (said[at] >= '0' && said[at] < '0' + PARTS) {
					end_of_time();
					part = said[at] - '0';
				}
		} else if (c->state == CONNECTING)
			connected(c);
		else if (c->state != GONE)
			readable(c);
	}
	return 1;
}

int main(int argc, char **argv)
{
	read_options(argc, argv);
	prepare_process();
	poller = epoll_create1(0);
	clients = need(calloc((size_t)opt.clients, sizeof *clients));
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = &stdin_mark};
	/* A file or /dev/null cannot be watched, and never ends a run. */
	epoll_ctl(poller, EPOLL_CTL_ADD, 0, &event);
	uint64_t begun = now_ns(), ready = 0;
	uint64_t read_at = 0;
	int started = 0;
	for (;;) {
		while (started < opt.clients && opening < opt.at_once &&
		       (!opt.cycles || cycles_begun < opt.cycles)) {
			client *c = &clients[started];
			c->number = started++;
			c->stalled = c->number >= opt.clients - opt.stalled;
			cycles_begun++;
			start(c);
		}
		int more = turn(ready && opt.rate ? SLOW_MS : 100);
		uint64_t now = now_ns();
		if (ready && opt.rate && now - read_at >= SLOW_MS * 1000000u) {
			read_slowly(now - read_at);
			read_at = now;
		}
		double since = (double)(now - (ready ? ready : begun)) / 1e9;
		if (!ready && (opt.cycles ? cycles_done + failed >= opt.cycles
					  : opened + failed >= opt.clients)) {
			all_open = 1;
			ready = read_at = now;
			say_open((double)(ready - begun) / 1e9);
			if (opt.cycles)
				break;
		}
		if (ready && opt.resume > 0 && opt.stalled && since > opt.resume)
			resume();
		if (!more || since > opt.seconds)
			break;
		if (ready && opt.expected >= 0 && complete >= opt.clients - opt.stalled)
			break;
	}
	say_result((double)(now_ns() - begun) / 1e9);
	return 0;
}
