"""Submission repairs (R69): Date and Message-ID are added when they are missing, nothing else is touched, and it is logged."""

import email
import email.policy
import re

U1 = "user1@test-sample.jp"
BODY = "\r\nline one\r\n..dots\r\n\tand  blanks \r\n"


def arrived(gate, sink, header):
    with gate.login() as t:
        assert t.mail(to=["x@example.com"], content=header + BODY).code == 250
    return sink.wait(1).content


def parse(raw):
    return email.message_from_bytes(raw, policy=email.policy.default)


def test_both_are_added(gate, sink):
    gate.start()
    raw = arrived(gate, sink, f"From: {U1}\r\nSubject: x\r\n")
    mail = parse(raw)
    assert mail["Date"].datetime
    assert re.fullmatch(r"<B[0-9A-V]{10}\.\d+@mail\.test-sample\.jp>", mail["Message-ID"])
    assert len(mail.get_all("Date")) == len(mail.get_all("Message-ID")) == 1
    assert raw.endswith(f"From: {U1}\r\nSubject: x\r\n\r\nline one\r\n.dots\r\n\tand  blanks \r\n".encode())
    assert "repaired=date,message-id" in gate.log()


def test_what_is_there_stays(gate, sink):
    gate.start()
    header = f"Message-ID: <mine@test-sample.jp>\r\ndate: Mon, 1 Jan 2024 00:00:00 +0900\r\nFrom: {U1}\r\n"
    raw = arrived(gate, sink, header)
    mail = parse(raw)
    assert mail.get_all("Message-ID") == ["<mine@test-sample.jp>"]
    assert len(mail.get_all("Date")) == 1 and mail["Date"].datetime.year == 2024
    assert "repaired=" not in gate.log()


def test_a_peers_mail_is_not_ours_to_complete(gate, sink):
    gate.set("listen submission", auth="optional").set("peer mailserver", ip="127.0.0.1")
    gate.start()
    with gate.connect() as t:
        t.ehlo()
        assert t.mail(to=["x@example.com"], sender="a@elsewhere.example",
                      content="From: a@elsewhere.example\r\n\r\nx\r\n").code == 250
    mail = parse(sink.wait(1).content)
    assert mail["Date"] is None and mail["Message-ID"] is None
