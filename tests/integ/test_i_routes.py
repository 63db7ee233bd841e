"""Routes and hosts (R37, R51): names with several addresses, found afresh at each attempt, never ourselves. Names come from a hosts file of
the gate's own, in a mount namespace."""

import re
import shutil

import pytest

import house
import upstream

U1 = "user1@test-sample.jp"


@pytest.fixture
def hosts(gate, as_root):
    """hosts("127.0.0.1 name", ...): what the gate finds in /etc/hosts from now on, and in no DNS."""
    path, resolv, nsswitch = gate.dir / "hosts", gate.dir / "resolv.conf", gate.dir / "nsswitch.conf"
    resolv.write_text("nameserver 127.0.0.9\noptions timeout:1 attempts:1\n")
    nsswitch.write_text("hosts: files dns\n")
    path.write_text("")
    mounts = f"mount --bind {path} /etc/hosts && mount --bind {resolv} /etc/resolv.conf"
    prefix = ["unshare", "-m", "sh", "-c", f'{mounts} && exec "$@"', "sh"]
    if not shutil.which("unshare") or house.run(*prefix, "true").returncode:
        pytest.skip("no mount namespaces here")
    gate.prefix = prefix

    def write(*lines):
        with open(path, "r+", encoding="ascii") as f:       # in place: the file is mounted
            f.truncate()
            f.write("".join(line + "\n" for line in lines))
    return write


def send(gate, **keys):
    with gate.login() as t:
        assert t.mail(**keys).code == 250


def test_all_addresses_of_a_name_are_tried(gate, hosts, closing):
    hosts("127.0.0.9 relay.example", "127.0.0.8 relay.example", "::1 relay.example", "127.0.0.7 relay.example")
    sink = closing(upstream.Sink(gate.upstream_port, host="127.0.0.7"))
    gate.set("relay", host="relay.example").start()
    send(gate)
    sink.wait()
    gate.wait_log(r"status=delivered .*host=127\.0\.0\.7:")
    assert "relay-down" not in gate.log()


def test_only_ipv6(gate, hosts, closing):
    hosts("::1 relay.example")
    sink = closing(upstream.Sink(gate.upstream_port, host="::1"))
    gate.set("relay", host="relay.example").start()
    send(gate)
    sink.wait()


def test_bind_chooses_the_family(gate, hosts, closing):
    hosts("::1 relay.example", "127.0.0.7 relay.example")
    six = closing(upstream.Sink(gate.upstream_port, host="::1"))
    four = closing(upstream.Sink(gate.upstream_port, host="127.0.0.7"))
    gate.set("relay", host="relay.example", bind="127.0.0.5").start()
    send(gate)
    assert four.wait().peer[0] == "127.0.0.5" and not six.mails


def test_a_name_is_looked_up_at_each_attempt(gate, hosts, closing):
    """The provider moves; queued mail follows."""
    hosts("127.0.0.9 relay.example")
    gate.set("relay", host="relay.example").start()
    send(gate)
    gate.wait_log(r"relay-down .*refused")
    sink = closing(upstream.Sink(gate.upstream_port, host="127.0.0.7"))
    hosts("127.0.0.7 relay.example")
    sink.wait()
    gate.empty()


def test_a_numeric_host_needs_no_name_server(gate, hosts, ports, closing):
    sink = closing(upstream.Sink(gate.upstream_port))
    gate.set("relay elsewhere", host="nowhere.example", port=ports.one(), tls="none", domains="elsewhere.example").start()
    send(gate, to=["a@elsewhere.example", "b@example.net"])
    send(gate, to=["c@example.net"])
    sink.wait(2)
    gate.wait_log(r"relay-down relay=elsewhere .*nowhere\.example")
    assert sorted(to for m in sink.mails for to in m.to) == ["b@example.net", "c@example.net"]


@pytest.mark.parametrize("address,listener", [("127.0.0.1", "127.0.0.1"), ("127.0.0.5", "0.0.0.0"), ("::1", "[::]")])
def test_a_name_that_leads_to_ourselves(gate, hosts, ports, address, listener):
    hosts(f"{address} relay.example")
    port = ports.one()
    gate.set("listen peers", address=f"{listener}:{port}", tls="none", auth="optional")
    gate.set("peer all", ip="127.0.0.0/8, ::1")
    gate.set("relay", host="relay.example", port=port).start()
    send(gate)
    gate.wait_log(r"\bloop relay=default host=\S+ alarm=loop")
    gate.wait_log(r"relay-down .*listener of our own")
    house.wait_for("the mail to wait", lambda: [m for m in gate.queue() if "listener of our own" in m["last_reply"]])
    assert len(re.findall(r"\bmessage id=", gate.log())) == 1      # it never came back in


def test_the_next_host_is_no_way_around_an_answer(gate, ports, closing):
    """Lesson 27: once a host has spoken for the mail, be it a no for now, the others aren't asked."""
    first = closing(upstream.Script(gate.upstream_port, host="127.0.0.9", mail="451 4.7.1 greylisted"))
    second = closing(upstream.Script(gate.upstream_port, host="127.0.0.1"))
    gate.set("relay", host="127.0.0.9, 127.0.0.1").start()
    send(gate)
    gate.wait_log(r"status=deferred code=451", count=2)
    assert second.count == 0
    first.answers["mail"] = "250 fine"
    gate.empty()
    assert second.count == 0 and len([c for c in first.contents if c]) == 1


def test_queued_mail_takes_the_route_of_today(gate, ports, closing):
    """Lesson 28: what a reload says about routes is true for mail that came before it."""
    gate.set("queue", retry="1h").start()
    send(gate, to=["a@partner.example", "b@example.net"])
    send(gate, to=["c@example.net"])
    gate.wait_log(r"relay-down")
    default, partner, mine = (closing(upstream.Sink(ports.one())) for _ in range(3))
    gate.set("relay", port=default.port)
    gate.set("relay partner", host="127.0.0.1", port=partner.port, tls="none", domains="partner.example").write()
    assert gate.cmd("reload").returncode == 0
    assert gate.cmd("queue", "retry").returncode == 0
    gate.empty()
    assert partner.mails[0].to == ["a@partner.example"]
    assert sorted(to for m in default.mails for to in m.to) == ["b@example.net", "c@example.net"]
    # A sender's route comes before a domain's.
    gate.set("relay mine", host="127.0.0.1", port=mine.port, tls="none", senders=U1).write()
    assert gate.cmd("reload").returncode == 0
    send(gate, to=["a@partner.example", "b@example.net"])
    assert mine.wait().to == ["a@partner.example", "b@example.net"]


def test_return_mail_takes_its_own_route(gate, ports, closing):
    """It goes to its recipient's domain's relay, not to the one that refused."""
    ours, default = (closing(upstream.Sink(ports.one())) for _ in range(2))
    default.keeper.replies["gone@example.net"] = "550 5.1.1 unknown"
    gate.set("relay", port=default.port)
    gate.set("relay ours", host="127.0.0.1", port=ours.port, tls="none", domains="test-sample.jp").start()
    send(gate, to=["gone@example.net"])
    assert ours.wait().to == [U1] and default.mails == []
