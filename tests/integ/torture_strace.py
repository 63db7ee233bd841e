"""System calls of a running gate that fail or take long: strace attached to the one process that makes them."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest

import house


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def flusher(gate):
    """The helper that calls fdatasync."""
    def look():
        return [pid for pid in children(gate.process.pid)
                if pathlib.Path(f"/proc/{pid}/comm").read_text().startswith("sekimori: flush")]

    # It gives itself its name.
    return house.wait_for("a helper named flush", look)[0]


def is_running(pid):
    """Neither gone nor dead and waiting for its parent."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(gate):
    """SIGKILL as Gate.kill, without waiting for init to collect the helpers, which takes it a second or two."""
    helpers = children(gate.process.pid)
    os.killpg(gate.process.pid, signal.SIGKILL)
    gate.process.wait(house.WAIT)
    gate.process = None
    house.wait_for("the helpers to be dead", lambda: not any(map(is_running, helpers)))


def tracer(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0


class Fault:
    """strace on a process until stop(); `hits` are the calls that it made fail."""

    def __init__(self, directory, pid, call, what):
        if not shutil.which("strace"):
            pytest.skip("strace isn't installed")
        self.out = pathlib.Path(directory) / f"strace.{pid}"
        self.pid = pid
        self.process = subprocess.Popen(["strace", "-qq", "-o", str(self.out), "-e", f"trace={call}",
                                         "-e", f"inject={call}:{what}", "-p", str(pid)],
                                        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        house.wait_for("strace to attach", lambda: self.process.poll() is not None or tracer(pid))
        if self.process.poll() is not None:
            words = self.process.stderr.read()
            if "not permitted" in words:
                pytest.skip(f"tracing isn't permitted: {words.strip()}")
            raise AssertionError(words)

    @property
    def hits(self):
        return [line for line in self.out.read_text().splitlines() if "INJECTED" in line or "DELAYED" in line]

    def stop(self):
        """The process goes on without."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(house.WAIT)
        self.process.stderr.close()

    def close(self):
        if self.process.returncode is None:
            self.stop()


def processor_time(pid):
    """Seconds of CPU that a process has used."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
