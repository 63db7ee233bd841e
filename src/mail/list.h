/*
 * The addresses of a To:, Cc: or Bcc: field (RFC 5322 3.4), for sendmail(1), which is told its recipients so. Pure. What is read here
 * decides where a mail goes, never who it is from: mail/from.h does that.
 */
#ifndef MAIL_LIST_H
#define MAIL_LIST_H

#include "base/slice.h"

/*
 * The next address off *rest, a field's body, as it stands there, without angle brackets, display name and comments; it may be
 * no valid one. Names of groups are skipped, and display names in raw ISO-2022-JP, whose bytes look like commas and brackets.
 * False when there is none left.
 */
bool list_next(struct slice *rest, struct slice *address);

#endif
