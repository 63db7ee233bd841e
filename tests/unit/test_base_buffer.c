#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

static void assert_held(const struct buffer *b, const char *text)
{
	struct slice held = buffer_bytes(b);

	assert_int_equal(held.len, strlen(text));
	assert_int_equal(buffer_length(b), held.len);
	assert_memory_equal(held.at, text, held.len);
}

static void put_and_take(void **unused)
{
	char memory[8];
	struct buffer b;

	(void)unused;
	buffer_init(&b, memory, sizeof(memory));
	assert_held(&b, "");
	assert_true(buffer_put_text(&b, "abcde"));
	assert_held(&b, "abcde");
	assert_int_equal(buffer_room(&b), 3);
	buffer_take(&b, 3);
	assert_held(&b, "de");
	/* reaches round the bytes taken */
	assert_true(buffer_put_text(&b, "fghijk"));
	assert_held(&b, "defghijk");
	assert_int_equal(buffer_room(&b), 0);
	assert_true(buffer_put_text(&b, ""));
	buffer_take(&b, 100);
	assert_held(&b, "");
	assert_int_equal(buffer_room(&b), 8);
	assert_false(b.overflow);
}

static void overflow_changes_nothing(void **unused)
{
	char memory[8];
	struct buffer b;

	(void)unused;
	buffer_init(&b, memory, sizeof(memory));
	assert_true(buffer_put_text(&b, "abc"));
	buffer_take(&b, 1);
	assert_false(buffer_put_text(&b, "1234567"));
	assert_held(&b, "bc");
	assert_true(b.overflow);
	assert_true(buffer_put_text(&b, "123456"));
	assert_held(&b, "bc123456");
	assert_true(b.overflow);
	buffer_clear(&b);
	assert_false(b.overflow);
	assert_held(&b, "");
	assert_int_equal(buffer_room(&b), 8);
}

static void formatted(void **unused)
{
	char memory[9] = "        #";
	struct buffer b;

	(void)unused;
	buffer_init(&b, memory, 8);
	assert_true(buffer_putf(&b, "%d-%s", 250, "a"));
	assert_held(&b, "250-a");
	assert_false(buffer_putf(&b, "%s", "123"));
	assert_true(b.overflow);
	assert_held(&b, "250-a");
	assert_true(buffer_putf(&b, "%s", "12"));
	assert_held(&b, "250-a12");
	buffer_take(&b, 4);
	assert_true(buffer_putf(&b, "%s", "3456"));
	assert_held(&b, "a123456");
	assert_false(buffer_putf(&b, "%s", "long enough to pass the end"));
	assert_held(&b, "a123456");
	assert_int_equal(memory[8], '#');
}

static void direct(void **unused)
{
	char memory[8];
	struct buffer b;
	size_t room;
	char *at;

	(void)unused;
	buffer_init(&b, memory, sizeof(memory));
	buffer_put_text(&b, "abcdef");
	buffer_take(&b, 4);
	at = buffer_reserve(&b, &room);
	assert_int_equal(room, 6);
	assert_held(&b, "ef");
	memcpy(at, "ghi", 3);
	buffer_added(&b, 3);
	assert_held(&b, "efghi");
	buffer_reserve(&b, &room);
	assert_int_equal(room, 3);
	buffer_added(&b, 100);
	assert_int_equal(buffer_length(&b), 8);
	buffer_reserve(&b, &room);
	assert_int_equal(room, 0);
}

static void without_memory(void **unused)
{
	struct buffer b;
	size_t room;

	(void)unused;
	buffer_init(&b, NULL, 0);
	assert_int_equal(buffer_bytes(&b).len, 0);
	assert_true(buffer_put_text(&b, ""));
	assert_false(buffer_put_text(&b, "a"));
	assert_false(buffer_putf(&b, "%d", 1));
	buffer_reserve(&b, &room);
	assert_int_equal(room, 0);
	buffer_take(&b, 1);
	assert_int_equal(buffer_length(&b), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_and_take), cmocka_unit_test(overflow_changes_nothing),
		cmocka_unit_test(formatted), cmocka_unit_test(direct),
		cmocka_unit_test(without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
