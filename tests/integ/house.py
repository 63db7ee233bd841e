"""The gate under test: its files, its process, its log."""

import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time

import talk

BINARY = os.environ.get("SEKIMORI", "build/sekimori")
ACCOUNTS = {"user1@test-sample.jp": "user1234", "user2@test-sample.jp": "user2345"}
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|UndefinedBehaviorSanitizer")
WAIT = 40  # s; the bound of every wait


def wait_for(what, look, bound=WAIT):
    """Polls until look() gives something true, which is returned."""
    end = time.monotonic() + bound
    while True:
        result = look()
        if result:
            return result
        assert time.monotonic() < end, f"not within {bound} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def wait_until_none(what, left, bound=WAIT):
    """Waits until left() is 0, as long as it takes; what is bounded is how long nothing gets less."""
    least, end = left() + 1, 0
    while least > 0:
        number = left()
        if number < least:
            least, end = number, time.monotonic() + bound
        assert least <= 0 or time.monotonic() < end, f"{number} left for {bound} s: {what() if callable(what) else what}"
        time.sleep(0.02)


def group_lives(group):
    try:
        os.killpg(group, 0)
        return True
    except ProcessLookupError:
        return False


def run(*args, **kwargs):
    kwargs.setdefault("timeout", 120)
    kwargs.setdefault("text", True)
    return subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **kwargs)


class Ports:
    """
    Ports below the kernel's own range, a stretch per process, so that nobody else is given them: whoever holds the first port of a
    stretch has the others, too, until it ends. So runs side by side don't meet, nor do tests of one run.
    """

    STRETCH, FIRST, END = 400, 12000, 32000

    def __init__(self):
        for self.first in range(self.FIRST, self.END, self.STRETCH):
            self.claim = socket.socket()
            try:
                self.claim.bind(("127.0.0.1", self.first))
                break
            except OSError:
                self.claim.close()
        else:
            raise RuntimeError("every stretch of ports is taken")
        self.next = 0

    def one(self):
        for _ in range(self.STRETCH):
            self.next = self.next % (self.STRETCH - 1) + 1
            port = self.first + self.next
            with socket.socket() as s:
                try:
                    s.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue
        raise RuntimeError("no free port")


