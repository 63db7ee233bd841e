"""`sekimori queue` show, cat, retry, remove, return: by the octet, and when they can't."""

import threading
import time

import pytest
import torture_load

import house
import upstream

U1 = "user1@test-sample.jp"


@pytest.fixture
def kept(gate):
    """A gate with four mails to a to d that wait for an hour; their ids by recipient."""
    gate.set("queue", retry="1h").set("server", spool_size="32M").start()
    with gate.login() as t:
        for number, to in enumerate("abcd"):
            octets = 3000000 if to == "a" else 2000
            assert t.mail(to=[f"{to}@example.net"], content=torture_load.content(number, octets)).code == 250
    house.wait_for("all at rest", lambda: [m["active"] for m in gate.queue()] == [False] * 4)
    gate.ids = {m["recipients"][0][0]: m["id"] for m in gate.queue()}
    assert sorted(gate.ids) == ["a", "b", "c", "d"]
    return gate


def test_cat_is_what_the_next_hop_gets(kept, closing):
    sink = closing(upstream.Sink(kept.upstream_port, start=False))
    shown = {to: kept.cmd("queue", "cat", kept.ids[to], text=False) for to in kept.ids}
    assert all(s.returncode == 0 for s in shown.values())
    assert [torture_load.number_of(shown[to].stdout) for to in "abcd"] == [0, 1, 2, 3]
    sink.start()
    assert kept.cmd("queue", "retry").returncode == 0
    sink.wait(4)
    for mail in sink.mails:
        assert mail.content == shown[mail.to[0][0]].stdout


def test_cat_of_a_damaged_message_says_so(kept):
    """What a person takes for the whole mail must be it."""
    whole = kept.cmd("queue", "cat", kept.ids["a"], text=False).stdout
    kept.damage(b"X-Number: <0>", 200000)
    cat = kept.cmd("queue", "cat", kept.ids["a"], text=False)
    assert cat.returncode == 65 and cat.stderr == b"sekimori: the rest can't be read: it is damaged\n", (cat.returncode, cat.stderr)
    assert 100000 < len(cat.stdout) < len(whole) and whole.startswith(cat.stdout)
    assert kept.cmd("queue", "show", kept.ids["a"]).returncode == 0
    assert kept.cmd("queue", "cat", kept.ids["b"]).returncode == 0


def test_retry_of_one(kept, closing):
    sink = closing(upstream.Sink(kept.upstream_port))
    for to in "abcd":
        sink.keeper.replies[f"{to}@example.net"] = "450 4.2.1 later"
    kept.cmd("queue", "retry")
    house.wait_for("an attempt of each", lambda: all(not m["active"] and "later" in m["last_reply"] for m in kept.queue()))
    sink.keeper.replies.clear()
    result = kept.cmd("queue", "retry", kept.ids["c"])
    assert result.returncode == 0, result
    assert sink.wait().to == ["c@example.net"]
    house.wait_for("it to be gone", lambda: len(kept.queue()) == 3)
    assert len(sink.mails) == 1


def test_remove_is_for_good(kept, closing):
    """No return mail, and a crash brings nothing back."""
    assert kept.cmd("queue", "remove", kept.ids["a"]).returncode == 0
    assert kept.cmd("queue", "remove", kept.ids["b"]).returncode == 0
    house.wait_for("them to be gone", lambda: {m["id"] for m in kept.queue()} == {kept.ids["c"], kept.ids["d"]})
    with kept.login() as t:
        assert t.mail(content=torture_load.content(9, 100)).code == 250  # a flush: the removal goes with it
    kept.kill()
    sink = closing(upstream.Sink(kept.upstream_port))
    kept.start()
    kept.cmd("queue", "retry")
    kept.empty()
    assert sorted(torture_load.number_of(m.content) for m in sink.mails) == [2, 3, 9]


