"""F. credentials = sender, refused logins and their pauses, and what a reload changes (R40-R42, lessons 26 and 28)."""

import base64
import re

import pytest

import house
import upstream

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
PASSWORDS = {"taro": "taro-secret", "hanako": "hanako-secret", "mfp": "mfp-secret", "post": "post-secret"}


class Provider(upstream.Script):
    """Knows PASSWORDS; who logs in as whom, and what each sent, is in .logins and .mails; refuses who is in .locked."""

    def __init__(self, port):
        self.logins, self.mails, self.locked, self.answer = [], [], set(), "535 5.7.8 no"
        self.users = {}
        super().__init__(port, ehlo="250-x\r\n250 AUTH PLAIN", auth=self.login, rset=self.rset, mail=self.mail)

    def login(self, t):
        _, user, password = base64.b64decode(self.commands[-1].split()[2]).decode().split("\0")
        good = PASSWORDS.get(user) == password and user not in self.locked
        self.logins.append((user, good))
        self.users[id(t)] = user
        t.send(("235 fine" if good else self.answer) + "\r\n")

    def rset(self, t):
        t.send("250 fine\r\n")

    def mail(self, t):
        sender = re.search(r"<(.*?)>", self.commands[-1])[1]
        self.mails.append((self.users.get(id(t)), sender))
        t.send("250 2.1.0 fine\r\n")


def table(gate, *rows):
    lines = [f"{account} {user} {gate.secret(f'upstream.{user}', PASSWORDS[user] + chr(10))}" for account, user in rows]
    gate.set("relay", credentials="sender", credentials_file=gate.secret("upstream", "\n".join(lines) + "\n"))


def send(gate, user=U1, password=None, **keys):
    with gate.login(user, password or house.ACCOUNTS[user]) as t:
        assert t.mail(sender=user, **keys).code == 250


@pytest.fixture
def provider(gate, closing):
    return closing(Provider(gate.upstream_port))


def test_each_by_its_own(gate, provider):
    """R40: each account's mail goes by its pair, over connections of its own, and many mails over one."""
    table(gate, (U1, "taro"), (U2, "hanako"))
    gate.start()
    for _ in range(5):
        send(gate, U1)
        send(gate, U2)
    gate.wait_log(r"status=delivered", 10)
    assert sorted(set(provider.mails)) == [("hanako", U2), ("taro", U1)] and len(provider.mails) == 10
    gate.empty()


def test_more_accounts_than_connections(gate, provider):
    """An idle connection of another gives its place."""
    table(gate, (U1, "taro"), (U2, "hanako"))
    gate.set("relay", connections=1).start()
    for _ in range(4):
        send(gate, U1)
        send(gate, U2)
    gate.wait_log(r"status=delivered", 8)
    assert sorted(set(provider.mails)) == [("hanako", U2), ("taro", U1)]
    gate.empty()


def test_refused_login_of_one_stops_no_other(gate, provider):
    """One alarm that names the account; the other's mail goes on."""
    provider.locked.add("taro")
    table(gate, (U1, "taro"), (U2, "hanako"))
    gate.start()
    for _ in range(3):
        send(gate, U1)
    gate.wait_log(rf"login-down relay=default account={U1} alarm=upstream-login retry=60\.000 .*535")
    gate.wait_log(r"status=deferred")
    send(gate, U2)
    gate.wait_log(rf"status=delivered .*from={U2}")
    house.wait_for("the others to wait", lambda: all(m["next_attempt"] > 5 for m in gate.queue()))
    assert [good for user, good in provider.logins if user == "taro"] == [False]
    assert len(gate.lines("login-down")) == 1 and "return id=" not in gate.log()


def test_account_without_a_line(gate, provider):
    """Nothing is lost, and the reason is clear; the line added, a reload brings it."""
    table(gate, (U2, "hanako"))
    gate.start()
    gate.wait_log(rf"1 accounts have no line, {U1} is the first")
    send(gate, U1)
    gate.wait_log(rf"login-down relay=default account={U1} alarm=upstream-login error=\"no upstream login for {U1} in ")
    gate.wait_log(r"status=deferred code=0 .*no upstream login for")
    send(gate, U2)
    gate.wait_log(rf"status=delivered .*from={U2}")
    table(gate, (U1, "taro"), (U2, "hanako"))
    assert gate.write().cmd("reload").returncode == 0
    gate.wait_log(rf"status=delivered .*from={U1}")
    assert ("taro", U1) in provider.mails
    assert len(gate.lines("login-down")) == 1


def test_stored_pair_for_the_others(gate, provider):
    table(gate, (U2, "hanako"))
    gate.upstream_login("taro", PASSWORDS["taro"]).start()
    send(gate, U1)
    send(gate, U2)
    gate.wait_log(r"status=delivered", 2)
    assert sorted(provider.mails) == [("hanako", U2), ("taro", U1)]


def test_device_and_return_mail(gate, provider):
    """A device is found by its name, return mail by the address of [return] from."""
    gate.set("device mfp1", ip="127.0.0.1/32", sender="mfp1@test-sample.jp")
    gate.set("listen submission", auth="optional")
    table(gate, ("mfp1", "mfp"), (U1, "taro"), ("postmaster@test-sample.jp", "post"))
    def rcpt(t):
        t.send("550 5.1.1 unknown\r\n" if "gone@" in provider.commands[-1] else "250 fine\r\n")
    provider.answers["rcpt"] = rcpt
    gate.start()
    with gate.connect() as t:
        t.ehlo()
        assert t.mail(sender="mfp1@test-sample.jp").code == 250
    send(gate, U1, to=["gone@example.net"])
    gate.wait_log(r"return id=")
    gate.wait_log(rf"status=delivered .*from=\"?\"? to={U1}|status=delivered .*to={U1}")
    assert ("mfp", "mfp1@test-sample.jp") in provider.mails and ("post", "") in provider.mails


