"""Pacing (R37): connections, messages_per_connection and rate, as the upstream sees them."""

import re
import threading
import time

import house
import upstream

U1 = "user1@test-sample.jp"


def send(gate, count=1, **keys):
    with gate.login() as t:
        for _ in range(count):
            assert t.mail(**keys).code == 250


class Counting:
    """A scripted upstream that notes when each MAIL and each connection came, and how many are open."""

    def __init__(self, port, hold=None, **keys):
        self.lock = threading.Lock()
        self.mails, self.per_connection, self.open, self.most = [], [], 0, 0
        self.hold = hold
        self.script = upstream.Script(port, greeting=self.greeting, mail=self.mail, data=self.data, quit=self.quit, **keys)
        play = self.script.server.script

        def counted(t, number):
            try:
                play(t, number)
            finally:
                self.ended(t)
        self.script.server.script = counted

    def ended(self, t):
        with self.lock:
            self.open -= not getattr(t, "has_ended", False)
            t.has_ended = True

    def quit(self, t):
        self.ended(t)  # before the 221: once it is heard, the next connection may come sooner than we go on
        t.send("221 bye\r\n")

    def greeting(self, t):
        with self.lock:
            self.open += 1
            self.most = max(self.most, self.open)
            self.per_connection.append(0)
            t.number = len(self.per_connection) - 1
        t.send("220 counting.example ESMTP\r\n")

    def mail(self, t):
        with self.lock:
            self.mails.append(time.monotonic())
            self.per_connection[t.number] += 1
        t.send("250 fine\r\n")

    def data(self, t):
        if self.hold:
            self.hold.wait(60)
        t.send("250 kept\r\n")

    def close(self):
        self.script.close()


