"""q. Reload, complete (R20): all kinds of settings, what it says about them, sessions that end under their old rules, and under load."""

import os
import re
import shutil
import signal
import threading
import time

import house
import talk
from test_g_tls_client import odd  # noqa: F401

U1, U2, U3 = "user1@test-sample.jp", "user2@test-sample.jp", "user3@test-sample.jp"


def logged(gate):
    return [line.split("reload: ", 1)[1] for line in gate.lines() if ": reload: " in line]


def told(gate):
    """What `reload` answers, without the last line; the log says the same."""
    gate.write()
    before = len(logged(gate))
    result = gate.cmd("reload")
    assert result.returncode == 0 and not result.stderr, result
    lines = result.stdout.splitlines()
    assert lines[-1] == "reloaded"
    assert logged(gate)[before:] == lines[:-1]
    return lines[:-1]


def account(gate, line):
    gate._secret(gate.accounts, gate.accounts.read_text() + line + "\n")


def test_nothing_has_changed(live):
    assert told(live) == ["nothing has changed"]


def test_listeners(gate, sink, ports):
    gate.start()
    port = ports.one()
    gate.set("listen submission", address=f"127.0.0.1:{gate.port}, 127.0.0.1:{port}", plaintext_auth="none")
    gate.set("listen local", address=f"127.0.0.2:{port}", tls="none", auth="optional")
    assert told(gate) == [f"listener submission 127.0.0.1:{port} added", f"listener local 127.0.0.2:{port} added",
                          "listener submission: plaintext_auth 127.0.0.0/8, ::1/128 -> none"]
    with talk.Talk(("127.0.0.1", port)) as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 538
    del gate.sections["listen local"]
    gate.set("listen submission", address=f"127.0.0.1:{gate.port}")
    assert told(gate) == [f"listener submission 127.0.0.1:{port} removed", f"listener local 127.0.0.2:{port} removed"]


def test_accounts_levels_and_sessions_of_before(gate, sink):
    gate.set("alias", **{"sales@test-sample.jp": U1})
    gate.start()
    old = gate.login("user2", "user2345")
    refused = gate.login()
    text = gate.accounts.read_text()
    account(gate, f"{U3}:{{PLAIN}}user3456:level=2 login=third")
    gate._secret(gate.accounts, re.sub(rf"(?m)^{U2}:.*\n", "", gate.accounts.read_text()))
    assert told(gate) == [f"account {U3} added", f"account {U2} removed"]
    with gate.login("user3@test-sample.jp", "user3456") as t:
        assert t.mail(sender=U3, content="From: x@example.org\r\n\r\nx\r\n").code == 250
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U2, "user2345")).code == 535
    assert old.mail(sender=U2, content=f"From: {U2}\r\n\r\nx\r\n").code == 250      # it began with that account
    gate._secret(gate.accounts, re.sub(r"user3456:level=2 login=third", "other3456:level=1 login=drei", gate.accounts.read_text()))
    assert told(gate) == [f"account {U3}: password changed", f"account {U3}: level auth=envelope -> auth",
                          f"account {U3}: login third -> drei"]
    gate.set("trust", level="auth")
    assert told(gate) == ["[trust] level: auth=envelope=from -> auth"]
    assert refused.cmd(f"MAIL FROM:<{U3}>").code == 550                             # level 3, as it began
    with gate.login() as t:
        assert t.cmd("MAIL FROM:<anybody@example.org>").code == 250
    assert "3456" not in gate.log()
    old.close()
    refused.close()
    gate._secret(gate.accounts, text)
    sink.wait(2)


def test_aliases_devices_peers_limits(gate, sink):
    gate.start()
    assert gate.login().cmd("MAIL FROM:<new@test-sample.jp>").code == 550
    gate.set("alias", **{"new@test-sample.jp": U1, "info@test-sample.jp": None, "sales@test-sample.jp": U1})
    gate.set("device mfp1", ip="127.0.0.9", sender="mfp1@test-sample.jp")
    gate.set("peer old", ip="127.0.0.10")
    gate.set("limits", command_timeout="7m").set("log", stats_interval="2h").set("queue", alarm_age="3h")
    gate.set("manager", licences=10, alarm_to="admin@test-sample.jp").set("return", language="en")
    assert set(told(gate)) == {
        "alias new@test-sample.jp added", "alias info@test-sample.jp removed", f"alias sales@test-sample.jp: {U1}, {U2} -> {U1}",
        "device mfp1 added", "peer old added", "[limits] command_timeout: default -> 7m", "[log] stats_interval: default -> 2h",
        "[queue] alarm_age: default -> 3h", "[manager] licences: default -> 10", "[manager] alarm_to: default -> admin@test-sample.jp",
        "[return] language: default -> en"}
    with gate.login() as t:
        assert t.cmd("MAIL FROM:<new@test-sample.jp>").code == 250
        t.cmd("RSET")
        assert t.cmd("MAIL FROM:<info@test-sample.jp>").code == 550
    gate.set("device mfp1", ip="127.0.0.11").set("peer old", ip="127.0.0.12").set("limits", command_timeout=None)
    assert set(told(gate)) == {"device mfp1: ip 127.0.0.9 -> 127.0.0.11", "peer old: ip 127.0.0.10 -> 127.0.0.12",
                               "[limits] command_timeout: 7m -> default"}
    del gate.sections["device mfp1"], gate.sections["peer old"]
    assert set(told(gate)) == {"device mfp1 removed", "peer old removed"}


