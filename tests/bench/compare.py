"""Sekimori beside Postfix, OpenSMTPD and Exim from Debian's packages: one machine, one run, the same load.

Everything but the preparation happens in a network namespace whose lo has Ethernet's MTU (with its own 65536, a 4 KiB
write is a small segment to Nagle's algorithm, and daemons that write in pieces wait 40 ms per message, as they would on
no network), and in a process namespace, so that nothing outlives the run. All daemons are up at once, one is loaded;
within a round they take turns at each figure, and ratios are taken within a round. Prints Markdown.
"""

import argparse
import fcntl
import os
import pathlib
import random
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

import peers
from peers import Group, Unusable

HERE = pathlib.Path(__file__).resolve().parent
SINK_PORT, FIRST_PORT = 20025, 20026
MESSAGE = 10240
IDLE_CLIENTS = 500
STALLED = 60  # s without a message at the sink: the rest isn't coming
FOREIGN_MAX = 0.10  # of the processors, taken by others: then measured again
ATTEMPTS = 2
JUDGED = ("Sekimori", "Postfix")  # the targets are about these; the others, some at 5 connections a second, take part once
TMPFS_MAGIC = 0x01021994

TOOLS = {"client": ("-lssl", "-lcrypto"), "handshake": ("-lmbedtls", "-lmbedx509", "-lmbedcrypto")}

# name: clients, octets, connections reused
LOADS = {
    "one": (1, MESSAGE, False),
    "fresh20": (20, MESSAGE, False),
    "fresh100": (100, MESSAGE, False),
    "reused20": (20, MESSAGE, True),
    "reused100": (100, MESSAGE, True),
    "big": (10, 1 << 20, False),
}
FIGURES = (*LOADS, "tls", "idle", "hold")

