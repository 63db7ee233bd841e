"""F. Logging in at the provider: each mechanism with Postfix and Dovecot, refusals and their back-off (R39, R42, lesson 26)."""

import base64
import re

import pytest

import house
import postfix
import upstream

U1 = "user1@test-sample.jp"
OFFER = "250-x\r\n250 AUTH "
SCRAM = OFFER + "PLAIN LOGIN SCRAM-SHA-256"


def send(gate, subject="test", **keys):
    with gate.login() as t:
        assert t.mail(content=f"From: {U1}\r\nSubject: {subject}\r\n\r\ntext\r\n", **keys).code == 250


# The real ones

@pytest.fixture(scope="module")
def provider(provided):
    """All mechanisms, TLS offered, and a login also without it."""
    return provided(postfix.Postfix, "login", mechanisms="plain login cram-md5 scram-sha-256")


def point(gate, provider, certs, way, **keys):
    return provider.is_relay_of(gate.upstream_login(), certs, way, **keys)


def methods(provider):
    return [m.upper() for m in re.findall(r"sasl_method=(\S+), sasl_username=", provider.log())]


def arrives(gate, provider, subject):
    before = len(methods(provider))
    send(gate, subject)
    house.wait_for(lambda: f"{subject} to arrive; {gate.log()}\n{provider.log()}",
                   lambda: any(f"Subject: {subject}\r\n".encode() in m.content for m in provider.sink.mails))
    house.wait_for("Postfix to log the login", lambda: len(methods(provider)) > before)
    return methods(provider)[-1]


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5", "scram-sha-256"])
@pytest.mark.parametrize("way", ["none", "starttls", "implicit"])
def test_each_mechanism_each_way(gate, provider, certs, mechanism, way):
    """The rows of SMTP認証, SMTPS and STARTTLS in the table of authentication types."""
    point(gate, provider, certs, way, auth=mechanism).start()
    assert arrives(gate, provider, f"{mechanism}-{way}") == mechanism.upper()


@pytest.mark.parametrize("way", ["none", "starttls"])
def test_auto_takes_scram(gate, provider, certs, way):
    """R42: what shows nothing of the password, in clear and in TLS."""
    point(gate, provider, certs, way).start()
    assert arrives(gate, provider, f"auto-{way}") == "SCRAM-SHA-256"


@pytest.mark.parametrize("way", ["none", "starttls"])
def test_scram_with_the_wrong_password(gate, provider, certs, way):
    """Refused and deferred, with one alarm; put right and reloaded, it goes. No PLAIN is tried behind it: it would count as a guess."""
    point(gate, provider, certs, way)
    gate.secret("relay.secret", "wrong\n")
    gate.start()
    send(gate, f"wrong-{way}")
    gate.wait_log(r"relay-down .*alarm=upstream-login.*535")
    gate.wait_log(r"status=deferred")
    gate.secret("relay.secret", postfix.PASSWORD + "\n")
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")
    gate.empty()
    assert "return id=" not in gate.log() and methods(provider)[-1] == "SCRAM-SHA-256"


# Those who only pretend

def b64(text):
    return base64.b64encode(text.encode()).decode()


def scram_server(iterations=4096, signature=None):
    """A server that doesn't know the password: takes any proof, and shows `signature`, or says 235 without one."""
    def auth(t):
        first = base64.b64decode(script.commands[-1].split()[2]).decode()
        nonce = re.search(r"r=(.*)", first)[1]
        t.send("334 " + b64(f"r={nonce}SERVER,s={b64('salt-of-16-octet')},i={iterations}") + "\r\n")
        script.commands.append(t.line().strip())
        if signature is not None:
            t.send("334 " + b64(f"v={signature}") + "\r\n")
            script.commands.append(t.line().strip())
        t.send("235 2.7.0 come in\r\n")

    script = None

    def start(port):
        nonlocal script
        script = upstream.Script(port, ehlo=OFFER + "SCRAM-SHA-256", auth=auth)
        return script
    return start


@pytest.mark.parametrize("server,why", [
    (scram_server(), "did not prove"), (scram_server(signature=b64("S" * 32)), "could not prove"),
    (scram_server(iterations=1), "iteration count"), (scram_server(iterations=10000000), "iteration count"),
], ids=["no-signature", "wrong-signature", "no-work", "work-without-end"])
def test_server_that_does_not_know_the_password(gate, closing, server, why):
    """It gets neither the mail nor the password: deferred, and somebody is told."""
    script = closing(server(gate.upstream_port))
    gate.upstream_login().start()
    send(gate)
    gate.wait_log(rf"relay-down .*alarm=upstream-login.*{why}")
    gate.wait_log(r"status=deferred code=0 .*" + why)
    assert not any(c.startswith("MAIL") for c in script.commands)


def test_scram_without_end_stops_nobody(gate, closing):
    """R65: the hash of an upstream's login is the helper's work; clients are served meanwhile."""
    closing(scram_server(iterations=100000, signature=b64("S" * 32))(gate.upstream_port))
    gate.upstream_login().start()
    send(gate)
    with gate.login() as t:
        assert t.cmd("NOOP").code == 250
    gate.wait_log(r"relay-down .*could not prove")


@pytest.mark.parametrize("code", ["504 5.5.4 not here", "534 5.7.9 too weak"])
def test_scram_that_is_offered_in_vain(gate, certs, tls_server, closing, code):
    """In TLS the next mechanism is tried, once; in clear never."""
    script = None

    def auth(t):
        t.send((code if "SCRAM" in script.commands[-1] else "235 fine") + "\r\n")

    script = closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=True, ehlo=SCRAM, auth=auth))
    gate.upstream_login(tls="implicit", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example").start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert [c.split()[1] for c in script.commands if c.startswith("AUTH")] == ["SCRAM-SHA-256", "PLAIN"]


def test_in_clear_the_password_is_not_given_after_scram(gate, closing):
    script = closing(upstream.Script(gate.upstream_port, ehlo=SCRAM, auth="504 5.5.4 not here"))
    gate.upstream_login().start()
    send(gate)
    gate.wait_log(r"relay-down .*alarm=upstream-login.*504")
    assert [c.split()[1] for c in script.commands if c.startswith("AUTH")] == ["SCRAM-SHA-256"]
