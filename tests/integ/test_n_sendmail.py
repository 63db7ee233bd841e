"""sendmail(1): programs of this machine send through the gate, as the user the kernel says they are."""

import email
import email.policy
import os
import pathlib
import pwd
import re
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest

import house
import talk

OK, USAGE, DATAERR, NOUSER, UNAVAILABLE, TEMPFAIL, NOPERM = 0, 64, 65, 67, 69, 75, 77
CRON, POST = "cron@test-sample.jp", "postmaster@test-sample.jp"
TO = "friend@example.net"


class Local:
    """A gate with a [local], a place that every user may reach, and the program under its names."""

    def __init__(self, gate, sink):
        self.gate, self.sink = gate, sink
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="local"))
        os.chmod(self.dir, 0o755)
        self.socket = self.dir / "mail"
        self.sendmail = self.dir / "sendmail"
        for name in ("sekimori", "sendmail", "mailq", "newaliases"):
            if name == "sekimori":
                shutil.copy(house.BINARY, self.dir / name)
            else:
                (self.dir / name).symlink_to("sekimori")
        gate.set("server", local=self.socket).set("local", sender=CRON)

    def run(self, *args, text="Subject: x\n\nHello\n", user=None, name="sendmail"):
        switch = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
        return house.run(self.dir / name, *args, input=text.encode() if isinstance(text, str) else text, text=False,
                         env={**os.environ, "SEKIMORI_SOCKET": str(self.socket)}, **switch)

    def send(self, *args, **keys):
        result = self.run(*args, **keys)
        assert result.returncode == OK, result
        assert result.stdout == result.stderr == b""
        return self.last()

    def last(self):
        before = self.gate.seen
        self.gate.seen += 1
        house.wait_for(lambda: f"the mail; {self.gate.log()}", lambda: len(self.sink.keeper.mails) > before)
        return self.sink.keeper.mails[before]

    def close(self):
        shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture
def local(gate, sink, closing, as_root):
    return closing(Local(gate, sink))


def parsed(mail):
    return email.message_from_bytes(mail.content, policy=email.policy.SMTP)


def fails(result, status, words):
    assert result.returncode == status, result
    assert result.stderr.startswith(b"sendmail: ") and words in result.stderr.decode(), result


def test_cron(local):
    """As Debian's cron calls it, and BusyBox's."""
    local.gate.start()
    mail = local.send("-i", "-FCronDaemon", "-B8BITMIME", "-oem", "root",
                      text="From: root (Cron Daemon)\nTo: root\nSubject: Cron <root@nas> backup\n\nfailed: 日本\n.\nmore\n")
    assert mail.sender == CRON and mail.to == ["root@test-sample.jp"]
    m = parsed(mail)
    assert m["From"] == CRON and m["X-Original-From"] == "root (Cron Daemon)"
    assert m["Date"] and m["Message-ID"] and m["Subject"] == "Cron <root@nas> backup"
    assert re.match(r"from localhost\s+\(\[uid:0\]\)\s+by ", m["Received"]) and "Authentication-Results" in m
    assert mail.content.endswith("\r\n\r\nfailed: 日本\r\n.\r\nmore\r\n".encode())
    local.gate.wait_log(r"message .*verdict=accepted .*client=\[uid:0\] listener=local trust=device account=local:\*")
    mail = local.send("-ti", "root", text="To: root\nSubject: cron: ls\n\nout\n")
    assert mail.to == ["root@test-sample.jp", "root@test-sample.jp"] or mail.to == ["root@test-sample.jp"]


def test_the_owner_gets_mail_to_local_names(local):
    local.gate.set("local", owner="admin@test-sample.jp").start()
    assert local.send("root").to == ["admin@test-sample.jp"]
    assert local.send("root@localhost", "daemon", TO).to == ["admin@test-sample.jp", "admin@test-sample.jp", TO] or \
        local.sink.keeper.mails[-1].to == ["admin@test-sample.jp", TO]


