"""
A virtual machine whose power can be cut: Debian's cloud kernel, busybox and Sekimori in an initramfs, the spool on ext4.

The disk has a volatile cache, as real ones do: qemu logs each write and flush (blklogwrites), and a cut keeps all that
was flushed and some of what was not.
"""

import lzma
import os
import pathlib
import random
import re
import shutil
import stat
import struct
import subprocess
import time

HERE = pathlib.Path(__file__).resolve().parent
DISK = 96 << 20  # octets
SECTOR = 512
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8  # flags of a log entry (Linux dm-log-writes)


class Missing(Exception):
    """Something that can't be had on this machine."""


def call(*args, **kwargs):
    return subprocess.run([str(a) for a in args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          **kwargs)


def program(name, package):
    path = shutil.which(name)
    if not path:
        raise Missing(f"{name} (Debian package {package})")
    return path


def kernel(cache):
    """Directory with the kernel's package laid out; fetched once, by apt."""
    cache = pathlib.Path(cache)
    if not list(cache.glob("root/boot/vmlinuz-*")):
        depends = call("apt-cache", "depends", "linux-image-cloud-amd64").stdout
        name = re.search(r"Depends: (linux-image-\S+)", depends)
        if not name:
            raise Missing("linux-image-cloud-amd64: apt doesn't know it")
        cache.mkdir(parents=True, exist_ok=True)
        fetched = call("apt-get", "download", name[1], cwd=cache, timeout=120)
        debs = list(cache.glob(f"{name[1]}_*.deb"))
        if fetched.returncode != 0 or not debs:
            raise Missing(f"{name[1]}: {fetched.stderr.strip()[-200:]}")
        laid_out = call("dpkg-deb", "-x", debs[0], cache / "root.new")
        if laid_out.returncode != 0:
            raise Missing(f"{name[1]}: {laid_out.stderr.strip()[-200:]}")
        (cache / "root.new").rename(cache / "root")
        debs[0].unlink()
    return cache / "root"


def libraries(binary):
    """What the dynamic linker would load."""
    return [pathlib.Path(p) for p in re.findall(r"(/\S+) \(0x", call("ldd", binary).stdout)]


def content(module):
    return lzma.decompress(module.read_bytes()) if module.suffix == ".xz" else module.read_bytes()


class Archive:
    """An initramfs (cpio, newc)."""

    def __init__(self):
        self.out = bytearray()
        self.names = set()

    def _entry(self, name, mode, data):
        head = "070701" + "".join(f"{n:08x}" for n in (len(self.names) + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                                                       len(name) + 1, 0))
        self.out += head.encode() + name.encode() + b"\0"
        self.out += b"\0" * (-len(self.out) % 4)
        self.out += data
        self.out += b"\0" * (-len(self.out) % 4)
        self.names.add(name)

    def add(self, name, data, mode=0o755):
        parts = name.strip("/").split("/")
        for n in range(1, len(parts)):
            if "/".join(parts[:n]) not in self.names:
                self._entry("/".join(parts[:n]), stat.S_IFDIR | 0o755, b"")
        self._entry("/".join(parts), stat.S_IFREG | mode, data)

    def end(self):
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self.out)


