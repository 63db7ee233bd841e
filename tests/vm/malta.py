"""
A small router: MIPS little endian with 64 MiB, Debian's kernel for the Malta board, busybox and Sekimori in an initramfs, the
spool on ext4, or in flash. All of it comes from Debian's archive, with a package state of its own: this machine's isn't touched.
"""

import os
import pathlib
import re
import socket

import machine

HERE = machine.HERE
LIBRARIES = HERE.parents[1] / "board/debian/libraries"
MEMORY = 64  # MiB
FLAGS = ("-Os -flto=auto -fno-pie -fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections -march=24kc -mips16 "
         "-minterlink-mips16 -mplt")
LINK = "-no-pie -Wl,--gc-sections -Wl,-z,noseparate-code -Wl,-z,max-page-size=4096"


def parts(what, cache):
    """Directory with what board/debian/libraries makes; fetched once."""
    path = pathlib.Path(cache) / what
    got = machine.call("sh", LIBRARIES, what, path, timeout=600)
    if got.returncode != 0:
        raise machine.Missing(f"Debian's packages for mipsel: {(got.stdout + got.stderr).strip()[-300:]}")
    return path


def build(top, directory, cache):
    """The program for that router, built as OpenWrt does, and stripped; its path."""
    libraries = parts("mipsel-musl", cache)
    binary = pathlib.Path(directory) / "sekimori"
    made = machine.call("make", "-C", top, "-j2", f"BUILD={directory}", f"CC={libraries}/gcc", "AR=mipsel-linux-gnu-ar",
                        f"LIBRARIES={libraries}", f"CFLAGS={FLAGS}", f"LDFLAGS={LINK}", "EXTRA_CFLAGS=-Werror", binary)
    assert made.returncode == 0, (made.stdout + made.stderr)[-3000:]
    assert machine.call("mipsel-linux-gnu-strip", "-o", f"{binary}.stripped", binary).returncode == 0
    return pathlib.Path(f"{binary}.stripped")


class Malta(machine.Machine):
    MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "crc32c_generic", "ext4")

    def __init__(self, directory, cache, binary, files, port):
        self.shell_path = os.path.join(directory, "shell")
        self.commands = 0
        self.words = ""  # for the guest's /proc/cmdline
        self.clock = None  # of the machine at power-on; None: the right time
        self.binary_size = os.path.getsize(binary)
        files = {**files, "etc/remote": b"", "etc/passwd": "root:x:0:0::/:/bin/sh\nsekimori:x:460:460::/:/bin/false\n",
                 "etc/group": "root:x:0:\nsekimori:x:460:\n"}
        super().__init__(directory, cache, binary, files, port)

    def find(self):
        self.qemu = machine.program("qemu-system-mipsel", "qemu-system-mips")
        self.root = parts("malta", self.cache) / "root"
        self.busybox = self.root / "bin/busybox"

    def libraries(self, binary):
        """What the dynamic linker will look for."""
        libraries = parts("mipsel-musl", self.cache)
        names = re.findall(r"NEEDED.*\[(.*)\]", machine.call("readelf", "-d", binary).stdout)
        found = {f"lib/{name}": (libraries / "lib" / name).resolve() for name in names if name != "libc.so"}
        if names:
            found["lib/ld-musl-mipsel.so.1"] = libraries / "root/lib/mipsel-linux-musl/libc.so"
        return found

    def storage(self, blocks):
        return ["-m", str(MEMORY), "-M", "malta", "-blockdev", blocks, "-device", "virtio-blk-pci,drive=d,write-cache=on"]

    def arguments(self, blocks):
        clock = ["-rtc", f"base={self.clock}"] if self.clock else []
        return [*clock, *self.storage(blocks), "-cpu", "24Kc", "-nodefaults", "-no-user-config", "-display", "none",
                "-serial", "stdio", "-serial", f"unix:{self.shell_path},server=on,wait=off", "-no-reboot",
                "-kernel", str(self.kernel), "-initrd", str(self.dir / "initramfs"),
                "-append", f"console=ttyS0 quiet panic=-1 {self.words}",
                "-netdev", f"user,id=n,restrict=off,hostfwd=tcp:127.0.0.1:{self.port}-:587",
                "-device", "virtio-net-pci,netdev=n,romfile="]

    def shell(self, command, bound=60):
        """Runs it in the guest; what it writes to standard output."""
        self.commands += 1
        begin, end = f"begin-{self.commands}:", f"end-{self.commands}:"
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(bound)
            s.connect(self.shell_path)
            s.sendall(f"echo {begin}; {command}; echo {end}\n".encode())
            heard = b""
            while end.encode() not in heard:
                some = s.recv(65536)
                if not some:
                    raise EOFError(f"the shell of the guest: {heard!r}")
                heard += some
        text = heard.decode(errors="backslashreplace").replace("\r", "")
        return text[text.index(begin) + len(begin):text.index(end)].strip("\n")


class Flash(Malta):
    """
    The same router with NOR flash in place of a disk: jffs2 on it. The flash is memory that the kernel doesn't take for its
    own, kept in a file of the host, and so survives a cut, at any octet of what was being written. A second one, in
    memory and for UBI, lives as long as the machine.
    """

    MODULES = ("virtio_pci", "virtio_net", "phram", "jffs2", "mtdram", "zstd", "lzo", "deflate", "ubi", "ubifs")
    FLASH, ERASE = 12, 64  # MiB; KiB
    VOLATILE = 24  # MiB, of the kernel's own, half of it for UBI; behind the flash, for qemu puts the initramfs at the end of memory

    def __init__(self, directory, cache, binary, files, port):
        volume = pathlib.Path(directory) / "volume"
        made = machine.call(parts("mipsel-musl", cache) / "gcc", "-Os", "-static", "-Wall", "-Werror", "-o", volume, HERE / "volume.c")
        assert made.returncode == 0, made.stderr
        super().__init__(directory, cache, binary, {**files, "bin/volume": volume.read_bytes()}, port)
        self.words = f"flash mem={MEMORY}M@0 mem={self.VOLATILE}M@{MEMORY + self.FLASH}M"
        self.memory = self.dir / "memory"
        with open(self.memory, "wb") as f:
            f.seek(MEMORY << 20)
            f.write(b"\xff" * (self.FLASH << 20))
            f.truncate((MEMORY + self.FLASH + self.VOLATILE) << 20)

    def options(self, module):
        return {"phram": f"phram=flash,{MEMORY}Mi,{self.FLASH}Mi,{self.ERASE}ki",
                "mtdram": f"total_size={self.VOLATILE << 9} erase_size={self.ERASE}", "ubi": "mtd=1"}.get(module, "")

    def storage(self, blocks):
        size = MEMORY + self.FLASH + self.VOLATILE
        return ["-m", str(size), "-M", "malta,memory-backend=ram", "-object",
                f"memory-backend-file,id=ram,size={size}M,mem-path={self.memory},share=on"]

    def cut(self, seed):
        self.kill()
        return "what was written is in the flash"

    def power_on(self):
        self.start()
