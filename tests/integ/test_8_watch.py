"""8. Watched (R18, R20, R64, R66): log lines, and status, queue, check, reload over the control socket."""

import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import threading

import pytest

import house
import talk
import upstream

U1 = "user1@test-sample.jp"
FIELDS = re.compile(r'(?:^|\s)([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)')


def fields(line):
    return {k: v for k, v in FIELDS.findall(line)}


def test_a_line_for_every_event(live):
    """R18: session end, login, message, refusal, delivery."""
    with live.login("user1") as t:
        assert t.mail(sender="user2@test-sample.jp").code == 550
        assert t.mail(content="From: user2@test-sample.jp\r\nMessage-ID: <one@x>\r\n\r\nx\r\n").code == 552
        assert t.mail(to=["a@example.net", "b@example.net"],
                      content=f"From: {U1}\r\nMessage-ID: <two@x>\r\n\r\nx\r\n").code == 250
        t.cmd("QUIT")
    live.wait_log(r"status=delivered", 2)
    live.wait_log(r"session end=quit")
    login = fields(live.lines("login result")[0])
    assert (login["result"], login["account"], login["login"], login["client"]) == ("ok", U1, "user1", "[127.0.0.1]")
    refused = fields(live.lines("refused at")[0])
    assert (refused["at"], refused["code"], refused["account"], refused["from"]) == ("mail", "550", U1, "user2@test-sample.jp")
    assert refused["level"] == "3" and refused["reason"]
    bad, good = (fields(line) for line in live.lines("message id"))
    assert (bad["verdict"], bad["code"], bad["msgid"], bad["header_from"]) == (
        "refused", "552", "<one@x>", "user2@test-sample.jp")
    assert (good["verdict"], good["code"], good["rcpts"], good["from"], good["trust"]) == (
        "accepted", "250", "2", U1, "account")
    assert good["listener"] == "submission" and good["login"] == "user1" and int(good["size"]) > 0
    delivered = [fields(line) for line in live.lines("delivery")]
    assert {d["to"] for d in delivered} == {"a@example.net", "b@example.net"}
    assert all(d["id"] == good["id"] and d["code"] == "250" and "Kept" in d["reply"] for d in delivered)
    end = fields(next(line for line in live.lines("session end") if "end=quit" in line))
    assert (end["messages"], end["refused"], end["account"]) == ("1", "2", U1)


def test_no_value_forges_a_field(live):
    """R18, lesson 9: what comes from outside is quoted and cut."""
    with live.connect() as t:
        t.reply()
        assert t.cmd('EHLO x" verdict=accepted \\ id=B0').code == 250
        t.cmd("AUTH PLAIN " + talk.plain(U1 + " result=ok\r\nlogin result=ok", "x"))
        t.cmd("AUTH PLAIN " + talk.plain("a" * 250 + "@b", "x"))
        t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234"))
        t.mail(content=f'From: {U1}\r\nMessage-ID: <a"b c=d\x1b>\r\n\r\nx\r\n')
        t.cmd("QUIT")
    live.wait_log(r"session end=quit")
    log = live.log()
    assert "\x1b" not in log and all(line.startswith("sekimori: ") for line in log.splitlines())
    assert not any(re.match(r"sekimori: login result=ok .*login=\S*result", line) for line in log.splitlines())
    end = fields(live.lines("end=quit")[0])
    assert end["helo"].startswith('"') and end.get("verdict") is None
    assert max(map(len, log.splitlines())) < 1100


def test_tls_is_logged(live, tls_client):
    with talk.Talk(("127.0.0.1", live.tls_port)) as t:
        t.starttls(tls_client, "mail.test-sample.jp")
        t.login().cmd("QUIT")
    live.wait_log(r"session end=quit .*listener=smtps tls=TLSv1\.[23] ")


@pytest.fixture
def private_log(as_root, tmp_path):
    """
    A /dev/log of the test's own, in a mount namespace of the gate's; the lines that came there. In a bare chroot, where there
    is no such namespace to be had but no logger either, in /dev itself.
    """
    own = house.run("unshare", "-m", "true").returncode == 0
    if not own and os.path.lexists("/dev/log"):
        pytest.skip("mount namespaces aren't permitted here, and there is a logger")
    dev = tmp_path / "dev" if own else pathlib.Path("/dev")
    dev.mkdir(exist_ok=True)
    logger = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    logger.bind(str(dev / "log"))
    os.chmod(dev / "log", 0o666)
    came = []

    def read():
        while True:
            try:
                came.append(logger.recv(4096))
            except OSError:
                return

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    # /dev itself is put over by one that has a log, and the few nodes that programs need.
    came_prefix = ["unshare", "-m", "sh", "-c",
                   f"for n in null zero urandom random; do : > {dev}/$n && mount --bind /dev/$n {dev}/$n; done; "
                   f"mount --bind {dev} /dev && exec \"$@\"", "sh"]
    yield came, came_prefix if own else []
    logger.close()
    (dev / "log").unlink()


