/*
 * Drives a PCI device through its own VFIO node and iommufd, in the order the kernel's documentation has
 * (Documentation/driver-api/vfio.rst, "VFIO device cdev"):
 *
 *   vfio-cdev 0000:06:0d.0 [dma]
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sys/mman.h>
#include "vfio-steps.h"

#define LENGTH (2UL << 20)
#define IOVA 0x10000000UL

static int open_device(const char *name)
{
	char path[300];
	struct dirent *entry;
	DIR *folder;
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev", name);
	folder = opendir(path);
	if (!folder)
		err(1, "%s", path);
	while ((entry = readdir(folder)) && strncmp(entry->d_name, "vfio", 4))
		;
	if (!entry)
		errx(1, "%s is empty", path);
	snprintf(path, sizeof(path), "/dev/vfio/devices/%.200s", entry->d_name);
	fd = open(path, O_RDWR);
	if (fd < 0)
		err(1, "%s", path);
	closedir(folder);
	return fd;
}

int main(int argc, char **argv)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct iommu_ioas_map map = { .size = sizeof(map) };
	struct iommu_ioas_unmap unmap = { .size = sizeof(unmap) };
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	struct vfio_device_info early = { .argsz = sizeof(early) };
	unsigned char *memory;
	int device, iommufd;

	if (argc < 2)
		errx(2, "usage: vfio-cdev DEVICE [dma]");
	device = open_device(argv[1]);
	if (ioctl(device, VFIO_DEVICE_GET_INFO, &early) == 0)
		errx(1, "the device answers before it is bound");
	iommufd = open("/dev/iommu", O_RDWR);
	if (iommufd < 0)
		err(1, "/dev/iommu");

	bind.iommufd = iommufd;
	CHECK(ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	CHECK(ioctl(iommufd, IOMMU_IOAS_ALLOC, &alloc));
	attach.pt_id = alloc.out_ioas_id;
	CHECK(ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	printf("device %u is attached to page table %u of address space %u\n", bind.out_devid, attach.pt_id,
	       alloc.out_ioas_id);
	look_at_device(device, argv[1]);

	memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	map.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | IOMMU_IOAS_MAP_READABLE;
	map.ioas_id = alloc.out_ioas_id;
	map.user_va = (uintptr_t)memory;
	map.length = LENGTH;
	map.iova = IOVA;
	CHECK(ioctl(iommufd, IOMMU_IOAS_MAP, &map));
	if (argc > 2)
		await_dma(memory, IOVA);

	unmap.ioas_id = alloc.out_ioas_id;
	unmap.iova = IOVA;
	unmap.length = LENGTH;
	CHECK(ioctl(iommufd, IOMMU_IOAS_UNMAP, &unmap));
	CHECK(ioctl(device, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	destroy.id = alloc.out_ioas_id;
	CHECK(ioctl(iommufd, IOMMU_DESTROY, &destroy));
	close(device);
	close(iommufd);
	printf("done\n");
	return 0;
}
