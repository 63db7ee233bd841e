"""9. Attacks: forty open-relay tricks (R60), identities (R6, R24, R27-R29, R36, issue 4), and what fell once and must not again."""

import base64
import os
import re
import signal
import socket
import time

import pytest

import house
import talk

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
VICTIM = "victim@elsewhere.example"
MAIL, RCPT = f"MAIL FROM:<{U1}>", f"RCPT TO:<{VICTIM}>"
CONTENT = f"From: {U1}\r\nSubject: relayed\r\n\r\nrelayed\r\n.\r\n"


def say(*lines):
    """Lines one by one, each after the answer to the one before."""
    return list(lines)


def at_once(*lines):
    return ["\r\n".join(lines)]


def tries(sender, recipient, hello="EHLO spammer.example"):
    return say(hello, f"MAIL FROM:{sender}", f"RCPT TO:{recipient}", "DATA", CONTENT)


V = f"<{VICTIM}>"
TRICKS = {
    # Who it is from
    "outside to outside": tries("<a@b.example>", V),
    "empty sender": tries("<>", V),
    "insider": tries(f"<{U1}>", V),
    "postmaster of ours": tries("<postmaster@test-sample.jp>", V),
    "sender at our address": tries("<user1@[127.0.0.1]>", V),
    "sender at our host": tries("<root@mail.test-sample.jp>", V),
    "sender at localhost": tries("<root@localhost>", V),
    "sender without domain": tries("<root>", V),
    "sender without brackets": tries(U1, U1),
    "sender by route": tries(f"<@test-sample.jp:{U1}>", V),
    "a device's address": tries("<mfp1@test-sample.jp>", V),
    "upper case": tries("<USER1@TEST-SAMPLE.JP>", V),
    # Whom it goes to
    "to an insider": tries("<a@b.example>", f"<{U1}>"),
    "to postmaster": tries("<a@b.example>", "<postmaster>"),
    "percent": tries("<a@b.example>", "<victim%elsewhere.example@test-sample.jp>"),
    "percent at our address": tries("<a@b.example>", "<victim%elsewhere.example@[127.0.0.1]>"),
    "bang path": tries("<a@b.example>", "<elsewhere.example!victim@test-sample.jp>"),
    "bang path of ours": tries("<a@b.example>", f"<test-sample.jp!{VICTIM}>"),
    "route": tries("<a@b.example>", f"<@test-sample.jp:{VICTIM}>"),
    "long route": tries("<a@b.example>", f"<@test-sample.jp,@x.example:{VICTIM}>"),
    "quoted": tries("<a@b.example>", f'<"{VICTIM}"@test-sample.jp>'),
    "quoted alone": tries("<a@b.example>", f'<"{VICTIM}">'),
    "two signs": tries("<a@b.example>", f"<{VICTIM}@test-sample.jp>"),
    "trailing dot": tries("<a@b.example>", f"<{VICTIM}.>"),
    # Who it says it is
    "our host's name": tries(f"<{U1}>", V, "EHLO mail.test-sample.jp"),
    "localhost": tries(f"<{U1}>", V, "HELO localhost"),
    "our address": tries(f"<{U1}>", V, "EHLO [127.0.0.1]"),
    "no EHLO": say(MAIL, RCPT, "DATA", CONTENT),
    "AUTH= in MAIL": tries(f"<{U1}> AUTH={U1}", V),
    "XCLIENT": say("EHLO x", f"XCLIENT LOGIN={U1} ADDR=127.0.0.3", "EHLO x", MAIL, RCPT, "DATA", CONTENT),
    "XFORWARD": say("EHLO x", "XFORWARD ADDR=127.0.0.3 SOURCE=LOCAL", MAIL, RCPT, "DATA", CONTENT),
    "PROXY": say("PROXY TCP4 127.0.0.3 127.0.0.1 4000 25", "EHLO x", MAIL, RCPT, "DATA", CONTENT),
    # Logins that are none
    "empty login": say("EHLO x", "AUTH PLAIN AAA=", MAIL, RCPT, "DATA", CONTENT),
    "authorised by name": say("EHLO x", "AUTH PLAIN " + talk.plain("", "", U1), MAIL, RCPT, "DATA", CONTENT),
    "wrong password": say("EHLO x", "AUTH PLAIN " + talk.plain(U1, "wrong"), MAIL, RCPT, "DATA", CONTENT),
    "a device's login": say("EHLO x", "AUTH PLAIN " + talk.plain("mfp1@test-sample.jp", ""), MAIL, RCPT, "DATA", CONTENT),
    "login given up": say("EHLO x", "AUTH LOGIN", talk.b64(U1), "*", MAIL, RCPT, "DATA", CONTENT),
    "login left open": say("EHLO x", "AUTH PLAIN", MAIL, "EHLO x", MAIL, RCPT, "DATA", CONTENT),
    "EXTERNAL": say("EHLO x", "AUTH EXTERNAL " + talk.b64(U1), MAIL, RCPT, "DATA", CONTENT),
    "ANONYMOUS": say("EHLO x", "AUTH ANONYMOUS eA==", MAIL, RCPT, "DATA", CONTENT),
    "CRAM-MD5 out of the blue": say("EHLO x", "AUTH CRAM-MD5 " + talk.b64(f"{U1} " + 32 * "0"), MAIL, RCPT, "DATA", CONTENT),
    # Order and pipelining
    "all at once": at_once("EHLO x", "MAIL FROM:<a@b.example>", RCPT, "DATA", CONTENT),
    "all at once behind a wrong login": at_once("EHLO x", "AUTH PLAIN " + talk.plain(U1, "wrong"), MAIL, RCPT, "DATA", CONTENT),
    "all at once behind STARTTLS": at_once("EHLO x", "STARTTLS", "EHLO x", MAIL, RCPT, "DATA", CONTENT),
    "RCPT first": say("EHLO x", RCPT, MAIL, RCPT, "DATA", CONTENT),
    "RSET between": say("EHLO x", MAIL, "RSET", MAIL, RCPT, "RSET", "DATA", CONTENT),
    "verbs of old": say("EHLO x", *(f"{v} FROM:<a@b.example>" for v in ("SEND", "SOML", "SAML")), RCPT, "DATA", CONTENT),
    "turned round": say("EHLO x", "TURN", "ETRN test-sample.jp", "ATRN", MAIL, RCPT, "DATA", CONTENT),
    "BDAT": say("EHLO x", MAIL, RCPT, f"BDAT {len(CONTENT)} LAST", CONTENT),
    "BURL": say("EHLO x", MAIL, RCPT, "BURL imap://x/ LAST", "DATA", CONTENT),
    "by a browser": at_once("POST / HTTP/1.1", "Host: mail.test-sample.jp", "", "EHLO x", MAIL, RCPT, "DATA", CONTENT),
}
assert len(TRICKS) >= 40


