"""
Each row of the table of authentication types (認証タイプ) in both columns, with Debian's Postfix and Dovecot as the provider:

    認証なし                      test_no_auth_*
    POP before SMTP               test_pop_before_smtp_*
    SMTP認証                      test_smtp_auth_*
    SMTPS, STARTTLS               test_smtps_starttls_*
    POP3S, STLS                   test_pop3s_stls_*
"""

import poplib
import re
import smtplib
import ssl

import pytest

import house
import popprovider
import postfix

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
OWN = "Own-Pass-1"


@pytest.fixture(scope="module")
def open_relay(provided):
    """認証なし: it relays for our address."""
    return provided(postfix.Postfix, "none",
                    more="mynetworks = 127.0.0.0/8\nsmtpd_relay_restrictions = permit_mynetworks, reject\n"
                         "smtpd_recipient_restrictions = permit_mynetworks, reject\nsmtpd_sasl_auth_enable = no\n")


@pytest.fixture(scope="module")
def sasl(provided):
    """SMTP認証: three logins."""
    provider = provided(postfix.Postfix, "sasl")
    provider.users({U1: OWN, "two@provider.example": "two-secret"})
    return provider


@pytest.fixture(scope="module")
def running_pop(provided):
    return provided(popprovider.Provider, "types")


@pytest.fixture
def pop(running_pop):
    running_pop.shut()
    return running_pop


def arrives(gate, provider, sender=U1, password="user1234"):
    """A mail, as a client's library sends it; the provider's last words on who logged in."""
    before = len(provider.sink.mails)
    with gate.login(sender, password) as t:
        assert t.mail(sender=sender).code == 250
    house.wait_for(lambda: f"a mail; {provider.log()}\n{gate.log()}", lambda: len(provider.sink.mails) > before)
    return (re.findall(r"sasl_method=(\S+), sasl_username=(\S+)", provider.log()) or [None])[-1]


def well(gate):
    """The same way, as `sekimori probe` sees it."""
    result = gate.cmd("probe")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


# 認証なし

def test_no_auth_agent_to_server(gate, open_relay, certs):
    open_relay.is_relay_of(gate, certs, "none").start()
    assert arrives(gate, open_relay) is None
    assert "none is configured" in well(gate)


def test_no_auth_client_to_agent(gate, open_relay, certs):
    """Devices and peers only, known by their addresses."""
    gate.set("listen submission", auth="optional")
    gate.set("device mfp1", ip="127.0.0.5", sender="mfp1@test-sample.jp").set("peer mailserver", ip="127.0.0.6")
    open_relay.is_relay_of(gate, certs, "none").start()
    for source, sender, code in (("127.0.0.5", "mfp1@test-sample.jp", 250), ("127.0.0.5", U1, 550), ("127.0.0.6", U1, 250),
                                 ("127.0.0.6", "somebody@partner.example", 250), ("127.0.0.7", U1, 530)):
        with smtplib.SMTP("127.0.0.1", gate.port, "x.example", 20, (source, 0)) as c:
            c.ehlo()
            assert c.mail(sender)[0] == code, (source, sender)


# POP before SMTP

def knocking(gate, pop, certs, way="none"):
    gate.set("relay", port=pop.port, tls="none", pop_before_smtp="agent", pop_user=popprovider.USER, pop_tls=way, pop_wait="0s",
             pop_port=pop.pops if way == "implicit" else pop.pop,
             pop_password_file=gate.secret("pop", popprovider.PASSWORD + "\n"))
    if way != "none":
        gate.set("relay", tls_ca=certs / "ca.pem", pop_tls_name="smtp.provider.example")
    return gate


def test_pop_before_smtp_agent(gate, pop, certs):
    knocking(gate, pop, certs).start()
    arrives(gate, pop)
    assert pop.opened() == {"127.0.0.1"}
    assert "pop-login" in well(gate)


def test_pop_before_smtp_client(gate, pop):
    gate.set("relay", port=pop.port, tls="none", pop_before_smtp="client").start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log(r"status=deferred .*a mail program must fetch mail by POP first")
    pc = poplib.POP3("127.0.0.1", pop.pop, 20)
    pc.user(popprovider.USER)
    pc.pass_(popprovider.PASSWORD)
    pc.quit()
    gate.wait_log(r"status=delivered")
    well(gate)


# SMTP認証

