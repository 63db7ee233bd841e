/*
 * The main() of a fuzz target that replays files instead of hunting: seeds and past crashes, with any compiler. Arguments are
 * files, or directories whose files are taken; what is not there counts as empty.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX	(1 << 20)	/* octets: libFuzzer's own inputs end at 4096 unless told otherwise */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned count;

/* A copy of just its size, so that a sanitizer sees one octet read too many. */
static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *buffer = malloc(INPUT_MAX), *data;
	size_t size;

	if (!f || !buffer) {
		perror(path);
		return 1;
	}
	size = fread(buffer, 1, INPUT_MAX, f);
	fclose(f);
	data = malloc(size ? size : 1);
	if (!data) {
		perror(path);
		return 1;
	}
	memcpy(data, buffer, size);
	free(buffer);
	fprintf(stderr, "%s\n", path);	/* the last one named is the one that crashed */
	LLVMFuzzerTestOneInput(data, size);
	free(data);
	count++;
	return 0;
}

static int replay_directory(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int result = 0;

	if (!d)
		return 0;
	while ((e = readdir(d)) != NULL) {
		char name[4096];

		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		result |= replay_file(name);
	}
	closedir(d);
	return result;
}

int main(int argc, char **argv)
{
	int result = 0;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) != 0)
			continue;
		result |= S_ISDIR(st.st_mode) ? replay_directory(argv[i]) : replay_file(argv[i]);
	}
	printf("replayed: %u\n", count);
	return result;
}
