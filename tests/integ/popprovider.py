"""
A provider with POP before SMTP, of real parts: Debian's Dovecot lets a script note the address of each POP login, and Debian's
Postfix asks a policy service (its own spawn(8) with a script) about the client's address before it relays. Both in the root of
`peers`; mail that is let through goes to a sink.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import house
import postfix

USER, PASSWORD = "office@provider.example", "office1234"

MAIN_CF = """\
compatibility_level = 3.6
config_directory = {conf}
queue_directory = {base}/spool
data_directory = {base}/lib
maillog_file = {base}/log
maillog_file_prefixes = {base}
myhostname = smtp.provider.example
mydestination =
alias_maps =
alias_database =
mynetworks =
inet_interfaces = {address}
inet_protocols = ipv4
smtpd_relay_restrictions = check_policy_service unix:private/door, reject_unauth_destination
smtpd_tls_chain_files = {base}/provider.key, {base}/provider.pem
smtpd_tls_security_level = may
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtp_tls_security_level = none
disable_dns_lookups = yes
smtp_host_lookup = native
relayhost = [127.0.0.1]:{sink}
biff = no
"""

MASTER_CF = """\
{address}:{port} inet n - n - - smtpd
door unix - n n - 0 spawn user=nobody argv=/bin/sh {base}/door.sh
""" + postfix.MASTER_CF.split("smtpd_tls_wrappermode=yes\n")[1]

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

SERVICES = """\
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    {listen} = {address}
    port = {pop}
  }}
  inet_listener pop3s {{
    {listen} = {address}
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
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

DOVECOT_23 = """\
protocols = pop3
base_dir = {base}/dovecot
log_path = {base}/dovecot.log
auth_mechanisms = plain login apop
auth_verbose = yes
disable_plaintext_auth = no
ssl = yes
ssl_cert = <{base}/provider.pem
ssl_key = <{base}/provider.key
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:{base}/mail
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={base}/mail
}}
""" + SERVICES

DOVECOT_24 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols = pop3
base_dir = {base}/dovecot
log_path = {base}/dovecot.log
auth_mechanisms = plain login apop
auth_verbose = yes
auth_allow_cleartext = yes
ssl = yes
ssl_server_cert_file = {base}/provider.pem
ssl_server_key_file = {base}/provider.key
default_internal_user = dovecot
default_login_user = dovenull
mail_driver = maildir
mail_path = {base}/mail
passdb passwd-file {{
  passwd_file_path = {base}/users
  default_password_scheme = plain
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = {base}/mail
  }}
}}
""" + SERVICES


class Provider:
    """SMTP on .port, POP3 on .pop (with STLS and APOP), POP3S on .pops; .pop_address is where both listen."""

    def __init__(self, top, name, ports, certs, sink, window=3600, host="127.0.0.1"):
        self.top, self.host = top, host
        self.base = pathlib.Path("/run") / name
        self.outside = top / f"run/{name}"
        self.port, self.pop, self.pops = ports.one(), ports.one(), ports.one()
        shutil.rmtree(self.outside, ignore_errors=True)
        for directory in ("conf", "spool", "lib", "dovecot", "door", "mail"):
            (self.outside / directory).mkdir(parents=True)
        shutil.chown(self.outside / "lib", 970, 970)
        for directory in ("door", "mail"):
            shutil.chown(self.outside / directory, 65534, 65534)
        old = house.run("chroot", top, "dovecot", "--version").stdout.startswith("2.3")
        values = {"base": self.base, "conf": self.base / "conf", "port": self.port, "sink": sink, "pop": self.pop,
                  "pops": self.pops, "listen": "address" if old else "listen", "address": host}
        for path, text in {"conf/main.cf": MAIN_CF, "conf/master.cf": MASTER_CF, "door.sh": DOOR_SH, "login.sh": LOGIN_SH,
                           "dovecot.conf": DOVECOT_23 if old else DOVECOT_24}.items():
            self._write(path, text.format(**values))
        (self.outside / "login.sh").chmod(0o755)
        self._write("users", f"{USER}:{{PLAIN}}{PASSWORD}\n")
        self._write("log", "")
        self.window(window)
        for end in ("key", "pem"):
            self._write(f"provider.{end}", (certs / f"provider.{end}").read_text())
        self.processes = []
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _write(self, name, text):
        (self.outside / name).write_text(text)

    def _start(self):
        house.run("chroot", self.top, "postfix", "-c", self.base / "conf", "check")
        for command in (["dovecot", "-F", "-c", f"{self.base}/dovecot.conf"],
                        ["/usr/lib/postfix/sbin/master", "-c", f"{self.base}/conf", "-s"]):
            with open(self.outside / "out", "ab") as out:
                self.processes.append(subprocess.Popen(["chroot", str(self.top), *command], stdin=subprocess.DEVNULL,
                                                       stdout=out, stderr=out, start_new_session=True))
        for port in (self.port, self.pop, self.pops):
            house.wait_for(self.log, lambda p=port: self._open(p))

    def _open(self, port):
        with socket.socket() as s:
            return s.connect_ex((self.host, port)) == 0

    def window(self, seconds):
        """For how long a login opens the door."""
        self._write("window", f"{seconds}\n")

    def shut(self):
        for path in (self.outside / "door").iterdir():
            path.unlink()

    def opened(self):
        return {path.name for path in (self.outside / "door").iterdir()}

    def logins(self):
        """Dovecot's log lines of POP logins."""
        return [line for line in self.log().splitlines() if re.search(r"pop3-login: .*(Login|Logged in): user=", line)]

    def log(self):
        return "".join((self.outside / name).read_text(errors="replace")
                       for name in ("out", "log", "dovecot.log") if (self.outside / name).exists())

    def close(self):
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait(20)
        shutil.rmtree(self.outside, ignore_errors=True)
