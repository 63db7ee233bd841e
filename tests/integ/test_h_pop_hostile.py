"""h. POP servers that misbehave: the mail waits, the log says why, and nothing is said to them that they must not hear (R34, R43, R45)."""

import socket
import time

import pytest

import house
import popserver
import upstream
from popserver import PASSWORD, USER
from test_h_pop import by_pop, send


@pytest.fixture
def smtp(gate, closing):
    return closing(upstream.Script(gate.upstream_port))


def answer(text):
    """Says just this, and then waits for our end."""
    def play(t):
        t.send(text)
        t.line()
        return False
    return play


def endless(text):
    """Says it for ever."""
    def play(t):
        t.sock.settimeout(20)
        while True:
            t.send(text)
    return play


def waits(gate, why):
    send(gate)
    gate.wait_log(rf"relay-down relay=default .*POP login at .*{why}")
    gate.wait_log(r"status=deferred")
    assert len(gate.queue()) == 1
    assert "return id=" not in gate.log() and PASSWORD not in gate.log()


@pytest.mark.parametrize("greeting, why", [
    (answer("220 mx.example ESMTP\r\n"), "protocol: not a POP3 reply"),
    (answer("* OK IMAP4rev1\r\n"), "protocol: not a POP3 reply"),
    (answer("\r\n"), "protocol: not a POP3 reply"),
    (answer("+OK ready\n"), "protocol: bare CR, bare LF or NUL"),
    (answer(b"+OK re\0ady\r\n"), "protocol: bare CR, bare LF or NUL"),
    (answer("+OK " + "a" * 2000), "protocol: line too long"),
    (endless("+OK " + "a" * 1000), "protocol: line too long"),
    (answer("-ERR too many connections\r\n"), "greeting: too many connections"),
    (answer(b"-ERR \x1b[31m\xe3\x81\x82\r\n"), r"greeting: \?\[31m"),
    (lambda t: False, "greeting: "),
])
def test_greetings(gate, ports, smtp, closing, greeting, why):
    pop = closing(popserver.Pop(by_pop(gate, ports).pop_port, greeting=greeting))
    gate.start()
    waits(gate, why)
    assert not pop.verbs and smtp.count == 0


@pytest.mark.parametrize("stamp", ["<\x80\xff@pop>", "<1 2@pop>", "<1@2@pop>", "<@pop>", "<" + "a" * 300 + "@pop>"])
def test_timestamps_that_are_none(gate, ports, smtp, closing, stamp):
    """CVE-2007-1558: no digest is told for what is no message id."""
    pop = closing(popserver.Pop(by_pop(gate, ports).pop_port, greeting=answer(f"+OK {stamp}\r\n".encode("latin-1"))))
    gate.start()
    waits(gate, "login: the greeting's APOP timestamp is no message id")
    assert not pop.verbs


@pytest.mark.parametrize("answers, verbs, why", [
    ({"capa": "+OK\r\nUSER\r\n."}, ["CAPA"], "stls: STLS is not offered"),
    ({"capa": "-ERR what", "stls": "-ERR what"}, ["CAPA", "STLS"], "stls: what"),
    ({"stls": "-ERR not now"}, ["CAPA", "STLS"], "stls: not now"),
    ({"capa": endless("X-MORE\r\n")}, ["CAPA"], "protocol: "),
    ({"capa": answer("+OK\r\n" + "X-MORE\r\n" * 100)}, ["CAPA"], "protocol: answer to CAPA of too many lines"),
    ({"stls": lambda t: (t.send("+OK go on\r\n+OK injected\r\n"), t.line(), False)[2]}, ["CAPA", "STLS"],
     "more behind it, in clear"),
    ({"stls": lambda t: (t.send("+OK go on\r\n"), t.send("this is no TLS\r\n"), t.line(), False)[3]}, ["CAPA", "STLS"], ""),
])
def test_stls_stripped_and_injected(gate, ports, smtp, closing, tls_server, certs, answers, verbs, why):
    """Never a login in clear where TLS is demanded."""
    by_pop(gate, ports, pop_tls="starttls", tls_ca=certs / "ca.pem")
    pop = closing(popserver.Pop(gate.pop_port, tls=tls_server(), **answers))
    gate.start()
    waits(gate, why)
    assert pop.verbs[:len(verbs)] == verbs
    assert not {"USER", "PASS", "APOP"} & set(pop.verbs)
    assert smtp.count == 0


