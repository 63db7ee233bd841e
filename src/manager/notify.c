#include "manager/notify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alarm.h"
#include "base/base64.h"
#include "base/clock.h"
#include "mail/fields.h"
#include "mail/report.h"

#define GATHER_MS	2000		/* what comes up together is told together */
#define BETWEEN_MS	60000		/* from one mail to the next, of other causes */
#define CLOCK_MS	600000		/* a clock without a battery is set by then: nobody has to act */

#define SHOWN_MAX	24		/* alarms in one mail; the others are counted */
#define BODY_MAX	16384		/* octets: SHOWN_MAX of some 600 */
#define LINE_OCTETS	57		/* one line of Base64: RFC 2045 6.8 */

static const struct { const char *ja, *en; } advice[ALARM_KINDS] = {
	[ALARM_UPSTREAM_LOGIN] = { "転送先がログインを拒否しています。ユーザー名とパスワードをご確認ください。メールは送信待ちのままです。",
		"The next hop refuses our login: check user and password. Mail waits." },
	[ALARM_LOOP] = { "転送先のホスト名が、このゲート自身を指しています。[relay] host をご確認ください。",
		"The name of the next hop leads back to this gate: check [relay] host." },
	[ALARM_LOCKOUT] = { "誤ったパスワードを繰り返し試した接続元を締め出しました。ログの lockout の行をご確認ください。",
		"A client tried many wrong passwords and is locked out: see the lines `lockout' in the log." },
	[ALARM_CERTIFICATE] = { "証明書の有効期限が近いか、切れています。更新して sekimori reload を実行してください。",
		"A certificate is about to end, or has ended: renew it, then sekimori reload." },
	[ALARM_CLOCK] = { "時計が正しくありません。転送先の証明書を検証できず、送信できないことがあります。",
		"The clock is wrong: certificates of the next hop can't be verified, mail may wait." },
	[ALARM_QUEUE] = { "送信待ちのまま長く残っているメールがあります。sekimori queue でご確認ください。",
		"Mail has been waiting for long: see sekimori queue." },
	[ALARM_SPOOL] = { "スプールの空きが少なくなっています。いっぱいになるとメールを受け付けられません。",
		"The spool is nearly full: then mail is put off." },
	[ALARM_DISK] = { "ディスクの空きが少なくなっています。いっぱいになるとメールを受け付けられません。",
		"The disk is nearly full: then mail is put off." },
	[ALARM_AUDIT] = { "監査ファイルに書き込めません。記録が失われています。",
		"The audit file can't be written: records are lost." },
	[ALARM_FORWARD] = { "監査記録を管理サーバーへ 1 時間以上送れていません。",
		"Audit records could not be sent to the manager for an hour." },
};

/* The alarm may be in a mail that is made now. */
static bool is_due(const struct notify *n, const struct alarm *a)
{
	return a->unsent && (a->kind != ALARM_CLOCK || loop_now(n->loop) - a->since >= CLOCK_MS);
}

static const struct alarm *first_due(const struct notify *n)
{
	const struct alarm *a = alarm_next(NULL);

	while (a && !is_due(n, a))
		a = alarm_next((struct alarm *)a);
	return a;
}

static void put_alarm(const struct notify *n, const struct alarm *a, unsigned languages, struct buffer *out)
{
	int64_t since = clock_wall() - clock_seconds(loop_now(n->loop) - a->since);

	buffer_putf(out, "\r\n%s%s%s\r\n", alarm_name((enum alarm_kind)a->kind), a->cause[0] ? ": " : "", a->cause);
	if (languages & REPORT_JA)
		buffer_putf(out, "  %s\r\n", advice[a->kind].ja);
	if (languages & REPORT_EN)
		buffer_putf(out, "  %s\r\n", advice[a->kind].en);
	if (a->words[0])
		buffer_putf(out, "  > %s\r\n", a->words);
	buffer_put_text(out, "  ");
	fields_day(out, since, clock_zone(since));
	buffer_put_text(out, "\r\n");
}

static void write_text(const struct notify *n, const struct relay_settings *s, struct buffer *out)
{
	unsigned shown = 0;

	if (s->return_languages & REPORT_JA)
		buffer_putf(out, "%s のメールゲート（Sekimori）からの自動のお知らせです。対処が必要です。\r\n", s->hostname);
	if (s->return_languages & REPORT_EN)
		buffer_putf(out, "This is the mail gate at %s (Sekimori). Somebody must act.\r\n", s->hostname);
	for (const struct alarm *a = alarm_next(NULL); a; a = alarm_next((struct alarm *)a))
		if (is_due(n, a) && ++shown <= SHOWN_MAX)
			put_alarm(n, a, s->return_languages, out);
	if (shown > SHOWN_MAX)
		buffer_putf(out, "\r\n+ %u\r\n", shown - SHOWN_MAX);
	if (s->return_languages & REPORT_JA)
		buffer_put_text(out, "\r\n今の状態は sekimori status で分かります。同じ原因のお知らせは 1 日 1 回です。\r\n");
	if (s->return_languages & REPORT_EN)
		buffer_put_text(out, "\r\nsekimori status says how it is now. Each cause is told once a day.\r\n");
}

