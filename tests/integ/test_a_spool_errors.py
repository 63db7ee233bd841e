"""Calls to the disk that fail (R50): who is in the failed group hears 451 or 452, nobody hears 250 for what is lost."""

import os
import signal
import time

import pytest
import torture_load
import torture_strace

import house

# Who makes the call, the call, which of them fail and how; whether it can cost a message.
FAULTS = [
    ("flush", "fdatasync", "error=EIO:when=3", True),
    ("flush", "fdatasync", "error=EIO:when=2+3", True),
    ("flush", "fdatasync", "error=ENOSPC:when=4..6", True),
    ("gate", "pwrite64", "error=EIO:when=5", False),
    ("gate", "pwrite64", "error=EIO:when=5..30", True),
    ("gate", "pwrite64", "error=ENOSPC:when=7..9", True),
    ("gate", "pwrite64", "error=EDQUOT:when=4..12", True),
    ("gate", "fallocate", "error=ENOSPC:when=1+2", False),
    ("gate", "openat", "error=EMFILE:when=2+3", False),
]


def start(gate, fault):
    who, call, what, _ = fault
    gate.set("server", spool_size="16M").set("limits", sessions_per_client=100)
    gate.start()
    pid = gate.process.pid if who == "gate" else torture_strace.flusher(gate)
    return torture_strace.Fault(gate.dir, pid, call, what)


@pytest.mark.parametrize("fault", FAULTS, ids=[f"{f[1]}-{f[2].replace(':', '-')}" for f in FAULTS])
def test_a_call_fails(gate, closing, fault):
    """With the upstream away all that was acknowledged must be in the queue, and nothing else; also after a kill."""
    gate.set("queue", retry="1h")
    strace = closing(start(gate, fault))
    load = closing(torture_load.Torture(gate, clients=8, octets=(200, 3000), sink=False))
    house.wait_for(lambda: f"the fault; {len(load.acknowledged)} acknowledged; log:\n{gate.log()}",
                   lambda: strace.hits and (load.refused or load.replies or not fault[3]))
    before = len(load.acknowledged)
    house.wait_for(lambda: f"mail after the fault; log:\n{gate.log()[-3000:]}",
                   lambda: len(load.acknowledged) >= before + 50)
    load.stop_sending()
    hits = len(strace.hits)
    strace.stop()
    assert {fate.code for fate in load.mails.values()} | set(load.replies) <= {250, 451, 452}
    assert len(gate.queue()) == len(load.acknowledged)
    # Of a group that failed nobody heard 250; the next mails did.
    print(f"{hits} calls failed: {len(load.refused)} refused at the dot, MAIL {load.replies or 'always taken'}, "
          f"{len(load.acknowledged)} acknowledged; ", end="")
    with gate.login() as t:  # a flush: that the last group was refused is on disk with it
        assert load.send(t, 900001, 100).code == 250
    torture_strace.kill(gate)
    load.end_life()
    load.start_sink()
    gate.set("queue", retry="1s").start()
    gate.cmd("queue", "retry")
    load.settle()
    gate.empty()
    print(load.check())


def test_the_flush_helper_is_killed(gate, closing):
    """As by the kernel when memory is short: its group is refused, and the rest waits for the next helper."""
    gate.set("limits", sessions_per_client=100).start()
    load = closing(torture_load.Torture(gate, clients=8, octets=(200, 3000)))
    for _ in range(3):
        before = len(load.acknowledged)
        os.kill(torture_strace.flusher(gate), signal.SIGKILL)
        house.wait_for(lambda: f"mail after that; log:\n{gate.log()[-3000:]}",
                       lambda n=before: len(load.acknowledged) >= n + 50)
    load.settle()
    assert len(load.refused) <= 3 * 8 and not load.replies, (len(load.refused), load.replies)
    print(load.check())


def test_a_disk_that_fails_for_ever(gate, closing):
    """The gate lives, says so, doesn't spin; when the disk is well again, so is the gate."""
    strace = closing(start(gate, ("flush", "fdatasync", "error=EIO:when=1+", True)))
    load = closing(torture_load.Torture(gate, clients=8, octets=(200, 3000)))
    house.wait_for(lambda: f"refusals; log:\n{gate.log()}", lambda: len(load.refused) + len(load.replies) >= 50 or
                   load.replies.get(452, 0) + load.replies.get(451, 0) >= 50)
    assert not load.acknowledged
    load.clients = 0
    spent = torture_strace.processor_time(gate.process.pid)
    load.sending = False
    load.stop_sending()
    time.sleep(0.5)
    spent = torture_strace.processor_time(gate.process.pid)
    lines = len(gate.lines())
    time.sleep(2)
    idle = torture_strace.processor_time(gate.process.pid) - spent
    print(f"{len(load.refused)} refused at the dot, MAIL {load.replies}; idle: {idle:.2f} s of CPU in 2 s, "
          f"{len(gate.lines()) - lines} lines of log")
    assert idle < 0.2 and len(gate.lines()) - lines < 50, "it spins"
    strace.stop()
    with gate.login() as t:
        house.wait_for(lambda: f"mail to be taken again; log:\n{gate.log()[-3000:]}",
                       lambda: t.mail(content=torture_load.content(0, 100)).code == 250 or time.sleep(0.2))
