/*
 * CA files. A system's bundle takes half a megabyte when mbedTLS has parsed it, and of its 140 CAs a relay ever needs one or two: of a
 * file with many, only an index stays in memory, and CAs are parsed again as they are asked for. The file stays open, so that one that takes its
 * place, or rights that were given up, make no difference; and of each CA its hash is known, so that one who writes into the file can take CAs
 * away, but adds none.
 */
#include "net/tls_inner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mbedtls/error.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>

#define KEPT_MAX	4		/* CAs that stay parsed, some 3 KiB each; a file with no more is kept whole */

static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";

struct entry {
	uint32_t subject;		/* tls_name_hash */
	uint32_t at, len;		/* of its PEM, in the file */
	uint8_t digest[DIGEST_SHA256_SIZE];	/* of its DER */
};

/* The CAs of one file, for all contexts that name it. */
struct tls_bundle {
	struct tls_bundle *next;
	unsigned holders;
	struct stat file;		/* by which it is known: a file that has changed is another one */
	char *path;			/* of the file, as who came first called it */
	mbedtls_x509_crt kept;		/* all of them, or those that were needed last; without any, a certificate that vouches for none */
	unsigned kept_count;
	int fd;				/* -1: all are kept */
	struct entry *entries;
	size_t count;
};

static struct tls_bundle *bundles;

bool tls_refuse_file(struct fault *f, const char *path, const char *what, int code)
{
	char words[TLS_ERROR_MAX];

	mbedtls_strerror(code, words, sizeof(words));
	return fault_set(f, STATUS_CONFIG, "%s: %s: %s", path, what, words);
}

