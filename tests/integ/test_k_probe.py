"""`sekimori probe`: each step to a next hop told in plain words, what to change, and never a mail (R41, R73)."""

import json
import shutil
import signal
import ssl
import subprocess

import pytest

import house
import popserver
import postfix
import upstream
from test_g_tls_client import odd  # noqa: F401  a fixture

U1 = "user1@test-sample.jp"
RETURN = "postmaster@test-sample.jp"
PASSWORD = "office1234"


def probe(gate, *args):
    """Its status, and its steps as {step: (result, text, change)}; a step that comes twice is a list."""
    result = gate.write().cmd("probe", "--json", *args)
    said = result.stdout + result.stderr
    assert PASSWORD not in said and "b2ZmaWNlMTIzNA" not in said, said
    document = json.loads(result.stdout)
    assert document["status"] == result.returncode, said
    steps = {}
    for s in document["steps"]:
        steps.setdefault(s["step"], []).append((s["result"], s["text"], s["change"]))
    return result.returncode, steps


def only(steps, step):
    assert step in steps, steps
    assert len(steps[step]) == 1, steps[step]
    return steps[step][0]


class Sender:
    """A Script's answer to MAIL, by the sender."""

    def __init__(self, script=None, **replies):
        self.script, self.replies = script, replies

    def __call__(self, t):
        sender = self.script.commands[-1].split("<")[1].split(">")[0]
        for word, reply in self.replies.items():
            if sender == self.values.get(word, word):
                t.send(reply + "\r\n")
                return True
        t.send("250 2.1.0 fine\r\n")
        return True

    values = {"null": "", "address": RETURN}


def scripted(gate, closing, senders=None, **answers):
    script = closing(upstream.Script(gate.upstream_port, **answers))
    if senders is not None:
        sender = Sender(script, **senders)
        script.answers["mail"] = sender
    return script


def test_all_well(gate, closing):
    script = scripted(gate, closing, ehlo="250-scripted.example\r\n250-PIPELINING\r\n250-SIZE 20000000\r\n250 8BITMIME")
    status, steps = probe(gate)
    assert status == 0
    assert only(steps, "connect") == ("ok", f"127.0.0.1:{gate.upstream_port} from 127.0.0.1", "")
    assert only(steps, "greeting")[1] == "220 scripted.example ESMTP"
    assert "PIPELINING" in only(steps, "ehlo")[1] and "SIZE 20000000" in only(steps, "ehlo")[1]
    assert only(steps, "login") == ("ok", "none is configured", "")
    assert [s[0] for s in steps["mail"]] == ["ok", "ok"] and RETURN in steps["mail"][0][1] and "<>" in steps["mail"][1][1]
    assert only(steps, "rcpt")[0] == only(steps, "rset")[0] == only(steps, "quit")[0] == "ok"
    assert script.commands == ["EHLO mail.test-sample.jp", f"MAIL FROM:<{RETURN}>", f"RCPT TO:<{RETURN}>", "RSET", "MAIL FROM:<>",
                               f"RCPT TO:<{RETURN}>", "RSET", "QUIT"]


def test_in_words(gate, closing):
    """The same for people: a line a step, its verdict in front."""
    scripted(gate, closing, rcpt="550 5.1.1 no such user")
    result = gate.write().cmd("probe")
    lines = result.stdout.splitlines()
    assert lines[0] == "relay default, 127.0.0.1" and result.returncode == 1
    words = {line.split()[0] for line in lines[1:] if line.strip()}
    assert words == {"ok", "wrong", "change:"}
    assert any(line.startswith("wrong rcpt") and "550 5.1.1 no such user" in line for line in lines)


def test_no_daemon_and_no_trace(gate, closing):
    """It leaves the spool alone, and a running gate in peace."""
    scripted(gate, closing)
    gate.start()
    before = gate.json("status")["counters"]
    assert probe(gate)[0] == 0
    after = gate.json("status")["counters"]
    assert gate.queue() == [] and before.get("delivered") == after.get("delivered")


