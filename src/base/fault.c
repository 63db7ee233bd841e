#include "base/fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/slice.h"

static void write_at(struct fault *f, size_t used, const char *format, va_list arguments)
	__attribute__((format(printf, 3, 0)));

static void write_at(struct fault *f, size_t used, const char *format, va_list arguments)
{
	if (used < sizeof(f->text))
		vsnprintf(f->text + used, sizeof(f->text) - used, format, arguments);
	/* What is quoted from a file or a peer must not make a second line. */
	ascii_tame(f->text);
}

bool fault_set(struct fault *f, int status, const char *format, ...)
{
	va_list arguments;

	if (fault_is(f))
		return false;
	f->status = status;
	va_start(arguments, format);
	write_at(f, 0, format, arguments);
	va_end(arguments);
	return false;
}

bool fault_at(struct fault *f, const char *file, unsigned line, const char *format, ...)
{
	va_list arguments;
	int used;

	if (fault_is(f))
		return false;
	f->status = STATUS_CONFIG;
	used = snprintf(f->text, sizeof(f->text), "%s:%u: ", file, line);
	va_start(arguments, format);
	write_at(f, used < 0 ? 0 : (size_t)used, format, arguments);
	va_end(arguments);
	return false;
}
