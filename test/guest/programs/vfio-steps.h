/* What programs that drive a device through VFIO have in common, whichever way they came to its descriptor. */
#ifndef VFIO_STEPS_H
#define VFIO_STEPS_H

#include <err.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include "iommufd-abi.h"

#define CHECK(call)                            \
	do {                                   \
		if ((call) < 0)                \
			err(1, "%s", #call);   \
	} while (0)

/* A hexadecimal number that sysfs has of the device. */
static inline unsigned int sysfs_number(const char *device, const char *name)
{
	char path[256], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", device, name);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		err(1, "%s", path);
	if (read(fd, text, sizeof(text) - 1) < 0)
		err(1, "%s", path);
	close(fd);
	return strtoul(text, NULL, 16);
}

/* Information, regions and interrupts; vendor and device as sysfs has them; then bus mastering on. */
static inline void look_at_device(int fd, const char *name)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info config = { .argsz = sizeof(config), .index = VFIO_PCI_CONFIG_REGION_INDEX };
	struct vfio_irq_info irq = { .argsz = sizeof(irq), .index = VFIO_PCI_MSI_IRQ_INDEX };
	uint16_t ids[2], command;

	CHECK(ioctl(fd, VFIO_DEVICE_GET_INFO, &info));
	if (!(info.flags & VFIO_DEVICE_FLAGS_PCI) || info.num_regions < VFIO_PCI_NUM_REGIONS)
		errx(1, "%s: flags %#x, %u regions", name, info.flags, info.num_regions);
	CHECK(ioctl(fd, VFIO_DEVICE_GET_REGION_INFO, &config));
	CHECK(ioctl(fd, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	if (pread(fd, ids, sizeof(ids), config.offset) != sizeof(ids))
		err(1, "reading configuration space");
	if (ids[0] != sysfs_number(name, "vendor") || ids[1] != sysfs_number(name, "device"))
		errx(1, "configuration space has %04x:%04x, sysfs %04x:%04x", ids[0], ids[1],
		     sysfs_number(name, "vendor"), sysfs_number(name, "device"));
	if (pread(fd, &command, 2, config.offset + 4) != 2)
		err(1, "reading the command register");
	command |= 4;
	if (pwrite(fd, &command, 2, config.offset + 4) != 2)
		err(1, "writing the command register");
	if (pread(fd, &command, 2, config.offset + 4) != 2 || !(command & 4))
		errx(1, "bus mastering stays off");
	printf("%s is %04x:%04x, %u regions, %u interrupts\n", name, ids[0], ids[1], info.num_regions,
	       info.num_irqs);
}

/* Waits until the device has written to `where`; at most ten seconds. */
static inline void await_dma(volatile unsigned char *where, uint64_t iova)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	int patience = 10000;

	printf("waiting for the device to write to %#llx\n", (unsigned long long)iova);
	fflush(stdout);
	while (!*where) {
		if (patience-- == 0)
			errx(1, "the device wrote nothing");
		nanosleep(&moment, NULL);
	}
	printf("the device wrote %02x %02x %02x %02x\n", where[0], where[1], where[2], where[3]);
}

#endif
