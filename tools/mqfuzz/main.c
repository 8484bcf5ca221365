// SPDX-License-Identifier: GPL-2.0
/* mqfuzz: see fuzz.h. The workers, the corpus, what was found. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <net/if.h>
#include <regex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "fuzz.h"

#define FINDINGS_MAX	20
#define SAVE_SECONDS	60
#define REPLAYS		3

struct shared *sh;

static const char *out_dir = ".";
static uint64_t seed;
static unsigned int workers_n = 2;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0 && errno != EINVAL)
			fprintf(stderr, "mqfuzz: %s: %s\n", path, strerror(errno));
		close(fd);
	}
}

/* What a fuzzed kernel needs; where it has no faults to inject, there is nothing to set. */
static void prepare_kernel(bool go_on)
{
	static const char *const settings[][2] = {
		{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/failslab/verbose", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N" },
		{ "/sys/kernel/debug/fail_page_alloc/min-order", "0" },
		{ "/sys/kernel/debug/fail_page_alloc/verbose", "0" },
		{ "/sys/kernel/debug/fail_usercopy/verbose", "0" },
		{ "/sys/module/mq/parameters/test_hooks", "1" },
	};
	struct ifreq lo = { .ifr_name = "lo" };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(settings); i++)
		write_to(settings[i][0], settings[i][1]);
	/* Reports are read, kept together with what led to them, and it goes on. */
	if (go_on) {
		write_to("/proc/sys/kernel/panic_on_warn", "0");
		write_to("/proc/sys/kernel/panic_on_oops", "0");
	}
	if (!ioctl(fd, SIOCGIFFLAGS, &lo)) {
		lo.ifr_flags |= IFF_UP;
		ioctl(fd, SIOCSIFFLAGS, &lo);
	}
	close(fd);
}

/* --- corpus --------------------------------------------------------------------- */

static bool corpus_add(const struct prog *p, unsigned int gain)
{
	unsigned int n = atomic_fetch_add(&sh->corpus_n, 1);

	if (n >= CORPUS_MAX) {
		sh->corpus_n = CORPUS_MAX;
		return false;
	}
	sh->corpus[n] = *p;
	sh->gain[n] = gain;
	atomic_store(&sh->ready[n], true);
	return true;
}

static const struct prog *corpus_pick(void)
{
	unsigned int n = sh->corpus_n < CORPUS_MAX ? sh->corpus_n : CORPUS_MAX, i;

	if (!n)
		return NULL;
	/* The latest more often. */
	i = chance(30) ? n - 1 - below(n < 50 ? n : 50) : below(n);
	return sh->ready[i] ? &sh->corpus[i] : NULL;
}

static bool load_file(const char *path, bool (*fn)(const struct prog *p, const char *name))
{
	FILE *in = fopen(path, "re");
	unsigned int line = 0;
	struct prog p;
	int ret = -1;

	if (!in) {
		perror(path);
		return false;
	}
	while ((ret = prog_read(in, path, &line, &p)) > 0) {
		if (!fn(&p, path))
			break;
	}
	fclose(in);
	return ret >= 0;
}

static int is_prog(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return dot && !strcmp(dot, ".prog");
}

/* A file, or the *.prog of a directory. */
static bool load(const char *path, bool (*fn)(const struct prog *p, const char *name))
{
	struct dirent **entries;
	char name[512];
	bool ok = true;
	int n = scandir(path, &entries, is_prog, alphasort);

	if (n < 0)
		return load_file(path, fn);
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		ok = load_file(name, fn) && ok;
	}
	return ok;
}

static bool to_corpus(const struct prog *p, const char *name)
{
	(void)name;
	return corpus_add(p, 0);
}

static void save_corpus(void)
{
	char path[512], new[520];
	unsigned int n = sh->corpus_n < CORPUS_MAX ? sh->corpus_n : CORPUS_MAX;
	FILE *out;

	snprintf(path, sizeof(path), "%s/corpus.prog", out_dir);
	snprintf(new, sizeof(new), "%s.new", path);
	out = fopen(new, "we");
	if (!out) {
		perror(new);
		return;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (sh->ready[i])
			prog_print(out, &sh->corpus[i]);
	}
	if (fclose(out) || rename(new, path))
		perror(path);
}

