"""F. XOAUTH2 with a token command, against a server that checks the token (R74)."""

import base64
import os
import re
import sys

import pytest

import house
import upstream

U1 = "user1@test-sample.jp"
USER = "office@provider.example"
REASON = base64.b64encode(b'{"status":"400","schemes":"Bearer"}').decode()


class Provider(upstream.Script):
    """Takes the tokens in .good only; those that it was shown are in .shown."""

    def __init__(self, port, tls, reason=True):
        self.good, self.shown, self.reason = set(), [], reason
        super().__init__(port, tls=tls, implicit=True, ehlo="250-x\r\n250 AUTH PLAIN LOGIN XOAUTH2", auth=self.login)

    def login(self, t):
        words = self.commands[-1].split()
        if words[1] != "XOAUTH2":
            t.send("535 5.7.139 basic authentication is disabled\r\n")
            return
        if len(words) == 2:
            t.send("334 \r\n")
            words.append(t.line().strip())
        self.commands[-1] = "AUTH XOAUTH2 ..."
        user, bearer = base64.b64decode(words[2]).decode().rstrip("\1").split("\1")
        token = bearer.removeprefix("auth=Bearer ")
        assert user == f"user={USER}"
        self.shown.append(token)
        if token in self.good:
            t.send("235 2.7.0 fine\r\n")
            return
        if self.reason:
            t.send(f"334 {REASON}\r\n")
            assert t.line() == "\r\n"
        t.send("535 5.7.8 the token is not good\r\n")


class Tokens:
    """A command that says what .says holds, and counts its runs."""

    def __init__(self, directory):
        self.dir = directory
        self.path = directory / "get-token"
        self.path.write_text(f"#!{sys.executable}\nimport sys\nopen({str(directory / 'runs')!r}, 'a').write(repr(sys.argv[1:]) + '\\n')\n"
                             f"exec(open({str(directory / 'does')!r}).read())\n")
        os.chmod(self.path, 0o755)

    def says(self, text):
        self.does(f"print({text!r})")

    def does(self, code):
        (self.dir / "does").write_text(code)

    @property
    def runs(self):
        path = self.dir / "runs"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def provider(gate, closing, tls_server):
    return closing(Provider(gate.upstream_port, tls_server()))


@pytest.fixture
def tokens(gate, certs, tmp_path):
    tokens = Tokens(tmp_path)
    gate.set("relay", tls="implicit", tls_ca=certs / "ca.pem", tls_name="smtp.provider.example", user=USER,
             token_command=f"{tokens.path} --account 'the office'")
    return tokens


def send(gate):
    with gate.login() as t:
        assert t.mail().code == 250


def test_one_token_for_many(gate, provider, tokens):
    """Fetched once, by one run, however many connections want it; never in the log."""
    provider.good.add("ya29.secret-token")
    tokens.says("ya29.secret-token")
    gate.set("relay", connections=4).start()
    for _ in range(8):
        send(gate)
    gate.wait_log(r"status=delivered", 8)
    gate.empty()
    assert tokens.runs == ["['--account', 'the office']"] and set(provider.shown) == {"ya29.secret-token"}
    assert "ya29" not in gate.log() + gate.cmd("status").stdout + gate.cmd("queue").stdout


def test_long_token_in_json(gate, provider, tokens):
    """As an endpoint answers, and too long for one command line."""
    token = "eyJ0" + "x" * 2500
    provider.good.add(token)
    tokens.says('{"token_type":"Bearer","scope":"https://outlook.office.com/SMTP.Send","expires_in":3599,"access_token":"%s"}' % token)
    gate.start()
    send(gate)
    gate.wait_log(r"status=delivered")
    assert provider.shown == [token]


def test_token_whose_life_is_over(gate, provider, tokens):
    """expires_in: another is fetched without asking the server first."""
    provider.good.update({"first", "second"})
    tokens.says('{"access_token":"first","expires_in":2}')
    gate.set("relay", messages_per_connection=1).start()
    send(gate)
    gate.wait_log(r"status=delivered")
    tokens.says("second")
    house.wait_for("the second token", lambda: (send(gate), "second" in provider.shown)[1])
    assert "token was refused" not in gate.log() and len(tokens.runs) == 2


def test_refused_token_is_replaced_at_once(gate, provider, tokens):
    """One that was good may have ended early: a fresh one, and no alarm."""
    provider.good.add("first")
    tokens.says("first")
    gate.set("relay", messages_per_connection=1).start()
    send(gate)
    gate.wait_log(r"status=delivered")
    provider.good = {"second"}
    tokens.says("second")
    send(gate)
    gate.wait_log(r"status=delivered", 2)
    assert provider.shown == ["first", "first", "second"] and len(tokens.runs) == 2
    assert "alarm=" not in gate.log() and not gate.lines("relay-down")


