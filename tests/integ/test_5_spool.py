"""5. Kept (R50): nothing that was answered 250 is lost; a full disk is 452; what is wrong with the spool is one clear line."""

import os
import pathlib
import pwd
import random
import re
import shutil
import threading
import time

import pytest

import house
import upstream

U1 = "user1@test-sample.jp"


class Load:
    """Clients that send without end, each mail with a number of its own; which of them were answered 250."""

    def __init__(self, gate, clients=8, size=2000):
        self.gate, self.size = gate, size
        self.acknowledged, self.sent = set(), 0
        self.lock = threading.Lock()
        self.stopping = False
        self.threads = [threading.Thread(target=self._client, args=(n,), daemon=True) for n in range(clients)]
        for thread in self.threads:
            thread.start()

    def _number(self):
        with self.lock:
            self.sent += 1
            return self.sent

    def _client(self, which):
        draw = random.Random(which)
        while not self.stopping:
            try:
                with self.gate.connect() as t:
                    t.login()
                    while not self.stopping:
                        number = self._number()
                        body = "x" * 70 + "\r\n"
                        reply = t.mail(content=f"From: {U1}\r\nX-Number: <{number}>\r\n\r\n"
                                               f"{body * draw.randrange(self.size // 72 * 2 + 1)}end <{number}>\r\n")
                        if reply.code == 250:
                            with self.lock:
                                self.acknowledged.add(number)
                        elif reply.code == 0:
                            break
            except (OSError, AssertionError):
                time.sleep(0.02)

    def stop(self):
        self.stopping = True
        for thread in self.threads:
            thread.join(house.WAIT)


def numbers(mails):
    """Of the whole mails: head and tail tell the same."""
    found = []
    for mail in mails:
        head = re.search(rb"\r\nX-Number: <(\d+)>\r\n", mail.content)
        assert head and mail.content.endswith(b"end <" + head[1] + b">\r\n"), mail.content[-200:]
        found.append(int(head[1]))
    return found


@pytest.mark.parametrize("relaying", [False, True], ids=["upstream-away", "upstream-there"])
def test_kill_9_under_load_loses_nothing(gate, closing, relaying):
    gate.set("server", spool_size="64M").set("limits", sessions_per_client=100)
    sink = closing(upstream.Sink(gate.upstream_port, start=relaying))
    gate.start()
    load = Load(gate)
    acknowledged = 0
    for _ in range(4):
        house.wait_for("some mail to be acknowledged", lambda n=acknowledged: len(load.acknowledged) >= n + 60)
        gate.kill()
        acknowledged = len(load.acknowledged)
        gate.start()
    load.stop()
    gate.kill()
    if not relaying:
        sink.start()
    gate.start()
    house.wait_until_none(lambda: f"{load.acknowledged - set(numbers(sink.mails))} to arrive\n{gate.log()[-3000:]}",
                          lambda: len(load.acknowledged - set(numbers(sink.mails))))
    gate.empty()
    # Whatever came was really sent; a second time only where its outcome had not reached the disk.
    came = numbers(sink.mails)
    assert set(came) <= set(range(1, load.sent + 1))
    # A crash leaves at most what was under way and what had been sent since the last flush.
    assert len(came) - len(set(came)) <= 5 * 100
    assert gate.stop() == 0


def test_killed_alone_it_starts_again_at_once(gate, closing):
    """What a supervisor or the kernel kills is the main process; its helpers must not stand in the way of the next one."""
    closing(upstream.Sink(gate.upstream_port))
    for _ in range(5):
        gate.start()
        with gate.login() as t:
            assert t.mail().code == 250
        group = gate.process.pid
        gate.process.kill()
        gate.process.wait(house.WAIT)
        gate.start()
        gate.kill()
        house.wait_for("the first one's helpers to be gone", lambda g=group: not house.group_lives(g))


def test_restart_keeps_the_queue_as_it_was(gate, closing):
    gate.set("queue", retry="1h").start()
    with gate.login() as t:
        for n in range(5):
            assert t.mail(to=["a@example.net", "b@example.net"],
                          content=f"From: {U1}\r\nX-Number: <{n}>\r\n\r\nend <{n}>\r\n").code == 250
    gate.wait_log(r"relay-down ")
    before = {(m["id"], m["sender"], tuple(m["recipients"]), m["size"]) for m in gate.queue()}
    assert len(before) == 5
    assert gate.stop() == 0
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.start()
    assert {(m["id"], m["sender"], tuple(m["recipients"]), m["size"]) for m in gate.queue()} <= before
    gate.cmd("queue", "retry")
    sink.wait(5)
    gate.empty()
    assert sorted(numbers(sink.mails)) == [0, 1, 2, 3, 4]
    # Delivered is delivered: nothing comes again after another start.
    assert gate.stop() == 0
    gate.start()
    assert gate.queue() == [] and len(sink.mails) == 5


