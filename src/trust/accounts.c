#include "trust/accounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "trust/cram.h"
#include "trust/table.h"

/*
 * The readers of a line's parts return NULL, or in words what is wrong. They never quote a
 * secret: faults go to the log and to the terminal.
 */
typedef const char *part_reader(struct slice value, struct trust_account *a);

struct named_part {
	struct slice name;
	part_reader *read;
};

bool account_can_login(const struct trust_account *a)
{
	return a->has_scram || a->has_cram || a->has_plain || a->upstream;
}

static const char *read_scram(struct slice value, struct trust_account *a)
{
	if (a->has_scram)
		return "two secrets of one kind";
	a->has_scram = true;
	return scram_parse(value, &a->scram) ? NULL : "damaged {SCRAM-SHA-256} secret";
}

static const char *read_cram(struct slice value, struct trust_account *a)
{
	if (a->has_cram)
		return "two secrets of one kind";
	a->has_cram = true;
	if (!CONFIG_CRAM_MD5)
		return "{CRAM-MD5} is not available in this version: it was built without it";
	return cram_parse(value, a->cram) ? NULL : "damaged {CRAM-MD5} secret";
}

static const char *read_plain(struct slice value, struct trust_account *a)
{
	if (a->has_plain)
		return "two secrets of one kind";
	a->has_plain = true;
	if (value.len == 0)
		return "empty password";
	return slice_copy(value, a->plain, sizeof(a->plain)) ? NULL : "password too long";
}

/* Beside it a secret of ours would be a second door. */
static const char *read_upstream(struct slice value, struct trust_account *a)
{
	if (a->upstream)
		return "two secrets of one kind";
	a->upstream = true;
	return value.len == 0 ? NULL : "{UPSTREAM} has nothing behind it";
}

static const struct named_part schemes[] = {
	{ SLICE("{SCRAM-SHA-256}"), read_scram },
	{ SLICE("{CRAM-MD5}"), read_cram },
	{ SLICE("{PLAIN}"), read_plain },
	{ SLICE("{UPSTREAM}"), read_upstream },
};

static const char *read_secret(struct slice text, struct trust_account *a)
{
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++)
		if (slice_starts(text, schemes[i].name))
			return schemes[i].read(slice_skip(text, schemes[i].name.len), a);
	return text.len == 0 ? "blank where none belongs" : "unknown kind of secret";
}

/* `secret[ secret]`, or nothing. */
static const char *read_secrets(struct slice field, struct trust_account *a)
{
	struct slice secret;
	const char *wrong = NULL;

	if (field.len == 0)
		return NULL;
	for (unsigned n = 0; !wrong && slice_cut(&field, ' ', &secret); n++)
		wrong = n < 2 ? read_secret(secret, a) : "more than two secrets";
	if (!wrong && a->upstream && (a->has_scram || a->has_cram || a->has_plain))
		wrong = "{UPSTREAM} beside another secret";
	return wrong;
}

static const char *read_level(struct slice value, struct trust_account *a)
{
	if (a->level != LEVEL_DEFAULT)
		return "option given twice";
	a->level = (uint8_t)trust_level_of(value);
	return a->level != LEVEL_DEFAULT ? NULL : "unknown level";
}

static const char *read_action(struct slice value, struct trust_account *a)
{
	if (a->action != ACTION_DEFAULT)
		return "option given twice";
	a->action = (uint8_t)trust_action_of(value);
	return a->action != ACTION_DEFAULT ? NULL : "unknown action";
}

static bool is_printable(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!ascii_is_print(s.at[i]) || s.at[i] == ' ')
			return false;
	return true;
}

static const char *read_login(struct slice value, struct trust_account *a)
{
	if (a->login[0])
		return "option given twice";
	if (!is_printable(value))
		return "login name of other than ASCII";
	return slice_copy(value, a->login, sizeof(a->login)) ? NULL : "login name too long";
}

static const char *read_comment(struct slice value, struct trust_account *a)
{
	if (a->comment[0])
		return "option given twice";
	return slice_copy(value, a->comment, sizeof(a->comment)) ? NULL : "comment too long";
}

static const struct named_part options[] = {
	{ SLICE("level="), read_level },
	{ SLICE("action="), read_action },
	{ SLICE("login="), read_login },
	{ SLICE("comment="), read_comment },
};

static const char *read_option(struct slice text, struct trust_account *a)
{
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (!slice_starts(text, options[i].name))
			continue;
		if (text.len == options[i].name.len)
			return "empty option";
		return options[i].read(slice_skip(text, options[i].name.len), a);
	}
	return text.len == 0 ? "blank where none belongs" : "unknown option";
}

static const char *read_options(struct slice field, struct trust_account *a)
{
	struct slice option;
	const char *wrong = NULL;

	if (field.len == 0)
		return NULL;
	while (!wrong && slice_cut(&field, ' ', &option))
		wrong = read_option(option, a);
	return wrong;
}