@pytest.mark.parametrize("reason", [True, False], ids=["with-reason", "without"])
def test_tokens_that_are_never_good(gate, provider, tokens, reason):
    """One fresh token, then an alarm and a pause; mail waits. A reload tries again."""
    provider.reason = reason
    tokens.says("bad")
    gate.start()
    send(gate)
    gate.wait_log(r"relay-down relay=default alarm=upstream-login retry=60\.000 .*535 5\.7\.8 the token is not good")
    gate.wait_log(r"status=deferred")
    assert upstream.stays(lambda: len(provider.shown) == 2 and len(tokens.runs) == 2)
    assert len(gate.lines("relay-down")) == 1 and "return id=" not in gate.log()
    provider.good.add("good")
    tokens.says("good")
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")
    gate.empty()


@pytest.mark.parametrize("code,why", [
    ("sys.exit(3)", "exit status 3"), ("print('not a token')", "no token in what it says"), ("pass", "it says nothing"),
    ("print('{\"error\":\"invalid_grant\"}')", "no token in what it says"),
    ("print('x' * 100000)", "it writes without end"),
], ids=["fails", "words", "silent", "error", "endless"])
def test_command_that_fails(gate, provider, tokens, code, why):
    """No connection is made for nothing; alarm and pause; `queue retry` tries once."""
    tokens.does(code)
    gate.start()
    send(gate)
    gate.wait_log(rf"relay-down relay=default alarm=upstream-login retry=60\.000 error=\"token_command: .*{why}")
    assert upstream.stays(lambda: len(tokens.runs) == 1, 1.5)
    assert gate.cmd("queue", "retry").returncode == 0
    gate.wait_log(r"relay-down relay=default alarm=upstream-login retry=300\.000")
    assert len(tokens.runs) == 2 and provider.count == 0
    provider.good.add("good")
    tokens.says("good")
    assert gate.cmd("queue", "retry").returncode == 0
    gate.wait_log(r"status=delivered")


def test_command_that_hangs_stops_nobody(gate, provider, tokens):
    """Clients are served meanwhile, and a stop doesn't wait for it; it ends with us."""
    tokens.does(f"open({str(tokens.dir / 'pid')!r}, 'w').write(str(__import__('os').getpid())); __import__('time').sleep(300)")
    gate.start()
    send(gate)
    house.wait_for("the command to run", lambda: (tokens.dir / "pid").exists() and (tokens.dir / "pid").read_text())
    send(gate)
    assert len(gate.queue()) == 2
    assert gate.stop() == 0
    pid = int((tokens.dir / "pid").read_text())
    house.wait_for("it to be gone", lambda: not os.path.exists(f"/proc/{pid}"))


def test_command_has_nothing_of_ours(gate, provider, tokens):
    """No descriptor, no variable, no controlling socket: only what it needs."""
    provider.good.add("good")
    tokens.does("import os\nopen(%r, 'w').write(repr((sorted(os.environ), sorted(int(f) for f in os.listdir('/proc/self/fd')"
                " if os.path.exists('/proc/self/fd/' + f)), os.getcwd())))\nprint('good')" % str(tokens.dir / "has"))
    os.environ["SECRET_OF_THE_CALLER"] = "x"
    try:
        gate.start()
    finally:
        del os.environ["SECRET_OF_THE_CALLER"]
    send(gate)
    gate.wait_log(r"status=delivered")
    names, descriptors, directory = eval((tokens.dir / "has").read_text())
    assert set(names) <= {"HOME", "LANG", "PATH", "LC_CTYPE"} and directory == "/"
    assert len([d for d in descriptors if d > 2]) <= 2, descriptors  # the listing's own, and the script that is read


@pytest.mark.parametrize("keys,why", [
    ({"user": None}, "token_command without user"), ({"tls": "none", "tls_ca": None, "tls_name": None}, "needs TLS"),
    ({"password_file": "/dev/null"}, "only one of them"), ({"auth": "plain"}, "auth = xoauth2"),
    ({"token_command": "get-token"}, "path from /"), ({"token_command": "/x 'y"}, "quote"),
    ({"token_command": None, "auth": "xoauth2", "password_file": "/dev/null"}, "needs token_command"),
    ({"credentials": "sender"}, "credentials must be stored"),
], ids=["user", "tls", "password", "auth", "path", "quote", "nothing", "sender"])
def test_settings_that_do_not_fit(gate, tokens, keys, why):
    gate.secret("x", "y\n")
    if "password_file" in keys:
        keys = {**keys, "password_file": gate.dir / "x"}
    gate.set("relay", **keys).launch()
    assert gate.exits() == 78
    assert re.search(rf"{re.escape(str(gate.path))}:\d+: .*{why}", gate.log()), gate.log()
