#include "trust/edit.h"

#include "base/secret.h"
#include "trust/cram.h"
#include "trust/scram.h"
#include "trust/table.h"

#define SALT_SIZE 16	/* octets: Dovecot's size; RFC 5802 leaves it open */

static const char *check_password(struct slice password)
{
	if (password.len == 0)
		return "empty password";
	if (password.len > PASSWORD_MAX)
		return "password too long";
	for (size_t i = 0; i < password.len; i++)
		if (ascii_is_control(password.at[i]))
			return "control character in the password";
	return NULL;
}

static bool put_scram(struct buffer *out, struct slice password)
{
	struct trust_scram s = { .iterations = SCRAM_ITERATIONS, .salt_len = SALT_SIZE };
	bool ok = secret_random(s.salt, SALT_SIZE) && scram_derive(&s, password) &&
		  buffer_put_text(out, "{SCRAM-SHA-256}") && scram_write(out, &s);

	secret_wipe(&s, sizeof(s));
	return ok;
}

static bool put_cram(struct buffer *out, struct slice password)
{
	uint8_t context[DIGEST_CRAM_SIZE];
	bool ok = digest_cram_context(password, context) && buffer_put_text(out, " {CRAM-MD5}") &&
		  cram_write(out, context);

	secret_wipe(context, sizeof(context));
	return ok;
}

/* The options are the only part that isn't ours; what we write we must be able to read. */
static const char *check_line(struct buffer *out, struct slice line)
{
	struct trust_account a = { 0 };
	const char *wrong = accounts_read_line(line, &a);

	secret_wipe(&a, sizeof(a));
	if (!wrong && (buffer_room(out) <= line.len || !buffer_put(out, line) || !buffer_put_text(out, "\n")))
		wrong = "no room for the line";
	return wrong;
}

/* `password` at NULL: {UPSTREAM}. */
static bool put_line(struct buffer *out, const struct address_key *key, struct slice password,
		     bool cram_md5, struct slice options)
{
	if (!buffer_put(out, slice_bytes(key->text, key->len)) || !buffer_put_text(out, ":"))
		return false;
	if (!password.at && !buffer_put_text(out, "{UPSTREAM}"))
		return false;
	if (password.at && (!put_scram(out, password) || (cram_md5 && !put_cram(out, password))))
		return false;
	return buffer_put_text(out, ":") && buffer_put(out, options);
}

static bool make_line(struct buffer *out, struct slice address, struct slice password, bool cram_md5,
		      struct slice options, struct fault *f)
{
	const char *wrong = password.at ? check_password(password) : NULL;
	struct address_key key;
	char memory[ACCOUNTS_LINE_MAX];
	struct buffer line;

	buffer_init(&line, memory, sizeof(memory));
	if (!wrong && !table_address(address, &key))
		wrong = "not an address";
	if (!wrong && !put_line(&line, &key, password, cram_md5, options))
		wrong = "can't make the secret: no randomness, no memory, or options too long";
	if (!wrong)
		wrong = check_line(out, buffer_bytes(&line));
	secret_wipe(memory, sizeof(memory));
	return !wrong ||
	       fault_set(f, STATUS_DATA, "%.*s: %s", SLICE_ARGS(slice_first(address, 80)), wrong);
}

bool accounts_line(struct buffer *out, struct slice address, struct slice password, bool cram_md5,
		   struct slice options, struct fault *f)
{
	if (!password.at)
		password = SLICE_OF("");
	return make_line(out, address, password, cram_md5, options, f);
}

bool accounts_line_upstream(struct buffer *out, struct slice address, struct slice options, struct fault *f)
{
	return make_line(out, address, slice_bytes(NULL, 0), false, options, f);
}

static bool is_line_of(struct slice line, const struct address_key *key)
{
	struct slice address;
	struct address_key k;

	return slice_cut(&line, ':', &address) &&
	       address_key_of(address, &k) && address_key_equal(&k, key);
}

bool accounts_edit(struct slice text, const struct address_key *key, struct slice line,
		   struct buffer *out, bool *found)
{
	struct slice old;

	*found = false;
	while (text.len > 0 && slice_cut(&text, '\n', &old)) {
		if (!is_line_of(old, key)) {
			buffer_put(out, old);
			buffer_put_text(out, "\n");
		} else if (!*found) {
			*found = true;
			buffer_put(out, line);
		}
	}
	if (!*found)
		buffer_put(out, line);
	return !out->overflow;
}
