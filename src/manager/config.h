/*
 * The configuration: /etc/sekimori.ini as one value, read all or nothing (R20, R66). The contract is
 * sekimori.ini(5). Lower rooms see only their share of it.
 */
#ifndef MANAGER_CONFIG_H
#define MANAGER_CONFIG_H

#include "ingest/ingest.h"
#include "manager/agents.h"
#include "manager/forward.h"
#include "manager/setting.h"
#include "relay/route.h"
#include "trust/trust.h"

#define CONTROL_PATH_MAX	108		/* octets: sun_path of Linux */
#define CONTROL_DEFAULT		"/run/sekimori.sock"
/* Known without the file, which ordinary users can't read; /var/run is there on OpenWrt as well. */
#define LOCAL_DEFAULT		"/var/run/sekimori.mail"

struct config {
	char path[256];				/* of the file */
	/* [server] */
	char accounts[256], spool[256], control[CONTROL_PATH_MAX], local[CONTROL_PATH_MAX], user[33];
	uint64_t spool_size;			/* octets */
	unsigned domain_count;
	char domains[DOMAINS_MAX][DOMAIN_MAX + 1];	/* as written; what counts is in `trust` */
	/* [tls] */
	char certificate[256], key[256];
	bool tls_min_13;
	struct trust_policy policy;		/* [trust], as given to `trust` */
	unsigned device_count, peer_count, user_count;	/* of [device], [peer] and [local] */
	char stamp_keys[256];			/* [stamp] key_file; empty: none */
	struct keyring *keyring;		/* owned */
	/* [log] */
	int log_facility, log_severity;
	int64_t stats_interval;			/* ms; 0: never */
	/* alarms */
	int64_t alarm_age;			/* ms; 0: never */
	char alarm_to[ADDRESS_MAX + 1];		/* empty: nobody */
	/* [manager] */
	char role[16], audit[256];
	unsigned licences, audit_keep;
	size_t licences_used;			/* accounts and devices (R55) */
	uint64_t audit_size;
	char forward_to[300], forward_ca[256], forward_pin[96], forward_certificate[256], forward_key[256];
	struct forward_settings forward;	/* made of these */
	unsigned listen_tls_count, listen_tcp_count;
	struct setting_endpoint listen_tls[AGENT_LISTENERS_MAX / 2], listen_tcp[AGENT_LISTENERS_MAX / 2];
	char listen_ca[256];
	struct agents_settings agents;		/* made of these and [agent] */

	struct said *said;			/* owned: what the file says, for the next reload */
	struct trust *trust;			/* owned */
	struct ingest_settings ingest;
	struct relay_settings relay;
	struct config *next;			/* retired ones, until nobody holds them */
};

/*
 * Reads the file and everything it names (accounts, certificate, key, password files). NULL with a fault: FILE:LINE: what,
 * status 78. Notices ("level is missing: users can impersonate each other") go to `notice`, which may be NULL.
 * `network` false leaves out the TLS contexts and the relays' password files: for commands that only look at trust.
 */
struct config *config_read(const char *path, bool network, void (*notice)(void *context, const char *text), void *context,
			   struct fault *f);
/*
 * The same, and each fault that can be found goes to `each`, not only the first: for `sekimori check`. What can be
 * judged only once every line is right ends at its first fault.
 */
struct config *config_check(const char *path, void (*notice)(void *context, const char *text),
			    void (*each)(void *context, const struct fault *f), void *context, struct fault *f);
/*
 * The same without network and without the accounts file, which may be missing or damaged; `trust` knows our domains and
 * no more, and judges nothing: for `sekimori passwd`.
 */
struct config *config_read_domains(const char *path, struct fault *f);
/* Likewise, with the keys of the stamp, of which there must be one: for `sekimori verify`. */
struct config *config_read_stamp(const char *path, struct fault *f);
/*
 * Where the running gate listens, as far as the file says so: a file may have been damaged since the gate has read it, and it is then that
 * one wants to ask.
 */
void config_control(const char *path, char out[CONTROL_PATH_MAX]);
/* Wipes secrets, releases contexts. NULL is ignored. */
void config_free(struct config *c);
/* Of [tls], whether clients see it or agents; NULL: nobody does. */
const struct tls_context *config_tls(const struct config *c);
/* Nobody uses it any more: sessions, listeners, couriers. */
bool config_unused(const struct config *c);

#endif
