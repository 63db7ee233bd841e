/*
 * Our verdict on many messages at a time: verdicts CONFIG AUTH-ID ENVELOPE. On standard input each message, as on the wire
 * (CRLF, dot-stuffed), stands behind its length: four octets, the highest first. For each there is a line: `250` or `552`, the
 * reason, 1 when the display name looks like somebody else's address, and what From: says.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "manager/config.h"
#include "trust/accounts.h"
#include "trust/verdict.h"

#define MESSAGE_MAX	(1 << 20)	/* octets */

static struct header header;
static char message[MESSAGE_MAX];

/* False at the end of the input, and where it is none of ours. */
static bool next_message(struct slice *s)
{
	unsigned char length[4];
	size_t n = 0;

	if (fread(length, 1, sizeof(length), stdin) != sizeof(length))
		return false;
	for (size_t i = 0; i < sizeof(length); i++)
		n = n << 8 | length[i];
	*s = slice_bytes(message, n);
	return n <= sizeof(message) && fread(message, 1, n, stdin) == n;
}

static void judge(const struct config *c, const struct principal *p, const struct address *sender, struct slice s)
{
	struct verdict v;

	header_init(&header, c->ingest.max_header);
	header_feed(&header, s);
	header_finish(&header);
	trust_judge_header(c->trust, p, sender, &header, &v);
	printf("%s %s %d %.*s\n", v.pass ? "250" : "552", verdict_reason(&v), v.display_address,
	       SLICE_ARGS(address_text(&v.from_address)));
}

int main(int argc, char **argv)
{
	struct principal p = { .kind = PRINCIPAL_ACCOUNT };
	struct fault f = { .text = "" };
	struct address sender;
	struct config *c;
	struct slice s;

	if (argc != 4)
		return 64;
	c = config_read(argv[1], false, NULL, NULL, &f);
	if (c == NULL) {
		fprintf(stderr, "%s\n", f.text);
		return 78;
	}
	p.account = accounts_find(c->trust, slice_of(argv[2]));
	if (p.account == NULL || !address_parse(slice_of(argv[3]), &sender))
		return 65;
	while (next_message(&s))
		judge(c, &p, &sender, s);
	config_free(c);
	return feof(stdin) && fflush(stdout) == 0 ? 0 : 65;
}
