#include "spool/scan.h"

#include <errno.h>
#include <string.h>

#define PAGE		4096u		/* octets given up where the medium can't be read */

void scan_show(struct scan *c, int fd, uint32_t end)
{
	c->fd = fd;
	c->end = end;
	c->base = c->held = 0;
}

/* Reads on in pages where a larger read fails. */
static void fill(struct scan *c, uint32_t offset)
{
	uint32_t want = c->end - offset < SCAN_WINDOW ? c->end - offset : SCAN_WINDOW;
	uint32_t step = want;

	c->base = offset;
	c->held = 0;
	while (c->held < want) {
		uint32_t n = want - c->held < step ? want - c->held : step;
		ssize_t got = c->files->pread(c->fd, c->window + c->held, n, (off_t)offset + c->held);

		if (got == 0)
			break;
		if (got > 0) {
			c->held += (uint32_t)got;
		} else if (got != -EINTR && step > PAGE) {
			step = PAGE;
		} else if (got != -EINTR) {
			memset(c->window + c->held, 0, n);
			c->held += n;
		}
	}
}

const uint8_t *scan_look(struct scan *c, uint32_t offset, uint32_t len)
{
	if (len > SCAN_WINDOW || offset > c->end || len > c->end - offset)
		return NULL;
	if (offset < c->base || offset - c->base + (uint64_t)len > c->held)
		fill(c, offset);
	return len <= c->held ? c->window + (offset - c->base) : NULL;
}

const uint8_t *scan_record(struct scan *c, uint32_t offset, uint32_t sequence, struct record_head *h)
{
	const uint8_t *at = scan_look(c, offset, RECORD_HEAD);

	if (!at || !record_head_decode(at, h) || (sequence != 0 && h->sequence != sequence) || h->sequence == 0)
		return NULL;
	at = scan_look(c, offset, RECORD_HEAD + h->length);
	return at && record_sound(at, h) ? at : NULL;
}

/* The next place in the window that looks like a record; most of a segment is passed over here. */
static uint32_t skip(const struct scan *c, uint32_t offset)
{
	uint32_t last = c->base + c->held - RECORD_HEAD;

	while (offset <= last && !record_is_marked(c->window + (offset - c->base)))
		offset += RECORD_ALIGN;
	return offset;
}

uint32_t scan_search(struct scan *c, uint32_t offset, uint32_t sequence, struct record_head *h)
{
	while (scan_look(c, offset, RECORD_HEAD)) {
		offset = skip(c, offset);
		if (offset > c->base + c->held - RECORD_HEAD)
			continue;
		if (scan_record(c, offset, sequence, h))
			return offset;
		offset += RECORD_ALIGN;
	}
	return 0;
}

/* Where its own length says the next one is; else by looking everywhere. */
uint32_t scan_resume(struct scan *c, uint32_t offset, uint32_t sequence)
{
	const uint8_t *at = scan_look(c, offset, RECORD_HEAD);
	struct record_head h, next;

	if (at && record_head_decode(at, &h) && h.sequence == sequence &&
	    scan_record(c, offset + record_span(h.length), sequence, &next))
		return offset + record_span(h.length);
	return scan_search(c, offset + RECORD_ALIGN, sequence, &next);
}
