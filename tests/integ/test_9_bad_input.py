"""Bad input: files that are wrong, ports and spools that can't be had, clients that behave in every wrong way."""

import os
import random
import re
import socket
import threading

import pytest

import house
import talk

U1 = "user1@test-sample.jp"


def at_line(path, number):
    return re.compile(rf"^sekimori: {re.escape(str(path))}:{number}: \S", re.M)


GOOD = """\
[server]
hostname = mail.test-sample.jp
domains = test-sample.jp
accounts = {dir}/accounts
spool = {dir}/spool
control = {dir}/sock
user = root

[listen submission]
address = 127.0.0.1:{port}
tls = starttls

[tls]
certificate = {certs}/server.pem
key = {certs}/server.key

[trust]
level = auth=envelope=from

[alias]
info@test-sample.jp = user1@test-sample.jp

[relay]
host = 127.0.0.1
port = {upstream}
tls = none

[return]
from = postmaster@test-sample.jp
"""

# What is changed, by which line: (the line as it is, what it becomes); the fault is told of the first changed line, or of
# the one named.
BAD = {
    "unknown section": ("[return]", "[returns]"),
    "unknown key": ("hostname = mail.test-sample.jp", "hostnames = mail.test-sample.jp"),
    "repeated key": ("hostname = mail.test-sample.jp", "hostname = mail.test-sample.jp\nhostname = x.test-sample.jp", 3),
    "repeated section": ("[return]", "[server]"),
    "empty value": ("domains = test-sample.jp", "domains ="),
    "key without a section": ("[server]", "a = b\n[server]"),
    "no equals sign": ("tls = starttls", "tls starttls"),
    "colon for equals sign": ("tls = starttls", "tls: starttls"),
    "continuation line": ("tls = starttls", "tls =\n starttls"),
    "value out of its words": ("tls = starttls", "tls = perhaps"),
    "level that is none": ("level = auth=envelope=from", "level = auth=from"),
    "level in capitals": ("level = auth=envelope=from", "level = AUTH"),
    "level 4": ("level = auth=envelope=from", "level = 4"),
    "port out of range": ("port = {upstream}", "port = 65536"),
    "port 0": ("port = {upstream}", "port = 0"),
    "port with a sign": ("port = {upstream}", "port = +25"),
    "port with words": ("port = {upstream}", "port = 25x"),
    "port with an overflow": ("port = {upstream}", "port = 4294967321"),
    "size without a unit that is one": ("user = root", "user = root\nspool_size = 64Q", 8),
    "size below its bound": ("user = root", "user = root\nspool_size = 1", 8),
    "over-long line": ("user = root", "user = root\nspool = /" + "x" * 300, 8),
    "over-long section": ("[listen submission]", "[listen " + "x" * 60 + "]"),
    "over-long path of the control socket": ("control = {dir}/sock", "control = /tmp/" + "x" * 120),
    "BOM": ("[server]", "\ufeff[server]"),
    "CRLF": ("user = root", "user = root\r"),
    "NUL": ("user = root", "user = ro\0ot"),
    "full-width blank": ("user = root", "user =\u3000root"),
    "value cut by a comment": ("host = 127.0.0.1", "host = ; 127.0.0.1"),
    "listen address without a port": ("address = 127.0.0.1:{port}", "address = 127.0.0.1"),
    "listen address that is a name": ("address = 127.0.0.1:{port}", "address = localhost:{port}"),
    "listen address twice": ("address = 127.0.0.1:{port}", "address = 127.0.0.1:{port}, 127.0.0.1:{port}"),
    "alias of nobody": ("info@test-sample.jp = user1@test-sample.jp", "info@test-sample.jp = nobody@test-sample.jp"),
    "alias that is an account": ("info@test-sample.jp = user1@test-sample.jp", "user2@test-sample.jp = user1@test-sample.jp"),
    "alias to an alias": ("info@test-sample.jp = user1@test-sample.jp",
                          "info@test-sample.jp = user1@test-sample.jp\na@test-sample.jp = info@test-sample.jp", 22),
    "alias of everything": ("info@test-sample.jp = user1@test-sample.jp", "*@test-sample.jp = user1@test-sample.jp"),
    "return address that is none": ("from = postmaster@test-sample.jp", "from = postmaster"),
    "relay is our own listener": ("port = {upstream}", "port = {port}", None),
    "TLS to a relay without a CA": ("tls = none", "tls = starttls\ntls_ca = /nowhere/ca.pem", None),
    "password file that is not there": ("tls = none", "tls = none\nuser = a\npassword_file = {dir}/nowhere", None),
    "certificate that is not there": ("certificate = {certs}/server.pem", "certificate = {certs}/nowhere.pem", None),
    "key that is not there": ("key = {certs}/server.key", "key = {certs}/nowhere.key", None),
    "key of another certificate": ("key = {certs}/server.key", "key = {certs}/provider.key", None),
    "certificate that is a key": ("certificate = {certs}/server.pem", "certificate = {certs}/server.key", None),
    "accounts file that is not there": ("accounts = {dir}/accounts", "accounts = {dir}/nowhere", None),
    "user that is not there": ("user = root", "user = nosuchuser", None),
    "everybody a peer": ("[return]", "[peer all]\nip = 0.0.0.0/0\n[return]", None),
    "peer by IPv4 with too long a prefix": ("[return]", "[peer x]\nip = 10.0.0.0/33\n[return]", None),
    "feature not built yet": ("tls = none", "tls = none\npop_before_smtp = agent", None),
}


