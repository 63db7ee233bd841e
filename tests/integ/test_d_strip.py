"""Our own evidence in what a client brings along is taken out, and nothing else is (R17, R68)."""

import pytest

U1 = "user1@test-sample.jp"
OURS = [
    "Authentication-Results: mail.test-sample.jp; auth=pass smtp.auth=boss@test-sample.jp",
    "authentication-RESULTS :\r\n\t(x) \"Mail.Test-Sample.jp\" 1 ;\r\n auth=pass",
    "Authentication-Results: (never closed mail.test-sample.jp; auth=pass",
    "Authentication-Results: mail.test-sample.jp.;\r\n auth=pass",
]
STAMP = "X-Sekimori-Stamp: mail.test-sample.jp; v=1; k=a; s=x"
VERDICT = "X-Sekimori-Verdict: would=552 reason=x"
OTHERS = [
    "Authentication-Results: mx.elsewhere.example; dkim=pass header.d=elsewhere.example",
    "X-Sekimori-Stamp: other.test-sample.jp; v=1; k=a; s=x",
    "ARC-Authentication-Results: i=1; mail.test-sample.jp; none",
]
BODY = "\r\nAuthentication-Results: mail.test-sample.jp; x\r\n..dots\r\n"


def behind(mail, first):
    """What was passed on of the client's own content, from its first line."""
    at = mail.content.index(b"\r\n" + first.encode() + b"\r\n") + 2
    assert mail.content.count(first.encode()) == 1
    return mail.content[at:].decode()


def message(*fields):
    return "\r\n".join(["X-First: 1", *fields, f"From: {U1}", "Message-ID: <a@b>", "Date: Mon, 1 Jan 2024 00:00:00 +0900", ""])


@pytest.mark.parametrize("field, name", [(f, "auth-results") for f in OURS] + [(STAMP, "stamp"), (VERDICT, "verdict")])
def test_taken_out_of_a_users_mail(live, field, name):
    with live.login() as t:
        assert t.mail(content=message(OTHERS[0], field, "Subject: x") + BODY).code == 250
    mail = live.sink.wait(1)
    kept = behind(mail, "X-First: 1")
    assert kept == message(OTHERS[0], "Subject: x") + BODY.replace("\r\n..", "\r\n.")
    live.wait_log(rf"message .*verdict=accepted.* size={len(kept) + 1} removed={name}\b")
    assert mail.content.count(b"Authentication-Results: mail.test-sample.jp;") == 2, "ours in front, and the body's"
    assert b"smtp.auth=user1@test-sample.jp" in mail.content and b"boss" not in mail.content


def test_all_at_once_and_nothing_else(live):
    with live.login() as t:
        assert t.mail(content=message(*OURS, STAMP, *OTHERS, VERDICT) + BODY).code == 250
        assert t.mail(content=message(*OTHERS) + BODY).code == 250
    first, second = sorted(behind(m, "X-First: 1") for m in (live.sink.wait(2), live.sink.mails)[1])
    assert first == second == message(*OTHERS) + BODY.replace("\r\n..", "\r\n.")
    assert len([line for line in live.lines("message") if "removed=auth-results,stamp,verdict" in line]) == 1
    assert len([line for line in live.lines("message") if "removed=" in line]) == 1


def test_a_header_of_our_fields_only(live):
    """Level 3 judges what is passed on: a From: that continued a removed field is no From:."""
    with live.login() as t:
        assert t.mail(content=f"{OURS[0]}\r\n From: {U1}\r\n\r\nx\r\n").code == 552
        assert t.mail(content=f"{OURS[0]}\r\n{'x' * 1200}: y\r\nFrom: {U1}\r\n\r\nx\r\n").code == 552
        long = OURS[0] + "; " + "x" * 1200
        assert t.mail(content=f"{long}\r\nFrom: {U1}\r\n\r\nx\r\n").code == 250, "the long line isn't passed on"
        assert t.mail(content=f" {OURS[0]}\r\nFrom: {U1}\r\n\r\nx\r\n").code in (550, 552, 554), "continues ours"
    assert live.sink.wait(1).content.count(b"auth=pass") == 1


def test_trust_says_the_same(gate, tmp_path):
    gate.write()
    for content, status in ((f"{OURS[0]}; {'x' * 1200}\r\nFrom: {U1}\r\n\r\nx\r\n", 0), (f"{OURS[0]}\r\n From: {U1}\r\n\r\nx\r\n", 1)):
        path = tmp_path / "mail"
        path.write_bytes(content.encode())
        assert gate.cmd("trust", U1, U1, path).returncode == status


def test_a_peers_mail(gate, sink):
    gate.set("listen submission", auth="optional").set("peer mailserver", ip="127.0.0.1").start()
    with gate.connect() as t:
        t.ehlo()
        assert t.mail(sender="a@elsewhere.example", content=message(*OURS, STAMP, *OTHERS, VERDICT) + BODY).code == 250
    kept = behind(sink.wait(1), "X-First: 1")
    assert kept == message(*OTHERS, VERDICT) + BODY.replace("\r\n..", "\r\n."), "another gate may have marked it"
    gate.wait_log("message .*removed=auth-results,stamp .*trust=peer")


def test_two_gates_keep_the_evidence_of_both(make_gate, closing):
    import upstream
    first, second = make_gate(), make_gate()
    sink = closing(upstream.Sink(second.upstream_port))
    second.set("server", hostname="outer.test-sample.jp").set("listen submission", auth="optional")
    second.set("peer inner", ip="127.0.0.1").start()
    first.set("relay", port=second.port).start()
    with first.login() as t:
        assert t.mail(content=message() + BODY).code == 250
    content = sink.wait(1).content.decode()
    assert "Authentication-Results: mail.test-sample.jp;\r\n\tauth=pass" in content
    assert "Authentication-Results: outer.test-sample.jp;\r\n\tauth=none" in content
    assert "removed=" not in second.log()


def test_size_limit_counts_what_came(gate, sink):
    gate.set("server", max_message_size="1K").start()
    with gate.login() as t:
        padding = (OURS[0] + "\r\n") * 20
        assert t.mail(content=message() + "\r\nx\r\n").code == 250
        assert t.mail(content=padding + message() + "\r\nx\r\n").code == 552


@pytest.mark.parametrize("mode", ["queue", "direct"])
def test_behind_the_header_that_is_judged(gate, sink, mode):
    """Below level 3 a header over max_header passes; what we take out is taken out there, too."""
    gate.set("relay", mode=mode).set("trust", level="1").set("server", max_header="1K").start()
    filler = "".join(f"X-Fill-{n}: {'x' * 60}\r\n" for n in range(1200))
    with gate.login() as t:
        assert t.mail(content=message() + filler + OURS[0] + "\r\n" + OTHERS[0] + "\r\n" + OURS[1] + "\r\nX-Last: 1\r\n" + BODY).code == 250
    kept = behind(sink.wait(1), "X-First: 1")
    assert kept == message() + filler + OTHERS[0] + "\r\nX-Last: 1\r\n" + BODY.replace("\r\n..", "\r\n.")
    with gate.login() as t:
        assert t.mail(content=message() + filler + OURS[0] + "\r\n").code == 250
    assert behind(sink.wait(2), "X-First: 1").rstrip() == (message() + filler).rstrip()
    gate.wait_log("message .*removed=auth-results", 2)