def test_size_and_null_sender(gate, closing):
    scripted(gate, closing, senders={"null": "550 5.7.1 no null senders"},
             ehlo="250-scripted.example\r\n250 SIZE 1000000")
    status, steps = probe(gate)
    assert status == 0
    assert only(steps, "ehlo")[0] == "note" and "max_message_size" in only(steps, "ehlo")[2]
    assert steps["mail"][1][0] == "ok" and f"return mail goes out with {RETURN}" in steps["mail"][1][1]
    gate.set("return", envelope="null")
    status, steps = probe(gate)
    assert status == 1 and steps["mail"][1][0] == "wrong" and "envelope = auto" in steps["mail"][1][2]


def test_return_address_refused(gate, closing):
    scripted(gate, closing, senders={"address": "550 5.1.8 no such sender"})
    status, steps = probe(gate)
    assert status == 1 and steps["mail"][0][0] == "wrong" and "[return] from" in steps["mail"][0][2]


def test_temporary(gate, closing):
    scripted(gate, closing, mail="451 4.7.1 greylisted")
    status, steps = probe(gate)
    assert status == 75 and steps["mail"][0][0] == "later"


AUTH = "250-scripted.example\r\n250 AUTH PLAIN LOGIN"


@pytest.mark.parametrize("answer, word", [
    ("535 5.7.8 Error: authentication failed", "user or password is wrong at the provider"),
    ("535 5.7.3 Authentication unsuccessful", "user or password is wrong at the provider"),
    ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "token_command"),
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant.", "administrator"),
    ("534 5.7.9 Application-specific password required.", "app password"),
    ("534-5.7.14 <https://accounts.google.com/signin/continue> Please log in via\r\n534 5.7.14 your web browser", "app password"),
    ("504 5.5.4 unrecognized", "auth"),
])
def test_login_refused(gate, closing, answer, word):
    scripted(gate, closing, ehlo=AUTH, auth=answer)
    status, steps = probe(gate.upstream_login())
    result, text, change = only(steps, "login")
    assert status == 1 and result == "wrong" and text.startswith(answer[:3]) and word in change
    assert "mail" not in steps


def test_login_temporary(gate, closing):
    scripted(gate, closing, ehlo=AUTH, auth="454 4.7.0 try later")
    status, steps = probe(gate.upstream_login())
    assert status == 75 and only(steps, "login")[0] == "later"


def test_a_server_that_repeats_the_password(gate, closing):
    scripted(gate, closing, ehlo=AUTH, auth=lambda t: t.send("500 unknown command AG9mZmljZUBwcm92aWRlci5leGFtcGxlAG9mZmljZTEyMzQ=\r\n"))
    assert probe(gate.upstream_login())[0] == 1


def test_no_login_offered(gate, closing):
    scripted(gate, closing)
    status, steps = probe(gate.upstream_login())
    assert status == 1 and "no AUTH mechanism" in only(steps, "login")[1]


@pytest.mark.parametrize("extra", [0, 1, 5])
def test_upstream_that_checks_trust(gate, closing, extra):
    """R41: shown beforehand, by a sample of the accounts."""
    script = scripted(gate, closing, ehlo=AUTH)

    def mail(t):
        sender = script.commands[-1].split("<")[1].split(">")[0]
        t.send("250 fine\r\n" if sender in ("", RETURN) else "550 5.7.1 Please mail to a valid e-mail address.\r\n")
    script.answers["mail"] = mail
    with open(gate.accounts, "a", encoding="ascii") as f:
        f.writelines(f"more{i}@test-sample.jp:{{PLAIN}}x{i}\n" for i in range(extra))
    status, steps = probe(gate.upstream_login())
    wrong = [s for s in steps["mail"] if s[0] == "wrong"]
    assert status == 1 and len(wrong) == min(2 + extra, 3)
    assert all("use credentials = sender" in change for _, _, change in wrong)
    script.answers["mail"] = "250 fine"
    status, steps = probe(gate)
    assert status == 0 and "though the login is another's" in steps["mail"][2][1]


def test_another_gate_at_level_3(gate, make_gate):
    """The same against the real thing: a gate like ours."""
    second = make_gate().start()
    gate.set("return", **{"from": U1}).set("relay", port=second.port, tls="none")
    gate.upstream_login(U1, house.ACCOUNTS[U1])
    status, steps = probe(gate)
    assert status == 1 and [s[0] for s in steps["mail"]] == ["ok", "ok", "wrong"]
    assert "Please mail to a valid e-mail address" in steps["mail"][2][1] and "use credentials = sender" in steps["mail"][2][2]
    rows = [f"{account} {account} {gate.secret(account, password + chr(10))}" for account, password in house.ACCOUNTS.items()]
    gate.set("relay", user=None, password_file=None, credentials="sender",
             credentials_file=gate.secret("upstream", "\n".join(rows) + "\n"))
    status, steps = probe(gate)
    assert status == 0 and len(steps["login"]) == 2, steps
    assert not second.queue() and "message id=" not in second.log()