def written(gate, text):
    gate.path.write_bytes(text.format(dir=gate.dir, port=gate.port, certs=gate.certs, upstream=gate.upstream_port).encode())


@pytest.mark.parametrize("name", BAD)
def test_bad_configuration(gate, name):
    """R66: FILE:LINE: what, exit 78, from `run` and from `check`; nothing is created."""
    old, new, *line = BAD[name]
    assert old + "\n" in GOOD, old
    expected = line[0] if line else GOOD[:GOOD.index(old + "\n")].count("\n") + 1
    written(gate, GOOD.replace(old + "\n", new + "\n"))
    if name == "user that is not there" and os.geteuid() != 0:
        pytest.skip("needs root")
    check, run = gate.cmd("check"), gate.cmd("run", "-f", timeout=house.WAIT)
    assert run.returncode == 78, run
    lines = [line for line in run.stderr.splitlines() if "notice" not in line]
    assert len(lines) == 1 and lines[0].startswith("sekimori: "), run.stderr
    if name != "user that is not there":
        where = at_line(gate.path, expected) if expected else at_line(gate.path, r"\d+")
        assert where.search(run.stderr), (expected, run.stderr)
        assert check.returncode == 78 and where.search(check.stderr), check
    assert not (gate.dir / "sock").exists() and list((gate.dir / "spool").iterdir()) == []


def test_good_configuration_is_good(gate):
    """The one that the bad ones are made of."""
    written(gate, GOOD)
    result = gate.cmd("check")
    assert result.returncode == 0, result


def test_check_names_every_fault(gate):
    written(gate, GOOD.replace("tls = starttls", "tls = perhaps").replace("level = auth=envelope=from", "level = 9")
            .replace("[return]\n", "[return]\nwhat = ever\n"))
    result = gate.cmd("check")
    assert result.returncode == 78
    assert len(result.stderr.splitlines()) == 3, result.stderr


def test_configuration_that_is_not_there(gate):
    for command in (["run", "-f"], ["check"]):
        result = gate.cmd(*command)
        assert result.returncode == 78 and str(gate.path) in result.stderr, result


