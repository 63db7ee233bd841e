"""The audit file (R18): what is in it, its chain, rotation, disks that fail, and the command log."""

import json
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


def test_killed_again_and_again(gate, sink):
    """kill -9 tears no chain: what was answered 250 is recorded, once."""
    gate.start()
    for _ in range(4):
        send(gate, 10)
        gate.kill()
        gate.start()
    gate.empty()
    house.wait_for("all records", lambda: sum(r["event"] == "message" for r in records(gate)) == 40)
    check(gate, 0, "are whole", "the running gate agrees")


def test_rotation_under_load(gate, sink):
    gate.set("manager", audit_size="64K", audit_keep=3).start()
    for _ in range(4):
        send(gate, 75, content=f"From: {U1}\r\nMessage-ID: <{'m' * 200}@x>\r\n\r\nx\r\n")
        gate.cmd("log")
    gate.empty()
    names = sorted(p.name for p in gate.dir.glob("audit.log*"))
    assert names == ["audit.log", "audit.log.1", "audit.log.2", "audit.log.3"]
    assert all(os.stat(gate.dir / name).st_size < 70000 for name in names)
    check(gate, 0, "in 4 files are whole", "have been rotated away")
    assert [records(gate, n)[-1]["link"] for n in (1, 2, 3)] == [records(gate, n)[0]["before"] for n in (0, 1, 2)]
    # One of them taken away is no rotation.
    (gate.dir / "audit.log.2").unlink()
    assert "are missing before" in check(gate, 1)


def test_a_gate_killed_between_rename_and_a_new_file(chained):
    os.rename(chained.dir / "audit.log", chained.dir / "audit.log.1")
    chained.start()
    send(chained)
    chained.wait_log("status=delivered", 21)
    check(chained, 0, "in 2 files are whole")


@pytest.fixture
def small_disk(gate, as_root):
    path = gate.dir / "disk"
    path.mkdir()
    if house.run("mount", "-t", "tmpfs", "-o", "size=64k", "none", path).returncode:
        pytest.skip("no file system can be mounted here")
    yield path
    house.wait_for("unmounting", lambda: house.run("umount", path).returncode == 0)


def test_a_full_disk_holds_nothing_up(gate, sink, small_disk):
    """Mail goes on; one alarm; what is missing is marked when there is room again."""
    (small_disk / "filler").write_bytes(bytes(32768))
    gate.set("manager", audit=small_disk / "audit.log").start()
    send(gate, 60)
    sink.wait(60)
    gate.wait_log(r"audit alarm=audit .*No space left")
    status = gate.json("status")["audit"]
    assert status["lost"] > 0 and "No space" in status["error"]
    assert "can't be written" in gate.cmd("status").stdout
    assert len(gate.lines("alarm=audit")) == 1
    (small_disk / "filler").unlink()

    def is_well():
        send(gate)
        return gate.json("status")["audit"]["error"] == ""

    house.wait_for("it to be written again", is_well)
    gate.wait_log(r"audit lost=\d+ ")
    check(gate, 0, "are whole", "could not be written, in 1 gaps")
    gate.stop()
    check(gate, 0)


def test_a_read_only_disk_holds_nothing_up(gate, sink, small_disk):
    house.run("mount", "-o", "remount,ro", small_disk)
    gate.set("manager", audit=small_disk / "audit.log").start()
    send(gate, 3)
    sink.wait(3)
    gate.wait_log(r"audit alarm=audit .*Read-only file system")
    gate.stop()


def test_a_foreign_file_is_left_alone(gate, sink):
    path = gate.dir / "audit.log"
    path.write_text("Nov 22 01:00:00 host something else\n" * 10)
    gate.start()
    send(gate)
    gate.wait_log(r"audit alarm=audit .*not an audit file")
    assert path.read_text() == "Nov 22 01:00:00 host something else\n" * 10


def test_a_file_that_is_removed_is_made_anew(live):
    send(live)
    live.wait_log("status=delivered")
    (live.dir / "audit.log").unlink()

    def is_there():
        send(live)
        return (live.dir / "audit.log").exists()

    house.wait_for("a new file", is_there)
    check(live, 0, "have been rotated away")
    assert records(live)[0]["number"] > 1


# The command log

@pytest.fixture
def searched(live):
    with live.login("user1") as t:
        assert t.mail(to=["a@example.net", "b@example.org"],
                      content=f"From: {U1}\r\nMessage-ID: <one@x>\r\n\r\nx\r\n").code == 250
        assert t.mail(sender="user2@test-sample.jp").code == 550
    with live.login("user2@test-sample.jp", "user2345") as t:
        assert t.mail(sender="user2@test-sample.jp", to=["c@example.net"],
                      content="From: user2@test-sample.jp\r\nMessage-ID: <two@x>\r\n\r\nx\r\n").code == 250
        assert t.mail(sender="user2@test-sample.jp", content=f"From: {U1}\r\n\r\nx\r\n").code == 552
    live.wait_log("status=delivered", 3)
    return live


def found(gate, *conditions):
    result = gate.cmd("log", *conditions, "--json")
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == (0 if lines else 1), result
    return lines


def messages(gate, *conditions):
    return [r["msgid"] for r in found(gate, *conditions) if r["event"] == "message"]


