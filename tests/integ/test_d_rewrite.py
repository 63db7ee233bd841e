"""rewrite_from: a device that writes somebody else, or nobody, into From: sends as itself (R69, R15)."""

import socket

import pytest
import talk

MFP = "mfp1@test-sample.jp"
U1 = "user1@test-sample.jp"


@pytest.fixture
def office(gate, sink):
    gate.sink = sink
    gate.set("listen submission", auth="optional", address=f"127.0.0.1:{gate.port}")
    gate.set("device mfp1", ip="127.0.0.2", sender=MFP, rewrite_from="yes")
    gate.set("device mfp2", ip="127.0.0.3", sender="mfp2@test-sample.jp")
    return gate


def send(gate, content, sender=MFP, source="127.0.0.2"):
    with talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, (source, 0))) as t:
        t.ehlo()
        return t.mail(sender=sender, content=content)


BODY = "Subject: scan\r\nMessage-ID: <a@b>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0900\r\n\r\nFrom: body\r\n..\r\n"


@pytest.mark.parametrize("header, new, old", [
    (f"From: {U1}\r\n", MFP, f" {U1}"),
    (f"From: Scanner 2F <{U1}>\r\n", f"Scanner 2F <{MFP}>", f" Scanner 2F <{U1}>"),
    (f"FROM :\r\n\tScanner\r\n <{U1}>\r\n", f"Scanner <{MFP}>", f"\r\n\tScanner\r\n <{U1}>"),
    (f"From: {U1}, a@b\r\n", MFP, f" {U1}, a@b"),
    (f'From: "{U1}" <a@b>\r\n', MFP, f' "{U1}" <a@b>'),
    ("From: scanner\r\n", MFP, " scanner"),
    ("From:\r\n", MFP, ""),
    (f"From: Me <{MFP}>\r\n", f"Me <{MFP}>", f" Me <{MFP}>"),
])
def test_replaced_at_level_3(office, header, new, old):
    office.start()
    assert send(office, header + BODY).code == 250
    raw = office.sink.wait(1).content.decode()
    front, _, rest = raw.partition("X-Original-From:")
    assert front.endswith(f"\r\nFrom: {new}\r\n") and front.count("From: ") == 1
    assert rest == old + "\r\n" + BODY.replace("\r\n..", "\r\n.")
    line = office.wait_log(r"message .*verdict=accepted.*").group(0)
    assert "repaired=from " in line and "from_is=own" in line and f"header_from={MFP}" in line


def test_missing_and_several(office):
    office.start()
    assert send(office, BODY).code == 250
    raw = office.sink.wait(1).content.decode()
    assert f"\r\nFrom: {MFP}\r\n{BODY.split(chr(13))[0]}" in raw and "Original" not in raw
    assert send(office, f"From: {U1}\r\nFrom: a@b\r\n" + BODY).code == 250
    raw = office.sink.wait(2).content.decode()
    header = raw.partition("\r\n\r\n")[0]
    assert header.count("\r\nFrom:") == 1 and header.count("\r\nX-Original-From:") == 2
    assert send(office, "Subject: bare\r\n\r\nx\r\n").code == 250
    office.wait_log("message .*repaired=from,date,message-id")


def test_judged_all_the_same(office):
    """What isn't about From: is refused as ever, and the envelope must be the device's."""
    office.start()
    assert send(office, f"From: {U1}\r\nSender: {U1}\r\n" + BODY).code == 552
    assert send(office, f"no field\r\nFrom: {U1}\r\n" + BODY).code == 552
    assert send(office, BODY, sender=U1).code == 550
    assert send(office, f"From: {U1}\r\n" + BODY, sender="mfp2@test-sample.jp", source="127.0.0.3").code == 552
    assert not office.sink.mails


@pytest.mark.parametrize("level", ["1", "2"])
def test_at_lower_levels(office, level):
    office.set("trust", level=level).start()
    assert send(office, f"From: {U1}\r\n" + BODY).code == 250
    assert f"\r\nFrom: {MFP}\r\n" in office.sink.wait(1).content.decode()


def test_only_the_devices_own(office):
    """AUTH wins (R15): a person at the device's address is no device."""
    office.start()
    with talk.Talk(sock=socket.create_connection(("127.0.0.1", office.port), 30, ("127.0.0.2", 0))) as t:
        t.login()
        assert t.mail(content=f"From: Me <{U1}>\r\n" + BODY).code == 250
    assert f"\r\nFrom: Me <{U1}>\r\n" in office.sink.wait(1).content.decode()
    assert "repaired=from" not in office.log()
