// SPDX-License-Identifier: GPL-2.0
/* Programs out of nothing, and out of others. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>

#include <linux/filter.h>
#include <mq/mq.h>
#include <mq/netlink.h>

#include "fuzz.h"

uint64_t rng_state;

uint64_t rng(void)
{
	rng_state ^= rng_state >> 12;
	rng_state ^= rng_state << 25;
	rng_state ^= rng_state >> 27;
	return rng_state * 0x2545f4914f6cdd1dULL;
}

uint32_t below(uint32_t n)
{
	return (rng() >> 32) * n >> 32;
}

bool chance(unsigned int percent)
{
	return below(100) < percent;
}

/* --- names ------------------------------------------------------------------ */

static const char *const options[] = {
	"+from=oldest", "+from=newest", "+from=0", "+since=1h", "+since=0s", "+since=1ms",
	"+since=19700101T000000Z", "+until=end", "+until=end", "+format=record",
	"+format=record", "+format=record", "+format=record", "+overrun=skip", "+overrun=skip",
};

static const char *const odd_options[] = {
	"+from=5", "+from=4294967296", "+from=9223372036854775807", "+since=20300101T000000Z",
	"+ack=explicit", "+group", "+x=y", "@0", "+", "+until=", "+format=x",
};

static const char *const odd_names[] = {
	"", ".", "..", "nothing", "t0/x", "t0@", "t0@1025", "t0@4294967296", "+from=oldest",
	"t0+from=", "%s%n", "\xff\xfe", "../mem", "t0@0@0", "t0+g+h", "a b",
};

static void append(char *to, const char *what)
{
	if (strlen(to) + strlen(what) < TEXT_MAX)
		strcat(to, what);
}

static void make_name(char *to)
{
	if (chance(4)) {
		strcpy(to, odd_names[below(ARRAY_SIZE(odd_names))]);
		return;
	}
	strcpy(to, "t0");
	to[1] += below(chance(90) ? BASE_TOPICS : TOPICS);
	/* t2 and t4 have several. */
	if (chance(to[1] == '2' || to[1] == '4' ? 60 : 10))
		append(to, chance(60) ? "@0" : chance(80) ? "@1" : "@2");
	while (chance(40))
		append(to, options[below(ARRAY_SIZE(options))]);
	if (chance(4))
		append(to, odd_options[below(ARRAY_SIZE(odd_options))]);
	if (chance(1))
		to[below(strlen(to))] ^= 1u << below(7);
}

/* --- numbers ------------------------------------------------------------------ */

static uint64_t make_len(void)
{
	static const uint64_t lens[] = {
		0, 1, 2, 7, 8, 63, 64, 100, 255, 256, 1000, 1024, 2048, 4095, 4096, 4097, 5000,
		8192, 12288, 16384, 16385, 65536,
	};

	if (chance(30))
		return below(300);
	if (chance(2))
		return (uint64_t []){ 1 << 20, 1u << 31, ~0u, INT64_MAX, ~0ULL }[below(5)];
	return lens[below(chance(50) ? 9 : ARRAY_SIZE(lens))];
}

static uint64_t make_off(void)
{
	static const uint64_t offs[] = {
		0, 1, 5, 64, 100, 4096, 8192, 1 << 16, (1ULL << 32) - 5000, 1ULL << 32,
		(1ULL << 32) + 100, INT64_MAX, INT64_MAX - 4096, INT64_MAX - (1 << 20), 1ULL << 63,
		-1, -100, -4096,
	};

	if (chance(40))
		return below(20000);
	return offs[below(ARRAY_SIZE(offs))] + (chance(30) ? below(200) : 0);
}

/* --- calls ---------------------------------------------------------------------- */

static unsigned int opened(const struct call *c)
{
	unsigned int kind = 0, mode = c->arg[0] & O_ACCMODE;
	bool record = strstr(c->text, "format=record");

	if (mode != O_WRONLY)
		kind |= K_READ;
	if (mode != O_RDONLY)
		kind |= record ? K_WRITE | K_RECORD : K_WRITE;
	if (mode != O_WRONLY && (strchr(c->text, '@') || !strchr("24", c->text[1])))
		kind |= K_ONE;
	return kind;
}

