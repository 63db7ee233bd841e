/* A volume of UBI on a flash chip, over all of it: volume /dev/ubi0 OCTETS. BusyBox in Debian has no tool for it. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

/* UBI_IOCMKVOL, as mtd/ubi-user.h lays it out. */
struct request {
	int32_t id;
	int32_t alignment;
	int64_t octets;
	int8_t type;
	uint8_t flags;
	int16_t name_len;
	int8_t padding[4];
	char name[128];
} __attribute__((packed));

int main(int argc, char **argv)
{
	struct request r = { .id = 0, .alignment = 1, .type = 3, .name_len = 5, .name = "spool" };
	int fd = argc == 3 ? open(argv[1], O_RDONLY) : -1;

	if (fd >= 0)
		r.octets = strtoll(argv[2], NULL, 10);
	if (fd < 0 || ioctl(fd, _IOW('o', 0, struct request), &r) < 0) {
		perror("volume");
		return 1;
	}
	return 0;
}
