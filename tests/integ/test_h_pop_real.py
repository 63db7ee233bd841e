"""h. POP before SMTP with Dovecot's POP3 server and Postfix behind its door (R43, R44, R45): see popprovider.py."""

import poplib
import re

import pytest

import house
import popprovider
from popprovider import PASSWORD, USER

U1 = "user1@test-sample.jp"


@pytest.fixture(scope="module")
def running(provided):
    return provided(popprovider.Provider, "pop")


@pytest.fixture
def provider(running):
    running.shut()
    running.window(3600)
    return running


def point(gate, provider, certs, way="none", **keys):
    gate.set("relay", port=provider.port, tls="starttls", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example",
             pop_before_smtp="agent", pop_user=USER, pop_password_file=gate.secret("pop.secret", PASSWORD + "\n"),
             pop_tls=way, pop_port=provider.pops if way == "implicit" else provider.pop, **keys)
    if way != "none":
        gate.set("relay", pop_tls_name="smtp.provider.example")
    return gate


def send(gate, subject):
    with gate.login() as t:
        assert t.mail(content=f"From: {U1}\r\nSubject: {subject}\r\n\r\nx\r\n").code == 250


def arrives(gate, provider, subject):
    send(gate, subject)
    house.wait_for(lambda: f"{subject} to arrive; {provider.log()}\n{gate.log()}",
                   lambda: any(f"Subject: {subject}\r\n".encode() in m.content for m in provider.sink.mails))


def test_without_a_login_the_door_is_shut(gate, provider, certs):
    """The provider does what it says: else the tests below show nothing."""
    gate.set("relay", port=provider.port, tls="none").start()
    send(gate, "shut")
    gate.wait_log(r"status=failed code=554 .*Relay access denied")


@pytest.mark.parametrize("way, auth", [("none", "user"), ("none", "apop"), ("starttls", "auto"), ("implicit", "user"),
                                       ("implicit", "apop")])
def test_each_way(gate, provider, certs, way, auth):
    before = len(provider.logins())
    point(gate, provider, certs, way, pop_auth=auth).start()
    arrives(gate, provider, f"{way}-{auth}")
    with_apop = auth == "apop"
    line = gate.lines("pop-login")[0]
    assert f"mechanism={'apop' if with_apop else 'user'}" in line
    assert ("tls=" in line) == (way != "none")
    house.wait_for(provider.log, lambda: len(provider.logins()) == before + 1)
    seen = provider.logins()[-1]
    assert f"user=<{USER}>" in seen and f"method={'APOP' if with_apop else 'PLAIN'}" in seen
    assert ("TLS" in seen) == (way != "none")
    assert provider.opened() == {"127.0.0.1"}
    assert PASSWORD not in gate.log()


def test_auto_in_clear_is_apop(gate, provider, certs):
    point(gate, provider, certs).start()
    arrives(gate, provider, "auto")
    assert "mechanism=apop" in gate.lines("pop-login")[0]


def test_the_provider_window_ends(gate, provider, certs):
    """Ours is longer than the provider's: a denial, one fresh login, and the mail goes."""
    point(gate, provider, certs, pop_wait="0").start()
    arrives(gate, provider, "before")
    provider.window(6)
    house.wait_for("the door to shut", lambda: gate.json("status")["relays"][0]["pop_login_age"] >= 8)
    arrives(gate, provider, "behind")
    assert len(gate.lines("relay-denied")) == 1 and len(gate.lines("pop-login")) == 2
    assert "status=deferred" not in gate.log() and "return id=" not in gate.log()


def test_our_window_ends_first(gate, provider, certs):
    """A fresh login in time: nothing is ever denied."""
    provider.window(10)
    point(gate, provider, certs, pop_window="10s").start()
    arrives(gate, provider, "first")
    house.wait_for("8 s to pass", lambda: gate.json("status")["relays"][0]["pop_login_age"] >= 8)
    arrives(gate, provider, "second")
    assert len(gate.lines("pop-login")) == 2 and not gate.lines("relay-denied")


def test_denied_again_waits(gate, provider, certs):
    """A login that opens nothing: two logins, no return mail; once the door works the mail goes."""
    provider.window(0)
    point(gate, provider, certs).start()
    send(gate, "waits")
    gate.wait_log(r"status=deferred .*no relaying after our POP login; the server says: 554 5\.7\.1 .*Relay access denied")
    assert len(gate.lines("pop-login")) == 2
    provider.window(3600)
    gate.wait_log(r"status=delivered")
    assert "return id=" not in gate.log()


def test_client_mode(gate, provider, certs):
    """A PC's own POP login opens the door for all behind the address."""
    gate.set("relay", port=provider.port, tls="none", pop_before_smtp="client").start()
    send(gate, "client")
    gate.wait_log(r"status=deferred .*a mail program must fetch mail by POP first")
    pc = poplib.POP3("127.0.0.1", provider.pop, 20)
    pc.user(USER)
    pc.pass_(PASSWORD)
    pc.quit()
    gate.wait_log(r"status=delivered")
    assert not gate.lines("pop-login")


def test_wrong_password(gate, provider, certs):
    point(gate, provider, certs)
    gate.secret("pop.secret", "mistyped99\n")
    gate.start()
    send(gate, "password")
    gate.wait_log(r"pop-refused .*alarm=upstream-login .*login: \[AUTH\]")
    assert len(gate.queue()) == 1


@pytest.mark.parametrize("bind", ["127.0.0.9", ""])
def test_same_address(gate, provider, certs, bind):
    """R44: the door knows one address, and the mail comes from it."""
    point(gate, provider, certs, bind=bind).start()
    arrives(gate, provider, f"bind-{bind}")
    address = bind or "127.0.0.1"
    assert provider.opened() == {address}
    assert re.search(rf"connect from unknown\[{re.escape(address)}\]", provider.log())


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_certificates_are_judged(gate, provider, certs, way):
    """R45: of the POP server as of the SMTP server; a wrong name gets no login."""
    point(gate, provider, certs, way).set("relay", pop_tls_name="pop.elsewhere.example").start()
    before = len(provider.logins())
    send(gate, "name")
    gate.wait_log(r"relay-down .*POP login at .*certificate")
    gate.wait_log(r"status=deferred")
    assert len(provider.logins()) == before and not gate.lines("pop-login")


def test_a_pin(gate, provider, certs):
    pin = house.run("openssl", "x509", "-in", certs / "provider.pem", "-noout", "-fingerprint", "-sha256").stdout
    point(gate, provider, certs, "implicit").set("relay", pop_tls_name=None, pop_tls_pin=pin.strip().split("=")[1]).start()
    arrives(gate, provider, "pin")
