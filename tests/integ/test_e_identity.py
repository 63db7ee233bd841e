"""e. Identities, what test_9_attacks.py and test_4_trust.py leave open: R6, R10, R12, R20, R24-R27, R61, and mapped addresses (R14)."""

import base64
import hashlib
import hmac
import socket

import pytest

import talk

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
NOBODIES = [b"", b" ", b" user1", b"user1 ", b"user1\0", b"\0user1", b"user10", b"user", b"user1@", b"@test-sample.jp", b"user1@test-sample.jp.",
            b"user1@test-sample.jp.evil.example", b"user1@[127.0.0.1]", b"user1@sub.test-sample.jp", b"user1%test-sample.jp", b"test-sample.jp!user1",
            b"<user1@test-sample.jp>", b"@a:user1@test-sample.jp", b"user1\r\n", b"user1,user2", b"us\xe9r1", b"info@test-sample.jp", b"*"]


def b64(data):
    return base64.b64encode(data).decode()


@pytest.fixture
def patient(gate, sink):
    gate.sink = sink
    return gate.set("limits", auth_failures=20).start()


@pytest.mark.parametrize("user", NOBODIES)
def test_nobody_by_login_and_cram(patient, user):
    """The empty and the blank ID, NUL, prefixes and the rest, by the other two mechanisms."""
    with patient.connect() as t:
        t.ehlo()
        for line in ("AUTH LOGIN", "AUTH LOGIN " + (b64(user) or "=")):
            reply = t.cmd(line)
            if reply.code == 334 and line == "AUTH LOGIN":
                reply = t.cmd(b64(user))
            if reply.code == 334:
                reply = t.cmd(b64(b"user1234"))
            assert reply.code in (501, 535), (user, line, reply)
        challenge = t.cmd("AUTH CRAM-MD5")
        digest = hmac.new(b"user1234", base64.b64decode(challenge.text[4:]), hashlib.md5).hexdigest().encode()
        assert t.cmd(b64(user + b" " + digest)).code in (501, 535), user
        assert t.cmd(f"MAIL FROM:<{U1}>").code == 530


def test_starttls_and_auth_in_any_order(patient, tls_client):
    with patient.connect() as t:
        t.login()
        assert t.cmd("STARTTLS").code == 503
        assert t.mail().code == 250
    with patient.connect() as t:
        t.ehlo()
        t.send("STARTTLS\r\nAUTH PLAIN " + talk.plain(U1, "user1234") + "\r\n")
        assert t.reply().code == 220
        try:  # what came behind STARTTLS in clear is dropped, or the session is
            t.starttls(tls_client, "localhost")
            t.cmd("EHLO x")
            assert t.cmd(f"MAIL FROM:<{U1}>").code in (530, 0)
        except OSError:
            pass


def test_old_sessions_keep_their_rules(gate, sink):
    """R20, R1: a change of level, of an account's own level, and of its aliases, while sessions are open."""
    assert gate.set("trust", level="auth=envelope").write().cmd("passwd", "--cram-md5", "--level", "auth", U2, input="user2345\n").returncode == 0
    gate.start()
    with gate.login() as old, gate.login(U2, "user2345") as lax:
        def forged(t):
            return t.mail(content=f"From: {U2}\r\n\r\nx\r\n").code, t.mail(sender="info@test-sample.jp", content=f"From: {U1}\r\n\r\nx\r\n").code

        assert forged(old) == (250, 250)
        assert lax.mail(sender=U1).code == 250
        gate.set("trust", level="auth=envelope=from")
        gate.sections["alias"]["info@test-sample.jp"] = U2
        gate.write()
        assert gate.cmd("passwd", "--level", "auth=envelope=from", U2, input="user2345\n").returncode == 0
        assert gate.cmd("reload").returncode == 0
        assert forged(old) == (250, 250)
        assert lax.mail(sender=U1).code == 250
        with gate.login() as new, gate.login(U2, "user2345") as strict:
            assert forged(new) == (552, 550)
            assert strict.mail(sender=U1).code == 550
            assert strict.mail(sender="info@test-sample.jp").code == 250
        # In the middle of a transaction as well.
        for line, code in ((f"MAIL FROM:<{U1}>", 250), ("RCPT TO:<a@example.net>", 250)):
            assert old.cmd(line).code == code
        assert gate.cmd("reload").returncode == 0
        assert old.data(f"From: {U2}\r\n\r\nx").code == 250


