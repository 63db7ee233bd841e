/*
 * Reads the header of a message as its bytes come from the wire (CRLF, dot-stuffed), keeps the
 * few fields that somebody judges, and notes whatever two readers of the mail could see
 * differently (R8). RFC 5322 2.2, 3.6. Pure.
 */
#ifndef MAIL_HEADER_H
#define MAIL_HEADER_H

#include "base/limits.h"
#include "base/slice.h"

enum header_defect {		/* bits; each makes From: fail at level 3 */
	HEADER_CONTROL		= 1 << 0,	/* NUL, or a control but HTAB and ESC */
	HEADER_BARE_CR_LF	= 1 << 1,	/* CR without LF or LF without CR */
	HEADER_LINE_TOO_LONG	= 1 << 2,	/* over DATA_LINE_MAX octets */
	HEADER_TOO_LARGE	= 1 << 3,	/* over max_header; reading stopped there */
	HEADER_NOT_A_FIELD	= 1 << 4,	/* neither a field nor a continuation */
	HEADER_FIRST_CONTINUES	= 1 << 5,	/* the first line is a continuation */
	HEADER_FIELD_TOO_LONG	= 1 << 6,	/* a kept field over FIELD_KEEP_MAX */
	/*
	 * ESC in a field's name. In a body it is everyday: Japanese mailers send Subject and To
	 * as raw ISO-2022-JP; of the four kept fields from_read judges it.
	 */
	HEADER_ESCAPE		= 1 << 7,
};

/*
 * The names of the defects as `reason=` in the log; the lowest bit that is set; NULL when none
 * is.
 */
const char *header_defect_name(unsigned defects);

/* The fields that are counted; the first four are kept at full length. */
enum header_field {
	FIELD_FROM, FIELD_SENDER, FIELD_RESENT_FROM, FIELD_RESENT_SENDER,
	/* kept up to FIELD_SHORT_MAX, for the log */
	FIELD_MESSAGE_ID, FIELD_AUTO_SUBMITTED, FIELD_SUBJECT,
	FIELD_ORIGINAL_FROM,		/* what mail/strip makes of a From: that is replaced (R69) */
	/* counted only */
	FIELD_DATE, FIELD_RECEIVED, FIELD_RETURN_PATH, FIELD_CONTENT_TYPE,
	FIELD_OTHER
};

struct header_kept {
	uint16_t len;
	char text[FIELD_KEEP_MAX];	/* after the colon; folds as CRLF WSP, no last CRLF */
};

/*
 * One per transaction, in memory of the caller's. Everything in it is the module's own but the
 * results below, which are complete once header_ended() is true.
 */
struct header {
	unsigned defects;		/* enum header_defect */
	uint16_t count[FIELD_OTHER + 1];	/* how often each field occurred; saturates */
	struct header_kept kept[FIELD_RESENT_SENDER + 1];	/* the first occurrence of each */
	uint16_t short_len[4];		/* MESSAGE_ID to ORIGINAL_FROM: the first, cut */
	char short_text[4][FIELD_SHORT_MAX];
	uint32_t size;			/* octets on the wire so far, with the empty line */
	/* the reader's state */
	uint32_t max;
	uint16_t line_len;		/* octets of the current line without CR LF */
	uint16_t name_len;
	uint8_t state;
	uint8_t field;			/* enum header_field being read */
	bool first_of_its_kind;		/* the current field is kept */
	bool seen_cr, ended, any_line;
	char name[32];			/* start of the current field's name, folded */
};

/* max_header: octets after which HEADER_TOO_LARGE is set. */
void header_init(struct header *h, uint32_t max_header);

/*
 * Feeds wire bytes, cut anywhere. Bytes after the end of the header (the first empty line) are
 * ignored, so the whole message may be fed. header_finish says that no more comes: a header
 * without an empty line ends there.
 */
void header_feed(struct header *h, struct slice wire);
void header_finish(struct header *h);
static inline bool header_ended(const struct header *h)
{
	return h->ended;
}

/*
 * The body of a kept field's first occurrence; empty when it did not occur. Those kept for the
 * log come unfolded and without blanks at both ends.
 */
struct slice header_body(const struct header *h, enum header_field field);

/*
 * After header_finish: as if the field, one of those kept at full length, stood in the header once, with this body of at most
 * FIELD_KEEP_MAX octets. For a field that is put in front of the message.
 */
void header_put(struct header *h, enum header_field field, struct slice body);

#endif
