"""The loop never waits for the disk (R65): with each fdatasync half a second late, only who waits for his 250 waits."""

import threading
import time

import torture_load
import torture_strace

U1 = "user1@test-sample.jp"
IDLE = 200
ROUNDS = 4


class Asker:
    """A client that goes EHLO, MAIL, RCPT, RSET without end; when each reply came, and how long it took."""

    def __init__(self, gate):
        self.gate, self.talk = gate, gate.login()
        self.replies = []
        self.going = True
        self.thread = threading.Thread(target=self._ask, daemon=True)
        self.thread.start()

    def _ask(self):
        while self.going:
            for line in ("EHLO client.example", f"MAIL FROM:<{U1}>", "RCPT TO:<a@example.net>", "NOOP", "RSET"):
                asked = time.monotonic()
                assert self.talk.cmd(line).code == 250, line
                self.replies.append((asked, time.monotonic()))
            time.sleep(0.002)
            # A session may give so many commands without a mail (SMTP_VERBS_MAX).
            if len(self.replies) % 500 == 0:
                self.talk.close()
                self.talk = self.gate.login()

    def close(self):
        self.going = False
        self.thread.join()
        self.talk.close()


class Sender:
    """A client in another transaction; the stretches from its final dot to its 250."""

    def __init__(self, gate):
        self.gate, self.waits = gate, []

    def send(self, meanwhile):
        with self.gate.login() as t:
            assert t.cmd(f"MAIL FROM:<{U1}>").code == 250
            assert t.cmd("RCPT TO:<a@example.net>").code == 250
            assert t.cmd("DATA").code == 354
            t.send(torture_load.content(1, 10000))
            dot = time.monotonic()
            t.send(".\r\n")
            meanwhile()
            assert t.reply().code == 250
            self.waits.append((dot, time.monotonic()))


def run(gate, asker, others):
    """Rounds of a mail each; the replies that came while its 250 was waited for, and the longest of all, in ms."""
    sender = Sender(gate)
    begun = len(asker.replies)
    longest = 0

    def ask_others():
        nonlocal longest
        asked = time.monotonic()
        for t in others:
            t.send("NOOP\r\n")
        for t in others:
            assert t.reply().code == 250
        longest = max(longest, time.monotonic() - asked)

    for _ in range(ROUNDS):
        sender.send(ask_others)
        time.sleep(0.05)
    replies = asker.replies[begun:]
    within = [sum(1 for asked, came in replies if asked > dot and came < done) for dot, done in sender.waits]
    return within, sender.waits, max(came - asked for asked, came in replies) * 1000, longest * 1000


def test_nobody_else_waits_for_the_disk(gate, closing, sink):
    gate.set("server", max_sessions=400).set("limits", sessions_per_client=400).start()
    others = [closing(gate.connect()) for _ in range(IDLE)]
    for t in others:
        assert t.reply().code == 220
    asker = closing(Asker(gate))
    _, _, quick, quick_all = run(gate, asker, others)
    strace = closing(torture_strace.Fault(gate.dir, torture_strace.flusher(gate), "fdatasync",
                                          "delay_enter=500000"))
    within, waits, slow, slow_all = run(gate, asker, others)
    hits = len(strace.hits)
    strace.stop()
    print(f"longest reply to one client {quick:.1f} ms, with fdatasync 500 ms late {slow:.1f} ms; "
          f"all of {IDLE} idle sessions asked at once {quick_all:.1f} ms, {slow_all:.1f} ms; "
          f"250 after {min(b - a for a, b in waits) * 1000:.0f} ms and more; replies meanwhile: {within}")
    assert hits >= ROUNDS
    # Each 250 waited for a flush, and while it did, another client heard many replies, and each idle session its own.
    assert min(b - a for a, b in waits) >= 0.5
    assert min(within) >= 20
    assert slow_all / 1000 < min(b - a for a, b in waits)


def test_mail_that_comes_meanwhile_shares_the_next_flush(gate, closing, sink):
    """Group commit: all that end while one flush is under way are decided by the next."""
    gate.set("limits", sessions_per_client=100).start()
    strace = closing(torture_strace.Fault(gate.dir, torture_strace.flusher(gate), "fdatasync", "delay_enter=500000"))
    talks = [closing(gate.login()) for _ in range(12)]
    for number, t in enumerate(talks):
        for line in (f"MAIL FROM:<{U1}>", "RCPT TO:<a@example.net>"):
            assert t.cmd(line).code == 250
        assert t.cmd("DATA").code == 354
        t.send(torture_load.content(number, 1000))
    for t in talks:
        t.send(".\r\n")
    began = time.monotonic()
    for t in talks:
        assert t.reply().code == 250
    flushes = len(strace.hits)
    print(f"12 mails at once: {flushes} flushes in {time.monotonic() - began:.1f} s")
    assert flushes <= 6
