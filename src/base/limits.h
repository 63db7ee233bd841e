/*
 * Every bound of the program, one line each: what it is, its unit, and why this number.
 * Settings in /etc/sekimori.ini that move a bound name it in their own row (manager/keys.c); CONFIG_ ones are chosen by Kconfig.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

/* Lines of the protocols */
#define SMTP_LINE_MAX		2048	/* octets with CRLF: RFC 5321 4.5.3.1.4 asks for 512, MAIL parameters add to it */
#define SMTP_AUTH_LINE_MAX	12288	/* octets with CRLF: RFC 4954 section 4 */
#define SMTP_REPLY_MAX		1024	/* octets of one reply of ours, all its lines; room that must be free to go on */
#define SMTP_REPLY_LINE_MAX	2048	/* octets of one reply line of an upstream; RFC 5321 says 512, some send more */
#define SMTP_REPLY_LINES_MAX	64	/* lines of one upstream reply: EHLO of the largest providers has some 20 */
#define SMTP_REPLY_TEXT_MAX	400	/* octets of an upstream's words kept for log, queue and return mail */
#define POP3_LINE_MAX		1024	/* octets of a line of a POP3 server with CRLF; RFC 2449 section 4 says 512 */
#define POP3_LIST_MAX		64	/* lines of its answer to CAPA: those of the largest providers have some 15 */
#define POP3_COMMAND_MAX	512	/* octets with CRLF of a command of ours: "APOP", LOGIN_MAX, a digest */
#define POP3_TIMESTAMP_MAX	256	/* octets of APOP's timestamp; a host name of 255 is nobody's */
#define SMTP_VERBS_MAX		1000	/* commands a session may send without a mail accepted between, then 421 */
#define SMTP_ERRORS_MAX		20	/* refused commands of a session, then 421: a guessing machine's patience */

/* Addresses */
#define LOCAL_PART_MAX		64	/* octets: RFC 5321 4.5.3.1.1 */
#define DOMAIN_MAX		255	/* octets: RFC 5321 4.5.3.1.2 */
#define ADDRESS_MAX		254	/* octets: a path of 256 (RFC 5321 4.5.3.1.3) less its angle brackets */
#define HOST_MAX		255	/* octets of a host name or numeric address in text */

/* Messages */
#define DATA_LINE_MAX		998	/* octets of a header line without CRLF: RFC 5322 2.1.1 */
#define FIELD_KEEP_MAX		2048	/* octets of a From: or Sender: body kept for the verdict; longer ones are refused */
#define FIELD_SHORT_MAX		256	/* octets of a Message-ID, Subject or Auto-Submitted kept for the log */
#define STRIP_HOLD_MAX	1024	/* octets of a field held back until it is known whose it is: a line and its dot, name and host */
#define CHUNK_SIZE		32768	/* octets: pool block; one read, one spool data record, one write upstream */
#define RECIPIENTS_CEILING	1000	/* upper bound of max_recipients */

/* Credentials */
#define LOGIN_MAX		ADDRESS_MAX	/* octets of an AUTH identity */
#define PASSWORD_MAX		255	/* octets: RFC 4616 allows more, nobody types it */
#define TOKEN_MAX		4096	/* octets of an OAuth access token: Microsoft's have some 2500 */
#define SCRAM_ITERATIONS_MIN	4096	/* RFC 7677 section 4 */
#define SCRAM_ITERATIONS_MAX	100000	/* a line of the accounts file must not stop the hashing helper */

/* Clients' own pairs for the next hop (relay/wallet.h) */
#define WALLET_ROWS		1024	/* accounts: the licensed ones; some 800 octets of each that has logged in */
#define WALLET_REFUSALS		256	/* refused pairs remembered, so that none is asked over and over */
#define VOUCHES_MAX		4	/* pairs asked at the upstream at once: providers count connections */
#define VOUCHES_WAITING_MAX	200	/* logins that wait for their turn: an office in the morning */
#define MISSING_MAX		(CONFIG_CREDENTIALS_CLIENT ? 512 : 1)	/* mails that wait for a login, remembered by id; others are looked at now and then */

