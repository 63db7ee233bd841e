"""2. SMTP ingest (R22-R36, R46, R57, R70)."""

import os
import pty
import re
import select
import ssl
import time

import pytest

import house
import talk

USER1 = "AFVzZXIxQHRlc3Qtc2FtcGxlLmpwAHVzZXIxMjM0"  # User1@test-sample.jp, user1234: as in the seed
SEED = [
    ("EHLO", r"250-test-sample\.jp Hello \[127\.0\.0\.1\], pleased to meet you\r\n(250-[A-Z0-9 ]+\r\n)*"
             r"250 AUTH PLAIN LOGIN CRAM-MD5\r\n"),
    ("AUTH PLAIN " + USER1, r"235 Authentication successful\.\r\n"),
    ("mail from: <user2@test-sample.jp>", r"550 Please mail to a valid e-mail address\.\r\n"),
    ("mail from: <user1@test-sample.jp>", r"250 <user1@test-sample\.jp>\.\.\. Sender ok\.\r\n"),
    ("rcpt to: <user2@test-sample.jp>", r"250 <user2@test-sample\.jp>\.\.\. Recipient ok\.\r\n"),
    ("data", r"354 Start mail input;id <[A-Z0-9]{11}> end with <CRLF>\.<CRLF>\r\n"),
    ("subject: test\r\nfrom: <user2@test-sample.jp>\r\nto: <user2@test-sample.jp>\r\n\r\ntest.\r\n.",
     r"552 Requested mail action aborted: caught by the filter setting\.\r\n"),
    ("quit", r"221 test-sample\.jp closing connection\.\r\n"),
]


@pytest.fixture
def seed_gate(gate):
    gate.set("server", hostname="test-sample.jp", enhanced_codes="no")
    return gate.start()


def test_seed_session_byte_for_byte(seed_gate):
    with seed_gate.connect() as t:
        assert re.fullmatch(r"220 test-sample\.jp [^\r\n]+\r\n", t.line())
        for said, answer in SEED:
            t.send(said + "\r\n")
            got = t.line()
            while got.splitlines()[-1][3:4] == "-":
                got += t.line()
            assert re.fullmatch(answer, got), (said, got)
        assert t.rest() == b""


def test_seed_session_with_telnet(seed_gate):
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp("telnet", ["telnet", "127.0.0.1", str(seed_gate.port)])
    seen = ""

    def until(pattern):
        nonlocal seen
        end = time.monotonic() + house.WAIT
        while not re.search(pattern, seen):
            assert time.monotonic() < end, seen
            if select.select([fd], [], [], 0.2)[0]:
                seen += os.read(fd, 4096).decode("latin-1")

    try:
        until(r"220 test-sample\.jp [^\n]*\n")
        for said, answer in SEED[:-1]:
            seen = ""
            os.write(fd, said.replace("\r\n", "\n").encode() + b"\n")
            until(answer.replace(r"\r\n", r"[\r\n]+"))
        os.write(fd, b"quit\n")
        until(r"221 test-sample\.jp closing connection\.")
    finally:
        os.close(fd)
        os.waitpid(pid, 0)


def test_enhanced_codes_by_default(live):
    with live.connect() as t:
        assert "ENHANCEDSTATUSCODES" in t.ehlo().text
        assert t.cmd("AUTH PLAIN " + USER1).text == "235 2.7.0 Authentication successful."
        assert t.cmd("MAIL FROM:<user2@test-sample.jp>").text == "550 5.7.1 Please mail to a valid e-mail address."
        assert t.mail(content="From: user2@test-sample.jp\r\n\r\nx\r\n").text.startswith("552 5.7.1 Requested mail action")


def test_every_command(live):
    with live.connect() as t:
        assert t.reply().code == 220
        for line, code in [("HELO", 250), ("HELO client.example", 250), ("EHLO client.example", 250), ("NOOP", 250),
                           ("NOOP x", 250), ("RSET", 250), ("VRFY user1", 252), ("HELP", 214), ("EXPN x", 502),
                           ("TURN", 502), ("WHAT", 500), ("MAIL FROM:<user1@test-sample.jp>", 530),
                           ("AUTH NTLM", 504), ("AUTH PLAIN " + USER1, 235), ("RCPT TO:<a@b.example>", 503), ("DATA", 503),
                           ("mail from:<user1@test-sample.jp>", 250), ("DATA", 503),
                           ("MAIL FROM:<user1@test-sample.jp>", 503), ("RCPT TO:<a@b.example>", 250), ("RSET", 250),
                           ("DATA", 503), ("MAIL FROM:<user1@test-sample.jp> FOO=1", 555)]:
            reply = t.cmd(line)
            if reply.code != code and code in (502, 500):  # which of the two a verb we never had gets is a matter of taste
                assert reply.code in (500, 502), (line, reply)
                continue
            assert reply.code == code, (line, reply)
        assert t.cmd("QUIT").code == 221
        assert t.rest() == b""


