"""6. Passed on, with real upstreams: Postfix with Dovecot's SASL, and smtp-sink (R38, R39, R42, R45, R50)."""

import re

import pytest

import house
import postfix

U1 = "user1@test-sample.jp"


@pytest.fixture(scope="module")
def provider(provided):
    """TLS offered, and a login also without it."""
    return provided(postfix.Postfix, "provider")


def point(gate, provider, certs, way, **keys):
    return provider.is_relay_of(gate.upstream_login(), certs, way, **keys)


def arrives(gate, provider, subject):
    with gate.login() as t:
        assert t.mail(content=f"From: {U1}\r\nSubject: {subject}\r\n\r\n.dot\r\n..two\r\ntext\r\n").code == 250
    gate.wait_log(r"status=delivered code=250 .*relay=default")
    house.wait_for(lambda: f"{subject} to arrive; {provider.log()}",
                   lambda: any(f"Subject: {subject}\r\n".encode() in m.content for m in provider.sink.mails))
    mail = next(m for m in provider.sink.mails if f"Subject: {subject}\r\n".encode() in m.content)
    assert mail.content.endswith(b"\r\n\r\ndot\r\n.two\r\ntext\r\n")
    return mail.content.decode()


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5"])
@pytest.mark.parametrize("way", ["none", "starttls", "implicit"])
def test_each_mechanism_each_way(gate, provider, certs, mechanism, way):
    point(gate, provider, certs, way, auth=mechanism).start()
    content = arrives(gate, provider, f"{mechanism}-{way}")
    seen = re.findall(rf"sasl_method=(\S+), sasl_username={postfix.USER}", provider.log())
    assert seen[-1].upper() == mechanism.upper()
    assert ("with ESMTPSA" if way != "none" else "with ESMTPA") in content.split("Received:")[1]  # the provider's own


def test_auto_takes_cram_md5_in_clear_and_plain_in_tls(gate, provider, certs):
    """R42."""
    point(gate, provider, certs, "starttls").start()
    arrives(gate, provider, "auto-tls")
    assert re.findall(r"sasl_method=(\S+),", provider.log())[-1].upper() == "PLAIN"
    gate.set("relay", tls_ca=None, tls_name=None)
    point(gate, provider, certs, "none").write()
    assert gate.cmd("reload").returncode == 0
    arrives(gate, provider, "auto-clear")
    assert re.findall(r"sasl_method=(\S+),", provider.log())[-1].upper() == "CRAM-MD5"


def test_wrong_password_defers_and_alarms(gate, provider, certs):
    """R42, lesson 26: never a bounce."""
    point(gate, provider, certs, "starttls")
    gate.secret("relay.secret", "wrong\n")
    gate.start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log(r"relay-down .*alarm=upstream-login.*535")
    gate.wait_log(r"status=deferred")
    assert len(gate.queue()) == 1
    # Put right and reloaded, it goes.
    gate.secret("relay.secret", postfix.PASSWORD + "\n")
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")
    gate.empty()
    assert "return id=" not in gate.log()


def test_one_connection_for_many_messages(gate, provider, certs):
    """Connections are kept and used again."""
    point(gate, provider, certs, "starttls", connections=1).start()
    before = provider.log().count(": connect from")
    with gate.login() as t:
        for n in range(20):
            assert t.mail(content=f"From: {U1}\r\nSubject: many-{n}\r\n\r\nx\r\n").code == 250
    gate.wait_log(r"status=delivered", 20)
    gate.empty()
    house.wait_for("20 mails at the sink",
                   lambda: sum(b"Subject: many-" in m.content for m in provider.sink.mails) == 20)
    assert provider.log().count(": connect from") - before <= 2


