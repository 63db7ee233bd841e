"""6. Passed on (R37-R39, R42, R45, R50-R53), and upstreams that misbehave: the mail stays queued, the log says why."""

import re
import socket
import threading

import pytest

import house
import upstream

U1 = "user1@test-sample.jp"


def send(gate, **keys):
    with gate.login() as t:
        assert t.mail(**keys).code == 250


def stays_queued(gate, why, count=1):
    """The mail waits, nobody got a return mail, and the log tells why; the gate serves on."""
    match = gate.wait_log(why, count)
    house.wait_for("the mail to wait", lambda: len(gate.queue()) == 1)
    assert "return id=" not in gate.log()
    with gate.connect() as t:
        assert t.ehlo().code == 250
    return match


# Hosts and routes

def test_host_by_name(gate, closing):
    """R37: resolved in the helper."""
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.set("relay", host="localhost").start()
    send(gate)
    sink.wait()
    gate.wait_log(r"status=delivered")


def test_host_by_ipv6(gate, closing):
    sink = closing(upstream.Sink(gate.upstream_port, host="::1"))
    gate.set("relay", host="::1").start()
    send(gate)
    sink.wait()


def test_name_with_a_dead_address_goes_to_the_next(gate, closing):
    """localhost is ::1 and 127.0.0.1 on most systems; only one is listening."""
    sink = closing(upstream.Sink(gate.upstream_port, host="127.0.0.1"))
    gate.set("relay", host="localhost").start()
    send(gate)
    sink.wait()


def test_name_that_is_nowhere_defers(gate):
    """Lesson 26: a DNS failure is temporary."""
    gate.set("relay", host="no-such-host.invalid").start()
    send(gate)
    stays_queued(gate, r"relay-down .*no-such-host\.invalid")


def test_next_host_only_while_nothing_was_accepted(gate, ports, closing):
    """Lesson 27."""
    sink = closing(upstream.Sink(gate.upstream_port, host="127.0.0.1"))
    gate.set("relay", host="127.0.0.9, 127.0.0.1").start()
    send(gate)
    sink.wait()
    gate.wait_log(r"trying the next host")


def test_refusing_greeting_tries_the_next_host(gate, closing):
    first = closing(upstream.Script(gate.upstream_port, host="127.0.0.9", greeting="421 4.3.2 busy"))
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.set("relay", host="127.0.0.9, 127.0.0.1").start()
    send(gate)
    sink.wait()
    assert first.count >= 1


def test_lost_after_the_final_dot_stays_with_the_host(gate, closing):
    """Lesson 27: unknown; the same host again, never the next."""
    tries = []

    def lose(t):
        tries.append(1)
        if len(tries) == 1:
            return False
        t.send("250 2.0.0 kept\r\n")
        return True

    first = closing(upstream.Script(gate.upstream_port, host="127.0.0.9", data=lose))
    second = closing(upstream.Script(gate.upstream_port, host="127.0.0.1"))
    gate.set("relay", host="127.0.0.9, 127.0.0.1").start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert len(first.contents) == 2 and second.contents == []


def test_routes_by_domain_and_by_sender(gate, ports, closing):
    default = closing(upstream.Sink(gate.upstream_port))
    partner, sales = (closing(upstream.Sink(ports.one())) for _ in range(2))
    gate.set("relay partner", host="127.0.0.1", port=partner.port, tls="none", domains="partner.example")
    gate.set("relay sales", host="127.0.0.1", port=sales.port, tls="none", senders="sales@test-sample.jp")
    gate.start()
    send(gate, to=["a@example.net", "b@partner.example", "c@PARTNER.example"])
    send(gate, sender="sales@test-sample.jp", to=["d@example.net"])
    assert default.wait().to == ["a@example.net"]
    assert sorted(partner.wait().to) == ["b@partner.example", "c@PARTNER.example"]
    assert sales.wait().to == ["d@example.net"]
    gate.empty()


def test_own_domain_goes_upstream_too(live):
    """R53: no local delivery."""
    send(live, to=["user2@test-sample.jp"])
    assert live.sink.wait().to == ["user2@test-sample.jp"]


def test_own_listener_as_relay_is_refused(gate):
    """R51."""
    gate.set("relay", port=gate.port).launch()
    assert gate.exits() == 78
    assert re.search(rf"{re.escape(str(gate.path))}:\d+: ", gate.log())


