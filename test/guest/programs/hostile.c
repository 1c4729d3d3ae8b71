/*
 * Does to the simulated machine whatever a program can: ioctls with numbers, sizes, pointers, ids and descriptors that
 * are mostly nearly right, from many threads and their children, while mappings and files come and go under them.
 *
 *   hostile SEED CALLS THREADS
 *
 * Nothing of that may hang, and in the end an ordinary call must work. Prints how often each errno was met.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Without them, nothing else gets anywhere. */
static const unsigned int beginnings[] = { 0x81, 0x81, 0x89, 0x8f, 0x85, 0x85, 0xa0 };
#define MOCK_DOMAIN 2
#define PAGE 4096UL
/* The first are mostly of /dev/iommu. */
#define IOMMU_FILES 4
#define FILES 20
#define REGIONS 16
#define REGION (64 * PAGE)
#define MOST_THREADS 64
#define MOST_ERRNO 134
#define STUCK_SECONDS 60
#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct thread {
	uint64_t random;
	unsigned long calls;
	volatile unsigned long done;
	unsigned long met[MOST_ERRNO];
	pthread_t id;
	int in_child;
};

/* Shared by all threads, and raced for: who closes, unmaps or protects asks nobody. */
static volatile int files[FILES];
static char *regions[REGIONS];
static char *scratch, *read_only, *inaccessible, *zeroes, *served, *edge;
static int memory_file;
static struct thread threads[MOST_THREADS];
static __thread sigjmp_buf retreat;
static __thread volatile sig_atomic_t guarded;

static uint64_t next(struct thread *t)
{
	t->random ^= t->random << 13;
	t->random ^= t->random >> 7;
	t->random ^= t->random << 17;
	return t->random * 0x2545f4914f6cdd1dULL >> 16;
}

static unsigned int below(struct thread *t, unsigned int limit)
{
	return next(t) % limit;
}

#define ONE_OF(t, array) ((array)[below(t, COUNT(array))])