@pytest.fixture
def open_house(gate, sink):
    """Listeners where nobody must log in, with a device and a peer whose addresses aren't the attacker's."""
    gate.sink = sink
    gate.set("listen submission", auth="optional").set("trust", level="auth")
    gate.set("device mfp1", ip="127.0.0.2", sender="mfp1@test-sample.jp").set("peer mailserver", ip="127.0.0.3")
    return gate.start()


def play(t, lines):
    """All the gate says to the lines; whatever it closes early is fine."""
    said = ""
    try:
        for line in lines:
            t.send(line + "\r\n")
            if len(lines) > 1 and line != CONTENT:
                said += t.reply().text + "\n"
        # A login left open must not swallow the mark.
        t.send("*\r\nQUIT\r\n")
        said += t.rest().decode("latin-1")
    except OSError:
        pass
    return said


def test_open_relay_tricks(open_house, tls_client):
    """Nothing is ever invited, let alone sent on: not in clear, not in TLS, not after what others did before."""
    for name, lines in TRICKS.items():
        for tls in (False, True):
            t = open_house.connect()
            greeting = t.reply()
            assert greeting.code == 220
            if tls:
                t.cmd("EHLO x")
                t.cmd("STARTTLS")
                t.starttls(tls_client, "localhost")
            said = play(t, lines)
            t.close()
            assert not re.search("^354", said, re.M), (name, tls, said)
            assert not re.search(r"^250.*(Sender|Recipient) ok|accepted for delivery", said, re.M), (name, tls, said)
    # One honest mail by the same door, so that nothing above was refused for another reason.
    assert open_house.login().mail(content=f"From: {U1}\r\nSubject: honest\r\n\r\n\r\n").code == 250
    open_house.sink.wait(1)
    assert [b"Subject: honest" in mail.content for mail in open_house.sink.mails] == [True]


