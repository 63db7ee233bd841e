/*
 * What dialogues (tests/dialog/client-*.txt) can't show: calls out of turn, room, doubt, state left
 * behind.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "smtp/client.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define HEX "0123456789abcdef0123456789abcdef"

static const struct slice recipients[] = { SLICE("b@y.example"), SLICE("c@y.example") };
static const struct smtp_client_mail mail = {
	.sender = SLICE("a@x.example"), .size = 100, .recipients = recipients, .recipient_count = 2,
};
static const struct smtp_client_settings plain = { .helo = SLICE("gate.example") };

static struct smtp_client client;
static struct smtp_client_event event;
static struct buffer out;
static char out_memory[4096];

static void begin(const struct smtp_client_settings *settings, size_t room)
{
	buffer_init(&out, out_memory, room);
	smtp_client_init(&client, settings);
}

/* All of `in` must be used up; what was in `out` before is dropped. */
static enum smtp_client_event_type feed(const char *in)
{
	struct slice rest = slice_of(in);

	buffer_clear(&out);
	do
		rest = slice_skip(rest, smtp_client_feed(&client, rest, &out, &event));
	while (rest.len > 0 && event.type == SMTP_CLIENT_MORE);
	assert_int_equal(rest.len, 0);
	return event.type;
}

static void assert_out(const char *text)
{
	assert_int_equal(buffer_length(&out), strlen(text));
	assert_memory_equal(buffer_bytes(&out).at, text, strlen(text));
}

static void be_ready(const struct smtp_client_settings *settings, const char *ehlo)
{
	begin(settings, sizeof(out_memory));
	assert_int_equal(feed("220 mx\r\n"), SMTP_CLIENT_MORE);
	assert_out("EHLO gate.example\r\n");
	assert_int_equal(feed(ehlo), SMTP_CLIENT_READY);
}

static void stage_names(void **unused)
{
	(void)unused;
	for (int i = STAGE_GREETING; i <= STAGE_PROTOCOL; i++)
		assert_true(strlen(smtp_client_stage_name(i)) > 0);
	assert_string_equal(smtp_client_stage_name(STAGE_PROTOCOL), "protocol");
}

static void size_limit(void **unused)
{
	static const struct {
		const char *ehlo;
		uint64_t size;
		bool fits;
	} rows[] = {
		{ "250 mx\r\n", UINT64_MAX, true },
		{ "250-mx\r\n250 SIZE\r\n", UINT64_MAX, true },
		{ "250-mx\r\n250 SIZE 0\r\n", UINT64_MAX, true },
		{ "250-mx\r\n250 SIZE 100\r\n", 100, true },
		{ "250-mx\r\n250 SIZE 100\r\n", 101, false },
		{ "250-mx\r\n250 size  100 \r\n", 101, false },
		{ "250-mx\r\n250 SIZE 18446744073709551616\r\n", UINT64_MAX, true },
		{ "250-mx\r\n250 SIZE 1e9\r\n", UINT64_MAX, true },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		be_ready(&plain, rows[i].ehlo);
		assert_int_equal(smtp_client_fits(&client, rows[i].size), rows[i].fits);
	}
}

static void extensions(void **unused)
{
	static const struct {
		const char *ehlo;
		unsigned bits;
	} rows[] = {
		{ "250 PIPELINING\r\n", 0 },
		{ "250-mx\r\n250 pipelining\r\n", EXT_PIPELINING },
		{ "250-mx\r\n250 PIPELINING x\r\n", EXT_PIPELINING },
		{ "250-mx\r\n250 PIPELININGS\r\n", 0 },
		{ "250-mx\r\n250-8BITMIME\r\n250-SIZE 5\r\n250-STARTTLS\r\n250-AUTH X\r\n"
		  "250 ENHANCEDSTATUSCODES\r\n",
		  EXT_8BITMIME | EXT_SIZE | EXT_STARTTLS | EXT_AUTH | EXT_ENHANCED },
		{ "250-mx\r\n250-AUTHX PLAIN\r\n250 \r\n", 0 },
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(rows); i++) {
		be_ready(&plain, rows[i].ehlo);
		assert_int_equal(client.extensions, rows[i].bits);
		assert_int_equal(client.mechanisms, 0);
	}
}

