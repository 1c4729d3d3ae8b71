/*
 * A program that calls /dev/iommu as quickly as it can: door ROUNDS. Prints nanoseconds: median and 99th percentile of
 * a small ioctl, of mapping a page and of unmapping it.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

struct ioas_alloc { uint32_t size, flags, out_ioas_id; };
struct ioas_map { uint32_t size, flags, ioas_id, reserved; uint64_t user_va, length, iova; };
struct ioas_unmap { uint32_t size, ioas_id; uint64_t iova, length; };
struct option { uint32_t size, option_id; uint16_t op, reserved; uint32_t object_id; uint64_t val64; };

enum { IOAS_ALLOC = 0x3b81, IOAS_MAP = 0x3b85, IOAS_UNMAP = 0x3b86, OPTION = 0x3b87 };
enum { PAGE = 4096, FIXED_READ_WRITE = 7, HUGE_PAGES = 1, GET = 1 };

static uint64_t now(void)
{
	struct timespec at;
	clock_gettime(CLOCK_MONOTONIC, &at);
	return at.tv_sec * 1000000000ull + at.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static void print(const char *name, uint64_t *times, int count)
{
	qsort(times, count, sizeof *times, by_value);
	printf("%s %llu %llu\n", name, (unsigned long long)times[count / 2], (unsigned long long)times[count * 99 / 100]);
}

static void call(int fd, unsigned long command, void *argument, uint64_t *time)
{
	uint64_t start = now();
	if (ioctl(fd, command, argument)) {
		perror("ioctl");
		exit(1);
	}
	*time = now() - start;
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : 20000;
	uint64_t *times[3];
	for (int i = 0; i < 3; i++) times[i] = calloc(rounds, sizeof **times);
	int fd = open("/dev/iommu", O_RDWR);
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ioas_alloc ioas = { .size = sizeof ioas };
	if (fd < 0 || page == MAP_FAILED || ioctl(fd, IOAS_ALLOC, &ioas)) {
		perror("/dev/iommu");
		return 1;
	}
	for (int i = 0; i < rounds; i++) {
		struct option option = { .size = sizeof option, .option_id = HUGE_PAGES, .op = GET, .object_id = ioas.out_ioas_id };
		struct ioas_map map = { .size = sizeof map, .flags = FIXED_READ_WRITE, .ioas_id = ioas.out_ioas_id,
			.user_va = (uintptr_t)page, .length = PAGE, .iova = 0x100000 };
		struct ioas_unmap unmap = { .size = sizeof unmap, .ioas_id = ioas.out_ioas_id, .iova = 0x100000, .length = PAGE };
		call(fd, OPTION, &option, &times[0][i]);
		call(fd, IOAS_MAP, &map, &times[1][i]);
		call(fd, IOAS_UNMAP, &unmap, &times[2][i]);
	}
	print("option", times[0], rounds);
	print("map", times[1], rounds);
	print("unmap", times[2], rounds);
	return 0;
}
