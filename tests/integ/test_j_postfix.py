"""Mail that is passed on directly, and clients' own passwords, at a real provider: Postfix with Dovecot's SASL."""

import pytest

import postfix
import talk

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"


@pytest.fixture(scope="module")
def provider(provided):
    provider = provided(postfix.Postfix, "direct")
    provider.users({U1: "own-1", U2: "own-2"})
    return provider


@pytest.fixture
def at(gate, provider, certs):
    return gate.set("relay", port=provider.port, tls="starttls", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example")


def test_directly(at, provider):
    at.upstream_login(postfix.USER, postfix.PASSWORD, mode="direct").start()
    with at.login() as t:
        reply = t.mail(content=f"From: {U1}\r\nSubject: direct\r\n\r\n" + "x" * 70 + "\r\n..dot\r\n")
        assert reply.code == 250 and "queued as" in reply.text, reply
        reply = t.mail(to=["gone@example.net"])
        assert reply.code == 550 and "No such user here" in reply.text, reply
        assert "queued as" in t.mail(to=["a@example.com", "gone@example.net"]).text
    at.empty()
    provider.sink.wait(3)               # the two, and return mail for the second
    assert any(m.to == [U1] and b"No such user here" in m.content for m in provider.sink.mails)
    assert any(b"\r\n.dot\r\n" in m.content for m in provider.sink.mails)


def test_with_the_clients_own_password(at, provider):
    at.sections.pop("alias")
    at.secret("accounts", f"{U1}:{{UPSTREAM}}:\n{U2}:{{UPSTREAM}}:\n")
    at.set("relay", credentials="client").start()
    with at.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "own-2")).code == 535
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "own-1")).code == 235
        assert t.mail().code == 250
    with at.login(U2, "own-2") as t:
        assert t.mail(sender=U2).code == 250
    at.empty()
    assert f"sasl_username={U1}" in provider.log() and f"sasl_username={U2}" in provider.log()
