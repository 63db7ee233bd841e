"""q. Alarms: each once per cause and day at severity err, a line when it is over, in status while it lasts, and a mail to [manager] alarm_to."""

import email
import email.policy
import os
import re
import shutil
import time

import pytest

import house
import talk
import upstream
from test_8_watch import private_log  # noqa: F401
from test_c_clock import with_clock
from test_g_tls_client import odd  # noqa: F401

U1 = "user1@test-sample.jp"
ADMIN = "admin@test-sample.jp"


def send(gate, size=10, **keys):
    with gate.login() as t:
        return t.mail(content=f"From: {U1}\r\nSubject: x\r\n\r\n" + ("x" * 70 + "\r\n") * (size // 72 + 1), **keys)


def open_alarms(gate):
    return {(a["alarm"], a["cause"]) for a in gate.json("status")["alarms"]}


def severities(came, pattern):
    return [int(re.match(rb"<(\d+)>", line)[1]) % 8 for line in came if re.search(pattern, line)]


@pytest.fixture
def logged(gate, private_log):  # noqa: F811
    """The severities of the lines that fit, as the system's logger gets them."""
    came, prefix = private_log
    gate.prefix = prefix

    def start():
        gate.start()
        gate.prefix = []
        return lambda pattern: severities(came, pattern)
    return start


def refuser(gate, closing):
    """Refuses the first login, and takes later ones."""
    sink = closing(upstream.Sink(gate.upstream_port, auth=("office@provider.example", "right1234")))
    gate.upstream_login(password="wrong1234")
    return sink


def mend(gate):
    gate.upstream_login(password="right1234")
    assert gate.cmd("reload").returncode == 0


def test_refused_login(gate, closing, logged):
    """One err though it is tried again and again; over with the login that is good."""
    sink = refuser(gate, closing)
    severity = logged()
    assert send(gate).code == 250
    for n in range(1, 4):
        gate.wait_log(r"relay-down .*alarm=upstream-login", n)
        if n < 3:
            assert gate.cmd("queue", "retry").returncode == 0
    house.wait_for("the lines", lambda: len(severity(rb"relay-down .*alarm=upstream-login")) == 3)
    assert severity(rb"relay-down .*alarm=upstream-login") == [3, 4, 4]
    assert open_alarms(gate) == {("upstream-login", "relay default")}
    alarm = gate.json("status")["alarms"][0]
    assert alarm["count"] == 3 and abs(alarm["since"] - time.time()) < 120 and "535" in alarm["words"]
    assert re.search(r"^ALARM upstream-login: relay default, since ", gate.cmd("status").stdout, re.M)
    text = gate.cmd("status", "--prometheus").stdout
    assert '\nsekimori_alarm_open{alarm="upstream-login",cause="relay default"} 1\n' in text and "\nsekimori_alarms_open 1\n" in text
    mend(gate)
    sink.wait()
    gate.wait_log(r'alarm-over kind=upstream-login for=\d+ cause="relay default"')
    assert open_alarms(gate) == set()


def test_without_reload_the_good_login_ends_it(gate, closing):
    sink = refuser(gate, closing)
    gate.start()
    assert send(gate).code == 250
    gate.wait_log(r"alarm=upstream-login")
    sink.auth = ("office@provider.example", "wrong1234")
    assert gate.cmd("queue", "retry").returncode == 0
    sink.wait()
    gate.wait_log(r"alarm-over kind=upstream-login")
    assert open_alarms(gate) == set()


def test_lockout(gate, sink, logged):
    gate.set("limits", lockout_after=2, lockout_time="3s", lockout_allow="none")
    severity = logged()
    for user in ("user1", "user2"):
        for password in ("a", "b"):
            with gate.connect() as t:
                t.ehlo()
                assert t.cmd("AUTH PLAIN " + talk.plain(user, password)).code == 535
    gate.wait_log(r"lockout scope=pair", 2)
    assert open_alarms(gate) == {("lockout", "")}
    house.wait_for("the lines", lambda: len(severity(rb"lockout scope=pair")) == 2)
    assert severity(rb"lockout scope=pair") == [3, 4]
    gate.wait_log(r"alarm-over kind=lockout")
    assert len(gate.lines("alarm-over")) == 1 and open_alarms(gate) == set()


def test_certificate(gate, certs, odd):  # noqa: F811
    """Not told again by a reload; over with the renewed one."""
    names = "DNS:mail.test-sample.jp,IP:127.0.0.1"
    old, new = odd("q-ends", names=names, until=3), odd("q-renewed", names=names, until=90)
    pem, key = gate.dir / "own.pem", gate.dir / "own.key"
    for base, text in ((old, {("certificate", "")}), (old, {("certificate", "")}), (new, set())):
        shutil.copy(f"{base}.pem", pem)
        shutil.copy(f"{base}.key", key)
        if gate.process:
            assert gate.cmd("reload").returncode == 0
        else:
            gate.set("tls", certificate=pem, key=key).start()
        house.wait_for("the alarm to be as it should", lambda t=text: open_alarms(gate) == t)
    assert len(gate.lines("alarm=certificate")) == 1
    gate.wait_log(r"alarm-over kind=certificate")


def test_clock(gate, sink, tmp_path):
    clock = with_clock(gate, tmp_path, -40 * 365 * 86400)
    gate.set("queue", alarm_age="1s").set("manager", alarm_to=ADMIN).start()
    gate.prefix = []
    gate.wait_log(r"clock alarm=clock today=")
    assert open_alarms(gate) == {("clock", "")}
    time.sleep(2.5)                         # a clock that is set within ten minutes is not worth a mail
    clock.write_text("0")
    gate.wait_log(r"alarm-over kind=clock")
    assert open_alarms(gate) == set() and not gate.lines("alarm-mail")
    assert len(gate.lines("alarm=clock")) == 1


def test_mail_that_waits(gate, closing, logged):
    gate.set("queue", alarm_age="2s", retry="1s")
    severity = logged()
    assert send(gate).code == 250
    line = gate.wait_log(r"\bqueue alarm=queue id=(B\w{10}) age=(\d+) queue=1 error=").groups()
    assert line[0] == gate.queue()[0]["id"] and 2 <= int(line[1]) < 30
    assert [a for a, _ in open_alarms(gate)] == ["queue"]
    time.sleep(3)
    assert severity(rb"queue alarm=queue") == [3]
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.cmd("queue", "retry")
    sink.wait()
    gate.wait_log(r"alarm-over kind=queue")
    assert open_alarms(gate) == set()


def test_parked_mail_is_no_alarm(gate, sink):
    """It waits for a person; mail that waits behind it is."""
    sink.keeper.replies["nobody@example.net"] = "550 5.1.1 no such user"
    sink.keeper.replies["later@example.net"] = "450 4.2.1 later"
    gate.set("queue", alarm_age="1s", retry="1s").start()
    with gate.login() as t:
        assert t.mail(sender="", to=["nobody@example.net"], content=f"From: {U1}\r\n\r\nx\r\n").code == 250
    gate.wait_log(r"\bparked id=")
    time.sleep(3)
    assert open_alarms(gate) == set()
    assert send(gate, to=["later@example.net"]).code == 250
    waiting = gate.wait_log(r"message id=(\w+) .*to=later@")[1]
    assert gate.wait_log(r"alarm=queue id=(\w+) .*error=\"450 4\.2\.1 later")[1] == waiting


def test_spool_nearly_full(gate, closing):
    gate.set("server", spool_size="4M", max_message_size="512K").set("queue", alarm_age="1s", retry="1s").start()
    code = 250
    while code == 250 and not gate.lines("alarm=spool"):
        code = send(gate, 200000).code
        time.sleep(0.3)
    gate.wait_log(r"\bspool alarm=spool free=\d+ of=\d+ path=")
    assert ("spool", "") in open_alarms(gate)
    closing(upstream.Sink(gate.upstream_port))
    gate.cmd("queue", "retry")
    gate.empty()
    gate.wait_log(r"alarm-over kind=spool")
    assert open_alarms(gate) == set() and len(gate.lines("alarm=spool")) == 1


def test_disk_nearly_full(gate, closing, as_root):
    spool = gate.dir / "spool"
    if house.run("mount", "-t", "tmpfs", "-o", "size=32M", "none", spool).returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        gate.set("server", spool_size="4M", max_message_size="512K").set("queue", alarm_age="1s", retry="1s").start()
        assert send(gate).code == 250       # there is something to look after now
        free = os.statvfs(spool)
        (spool / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - (700 << 10)))
        gate.wait_log(r"\bdisk alarm=disk free=\d+ of=33554432 path=")
        (spool / "filler").unlink()
        gate.wait_log(r"alarm-over kind=disk")
        gate.stop()
    finally:
        gate.stop()
        assert house.run("umount", spool).returncode == 0


# Mail

def parse(mail):
    message = email.message_from_bytes(mail.content, policy=email.policy.default)
    return message, message.get_content()


@pytest.mark.parametrize("language", ["ja", "en", "ja+en"])
def test_mail(gate, closing, language):
    """It waits for the login that it is about; once a cause, however often that is refused."""
    sink = refuser(gate, closing)
    gate.set("manager", alarm_to=ADMIN).set("return", language=language).start()
    assert send(gate).code == 250
    ident = gate.wait_log(r"alarm-mail id=(\w+)")[1]
    for n in (2, 3):
        assert gate.cmd("queue", "retry").returncode == 0
        gate.wait_log(r"relay-down .*alarm=upstream-login", n)
    assert len(gate.queue()) == 2
    assert len(gate.lines("alarm-mail")) == 1
    mend(gate)
    sink.wait(2)
    mail, = [m for m in sink.mails if m.to == [ADMIN]]
    message, text = parse(mail)
    assert mail.sender == "" and message["From"] == "Sekimori <postmaster@test-sample.jp>" and message["To"] == ADMIN
    assert "Sekimori alarm: upstream-login" in message["Subject"] and ("メールゲートの警報" in message["Subject"]) == ("ja" in language)
    assert message["Auto-Submitted"] == "auto-generated" and ident in message["Message-ID"]
    assert abs(email.utils.parsedate_to_datetime(message["Date"]).timestamp() - time.time()) < 300
    assert "upstream-login: relay default" in text and "535" in text
    assert ("The next hop refuses our login" in text) == ("en" in language)
    assert ("転送先がログインを拒否しています" in text) == ("ja" in language)
    body = mail.content.split(b"\r\n\r\n", 1)[1]
    assert all(len(line) <= 76 for line in body.split(b"\r\n")) and mail.content.isascii()
    assert not message.defects and "wrong1234" not in text and "right1234" not in text
    gate.empty()


def test_mail_never_loops(gate, sink):
    """Refused, late or in nobody's hands: no return mail, no alarm, no second mail."""
    sink.keeper.replies[ADMIN] = "550 5.1.1 no such user"
    gate.set("limits", lockout_after=1, lockout_allow="none", lockout_time="1h")
    gate.set("manager", alarm_to=ADMIN).set("queue", alarm_age="1s", retry="1s").start()
    with gate.connect() as t:
        t.ehlo()
        t.cmd("AUTH PLAIN " + talk.plain("user2", "x"))
    ident = gate.wait_log(r"alarm-mail id=(\w+)")[1]
    gate.wait_log(rf"delivery id={ident} status=failed")
    gate.wait_log(rf"parked id={ident} reason=return-mail")
    time.sleep(3)
    assert not gate.lines("return id") and len(gate.lines("alarm-mail")) == 1
    assert open_alarms(gate) == {("lockout", "")} and sink.mails == []
    assert len(gate.queue()) == 1


def test_late_mail_about_alarms_is_no_alarm(gate):
    """Nothing else is in the queue: its age is nobody's alarm."""
    gate.set("limits", lockout_after=1, lockout_allow="none", lockout_time="1h")
    gate.set("manager", alarm_to=ADMIN).set("queue", alarm_age="1s", retry="1s").start()
    with gate.connect() as t:
        t.ehlo()
        t.cmd("AUTH PLAIN " + talk.plain("user2", "x"))
    gate.wait_log(r"alarm-mail id=(\w+)")
    house.wait_for("it to be late", lambda: gate.json("status")["queue_oldest"] > 3)
    assert open_alarms(gate) == {("lockout", "")} and not gate.lines("alarm=queue")


def test_alarm_to_needs_a_sender(gate):
    gate.set("manager", alarm_to=ADMIN)
    del gate.sections["return"]
    gate.write()
    result = gate.cmd("check")
    assert result.returncode == 78 and re.search(r"sekimori\.ini:\d+: alarm_to needs an address", result.stderr), result
    gate.set("return", **{"from": "postmaster@test-sample.jp"}).set("manager", alarm_to="admin").write()
    assert gate.cmd("check").returncode == 78