def per_minute(rate):
    """Bucket and seconds between two tokens, as sekimori.ini(5) says."""
    burst = min(1 + rate // 20, 10)
    return burst, 60 / (rate - burst + 1)


def held(times, rate, slack=0.5):
    """No stretch holds more mails than the bucket allows for it."""
    burst, gap = per_minute(rate)
    return all((last - first + slack) / gap + burst >= j - i + 1
               for i, first in enumerate(times) for j, last in enumerate(times) if j > i)


def test_rate_is_held(gate, closing):
    """120 a minute are 7 at once and one each 0.53 s."""
    counting = closing(Counting(gate.upstream_port))
    gate.set("relay", rate="120", connections="3").start()
    send(gate, 10)
    house.wait_for("some to wait", lambda: [m for m in gate.queue() if m["waits_for"] == "rate"])
    assert re.search(r"waits for the rate", gate.cmd("queue").stdout)
    status = gate.json("status")["relays"][0]
    assert status["rate"] == 120 and status["waits_for"] == "rate"
    assert re.search(r"120 messages a minute, waits for the rate", gate.cmd("status").stdout)
    gate.empty()
    assert len(counting.mails) == 10
    # A fresh start has one token, whatever came before: nine gaps, seen with the slack of a busy machine.
    _, gap = per_minute(120)
    assert counting.mails[-1] - counting.mails[0] >= 9 * gap - 0.5
    assert held(counting.mails, 120)
    assert not gate.json("status")["relays"][0]["last_error"]


def test_rate_survives_a_reload_and_other_routes_are_free(gate, ports, closing):
    counting = closing(Counting(gate.upstream_port))
    partner = closing(upstream.Sink(ports.one()))
    gate.set("relay", rate="20")        # one each 3.2 s
    gate.set("relay partner", host="127.0.0.1", port=partner.port, tls="none", domains="partner.example").start()
    send(gate, 4)
    house.wait_for("the first", lambda: counting.mails)
    for _ in range(5):
        assert gate.cmd("reload").returncode == 0
        send(gate, 1, to=["b@partner.example"])
    partner.wait(5)
    house.wait_for("the first to leave the queue", lambda: len(gate.queue()) <= 3)
    assert held(counting.mails, 20) and len(counting.mails) <= 3
    assert any(m["waits_for"] == "rate" for m in gate.queue())
    # Slept, not spun: a second of waiting costs next to no time.
    pid = gate.process.pid

    def ticks():
        return sum(int(n) for n in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[11:13])
    before = ticks()
    house.wait_for("the last", lambda: len(counting.mails) == 4)
    assert ticks() - before < 100       # 1/100 s; some 6 s of waiting
    gate.empty()
    assert held(counting.mails, 20)


def test_mail_of_two_relays_one_of_them_paced(gate, ports, closing):
    """What went to the free relay is not sent again when the other recipient's turn comes."""
    counting = closing(Counting(gate.upstream_port))
    partner = closing(upstream.Sink(ports.one()))
    gate.set("relay", rate="20")
    gate.set("relay partner", host="127.0.0.1", port=partner.port, tls="none", domains="partner.example").start()
    for n in range(3):
        send(gate, to=[f"p{n}@partner.example", f"d{n}@example.net"])
    partner.wait(3)
    gate.empty()
    assert sorted(m.to for m in partner.mails) == [[f"p{n}@partner.example"] for n in range(3)]
    assert len(counting.mails) == 3 and held(counting.mails, 20)


def test_a_delivered_group_is_kept_when_the_next_relay_is_busy_and_then_down(gate, ports, closing):
    """The message waits in memory for a place at the second relay, which goes down meanwhile."""
    over = threading.Event()
    partner = closing(upstream.Sink(ports.one()))

    def lose(t):
        over.wait(60)
        return False
    closing(upstream.Script(gate.upstream_port, greeting=lose))
    gate.set("relay", connections="1")
    gate.set("queue", retry="1s")
    gate.set("relay partner", host="127.0.0.1", port=partner.port, tls="none", domains="partner.example").start()
    send(gate, to=["first@example.net"])
    for n in range(3):
        send(gate, to=[f"p{n}@partner.example", f"d{n}@example.net"])
    partner.wait(3)
    over.set()
    gate.wait_log(r"relay-down", count=3)
    assert upstream.stays(lambda: len(partner.mails) == 3, 1)


def test_waiting_mail_at_a_stop_is_not_sent_twice(gate, ports, closing):
    over = threading.Event()
    partner = closing(upstream.Sink(ports.one()))
    closing(upstream.Script(gate.upstream_port, greeting=lambda t: over.wait(60) and False))
    gate.set("relay", connections="1")
    gate.set("relay partner", host="127.0.0.1", port=partner.port, tls="none", domains="partner.example").start()
    send(gate, to=["first@example.net"])
    send(gate, to=["p@partner.example", "d@example.net"])
    partner.wait(1)
    house.wait_for("its log", lambda: gate.lines("status=delivered"))
    gate.stop()
    gate.start()
    house.wait_for("both", lambda: len(gate.queue()) == 2)
    assert upstream.stays(lambda: len(partner.mails) == 1, 1)
    over.set()


def test_messages_per_connection(gate, closing):
    counting = closing(Counting(gate.upstream_port))
    gate.set("relay", messages_per_connection="2", connections="1").start()
    send(gate, 7)
    gate.empty()
    assert sum(counting.per_connection) == 7 and max(counting.per_connection) == 2
    house.wait_for("QUITs", lambda: sum(c == "QUIT" for c in counting.script.commands) >= 3)


def test_connections_are_counted_over_a_reload(gate, closing):
    hold = threading.Event()
    counting = closing(Counting(gate.upstream_port, hold))
    gate.set("relay", connections="2").start()
    send(gate, 6)
    house.wait_for("two connections", lambda: counting.open == 2)
    for _ in range(3):
        assert gate.cmd("reload").returncode == 0
    assert upstream.stays(lambda: counting.most == 2, 0.5)
    house.wait_for("the others", lambda: sum(m["waits_for"] == "connection" or m["active"] for m in gate.queue()) == 6)
    hold.set()
    gate.empty()
    assert counting.most == 2


def test_bad_values(gate):
    for key, value in (("rate", "-1"), ("rate", "60001"), ("messages_per_connection", "x")):
        gate.set("relay", **{key: value}).write()
        result = gate.cmd("check")
        assert result.returncode == 78 and f"{gate.path}:" in result.stderr and key in result.stderr
        gate.set("relay", **{key: None})