def test_upstream_that_checks_trust(gate, make_gate, closing):
    """R41: another gate at level 3 as the next hop. With the sender's own pair mail passes; with one for all it comes back, and says why."""
    second = make_gate()
    sink = closing(upstream.Sink(second.upstream_port))
    second.start()
    gate.set("relay", port=second.port, tls="none")
    PASSWORDS.update({U1: house.ACCOUNTS[U1], U2: house.ACCOUNTS[U2]})
    table(gate, (U1, U1), (U2, U2))
    gate.set("return", **{"from": U1}).start()
    send(gate, U1)
    send(gate, U2)
    sink.wait(2)
    assert sorted(m.sender for m in sink.mails) == [U1, U2]
    # One pair for all:
    gate.set("relay", credentials=None, credentials_file=None)
    gate.upstream_login(U1, house.ACCOUNTS[U1]).write()
    assert gate.cmd("reload").returncode == 0
    send(gate, U2)
    gate.wait_log(rf"status=failed code=550 .*from={U2}.*Please mail to a valid e-mail address")
    returned = sink.wait(3)
    assert returned.to == [U2]
    assert b"Please mail to a valid e-mail address" in returned.content
    gate.empty()


@pytest.mark.parametrize("row,why", [
    ("nobody@test-sample.jp taro /dev/null", r"upstream:1: nobody@test-sample.jp: no such account"),
    (f"{U1} taro", r"upstream:1: a line is"), (f"{U1} taro /nowhere/at/all", r"upstream:1: /nowhere/at/all: No such file"),
], ids=["unknown", "short", "no-file"])
def test_bad_table_is_refused(gate, row, why):
    gate.set("relay", credentials="sender", credentials_file=gate.secret("upstream", row + "\n")).launch()
    assert gate.exits() == 78
    assert re.search(why, gate.log())


# Refusals and pauses

def test_pauses_grow_and_a_retry_tries_once(gate, provider):
    """R42: a provider that counts wrong logins sees few of them, and by one connection at a time."""
    gate.upstream_login("taro", "wrong", connections=4)
    gate.start()
    with gate.login() as t:
        for _ in range(6):
            assert t.mail().code == 250
    gate.wait_log(r"relay-down relay=default alarm=upstream-login retry=60\.000 .*535")
    for n, seconds in enumerate([300, 900, 1800, 3600, 3600], 2):
        assert gate.cmd("queue", "retry").returncode == 0
        assert gate.wait_log(r"relay-down relay=default alarm=upstream-login retry=(\d+)", n)[1] == str(seconds)
        assert len(provider.logins) == n
    assert not any(good for _, good in provider.logins) and len(gate.queue()) == 6
    assert len(gate.lines("relay-down")) == 6
    # A reload with the right password: the pause is over, and all of it goes.
    gate.secret("relay.secret", PASSWORDS["taro"] + "\n")
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered", 6)
    gate.empty()


def test_454_is_no_alarm(gate, provider):
    provider.locked.add("taro")
    provider.answer = "454 4.7.0 later"
    gate.upstream_login("taro", PASSWORDS["taro"]).start()
    send(gate)
    gate.wait_log(r"relay-down relay=default retry=1\.000 .*454")
    provider.locked.clear()
    gate.wait_log(r"status=delivered")
    assert "alarm=" not in gate.log()


@pytest.mark.parametrize("code", ["530 5.7.0 Authentication required", "535 5.7.8 expired", "538 5.7.11 encryption needed"])
@pytest.mark.parametrize("step", ["mail", "rcpt"])
def test_refused_login_at_a_later_step(gate, closing, step, code):
    """As a refusal of the login itself: alarm and pause, never a bounce."""
    script = closing(upstream.Script(gate.upstream_port, **{step: code}))
    gate.start()
    for _ in range(3):
        send(gate)
    gate.wait_log(r"relay-down relay=default alarm=upstream-login retry=60\.000 .*" + code[4:9])
    gate.wait_log(r"status=deferred")
    # The others may have been on their way by then.
    house.wait_for("no connection to be left", lambda: all(r["connections"] == 0 for r in gate.json("status")["relays"]))
    before = sum(c.startswith("MAIL") for c in script.commands)
    assert before <= 3 and upstream.stays(lambda: sum(c.startswith("MAIL") for c in script.commands) == before, 2)
    assert len(gate.queue()) == 3
    assert "return id=" not in gate.log()


# Lesson 28: found afresh

def test_queued_mail_takes_the_new_login_and_the_new_host(gate, provider, ports, closing):
    other = closing(Provider(ports.one()))
    provider.locked.add("taro")
    gate.upstream_login("taro", PASSWORDS["taro"]).start()
    send(gate)
    gate.wait_log(r"relay-down .*alarm=upstream-login")
    gate.upstream_login("hanako", PASSWORDS["hanako"]).set("relay", port=other.server.sock.getsockname()[1]).write()
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")
    assert other.mails == [("hanako", U1)] and provider.mails == []
