"""Attacks on identity: names that mean somebody else somewhere."""

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
