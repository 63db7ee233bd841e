"""The daemons that are compared: how each is prepared, configured, started and ended.

Each relays everything from 127.0.0.1 to a sink, without logins, offers STARTTLS with one and the same certificate,
logs to a file, and keeps its own rules of durability: whatever it flushes before it says 250, it flushes here.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

NAME = "bench.example.com"
PATIENCE = 60  # s until a daemon has to answer, and to be gone


class Unusable(Exception):
    """What can't be measured here, and why."""


def output(*argv, **kwargs):
    return subprocess.run([str(a) for a in argv], check=True, stdout=subprocess.PIPE, text=True, **kwargs).stdout


# Debian's packages, each in a tree of its own: they conflict with each other and with what runs on this machine.

def debian_base(cache):
    codename = re.search(r"^VERSION_CODENAME=(\w+)", pathlib.Path("/etc/os-release").read_text(), re.M)[1]
    base = cache / f"base-{codename}"
    if (base / ".ready").exists():
        return base
    lines = output("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages").splitlines()
    sites = sorted({tuple(line.split()[:2]) for line in lines if f" {codename}" in line})
    mirror = next((site for site, name in sites if name == codename), None)
    if not mirror:
        raise Unusable("apt knows no mirror of this Debian release")
    shutil.rmtree(base, ignore_errors=True)
    subprocess.run(["debootstrap", "--variant=minbase", codename, str(base), mirror], check=True, stdout=2)
    (base / "etc/apt/sources.list").write_text("".join(f"deb {site} {name} main\n" for site, name in sites))
    policy = base / "usr/sbin/policy-rc.d"  # 101: no package starts a daemon
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    (base / "etc/hosts").write_text(f"127.0.0.1 localhost {NAME}\n")
    (base / "etc/mailname").write_text(NAME + "\n")
    (base / ".ready").touch()
    return base


# Package scripts get a /proc in which they see themselves only: some end daemons by name.
INSTALL = """
root=$1; shift
mount -t proc proc "$root/proc"
export DEBIAN_FRONTEND=noninteractive
chroot "$root" apt-get -qq update
chroot "$root" apt-get -qq -y --no-install-recommends install "$@"
chroot "$root" apt-get clean
"""


def debian_tree(cache, name, *packages):
    root = cache / f"root-{name}"
    if (root / ".ready").exists():
        return root
    base = debian_base(cache)
    shutil.rmtree(root, ignore_errors=True)
    subprocess.run(["cp", "-a", str(base), str(root)], check=True)
    (root / ".ready").unlink()
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    subprocess.run(["unshare", "-m", "-p", "-f", "sh", "-euc", INSTALL, "sh", str(root), *packages], check=True, stdout=2)
    (root / "etc/resolv.conf").write_text("")  # what runs here asks nobody
    (root / ".ready").touch()
    return root


class Group:
    """The processes of a daemon, however they fork: a control group, whose account keeps the time of the gone ones."""

    def __init__(self, path):
        self.path = path
        path.mkdir()

    def start(self, argv, **kwargs):
        def join():
            (self.path / "cgroup.procs").write_text("0")
        return subprocess.Popen(argv, preexec_fn=join, start_new_session=True, stdin=subprocess.DEVNULL, **kwargs)

    def pids(self):
        return [int(pid) for pid in (self.path / "cgroup.procs").read_text().split()]

    def cpu(self):
        """Seconds, of user and system together."""
        return int(re.search(r"usage_usec (\d+)", (self.path / "cpu.stat").read_text())[1]) / 1e6

    def memory(self):
        """MiB: each page counts once, or by the part that a process of somebody else leaves."""
        total = 0
        for pid in self.pids():
            try:
                rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
            except OSError:
                continue
            found = re.search(r"^Pss:\s+(\d+)", rollup, re.M)
            total += int(found[1]) if found else 0
        return total / 1024

    def end(self):
        told = set()
        for sig in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + PATIENCE / 2
            while self.pids() and time.monotonic() < until:
                for pid in self.pids():
                    if (pid, sig) not in told:
                        told.add((pid, sig))
                        try:
                            os.kill(pid, sig)
                        except ProcessLookupError:
                            pass
                time.sleep(0.05)
        for _ in range(100):
            try:
                self.path.rmdir()
                return
            except OSError:
                time.sleep(0.05)