/* What each slot holds when a call of a program begins. */
static void slots_at(const struct prog *p, unsigned int call, uint16_t *held)
{
	memset(held, 0, SLOTS * sizeof(*held));
	for (unsigned int i = 0; i < call; i++) {
		const struct call *c = &p->calls[i];
		const struct calldef *def = &grammar[c->kind];

		for (unsigned int a = 0; a < ARGS_MAX && def->args[a].type; a++) {
			if (def->args[a].type == ARG_TO)
				held[c->arg[a] % SLOTS] = def->run == do_open ? opened(c) :
							  def->run == do_dup ? held[c->arg[0] % SLOTS] :
							  def->args[a].want;
		}
	}
}

static uint64_t pick_slot(const uint16_t *held, uint16_t want)
{
	uint8_t fits[SLOTS] = { 0 };
	unsigned int n = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		if (held[i] & want)
			fits[n++] = i;
	}
	return n && chance(96) ? fits[below(n)] : below(SLOTS);
}

static uint64_t pick_free(const uint16_t *held)
{
	for (unsigned int i = 0; i < SLOTS && chance(90); i++) {
		if (!held[i])
			return i;
	}
	return below(SLOTS);
}

static uint64_t make_arg(const struct argdef *a, uint16_t *held)
{
	uint64_t value = 0;

	switch (a->type) {
	case ARG_FD:
		return pick_slot(held, a->want);
	case ARG_TO:
		value = pick_free(held);
		held[value] = a->want;
		return value;
	case ARG_MAP:
	case ARG_TOMAP:
		return chance(85) ? 0 : below(MAPS);
	case ARG_ONE:
		if (chance(1))
			return rng() >> below(64);
		return a->values[below(a->n)];
	case ARG_BITS:
		if (chance(1))
			return rng() >> below(64);
		while (chance(55))
			value |= a->values[below(a->n)];
		return value;
	case ARG_LEN:
		return make_len();
	case ARG_OFF:
		return make_off();
	}
	return 0;
}

/* Attributes of topics that make a difference, as they may be. */
static uint64_t make_attr(uint32_t type)
{
	static const uint32_t small[] = { 0, 1, 2, 3, 4 };

	if (chance(5))
		return rng() >> below(64);
	switch (type) {
	case MQ_A_TOPIC_NAME:
		return below(chance(95) ? TOPICS : 24);
	case MQ_A_TOPIC_PARTITIONS:
		return chance(97) ? 1 + below(4) : (uint64_t []){ 0, 64, 1024, 1025 }[below(4)];
	case MQ_A_TOPIC_RING_BYTES:
	case MQ_A_TOPIC_ATTR_BYTES:
		return chance(90) ? 4096u << below(6) : below(3) * 5000;
	case MQ_A_TOPIC_RING_MESSAGES:
		return chance(90) ? 64u << below(5) : below(3) * 100;
	case MQ_A_TOPIC_MAX_MESSAGE_BYTES:
		return 1 + below(5000);
	case MQ_A_TOPIC_MODE:
		return chance(80) ? 0666 : below(01000);
	case MQ_A_TOPIC_SYNC_TIMEOUT:
		return chance(80) ? 1 + below(4) : 0;
	case MQ_A_TOPIC_UID:
	case MQ_A_TOPIC_GID:
		return chance(50) ? 0 : 1000;
	case MQ_A_TOPIC_START_OFFSET:
	case MQ_A_TOPIC_START_POSITION:
		return (uint64_t []){ 0, 1, (1ULL << 32) - 3, INT64_MAX - 5, INT64_MAX,
				      1ULL << 63 }[below(6)];
	}
	return small[below(ARRAY_SIZE(small))];
}

static const uint16_t insn_codes[] = {
	BPF_LD | BPF_W | BPF_ABS, BPF_LD | BPF_H | BPF_ABS, BPF_LD | BPF_B | BPF_ABS,
	BPF_LD | BPF_B | BPF_IND, BPF_LD | BPF_W | BPF_LEN, BPF_LD | BPF_IMM, BPF_LDX | BPF_IMM,
	BPF_LDX | BPF_B | BPF_MSH, BPF_LD | BPF_MEM, BPF_ST, BPF_STX, BPF_ALU | BPF_ADD | BPF_K,
	BPF_ALU | BPF_DIV | BPF_X, BPF_ALU | BPF_LSH | BPF_K, BPF_JMP | BPF_JEQ | BPF_K,
	BPF_JMP | BPF_JGT | BPF_X, BPF_JMP | BPF_JA, BPF_MISC | BPF_TAX, BPF_MISC | BPF_TXA,
	BPF_RET | BPF_A, BPF_RET | BPF_K,
};

