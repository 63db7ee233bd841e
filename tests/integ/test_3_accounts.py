"""3. Who you are (R24-R27, R62, R63): the accounts file, its commands, PLAIN, LOGIN, CRAM-MD5 through real clients."""

import json
import os
import smtplib
import stat

import pytest

import house
import talk

U1 = "user1@test-sample.jp"
MECHANISMS = ["PLAIN", "LOGIN", "CRAM-MD5"]


# The accounts file

def test_passwd_writes_the_file(gate):
    gate.write()
    gate.accounts.unlink()
    assert gate.cmd("passwd", U1, input="user1234\n").returncode == 0
    assert gate.cmd("passwd", "--cram-md5", "--level", "2", "user2@test-sample.jp", input="user2345\n").returncode == 0
    lines = [line.split(":") for line in gate.accounts.read_text().splitlines() if line and line[0] != "#"]
    assert [line[0] for line in lines] == [U1, "user2@test-sample.jp"]
    assert lines[0][1].startswith("{SCRAM-SHA-256}") and "{CRAM-MD5}" not in lines[0][1]
    assert "{SCRAM-SHA-256}" in lines[1][1] and "{CRAM-MD5}" in lines[1][1]
    assert "level=" in lines[1][2]
    assert "user1234" not in gate.accounts.read_text() and "user2345" not in gate.accounts.read_text()
    assert stat.S_IMODE(os.stat(gate.accounts).st_mode) & 0o007 == 0


def test_passwd_changes_and_deletes(live):
    assert live.cmd("passwd", "--cram-md5", U1, input="another1\n").returncode == 0
    assert live.cmd("reload").returncode == 0
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 535
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "another1")).code == 235
    live.sections.pop("alias")  # which would name an account that is no more
    live.write()
    assert live.cmd("passwd", "--delete", U1).returncode == 0
    assert live.cmd("reload").returncode == 0
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "another1")).code == 535
    assert live.cmd("passwd", "--delete", U1).returncode == 1


@pytest.mark.parametrize("address", ["user1@elsewhere.example", "no address", "", "a@b@c", "user1:x@test-sample.jp"])
def test_passwd_refuses_what_is_no_account(gate, address):
    gate.write()
    before = gate.accounts.read_text()
    result = gate.cmd("passwd", address, input="secret12\n")
    assert result.returncode in (64, 65), result
    assert result.stderr.startswith(("sekimori: ", "usage: "))
    assert gate.accounts.read_text() == before


def test_accounts_lists(gate):
    gate.write()
    listing = gate.cmd("accounts")
    assert listing.returncode == 0 and U1 in listing.stdout and "user2@test-sample.jp" in listing.stdout
    assert "SCRAM" not in listing.stdout.replace("SCRAM-SHA-256", "") and "user1234" not in listing.stdout
    as_json = json.loads(gate.cmd("accounts", "--json").stdout)
    assert U1 in json.dumps(as_json)


# Logging in

@pytest.mark.parametrize("user", [U1, "user1", "USER1@Test-Sample.JP", "User1"])
def test_forms_of_the_id(live, user):
    """R6: full address, bare name, any case."""
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(user, "user1234")).code == 235
        assert t.mail().code == 250


@pytest.mark.parametrize("user", ["user10@test-sample.jp", "xuser1@test-sample.jp", U1 + ".evil.example", U1 + ".",
                                  "user1@[192.168.0.103]", "user1@sub.test-sample.jp", " " + U1, U1 + " ", "user", "",
                                  "info@test-sample.jp", "user1@"])
def test_ids_that_are_nobody(live, user):
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(user, "user1234")).text.startswith("535 5.7.8")


def test_login_name(gate, sink):
    text = gate.accounts.read_text()
    line = next(line for line in text.splitlines() if line.startswith(U1))
    gate._secret(gate.accounts, text.replace(line, line.rstrip(":") + ":login=taro"))
    gate.start()
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain("taro", "user1234")).code == 235
        assert t.mail().code == 250


