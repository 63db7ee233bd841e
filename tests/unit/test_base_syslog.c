/* Records as syslog messages: framing, what comes back, what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/record.h"
#include "base/syslog.h"

static struct syslog_head head(void)
{
	return (struct syslog_head){
		.priority = 22, .wall = 1795329000, .host = SLICE_OF("gate.example"), .synchronised = true,
		.stream = SLICE_OF("0a1b"), .sequence = 7,
	};
}

static struct slice frame_of(struct slice line, bool text, char *memory, size_t size)
{
	struct syslog_head h = head();
	struct buffer out;

	buffer_init(&out, memory, size);
	assert_true(syslog_put(&out, &h, line, text));
	return buffer_bytes(&out);
}

static void writes_a_message(void **state)
{
	char memory[2 * SYSLOG_FRAME_MAX];
	struct slice got = frame_of(SLICE_OF("message id=ab from=\"a]\\\"b\""), false, memory, sizeof(memory));

	(void)state;
	assert_true(slice_equal(got, SLICE_OF(
		"159 <22>1 2026-11-22T06:30:00Z gate.example sekimori - message [timeQuality tzKnown=\"1\" isSynced=\"1\"]"
		"[sekimori@32473 stream=\"0a1b\" seq=\"7\" id=\"ab\" from=\"a\\]\\\\\\\"b\"]")));
	got = frame_of(SLICE_OF("stop"), true, memory, sizeof(memory));
	assert_true(slice_ends_fold(got, SLICE_OF("seq=\"7\"] stop")));
}

static void lines_come_back_as_they_were(void **state)
{
	static const struct slice lines[] = {
		SLICE("stop"),
		SLICE("message id=ab verdict=accepted n=-5"),
		SLICE("message empty=\"\" quoted=\"a b\" equal=\"a=b\" bracket=] both=\"] [\""),
		SLICE("message from=\"\\\"x\\\\\\x00\\xFF\"..."),		/* refused below: no such line */
		SLICE("message to=\"\\\\\" next=1"),
		SLICE("message long=\"aaaa bbb...\" ..."),
		SLICE("message to=\"a \\\" end=1\""),
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char memory[2 * SYSLOG_FRAME_MAX], again[AUDIT_LINE_MAX + 1];
		struct syslog_head h = head();
		struct syslog_message m;
		struct buffer out, line;
		struct slice message;

		buffer_init(&out, memory, sizeof(memory));
		if (!syslog_put(&out, &h, lines[i], i % 2)) {
			assert_int_equal(i, 3);
			continue;
		}
		assert_int_not_equal(i, 3);
		assert_int_equal(syslog_frame(buffer_bytes(&out), &message), buffer_length(&out));
		assert_true(syslog_parse(message, &m));
		assert_int_equal(m.wall, h.wall);
		assert_int_equal(m.sequence, 7);
		assert_true(slice_equal(m.stream, h.stream) && slice_equal(m.host, h.host));
		buffer_init(&line, again, sizeof(again));
		buffer_put(&line, m.event);
		syslog_fields(&m, &line);
		if (!slice_equal(buffer_bytes(&line), lines[i]))
			fail_msg("%.*s became %.*s", SLICE_ARGS(lines[i]), SLICE_ARGS(buffer_bytes(&line)));
	}
}

/* Whatever record.c can write. */
static void every_record_comes_back(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 500; seed++) {
		char memory[2 * SYSLOG_FRAME_MAX], again[AUDIT_LINE_MAX + 2], value[AUDIT_VALUE_MAX + 9];
		unsigned random = seed * 2654435761u + 1;
		struct syslog_message m;
		struct buffer line;
		struct slice message;
		struct record r;

		record_start_audit(&r, "message");
		for (unsigned field = 0; field < 1 + seed % 24; field++) {
			size_t len = seed % sizeof(value);

			for (size_t i = 0; i < len; i++) {
				random = random * 1103515245u + 12345;
				value[i] = seed % 3 ? "\"\\] =x"[(random >> 16) % 6] : (char)(random >> 16);
			}
			record_text(&r, "key", slice_bytes(value, len));
		}
		assert_true(syslog_frame(frame_of(slice_of(r.text), true, memory, sizeof(memory)), &message) > 0);
		assert_true(syslog_parse(message, &m));
		buffer_init(&line, again, sizeof(again));
		buffer_put(&line, m.event);
		syslog_fields(&m, &line);
		assert_true(slice_equal(buffer_bytes(&line), slice_of(r.text)));
	}
}

static void room_is_all_or_nothing(void **state)
{
	char memory[2 * SYSLOG_FRAME_MAX];
	struct slice whole = frame_of(SLICE_OF("message id=ab"), false, memory, sizeof(memory));
	size_t need = whole.len;

	(void)state;
	for (size_t size = 0; size < need; size++) {
		struct syslog_head h = head();
		struct buffer out;

		buffer_init(&out, memory, size);
		assert_false(syslog_put(&out, &h, SLICE_OF("message id=ab"), false));
		assert_int_equal(buffer_length(&out), 0);
	}
}

