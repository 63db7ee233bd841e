"""
`make boot-test`: the gate on a small router, from power-on. A MIPS machine with 64 MiB, the libc and the build of OpenWrt, no
source of randomness and no clock; mail goes from this host through it to a sink on this host.
"""

import contextlib
import fcntl
import os
import pathlib
import random
import re
import socket
import sys
import time

import pytest
import torture_load

import house

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests/vm"))

import machine  # noqa: E402
import malta  # noqa: E402

IDLE_KIB = 1536  # budget of all processes of the idle gate together
SESSIONS, SESSIONS_KIB = 100, 512  # budget of idle plaintext sessions, beyond that
BOOT = 120  # s; some 8 where nothing else runs
CAS = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")
CACHE = os.environ.get("CROSS_CACHE", "/var/tmp/sekimori-cross")


@contextlib.contextmanager
def alone():
    """What it is made of is fetched and built once, for all of them."""
    pathlib.Path(CACHE).mkdir(parents=True, exist_ok=True)
    with open(pathlib.Path(CACHE) / "boot.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture
def guest(gate, request):
    gate.set("server", accounts="/etc/accounts", spool="/disk/spool", control="/run/sekimori.sock", user="sekimori")
    gate.set("listen submission", address="0.0.0.0:587", plaintext_auth="10.0.2.0/24")
    gate.set("listen smtps", address="0.0.0.0:465").set("limits", sessions_per_client=200)
    gate.set("tls", certificate="/etc/server.pem", key="/etc/server.key")
    gate.set("relay", host="10.0.2.2").set("manager", audit="/disk/log/audit.log")
    kind = getattr(request, "param", malta.Malta)
    if kind is malta.Flash:
        gate.set("server", spool_size="8M", max_message_size="1M").set("manager", audit=None)
    gate.write()
    files = {"etc/sekimori.ini": gate.path.read_bytes(), "etc/accounts": gate.accounts.read_bytes(),
             "etc/server.pem": (gate.certs / "server.pem").read_bytes(),
             "etc/server.key": (gate.certs / "server.key").read_bytes()}
    if CAS.exists():
        files["etc/ca.crt"] = CAS.read_bytes()
    try:
        with alone():
            binary = malta.build(TOP, os.environ.get("BOOT_BUILD", gate.dir / "build"), CACHE)
            guest = kind(gate.dir, CACHE, binary, files, gate.port)
    except machine.Missing as missing:
        pytest.skip(f"no router: {missing}")
    yield guest
    if guest.process:
        guest.kill()
    for name in ("disk.img", "writes.log", "before.img", "memory", "initramfs"):
        (guest.dir / name).unlink(missing_ok=True)


@pytest.fixture
def says(record_property):
    def say(text):
        print(text)
        record_property("says", f"boot: {text}")
    return say


def serves(guest, lives, start):
    began = time.monotonic()
    start()
    house.wait_for(lambda: f"the gate, life {lives}; console:\n{guest.log()[-3000:]}",
                   lambda: guest.log().count(" serves, ") >= lives or guest.process.poll() is not None, BOOT)
    assert guest.process.poll() is None, guest.log()[-3000:]
    assert "guest: no disk" not in guest.log()
    return time.monotonic() - began


def boot(guest, lives):
    return serves(guest, lives, guest.power_on)


def memory(guest):
    """Of the daemon and its helpers, KiB: resident of the daemon, shares of all, anonymous of all."""
    text = guest.shell("for p in $(pidof sekimori); do cat /proc/$p/smaps_rollup; done")
    rss, pss, anonymous = ([int(n) for n in re.findall(rf"^{key}: +(\d+) kB", text, re.M)]
                           for key in ("Rss", "Pss", "Pss_Anon"))
    assert len(pss) == 4, text
    return max(rss), sum(pss), sum(anonymous)


def idle_sessions(gate, closing, count):
    for _ in range(count):
        talk = closing(socket.create_connection(("127.0.0.1", gate.port), house.WAIT))
        talk.settimeout(house.WAIT)
        assert talk.recv(512).startswith(b"220 ")
        talk.sendall(b"EHLO idle.example\r\n")
        heard = b""
        while b"\r\n250 " not in heard:
            heard += talk.recv(4096)


def arrives(load, gate, number):
    with gate.login() as talk:
        assert load.send(talk, number, 5000).code == 250
    house.wait_for(lambda: f"mail {number}; console:\n{gate.log()[-3000:]}", lambda: number in load.came)


def test_boot(gate, guest, closing, says):
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    gate.log = guest.log
    guest.clock, guest.words = "1970-01-02T00:00:00", "touched-only"
    says(f"{guest.binary_size} octets; serves {boot(guest, 1):.1f} s after power-on, in 1970")
    assert re.search(r"clock", guest.log()), "nothing was said about the clock"

    # Idle
    resident, share, anonymous = memory(guest)
    says(f"idle: {share} KiB of memory in four processes, {anonymous} of them anonymous; the daemon alone {resident} resident")
    assert share <= IDLE_KIB
    idle_sessions(gate, closing, SESSIONS)
    more = memory(guest)
    says(f"{SESSIONS} idle sessions: {more[1] - share} KiB more")
    assert more[1] - share <= SESSIONS_KIB

    # Mail, before and after the clock is set
    load = closing(torture_load.Torture(gate, clients=0, seed=seed))
    arrives(load, gate, 1000001)
    guest.shell(f"date -s @{int(time.time())}")
    arrives(load, gate, 1000002)
    guest.shell("sed -i 's/^level = .*/level = auth/' /etc/sekimori.ini")
    guest.shell("sekimori reload")
    gate.wait_log("reloaded /etc/sekimori.ini")
    arrives(load, gate, 1000003)

    if CAS.exists():
        guest.shell("printf '[relay ca]\\nsenders = elsewhere.example\\nhost = 10.0.2.2\\ntls = starttls\\ntls_ca = /etc/ca.crt\\n' "
                    ">> /etc/sekimori.ini; sekimori reload")
        gate.wait_log("reloaded /etc/sekimori.ini", count=2)
        says(f"after mail and reloads, with this machine's bundle of CA certificates: {memory(guest)[1]} KiB")

    # Two power cuts under load
    load.add_clients(4)
    draw = random.Random(seed)
    for lives in (2, 3):
        before = len(load.acknowledged)
        house.wait_until_none(lambda: f"mail; console:\n{guest.log()[-3000:]}", lambda n=before: n + 40 - len(load.acknowledged))
        time.sleep(draw.random())
        print(f"{len(load.acknowledged)} acknowledged; {guest.cut(seed + lives)}")
        load.end_life()
        guest.clock, guest.words = None, ""
        boot(guest, lives)
    load.settle(60)
    assert not any(word in guest.log() for word in ("EXT4-fs error", "damaged data", "lost:")), guest.log()[-3000:]
    says(f"two power cuts: {load.check()}")
    resident, share, _ = memory(guest)
    says(f"as the kernel shows it, with neighbours of what was used: {share} KiB, the daemon alone {resident} resident")


# Flash

def some_mail(load, guest, draw):
    before = len(load.acknowledged)
    house.wait_until_none(lambda: f"mail; console:\n{guest.log()[-3000:]}", lambda: before + 40 - len(load.acknowledged))
    time.sleep(draw.random())


def sound(guest):
    """What the kernel and we would say of what is lost."""
    log = guest.log() + guest.shell("dmesg")
    assert not re.search(r"jffs2: (?:error|warning)|damaged data|lost:|UBIFS error", log), log[-3000:]


def fills_up(load, gate, guest, directory, number):
    """A full file system: no more mail, what was taken leaves, and once there is room all is as before."""
    load.later = {number}
    with gate.login() as talk:
        assert load.send(talk, number, 5000).code == 250
    gate.wait_log(r"status=deferred code=450")
    guest.shell(f"cat /dev/urandom > {directory}/junk; sync")
    codes = []
    for n in range(1, 600):
        with gate.login() as talk:
            codes.append(load.send(talk, number + n, 20000).code)
        if codes[-1] != 250:
            break
    assert codes[-1] in (451, 452), codes
    load.later = set()
    guest.shell("sekimori -c /etc/sekimori.ini queue retry")
    house.wait_for(lambda: f"the mails in the queue; {gate.log()[-3000:]}", lambda: not load.missing())
    guest.shell(f"rm {directory}/junk; sync")

    def taken():
        codes.append(0)
        with gate.login() as talk:
            return load.send(talk, number + len(codes), 5000).code == 250

    house.wait_for(lambda: f"mail to be taken again; {gate.log()[-3000:]}", taken)


@pytest.mark.parametrize("guest", [malta.Flash], indirect=True, ids=["jffs2 and ubifs"])
def test_flash(gate, guest, closing, says):
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    gate.log, draw = guest.log, random.Random(seed)
    boot(guest, 1)
    load = closing(torture_load.Torture(gate, clients=4, seed=seed))
    some_mail(load, guest, draw)
    guest.cut(seed)
    load.end_life()
    boot(guest, 2)
    load.settle(60)
    assert "mtd0 on /disk type jffs2" in guest.shell("mount")
    fills_up(load, gate, guest, "/disk", 2000000)
    says(f"jffs2, a power cut, full: {load.check()}")
    sound(guest)

    # UBIFS: a cut is that its flash takes nothing more, and that it is mounted anew.
    guest.shell("mount -t debugfs debug /sys/kernel/debug; chmod 700 /bin/volume; mkdir /ubi; volume /dev/ubi0 9000000; "
                "mount -t ubifs ubi0_0 /ubi; mkdir /ubi/spool; chown sekimori /ubi/spool; "
                "sed -i s,/disk/spool,/ubi/spool, /etc/sekimori.ini; kill $(pidof sekimori | tr ' ' '\\n' | sort -n | head -n 1)")
    house.wait_for(guest.log, lambda: "guest: sekimori ended: 0" in guest.log())
    load.end_life()
    assert "ubi0_0 on /ubi type ubifs" in guest.shell("mount")
    serves(guest, 3, lambda: guest.shell("touch /run/again"))
    load.sending = True
    load.add_clients(4)
    some_mail(load, guest, draw)
    guest.shell("echo 1 > /sys/kernel/debug/ubifs/ubi0_0/ro_error; kill -9 $(pidof sekimori)")
    house.wait_for(guest.log, lambda: guest.log().count("guest: sekimori ended") == 2)
    load.end_life()
    guest.shell("umount /ubi && mount -t ubifs ubi0_0 /ubi")
    serves(guest, 4, lambda: guest.shell("touch /run/again"))
    load.settle(60)
    says(f"ubifs, its flash cut off: {load.check()}")