/* The bitmap of code reached, for tools/fuzz-coverage. */
static void save_coverage(void)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/coverage", out_dir);
	out = fopen(path, "we");
	if (!out)
		return;
	for (unsigned int i = 0; i < PC_BITS; i++) {
		if (sh->cover.pcs[i / 64] & 1ULL << i % 64)
			fprintf(out, "0x%x\n", i);
	}
	fclose(out);
}

/* --- workers ---------------------------------------------------------------------- */

static void remember(struct worker *w, const struct prog *p)
{
	unsigned int next = (w->last + 1) % LAST_MAX;

	w->lasts[next] = *p;
	w->last = next;
}

static void work(unsigned int number, uint64_t from)
{
	struct worker *w = &sh->workers[number];
	struct prog p;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rng_state = from * 0x9e3779b97f4a7c15ULL | 1;
	for (unsigned int i = 0; i < 8; i++)
		rng();
	exec_init(number);
	while (!sh->stop) {
		const struct prog *other = corpus_pick();
		struct gain gain = { 0 };

		if (other && chance(cover_there ? 75 : 30)) {
			p = *other;
			prog_mutate(&p, corpus_pick());
		} else {
			prog_make(&p);
		}
		remember(w, &p);
		if (!exec_run(&p, cover_there ? &sh->cover : NULL, &gain))
			_exit(1);
		if (gain.pcs || gain.edges > 8)
			corpus_add(&p, gain.pcs);
	}
	exec_clean();
	_exit(0);
}

static void start_worker(unsigned int number)
{
	static uint64_t started;
	pid_t pid = fork();

	if (pid < 0) {
		perror("mqfuzz: fork");
		exit(1);
	}
	if (!pid)
		work(number, seed + ++started * 1000003 + number);
	started++;
	sh->workers[number].pid = pid;
}

/* --- what the kernel says ----------------------------------------------------------- */

static regex_t trouble[64];
static unsigned int trouble_n, found;
static int kmsg = -1;

static void load_trouble(const char *path)
{
	FILE *in = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;

	if (!in) {
		fprintf(stderr, "mqfuzz: %s: %s: run it in the project's directory\n", path,
			strerror(errno));
		exit(1);
	}
	while (trouble_n < ARRAY_SIZE(trouble) && getline(&line, &size, in) > 0) {
		line[strcspn(line, "\n")] = 0;
		if (!regcomp(&trouble[trouble_n], line, REG_EXTENDED | REG_NOSUB))
			trouble_n++;
	}
	free(line);
	fclose(in);
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
}

static FILE *report_begin(const char *what)
{
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/finding-%u-%d", out_dir, ++found, getpid());
	printf("FOUND: %s: see %s\n", what, path);
	out = fopen(path, "we");
	if (!out)
		return NULL;
	fprintf(out, "# %s\n", what);
	return out;
}

static void report_programs(FILE *out)
{
	for (unsigned int i = 0; i < workers_n; i++) {
		struct worker *w = &sh->workers[i];

		for (unsigned int k = 1; k <= LAST_MAX; k++) {
			fprintf(out, "# worker %u, %u before\n", i, LAST_MAX - k);
			prog_print(out, &w->lasts[(w->last + k) % LAST_MAX]);
		}
	}
	fclose(out);
}

static void watch_kernel(void)
{
	char record[2048], *text;
	FILE *out = NULL;
	unsigned int lines = 0;
	ssize_t n;

	while (kmsg >= 0) {
		n = read(kmsg, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0) {
			/* The rest of a report may be on its way. */
			if (!out || lines > 100)
				break;
			lines += 20;
			usleep(100000);
			continue;
		}
		record[n] = 0;
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = 0;
		/* Most of these are not of the module; tools/vm tells at the end. */
		if (!out && strstr(text, "BUG: KCSAN:"))
			continue;
		for (unsigned int i = 0; !out && i < trouble_n; i++) {
			if (!regexec(&trouble[i], text, 0, NULL, 0)) {
				out = report_begin(text);
				lines = 0;
				break;
			}
		}
		if (out && lines++ < 200)
			fprintf(out, "# %s\n", text);
	}
	if (out)
		report_programs(out);
}

