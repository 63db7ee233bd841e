#include "relay/wallet.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/digest.h"
#include "base/secret.h"

struct row {
	int64_t proved_at;		/* monotonic ms */
	char account[ADDRESS_MAX + 1];
	char user[LOGIN_MAX + 1];
	char password[PASSWORD_MAX + 1];
};

struct refusal {
	uint8_t digest[DIGEST_SHA256_SIZE];	/* keyed, of account and pair */
	int64_t until;			/* monotonic ms; 0: none */
};

struct wallet {
	uint8_t key[DIGEST_SHA256_SIZE];
	struct row *rows[WALLET_ROWS];
	struct refusal refusals[WALLET_REFUSALS];
	unsigned next_refusal;
};

struct wallet *wallet_new(void)
{
	struct wallet *w = calloc(1, sizeof(*w));

	if (w && !secret_random(w->key, sizeof(w->key))) {
		free(w);
		w = NULL;
	}
	return w;
}

void wallet_forget(struct wallet *w, int row)
{
	if (!w->rows[row])
		return;
	secret_wipe(w->rows[row], sizeof(*w->rows[row]));
	free(w->rows[row]);
	w->rows[row] = NULL;
}

void wallet_free(struct wallet *w)
{
	if (!w)
		return;
	for (int i = 0; i < WALLET_ROWS; i++)
		wallet_forget(w, i);
	secret_wipe(w, sizeof(*w));
	free(w);
}

int wallet_find(const struct wallet *w, struct slice account)
{
	for (int i = 0; i < WALLET_ROWS; i++)
		if (w->rows[i] && slice_equal_fold(slice_of(w->rows[i]->account), account))
			return i;
	return -1;
}

struct slice wallet_account(const struct wallet *w, int row)
{
	return slice_of(w->rows[row] ? w->rows[row]->account : "");
}

struct slice wallet_user(const struct wallet *w, int row)
{
	return slice_of(w->rows[row] ? w->rows[row]->user : "");
}

struct slice wallet_password(const struct wallet *w, int row)
{
	return slice_of(w->rows[row] ? w->rows[row]->password : "");
}

/* Lengths go in front, so that no two different triples make the same octets. */
static void put_counted(struct buffer *b, struct slice s)
{
	const char count[2] = { (char)(s.len >> 8 & 0xff), (char)(s.len & 0xff) };

	buffer_put(b, slice_bytes(count, sizeof(count)));
	buffer_put(b, s);
}

static bool digest_of(const struct wallet *w, struct slice account, struct slice user, struct slice password,
		      uint8_t out[DIGEST_SHA256_SIZE])
{
	char memory[ADDRESS_MAX + LOGIN_MAX + PASSWORD_MAX + 8];
	struct buffer b;
	bool ok;

	buffer_init(&b, memory, sizeof(memory));
	put_counted(&b, account);
	put_counted(&b, user);
	put_counted(&b, password);
	ok = !b.overflow && digest_hmac(DIGEST_SHA256, slice_bytes((const char *)w->key, sizeof(w->key)),
					buffer_bytes(&b), out);
	secret_wipe(memory, sizeof(memory));
	return ok;
}

bool wallet_knows(const struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now)
{
	uint8_t typed[DIGEST_SHA256_SIZE], kept[DIGEST_SHA256_SIZE];
	int row = wallet_find(w, account);
	bool same;

	if (row < 0 || now - w->rows[row]->proved_at >= WALLET_TRUSTED_MS)
		return false;
	/* By digests, so that the time taken tells nothing of how much is right. */
	same = digest_of(w, account, user, password, typed) &&
	       digest_of(w, account, wallet_user(w, row), wallet_password(w, row), kept) &&
	       secret_equal(typed, kept, sizeof(typed));
	secret_wipe(typed, sizeof(typed));
	secret_wipe(kept, sizeof(kept));
	return same;
}

bool wallet_has_refused(const struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	bool found = false;

	if (!digest_of(w, account, user, password, digest))
		return false;
	for (unsigned i = 0; i < WALLET_REFUSALS; i++)
		found |= w->refusals[i].until > now && secret_equal(w->refusals[i].digest, digest, sizeof(digest));
	secret_wipe(digest, sizeof(digest));
	return found;
}

void wallet_refuse(struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now)
{
	struct refusal *r = &w->refusals[w->next_refusal];

	if (!digest_of(w, account, user, password, r->digest))
		return;
	r->until = now + WALLET_REFUSED_MS;
	w->next_refusal = (w->next_refusal + 1) % WALLET_REFUSALS;
}

static int row_for(const struct wallet *w, struct slice account)
{
	int row = wallet_find(w, account), oldest = 0;

	for (int i = 0; row < 0 && i < WALLET_ROWS; i++) {
		if (!w->rows[i])
			return i;
		if (w->rows[i]->proved_at < w->rows[oldest]->proved_at)
			oldest = i;
	}
	return row >= 0 ? row : oldest;
}

int wallet_put(struct wallet *w, struct slice account, struct slice user, struct slice password, int64_t now)
{
	int at = row_for(w, account);
	struct row *row = calloc(1, sizeof(*row));

	if (!row)
		return -1;
	row->proved_at = now;
	if (!slice_copy(account, row->account, sizeof(row->account)) ||
	    !slice_copy(user, row->user, sizeof(row->user)) ||
	    !slice_copy(password, row->password, sizeof(row->password))) {
		secret_wipe(row, sizeof(*row));
		free(row);
		return -1;
	}
	wallet_forget(w, at);
	w->rows[at] = row;
	return at;
}
