"""
Debian's Postfix with Dovecot's SASL as a provider, and Postfix's smtp-sink, in a root of their own (see `peers`). Each
instance has its own configuration, queue and ports under /run/NAME of that root.
"""

import functools
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess

import house

USER, PASSWORD = "office@provider.example", "office1234"

COMMON_CF = """\
compatibility_level = 3.6
config_directory = {base}/conf
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
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_error_sleep_time = 0
smtp_tls_security_level = none
disable_dns_lookups = yes
smtp_host_lookup = native
biff = no
"""

MAIN_CF = COMMON_CF + """\
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
relayhost = {next_hop}
{more}"""

SERVICES = """\
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

MASTER_CF = """\
{host}:{port} inet n - n - - smtpd
{host}:{wrapped} inet n - n - - smtpd -o smtpd_tls_wrappermode=yes
""" + SERVICES

# A file of either version, for users in a file; a protocol's own settings follow.
DOVECOT_23 = """\
disable_plaintext_auth = no
passdb {{
  driver = passwd-file
  args = scheme=PLAIN username_format=%u {base}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home={base}/mail
}}
"""

DOVECOT_24 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
auth_allow_cleartext = yes
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
"""

DOVECOT = """\
base_dir = {base}/dovecot
log_path = {base}/dovecot.log
auth_mechanisms = {mechanisms}
default_internal_user = dovecot
default_login_user = dovenull
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""

DOVECOT_SASL = """\
protocols =
ssl = no
service auth {{
  unix_listener {base}/spool/private/auth {{
    mode = 0666
  }}
}}
"""


def once(text):
    """
    The last entry of each key of a main.cf. Of a second one every process warns as it starts, postlogd too, by way of its own socket:
    when ten such warnings are there before it, it waits for itself, and nobody of that Postfix ever says a word.
    """
    entries = {}
    for entry in re.findall(r"^\S.*\n(?:[ \t]+.*\n)*", text + "\n", re.M):
        entries[entry.partition("=")[0].strip()] = entry
    return "".join(entries.values())


@functools.lru_cache(None)
def root():
    """The peers' root and None, or None and why there is none."""
    script = pathlib.Path(__file__).with_name("peers")
    result = house.run("sh", script, timeout=600)
    if result.returncode != 0:
        return None, f"no peers: {result.stderr.strip().splitlines()[-1:]}"
    return pathlib.Path(result.stdout.strip()), None


class Instance:
    """Servers of the peers' root with files of their own, in /run/NAME there; a kind says in _start what it launches."""

    def __init__(self, top, name, host, directories=()):
        self.top, self.host = top, host
        self.base = pathlib.Path("/run") / name
        self.outside = top / f"run/{name}"
        self.processes = []
        shutil.rmtree(self.outside, ignore_errors=True)
        for directory in ("conf", "spool", "lib", *directories):
            (self.outside / directory).mkdir(parents=True)
        shutil.chown(self.outside / "lib", 970, 970)
        self.write("log", "")

    def write(self, name, text):
        (self.outside / name).write_text(once(text) if name == "conf/main.cf" else text)

    def certificate(self, certs):
        for end in ("key", "pem"):
            self.write(f"provider.{end}", (certs / f"provider.{end}").read_text())

    def users(self, passwords):
        """Who may log in, beside USER."""
        self.write("users", "".join(f"{user}:{{PLAIN}}{password}\n" for user, password in {USER: PASSWORD, **passwords}.items()))

    def run(self, *args):
        return house.run("chroot", self.top, *args)

    def old_dovecot(self):
        return self.run("dovecot", "--version").stdout.startswith("2.3")

    def start(self):
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def launch(self, *command):
        with open(self.outside / "out", "ab") as out:
            self.processes.append(subprocess.Popen(["chroot", str(self.top), *command], stdin=subprocess.DEVNULL,
                                                   stdout=out, stderr=out, start_new_session=True))

    def launch_dovecot(self):
        self.launch("dovecot", "-F", "-c", f"{self.base}/dovecot.conf")

    def launch_postfix(self):
        # The queue's directories, private/ among them, where Dovecot puts its socket.
        made = self.run("postfix", "-c", self.base / "conf", "check")
        assert (self.outside / "spool/private").is_dir(), made
        self.launch("/usr/lib/postfix/sbin/master", "-c", f"{self.base}/conf", "-s")

    def wait_open(self, *ports):
        for port in ports:
            house.wait_for(self.log, lambda p=port: self._open(p))

    def _open(self, port):
        with socket.socket() as s:
            return s.connect_ex((self.host, port)) == 0

    def log(self):
        return "".join((self.outside / name).read_text(errors="replace")
                       for name in ("out", "log", "dovecot.log") if (self.outside / name).exists())

    def stop(self):
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
        self.processes = []

    def close(self):
        self.stop()
        shutil.rmtree(self.outside, ignore_errors=True)


class Postfix(Instance):
    """STARTTLS on .port, TLS from the start on .wrapped; hands mail to 127.0.0.1:sink, or next_hop; `more` lines of main.cf."""

    def __init__(self, top, name, ports, certs, sink, security="may", auth_only="no",
                 mechanisms="plain login cram-md5", host="127.0.0.1", next_hop=None, more=""):
        super().__init__(top, name, host, ("dovecot",))
        self.port, self.wrapped = ports.one(), ports.one()
        values = {"base": self.base, "port": self.port, "wrapped": self.wrapped, "security": security, "auth_only": auth_only,
                  "mechanisms": mechanisms, "host": host, "more": more, "next_hop": next_hop or f"[127.0.0.1]:{sink}"}
        self.write("conf/main.cf", MAIN_CF.format(**values))
        self.write("conf/master.cf", MASTER_CF.format(**values))
        self.write("dovecot.conf", ((DOVECOT_23 if self.old_dovecot() else DOVECOT_24) + DOVECOT + DOVECOT_SASL).format(**values))
        self.users({})
        self.certificate(certs)
        self.start()

    def _start(self):
        self.launch_postfix()
        self.launch_dovecot()
        house.wait_for(self.log, lambda: (self.outside / "spool/private/auth").exists())
        self.wait_open(self.port, self.wrapped)

    def is_relay_of(self, gate, certs, way, **keys):
        """Points the gate's relay here: way is none, starttls or implicit."""
        gate.set("relay", port=self.wrapped if way == "implicit" else self.port, tls=way, **keys)
        if way != "none":
            gate.set("relay", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example")
        return gate


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


class Cleanup(Instance):
    """Takes mail on .port and throws it away; `main_cf`, behind the common lines, says what cleanup does to it, {map} being a port there."""

    def __init__(self, top, name, ports, main_cf, table):
        super().__init__(top, name, "127.0.0.1")
        self.port = ports.one()
        self.write("conf/main.cf", (COMMON_CF + main_cf).format(base=self.base, host=self.host, map=table))
        self.write("conf/master.cf", CLEANUP_MASTER_CF.format(port=self.port))
        self.start()

    def _start(self):
        self.launch_postfix()
        self.wait_open(self.port)


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