# What it says, figure, value, unit of the target, target, digits. Targets "x" and "/" are ratios to Postfix.
ROWS = (
    ("accepted/s, a connection per message, 20 clients", "fresh20", "accepted", "x", 6, 0),
    ("the same, 100 clients", "fresh100", "accepted", "x", 6, 0),
    ("accepted/s, connections reused, 20 clients", "reused20", "accepted", "x", 10, 0),
    ("the same, 100 clients", "reused100", "accepted", "x", 10, 0),
    ("accepted/s, one client at a time", "one", "accepted", "x", 3, 0),
    ("end to end/s, a connection per message, 20 clients", "fresh20", "through", "x", 8, 0),
    ("the same, 100 clients", "fresh100", "through", "x", 8, 0),
    ("end to end/s, connections reused, 20 clients", "reused20", "through", "x", 8, 0),
    ("the same, 100 clients", "reused100", "through", "x", 8, 0),
    ("1 MiB messages, 10 clients, end to end/s", "big", "through", "x", 2, 0),
    ("CPU ms per message, a connection each, 20 clients", "fresh20", "cpu", "/", 12, 3),
    ("the same, 100 clients", "fresh100", "cpu", "/", 12, 3),
    ("CPU ms per message, connections reused, 20 clients", "reused20", "cpu", "/", 12, 3),
    ("the same, 100 clients", "reused100", "cpu", "/", 12, 3),
    ("memory idle, MiB", "idle", "memory", "/", 5, 2),
    ("added by 500 idle connections, MiB", "hold", "memory", "<=", 1, 2),
    ("STARTTLS sessions/s, one client at a time", "tls", "sessions", ">=", 300, 0),
    ("CPU ms per STARTTLS handshake", "tls", "cpu", "bare", 1.15, 3),
)


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def busy():
    """Seconds that the processors worked, for anybody."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, soft, steal = (int(x) for x in f.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / os.sysconf("SC_CLK_TCK")


def disk(directory, count=100):
    """Appends of 10 KiB with an fdatasync each, per second, to blocks that are there already, as in a spool."""
    path = directory / "calibration"
    block = b"x" * MESSAGE
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        os.write(fd, block * count)
        os.fsync(fd)
        start = time.monotonic()
        for i in range(count):
            os.pwrite(fd, block, i * MESSAGE)
            os.fdatasync(fd)
        return count / (time.monotonic() - start)
    finally:
        os.close(fd)
        path.unlink()


def run_load(*argv):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    if done.returncode != 0:
        raise Unusable(done.stderr[-200:].strip() or f"{argv[0]} ended with {done.returncode}")
    return done.stdout


class Sink:
    """smtp-sink, and what its counter says."""

    def __init__(self, root, group):
        self.count, self.changed = 0, 0.0
        self.process = group.start(["chroot", root, "smtp-sink", "-u", "nobody", "-c", "-m", "1000",
                                    f"127.0.0.1:{SINK_PORT}", "1000"], stdout=subprocess.PIPE, stderr=2)
        threading.Thread(target=self.read, daemon=True).start()
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", SINK_PORT), timeout=5).close()
                return
            except OSError:
                time.sleep(0.05)
        raise Unusable("smtp-sink doesn't start")

    def read(self):
        tail = b""
        while data := os.read(self.process.stdout.fileno(), 65536):
            tail = (tail + data)[-200:]
            counts = re.findall(rb"mesg=(\d+)\r", tail)
            if counts and int(counts[-1]) != self.count:
                self.count, self.changed = int(counts[-1]), time.monotonic()
            time.sleep(0.005)  # it writes per message; that shall not cost a wake-up each

    def wait(self, count):
        """The time at which the count was reached."""
        since = time.monotonic()
        while self.count < count:
            if time.monotonic() - max(since, self.changed) > STALLED:
                raise Unusable(f"{count - self.count} messages never came")
            time.sleep(0.005)
        return self.changed


class Straight:
    """The load without a daemon: what generator and sink can do on this machine."""
    name = "no daemon"

    def __init__(self):
        self.port = SINK_PORT
        self.group = None


class Bench:
    def __init__(self, options):
        self.options = options
        self.cache = pathlib.Path(os.environ.get("BENCH_CACHE", "/var/tmp/sekimori-bench")).resolve()
        self.binary = pathlib.Path(os.environ.get("SEKIMORI", "build/sekimori")).resolve()
        self.run = self.cache / "compare"
        self.certificate, self.key = self.cache / "bench-cert.pem", self.cache / "bench-key.pem"
        self.bin = self.cache / "compare-bin"
        self.seconds = 0.7 if options.quick else 1.5  # of each load
        self.peers = [p for p in peers.ALL if not options.beside or p.name in ("Sekimori", *options.beside.split(","))]
        self.rounds = options.rounds or (1 if options.quick else 5)
        self.groups = self.sink = self.tools = self.rig = None
        self.results, self.sizes, self.notes = {}, {}, []
        self.calibrations, self.foreign = [], []

    # Preparation, outside of the namespaces

    def compile(self):
        self.bin.mkdir(exist_ok=True)
        for name, libraries in TOOLS.items():
            subprocess.run(["cc", "-std=gnu11", "-O2", "-o", str(self.bin / name), str(HERE / f"{name}.c"), *libraries], check=True)

    def certify(self):
        if not self.certificate.exists():
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                            "-days", "3650", "-subj", f"/CN={peers.NAME}", "-keyout", str(self.key),
                            "-out", str(self.certificate)], check=True, stderr=subprocess.DEVNULL)

    def prepare(self):
        self.cache.mkdir(parents=True, exist_ok=True)
        if not self.binary.exists():
            raise Unusable(f"{self.binary} isn't built")
        self.certify()
        self.compile()
        peers.debian_tree(self.cache, "tools", "postfix")
        for peer in self.peers:
            try:
                peer.prepare(self.cache)
            except (Unusable, OSError, subprocess.CalledProcessError) as e:
                say(f"SKIPPED: {peer.name} can't be prepared, is there a network? {e}")

    # Measuring

    def skip(self, what, why):
        text = f"{what}: {why}"
        if text not in self.notes:
            self.notes.append(text)
            say("SKIPPED:", text)

    def note(self, figure, peer, values):
        self.results.setdefault((figure, peer.name), []).append(values)
        say(f"{figure} {peer.name}:", ", ".join(f"{k} {v:.4g}" for k, v in values.items() if v is not None))

    def run_client(self, *args):
        return run_load(self.bin / "client", *args)

    def generate(self, port, load, messages):
        clients, octets, reused = LOADS[load]
        if load == "big":
            self.run_client(port, clients, messages, octets, "plain")
        else:
            run_load("chroot", self.tools, "smtp-source", *(["-d"] if reused else []), "-s", clients, "-m", messages,
                     "-l", octets, "-f", "sender@example.com", "-t", "recipient@example.net",
                     "-M", "client.example.com", f"127.0.0.1:{port}")

    def load(self, peer, load, messages):
        group = peer.group
        before = self.sink.count
        cpu = group.cpu() if group else 0
        rig = self.rig.cpu()
        start = time.monotonic()
        self.generate(peer.port, load, messages)
        accepted = time.monotonic() - start
        through = self.sink.wait(before + messages) - start
        time.sleep(0.3)  # it unlinks, logs, writes outcomes
        cpu = (group.cpu() - cpu) * 1000 / messages if group else None
        rig = (self.rig.cpu() - rig) * 1000 / messages
        return {"accepted": messages / accepted, "through": messages / through, "cpu": cpu, "rig": rig}

    def size(self, peer, load):
        """So many messages that it takes about so long; found by a small run, that warms up as well. Never so few that only
        the opening of connections is measured: a listener with a short backlog loses some, and seconds with them."""
        clients = LOADS[load][0]
        if (peer.name, load) not in self.sizes:
            tried = 2 * clients if load == "big" else min(20 * clients, 400)
            rate = self.load(peer, load, tried)["through"]
            if rate > 10 * tried:
                rate = self.load(peer, load, int(rate / 5))["through"]
            self.sizes[peer.name, load] = max(tried, min(int(rate * self.seconds), 20000))
        return self.sizes[peer.name, load]

    def sessions(self, port, count, kind):
        return count / float(self.run_client(port, 1, count, 0, kind))

    def tls(self, peer, count):
        """A session with STARTTLS and one without; the bare handshake right behind, on the same warm machine."""
        cpu = [peer.group.cpu()]
        rate = self.sessions(peer.port, count, "starttls")
        cpu.append(peer.group.cpu())
        self.sessions(peer.port, count // 4, "plain")
        cpu.append(peer.group.cpu())
        bare = float(peers.output(self.bin / "handshake", self.certificate, self.key, count)) / 1000
        whole, plain = (cpu[1] - cpu[0]) * 1000 / count, (cpu[2] - cpu[1]) * 1000 / (count // 4)
        return {"sessions": rate, "cpu": whole - plain, "whole": whole, "bare": bare}

    def measure(self, figure, peer):
        if figure == "tls":
            count = 100 if self.options.quick else 300
            return lambda: self.tls(peer, count)
        count = self.size(peer, figure)
        return lambda: self.load(peer, figure, count)

    def in_peace(self, figure, peer, daemons):
        """Once more when others had much of the machine meanwhile; the calmest counts."""
        best = None
        work = self.measure(figure, peer)
        for _ in range(ATTEMPTS if peer.name in JUDGED and not self.options.quick else 1):
            os.sync()
            time.sleep(0.3)
            self.calibrations.append(disk(self.run))
            def ours():
                return self.rig.cpu() + sum(d.group.cpu() for d in daemons)
            start, mine, all_of_it = time.monotonic(), ours(), busy()
            values = work()
            foreign = (busy() - all_of_it - ours() + mine) / (time.monotonic() - start) / os.cpu_count()
            if best is None or foreign < best[0]:
                best = (foreign, values)
            if foreign <= FOREIGN_MAX:
                break
        self.foreign.append(best[0])
        return best[1]

    def compare(self, daemons, figures):
        alive = [d for d in daemons if self.is_up(d)]
        turns = alive + [Straight()]
        for number in range(self.rounds):
            say(f"round {number + 1} of {self.rounds}")
            for figure in figures:
                random.shuffle(turns)
                for peer in turns:
                    if figure == "tls" and not peer.group:
                        continue
                    if number > 0 and peer.group and peer.name not in JUDGED:
                        continue
                    try:
                        self.note(figure, peer, self.in_peace(figure, peer, alive))
                    except (Unusable, subprocess.SubprocessError) as e:
                        self.results.setdefault((figure, peer.name), []).append(None)
                        self.skip(f"{figure} of {peer.name}", e)
        for d in alive:
            d.end()

    def is_up(self, daemon):
        try:
            if not (daemon.root / ".ready").exists() and daemon.packages:
                raise Unusable("not prepared, see above")
            daemon.start()
            return True
        except (Unusable, OSError, subprocess.SubprocessError) as e:
            self.skip(daemon.name, e)
            return False

    def hold(self, port):
        """Idle clients, each after its EHLO."""
        clients = []
        for _ in range(IDLE_CLIENTS):
            s = socket.create_connection(("127.0.0.1", port), timeout=30)
            clients.append(s)
            with s.makefile("rb", buffering=0) as lines:
                s.sendall(b"EHLO client.example.com\r\n")
                while not lines.readline().startswith(b"250 "):
                    pass
        return clients

    def memory(self, daemons, figures):
        for _ in range(min(self.rounds, 3)):  # which pages of a library are mapped is partly luck
            for daemon in daemons:
                if not self.is_up(daemon):
                    continue
                time.sleep(3)
                idle = daemon.group.memory()
                self.note("idle", daemon, {"memory": idle})
                if "hold" in figures:
                    try:
                        clients = self.hold(daemon.port)
                        time.sleep(2)
                        self.note("hold", daemon, {"memory": daemon.group.memory() - idle})
                        for s in clients:
                            s.close()
                    except OSError as e:
                        self.results.setdefault(("hold", daemon.name), []).append(None)
                        self.skip(f"hold of {daemon.name}", e)
                daemon.end()

    def measure_all(self):
        wanted = self.options.only.split(",") if self.options.only else FIGURES
        mount = self.run / "cgroup"
        mount.mkdir(parents=True, exist_ok=True)
        try:
            subprocess.run(["mount", "-t", "cgroup2", "none", str(mount)], check=True)
            self.groups = mount / "sekimori-bench"
            self.groups.mkdir(exist_ok=True)
            for stale in self.groups.glob("*/cgroup.procs"):  # all ended with their namespace
                stale.parent.rmdir()
            self.rig = Group(self.groups / "rig")
        except (OSError, subprocess.SubprocessError) as e:
            raise Unusable(f"no cgroup v2 to count with: {e}") from e
        (self.rig.path / "cgroup.procs").write_text("0")
        self.tools = self.cache / "root-tools"
        daemons = [peer(self, FIRST_PORT + i, SINK_PORT) for i, peer in enumerate(self.peers)]
        self.sink = Sink(self.tools, self.rig)
        try:
            if {"idle", "hold"} & set(wanted):
                self.memory(daemons, wanted)
            loads = [f for f in FIGURES if f in wanted and f not in ("idle", "hold")]
            if loads:
                self.compare(daemons, loads)
        except KeyboardInterrupt:
            self.skip("the rest", "interrupted")
        finally:
            for daemon in daemons:
                daemon.end()
            self.sink.process.terminate()
            (mount / "cgroup.procs").write_text("0")
            self.sink.process.wait()
            self.rig.end()
            self.groups.rmdir()
            subprocess.run(["umount", str(mount)], check=False)

    # Telling

    def values(self, figure, name, key):
        return [v and v[key] for v in self.results.get((figure, name), [])]

    def ratios(self, figure, key, unit):
        own = self.values(figure, "Sekimori", key)
        if unit == "bare":
            return [a / b for a, b in zip(own, self.values(figure, "Sekimori", "bare")) if a and b]
        pairs = [(a, b) for a, b in zip(own, self.values(figure, "Postfix", key)) if a and b]
        return [b / a if unit in ("/", "<=") else a / b for a, b in pairs]

    def row(self, text, figure, key, unit, target, digits):
        def cell(name):
            found = [v for v in self.values(figure, name, key) if v is not None]
            return f"{statistics.median(found):.{digits}f}" if found else "-"
        ratios = self.ratios(figure, key, unit)
        judged = [v for v in self.values(figure, "Sekimori", key) if v is not None] if unit in ("<=", ">=") else ratios
        wanted = {"x": f"{target} × Postfix", "/": f"1/{target} of Postfix", "<=": f"≤ {target}", ">=": f"≥ {target}",
                  "bare": f"≤ {target} × bare"}[unit]
        shown, verdict = "-", "-"
        if ratios:
            sign = "1/" if unit in ("/", "<=") else "× "
            shown = f"{sign}{statistics.median(ratios):.3g} ({min(ratios):.3g}–{max(ratios):.3g})"
        if judged:
            middle = statistics.median(judged)
            verdict = "yes" if (middle <= target if unit in ("<=", "bare") else middle >= target) else "**no**"
        return [text, *map(cell, [p.name for p in self.peers] + [Straight.name]), wanted, shown, verdict]

    def filled(self, figure):
        """What a message takes of the processors, ms: of us, of its client and its sink; and how much of them all that fills."""
        found = [v for v in self.results.get((figure, "Sekimori"), []) if v]
        own, rig, rate = (statistics.median(v[key] for v in found) for key in ("cpu", "rig", "through"))
        return f"{figure} {own:.3f} + {rig:.3f} ms, {rate * (own + rig) / 10 / os.cpu_count():.0f} %"

    def report(self):
        head = ["figure (10 KiB messages)", *(p.name for p in self.peers), Straight.name, "target", "in-round ratio (range)", "met"]
        print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
        for row in ROWS:
            if any(figure == row[1] for figure, _ in self.results):
                print("| " + " | ".join(self.row(*row)) + " |")
        print("\nMedians; ratios are to Postfix in the same round, or to the bare handshake. "
              f"{self.rounds} rounds, {os.cpu_count()} processors, {pathlib.Path('/proc/sys/kernel/osrelease').read_text().strip()}.")
        bare = [v for v in self.values("tls", "Sekimori", "bare") if v]
        if bare:
            whole = statistics.median(v for v in self.values("tls", "Sekimori", "whole") if v)
            print(f"A bare mbedTLS handshake took the server's side {statistics.median(bare):.3f} ms ({min(bare):.3f}–{max(bare):.3f}); "
                  f"a whole STARTTLS session costs Sekimori {whole:.3f} ms, of which the CPU of a session without it is subtracted above.")
        loads = [f for f in LOADS if any(self.results.get((f, "Sekimori"), []))]
        if loads:
            print("The processors' time of a message, ours + that of its client and its sink, and how full of it the machine is: "
                  + "; ".join(map(self.filled, loads)) + ".")
        if self.calibrations:
            print(f"The disk before each load: {statistics.median(self.calibrations):.0f} flushed appends of 10 KiB a second "
                  f"({min(self.calibrations):.0f}–{max(self.calibrations):.0f}). Others, kernel threads included, took "
                  f"{100 * statistics.median(self.foreign):.0f} % of the processors ({100 * max(self.foreign):.0f} % at worst).")
        for text in self.notes:
            print(f"\nSKIPPED: {text}")


def lock(cache):
    """One run at a time in one cache."""
    f = open(cache / "compare.lock", "w", encoding="ascii")
    try:
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Unusable(f"another run holds {f.name}") from None
    return f


def is_in_memory(directory):
    kind = peers.output("stat", "-f", "-c", "%t", directory).strip()
    return int(kind, 16) == TMPFS_MAGIC


def isolate():
    """The rest of the program runs in namespaces of its own; the shell, as process 1 there, reaps what nobody waits for."""
    script = 'ip link set lo mtu 1500 up && "$@"; exit $?'
    os.environ["BENCH_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "-n", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sh", "-c", script, "sh",
                          sys.executable, str(HERE / "compare.py"), *sys.argv[1:]])


def main():
    parser = argparse.ArgumentParser(description="Sekimori beside Postfix, OpenSMTPD and Exim.")
    parser.add_argument("--quick", action="store_true", help="one short round: does everything work?")
    parser.add_argument("--rounds", type=int, help="rounds (5)")
    parser.add_argument("--only", metavar="NAME", help="figures, comma-separated: " + ", ".join(FIGURES))
    parser.add_argument("--beside", metavar="PEER", help="peers, comma-separated: " + ", ".join(p.name for p in peers.ALL[1:]))
    options = parser.parse_args()
    for named, known, what in ((options.only, FIGURES, "figure"), (options.beside, [p.name for p in peers.ALL], "peer")):
        unknown = set(named.split(",")) - set(known) if named else None
        if unknown:
            parser.error(f"no such {what}: {', '.join(sorted(unknown))}")
    bench = Bench(options)
    try:
        if os.geteuid() != 0:
            raise Unusable("namespaces, chroots and control groups need root")
        if "BENCH_INSIDE" not in os.environ:
            bench.prepare()
            isolate()
        held = lock(bench.cache)
        bench.run.mkdir(exist_ok=True)
        if is_in_memory(bench.run):
            raise Unusable(f"{bench.run} is in memory, where a flush costs nothing; set BENCH_CACHE to a directory on a disk")
        bench.measure_all()
        bench.report()
        held.close()
    except (Unusable, subprocess.CalledProcessError) as e:
        say("SKIPPED: nothing was compared:", e)
        return 77
    return 0


if __name__ == "__main__":
    sys.exit(main())
