"""w. Two boxes from outside: what status says of them, the certificates between them, an agent that is two."""

import re
import socket
import time

import house
from test_g_tls_client import odd  # noqa: F401
from test_p_boxes import Wire, arrived, as_agent, as_manager, framed, message, received, refusals
from test_q_status import exposition


def test_status_of_an_agent(make_gate, ports, certs, closing):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    agent = as_agent(make_gate(), certs, manager.agents_port, tls=False).start()
    refusals(agent, 3)
    agent.wait_log("forward result=away")
    s = agent.json("status")["forward"]
    assert set(s) == {"connected", "number", "waiting", "missing", "last_success", "address", "error"}
    assert (s["connected"], s["missing"], s["last_success"]) == (False, 0, 0) and "refused" in s["error"]
    house.wait_for("the records to be counted", lambda: agent.json("status")["forward"]["waiting"] >= 3)
    text = agent.cmd("status").stdout
    assert re.search(rf"^manager 127\.0\.0\.1:{manager.agents_port}: AWAY, .*; \d+ wait$", text, re.M), text
    found = exposition(agent.cmd("status", "--prometheus").stdout)
    assert found["sekimori_forward_connected"] == ["gauge", {None: 0}] and found["sekimori_forward_waiting_records"][1][None] >= 3
    assert found["sekimori_forward_records_missing_total"] == ["counter", {None: 0}]
    manager.launch()
    arrived(manager, agent)
    s = house.wait_for("all to be answered for", lambda: (lambda f: f if not f["waiting"] else None)(agent.json("status")["forward"]))
    assert s["connected"] and s["error"] == "" and abs(s["last_success"] - time.time()) < 600
    assert s["number"] == agent.json("status")["audit"]["number"]
    assert agent.json("status")["agents"] == [] and "sekimori_agent_" not in agent.cmd("status", "--prometheus").stdout
    assert "forward" not in manager.json("status") and "sekimori_forward_" not in manager.cmd("status", "--prometheus").stdout


def test_status_of_a_manager(make_gate, ports, certs, closing):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    wire = closing(Wire(ports.one(), manager.agents_port))
    wire.limits = [(None, 1)]                               # the first answer is lost
    manager.set("agent other", ip="192.0.2.1")
    manager.launch()
    manager.wait_log("serves")
    never = {"connected": False, "address": "", "heard": 0, "records": 0, "doubles": 0, "sequence": 0, "renumbered": 0}
    assert manager.json("status")["agents"] == [{"name": "gate1", **never}, {"name": "other", **never}]
    assert manager.json("status")["relays"] == []
    agent = as_agent(make_gate(), certs, wire.listener.getsockname()[1], tls=False).start()
    refusals(agent, 5)
    records = arrived(manager, agent)
    house.wait_for("the second answer", lambda: agent.json("status")["forward"]["waiting"] == 0)
    one, other = manager.json("status")["agents"]
    assert other == {"name": "other", **never}
    assert one["connected"] and one["address"] == "127.0.0.1" and abs(one["heard"] - time.time()) < 600
    assert one["records"] == 5 and one["doubles"] > 0 and one["sequence"] == int(records[-1]["agent_seq"])
    text = manager.cmd("status").stdout
    assert re.search(r"^agent gate1: 127\.0\.0\.1, last record 20.* records, \d+ of them twice, up to its \d+$", text, re.M), text
    assert re.search(r"^agent other: NOT CONNECTED, last record never;", text, re.M), text
    found = exposition(manager.cmd("status", "--prometheus").stdout)
    assert found["sekimori_agent_up"] == ["gauge", {'{agent="gate1"}': 1, '{agent="other"}': 0}]
    assert found["sekimori_agent_doubles_total"][1]['{agent="gate1"}'] == one["doubles"]
    # What is in the file is known after a restart, too.
    agent.stop()
    manager.stop()
    manager.launch()
    house.wait_for("it to serve", lambda: manager.cmd("status").returncode == 0)
    assert manager.json("status")["agents"][0] == {"name": "gate1", **never, "sequence": one["sequence"]}


def test_many_agents_fit(make_gate, ports, certs):
    """Piece by piece: no answer is cut for want of room."""
    manager = as_manager(make_gate(), ports, certs, tls=False)
    for n in range(63):
        manager.set(f"agent {'n' * 41}{n:02}", ip="192.0.2.1")
    manager.launch()
    manager.wait_log("serves")
    assert len(manager.json("status")["agents"]) == 64
    assert manager.cmd("status").stdout.count("\nagent ") == 64
    found = exposition(manager.cmd("status", "--prometheus").stdout)
    assert all(len(found[name][1]) == 64 for name in found if name.startswith("sekimori_agent_"))


def open_alarms(gate):
    return {(a["alarm"], a["cause"]) for a in gate.json("status")["alarms"]}


def test_certificates_between_boxes(make_gate, ports, certs, odd):  # noqa: F811
    """Both sides' are watched as those of the gate itself are."""
    short = odd("w-ends", names="DNS:mail.test-sample.jp,IP:127.0.0.1", until=3)
    manager = as_manager(make_gate(), ports, certs)
    manager.set("tls", certificate=f"{short}.pem", key=f"{short}.key")
    manager.launch()
    manager.wait_log(r"certificate alarm=certificate days=[23] until=\S+$")
    assert open_alarms(manager) == {("certificate", "")} and manager.json("status")["certificate"]["days"] in (2, 3)
    assert "RENEW IT" in manager.cmd("check").stdout
    agent = as_agent(make_gate(), certs, manager.agents_port)
    agent.set("manager", forward_certificate=f"{short}.pem", forward_key=f"{short}.key").start()
    agent.wait_log(r"certificate alarm=certificate days=[23] until=\S+ cause=forward$")
    assert open_alarms(agent) == {("certificate", "forward")}
    assert re.search(r"^manager: tls://127\S+, with a certificate of our own until .*RENEW IT$", agent.cmd("check").stdout, re.M)
    agent.set("manager", forward_certificate=certs / "provider.pem", forward_key=certs / "provider.key").write()
    told = agent.cmd("reload")
    assert told.returncode == 0 and re.search(r"^forward_certificate: valid until \S+ -> \S+$", told.stdout, re.M), told
    agent.wait_log(r"alarm-over kind=certificate for=\d+ cause=forward")
    assert open_alarms(agent) == set()


def test_an_agent_that_is_renumbered_with_each_record(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    manager.launch()
    manager.wait_log("serves")
    with socket.create_connection(("127.0.0.1", manager.agents_port), house.WAIT) as s:
        s.sendall(b"".join(framed(message(7).replace(b'stream="abc"', b'stream="s%d"' % n)) for n in range(501)))
        house.wait_for(manager.log, lambda: len(received(manager)) == 501)
        assert manager.json("status")["agents"][0]["renumbered"] == 500
        # A line at once, and then none for a minute, however long this test takes.
        lines = manager.lines("result=renumbered")
        assert len(lines) <= 1 + WAIT_LINES and re.search(r"agent=gate1 stream=s1 count=1$", lines[0]), lines
    assert manager.stop() == 0
    counts = [int(re.search(r"count=(\d+)$", line)[1]) for line in manager.lines("result=renumbered")]
    assert sum(counts) == 500, counts


WAIT_LINES = house.WAIT // 60 + 1
