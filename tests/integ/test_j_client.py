"""credentials = client: the client's own pair is tried at the next hop, used for its mail, and never on the disk (R40)."""

import pytest

import house
import talk
import upstream

U1, U2, LOCAL = "user1@test-sample.jp", "user2@test-sample.jp", "local@test-sample.jp"
P1, P2 = "Own-Pass-1", "Own-Pass-2"


class Provider(upstream.Sink):
    """Knows several pairs, and counts who asks."""

    def __init__(self, port, pairs, **kwargs):
        self.pairs = dict(pairs)
        super().__init__(port, auth=("-", "-"), **kwargs)

    def _authenticate(self, server, session, envelope, mechanism, data):
        pair = (data.login.decode(), data.password.decode())
        self.logins.append(pair)
        good = self.pairs.get(pair[0]) == pair[1]
        if good:
            session.sekimori_login = pair[0]
        return upstream.AuthResult(success=good, handled=False, auth_data=pair[0] if good else None)


@pytest.fixture
def client(gate, certs):
    """A gate whose users' passwords only the provider knows."""
    gate.set("relay", credentials="client", tls="starttls", tls_ca=certs / "ca.pem")
    gate.secret("accounts", f"{U1}:{{UPSTREAM}}:\n{U2}:{{UPSTREAM}}:login=two\n")
    gate.sections.pop("alias")
    return gate


@pytest.fixture
def provider(client, closing, tls_server):
    return closing(Provider(client.upstream_port, {U1: P1, U2: P2}, tls=tls_server()))


def auth(gate, user, password):
    with gate.connect() as t:
        t.ehlo()
        return t.cmd("AUTH PLAIN " + talk.plain(user, password)).code


def spool_holds(gate, text):
    return any(text.encode() in p.read_bytes() for p in gate.dir.rglob("*") if p.is_file() and p.name != "log")


def test_its_own_pair_opens_the_door_and_carries_its_mail(client, provider):
    client.start()
    with client.login(U1, P1) as t:
        assert t.mail().code == 250
        assert t.mail().code == 250
    with client.login(U2, P2) as t:
        assert t.mail(sender=U2).code == 250
    provider.wait(3)
    client.empty()
    assert [m.login for m in provider.mails] == [U1, U1, U2] or sorted(m.login for m in provider.mails) == [U1, U1, U2]
    assert all(m.tls and m.login == m.sender for m in provider.mails)
    assert provider.logins == [(U1, P1), (U2, P2)]          # once each: the connection that asked stays for the mail
    assert not spool_holds(client, P1) and P1 not in client.log()


def test_ehlo_tells_the_truth(client, provider):
    client.start()
    with client.connect() as t:
        hello = t.ehlo().text
        assert "AUTH PLAIN LOGIN" in hello and "CRAM" not in hello
        assert t.cmd("AUTH CRAM-MD5").code == 504


def test_auth_login_and_the_name_of_the_account(client, closing, tls_server):
    provider = closing(Provider(client.upstream_port, {"two": P2, U1: P1, "user1": "stranger's"}, tls=tls_server()))
    client.start()
    with client.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH LOGIN").code == 334
        assert t.cmd(talk.b64("two")).code == 334
        assert t.cmd(talk.b64(P2)).code == 235
        assert t.mail(sender=U2).code == 250
    # Bare, it is our user1 here; the provider's own user1 is somebody else, and his password opens nothing.
    assert auth(client, "User1", P1) == 235
    assert auth(client, "user1", "stranger's") == 535
    assert provider.logins[1:] == [(U1, P1), (U1, "stranger's")]
    provider.wait()
    assert provider.mails[0].login == "two"


def test_a_wrong_one_is_asked_once(client, provider):
    client.start()
    assert [auth(client, U1, "wrong") for _ in range(4)] == [535] * 4
    assert provider.logins == [(U1, "wrong")]
    assert auth(client, U1, P1) == 235
    assert auth(client, U1, P1) == 235
    assert auth(client, U1, P1 + " ") == 535
    assert provider.logins == [(U1, "wrong"), (U1, P1), (U1, P1 + " ")]
    client.wait_log(r"login result=refused .*account=user1@test-sample.jp")


def test_who_has_no_account_reaches_nobody(client, provider):
    client.start()
    assert auth(client, "stranger@test-sample.jp", P1) == 535
    assert auth(client, "user1@elsewhere.example", P1) == 535
    with client.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, P1, authzid=U2)).code == 535
    assert provider.keeper.connections == 0


