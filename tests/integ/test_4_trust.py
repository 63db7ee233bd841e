"""4. What you may say (R1-R9, R11, R13, R14, R16, R21): the matrix over live sessions, and the same by `sekimori trust`."""

import json
import re
import socket

import pytest

import from_corpus
import talk

U1, U2, MFP = "user1@test-sample.jp", "user2@test-sample.jp", "mfp1@test-sample.jp"
LEVELS = ["auth", "auth=envelope", "auth=envelope=from"]
# By the address they come from (see house_of_all).
SOURCES = {"A": "127.0.0.1", "U": "127.0.0.1", "D": "127.0.0.2", "P": "127.0.0.3"}


@pytest.fixture
def house_of_all(gate, sink):
    """A listener where account, device, trusted peer and nobody may come, each by an address of its own."""
    gate.sink = sink
    gate.set("listen submission", auth="optional")
    gate.set("device mfp1", ip=SOURCES["D"], sender=MFP)
    gate.set("peer mailserver", ip=SOURCES["P"])
    return gate


def enter(gate, who):
    t = talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, (SOURCES[who], 0)))
    if who == "A":
        t.login()
    else:
        t.ehlo()
    return t


OWN = [U1, "USER1@Test-Sample.JP", '"user1"@test-sample.jp', "info@test-sample.jp", "sales@test-sample.jp"]
FOREIGN = [U2, "someone@example.net", "support@test-sample.jp", "user10@test-sample.jp", "xuser1@test-sample.jp",
           U1 + ".evil.example", "user1@sub.test-sample.jp", "user1@[192.168.0.103]"]
# MAIL FROM: the codes for A at levels 1, 2, 3; D at 2 and 3; P; U.
MATRIX = [(sender, (250, 250, 250), 550, 250, 530) for sender in OWN]
MATRIX += [(sender, (250, 550, 550), 550, 250, 530) for sender in FOREIGN]
MATRIX += [(MFP, (250, 550, 550), 250, 250, 530), ("", (250, 250, 250), 550, 250, 530)]


@pytest.mark.parametrize("level", [1, 2, 3])
def test_matrix_of_mail_from(house_of_all, level):
    gate = house_of_all.set("trust", level=LEVELS[level - 1])
    gate.set("alias", **{"support@test-sample.jp": U2}).start()
    for sender, account, device, peer, nobody in MATRIX:
        expected = {"A": account[level - 1], "P": peer, "U": nobody}
        if level > 1:
            expected["D"] = device
        for who, code in expected.items():
            with enter(gate, who) as t:
                reply = t.cmd(f"MAIL FROM:<{sender}>")
                assert reply.code == code, (who, sender, reply)
                if code == 550:
                    assert reply.text == "550 5.7.1 Please mail to a valid e-mail address."
                # Nothing is open after a refusal, and AUTH stays.
                assert t.cmd("RCPT TO:<a@example.net>").code == (250 if code == 250 else 503)
                if code != 250 and who == "A":
                    assert t.cmd(f"MAIL FROM:<{U1}>").code == 250


HEADERS = {  # From:, and the codes for A at levels 1, 2, 3; then with an empty envelope at 1, 2, 3
    "own": (f"From: {U1}\r\n", (250, 250, 250), (250, 250, 250)),
    "own alias": ("From: Info <info@test-sample.jp>\r\n", (250, 250, 250), (250, 250, 250)),
    "other": (f"From: {U2}\r\n", (250, 250, 552), (250, 552, 552)),
    "external": ("From: someone@example.net\r\n", (250, 250, 552), (250, 552, 552)),
    "missing": ("Subject: x\r\n", (250, 250, 552), (250, 552, 552)),
    "empty": ("From:\r\n", (250, 250, 552), (250, 552, 552)),
    "malformed": ("From: <\r\n", (250, 250, 552), (250, 552, 552)),
    "several": (f"From: {U1}, {U2}\r\n", (250, 250, 552), (250, 552, 552)),
    "duplicate": (f"From: {U1}\r\nFrom: {U1}\r\n", (250, 250, 552), (250, 552, 552)),
    "group": (f"From: G:{U1};\r\n", (250, 250, 552), (250, 552, 552)),
    "route": (f"From: <@a:{U1}>\r\n", (250, 250, 552), (250, 552, 552)),
    "8-bit address": ("From: us\xe9r1@test-sample.jp\r\n", (250, 250, 552), (250, 552, 552)),
}