class Gate:
    def __init__(self, directory, ports, certs, accounts_text):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.port, self.tls_port = ports.one(), ports.one()
        self.upstream_port = ports.one()
        self.path = self.dir / "sekimori.ini"
        self.log_path = self.dir / "log"
        self.accounts = self.dir / "accounts"
        self.certs = certs
        self.process = None
        self.prefix = []
        self.checked = True
        self.seen = 0
        self.sections = {
            "server": {
                "hostname": "mail.test-sample.jp", "domains": "test-sample.jp",
                "accounts": self.accounts, "spool": self.dir / "spool", "spool_size": "16M", "max_message_size": "8M",
                "control": self.dir / "sock", "user": "root",
            },
            "listen submission": {
                "address": f"127.0.0.1:{self.port}", "tls": "starttls", "auth": "required",
                "plaintext_auth": "127.0.0.0/8, ::1/128",
            },
            "listen smtps": {"address": f"127.0.0.1:{self.tls_port}", "tls": "implicit"},
            "tls": {"certificate": certs / "server.pem", "key": certs / "server.key"},
            "trust": {"level": "auth=envelope=from"},
            "alias": {
                "info@test-sample.jp": "user1@test-sample.jp",
                "sales@test-sample.jp": "user1@test-sample.jp, user2@test-sample.jp",
            },
            "relay": {"host": "127.0.0.1", "port": self.upstream_port, "tls": "none"},
            "return": {"from": "postmaster@test-sample.jp"},
            "queue": {"retry": "1s"},
            "manager": {"audit": self.dir / "audit.log"},
        }
        (self.dir / "spool").mkdir(exist_ok=True)
        self._secret(self.accounts, accounts_text)

    @staticmethod
    def _secret(path, text):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as f:
            f.write(text)

    def secret(self, name, text):
        self._secret(self.dir / name, text)
        return self.dir / name

    def set(self, section, **keys):
        """Sets keys of a section; None takes a key away."""
        for key, value in keys.items():
            if value is None:
                self.sections.get(section, {}).pop(key, None)
            else:
                self.sections.setdefault(section, {})[key] = value
        return self

    def upstream_login(self, user="office@provider.example", password="office1234", **keys):
        self.set("relay", user=user, password_file=self.secret("relay.secret", password + "\n"), **keys)
        return self

    def write(self):
        lines = []
        for section, keys in self.sections.items():
            lines += [f"[{section}]"] + [f"{k} = {v}" for k, v in keys.items()] + [""]
        self.path.write_text("\n".join(lines))
        return self

    def command(self, *args):
        return [*self.prefix, BINARY, "-c", str(self.path), *[str(a) for a in args]]

    def cmd(self, *args, **kwargs):
        return run(*self.command(*args), **kwargs)

    def json(self, *args):
        result = self.cmd(*args, "--json")
        assert result.returncode == 0, result
        return json.loads(result.stdout)

    def launch(self, write=True):
        """Starts it without waiting for anything."""
        if write:
            self.write()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command("run", "-f"), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, start_new_session=True)
        return self

    def addresses(self):
        for keys in self.sections.values():
            for address in str(keys.get("address", "")).split(","):
                host, _, port = address.strip().rpartition(":")
                if port:
                    yield host.strip("[]"), int(port)

    def start(self):
        self.launch()
        for address in self.addresses():
            wait_for(lambda: f"{address} to open; log:\n{self.log()}", lambda a=address: self._open(a))
        return self

    def settled(self):
        """Waits until the sessions of start()'s own looks are over."""
        wait_for("no session to be open", lambda: self.json("status")["sessions"] == 0)

    def _open(self, address):
        assert self.process.poll() is None, f"exit {self.process.returncode}; log:\n{self.log()}"
        try:
            socket.create_connection(address, 2).close()
            return True
        except OSError:
            return False

    def exits(self):
        """Waits for an end that it finds by itself; its status."""
        status = self.process.wait(WAIT)
        self.process = None
        return status

    def kill(self):
        """SIGKILL, to it and to its helpers."""
        group = self.process.pid
        os.killpg(group, signal.SIGKILL)
        self.process.wait(WAIT)
        self.process = None
        wait_for("the helpers to be gone", lambda: not group_lives(group))

    def stop(self):
        if not self.process:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(WAIT)
            self.process = None
            raise AssertionError(f"SIGTERM didn't end it; log:\n{self.log()}") from None
        self.process = None
        return status

    def finish(self):
        """At the end of each test: it must still be well."""
        running = self.process is not None
        status = self.stop()
        if self.checked:
            assert not SANITIZER.search(self.log()), self.log()
            assert status == 0 or not running, f"exit {status}; log:\n{self.log()}"

    # The log

    def log(self):
        return self.log_path.read_text(errors="backslashreplace") if self.log_path.exists() else ""

    def lines(self, event=None):
        found = self.log().splitlines()
        return [line for line in found if re.search(rf"\b{event}\b", line)] if event else found

    def wait_log(self, pattern, count=1, bound=WAIT):
        """Waits for a log line, or the count-th such line; its match."""
        found = wait_for(lambda: f"log line {pattern!r}; log:\n{self.log()}",
                         lambda: (lambda m: m if len(m) >= count else None)(
                             [m for m in (re.search(pattern, line) for line in self.lines()) if m]), bound)
        return found[count - 1]

    def damage(self, mark, offset):
        """Spoils a few octets of the stopped, or running, gate's spool, behind the mark of a mail."""
        segment = next(p for p in sorted((self.dir / "spool").glob("seg-*")) if mark in p.read_bytes())
        at = segment.read_bytes().index(mark) + offset
        with open(segment, "r+b") as f:
            f.seek(at)
            f.write(b"\xff" * 16)

    # Clients

    def connect(self):
        return talk.Talk(("127.0.0.1", self.port))

    def login(self, user="user1@test-sample.jp", password="user1234"):
        return self.connect().login(user, password)

    def queue(self):
        found = self.json("queue")
        return found["messages"] if isinstance(found, dict) else found

    def empty(self, bound=WAIT):
        wait_for(lambda: f"the queue to be empty: {self.cmd('queue').stdout}\n{self.log()}",
                 lambda: "@" not in self.cmd("queue").stdout, bound)
