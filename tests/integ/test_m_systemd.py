"""
The unit under a real systemd: process 1 of a small machine made of namespaces, whose root is this machine's with what `make
install` lays over it. Of systemd's own units it starts the journal, and what makes users and directories.
"""

import json
import pathlib
import re
import shutil
import subprocess

import pytest

import house
import test_m_install

BOOT = r"""
set -e
base=$1 shell=$2
mount -t tmpfs -o mode=755 tmpfs "$base"
mkdir "$base/upper" "$base/work" "$base/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$base/upper,workdir=$base/work" "$base/root"
cd "$base/root"
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
for at in run dev; do mount -t tmpfs -o mode=755 tmpfs $at; done
mount -t tmpfs tmpfs tmp
for name in null zero full random urandom tty; do
	: > dev/$name
	mount --bind /dev/$name dev/$name
done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
ip link set lo up
eval "$shell"
: > etc/fstab
: > etc/machine-id
mkdir -p run/systemd/system
for unit in usr/lib/systemd/system/sysinit.target.wants/* usr/lib/systemd/system/local-fs.target.wants/*; do
	case ${unit##*/} in
	systemd-journald.service|systemd-sysusers.service|systemd-tmpfiles-setup.service) ;;
	'*') ;;
	*) ln -sf /dev/null "run/systemd/system/${unit##*/}" ;;
	esac
done
printf '[Unit]\nRequires=sysinit.target\nAfter=sysinit.target\n' > run/systemd/system/try.target
# Not only a chroot: a unit's own view of the files is made from a root that can be moved.
mkdir mnt/old
pivot_root . mnt/old
exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . sh -c '
	umount -l /mnt/old
	exec /lib/systemd/systemd systemd.unit=try.target systemd.log_target=journal'
"""

INI = """\
[server]
hostname = mail.test-sample.jp
domains = test-sample.jp
[listen smtp]
address = 127.0.0.1:25
auth = optional
[listen submission]
address = 127.0.0.1:587
plaintext_auth = 127.0.0.0/8
[local]
sender = cron@test-sample.jp
[relay]
host = 127.0.0.1
port = 2500
[return]
from = postmaster@test-sample.jp
"""

TALK = """
import smtplib, sys
with smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=40) as s:
    print(s.ehlo()[0])
    if sys.argv[2:]:
        s.starttls()
        s.login("user1@test-sample.jp", "user1234")
        print(s.sendmail("user1@test-sample.jp", ["friend@example.net"], "From: user1@test-sample.jp\\r\\n\\r\\nx\\r\\n"))
"""


class Box:
    def __init__(self, directory, prepare):
        self.log = directory / "console"
        base = directory / "base"
        base.mkdir()
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--cgroup", "--uts", "--ipc", "--net",
                                             "sh", "-c", BOOT, "sh", str(base), prepare], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            house.wait_for(self.console, self._up)
        except AssertionError as error:
            self.close()
            pytest.skip(f"systemd doesn't start in namespaces here: {error}")

    def console(self):
        return self.log.read_text(errors="replace")[-2000:]

    def _up(self):
        assert self.process.poll() is None, self.console()
        return self.first() and self.run("systemctl", "is-active", "try.target").stdout == "active\n"

    def first(self):
        """Its process 1, as we see it; nothing before it is systemd."""
        for pid in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
            if pathlib.Path(f"/proc/{pid}/comm").read_text() == "systemd\n":
                return pid
        return None

    def run(self, *args, **keys):
        return house.run("nsenter", "-t", self.first(), "-m", "-p", "-n", "-u", "-i", "-r", *args, **keys)

    def good(self, *args, **keys):
        result = self.run(*args, **keys)
        assert result.returncode == 0, (result, self.journal())
        return result.stdout

    def journal(self):
        return self.run("journalctl", "-q", "--no-pager", "-o", "cat", "-t", "sekimori", "-t", "systemd").stdout

    def told(self, words):
        house.wait_for(lambda: f"{words}; {self.journal()}", lambda: re.search(words, self.journal()))

    def shows(self, name):
        return self.good("systemctl", "show", "-P", name, "sekimori").strip()

    def status(self, **keys):
        return json.loads(self.good("sekimori", "status", "--json", **keys))

    def talk(self, *args):
        return self.good("/usr/bin/python3", "-c", TALK, *args)

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def box(tmp_path, as_root, accounts_text, certs, closing):
    if not shutil.which("nsenter") or not pathlib.Path("/lib/systemd/systemd").exists() or house.run("unshare", "-m", "true").returncode:
        pytest.skip("systemd, or mount namespaces, aren't to be had here")
    if "libasan" in house.run("ldd", house.BINARY).stdout:
        pytest.skip("the sanitizers don't live with what the unit forbids")
    dest, extra = tmp_path / "dest", tmp_path / "dest/etc/sekimori"
    test_m_install.make("install", dest, INIT="systemd", PREFIX="/usr")
    (dest / "etc/sekimori.ini").write_text(INI)
    extra.mkdir()
    (extra / "accounts").write_text(accounts_text)
    for name, source in (("cert.pem", "server.pem"), ("key.pem", "server.key")):
        shutil.copy(certs / source, extra / name)
    (dest / "usr/sbin/sendmail.try").symlink_to("sekimori")
    # Restart sooner than the unit says.
    drop = dest / "etc/systemd/system/sekimori.service.d/soon.conf"
    drop.parent.mkdir(parents=True)
    drop.write_text("[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestartSec=200ms\n")
    return closing(Box(tmp_path, f'sed -i "/^sekimori:/d" etc/passwd etc/group etc/shadow etc/gshadow; cp -a {dest}/. .; '
                       "chmod 640 etc/sekimori/*; rm -rf var/spool/sekimori"))