def test_ehlo_says_what_works_now(gate, tls_client):
    gate.set("listen submission", plaintext_auth="none").start()
    with gate.connect() as t:
        before = t.ehlo().lines
        assert {line[4:].split()[0] for line in before[1:]} == {
            "PIPELINING", "SIZE", "8BITMIME", "STARTTLS", "ENHANCEDSTATUSCODES"}
        assert t.cmd("AUTH PLAIN " + USER1).text.startswith("538 5.7.11")
        assert t.cmd("STARTTLS").code == 220
        t.starttls(tls_client, "mail.test-sample.jp")
        after = t.cmd("EHLO client.example").lines
        assert {line[4:].split()[0] for line in after[1:]} == {
            "PIPELINING", "SIZE", "8BITMIME", "AUTH", "ENHANCEDSTATUSCODES"}
        assert "250 AUTH PLAIN LOGIN CRAM-MD5" in after[-1]
        assert t.cmd("AUTH PLAIN " + USER1).code == 235
        assert "AUTH" not in t.cmd("EHLO client.example").text


def test_starttls_forgets_all_before(live, tls_client):
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("STARTTLS").code == 220
        t.starttls(tls_client, "mail.test-sample.jp")
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 503  # no EHLO yet on this side
        assert t.cmd("EHLO x").code == 250
        assert t.cmd("STARTTLS").code == 503
    with live.connect() as t:
        t.login()
        assert t.cmd("STARTTLS").code == 503  # R27


def test_plaintext_behind_starttls_is_dropped(live, tls_client):
    with live.connect() as t:
        t.ehlo()
        t.send("STARTTLS\r\nEHLO injected\r\nAUTH PLAIN " + USER1 + "\r\n")
        reply = t.reply()
        if reply.code != 220:
            return  # refused as a whole is as good
        try:
            t.starttls(tls_client, "mail.test-sample.jp")
        except (ssl.SSLError, ConnectionError):
            return
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code in (503, 530)
        assert t.cmd("NOOP").code == 250


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_tls_versions(live, certs, version):
    old = "libmbedtls.so.14" in house.run("ldd", house.BINARY).stdout  # 2.28 speaks TLS 1.2 at most
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    t = talk.Talk(("127.0.0.1", live.tls_port))
    if old and version == "TLSv1_3":
        with pytest.raises((ssl.SSLError, ConnectionError)):
            t.starttls(context, "mail.test-sample.jp")
        return
    t.starttls(context, "mail.test-sample.jp")
    assert t.sock.version() == version.replace("_", ".")
    assert t.login().mail().code == 250
    assert f"{version.replace('_', '.')} cipher " in live.sink.wait().content.decode()
    t.close()


def test_several_listeners_and_both_families(gate, sink, ports, tls_client):
    other, six = ports.one(), ports.one()
    gate.set("listen submission", address=f"127.0.0.1:{gate.port}, 127.0.0.1:{other}, [::1]:{six}")
    gate.start()
    for address in (("127.0.0.1", gate.port), ("127.0.0.1", other), ("::1", six)):
        with talk.Talk(address) as t:
            assert t.login().mail().code == 250
    with talk.Talk(("127.0.0.1", gate.tls_port)) as t:
        t.starttls(tls_client, "mail.test-sample.jp")
        assert t.login().mail().code == 250
    sink.wait(4)
    contents = [m.content.decode() for m in sink.mails]
    assert sum("[IPv6:::1]" in c for c in contents) == 1
    assert sum("with ESMTPSA" in c for c in contents) == 1
    assert sum("with ESMTPA\r\n" in c for c in contents) == 3


def test_listener_without_tls(gate, sink):
    gate.set("listen submission", tls="none").start()
    with gate.connect() as t:
        assert "STARTTLS" not in t.ehlo().text
        assert t.cmd("STARTTLS").code in (502, 503, 454)


