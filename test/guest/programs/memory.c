/*
 * A process with memory of every kind, told what to do by lines on standard input; each is answered by one line.
 *
 *   map KIND BYTES [FILE]   private, shared, huge-private, huge-shared, file-private, file-shared: the address
 *   memfd BYTES             a file in memory: its descriptor
 *   attach FD BYTES         that file, shared: the address
 *   set ADDRESS BYTE COUNT  fills
 *   get ADDRESS COUNT       the bytes in hexadecimal
 *   protect ADDRESS COUNT rwx-letters
 *   unmap ADDRESS COUNT
 *   close FD
 *   fork [outlive]          the child stays as it is, paused: its process id; it ends with its parent, or a minute later
 *   become                  the child carries on, the parent waits for it: the child's process id
 *   exec                    starts this program anew
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void *map(const char *kind, size_t bytes, const char *file)
{
	int flags = strstr(kind, "shared") ? MAP_SHARED : MAP_PRIVATE;
	int fd = -1;
	void *address;

	if (strncmp(kind, "huge", 4) == 0)
		flags |= MAP_HUGETLB | MAP_POPULATE;
	if (strncmp(kind, "file", 4) == 0)
		fd = open(file, O_RDWR);
	else
		flags |= MAP_ANONYMOUS;
	address = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (fd >= 0)
		close(fd);
	return address;
}

static int protection(const char *letters)
{
	return (strchr(letters, 'r') ? PROT_READ : 0) | (strchr(letters, 'w') ? PROT_WRITE : 0) |
	       (strchr(letters, 'x') ? PROT_EXEC : 0);
}

static void answer(void *address)
{
	if (address == MAP_FAILED)
		printf("error %s\n", strerror(errno));
	else
		printf("%p\n", address);
}

int main(int argc, char **argv)
{
	char line[512], word[32], text[256];
	unsigned long address, count;
	unsigned int value;
	pid_t child;

	(void)argc;
	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		text[0] = 0;
		if (sscanf(line, "map %31s %lu %255s", word, &count, text) >= 2) {
			answer(map(word, count, text));
		} else if (sscanf(line, "memfd %lu", &count) == 1) {
			int fd = memfd_create("test", 0);
			if (ftruncate(fd, count))
				fd = -1;
			printf("%d\n", fd);
		} else if (sscanf(line, "attach %u %lu", &value, &count) == 2) {
			answer(mmap(NULL, count, PROT_READ | PROT_WRITE, MAP_SHARED, value, 0));
		} else if (sscanf(line, "set %li %i %lu", &address, &value, &count) == 3) {
			memset((void *)address, value, count);
			printf("ok\n");
		} else if (sscanf(line, "get %li %lu", &address, &count) == 2) {
			while (count--)
				printf("%02x", *(unsigned char *)address++);
			printf("\n");
		} else if (sscanf(line, "protect %li %lu %31s", &address, &count, word) == 3) {
			printf("%d\n", mprotect((void *)address, count, protection(word)));
		} else if (sscanf(line, "unmap %li %lu", &address, &count) == 2) {
			printf("%d\n", munmap((void *)address, count));
		} else if (sscanf(line, "close %u", &value) == 1) {
			printf("%d\n", close(value));
		} else if (strncmp(line, "fork", 4) == 0) {
			child = fork();
			if (child == 0) {
				if (strstr(line, "outlive"))
					alarm(60);
				else
					prctl(PR_SET_PDEATHSIG, SIGKILL);
				for (;;)
					pause();
			}
			printf("%d\n", child);
		} else if (strncmp(line, "become", 6) == 0) {
			child = fork();
			if (child == 0) {
				printf("%d\n", getpid());
				continue;
			}
			waitpid(child, NULL, 0);
			return 0;
		} else if (strncmp(line, "exec", 4) == 0) {
			printf("ok\n");
			execv("/proc/self/exe", argv);
			return 1;
		} else {
			printf("error what? %s", line);
		}
	}
	return 0;
}
