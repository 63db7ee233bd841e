"""7. Returned (R47-R49): RFC 3464 return mail, read by Python's email package."""

import email
import email.policy
import re

import pytest

import house
import upstream

U1, POSTMASTER = "user1@test-sample.jp", "postmaster@test-sample.jp"
ORIGINAL = (f"From: {U1}\r\nTo: gone@example.net\r\nSubject: =?utf-8?b?44GT44KT44Gr44Gh44Gv?=\r\n"
            f"Message-ID: <original@test-sample.jp>\r\n\r\nsecret text\r\n")


@pytest.fixture
def refusing(gate, sink):
    """The sink knows nobody of the name gone@."""
    sink.keeper.replies["gone@example.net"] = "550 5.1.1 <gone@example.net>: there is nobody of that name"
    gate.sink = sink
    return gate


def returned(gate, count=1):
    mail = gate.sink.wait(count)
    return mail, email.message_from_bytes(mail.content, policy=email.policy.default)


def send(gate, content=ORIGINAL, **keys):
    with gate.login() as t:
        assert t.mail(to=["gone@example.net"], content=content, **keys).code == 250


def test_report(refusing):
    gate = refusing.start()
    send(gate)
    mail, report = returned(gate)
    assert mail.sender == "" and mail.to == [U1]
    assert not report.defects
    assert report["From"].addresses[0].addr_spec == POSTMASTER
    assert report["To"].addresses[0].addr_spec == U1
    assert report["Auto-Submitted"].startswith("auto-")
    assert report["Date"].datetime and report["Message-ID"] and report["MIME-Version"] == "1.0"
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    text, status, headers = report.iter_parts()
    assert status.get_content_type() == "message/delivery-status"
    assert headers.get_content_type() in ("text/rfc822-headers", "message/rfc822")
    per_message, per_recipient = status.get_payload()
    assert per_message["Reporting-MTA"].replace(" ", "") == "dns;mail.test-sample.jp"
    assert per_recipient["Final-Recipient"].replace(" ", "") == "rfc822;gone@example.net"
    assert per_recipient["Action"] == "failed" and per_recipient["Status"] == "5.1.1"
    assert "there is nobody of that name" in " ".join(per_recipient["Diagnostic-Code"].split())
    assert "<original@test-sample.jp>" in headers.as_string()
    assert "secret text" not in report.as_string()
    # For people, in both languages, with the server's words.
    said = text.get_content()
    assert "gone@example.net" in said and "there is nobody of that name" in said
    assert re.search("[ぁ-ん]", said) and re.search(r"\b(could not|was not|not be) ", said), said
    assert mail.content.isascii()
    gate.wait_log(r"return id=\w+ of=\w+")
    gate.empty()


@pytest.mark.parametrize("language,ja,en", [("ja", True, False), ("en", False, True), ("ja+en", True, True)])
def test_languages(refusing, language, ja, en):
    gate = refusing.set("return", language=language).start()
    send(gate)
    _, report = returned(gate)
    said = next(report.iter_parts()).get_content()
    assert bool(re.search("[ぁ-ん]", said)) == ja, said
    assert bool(re.search(r"\b(could not|was not|not be) ", said)) == en, said


def test_several_recipients_in_one_report(refusing):
    refusing.sink.keeper.replies["away@example.net"] = "551 5.1.6 moved"
    gate = refusing.start()
    with gate.login() as t:
        assert t.mail(to=["gone@example.net", "friend@example.net", "away@example.net"], content=ORIGINAL).code == 250
    house.wait_for("two mails", lambda: len(gate.sink.mails) == 2)
    report = email.message_from_bytes(next(m for m in gate.sink.mails if m.to == [U1]).content, policy=email.policy.default)
    status = list(report.iter_parts())[1].get_payload()
    assert {p["Final-Recipient"].split(";")[1].strip(): p["Status"] for p in status[1:]} == {
        "gone@example.net": "5.1.1", "away@example.net": "5.1.6"}


@pytest.mark.parametrize("envelope", ["null", "address", "auto"])
def test_envelope(refusing, envelope):
    gate = refusing.set("return", envelope=envelope).start()
    send(gate)
    mail, _ = returned(gate)
    assert mail.sender == (POSTMASTER if envelope == "address" else "")


