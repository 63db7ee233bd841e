"""q. What others read of the gate's state (R55, R64, R73): status as JSON and for Prometheus, counters of the last minutes, the stats line."""

import re
import time

import pytest

import house

U1 = "user1@test-sample.jp"
COUNTERS = {"sessions", "refused_sessions", "logins", "refused_logins", "lockouts", "refused_senders", "messages",
            "refused_messages", "octets", "delivered", "deferred", "failed", "returned"}


def work(gate):
    """A mail, a forged sender, a forged From:, a wrong password."""
    with gate.login() as t:
        assert t.mail(sender="user2@test-sample.jp").code == 550
        assert t.mail(content="From: user2@test-sample.jp\r\n\r\nx\r\n").code == 552
        assert t.mail().code == 250
        t.cmd("QUIT")
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd("AUTH PLAIN AHgAeQ==").code == 535
    gate.wait_log("status=delivered")
    gate.settled()


def test_json_is_enough_for_a_check_script(live):
    before = live.json("status")["counters"]["sessions"]
    work(live)
    s = live.json("status")
    assert set(s["counters"]) == set(s["last_5_minutes"]) == set(s["last_60_minutes"]) == COUNTERS
    now = s["counters"]
    assert (now["messages"], now["delivered"], now["refused_senders"], now["refused_messages"]) == (1, 1, 1, 1)
    assert (now["logins"], now["refused_logins"], now["sessions"]) == (1, 1, before + 2)
    assert s["last_5_minutes"] == s["last_60_minutes"] == now
    assert abs(s["since"] - time.time()) < 600 and s["since"] <= s["loaded"] and s["uptime"] < 600
    assert s["reload_failed"] == 0 and s["log_lost"] >= 0
    assert (s["sessions"], s["max_sessions"], s["queue"], s["queue_oldest"]) == (0, 200, 0, 0)
    assert 0 < s["spool_size"] == 16 << 20 and s["spool_used"] < s["spool_size"] and s["disk_free"] > 0
    assert s["certificate"]["days"] > 0 and s["relays"][0]["last_success"] >= s["since"]


def test_a_failed_reload_shows(live):
    good = live.path.read_text()
    live.path.write_text(good + "\n[nonsense]\n")
    assert live.cmd("reload").returncode == 78
    s = live.json("status")
    assert s["reload_failed"] >= s["loaded"] > 0 and "FAILED" in live.cmd("status").stdout
    assert "\nsekimori_config_reload_failed 1\n" in live.cmd("status", "--prometheus").stdout
    live.path.write_text(good)
    assert live.cmd("reload").returncode == 0
    assert live.json("status")["reload_failed"] == 0


def test_the_oldest_mail(gate):
    gate.set("queue", retry="1h").start()
    with gate.login() as t:
        assert t.mail().code == 250
    house.wait_for("it to age", lambda: gate.json("status")["queue_oldest"] >= 2)
    s = gate.json("status")
    assert s["queue"] == 1 and s["relays"][0]["last_error"] and s["relays"][0]["down_for"] > 0
    text = gate.cmd("status", "--prometheus").stdout
    assert re.search(r"^sekimori_queue_messages 1$", text, re.M) and re.search(r'^sekimori_relay_up\{relay="default"\} 0$', text, re.M)


NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})(\{{{NAME}="(?:[^"\\\n]|\\[\\"n])*"(?:,{NAME}="(?:[^"\\\n]|\\[\\"n])*")*\}})? (-?\d+(?:\.\d+)?)')


def exposition(text):
    """Format 0.0.4, strictly: HELP, TYPE, and all samples of a name together; {name: (type, {labels: value})}."""
    found, current = {}, None
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ")[2]
            assert current not in found and len(line.split(" ")) > 3, line
            found[current] = [None, {}]
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and found[name] == [None, {}] and kind in ("counter", "gauge"), line
            found[name][0] = kind
        else:
            m = SAMPLE.fullmatch(line)
            assert m and m[1] == current and found[current][0] and m[2] not in found[current][1], line
            found[current][1][m[2]] = float(m[3])
    return found


def test_prometheus(gate, sink, ports):
    gate.set("relay backup-1.x", host="127.0.0.1", port=ports.one(), tls="none", domains="far.example")
    gate.start()
    work(gate)
    text = gate.cmd("status", "--prometheus").stdout
    found = exposition(text)
    assert all(name.startswith("sekimori_") for name in found)
    assert all((kind == "counter") == name.endswith("_total") for name, (kind, _) in found.items())
    status = gate.json("status")
    for name, value in status["counters"].items():
        name = {"octets": "received_bytes"}.get(name, name)
        assert found[f"sekimori_{name}_total"][1] == {None: value}, name
    assert set(found["sekimori_relay_up"][1]) == {'{relay="default"}', '{relay="backup-1.x"}'}
    assert found["sekimori_relay_last_success_timestamp_seconds"][1]['{relay="backup-1.x"}'] == 0
    assert gate.cmd("queue", "--prometheus").returncode == 64
    assert gate.cmd("status", "--nonsense").returncode == 64
    parser = pytest.importorskip("prometheus_client.parser")
    theirs = list(parser.text_string_to_metric_families(text))
    assert {f.name for f in theirs} == {re.sub("_total$", "", n) for n in found}
    assert all(f.documentation and f.type in ("counter", "gauge") for f in theirs)


def test_many_relays_fit(gate, ports):
    """Piece by piece: no answer is cut for want of room."""
    for n in range(15):
        gate.set(f"relay {'n' * 40}{n}", host=f"{'h' * 60}.{'i' * 60}.{'j' * 60}.example", tls="none",
                 domains=f"d{n}.example")
    gate.start()
    assert len(gate.json("status")["relays"]) == 16
    assert len(exposition(gate.cmd("status", "--prometheus").stdout)["sekimori_relay_up"][1]) == 16
    assert gate.cmd("status").stdout.count("\nrelay ") == 16


def test_a_stats_line_only_when_something_happened(gate, sink):
    gate.set("log", stats_interval="1s").start()
    work(gate)
    gate.wait_log(r"\bstats for=\d+ ")
    total = {}

    def sums():
        total.clear()
        for line in gate.lines("stats for"):
            for key, value in re.findall(r" (\w+)=(\d+)", line):
                total[key] = total.get(key, 0) + int(value)
        return total.get("delivered") == 1 and total.get("refused_logins") == 1
    house.wait_for("all to be told", sums)
    assert (total["messages"], total["refused_senders"], total["refused_messages"]) == (1, 1, 1)


def test_nobody_is_woken_to_count_nothing(gate, sink):
    """Without a mail, after which the next hop's connection is kept open for a while."""
    gate.set("log", stats_interval="1s").start()
    with gate.login() as t:
        assert t.mail(sender="user2@test-sample.jp").code == 550
    gate.wait_log(r"\bstats for=\d+ .* refused_senders=1 ")

    def switches():
        text = house.pathlib.Path(f"/proc/{gate.process.pid}/status").read_text()
        return int(text.split("\nvoluntary_ctxt_switches:")[1].split()[0])

    def is_still():
        before = switches()
        time.sleep(2.5)
        return switches() == before

    house.wait_for("it to sleep", is_still)
    assert not any(" sessions=0 " in line and " refused_senders=0 " in line for line in gate.lines("stats for"))


def test_no_stats_line(gate, sink):
    gate.set("log", stats_interval="0").start()
    work(gate)
    time.sleep(1.2)
    assert not gate.lines("stats for")