/* Our own access to what another thread took away. */
static void on_fault(int signal)
{
	if (!guarded) {
		static const char words[] = "hostile: a fault of its own\n";

		if (write(2, words, sizeof(words) - 1) < 0)
			_exit(3);
		_exit(signal);
	}
	guarded = 0;
	siglongjmp(retreat, 1);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void count(struct thread *t, long result)
{
	t->met[result < 0 && errno < MOST_ERRNO ? errno : 0]++;
}

static int any_file(struct thread *t)
{
	static const int odd[] = { -1, 0, 1000, 0x7fffffff, (int)0x80000000 };

	if (below(t, 40) == 0)
		return ONE_OF(t, odd);
	return below(t, 30) == 0 ? memory_file : files[below(t, FILES)];
}

static int iommu_file(struct thread *t)
{
	return below(t, 20) ? files[below(t, IOMMU_FILES)] : any_file(t);
}

static int other_file(struct thread *t)
{
	return below(t, 20) ? files[IOMMU_FILES + below(t, FILES - IOMMU_FILES)] : any_file(t);
}

static void keep_at(volatile int *place, int fd)
{
	int before;

	if (fd <= 2 || fd == memory_file)
		return;
	before = __atomic_exchange_n(place, fd, __ATOMIC_RELAXED);
	if (before > 2)
		close(before);
}

static void keep(struct thread *t, int fd)
{
	keep_at(&files[IOMMU_FILES + below(t, FILES - IOMMU_FILES)], fd);
}

static uint64_t any_address(struct thread *t)
{
	static const uint64_t odd[] = { 0, 8, 0xffff888000000000ULL, ~0ULL, ~0ULL - 7, 1ULL << 63,
					0x7fffffffeff8ULL, 0x7ffffffff000ULL, 1ULL << 47, 0x800000000000ULL - 16 };
	char *const places[] = { read_only, inaccessible, zeroes, served, edge + PAGE - 8, edge + PAGE - 1,
				 (char *)&any_address };

	if (below(t, 12) == 0)
		return ONE_OF(t, odd);
	if (below(t, 8) == 0)
		return (uintptr_t)ONE_OF(t, places);
	return (uintptr_t)regions[below(t, REGIONS)] + below(t, 64) * PAGE + (below(t, 4) ? 0 : below(t, 4096));
}

static uint32_t any_word(struct thread *t)
{
	static const uint32_t odd[] = { ~0u, 1u << 31, 1u << 20, 4096, 0xdead, 0xdeadbeef, 0xbeefbeef, 0xfeedbeef,
					1u << 16, 24, 40, 72 };

	switch (below(t, 8)) {
	case 0:
		return ONE_OF(t, odd);
	case 1:
		return any_file(t);
	case 2:
		return below(t, 64);
	case 3:
	case 4:
		return 0;
	default:
		return below(t, 12);
	}
}

static uint64_t any_iova(struct thread *t)
{
	return below(t, 10) ? (1ULL << 24) + below(t, 256) * PAGE : any_address(t);
}

static uint64_t any_length(struct thread *t)
{
	static const uint64_t odd[] = { 0, 1, 2048, PAGE - 1, 2 * PAGE + 1, REGION, 1ULL << 21, 1ULL << 30, 1ULL << 40,
					~0ULL, ~0ULL - PAGE + 1, 1ULL << 63 };

	return below(t, 6) ? (1 + below(t, 16)) * PAGE : ONE_OF(t, odd);
}

union argument {
	uint32_t word[32];
	uint64_t pair[16];
	unsigned char byte[128];
};

/*
 * What stands in the structs of /dev/iommu behind their size, so that calls get somewhere: i an id, f flags, m flags of
 * a mapping, n a small number, w any word, T a type, F a descriptor, 0 zero; and of 64 bits A an address, L a length,
 * V an IOVA, P a page size, O an offset, N a small number.
 */
static const char *const structs[] = {
	"i", "fi", "in0A", "miiLVV", "in0AN", "mi0ALV", "iVL", "nniN", "in", "fiii0TnAi0", "finATNN",
	"fi0", "if0VLPA", "iATnn0", "fii", "miFOLV", "0Tiiin0A", "iiiN", "0", "0iTniF0", "0iTniVL",
};
/* The same of the test's ops, from 1 on, behind their number. */
static const char *const test_structs[] = {
	"i0VL", "i0iii", "i0VLA", "00LAn", "i0Ff", "F0n", "F0fnVLA", "F0VLAf", "00w", "i0i", "F0i", "i0iiif", "i0f0VLPA",
	"i0nw", "00innfV", "i0nw", "00i", "i0ni", "i0ni", "i0n", "i0ni",
};
static const unsigned int sizes[] = { 8, 12, 24, 40, 32, 40, 24, 24, 12, 48, 40, 16, 48, 32, 16, 40, 40, 24, 8, 32, 40 };

static uint64_t field(struct thread *t, char kind)
{
	static const uint32_t types[] = { 0, 1, 2, 0xdead, 0xdeadbeef, 0xbeefbeef };

	if (below(t, 40) == 0)
		return any_word(t);
	switch (kind) {
	case 'i':
		return 1 + below(t, below(t, 3) ? 5 : 40);
	case 'f':
		return below(t, 2) ? 0 : below(t, 8);
	case 'm':
		return 6 | below(t, 2);
	case 'n':
		return below(t, 9);
	case 'w':
		return any_word(t);
	case 'T':
		return ONE_OF(t, types);
	case 'F':
		return below(t, 8) ? other_file(t) : memory_file;
	case 'A':
		return any_address(t);
	case 'L':
		return any_length(t);
	case 'V':
		return any_iova(t);
	case 'P':
		return below(t, 4) ? PAGE : any_length(t);
	case 'O':
		return below(t, 16) * PAGE;
	case 'N':
		return below(t, 4);
	default:
		return 0;
	}
}

/* @returns its size */
static unsigned int iommufd_struct(struct thread *t, unsigned int nr, union argument *a)
{
	unsigned int size = nr == 0xa0 ? 72 : sizes[nr - 0x80], at = 1;
	const char *kinds;

	if (nr == 0xa0) {
		a->word[at++] = below(t, 4) ? 1 + below(t, COUNT(test_structs) + 1) : MOCK_DOMAIN;
		kinds = a->word[1] <= COUNT(test_structs) ? test_structs[a->word[1] - 1] : "";
	} else {
		kinds = structs[nr - 0x80];
	}
	for (; *kinds; kinds++) {
		if (strchr("ALVPON", *kinds)) {
			at += at & 1;
			a->pair[at / 2] = field(t, *kinds);
			at += 2;
		} else {
			a->word[at++] = field(t, *kinds);
		}
	}
	a->word[0] = below(t, 30) ? size : any_word(t);
	return size;
}

static void vfio_struct(struct thread *t, union argument *a)
{
	static const uint32_t sizes[] = { 8, 12, 16, 24, 32, 40, 128 };
	unsigned int i;

	for (i = 0; i < COUNT(a->word); i++)
		a->word[i] = below(t, 2) ? 0 : below(t, 3) ? below(t, 10) : any_word(t);
	a->word[0] = below(t, 10) ? ONE_OF(t, sizes) : any_word(t);
	if (below(t, 2)) {
		a->word[1] = below(t, 2) ? 3 : a->word[1];
		a->pair[1] = below(t, 2) ? any_address(t) : any_iova(t);
		a->pair[2] = below(t, 2) ? any_iova(t) : any_length(t);
		a->pair[3] = any_length(t);
	} else if (below(t, 2)) {
		a->word[2] = any_file(t);
	}
}

static void put(char *at, const void *from, size_t size)
{
	if (sigsetjmp(retreat, 1) == 0) {
		guarded = 1;
		memcpy(at, from, size);
	}
	guarded = 0;
}

/* Where the argument is put; the number itself where it cannot be written. */
static uint64_t place(struct thread *t, const union argument *a, unsigned int size)
{
	char *at = scratch + (t - threads) * PAGE;

	if (below(t, 50) == 0)
		return any_address(t);
	if (below(t, 10) == 0)
		at = (char *)(uintptr_t)any_address(t);
	else if (below(t, 10) == 0)
		at = edge + PAGE - (size ? size : 1);
	else
		at += below(t, 20) ? 0 : below(t, PAGE - sizeof(*a));
	put(at, a, size < sizeof(*a) ? size : sizeof(*a));
	return (uintptr_t)at;
}

/* The descriptor that a call has made, or -1. */
static int new_file(unsigned int command, unsigned long argument, int result)
{
	uint32_t word[8] = { 0 };

	if (command == 0x3b6a)
		return result; /* a group's device */
	if (command == 0x3b8e || command == 0x3b93 || command == 0x3ba0)
		put((char *)word, (const void *)argument, sizeof(word));
	if (command == 0x3ba0)
		return word[1] == 5 ? (int)word[4] : -1;
	return command == 0x3b8e ? (int)word[3] : command == 0x3b93 ? (int)word[6] : -1;
}

static void call(struct thread *t)
{
	union argument a;
	unsigned int command, size = sizeof(a);
	unsigned long argument;
	int fd = other_file(t);
	long result;

	memset(&a, 0, sizeof(a));
	switch (below(t, 20)) {
	case 0:
		command = next(t);
		vfio_struct(t, &a);
		break;
	case 1:
		command = below(t, 2) ? 0xc0205201 : 0x40085202; /* what the launcher asks */
		vfio_struct(t, &a);
		break;
	case 2:
		command = 0x3b00 | below(t, 256);
		vfio_struct(t, &a);
		break;
	case 3:
	case 4:
	case 5:
		command = 0x3b64 + below(t, 24);
		vfio_struct(t, &a);
		break;
	default:
		command = 0x3b00 | (below(t, 4) == 0 ? ONE_OF(t, beginnings) : below(t, 3) ? 0x80 + below(t, COUNT(structs)) : 0xa0);
		fd = iommu_file(t);
		size = iommufd_struct(t, command & 0xff, &a);
	}
	argument = below(t, 40) ? place(t, &a, size) : next(t) % 24;
	result = syscall(SYS_ioctl, fd, command, argument);
	count(t, result);
	if (result >= 0)
		keep(t, new_file(command, argument, result));
}

static void open_node(struct thread *t)
{
	static const char *const nodes[] = {
		"/dev/vfio/vfio", "/dev/vfio/3", "/dev/vfio/3", "/dev/vfio/0", "/dev/vfio/devices/vfio0",
		"/dev/vfio/devices/vfio0", "/dev/vfio/devices/vfio1", "/dev/vfio/devices", "/dev/fail-nth",
		"/sys/bus/pci/devices/0000:01:00.0/config", "/dev/vfio/x",
	};
	static const int modes[] = { O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_TRUNC | O_CREAT,
				     O_RDWR | O_APPEND, O_RDWR | O_DIRECT, O_PATH, O_RDWR | O_NONBLOCK, O_TMPFILE | O_RDWR };
	int is_iommu = below(t, 16) == 0, fd;
	char path[64];

	if (below(t, 20) == 0) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", any_file(t));
		fd = open(path, O_RDWR);
	} else {
		fd = open(is_iommu ? "/dev/iommu" : ONE_OF(t, nodes), (below(t, 4) ? O_RDWR : ONE_OF(t, modes)) | O_CLOEXEC, 0600);
	}
	count(t, fd);
	if (is_iommu)
		keep_at(&files[below(t, IOMMU_FILES)], fd);
	else
		keep(t, fd);
}

