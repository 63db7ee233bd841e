"""
Bad starts: what isn't there yet when the gate starts. Each is one clear line and an exit status, a supervisor tries again as procd
and systemd do, and as soon as the cause is gone it serves, with all the mail it had.
"""

import contextlib
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time

import house
import pytest
import upstream
from test_c_clock import with_clock

SHIM = pathlib.Path(__file__).with_name("random_shim.c")
LOOP = """
cd "$1" && shift
while :; do
	"$@"
	echo "exit $?"
	[ ! -e heal ] || . ./heal
	[ ! -e stop ] || exit 0
	sleep 0.2
done
"""


class Supervisor:
    """Starts the gate again whenever it ends; `prepare`, shell: what is done before, in mounts of its own."""

    def __init__(self, gate, prepare=None):
        self.gate = gate
        own = ["unshare", "-m", "sh", "-c", f'{prepare} && exec "$@"', "sh"] if prepare else []
        gate.write()
        with open(gate.log_path, "ab") as log:
            self.process = subprocess.Popen([*own, "sh", "-c", LOOP, "sh", str(gate.dir), *gate.command("run", "-f")],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)

    def heal(self, shell):
        """To be done between two starts, within its mounts."""
        (self.gate.dir / "heal.new").write_text(shell + "\nrm heal\n")
        (self.gate.dir / "heal.new").rename(self.gate.dir / "heal")

    def close(self):
        (self.gate.dir / "stop").touch()
        house.wait_for("the end of the gate and its supervisor", self._ended)
        assert self.process.returncode == 0

    def _ended(self):
        if self.process.poll() is not None:
            return True
        # Whatever runs just now: between two looks the loop may have started another.
        with contextlib.suppress(OSError):
            for child in pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split():
                os.kill(int(child), signal.SIGTERM)
        return False


def tries_in_vain(gate, status, line):
    """It ends twice, in the same way, and said why in one line each time."""
    gate.wait_log(rf"^exit {status}$", count=2)
    for text in gate.log()[gate.seen:].split(f"exit {status}\n")[:2]:
        said = [said for said in text.splitlines() if not re.search(r"is in memory \(tmpfs\)|audit number=", said)]
        assert len(said) == 1 and line in said[0], said


def comes_back(gate, closing):
    """Serves; what it had is delivered, and what comes now."""
    house.wait_for(lambda: f"the port to open; log:\n{gate.log()}", lambda: gate.log()[gate.seen:].count(" serves, 1 messages"))
    sink = closing(upstream.Sink(gate.upstream_port))
    assert gate.cmd("queue", "retry").returncode == 0
    with gate.login() as t:
        assert t.mail(content="Subject: new\r\nFrom: user1@test-sample.jp\r\n\r\nnew\r\n").code == 250
    sink.wait(2)
    gate.empty()
    assert len(sink.keeper.mails) == 2


@pytest.fixture
def with_mail(gate):
    """The gate, stopped again, with a mail in its queue."""
    gate.set("queue", retry="1h").start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log("relay-down|status=deferred")
    assert gate.stop() == 0
    gate.seen = len(gate.log())
    return gate


def read_only(path):
    """Shell, and the shell that mends it."""
    return f"mount --bind {path} {path} && mount -o remount,ro,bind {path}", f"mount -o remount,rw,bind {path}"


def own_mounts(as_root):
    if not shutil.which("unshare") or house.run("unshare", "-m", "true").returncode:
        pytest.skip("mount namespaces aren't permitted here")


@pytest.mark.parametrize("what", ["certificate", "key", "accounts", "secret"])
def test_a_file_comes_later(with_mail, closing, what):
    gate = with_mail
    for name in ("server.pem", "server.key"):
        shutil.copy(gate.certs / name, gate.dir / name)
    gate.set("tls", certificate=gate.dir / "server.pem", key=gate.dir / "server.key")
    if what == "secret":
        gate.set("tls", certificate=gate.certs / "server.pem", key=gate.certs / "server.key")
        gate.upstream_login()
        # The sink wants no login; that the file is read at the start is all that counts here.
    path = {"certificate": gate.dir / "server.pem", "key": gate.dir / "server.key", "accounts": gate.accounts,
            "secret": gate.dir / "relay.secret"}[what]
    path.rename(path.with_suffix(".away"))
    supervisor = closing(Supervisor(gate))
    tries_in_vain(gate, 78, str(path))
    if what == "secret":
        gate.set("relay", user=None, password_file=None).write()
    path.with_suffix(".away").rename(path)
    comes_back(gate, closing)
    assert supervisor.process.poll() is None


