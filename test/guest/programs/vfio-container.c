/*
 * Drives a PCI device the way programs did before iommufd (Documentation/driver-api/vfio.rst, "VFIO Usage Example"):
 *
 *   vfio-container 0000:06:0d.0 [dma]
 */
#define _GNU_SOURCE
#include <libgen.h>
#include <sys/mman.h>
#include "vfio-steps.h"

#define LENGTH (1UL << 20)
#define IOVA 0UL

static int open_group(const char *name)
{
	char path[256], target[256] = "";
	int fd;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", name);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		err(1, "%s", path);
	snprintf(path, sizeof(path), "/dev/vfio/%.200s", basename(target));
	fd = open(path, O_RDWR);
	if (fd < 0)
		err(1, "%s", path);
	return fd;
}

int main(int argc, char **argv)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_iommu_type1_info info = { .argsz = sizeof(info) };
	struct vfio_iommu_type1_dma_map map = { .argsz = sizeof(map) };
	struct vfio_iommu_type1_dma_unmap unmap = { .argsz = sizeof(unmap) };
	int container, group, device;
	unsigned char *memory;

	if (argc < 2)
		errx(2, "usage: vfio-container DEVICE [dma]");
	container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		err(1, "/dev/vfio/vfio");
	if (ioctl(container, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		errx(1, "another version of VFIO");
	if (ioctl(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1)
		errx(1, "no IOMMU of type 1");

	group = open_group(argv[1]);
	CHECK(ioctl(group, VFIO_GROUP_GET_STATUS, &status));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		errx(1, "the group is not viable: not all its devices have a VFIO driver");
	CHECK(ioctl(group, VFIO_GROUP_SET_CONTAINER, &container));
	CHECK(ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));
	CHECK(ioctl(container, VFIO_IOMMU_GET_INFO, &info));

	memory = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err(1, "mmap");
	map.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	map.vaddr = (uintptr_t)memory;
	map.iova = IOVA;
	map.size = LENGTH;
	CHECK(ioctl(container, VFIO_IOMMU_MAP_DMA, &map));

	device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[1]);
	if (device < 0)
		err(1, "VFIO_GROUP_GET_DEVICE_FD %s", argv[1]);
	if (!(fcntl(device, F_GETFD) & FD_CLOEXEC))
		errx(1, "the device's descriptor would survive exec");
	printf("pages of %#llx bytes and their multiples\n", (unsigned long long)info.iova_pgsizes);
	look_at_device(device, argv[1]);
	if (argc > 2)
		await_dma(memory, IOVA);

	unmap.iova = IOVA;
	unmap.size = LENGTH;
	CHECK(ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	if (unmap.size != LENGTH)
		errx(1, "only %#llx bytes were mapped", (unsigned long long)unmap.size);
	close(device);
	CHECK(ioctl(group, VFIO_GROUP_UNSET_CONTAINER));
	close(group);
	close(container);
	printf("done\n");
	return 0;
}
