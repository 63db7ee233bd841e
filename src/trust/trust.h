/*
 * Who may say what: accounts, aliases, devices, peers and the policy, put together once from the
 * configuration and unchanged from then on (R1, R2, R6, R7, R12, R15, R16). The judgements are in
 * trust/verdict.h, logins in trust/accounts.h. No sockets, no clocks; accounts.c reads its file.
 */
#ifndef TRUST_TRUST_H
#define TRUST_TRUST_H

#include "base/fault.h"
#include "mail/address.h"
#include "trust/network.h"

/* 1, 2, 3 of R1; DEFAULT: the global one. */
enum trust_level { LEVEL_DEFAULT, LEVEL_AUTH, LEVEL_ENVELOPE, LEVEL_FROM };
enum trust_match { MATCH_ACCOUNT, MATCH_EXACT };
enum trust_null_sender { NULL_FROM, NULL_DENY, NULL_ALLOW };
enum trust_action { ACTION_DEFAULT, ACTION_REFUSE, ACTION_LOG, ACTION_TAG };
enum trust_display { DISPLAY_LOG, DISPLAY_REFUSE };

struct trust_policy {		/* [trust] */
	uint8_t level;		/* enum trust_level, never DEFAULT */
	uint8_t match, null_sender, action, display_addr;
	bool from_alias;
	char subaddress;	/* '+', '-', or 0 for none */
};

/* "auth", "auth=envelope", "auth=envelope=from", also "1" to "3"; else LEVEL_DEFAULT. */
enum trust_level trust_level_of(struct slice text);
/* The long name; "none" for LEVEL_DEFAULT. */
const char *trust_level_name(enum trust_level level);
/* "refuse", "log", "tag"; ACTION_DEFAULT when it is none of them. */
enum trust_action trust_action_of(struct slice text);
/* "none" for ACTION_DEFAULT. */
const char *trust_action_name(enum trust_action action);

struct trust_account;		/* trust/accounts.h */

struct trust_device {
	char name[64];		/* [device NAME] */
	struct network_list from;
	struct address_key sender;
	char address[ADDRESS_MAX + 1];	/* the sender, as written */
	bool local_only;	/* recipients = local */
	bool rewrite_from;
	/* A user of this machine ([local], [local USER]), known by its number and not by an address; `from` is empty then. */
	bool is_user, is_everybody;
	uint32_t uid;
	char owner[ADDRESS_MAX + 1];	/* who gets what comes back; empty: the sender */
};

struct trust_peer {
	char name[64];		/* [peer NAME] */
	struct network_list from;
};

/*
 * Built by the configuration: trust_new, then the adders, then trust_seal, which checks what can
 * be checked only as a whole (alias equal to an account, alias to nobody or to an alias,
 * addresses outside our domains, device whose sender can log in, one network given twice) and
 * sorts for look-up. `file` and `line` are where the setting stands, for the fault; `file` must
 * stay until trust_seal. All adders return false with a fault set; the table is then only good
 * for trust_free.
 */
struct trust;
struct trust *trust_new(void);
void trust_free(struct trust *t);		/* wipes secrets; NULL is ignored */
void trust_set_policy(struct trust *t, const struct trust_policy *policy);
const struct trust_policy *trust_policy(const struct trust *t);
bool trust_add_domain(struct trust *t, struct slice domain, const char *file, unsigned line,
		      struct fault *f);
/*
 * `accounts`: comma-separated addresses, at most ALIAS_ACCOUNTS_MAX, that may send as alias. A
 * wildcard is refused on either side (R7).
 */
bool trust_add_alias(struct trust *t, struct slice alias, struct slice accounts, const char *file,
		     unsigned line, struct fault *f);
/*
 * Both copy. Networks wider than /8 (IPv6: /16) are refused, 0.0.0.0/0 and ::/0 above all (R16,
 * R60).
 */
bool trust_add_device(struct trust *t, const struct trust_device *d, const char *file,
		      unsigned line, struct fault *f);
bool trust_add_peer(struct trust *t, const struct trust_peer *p, const char *file, unsigned line,
		    struct fault *f);
/*
 * Reads the accounts file: trust/accounts.h. Domains must have been added before. Also a fault: a
 * file that others may read or that the group may write (R63).
 */
bool trust_load_accounts(struct trust *t, const char *path, struct fault *f);
bool trust_seal(struct trust *t, struct fault *f);

/* Our own mail domains; the first one is the default domain of a bare login, empty without any. */
bool trust_is_our_domain(const struct trust *t, struct slice domain);
struct slice trust_default_domain(const struct trust *t);

/*
 * Who speaks. Filled at connect (device, peer, by address) and after AUTH (account, which wins:
 * R15).
 */
enum principal_kind { PRINCIPAL_NOBODY, PRINCIPAL_ACCOUNT, PRINCIPAL_DEVICE, PRINCIPAL_PEER };
struct principal {
	enum principal_kind kind;
	const struct trust_account *account;
	const struct trust_device *device;
	const struct trust_peer *peer;
};
/* By address only; the longest prefix wins (R15). PRINCIPAL_NOBODY when none matches. */
void trust_by_address(const struct trust *t, const struct ip_address *client, struct principal *p);
/* A user of this machine: the one's own [local USER], else [local]. PRINCIPAL_NOBODY when there is neither. */
void trust_by_user(const struct trust *t, uint32_t uid, struct principal *p);
/*
 * Name for log and Received: the account's address, the device's or peer's name; empty for
 * nobody.
 */
struct slice principal_name(const struct principal *p);
/* "none", "account", "device", "peer". */
const char *principal_kind_name(enum principal_kind kind);

#endif