def test_port_is_given_free(with_mail, closing):
    gate = with_mail
    with socket.create_server(("127.0.0.1", gate.port)):
        closing(Supervisor(gate))
        tries_in_vain(gate, 69, f"127.0.0.1:{gate.port}")
    comes_back(gate, closing)


def test_run_comes_later(with_mail, closing):
    """The directory of the control socket."""
    gate = with_mail
    gate.set("server", control=gate.dir / "run" / "sock")
    closing(Supervisor(gate))
    tries_in_vain(gate, 69, f"{gate.dir}/run/sock")
    (gate.dir / "run").mkdir()
    comes_back(gate, closing)


@pytest.mark.parametrize("directory, status, line", [("run", 69, "{}/sock: Read-only file system"),
                                                     ("spool", 77, "spool {}: Read-only file system")])
def test_a_directory_is_read_only(with_mail, closing, as_root, directory, status, line):
    own_mounts(as_root)
    gate = with_mail
    (gate.dir / "run").mkdir()
    gate.set("server", control=gate.dir / "run" / "sock")
    breaks, mends = read_only(gate.dir / directory)
    supervisor = closing(Supervisor(gate, breaks))
    tries_in_vain(gate, status, line.format(gate.dir / directory))
    supervisor.heal(mends)
    comes_back(gate, closing)


def test_user_comes_later(with_mail, closing, as_root):
    own_mounts(as_root)
    gate = with_mail
    passwd = gate.dir / "passwd"
    passwd.write_text("root:x:0:0::/:/bin/sh\n")
    gate.set("server", user="gatekeeper")
    closing(Supervisor(gate, f"mount --bind {passwd} /etc/passwd"))
    tries_in_vain(gate, 78, "there is no user gatekeeper")
    with open(passwd, "a") as f:
        f.write("gatekeeper:x:0:0::/:/bin/false\n")
    comes_back(gate, closing)


def test_disk_comes_later(with_mail, closing, as_root):
    """The spool's disk isn't mounted yet: the mail is on it."""
    own_mounts(as_root)
    gate = with_mail
    gate.set("server", spool=gate.dir / "disk" / "spool")
    (gate.dir / "disk").mkdir()
    away = gate.dir / "away"
    away.mkdir()
    (gate.dir / "spool").rename(away / "spool")
    disk = gate.dir / "disk"
    supervisor = closing(Supervisor(gate, read_only(disk)[0]))
    tries_in_vain(gate, 77, f"{disk}/spool: can't be made")
    supervisor.heal(f"mount --bind {away} {disk}")
    comes_back(gate, closing)


def test_overlay_is_full(with_mail, closing, as_root):
    """The first start on a full disk, where not even the reserve has room; the mail comes from a copy made once there is."""
    own_mounts(as_root)
    gate = with_mail
    disk, old = gate.dir / "disk", gate.dir / "spool"
    disk.mkdir()
    gate.set("server", spool=disk / "spool")
    supervisor = closing(Supervisor(gate, f"mount -t tmpfs -o size=24m disk {disk} && mkdir {disk}/spool && "
                                          f"! head -c 40m /dev/zero > {disk}/junk 2>/dev/null"))
    tries_in_vain(gate, 75, f"spool {disk}/spool: No space left on device")
    supervisor.heal(f"rm {disk}/junk; cp {old}/* {disk}/spool/")
    comes_back(gate, closing)


