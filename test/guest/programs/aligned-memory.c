/*
 * Linked into a program that wants huge pages where there are none (-Wl,--wrap=mmap): MAP_HUGETLB gives ordinary
 * memory that starts at a multiple of 2 MiB. The door gives such memory page frames as contiguous as a huge page's,
 * so the program's tests test the same large leaves of page tables.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/mman.h>

#define HUGE_PAGE (2UL << 20)

void *__real_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset);

void *__wrap_mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	char *room, *start;

	if (!(flags & MAP_HUGETLB))
		return __real_mmap(address, length, protection, flags, fd, offset);
	flags &= ~MAP_HUGETLB;
	length = (length + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1);
	if (flags & MAP_FIXED)
		return __real_mmap(address, length, protection, flags, fd, offset);
	room = __real_mmap(0, length + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (room == MAP_FAILED)
		return MAP_FAILED;
	start = (char *)(((uintptr_t)room + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1));
	if (start > room)
		munmap(room, start - room);
	munmap(start + length, room + HUGE_PAGE - start);
	return __real_mmap(start, length, protection, flags | MAP_FIXED, fd, offset);
}
