"""b. Guessers are shut out, people are not (R61). The gate's clients come from 127.0.0.0/8, which is allowed by default."""

import os
import pathlib
import select
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

import house
import talk

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
PASSWORDS = house.ACCOUNTS
OFFICE, OTHER = "127.0.0.7", "127.0.0.8"
LOCKED = r"lockout scope={} for={} alarm=lockout client=\[{}\]"


@pytest.fixture
def strict(gate, sink):
    """Locks loopback as well, after 3."""
    gate.sink = sink
    gate.set("limits", lockout_after=3, lockout_window="1h", lockout_time="1h", lockout_allow="none", auth_failures=20)
    return gate.start()


def connect(gate, source=OFFICE):
    t = talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), talk.TIMEOUT, (source, 0)))
    t.ehlo()
    return t


def tries(gate, user, *passwords, source=OFFICE, way=None):
    """The replies to these passwords, a session each; who gets in sends a mail."""
    replies = []
    for password in passwords:
        with connect(gate, source) as t:
            reply = way(t, user, password) if way else t.cmd("AUTH PLAIN " + talk.plain(user, password))
            replies.append(reply.text)
            if reply.code == 235:
                assert t.mail(user if "@" in user else U1).code == 250
    return replies


def good(gate, user=U1, source=OFFICE):
    return tries(gate, user, PASSWORDS[user], source=source)[0].startswith("235")


def locks(gate):
    return [line for line in gate.lines("lockout") if "alarm=lockout" in line]


def test_distinct_guesses_lock_the_pair(strict):
    assert good(strict)
    wrong = tries(strict, U1, "a", "b", "c")
    assert len(set(wrong)) == 1 and wrong[0].startswith("535 5.7.8")
    strict.wait_log(LOCKED.format("pair", 3600, OFFICE) + f" .*login={U1}")
    # The right one is answered like a wrong one, by whatever name and way.
    assert tries(strict, U1, PASSWORDS[U1], "d") == [wrong[0]] * 2
    assert tries(strict, "USER1", PASSWORDS[U1]) == wrong[:1]
    assert tries(strict, U1, PASSWORDS[U1], way=lambda t, u, p: t.cram_md5(u, p)) == wrong[:1]
    strict.wait_log(r"login result=refused reason=lockout client=", 4)
    # Others from there, and the same account from elsewhere, come in.
    assert good(strict, U2) and good(strict, U1, OTHER)
    assert len(locks(strict)) == 1
    assert strict.json("status")["counters"]["lockouts"] == 1
    strict.sink.wait(3)


def test_names_of_one_account_are_one(strict):
    tries(strict, "user1", "a")
    tries(strict, "USER1@test-sample.jp", "b")
    tries(strict, U1, "c")
    assert not good(strict)
    assert len(locks(strict)) == 1


def test_an_office_with_one_old_phone(gate, sink):
    """30 phones behind one address; one tries its old password all the time, in three ways that show it."""
    gate.set("limits", lockout_after=3, lockout_allow="none", sessions_per_client=100)
    text = gate.accounts.read_text()
    line = next(line for line in text.splitlines() if line.startswith(U2))
    gate._secret(gate.accounts, text + "".join(line.replace("user2", f"phone{n}") + "\n" for n in range(30)))
    gate.start()

    def phone(n):
        with connect(gate) as t:
            if n == 7:
                return [t.cmd("AUTH PLAIN " + talk.plain("phone7", "old")).code]
            user = f"phone{n}@test-sample.jp"
            assert t.cmd("AUTH PLAIN " + talk.plain(user, PASSWORDS[U2])).code == 235
            return [t.mail(user).code]

    for _ in range(4):
        with ThreadPoolExecutor(8) as pool:
            results = list(pool.map(phone, range(30)))
        assert results == [[535] if n == 7 else [250] for n in range(30)]
    with connect(gate) as t:
        assert t.cmd("AUTH LOGIN " + talk.b64("phone7")).code == 334
        assert t.cmd(talk.b64("old")).code == 535
    with connect(gate) as t:  # and its owner's computer
        assert t.cmd("AUTH PLAIN " + talk.plain("phone7", PASSWORDS[U2])).code == 235
    assert locks(gate) == []


def test_guessing_at_many_locks_the_address(strict):
    for n in range(11):
        assert tries(strict, f"nobody{n}", "spring2026")[0].startswith("535")
    assert good(strict)  # which doesn't take back what others tried
    assert locks(strict) == []
    refused = tries(strict, "nobody11", "spring2026")
    strict.wait_log(LOCKED.format("address", 3600, OFFICE) + " .*login=nobody11")
    assert tries(strict, U1, PASSWORDS[U1]) == refused and tries(strict, U2, PASSWORDS[U2]) == refused
    assert good(strict, U1, OTHER)
    assert len(locks(strict)) == 1


