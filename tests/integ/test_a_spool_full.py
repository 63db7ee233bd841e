"""A disk or a budget that is used up: 452 at MAIL, nothing lost, outcomes and return mail still fit, room again after."""

import os
import subprocess
import threading
import time

import pytest
import torture_load
import torture_strace

import house
import upstream

U1 = "user1@test-sample.jp"


class Disk:
    """A file system of its own on a loop device."""

    def __init__(self, directory, megabytes):
        image, self.path = directory / "image", directory / "disk"
        self.path.mkdir()
        with open(image, "wb") as f:
            f.truncate(megabytes << 20)
        made = house.run("mkfs.ext4", "-q", "-m", "0", image)
        assert made.returncode == 0, made
        mounted = house.run("mount", "-o", "loop", image, self.path)
        if mounted.returncode != 0:
            pytest.skip(f"mounting on a loop device isn't permitted: {mounted.stderr.strip()}")

    def fill(self):
        """To the last octet; what was freed is there only after the journal's next commit."""
        fd = os.open(self.path / "filler", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        before = -1
        while before < os.fstat(fd).st_size:
            before = os.fstat(fd).st_size
            for size in (1 << 20, 4096, 1):
                try:
                    while os.write(fd, bytes(size)):
                        pass
                except OSError:
                    pass
            os.fsync(fd)
        os.close(fd)

    def clear(self):
        (self.path / "filler").unlink()

    def close(self):
        house.wait_for("unmounting", lambda: house.run("umount", self.path).returncode == 0)


def used(path):
    """Octets on disk, as du counts them."""
    return int(subprocess.run(["du", "-s", "-B1", path], stdout=subprocess.PIPE, check=True).stdout.split()[0])


def fill(gate, first, octets, to="a@example.net"):
    """Mails until one is refused: its reply, and how many were taken."""
    with gate.login() as t:
        for number in range(first, first + 100000):
            reply = t.mail(to=[to], content=torture_load.content(number, octets))
            if reply.code != 250:
                return reply, number - first
    raise AssertionError("no end")


def numbers(mails):
    return sorted(torture_load.number_of(m.content) for m in mails)


def test_full_file_system(gate, closing, as_root):
    disk = Disk(gate.dir, 40)
    try:
        (disk.path / "spool").mkdir()
        gate.set("server", spool=disk.path / "spool", spool_size="64M").set("queue", retry="1s").start()
        count = 0
        for octets in (100000, 2000, 100):
            reply, more = fill(gate, count, octets)
            count += more
            assert reply.text.startswith("452 4.3.1"), reply
        assert count > 100
        with gate.login() as t:
            # The gate may still give back a segment.
            house.wait_for("452", lambda: disk.fill() or t.cmd("RSET").code != 250 or
                           t.cmd(f"MAIL FROM:<{U1}>").text.startswith("452 4.3.1"))
            assert t.cmd("NOOP").code == 250
        # A gate that finds its disk full must start: only so can its mail leave.
        ids = {m["id"] for m in gate.queue()}
        assert len(ids) == count
        torture_strace.kill(gate)
        gate.start()
        assert {m["id"] for m in gate.queue()} == ids
        # What becomes of them is recorded, though nothing more fits.
        sink = closing(upstream.Sink(gate.upstream_port))
        sink.keeper.replies["a@example.net"] = "450 4.2.1 later " + "x" * 300
        house.wait_for("second attempts", lambda: min(m["attempts"] for m in gate.queue()) >= 2)
        torture_strace.kill(gate)
        gate.start()
        house.wait_for("attempts", lambda: min(m["attempts"] for m in gate.queue()) >= 2)
        sink.keeper.replies.clear()
        gate.empty(90)
        assert numbers(sink.mails) == list(range(count))
        disk.clear()
        house.wait_for("room", lambda: gate.login().mail(content=torture_load.content(count, 1000)).code == 250)
        sink.wait(count + 1)
        print(f"{count} mails on a full disk of 40 MiB, all left")
        gate.finish()
    finally:
        if gate.process:
            torture_strace.kill(gate)
        disk.close()


def test_disk_becomes_full_within_a_message(gate, as_root):
    """452 at the dot, the session goes on, and the next mail fits when there is room."""
    disk = Disk(gate.dir, 24)
    try:
        (disk.path / "spool").mkdir()
        gate.set("server", spool=disk.path / "spool", spool_size="64M", max_message_size="30M").start()
        with gate.login() as t:
            assert t.cmd(f"MAIL FROM:<{U1}>").code == 250
            assert t.cmd("RCPT TO:<a@example.net>").code == 250
            assert t.cmd("DATA").code == 354
            disk.fill()
            t.send(torture_load.content(1, 20 << 20))
            t.send(".\r\n")
            assert t.reply().text.startswith("452 4.3.1")
            assert t.cmd("NOOP").code == 250
            assert gate.queue() == []
            disk.clear()
            house.wait_for("room", lambda: t.mail(content=torture_load.content(2, 1000)).code == 250)
        gate.finish()
    finally:
        if gate.process:
            torture_strace.kill(gate)
        disk.close()


class Watch:
    """The most that a directory ever held."""

    def __init__(self, path):
        self.path, self.most, self.going = path, 0, True
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while self.going:
            self.most = max(self.most, sum(p.stat().st_size for p in self.path.glob("seg-*")), used(self.path))
            time.sleep(0.05)

    def close(self):
        self.going = False
        self.thread.join()


def test_dead_upstream_fills_the_budget(gate, closing):
    """
    With the budget used up, mails expire, and a return mail is made of each; all that goes when the upstream is back.
    """
    size = 8 << 20
    gate.set("server", spool_size="8M").set("queue", retry="1s", expire="10s").start()
    watch = closing(Watch(gate.dir / "spool"))
    # From large to small, so that the last octet is used.
    count = 0
    for octets in (100000, 5000, 100):
        reply, more = fill(gate, count, octets)
        count += more
        assert reply.text.startswith("452 4.3.1"), reply
    originals = {m["id"] for m in gate.queue()}
    house.wait_for(lambda: f"a return mail of each:\n{gate.log()[-2000:]}",
                   lambda: {m["sender"] for m in gate.queue()} & {"", "postmaster@test-sample.jp"} and
                   not originals & {m["id"] for m in gate.queue()}, 80)
    assert "no return mail could be made" not in gate.log(), gate.log()[-3000:]
    assert "could not be recorded" not in gate.log()
    returns = gate.lines("return id")
    assert len(returns) == len(originals) == count
    sink = closing(upstream.Sink(gate.upstream_port))
    sink.wait(count)
    gate.empty()
    with gate.login() as t:
        for number in range(20):
            house.wait_for("room", lambda n=number: t.mail(content=torture_load.content(n, 200000)).code == 250)
    sink.wait(count + 20)
    gate.empty()
    watch.close()
    assert watch.most <= size + (64 << 10), f"{watch.most} octets on disk, budget {size}"
    status = gate.json("status")
    print(f"{count} mails filled {size >> 20} MiB, all returned; at most {watch.most >> 10} KiB on disk, "
          f"{status['spool_used'] >> 10} KiB in use after all had left")
    assert status["spool_used"] <= size // 4


def test_upstream_is_back(gate, closing):
    """Full to the brim, killed, and all of it leaves; with outcomes of many attempts on top of it."""
    gate.set("server", spool_size="8M", max_message_size="2M").set("queue", retry="1s").set("relay", connections=8)
    gate.set("limits", sessions_per_client=100)
    load = torture_load.Torture(gate, clients=8, octets=(200, 100000), sink=False)
    closing(load)
    gate.start()
    house.wait_for("452", lambda: load.replies.get(452, 0) > 20)
    load.stop_sending()
    assert set(load.replies) == {452} and load.refused <= {n for n, f in load.mails.items() if f.code == 452}
    full = len(gate.queue())
    assert full == len(load.acknowledged)
    load.answer = b"451 4.3.2 not now, " + b"y" * 300 + b"\r\n"
    load.start_sink()
    house.wait_for("attempts", lambda: min(m["attempts"] for m in gate.queue()) >= 3)
    torture_strace.kill(gate)
    load.end_life()
    load.answer = b"250 2.0.0 kept\r\n"
    gate.start()
    load.settle()
    gate.empty()
    with gate.login() as t:
        house.wait_for("room", lambda: load.send(t, 900001, 1000000).code == 250)
    print(f"{full} mails: {load.check()}")


@pytest.mark.parametrize("kills", [0, 5], ids=["running", "killed"])
def test_stuck_mail_does_not_pin_the_log(gate, closing, kills):
    """
    Some mails can't leave, and one client takes for ever to send: the log goes round many times its size under load, and
    those are carried along, whole.
    """
    gate.set("server", spool_size="8M", max_message_size="2M").set("queue", retry="2s")
    gate.set("limits", sessions_per_client=100, data_min_rate=1).set("relay", connections=8)
    load = closing(torture_load.Torture(gate, clients=0, octets=(500, 30000)))
    stuck = {900001: 1000000, 900002: 100, 900003: 100, 900004: 30000, 900005: 300000}
    load.later = set(stuck)
    gate.start()
    slow = None
    with gate.login() as t:
        for number, octets in stuck.items():
            assert load.send(t, number, octets).code == 250
    if not kills:
        slow = closing(gate.login())
        for line in (f"MAIL FROM:<{U1}>", "RCPT TO:<a@example.net>", "DATA"):
            slow.cmd(line)
        mail = torture_load.content(900009, 60000)
        rest = [mail[:20000], *(mail[at:at + 50] for at in range(20000, len(mail), 50))]
        slow.send(rest.pop(0))
        own = load.mails[900009] = torture_load.Fate(load.life)
    load.add_clients(6)
    for life in range(kills + 1):
        goal, said = load.octets_taken + (80 << 20) // (kills + 1), time.monotonic()
        while load.octets_taken < goal:
            if slow and time.monotonic() > said + 1:        # data_min_rate
                said += 1
                slow.send(rest.pop(0))
            taken = load.octets_taken
            house.wait_for(lambda: f"ten times the budget; {load.octets_taken >> 20} MiB; MAIL {load.replies}\n"
                           f"{gate.log()[-2000:]}", lambda t=taken: load.octets_taken > t)
        if life < kills:
            torture_strace.kill(gate)
            load.end_life()
            gate.start()
    generations = load.octets_taken / (8 << 20)
    load.stop_sending()
    if slow:
        own.dot = load.now()
        slow.send(b"".join(rest) + b".\r\n")
        own.code = slow.reply().code
        assert own.code == 250
    load.later = set()
    load.settle()
    print(f"{generations:.0f} generations of 8 MiB, MAIL refused {load.replies or 'never'}: {load.check()}")