static void watch_oracles(void)
{
	FILE *out;

	if (!sh->finding[0])
		return;
	out = report_begin(sh->finding);
	if (out) {
		fputs("# the program\n", out);
		prog_print(out, &sh->culprit);
		report_programs(out);
	}
	sh->finding[0] = 0;
}

/* Unreferenced memory, by the kernel's own search. */
static void watch_leaks(void)
{
	static const char path[] = "/sys/kernel/debug/kmemleak";
	char line[256];
	unsigned int leaks = 0;
	FILE *in;

	if (access(path, W_OK))
		return;
	for (unsigned int i = 0; i < 2; i++) {
		sleep(6);
		write_to(path, "scan");
	}
	in = fopen(path, "re");
	if (!in)
		return;
	while (fgets(line, sizeof(line), in)) {
		leaks += !strncmp(line, "unreferenced", 12);
		printf("%s", line);
	}
	fclose(in);
	if (leaks) {
		printf("FOUND: %u objects leaked\n", leaks);
		found += leaks;
	}
}

/* With all topics deleted nothing is left of them. */
static void watch_memory(void)
{
	uint64_t topics = 0, memory = 0;

	nl_init();
	for (unsigned int i = 0; i < 100; i++) {
		if (!module_state(&topics, &memory))
			continue;
		if (!memory && !topics)
			return;
		usleep(100000);
	}
	printf("FOUND: %" PRIu64 " topics, %" PRIu64 " bytes of memory are left\n", topics, memory);
	found++;
}

/* --- fuzzing ---------------------------------------------------------------------------- */

static void progress(double began)
{
	double took = now() - began;

	printf("%6.0f s: %" PRIu64 " calls (%.0f/s), %" PRIu64 " programs, corpus %u, "
	       "PCs %u, edges %u, interrupted %" PRIu64 ", topics made %" PRIu64 ", found %u\n",
	       took, sh->calls, sh->calls / took, sh->progs, sh->corpus_n, sh->cover.pcs_n,
	       sh->cover.edges_n, sh->signals, sh->resets, found);
	fflush(stdout);
}

static void print_kinds(void)
{
	for (unsigned int i = 0; i < grammar_n; i++)
		printf("  %-12s %10" PRIu64 " made %10" PRIu64 " done\n", grammar[i].name,
		       sh->made[i], sh->done[i]);
}

static void end_workers(void)
{
	double limit = now() + 60;

	sh->stop = true;
	for (unsigned int i = 0; i < workers_n; i++) {
		while (sh->workers[i].pid && now() < limit && !waitpid(sh->workers[i].pid, NULL, WNOHANG))
			usleep(10000);
		kill(sh->workers[i].pid, SIGKILL);
	}
}

static int fuzz(double seconds, uint64_t calls)
{
	double began = now(), said = began, saved = began;
	int status;
	pid_t pid;

	load_trouble("tools/vm.d/trouble");
	printf("mqfuzz: seed %" PRIu64 ", %u workers, %u programs to begin with, %s\n", seed,
	       workers_n, sh->corpus_n, cover_there ? "guided" : "not guided: no KCOV here");
	fflush(stdout);
	for (unsigned int i = 0; i < workers_n; i++)
		start_worker(i);
	while (now() - began < seconds && (!calls || sh->calls < calls) && found < FINDINGS_MAX) {
		usleep(200000);
		watch_kernel();
		watch_oracles();
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			for (unsigned int i = 0; i < workers_n; i++) {
				if (sh->workers[i].pid != pid)
					continue;
				printf("worker %u ended: status 0x%x\n", i, status);
				if (WIFSIGNALED(status)) {
					snprintf(sh->finding, sizeof(sh->finding),
						 "worker %u died of signal %d", i, WTERMSIG(status));
					watch_oracles();
				}
				start_worker(i);
			}
		}
		if (now() - said >= 10) {
			progress(began);
			said = now();
		}
		if (now() - saved >= SAVE_SECONDS) {
			save_corpus();
			save_coverage();
			saved = now();
		}
	}
	end_workers();
	watch_kernel();
	watch_oracles();
	progress(began);
	print_kinds();
	save_corpus();
	save_coverage();
	watch_memory();
	watch_leaks();
	watch_kernel();
	printf("%u found\n", found);
	return found ? 1 : 0;
}