def test_full_with_a_spool(with_mail, closing, as_root):
    """A spool that has its reserve starts on a full disk, refuses new mail for the time, and takes it again once there is room."""
    own_mounts(as_root)
    gate = with_mail
    disk, old = gate.dir / "disk", gate.dir / "spool"
    disk.mkdir()
    gate.set("server", spool=disk / "spool", spool_size="64M")
    supervisor = closing(Supervisor(gate, f"mount -t tmpfs -o size=20m disk {disk} && mkdir {disk}/spool && cp {old}/* {disk}/spool/"
                                          f" && ! head -c 40m /dev/zero > {disk}/junk 2>/dev/null"))
    gate.wait_log(r"^exit 75$|serves, 1 messages")
    assert gate.log()[gate.seen:].count("serves, 1 messages") or "No space left on device" in gate.log()
    child = int(pathlib.Path(f"/proc/{supervisor.process.pid}/task/{supervisor.process.pid}/children").read_text().split()[0])
    (pathlib.Path(f"/proc/{child}/root") / str(disk / "junk").lstrip("/")).unlink()
    comes_back(gate, closing)


def test_no_network_yet(with_mail, closing, as_root):
    """The relay is a name, and nobody resolves it; addresses of a network to come. All of it comes later, and nothing is started anew."""
    own_mounts(as_root)
    gate = with_mail
    if not shutil.which("ip") or house.run("unshare", "-n", "true").returncode:
        pytest.skip("network namespaces, or ip, aren't to be had here")
    hosts = gate.dir / "hosts"
    hosts.write_text("")
    gate.set("relay", host="relay.provider.example")
    gate.set("listen lan", address=f"192.0.2.1:{gate.port}", tls="starttls", auth="required")
    gate.set("listen lan6", address=f"[2001:db8::1]:{gate.port}", tls="starttls", auth="required")
    gate.set("queue", retry="1s")
    gate.prefix = ["unshare", "-m", "-n", "sh", "-c", f'mount --bind {hosts} /etc/hosts && ip link set lo up && exec "$@"', "sh"]
    gate.launch()
    gate.prefix = []
    gate.wait_log("serves, 1 messages")
    for address in (f"192.0.2.1:{gate.port}", f"[2001:db8::1]:{gate.port}"):
        assert any(address in line and "does not have that address" in line for line in gate.lines()), gate.log()
    assert gate.cmd("queue", "retry").returncode == 0
    gate.wait_log(r"relay-down .*relay\.provider\.example")
    inside = ["nsenter", "-t", str(gate.process.pid), "-n", "--"]

    def there(address, family=socket.AF_INET):
        """A greeting at that address, seen from within; as a thread's own namespace."""
        code = (f"import socket; s = socket.socket(socket.{family.name}); s.settimeout(5); s.connect(('{address}', {gate.port})); "
                "print(s.recv(100))")
        return "220 " in house.run(*inside, "python3", "-c", code).stdout

    assert not there("192.0.2.1")
    for line in ("link add lan type dummy", "addr add 192.0.2.1/24 dev lan",
                 "addr add 2001:db8::1/64 dev lan nodad", "link set lan up"):
        result = house.run(*inside, "ip", *line.split())
        if result.returncode and "dummy" in line:
            house.run(*inside, "ip", "link", "add", "lan", "type", "bridge")
        elif "2001" not in line:
            assert result.returncode == 0, result
    house.wait_for(lambda: f"the address to answer; {gate.log()}", lambda: there("127.0.0.1") and there("192.0.2.1"))
    if "2001:db8::1" in house.run(*inside, "ip", "addr").stdout:
        house.wait_for("the IPv6 address to answer", lambda: there("2001:db8::1", socket.AF_INET6))
    # The name comes, and a sink behind it.
    sink = subprocess.Popen([*inside, "python3", "-c", SINK, str(gate.upstream_port)], stdout=subprocess.PIPE, text=True)
    try:
        assert sink.stdout.readline() == "ready\n"
        hosts.write_text("127.0.0.1 relay.provider.example\n")
        gate.wait_log("status=delivered")
    finally:
        sink.kill()
        sink.communicate()


SINK = """
import socket, sys
s = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("ready", flush=True)
while True:
    c, _ = s.accept()
    f = c.makefile("rwb", buffering=0)
    f.write(b"220 sink\\r\\n")
    for line in f:
        if line[:4].upper() == b"DATA":
            f.write(b"354 go on\\r\\n")
            while f.readline() != b".\\r\\n":
                pass
        f.write(b"250 fine\\r\\n")
"""


