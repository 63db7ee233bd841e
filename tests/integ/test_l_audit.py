"""The audit file (R18): what is in it, its chain, rotation, disks that fail, and the command log."""

import os
import re

import house

U1 = "user1@test-sample.jp"
LINE = re.compile(r'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\d+) ([a-z-]+)(.*) chain=([A-Za-z0-9+/]{24})$')
FIELDS = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)')


def records(gate, number=None):
    path = gate.dir / ("audit.log" if not number else f"audit.log.{number}")
    found = []
    for line in path.read_text("ascii").splitlines():
        match = LINE.match(line)
        assert match, line
        fields = dict(FIELDS.findall(match[4]))
        found.append({"number": int(match[2]), "event": match[3], "link": match[5], **fields})
    return found


def test_a_record_for_every_message_and_outcome(live):
    with live.login("user1") as t:
        assert t.mail(sender="user2@test-sample.jp").code == 550
        assert t.mail(content="From: user2@test-sample.jp\r\nMessage-ID: <one@x>\r\n\r\nx\r\n").code == 552
        assert t.mail(to=["a@example.net", "b@example.net"],
                      content=f"From: {U1}\r\nMessage-ID: <two@x>\r\n\r\nx\r\n").code == 250
    live.wait_log(r"status=delivered", 2)
    found = records(live)
    assert [r["number"] for r in found] == list(range(1, len(found) + 1))
    assert found[0]["event"] == "file" and found[0]["key"] == "none"
    refused, bad, good, second = found[1:5]
    assert (refused["event"], refused["at"], refused["account"], refused["from"]) == ("refused", "mail", U1, "user2@test-sample.jp")
    assert (bad["event"], bad["verdict"], bad["msgid"], bad["header_from"]) == ("message", "refused", "<one@x>", "user2@test-sample.jp")
    assert (good["verdict"], good["msgid"], good["to"], good["rcpts"]) == ("accepted", "<two@x>", "a@example.net", "2")
    assert (second["event"], second["id"], second["to"]) == ("recipient", good["id"], "b@example.net")
    delivered = [r for r in found if r["event"] == "delivery"]
    assert {d["to"] for d in delivered} == {"a@example.net", "b@example.net"} and len(delivered) == 2
    assert all((d["id"], d["status"], d["account"], d["code"]) == (good["id"], "delivered", U1, "250") for d in delivered)
    mode = os.stat(live.dir / "audit.log").st_mode & 0o777
    assert mode == 0o640


def test_the_chain_goes_on_after_a_restart(live):
    with live.login() as t:
        assert t.mail().code == 250
    live.wait_log(r"status=delivered")
    before = records(live)
    live.stop()
    live.start()
    with live.login() as t:
        assert t.mail().code == 250
    live.wait_log(r"status=delivered", 2)
    after = records(live)
    assert after[:len(before)] == before and len(after) == len(before) + 2
    assert [r["number"] for r in after] == list(range(1, len(after) + 1))