/* --- replaying -------------------------------------------------------------------------- */

static unsigned int replayed;
static struct prog *loaded;
static unsigned int loaded_n;

static bool keep(const struct prog *p, const char *name)
{
	(void)name;
	loaded = reallocarray(loaded, loaded_n + 1, sizeof(*loaded));
	if (!loaded) {
		fputs("mqfuzz: out of memory\n", stderr);
		exit(1);
	}
	loaded[loaded_n++] = *p;
	return true;
}

/* Each file is a test point. */
static bool replay(const char *path)
{
	bool ok = true;

	loaded_n = 0;
	if (!load_file(path, keep) || !loaded_n)
		ok = false;
	for (unsigned int i = 0; i < loaded_n && ok; i++) {
		for (unsigned int k = 0; k < REPLAYS && ok; k++) {
			struct gain gain = { 0 };

			exec_fresh();
			ok = exec_run(&loaded[i], &sh->cover, &gain);
		}
		if (sh->finding[0]) {
			printf("# program %u: %s\n", i + 1, sh->finding);
			sh->finding[0] = 0;
			ok = false;
		}
	}
	printf("%sok %u %s: %u programs\n", ok ? "" : "not ", ++replayed, path, loaded_n);
	fflush(stdout);
	return ok;
}

static int replay_all(char **paths)
{
	uint64_t topics = 0, memory = 0;
	bool all = true, clean;

	printf("TAP version 13\n");
	exec_init(0);
	for (; *paths; paths++) {
		struct dirent **entries;
		char name[512];
		int n = scandir(*paths, &entries, is_prog, alphasort);

		if (n < 0)
			all = replay(*paths) && all;
		for (int i = 0; i < n; i++) {
			snprintf(name, sizeof(name), "%s/%s", *paths, entries[i]->d_name);
			all = replay(name) && all;
		}
	}
	exec_clean();
	for (unsigned int i = 0; i < 200; i++) {
		clean = module_state(&topics, &memory) && !topics && !memory;
		if (clean)
			break;
		usleep(100000);
	}
	printf("%sok %u nothing is left: %" PRIu64 " topics, %" PRIu64 " bytes\n",
	       clean ? "" : "not ", ++replayed, topics, memory);
	printf("# %" PRIu64 " calls, %" PRIu64 " programs, %u PCs\n", sh->calls, sh->progs,
	       sh->cover.pcs_n);
	printf("1..%u\n", replayed);
	return all && clean ? 0 : 1;
}

/* Does @p reach all that @after has and @before lacks? */
static bool reaches(const struct prog *p, const struct cover *before, const struct cover *after,
		    struct cover *scratch)
{
	struct gain gain = { 0 };

	memset(scratch, 0, sizeof(*scratch));
	exec_fresh();
	if (!exec_run(p, scratch, &gain))
		exit(1);
	for (unsigned int i = 0; i < PC_BITS / 64; i++) {
		if (after->pcs[i] & ~before->pcs[i] & ~scratch->pcs[i])
			return false;
	}
	return true;
}

/* Without the calls that do not matter for it. */
static void make_small(struct prog *p, const struct cover *before, const struct cover *after,
		       struct cover *scratch)
{
	for (unsigned int i = p->n; i-- > 0 && p->n > 1;) {
		struct prog less = *p;

		prog_drop(&less, i);
		if (reaches(&less, before, after, scratch))
			*p = less;
	}
}