class Daemon:
    """One that listens on 127.0.0.1:port and relays to 127.0.0.1:sink. Subclasses say how."""
    name = ""
    packages = ()

    def __init__(self, bench, port, sink):
        self.bench, self.port, self.sink = bench, port, sink
        self.root = bench.cache / f"root-{self.name.lower()}"
        self.run = bench.run / self.name.lower()
        self.group = self.process = None

    @classmethod
    def prepare(cls, cache):
        debian_tree(cache, cls.name.lower(), *cls.packages)

    def put(self, path, text, mode=0o644):
        path = self.root / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)

    def put_certificate(self, directory):
        self.put(f"{directory}/bench-cert.pem", self.bench.certificate.read_text())
        self.put(f"{directory}/bench-key.pem", self.bench.key.read_text(), 0o600)

    def empty(self, *directories):
        for directory in directories:
            for path in (self.root / directory).rglob("*"):
                if path.is_file():
                    path.unlink()

    def own(self, *argv):
        return output("chroot", self.root, *argv)

    def configure(self):
        raise NotImplementedError

    def argv(self):
        raise NotImplementedError

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as s:
                if not s.recv(512).startswith(b"220"):
                    return False
                s.sendall(b"QUIT\r\n")
                s.recv(512)
                return True
        except OSError:
            return False

    def start(self):
        shutil.rmtree(self.run, ignore_errors=True)
        self.run.mkdir(parents=True)
        self.configure()
        self.group = Group(self.bench.groups / self.name.lower())
        with open(self.run / "output", "wb") as out:
            self.process = self.group.start([str(a) for a in self.argv()], stdout=out, stderr=out)
        until = time.monotonic() + PATIENCE
        while not self.answers():
            self.process.poll()
            if time.monotonic() > until or not self.group.pids():
                self.end()
                raise Unusable(f"{self.name} doesn't answer: {(self.run / 'output').read_text(errors='replace')[-400:]}")
            time.sleep(0.05)

    def end(self):
        if self.group:
            self.group.end()
            self.process.wait()
            self.group = None


class Sekimori(Daemon):
    name = "Sekimori"

    @classmethod
    def prepare(cls, cache):
        """It is built by the Makefile."""

    def put_libraries(self):
        """Copies of its own, as the others have in their trees: no page of a library is shared with this machine."""
        library = self.run / "lib"
        library.mkdir()
        for path in re.findall(r"(/\S+)", output("ldd", self.bench.binary)):
            shutil.copy(path, library)
        shutil.copy(self.bench.binary, library / "sekimori")
        return next(library.glob("ld-*"))

    def configure(self):
        self.root = self.run
        self.put_certificate(".")
        self.put("accounts", "", 0o600)
        (self.run / "spool").mkdir()
        self.loader = self.put_libraries()
        self.put("sekimori.ini", f"""
[server]
hostname = {NAME}
domains = {NAME}
accounts = {self.run}/accounts
spool = {self.run}/spool
spool_size = 1G
control = {self.run}/control
user = root
max_sessions = 600
max_message_size = 64M
[listen bench]
address = 127.0.0.1:{self.port}
tls = starttls
auth = optional
[tls]
certificate = {self.run}/bench-cert.pem
key = {self.run}/bench-key.pem
[peer bench]
ip = 127.0.0.0/8
[relay]
host = 127.0.0.1
port = {self.sink}
tls = none
connections = 20
[return]
from = postmaster@{NAME}
[limits]
sessions_per_client = 600
[manager]
audit = {self.run}/audit
""", 0o600)

    def argv(self):
        return [self.loader, "--library-path", self.loader.parent, self.loader.parent / "sekimori",
                "-c", self.run / "sekimori.ini", "run", "-f"]