# Identities

def b64(data):
    return base64.b64encode(data).decode()


NOBODY = {
    "other authzid": b64(b"user2@test-sample.jp\0user1@test-sample.jp\0user1234"),
    "unknown authzid": b64(b"nobody@test-sample.jp\0user1@test-sample.jp\0user1234"),
    "authzid outside": b64(b"user1@test-sample.jp.evil.example\0user1@test-sample.jp\0user1234"),
    "empty id": b64(b"\0\0user1234"),
    "blank id": b64(b"\0 \0user1234"),
    "leading blank": b64(b"\0 user1@test-sample.jp\0user1234"),
    "trailing blank": b64(b"\0user1@test-sample.jp \0user1234"),
    "nul behind the id": b64(b"\0user1@test-sample.jp\0\0user1234"),
    "nul behind the password": b64(b"\0user1@test-sample.jp\0user1234\0"),
    "longer password": b64(b"\0user1@test-sample.jp\0user12345"),
    "shorter password": b64(b"\0user1@test-sample.jp\0user123"),
    "password in capitals": b64(b"\0user1@test-sample.jp\0USER1234"),
    "empty password": b64(b"\0user1@test-sample.jp\0"),
    "prefix of an id": b64(b"\0user@test-sample.jp\0user1234"),
    "longer id": b64(b"\0user10@test-sample.jp\0user1234"),
    "foreign domain": b64(b"\0user1@test-sample.jp.evil.example\0user1234"),
    "trailing dot": b64(b"\0user1@test-sample.jp.\0user1234"),
    "sub-domain": b64(b"\0user1@sub.test-sample.jp\0user1234"),
    "address literal": b64(b"\0user1@[127.0.0.1]\0user1234"),
    "line in the id": b64(b"\0user1@test-sample.jp\r\n\0user1234"),
    "alias": b64(b"\0info@test-sample.jp\0user1234"),
    "two nuls too few": b64(b"user1@test-sample.jp"),
    "long id": b64(b"\0" + 1000 * b"a" + b"\0user1234"),
    "long password": b64(b"\0user1@test-sample.jp\0" + 1000 * b"a"),
}


def test_logins_that_are_nobody(live):
    for name, response in NOBODY.items():
        with live.connect() as t:
            t.ehlo()
            reply = t.cmd("AUTH PLAIN " + response)
            assert reply.code in (535, 501), (name, reply)
            assert t.cmd(MAIL).code == 530, name


@pytest.mark.parametrize("user", [b"User1@Test-Sample.JP", b"user1", b'"user1"@test-sample.jp'])
def test_forms_of_an_identity_are_one_account(live, user):
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + b64(b"\0" + user + b"\0user1234")).code == 235
        assert t.mail(U1).code == 250
        assert t.mail(U2).code == 550


def test_a_challenge_answers_once(live):
    with live.connect() as one, live.connect() as two:
        one.ehlo(), two.ehlo()
        challenge = one.cmd("AUTH CRAM-MD5").text
        assert one.cmd("*").code == 501
        assert one.cmd("AUTH CRAM-MD5").text != challenge
        assert one.cmd("*").code == 501
        assert two.cmd("AUTH CRAM-MD5").text != challenge