def test_recipients_of_the_header(local):
    local.gate.start()
    mail = local.send("-t", "-i", text="To: \"A, B\" <a@example.net>,\n\tstaff: b@example.net;\nCc: c@example.net (see, d)\n"
                      "Bcc: secret@example.net,\n hidden@example.net\nSubject: s\n\nBcc: stays@example.net\n")
    assert mail.to == ["a@example.net", "b@example.net", "c@example.net", "secret@example.net", "hidden@example.net"]
    head, _, body = mail.content.partition(b"\r\n\r\n")
    assert b"secret" not in head and b"hidden" not in head and b"bcc" not in head.lower()
    assert body == b"Bcc: stays@example.net\r\n"
    # Those of the command line come on top.
    assert local.send("-t", "e@example.net", text="To: a@example.net\n\nx\n").to == ["e@example.net", "a@example.net"]
    fails(local.run("-t", text="Subject: nobody\n\nx\n"), DATAERR, "no recipients")
    fails(local.run(), USAGE, "no recipients")


@pytest.mark.parametrize("text, body", [
    ("Subject: s\n\none\n..two\n.three\n", b"one\r\n..two\r\n.three\r\n"),
    ("Subject: s\r\n\r\none\r\n", b"one\r\n"),
    ("Subject: s\n\none\n.\nlost\n", b"one\r\n"),
    ("Subject: s\n\nno end", b"no end\r\n"),
    ("Subject: s\n\n 10%\r 20%\r.30%\n", b" 10%\r\n 20%\r\n.30%\r\n"),
    ("Subject: s\n\na\0b\n", b"a?b\r\n"),
    ("Subject: s\n\n", b""),
    ("Subject: s\n", b""),
    ("just text\nSubject: not a field any more\n", b"just text\r\nSubject: not a field any more\r\n"),
    ("\nbody at once\n", b"body at once\r\n"),
    ("Subject: s\n\n" + 998 * "x" + "\n", 998 * b"x" + b"\r\n"),
    ("Subject: s\n\n" + 2000 * "x" + "\n", 995 * b"x" + b"\r\n " + 994 * b"x" + b"\r\n " + 11 * b"x" + b"\r\n"),
    ("Subject: s\n\n" + 333 * "日" + ".\n", (332 * "日" + "\r\n 日.\r\n").encode()),
    ("Subject: s\n\n" + 3000 * (80 * "y" + "\n"), 3000 * (80 * b"y" + b"\r\n")),
    (b"Subject: s\n\n\x93\xfa\x96\x7b\n", b"\x93\xfa\x96\x7b\r\n"),
], ids=range(15))
def test_bodies(local, text, body):
    local.gate.start()
    assert local.send(TO, text=text).content.partition(b"\r\n\r\n")[2] == body


def test_from_is_added_and_a_mailbox_line_left_out(local):
    local.gate.start()
    m = parsed(local.send("-F", "The \"Cron\"\n of test-sample", TO, text="From root Mon Jan 1\nSubject: s\n\nx\n"))
    assert m["From"].addresses[0].addr_spec == CRON and "The Cron of test-sample" in m["From"]
    assert "From root" not in str(m)
    assert m.get_all("From") and len(m.get_all("From")) == 1


def test_senders(local):
    """-f is judged as a device's MAIL FROM; a name of this machine is whoever the gate says it is."""
    local.gate.start()
    for sender in (CRON, "root", "www-data@localhost"):
        assert local.send("-f", sender, TO).sender == CRON
    assert local.send("-f" + CRON.upper(), TO).sender == CRON.upper()
    fails(local.run("-f", "user1@test-sample.jp", TO), NOPERM, "550 5.7.1")
    fails(local.run("-r", "boss@example.com", TO), NOPERM, "550 5.7.1")
    fails(local.run("-f", "<>", TO), NOPERM, "550 5.7.1")
    local.gate.wait_log(r"refused .*client=\[uid:0\] .*from=user1@test-sample\.jp|from=user1@test-sample\.jp")


