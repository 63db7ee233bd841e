"""[relay] mode = direct: the client hears the upstream's own answer, nothing touches the disk, and nothing leaves before the verdict."""

import hashlib
import socket
import threading

import pytest

import house
import upstream

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
BIG = "x" * 76 + "\r\n"


def head(sender=U1, **fields):
    return f"From: {sender}\r\nSubject: direct\r\n" + "".join(f"{k}: {v}\r\n" for k, v in fields.items()) + "\r\n"


def files(gate):
    """The spool's files: any write shows in one of these."""
    return {p.name: (p.stat().st_mtime_ns, hashlib.sha256(p.read_bytes()).hexdigest())
            for p in (gate.dir / "spool").iterdir() if p.is_file()}


@pytest.fixture
def direct(gate):
    return gate.set("relay", mode="direct")


@pytest.fixture
def only(gate):
    return gate.set("relay", mode="direct-only")


def begin(t, sender=U1, to=("x@example.com",)):
    for line in [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in to] + ["DATA"]:
        reply = t.cmd(line)
    assert reply.code == 354, reply
    return t


def test_the_answer_is_the_upstreams_and_the_disk_is_left_alone(direct, closing):
    up = closing(upstream.Script(direct.upstream_port, data="250 2.6.0 Ok: queued as 4ZZ9"))
    direct.start()
    before = files(direct)
    with direct.login() as t:
        for n in range(5):
            reply = t.mail(content=head() + BIG * 2000)
            assert reply.code == 250 and reply.text.startswith("250 2.6.0 <B"), reply
            assert reply.text.endswith("... Ok: queued as 4ZZ9")
    assert files(direct) == before
    assert direct.queue() == []
    assert len(up.contents) == 5 and up.count == 1
    ident = reply.text.split("<")[1].split(">")[0]
    assert all(c.endswith(head() + BIG * 2000) for c in up.contents)
    assert up.contents[4].startswith("Received: from") and ident in up.contents[4]
    assert "Message-ID: <" in up.contents[4] and "Date: " in up.contents[4]
    direct.wait_log(rf"message id={ident} verdict=accepted code=250 mode=direct level=3 .*repaired=date,message-id")
    direct.wait_log(rf"delivery id={ident} status=delivered code=250 .*mode=direct")


def test_a_refusal_is_the_upstreams_too(direct, closing):
    up = closing(upstream.Script(direct.upstream_port, data="554 5.7.1 Smells of spam"))
    direct.start()
    with direct.login() as t:
        reply = t.mail()
        assert reply.code == 554 and "Smells of spam" in reply.text and reply.text.startswith("554 5.7.1 <B"), reply
        up.answers["data"] = "452 4.2.2 Mailbox full"
        assert t.mail().text.startswith("452 4.2.2 <B")
        up.answers["data"] = "250 fine"
        assert t.mail().text.startswith("250 2.0.0 <B")
    direct.wait_log(r"message .*verdict=refused code=554 reason=upstream mode=direct")
    assert direct.queue() == []


@pytest.mark.parametrize("said, code", [("421 4.3.2 going down", 451), ("471 4.7.1 not yet", 451), ("503 5.5.1 what?", 554)])
def test_a_code_for_us_is_none_for_the_client(direct, closing, said, code):
    """What means something else behind a final dot, or ends the session."""
    up = closing(upstream.Script(direct.upstream_port, data=said))
    direct.start()
    with direct.login() as t:
        assert t.mail().code == code
        up.answers["data"] = "250 2.0.0 kept"
        assert t.mail().code == 250


def test_a_login_that_is_wanted_is_no_refusal_of_the_mail(only, closing):
    """The next hop wants to know us, not the client: its mail may come again once that is mended."""
    closing(upstream.Script(only.upstream_port, mail="530 5.7.0 Authentication required"))
    only.start()
    with only.login() as t:
        assert t.mail().code == 451


