"""The audit file (R18): what is in it, its chain, rotation, disks that fail, and the command log."""

import os
import re

import pytest

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


KEY = "k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"


def send(gate, count=1, **keys):
    with gate.login() as t:
        for _ in range(count):
            assert t.mail(**keys).code == 250


def written(gate):
    return gate.json("status")["counters"]["delivered"]


@pytest.fixture
def chained(gate, sink):
    """A gate at rest with a chain of twenty mails, with a key."""
    gate.set("stamp", key_file=gate.secret("stamp.key", KEY)).start()
    send(gate, 20)
    gate.wait_log("status=delivered", 20)
    gate.stop()
    return gate


def check(gate, status, *texts):
    result = gate.cmd("log", "--check")
    assert result.returncode == status, result
    for text in texts:
        assert text in result.stdout, result.stdout
    return result.stdout


def test_a_whole_chain(chained):
    check(chained, 0, "records 1 to 41 in 1 files are whole", "key k1", "no gate is running")
    chained.start()
    check(chained, 0, "the running gate agrees")


def changed(lines):
    lines[7] = lines[7].replace("user1@", "user2@", 1)


def removed(lines):
    del lines[7]


def swapped(lines):
    lines[7], lines[8] = lines[8], lines[7]


def added(lines):
    lines.insert(8, lines[7])


def cut_in_two(lines):
    lines[7] = lines[7][:100] + "\n" + lines[7][100:]


def replaced(lines):
    lines[7] = "nonsense"


def emptied(lines):
    lines[7] = ""


def other_time(lines):
    lines[7] = lines[7].replace("2", "3", 1)


def other_link(lines):
    lines[7] = lines[7][:-1] + ("A" if lines[7][-1] != "A" else "B")


def headless(lines):
    del lines[0]


def begins_late(lines):
    del lines[:5]


def keyless(lines):
    lines[0] = lines[0].replace("key=k1", "key=none")


TAMPERINGS = [changed, removed, swapped, added, cut_in_two, replaced, emptied, other_time, other_link, headless, begins_late,
              keyless]


@pytest.mark.parametrize("tamper", TAMPERINGS, ids=lambda t: t.__name__)
def test_each_tampering_is_found(chained, tamper):
    path = chained.dir / "audit.log"
    lines = path.read_text().splitlines()
    tamper(lines)
    path.write_text("\n".join(lines) + "\n")
    said = check(chained, 1)
    place = 1 if tamper in (headless, begins_late, keyless) else 8
    assert re.search(rf"audit\.log:({place}|{place + 1}): ", said), said
    assert "are whole" not in said
    # The gate goes on behind it; the mark stays.
    chained.start()
    send(chained)
    chained.stop()
    assert re.search(rf"audit\.log(\.1)?:({place}|{place + 1}): ", check(chained, 1))


def test_a_truncated_end_is_found_by_the_running_gate(chained):
    chained.start()
    path = chained.dir / "audit.log"
    lines = path.read_text().splitlines(keepends=True)
    with open(path, "r+") as f:
        f.truncate(len("".join(lines[:-2])))
    assert "records 40 to 41, which the running gate has written, are missing at the end" in check(chained, 1)
    send(chained)
    assert "records 40 to 41 are missing before this one" in check(chained, 1)


def test_who_has_no_key_can_not_make_it_anew(chained):
    """A chain without a key, as anybody can make it, does not pass for one with a key."""
    (chained.dir / "audit.log").unlink()
    key_file = chained.sections["stamp"]["key_file"]
    chained.set("stamp", key_file=None)
    del chained.sections["stamp"]
    chained.start()
    send(chained)
    chained.stop()
    check(chained, 0, "without a key")
    chained.set("stamp", key_file=key_file).write()
    check(chained, 1, "has no key")


def test_a_new_key_begins_a_new_file(chained):
    chained.start()
    chained.secret("stamp.key", KEY.replace("k1", "k2").replace("AAAA", "BBBB") + KEY)
    assert chained.cmd("reload").returncode == 0
    send(chained)
    chained.wait_log("status=delivered", 21)
    check(chained, 0, "in 2 files are whole", "key k2")
    assert records(chained)[0]["before"] == records(chained, 1)[-1]["link"]
    # Without the old key the old file can't be checked, and that is said.
    chained.secret("stamp.key", KEY.replace("k1", "k2").replace("AAAA", "BBBB"))
    check(chained, 1, "key k1, which [stamp] key_file doesn't have")


@pytest.mark.parametrize("rest", [b"2026-11-22T01:00:00Z 42 message id=B0", b"\0" * 5000, b"x\ny\n\0\0"], ids=["half", "zeros", "lines"])
def test_what_a_power_cut_leaves_is_marked(chained, rest):
    with open(chained.dir / "audit.log", "ab") as f:
        f.write(rest)
    check(chained, 1)
    chained.start()
    send(chained)
    chained.wait_log("status=delivered", 21)
    chained.wait_log(r"audit torn=\d+ file=")
    check(chained, 0, "are whole", "1 torn lines are marked")
