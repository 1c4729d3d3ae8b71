/* Calls that return descriptors, from many threads, against descriptors that are not what they should be. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

struct ioas_alloc { unsigned size, flags, id; };
struct fault_alloc { unsigned size, flags, id, fd; };
struct destroy { unsigned size, id; };
#define DESTROY 0x3b80
#define IOAS_ALLOC 0x3b81
#define FAULT_QUEUE_ALLOC 0x3b8e

static int check(int holds, const char *what)
{
	if (!holds) {
		printf("failed: %s (errno %d)\n", what, errno);
		exit(1);
	}
	return 1;
}

static void one_queue(int iommu)
{
	struct fault_alloc queue = { sizeof(queue), 0, 0, -1u };
	struct destroy destroy = { sizeof(destroy), 0 };
	char byte[40];

	check(ioctl(iommu, FAULT_QUEUE_ALLOC, &queue) == 0, "alloc");
	check(fcntl(queue.fd, F_GETFD) == FD_CLOEXEC, "close on exec");
	check(read(queue.fd, byte, sizeof(byte)) == 0, "an empty queue reads nothing");
	destroy.id = queue.id;
	check(ioctl(iommu, DESTROY, &destroy) == -1 && errno == EBUSY, "busy while its descriptor is open");
	check(close(queue.fd) == 0, "close");
	check(ioctl(iommu, DESTROY, &destroy) == 0, "close was done when it returned");
}

static void *many(void *argument)
{
	int iommu = *(int *)argument;

	for (int i = 0; i < 25; i++) {
		int own = open("/dev/iommu", O_RDWR);

		check(own >= 0, "open");
		one_queue(own);
		one_queue(iommu);
		close(own);
	}
	return NULL;
}

int main(void)
{
	int iommu = open("/dev/iommu", O_RDWR);
	struct fault_alloc queue = { sizeof(queue), 0, 0, -1u };
	struct ioas_alloc ioas = { sizeof(ioas), 0, 0 };
	struct pollfd polled;
	pthread_t threads[4];
	void *page;
	int status;

	check(iommu >= 0, "open");
	one_queue(iommu);
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, many, &iommu);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);

	/* A child has the descriptor, and the file is open until both have closed it. */
	if (fork() == 0) {
		one_queue(iommu);
		check(ioctl(iommu, IOAS_ALLOC, &ioas) == 0, "the child's ioas");
		_exit(0);
	}
	check(wait(&status) > 0 && status == 0, "child");

	/* Not our file, and not even open. */
	check(ioctl(1, FAULT_QUEUE_ALLOC, &queue) == -1 && errno == ENOTTY, "standard output has no queues");
	check(ioctl(999, FAULT_QUEUE_ALLOC, &queue) == -1 && errno == EBADF, "a closed descriptor");
	check(ioctl(iommu, FAULT_QUEUE_ALLOC, 16) == -1 && errno == EFAULT, "a bad pointer");
	/* No descriptor is left: the queue must not stay either. */
	int last = dup(1), first = last;
	while (last >= 0)
		last = dup(1);
	check(ioctl(iommu, FAULT_QUEUE_ALLOC, &queue) == -1 && errno == EMFILE, "out of descriptors");
	for (int i = first; i < first + 16; i++)
		close(i);
	one_queue(iommu);

	/* Pages of a served file are served by whoever would have to read them. */
	int served = open("/sys/bus/pci/devices/0000:01:00.0/vendor", O_RDONLY);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, served, 0);
	check(page != MAP_FAILED, "mmap");
	check(ioctl(iommu, IOAS_ALLOC, page) == -1 && errno == EFAULT, "a served page");

	check(ioctl(iommu, FAULT_QUEUE_ALLOC, &queue) == 0, "the last queue");
	polled.fd = queue.fd;
	polled.events = POLLIN | POLLOUT;
	check(poll(&polled, 1, 0) == 1 && polled.revents == POLLOUT, "poll");
	check(pread(queue.fd, &status, 4, 4) == -1 && errno == ESPIPE, "no position");
	puts("done");
	return 0;
}
