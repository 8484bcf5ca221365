// SPDX-License-Identifier: GPL-2.0
/*
 * Pages of a log in the hands of the kernel's crypto: AF_ALG and kTLS compute
 * the right thing and leave the log as it is.
 */
#include "helpers/splice.h"
#include <linux/if_alg.h>
#include <linux/tls.h>

#ifndef SOL_ALG
#define SOL_ALG 279
#endif
#ifndef SOL_TLS
#define SOL_TLS 282
#endif
#ifndef TCP_ULP
#define TCP_ULP 31
#endif

#define LEN	16384	/* bytes given to a cipher */

static const unsigned char key[16] = "0123456789abcdef";

struct setup {
	const char *t;
	int r;
	int p[2];
};

static void set_up(struct setup *s)
{
	uint64_t pos;
	int w;

	s->t = topic_new(.ring_bytes = 1 << 18);
	w = topic_open(s->t, "", O_WRONLY);
	s->r = topic_open(s->t, "", O_RDONLY);
	for (pos = 0; pos < 8 * LEN; pos += 1024)
		sp_put(w, pos, 1024);
	sp_pipe(s->p, 65536);
}

/* An operation socket of the algorithm; -1 if the kernel has it not. */
static int alg_open(const char *type, const char *name, size_t key_len, unsigned int tag)
{
	struct sockaddr_alg sa = { .salg_family = AF_ALG };
	int fd = socket(AF_ALG, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	if (fd < 0)
		skip("no AF_ALG: %s", strerror(errno));
	strcpy((char *)sa.salg_type, type);
	strcpy((char *)sa.salg_name, name);
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)))
		skip("no %s: %s", name, strerror(errno));
	if (key_len)
		need_ret(setsockopt(fd, SOL_ALG, ALG_SET_KEY, key, key_len), 0);
	if (tag)
		need_ret(setsockopt(fd, SOL_ALG, ALG_SET_AEAD_AUTHSIZE, NULL, tag), 0);
	return accept4(fd, NULL, NULL, SOCK_CLOEXEC);
}

