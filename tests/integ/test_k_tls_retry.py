"""A handshake that may go otherwise is tried again at once, and not when the queue's pause is over (R45)."""

import pytest

import upstream

OFFER = "250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN"


@pytest.mark.parametrize("bad", [[2], [2, 3]])
def test_a_session_that_is_not_taken_up(gate, certs, tls_server, closing, bad):
    """A server that cuts off who offers it a session: once more without one. Cut off again, the mail waits."""
    context = tls_server()

    def starttls(t):
        t.send("220 go on\r\n")
        if script.count in bad:
            t.sock.recv(1)
            return False
        t.serve_tls(context)
        return True

    script = closing(upstream.Script(gate.upstream_port, ehlo=OFFER, starttls=starttls, data=lambda t: t.send("250 kept\r\n") or False))
    gate.set("relay", tls="starttls", tls_ca=certs / "ca.pem").set("queue", retry="1h").start()
    for n in (1, 2):
        with gate.login() as t:
            assert t.mail().code == 250
        if n == 1:
            gate.wait_log(r"status=delivered")
    if len(bad) == 1:
        gate.wait_log(r"status=delivered", 2)
        assert script.count == 3 and "relay-down" not in gate.log()
    else:
        gate.wait_log(r"relay-down")
        assert script.count == 3 and len(gate.queue()) == 1
