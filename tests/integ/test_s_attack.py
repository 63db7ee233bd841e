"""Attacks: names that mean somebody else somewhere, files that somebody else has written."""

import pytest

from test_j_client import P1, U1, Provider, client  # noqa: F401

OFFICE = ("office@provider.example", "office1234")


@pytest.mark.parametrize("name", ["user1", "USER1", "two"])
def test_a_device_is_no_account_of_its_name(client, closing, tls_server, name):
    provider = closing(Provider(client.upstream_port, {U1: P1, OFFICE[0]: OFFICE[1]}, tls=tls_server()))
    client.upstream_login(*OFFICE)
    client.set("listen submission", auth="optional").set(f"device {name}", ip="127.0.0.1/32", sender="printer@test-sample.jp")
    client.start()
    with client.login(U1, P1) as t:
        assert t.mail().code == 250
    provider.wait(1)
    with client.connect() as t:
        t.ehlo()
        assert t.mail(sender="printer@test-sample.jp").code == 250
    provider.wait(2)
    assert provider.mails[1].sender == "printer@test-sample.jp" and provider.mails[1].login == OFFICE[0], client.log()


def test_a_forged_audit_file_steers_no_terminal(gate):
    gate.write()
    line = "2026-11-22T01:00:00Z 1 file version=1 key=\x1b]0;owned\x07 number=0 before={0} chain={0}\n".format("A" * 24)
    (gate.dir / "audit.log").write_text(line)
    for args in (["--check"], [], ["--json"]):
        result = gate.cmd("log", *args)
        assert result.returncode == 1 and "\x1b" not in result.stdout + result.stderr, result
    assert "no line of ours" in gate.cmd("log", "--check").stdout or "isn't whole" in gate.cmd("log", "--check").stdout
