/*
 * Linked into the kernel's iommufd_fail_nth (-Wl,--wrap=open,--wrap=openat): its /proc/self/task/TID/fail-nth is the
 * door's /dev/fail-nth, as no file can be put into /proc; and the switches of debugfs, that say which allocations may
 * fail, take what is written and do nothing: with the door all may.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>

int __real_open(const char *path, int flags, ...);
int __real_openat(int folder, const char *path, int flags, ...);

static int ends_with(const char *text, const char *end)
{
	size_t length = strlen(text), of_end = strlen(end);

	return length >= of_end && strcmp(text + length - of_end, end) == 0;
}

int __wrap_open(const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if (strncmp(path, "/proc/self/task/", 16) == 0 && ends_with(path, "/fail-nth"))
		path = "/dev/fail-nth";
	return __real_open(path, flags, mode);
}

int __wrap_openat(int folder, const char *path, int flags, ...)
{
	va_list rest;
	mode_t mode;

	va_start(rest, flags);
	mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
	va_end(rest);
	if (strncmp(path, "failslab/", 9) == 0 || strncmp(path, "fail_page_alloc/", 16) == 0)
		path = "/dev/null";
	return __real_openat(folder, path, flags, mode);
}