OWN_ONES = {  # R10: fields besides From: <user1>, and whether they pass at level 3
    f"Sender: {U1}": True, "Sender: Info <info@test-sample.jp>": True, f"Sender: {U2}": False, "Sender:": False, "Sender: nobody": False,
    f"Sender: {U1}\r\nSender: {U1}": False, f"Sender: {U1}, {U2}": False, f"Sender: {U2} ({U1})": False, f"SENDER : {U2}": False,
    f"Resent-From: {U1}": True, f"Resent-From: {U2}": False, f"Resent-Sender: {U2}": False, f"Resent-From: {U1}\r\nResent-Sender: {U2}": False,
    f"Resent-From: {U1}\r\nResent-From: {U2}": False, f"Resent-To: {U2}\r\nResent-Date: Thu, 1 Jan 1970 00:00:00 +0000": True,
    f"Reply-To: {U2}": True, f"X-Sender: {U2}": True, f"Errors-To: {U2}": True,
}


def test_sender_and_resent(live):
    for fields, good in OWN_ONES.items():
        for text in (f"From: {U1}\r\n{fields}", f"{fields}\r\nFrom: {U1}"):
            with live.login() as t:
                assert t.mail(content=text + "\r\n\r\nx\r\n").code == (250 if good else 552), text
    with live.login() as t:
        for field in ("Sender", "Resent-From", "Resent-Sender", "Reply-To"):
            assert t.mail(content=f"From: {U2}\r\n{field}: {U1}\r\n\r\nx\r\n").code == 552, field


@pytest.mark.parametrize("separator", ["+", "-"])
def test_an_account_with_the_separator_in_its_name(gate, sink, separator):
    """R12: its address is its own, and nobody's sub-address; nor is a longer one cut shorter than it must."""
    lists = f"user1{separator}lists@test-sample.jp"
    assert gate.set("trust", subaddress=separator).write().cmd("passwd", "--cram-md5", lists, input="lists123\n").returncode == 0
    gate.start()
    own = {U1: ["user1", f"user1{separator}x", f"user1{separator}x{separator}y", f"USER1{separator}list", f"user1{separator}"],
           lists: [f"user1{separator}lists", f"User1{separator}Lists{separator}x"]}
    other = "-" if separator == "+" else "+"
    foreign = [f"user1{other}x", f"{separator}user1", f"user2{separator}x", f"x{separator}user1"]
    for user, password in ((U1, "user1234"), (lists, "lists123")):
        for name, names in own.items():
            for local in names:
                with gate.login(user, password) as t:
                    assert t.mail(sender=f"{local}@test-sample.jp").code == (250 if name == user else 550), (user, local)
        with gate.login(user, password) as t:
            for local in foreign:
                assert t.mail(sender=f"{local}@test-sample.jp").code == 550, (user, local)
            assert t.mail(sender=f"user1{separator}x@example.net").code == 550
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(f"user1{separator}x@test-sample.jp", "user1234")).code == 535


def test_mapped_addresses_open_nothing(gate, sink, ports):
    """An IPv4 address in IPv6 clothes is that address, in the file as on the wire; a network of them all is everybody."""
    for section in ("peer all", "device all"):
        gate.sections.pop("peer all", None)
        gate.set(section, ip="::ffff:0.0.0.0/96", **({"sender": "mfp1@test-sample.jp"} if section.startswith("device") else {})).write()
        result = gate.cmd("check")
        assert result.returncode == 78 and "too wide" in result.stderr + result.stdout, result
        gate.sections.pop(section)
    port = ports.one()
    gate.set("listen submission", auth="optional", address=f"127.0.0.1:{gate.port}, [::1]:{port}")
    gate.set("peer mailserver", ip="::ffff:127.0.0.3").start()

    def code(host, port, source):
        with talk.Talk(sock=socket.create_connection((host, port), 30, (source, 0))) as t:
            t.ehlo()
            return t.cmd(f"MAIL FROM:<{U1}>").code

    assert code("127.0.0.1", gate.port, "127.0.0.3") == 250
    assert code("127.0.0.1", gate.port, "127.0.0.1") == 530
    assert code("::1", port, "::1") == 530
    with talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30)) as t:
        assert t.reply().code == 220
        t.cmd("EHLO [IPv6:::ffff:127.0.0.3]")
        assert t.cmd(f"MAIL FROM:<{U1}>").code == 530


def test_an_old_telephone_by_cram_md5(gate, sink):
    """R61: each answer of its differs; that it locks its owner out from there, and nobody else, is what the manual says."""
    gate.set("limits", lockout_after=3, lockout_allow="none", lockout_time="1h", auth_failures=20).start()

    def login(user, password, source="127.0.0.7"):
        with talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, (source, 0))) as t:
            t.ehlo()
            return t.cmd("AUTH PLAIN " + talk.plain(user, password)).code

    for _ in range(12):
        with talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, ("127.0.0.7", 0))) as t:
            t.ehlo()
            assert t.cram_md5(U1, "old").code == 535
    assert login(U1, "user1234") == 535
    assert login(U2, "user2345") == 235
    assert login(U1, "user1234", "127.0.0.8") == 235