def test_no_logger_yet(gate, sink, as_root, tmp_path):
    """Lines while there is no /dev/log are counted; the first one that can be sent says how many are lost."""
    own_mounts(as_root)
    dev = tmp_path / "dev"
    dev.mkdir()
    gate.prefix = ["unshare", "-m", "sh", "-c",
                   f"for n in null zero urandom random; do : > {dev}/$n && mount --bind /dev/$n {dev}/$n; done; "
                   f"mount --bind {dev} /dev && exec \"$@\"", "sh"]
    gate.start()
    gate.prefix = []
    with gate.login() as t:
        assert t.mail().code == 250
    sink.wait(1)
    came = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as logger:
        logger.bind(str(dev / "log"))
        os.chmod(dev / "log", 0o666)
        logger.settimeout(house.WAIT)
        time.sleep(0.3)  # so long it doesn't look for a logger that was away
        with gate.login() as t:
            assert t.mail().code == 250
        while not came or b"status=delivered" not in came[-1]:
            came.append(logger.recv(4096))
    assert b" log lost=" in came[0], came
    assert any(b"message id=" in line for line in came)


def test_no_random_numbers_yet(gate, sink, tmp_path):
    """Right after power-on: it waits, says so once, and goes on."""
    library, file = tmp_path / "random.so", tmp_path / "away"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM)], check=True)
    file.touch()
    gate.prefix = ["env", f"LD_PRELOAD={library}", f"SHIM_RANDOM={file}",
                   "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"]
    gate.launch()
    gate.wait_log("waiting for the kernel's random numbers")
    assert gate.process.poll() is None and " serves, " not in gate.log()
    file.unlink()
    gate.wait_log(" serves, ")
    gate.prefix = []
    assert gate.log().count("random numbers") == 1
    with gate.login() as t:
        assert t.mail().code == 250
    sink.wait(1)


# The clock

FAR = 75 * 365 * 86400  # s


def test_mail_of_1970_outlives_a_restart(gate, closing, tmp_path):
    """It came while the clock said 1970; the power went, and now the clock is right: it isn't 56 years old."""
    clock = with_clock(gate, tmp_path, -int(time.time()) + 86400)
    gate.set("queue", retry="1s", expire="2d").start()
    gate.wait_log("clock alarm=clock today=1970-01-02")
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log("relay-down")
    gate.kill()
    clock.write_text("0")
    gate.start()
    sink = closing(upstream.Sink(gate.upstream_port))
    assert sink.wait(1).to == ["friend@example.net"]
    gate.empty()
    assert "expired" not in gate.log() and len(sink.mails) == 1


def test_mail_of_1970_does_not_stay_for_ever(gate, closing, sink, tmp_path):
    clock = with_clock(gate, tmp_path, -int(time.time()) + 86400)
    sink.keeper.replies["friend@example.net"] = "450 4.2.1 later"
    gate.set("queue", retry="1s", expire="3s").start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log("status=deferred")
    gate.kill()
    clock.write_text("0")
    gate.start()
    gate.wait_log("status=expired")


@pytest.mark.parametrize("restart", [False, True])
def test_far_future(gate, closing, tmp_path, restart):
    """A clock that starts in 2101: nothing that waits expires by it, and the step back parks nothing."""
    clock = with_clock(gate, tmp_path, 0)
    gate.set("queue", retry="1s", expire="2d").start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log("relay-down")
    gate.kill()
    clock.write_text(str(FAR))
    gate.start()
    gate.wait_log("clock alarm=clock today=21")
    with gate.login() as t:
        assert t.mail(to=["other@example.net"]).code == 250
    gate.wait_log("relay-down", count=2)
    if restart:
        gate.kill()
    clock.write_text("0")
    if restart:
        gate.start()
    else:
        gate.wait_log("the clock was stepped by -")
    sink = closing(upstream.Sink(gate.upstream_port))
    house.wait_for(lambda: f"both; {gate.log()}", lambda: len(sink.mails) == 2)
    gate.empty()
    assert "expired" not in gate.log()


def test_future_mail_does_not_stay_for_ever(gate, closing, sink, tmp_path):
    clock = with_clock(gate, tmp_path, FAR)
    sink.keeper.replies["friend@example.net"] = "450 4.2.1 later"
    gate.set("queue", retry="1s", expire="3s").start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log("status=deferred")
    clock.write_text("0")
    gate.wait_log("the clock was stepped by -")
    gate.wait_log("status=expired")