def test_some_recipients_refused(gate, provider, certs):
    """R30: return mail for those only, with the server's words, by the same relay."""
    point(gate, provider, certs, "starttls").start()
    with gate.login() as t:
        assert t.mail(to=["friend@example.net", "gone@example.net"],
                      content=f"From: {U1}\r\nSubject: some\r\n\r\nx\r\n").code == 250
    gate.wait_log(r"delivery .*status=delivered .*to=friend@example\.net")
    gate.wait_log(r"delivery .*status=failed code=550 .*to=gone@example\.net")
    house.wait_for("the return mail", lambda: any(m.to == [U1] for m in provider.sink.mails))
    content = next(m for m in provider.sink.mails if m.to == [U1]).content
    assert b"Final-Recipient: rfc822; gone@example.net" in content and b"No such user here" in content
    assert b"Final-Recipient: rfc822; friend@example.net" not in content
    gate.empty()


def test_temporary_refusal_is_tried_again(gate, provider, certs):
    point(gate, provider, certs, "starttls").start()
    with gate.login() as t:
        assert t.mail(to=["later@example.net", "friend@example.net"]).code == 250
    gate.wait_log(r"delivery .*status=delivered .*to=friend@example\.net")
    gate.wait_log(r"delivery .*status=deferred code=450 tries=3 .*to=later@example\.net")
    queue = gate.queue()
    assert len(queue) == 1 and queue[0]["attempts"] >= 3
    assert "Come back later" in queue[0]["last_reply"] and queue[0]["recipients"] == ["later@example.net"]


def test_stopped_provider_comes_back(gate, provider, certs):
    point(gate, provider, certs, "starttls").start()
    arrives(gate, provider, "before")
    provider.stop()
    try:
        with gate.login() as t:
            assert t.mail(content=f"From: {U1}\r\nSubject: meanwhile\r\n\r\nx\r\n").code == 250
        gate.wait_log(r"relay-down ")
    finally:
        provider.start()
    gate.wait_log(r"status=delivered", 2)
    house.wait_for("the mail", lambda: any(b"Subject: meanwhile" in m.content for m in provider.sink.mails))


# smtp-sink: each switch, and the fate of the mail

@pytest.fixture
def smtp_sink(gate, peers, closing):
    def start(*options):
        return closing(postfix.SmtpSink(peers, gate.upstream_port, *options))
    return start


def send(gate):
    with gate.login() as t:
        assert t.mail().code == 250


@pytest.mark.parametrize("options", [[], ["-a"], ["-e"], ["-p"], ["-8"], ["-w", "1"], ["-W", ".:1"]],
                         ids=["plain", "no-ehlo", "ehlo-without-extensions", "no-pipelining", "no-8bitmime", "slow-data", "slow-end"])
def test_smtp_sink_accepts(gate, smtp_sink, options):
    smtp_sink(*options)
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered code=250")
    gate.empty()


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "."])
def test_smtp_sink_hard_error(gate, smtp_sink, step):
    """5xx becomes return mail, which meets the same refusal, and is parked."""
    smtp_sink("-f", step)
    gate.start()
    send(gate)
    gate.wait_log(r"status=failed code=5\d\d")
    gate.wait_log(r"return id=")
    gate.wait_log(r"parked .*reason=return-mail")


@pytest.mark.parametrize("step", ["connect", "ehlo", "mail", "rcpt", "data", "."])
def test_smtp_sink_soft_error(gate, smtp_sink, step):
    smtp_sink("-r", step)
    gate.start()
    send(gate)
    gate.wait_log(r"status=deferred")
    assert len(gate.queue()) == 1
    assert "return id=" not in gate.log()


@pytest.mark.parametrize("step", ["connect", "ehlo", "mail", "rcpt", "data", "."])
@pytest.mark.parametrize("switch", ["-q", "-Q"], ids=["closes", "421"])
def test_smtp_sink_closes(gate, smtp_sink, step, switch):
    smtp_sink(switch, step)
    gate.start()
    send(gate)
    gate.wait_log(r"status=deferred|relay-down ")
    assert len(gate.queue()) == 1
    assert "return id=" not in gate.log()