@pytest.mark.parametrize("level", [1, 2, 3])
def test_matrix_of_from(live_at, level):
    gate = live_at(level)
    accepted = 0
    with gate.login() as t:
        for name, (header, with_sender, without) in HEADERS.items():
            for sender, codes in ((U1, with_sender), ("", without)):
                reply = t.mail(sender=sender, content=header + "\r\nx\r\n")
                assert reply.code == codes[level - 1], (name, sender, reply)
                if reply.code == 552:
                    assert reply.text == "552 5.7.1 Requested mail action aborted: caught by the filter setting."
                accepted += reply.code == 250
    gate.sink.wait(accepted)
    gate.empty()
    assert len(gate.sink.mails) == accepted


@pytest.fixture
def live_at(gate, sink):
    def start(level):
        gate.sink = sink
        return gate.set("trust", level=LEVELS[level - 1]).start()
    return start


@pytest.fixture(scope="module")
def corpus_gate(tmp_path_factory, ports, certs, accounts_text):
    """One gate for the whole corpus, so that no case can leave anything behind for the next one."""
    import house
    import upstream
    gate = house.Gate(tmp_path_factory.mktemp("corpus"), ports, certs, accounts_text)
    gate.set("limits", sessions_per_client=100)
    gate.sink = upstream.Sink(gate.upstream_port)
    gate.start()
    gate.talk = gate.login()
    yield gate
    gate.talk.close()
    gate.finish()
    gate.sink.close()


def session_code(gate, header):
    """A fresh session when the last one was ended for too many refusals, which twenty are."""
    reply = gate.talk.mail(content=from_corpus.message(header))
    if reply.code in (0, 421):
        gate.talk.close()
        gate.talk = gate.login()
        reply = gate.talk.mail(content=from_corpus.message(header))
    return reply


@pytest.mark.parametrize("name,good,header", from_corpus.CASES, ids=[c[0] for c in from_corpus.CASES])
def test_corpus_live_and_by_command(corpus_gate, name, good, header):
    """R73: `sekimori trust` gives the verdict of a live session."""
    gate = corpus_gate
    reply = session_code(gate, header)
    message = gate.dir / "message"
    message.write_bytes(from_corpus.message(header))
    by_command = gate.cmd("trust", "user1", U1, message)
    assert reply.code == (250 if good else 552), (name, reply, by_command)
    assert by_command.returncode == (0 if good else 1), (name, by_command)
    if not good:
        # Both give the same reason.
        line = [line for line in gate.lines("message") if "code=552" in line][-1]
        assert re.search(r"reason=([\w-]+)", line)[1] in by_command.stdout, (line, by_command)


def test_trust_command_on_envelopes(gate):
    gate.write()
    for account, sender, good in (("user1", U1, True), ("user1", U2, False), ("user1", "info@test-sample.jp", True),
                                  ("User1@Test-Sample.JP", "<" + U1 + ">", True), ("user2", "info@test-sample.jp", False),
                                  ("user2", "sales@test-sample.jp", True), ("-", U1, False), ("nobody", U1, False)):
        text = f"From: {sender.strip('<>')}\r\n\r\nx\r\n"
        result = gate.cmd("trust", account, sender, "-", input=text)
        assert result.returncode == (0 if good else 1), (account, sender, result)
        assert result.stdout.strip()
    assert gate.cmd("trust", "user1").returncode == 64


def test_level_of_an_account(gate, sink):
    """R1: an account may carry its own level; a lower one is said at start."""
    assert gate.write().cmd("passwd", "--cram-md5", "--level", "auth", "user2@test-sample.jp",
                            input="user2345\n").returncode == 0
    gate.start()
    with gate.login("user2", "user2345") as t:
        assert t.mail(sender="anybody@example.org").code == 250
    with gate.login() as t:
        assert t.mail(sender=U2).code == 550
    gate.wait_log(r"user2@test-sample\.jp has level auth, lower than")


def test_missing_level_is_one_and_says_so(gate, sink):
    """R19."""
    gate.set("trust", level=None).start()
    with gate.login() as t:
        assert t.mail(sender="anybody@example.org").code == 250
    gate.wait_log(r"level is missing.*impersonate")


@pytest.mark.parametrize("word,level", [("1", 1), ("2", 2), ("3", 3)])
def test_levels_by_number(gate, sink, word, level):
    gate.set("trust", level=word).start()
    with gate.login() as t:
        assert t.mail(sender=U2).code == (250 if level == 1 else 550)
        assert t.mail(content=f"From: {U2}\r\n\r\nx\r\n").code == (552 if level == 3 else 250)


def test_aliases(gate, sink):
    """R7."""
    gate.start()
    with gate.login() as t:
        assert t.mail(sender="info@test-sample.jp").code == 250
        assert t.mail(sender="sales@test-sample.jp", content=f"From: {U1}\r\n\r\nx\r\n").code == 250
    with gate.login("user2", "user2345") as t:
        assert t.mail(sender="info@test-sample.jp").code == 550
        assert t.mail(sender="sales@test-sample.jp").code == 250


