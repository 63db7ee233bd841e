/*
 * Header fields that we write: Date (RFC 5322 3.3), Received (RFC 5321 4.4),
 * Authentication-Results (RFC 8601). All end in CRLF and are folded below 78 columns where they
 * can be. Pure: time comes as a number. All return false when out had no room; what was written
 * then is of no use.
 */
#ifndef MAIL_FIELDS_H
#define MAIL_FIELDS_H

#include "base/buffer.h"

/* "Sun, 22 Nov 2026 11:09:19 +0900": seconds since 1970 UTC, minutes east. Writes no field name. */
bool fields_date(struct buffer *out, int64_t wall, int zone);
/* "2026-11-22 11:09", for people of all languages. */
bool fields_day(struct buffer *out, int64_t wall, int zone);

struct received {
	struct slice helo;		/* as the client gave it; sanitised here; may be empty */
	struct slice client;		/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" */
	struct slice by;		/* our host name */
	const char *with;		/* ESMTP, ESMTPS, ESMTPA, ESMTPSA, SMTP (RFC 3848) */
	struct slice tls;		/* "TLSv1.3 cipher NAME", or empty */
	struct slice id;		/* queue id */
	struct slice recipient;		/* only when there is exactly one; else empty */
	int64_t wall;
	int zone;
};
/* A recipient that is no well-formed address is left out. */
bool fields_received(struct buffer *out, const struct received *r);

/*
 * The body of a From: that stands for another (R69, rewrite_from): the address, behind the display name of `original`, an unfolded
 * From: body, where all readers see the same name in it and no other address; else alone.
 */
bool fields_from(struct buffer *out, struct slice original, struct slice address);

struct auth_results {
	struct slice by;		/* authserv-id: our host name */
	struct slice account;		/* canonical account, or empty: `auth=none` */
	struct slice mail_from;		/* envelope sender; may be empty */
};
bool fields_auth_results(struct buffer *out, const struct auth_results *r);

#endif