def test_partial_delivery_survives_a_crash(gate, closing):
    """Outcomes are kept, too: who has got it doesn't get it twice."""
    sink = closing(upstream.Sink(gate.upstream_port))
    sink.keeper.replies["b@example.net"] = "450 4.2.1 later"
    gate.start()
    with gate.login() as t:
        assert t.mail(to=["a@example.net", "b@example.net"]).code == 250
    gate.wait_log(r"status=deferred .*to=b@example\.net")
    house.wait_for("the outcome", lambda: gate.queue()[0]["recipients"] == ["b@example.net"])
    with gate.login() as t:  # a commit: the outcome goes with its flush
        assert t.mail(to=["c@example.net"]).code == 250
    gate.kill()
    sink.keeper.replies.clear()
    gate.start()
    gate.empty()
    assert sorted(to for m in sink.mails for to in m.to).count("a@example.net") == 1
    assert "b@example.net" in [to for m in sink.mails for to in m.to]


def fill(gate, t, content):
    """Sends until it is refused; that reply, and how many were taken."""
    for count in range(100000):
        reply = t.mail(content=content)
        if reply.code != 250:
            return reply, count
    raise AssertionError("no end")


def test_budget_used_up_is_452_and_passes(gate, closing):
    gate.set("server", spool_size="4M", max_message_size="512K").start()
    content = f"From: {U1}\r\nX-Number: <1>\r\n\r\n" + ("x" * 70 + "\r\n") * 1400 + "end <1>\r\n"
    with gate.login() as t:
        reply, count = fill(gate, t, content)
        assert reply.text.startswith("452 4.3.1"), reply
        assert count >= 5
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").text.startswith("452 4.3.1")
        assert t.cmd("RCPT TO:<a@example.net>").code == 503
        assert t.cmd("NOOP").code == 250
    assert len(gate.queue()) == count
    # A restart loses nothing, and with the provider back it all goes, and there is room again.
    assert gate.stop() == 0
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.start()
    gate.cmd("queue", "retry")
    sink.wait(count)
    gate.empty()
    with gate.login() as t:
        assert t.mail(content=content).code == 250
    sink.wait(count + 1)
    assert len(sink.mails) == count + 1


def fill_up(path):
    """To the last octet."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for size in (65536, 4096, 1):
            try:
                while os.write(fd, bytes(size)) == size:
                    pass
            except OSError:
                pass
    finally:
        os.close(fd)


@pytest.fixture
def small_disk(tmp_path, as_root):
    """small_disk(size): a directory on a small file system of its own."""
    mounted = []

    def mount(size):
        directory = tmp_path / "disk"
        directory.mkdir()
        result = house.run("mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", directory)
        if result.returncode != 0:
            pytest.skip(f"mounting isn't permitted: {result.stderr.strip()}")
        mounted.append(directory)
        return directory

    yield mount
    for directory in mounted:
        house.wait_for("unmounting", lambda d=directory: house.run("umount", d).returncode == 0)


def test_full_disk_is_452_and_loses_nothing(make_gate, small_disk, closing):
    gate = make_gate()
    disk = small_disk("24M")
    (disk / "spool").mkdir()
    filler = disk / "filler"
    gate.set("server", spool=disk / "spool", spool_size="64M").start()
    content = f"From: {U1}\r\nX-Number: <1>\r\n\r\n" + ("x" * 70 + "\r\n") * 1400 + "end <1>\r\n"
    with gate.login() as t:
        assert t.mail(content=content).code == 250
        fill_up(filler)
        reply, count = fill(gate, t, content)
        assert reply.code == 452 and "4.3.1" in reply.text, reply
    try:
        assert len(gate.queue()) == count + 1
        filler.unlink()
        sink = closing(upstream.Sink(gate.upstream_port))
        gate.cmd("queue", "retry")
        sink.wait(count + 1)
        gate.empty()
        house.wait_for("room again", lambda: gate.login().mail(content=content).code == 250)
    finally:
        gate.finish()


def test_disk_full_at_start(make_gate, small_disk):
    gate = make_gate()
    disk = small_disk("64K")
    (disk / "spool").mkdir()
    fill_up(disk / "filler")
    gate.set("server", spool=disk / "spool").launch()
    assert one_line(gate) == 75


def one_line(gate):
    """It ends by itself; its status, when it said one clear line."""
    status = gate.exits()
    # A test machine's /tmp may be in memory, which is told besides.
    lines = [line for line in gate.log().splitlines() if "is in memory" not in line]
    assert len(lines) == 1 and lines[0].startswith("sekimori: "), gate.log()
    return status


def test_spool_locked_by_another(gate, make_gate):
    gate.start()
    second = make_gate().set("server", spool=gate.dir / "spool")
    second.launch()
    assert one_line(second) == 75
    assert str(gate.dir / "spool") in second.log()
    with gate.login() as t:
        assert t.mail().code == 250


def test_spool_directory_is_made(gate):
    """Its parent must be there: a disk that isn't mounted must not become a spool on another one."""
    gate.set("server", spool=gate.dir / "made").start()
    with gate.login() as t:
        assert t.mail().code == 250
    assert os.stat(gate.dir / "made").st_mode & 0o007 == 0
    gate.stop()
    gate.log_path.unlink()
    gate.set("server", spool=gate.dir / "nowhere/spool").launch()
    assert one_line(gate) in (77, 78)
    assert "nowhere/spool" in gate.log()