static void calls_out_of_turn(void **unused)
{
	struct smtp_client before;

	(void)unused;
	begin(&plain, sizeof(out_memory));
	memcpy(&before, &client, sizeof(before));
	smtp_client_mail(&client, &mail);
	smtp_client_quit(&client);
	smtp_client_secured(&client);
	assert_false(smtp_client_content_end(&client, &out, true));
	assert_false(smtp_client_respond(&client, &out, SLICE_OF(HEX)));
	assert_memory_equal(&client, &before, sizeof(client));
	assert_int_equal(buffer_length(&out), 0);
}

static void stages_and_doubt(void **unused)
{
	static const struct {
		const char *in;
		enum smtp_client_event_type type;
		enum smtp_client_stage stage;
	} rows[] = {
		{ "", SMTP_CLIENT_MORE, STAGE_MAIL },
		{ "250 ok\r\n", SMTP_CLIENT_MORE, STAGE_RCPT },
		{ "250 ok\r\n", SMTP_CLIENT_RECIPIENT, STAGE_RCPT },
		{ "250 ok\r\n", SMTP_CLIENT_RECIPIENT, STAGE_DATA },
		{ "354 go\r\n", SMTP_CLIENT_CONTENT, STAGE_CONTENT },
	};

	(void)unused;
	begin(&plain, sizeof(out_memory));
	assert_int_equal(smtp_client_stage(&client), STAGE_GREETING);
	be_ready(&plain, "250-mx\r\n250 PIPELINING\r\n");
	smtp_client_mail(&client, &mail);
	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(feed(rows[i].in), rows[i].type);
		assert_int_equal(smtp_client_stage(&client), rows[i].stage);
		assert_false(smtp_client_in_doubt(&client));
	}
	buffer_clear(&out);
	assert_true(smtp_client_content_end(&client, &out, true));
	assert_out(".\r\n");
	assert_int_equal(smtp_client_stage(&client), STAGE_END);
	assert_true(smtp_client_in_doubt(&client));
	assert_false(smtp_client_content_end(&client, &out, true));
	assert_int_equal(feed("250-half of it\r\n"), SMTP_CLIENT_MORE);
	assert_true(smtp_client_in_doubt(&client));
	assert_int_equal(feed("250 all of it\r\n"), SMTP_CLIENT_SENT);
	assert_int_equal(event.stage, STAGE_END);
	assert_false(smtp_client_in_doubt(&client));
	assert_int_equal(feed(""), SMTP_CLIENT_READY);
	assert_int_equal(feed(""), SMTP_CLIENT_MORE);
}

/* To the end of a transaction, replies one by one as they come. */
static void play(const char *const *replies)
{
	smtp_client_mail(&client, &mail);
	feed("");
	for (; *replies; replies++) {
		/* A SENT that is due comes before anything is read. */
		if (smtp_client_feed(&client, slice_of(*replies), &out, &event) == 0)
			feed(*replies);
		if (event.type == SMTP_CLIENT_CONTENT)
			assert_true(smtp_client_content_end(&client, &out, false));
	}
	while (event.type != SMTP_CLIENT_READY && event.type != SMTP_CLIENT_FAILED)
		feed("");
	assert_int_equal(event.type, SMTP_CLIENT_READY);
}

/* By field: padding may differ. */
static void assert_fresh(const struct smtp_client_transaction *t)
{
	assert_null(t->mail);
	assert_int_equal(t->last_command, 0);
	assert_int_equal(t->next_command, 0);
	assert_int_equal(t->next_reply, 0);
	assert_int_equal(t->accepted, 0);
	assert_false(t->in_doubt);
}

/* Lesson 6: however a message ends, nothing of it is left. */
static void nothing_is_left(void **unused)
{
	static const char *const ends[][7] = {
		{ "550 no\r\n", "503 x\r\n", "503 x\r\n", "503 x\r\n", NULL },
		{ "550 no\r\n", "250 x\r\n", "250 x\r\n", "354 x\r\n", "554 x\r\n", NULL },
		{ "250 a\r\n", "550 b\r\n", "450 c\r\n", "503 d\r\n", NULL },
		{ "250 a\r\n", "550 b\r\n", "450 c\r\n", "354 d\r\n", "250 e\r\n", NULL },
		{ "250 a\r\n", "250 b\r\n", "450 c\r\n", "451 d\r\n", NULL },
		{ "250 a\r\n", "250 b\r\n", "450 c\r\n", "354 d\r\n", "552 e\r\n", NULL },
		{ "250 a\r\n", "250 b\r\n", "250 c\r\n", "354 d\r\n", "250 e\r\n", NULL },
	};
	struct smtp_client fresh;

	(void)unused;
	for (size_t i = 0; i < COUNT(ends); i++) {
		be_ready(&plain, "250-mx\r\n250 PIPELINING\r\n");
		fresh = client;
		play(ends[i]);
		assert_int_equal(client.rset_due, i + 1 < COUNT(ends));
		assert_fresh(&client.transaction);
		assert_int_equal(client.state, fresh.state);
		assert_int_equal(client.waiting, fresh.waiting);
		assert_int_equal(client.extensions, fresh.extensions);
		assert_int_equal(client.upstream.lines, 0);
		assert_int_equal(client.upstream.scanned, 0);
	}
}