def test_without_the_upstream_454(client, closing, tls_server):
    client.start()
    assert auth(client, U1, P1) == 454
    client.wait_log("login result=error")
    provider = closing(Provider(client.upstream_port, {U1: P1}, tls=tls_server()))
    assert client.cmd("queue", "retry").returncode in (0, 1)     # else it is left alone for a minute
    assert auth(client, U1, P1) == 235
    provider.stop()
    assert auth(client, U1, P1) == 235                      # remembered


def test_an_upstream_without_auth_or_tls_is_no_verdict(client, closing):
    up = closing(upstream.Script(client.upstream_port))
    client.start()
    assert auth(client, U1, P1) == 454
    assert not any(c.upper().startswith("AUTH") for c in up.commands)


@pytest.mark.parametrize("answer,code", [("535 5.7.8 no", 535), ("534 5.7.9 other password needed", 535), ("454 4.7.0 later", 454),
                                         ("421 4.3.2 busy", 454), ("504 5.5.4 what", 454), ("235 fine", 235), ("334 what", 454)])
def test_what_the_upstream_says(gate, closing, answer, code):
    up = closing(upstream.Script(gate.upstream_port, ehlo="250-x\r\n250 AUTH PLAIN", auth=answer))
    gate.secret("accounts", f"{U1}:{{UPSTREAM}}:\n")
    gate.sections.pop("alias")
    gate.set("relay", credentials="client", tls="none").start()
    assert auth(gate, U1, P1) == code
    assert P1 not in gate.log() and talk.plain(U1, P1) not in gate.log()
    assert "AUTH PLAIN " + talk.plain(U1, P1) in up.commands
    if code != 235:
        assert "alarm=" not in gate.log(), gate.log()


def test_a_guesser_is_locked_out_before_he_reaches_the_provider(client, provider):
    client.set("limits", lockout_after="3", lockout_allow="none").start()
    for n in range(10):
        assert auth(client, U1, f"guess{n}") in (535, 454)
    assert len(provider.logins) <= 4
    asked = len(provider.logins)
    assert auth(client, U1, P1) == 535                      # right, and locked
    assert len(provider.logins) == asked


def test_a_flood_over_many_accounts_is_damped(client, closing, tls_server):
    names = [f"n{n}@test-sample.jp" for n in range(60)]
    provider = closing(Provider(client.upstream_port, {U1: P1}, tls=tls_server()))
    client.secret("accounts", "".join(f"{n}:{{UPSTREAM}}:\n" for n in [U1] + names))
    client.set("limits", sessions_per_client="100").start()
    assert auth(client, U1, P1) == 235
    codes = [auth(client, n, "guess") for n in names]
    assert 454 in codes and codes[0] == 535
    assert len(provider.logins) < 40
    assert auth(client, U1, P1) == 235                      # who is known goes on


def test_after_a_restart_mail_waits_for_its_account(client, provider):
    client.set("queue", retry="1h").start()
    provider.keeper.replies["data"] = "451 4.3.0 later"
    with client.login(U1, P1) as t:
        assert t.mail().code == 250
        assert t.mail().code == 250
    with client.login(U2, P2) as t:
        assert t.mail(sender=U2).code == 250
    client.wait_log("status=deferred", count=3)
    client.stop()
    assert not spool_holds(client, P1) and not spool_holds(client, P2)
    provider.keeper.replies.clear()
    client.start()
    assert client.cmd("queue", "retry").returncode == 0
    client.wait_log(rf"waits .*account={U1}|account={U1}.*log in again")
    assert upstream.stays(lambda: not provider.mails, 0.5)
    house.wait_for("the listing to say so", lambda: [m.get("waits_for") for m in client.queue()] == ["login"] * 3)
    assert auth(client, U1, P1) == 235
    provider.wait(2)
    assert {m.sender for m in provider.mails} == {U1} and len(client.queue()) == 1
    assert auth(client, U2, P2) == 235
    provider.wait(3)
    client.empty()


def test_a_pair_that_the_provider_takes_no_more(client, provider):
    client.set("queue", retry="1h").start()
    assert auth(client, U1, P1) == 235
    provider.pairs[U1] = "changed"
    provider.stop()                                         # so that the kept connection is gone
    provider.start()
    with client.login(U1, P1) as t:                         # still remembered here
        assert t.mail().code == 250
    client.wait_log(r"alarm=upstream-login")
    assert auth(client, U1, P1) == 535                      # not any more
    assert len(client.queue()) == 1
    assert auth(client, U1, "changed") == 235
    provider.wait()
    client.empty()