MECHANISMS = ["plain", "login", "cram-md5"]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_smtp_auth_agent_to_server_stored(gate, sasl, certs, mechanism):
    gate.upstream_login(postfix.USER, postfix.PASSWORD, auth=mechanism)
    sasl.is_relay_of(gate, certs, "starttls").start()
    method, user = arrives(gate, sasl)
    assert (method.lower(), user) == (mechanism, postfix.USER)
    assert f"as {postfix.USER} by {mechanism.upper()}" in well(gate)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_smtp_auth_agent_to_server_per_sender(gate, sasl, certs, mechanism):
    table = gate.secret("upstream", f"{U1} {U1} {gate.secret('one', OWN)}\n"
                                    f"{U2} two@provider.example {gate.secret('two', 'two-secret')}\n"
                                    f"postmaster@test-sample.jp {U1} {gate.secret('one', OWN)}\n")
    gate.set("relay", auth=mechanism, credentials="sender", credentials_file=table)
    sasl.is_relay_of(gate, certs, "starttls").start()
    method, user = arrives(gate, sasl)
    assert (method.lower(), user) == (mechanism, U1)
    method, user = arrives(gate, sasl, U2, "user2345")
    assert (method.lower(), user) == (mechanism, "two@provider.example")
    told = well(gate)
    assert f"as {U1} by" in told and "as two@provider.example by" in told


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_smtp_auth_agent_to_server_pass_through(gate, sasl, certs, mechanism):
    """The client's own pair, by whatever mechanism the provider is to get it."""
    gate.secret("accounts", f"{U1}:{{UPSTREAM}}:\n")
    gate.sections.pop("alias")
    gate.set("relay", auth=mechanism, credentials="client")
    sasl.is_relay_of(gate, certs, "starttls").start()
    method, user = arrives(gate, sasl, U1, OWN)
    assert (method.lower(), user) == (mechanism, U1)
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + house.talk.plain(U1, "not-" + OWN)).code == 535
    told = gate.cmd("probe")
    assert told.returncode == 0 and "each client's own user and password" in told.stdout, told


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_smtp_auth_client_to_agent(gate, open_relay, certs, mechanism):
    open_relay.is_relay_of(gate, certs, "none").start()
    before = len(open_relay.sink.mails)
    swaks = house.run("swaks", "--server", "127.0.0.1", "--port", gate.port, "--auth", mechanism, "--auth-user", U1, "--auth-password",
                      "user1234", "--from", U1, "--to", "friend@example.net")
    assert swaks.returncode == 0, swaks.stdout
    house.wait_for("the mail", lambda: len(open_relay.sink.mails) > before)
    assert f"AUTH {mechanism.upper()}" in swaks.stdout


# SMTPS, STARTTLS

@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_smtps_starttls_agent_to_server(gate, sasl, certs, way):
    gate.upstream_login(postfix.USER, postfix.PASSWORD)
    sasl.is_relay_of(gate, certs, way).start()
    assert arrives(gate, sasl)[1] == postfix.USER
    assert b"with ESMTPSA" in sasl.sink.mails[-1].content.split(b"Received:")[1]      # the provider's own
    assert re.search(r"^ok +tls +TLSv1\.[23], .*certificate for smtp\.provider\.example", well(gate), re.M)


@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_smtps_starttls_client_to_agent(gate, open_relay, certs, way):
    open_relay.is_relay_of(gate, certs, "none")
    gate.set("listen submission", plaintext_auth="none").start()
    context = ssl.create_default_context(cafile=certs / "ca.pem")
    before = len(open_relay.sink.mails)
    if way == "implicit":
        c = smtplib.SMTP_SSL("localhost", gate.tls_port, "pc.example", timeout=20, context=context)
    else:
        c = smtplib.SMTP("localhost", gate.port, "pc.example", 20)
        c.ehlo()
        assert not c.has_extn("auth")
        c.starttls(context=context)
    with c:
        c.login(U1, "user1234")
        c.sendmail(U1, ["friend@example.net"], f"From: {U1}\r\n\r\nx\r\n")
    house.wait_for("the mail", lambda: len(open_relay.sink.mails) > before)
    assert b"ESMTPSA" in open_relay.sink.mails[-1].content


# POP3S, STLS

@pytest.mark.parametrize("way", ["implicit", "starttls"])
def test_pop3s_stls_of_the_agents_login(gate, pop, certs, way):
    knocking(gate, pop, certs, way).start()
    arrives(gate, pop)
    assert pop.opened() == {"127.0.0.1"} and "TLS" in pop.logins()[-1]
    assert re.search(r"^ok +pop-tls +TLSv1\.[23], .*certificate for smtp\.provider\.example", well(gate), re.M)