/* Recipients are drawn as room comes; what is sent is the same. */
static void small_room(void **unused)
{
	static const char all[] = "MAIL FROM:<a@x.example>\r\nRCPT TO:<b@y.example>\r\n"
				  "RCPT TO:<c@y.example>\r\nDATA\r\n";
	char sent[sizeof(all)] = "";

	(void)unused;
	for (size_t room = 25; room < sizeof(all) + 1; room++) {
		size_t len = 0, rooms = 0;

		be_ready(&plain, "250-mx\r\n250 PIPELINING\r\n");
		buffer_init(&out, out_memory, room);
		smtp_client_mail(&client, &mail);
		do {
			feed("");
			assert_true(len + buffer_length(&out) < sizeof(sent));
			memcpy(sent + len, buffer_bytes(&out).at, buffer_length(&out));
			len += buffer_length(&out);
			rooms += event.type == SMTP_CLIENT_ROOM;
		} while (event.type == SMTP_CLIENT_ROOM);
		assert_int_equal(event.type, SMTP_CLIENT_MORE);
		assert_int_equal(len, sizeof(all) - 1);
		assert_string_equal(sent, all);
		assert_int_equal(rooms == 0, room >= sizeof(all) - 1);
		assert_false(out.overflow);
	}
}

/* Replies are taken although there is no room to send on. */
static void replies_while_full(void **unused)
{
	(void)unused;
	be_ready(&plain, "250-mx\r\n250 PIPELINING\r\n");
	buffer_init(&out, out_memory, 25);
	smtp_client_mail(&client, &mail);
	assert_int_equal(smtp_client_feed(&client, SLICE_OF(""), &out, &event), 0);
	assert_int_equal(event.type, SMTP_CLIENT_ROOM);
	assert_int_equal(smtp_client_feed(&client, SLICE_OF("550 no\r\n"), &out, &event), 8);
	assert_int_equal(event.type, SMTP_CLIENT_SENT);
	assert_int_equal(event.stage, STAGE_MAIL);
	assert_int_equal(smtp_client_feed(&client, SLICE_OF(""), &out, &event), 0);
	assert_int_equal(event.type, SMTP_CLIENT_READY);
	assert_out("MAIL FROM:<a@x.example>\r\n");
}

static void full_for_the_dot(void **unused)
{
	(void)unused;
	be_ready(&plain, "250-mx\r\n250 PIPELINING\r\n");
	smtp_client_mail(&client, &mail);
	feed("");
	feed("250 a\r\n250 b\r\n");
	feed("250 c\r\n");
	assert_int_equal(feed("354 d\r\n"), SMTP_CLIENT_CONTENT);
	buffer_init(&out, out_memory, 6);
	buffer_put_text(&out, "xx");
	assert_false(smtp_client_content_end(&client, &out, false));
	assert_false(smtp_client_in_doubt(&client));
	assert_out("xx");
	assert_true(smtp_client_content_end(&client, &out, true));
	assert_out("xx.\r\n");
}

static void cram(void **unused)
{
	static const struct smtp_client_settings settings = {
		.helo = SLICE("gate.example"), .mechanisms = SASL_CRAM_MD5,
		.user = SLICE("user"), .password = SLICE("secret"),
	};

	(void)unused;
	begin(&settings, sizeof(out_memory));
	feed("220 mx\r\n");
	feed("250-mx\r\n250 AUTH CRAM-MD5\r\n");
	assert_int_equal(feed("334 PDEyMzRAbXguZXhhbXBsZT4=\r\n"), SMTP_CLIENT_CHALLENGE);
	assert_true(slice_equal(event.challenge, SLICE_OF("<1234@mx.example>")));
	/* Nothing is read before the answer. */
	assert_int_equal(smtp_client_feed(&client, SLICE_OF("235 in\r\n"), &out, &event), 0);
	assert_int_equal(event.type, SMTP_CLIENT_MORE);
	buffer_init(&out, out_memory, 60);
	buffer_put_text(&out, "xxxxxxx");
	assert_false(smtp_client_respond(&client, &out, SLICE_OF(HEX)));
	buffer_clear(&out);
	assert_true(smtp_client_respond(&client, &out, SLICE_OF(HEX)));
	assert_out("dXNlciAwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZg==\r\n");
	assert_int_equal(feed("235 in\r\n"), SMTP_CLIENT_READY);
}

