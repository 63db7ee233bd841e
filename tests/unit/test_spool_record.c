#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/crc32.h"
#include "spool/record.h"
#include "spool/spool.h"

static struct slice octets(const uint8_t *at, size_t len)
{
	return slice_bytes((const char *)at, len);
}

/* Written out by hand: on a big-endian machine this is the proof that the order is fixed. */
static void test_segment_octets(void **state)
{
	static const uint8_t golden[60] = {
		'S', 'E', 'K', 'I', 'M', 'O', 'R', 'I', 0x04, 0x03, 0x02, 0x01, 1, 0, 0, 0,
		0x00, 0x00, 0x40, 0x00, 0x78, 0x56, 0x34, 0x12, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01
	};
	const struct segment_head h = { 1, 0x400000, 0x12345678, UINT64_C(0x0102030405060708) };
	struct segment_head back;
	uint8_t out[SEGMENT_HEAD];

	(void)state;
	segment_head_encode(&h, out);
	assert_memory_equal(out, golden, sizeof(golden));
	assert_int_equal(out[60] | out[61] << 8 | out[62] << 16 | (uint32_t)out[63] << 24,
			 crc32c(0, octets(golden, sizeof(golden))));
	assert_int_equal(segment_head_decode(out, &back), SEGMENT_GOOD);
	assert_int_equal(back.size, h.size);
	assert_int_equal(back.sequence, h.sequence);
	assert_true(back.next_id == h.next_id);
	for (size_t i = 0; i < SEGMENT_HEAD; i++) {
		out[i] ^= 0x10;
		assert_int_equal(segment_head_decode(out, &back), SEGMENT_DAMAGED);
		out[i] ^= 0x10;
	}
}

static void test_record_octets(void **state)
{
	static const uint8_t golden[20] = {
		1, 0, 0x53, 0x6b, 5, 0, 0, 0, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01, 0x78, 0x56, 0x34, 0x12
	};
	uint8_t record[RECORD_HEAD + 5] = { 0 };
	struct record_head h = { RECORD_DATA, 5, UINT64_C(0x0102030405060708), 0x12345678, 0 }, back;

	(void)state;
	memcpy(record + RECORD_HEAD, "hello", 5);
	h.crc = crc32c(0, SLICE_OF("hello"));
	record_head_encode(&h, record);
	assert_memory_equal(record, golden, sizeof(golden));
	assert_true(record_head_decode(record, &back));
	assert_int_equal(back.type, RECORD_DATA);
	assert_true(back.id == h.id);
	assert_true(record_sound(record, &back));
	for (size_t i = 0; i < sizeof(record); i++) {
		record[i] ^= 0x01;
		back.length = 0xffffffff;
		if (record_head_decode(record, &back) && back.length <= 5)
			assert_false(record_sound(record, &back));
		record[i] ^= 0x01;
	}
	memset(record, 0, sizeof(record));
	assert_false(record_head_decode(record, &back));
}

static void test_span(void **state)
{
	(void)state;
	assert_int_equal(record_span(0), 24);
	assert_int_equal(record_span(1), 32);
	assert_int_equal(record_span(8), 32);
	assert_int_equal(record_span(9), 40);
}

static void test_commit(void **state)
{
	const struct commit c = { .size = UINT64_C(0x100000002), .arrived = -5, .next_wall = 77, .attempts = 3,
		.recipients = 2, .extent_count = 1, .envelope = SLICE("envelope"), .states = SLICE("PD"),
		.reply = SLICE("450 x") };
	const struct spool_extent e = { 1, 0x01020304, 0xfffffffe };
	static const uint8_t golden[EXTENT_LENGTH] = { 1, 0, 0, 0, 4, 3, 2, 1, 0xfe, 0xff, 0xff, 0xff };
	uint8_t out[COMMIT_HEAD + EXTENT_LENGTH + 15];
	struct spool_extent e_back;
	struct commit back;

	(void)state;
	commit_encode(&c, out);
	extent_encode(&e, out + COMMIT_HEAD);
	assert_memory_equal(out + COMMIT_HEAD, golden, sizeof(golden));
	memcpy(out + COMMIT_HEAD + EXTENT_LENGTH, "envelopePD450 x", 15);
	assert_true(commit_decode(octets(out, sizeof(out)), &back));
	assert_true(back.size == c.size && back.arrived == -5 && back.next_wall == 77);
	assert_int_equal(back.attempts, 3);
	assert_true(slice_equal(back.envelope, c.envelope) && slice_equal(back.states, c.states) &&
		    slice_equal(back.reply, c.reply));
	extent_decode((const uint8_t *)back.extents.at, &e_back);
	assert_memory_equal(&e, &e_back, sizeof(e));
	for (size_t n = 0; n < sizeof(out); n++)
		assert_false(commit_decode(octets(out, n), &back));
	memset(out + 28, 0xff, 4);
	assert_false(commit_decode(octets(out, sizeof(out)), &back));
}

static void test_outcome_and_mark(void **state)
{
	const struct outcome o = { 1234, 9, SLICE("DPF"), SLICE("451") };
	const struct mark m = { 7, UINT64_C(0x700000010) };
	uint8_t out[OUTCOME_HEAD + 6], mark[MARK_LENGTH];
	struct outcome o_back;
	struct mark m_back;

	(void)state;
	outcome_encode(&o, out);
	memcpy(out + OUTCOME_HEAD, "DPF451", 6);
	assert_true(outcome_decode(octets(out, sizeof(out)), &o_back));
	assert_true(o_back.next_wall == 1234 && o_back.attempts == 9 && slice_equal(o_back.states, o.states) &&
		    slice_equal(o_back.reply, o.reply));
	for (size_t n = 0; n < sizeof(out); n++)
		assert_false(outcome_decode(octets(out, n), &o_back));
	mark_encode(&m, mark);
	assert_true(mark_decode(octets(mark, sizeof(mark)), &m_back));
	assert_true(m_back.tail == 7 && m_back.flushed == m.flushed);
	assert_false(mark_decode(octets(mark, sizeof(mark) - 1), &m_back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_segment_octets),
		cmocka_unit_test(test_record_octets),
		cmocka_unit_test(test_span),
		cmocka_unit_test(test_commit),
		cmocka_unit_test(test_outcome_and_mark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