/* What an editor or another system may have left in the file (R66). */
static const char *check_octets(struct slice line)
{
	static const char wide_blank[] = "\xe3\x80\x80";

	if (line.len > ACCOUNTS_LINE_MAX)
		return "line too long";
	if (slice_find(line, '\r') < line.len)
		return "carriage return: the file has line ends of Windows";
	for (size_t i = 0; i < line.len; i++)
		if (ascii_is_control(line.at[i]))
			return "control character";
	if (line.len > 0 && memmem(line.at, line.len, wide_blank, sizeof(wide_blank) - 1))
		return "full-width blank (U+3000)";
	return NULL;
}

static const char *read_address(struct slice text, struct trust_account *a)
{
	if (text.len != slice_trim(text).len)
		return "blank where none belongs";
	return table_address(text, &a->key) ? NULL : "not an address";
}

const char *accounts_read_line(struct slice line, struct trust_account *a)
{
	struct slice address, secrets;
	const char *wrong = check_octets(line);

	if (wrong)
		return wrong;
	if (!slice_cut(&line, ':', &address) || !slice_cut(&line, ':', &secrets))
		return "not address:secret:options";
	wrong = read_address(address, a);
	if (!wrong)
		wrong = read_secrets(secrets, a);
	return wrong ? wrong : read_options(line, a);
}

static const char *add_account(struct trust *t, const struct trust_account *a)
{
	struct trust_account *rows;

	if (!trust_is_our_domain(t, address_key_domain(&a->key)))
		return "address is not in our domains";
	if (t->account_count == ACCOUNTS_MAX)
		return "too many accounts";
	rows = table_room(t->accounts, t->account_count, sizeof(*rows));
	if (!rows)
		return "no memory";
	t->accounts = rows;
	t->accounts[t->account_count++] = *a;
	return NULL;
}

static bool parse_line(struct trust *t, struct slice line, const char *file, unsigned number,
		       struct fault *f)
{
	struct trust_account a = { .line = number };
	const char *wrong;

	if (line.len == 0 || line.at[0] == '#')
		return true;
	wrong = accounts_read_line(line, &a);
	if (!wrong)
		wrong = add_account(t, &a);
	secret_wipe(&a, sizeof(a));
	return !wrong || fault_at(f, file, number, "%s", wrong);
}