def test_envelope_auto_where_the_null_sender_is_refused(refusing):
    """R48."""
    refusing.sink.keeper.replies["mail:<>"] = "550 5.7.1 no null sender here"
    gate = refusing.start()
    send(gate)
    mail, report = returned(gate)
    assert mail.sender == POSTMASTER and mail.to == [U1]
    assert report["From"].addresses[0].addr_spec == POSTMASTER


def test_from_is_required_where_the_relay_logs_in(gate):
    """R48."""
    gate.sections.pop("return")
    gate.upstream_login().launch()
    assert gate.exits() == 78
    assert re.search(rf"{re.escape(str(gate.path))}:\d+: .*return", gate.log())


def test_never_for_the_null_sender(refusing):
    """R49: parked, and logged."""
    gate = refusing.start()
    send(gate, sender="", content=ORIGINAL)
    gate.wait_log(r"status=failed")
    gate.wait_log(r"parked .*reason=null-sender")
    assert len(gate.queue()) == 1 and gate.sink.mails == []


def test_never_for_automatic_mail(refusing):
    gate = refusing.start()
    send(gate, content="Auto-Submitted: auto-replied\r\n" + ORIGINAL)
    gate.wait_log(r"parked .*reason=automatic")
    assert gate.sink.mails == []
    send(gate, content="Auto-Submitted: no\r\n" + ORIGINAL)
    returned(gate)


def test_never_for_return_mail(refusing):
    refusing.sink.keeper.replies[U1] = "550 5.1.1 nobody either"
    gate = refusing.start()
    send(gate)
    gate.wait_log(r"parked .*reason=return-mail")
    assert gate.sink.mails == []
    assert len(gate.queue()) == 1


def test_refusal_at_ingest_makes_none(refusing):
    """R47."""
    gate = refusing.start()
    with gate.login() as t:
        assert t.mail(content="From: user2@test-sample.jp\r\n\r\nx\r\n").code == 552
        assert t.mail(sender="user2@test-sample.jp").code == 550
    assert gate.queue() == [] and upstream.stays(lambda: not gate.sink.mails, 0.5)


def test_foreign_words_are_tamed(gate, closing):
    """Lesson 9: what an upstream says can't break the report or the log."""
    script = closing(upstream.Script(gate.upstream_port))
    nasty = "550-5.1.1 a\x1b[31m \"quote\" \\ \xe3\x81\x82 status=delivered\r\n550 5.1.1 " + "b" * 300

    def rcpt(t):
        t.send(nasty + "\r\n" if "gone" in script.commands[-1] else "250 fine\r\n")

    script.answers["rcpt"] = rcpt
    gate.start()
    with gate.login() as t:
        assert t.mail(to=["gone@example.net"], content=ORIGINAL).code == 250
    house.wait_for("the report", lambda: script.contents)
    report = email.message_from_bytes(script.contents[0].encode("latin-1"), policy=email.policy.default)
    assert not report.defects and script.contents[0].isascii() and "\x1b" not in script.contents[0]
    assert all(len(line) <= 998 for line in script.contents[0].split("\r\n"))
    line = gate.lines("status=failed")[0]
    assert "\x1b" not in line and line.isascii()
    assert re.search(r' reply="5\.1\.1 a[^"]*\\"quote\\" \\\\ [^"]*status=delivered', line), line


def test_return_by_hand(gate):
    """queue return: at once, while the provider is away; sent when it is back."""
    gate.set("queue", retry="1h").start()
    with gate.login() as t:
        assert t.mail(content=ORIGINAL).code == 250
    gate.wait_log(r"status=deferred|relay-down")
    house.wait_for("the message to rest", lambda: not gate.queue()[0]["active"])
    ident = gate.queue()[0]["id"]
    result = gate.cmd("queue", "return", ident)
    assert result.returncode == 0, result
    gate.wait_log(rf"return id=\w+ of={ident}")
    house.wait_for("one message, another one", lambda: [m["id"] for m in gate.queue()] not in ([], [ident]))
    assert gate.queue()[0]["recipients"] == [U1]