def test_local_accounts_and_return_mail_go_by_the_stored_pair(client, closing, tls_server, accounts_text):
    provider = closing(Provider(client.upstream_port, {U1: P1, "office@provider.example": "office1234"}, tls=tls_server()))
    local = accounts_text.splitlines()[1]                   # user2, with a password of ours
    client.secret("accounts", f"{U1}:{{UPSTREAM}}:\n{local}\n")
    client.upstream_login(credentials="client").start()
    with client.login(U2, "user2345") as t:
        assert t.mail(sender=U2).code == 250
    provider.wait()
    assert provider.mails[0].login == "office@provider.example"
    provider.keeper.replies["gone@example.net"] = "550 5.1.1 No such user here"
    with client.login(U1, P1) as t:
        assert t.mail(to=["gone@example.net"]).code == 250
    provider.wait(2)
    assert provider.mails[1].login == "office@provider.example" and provider.mails[1].to == [U1]


def test_directly(client, provider):
    client.set("relay", mode="direct").start()
    with client.login(U1, P1) as t:
        assert "Kept" in t.mail().text
        provider.stop()
        provider.start()
        assert "Kept" in t.mail().text
    assert [m.login for m in provider.mails] == [U1, U1]
    assert client.queue() == []


def test_many_at_once(client, provider, closing):
    client.set("relay", connections=3).start()
    talks = [client.connect() for _ in range(12)]
    for n, t in enumerate(talks):
        t.ehlo()
        t.send("AUTH PLAIN " + (talk.plain(U1, P1) if n % 2 else talk.plain(U2, P2)) + "\r\n")
    codes = [t.reply().code for t in talks]
    for t in talks:
        t.close()
    assert codes == [235] * 12


def test_a_client_that_leaves_before_the_answer(client, provider):
    client.start()
    for n in range(8):
        t = client.connect()
        t.ehlo()
        t.send("AUTH PLAIN " + talk.plain(U1, f"guess{n}") + "\r\n")
        t.reset()
    # Many were refused: for a moment nobody is asked for.
    house.wait_for("its turn", lambda: auth(client, U2, P2) == 235)


def test_settings(client):
    def check(good, **keys):
        client.set("relay", credentials=None, tls=None, tls_ca=None, host="127.0.0.1", auth=None).set("relay", **keys).write()
        result = client.cmd("check")
        assert (result.returncode == 0) == good, result

    check(True, credentials="client", tls="none")
    check(False, credentials="client", tls="none", host="192.0.2.1")
    check(False, credentials="stored", tls="none")          # {UPSTREAM} accounts, and nobody to ask
    check(False, credentials="client", tls="none", auth="none")
    client.set("relay other", host="127.0.0.2", tls="none", domains="x.example", credentials="client")
    check(False, credentials="client", tls="none")


def test_passwd(client):
    client.write()
    assert client.cmd("passwd", "--upstream", "new@test-sample.jp").returncode == 0
    assert client.cmd("passwd", "--upstream", "--level", "2", "second@test-sample.jp").returncode == 0
    text = client.accounts.read_text()
    assert "new@test-sample.jp:{UPSTREAM}:\n" in text and "second@test-sample.jp:{UPSTREAM}:level=2\n" in text
    assert client.cmd("passwd", "--upstream", "--cram-md5", "x@test-sample.jp").returncode == 64
    rows = {row["address"]: row for row in client.json("accounts")}
    assert rows["new@test-sample.jp"]["schemes"] == ["UPSTREAM"] and rows["new@test-sample.jp"]["can_login"]
    assert client.cmd("passwd", U1, input="own1234\n").returncode == 0
    assert f"{U1}:{{SCRAM-SHA-256}}" in client.accounts.read_text()


@pytest.mark.parametrize("secret", ["{UPSTREAM}x", "{UPSTREAM} {PLAIN}x", "{PLAIN}x {UPSTREAM}", "{UPSTREAM} {UPSTREAM}"])
def test_no_second_door(client, secret):
    client.secret("accounts", f"{U1}:{secret}:\n")
    client.write()
    assert client.cmd("check").returncode == 78