FOREIGN = ["user10@test-sample.jp", "xuser1@test-sample.jp", "user1@test-sample.jp.evil.example", "user1@sub.test-sample.jp",
           "user1@[127.0.0.1]", U2, f'"{U1}"@test-sample.jp', "user1%test-sample.jp@test-sample.jp",
           "test-sample.jp!user1@test-sample.jp", '" user1"@test-sample.jp', '"user1 "@test-sample.jp',
           "user1+tag@test-sample.jp", ".user1@test-sample.jp", "user1.@test-sample.jp"]


def test_senders_that_are_somebody_else(live):
    for sender in FOREIGN:
        with live.login() as t:
            reply = t.cmd(f"MAIL FROM:<{sender}>")
            assert reply.code in (550, 501, 553), (sender, reply)
            assert t.cmd(RCPT).code == 503, sender
    for line in (f"MAIL FROM:<@a.example:{U1}>", f"MAIL FROM:<{U1}.>", f"MAIL FROM:{U1}", f"MAIL FROM:< {U1}>", f"MAIL FROM:<{U1} >",
                 f"MAIL FROM:<{U1}> <{U2}>", f"MAIL FROM:<{U1}>,<{U2}>"):
        with live.login() as t:
            assert t.cmd(line).code >= 500, line
            assert t.cmd(RCPT).code == 503, line


def test_auth_parameter_says_nothing(live):
    with live.login() as t:
        assert t.cmd(f"MAIL FROM:<{U2}> AUTH={U1}").code == 550
        assert t.cmd(f"MAIL FROM:<{U1}> AUTH={U2}").code == 250
        assert t.cmd(RCPT).code == 250
        assert t.data(f"From: {U2}\r\n\r\nx").code == 552


def test_one_login_a_session(live):
    with live.login() as t:
        assert t.cmd("AUTH PLAIN " + talk.plain(U2, "user2345")).code == 503
        for line in ("RSET", "EHLO again", "HELO again", "NOOP"):
            t.cmd(line)
            assert t.mail(U2).code == 550, line
        t.cmd("EHLO again")
        assert t.cmd("STARTTLS").code == 503
        assert t.mail().code == 250
        assert t.cmd(MAIL).code == 250
        assert t.cmd("AUTH PLAIN " + talk.plain(U2, "user2345")).code == 503


# A way into a transaction that fails, and what came of it; afterwards all must be as if nothing had been.
FATES = {
    "mail refused": (["MAIL FROM:<x@example.net>"], 550),
    "mail refused, rest pipelined": ([f"MAIL FROM:<x@example.net>\r\n{RCPT}\r\nNOOP"], 250),
    "recipient refused": ([MAIL, "RCPT TO:<\xe9@example.net>", "RSET"], 250),
    "data without recipients": ([MAIL, "DATA", "RSET"], 250),
    "reset": ([MAIL, RCPT, "RSET"], 250),
    "ehlo": ([MAIL, RCPT, "EHLO x"], 250),
    "filtered": ([MAIL, RCPT, "DATA", f"From: {U2}\r\n\r\nx\r\n."], 552),
    "bare line feed": ([MAIL, RCPT, "DATA", f"From: {U1}\r\n\r\nx\nx\r\n."], (550, 552)),
    "too large by SIZE": ([f"{MAIL} SIZE=99999999"], 552),
}


def test_a_failure_leaves_nothing_behind(live):
    """R29, R36: after each kind of failure no recipient, sender or verdict of it is left."""
    for name, (lines, code) in FATES.items():
        with live.login() as t:
            for line in lines:
                t.send(line + "\r\n")
                for _ in range(line.count("\r\n") + 1 if line.count("RCPT") and "MAIL" in line else 1):
                    reply = t.reply()
            assert reply.code in (code if isinstance(code, tuple) else (code,)), (name, reply)
            assert t.cmd(RCPT).code == 503, name
            assert t.cmd("DATA").code == 503, name
            assert t.mail(to=["only@example.net"], content=f"From: {U1}\r\nSubject: {name}\r\n\r\nx\r\n").code == 250, name
            assert t.mail(content=f"From: {U2}\r\n\r\nx\r\n").code == 552, name
    live.sink.wait(len(FATES))
    assert all(mail.to == ["only@example.net"] for mail in live.sink.mails)
    assert len(live.sink.mails) == len(FATES)


