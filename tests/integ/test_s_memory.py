"""As many sessions as a small router takes, each holding as much as it can: the memory stays within the bound that the manual states."""

import itertools
import os
import pathlib
import socket
import ssl

import pytest

import house
from talk import Talk, plain

U1, PASSWORD = "user1@test-sample.jp", "user1234"
SESSIONS = 50  # max_sessions of board/openwrt
BASE, EACH = 4 << 20, 180 << 10  # octets: sekimori.ini(5), max_sessions
CONFINED = 24 << 20  # octets: of a router's 64 MiB, what its system leaves
LONG = "x" * 60 + "@" + ".".join(["y" * 60] * 3) + ".example"
addresses = itertools.count()


def own_memory(pid):
    """Octets that the process and its helpers have of their own: what a machine without room for it kills somebody for."""
    pids = [pid, *map(int, house.run("pgrep", "-P", pid).stdout.split())]
    total = 0
    for p in pids:
        with open(f"/proc/{p}/smaps_rollup") as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith(("Private_Dirty:", "Private_Clean:"))) << 10
    return total


def connect(port):
    """From an address of its own, lest sessions_per_client ends it."""
    return socket.create_connection(("127.0.0.1", port), house.WAIT, source_address=(f"127.0.1.{next(addresses) % 250 + 1}", 0))


def plaintext(gate, _):
    t = Talk(sock=connect(gate.port))
    t.ehlo()
    return t


def secure(gate, tls):
    t = Talk(sock=tls.wrap_socket(connect(gate.tls_port), server_hostname="mail.test-sample.jp"))
    t.ehlo()
    return t


def hello(tls):
    """The first flight of a client."""
    to, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        tls.wrap_bio(to, out, server_hostname="mail.test-sample.jp").do_handshake()
    return out.read()


def handshake_halves(gate, tls):
    """The gate's answer lies there, and the certificate that it asks its signature for."""
    s = connect(gate.tls_port)
    s.sendall(hello(tls))
    return s


def handshake_begins(gate, tls):
    s = connect(gate.tls_port)
    s.sendall(hello(tls)[:100])
    return s


def command_without_end(way):
    def attack(gate, tls):
        t = way(gate, tls)
        t.send(b"NOOP " + b"x" * 2000)
        return t.sock
    return attack


def login_without_end(gate, tls):
    t = secure(gate, tls)
    t.send(b"AUTH PLAIN " + b"A" * 12000)
    return t.sock


def content_without_end(gate, tls):
    """With all recipients, and a mail half there."""
    t = secure(gate, tls)
    assert t.cmd("AUTH PLAIN " + plain(U1, PASSWORD)).code == 235
    assert t.cmd(f"MAIL FROM:<{U1}>").code == 250
    t.send("".join(f"RCPT TO:<{n:03d}{LONG}>\r\n" for n in range(100)))
    assert {t.reply().code for _ in range(100)} <= {250, 452}
    assert t.cmd("DATA").code == 354
    t.send(f"From: {U1}\r\nSubject: half\r\n\r\n" + "All work and no play makes Jack a dull boy.\r\n" * 1500)
    return t.sock


def reader_of_nothing(gate, tls):
    """Asks and asks, and takes no answer."""
    t = secure(gate, tls)
    t.sock.settimeout(0.1)
    try:
        for _ in range(20):
            t.send(b"VRFY somebody\r\n" * 45)
    except OSError:
        pass
    return t.sock


ATTACKS = [handshake_begins, handshake_halves, command_without_end(plaintext), command_without_end(secure), login_without_end,
           content_without_end, reader_of_nothing]


def honest(gate, number):
    with gate.login() as t:
        assert t.mail(content=f"From: {U1}\r\nSubject: honest {number}\r\n\r\nx\r\n").code == 250


@pytest.fixture
def confined(gate):
    """The gate in a control group of so little memory that it is killed when it takes more; without root, or such groups, it isn't."""
    made = None
    for top, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        group = pathlib.Path("/sys/fs/cgroup", top, f"sekimori-{os.getpid()}")
        try:
            group.mkdir()
            made = group
            (group / limit).write_text(str(CONFINED))
            gate.prefix = ["sh", "-c", f'echo $$ > {group}/cgroup.procs && exec "$@"', "sh"]
            break
        except OSError:
            if made:
                made.rmdir()
                made = None
    yield made is not None
    gate.finish()
    if made:
        house.wait_for("the group to be empty", lambda: not (made / "cgroup.procs").read_text())
        made.rmdir()


def lies_bare(gate):
    """Whether the sanitizers' own memory would be measured."""
    with open(f"/proc/{gate.process.pid}/maps") as f:
        return "libasan" not in f.read()


@pytest.mark.parametrize("mode", ["queue", "direct"])
def test_memory(gate, confined, sink, tls_client, mode):
    gate.set("server", max_sessions=SESSIONS, spool_size="8M", max_message_size="6M").set("limits", command_timeout="300s")
    gate.set("manager", audit="none").set("relay", mode=mode, direct_wait="1s").start()
    if not lies_bare(gate):
        pytest.skip("the sanitizers' own memory would be measured")
    most = 0
    for number, attack in enumerate(ATTACKS):
        holding = [attack(gate, tls_client) for _ in range(SESSIONS - 1)]
        honest(gate, number)
        most = max(most, own_memory(gate.process.pid))
        for s in holding:
            s.close()
        house.wait_for(lambda: gate.json("status"), lambda: gate.json("status")["sessions"] == 0)
    sink.wait(len(ATTACKS))
    print(f"{most >> 10} KiB at most{'' if confined else '; in no control group'}")
    assert most < BASE + SESSIONS * EACH