static void make_pair(const struct calldef *def, const struct call *c, struct pair *pair)
{
	static const uint32_t places[] = {
		0, 4, 8, 12, 72, 73, 100, (uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR),
		(uint32_t)(SKF_AD_OFF + SKF_AD_NLATTR_NEST), (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM),
		(uint32_t)(SKF_AD_OFF + SKF_AD_PROTOCOL), (uint32_t)SKF_NET_OFF, ~0u,
	};

	switch (def->pairs) {
	case PAIRS_ATTRS:
		/* The name comes first, so that most requests are about something. */
		pair->key = pair == c->pairs && chance(92) ? 1u : 1 + below(MQ_A_TOPIC_MAX + 2);
		pair->value = make_attr(pair->key);
		break;
	case PAIRS_RECORDS:
		pair->key = chance(60) ? 0 : chance(70) ? 1u << below(8) : below(1 << 14);
		pair->value = chance(70) ? below(200) : make_len();
		break;
	case PAIRS_INSNS:
		pair->key = insn_codes[below(ARRAY_SIZE(insn_codes))] | below(4) << 16 |
			    below(4) << 24;
		pair->value = places[below(ARRAY_SIZE(places))];
		break;
	}
}

static void make_pairs(const struct calldef *def, struct call *c)
{
	if (!def->pairs)
		return;
	c->pairs_n = 0;
	do {
		make_pair(def, c, &c->pairs[c->pairs_n]);
		c->pairs_n++;
	} while (c->pairs_n < PAIRS_MAX && chance(65));
	if (def->pairs == PAIRS_INSNS)
		c->pairs[c->pairs_n - 1].key = BPF_RET | (chance(50) ? BPF_A : BPF_K);
}

/* How a topic is opened most of the time. */
static uint64_t usual_open(void)
{
	return (uint64_t []){ O_RDONLY, O_WRONLY, O_RDWR }[below(3)] |
	       (chance(85) ? O_NONBLOCK : 0);
}

static void make_call(struct prog *p, unsigned int at, unsigned int kind)
{
	const struct calldef *def = &grammar[kind];
	struct call *c = &p->calls[at];
	uint16_t held[SLOTS];

	memset(c, 0, sizeof(*c));
	slots_at(p, at, held);
	c->kind = kind;
	c->repeat = chance(85) || def->args[0].type == ARG_TO || def->run == do_open ? 1 : chance(80) ? 2 + below(9) : 1 + below(REPEAT_MAX);
	c->fail = chance(3) ? 1 + below(12) : 0;
	for (unsigned int a = 0; a < ARGS_MAX && def->args[a].type; a++)
		c->arg[a] = make_arg(&def->args[a], held);
	if (def->run == do_open && chance(90))
		c->arg[0] = usual_open();
	if (def->text)
		make_name(c->text);
	make_pairs(def, c);
}

/* What makes what is not there yet. */
static long (*maker(const struct argdef *a, const uint16_t *held, bool mapped))(struct thread *t,
										const struct call *c)
{
	if (a->type == ARG_MAP)
		return mapped ? NULL : do_mmap;
	if (a->type != ARG_FD)
		return NULL;
	for (unsigned int i = 0; i < SLOTS; i++) {
		if (held[i] & a->want)
			return NULL;
	}
	if (a->want & K_TOPIC)
		return do_open;
	if (a->want & (K_PIPE_R | K_PIPE_W))
		return do_pipe;
	return a->want & K_SOCK ? do_sock : a->want & K_EPOLL ? do_epoll : do_file;
}

static unsigned int kind_of(long (*run)(struct thread *t, const struct call *c))
{
	unsigned int i = 0;

	while (grammar[i].run != run)
		i++;
	return i;
}

/*
 * A call at the end, and in front of it, most of the time, the calls that make what it
 * needs.
 */
static void add_call(struct prog *p, unsigned int kind)
{
	const struct calldef *def = &grammar[kind];
	uint16_t held[SLOTS];

	for (unsigned int a = 0; a < ARGS_MAX && def->args[a].type; a++) {
		long (*run)(struct thread *t, const struct call *c);
		bool mapped = false;

		if (p->n >= CALLS_MAX - 2 || chance(10))
			break;
		slots_at(p, p->n, held);
		for (unsigned int i = 0; i < p->n; i++)
			mapped = mapped || grammar[p->calls[i].kind].run == do_mmap;
		run = maker(&def->args[a], held, mapped);
		if (run == do_mmap)
			add_call(p, kind_of(do_mmap));
		else if (run)
			make_call(p, p->n++, kind_of(run));
	}
	make_call(p, p->n++, kind);
	if (def->run == do_mmap)
		p->calls[p->n - 1].arg[5] = 0;
}

