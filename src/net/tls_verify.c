/*
 * By which CAs a server's certificate is judged. Only a few of a large CA file are parsed: mbedTLS verifies by these first, and calls here. Unless
 * all is well, it verifies once more, from within that call, by all CAs of the file that may vouch for a certificate of the chain; that is the
 * verdict, and the handshake goes on or ends by it.
 */
#include "net/tls_inner.h"

struct second_look {
	struct tls *t;
	const mbedtls_x509_crt *top;	/* of the chain */
};

static int look(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct second_look *l = context;

	if (!l->top)
		l->top = crt;
	return tls_judge(l->t, crt, depth, flags);
}

/* As mbedTLS has done it before: the name is compared, and NULL for an address, which tls_judge compares. */
static int verify_by(struct tls *t, mbedtls_x509_crt *found, mbedtls_x509_crt *crt, uint32_t *flags)
{
	struct second_look l = { .t = t };
	int code = mbedtls_x509_crt_verify_with_profile(crt, found->raw.len > 0 ? found : NULL, NULL, TLS_PROFILE,
							t->address_len > 0 ? NULL : t->name, flags, look, &l);

	if (code == 0)
		tls_bundle_keep(t->context->ca, found, l.top);
	return code == MBEDTLS_ERR_X509_CERT_VERIFY_FAILED ? 0 : code;	/* the flags tell */
}

static int verify_again(struct tls *t, mbedtls_x509_crt *crt, uint32_t *flags)
{
	const struct tls_bundle *b = t->context->ca;
	mbedtls_x509_crt found;
	bool changed = false;
	int code;

	mbedtls_x509_crt_init(&found);
	code = tls_bundle_find(b, t->issuers, t->links, &found, &changed);
	if (code == 0)
		code = verify_by(t, &found, crt, flags);
	if (code == 0 && changed && (t->flags & MBEDTLS_X509_BADCERT_NOT_TRUSTED))
		tls_complain(t, "%s was written to since it was read: reload", tls_bundle_path(b));
	mbedtls_x509_crt_free(&found);
	return code;
}

/*
 * The way up from the peer's certificate is the same with more CAs, but may end sooner: so whoever is asked for as an issuer with all of them was
 * asked for with those few. Flags of depths above 0 wait for the verdict, which comes with depth 0.
 */
int tls_verify(void *context, mbedtls_x509_crt *crt, int depth, uint32_t *flags)
{
	struct tls *t = context;

	if (!t->context->ca || tls_bundle_is_whole(t->context->ca))
		return tls_judge(t, crt, depth, flags);
	if (depth < 0 || depth >= TLS_LINKS_MAX)
		return MBEDTLS_ERR_X509_FATAL_ERROR;
	if (t->links == 0)
		t->links = (unsigned)depth + 1;
	t->issuers[depth] = tls_name_hash(&crt->issuer);
	t->doubts |= *flags;
	*flags = 0;
	if (depth > 0)
		return 0;
	return t->doubts ? verify_again(t, crt, flags) : tls_judge(t, crt, depth, flags);
}