def test_pipelining_in_one_piece(live):
    with live.connect() as t:
        assert "PIPELINING" in t.ehlo().text
        assert t.cmd("AUTH PLAIN " + USER1).code == 235
        for n in range(3):
            t.send("MAIL FROM:<user1@test-sample.jp>\r\nRCPT TO:<a@example.net>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
            assert [t.reply().code for _ in range(4)] == [250, 250, 250, 354]
            t.send(f"From: user1@test-sample.jp\r\nSubject: {n}\r\n\r\nx\r\n.\r\n")
            assert t.reply().code == 250
        t.send("NOOP\r\nRSET\r\nQUIT\r\n")
        assert [t.reply().code for _ in range(3)] == [250, 250, 221]
    live.sink.wait(3)
    assert all(m.to == ["a@example.net", "b@example.net"] for m in live.sink.mails)


def test_refused_mail_opens_nothing_pipelined(live):
    """R29: never 354 behind a refused MAIL; what was meant as content is not executed (R34)."""
    with live.login() as t:
        t.send("MAIL FROM:<user2@test-sample.jp>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n")
        codes = [t.reply().code for _ in range(3)]
        assert codes == [550, 503, 503], codes
        assert t.mail().code == 250


def test_size(gate, sink):
    gate.set("server", max_message_size="64K").start()
    with gate.connect() as t:
        assert re.search(r"^250[- ]SIZE 65536$", t.ehlo().text, re.M)
        assert t.cmd("AUTH PLAIN " + USER1).code == 235
        assert t.cmd("MAIL FROM:<user1@test-sample.jp> SIZE=65537").text.startswith("552 5.3.4")
        assert t.cmd("RCPT TO:<a@example.net>").code == 503
        line = "x" * 70 + "\r\n"
        reply = t.mail(content="From: user1@test-sample.jp\r\n\r\n" + line * 2000)
        assert reply.text.startswith("552 5.3.4"), reply
        assert t.cmd("MAIL FROM:<user1@test-sample.jp> SIZE=1000 BODY=8BITMIME").code == 250
        assert t.cmd("RCPT TO:<a@example.net>").code == 250
        assert t.data("From: user1@test-sample.jp\r\n\r\nfits\r\n").code == 250
    assert b"fits" in sink.wait().content
    assert len(sink.mails) == 1


def test_bytes_stay_as_they_came(live):
    """R68, 8BITMIME and transparency: only fields in front are added."""
    body = (b"From: user1@test-sample.jp\r\nSubject: =?utf-8?b?44GC?=\r\nX-Odd:\tx \r\n\r\n" + "日本語\r\n".encode() +
            b"..two dots\r\n...three\r\n \r\n" + bytes(range(128, 256)) + b"\r\n" + b"x" * 990 + b"\r\n\r\n\r\nend\r\n")
    with live.login() as t:
        assert t.cmd("MAIL FROM:<user1@test-sample.jp> BODY=8BITMIME").code == 250
        assert t.cmd("RCPT TO:<friend@example.net>").code == 250
        assert t.data(body).code == 250
    mail = live.sink.wait()
    arrived = mail.content
    assert arrived.endswith(body.replace(b"\r\n..", b"\r\n.")), arrived
    front = arrived[:-len(body.replace(b"\r\n..", b"\r\n."))].decode("ascii")
    assert front.startswith("Received: from client.example")
    assert re.search(r"\(\[127\.0\.0\.1\]\)\s+by mail\.test-sample\.jp\s+with ESMTPA\s+id [A-Z0-9]{11}\s", front)
    assert re.search(r"^Authentication-Results: mail\.test-sample\.jp;", front, re.M)
    assert "smtp.auth=user1@test-sample.jp" in front and "smtp.mailfrom=user1@test-sample.jp" in front
    assert mail.sender == "user1@test-sample.jp" and mail.to == ["friend@example.net"]


def test_one_queue_id_everywhere(live):
    """R31: shown in 354, 250, Received and log."""
    with live.login() as t:
        t.cmd("MAIL FROM:<user1@test-sample.jp>")
        t.cmd("RCPT TO:<a@example.net>")
        given = re.search(r"id <(\w+)>", t.cmd("DATA").text)[1]
        t.send("From: user1@test-sample.jp\r\n\r\nx\r\n.\r\n")
        assert t.reply().text == f"250 2.0.0 <{given}>... Message accepted for delivery."
    assert f"id {given}\r\n" in live.sink.wait().content.decode()
    live.wait_log(rf"message id={given} verdict=accepted")
    live.wait_log(rf"delivery id={given} status=delivered")


@pytest.mark.parametrize("ending", ["\n.\n", "\r\n.\n", "\n.\r\n", "\r.\r", "\r\n.\r", "\r.\r\n", "\r\n\0.\r\n"])
def test_smuggled_ends_of_data(live, ending):
    """R31: only CRLF.CRLF ends; never a second message out of one."""
    with live.login() as t:
        for line in ("MAIL FROM:<user1@test-sample.jp>", "RCPT TO:<a@example.net>"):
            assert t.cmd(line).code == 250
        assert t.cmd("DATA").code == 354
        t.send("From: user1@test-sample.jp\r\n\r\nfirst" + ending + "MAIL FROM:<user1@test-sample.jp>\r\n"
               "RCPT TO:<victim@example.net>\r\nDATA\r\nFrom: user1@test-sample.jp\r\n\r\nsmuggled\r\n.\r\n")
        reply = t.reply()
        assert reply.text.startswith("550 5.6.0"), reply
        assert t.cmd("NOOP").code == 250
        assert t.mail(content="From: user1@test-sample.jp\r\n\r\nhonest\r\n").code == 250
    live.sink.wait()
    live.empty()
    assert [b"honest" in m.content for m in live.sink.mails] == [True]


def test_bdat_closes(live):
    """R33: chunk bytes never become commands."""
    with live.login() as t:
        t.cmd("MAIL FROM:<user1@test-sample.jp>")
        t.cmd("RCPT TO:<a@example.net>")
        t.send("BDAT 6 LAST\r\nRSET\r\n")
        assert t.reply().code == 502
        assert t.rest() == b""


def test_after_552_the_session_goes_on_clean(live):
    """R32, R36: three mails of one session never influence each other."""
    with live.login() as t:
        assert t.mail(content="From: user2@test-sample.jp\r\n\r\nforged\r\n").code == 552
        assert t.mail(sender="user2@test-sample.jp").code == 550
        assert t.mail(content="From: user1@test-sample.jp\r\n\r\ngood\r\n").code == 250
        assert t.mail(content="Subject: none\r\n\r\nno from\r\n").code == 552
        assert t.mail(to=["b@example.net"], content="From: user1@test-sample.jp\r\n\r\nagain\r\n").code == 250
    live.sink.wait(2)
    live.empty()
    assert sorted(m.to[0] for m in live.sink.mails) == ["b@example.net", "friend@example.net"]


def test_many_recipients(gate, sink):
    gate.set("server", max_recipients=3).start()
    with gate.login() as t:
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 250
        replies = [t.cmd(f"RCPT TO:<r{n}@example.net>") for n in range(4)]
        assert [r.code for r in replies] == [250, 250, 250, 452]
        assert replies[3].text.startswith("452 4.5.3")
        assert t.data("From: user1@test-sample.jp\r\n\r\nx\r\n").code == 250
    assert sink.wait().to == ["r0@example.net", "r1@example.net", "r2@example.net"]


def test_japanese_legacy_recipients(live):
    """R67: forwarded unchanged."""
    odd = ["a..b@docomo.ne.jp", ".a@docomo.ne.jp", "a.@ezweb.ne.jp"]
    with live.login() as t:
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 250
        assert [t.cmd(f"RCPT TO:<{r}>").code for r in odd] == [250] * 3
        t.cmd("RSET")
        assert t.cmd("MAIL FROM:<us\xe9r1@test-sample.jp>").text.startswith(("553 5.6.7", "501"))
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 250
        assert t.cmd("RCPT TO:<\xe3\x81\x82@example.net>").text.startswith(("553 5.6.7", "501"))


def test_loop_is_broken(live):
    """R51."""
    hops = "".join(f"Received: from a by b; {n}\r\n" for n in range(26))
    with live.login() as t:
        assert t.mail(content=hops + "From: user1@test-sample.jp\r\n\r\nx\r\n").text.startswith("554 5.4.6")
        hops = hops.split("\r\n", 1)[1]
        assert t.mail(content=hops + "From: user1@test-sample.jp\r\n\r\nx\r\n").code == 250


def test_silence_ends_a_session(gate):
    gate.set("limits", command_timeout="1s").start()
    with gate.connect() as t:
        assert t.reply().code == 220
        assert t.reply().text.startswith("421 4.4.2")
        assert t.rest() == b""
    gate.wait_log(r"session end=timeout")


def test_too_many_sessions(gate):
    gate.set("server", max_sessions=3).start()
    gate.settled()
    talks = [gate.connect() for _ in range(3)]
    assert [t.reply().code for t in talks] == [220] * 3
    with gate.connect() as t:
        assert t.reply().text.startswith("421 4.3.2")
    talks.pop().close()
    house.wait_for("a place to be free again", lambda: gate.connect().reply().code == 220)
    for t in talks:
        t.close()


def test_sessions_per_client(gate):
    gate.set("limits", sessions_per_client=2).start()
    gate.settled()
    talks = [gate.connect() for _ in range(2)]
    assert [t.reply().code for t in talks] == [220] * 2
    with gate.connect() as t:
        assert t.reply().code == 421
    for t in talks:
        t.close()


def test_sigterm_leaves_in_under_a_second(live):
    """Idle sessions get their 421; the bound is procd's at system shutdown."""
    idle = [live.connect() for _ in range(5)]
    assert [t.reply().code for t in idle] == [220] * 5
    start = time.monotonic()
    assert live.stop() == 0
    took = time.monotonic() - start
    assert [t.reply().code for t in idle] == [421] * 5
    # Not a timed assertion on a busy machine: a program that waits for a timeout of its own takes seconds.
    assert took < 5
    live.wait_log(r"session end=shutdown")