def test_relays(gate, sink, ports):
    gate.upstream_login(password="first-secret", auth="plain")
    gate.start()
    gate.set("relay", host="localhost, 127.0.0.1", connections=2)
    gate.set("relay backup", host="127.0.0.1", port=ports.one(), tls="none", domains="far.example")
    assert told(gate) == ["relay default: connections default -> 2", "relay default: host 127.0.0.1 -> localhost, 127.0.0.1",
                          "relay backup added"]
    gate.upstream_login(password="second-secret")
    assert told(gate) == ["relay default: password changed"]
    gate.set("relay", password_file=None, password="third-secret")
    os.chmod(gate.path, 0o600)
    lines = told(gate)
    assert "relay default: password changed" in lines and not any("secret" in re.sub("relay.secret", "", line) for line in lines)
    del gate.sections["relay backup"]
    gate.set("relay", user=None, password=None, auth=None)
    assert "relay backup removed" in told(gate)
    with gate.login() as t:
        assert t.mail().code == 250
    sink.wait()
    assert not re.search("(first|second|third)-secret", gate.log())


def test_certificate(gate, certs, odd):  # noqa: F811
    names = "DNS:mail.test-sample.jp,IP:127.0.0.1"
    pem, key = gate.dir / "own.pem", gate.dir / "own.key"
    for name, until in (("r-old", 40), ("r-new", 90)):
        base = odd(name, names=names, until=until)
        shutil.copy(f"{base}.pem", pem)
        shutil.copy(f"{base}.key", key)
        if not gate.process:
            gate.set("tls", certificate=pem, key=key).start()
            continue
        line, = told(gate)
        assert re.fullmatch(r"certificate: valid until 20\d\d-\d\d-\d\d -> 20\d\d-\d\d-\d\d", line)
    assert told(gate) == ["nothing has changed"]


def test_what_takes_a_restart(live):
    live.set("server", spool_size="32M", max_sessions=7, control=live.dir / "other")
    live.write()
    # The command would ask at the new place.
    live.process.send_signal(signal.SIGHUP)
    live.wait_log("reloaded ")
    for key in ("spool_size", "max_sessions", "control"):
        assert logged(live).count(f"notice: [server] {key} has changed: it takes a restart") == 1
    live.wait_log(r"reload: \[server\] spool_size: 16M -> 32M")
    live.set("server", control=live.dir / "sock").write()


def test_many_changes_are_counted(gate, sink):
    gate.start()
    account(gate, "\n".join(f"many{n}@test-sample.jp:{{PLAIN}}x{n}y:" for n in range(300)))
    lines = told(gate)
    assert len(lines) == 61 and lines[-1] == "and 240 more changes"
    assert lines[0] == "account many0@test-sample.jp added"


def test_a_failed_reload_says_nothing_of_changes(live):
    live.set("trust", level="auth").set("relay", host="other.example").set("nonsense", a="b").write()
    result = live.cmd("reload")
    assert result.returncode == 78 and result.stdout == ""
    assert not logged(live)


def descriptors(gate):
    return len(os.listdir(f"/proc/{gate.process.pid}/fd"))


def memory(gate):
    text = house.pathlib.Path(f"/proc/{gate.process.pid}/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", text)[1])


def test_a_hundred_reloads_under_load(gate, sink):
    """Nothing is lost or sent twice; neither descriptors nor memory grow with the number of reloads."""
    account(gate, "\n".join(f"many{n}@test-sample.jp:{{PLAIN}}x{n}y:" for n in range(500)))
    gate.start()
    stop, errors, sent = threading.Event(), [], []

    def client(number):
        try:
            while not stop.is_set():
                with gate.login() as t:
                    for _ in range(5):
                        reply = t.mail(content=f"From: {U1}\r\nMessage-ID: <{number}.{len(sent)}@x>\r\n\r\nx\r\n")
                        sent.append(number)
                        if reply.code != 250:
                            errors.append(reply)
                    t.cmd("QUIT")
                time.sleep(0.05)
        except (OSError, AssertionError) as error:
            errors.append(error)

    threads = [threading.Thread(target=client, args=(n,)) for n in range(3)]
    for thread in threads:
        thread.start()

    def reloads(count):
        for n in range(count):
            gate.set("limits", received_max=20 + n % 2).write()
            assert gate.cmd("reload").returncode == 0
            gate.process.send_signal(signal.SIGHUP)

    try:
        reloads(15)
        before = memory(gate)
        reloads(35)
        after = memory(gate)
    finally:
        stop.set()
        for thread in threads:
            thread.join(house.WAIT)
    assert errors == []
    house.wait_for("all to arrive", lambda: len(sink.mails) >= len(sent))
    gate.empty()
    assert len(sink.mails) == len(sent)
    gate.settled()
    if not house.SANITIZER.search(gate.log()) and "asan" not in house.BINARY:
        assert after - before < 2000, f"{before} KiB before, {after} KiB after"
    house.wait_for("connections to be closed", lambda: descriptors(gate) < 40)
    reference = descriptors(gate)
    for _ in range(10):
        assert gate.cmd("reload").returncode == 0
    house.wait_for("no more descriptors than before", lambda: descriptors(gate) <= reference)
