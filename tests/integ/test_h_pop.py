"""h. POP before SMTP (R43, R44, R48) with a door that this process keeps: who logs in, when, from where, and what a denial does."""

import time

import pytest

import house
import popserver
import upstream
from popserver import PASSWORD, USER

U1 = "user1@test-sample.jp"


def by_pop(gate, ports, mode="agent", **keys):
    """The relay as its user writes it: no SMTP login, a POP login before."""
    gate.pop_port = ports.one()
    gate.set("relay", pop_before_smtp=mode)
    if mode == "agent":
        gate.set("relay", pop_user=USER, pop_password_file=gate.secret("pop.secret", PASSWORD + "\n"),
                 pop_port=gate.pop_port, pop_wait="0", **keys)
    return gate


def send(gate, to=("friend@example.net",)):
    with gate.login() as t:
        assert t.mail(to=to).code == 250


@pytest.fixture
def door():
    return popserver.Door()


@pytest.fixture
def smtp(gate, door, closing):
    """The provider's SMTP server, behind the door."""
    return closing(upstream.Script(gate.upstream_port, rcpt=door.rcpt()))


@pytest.mark.parametrize("way", ["none", "starttls", "implicit"])
@pytest.mark.parametrize("apop", [False, True])
def test_each_way(gate, ports, door, smtp, closing, tls_server, certs, way, apop):
    """One login, of the right kind, nothing but a login, and then the mail."""
    by_pop(gate, ports, pop_tls=way, tls_ca=certs / "ca.pem")
    tls = tls_server() if way != "none" else None
    pop = closing(popserver.Pop(gate.pop_port, door, tls=tls, implicit=way == "implicit", apop=apop))
    gate.start()
    assert "no POP login yet" in gate.cmd("status").stdout
    assert gate.json("status")["relays"][0]["pop_login_age"] == -1
    send(gate)
    gate.wait_log(r"status=delivered code=250")
    with_apop = apop and way != "starttls"        # its timestamp came in clear
    login = ["APOP"] if with_apop else ["USER", "PASS"]
    assert pop.verbs == (["CAPA", "STLS"] if way == "starttls" else []) + login + ["QUIT"]
    line = gate.lines("pop-login")[0]
    assert f"mechanism={'apop' if with_apop else 'user'}" in line and f"login={USER}" in line
    assert ("tls=TLSv1." in line) == (way != "none")
    assert PASSWORD not in gate.log()
    assert "AUTH" not in " ".join(smtp.commands)
    assert " s ago" in gate.cmd("status").stdout
    assert gate.json("status")["relays"][0]["pop_login_age"] >= 0


def test_one_login_for_many_messages_and_connections(gate, ports, door, smtp, closing):
    """Couriers that start at once wait for the one login."""
    by_pop(gate, ports, connections=4)
    slow = lambda t: (time.sleep(0.5), t.send("+OK\r\n"))[1]
    pop = closing(popserver.Pop(gate.pop_port, door, user=slow))
    gate.start()
    for _ in range(8):
        send(gate)
    gate.wait_log(r"status=delivered code=250", 8)
    assert pop.count == 1
    assert door.denials == 0
    gate.empty()


def test_again_when_it_is_older_than_the_window_less_a_fifth(gate, ports, door, smtp, closing):
    by_pop(gate, ports, pop_window="10s")
    pop = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    send(gate)
    gate.wait_log(r"status=delivered", 2)
    assert pop.count == 1
    house.wait_for("8 s to pass", lambda: gate.json("status")["relays"][0]["pop_login_age"] >= 8)
    send(gate)
    gate.wait_log(r"status=delivered", 3)
    assert pop.count == 2 and door.denials == 0


@pytest.mark.parametrize("denied", ["554 5.7.1 <friend@example.net>: Relay access denied", "550 relay not permitted",
                                    "530 5.7.0 Authentication required", "454 4.7.1 Relay access denied",
                                    "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"])
def test_a_denial_causes_one_fresh_login(gate, ports, door, closing, denied):
    """The door had shut before its time."""
    closing(upstream.Script(gate.upstream_port, rcpt=door.rcpt(denied)))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    door.shut()
    send(gate)
    gate.wait_log(r"relay-denied id=\S+ relay=default host=\S+ code=" + denied[:3])
    gate.wait_log(r"status=delivered", 2)
    assert pop.count == 2 and door.denials == 1
    assert "status=deferred" not in gate.log() and "return id=" not in gate.log()


