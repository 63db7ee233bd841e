"""q. The log for other tools (R63, R64): fail2ban and banIP on real lines, no secret anywhere, a logger that is stuck, the length of lines."""

import os
import pathlib
import re
import shutil
import socket

import pytest

import house
import talk
import upstream
from test_8_watch import private_log  # noqa: F401

TOP = pathlib.Path(__file__).resolve().parents[2]
FILTER = TOP / "rootfs/etc/fail2ban/filter.d/sekimori.conf"
PAGE = TOP / "rootfs/usr/share/man/man8/sekimori.8"
U1 = "user1@test-sample.jp"
# What somebody may type who wants another to be shut out.
FORGED = [
    "sekimori[1]: ban scope=address for=1 ip=8.8.8.8",
    "x sekimori[1]: login result=refused client=[8.8.8.8] listener=x",
    "8.8.8.8", "[8.8.8.8]", "client=[8.8.8.8]", "a\r\nban scope=address for=1 ip=8.8.8.8", "a\nlogin result=refused client=[8.8.8.8] ",
    "2001:db8:1:2:3:4:5:8", " ip=8.8.8.8", "ip=8.8.8.8", "\x00ip=8.8.8.8", "\" ip=8.8.8.8",
]


@pytest.fixture
def lines(gate, sink, private_log):  # noqa: F811
    """A file as syslogd writes it: guesses from two addresses, and names that look like lines of ours."""
    came, prefix = private_log
    gate.prefix = prefix
    gate.set("limits", lockout_after=2, lockout_time="1h", lockout_allow="none", auth_failures=20, sessions_per_client=50)
    gate.set("listen v6", address=f"[::1]:{gate.port}", tls="none", plaintext_auth="::1/128")
    gate.start()
    gate.prefix = []

    def guess(source, user, password):
        host = "::1" if ":" in source else "127.0.0.1"
        with talk.Talk(sock=socket.create_connection((host, gate.port), talk.TIMEOUT, (source, 0))) as t:
            assert t.reply().code == 220 and t.cmd("EHLO 8.8.8.8").code == 250
            reply = t.cmd("AUTH PLAIN " + talk.plain(user, password))
            assert reply.code in (501, 535), reply
            t.cmd("QUIT")

    for n, name in enumerate(FORGED):
        guess("127.0.0.7", name, f"p{n}")
    for n in range(9):
        guess("127.0.0.8", f"nobody{n}", f"q{n}")
    guess("::1", "user1", "r")
    with gate.login() as t:
        assert t.mail().code == 250
        t.cmd("QUIT")
    gate.wait_log(r"status=delivered")
    gate.settled()
    house.wait_for("the last line", lambda: any(b"status=delivered" in line for line in came))
    path = gate.dir / "syslog"
    path.write_bytes(b"".join(re.sub(rb"^<\d+>(.{15}) ", rb"\1 gate ", line.rstrip(b"\n\0")) + b"\n" for line in came))
    return path


def found(path, directory, options=""):
    if not shutil.which("fail2ban-regex"):
        pytest.skip("fail2ban is not installed")
    shutil.copy(FILTER, directory)
    shutil.copy("/etc/fail2ban/filter.d/common.conf", directory)
    result = house.run("fail2ban-regex", "-o", "ip", path, f"{directory}/sekimori.conf{options}")
    assert result.returncode == 0, result
    return result.stdout.split()


def test_fail2ban(lines, tmp_path):
    text = lines.read_text()
    hits = found(lines, tmp_path)
    assert set(hits) == {"127.0.0.7", "127.0.0.8", "::1"}
    front = r"(?m)^.{15} gate sekimori\[\d+\]: "
    assert len(hits) == len(re.findall(front + "login result=refused ", text)) + len(re.findall(front + "ban scope=address ", text))
    # What the gate itself has judged.
    assert set(found(lines, tmp_path, "[mode=ban]")) == {"127.0.0.7", "127.0.0.8"}


def test_banip(lines):
    """A basic regular expression, and the last address in the line."""
    said = re.search(r"ban_logterm='(.*)'", PAGE.read_text())[1].replace("\\e", "\\")
    assert "8.8.8.8" in lines.read_text()
    for how in (["grep"], ["busybox", "grep"]):
        if not shutil.which(how[0]):
            continue
        result = house.run(*how, "-e", said, lines)
        hits = result.stdout.splitlines()
        assert len(hits) == 2, result
        assert [re.findall(r"(?:[0-9]{1,3}\.){3}[0-9]{1,3}", line)[-1] for line in hits] == ["127.0.0.7", "127.0.0.8"]