bool tls_check_file(const char *path, bool secret, struct stat *st, struct fault *f)
{
	if (stat(path, st) < 0)
		return fault_set(f, STATUS_CONFIG, "%s: %s", path, strerror(errno));
	if (!S_ISREG(st->st_mode))
		return fault_set(f, STATUS_CONFIG, "%s: not a file", path);
	if (access(path, R_OK) < 0)	/* mbedTLS has no words for it */
		return fault_set(f, STATUS_CONFIG, "%s: %s", path, strerror(errno));
	if (secret && (st->st_mode & S_IRWXO))
		return fault_set(f, STATUS_CONFIG, "%s: open to everybody (mode %04o): chmod o= %s",
				 path, (unsigned)(st->st_mode & 07777), path);
	return true;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static struct tls_bundle *find_bundle(const struct stat *file, bool whole)
{
	for (struct tls_bundle *b = bundles; b; b = b->next)
		if (same_file(&b->file, file) && (tls_bundle_is_whole(b) || !whole))
			return b;
	return NULL;
}

void tls_bundle_release(struct tls_bundle *b)
{
	struct tls_bundle **link = &bundles;

	if (!b || --b->holders > 0)
		return;
	while (*link != b)
		link = &(*link)->next;
	*link = b->next;
	mbedtls_x509_crt_free(&b->kept);
	if (b->fd >= 0)
		close(b->fd);
	free(b->entries);
	free(b->path);
	free(b);
}

static struct tls_bundle *new_bundle(const char *path, const struct stat *file)
{
	struct tls_bundle *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->holders = 1;
	b->file = *file;
	b->fd = -1;
	b->next = bundles;
	bundles = b;
	mbedtls_x509_crt_init(&b->kept);
	b->path = strdup(path);
	if (b->path)
		return b;
	tls_bundle_release(b);
	return NULL;
}

bool tls_bundle_is_whole(const struct tls_bundle *b)
{
	return b->fd < 0;
}

mbedtls_x509_crt *tls_bundle_chain(struct tls_bundle *b)
{
	return &b->kept;
}

const char *tls_bundle_path(const struct tls_bundle *b)
{
	return b->path;
}

static uint32_t add_octets(uint32_t hash, const mbedtls_x509_buf *b)
{
	for (size_t i = 0; i < b->len; i++)	/* FNV-1a */
		hash = (hash ^ (uint8_t)ascii_fold((char)b->p[i])) * 16777619u;
	return hash;
}

/* mbedTLS takes names for the same whose letters differ in case, or whose strings are of another type: so nothing of that goes in. */
uint32_t tls_name_hash(const mbedtls_x509_name *name)
{
	uint32_t hash = 2166136261u;

	for (; name; name = name->next)
		hash = add_octets(add_octets(hash, &name->oid), &name->val);
	return hash;
}

/*
 * The first certificate of `text`, as DER in `pem`, which is the caller's to free in any case. 0, or mbedTLS' code; *used stays when there is
 * none.
 */
static int decode(mbedtls_pem_context *pem, const char *text, size_t *used, uint8_t digest[DIGEST_SHA256_SIZE])
{
	int code;

	mbedtls_pem_init(pem);
	code = mbedtls_pem_read_buffer(pem, begin, end, (const unsigned char *)text, NULL, 0, used);
	if (code)
		return code;
	return digest_hash(DIGEST_SHA256, slice_bytes((const char *)pem->MBEDTLS_PRIVATE(buf), pem->MBEDTLS_PRIVATE(buflen)), digest) ?
		0 : MBEDTLS_ERR_X509_ALLOC_FAILED;
}

static int parse(mbedtls_x509_crt *chain, const mbedtls_pem_context *pem)
{
	return mbedtls_x509_crt_parse_der(chain, pem->MBEDTLS_PRIVATE(buf), pem->MBEDTLS_PRIVATE(buflen));
}

/* One that mbedTLS can parse, as it will be asked to again. */
static int enter(struct tls_bundle *b, const char *text, size_t at, size_t *used)
{
	struct entry e = { .at = (uint32_t)at };
	mbedtls_x509_crt crt;
	mbedtls_pem_context pem;
	int code = decode(&pem, text + at, used, e.digest);

	mbedtls_x509_crt_init(&crt);
	if (!code)
		code = parse(&crt, &pem);
	if (!code) {
		e.subject = tls_name_hash(&crt.subject);
		e.len = (uint32_t)*used;
		b->entries[b->count++] = e;
	}
	mbedtls_x509_crt_free(&crt);
	mbedtls_pem_free(&pem);
	return code;
}

static const char *next_certificate(const char *text)
{
	return strstr(text, begin);
}

static size_t count_certificates(const char *text)
{
	size_t n = 0;

	for (const char *at = next_certificate(text); at; at = next_certificate(at + 1))
		n++;
	return n;
}

/* As mbedtls_x509_crt_parse does it: what is damaged, or of an algorithm that it lacks, is passed over. 0, or its code. */
static int enter_all(struct tls_bundle *b, const char *text, size_t max)
{
	int first = 0;

	b->entries = calloc(max, sizeof(*b->entries));
	if (!b->entries)
		return MBEDTLS_ERR_X509_ALLOC_FAILED;
	for (const char *at = next_certificate(text); at && b->count < max;) {
		size_t used = 0;
		int code = enter(b, text, (size_t)(at - text), &used);

		if (code == MBEDTLS_ERR_X509_ALLOC_FAILED)
			return code;
		if (code && !first)
			first = code;
		at = used ? next_certificate(at + used) : NULL;
	}
	if (b->count)
		return 0;
	return first ? first : MBEDTLS_ERR_X509_CERT_UNKNOWN_FORMAT;
}

/* Octets read: less than `len` at the file's end, or with an error. */
static size_t read_at(int fd, char *out, size_t len, size_t at)
{
	size_t n = 0;

	while (n < len) {
		ssize_t some = pread(fd, out + n, len - n, (off_t)(at + n));

		if (some < 0 && errno == EINTR)
			continue;
		if (some <= 0)
			break;
		n += (size_t)some;
	}
	return n;
}

/* A NUL behind PEM is what mbedTLS knows it by. 0, or its code. */
static int keep_all(struct tls_bundle *b, const char *text, size_t len, bool is_pem)
{
	int code = mbedtls_x509_crt_parse(&b->kept, (const unsigned char *)text, is_pem ? len + 1 : len);

	close(b->fd);
	b->fd = -1;
	return code < 0 ? code : 0;
}

static int load(struct tls_bundle *b, bool whole)
{
	size_t len, n;
	char *text;
	int code;

	b->fd = open(b->path, O_RDONLY | O_CLOEXEC);
	if (b->fd < 0 || fstat(b->fd, &b->file) < 0)
		return MBEDTLS_ERR_PK_FILE_IO_ERROR;
	if (b->file.st_size > INT32_MAX / 2)
		return MBEDTLS_ERR_X509_ALLOC_FAILED;
	text = malloc((size_t)b->file.st_size + 1);
	if (!text)
		return MBEDTLS_ERR_X509_ALLOC_FAILED;
	len = read_at(b->fd, text, (size_t)b->file.st_size, 0);
	text[len] = '\0';
	n = count_certificates(text);
	code = whole || n <= KEPT_MAX ? keep_all(b, text, len, n > 0) : enter_all(b, text, n);
	free(text);
	return code;
}

/* A system's bundle may hold a few that mbedTLS has no algorithm for; the others do their work. */
struct tls_bundle *tls_bundle_get(const char *path, bool whole, struct fault *f)
{
	struct tls_bundle *b;
	struct stat file;
	int code;

	if (!tls_check_file(path, false, &file, f))
		return NULL;
	b = find_bundle(&file, whole);
	if (b) {
		b->holders++;
		return b;
	}
	b = new_bundle(path, &file);
	if (!b) {
		fault_set(f, STATUS_TEMPORARY, "TLS: no memory");
		return NULL;
	}
	code = load(b, whole);
	if (!code)
		return b;
	tls_refuse_file(f, path, "no CA certificate in PEM", code);
	tls_bundle_release(b);
	return NULL;
}

/* What the file holds there now counts only when it is what it was. */
static int add_candidate(const struct tls_bundle *b, const struct entry *e, mbedtls_x509_crt *out, bool *changed)
{
	uint8_t digest[DIGEST_SHA256_SIZE];
	mbedtls_pem_context pem;
	size_t used = 0;
	char *text = malloc(e->len + 1u);
	int code;

	if (!text)
		return MBEDTLS_ERR_X509_ALLOC_FAILED;
	text[read_at(b->fd, text, e->len, e->at)] = '\0';
	code = decode(&pem, text, &used, digest);
	if (code == MBEDTLS_ERR_X509_ALLOC_FAILED || code == MBEDTLS_ERR_PEM_ALLOC_FAILED)
		code = MBEDTLS_ERR_X509_ALLOC_FAILED;
	else if (code || memcmp(digest, e->digest, sizeof(digest)) != 0)
		code = 0, *changed = true;
	else
		code = parse(out, &pem);
	mbedtls_pem_free(&pem);
	free(text);
	return code;
}

static bool is_among(uint32_t subject, const uint32_t *subjects, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (subjects[i] == subject)
			return true;
	return false;
}

int tls_bundle_find(const struct tls_bundle *b, const uint32_t *subjects, size_t n, mbedtls_x509_crt *out, bool *changed)
{
	int code = 0;

	for (size_t i = 0; i < b->count && !code; i++)
		if (is_among(b->entries[i].subject, subjects, n))
			code = add_candidate(b, &b->entries[i], out, changed);
	return code;
}

void tls_bundle_keep(struct tls_bundle *b, const mbedtls_x509_crt *found, const mbedtls_x509_crt *crt)
{
	while (found && (found->raw.len != crt->raw.len || memcmp(found->raw.p, crt->raw.p, crt->raw.len) != 0))
		found = found->next;
	if (!found)
		return;
	if (b->kept_count == KEPT_MAX) {
		mbedtls_x509_crt_free(&b->kept);
		mbedtls_x509_crt_init(&b->kept);
		b->kept_count = 0;
	}
	if (mbedtls_x509_crt_parse_der(&b->kept, found->raw.p, found->raw.len) == 0)
		b->kept_count++;
}
