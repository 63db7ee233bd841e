"""A spool moves between machines of either byte order: the whole gate, big endian under qemu-user, on what this one wrote, and back."""

import pathlib
import shutil

import house
import pytest
import upstream

QEMU = "qemu-mips-static"
ROOT = pathlib.Path("/usr/mips-linux-gnu")


@pytest.fixture
def big_endian(monkeypatch):
    """big_endian(gate): from now on it runs on a big-endian machine; with False, on this one again."""
    binary = pathlib.Path(house.BINARY)
    there = [path for path in (binary.parent / "mips/sekimori", binary.parents[1] / "mips/sekimori") if path.exists()]
    if not there:
        pytest.skip("there is no big-endian build beside this one: tests/check cross mips")
    if not shutil.which(QEMU) or not ROOT.exists():
        pytest.skip(f"{QEMU} or {ROOT} isn't here")

    def turn(gate, big=True):
        monkeypatch.setattr(house, "BINARY", str(there[0] if big else binary))
        gate.prefix = [QEMU, "-L", str(ROOT)] if big else []
    return turn


def content(name):
    return f"From: user1@test-sample.jp\r\nSubject: {name}\r\n\r\n{name}\r\n" + "0123456789abcdef\r\n" * 4096


def send(gate, name):
    with gate.login() as t:
        assert t.mail(content=content(name), to=[f"{name}@example.net", "later@example.net"]).code == 250


def test_spool_of_the_other_byte_order(gate, closing, big_endian):
    """Written here, continued there, delivered in part; and the rest here again."""
    gate.set("queue", retry="1h").set("relay", connections="1").start()
    send(gate, "little")
    gate.wait_log("relay-down|status=deferred")
    assert gate.stop() == 0

    big_endian(gate)
    gate.start()
    gate.wait_log(" serves, 1 messages in the queue")
    sink = closing(upstream.Sink(gate.upstream_port))
    sink.keeper.replies["later@example.net"] = "450 4.2.1 later"
    send(gate, "big")
    assert gate.cmd("queue", "retry").returncode == 0
    sink.wait(2)
    assert sorted(m.to[0] for m in sink.mails) == ["big@example.net", "little@example.net"]
    gate.wait_log("status=delivered", count=2)
    assert gate.stop() == 0

    big_endian(gate, False)
    gate.start()
    gate.wait_log(" serves, 2 messages in the queue")
    del sink.keeper.replies["later@example.net"]
    assert gate.cmd("queue", "retry").returncode == 0
    sink.wait(4)
    gate.empty()
    assert [m.to for m in sink.mails[2:]] == [["later@example.net"]] * 2
    for mail in sink.mails:
        name = "little" if b"Subject: little" in mail.content else "big"
        assert mail.content.endswith(content(name).encode()), name
    assert not any(word in gate.log() for word in ("damaged", "lost:"))
