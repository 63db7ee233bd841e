"""TLS of our own listeners: the certificate's end, its renewal, and handshakes that never end."""

import re
import shutil
import socket
import ssl
import time

import pytest

import house
import talk
from test_g_tls_client import odd, stamp  # noqa: F401


# The certificate

def served(gate, tls_client):
    with socket.create_connection(("127.0.0.1", gate.tls_port)) as s:
        with tls_client.wrap_socket(s, server_hostname="mail.test-sample.jp") as t:
            return t.getpeercert()["serialNumber"]


def test_end_and_renewal(gate, certs, odd, tls_client, closing):  # noqa: F811
    """An alarm before the end, in log, status and check; a reload takes the new one, and the alarm is over."""
    names = "DNS:mail.test-sample.jp,IP:127.0.0.1"
    old, new = odd("ends", names=names, until=3), odd("renewed", names=names, until=90)
    pem, key = gate.dir / "own.pem", gate.dir / "own.key"

    def install(base):
        shutil.copy(f"{base}.pem", pem)
        shutil.copy(f"{base}.key", key)

    install(old)
    gate.set("tls", certificate=pem, key=key).start()
    gate.wait_log(rf"certificate alarm=certificate days=[23] until={stamp(3)[:4]}-\d\d-\d\d$")
    assert re.search(r"^certificate: until .*, [23] days left: renew it$", gate.cmd("status").stdout, re.M)
    assert gate.json("status")["certificate"]["days"] in (2, 3)
    assert re.search(r"certificate: .*own\.pem, until .*, [23] days left: RENEW IT", gate.cmd("check").stdout)
    first = served(gate, tls_client)

    install(new)
    # A session of before goes on under the old one.
    with talk.Talk(("127.0.0.1", gate.port)) as t:
        t.ehlo()
        assert gate.cmd("reload").returncode == 0
        assert t.cmd("STARTTLS").code == 220
        t.starttls(tls_client, "mail.test-sample.jp")
        assert t.sock.getpeercert()["serialNumber"] == first
    assert served(gate, tls_client) != first
    assert gate.json("status")["certificate"]["days"] in (89, 90)
    assert not re.search(r"\brenew\b", gate.cmd("status").stdout)
    assert "RENEW" not in gate.cmd("check").stdout
    assert len(gate.lines("alarm=certificate")) == 1

    # A pair that doesn't fit is refused; what was in force stays.
    shutil.copy(f"{old}.key", key)
    result = gate.cmd("reload")
    assert result.returncode == 78 and "does not fit" in result.stderr
    assert served(gate, tls_client) != first


def test_end_of_a_client_certificate(gate, certs, odd, closing):  # noqa: F811
    own = odd("client-ends", until=5)
    gate.set("relay", tls="starttls", tls_ca=certs / "ca.pem", tls_certificate=f"{own}.pem", tls_key=f"{own}.key").start()
    gate.wait_log(r"certificate alarm=certificate days=[45] until=\d+-\d\d-\d\d relay=default$")
    assert re.search(r"with a certificate of our own until .*, [45] days left: RENEW IT", gate.cmd("check").stdout)


# Handshakes that never end

# A record's head that promises a ClientHello, and the first octets of it.
BEGINNING = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
PLACES = 32     # TLS_HANDSHAKES_MAX


def memory(gate):
    """Private and shared pages of the gate itself, in KiB."""
    return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{gate.process.pid}/status").read())[1])


def flood(gate, way, count):
    """`count` clients that begin a handshake and fall silent, at most ten of one address."""
    found = []
    for n in range(count):
        s = socket.create_connection(("127.0.0.1", gate.tls_port if way == "implicit" else gate.port),
                                     source_address=(f"127.1.0.{n // 10 + 1}", 0))
        if way == "starttls":
            t = talk.Talk(sock=s)
            t.ehlo()
            assert t.cmd("STARTTLS").code == 220
        s.sendall(BEGINNING)
        found.append(s)
    return found


def closed(s):
    s.setblocking(False)
    try:
        return s.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_half_open_handshakes_are_bounded(gate, tls_client, way):
    gate.start()
    gate.settled()
    before = memory(gate)
    clients = flood(gate, way, 150)
    house.wait_for("all to be sessions", lambda: gate.json("status")["sessions"] == 150)
    gate.wait_log(rf"{PLACES} TLS handshakes are under way, which is the most: others wait")
    grown = memory(gate) - before
    print(f"{way}: 150 half-open handshakes cost {grown} KiB")
    assert grown < PLACES * 60 + 150 * 12, grown
    # Sessions without TLS don't notice; one with TLS gets its turn.
    with gate.connect() as t:
        assert t.ehlo().code == 250
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", gate.tls_port)) as s:
        s.settimeout(house.WAIT)
        with tls_client.wrap_socket(s, server_hostname="mail.test-sample.jp") as t:
            assert t.recv(4) == b"220 "
    print(f"{way}: a client waited {time.monotonic() - begun:.1f} s")
    assert any(closed(s) for s in clients)      # those that hold a place without need gave way
    for s in clients:
        s.close()
    gate.settled()


def test_silent_clients_cost_no_tls(gate):
    """The port where TLS comes first: memory for it is taken with the first octet."""
    gate.start()
    gate.settled()
    before = memory(gate)
    clients = [socket.create_connection(("127.0.0.1", gate.tls_port), source_address=(f"127.1.0.{n // 10 + 1}", 0)) for n in range(100)]
    house.wait_for("all to be sessions", lambda: gate.json("status")["sessions"] == 100)
    assert memory(gate) - before < 100 * 20
    for s in clients:
        s.close()
    gate.settled()


def test_many_at_once_are_all_served(gate, tls_client):
    """More than there are places, and none of them is lost."""
    gate.set("limits", sessions_per_client=200).start()
    waiting = [socket.create_connection(("127.0.0.1", gate.tls_port)) for _ in range(3 * PLACES)]
    for s in waiting:
        s.setblocking(False)
    sessions = [tls_client.wrap_socket(s, server_hostname="mail.test-sample.jp", do_handshake_on_connect=False) for s in waiting]
    left = set(sessions)

    def step():
        for s in list(left):
            try:
                s.do_handshake()
                left.discard(s)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass
        return not left

    house.wait_for(lambda: f"{len(left)} handshakes", step)
    for s in sessions:
        s.setblocking(True)
        s.settimeout(house.WAIT)
        assert s.recv(4) == b"220 "
        s.close()