/* Operation and initialisation vector; with data follows. */
static void alg_begin(int fd, unsigned int op, unsigned int iv_len, bool aead)
{
	char ctl[CMSG_SPACE(4) + CMSG_SPACE(4 + 16) + CMSG_SPACE(4)] = "";
	struct msghdr msg = { .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	struct af_alg_iv *iv;

	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_OP;
	c->cmsg_len = CMSG_LEN(4);
	memcpy(CMSG_DATA(c), &op, 4);
	c = CMSG_NXTHDR(&msg, c);
	c->cmsg_level = SOL_ALG;
	c->cmsg_type = ALG_SET_IV;
	c->cmsg_len = CMSG_LEN(4 + iv_len);
	iv = (void *)CMSG_DATA(c);
	iv->ivlen = iv_len;
	memset(iv->iv, 7, iv_len);
	if (aead) {
		unsigned int assoc = 0;

		c = CMSG_NXTHDR(&msg, c);
		c->cmsg_level = SOL_ALG;
		c->cmsg_type = ALG_SET_AEAD_ASSOCLEN;
		c->cmsg_len = CMSG_LEN(4);
		memcpy(CMSG_DATA(c), &assoc, 4);
	}
	msg.msg_controllen = (char *)c + CMSG_ALIGN(c->cmsg_len) - ctl;
	need(sendmsg(fd, &msg, MSG_MORE) == 0);
}

/* Pages from the log, by pipe or by sendfile, into an operation socket. */
static void give(struct setup *s, int fd, uint64_t pos, bool by_sendfile)
{
	size_t left = LEN;

	need(lseek(s->r, pos, SEEK_SET) == (off_t)pos);
	if (by_sendfile) {
		expect_ret(sendfile(fd, s->r, NULL, LEN), LEN);
		return;
	}
	expect_ret(sp_splice(s->r, s->p[1], LEN), LEN);
	while (left) {
		ssize_t n = splice(s->p[0], NULL, fd, NULL, left, 0);

		if (!ok(n > 0, "splice into an AF_ALG socket: %zd", n))
			mqt_end();
		left -= n;
	}
}

TEST(hash, "B.15: AF_ALG hash of spliced pages: the right digest, the log unchanged")
{
	int fd = alg_open("hash", "sha256", 0, 0), i;
	unsigned char want[32], got[32], buf[LEN];
	struct setup s;

	set_up(&s);
	for (i = 0; i < 4; i++) {
		uint64_t pos = i * LEN + i * 100;

		sp_fill(buf, pos, LEN);
		need_ret(send(fd, buf, LEN, 0), LEN);
		need_ret(read(fd, want, 32), 32);
		give(&s, fd, pos, i & 1);
		need_ret(read(fd, got, 32), 32);
		expect_mem(got, 32, want, 32);
	}
	sp_log_intact(s.t);
}

static void cipher(const char *name, unsigned int iv_len)
{
	int fd = alg_open("skcipher", name, 16, 0), i;
	unsigned char plain[LEN], want[LEN], got[LEN];
	struct setup s;

	set_up(&s);
	for (i = 0; i < 4; i++) {
		unsigned int op = i < 2 ? ALG_OP_ENCRYPT : ALG_OP_DECRYPT;
		uint64_t pos = i * LEN + i * 100;

		sp_fill(plain, pos, LEN);
		alg_begin(fd, op, iv_len, false);
		need_ret(send(fd, plain, LEN, 0), LEN);
		expect_eq(sp_read_all(fd, want, LEN), LEN);
		alg_begin(fd, op, iv_len, false);
		give(&s, fd, pos, i & 1);
		expect_eq(sp_read_all(fd, got, LEN), LEN);
		ok(!memcmp(got, want, LEN), "%s of spliced pages is that of the bytes", name);
		ok(memcmp(got, plain, LEN), "%s does something", name);
	}
	sp_log_intact(s.t);
	sp_lent_returns(s.t);
}

TEST(cbc, "B.15: AF_ALG cbc(aes) of spliced pages, both ways: the log unchanged")
{
	cipher("cbc(aes)", 16);
}

TEST(ctr, "B.15: AF_ALG ctr(aes) of spliced pages, both ways: the log unchanged")
{
	cipher("ctr(aes)", 16);
}

TEST(aead, "B.15: AF_ALG gcm(aes) of spliced pages: sealed, opened, a forged tag; the log unchanged")
{
	int fd = alg_open("aead", "gcm(aes)", 16, 16);
	unsigned char plain[LEN], want[LEN + 16], got[LEN + 16];
	const char *t;
	struct setup s;
	int w, r;

	set_up(&s);
	sp_fill(plain, 300, LEN);
	alg_begin(fd, ALG_OP_ENCRYPT, 12, true);
	need_ret(send(fd, plain, LEN, 0), LEN);
	need_ret(read(fd, want, LEN + 16), LEN + 16);
	alg_begin(fd, ALG_OP_ENCRYPT, 12, true);
	give(&s, fd, 300, false);
	need_ret(read(fd, got, LEN + 16), LEN + 16);
	ok(!memcmp(got, want, LEN + 16), "sealed as the bytes are");

	/* What was not sealed does not open, and must not be opened in place. */
	alg_begin(fd, ALG_OP_DECRYPT, 12, true);
	give(&s, fd, 5000, false);
	expect_err(read(fd, got, LEN), EBADMSG);
	sp_log_intact(s.t);

	/* A sealed message in a log, opened from its pages. */
	t = topic_new(.ring_bytes = 1 << 18);
	w = topic_open(t, "", O_WRONLY);
	r = topic_open(t, "", O_RDONLY);
	need_ret(write(w, want, LEN + 16), LEN + 16);
	fd = alg_open("aead", "gcm(aes)", 16, 16);
	alg_begin(fd, ALG_OP_DECRYPT, 12, true);
	expect_ret(sp_splice(r, s.p[1], LEN + 16), LEN + 16);
	for (size_t left = LEN + 16; left;) {
		ssize_t n = splice(s.p[0], NULL, fd, NULL, left, 0);

		if (!ok(n > 0, "splice: %zd", n))
			return;
		left -= n;
	}
	need_ret(read(fd, got, LEN), LEN);
	ok(!memcmp(got, plain, LEN), "opened from the log's pages");
	need_ret(pread(r, got, LEN + 16, 0), LEN + 16);
	ok(!memcmp(got, want, LEN + 16), "the log still has the sealed bytes");
}

static void tls_on(int fd, int dir)
{
	struct tls12_crypto_info_aes_gcm_128 info = {
		.info = { .version = TLS_1_2_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128 },
	};

	memcpy(info.key, key, sizeof(info.key));
	memset(info.salt, 1, sizeof(info.salt));
	memset(info.iv, 2, sizeof(info.iv));
	if (setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", 4))
		skip("no kTLS: %s", strerror(errno));
	if (setsockopt(fd, SOL_TLS, dir, &info, sizeof(info)))
		skip("no AES-GCM in kTLS: %s", strerror(errno));
}

static void tls(bool by_sendfile)
{
	struct setup s;
	uint64_t pos = 0;
	int sv[2], raw[2];
	unsigned char buf[4096], plain[4096];
	pid_t pid;

	set_up(&s);
	sp_tcp_pair(sv, 0, 0);
	tls_on(sv[0], TLS_TX);
	tls_on(sv[1], TLS_RX);
	pid = sp_fork();
	if (!pid)
		_exit(sp_expect(sv[1], 0, 8 * LEN) ? 0 : 1);
	while (pos < 8 * LEN) {
		ssize_t n;

		if (by_sendfile) {
			n = sendfile(sv[0], s.r, NULL, 1 << 20);
		} else {
			n = sp_splice(s.r, s.p[1], 10000);
			if (n > 0)
				n = splice(s.p[0], NULL, sv[0], NULL, n, 0);
		}
		if (!ok(n > 0, "%zd bytes into kTLS at %llu", n, (ull)pos))
			break;
		pos += n;
	}
	expect_eq(pos, 8 * LEN);
	child_ok(pid, SOON);
	sp_log_intact(s.t);
	close(sv[0]);
	close(sv[1]);
	sp_lent_returns(s.t);

	/* The wire has not the payload's bytes. */
	sp_tcp_pair(raw, 0, 0);
	tls_on(raw[0], TLS_TX);
	need(lseek(s.r, 0, SEEK_SET) == 0);
	expect_ret(sendfile(raw[0], s.r, NULL, LEN), LEN);
	expect_eq(sp_read_all(raw[1], buf, sizeof(buf)), sizeof(buf));
	sp_fill(plain, 0, sizeof(plain));
	ok(!memmem(buf, sizeof(buf), plain + 100, 16), "the wire is encrypted");
	sp_log_intact(s.t);
}

TEST(tls_sendfile, "B.15: sendfile into kTLS: decrypted right by the receiver, the log unchanged")
{
	tls(true);
}

TEST(tls_splice, "B.15: splice into kTLS: decrypted right by the receiver, the log unchanged")
{
	tls(false);
}