def test_a_login_resets_the_pair(strict):
    for n in range(3):
        tries(strict, U1, f"a{n}", f"b{n}")
        assert good(strict)
    assert locks(strict) == []


def test_a_lock_ends(gate, sink):
    gate.set("limits", lockout_after=2, lockout_time="1s", lockout_allow="none").start()
    tries(gate, U1, "a", "b")
    gate.wait_log(LOCKED.format("pair", 1, OFFICE))
    house.wait_for("the lock to end", lambda: good(gate))
    sink.wait()


def test_loopback_is_allowed_by_default(gate, sink):
    gate.set("limits", lockout_after=1).start()
    tries(gate, U1, *"abcdefgh")
    assert good(gate)
    assert locks(gate) == []


def test_reload_keeps_counts_and_locks(strict):
    tries(strict, U1, "a", "b", source=OTHER)
    tries(strict, U1, "a", "b", "c")
    assert not good(strict)
    assert strict.cmd("reload").returncode == 0
    assert not good(strict)
    assert good(strict, U2)
    tries(strict, U1, "c", source=OTHER)
    strict.wait_log(LOCKED.format("pair", 3600, OTHER))
    # The way out for somebody who can't wait.
    strict.set("limits", lockout_allow=f"{OFFICE}, 10.0.0.0/8").write()
    assert strict.cmd("reload").returncode == 0
    assert good(strict)
    assert not good(strict, U1, OTHER)
    # No longer allowed: the login has ended the office's lock, as any login ends what was counted; the other's goes on.
    strict.set("limits", lockout_allow="none").write()
    assert strict.cmd("reload").returncode == 0
    assert good(strict) and not good(strict, U1, OTHER)


def test_guesses_at_once_don_t_slip_through(strict):
    """All are being checked before the first has failed: whoever is answered behind the third finds the lock."""
    sessions = [connect(strict) for _ in range(12)]
    try:
        for n, t in enumerate(sessions):
            t.send("AUTH PLAIN " + talk.plain(U1, PASSWORDS[U1] if n == 11 else f"wrong{n}") + "\r\n")
        codes = [t.reply().code for t in sessions]
    finally:
        for t in sessions:
            t.close()
    assert codes == [535] * 12
    house.wait_for("the lock", lambda: len(locks(strict)) == 1)
    assert not good(strict)


def hasher_of(gate):
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        if "hash" in name and int(rest.split()[1]) == gate.process.pid:
            return int(stat.parent.name)
    raise AssertionError("the hashing helper isn't there")


def test_a_lock_costs_the_same_work(strict):
    """A password that was right before is remembered; while locked, its answer waits for the hash like any other's."""
    assert good(strict)
    hasher = hasher_of(strict)
    with connect(strict) as before, connect(strict) as behind:
        os.kill(hasher, signal.SIGSTOP)
        try:
            assert before.cmd("AUTH PLAIN " + talk.plain(U1, PASSWORDS[U1])).code == 235
        finally:
            os.kill(hasher, signal.SIGCONT)
        tries(strict, U1, "a", "b", "c")
        os.kill(hasher, signal.SIGSTOP)
        try:
            behind.send("AUTH PLAIN " + talk.plain(U1, PASSWORDS[U1]) + "\r\n")
            assert select.select([behind.sock], [], [], 0.5)[0] == []
        finally:
            os.kill(hasher, signal.SIGCONT)
        assert behind.reply().code == 535


def test_no_secret_in_the_log(strict):
    tries(strict, U1, "hush-1", "hush-2", "hush-3", PASSWORDS[U1])
    strict.wait_log("reason=lockout")
    assert "hush" not in strict.log() and PASSWORDS[U1] not in strict.log()


@pytest.mark.parametrize("line, what", [
    ("lockout_after = 0", "lockout_after = 0: must be 1 to 20"),
    ("lockout_time = 1", "lockout_time = 1: a time is a number"),
    ("lockout_allow = office", "lockout_allow = office: must be addresses"),
    ("lockout_allow =", "lockout_allow is empty"),
])
def test_settings(gate, line, what):
    gate.write()
    gate.path.write_text(gate.path.read_text() + "\n[limits]\n" + line + "\n")
    result = gate.cmd("check")
    assert result.returncode == 78 and what in result.stderr + result.stdout