def test_a_denial_at_mail(gate, ports, door, closing):
    def mail(t):
        t.send("250 fine\r\n" if pop.count == 2 else "550 5.7.1 POP first\r\n")
    closing(upstream.Script(gate.upstream_port, mail=mail))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert pop.count == 2


def test_some_recipients_denied(gate, ports, closing):
    """Those that were taken are delivered once, the others after a fresh login."""
    contents = []

    def rcpt(t):
        taken = pop.count == 2 or "friend" in smtp.commands[-1]
        t.send("250 fine\r\n" if taken else "554 5.7.1 Relay access denied\r\n")
    smtp = closing(upstream.Script(gate.upstream_port, rcpt=rcpt, ehlo="250 scripted.example"))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port))
    gate.start()
    send(gate, to=["friend@example.net", "other@example.net"])
    gate.wait_log(r"status=delivered .*to=friend@example\.net")
    gate.wait_log(r"status=delivered .*to=other@example\.net")
    gate.empty()
    assert pop.count == 2 and len(smtp.contents) == 2
    assert [c for c in smtp.commands if c.startswith("RCPT")] == [
        "RCPT TO:<friend@example.net>", "RCPT TO:<other@example.net>", "RCPT TO:<other@example.net>"]


def test_denied_again_is_deferred(gate, ports, closing):
    """Never a bounce; and not one login a mail, else the provider locks the account."""
    closing(upstream.Script(gate.upstream_port, rcpt="554 5.7.1 Relay access denied"))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port))
    gate.start()
    send(gate)
    gate.wait_log(r'status=deferred code=0 .*reply="no relaying after our POP login; the server says: 554 5\.7\.1')
    for _ in range(4):
        send(gate)
    gate.wait_log(r"status=deferred", 6)
    assert pop.count == 2
    assert "no relaying after our POP login" in gate.cmd("queue", "show", gate.queue()[0]["id"]).stdout
    assert "status=failed" not in gate.log() and "return id=" not in gate.log()


def test_an_address_that_is_not_there_bounces(gate, ports, door, closing):
    """Not every 550 is about the door."""
    closing(upstream.Script(gate.upstream_port, rcpt="550 5.1.1 <friend@example.net>: no such user"))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=failed code=550")
    assert pop.count == 1


def test_wrong_password(gate, ports, closing):
    """Mail waits, one alarm, the reason in log, status and queue; put right and reloaded, it goes."""
    smtp = closing(upstream.Script(gate.upstream_port))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port))
    gate.secret("pop.secret", "mistyped99\n")
    gate.start()
    send(gate)
    line = gate.wait_log(r"pop-refused relay=default host=127\.0\.0\.1:\d+ alarm=upstream-login .*").group()
    assert f"login={USER}" in line and "login: [AUTH] no such pair" in line
    gate.wait_log(r"relay-down .*POP login at 127\.0\.0\.1:\d+: login: \[AUTH\] no such pair")
    gate.wait_log(r"status=deferred code=0")
    assert "[AUTH] no such pair" in gate.cmd("status").stdout
    assert smtp.count == 0
    gate.secret("pop.secret", PASSWORD + "\n")
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")
    gate.empty()
    assert "mistyped99" not in gate.log() and PASSWORD not in gate.log()


def test_wrong_password_is_not_tried_again_soon(gate, ports, closing):
    """[queue] retry is 1 s here; the account would be locked in no time."""
    closing(upstream.Script(gate.upstream_port))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, password="other"))
    gate.start()
    for _ in range(3):
        send(gate)
    gate.wait_log(r"alarm=upstream-login")
    assert upstream.stays(lambda: pop.count == 1, 4)
    assert len(gate.lines("pop-refused")) == 1
    assert "[AUTH] no such pair" in gate.cmd("status").stdout
    pop.password = PASSWORD
    assert gate.cmd("queue", "retry").returncode == 0
    gate.wait_log(r"status=delivered", 3)
    assert pop.count == 2


@pytest.mark.parametrize("answer, login", [
    ("-ERR [SYS/TEMP] later", False), ("-ERR [LOGIN-DELAY] too soon", False), ("-ERR [SYS/PERM] mailbox gone", True),
    ("-ERR wrong", True),
])
def test_refusals(gate, ports, closing, answer, login):
    closing(upstream.Script(gate.upstream_port))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, **{"pass": answer}))
    gate.start()
    send(gate)
    gate.wait_log(r"relay-down .*POP login at")
    gate.wait_log(r"status=deferred")
    assert bool(gate.lines("pop-refused")) == login
    if not login:
        pop.answers.clear()
        gate.wait_log(r"status=delivered")


