"""
Networks of the seeds' figures: machines are network namespaces, cables are veth pairs, the office's router masquerades. What is
started within `with machine.inside():` runs on that machine: processes, threads, and this thread's own sockets. All is gone at close().
"""

import contextlib
import ctypes
import itertools
import os
import shutil

import house

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


class Impossible(Exception):
    """Network namespaces can't be made here; says why."""


def must(*command):
    result = house.run(*command)
    assert result.returncode == 0, f"{' '.join(map(str, command))}: {result.stderr.strip()}"


def enter(path):
    fd = os.open(path, os.O_RDONLY)
    try:
        assert libc.setns(fd, CLONE_NEWNET) == 0, f"setns: {os.strerror(ctypes.get_errno())}"
    finally:
        os.close(fd)


class Machine:
    def __init__(self, name):
        self.name = name
        must("ip", "netns", "add", name)

    @contextlib.contextmanager
    def inside(self):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter(f"/run/netns/{self.name}")
        try:
            yield self
        finally:
            assert libc.setns(home, CLONE_NEWNET) == 0
            os.close(home)

    def do(self, *command):
        must("ip", "netns", "exec", self.name, *command)

    def route(self, by, to="default"):
        self.do("ip", "route", "add", to, "via", by)

    def forward(self):
        with self.inside(), open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
            f.write("1")

    def masquerade(self, network):
        """What leaves for elsewhere comes from this machine's own address there: the office's one global address."""
        self.do("nft", f"table ip office {{ chain out {{ type nat hook postrouting priority 100; ip saddr {network} "
                       f"ip daddr != {network} masquerade; }}; }}")


class Landscape:
    def __init__(self):
        self.machines = []
        self.cables = itertools.count()
        for tool in ("ip", "nft"):
            if not shutil.which(tool):
                raise Impossible(f"{tool} isn't installed")
        try:
            self._try()
        except AssertionError as e:
            raise Impossible(str(e)) from None
        finally:
            self.close()

    def _try(self):
        """All that the kernel has to be able to do; what goes wrong later is an error."""
        one = self.machine("try")
        self.net("192.168.0", (one, 1))
        one.masquerade("192.168.0.0/24")
        with one.inside():
            pass

    def machine(self, name):
        self.machines.append(Machine(f"seki{os.getpid()}{name}"))
        self.machines[-1].do("ip", "link", "set", "lo", "up")
        return self.machines[-1]

    def net(self, prefix, *ends, length=24):
        """A switch, and each machine on it: net("192.168.0", (pc, 10), (router, 1))."""
        switch = self.machine(f"s{next(self.cables)}")
        switch.do("ip", "link", "add", "switch", "type", "bridge")
        switch.do("ip", "link", "set", "switch", "up")
        for machine, number in ends:
            cable = next(self.cables)
            must("ip", "link", "add", f"e{cable}", "netns", machine.name, "type", "veth", "peer", "name", f"e{cable}",
                 "netns", switch.name)
            switch.do("ip", "link", "set", f"e{cable}", "master", "switch", "up")
            machine.do("ip", "address", "add", f"{prefix}.{number}/{length}", "dev", f"e{cable}")
            machine.do("ip", "link", "set", f"e{cable}", "up")

    def close(self):
        for machine in reversed(self.machines):
            house.run("ip", "netns", "del", machine.name)
        self.machines = []