@pytest.mark.parametrize("conditions, expected", [
    ([], ["<one@x>", "<two@x>", ""]),
    (["--account", "USER1@Test-Sample.jp"], ["<one@x>"]),
    (["--to", "B@example.org"], ["<one@x>"]),
    (["--account", U1, "--to", "b@example.org"], ["<one@x>"]),
    (["--account", "user2@test-sample.jp", "--to", "b@example.org"], []),
    (["--to", "@example.org"], ["<one@x>"]),
    (["--from", U1], ["<one@x>", ""]),
    (["--verdict", "accepted"], ["<one@x>", "<two@x>"]),
    (["--verdict", "delivered", "--account", U1], ["<one@x>"]),
    (["--verdict", "failed"], []),
    (["--message-id", "two@x"], ["<two@x>"]),
    (["--message-id", "<two@x>"], ["<two@x>"]),
    (["--since", "1h"], ["<one@x>", "<two@x>", ""]),
    (["--since", "today"], None), (["--until", "1h"], []), (["--until", "2020-01-01"], []),
    (["--since", "2020-01-01 10:00", "--until", "now"], ["<one@x>", "<two@x>", ""]),
], ids=str)
def test_log_finds(searched, conditions, expected):
    if expected is not None:
        assert messages(searched, *conditions) == expected


def test_log_tells_the_whole_story(searched):
    story = found(searched, "--to", "b@example.org")
    assert [r["event"] for r in story] == ["message", "recipient", "delivery", "delivery"]
    assert story[0]["code"] == 250 and story[0]["account"] == U1 and story[0]["rcpts"] == 2
    text = searched.cmd("log", "--id", story[0]["id"]).stdout
    assert "accepted  user1@test-sample.jp to a@example.net (2 recipients)" in text and "also to b@example.org" in text
    assert text.count("delivered  ") == 2 and "<one@x>" in text
    refused = [r for r in found(searched, "--verdict", "refused") if r["event"] == "refused"]
    assert [r["at"] for r in refused] == ["mail"]


def test_log_refuses_nonsense(searched):
    for bad in (["--since", "25:00"], ["--since", "2026-02-30"], ["--verdict", "maybe"], ["--what", "x"], ["--to"],
                ["--check", "--json"]):
        result = searched.cmd("log", *bad)
        assert result.returncode == 64 and result.stderr.startswith("sekimori: ") and len(result.stderr.splitlines()) == 1, result


def test_no_value_forges_a_record(live):
    """What comes from outside neither ends a line nor passes for a field."""
    with live.login() as t:
        t.mail(content=f'From: {U1}\r\nMessage-ID: <a"b verdict=refused\x1b to=z@z.example>\r\n\r\nx\r\n')
        t.cmd('MAIL FROM:<"x\\" to=z@z.example"@test-sample.jp>')
        t.cmd("MAIL FROM:<user1@test-sample.jp> X=\x01\x02 id=B0")
    live.wait_log("session end=")
    assert records(live)
    assert live.cmd("log", "--to", "z@z.example").returncode == 1
    assert found(live, "--account", U1)
    assert "\x1b" not in (live.dir / "audit.log").read_text()


def test_licences(gate, sink):
    """R55: accounts and devices count; above 1000 one warning, and nothing stops working."""
    line = gate.accounts.read_text().splitlines()[0]
    gate.accounts.write_text("".join(line.replace("user1@", f"user{n}@", 1) + "\n" for n in range(1, 1002)))
    gate.set("device mfp1", ip="127.0.0.9", sender="mfp1@test-sample.jp").set("manager", licences=500)
    gate.sections["alias"] = {"info@test-sample.jp": U1}
    gate.start()
    gate.wait_log("belong on two boxes")
    assert len(gate.lines("belong on two boxes")) == 1
    status = gate.json("status")
    assert (status["licences"], status["licences_used"]) == (500, 1002)
    result = gate.cmd("check")
    assert result.returncode == 0 and "licences: 1002 of 500 used" in result.stdout
    send(gate)
    sink.wait(1)


def test_a_thousand_accounts_in_64_mib(gate, sink):
    """R55: each of a thousand logs in and sends; what the gate and its helpers have of their own stays small."""
    line = gate.accounts.read_text().splitlines()[0]
    gate.accounts.write_text("".join(line.replace("user1@", f"user{n}@", 1) + "\n" for n in range(1, 1001)))
    gate.sections["alias"] = {"info@test-sample.jp": U1}
    gate.set("limits", sessions_per_client=200).start()
    if "libasan" in open(f"/proc/{gate.process.pid}/maps").read():
        pytest.skip("the sanitizers' own memory is measured")
    open_sessions, most = [], 0
    for n in range(1, 1001):
        t = gate.login(f"user{n}@test-sample.jp", "user1234")
        assert t.mail(sender=f"user{n}@test-sample.jp", content=f"From: user{n}@test-sample.jp\r\n\r\nx\r\n").code == 250
        open_sessions.append(t)
        if len(open_sessions) > 100:
            open_sessions.pop(0).close()
        if n % 100 == 0:
            most = max(most, resident(gate.process.pid))
    for t in open_sessions:
        t.close()
    sink.wait(1000)
    gate.empty()
    assert most < 64 << 20, most
    assert len(found(gate, "--verdict", "accepted", "--since", "1h")) >= 2000
    check(gate, 0, "are whole")


def resident(pid):
    """Octets of the process and its helpers: shared pages as often as they are shared are counted once (PSS)."""
    pids = [pid, *map(int, house.run("pgrep", "-P", pid).stdout.split())]
    total = 0
    for p in pids:
        with open(f"/proc/{p}/smaps_rollup") as f:
            total += int(re.search(r"^Pss:\s+(\d+) kB", f.read(), re.M)[1])
    return total << 10
