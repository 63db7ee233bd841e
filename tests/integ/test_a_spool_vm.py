"""A power cut of a virtual machine under load: what was acknowledged before is delivered, or in the queue, after."""

import os
import pathlib
import random
import sys
import time

import pytest
import torture_load

import house

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/vm"))

import machine  # noqa: E402

ROUNDS = 3


@pytest.fixture
def guest(gate, closing):
    """The gate's files moved into a guest, whose relay is this host."""
    gate.set("server", accounts="/etc/accounts", spool="/disk/spool", spool_size="16M", control="/run/sekimori.sock")
    gate.set("listen submission", address="0.0.0.0:587", plaintext_auth="10.0.2.0/24")
    gate.set("listen smtps", address="0.0.0.0:465").set("limits", sessions_per_client=100)
    gate.set("tls", certificate="/etc/server.pem", key="/etc/server.key")
    gate.set("relay", host="10.0.2.2").write()
    files = {"etc/sekimori.ini": gate.path.read_bytes(), "etc/accounts": gate.accounts.read_bytes(),
             "etc/server.pem": (gate.certs / "server.pem").read_bytes(),
             "etc/server.key": (gate.certs / "server.key").read_bytes(),
             "etc/passwd": "root:x:0:0::/:/bin/sh\n", "etc/group": "root:x:0:\n"}
    cache = os.environ.get("VM_CACHE", TOP / "build" / "vm")
    try:
        guest = machine.Machine(gate.dir, cache, house.BINARY, files, gate.port)
    except machine.Missing as missing:
        pytest.skip(f"no virtual machine: {missing}")
    yield guest
    if guest.process:
        guest.kill()
    for path in (guest.disk, guest.writes, guest.dir / "before.img", guest.dir / "initramfs"):
        path.unlink(missing_ok=True)


def test_power_cut(gate, guest, closing):
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    draw = random.Random(seed)
    gate.log = guest.log
    guest.power_on()
    load = closing(torture_load.Torture(gate, clients=5, octets=(200, 20000), seed=seed, sink=False))
    for round_ in range(ROUNDS):
        before = len(load.acknowledged)
        if round_ == ROUNDS - 1:
            load.start_sink()  # until now all must be kept in the queue
        house.wait_for(lambda: f"mail; {len(load.acknowledged)}, console:\n{guest.log()[-3000:]}",
                       lambda n=before: len(load.acknowledged) >= n + 60, 60)
        time.sleep(draw.random())
        print(f"cut {round_ + 1}: {len(load.acknowledged)} acknowledged; {guest.cut(seed + round_)}")
        load.end_life()
        guest.power_on()
    load.settle(90)
    assert "guest: no disk" not in guest.log() and "EXT4-fs error" not in guest.log(), guest.log()[-3000:]
    assert not any(word in guest.log() for word in ("damaged data", "lost:")), guest.log()[-3000:]
    print(load.check())