def test_from_as_it_is(local):
    local.gate.set("local", rewrite_from="no").start()
    fails(local.run(TO, text="From: boss@test-sample.jp\n\nx\n"), NOPERM, "552 5.7.1")
    m = parsed(local.send(TO, text=f"From: The Cron <{CRON}>\n\nx\n"))
    assert m["From"] == f"The Cron <{CRON}>" and "X-Original-From" not in m


def test_users_have_addresses_of_their_own(local):
    nobody, other = pwd.getpwnam("nobody"), pwd.getpwnam("daemon")
    local.gate.set("local nobody", sender="user1@test-sample.jp").start()
    assert local.send(TO).sender == CRON
    assert local.send(TO, user=other.pw_uid).sender == CRON
    mail = local.send(TO, user=nobody.pw_uid)
    assert mail.sender == "user1@test-sample.jp" and f"[uid:{nobody.pw_uid}]".encode() in mail.content
    local.gate.wait_log(r"verdict=accepted .*account=local:nobody")
    # What -f says is no way to be somebody else.
    fails(local.run("-f", CRON, TO, user=nobody.pw_uid), NOPERM, "550 5.7.1")


def test_only_those_who_are_named(local):
    nobody, other = pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("daemon").pw_uid
    local.gate.sections.pop("local")
    local.gate.set("local nobody", sender=CRON).start()
    assert local.send(TO, user=nobody).sender == CRON
    fails(local.run(TO, user=other), NOPERM, "this user may not send")
    fails(local.run(TO), NOPERM, "this user may not send")
    # By hand as well: no AUTH, no sender.
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(str(local.socket))
        t = talk.Talk(sock=s)
        t.reply()
        t.send("EHLO x\r\n")
        said = t.reply().text
        assert "AUTH" not in said and "STARTTLS" not in said and "XSENDER" not in said
        t.send(f"MAIL FROM:<{CRON}>\r\n")
        assert t.reply().code == 530


def test_recipients(local):
    local.gate.set("local", recipients="local").start()
    assert local.send("user1@test-sample.jp").to == ["user1@test-sample.jp"]
    fails(local.run("user1@test-sample.jp", TO), NOPERM, "550 5.7.1")
    fails(local.run("a b@test-sample.jp"), NOUSER, "50")
    fails(local.run('"a\r\nRCPT TO:<x@example.net>"@test-sample.jp'), DATAERR, "no address")
    assert len(local.sink.keeper.mails) == 1


def test_too_large(local):
    local.gate.set("server", max_message_size="64K").start()
    fails(local.run(TO, text="Subject: s\n\n" + 100 * (1000 * "x" + "\n")), DATAERR, "552")


def test_no_gate(local):
    fails(local.run(TO), TEMPFAIL, "no gate is running")
    local.gate.start()
    local.send(TO)
    local.gate.stop()
    assert not local.socket.exists()
    fails(local.run(TO), TEMPFAIL, "no gate is running")


def test_a_killed_gate_leaves_no_half_mail(local):
    local.gate.start()
    writer = subprocess.Popen([local.sendmail, TO], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**os.environ, "SEKIMORI_SOCKET": str(local.socket)})
    writer.stdin.write(b"Subject: s\n\n" + 3000 * (80 * b"y" + b"\n"))
    writer.stdin.flush()
    local.gate.kill()
    _, said = writer.communicate(timeout=house.WAIT)
    assert writer.returncode == TEMPFAIL and said.startswith(b"sendmail: ")
    local.gate.start()
    assert local.send(TO, text="Subject: after\n\nx\n").content.count(b"after") == 1
    assert len(local.sink.keeper.mails) == 1


def test_options_of_others(local):
    local.gate.start()
    for args in (["-bm", "-oi", "-em"], ["-odb", "-oem", "-N", "never"], ["-i", "-U", "-v", "-n", "-G"], ["-O", "DeliveryMode=b"],
                 ["-Ac", "-L", "tag", "-R", "full", "-V", "id"], ["-B", "7BIT"], ["-h", "3"], ["-oi", "--"]):
        local.send(*args, TO)
    for args in (["-bs"], ["-bd"], ["-Z"]):
        result = local.run(*args, TO)
        assert result.returncode == USAGE and result.stderr.startswith(str(local.sendmail).encode()) or b"sendmail" in result.stderr