/* What would not be one line of the protocol fails and is not sent. */
static void unsendable(void **unused)
{
	static const struct slice bad[] = {
		SLICE("b@y.example>\r\nRCPT TO:<x@evil.example"), SLICE("b\n@y.example"),
		SLICE("b\0@y.example"),
	};

	(void)unused;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct smtp_client_mail m = { .recipients = &bad[i], .recipient_count = 1 };

		be_ready(&plain, "250 mx\r\n");
		smtp_client_mail(&client, &m);
		feed("");
		assert_int_equal(feed("250 ok\r\n"), SMTP_CLIENT_FAILED);
		assert_int_equal(event.stage, STAGE_RCPT);
		assert_int_equal(event.reply->code, 0);
		assert_out("");
		assert_int_equal(feed(""), SMTP_CLIENT_FAILED);
	}
}

static void unsendable_credentials(void **unused)
{
	static char long_name[LOGIN_MAX + 1];
	struct smtp_client_settings rows[] = {
		{ .user = SLICE("us\0er"), .password = SLICE("secret") },
		{ .user = SLICE("user"), .password = SLICE("sec\0ret") },
		{ .user = { long_name, sizeof(long_name) }, .password = SLICE("secret") },
	};

	(void)unused;
	memset(long_name, 'u', sizeof(long_name));
	for (size_t i = 0; i < COUNT(rows); i++) {
		rows[i].helo = plain.helo;
		rows[i].mechanisms = i < 2 ? SASL_PLAIN : SASL_CRAM_MD5;
		begin(&rows[i], sizeof(out_memory));
		feed("220 mx\r\n");
		feed("250-mx\r\n250 AUTH PLAIN CRAM-MD5\r\n");
		if (event.type == SMTP_CLIENT_MORE) {
			assert_int_equal(feed("334 PDE+\r\n"), SMTP_CLIENT_CHALLENGE);
			assert_true(smtp_client_respond(&client, &out, SLICE_OF(HEX)));
			feed("");
		}
		assert_int_equal(event.type, SMTP_CLIENT_FAILED);
		assert_int_equal(event.stage, STAGE_AUTH);
		assert_out("");
	}
}

/* No reply is taken for the answer to a command that is not yet sent. */
static void waits_for_room(void **unused)
{
	static const char in[] = "220 mx\r\n250 too early\r\n";

	(void)unused;
	begin(&plain, 30);
	buffer_put_text(&out, "still to be sent");
	assert_int_equal(smtp_client_feed(&client, slice_of(in), &out, &event), 8);
	assert_int_equal(event.type, SMTP_CLIENT_ROOM);
	assert_int_equal(smtp_client_feed(&client, slice_of(in + 8), &out, &event), 0);
	assert_int_equal(event.type, SMTP_CLIENT_ROOM);
	assert_int_equal(smtp_client_stage(&client), STAGE_EHLO);
	assert_int_equal(feed(""), SMTP_CLIENT_MORE);
	assert_out("EHLO gate.example\r\n");
}

/* A buffer that can never hold the command is an error, not an endless loop. */
static void no_room_ever(void **unused)
{
	(void)unused;
	begin(&plain, 10);
	assert_int_equal(feed("220 mx\r\n"), SMTP_CLIENT_FAILED);
	assert_int_equal(event.stage, STAGE_EHLO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stage_names),
		cmocka_unit_test(size_limit),
		cmocka_unit_test(extensions),
		cmocka_unit_test(calls_out_of_turn),
		cmocka_unit_test(stages_and_doubt),
		cmocka_unit_test(nothing_is_left),
		cmocka_unit_test(small_room),
		cmocka_unit_test(replies_while_full),
		cmocka_unit_test(full_for_the_dot),
		cmocka_unit_test(cram),
		cmocka_unit_test(unsendable),
		cmocka_unit_test(unsendable_credentials),
		cmocka_unit_test(waits_for_room),
		cmocka_unit_test(no_room_ever),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