/* Guessers (trust/lockout.h); a row of each wrong password kept is 8 octets, so the tables take some 530 KiB */
#define LOCKOUT_PAIRS		CONFIG_LOCKOUT_PAIRS	/* account and network, counted or locked at once: the licensed accounts */
#define LOCKOUT_ADDRESSES	CONFIG_LOCKOUT_ADDRESSES	/* networks likewise; a guesser needs as many to be forgotten before his time */
#define LOCKOUT_AFTER_MAX	20	/* upper bound of lockout_after: each is kept; who mistypes more doesn't know it */
#define LOCKOUT_ADDRESS_FACTOR	4	/* times lockout_after, of a network over all accounts: 4 colleagues at their worst */

/* The house */
#define ACCOUNTS_MAX		CONFIG_ACCOUNTS_MAX	/* accounts and devices; 1000 are licensed, more are named in a warning */
#define ACCOUNTS_LINE_MAX	1024	/* octets of a line of the accounts file: the longest legal one has some 950 */
#define ACCOUNTS_FILE_MAX	4194304	/* octets of the accounts file: ACCOUNTS_MAX such lines */
#define LOGIN_SHORT_MAX		63	/* octets of login= in the accounts file */
#define LICENCES_MAX		65536	/* upper bound of [manager] licences: what the largest build can hold */
#define COMMENT_MAX		63	/* octets of comment= in the accounts file */
#define ALIASES_MAX		CONFIG_ALIASES_MAX	/* rows of [alias] */
#define ALIAS_ACCOUNTS_MAX	64	/* accounts that share one alias: a department */
#define PEERS_MAX		64	/* [peer] sections */
#define STAMP_KEYS_MAX	16	/* keys of the stamp: the one in use and those of years gone by */
#define STAMP_KEY_ID_MAX	32	/* octets of a key's name */
#define STAMP_SECRET_MIN	22	/* octets: 128 random bits in Base64 */
#define STAMP_SECRET_MAX	255	/* octets */
#define PASSWORD_MEMO_MAX	CONFIG_PASSWORD_MEMO_MAX	/* verified passwords remembered, 32 octets each: the licensed accounts */
#define SCRAM_ITERATIONS	4096	/* of secrets we write and of the work done for unknown accounts; Dovecot's default */
#define LISTENERS_MAX		CONFIG_LISTENERS_MAX	/* addresses over all [listen] sections */
#define ROUTES_MAX		CONFIG_ROUTES_MAX	/* [relay] sections */
#define COURIERS_MAX	CONFIG_COURIERS_MAX	/* connections to next hops at a time, all relays together */
#define HOSTS_MAX		4	/* hosts of one relay */
#define DOMAINS_MAX		32	/* our own mail domains */
#define NETWORKS_MAX		64	/* rows of one address list */
#define TLS_SAVED_MAX	HOSTS_MAX	/* sessions kept for resumption: one for each host of a relay, some 2 KiB each */
#define TLS_HANDSHAKES_MAX 32	/* handshakes of clients at a time, some 40 KiB each; more wait for their turn */
#define RESOLVED_MAX		8	/* addresses kept of one name */

/* Logs and errors */
#define ALARMS_MAX		64	/* causes of alarms that are known at a time, some 430 octets each; beyond, the oldest are forgotten */
#define LOG_LINE_MAX		1000	/* octets: OpenWrt's logd cuts at 1024 with its own prefix */
#define LOG_VALUE_MAX		128	/* octets of one value from outside in a log line, before quoting */
#define LOG_REASON_MAX		320	/* octets of a reason in our own words, with some of a peer in it */
#define AUDIT_LINE_MAX	3000	/* octets of an audit record: its values whole, also where each octet needs an escape or two */
#define AUDIT_VALUE_MAX	256	/* octets of one value from outside in it, before quoting: a Message-ID, an address */
#define STRANGERS_BURST	100	/* audit records of refusals of nobody at once, and */
#define STRANGERS_MINUTE	10	/* a minute after that: or whoever reaches the port could rotate all evidence away */
#define AGENTS_MAX		64	/* [agent] sections of a manager; some 700 octets each */
#define AGENT_SESSIONS_MAX	80	/* connections of agents at a time, and of who isn't one (yet); some 40 KiB each with TLS */
#define SYSLOG_FRAME_MAX	8192	/* octets of a syslog message: RFC 5425 section 4.3.1; the longest record of ours has some 5000 */
#define FAULT_MAX		400	/* octets of an error text for a person */

#endif