def test_other_names(local):
    local.gate.start()
    assert local.run(name="newaliases").returncode == OK and local.run("-bi").returncode == OK
    result = local.gate.cmd("sendmail", "-bp")
    assert result.returncode == OK and result.stdout == local.gate.cmd("queue").stdout
    assert local.run(name="mailq").returncode in (OK, UNAVAILABLE)   # the control socket of the default file
    env = {**os.environ, "SEKIMORI_SOCKET": str(local.socket)}
    assert local.gate.cmd("sendmail", TO, input="Subject: s\n\nx\n", env=env).returncode == OK
    local.last()


@pytest.mark.parametrize("program", ["s-nail", "mutt", "php"])
def test_programs(local, program):
    if not shutil.which(program):
        pytest.skip(f"there is no {program} on this machine")
    local.gate.start()
    commands = {
        "s-nail": ["s-nail", "-n", "-S", f"mta={local.sendmail}", "-s", "by mail", TO],
        "mutt": ["mutt", "-n", "-F", "/dev/null", "-e", f'set sendmail="{local.sendmail} -oem -oi"', "-e", "set copy=no", "-s", "by mail", TO],
        "php": ["php", "-d", f"sendmail_path={local.sendmail} -t -i", "-r", f"exit(mail('{TO}', 'by mail', 'Hello') ? 0 : 1);"],
    }
    result = house.run(*commands[program], input="Hello\n",
                       env={**os.environ, "SEKIMORI_SOCKET": str(local.socket), "HOME": str(local.dir)})
    assert result.returncode == 0, result
    mail = local.last()
    assert mail.sender == CRON and mail.to == [TO] and parsed(mail)["Subject"] == "by mail"


def test_the_socket(local):
    local.gate.start()
    assert stat.S_IMODE(os.stat(local.socket).st_mode) == 0o666
    assert stat.S_IMODE(os.stat(local.gate.dir / "sock").st_mode) == 0o660
    assert not os.stat(local.sendmail).st_mode & (stat.S_ISUID | stat.S_ISGID)


def test_reload(local):
    gate = local.gate.start()
    local.send(TO)
    gate.set("local", sender=POST).write()
    assert gate.cmd("reload").returncode == 0
    assert local.send(TO).sender == POST
    gate.sections.pop("local")
    gate.write()
    assert gate.cmd("reload").returncode == 0
    fails(local.run(TO), NOPERM, "this user may not send")
    gate.set("local", sender=CRON).write()
    assert gate.cmd("reload").returncode == 0
    assert local.send(TO).sender == CRON


def test_no_local_section_no_socket(gate, tmp_path):
    gate.set("server", local=tmp_path / "mail").start()
    assert not (tmp_path / "mail").exists()
    gate.set("local", sender=CRON).write()
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"\[local\] is new: .*after a restart")


@pytest.mark.parametrize("keys, words", [
    ({"local": {}}, "[local] needs sender"),
    ({"local": {"sender": "x@elsewhere.example"}}, "is not in our domains"),
    ({"local no-such-user": {"sender": CRON}}, "[local no-such-user]: this machine has no such user"),
    ({"local": {"sender": CRON, "rewrite_from": "maybe"}}, "rewrite_from"),
])
def test_bad_settings(gate, keys, words):
    for section, values in keys.items():
        gate.sections[section] = values
    result = gate.write().cmd("check")
    assert result.returncode == 78 and words in result.stderr, result


def test_a_user_hogs_only_his_own_sessions(local):
    nobody = pwd.getpwnam("nobody").pw_uid
    local.gate.set("limits", sessions_per_client=2).start()
    taken = []
    for _ in range(3):
        s = socket.socket(socket.AF_UNIX)
        s.connect(str(local.socket))
        taken.append(s)
    fails(local.run(TO), TEMPFAIL, "421")
    assert local.send(TO, user=nobody).sender == CRON
    assert re.search(r"turned-away client=\[uid:0\]", local.gate.log())
    for s in taken:
        s.close()