def test_bind(gate, closing):
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.set("relay", bind="127.0.0.7").start()
    send(gate)
    assert sink.wait().peer[0] == "127.0.0.7"


# TLS and login

@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_certificate_is_verified(gate, certs, tls_server, closing, way):
    """R45, lesson 25: only the right name by the right CA; nothing is ever said to another."""
    gate.upstream_login(tls=way, tls_ca=certs / "ca.pem", tls_name="smtp.provider.example")
    for name, why in (("stranger", r"smtp\.provider\.example|name|certificate"), ("other", r"trust|CA|certificate|sign")):
        bad = upstream.Script(gate.upstream_port, tls=tls_server(name), implicit=way == "implicit",
                              ehlo="250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN")
        gate.start()
        if not gate.queue():
            send(gate)
        stays_queued(gate, rf"relay-down .*({why})")
        assert not any("AUTH" in c or "MAIL" in c for c in bad.commands), bad.commands
        gate.stop()
        gate.log_path.unlink()
        bad.close()
    closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=way == "implicit",
                            ehlo="250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN"))
    gate.start()
    gate.wait_log(r"status=delivered")


def test_pin_instead_of_a_ca(gate, certs, tls_server, closing):
    der = house.run("openssl", "x509", "-in", certs / "other.pem", "-outform", "DER", text=False).stdout
    import hashlib
    closing(upstream.Script(gate.upstream_port, tls=tls_server("other"), implicit=True))
    gate.set("relay", tls="implicit", tls_pin=hashlib.sha256(der).hexdigest()).start()
    send(gate)
    gate.wait_log(r"status=delivered")


def test_wrong_pin(gate, tls_server, closing):
    bad = closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=True))
    gate.set("relay", tls="implicit", tls_pin="00" * 32).start()
    send(gate)
    stays_queued(gate, r"relay-down ")
    assert bad.commands == []