def test_senders_have_their_own_logins(gate, closing):
    """credentials = sender: each line of the table is tried."""
    sink = closing(upstream.Script(gate.upstream_port, ehlo=AUTH))

    def auth(t):
        t.send("235 fine\r\n" if "dXBvbmU" in sink.commands[-1] or "AHVwb25l" in sink.commands[-1] else "535 5.7.8 no\r\n")
    sink.answers["auth"] = auth
    table = gate.secret("upstream", f"{U1} upone {gate.secret('one', 'secret1')}\n"
                                    f"user2@test-sample.jp uptwo {gate.secret('two', 'secret2')}\n"
                                    f"{RETURN} upone {gate.secret('one', 'secret1')}\n")
    gate.set("relay", credentials="sender", credentials_file=table)
    status, steps = probe(gate)
    logins = [(s[0], s[1]) for s in steps["login"]]
    assert status == 1 and len(logins) == 3
    assert sorted(r for r, _ in logins) == ["ok", "ok", "wrong"]
    assert any(U1 in text for _, text, _ in steps["mail"]) and any(RETURN in text for _, text, _ in steps["mail"])
    assert len(steps["connect"]) == 1


def test_clients_logins(gate, closing):
    scripted(gate, closing, ehlo=AUTH)
    gate.set("relay", credentials="client")
    gate.set("trust", level=None)
    result = gate.write().cmd("check")
    if result.returncode:
        pytest.skip("credentials = client wants more than this: " + result.stderr)
    status, steps = probe(gate)
    assert status == 0 and "each client's own" in only(steps, "login")[1] and "mail" not in steps


# TLS

def secured(gate, certs, way="starttls", **keys):
    keys.setdefault("tls_ca", certs / "ca.pem")
    return gate.set("relay", tls=way, **{k: v for k, v in keys.items() if v})


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_tls_is_shown(gate, certs, tls_server, closing, way):
    closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=way == "implicit",
                            ehlo="250-scripted.example\r\n250 STARTTLS"))
    status, steps = probe(secured(gate, certs, way))
    result, text, _ = only(steps, "tls")
    assert status == 0 and result == "ok"
    assert "TLSv1" in text and "smtp.provider.example" in text and "127.0.0.1" in text and "test ca" in text
    assert "29 days left" in text or "30 days left" in text
    assert steps["greeting"][0][0] == "ok" and len(steps["ehlo"]) == 1


def fingerprint(certs, name):
    out = house.run("openssl", "x509", "-in", certs / f"{name}.pem", "-noout", "-fingerprint", "-sha256").stdout
    return out.strip().split("=")[1].replace(":", "").lower()


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_tls_refused(gate, certs, tls_server, closing, way):
    """What is shown, and which key would take it; followed, it is well."""
    for name, change, cure in (("stranger", "tls_name = smtp.elsewhere.example", {"tls_name": "smtp.elsewhere.example"}),
                               ("other", f"tls_pin = {fingerprint(certs, 'other')}", {"tls_pin": fingerprint(certs, "other")})):
        server = closing(upstream.Script(gate.upstream_port, tls=tls_server(name), implicit=way == "implicit",
                                         ehlo="250-scripted.example\r\n250 STARTTLS"))
        status, steps = probe(secured(gate, certs, way))
        result, text, advice = only(steps, "tls")
        assert status == 1 and result == "wrong" and change in advice and fingerprint(certs, name) in text
        assert "login" not in steps and "mail" not in steps
        assert probe(gate.set("relay", **cure))[0] == 0
        gate.set("relay", **{key: None for key in cure})
        server.close()


def test_wrong_pin(gate, certs, tls_server, closing):
    closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=True))
    status, steps = probe(secured(gate, certs, "implicit", tls_ca=None, tls_pin="00" * 32))
    assert status == 1 and f"tls_pin = {fingerprint(certs, 'provider')}" in only(steps, "tls")[2]