def test_syslog(gate, private_log, sink):
    """R64: facility mail, severities that mean something, the lines of standard error."""
    came, prefix = private_log
    gate.prefix = prefix
    gate.start()
    gate.prefix = []
    with gate.login() as t:
        assert t.mail().code == 250
        t.cmd("QUIT")
    gate.wait_log(r"status=delivered")
    ident = re.search(r"message id=(\w+) ", gate.log())[1].encode()
    house.wait_for(lambda: came, lambda: any(b"id=" + ident + b" status=delivered" in line for line in came))
    for line in came:
        assert re.match(rb"<(\d+)>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d sekimori\[\d+\]: ", line), line
        assert int(re.match(rb"<(\d+)>", line)[1]) // 8 == 2, line
    severity = {int(re.match(rb"<(\d+)>", line)[1]) % 8 for line in came if b"id=" + ident + b" status=delivered" in line}
    assert severity == {6}
    texts = {line.split(b"]: ", 1)[1].decode().rstrip("\n\0") for line in came}
    assert all(line[len("sekimori: "):] in texts for line in gate.lines("message id"))


def test_status(live):
    with live.login() as t:
        assert t.mail().code == 250
        live.sink.wait()
        live.wait_log("status=delivered")
        status = live.json("status")
        assert status["sessions"] >= 1 and status["queue"] == 0
        assert status["counters"]["messages"] == 1 and status["counters"]["delivered"] == 1
        assert status["counters"]["logins"] == 1
        assert status["relays"][0]["name"] == "default" and status["relays"][0]["last_success"] > 0
    text = live.cmd("status")
    assert text.returncode == 0 and "up since" in text.stdout and "relay default" in text.stdout


def test_control_socket_is_private(live):
    mode = os.stat(live.dir / "sock").st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) & 0o007 == 0


def test_nobody_there_is_69(gate):
    gate.write()
    for command in ("status", "queue", "reload"):
        result = gate.cmd(command)
        assert result.returncode == 69 and result.stderr.startswith("sekimori: "), result
        assert len(result.stderr.splitlines()) == 1


def test_queue_commands(gate, closing):
    gate.set("queue", retry="1h").start()
    content = f"From: {U1}\r\nSubject: kept\r\n\r\n..dot\r\nbody\r\n"
    with gate.login() as t:
        for to in ("a@example.net", "b@example.net", "c@example.net"):
            assert t.mail(to=[to], content=content).code == 250
    house.wait_for("three at rest", lambda: [m["active"] for m in gate.queue()] == [False] * 3)
    by_to = {m["recipients"][0]: m for m in gate.queue()}
    entry = by_to["a@example.net"]
    assert entry["sender"] == U1 and entry["account"] == U1 and entry["size"] >= len(content)
    assert {"id", "age", "size", "sender", "recipients", "attempts", "next_attempt", "last_reply"} <= set(entry)
    listing = gate.cmd("queue").stdout
    assert all(m["id"] in listing for m in by_to.values()) and "3 messages" in listing
    shown = gate.cmd("queue", "show", entry["id"])
    assert shown.returncode == 0 and "a@example.net" in shown.stdout and entry["id"] in shown.stdout
    cat = gate.cmd("queue", "cat", entry["id"], text=False)
    assert cat.returncode == 0 and cat.stdout.startswith(b"Received: ") and b"Subject: kept" in cat.stdout
    assert gate.cmd("queue", "remove", by_to["b@example.net"]["id"]).returncode == 0
    house.wait_for("it to be gone", lambda: len(gate.queue()) == 2)
    for command in ("show", "cat", "remove", "return", "retry"):
        assert gate.cmd("queue", command, by_to["b@example.net"]["id"]).returncode == 1, command
    assert gate.cmd("queue", "what").returncode == 64
    assert gate.cmd("queue", "show", "nonsense").returncode in (1, 64)
    sink = closing(upstream.Sink(gate.upstream_port))
    assert gate.cmd("queue", "retry").returncode == 0
    sink.wait(2)
    gate.empty()
    assert sorted(m.to[0] for m in sink.mails) == ["a@example.net", "c@example.net"]
    assert gate.cmd("queue", "retry").returncode == 1  # nothing to do


def test_control_socket_takes_nonsense(live):
    for said in (b"\n", b"x" * 100000, b"\0\0\n", b"queue show\n", b"status --json extra\n", b""):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(30)
            s.connect(str(live.dir / "sock"))
            try:
                s.sendall(said)
                s.shutdown(socket.SHUT_WR)
                s.recv(4096)
            except OSError:
                pass
    assert live.json("status")["queue"] == 0