def test_mails_of_different_fate_in_one_piece(live):
    """Three mails, pipelined up to each DATA: kept, filtered, kept."""
    with live.login() as t:
        for n, (sender, code) in enumerate([(U1, 250), (U2, 552), (U1, 250)]):
            t.send(f"{MAIL}\r\nRCPT TO:<to{n}@example.net>\r\nDATA\r\n")
            assert [t.reply().code for _ in range(3)] == [250, 250, 354]
            t.send(f"From: {sender}\r\nSubject: {n}\r\n\r\nx\r\n.\r\n")
            assert t.reply().code == code
    live.sink.wait(2)
    assert sorted(mail.to[0] for mail in live.sink.mails) == ["to0@example.net", "to2@example.net"]


ENDS = ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\n\n.\r\n", "\r\n\0.\r\n", "\r\r\n.\r\r\n", "\r\n.\0\r\n", "\r\n.\r\0\n"]


@pytest.mark.parametrize("end", ENDS, ids=[e.encode("unicode_escape").decode() for e in ENDS])
def test_no_second_mail_out_of_one(live, end):
    """Octet by octet as well, so that the reader's seams are where they hurt most."""
    inner = f"{end}MAIL FROM:<{U2}>\r\nRCPT TO:<{VICTIM}>\r\nDATA\r\nFrom: {U2}\r\n\r\nsmuggled\r\n.\r\n"
    for cut in (False, True):
        with live.login() as t:
            for line in (MAIL, "RCPT TO:<a@example.net>", "DATA"):
                reply = t.cmd(line)
            assert reply.code == 354
            text = f"From: {U1}\r\n\r\nx{inner}"
            for piece in text if cut else [text]:
                t.send(piece)
            assert t.reply().code in (550, 552)
            assert t.mail().code == 250
    live.sink.wait(2)
    assert not any(b"smuggled" in mail.content or VICTIM in mail.to for mail in live.sink.mails)


# What fell once

def test_silence_after_starttls_ends(gate, sink):
    """A handshake that never begins held its slot for ever."""
    gate.set("limits", command_timeout="2s").start()
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("STARTTLS").code == 220
        t.sock.settimeout(60)
        assert t.rest() == b""


def test_a_session_kept_by_noop_stays(gate, sink):
    gate.set("limits", command_timeout="3s").start()
    with gate.login() as t:
        for _ in range(6):
            time.sleep(1)
            assert t.cmd("NOOP").code == 250


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_relay_that_was_down_and_stalls_costs_nothing(gate, closing):
    """All its connections in use and its time of rest past: the loop used to spin."""
    gate.set("relay", connections="1", timeout="30s").start()
    t = gate.login()
    assert t.mail().code == 250
    gate.wait_log("relay-down")
    assert t.mail().code == 250
    server = closing(talk.Server(gate.upstream_port, lambda peer, n: time.sleep(20)))
    house.wait_for("the gate to come", lambda: server.count)
    before = cpu(gate.process.pid)
    time.sleep(3)
    assert cpu(gate.process.pid) - before < 1.5


def test_out_of_descriptors_costs_nothing(gate, sink):
    gate.prefix = ["prlimit", "--nofile=48:48"]
    if os.geteuid() == 0:       # it must not raise the limit again
        gate.prefix += ["setpriv", "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"]
    gate.set("limits", sessions_per_client="200")
    gate.start()
    crowd = [gate.connect() for _ in range(60)]
    try:
        time.sleep(0.5)
        before, size = cpu(gate.process.pid), len(gate.log())
        time.sleep(2)
        assert cpu(gate.process.pid) - before < 1
        assert len(gate.log()) - size < 10000
    finally:
        for t in crowd:
            t.close()
    house.wait_for("it to serve again", lambda: gate.login().mail().code == 250)