def test_a_life_under_systemd(box):
    box.good("chown", "-R", "root:sekimori", "/etc/sekimori")

    # A file with a fault: it doesn't start, and the journal says where; once that is mended it comes by itself.
    box.good("sed", "-i", "s/^port = 2500/port = many/", "/etc/sekimori.ini")
    assert box.run("systemctl", "start", "sekimori").returncode != 0
    box.told(r"/etc/sekimori\.ini:\d+: .*many")
    box.good("sed", "-i", "s/^port = many/port = 2500/", "/etc/sekimori.ini")
    house.wait_for(box.journal, lambda: box.shows("ActiveState") == "active")
    box.told("serves, 0 messages")
    pid = box.shows("MainPID")
    state = dict(line.split(":\t", 1) for line in box.good("cat", f"/proc/{pid}/status").splitlines() if ":\t" in line)
    uid = box.good("id", "-u", "sekimori").strip()
    assert state["Uid"].split() == [uid] * 4 != ["0"] * 4
    assert int(state["CapEff"], 16) & ~(1 << 10) == 0 and state["NoNewPrivs"].strip() == "1" and state["Seccomp"].strip() == "2"
    inside = ["nsenter", "-t", pid, "-m", "-r", "--"]
    assert "Read-only" in box.run(*inside, "touch", "/etc/sekimori.ini").stderr
    assert [box.talk(port).split()[0] for port in ("25", "587")] == ["250", "250"]
    assert box.talk("587", "mail").split() == ["250", "{}"]

    # As the control and the local socket see it
    assert box.status()["queue"] == 1
    (sent,) = [box.run("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/sbin/sekimori", "sendmail", "-i",
                       "friend@example.net", input="Subject: x\n\nHello\n")]
    assert sent.returncode == 0, sent
    assert box.status()["queue"] == 2

    # Reload: by the unit, with a change
    box.good("sed", "-i", "s/^auth = optional/auth = required/", "/etc/sekimori.ini")
    box.good("systemctl", "reload", "sekimori")
    box.told("reloaded /etc/sekimori.ini")
    assert box.shows("MainPID") == pid

    # A crash: it comes back, with its queue
    box.good("kill", "-SEGV", pid)
    house.wait_for(box.journal, lambda: box.shows("MainPID") not in ("0", pid))
    box.told("serves, 2 messages")
    assert box.talk("25").split()[0] == "250"

    # A reload of a broken file fails, and nothing else does
    box.good("sed", "-i", "s/^port = 2500/port = many/", "/etc/sekimori.ini")
    assert box.run("systemctl", "reload", "sekimori").returncode != 0
    assert box.shows("ActiveState") == "active" and box.status()["queue"] == 2

    box.good("systemctl", "stop", "sekimori")
    assert box.shows("ActiveState") == "inactive" and box.shows("Result") == "success", box.journal()
    assert box.good("ss", "-Hlnt") == ""
