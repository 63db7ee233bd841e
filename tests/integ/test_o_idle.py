"""While nothing is due, nothing happens: no wake-up of the daemon or a helper, no write to a disk."""

import pathlib
import re
import shutil
import signal
import subprocess
import time

import house
import pytest

SETTLE = 8  # s; the longest of what follows an event: a relay's idle connection is kept for 5
WINDOW = 12  # s


def processes(gate):
    """Its daemon and the helpers."""
    children = pathlib.Path(f"/proc/{gate.process.pid}/task/{gate.process.pid}/children").read_text().split()
    assert len(children) == 3, children
    return [gate.process.pid, *map(int, children)]


def counters(pid):
    """What counts up when it runs, or writes."""
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = {name: int(number) for name, number in re.findall(r"^(\w*voluntary_ctxt_switches):\s+(\d+)$", status, re.M)}
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        name, _, number = line.partition(": ")
        found[name] = int(number)
    return found


def files(gate):
    return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in gate.dir.glob("**/*")
            if not path.name.startswith("trace")}


def traced(gate):
    """System calls of all of them in the meantime, a line each."""
    path = gate.dir / "trace"
    pids = processes(gate)
    tracer = subprocess.Popen(["strace", "-f", "-o", str(path), *[a for pid in pids for a in ("-p", str(pid))]],
                              stderr=subprocess.PIPE, text=True)
    attached = 0
    while attached < len(pids):
        line = tracer.stderr.readline()
        assert line and "Operation not permitted" not in line, "strace can't attach"
        attached += "attached" in line
    time.sleep(WINDOW)
    tracer.send_signal(signal.SIGINT)
    tracer.communicate(timeout=house.WAIT)
    return path.read_text().splitlines()


def assert_idle(gate):
    time.sleep(SETTLE)
    pids, before, there = processes(gate), {}, files(gate)
    for pid in pids:
        before[pid] = counters(pid)
    time.sleep(WINDOW)
    for pid in pids:
        after = counters(pid)
        # How often it was made to wait for others says nothing of it.
        assert {k: v for k, v in after.items() if k != "nonvoluntary_ctxt_switches"} == \
               {k: v for k, v in before[pid].items() if k != "nonvoluntary_ctxt_switches"}, (pid, pids)
    assert files(gate) == there
    if not shutil.which("strace"):
        pytest.skip("strace isn't here")
    calls = traced(gate)
    # The one that strace found each of them in.
    assert len(calls) <= len(pids), calls
    assert all(re.search(r"poll|recvmsg|restart_syscall", line) for line in calls), calls


def test_nothing_ever_happened(gate):
    gate.set("relay", host="127.0.0.1").start().settled()
    assert_idle(gate)


def test_mail_waits_and_clients_do_nothing(live, tls_client, closing):
    """A mail that is due in an hour, sessions with all their time left, and what TLS and a relay leave behind."""
    live.set("queue", retry="1h").set("limits", sessions_per_client=100).write()
    assert live.cmd("reload").returncode == 0
    with live.login() as session:
        assert session.mail(to=["friend@example.net"]).code == 250
    house.wait_for("delivery", lambda: live.sink.keeper.mails)
    live.sink.close()
    with live.login() as session:
        assert session.mail(to=["friend@example.net"]).code == 250
    live.wait_log("delivery id=.* status=deferred")
    for _ in range(20):
        closing(live.connect()).ehlo()
    for stays in (False, True):
        session = closing(live.connect())
        session.ehlo()
        assert session.cmd("STARTTLS").code == 220
        session.starttls(tls_client, "mail.test-sample.jp")
        assert session.cmd("EHLO client.example").code == 250
        if not stays:
            session.cmd("QUIT")
    assert live.cmd("status").returncode == 0
    assert_idle(live)