static void use_file(struct thread *t)
{
	static const off_t places[] = { 0, 0, 4, 7LL << 40, (7LL << 40) + 4, 1LL << 62, (7LL << 40) + 4095, 8LL << 40 };
	static const size_t sizes[] = { 0, 1, 4, 8, 16, 40, 80, PAGE, REGION };
	struct pollfd polled = { other_file(t), POLLIN | POLLOUT, 0 };
	char *memory = (char *)(uintptr_t)any_address(t);
	off_t at = ONE_OF(t, places);
	size_t size = ONE_OF(t, sizes);
	struct stat status;
	char *page;

	switch (below(t, 11)) {
	case 0:
		count(t, read(polled.fd, memory, size));
		break;
	case 1:
		if (polled.fd != 0)
			count(t, write(polled.fd, memory, size));
		break;
	case 2:
		count(t, pread(polled.fd, memory, size, at));
		break;
	case 3:
		if (polled.fd != 0)
			count(t, pwrite(polled.fd, memory, size, at));
		break;
	case 4:
		count(t, poll(&polled, 1, below(t, 8) == 0));
		break;
	case 5:
		count(t, lseek(polled.fd, at, below(t, 5)));
		break;
	case 6:
		count(t, fstat(polled.fd, &status));
		count(t, fchmod(polled.fd, 0600));
		break;
	case 7:
		if (polled.fd != memory_file)
			count(t, ftruncate(polled.fd, size));
		break;
	case 8:
		count(t, fsync(polled.fd));
		break;
	case 9:
		count(t, fcntl(polled.fd, F_SETFL, below(t, 2) ? O_NONBLOCK : O_APPEND));
		break;
	default:
		page = mmap(NULL, PAGE, PROT_READ, below(t, 2) ? MAP_SHARED : MAP_PRIVATE, polled.fd, 0);
		count(t, page == MAP_FAILED ? -1 : 0);
		if (page != MAP_FAILED)
			munmap(page, PAGE);
	}
}

