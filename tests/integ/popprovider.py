"""
A provider with POP before SMTP, of real parts: Debian's Dovecot lets a script note the address of each POP login, and Debian's
Postfix asks a policy service (its own spawn(8) with a script) about the client's address before it relays. Both in the root of
`peers`; mail that is let through goes to a sink.
"""

import re
import shutil

import postfix

USER, PASSWORD = postfix.USER, postfix.PASSWORD

MAIN_CF = postfix.COMMON_CF + """\
smtpd_relay_restrictions = check_policy_service unix:private/door, reject_unauth_destination
smtpd_tls_chain_files = {base}/provider.key, {base}/provider.pem
smtpd_tls_security_level = may
relayhost = [127.0.0.1]:{sink}
"""

MASTER_CF = """\
{host}:{port} inet n - n - - smtpd
door unix - n n - 0 spawn user=nobody argv=/bin/sh {base}/door.sh
""" + postfix.SERVICES

DOOR_SH = """\
# Postfix asks with a line an attribute and an empty one behind; the answer goes by the client's address.
while read -r line; do
	case $line in
	client_address=*)	address=${{line#*=}} ;;
	'')	since=$(cat "{base}/door/$address" 2>/dev/null || echo 0)
		if [ $(($(date +%s) - since)) -lt "$(cat {base}/window)" ]; then echo action=OK; else echo action=DUNNO; fi
		echo ;;
	esac
done
"""

LOGIN_SH = """\
#!/bin/sh
# Dovecot runs it behind each POP login; IP is where it came from.
date +%s > "{base}/door/$IP.new" && mv "{base}/door/$IP.new" "{base}/door/$IP"
exec "$@"
"""

DOVECOT_POP = """\
protocols = pop3
auth_verbose = yes
ssl = yes
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    {listen} = {host}
    port = {pop}
  }}
  inet_listener pop3s {{
    {listen} = {host}
    port = {pops}
    ssl = yes
  }}
}}
service pop3 {{
  executable = pop3 pop3-postlogin
}}
service pop3-postlogin {{
  executable = script-login {base}/login.sh
  user = nobody
  unix_listener pop3-postlogin {{
  }}
}}
"""

DOVECOT_23 = """\
ssl_cert = <{base}/provider.pem
ssl_key = <{base}/provider.key
mail_location = maildir:{base}/mail
"""

DOVECOT_24 = """\
ssl_server_cert_file = {base}/provider.pem
ssl_server_key_file = {base}/provider.key
mail_driver = maildir
mail_path = {base}/mail
"""


class Provider(postfix.Instance):
    """SMTP on .port, POP3 on .pop (with STLS and APOP), POP3S on .pops, all on `host`."""

    def __init__(self, top, name, ports, certs, sink, window=3600, host="127.0.0.1"):
        super().__init__(top, name, host, ("dovecot", "door", "mail"))
        self.port, self.pop, self.pops = ports.one(), ports.one(), ports.one()
        for directory in ("door", "mail"):
            shutil.chown(self.outside / directory, 65534, 65534)
        old = self.old_dovecot()
        dovecot = (postfix.DOVECOT_23 + DOVECOT_23 if old else postfix.DOVECOT_24 + DOVECOT_24) + postfix.DOVECOT + DOVECOT_POP
        values = {"base": self.base, "port": self.port, "sink": sink, "pop": self.pop, "pops": self.pops,
                  "listen": "address" if old else "listen", "host": host, "mechanisms": "plain login apop"}
        for path, text in {"conf/main.cf": MAIN_CF, "conf/master.cf": MASTER_CF, "door.sh": DOOR_SH, "login.sh": LOGIN_SH,
                           "dovecot.conf": dovecot}.items():
            self.write(path, text.format(**values))
        (self.outside / "login.sh").chmod(0o755)
        self.users({})
        self.window(window)
        self.certificate(certs)
        self.start()

    def _start(self):
        self.launch_postfix()
        self.launch_dovecot()
        self.wait_open(self.port, self.pop, self.pops)

    def window(self, seconds):
        """For how long a login opens the door."""
        self.write("window", f"{seconds}\n")

    def shut(self):
        for path in (self.outside / "door").iterdir():
            path.unlink()

    def opened(self):
        return {path.name for path in (self.outside / "door").iterdir()}

    def logins(self):
        """Dovecot's log lines of POP logins."""
        return [line for line in self.log().splitlines() if re.search(r"pop3-login: .*(Login|Logged in): user=", line)]