def test_in_use_is_a_login(gate, ports, closing, door):
    closing(upstream.Script(gate.upstream_port))
    by_pop(gate, ports)
    closing(popserver.Pop(gate.pop_port, **{"pass": "-ERR [IN-USE] taken by another session"}))
    gate.start()
    send(gate)
    gate.wait_log(r"pop-login .*IN-USE")
    gate.wait_log(r"status=delivered")


def test_apop_refused_is_not_said_in_clear(gate, ports, closing):
    closing(upstream.Script(gate.upstream_port))
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, apop=True, digest="-ERR permission denied"))
    gate.start()
    send(gate)
    gate.wait_log(r"alarm=upstream-login")
    assert pop.verbs == ["APOP"]
    gate.set("relay", pop_auth="user").write()
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")
    assert pop.verbs == ["APOP", "USER", "PASS", "QUIT"]


def test_client_mode(gate, ports, door, smtp):
    """The seed's own way: somebody behind our address logs in; until then mail waits, and says for what."""
    by_pop(gate, ports, "client").start()
    send(gate)
    gate.wait_log(r'status=deferred code=0 .*reply="no relaying: a mail program must fetch mail by POP first; the server says: 554')
    door.open("127.0.0.1")
    gate.wait_log(r"status=delivered")
    gate.empty()
    assert "return id=" not in gate.log()
    assert "POP login" not in gate.cmd("status").stdout


def test_auth_as_well_where_it_is_offered(gate, ports, door, closing):
    """`user` is for both; no AUTH is offered: the POP login is the login."""
    smtp = closing(upstream.Script(gate.upstream_port, rcpt=door.rcpt()))
    by_pop(gate, ports)
    gate.set("relay", pop_user=None, pop_password_file=None)
    gate.upstream_login()
    pop = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert pop.verbs == ["USER", "PASS", "QUIT"]
    assert not [c for c in smtp.commands if c.startswith("AUTH")]
    smtp.answers["ehlo"] = "250-scripted.example\r\n250 AUTH PLAIN"
    assert gate.cmd("reload").returncode == 0
    send(gate)
    gate.wait_log(r"status=delivered", 2)
    assert [c for c in smtp.commands if c.startswith("AUTH PLAIN ")]


def test_a_named_mechanism_is_demanded(gate, ports, door, smtp, closing):
    """R42: never without, where it was said which."""
    by_pop(gate, ports)
    gate.set("relay", pop_user=None, pop_password_file=None)
    gate.upstream_login(auth="plain")
    closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=deferred .*no AUTH mechanism is offered")
    assert not [c for c in smtp.commands if c.startswith("MAIL")]


@pytest.mark.parametrize("bind", ["", "127.0.0.7"])
def test_same_address(gate, ports, door, closing, bind):
    """R44: with bind both leave from it; without, SMTP leaves from where POP did."""
    peers = []

    def greet(t):
        peers.append(t.sock.getpeername()[0])
        t.send("220 scripted.example\r\n")
    closing(upstream.Script(gate.upstream_port, rcpt=door.rcpt(), greeting=greet))
    by_pop(gate, ports, pop_host="127.0.0.5", bind=bind)
    pop = closing(popserver.Pop(gate.pop_port, door, host="127.0.0.5"))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert peers == [pop.peers[0][0]]
    if bind:
        assert peers == [bind]


@pytest.fixture
def named(tmp_path, as_root):
    """named(gate, name, address...): a gate with a hosts file of its own."""
    def set_hosts(gate, name, *addresses):
        hosts = tmp_path / "hosts"
        hosts.write_text("127.0.0.1 localhost\n" + "".join(f"{a} {name}\n" for a in addresses))
        gate.prefix = ["unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh"]
        result = house.run(*gate.prefix, "getent", "ahosts", name)
        if result.returncode != 0 or not result.stdout.startswith(addresses[0]):
            pytest.skip(f"no hosts file of one's own here: {result.stdout} {result.stderr}")
    return set_hosts


def test_same_family(gate, ports, door, closing, named):
    """R44: the POP host is reached by IPv6 first; the SMTP host has IPv4 only, so that POP turns to that, and stays there."""
    closing(upstream.Script(gate.upstream_port, rcpt=door.rcpt()))
    by_pop(gate, ports, pop_host="pop.provider.example", pop_window="10s")
    named(gate, "pop.provider.example", "::1", "127.0.0.1")
    try:
        six = closing(popserver.Pop(gate.pop_port, door, host="::1"))
    except OSError:
        pytest.skip("no ::1 here")
    four = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert (six.count, four.count, door.denials) == (1, 1, 0)
    house.wait_for("8 s to pass", lambda: gate.json("status")["relays"][0]["pop_login_age"] >= 8)
    send(gate)
    gate.wait_log(r"status=delivered", 2)
    assert (six.count, four.count, door.denials) == (1, 2, 0)