static void write_header(const struct notify *n, const struct relay_settings *s, const char *to, struct buffer *out)
{
	int64_t wall = clock_wall();
	char id[SPOOL_ID_TEXT];

	spool_id_text(n->keeping.writer.id, id);
	buffer_putf(out, "From: Sekimori <%s>\r\nTo: <%s>\r\nSubject: ", s->return_from, to);
	if (s->return_languages & REPORT_JA) {
		buffer_put_text(out, "=?UTF-8?B?");
		base64_encode(out, SLICE_OF("メールゲートの警報"));
		buffer_put_text(out, "?= ");
	}
	buffer_putf(out, "Sekimori alarm: %s\r\nDate: ", alarm_name((enum alarm_kind)first_due(n)->kind));
	fields_date(out, wall, clock_zone(wall));
	buffer_putf(out, "\r\nMessage-ID: <%s.alarm@%s>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
		    "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n", id, s->hostname);
}

static void write_base64(struct slice text, struct buffer *out)
{
	for (; text.len; text = slice_skip(text, slice_first(text, LINE_OCTETS).len)) {
		base64_encode(out, slice_first(text, LINE_OCTETS));
		buffer_put_text(out, "\r\n");
	}
}

static void finished(struct keeping *k, int result)
{
	struct notify *n = (struct notify *)k;
	char id[SPOOL_ID_TEXT];

	n->busy = false;
	spool_id_text(k->writer.id, id);
	if (result) {
		log_line(SEVERITY_WARNING, "no mail could be made about the alarm: %s; tried again", strerror(-result));
		return;
	}
	log_line(SEVERITY_INFO, "alarm-mail id=%s", id);
	for (struct alarm *a = alarm_next(NULL); a; a = alarm_next(a))
		if (a->told <= n->made && is_due(n, a))
			a->unsent = false;
}

static int commit(struct notify *n, const struct relay_settings *s, const char *to)
{
	char memory[4 * ADDRESS_MAX + 256], recipient[ADDRESS_MAX + 2];
	struct envelope e = {
		.arrived = clock_wall(),
		.sender = slice_of(s->return_envelope == RETURN_ADDRESS ? s->return_from : ""),
		.trust = SLICE(NOTIFY_TRUST),
		.is_return = true,
		.ends_in_crlf = true,
		.recipient_count = 1,
	};
	struct buffer text;

	snprintf(recipient, sizeof(recipient), "%s\n", to);
	e.recipients = slice_of(recipient);
	buffer_init(&text, memory, sizeof(memory));
	if (!envelope_write(&text, &e))
		return -EMSGSIZE;
	return keeper_commit(n->keeper, &n->keeping, slice_of(""), buffer_bytes(&text));
}

static int write_mail(struct notify *n, const struct relay_settings *s, const char *to, char *body, char *mail)
{
	struct spool *spool = keeper_spool(n->keeper);
	struct buffer text, out;
	int result;

	buffer_init(&text, body, BODY_MAX);
	write_text(n, s, &text);
	buffer_init(&out, mail, CHUNK_SIZE);
	write_header(n, s, to, &out);
	write_base64(buffer_bytes(&text), &out);
	if (text.overflow || out.overflow)
		return -EMSGSIZE;
	result = spool_append(spool, &n->keeping.writer, buffer_bytes(&out));
	return result ? result : commit(n, s, to);
}

static int make(struct notify *n, const struct relay_settings *s, const char *to)
{
	struct spool *spool = keeper_spool(n->keeper);
	char *body = malloc(BODY_MAX), *mail = malloc(CHUNK_SIZE);
	int result = -ENOMEM;

	memset(&n->keeping.writer, 0, sizeof(n->keeping.writer));
	n->keeping.writer.is_return = true;	/* may use the spool's reserve: it may be the spool that is full */
	n->keeping.done = finished;
	if (body && mail)
		result = spool_begin(spool, &n->keeping.writer, 0);
	if (!result) {
		result = write_mail(n, s, to, body, mail);
		if (result)
			spool_abort(spool, &n->keeping.writer);
	}
	free(body);
	free(mail);
	return result;
}

static void make_one(struct notify *n, const struct relay_settings *s, const char *to)
{
	int result;

	n->at = 0;
	n->last = n->made = loop_now(n->loop);
	n->busy = true;
	result = make(n, s, to);
	if (result)
		finished(&n->keeping, result);
}

void notify_turn(struct notify *n, const struct relay_settings *s, const char *to)
{
	int64_t now = loop_now(n->loop);

	if (n->busy || n->stopped || !to[0] || !first_due(n)) {
		n->at = 0;
		return;
	}
	if (!n->at)
		n->at = n->last && n->last + BETWEEN_MS > now + GATHER_MS ? n->last + BETWEEN_MS : now + GATHER_MS;
	if (now >= n->at)
		make_one(n, s, to);
}

int64_t notify_deadline(const struct notify *n)
{
	return n->at ? n->at : INT64_MAX;
}

void notify_start(struct notify *n, struct loop *l, struct keeper *k)
{
	*n = (struct notify){ .loop = l, .keeper = k };
}

void notify_stop(struct notify *n)
{
	n->stopped = true;
}