@pytest.mark.parametrize("how", ["signal", "command"])
def test_reload_that_fails_halfway(live, ports, closing, how):
    """The listeners that were opened already must not outlive their settings."""
    taken = ports.one()
    closing(socket.create_server(("127.0.0.1", taken)))
    live.set("listen a", address=f"127.0.0.1:{ports.one()}", tls="none")
    live.set("listen b", address=f"127.0.0.1:{taken}", tls="none").write()
    for n in range(1, 4):
        if how == "signal":
            live.process.send_signal(signal.SIGHUP)
        else:
            assert live.cmd("reload").returncode != 0
        live.wait_log("reload failed", n)
    assert live.login().mail().code == 250


def test_terminal_is_not_painted(gate):
    """What a mail says of itself reaches root's terminal by `queue`."""
    gate.set("trust", level="auth").start()
    assert gate.login().mail(content=f"From: {U1}\r\nMessage-ID: <\x1b]0;owned\x07\x1b[31m@x>\r\n\r\nx\r\n").code == 250
    queue = gate.cmd("queue").stdout
    shown = gate.cmd("queue", "show", queue.split()[0]).stdout
    assert "owned" in shown and "\x1b" not in queue + shown and "\x07" not in shown


def helper(gate, name):
    """The pid of one of its helpers; None while it is down."""
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and int(open(f"/proc/{entry}/stat").read().rsplit(")", 1)[1].split()[1]) == gate.process.pid \
                    and name in open(f"/proc/{entry}/comm").read():
                return int(entry)
        except OSError:
            pass
    return None


def test_flushes_that_fail_cost_no_room(gate, sink):
    """The helper dies with each commit: the room of those flushes comes back by itself."""
    gate.set("server", spool_size="4M", max_message_size="512K").start()
    for _ in range(8):
        with gate.login() as t:
            pid = house.wait_for("the helper", lambda: helper(gate, "flus"))
            os.kill(pid, signal.SIGSTOP)
            for line in (MAIL, RCPT, "DATA"):
                t.cmd(line)
            t.send(CONTENT)
            time.sleep(0.1)
            os.kill(pid, signal.SIGKILL)
            t.reply()
    house.wait_for(lambda: gate.cmd("status").stdout, lambda: gate.login().mail().code == 250)


def server_that(name, got, vanishes=False):
    """A server that keeps nothing but who got something, and may vanish behind the final dot."""
    def script(peer, _):
        peer.send("220 here\r\n")
        while line := peer.line():
            if line.startswith("DATA"):
                peer.send("354 go\r\n")
                while peer.line() != ".\r\n":
                    pass
                got.append(name)
                if vanishes:
                    return
            peer.send("250 ok\r\n")
    return script


def test_mail_in_doubt_stays_with_its_host(gate, closing):
    """Lesson 27: the other host doesn't get it, however often the one in doubt is away."""
    got = []
    gate.set("relay", host="127.0.0.1, 127.0.0.2").start()
    second = talk.Server(gate.upstream_port, server_that("second", got, vanishes=True), "127.0.0.2")
    assert gate.login().mail().code == 250
    house.wait_for("the mail", lambda: got)
    second.close()
    gate.wait_log("status=deferred.*tries=4 ")
    closing(talk.Server(gate.upstream_port, server_that("first", got), "127.0.0.1"))
    gate.wait_log("status=deferred.*tries=6 ")
    assert got == ["second"]
    closing(talk.Server(gate.upstream_port, server_that("second again", got), "127.0.0.2"))
    gate.empty()
    assert got == ["second", "second again"]


OURS = re.compile(rb"^(?:received|authentication-results|date|message-id|x-sekimori[^:]*):[^\n]*(?:\n[ \t][^\n]*)*", re.I | re.M)