static int compare_keys(const void *a, const void *b)
{
	const struct trust_account *const *x = a, *const *y = b;
	int order = address_key_compare(&(*x)->key, &(*y)->key);

	if (order != 0)
		return order;
	return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static int compare_logins(const void *a, const void *b)
{
	const struct trust_account *const *x = a, *const *y = b;
	int order = slice_compare_fold(slice_of((*x)->login), slice_of((*y)->login));

	if (order != 0)
		return order;
	return ((*x)->line > (*y)->line) - ((*x)->line < (*y)->line);
}

static bool sort_accounts(struct trust *t, struct fault *f)
{
	free(t->by_key);
	free(t->by_login);
	t->login_count = 0;
	/* One more than needed: nothing asked for may be answered with NULL. */
	t->by_key = calloc((size_t)t->account_count + 1, sizeof(t->by_key[0]));
	t->by_login = calloc((size_t)t->account_count + 1, sizeof(t->by_login[0]));
	if (!t->by_key || !t->by_login)
		return table_no_memory(f);
	for (unsigned i = 0; i < t->account_count; i++) {
		t->by_key[i] = &t->accounts[i];
		if (t->accounts[i].login[0])
			t->by_login[t->login_count++] = &t->accounts[i];
	}
	qsort(t->by_key, t->account_count, sizeof(t->by_key[0]), compare_keys);
	qsort(t->by_login, t->login_count, sizeof(t->by_login[0]), compare_logins);
	return true;
}

static bool check_keys(const struct trust *t, const char *file, struct fault *f)
{
	for (unsigned i = 1; i < t->account_count; i++) {
		const struct trust_account *a = t->by_key[i - 1], *b = t->by_key[i];

		if (address_key_equal(&a->key, &b->key))
			return fault_at(f, file, b->line, "%.*s is given twice, first in line %u",
					SLICE_ARGS(account_name(b)), a->line);
	}
	return true;
}

/* The account a name means without the login= names. */
static const struct trust_account *find_by_address(const struct trust *t, struct slice id)
{
	char full[LOGIN_MAX + 1 + DOMAIN_MAX + 1];
	struct slice domain = trust_default_domain(t);
	struct address_key key;
	struct buffer b;

	if (id.len > LOGIN_MAX)
		return NULL;
	buffer_init(&b, full, sizeof(full));
	buffer_put(&b, id);
	if (slice_find(id, '@') == id.len) {
		buffer_put(&b, SLICE_OF("@"));
		buffer_put(&b, domain);
	}
	return address_key_of(buffer_bytes(&b), &key) ? table_account(t, &key) : NULL;
}

/* A name must mean one account, however it is looked for. */
static bool check_logins(const struct trust *t, const char *file, struct fault *f)
{
	for (unsigned i = 0; i < t->login_count; i++) {
		const struct trust_account *a = t->by_login[i];
		const struct trust_account *other = find_by_address(t, slice_of(a->login));

		if (i > 0 &&
		    slice_equal_fold(slice_of(a->login), slice_of(t->by_login[i - 1]->login)))
			other = t->by_login[i - 1];
		if (other && other != a)
			return fault_at(f, file, a->line, "login name %s is taken by line %u",
					a->login, other->line);
	}
	return true;
}

/* A build of mbedTLS without MD5 has no CRAM-MD5 at all. */
static bool cram_works(void)
{
	uint8_t context[DIGEST_CRAM_SIZE];

	return CONFIG_CRAM_MD5 && digest_cram_context(SLICE_OF("x"), context);
}

static void count_logins(struct trust *t)
{
	t->any_login = false;
	t->all_cram = cram_works();
	for (unsigned i = 0; i < t->account_count; i++) {
		const struct trust_account *a = &t->accounts[i];

		if (!account_can_login(a))
			continue;
		t->any_login = true;
		if (!a->has_cram && !a->has_plain)
			t->all_cram = false;
	}
}

const struct trust_account *accounts_upstream(const struct trust *t)
{
	for (unsigned i = 0; i < t->account_count; i++)
		if (t->accounts[i].upstream)
			return &t->accounts[i];
	return NULL;
}

bool accounts_parse(struct trust *t, struct slice text, const char *file, struct fault *f)
{
	struct slice line;
	unsigned number = 0;

	if (slice_starts(text, SLICE_OF("\xef\xbb\xbf")))
		return fault_at(f, file, 1, "the file begins with a byte order mark (BOM)");
	while (slice_cut(&text, '\n', &line))
		if (!parse_line(t, line, file, ++number, f))
			return false;
	if (!sort_accounts(t, f) || !check_keys(t, file, f) || !check_logins(t, file, f))
		return false;
	count_logins(t);
	return true;
}

size_t accounts_count(const struct trust *t)
{
	return t->account_count;
}

const struct trust_account *accounts_at(const struct trust *t, size_t index)
{
	return &t->accounts[index];
}

static int login_order(const void *key, const void *row)
{
	const struct trust_account *const *a = row;
	const struct slice *id = key;

	return slice_compare_fold(*id, slice_of((*a)->login));
}

const struct trust_account *accounts_find(const struct trust *t, struct slice authid)
{
	const struct trust_account *found, *const *by_login;

	/* No blank and no control character is part of any name: `user1 ` is not user1 (R6). */
	if (authid.len == 0 || !is_printable(authid))
		return NULL;
	found = find_by_address(t, authid);
	if (found || t->login_count == 0)
		return found;
	by_login =
		bsearch(&authid, t->by_login, t->login_count, sizeof(t->by_login[0]), login_order);
	return by_login ? *by_login : NULL;
}

bool accounts_all_cram(const struct trust *t)
{
	return t->any_login && t->all_cram;
}

bool accounts_any_login(const struct trust *t)
{
	return t->any_login;
}

/* Faults of the file as a whole have no line. */
static bool whole_file(const char *path, struct fault *f, const char *what)
{
	return fault_set(f, STATUS_CONFIG, "%s: %s", path, what);
}

static bool check_file(const struct stat *st, const char *path, struct fault *f)
{
	if (!S_ISREG(st->st_mode))
		return whole_file(path, f, "not a regular file");
	if ((st->st_mode & (S_IRWXO | S_IWGRP)) != 0)
		return fault_set(f, STATUS_CONFIG,
				 "%s: mode %04o lets others at the passwords: chmod 0600", path,
				 (unsigned)(st->st_mode & 07777));
	if (st->st_size > ACCOUNTS_FILE_MAX)
		return whole_file(path, f, "file too large");
	return true;
}

/* Up to `size` octets; false with errno. */
static bool read_all(int fd, char *at, size_t size, size_t *len)
{
	*len = 0;
	while (*len < size) {
		ssize_t n = read(fd, at + *len, size - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return true;
}

static bool load_from(struct trust *t, int fd, const char *path, struct fault *f)
{
	struct stat st;
	size_t size, len;
	char *text;
	bool ok;

	if (fstat(fd, &st) != 0)
		return whole_file(path, f, strerror(errno));
	if (!check_file(&st, path, f))
		return false;
	size = (size_t)st.st_size + 1;
	text = malloc(size);
	if (!text)
		return table_no_memory(f);
	ok = read_all(fd, text, size, &len);
	if (!ok)
		whole_file(path, f, strerror(errno));
	else if (len == size)
		ok = whole_file(path, f, "changed while it was read");
	else
		ok = accounts_parse(t, slice_bytes(text, len), path, f);
	secret_wipe(text, size);
	free(text);
	return ok;
}

bool trust_load_accounts(struct trust *t, const char *path, struct fault *f)
{
	/* Not to wait for the writer of a FIFO. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool ok;

	if (fd < 0)
		return whole_file(path, f, strerror(errno));
	ok = load_from(t, fd, path, f);
	close(fd);
	return ok;
}