static void lose_file(struct thread *t)
{
	volatile int *place = &files[IOMMU_FILES + below(t, FILES - IOMMU_FILES)];
	int fd = *place;

	if (fd <= 2 || fd == memory_file)
		return;
	if (below(t, 3)) {
		keep(t, dup(fd));
	} else if (below(t, 2)) {
		*place = -1;
		count(t, close(fd));
	} else {
		count(t, dup2(any_file(t), fd));
	}
}

static void change_memory(struct thread *t)
{
	char *region = regions[below(t, REGIONS)] + below(t, 60) * PAGE;
	size_t size = (1 + below(t, 4)) * PAGE;
	static const int protections[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
					   PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC };

	switch (below(t, 6)) {
	case 0:
		count(t, munmap(region, size));
		break;
	case 1:
		count(t, mprotect(region, size, ONE_OF(t, protections)));
		break;
	case 2:
		count(t, madvise(region, size, MADV_DONTNEED));
		break;
	case 3:
		if (mmap(region, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory_file,
			 below(t, 60) * PAGE) == MAP_FAILED)
			count(t, -1);
		break;
	default:
		if (mmap(region, size, PROT_READ | PROT_WRITE,
			 (below(t, 3) ? MAP_PRIVATE : MAP_SHARED) | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
			count(t, -1);
	}
}

static void change_machine(struct thread *t)
{
	static const char *const attributes[] = {
		"/sys/bus/pci/drivers/vfio-pci/unbind", "/sys/bus/pci/drivers/vfio-pci/bind", "/sys/bus/pci/drivers/vfio-pci/bind",
		"/sys/bus/pci/drivers_probe", "/sys/bus/pci/drivers_probe", "/sys/bus/pci/rescan", "/sys/bus/pci/rescan",
		"/sys/bus/pci/drivers/vfio-pci/new_id", "/sys/bus/pci/drivers/vfio-pci/remove_id",
		"/sys/bus/pci/devices/0000:01:00.0/driver_override", "/sys/bus/pci/devices/0000:01:00.0/driver_override",
		"/sys/bus/pci/devices/0000:01:00.1/driver_override", "/sys/bus/pci/devices/0000:01:00.0/sriov_numvfs",
		"/sys/bus/pci/devices/0000:01:00.0/reset", "/sys/bus/pci/devices/0000:01:00.0/config",
		"/sys/bus/pci/devices/0000:01:00.0/enable", "/sys/bus/pci/devices/0000:01:00.0/numa_node",
		"/sys/bus/pci/devices/0000:01:00.0/power/control", "/sys/kernel/iommu_groups/3/type",
		"/sys/bus/pci/devices/0000:01:00.1/remove", "/sys/bus/pci/devices/0000:01:00.0/remove",
		"/sys/bus/pci/devices/0000:01:00.0/reset_method", "/sys/bus/pci/devices/0000:01:00.0/vendor",
	};
	static const char *const words[] = { "0000:01:00.0", "0000:01:00.0\n", "0000:01:00.1", "vfio-pci\n", "vfio-pci", "1",
					     "1\n", "0", "2\n", "\n", "", "8086 10d3", "-1", "999999999999999999999",
					     "DMA\n", "identity", "auto", "%s%n", "\xff\xfe", "0x1\n1" };
	static char much[20000];
	const char *word = ONE_OF(t, words);
	int fd = open(ONE_OF(t, attributes), below(t, 2) ? O_WRONLY : O_RDWR | O_TRUNC);

	count(t, fd);
	if (fd < 0)
		return;
	count(t, below(t, 30) ? write(fd, word, strlen(word)) : write(fd, much, sizeof(much)));
	close(fd);
}

static void look_around(struct thread *t)
{
	static const char *const folders[] = { "/dev/vfio", "/dev", "/dev/vfio/devices", "/sys/bus/pci/devices",
					       "/sys/kernel/iommu_groups", "/sys/bus/pci/devices/0000:01:00.0",
					       "/sys/kernel/iommu_groups/3/devices", "/sys/class/iommu", "/sys/class/vfio" };
	static const char *const names[] = { "vendor", "config", "driver", "uevent", "iommu_group", "..", "resource", "nothing",
					     "vfio", "3", "0000:01:00.0" };
	const char *folder = ONE_OF(t, folders);
	char path[300], text[4096];
	DIR *open_folder;
	struct stat status;
	int fd, entries = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, ONE_OF(t, names));
	switch (below(t, 8)) {
	case 0:
		if (t->in_child)
			break; /* the heap may be another thread's */
		open_folder = opendir(folder);
		while (open_folder && readdir(open_folder) && entries++ < 1000)
			;
		if (open_folder)
			closedir(open_folder);
		break;
	case 1:
		count(t, readlink(path, text, sizeof(text)));
		break;
	case 2:
		count(t, mkdir(path, 0700));
		break;
	case 3:
		count(t, unlink(path));
		break;
	case 4:
		count(t, rename(path, "/dev/vfio/renamed"));
		break;
	case 5:
		count(t, stat(path, &status));
		break;
	default:
		fd = open(path, O_RDONLY);
		count(t, fd);
		if (fd < 0)
			break;
		count(t, read(fd, text, sizeof(text)));
		close(fd);
	}
}

static void step(struct thread *t);

/* Ends itself, becomes another program, or is killed at some moment. */
static void have_child(struct thread *t)
{
	const struct timespec moment = { 0, below(t, 3000000) };
	unsigned int ending = below(t, 4);
	char seed[24];
	pid_t child;
	int i;

	if (t->in_child)
		return;
	snprintf(seed, sizeof(seed), "%lu", (unsigned long)(next(t) % 1000000 + 1));
	child = fork();
	if (child == 0) {
		t->in_child = 1;
		for (i = 0; i < 20 || ending == 0; i++)
			step(t);
		if (ending == 1)
			execl("/proc/self/exe", "hostile", seed, "40", "2", "quiet", NULL);
		_exit(0);
	}
	if (child < 0)
		return;
	if (ending == 0) {
		nanosleep(&moment, NULL);
		kill(child, SIGKILL);
	}
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static void fail_something(struct thread *t)
{
	int fd = open("/dev/fail-nth", O_RDWR);
	char text[16];

	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "%u", below(t, 20));
	count(t, write(fd, text, strlen(text)));
	close(fd);
}

static void step(struct thread *t)
{
	unsigned int dice = below(t, 976);

	if (dice < 800)
		call(t);
	else if (dice < 850)
		use_file(t);
	else if (dice < 890)
		open_node(t);
	else if (dice < 895)
		lose_file(t);
	else if (dice < 925)
		change_memory(t);
	else if (dice < 960)
		look_around(t);
	else if (dice < 966)
		change_machine(t);
	else if (dice < 972)
		fail_something(t);
	else if (dice < 974)
		have_child(t);
	else
		pthread_kill(threads[below(t, MOST_THREADS)].id ?: pthread_self(), SIGUSR2);
}

static void *be_hostile(void *argument)
{
	struct thread *t = argument;

	while (t->done < t->calls) {
		step(t);
		t->done++;
	}
	return NULL;
}

/* Whether one of the ordinary things still works. */
static int is_served(void)
{
	unsigned int ioas[3] = { sizeof(ioas), 0, 0 };
	int calm = open("/dev/fail-nth", O_WRONLY), fd;
	int served;

	if (calm >= 0 && write(calm, "0", 1) != 1)
		return 0;
	fd = open("/dev/iommu", O_RDWR);
	served = fd >= 0 && ioctl(fd, 0x3b81, ioas) == 0 && ioas[2] == 1;

	if (!served)
		perror("hostile: an ordinary call afterwards");
	if (fd >= 0)
		close(fd);
	return served;
}

static void *map(size_t size, int protection, int flags, int fd)
{
	void *at = mmap(NULL, size, protection, flags, fd, 0);

	if (at == MAP_FAILED) {
		perror("hostile: mmap");
		exit(3);
	}
	return at;
}

static void prepare(void)
{
	int fd = open("/sys/bus/pci/devices/0000:01:00.0/vendor", O_RDONLY), i;
	const int anonymous = MAP_PRIVATE | MAP_ANONYMOUS, both = PROT_READ | PROT_WRITE;
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	action.sa_handler = on_fault;
	action.sa_flags = SA_NODEFER;
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGBUS, &action, NULL);
	action.sa_handler = on_alarm;
	action.sa_flags = 0;
	sigaction(SIGUSR2, &action, NULL);
	/* Standard input may be a socket, and written to. */
	signal(SIGPIPE, SIG_IGN);

	memory_file = memfd_create("hostile", 0);
	if (memory_file < 0 || ftruncate(memory_file, REGION))
		exit(3);
	for (i = 0; i < FILES; i++)
		files[i] = -1;
	for (i = 0; i < IOMMU_FILES; i++)
		files[i] = open("/dev/iommu", O_RDWR);
	for (i = 0; i < REGIONS; i++)
		regions[i] = i % 4 ? map(REGION, both, anonymous, -1) : map(REGION, both, MAP_SHARED, memory_file);
	scratch = map(MOST_THREADS * PAGE, both, anonymous, -1);
	read_only = map(PAGE, PROT_READ, anonymous, -1);
	inaccessible = map(PAGE, PROT_NONE, anonymous, -1);
	zeroes = map(1UL << 30, both, anonymous | MAP_NORESERVE, -1);
	edge = map(2 * PAGE, both, anonymous, -1);
	munmap(edge + PAGE, PAGE);
	served = fd < 0 ? inaccessible : map(PAGE, both, MAP_PRIVATE, fd);
	close(fd);
}