class Machine:
    """`files`: name in the guest: content. port: of the host, for the guest's 587."""

    MODULES = ("virtio_pci", "virtio_blk", "virtio_net", "ext4")

    def __init__(self, directory, cache, binary, files, port):
        self.dir, self.cache, self.port = pathlib.Path(directory), cache, port
        self.find()
        self.kernel = next(self.root.glob("boot/vmlinuz-*"))
        self.log_path = self.dir / "console"
        self.process = None
        self._initramfs(binary, files)
        self.disk, self.writes = self.dir / "disk.img", self.dir / "writes.log"
        with open(self.disk, "wb") as f:
            f.truncate(DISK)
        made = call(program("mkfs.ext4", "e2fsprogs"), "-q", self.disk)
        if made.returncode != 0:
            raise Missing(made.stderr)

    def find(self):
        self.qemu = program("qemu-system-x86_64", "qemu-system-x86")
        self.busybox = program("busybox", "busybox-static")
        self.root = kernel(self.cache)

    @staticmethod
    def libraries(binary):
        """Name in the guest: path here."""
        return {str(path): path for path in libraries(binary)}

    def _initramfs(self, binary, files):
        archive = Archive()
        archive.add("init", (HERE / "init").read_bytes())
        archive.add("bin/busybox", pathlib.Path(self.busybox).read_bytes())
        archive.add("bin/sekimori", pathlib.Path(binary).read_bytes())
        for name, path in {**self.libraries(binary), **self.libraries(self.busybox)}.items():
            archive.add(name, path.read_bytes())
        order = self.modules()
        for path in order:
            archive.add(f"modules/{path.name.removesuffix('.xz')}", content(path), 0o644)
        archive.add("modules/order", "".join(f"{name} {self.options(name.removesuffix('.ko'))}\n" for name in
                                             (path.name.removesuffix(".xz") for path in order)).encode(), 0o644)
        for name, data in files.items():
            archive.add(name, data if isinstance(data, bytes) else data.encode(), 0o600)
        (self.dir / "initramfs").write_bytes(archive.end())

    def options(self, _module):
        return ""

    def modules(self):
        """What the guest needs of those that aren't part of the kernel, each after those that it needs itself."""
        # Debian 13 has them below /usr, and compressed.
        there = {path.name.split(".")[0].replace("-", "_"): path
                 for top in ("lib", "usr/lib") for path in self.root.glob(f"{top}/modules/*/kernel/**/*.ko*")}
        order = []

        def add(name):
            path = there.get(name.replace("-", "_"))
            if path and path not in order:
                needs = re.search(rb"\0depends=([^\0]*)\0", content(path))
                for other in (needs[1].decode().split(",") if needs else []):
                    add(other)
                order.append(path)

        for name in self.MODULES:
            add(name)
        return order

    def start(self):
        with open(self.writes, "wb"):
            pass
        blocks = (f"driver=blklogwrites,node-name=d,log-sector-size={SECTOR},"
                  f"file.driver=raw,file.file.driver=file,file.file.filename={self.disk},"
                  f"log.driver=raw,log.file.driver=file,log.file.filename={self.writes}")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([self.qemu, *self.arguments(blocks)], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log)

    def arguments(self, blocks):
        return ["-M", "q35", "-accel", "tcg", "-cpu", "max", "-m", "256", "-nodefaults", "-no-user-config",
                "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", str(self.kernel),
                "-initrd", str(self.dir / "initramfs"), "-append", "console=ttyS0 quiet panic=-1 edd=off mitigations=off",
                "-blockdev", blocks, "-device", "virtio-blk-pci,drive=d,write-cache=on",
                "-netdev", f"user,id=n,restrict=off,hostfwd=tcp:127.0.0.1:{self.port}-:587",
                "-device", "virtio-net-pci,netdev=n,romfile="]

    def log(self):
        return self.log_path.read_text(errors="backslashreplace") if self.log_path.exists() else ""

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def cut(self, seed):
        """
        Kills it, and gives the disk what a cut would have left: what was flushed, and of the rest each sector or not, by
        the seed. What was lost of it, in words.
        """
        before = self.dir / "before.img"
        self.kill()
        entries = list(self.entries())
        last = max((n for n, e in enumerate(entries) if e[0] & FLUSH), default=-1)
        draw, kept, lost = random.Random(seed), 0, 0
        with open(before, "r+b") as f:
            for n, (flags, sector, data) in enumerate(entries):
                for at in range(0, len(data), SECTOR):
                    if n <= last or flags & FUA or draw.random() < 0.5:
                        f.seek(sector * SECTOR + at)
                        f.write(data[at:at + SECTOR])
                        kept += n > last
                    else:
                        lost += 1
        before.replace(self.disk)
        return f"{last + 1} writes and flushes kept, of {len(entries) - last - 1} after the last flush {lost} sectors lost"

    def power_on(self):
        """Starts with the disk as it is."""
        shutil.copyfile(self.disk, self.dir / "before.img")
        self.start()

    def entries(self):
        """(flags, sector, data) of each write, in the order in which the disk had them."""
        with open(self.writes, "rb") as f:
            head = f.read(SECTOR)
            if len(head) < SECTOR or struct.unpack("<Q", head[:8])[0] != 0x6A736677736872:
                return
            while True:
                head = f.read(SECTOR)
                if len(head) < 32:
                    return
                sector, count, flags, length = struct.unpack("<QQQQ", head[:32])
                if count == 0 and flags == 0:
                    return
                data = b""
                if not flags & DISCARD and count and not length:
                    data = f.read(count * SECTOR)
                    if len(data) < count * SECTOR:
                        return
                elif length:
                    f.read(SECTOR * -(-length // SECTOR))
                yield flags, sector, data