def test_plain_with_and_without_initial_response(live):
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN").text.startswith("334")
        assert t.cmd(talk.plain(U1, "user1234")).code == 235
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN =").code in (535, 501)
        assert t.cmd("AUTH PLAIN !!!").code == 501
        assert t.cmd("AUTH PLAIN").code == 334
        assert t.cmd("*").code == 501
        assert t.cmd("AUTH PLAIN " + talk.b64("no nul at all")).code in (501, 535)
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234", authzid="user2@test-sample.jp")).code == 535
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234", authzid=U1)).code == 235


def test_login_challenges_are_exact(live):
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH LOGIN").text == "334 VXNlcm5hbWU6"
        assert t.cmd(talk.b64(U1)).text == "334 UGFzc3dvcmQ6"
        assert t.cmd(talk.b64("user1234")).code == 235
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH LOGIN " + talk.b64(U1)).text == "334 UGFzc3dvcmQ6"
        assert t.cmd(talk.b64("wrong")).code == 535


def test_cram_md5(live):
    with live.connect() as t:
        t.ehlo()
        assert t.cram_md5(U1, "wrong").code == 535
        first = t.cmd("AUTH CRAM-MD5")
        assert t.cmd("*").code == 501
        second = t.cmd("AUTH CRAM-MD5")
        assert t.cmd("*").code == 501
        assert first.text != second.text
        assert t.cram_md5(U1, "user1234").code == 235
        assert t.mail().code == 250


def test_cram_md5_only_when_all_can(gate):
    """R26: clients pick it first when it is offered."""
    gate.start()
    with gate.connect() as t:
        assert "CRAM-MD5" in t.ehlo().text
    assert gate.cmd("passwd", "user3@test-sample.jp", input="user3456\n").returncode == 0
    assert gate.cmd("reload").returncode == 0
    with gate.connect() as t:
        assert t.ehlo().lines[-1] == "250 AUTH PLAIN LOGIN"
        assert t.cmd("AUTH CRAM-MD5").code == 504


def test_order(live):
    """R27."""
    with live.login() as t:
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 503
        assert t.cmd("RSET").code == 250 and t.cmd("EHLO again").code == 250
        assert t.mail().code == 250  # RSET and EHLO keep AUTH
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 530
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 235  # after a refused MAIL fine
    with live.connect() as t:
        t.ehlo()
        codes = [t.cmd("AUTH PLAIN " + talk.plain(U1, f"wrong{n}")).code for n in range(3)]
        assert codes == [535, 535, 421]
        assert t.rest() == b""
    live.wait_log(r"login result=refused")


def test_helo_has_no_auth_but_may_be_followed_by_ehlo(live):
    with live.connect() as t:
        assert t.reply().code == 220
        assert "AUTH" not in t.cmd("HELO x").text
        assert "AUTH" in t.cmd("EHLO x").text


def test_plaintext_auth_networks(gate, tls_client):
    """R62: only 127.0.0.2 may."""
    gate.set("listen submission", plaintext_auth="127.0.0.2/32").start()
    with gate.connect() as t:
        assert "AUTH" not in t.ehlo().text
        assert t.cmd("AUTH LOGIN").text.startswith("538 5.7.11")
    import socket
    with talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, ("127.0.0.2", 0))) as t:
        assert t.login().mail().code == 250


def test_secrets_stay_out_of_log_and_status(live):
    """R63."""
    with live.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "wrong-secret")).code == 535
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 235
        assert t.mail().code == 250
    live.sink.wait()
    live.wait_log("session end=")
    shown = live.log() + live.cmd("status").stdout + live.cmd("check").stdout
    for secret in ("user1234", "wrong-secret", talk.plain(U1, "user1234"), "SCRAM-SHA-256}"):
        assert secret not in shown


# Real clients

@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("way", ["clear", "starttls", "tls"])
def test_swaks(live, mechanism, way):
    port = live.tls_port if way == "tls" else live.port
    option = {"clear": [], "starttls": ["--tls"], "tls": ["--tls-on-connect"]}[way]
    result = house.run("swaks", "--server", f"127.0.0.1:{port}", *option, "--auth", mechanism, "--auth-user", U1,
                       "--auth-password", "user1234", "--from", U1, "--to", "friend@example.net")
    assert result.returncode == 0, result.stdout
    mail = live.sink.wait()
    assert ("ESMTPSA" if way != "clear" else "ESMTPA") in mail.content.decode()