@pytest.mark.parametrize("way", ["starttls", "implicit"])
@pytest.mark.parametrize("certificate", ["stranger", "other"])
def test_certificates(gate, ports, smtp, closing, tls_server, certs, way, certificate):
    by_pop(gate, ports, pop_tls=way, tls_ca=certs / "ca.pem")
    pop = closing(popserver.Pop(gate.pop_port, tls=tls_server(certificate), implicit=way == "implicit"))
    gate.start()
    waits(gate, "certificate")
    assert not {"USER", "PASS", "APOP"} & set(pop.verbs)


def test_the_password_comes_back(gate, ports, smtp, closing):
    """What a server repeats of it is in no log."""
    by_pop(gate, ports)
    closing(popserver.Pop(gate.pop_port, **{"pass": f"-ERR unknown command PASS {PASSWORD}"}))
    gate.start()
    waits(gate, r"login: \(the reply repeats our credentials\)")
    assert PASSWORD not in gate.cmd("status").stdout + gate.cmd("queue", "--json").stdout


def test_gone_behind_the_login(gate, ports, smtp, closing):
    """It stands."""
    by_pop(gate, ports)
    closing(popserver.Pop(gate.pop_port, **{"quit": lambda t: False}))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")


def test_silent_behind_the_login(gate, ports, smtp, closing):
    by_pop(gate, ports)
    closing(popserver.Pop(gate.pop_port, **{"quit": lambda t: t.line() and False}))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")


@pytest.mark.parametrize("step", ["greeting", "user", "pass"])
def test_silence(gate, ports, smtp, closing, step):
    by_pop(gate, ports, timeout="1s")
    closing(popserver.Pop(gate.pop_port, **{step: lambda t: t.line() and False}))
    gate.start()
    waits(gate, ("greeting" if step == "greeting" else "login") + ": time-out")


def test_dripping(gate, ports, smtp, closing):
    """An octet now and then doesn't hold a login up for ever: patience is for whole lines."""
    def drip(t):
        try:
            for _ in range(200):
                t.send("a")
                time.sleep(0.1)
        except OSError:
            pass
        return False
    by_pop(gate, ports, timeout="1s")
    closing(popserver.Pop(gate.pop_port, greeting=drip))
    gate.start()
    waits(gate, "greeting: time-out")


def test_nobody_there(gate, ports, smtp):
    by_pop(gate, ports).start()
    waits(gate, "connection refused")
    assert smtp.count == 0


def test_a_slow_one_holds_up_nobody(gate, ports, smtp, closing):
    """R65: other clients and other relays go on while a login is under way."""
    by_pop(gate, ports)
    other = closing(upstream.Script(ports.one()))
    gate.set("relay other", host="127.0.0.1", port=other.server.sock.getsockname()[1], tls="none", domains="quick.example")
    held = []
    pop = closing(popserver.Pop(gate.pop_port, user=lambda t: (held.append(t), t.line(), False)[2]))
    gate.start()
    send(gate)
    house.wait_for("the login", lambda: held)
    send(gate, to=["friend@quick.example"])
    gate.wait_log(r"status=delivered .*relay=other")
    assert not gate.lines("relay-down") and pop.count == 1


def test_reset_in_the_midst(gate, ports, smtp, closing):
    def reset(t):
        t.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        t.sock.close()
        return False
    by_pop(gate, ports)
    closing(popserver.Pop(gate.pop_port, **{"pass": reset}))
    gate.start()
    waits(gate, "login: ")
    assert USER not in "".join(gate.lines("relay-down"))