def test_expired(gate, certs, odd, closing):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    path = odd("probed", "IP:127.0.0.1", since=-30, until=-3)
    context.load_cert_chain(f"{path}.pem", f"{path}.key")
    closing(upstream.Script(gate.upstream_port, tls=context, implicit=True))
    status, steps = probe(secured(gate, certs, "implicit"))
    assert status == 1 and "expired" in only(steps, "tls")[1] and "renew" in only(steps, "tls")[2]


def test_no_starttls(gate, certs, closing):
    scripted(gate, closing)
    status, steps = probe(secured(gate, certs))
    assert status == 1 and "STARTTLS is not offered" in only(steps, "tls")[1] and "port" in only(steps, "tls")[2]


def test_implicit_at_a_starttls_port(gate, certs, closing):
    scripted(gate, closing)
    status, steps = probe(secured(gate, certs, "implicit"))
    assert status == 1 and "not TLS" in only(steps, "tls")[1] and "starttls" in only(steps, "tls")[2]


# Ways that don't exist

def test_connection_refused(gate):
    status, steps = probe(gate)
    assert status == 69 and "connection refused" in only(steps, "connect")[1] and "port" in only(steps, "connect")[2]


def test_no_such_host(gate):
    status, steps = probe(gate.set("relay", host="nowhere.invalid"))
    assert status == 69 and only(steps, "lookup")[0] == "away"


def test_several_relays_and_hosts(gate, ports, closing):
    """All of them, or the one that is named."""
    port = ports.one()
    scripted(gate, closing)
    other = closing(upstream.Script(port))
    gate.set("relay", host="127.0.0.1, 127.0.0.2")
    gate.set("relay partner", host="127.0.0.1", port=port, tls="none", domains="partner.example")
    status, steps = probe(gate, "default")
    assert status == 69 and [s[0] for s in steps["connect"]] == ["ok", "away"] and other.count == 0
    status, steps = probe(gate, "partner")
    assert status == 0 and len(steps["connect"]) == 1 and other.count == 1
    status, steps = probe(gate)
    assert status == 69 and len(steps["connect"]) == 3 and other.count == 2


def test_unknown_relay(gate):
    result = gate.write().cmd("probe", "nobody")
    assert result.returncode == 64 and "[relay nobody]" in result.stderr


def test_bad_file(gate):
    gate.set("relay", nonsense="1").write()
    assert gate.cmd("probe").returncode == 78


def test_ourselves(gate, as_root):
    """R51: a name that leads to a listener of our own."""
    (gate.dir / "hosts").write_text("127.0.0.1 relay.example\n")
    gate.prefix = ["unshare", "-m", "sh", "-c", f'mount --bind {gate.dir}/hosts /etc/hosts && exec "$@"', "sh"]
    if not shutil.which("unshare") or house.run(*gate.prefix, "true").returncode:
        pytest.skip("no mount namespaces here")
    gate.set("relay", host="relay.example", port=gate.port).start()
    status, steps = probe(gate)
    assert status == 1 and "listener of our own" in only(steps, "connect")[1]
    assert only(steps, "lookup") == ("ok", "127.0.0.1", "")


def test_nonsense(gate, closing):
    scripted(gate, closing, greeting="SSH-2.0-OpenSSH_9.2")
    status, steps = probe(gate)
    assert status == 1 and only(steps, "reply")[0] == "wrong"


def test_lost_within(gate, closing):
    scripted(gate, closing, rcpt=lambda t: False)
    status, steps = probe(gate)
    assert status == 75 and only(steps, "rcpt")[0] == "later"


def test_interrupted(gate, closing):
    """A server that says nothing; Ctrl-C ends it, and its helpers."""
    scripted(gate, closing, greeting=lambda t: t.line())
    process = subprocess.Popen(gate.write().command("probe"), stdout=subprocess.PIPE, start_new_session=True)
    assert b"connect" in process.stdout.readline() + process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(house.WAIT) == -signal.SIGINT
    house.wait_for("its helpers to be gone", lambda: not house.group_lives(process.pid))
    process.stdout.close()


# POP before SMTP