def test_from_alias_no(gate, sink):
    gate.set("trust", from_alias="no").start()
    with gate.login() as t:
        assert t.mail(sender="info@test-sample.jp", content=f"From: {U1}\r\n\r\nx\r\n").code == 250
        assert t.mail(sender="info@test-sample.jp").code == 552


def test_match_exact(gate, sink):
    gate.set("trust", match="exact").start()
    with gate.login() as t:
        assert t.mail(sender="info@test-sample.jp").code == 250
        assert t.mail(sender="info@test-sample.jp", content=f"From: {U1}\r\n\r\nx\r\n").code == 552
        assert t.mail().code == 250


@pytest.mark.parametrize("setting,codes", [("from", (250, 552)), ("deny", (550, 550)), ("allow", (250, 250))])
@pytest.mark.parametrize("level", [2, 3])
def test_null_sender(gate, sink, setting, codes, level):
    """R11."""
    gate.set("trust", null_sender=setting, level=level).start()
    with gate.login() as t:
        assert t.mail(sender="", content=f"From: {U1}\r\n\r\nx\r\n").code == codes[0]
        reply = t.mail(sender="", content=f"From: {U2}\r\n\r\nx\r\n")
        # `allow` is about the envelope: at level 3, From: is still judged.
        assert reply.code == codes[1] or (setting == "allow" and level == 3 and reply.code == 552), reply


def test_trusted_peer_sends_as_anybody(house_of_all):
    """R16."""
    gate = house_of_all.start()
    with enter(gate, "P") as t:
        assert t.mail(sender="anybody@example.org", content="Subject: no from\r\n\r\nx\r\n").code == 250
        assert t.mail(sender="", content="From: <>\r\n\r\nx\r\n").code == 250
    gate.wait_log(r"message .*verdict=accepted.*trust=peer")
    gate.sink.wait(2)


def test_device_sends_as_itself(house_of_all):
    gate = house_of_all.start()
    with enter(gate, "D") as t:
        assert t.mail(sender=MFP).code == 250
        assert t.mail(sender=MFP, content=f"From: {U1}\r\n\r\nx\r\n").code == 552
        assert t.cmd("AUTH PLAIN " + talk.plain(MFP, "x")).code == 535
        # AUTH, when used, wins.
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 235
        assert t.mail(sender=U1).code == 250
    gate.wait_log(r"message .*trust=device")


def test_everybody_is_no_peer(gate):
    for network in ("0.0.0.0/0", "::/0"):
        gate.set("peer all", ip=network).write()
        result = gate.cmd("check")
        assert result.returncode == 78 and f"{gate.path}:" in result.stderr, result


def test_no_auth_no_sending_whatever_the_recipient(live):
    """R13, R14."""
    with live.connect() as t:
        t.ehlo()
        for sender in (U1, "", "someone@example.net", "@[127.0.0.1]:" + U1, "user1%test-sample.jp@x.example", "postmaster"):
            assert t.cmd(f"MAIL FROM:<{sender}>").code in (530, 501, 553), sender
    with live.login() as t:
        for to in (U2, "friend@example.net"):
            assert t.mail(sender=U2, to=[to]).code == 550
            assert t.mail(to=[to], content=f"From: {U2}\r\n\r\nx\r\n").code == 552


@pytest.mark.parametrize("action", ["log", "tag"])
def test_dry_run(gate, sink, action):
    """R21: evaluated and logged, or marked; never weaker than AUTH."""
    gate.set("trust", action=action).start()
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd(f"MAIL FROM:<{U1}>").code == 530
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 235
        assert t.mail(sender=U2).code == 250
        assert t.mail(content=f"From: {U2}\r\n\r\nx\r\n").code == 250
        assert t.mail().code == 250
    gate.wait_log(r"message .*would=", 2)
    sink.wait(3)
    marked = sum(b"X-Sekimori-Verdict:" in m.content for m in sink.mails)
    assert marked == (2 if action == "tag" else 0)


def test_nothing_reaches_the_upstream_before_the_verdict(live):
    """R5: not even a connection."""
    with live.login() as t:
        big = "x" * 70 + "\r\n"
        assert t.mail(content=f"From: {U2}\r\n\r\n" + big * 20000).code == 552
    assert live.sink.keeper.connections == 0
    assert "connections" in json.dumps(live.json("status")) or live.sink.keeper.connections == 0


def test_name_that_looks_like_somebody_else_is_logged(live):
    """R9."""
    with live.login() as t:
        assert t.mail(content=f'From: "{U2}" <{U1}>\r\n\r\nx\r\n').code == 250
    live.wait_log(r"message .*display_addr=1")
