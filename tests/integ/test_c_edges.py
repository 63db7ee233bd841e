"""Edges that an attacker found: evidence that a client would finish for us, and local parts that lead out again."""

import pytest


@pytest.mark.parametrize("level", ["auth", "auth=envelope", "auth=envelope=from"])
def test_the_first_line_must_not_continue_our_own_fields(gate, sink, level):
    gate.set("trust", level=level).start()
    content = " dkim=pass smtp.auth=boss@test-sample.jp\r\nFrom: user1@test-sample.jp\r\n\r\nx\r\n"
    with gate.login() as t:
        reply = t.mail(content=content)
        assert reply.code == (552 if level.endswith("from") else 550), reply
        assert t.mail().code == 250             # the session goes on clean
    gate.wait_log(r"verdict=refused code=55\d .*reason=first-continues")
    assert b"dkim=pass" not in sink.wait(1).content


@pytest.mark.parametrize("to,code", [
    ("user2@test-sample.jp", 250), ("x@example.com", 550), ("x%example.com@test-sample.jp", 550),
    ("example.com!x@test-sample.jp", 550), ('"x@example.com"@test-sample.jp', 550),
    ("user2@test-sample.jp.example.com", 550)])
def test_a_local_device_stays_inside(gate, sink, to, code):
    gate.set("listen submission", auth="optional")
    gate.set("device mfp1", ip="127.0.0.1", sender="mfp1@test-sample.jp", recipients="local").start()
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("MAIL FROM:<mfp1@test-sample.jp>").code == 250
        assert t.cmd(f"RCPT TO:<{to}>").code == code


def test_a_dry_run_says_what_it_would_refuse(gate, sink):
    gate.set("trust", level="auth=envelope", action="log").start()
    with gate.login() as t:
        assert t.mail(sender="user2@test-sample.jp").code == 250
    gate.wait_log(r"verdict=accepted .*reason=envelope-not-own would=refuse")


def test_mail_without_login_leaves_a_line(gate):
    gate.start()
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 530
    gate.wait_log(r'refused at=mail code=530 .*line="?MAIL FROM:<user1@test-sample.jp>')


def test_what_cant_be_returned_stays(gate):
    gate.set("trust", null_sender="allow", level="auth").start()
    with gate.login() as t:
        assert t.mail(sender="").code == 250
    id_ = gate.queue()[0]["id"]
    result = gate.cmd("queue", "return", id_)
    assert result.returncode == 1 and "nobody" in result.stderr
    assert [m["id"] for m in gate.queue()] == [id_]