def test_spool_not_writable(gate, as_root, certs):
    """As a user who may not write there; root may everywhere."""
    for path in (gate.dir, *gate.dir.parents):
        if path.owner() == "root" and os.stat(path).st_mode & 0o001 == 0:
            os.chmod(path, os.stat(path).st_mode | 0o011)
    # All that it reads again at a reload is nobody's own; only the spool is not.
    for end in ("pem", "key"):
        gate.secret(f"own.{end}", (certs / f"server.{end}").read_text())
    gate.set("tls", certificate=gate.dir / "own.pem", key=gate.dir / "own.key")
    for name in ("accounts", "own.pem", "own.key"):
        shutil.chown(gate.dir / name, "nobody")
    os.chmod(gate.dir / "spool", 0o755)
    (gate.dir / "spool" / "lost+found").mkdir()         # an empty one would be handed over
    gate.set("server", user="nobody").launch()
    assert one_line(gate) == 77
    assert "ermission denied" in gate.log()


def test_helpers_give_up_their_rights(gate, as_root, certs):
    """They are born as root; nothing of that is left when the gate serves."""
    nobody = pwd.getpwnam("nobody")
    for path in gate.dir.parents:
        if path.owner() == "root" and os.stat(path).st_mode & 0o001 == 0:
            os.chmod(path, os.stat(path).st_mode | 0o011)
    shutil.chown(gate.dir / "spool", "nobody")
    gate.set("server", user="nobody").start()
    pid = gate.process.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert len(children) == 3
    for child in children:
        lines = pathlib.Path(f"/proc/{child}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        assert status["Uid"].split() == [str(nobody.pw_uid)] * 4, status["Name"]
        assert status["Gid"].split() == [str(nobody.pw_gid)] * 4, status["Name"]
        assert not status["Groups"].strip()
        assert all(int(status[f"Cap{kind}"], 16) == 0 for kind in ("Inh", "Prm", "Eff", "Amb")), status["Name"]
        assert status["NoNewPrivs"].strip() == "1"
    gate.stop()


def crc32c(data):
    crc = 0xffffffff
    for octet in data:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def test_spool_of_a_newer_format(gate):
    """A downgrade must not take the log of a newer program for damage."""
    gate.start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.stop()
    segments = sorted((gate.dir / "spool").glob("seg-*"))
    assert segments
    for path in segments:
        head = bytearray(path.read_bytes()[:64])
        if head[:8] != b"SEKIMORI":
            continue  # got from the system, not used yet
        order = "little" if int.from_bytes(head[12:16], "little") < 1000 else "big"
        old = head[60:64]
        order_crc = next(o for o in ("little", "big") if crc32c(head[:60]).to_bytes(4, o) == old)
        head[12:16] = (int.from_bytes(head[12:16], order) + 1).to_bytes(4, order)
        head[60:64] = crc32c(head[:60]).to_bytes(4, order_crc)
        with open(path, "r+b") as f:
            f.write(head)
    before = {path.name: path.read_bytes() for path in segments}
    gate.log_path.unlink()
    gate.launch()
    assert one_line(gate) == 78
    assert "format" in gate.log()
    assert {path.name: path.read_bytes() for path in segments} == before


def test_damage_in_the_middle_loses_only_what_it_hit(gate, closing):
    gate.start()
    with gate.login() as t:
        for n in range(9):
            assert t.mail(content=f"From: {U1}\r\nX-Number: <{n}>\r\n\r\n" + ("y" * 70 + "\r\n") * 100 +
                          f"end <{n}>\r\n").code == 250
    gate.kill()
    gate.damage(b"X-Number: <4>", 500)
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.start()
    sink.wait(8)
    house.wait_for("a word about the damage", lambda: re.search(r"damaged|can't be read|CRC", gate.log()))
    assert sorted(numbers(sink.mails)) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_disconnect_in_data_leaves_nothing(live):
    """R35."""
    for end in ("close", "reset"):
        t = live.login()
        t.cmd(f"MAIL FROM:<{U1}>")
        t.cmd("RCPT TO:<a@example.net>")
        assert t.cmd("DATA").code == 354
        t.send(f"From: {U1}\r\n\r\n" + "x\r\n" * 5000)
        getattr(t, end)()
    live.wait_log(r"session end=(disconnect|error)", 2)
    assert live.queue() == [] and live.sink.mails == []
    with live.login() as t:
        assert t.mail().code == 250
    live.sink.wait()