@pytest.mark.parametrize("level", ["auth", "auth=envelope", "auth=envelope=from"])
def test_no_field_of_ours_is_continued(gate, sink, level):
    """A content that begins with a blank would finish the last field that we put in front, the evidence itself."""
    gate.set("trust", level=level).start()
    fields = f"From: {U1}\r\nDate: Sun, 22 Nov 2026 03:00:00 +0900\r\nMessage-ID: <1@x.example>\r\n\r\nx\r\n"
    with gate.login() as t:
        taken = [t.mail(content=f"{blank}smtp.auth=boss@test-sample.jp\r\n{rest}").code == 250
                 for blank in (" ", "\t") for rest in (fields, f"From: {U1}\r\n\r\nx\r\n")]
        assert t.mail(content=fields).code == 250
    sink.wait(1 + sum(taken))
    for mail in sink.mails:
        assert not any(b"boss" in field for field in OURS.findall(mail.content)), mail.content


OUTSIDE = [VICTIM, "victim%elsewhere.example@test-sample.jp", "elsewhere.example!victim@test-sample.jp", f'"{VICTIM}"@test-sample.jp',
           f"@test-sample.jp:{VICTIM}", f"{VICTIM}@test-sample.jp", "a@sub.test-sample.jp", "a@test-sample.jp.elsewhere.example",
           "a@[127.0.0.1]"]


def test_device_for_the_house_reaches_nobody_outside(gate, sink):
    """`recipients = local` holds against what a next server may take for a path to somewhere else."""
    gate.set("listen submission", auth="optional")
    gate.set("device mfp1", ip="127.0.0.2", sender="mfp1@test-sample.jp", recipients="local").start()
    with talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, ("127.0.0.2", 0))) as t:
        t.ehlo()
        assert t.cmd("MAIL FROM:<mfp1@test-sample.jp>").code == 250
        for recipient in OUTSIDE:
            reply = t.cmd(f"RCPT TO:<{recipient}>")
            assert reply.code in (550, 501, 553), (recipient, reply)
        for recipient in (U1, "Info@Test-Sample.JP", "postmaster"):
            assert t.cmd(f"RCPT TO:<{recipient}>").code == 250


def test_nothing_in_the_log_is_forged(gate):
    gate.set("trust", level="auth").start()
    forged = 'x" message id=FORGED verdict=accepted \\'
    with gate.connect() as t:
        t.reply()
        t.cmd(f"EHLO {forged}")
        for name in (forged.encode(), b"a\r\nsekimori: FORGED", b"\x1b[31m"):
            t.cmd("AUTH PLAIN " + b64(b"\0" + name + b"\0pw"))
    with gate.login() as t:
        t.cmd('MAIL FROM:<"a\\" FORGED=1"@x.example>')
        t.cmd('RCPT TO:<"b\\" FORGED=1"@x.example>')
        assert t.data(f'From: {U1}\r\nMessage-ID: <" FORGED=1 \x1b[1m \xff>\r\n\r\nx\r\n').code == 250
    gate.wait_log("relay-down")
    assert not re.search(r"[^\x20-\x7e\n]", gate.log_path.read_bytes().decode("latin-1"))
    for line in gate.lines():
        assert line.startswith("sekimori: "), line
        # Outside quotes there is nothing of theirs.
        assert "FORGED" not in re.sub(r'"(\\.|[^"\\])*"', "", line), line


def test_stopped_while_the_disk_hangs(gate, sink):
    """No 250, an end within a second or two, nothing left unfreed (sanitizers), and the mail is in the queue or is not."""
    gate.start()
    with gate.login() as one, gate.login() as two:
        for t in (one, two):
            for line in (MAIL, RCPT, "DATA"):
                t.cmd(line)
            t.send(f"From: {U1}\r\nSubject: hanging\r\n\r\n")
        for _ in range(40):         # in turns, so that it lies in many pieces
            for t in (one, two):
                t.send(450 * (76 * "x" + "\r\n"))
            time.sleep(0.005)
        os.kill(house.wait_for("the helper", lambda: helper(gate, "flus")), signal.SIGSTOP)
        one.send(".\r\n")
        time.sleep(0.3)
        assert gate.stop() == 0
        assert b"250" not in one.rest() + two.rest()
    assert not house.SANITIZER.search(gate.log()), gate.log()
    gate.start()
    assert gate.login().mail().code == 250
    gate.empty()
    assert sum(b"Subject: hanging" in mail.content for mail in sink.mails) <= 1