static unsigned int pick_kind(void)
{
	static unsigned int weights;
	unsigned int i, w;

	if (!weights) {
		for (i = 0; i < grammar_n; i++)
			weights += grammar[i].weight;
	}
	w = below(weights);
	for (i = 0; w >= grammar[i].weight; i++)
		w -= grammar[i].weight;
	return i;
}

static void pick_thread(struct call *c)
{
	c->thread = chance(50);
}

void prog_make(struct prog *p)
{
	unsigned int want = 4 + below(CALLS_MAX - 8), setup, first;
	bool race = chance(50);

	memset(p, 0, sizeof(*p));
	p->user = chance(20);
	setup = 1 + below(4);
	for (; p->n < setup; p->n++)
		make_call(p, p->n, kind_of(do_open));
	if (chance(35)) {
		make_call(p, p->n, kind_of(do_pipe));
		p->n++;
	}
	first = p->n;
	while (p->n < want)
		add_call(p, pick_kind());
	for (unsigned int i = first; race && i < p->n; i++)
		pick_thread(&p->calls[i]);
}

/* --- change ------------------------------------------------------------------------- */

void prog_drop(struct prog *p, unsigned int call)
{
	p->n--;
	memmove(&p->calls[call], &p->calls[call + 1], (p->n - call) * sizeof(p->calls[0]));
}

static void insert(struct prog *p, unsigned int at, const struct call *c)
{
	if (p->n == CALLS_MAX)
		return;
	memmove(&p->calls[at + 1], &p->calls[at], (p->n - at) * sizeof(p->calls[0]));
	p->n++;
	if (c)
		p->calls[at] = *c;
	else
		make_call(p, at, pick_kind());
}

static void change(struct prog *p, unsigned int at)
{
	struct call *c = &p->calls[at];
	const struct calldef *def = &grammar[c->kind];
	unsigned int args = 0, a;
	uint16_t held[SLOTS];

	while (args < ARGS_MAX && def->args[args].type)
		args++;
	if (def->text && chance(40)) {
		make_name(c->text);
		return;
	}
	if (def->pairs && chance(60)) {
		if (c->pairs_n && chance(60))
			make_pair(def, c, &c->pairs[below(c->pairs_n)]);
		else if (c->pairs_n < PAIRS_MAX && chance(60))
			make_pair(def, c, &c->pairs[c->pairs_n++]);
		else
			make_pairs(def, c);
		return;
	}
	if (!args)
		return;
	a = below(args);
	slots_at(p, at, held);
	if (chance(80))
		c->arg[a] = make_arg(&def->args[a], held);
	else
		c->arg[a] += chance(50) ? 1 : -1;
}

static void splice_in(struct prog *p, const struct prog *other)
{
	unsigned int from, n;

	if (!other || !other->n)
		return;
	from = below(other->n);
	n = 1 + below(other->n - from);
	/* Its files, too: its first calls most of the time. */
	if (chance(50))
		from = 0;
	for (unsigned int i = 0; i < n; i++)
		insert(p, p->n, &other->calls[from + i]);
}

void prog_mutate(struct prog *p, const struct prog *other)
{
	do {
		unsigned int at = p->n ? below(p->n) : 0;

		switch (p->n ? below(16) : 0) {
		case 0 ... 4:
			if (chance(50) && p->n < CALLS_MAX)
				add_call(p, pick_kind());
			else
				insert(p, at, NULL);
			break;
		case 5 ... 9:
			change(p, at);
			break;
		case 10:
			prog_drop(p, at);
			break;
		case 11:
			splice_in(p, other);
			break;
		case 12:
			insert(p, below(p->n + 1), &p->calls[at]);
			break;
		case 13:
			p->calls[at].repeat = chance(50) ? 1 : 1 + below(REPEAT_MAX);
			break;
		case 14:
			if (chance(50))
				p->calls[at].fail = chance(50) ? 0 : 1 + below(12);
			else
				p->user = chance(20);
			break;
		case 15:
			if (chance(30)) {
				for (unsigned int i = 0; i < p->n; i++)
					p->calls[i].thread = 0;
			} else {
				for (unsigned int i = at; i < p->n; i++)
					pick_thread(&p->calls[i]);
			}
			break;
		}
	} while (chance(60));
}