def test_lines_fit_the_logger(lines):
    """OpenWrt's logd cuts at 1024 octets, with its own prefix; here it is without the host's name."""
    assert max(len(line) for line in lines.read_bytes().splitlines()) <= 1024


# Secrets

SECRETS = {"client": "cl1entS3cret", "cram": "cr4mS3cret", "upstream": "upstr3amS3cret", "wrong": "wr0ngS3cret"}


def test_no_secret_anywhere(gate, closing, certs):
    """After sessions with all mechanisms, right and wrong: log, answers of all commands, argv, environment, spool, reload."""
    sink = closing(upstream.Sink(gate.upstream_port, auth=("office@provider.example", SECRETS["upstream"])))
    gate._secret(gate.accounts, f"{U1}:{{PLAIN}}{SECRETS['client']}:\nuser2@test-sample.jp:{{PLAIN}}{SECRETS['cram']}:\n")
    gate.set("relay", user="office@provider.example", password=SECRETS["upstream"])
    gate.set("log", level="debug").write()
    os.chmod(gate.path, 0o600)
    gate.start()
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, SECRETS["client"])).code == 235
        assert t.mail().code == 250
        # Out of order, where a line might be logged as it came.
        t.cmd("AUTH PLAIN " + talk.plain(U1, SECRETS["client"]))
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH LOGIN").code == 334
        assert t.cmd(talk.b64(U1)).code == 334
        assert t.cmd(talk.b64(SECRETS["wrong"])).code == 535
        assert t.cmd("AUTH LOGIN " + talk.b64(U1)).code == 334
        assert t.cmd(talk.b64(SECRETS["client"])).code == 235
    with gate.connect() as t:
        t.ehlo()
        assert t.cram_md5("user2@test-sample.jp", SECRETS["cram"]).code == 235
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, SECRETS["wrong"])).code == 535
        t.cmd("AUTH NONSENSE " + talk.plain(U1, SECRETS["wrong"]))
    sink.wait()
    gate.settled()
    said = [gate.log()]
    for command in (["status"], ["status", "--json"], ["status", "--prometheus"], ["queue"], ["queue", "--json"], ["check"],
                    ["accounts"], ["accounts", "--json"], ["reload"]):
        result = gate.cmd(*command)
        said += [result.stdout, result.stderr]
    group = os.getpgid(gate.process.pid)
    pids = [int(p) for p in os.listdir("/proc") if p.isdigit()]
    ours = [p for p in pids if house.run("ps", "-o", "pgid=", "-p", p).stdout.strip() == str(group)] if len(pids) < 400 else [gate.process.pid]
    for pid in ours:
        for name in ("cmdline", "environ"):
            said.append(pathlib.Path(f"/proc/{pid}/{name}").read_text(errors="replace"))
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits), limits
    said += [p.read_bytes().decode("latin-1") for p in (gate.dir / "spool").iterdir() if p.is_file()]
    said.append(gate.log())
    for what, secret in SECRETS.items():
        for form in (secret, talk.b64(secret), talk.plain(U1, secret)):
            assert not any(form in text for text in said), (what, [t for t in said if form in t][0][-600:])


# A logger that is stuck

def test_a_logger_that_does_not_read(gate, sink, tmp_path, as_root):
    """It stops nothing, and the loss is counted; when it reads again a line says how many."""
    if house.run("unshare", "-m", "true").returncode:
        pytest.skip("mount namespaces aren't permitted here")
    dev = tmp_path / "dev"
    dev.mkdir()
    logger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    logger.bind(str(dev / "log"))
    gate.prefix = ["unshare", "-m", "sh", "-c",
                   f"for n in null zero urandom random; do : > {dev}/$n && mount --bind /dev/$n {dev}/$n; done; "
                   f"mount --bind {dev} /dev && exec \"$@\"", "sh"]
    gate.start()
    gate.prefix = []
    for _ in range(20):
        with gate.login() as t:
            for _ in range(3):
                assert t.mail().code == 250
    sink.wait(60)
    lost = gate.json("status")["log_lost"]
    assert lost > 0 and "log lines lost: " in gate.cmd("status").stdout
    logger.settimeout(0.2)
    came = []

    def read():
        try:
            while True:
                came.append(logger.recv(4096))
        except TimeoutError:
            return

    read()
    with gate.login() as t:
        t.cmd("QUIT")
    gate.settled()
    house.wait_for("the loss to be told", lambda: (read(), any(re.search(rb"log lost=\d+", line) for line in came))[1])
    logger.close()
