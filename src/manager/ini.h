/*
 * Reads an INI file through inih, behind a guard that refuses what inih would swallow: values cut at ` ;`, lines and
 * section names cut, repeated keys, continuation lines, `:` for `=`, CR, NUL, BOM, U+3000 (R66). The only file that
 * knows inih.
 */
#ifndef MANAGER_INI_H
#define MANAGER_INI_H

#include "base/fault.h"
#include "base/slice.h"

#define INI_LINE_MAX	198		/* octets without LF: distributions build inih with lines of 200, LF and NUL included */
#define INI_SECTION_MAX	49		/* octets of a section name: likewise 50 */
#define INI_FILE_MAX	(1U << 20)	/* octets: twice what ALIASES_MAX rows of [alias] need */
#define INI_NAMES_MAX	8192		/* sections of a file, keys of a section: looked through for repeats one by one */

/*
 * One setting; section is "server" or "relay NAME". Each section is told of once by itself, with key NULL and an empty value,
 * before its keys: a section may be empty. Text is valid during the call only. False with the fault set stops the reading.
 */
typedef bool ini_setting(void *context, const char *section, const char *key, struct slice value, unsigned line,
			 struct fault *f);

/*
 * Reads the file: each [section] once, each key once in it. Comments begin with `;` or `#` at the start of a line, where they
 * may be of any length, or with ` ;` behind a value. No comment may follow a key that ends in `password`: a password
 * that holds ` ;` would lose its tail.
 */
bool ini_read(const char *path, ini_setting *setting, void *context, struct fault *f);
/* The same for text in memory (tests, fuzzing); `path` is for the faults. */
bool ini_read_text(struct slice text, const char *path, ini_setting *setting, void *context, struct fault *f);

#endif