/* @returns whether all came to their end */
static int await(unsigned int number)
{
	struct timespec until;
	unsigned long before, done = 0;
	unsigned int i;

	for (i = 0; i < number;) {
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_sec += STUCK_SECONDS;
		before = done;
		if (pthread_timedjoin_np(threads[i].id, NULL, &until) == 0) {
			i++;
			done = 0;
			continue;
		}
		done = threads[i].done;
		if (done == before) {
			fprintf(stderr, "hostile: thread %u hangs after %lu of %lu\n", i, done, threads[i].calls);
			return 0;
		}
	}
	return 1;
}

int main(int argc, char **argv)
{
	unsigned long seed = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	unsigned long calls = argc > 2 ? strtoul(argv[2], NULL, 10) : 10000;
	unsigned int number = argc > 3 ? strtoul(argv[3], NULL, 10) : 4, i, error;
	unsigned long met, done = 0;

	if (number < 1 || number > MOST_THREADS)
		return 2;
	prepare();
	for (i = 0; i < number; i++) {
		threads[i].random = (seed * MOST_THREADS + i + 1) * 0x9e3779b97f4a7c15ULL;
		threads[i].calls = calls / number;
		if (pthread_create(&threads[i].id, NULL, be_hostile, &threads[i]))
			return 3;
	}
	if (argc <= 4) {
		puts("begun");
		fflush(stdout);
	}
	if (!await(number))
		_exit(4);
	for (i = 0; i < FILES; i++)
		if (files[i] > 2)
			close(files[i]);
	if (!is_served())
		return 5;
	if (argc > 4)
		return 0;
	for (error = 0; error < MOST_ERRNO; error++) {
		for (met = 0, i = 0; i < number; i++)
			met += threads[i].met[error];
		if (met)
			printf("%s=%lu ", error ? strerrorname_np(error) : "ok", met);
	}
	for (i = 0; i < number; i++)
		done += threads[i].done;
	printf("\ndone %lu\n", done);
	return 0;
}