static void frames_are_counted(void **state)
{
	static const struct {
		struct slice in;
		int result;
	} rows[] = {
		{ SLICE(""), 0 }, { SLICE("1"), 0 }, { SLICE("12"), 0 }, { SLICE("8192"), 0 }, { SLICE("3 ab"), 0 },
		{ SLICE("3 abc"), 5 }, { SLICE("3 abcd"), 5 }, { SLICE("2 \0\n"), 4 }, { SLICE("8192 "), 0 },
		{ SLICE("0 "), -1 }, { SLICE("03 abc"), -1 }, { SLICE(" abc"), -1 }, { SLICE("<22>1"), -1 }, { SLICE("8193 "), -1 },
		{ SLICE("99999"), -1 }, { SLICE("12345 "), -1 }, { SLICE("-1 a"), -1 }, { SLICE("1x"), -1 }, { SLICE("\n"), -1 },
		{ SLICE("GET / HTTP/1.1"), -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct slice message;
		int result = syslog_frame(rows[i].in, &message);

		if (result != rows[i].result)
			fail_msg("%.*s: %d", SLICE_ARGS(rows[i].in), result);
		if (result > 0)
			assert_int_equal(message.at + message.len - rows[i].in.at, result);
	}
}

#define GOOD_HEAD "<22>1 2026-11-22T06:30:00Z gate.example sekimori - message "
#define GOOD_TIME "[timeQuality tzKnown=\"1\" isSynced=\"0\"]"
#define GOOD_ID "[sekimori@32473 stream=\"0a1b\" seq=\"7\""

static void strangers_are_refused(void **state)
{
	static const struct slice good = SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"ab\"]");
	static const struct slice rows[] = {
		SLICE(""), SLICE("<22>1"), SLICE(GOOD_HEAD), SLICE(GOOD_HEAD "-"), SLICE(GOOD_HEAD GOOD_TIME),
		SLICE(GOOD_HEAD GOOD_ID "]"), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"ab\""),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a\nb\"]"), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a\0b\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"\xE9\"]"), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " i d=\"ab\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=ab]"), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a]\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a\\n\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a\\\"b\"]"),		/* a quote that record.c escapes */
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a\\\\q\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " cut=\"1\" id=\"ab\"]"), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " cut=\"2\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID "  id=\"ab\"]"), SLICE(GOOD_HEAD GOOD_TIME GOOD_ID "][x y=\"1\"]"),
		SLICE(GOOD_HEAD GOOD_TIME GOOD_ID " id=\"a\\"), SLICE(GOOD_HEAD GOOD_TIME "[sekimori@32473 seq=\"7\"]"),
		SLICE(GOOD_HEAD GOOD_TIME "[sekimori@32473 stream=\"0a1b\" seq=\"0\"]"),
		SLICE(GOOD_HEAD GOOD_TIME "[sekimori@32473 stream=\"0a1b\" seq=\"9223372036854775808\"]"),
		SLICE(GOOD_HEAD GOOD_TIME "[sekimori@32473 stream=\"\" seq=\"7\"]"),
		SLICE(GOOD_HEAD GOOD_TIME "[sekimori@32473 stream=\"a b\" seq=\"7\"]"),
		SLICE("<192>1 2026-11-22T06:30:00Z gate.example sekimori - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>2 2026-11-22T06:30:00Z gate.example sekimori - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 2026-13-22T06:30:00Z gate.example sekimori - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 2026-11-22T06:30:00+ gate.example sekimori - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 - gate.example sekimori - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 2026-11-22T06:30:00Z gate\"example sekimori - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 2026-11-22T06:30:00Z gate.example postfix - message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 2026-11-22T06:30:00Z gate.example sekimori 12 message " GOOD_TIME GOOD_ID "]"),
		SLICE("<22>1 2026-11-22T06:30:00Z gate.example sekimori - a=b " GOOD_TIME GOOD_ID "]"),
	};
	struct syslog_message m;

	(void)state;
	assert_true(syslog_parse(good, &m));
	for (size_t n = 0; n < good.len; n++)
		assert_false(syslog_parse(slice_first(good, n), &m));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (syslog_parse(rows[i], &m))
			fail_msg("taken: %.*s", SLICE_ARGS(rows[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_a_message),
		cmocka_unit_test(lines_come_back_as_they_were),
		cmocka_unit_test(every_record_comes_back),
		cmocka_unit_test(room_is_all_or_nothing),
		cmocka_unit_test(frames_are_counted),
		cmocka_unit_test(strangers_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