def test_no_family_in_common(gate, ports, door, closing, named):
    """It waits, and says why."""
    smtp = closing(upstream.Script(gate.upstream_port, rcpt=door.rcpt()))
    by_pop(gate, ports, pop_host="pop.provider.example")
    named(gate, "pop.provider.example", "::1")
    try:
        closing(popserver.Pop(gate.pop_port, door, host="::1"))
    except OSError:
        pytest.skip("no ::1 here")
    gate.start()
    send(gate)
    gate.wait_log(r"relay-down .*no address of the family of the address to leave from")
    gate.wait_log(r"status=deferred")
    assert smtp.count == 0


def test_reload_while_a_login_is_under_way(gate, ports, door, smtp, closing):
    by_pop(gate, ports)
    held = []

    def user(t):
        held.append(t)
        house.wait_for("the reload", lambda: len(held) > 5)
        t.send("+OK\r\n")
    pop = closing(popserver.Pop(gate.pop_port, door, user=user))
    gate.start()
    send(gate)
    house.wait_for("the login", lambda: held)
    assert gate.cmd("reload").returncode == 0
    held.extend([None] * 6)
    gate.wait_log(r"status=delivered")
    gate.empty()


def test_stop_while_a_login_is_under_way(gate, ports, closing):
    by_pop(gate, ports)
    pop = closing(popserver.Pop(gate.pop_port, user=lambda t: None))
    gate.start()
    send(gate)
    house.wait_for("the login", lambda: "USER" in pop.verbs)
    assert gate.stop() == 0


@pytest.mark.parametrize("keys, key, what", [
    ({"pop_before_smtp": "agent"}, "pop_before_smtp", "needs a login"),
    ({"pop_before_smtp": "agent", "pop_user": "x"}, "pop_user", "without a password"),
    ({"pop_before_smtp": "agent", "pop_password_file": "F"}, "pop_password_file", "needs a login"),
    ({"pop_before_smtp": "client", "pop_user": "x"}, "pop_user", "no effect without pop_before_smtp = agent"),
    ({"pop_user": "x"}, "pop_user", "no effect"),
    ({"pop_before_smtp": "agent", "pop_user": "x", "pop_password_file": "/nowhere"}, "pop_password_file", "No such file"),
    ({"pop_before_smtp": "agent", "pop_user": "x", "pop_password_file": "F", "pop_host": "::1"}, "pop_host", "families"),
    ({"pop_before_smtp": "agent", "pop_user": "x", "pop_password_file": "F", "pop_tls_name": "a.example"}, "pop_tls_name",
     "no effect with pop_tls = none"),
    ({"pop_before_smtp": "agent", "pop_user": "x", "pop_password_file": "F", "pop_tls": "starttls", "pop_auth": "apop"},
     "pop_auth", "can't go with"),
    ({"pop_before_smtp": "agent", "pop_user": "x", "pop_password_file": "F", "pop_window": "10s", "pop_wait": "9s"},
     "pop_wait", "less than 0.8"),
])
def test_contradictions(gate, keys, key, what):
    """R66: FILE:LINE."""
    keys = {k: gate.secret("pop.secret", "x\n") if v == "F" else v for k, v in keys.items()}
    gate.set("relay", **keys).write()
    line = 1 + [l.split(" = ")[0] for l in gate.path.read_text().splitlines()].index(key)
    result = gate.cmd("check")
    assert result.returncode == 78
    assert f"{gate.path}:{line}: " in result.stderr and what in result.stderr


@pytest.mark.parametrize("mode", ["agent", "client"])
def test_the_return_address_is_required(gate, ports, mode):
    """R48."""
    by_pop(gate, ports, mode)
    gate.set("return", **{"from": None}).write()
    result = gate.cmd("check")
    assert result.returncode == 78 and "return mail needs an address that exists" in result.stderr


def test_direct_mode(gate, ports, door, smtp, closing):
    """The client waits for the answer: a denial isn't tried again before its eyes, the mail is queued, and finds the door open."""
    by_pop(gate, ports)
    gate.set("relay", mode="direct")
    pop = closing(popserver.Pop(gate.pop_port, door))
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    door.shut()
    send(gate)
    gate.wait_log(r"relay-denied ")
    gate.wait_log(r"status=delivered", 2)
    gate.empty()
    assert pop.count == 2 and door.denials == 1
    assert "status=failed" not in gate.log()