def test_check_says_what_will_happen(gate):
    gate.write()
    result = gate.cmd("check")
    assert result.returncode == 0, result
    assert str(gate.port) in result.stdout and "level 3" in result.stdout and "relay default" in result.stdout
    assert not (gate.dir / "sock").exists()


# Reload

def test_reload_takes_all(gate, sink, ports, certs):
    gate.start()
    old = gate.login()
    port = ports.one()
    gate.set("listen submission", address=f"127.0.0.1:{port}")
    gate.set("trust", level="auth")
    gate.write()
    result = gate.cmd("reload")
    assert result.returncode == 0, result
    # A listener more, one less; new rules for new sessions.
    with talk.Talk(("127.0.0.1", port)) as t:
        assert t.login().mail(sender="anybody@example.org").code == 250
    house.wait_for("the old port to be closed", lambda: socket.socket().connect_ex(("127.0.0.1", gate.port)) != 0)
    # An open session ends under the configuration it began with.
    assert old.cmd("MAIL FROM:<user2@test-sample.jp>").code == 550
    assert old.mail().code == 250
    old.close()
    sink.wait(2)
    gate.wait_log(r"reloaded ")


@pytest.fixture
def own(gate, sink, certs, tmp_path):
    """The gate, running with a certificate that a test may change: the directory of c.pem and c.key."""
    directory = tmp_path / "own"
    directory.mkdir()
    for end in ("pem", "key"):
        shutil.copy(certs / f"server.{end}", directory / f"c.{end}")
    (directory / "c.key").chmod(0o600)
    gate.set("tls", certificate=directory / "c.pem", key=directory / "c.key").start()
    return directory


def test_reload_by_signal_and_certificate(gate, own, certs):

    def shown():
        return ssl.get_server_certificate(("127.0.0.1", gate.tls_port))

    first = shown()
    for end in ("pem", "key"):
        shutil.copy(certs / f"stranger.{end}", own / f"c.{end}")
    gate.process.send_signal(signal.SIGHUP)
    gate.wait_log(r"reloaded ")
    assert shown() != first


@pytest.mark.parametrize("broken", ["ini", "accounts", "certificate", "key"])
def test_reload_of_a_broken_file_keeps_the_old(gate, sink, own, broken):
    """R20: all or nothing, and logged."""
    path = {"ini": gate.path, "accounts": gate.accounts, "certificate": own / "c.pem", "key": own / "c.key"}[broken]
    if broken == "ini":
        path.write_text(path.read_text() + "\n[trust2]\nlevel = auth\n")
    elif broken == "accounts":
        path.write_text(path.read_text() + "what is this\n")
    else:
        path.write_text("-----BEGIN NOTHING-----\n")
    result = gate.cmd("reload")
    assert result.returncode == 78 and str(path) in result.stderr, result
    gate.wait_log(rf"reload failed.*{re.escape(str(path))}")
    with gate.login() as t:
        assert t.mail().code == 250
        assert t.mail(sender="user2@test-sample.jp").code == 550
    sink.wait()


def test_reload_under_load_drops_nobody(gate, sink):
    gate.start()
    errors = []

    def client():
        try:
            with gate.login() as t:
                for _ in range(30):
                    reply = t.mail()
                    if reply.code != 250:
                        errors.append(reply)
        except (OSError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(10):
        assert gate.cmd("reload").returncode == 0
    for thread in threads:
        thread.join(house.WAIT)
    assert errors == []
    sink.wait(120)
    gate.empty()
    assert len(sink.mails) == 120


def test_run_without_f_goes_behind(gate, sink):
    """Its exit status is the truth; it says so only once it serves."""
    gate.write()
    try:
        result = gate.cmd("run", stdin=subprocess.DEVNULL, timeout=house.WAIT)
        assert result.returncode == 0 and result.stdout == "", result
        with gate.login() as t:
            assert t.mail().code == 250
        sink.wait()
        again = gate.cmd("run", stdin=subprocess.DEVNULL, timeout=house.WAIT)
        assert again.returncode in (69, 75) and again.stderr.startswith("sekimori: "), again
    finally:
        found = house.run("pgrep", "-f", f"{gate.path} run").stdout.split()
        for pid in found:
            try:
                os.kill(int(pid), signal.SIGTERM)
            except ProcessLookupError:
                pass
    house.wait_for("it to end", lambda: not house.run("pgrep", "-f", f"{gate.path} run").stdout.split())


def test_usage_and_version(gate):
    gate.write()
    assert house.run(house.BINARY).returncode == 64
    assert gate.cmd("what").returncode == 64
    assert gate.cmd("run", "-x").returncode == 64
    version = house.run(house.BINARY, "--version")
    assert version.returncode == 0 and re.match(r"sekimori \d+\.\d+\.\d+", version.stdout)