/* Those programs that reach, every time, what none before them does; smaller. */
static int minimise(char **paths)
{
	struct cover *covers = malloc(3 * sizeof(*covers));
	unsigned int kept = 0;
	char path[512];
	FILE *out;

	snprintf(path, sizeof(path), "%s/small.prog", out_dir);
	out = fopen(path, "we");
	if (!out || !covers) {
		perror(path);
		return 1;
	}
	for (; *paths; paths++)
		load(*paths, keep);
	exec_init(0);
	for (unsigned int i = 0; i < loaded_n; i++) {
		struct gain gain = { 0 };

		covers[0] = covers[1] = sh->cover;
		exec_fresh();
		if (!exec_run(&loaded[i], &covers[1], &gain))
			return 1;
		if (!gain.pcs || !reaches(&loaded[i], &covers[0], &covers[1], &covers[2]))
			continue;
		make_small(&loaded[i], &covers[0], &covers[1], &covers[2]);
		sh->cover = covers[1];
		prog_print(out, &loaded[i]);
		fflush(out);
		kept++;
	}
	exec_clean();
	printf("%u of %u programs kept, %u PCs\n", kept, loaded_n, sh->cover.pcs_n);
	free(covers);
	return fclose(out) != 0;
}

static const char usage[] =
	"usage: mqfuzz [OPTION]... [CORPUS]...\n"
	"Makes programs of system calls on topics, runs them, keeps those that reach\n"
	"code of mq.ko which none before did. CORPUS: files of programs, or folders of\n"
	"*.prog, to begin with.\n"
	"  -t MINUTES  how long (default 5)\n"
	"  -n CALLS    or until so many calls are made\n"
	"  -w WORKERS  processes, each with two threads and topics of its own (default 2)\n"
	"  -s SEED     of the random numbers (default: the time)\n"
	"  -o DIR      where corpus and findings go (default $MQ_OUT or .)\n"
	"  -r          run the programs of CORPUS instead, each several times; prints TAP\n"
	"  -m          write those programs of CORPUS that matter to DIR/small.prog\n"
	"  -p COUNT    print random programs\n"
	"Needs root and mq.ko: run it in a VM. Exits with 1 if something was found.\n";

static int print_programs(unsigned int count)
{
	struct prog p;

	rng_state = seed * 0x9e3779b97f4a7c15ULL | 1;
	while (count--) {
		prog_make(&p);
		prog_print(stdout, &p);
	}
	return 0;
}

int main(int argc, char **argv)
{
	double minutes = 5;
	uint64_t calls = 0;
	unsigned int print = 0;
	int mode = 0, letter;

	seed = time(NULL);
	if (getenv("MQ_OUT"))
		out_dir = getenv("MQ_OUT");
	while ((letter = getopt(argc, argv, "t:n:w:s:o:rmp:h")) != -1) {
		switch (letter) {
		case 't':
			minutes = atof(optarg);
			break;
		case 'n':
			calls = strtoull(optarg, NULL, 0);
			minutes = 1e6;
			break;
		case 'w':
			workers_n = atoi(optarg);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'o':
			out_dir = optarg;
			break;
		case 'r':
		case 'm':
			mode = letter;
			break;
		case 'p':
			print = atoi(optarg);
			break;
		default:
			fputs(usage, letter == 'h' ? stdout : stderr);
			return letter == 'h' ? 0 : 2;
		}
	}
	if (!workers_n || workers_n > WORKERS_MAX || (mode && optind == argc)) {
		fputs(usage, stderr);
		return 2;
	}
	if (print)
		return print_programs(print);
	sh = mmap(NULL, sizeof(*sh), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (sh == MAP_FAILED) {
		perror("mqfuzz: mmap");
		return 1;
	}
	cover_init();
	prepare_kernel(!mode);
	if (mode == 'r')
		return replay_all(argv + optind);
	if (mode == 'm')
		return minimise(argv + optind);
	for (; optind < argc; optind++)
		load(argv[optind], to_corpus);
	return fuzz(minutes * 60, calls);
}
