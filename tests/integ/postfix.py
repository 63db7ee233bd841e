"""
Debian's Postfix with Dovecot's SASL as a provider, and Postfix's smtp-sink, in a root of their own (see `peers`). Each
instance has its own configuration, queue and ports under /run/NAME of that root.
"""

import functools
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import house

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
local_recipient_maps =
mynetworks =
inet_interfaces = {host}
inet_protocols = ipv4
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions =
    check_recipient_access inline:{{{{gone@example.net = 550 5.1.1 No such user here}}, {{later@example.net = 450 4.2.1 Come back later}}}}
    permit_sasl_authenticated, reject
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
smtpd_tls_chain_files = {base}/provider.key, {base}/provider.pem
smtpd_tls_security_level = {security}
smtpd_tls_auth_only = {auth_only}
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtp_tls_security_level = none
disable_dns_lookups = yes
smtp_host_lookup = native
relayhost = {next_hop}
biff = no
{more}"""

MASTER_CF = """\
{host}:{port} inet n - n - - smtpd
{host}:{wrapped} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""

DOVECOT_23 = """\
protocols =
base_dir = {base}/dovecot
log_path = {base}/dovecot.log
ssl = no
disable_plaintext_auth = no
auth_mechanisms = {mechanisms}
default_internal_user = dovecot
default_login_user = dovenull
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/tmp
}}
service auth {{
  unix_listener {base}/spool/private/auth {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

DOVECOT_24 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
protocols =
base_dir = {base}/dovecot
log_path = {base}/dovecot.log
ssl = no
auth_allow_cleartext = yes
auth_mechanisms = {mechanisms}
default_internal_user = dovecot
default_login_user = dovenull
passdb passwd-file {{
  passwd_file_path = {base}/users
  default_password_scheme = plain
}}
userdb static {{
  fields {{
    uid = nobody
    gid = nogroup
    home = /tmp
  }}
}}
service auth {{
  unix_listener {base}/spool/private/auth {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


@functools.lru_cache(None)
def root():
    """The peers' root and None, or None and why there is none."""
    script = pathlib.Path(__file__).with_name("peers")
    result = house.run("sh", script, timeout=600)
    if result.returncode != 0:
        return None, f"no peers: {result.stderr.strip().splitlines()[-1:]}"
    return pathlib.Path(result.stdout.strip()), None


class Postfix:
    """STARTTLS on .port, TLS from the start on .wrapped; hands mail to 127.0.0.1:sink, or next_hop; `more` lines of main.cf."""

    def __init__(self, top, name, ports, certs, sink, security="may", auth_only="no",
                 mechanisms="plain login cram-md5", host="127.0.0.1", next_hop=None, more=""):
        self.top, self.host = top, host
        self.base = pathlib.Path("/run") / name
        self.outside = top / f"run/{name}"
        self.port, self.wrapped = ports.one(), ports.one()
        shutil.rmtree(self.outside, ignore_errors=True)
        for directory in ("conf", "spool", "lib", "dovecot"):
            (self.outside / directory).mkdir(parents=True)
        shutil.chown(self.outside / "lib", 970, 970)
        values = {"base": self.base, "conf": self.base / "conf", "port": self.port, "wrapped": self.wrapped, "sink": sink,
                  "security": security, "auth_only": auth_only, "mechanisms": mechanisms, "host": host, "more": more,
                  "next_hop": next_hop or f"[127.0.0.1]:{sink}"}
        self._write("conf/main.cf", MAIN_CF.format(**values))
        self._write("conf/master.cf", MASTER_CF.format(**values))
        old = self._run("dovecot", "--version").stdout.startswith("2.3")
        self._write("dovecot.conf", (DOVECOT_23 if old else DOVECOT_24).format(**values))
        self._write("users", f"{USER}:{{PLAIN}}{PASSWORD}\n")
        self._write("log", "")
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

    def _run(self, *args):
        return house.run("chroot", self.top, *args)

    def _start(self):
        # The queue's directories, private/ among them, where Dovecot puts its socket.
        made = self._run("postfix", "-c", self.base / "conf", "check")
        assert (self.outside / "spool/private").is_dir(), made
        self._launch("dovecot", "-F", "-c", f"{self.base}/dovecot.conf")
        self._launch("/usr/lib/postfix/sbin/master", "-c", f"{self.base}/conf", "-s")
        house.wait_for(self.log, lambda: (self.outside / "spool/private/auth").exists())
        for port in (self.port, self.wrapped):
            house.wait_for(self.log, lambda p=port: self._open(p))

    def _launch(self, *command):
        with open(self.outside / "out", "ab") as out:
            self.processes.append(subprocess.Popen(["chroot", str(self.top), *command], stdin=subprocess.DEVNULL,
                                                   stdout=out, stderr=out, start_new_session=True))

    def _open(self, port):
        with socket.socket() as s:
            return s.connect_ex((self.host, port)) == 0

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


CLEANUP_MASTER_CF = """\
127.0.0.1:{port} inet n - n - 1 smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - 1 discard
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Cleanup(Postfix):
    """Takes mail on .port and throws it away; `main_cf` says what cleanup does to it, {map} being a port there."""

    def __init__(self, top, name, ports, main_cf, table):  # pylint: disable=super-init-not-called
        self.top, self.host = top, "127.0.0.1"
        self.base = pathlib.Path("/run") / name
        self.outside = top / f"run/{name}"
        self.port = ports.one()
        shutil.rmtree(self.outside, ignore_errors=True)
        for directory in ("conf", "spool", "lib"):
            (self.outside / directory).mkdir(parents=True)
        shutil.chown(self.outside / "lib", 970, 970)
        self._write("conf/main.cf", main_cf.format(base=self.base, conf=self.base / "conf", map=table))
        self._write("conf/master.cf", CLEANUP_MASTER_CF.format(port=self.port))
        self._write("log", "")
        self.processes = []
        try:
            self._run("postfix", "-c", self.base / "conf", "check")
            self._launch("/usr/lib/postfix/sbin/master", "-c", f"{self.base}/conf", "-s")
            house.wait_for(self.log, lambda: self._open(self.port))
        except BaseException:
            self.close()
            raise


class SmtpSink:
    """Postfix's smtp-sink with its error and delay switches."""

    def __init__(self, top, port, *options):
        self.process = subprocess.Popen(["chroot", str(top), "smtp-sink", "-u", "postfix", *options, f"127.0.0.1:{port}",
                                         "100"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

        def is_open():
            assert self.process.poll() is None, self.process.stdout.read()
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0
        house.wait_for("smtp-sink", is_open)

    def close(self):
        self.process.kill()
        self.process.communicate()
