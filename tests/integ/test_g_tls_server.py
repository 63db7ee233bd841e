"""TLS of our own listeners: the certificate's end, its renewal, and handshakes that never end."""

import re
import shutil
import socket
import ssl
import time

import pytest

import house
import talk
import upstream
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
        t.starttls(tls_client, "mail.test-sample.jp")
        assert t.sock.getpeercert()["serialNumber"] == first
    assert served(gate, tls_client) != first
    assert gate.json("status")["certificate"]["days"] in (89, 90)
    assert "renew" not in gate.cmd("status").stdout
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