@pytest.mark.parametrize("level", ["auth=envelope=from"])
def test_not_even_a_connection_before_the_verdict(direct, closing, level):
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("trust", level=level).start()
    with direct.login() as t:
        begin(t)
        t.send("Subject: slow\r\nX-A: b\r\n")           # no From: yet, and no end of the header
        assert upstream.stays(lambda: up.count == 0, 0.5)
        t.send(f"From: {U2}\r\n\r\n" + BIG * 4000)
        assert t.cmd(".").code == 552
        assert up.count == 0
        # The next mail of the session is as good as any.
        begin(t)
        t.send(f"From: {U1}\r\n")
        assert upstream.stays(lambda: up.count == 0, 0.3)
        t.send("\r\nbody\r\n")
        assert t.cmd(".").code == 250
    assert up.count == 1 and len(up.contents) == 1 and U2 not in up.contents[0]
    direct.wait_log(r"verdict=refused code=552 level=3 reason=from-not-own")
    assert direct.queue() == []


def test_without_an_empty_line_the_dot_ends_the_header(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    with direct.login() as t:
        begin(t).send(f"From: {U1}\r\n")
        assert t.cmd(".").code == 250
        begin(t).send("Subject: nobody's\r\n")
        assert t.cmd(".").code == 552
        begin(t)
        assert t.cmd(".").code == 552
    assert len(up.contents) == 1


@pytest.mark.parametrize("bad", ["bare\nLF", "bare\rCR", "n\0l"])
def test_what_is_smuggled_in_the_body_cuts_the_passage(direct, closing, bad):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    with direct.login() as t:
        begin(t).send(head() + BIG * 3000)
        house.wait_for("content to flow", lambda: up.count == 1)
        t.send(bad + "\r\n.\r\n")
        assert t.reply().code == 550
        assert up.contents == []
        assert t.mail().code == 250
    assert len(up.contents) == 1
    direct.wait_log(r"verdict=refused code=550 reason=bare-cr-lf")
    assert direct.queue() == []


def test_smuggling_in_the_header(gate, closing):
    up = closing(upstream.Script(gate.upstream_port))
    gate.set("relay", mode="direct").set("trust", level="auth").start()
    with gate.login() as t:
        begin(t).send(f"From: {U1}\r\nSubject: a\r\n\n.\r\n\r\nMAIL FROM:<evil@example.com>\r\n.\r\n")
        assert t.reply().code == 550
    assert up.count == 0


def test_too_large_is_seen_before_the_last_octet_leaves(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("server", max_message_size="1M").start()
    with direct.login() as t:
        begin(t).send(head() + BIG * 20000)
        assert t.cmd(".").code == 552
        assert t.mail().code == 250
    assert len(up.contents) == 1


def test_a_large_mail_flows_in_bounded_memory(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    direct.set("server", max_message_size="30M", spool_size="32M").start()
    body = "".join(f"{n:074d}\r\n" for n in range(250000))
    with direct.login() as t:
        assert t.mail(content=head() + body).code == 250       # 19 MB past a spool of 4
    assert sink.wait().content.decode().endswith(body)
    status = (house.pathlib.Path(f"/proc/{direct.process.pid}/status")).read_text()
    peak = int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
    if "asan" not in house.BINARY:
        assert peak < 60000, status


def test_dots_and_transparency(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    direct.start()
    with direct.login() as t:
        begin(t).send(head() + "..one\r\n...two\r\nend\r\n")
        assert t.cmd(".").code == 250
    assert sink.wait().content.decode().endswith("\r\n\r\n.one\r\n..two\r\nend\r\n")


def test_what_only_we_may_say_is_taken_out_and_the_device_gets_its_from(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("device mfp1", ip="127.0.0.1", sender="mfp1@test-sample.jp", rewrite_from="yes")
    direct.set("listen submission", auth="optional").start()
    forged = "Authentication-Results: mail.test-sample.jp; auth=pass\r\n"
    with direct.connect() as t:
        t.ehlo()
        assert t.mail(sender="mfp1@test-sample.jp", content=forged + head("scanner@local") + BIG * 900).text.endswith("kept")
    with direct.login() as t:
        assert t.mail(content=forged + head() + "text\r\n").text.endswith("kept")
    assert "\r\nFrom: <mfp1@test-sample.jp>\r\n" in up.contents[0] or "\r\nFrom: mfp1@test-sample.jp\r\n" in up.contents[0]
    assert "X-Original-From: scanner@local\r\n" in up.contents[0] and up.contents[0].endswith(BIG * 900)
    assert all(forged not in c for c in up.contents)


def test_cut_anywhere(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    text = head() + "a\r\n..\r\nb\r\n"
    whole = f"MAIL FROM:<{U1}>\r\nRCPT TO:<x@example.com>\r\nDATA\r\n"
    with direct.login() as t:
        for cut in range(1, len(text) + 3, 7):
            for line in whole.splitlines():
                assert t.cmd(line).code in (250, 354)
            t.send((text + ".\r\n")[:cut])
            threading.Event().wait(0.01)
            t.send((text + ".\r\n")[cut:])
            assert t.reply().code == 250
    assert all(c.endswith(text) for c in up.contents)


def test_an_upstream_that_is_away_means_the_queue(direct, closing):
    direct.set("queue", retry="1s").start()
    with direct.login() as t:
        assert t.mail(content=head() + BIG * 3000).text.endswith("Message accepted for delivery.")
        assert t.mail(content=head() + "second\r\n").code == 250        # known to be down: at once
    assert len(direct.queue()) == 2
    sink = closing(upstream.Sink(direct.upstream_port))
    sink.wait(2)
    direct.empty()
    assert direct.wait_log(r"delivery id=\w+ status=deferred code=0 .*mode=direct")
    assert {len(m.content) > 100000 for m in sink.mails} == {True, False}


def test_direct_only_says_451_and_recovers_at_once(only, closing):
    only.set("queue", retry="1h").start()
    before = files(only)
    with only.login() as t:
        reply = t.mail(content=head() + BIG * 3000)
        assert reply.code == 451 and "not passed on" in reply.text, reply
        assert t.mail().code == 451
        closing(upstream.Script(only.upstream_port))
        assert t.mail().code == 250
    assert only.queue() == [] and files(only) == before
    only.wait_log(r"verdict=refused code=451 reason=not-passed-on mode=direct")


def test_a_silent_upstream_is_waited_for_so_long_and_no_longer(direct, closing):
    release = threading.Event()

    def silent(t):
        release.wait(house.WAIT)
        return False

    up = closing(upstream.Script(direct.upstream_port, greeting=silent))
    direct.set("relay", direct_wait="1s").start()
    with direct.login() as t:
        assert t.mail().text.endswith("Message accepted for delivery.")
    direct.wait_log(r"reply=\"no upstream has taken it within direct_wait")
    up.answers["greeting"] = "220 awake"
    release.set()
    direct.empty()
    assert len(up.contents) == 1


@pytest.mark.parametrize("step,answer", [("mail", "451 4.3.0 busy"), ("rcpt", "450 4.2.1 greylisted"), ("DATA", "452 4.3.1 full")])
def test_put_off_before_the_content_means_the_queue(direct, closing, step, answer):
    up = closing(upstream.Script(direct.upstream_port, **{step: answer}))
    direct.set("queue", retry="1s").start()
    with direct.login() as t:
        assert t.mail(content=head() + BIG * 1000).text.endswith("Message accepted for delivery.")
    assert len(direct.queue()) == 1
    up.answers[step] = upstream.Script.usual[step]
    direct.empty()
    full = [c for c in up.contents if c]        # a 354 that nobody wanted any more is answered with a lone dot (RFC 2920)
    assert len(full) == 1 and full[0].endswith(BIG * 1000)


def test_one_of_two_put_off_is_not_half_a_mail(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    sink.keeper.replies["later@example.net"] = "450 4.2.1 Come back later"
    direct.set("queue", retry="2s").start()
    with direct.login() as t:
        assert t.mail(to=["a@example.com", "later@example.net"]).text.endswith("Message accepted for delivery.")
    sink.wait()
    sink.keeper.replies.clear()
    direct.empty()
    assert sorted(r for m in sink.mails for r in m.to) == ["a@example.com", "later@example.net"]


def test_one_of_two_refused_is_return_mail(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    sink.keeper.replies["gone@example.net"] = "550 5.1.1 No such user here"
    direct.start()
    with direct.login() as t:
        reply = t.mail(to=["a@example.com", "gone@example.net"], content=head(**{"X-Mine": "yes"}) + "text\r\n")
        assert reply.code == 250 and "Kept" in reply.text, reply
    sink.wait(2)
    direct.empty()
    report = next(m for m in sink.mails if m.to == [U1]).content.decode()
    assert "gone@example.net" in report and "No such user here" in report and "X-Mine: yes" in report
    assert "Final-Recipient: rfc822; a@example.com" not in report
    direct.wait_log(r"return id=\w+ of=\w+")


def test_all_refused_is_the_clients_own_answer(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 No such user here", "away@example.net": "551 5.1.6 Moved"})
    direct.start()
    with direct.login() as t:
        reply = t.mail(to=["gone@example.net", "away@example.net"])
        assert reply.code == 550 and "No such user here" in reply.text, reply
        assert t.mail(to=["a@example.com"]).code == 250
    assert len(sink.mails) == 1
    assert direct.queue() == []


def test_nobody_to_tell(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    sink.keeper.replies["gone@example.net"] = "550 5.1.1 No such user here"
    direct.set("trust", level="auth").start()
    with direct.login() as t:
        assert t.mail(sender="", to=["a@example.com", "gone@example.net"], content=head()).code == 250
    direct.wait_log(r"dropped id=\w+ reason=null-sender")
    assert direct.queue() == []


def test_lost_within_the_content(direct, closing):
    def hang_up(t):
        t.send("354 go on\r\n")
        t.sock.recv(1000)
        t.reset()
        return False

    up = closing(upstream.Script(direct.upstream_port, DATA=hang_up))
    up.server.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)      # more than all buffers on the way hold
    direct.set("server", max_message_size="30M", spool_size="32M").start()
    with direct.login() as t:
        reply = t.mail(content=head() + BIG * 330000)
        assert reply.code == 451 and "not passed on" in reply.text, reply
        up.answers["DATA"] = "354 go on"
        assert t.mail().code == 250
    assert direct.queue() == [] and len(up.contents) == 1
    direct.wait_log(r"verdict=refused code=451 reason=not-passed-on mode=direct")


def test_no_answer_to_the_dot_is_in_doubt(direct, closing):
    up = closing(upstream.Script(direct.upstream_port, data=lambda t: False))
    direct.start()
    with direct.login() as t:
        reply = t.mail()
        assert reply.code == 451 and reply.text.startswith("451 4.4.2"), reply
        up.answers["data"] = "250 2.0.0 kept"
        assert t.mail().code == 250
    assert len(up.contents) == 2 and direct.queue() == []
    direct.wait_log(r"verdict=refused code=451 reason=in-doubt mode=direct")
    direct.wait_log(r"status=deferred .*not known whether the mail got through")


def test_the_dot_is_answered_late(direct, closing):
    release = threading.Event()

    def later(t):
        release.wait(house.WAIT)
        t.send("250 2.0.0 at last\r\n")

    closing(upstream.Script(direct.upstream_port, data=later))
    direct.set("limits", command_timeout="1s").start()
    with direct.login() as t:
        begin(t).send(head() + "x\r\n.\r\n")
        assert upstream.stays(lambda: True, 2.5)        # longer than the client itself may be silent
        release.set()
        assert t.reply().text.endswith("at last")


def test_a_client_that_hangs_up_takes_its_mail_along(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    t = begin(direct.login())
    t.send(head() + BIG * 3000)
    house.wait_for("a connection", lambda: up.count == 1)
    t.close()
    direct.wait_log(r"session end=disconnect")
    with direct.login() as t:
        assert t.mail().code == 250
    assert len(up.contents) == 1 and direct.queue() == []


def test_a_slow_client_is_not_the_upstreams_fault(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("relay", timeout="1s").start()
    with direct.login() as t:
        begin(t).send(head() + "first\r\n")
        house.wait_for("a connection", lambda: up.count == 1)
        assert upstream.stays(lambda: True, 2.5)
        t.send("second\r\n.\r\n")
        assert t.reply().code == 250
    assert up.contents[0].endswith("first\r\nsecond\r\n")


def test_an_upstream_that_stops_reading_holds_the_client(direct, closing):
    release = threading.Event()

    def slow(t):
        t.send("354 go on\r\n")
        release.wait(house.WAIT)
        return True

    up = closing(upstream.Script(direct.upstream_port, DATA=slow))
    up.answers["DATA"] = slow
    direct.set("server", max_message_size="30M", spool_size="32M").start()
    # Script reads content only after a 354 that is a text: read it here.
    text = head() + BIG * 330000
    up.server.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)

    def play(t):
        slow(t)
        return up.content(t)

    up.answers["DATA"] = play
    with direct.login() as t:
        begin(t).sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sent = []

        def push():
            t.send(text + ".\r\n")
            sent.append(1)

        pusher = threading.Thread(target=push)
        pusher.start()
        house.wait_for("a connection", lambda: up.count == 1)
        assert upstream.stays(lambda: not sent, 1.0), "25 MB went somewhere"
        release.set()
        pusher.join(house.WAIT)
        assert t.reply().code == 250
    assert up.contents[0].endswith(text)


def test_a_full_disk_is_no_matter(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("server", spool_size="4M", max_message_size="1M").set("relay other", host="127.0.0.1", port=direct.upstream_port + 1, tls="none",
                                              domains="away.example", mode="queue")
    direct.start()
    with direct.login() as t:
        for _ in range(20):                              # fills the spool by the way of the other relay
            reply = t.mail(to=["a@away.example"], content=head() + BIG * 4000)
            if reply.code != 250:
                break
        assert reply.code == 452, reply
        before = files(direct)
        for _ in range(3):
            assert t.mail(content=head() + BIG * 4000).code == 250
        assert files(direct) == before
        assert t.mail(to=["a@away.example"]).code == 452
        assert t.mail(to=["a@away.example", "b@example.com"]).code == 452
    assert len(up.contents) == 3


def test_recipients_of_different_relays_go_by_the_queue(direct, closing, ports):
    other = closing(upstream.Script(ports.one()))
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("relay other", host="127.0.0.1", port=other.server.sock.getsockname()[1], tls="none", domains="other.example")
    direct.start()
    with direct.login() as t:
        assert t.mail(to=["a@other.example", "b@example.com"]).text.endswith("Message accepted for delivery.")
    direct.empty()
    assert len(other.contents) == len(up.contents) == 1


def test_connections_are_kept_and_bounded(direct, closing):
    release = threading.Event()

    def later(t):
        release.wait(house.WAIT)
        t.send("250 2.0.0 kept\r\n")

    up = closing(upstream.Script(direct.upstream_port, data=later))
    direct.set("relay", connections=2).start()
    talks = [begin(direct.login()) for _ in range(4)]
    for n, t in enumerate(talks):
        t.send(head() + f"{n}\r\n.\r\n")
    house.wait_for("two mails at the upstream", lambda: len(up.contents) == 2)
    assert upstream.stays(lambda: up.count == 2, 0.5)
    release.set()
    for t in talks:
        assert t.reply().text.endswith("kept")
        t.close()
    assert up.count == 2 and len(up.contents) == 4


def test_a_closed_idle_connection_is_no_failure(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    with direct.login() as t:
        assert t.mail().text.endswith("kept")
        for c in up.server.open:
            c.sock.shutdown(2)
        assert t.mail().text.endswith("kept")


def test_level_1_and_devices(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.set("trust", level="auth").set("device mfp1", ip="127.0.0.1", sender="mfp1@test-sample.jp")
    direct.set("listen submission", auth="optional").start()
    with direct.connect() as t:
        t.ehlo()
        assert t.mail(sender="mfp1@test-sample.jp").text.endswith("kept")
    with direct.login() as t:
        assert t.mail(content="no header at all, but text\r\n").text.endswith("kept")
    assert len(up.contents) == 2


def test_a_header_over_many_blocks(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    fields = "".join(f"X-Long-{n}: " + "y" * 900 + "\r\n" for n in range(68))
    with direct.login() as t:
        assert t.mail(content=fields + f"From: {U1}\r\n\r\ntext\r\n").text.endswith("kept")
        assert t.mail(content=fields + fields + f"From: {U1}\r\n\r\ntext\r\n").code == 552
    assert len(up.contents) == 1 and fields in up.contents[0]


def test_pipelined_mails_of_one_session(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    with direct.login() as t:
        for n in range(10):
            sender = U2 if n % 3 == 1 else U1
            t.send(f"MAIL FROM:<{U1}>\r\nRCPT TO:<x{n}@example.com>\r\nDATA\r\n")
            assert [t.reply().code for _ in range(3)] == [250, 250, 354]
            t.send(head(sender) + f"mail {n}\r\n.\r\n")
            assert t.reply().code == (552 if n % 3 == 1 else 250)
    assert [c.rsplit(" ", 1)[1].strip() for c in up.contents] == ["0", "2", "3", "5", "6", "8", "9"]


def test_many_at_once(direct, closing):
    sink = closing(upstream.Sink(direct.upstream_port))
    direct.start()
    codes = []

    def work(n):
        with direct.login() as t:
            for k in range(5):
                codes.append(t.mail(content=head() + f"{n}-{k} " + "z" * 60 + "\r\n" + BIG * (n * 100)).code)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert codes == [250] * 40
    direct.empty()
    assert len(sink.mails) == 40


def test_reload_and_stop_in_the_middle(direct, closing):
    up = closing(upstream.Script(direct.upstream_port))
    direct.start()
    t = begin(direct.login())
    t.send(head() + "one\r\n")
    house.wait_for("a connection", lambda: up.count == 1)
    direct.set("relay", mode="queue").write()
    assert direct.cmd("reload").returncode == 0
    t.send("two\r\n.\r\n")
    assert t.reply().text.endswith("kept")
    assert t.mail().text.endswith("Message accepted for delivery.")
    direct.empty()
    direct.set("relay", mode="direct").write()
    assert direct.cmd("reload").returncode == 0
    begin(t).send(head() + "half\r\n")
    house.wait_for("commands", lambda: "DATA" in up.commands[-1:])
    assert direct.stop() == 0
    assert t.reply().code == 421
    assert len(up.contents) == 2


def test_settings(gate):
    for key, value, good in (("mode", "queue", True), ("mode", "direct-only", True), ("mode", "sometimes", False),
                             ("direct_wait", "3m", True), ("direct_wait", "0s", False), ("direct_wait", "1h", False)):
        gate.set("relay", mode=None, direct_wait=None).set("relay", **{key: value}).write()
        assert (gate.cmd("check").returncode == 0) == good, (key, value)


def test_tls_and_login_of_a_real_server(gate, closing, tls_server, certs):
    sink = closing(upstream.Sink(gate.upstream_port, tls=tls_server(), auth=("office@provider.example", "office1234")))
    gate.upstream_login(tls="starttls", tls_ca=certs / "ca.pem", mode="direct").start()
    with gate.login() as t:
        assert "Kept" in t.mail(content=head() + BIG * 5000).text
        assert "Kept" in t.mail().text
    assert sink.mails[0].tls and sink.mails[0].login and sink.keeper.connections == 1


def test_a_refused_login_is_our_own_affair(gate, closing, tls_server, certs):
    sink = closing(upstream.Sink(gate.upstream_port, tls=tls_server(), auth=("office@provider.example", "other")))
    gate.upstream_login(tls="starttls", tls_ca=certs / "ca.pem", mode="direct-only").set("queue", retry="1h").start()
    with gate.login() as t:
        assert t.mail().code == 451
        logins = len(sink.logins)
        assert t.mail().code == 451
    assert len(sink.logins) == logins           # the provider isn't asked again for each mail
    gate.wait_log(r"alarm=upstream-login")