def test_return_tells_the_sender(kept, closing):
    assert kept.cmd("queue", "return", kept.ids["b"]).returncode == 0
    house.wait_for("the return mail", lambda: kept.ids["b"] not in {m["id"] for m in kept.queue()})
    sink = closing(upstream.Sink(kept.upstream_port))
    kept.cmd("queue", "retry")
    kept.empty()
    returned = [m for m in sink.mails if m.to == [U1]]
    assert len(returned) == 1 and b"b@example.net" in returned[0].content and b"X-Number: <1>" in returned[0].content
    assert sorted(m.to[0][0] for m in sink.mails if m is not returned[0]) == ["a", "c", "d"]


def test_what_is_under_way_is_left_alone(kept, closing):
    """75, and the mail arrives once."""
    def hold(t):
        asked.set()
        go_on.wait(house.WAIT)
        t.send("250 2.0.0 kept\r\n")

    asked, go_on = threading.Event(), threading.Event()
    script = closing(upstream.Script(kept.upstream_port, data=hold))
    kept.cmd("queue", "retry", kept.ids["b"])
    assert asked.wait(house.WAIT)
    try:
        for command in ("remove", "return"):
            result = kept.cmd("queue", command, kept.ids["b"])
            assert result.returncode == 75 and "being sent" in result.stderr, (command, result)
        assert kept.cmd("queue", "retry", kept.ids["b"]).returncode == 1
        for command in ("show", "cat"):
            assert kept.cmd("queue", command, kept.ids["b"]).returncode == 0
        assert next(m for m in kept.queue() if m["id"] == kept.ids["b"])["active"] is True
    finally:
        go_on.set()
    house.wait_for("it to be gone", lambda: kept.ids["b"] not in {m["id"] for m in kept.queue()})
    assert sum("end <1>" in content for content in script.contents) == 1


def test_errors(kept):
    unknown = kept.ids["a"][:-1] + ("0" if kept.ids["a"][-1] != "0" else "1")
    unknown = "B0000000001" if unknown in kept.ids.values() else unknown
    for command in ("show", "cat", "retry", "remove", "return"):
        result = kept.cmd("queue", command, unknown)
        assert result.returncode == 1 and "no such message" in result.stderr and not result.stdout, (command, result)
        for nonsense in ("b" + unknown[1:].lower(), "B", unknown + "0", "../../etc/passwd", ""):
            result = kept.cmd("queue", command, nonsense)
            assert result.returncode in (1, 64) and result.stderr and not result.stdout, (command, nonsense, result)
    for command in ("show", "cat", "remove", "return"):
        assert kept.cmd("queue", command).returncode == 64, command
    assert kept.cmd("queue", "show", kept.ids["a"], kept.ids["b"]).returncode == 64
    assert len(kept.queue()) == 4
    assert kept.stop() == 0
    for command in (["queue"], ["queue", "retry"], ["queue", "cat", kept.ids["a"]]):
        result = kept.cmd(*command)
        assert result.returncode == 69 and result.stderr.startswith("sekimori: "), result


def test_cat_while_the_log_goes_round(gate, closing):
    """A mail that is carried forward while it is shown is shown whole."""
    gate.set("server", spool_size="8M", max_message_size="2M").set("queue", retry="1h")
    gate.set("limits", sessions_per_client=100).set("relay", connections=8)
    load = closing(torture_load.Torture(gate, clients=0, octets=(5000, 30000)))
    load.later = {900001}
    gate.start()
    with gate.login() as t:
        assert load.send(t, 900001, 1500000).code == 250
    stuck = house.wait_for("it to be put off", lambda: [m["id"] for m in gate.queue() if not m["active"]])[0]
    load.add_clients(6)
    end, shows = time.monotonic() + 8, 0
    while load.octets_taken < 40 << 20 and time.monotonic() < end:
        cat = gate.cmd("queue", "cat", stuck, text=False)
        assert cat.returncode == 0 and torture_load.number_of(cat.stdout) == 900001
        shows += 1
    load.later = set()
    gate.cmd("queue", "retry")
    load.settle()
    print(f"shown {shows} times while {load.octets_taken >> 20} MiB went through 8 MiB")