def test_swaks_forged(live):
    common = ["swaks", "--server", f"127.0.0.1:{live.port}", "--tls", "--auth", "PLAIN", "--auth-user", "user1",
              "--auth-password", "user1234", "--to", "friend@example.net"]
    assert "550 5.7.1" in house.run(*common, "--from", "user2@test-sample.jp").stdout
    assert "552 5.7.1" in house.run(*common, "--from", U1, "--h-From", "user2@test-sample.jp").stdout
    assert house.run(*common, "--from", U1).returncode == 0
    live.sink.wait()
    assert len(live.sink.mails) == 1


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_curl(live, certs, tmp_path, mechanism, way):
    (tmp_path / "mail").write_bytes(b"From: " + U1.encode() + b"\r\nSubject: curl\r\n\r\n.dot\r\n")
    url = f"smtp://127.0.0.1:{live.port}" if way == "starttls" else f"smtps://127.0.0.1:{live.tls_port}"
    result = house.run("curl", "-sS", "--ssl-reqd", "--cacert", certs / "ca.pem", "--url", url, "--user", "user1:user1234",
                       "--login-options", f"AUTH={mechanism}", "--mail-from", U1, "--mail-rcpt", "friend@example.net",
                       "--upload-file", tmp_path / "mail")
    assert result.returncode == 0, result
    assert b"\r\n.dot\r\n" in live.sink.wait().content


@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_msmtp(live, certs, mechanism, way):
    port = live.tls_port if way == "tls" else live.port
    result = house.run("msmtp", "-C", "/dev/null", "--host=127.0.0.1", f"--port={port}", "--tls=on",
                       f"--tls-starttls={'on' if way == 'starttls' else 'off'}", f"--tls-trust-file={certs / 'ca.pem'}",
                       f"--auth={mechanism.lower()}", f"--user={U1}", "--passwordeval=echo user1234", f"--from={U1}",
                       "friend@example.net", input=f"From: {U1}\nSubject: msmtp\n\ntext\n")
    assert result.returncode == 0, result
    assert b"Subject: msmtp" in live.sink.wait().content


def test_smtplib(live, tls_client):
    for mechanism in ("auth_plain", "auth_login", "auth_cram_md5"):
        with smtplib.SMTP("127.0.0.1", live.port, timeout=30) as s:
            s.starttls(context=tls_client)
            s.ehlo()
            s.user, s.password = U1, "user1234"
            name = mechanism[5:].replace("_", "-").upper()
            s.auth(name, getattr(s, mechanism))
            s.sendmail(U1, ["a@example.net", "b@example.net"], f"From: {U1}\r\nSubject: {name}\r\n\r\nx\r\n")
    with smtplib.SMTP_SSL("127.0.0.1", live.tls_port, timeout=30, context=tls_client) as s:
        s.login("user1", "user1234")
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            s.sendmail("user2@test-sample.jp", ["a@example.net"], "x")
        assert refused.value.smtp_code == 550
        with pytest.raises(smtplib.SMTPDataError) as filtered:
            s.sendmail(U1, ["a@example.net"], "From: user2@test-sample.jp\r\n\r\nx\r\n")
        assert filtered.value.smtp_code == 552
    live.sink.wait(3)


@pytest.mark.parametrize("mechanism", ["plain", "login", "cram-md5"])
def test_s_nail(live, certs, tmp_path, mechanism):
    env = {**os.environ, "MAILRC": "/dev/null", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    result = house.run("s-nail", "-:/", "-S", "v15-compat", "-S", f"tls-ca-file={certs / 'ca.pem'}", "-S", "tls-verify=strict",
                       "-S", "smtp-use-starttls", "-S", f"smtp-auth={mechanism}", "-S", f"from={U1}", "-S", "sendwait",
                       "-S", f"mta=smtp://user1%40test-sample.jp:user1234@localhost:{live.port}", "-s", "s-nail",
                       "friend@example.net", input="text\n", env=env)
    assert result.returncode == 0, result
    assert b"Subject: s-nail" in live.sink.wait().content