def test_no_starttls_offered_is_no_downgrade(gate, certs, closing):
    bad = closing(upstream.Script(gate.upstream_port, ehlo="250-x\r\n250 AUTH PLAIN LOGIN"))
    gate.upstream_login(tls="starttls", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example").start()
    send(gate)
    stays_queued(gate, r"relay-down .*STARTTLS")
    assert not any(c.startswith(("AUTH", "MAIL")) for c in bad.commands), bad.commands


def test_starttls_refused(gate, certs, closing):
    bad = closing(upstream.Script(gate.upstream_port, ehlo="250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN", starttls="454 not now"))
    gate.upstream_login(tls="starttls", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example").start()
    send(gate)
    stays_queued(gate, r"relay-down .*not now")
    assert not any(c.startswith(("AUTH", "MAIL")) for c in bad.commands)


def test_plaintext_injected_behind_starttls(gate, certs, tls_server, closing):
    """R34: what stands behind the 220 in clear is nobody's word."""
    def inject(t):
        t.send("220 go on\r\n250-injected\r\n250 AUTH PLAIN\r\n235 fine\r\n250 ok\r\n250 ok\r\n354 ok\r\n250 kept\r\n")
        t.serve_tls(tls_server())

    bad = closing(upstream.Script(gate.upstream_port, ehlo="250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN", starttls=inject))
    gate.upstream_login(tls="starttls", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example").start()
    send(gate)
    # Either the session is given up, or it goes on as if nothing had been injected.
    house.wait_for(gate.log, lambda: re.search(r"relay-down |status=delivered", gate.log()))
    if "status=delivered" in gate.log():
        assert bad.commands.count("DATA") == 1 and len(bad.contents) == 1
    else:
        stays_queued(gate, r"relay-down ")


def test_no_auth_offered_sends_nothing(gate, closing):
    """R42: never unauthenticated where credentials are configured."""
    bad = closing(upstream.Script(gate.upstream_port))
    gate.upstream_login().start()
    send(gate)
    stays_queued(gate, r"relay-down .*alarm=upstream-login")
    assert not any(c.startswith("MAIL") for c in bad.commands)


@pytest.mark.parametrize("answer", ["535 5.7.8 no", "534 5.7.9 no", "530 5.7.0 no", "454 4.7.0 later", "500 what"])
def test_login_refused_never_bounces(gate, closing, answer):
    closing(upstream.Script(gate.upstream_port, ehlo="250-x\r\n250 AUTH PLAIN LOGIN", auth=answer))
    gate.upstream_login().start()
    send(gate)
    stays_queued(gate, r"relay-down .*" + re.escape(answer.split()[-1]))


@pytest.mark.parametrize("step", ["mail", "rcpt"])
def test_530_at_a_command_defers(gate, closing, step):
    closing(upstream.Script(gate.upstream_port, **{step: "530 5.7.0 Authentication required"}))
    gate.start()
    send(gate)
    stays_queued(gate, r"status=deferred .*Authentication required|relay-down .*Authentication required")


def test_login_with_aiosmtpd(gate, certs, tls_server, closing):
    sink = closing(upstream.Sink(gate.upstream_port, tls=tls_server(), auth=("office@provider.example", "office1234")))
    gate.upstream_login(tls="starttls", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example").start()
    send(gate)
    mail = sink.wait()
    assert mail.tls and mail.login == "office@provider.example"


# Many, retries, expiry

def test_pipelined_over_few_connections(gate, closing):
    script = closing(upstream.Script(gate.upstream_port))
    gate.set("relay", connections=2).start()
    with gate.login() as t:
        for _ in range(30):
            assert t.mail(to=["a@example.net", "b@example.net"]).code == 250
    gate.wait_log(r"status=delivered", 60)
    gate.empty()
    assert script.count <= 3 and len(script.contents) == 30


def test_pipelining_is_used_only_where_offered(gate, closing):
    """The group comes in one piece where it is offered; a server that doesn't offer it sees one command at a time."""
    seen = []

    def watch(t):
        t.sock.settimeout(0.3)
        try:
            t.buffer += t.sock.recv(65536)
        except TimeoutError:
            pass
        t.sock.settimeout(30)
        seen.append(t.buffer)
        t.send("250 2.1.0 fine\r\n")

    closing(upstream.Script(gate.upstream_port, ehlo="250 x", mail=watch))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert seen == [b""]
    gate.stop()
    seen.clear()


def test_retries_with_back_off(gate, closing):
    script = closing(upstream.Script(gate.upstream_port, rcpt="450 4.2.0 later"))
    gate.set("queue", retry="1s, 2s, 1h").start()
    send(gate)
    gate.wait_log(r"status=deferred code=450 tries=3")
    house.wait_for("the third entry to count", lambda: gate.queue()[0]["next_attempt"] > 600)
    assert gate.queue()[0]["attempts"] == 3
    assert sum(c.startswith("RCPT") for c in script.commands) == 3
    # By hand, at once.
    script.answers["rcpt"] = "250 now"
    assert gate.cmd("queue", "retry").returncode == 0
    gate.wait_log(r"status=delivered code=250 tries=4")
    gate.empty()


def test_expiry_becomes_return_mail(gate, closing):
    script = closing(upstream.Script(gate.upstream_port))
    refuse = {"a@example.net"}

    def rcpt(t):
        to = re.search(r"<(.*?)>", script.commands[-1])[1]
        t.send("450 4.2.0 later, perhaps\r\n" if to in refuse else "250 fine\r\n")

    script.answers["rcpt"] = rcpt
    gate.set("queue", retry="1s", expire="3s").start()
    send(gate, to=["a@example.net"])
    gate.wait_log(r"status=expired .*to=a@example\.net")
    gate.wait_log(r"return id=")
    house.wait_for("the return mail", lambda: any("Action: failed" in c for c in script.contents))
    assert "later, perhaps" in script.contents[-1]
    gate.empty()


def test_5xx_for_one_of_three(gate, closing):
    sink = closing(upstream.Sink(gate.upstream_port))
    sink.keeper.replies["b@example.net"] = "550 5.1.1 unknown"
    gate.start()
    send(gate, to=["a@example.net", "b@example.net", "c@example.net"])
    house.wait_for("both mails", lambda: len(sink.mails) == 2)
    assert sorted(to for m in sink.mails for to in m.to) == ["a@example.net", "c@example.net", U1]
    gate.empty()


# Misbehaviour at every step

STEPS = ["greeting", "ehlo", "mail", "rcpt", "DATA", "data"]


@pytest.mark.parametrize("step", STEPS)
def test_upstream_closes(gate, closing, step):
    closing(upstream.Script(gate.upstream_port, **{step: lambda t: False}))
    gate.start()
    send(gate)
    stays_queued(gate, r"status=deferred .*clos|relay-down .*clos")


@pytest.mark.parametrize("step", STEPS)
def test_upstream_resets(gate, closing, step):
    def reset(t):
        t.reset()
        return False
    closing(upstream.Script(gate.upstream_port, **{step: reset}))
    gate.start()
    send(gate)
    stays_queued(gate, r"status=deferred .*reply=\"?.+|relay-down .*error=\"?.+")


@pytest.mark.parametrize("step", STEPS)
def test_upstream_stalls(gate, closing, step):
    over = threading.Event()

    def stall(_t):
        over.wait(60)
        return False

    closing(upstream.Script(gate.upstream_port, **{step: stall}))
    gate.set("relay", timeout="1s").start()
    send(gate)
    stays_queued(gate, r"status=deferred .*time-?out|relay-down .*time-?out")
    over.set()


@pytest.mark.parametrize("step", STEPS)
def test_upstream_replies_without_end(gate, closing, step):
    def endless(t):
        try:
            while True:
                t.send("250-and on and on\r\n" * 50)
        except OSError:
            return False
    closing(upstream.Script(gate.upstream_port, **{step: endless}))
    gate.start()
    send(gate)
    stays_queued(gate, r"status=deferred .*lines|relay-down .*lines")


@pytest.mark.parametrize("step", STEPS)
def test_upstream_sends_a_line_without_end(gate, closing, step):
    def endless(t):
        try:
            while True:
                t.send(b"2" * 10000)
        except OSError:
            return False
    closing(upstream.Script(gate.upstream_port, **{step: endless}))
    gate.start()
    send(gate)
    stays_queued(gate, r"status=deferred .*|relay-down .*")


NONSENSE = {"words": "what do you mean", "empty": "", "short": "25", "letters": "2x0 fine", "code 000": "000 zero", "code 999": "999 no",
            "unexpected 354": "354 go on", "unexpected 100": "100 wait", "nul": "250 \0fine", "binary": "\xff\xfe\x01",
            "bare cr": "250 fi\rne", "codes differ": "250-one\r\n550 two"}


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
@pytest.mark.parametrize("step", ["greeting", "mail", "data"])
def test_upstream_talks_nonsense(gate, closing, step, nonsense):
    script = closing(upstream.Script(gate.upstream_port, **{step: nonsense}))
    gate.start()
    send(gate)
    stays_queued(gate, r"status=deferred |relay-down ")
    assert gate.queue()[0]["recipients"] == ["friend@example.net"]
    assert not SANE_DELIVERY.search(gate.log())
    script.close()


SANE_DELIVERY = re.compile(r"status=(delivered|failed)")


@pytest.mark.parametrize("step", ["greeting", "ehlo", "auth", "mail", "data"])
@pytest.mark.parametrize("end", ["close", "garbage"])
def test_upstream_drops_tls(gate, certs, tls_server, closing, step, end):
    """A cut without close_notify, or octets that are no TLS, is never taken for an answer."""
    def drop(t):
        raw = socket.socket(fileno=t.sock.detach())
        if end == "garbage":
            raw.sendall(b"250 2.0.0 in clear\r\n")
        raw.close()
        return False

    closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=True,
                            **{"ehlo": "250-x\r\n250 AUTH PLAIN", step: drop}))
    gate.upstream_login(tls="implicit", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example").start()
    send(gate)
    stays_queued(gate, r"status=deferred |relay-down ")


def test_upstream_away_then_back(gate, closing):
    gate.start()
    for _ in range(3):
        send(gate)
    gate.wait_log(r"relay-down .*refused")
    assert len(gate.queue()) == 3
    status = gate.json("status")
    assert status["relays"][0]["last_error"] and status["queue"] == 3
    sink = closing(upstream.Sink(gate.upstream_port))
    sink.wait(3)
    gate.empty()
    assert gate.json("status")["relays"][0]["last_success"] > 0


def test_stalling_upstream_does_not_hold_up_clients(gate, closing):
    """R65."""
    over = threading.Event()
    closing(upstream.Script(gate.upstream_port, greeting=lambda t: over.wait(60) and False))
    gate.start()
    for _ in range(10):
        send(gate)
    assert len(gate.queue()) == 10
    over.set()