def pop_gate(gate, ports, **keys):
    return gate.set("relay", pop_before_smtp="agent", pop_user=popserver.USER, pop_port=keys.pop("port"), pop_wait="0s",
                    pop_password_file=gate.secret("pop", popserver.PASSWORD + "\n"), **keys)


def test_pop_first(gate, ports, closing):
    door = popserver.Door()
    pop = closing(popserver.Pop(ports.one(), door, apop=True))
    scripted(gate, closing, rcpt=door.rcpt())
    status, steps = probe(pop_gate(gate, ports, port=pop.server.sock.getsockname()[1]))
    assert status == 0, steps
    assert "by APOP" in only(steps, "pop-login")[1] and "from 127.0.0.1" in only(steps, "pop-connect")[1]
    assert only(steps, "rcpt")[0] == "ok"
    assert pop.verbs == ["APOP", "QUIT"]


def test_pop_refused(gate, ports, closing):
    pop = closing(popserver.Pop(ports.one(), password="another"))
    script = scripted(gate, closing)
    status, steps = probe(pop_gate(gate, ports, port=pop.server.sock.getsockname()[1]))
    assert status == 1 and "pop_password_file" in only(steps, "pop-login")[2] and script.count == 0


def test_pop_that_opens_nothing(gate, ports, closing):
    pop = closing(popserver.Pop(ports.one()))
    scripted(gate, closing, rcpt="554 5.7.1 Relay access denied")
    status, steps = probe(pop_gate(gate, ports, port=pop.server.sock.getsockname()[1]))
    assert status == 1 and "does not open the door" in steps["rcpt"][0][2]


def test_pop_of_a_client(gate, closing):
    scripted(gate, closing, rcpt="554 5.7.1 Relay access denied")
    status, steps = probe(gate.set("relay", pop_before_smtp="client"))
    assert status == 75 and "by POP" in steps["rcpt"][0][2]


def test_pop_tls(gate, ports, certs, tls_server, closing):
    door = popserver.Door()
    pop = closing(popserver.Pop(ports.one(), door, tls=tls_server()))
    scripted(gate, closing, rcpt=door.rcpt())
    status, steps = probe(pop_gate(gate, ports, port=pop.server.sock.getsockname()[1], pop_tls="starttls", tls_ca=certs / "ca.pem"))
    assert status == 0, steps
    assert "TLSv1" in only(steps, "pop-tls")[1]
    gate.set("relay", pop_tls_name="pop.elsewhere.example")
    status, steps = probe(gate)
    assert status == 1 and "pop_tls_name = " in only(steps, "pop-tls")[2]


# XOAUTH2

def token_gate(gate, certs, text, code=0):
    program = gate.dir / "token"
    program.write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    program.chmod(0o755)
    return gate.set("relay", tls="implicit", tls_ca=certs / "ca.pem", user="office@provider.example", auth="xoauth2",
                    token_command=program)


@pytest.mark.parametrize("good", [True, False])
def test_token(gate, certs, tls_server, closing, good):
    closing(upstream.Script(gate.upstream_port, tls=tls_server(), implicit=True, ehlo="250-scripted.example\r\n250 AUTH XOAUTH2",
                            auth="235 fine" if good else "535 5.7.3 no"))
    status, steps = probe(token_gate(gate, certs, "SecretToken99"))
    assert "SecretToken99" not in str(steps) and only(steps, "token")[0] == "ok"
    assert status == (0 if good else 1)
    assert "XOAUTH2" in only(steps, "login")[1] if good else "token" in only(steps, "login")[2]


def test_token_command_fails(gate, certs):
    status, steps = probe(token_gate(gate, certs, "", 3))
    assert status == 1 and "exit status 3" in only(steps, "token")[1]


# Real parts

@pytest.fixture(scope="module")
def provider(provided):
    return provided(postfix.Postfix, "probe")


@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_postfix(gate, certs, provider, way):
    provider.is_relay_of(gate.upstream_login(), certs, way)
    status, steps = probe(gate)
    assert status == 0, steps
    assert only(steps, "login")[1].startswith(f"as {postfix.USER} by ")
    assert "may send" in steps["mail"][0][1] and "PIPELINING" in only(steps, "ehlo")[1]
    gate.secret("relay.secret", "mistyped\n")
    status, steps = probe(gate)
    assert status == 1 and "user or password is wrong" in only(steps, "login")[2]