BAD_ACCOUNTS = {
    "no colon": "user3@test-sample.jp",
    "not our domain": "user3@elsewhere.example:{{PLAIN}}x",
    "no address": "user3:{{PLAIN}}x",
    "same again": "user1@test-sample.jp:{{PLAIN}}x",
    "same again in another case": "USER1@Test-Sample.JP:{{PLAIN}}x",
    "unknown scheme": "user3@test-sample.jp:{{MD5}}x",
    "no scheme": "user3@test-sample.jp:secret",
    "damaged secret": "user3@test-sample.jp:{{SCRAM-SHA-256}}4096,???,x,y",
    "too many iterations": "user3@test-sample.jp:{{SCRAM-SHA-256}}99999999,AAAA,AAAA,AAAA",
    "damaged CRAM-MD5": "user3@test-sample.jp:{{CRAM-MD5}}zz",
    "unknown option": "user3@test-sample.jp:{{PLAIN}}x:colour=red",
    "unknown level": "user3@test-sample.jp:{{PLAIN}}x:level=0",
    "login name of another": "user3@test-sample.jp:{{PLAIN}}x:login=user1",
    "blank in front": " user3@test-sample.jp:{{PLAIN}}x",
    "CR": "user3@test-sample.jp:{{PLAIN}}x\r",
    "NUL": "user3@test-sample.jp:{{PLAIN}}x\0y",
    "full-width blank": "user3@test-sample.jp:{{PLAIN}}x:\u3000level=1",
    "doubled dot": "a..b@test-sample.jp:{{PLAIN}}x",
    "wildcard": "*@test-sample.jp:{{PLAIN}}x",
    "over-long": "user3@test-sample.jp:{{PLAIN}}" + "x" * 2000,
}


@pytest.mark.parametrize("name", BAD_ACCOUNTS)
def test_bad_accounts(gate, name):
    text = gate.accounts.read_text()
    count = len(text.splitlines())
    gate._secret(gate.accounts, text + BAD_ACCOUNTS[name].replace("{{", "{").replace("}}", "}") + "\n")
    gate.write()
    check, run = gate.cmd("check"), gate.cmd("run", "-f", timeout=house.WAIT)
    for result in (check, run):
        assert result.returncode == 78, result
        assert at_line(gate.accounts, count + 1).search(result.stderr), result


@pytest.mark.parametrize("what", ["accounts", "key", "password"])
def test_secrets_open_to_the_world(gate, certs, what):
    """R63."""
    if what == "key":
        key = gate.secret("key.pem", (certs / "server.key").read_text())
        gate.set("tls", key=key)
        path = key
    elif what == "password":
        gate.upstream_login()
        path = gate.dir / "relay.secret"
    else:
        path = gate.accounts
    os.chmod(path, 0o644)
    gate.launch()
    assert gate.exits() == 78
    assert str(path) in gate.log() and re.search(r"\.(ini|pem|secret)|accounts", gate.log())


def test_port_taken(gate, ports):
    """cli.md: service not there; one clear line."""
    with socket.create_server(("127.0.0.1", gate.port)):
        gate.launch()
        assert gate.exits() == 69
    assert len(gate.log().splitlines()) == 1 and f"127.0.0.1:{gate.port}" in gate.log(), gate.log()
    assert not (gate.dir / "sock").exists()


def test_port_taken_at_reload_keeps_the_old(gate, sink, ports):
    gate.start()
    taken = ports.one()
    with socket.create_server(("127.0.0.1", taken)):
        gate.set("listen submission", address=f"127.0.0.1:{gate.port}, 127.0.0.1:{taken}").write()
        result = gate.cmd("reload")
        assert result.returncode != 0 and str(taken) in result.stderr, result
    with gate.login() as t:
        assert t.mail().code == 250


def test_left_behind_control_socket_is_no_hindrance(gate, sink):
    gate.start()
    gate.kill()
    gate.start()
    assert gate.json("status")["queue"] == 0


@pytest.mark.parametrize("key", ["control", "local"])
def test_a_socket_without_a_directory(gate, key):
    """`check` says what `run` would end with."""
    path = gate.dir / "nowhere/socket"
    gate.set("server", **{key: path}).set("local", sender="cron@test-sample.jp").write()
    check = gate.cmd("check")
    assert check.returncode == 69 and f"{path}: No such file or directory" in check.stderr and "is good" not in check.stdout, check
    gate.checked = False
    gate.launch()
    assert gate.exits() == 69 and f"{path}: No such file or directory" in gate.log(), gate.log()