class Postfix(Daemon):
    """With what slows a relay down switched off or set high; 700 smtpd, for 500 idle clients."""
    name = "Postfix"
    packages = ("postfix",)

    def configure(self):
        queue = "var/spool/postfix"
        self.empty(*(f"{queue}/{q}" for q in ("maildrop", "incoming", "active", "deferred", "defer", "bounce", "corrupt")))
        self.put_certificate("etc/postfix")
        self.put("var/log/postfix.log", "")
        self.put("etc/postfix/main.cf", f"""
compatibility_level = 3.6
myhostname = {NAME}
mydestination =
alias_maps =
alias_database =
local_recipient_maps =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
relayhost = [127.0.0.1]:{self.sink}
disable_dns_lookups = yes
smtp_host_lookup = native
smtp_tls_security_level = none
smtpd_tls_security_level = may
smtpd_tls_chain_files = /etc/postfix/bench-key.pem, /etc/postfix/bench-cert.pem
message_size_limit = 67108864
maillog_file = /var/log/postfix.log
biff = no
default_process_limit = 100
smtp_destination_concurrency_limit = 50
initial_destination_concurrency = 20
in_flow_delay = 0
""")
        master = (self.root / "usr/share/postfix/master.cf.dist").read_text()
        listen = f"127.0.0.1:{self.port} inet n - y - 700 smtpd"
        self.put("etc/postfix/master.cf", re.sub(r"^smtp +inet .*$", listen, master, count=1, flags=re.M))

    def argv(self):
        return ["chroot", self.root, "postfix", "start-fg"]


class OpenSMTPD(Daemon):
    name = "OpenSMTPD"
    packages = ("opensmtpd", "ca-certificates")

    def configure(self):
        self.empty("var/spool/smtpd")
        self.put_certificate("etc")
        self.put("etc/smtpd.conf", f"""
pki bench cert "/etc/bench-cert.pem"
pki bench key "/etc/bench-key.pem"
smtp max-message-size "64M"
smtp limit max-mails 100000
mta limit max-conn-per-host 50
mta limit max-conn-per-route 50
mta limit max-conn-per-connector 50
mta limit conn-delay-route 0
mta limit session-mail-max 1000
listen on 127.0.0.1 port {self.port} tls pki bench hostname "{NAME}"
action "relay" relay host "smtp://127.0.0.1:{self.sink}"
match from any for any action "relay"
""")

    def argv(self):
        return ["chroot", self.root, "smtpd", "-d"]


class Exim(Daemon):
    name = "Exim"
    packages = ("exim4-daemon-light",)

    def configure(self):
        self.empty("var/spool/exim4", "var/log/exim4")
        self.put_certificate("etc/exim4")
        self.own("chown", "root:Debian-exim", "/etc/exim4/bench-key.pem")
        self.own("chmod", "640", "/etc/exim4/bench-key.pem")
        self.own("install", "-d", "-o", "Debian-exim", "-g", "Debian-exim", "/run/exim4")
        self.put("etc/exim4/exim4.conf", f"""
primary_hostname = {NAME}
local_interfaces = 127.0.0.1.{self.port}
tls_advertise_hosts = *
tls_certificate = /etc/exim4/bench-cert.pem
tls_privatekey = /etc/exim4/bench-key.pem
message_size_limit = 64M
host_lookup =
rfc1413_query_timeout = 0s
smtp_accept_max = 0
smtp_accept_queue_per_connection = 0
smtp_connect_backlog = 512
split_spool_directory = true
queue_run_max = 20
remote_max_parallel = 20
keep_environment =
acl_smtp_rcpt = relay
begin acl
relay:
  accept hosts = 127.0.0.1
begin routers
sink:
  driver = manualroute
  domains = *
  route_list = * 127.0.0.1
  self = send
  transport = sink
begin transports
sink:
  driver = smtp
  port = {self.sink}
  allow_localhost
  hosts_try_dane =
  connection_max_messages = 500
begin retry
* * F,2h,1m
""")

    def argv(self):
        return ["chroot", self.root, "exim4", "-bdf", "-q10s", "-oP", "/run/exim4/bench.pid"]


ALL = (Sekimori, Postfix, OpenSMTPD, Exim)
