/*
 * A record as a syslog message (RFC 5424) in an octet-counted frame (RFC 5425 section 4.3, RFC 6587 section 3.4.1), both ways. Pure.
 *
 *	<22>1 2026-11-22T06:30:00Z gate.example sekimori - message [timeQuality …][sekimori@32473 stream="…" seq="7" key="value" …]
 *
 * The event is the MSGID, each field a parameter. A value is what the record's line says between its quotes (base/record.h), with its
 * escapes; RFC 5424 section 6.3.3 puts a second layer around `"`, `\` and `]`. So a line comes out as it went in.
 */
#ifndef BASE_SYSLOG_H
#define BASE_SYSLOG_H

#include "base/buffer.h"
#include "base/limits.h"

#define SYSLOG_ID	"sekimori@32473"	/* RFC 5612: the number for documentation; the project has none of its own */
#define SYSLOG_NAME_MAX	32			/* octets of a parameter's name or MSGID: RFC 5424 sections 6.2.7 and 6.3.3 */

struct syslog_head {
	unsigned priority;		/* facility * 8 + severity */
	int64_t wall;			/* seconds; the year 1970 to 9999 */
	struct slice host;
	bool synchronised;		/* timeQuality's isSynced: the clock is set by somebody who knows */
	struct slice stream;		/* which numbering; letters and digits */
	uint64_t sequence;
};

/*
 * Appends the frame of one record, whole or not at all. `line` is "event key=value key="value"". `text`: the line also as
 * MSG, for a server that shows nothing else. False: no room, or not such a line.
 */
bool syslog_put(struct buffer *out, const struct syslog_head *h, struct slice line, bool text);

/*
 * The first frame of `in`. > 0: octets it takes, *message is what is in it; 0: more is needed; < 0: not a frame, or one of more
 * than SYSLOG_FRAME_MAX octets.
 */
int syslog_frame(struct slice in, struct slice *message);

struct syslog_message {
	int64_t wall;
	struct slice host, event, stream;
	uint64_t sequence;
	struct slice fields;		/* for syslog_fields */
};

/*
 * One of those that syslog_put makes; nothing else is taken: another program's messages are none of our records. Every field
 * is looked at: names and values are what a record of ours can have.
 */
bool syslog_parse(struct slice message, struct syslog_message *out);
/*
 * Appends " key=value" of each field, as the line had them. One that no longer fits is left out, as are all after it, and
 * the line ends in ` ...`, as record.c does it.
 */
void syslog_fields(const struct syslog_message *m, struct buffer *out);

#endif