def test_control_path_that_is_a_file(gate):
    (gate.dir / "sock").write_text("precious")
    gate.launch()
    assert gate.exits() == 78
    assert (gate.dir / "sock").read_text() == "precious"


# Clients

def serves_on(gate):
    with gate.login() as t:
        assert t.mail().code == 250


# A whole session, to be cut anywhere: what is sent, and how the server is read in between.
SESSION = ["EHLO x\r\n", "AUTH PLAIN " + talk.plain(U1, "user1234") + "\r\n", f"MAIL FROM:<{U1}>\r\n",
           "RCPT TO:<a@example.net>\r\n", "DATA\r\n", f"From: {U1}\r\n", "\r\n", "text\r\n", ".\r\n"]


@pytest.mark.parametrize("how", ["close", "reset", "shutdown"])
def test_disconnect_at_every_point(live, how):
    """Behind each command and in the middle of each; a mail is there only when its final dot was."""
    live.stop()
    live.set("limits", sessions_per_client=200).start()
    sent = 0
    for n in range(len(SESSION) + 1):
        for part in (0.0, 0.5):
            t = live.connect()
            t.reply()
            for line in SESSION[:n]:
                t.send(line)
                if line[0] in "EAMRD" and "@test-sample" not in line or line.startswith("MAIL"):
                    t.reply()
            if part and n < len(SESSION):
                t.send(SESSION[n][:len(SESSION[n]) // 2])
            if n == len(SESSION):
                assert t.reply().code == 250
                sent += 1
            if how == "reset":
                t.reset()
            elif how == "shutdown":
                t.sock.shutdown(socket.SHUT_WR)
                t.rest()
                t.close()
            else:
                t.close()
    serves_on(live)
    live.sink.wait(sent + 1)
    house.wait_for("all sessions to be over", lambda: live.json("status")["sessions"] == 0)
    live.empty()
    assert len(live.sink.mails) == sent + 1


def test_disconnect_in_tls(live, tls_client, certs):
    raw = socket.create_connection(("127.0.0.1", live.tls_port))
    raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
    raw.close()
    raw = socket.create_connection(("127.0.0.1", live.tls_port))
    raw.sendall(b"EHLO in clear\r\n")
    raw.settimeout(30)
    while raw.recv(4096):
        pass
    raw.close()
    for step in range(3):
        t = talk.Talk(("127.0.0.1", live.tls_port))
        t.starttls(tls_client, "mail.test-sample.jp")
        if step:
            t.ehlo()
        if step == 2:
            t.send("AUTH PLA")
        t.reset()
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("STARTTLS").code == 220
        t.send("this is no TLS at all\r\n" * 10)
        t.rest()
    serves_on(live)
    house.wait_for("all sessions to be over", lambda: live.json("status")["sessions"] == 0)


LINES = {
    "nul": b"EHLO\0x\r\n", "bare lf": b"EHLO x\n", "bare cr": b"EHLO x\rNOOP\r\n", "8-bit": b"EHLO \xe3\x81\x82\r\n",
    "8-bit verb": b"\xff\xfe\r\n", "empty line": b"\r\n", "blank": b"   \r\n", "long word": b"A" * 600 + b"\r\n",
    "over-long": b"NOOP " + b"x" * 5000 + b"\r\n", "over-long auth": b"AUTH PLAIN " + b"A" * 20000 + b"\r\n",
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "tls hello in clear": b"\x16\x03\x01\x00\x05hello\r\n",
    "esc": b"EHLO \x1b[2J\r\n", "tab": b"EHLO\tx\r\n", "mail without": b"MAIL\r\n", "mail odd": b"MAIL FROM:<<<>>>\r\n",
    "rcpt odd": b"RCPT TO:\r\n",
}


@pytest.mark.parametrize("name", LINES)
def test_odd_lines(live, name):
    """An answer or a close, and the next client is served."""
    with live.connect() as t:
        assert t.reply().code == 220
        t.send(LINES[name])
        t.send(b"\r\n" if name == "bare lf" else b"")
        reply = t.reply()
        assert reply.code == 0 or reply.code >= 220
        assert all(ord(c) >= 32 for c in reply.text if c != "\n"), reply
    serves_on(live)


@pytest.mark.parametrize("where", ["command", "auth", "data", "header"])
def test_a_megabyte_without_an_end(live, where):
    with live.login() if where in ("data", "header") else live.connect() as t:
        if where == "auth":
            t.ehlo()
            assert t.cmd("AUTH PLAIN").code == 334
        elif where == "command":
            t.reply()
        else:
            for line in (f"MAIL FROM:<{U1}>", "RCPT TO:<a@example.net>"):
                t.cmd(line)
            assert t.cmd("DATA").code == 354
            if where == "data":
                t.send(f"From: {U1}\r\n\r\n")
        try:
            for _ in range(16):
                t.send(b"x" * 65536)
            if where in ("data", "header"):
                t.send("\r\n.\r\n")
            t.send("\r\n")
        except OSError:
            pass
        reply = t.reply()
        # A line of the body may be as long as it likes (it is passed on as it is), or be refused.
        assert reply.code in ((250, 500, 550, 552, 554) if where == "data" else (0, 421, 500, 501, 552, 554)), reply
    serves_on(live)


def test_garbage(live):
    draw = random.Random(1)
    for n in range(30):
        t = live.connect()
        try:
            t.send(bytes(draw.randrange(256) for _ in range(draw.randrange(1, 3000))))
            t.sock.shutdown(socket.SHUT_WR)
            t.rest()
        except OSError:
            pass
        t.close()
    serves_on(live)


def test_nul_and_8_bit_in_content(live):
    with live.login() as t:
        assert t.mail(content=b"From: " + U1.encode() + b"\r\n\r\na\0b\r\n").text.startswith("550 5.6.0")
        assert t.mail(content=b"From: " + U1.encode() + b"\r\n\r\n\xe3\x81\x82\xff\r\n").code == 250
    live.sink.wait()


def test_too_many_errors_end_the_session(live):
    with live.connect() as t:
        t.reply()
        codes = []
        while not codes or codes[-1] not in (421, 0):
            codes.append(t.cmd("WHAT").code)
            assert len(codes) < 1000
        assert codes[-1] == 421 and t.rest() == b""
    serves_on(live)


def test_client_that_never_reads(live):
    """Nothing is read while the reply has no room: neither memory nor the others suffer."""
    with live.connect() as t:
        t.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        t.sock.settimeout(3)
        try:
            for _ in range(200):
                t.send("EHLO x\r\n" * 500)
        except OSError:
            pass
        serves_on(live)


def test_slow_client_octet_by_octet(live):
    with live.connect() as t:
        t.reply()
        for octet in "EHLO x\r\n":
            t.send(octet)
        assert t.reply().code == 250


def test_many_clients_at_once(gate, sink):
    gate.set("limits", sessions_per_client=200).start()
    failures = []

    def client(n):
        try:
            with gate.login() as t:
                for _ in range(3):
                    if t.mail().code != 250:
                        failures.append(n)
        except (OSError, AssertionError) as error:
            failures.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(house.WAIT)
    assert failures == []
    sink.wait(180, 90)
    gate.empty()
    assert len(sink.mails) == 180


def test_descriptors_do_not_leak(live):
    """As many after a hundred sessions of all sorts as before."""
    def count():
        return len(os.listdir(f"/proc/{live.process.pid}/fd"))

    serves_on(live)
    live.sink.wait()
    live.empty()
    before = count()
    for n in range(100):
        t = live.connect()
        if n % 3 == 0:
            t.reset()
            continue
        t.reply()
        if n % 3 == 1:
            t.cmd("EHLO x")
        t.close()
    serves_on(live)
    live.sink.wait(2)
    house.wait_for(lambda: f"{before} descriptors, there are {count()}", lambda: count() <= before + 1)
