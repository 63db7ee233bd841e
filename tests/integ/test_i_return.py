"""Return mail to the end (R47-R49): partial failures, delay, owners, refused senders, and no loops; read by bounce parsers."""

import email
import email.policy
import json
import re
import shutil

import pytest

import house
import upstream

U1, POSTMASTER = "user1@test-sample.jp", "postmaster@test-sample.jp"


def send(gate, **keys):
    with gate.login() as t:
        assert t.mail(**keys).code == 250


def parse(content):
    return email.message_from_bytes(content, policy=email.policy.default)


def fields(report):
    """The per-recipient fields, by address."""
    status = list(report.iter_parts())[1].get_payload()
    return {p["Final-Recipient"].split(";")[1].strip(): p for p in status[1:]}


def reports(sink):
    return [m for m in sink.mails if m.content.startswith(b"From: Mail Delivery System") or
            b"\nFrom: Mail Delivery System" in m.content]


# What came back, and for whom

def test_some_fail_some_wait(gate, sink):
    """One return mail for the attempt in which they failed, none for those that wait, none twice."""
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 unknown", "away@example.net": "551 5.1.6 moved",
                                "later@example.net": "450 4.2.0 busy"})
    gate.start()
    send(gate, to=["gone@example.net", "later@example.net", "friend@example.net", "away@example.net"])
    gate.wait_log(r"status=deferred .*later@", count=2)
    assert len(reports(sink)) == 1
    found = fields(parse(reports(sink)[0].content))
    assert {k: v["Status"] for k, v in found.items()} == {"gone@example.net": "5.1.1", "away@example.net": "5.1.6"}
    assert found["gone@example.net"]["Diagnostic-Code"] == "smtp; 550 5.1.1 unknown"
    sink.keeper.replies["later@example.net"] = "550 5.2.1 closed"
    house.wait_for("the second", lambda: len(reports(sink)) == 2)
    assert list(fields(parse(reports(sink)[1].content))) == ["later@example.net"]
    gate.empty()
    assert len(reports(sink)) == 2 and sum("friend@example.net" in m.to for m in sink.mails) == 1


def test_each_relay_answers_for_itself(gate, ports, closing):
    """Remote-MTA is the host that refused, not the last one that was tried."""
    default = closing(upstream.Sink(gate.upstream_port))
    partner = closing(upstream.Sink(ports.one(), host="127.0.0.2"))
    default.keeper.replies["a@example.net"] = "550 5.1.1 not here"
    partner.keeper.replies["b@partner.example"] = "550 5.1.1 nor here"
    gate.set("relay partner", host="127.0.0.2", port=partner.port, tls="none", domains="partner.example").start()
    send(gate, to=["a@example.net", "b@partner.example"])
    found = fields(parse(default.wait(1).content))
    assert found["a@example.net"]["Remote-MTA"] == "dns; 127.0.0.1"
    assert found["b@partner.example"]["Remote-MTA"] == "dns; 127.0.0.2"


def test_expired_and_taken_back_by_hand(gate, sink):
    sink.keeper.replies["later@example.net"] = "450 4.2.0 busy"
    gate.set("queue", retry="1h").start()
    send(gate, to=["later@example.net"])
    gate.wait_log(r"status=deferred")
    house.wait_for("it to rest", lambda: not gate.queue()[0]["active"])
    ident = gate.queue()[0]["id"]
    assert gate.queue()[0]["last_reply"] == "450 4.2.0 busy"
    assert gate.cmd("queue", "return", ident).returncode == 0
    report = parse(sink.wait(1).content)
    gate.wait_log(rf"delivery id={ident} status=withdrawn")
    said = next(report.iter_parts()).get_content()
    assert "管理者が配送を取りやめました" in said and "administrator has withdrawn it" in said and "期限まで" not in said
    assert fields(report)["later@example.net"]["Diagnostic-Code"] == "smtp; 450 4.2.0 busy"
    gate.empty()


def test_device_mail_returns_to_its_owner(gate, sink, ports):
    """The printer reads no mail."""
    port = ports.one()
    gate.set("listen machines", address=f"127.0.0.1:{port}", tls="none", auth="optional")
    gate.set("device mfp1", ip="127.0.0.1", sender="mfp1@test-sample.jp", owner="soumu@test-sample.jp")
    sink.keeper.replies["gone@example.net"] = "550 5.1.1 unknown"
    gate.start()
    import talk
    with talk.Talk(("127.0.0.1", port)) as t:
        t.ehlo()
        assert t.mail(sender="mfp1@test-sample.jp", to=["gone@example.net"]).code == 250
    mail = sink.wait(1)
    assert mail.to == ["soumu@test-sample.jp"] and parse(mail.content)["To"].addresses[0].addr_spec == "soumu@test-sample.jp"
    send(gate, to=["gone@example.net"])
    assert sink.wait(2).to == [U1]      # people get their own
    gate.set("device mfp1", owner="no address").write()
    assert "owner" in gate.cmd("check").stderr


# <> and the return address

@pytest.mark.parametrize("refusal", ["550 5.7.1 no null sender", "550 no"])
@pytest.mark.parametrize("step", ["rcpt", "DATA", "data"])
def test_null_sender_refused_later_than_mail(gate, closing, step, refusal):
    """R48, envelope = auto: some upstreams look at the sender only at RCPT, or after the final dot."""
    def answer(t):
        sender = next(c for c in reversed(script.commands) if c.upper().startswith("MAIL"))
        to = next(c for c in reversed(script.commands) if c.upper().startswith("RCPT"))
        bad = "<>" in sender or "gone@" in to
        t.send((("550 5.1.1 unknown" if "gone@" in to else refusal) if bad else script.usual[step]) + "\r\n")
        return bad or step != "DATA" or script.content(t)

    script = closing(upstream.Script(gate.upstream_port))
    script.answers[step] = answer
    gate.set("relay", messages_per_connection="1" if step == "data" else "0").start()
    send(gate, to=["gone@example.net"])
    gate.wait_log(rf"status=delivered .*from=\S* to={re.escape(U1)}")
    gate.wait_log(r"refuses <>, the return address is used")
    mails = [c for c in script.commands if c.upper().startswith("MAIL")]
    assert [re.search("<(.*?)>", m)[1] for m in mails] == [U1, "", POSTMASTER]
    gate.empty()


def test_an_unknown_sender_is_no_refusal_of_null(gate, sink):
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 unknown", U1: "550 5.1.1 unknown as well"})
    gate.start()
    send(gate, to=["gone@example.net"])
    gate.wait_log(r"parked .*reason=return-mail")
    assert "refuses <>" not in gate.log()


def test_return_address_refused_too_is_parked_and_expires(gate, sink):
    """Nobody hears of it but the log; the queue shows it as parked; after [queue] expire it is dropped."""
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 unknown", "mail:<>": "550 5.7.1 no",
                                f"mail:<{POSTMASTER}>": "553 5.7.1 not yours", f"mail:{POSTMASTER}": "553 5.7.1 not yours"})
    gate.set("queue", expire="3s").start()
    send(gate, to=["gone@example.net"])
    gate.wait_log(r"parked .*reason=return-mail")
    entry = gate.queue()[0]
    assert entry["parked"] and entry["last_reply"].startswith("parked: 553 5.7.1 not yours")
    assert re.search(r"parked, dropped in \d+ s", gate.cmd("queue").stdout)
    gate.stop()
    gate.start()                        # known over a restart
    assert gate.queue()[0]["parked"]
    gate.wait_log(r"dropped .*reason=return-mail")
    gate.empty()
    assert len(re.findall("parked id=", gate.log())) == 1 and sink.mails == []


def test_others_go_on_while_a_failure_cannot_be_told(gate, sink):
    """<> with two recipients: one refused for good, one for now. The second is not held back until the expiry."""
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 unknown", "later@example.net": "450 4.2.0 busy"})
    gate.set("trust", null_sender="allow").start()
    send(gate, sender="", to=["gone@example.net", "later@example.net"], content=f"From: {U1}\r\n\r\nx\r\n")
    gate.wait_log(r"status=deferred .*later@", count=2)
    assert "parked" not in gate.log()
    sink.keeper.replies.pop("later@example.net")
    assert sink.wait(1).to == ["later@example.net"]
    gate.wait_log(r"parked .*reason=null-sender")
    assert gate.queue()[0]["recipients"] == ["gone@example.net"]


# Delay

def test_notice_of_delay(gate, sink):
    sink.keeper.replies["later@example.net"] = "451 4.2.1 busy"
    sink.keeper.replies["gone@example.net"] = "550 5.1.1 unknown"
    gate.set("return", delay_notice="2s").start()
    send(gate, to=["later@example.net", "friend@example.net", "gone@example.net"])
    gate.wait_log(r"delay-notice id=\w+ of=\w+")
    house.wait_for("failure and notice", lambda: len(reports(sink)) == 2)
    mail = reports(sink)[1]
    report = parse(mail.content)
    assert mail.to == [U1] and mail.sender == "" and not report.defects
    assert "遅れています" in report["Subject"] and "Delayed mail" in report["Subject"]
    assert report["Auto-Submitted"] == "auto-replied"
    found = fields(report)
    assert list(found) == ["later@example.net"]
    late = found["later@example.net"]
    assert late["Action"] == "delayed" and late["Status"] == "4.2.1" and late["Diagnostic-Code"] == "smtp; 451 4.2.1 busy"
    assert email.utils.parsedate_to_datetime(late["Will-Retry-Until"])
    said = next(report.iter_parts()).get_content()
    assert "再送の期限: " in said and "Tried until: " in said and "gone@" not in said
    assert "pending, sender told" in gate.cmd("queue", "show", gate.queue()[0]["id"]).stdout
    # Once, also over a restart.
    gate.stop()
    gate.start()
    tries = gate.queue()[0]["attempts"]
    house.wait_for("more attempts", lambda: gate.queue()[0]["attempts"] >= tries + 2)
    assert len(gate.lines("delay-notice")) == 1
    sink.keeper.replies.clear()
    gate.empty()
    assert len(reports(sink)) == 2


def test_notice_of_delay_while_the_relay_is_away(gate, ports):
    """No attempt is made that could say so: the sweep does."""
    gate.set("return", delay_notice="1s").set("queue", retry="1h")
    gate.start()
    send(gate)
    gate.wait_log(r"relay-down")
    send(gate)
    send(gate)
    house.wait_for("them to be late", lambda: min(m["age"] for m in gate.queue()) >= 2)
    assert gate.cmd("reload").returncode == 0       # a new setting is looked at at once; else once a minute
    gate.wait_log(r"delay-notice", count=3)
    assert gate.cmd("reload").returncode == 0
    assert upstream.stays(lambda: len(gate.lines("delay-notice")) == 3, 1)
    assert sum(m["sender"] == "" for m in gate.queue()) == 3     # and none for the notices themselves


# No loops

def test_two_gates_that_point_at_each_other(make_gate, ports):
    """R51: Received: fields count; the return mail goes round as well, and ends."""
    one, two = make_gate(), make_gate()
    for gate, other in ((one, two), (two, one)):
        listen = ports.one()
        gate.set("listen peers", address=f"127.0.0.1:{listen}", tls="none", auth="optional")
        gate.set("peer other", ip="127.0.0.1")
        gate.peers = listen
    for gate, other in ((one, two), (two, one)):
        gate.set("relay", port=other.peers).set("server", hostname="one.test-sample.jp" if gate is one else "two.test-sample.jp")
        gate.set("limits", received_max="10")
    one.start()
    two.start()
    send(one, to=["friend@example.net"])
    house.wait_for("it to come to rest", lambda: all(not [m for m in g.queue() if not m["parked"]] for g in (one, two)) and
                   "parked" in one.log() + two.log())
    logs = one.log() + two.log()
    assert 1 <= len(re.findall(r"\breturn id=", logs)) <= 2, logs
    assert len(re.findall(r"status=delivered", logs)) <= 60
    before = len(logs)
    assert upstream.stays(lambda: len(one.log() + two.log()) == before, 1)


def test_both_addresses_dead(gate, sink):
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 unknown", U1: "550 5.1.1 gone too"})
    gate.start()
    send(gate, to=["gone@example.net"])
    gate.wait_log(r"parked .*reason=return-mail")
    assert sink.mails == [] and len(gate.lines("parked")) == 1


# Judged by others

def both_kinds(gate, sink):
    sink.keeper.replies.update({"gone@example.net": "550 5.1.1 <gone@example.net>: User unknown",
                                "full@example.net": "552 5.2.2 mailbox full", "later@example.net": "451 4.2.1 busy"})
    gate.set("return", delay_notice="1s").start()
    send(gate, to=["gone@example.net", "full@example.net"])
    send(gate, to=["later@example.net"])
    house.wait_for("both", lambda: len(reports(sink)) == 2)
    failed, late = sorted((m.content for m in reports(sink)), key=lambda c: b"Action: delayed" in c)
    return failed, late


def test_flufl_bounce(gate, sink):
    bounce = pytest.importorskip("flufl.bounce", reason="python3-flufl.bounce is missing")
    failed, late = both_kinds(gate, sink)
    assert bounce.all_failures(email.message_from_bytes(failed)) == (set(), {b"gone@example.net", b"full@example.net"})
    assert bounce.all_failures(email.message_from_bytes(late)) == ({b"later@example.net"}, set())


def test_sisimai(gate, sink, tmp_path):
    if not shutil.which("perl") or house.run("perl", "-MSisimai", "-e1").returncode:
        pytest.skip("libsisimai-perl is missing")
    failed, _ = both_kinds(gate, sink)
    (tmp_path / "bounce.eml").write_bytes(b"Return-Path: <>\r\n" + failed)
    result = house.run("perl", "-MSisimai", "-e", "print Sisimai->dump($ARGV[0])", tmp_path / "bounce.eml")
    found = {row["recipient"]: row for row in json.loads(result.stdout)}
    assert set(found) == {"gone@example.net", "full@example.net"}, result
    assert found["gone@example.net"]["deliverystatus"] == "5.1.1" and found["gone@example.net"]["reason"] == "userunknown"
    assert found["full@example.net"]["reason"] == "mailboxfull"
    assert found["gone@example.net"]["addresser"] == U1 and str(found["gone@example.net"]["replycode"]) == "550"


def test_schedule_is_shown(gate, sink):
    sink.keeper.replies["later@example.net"] = "451 4.2.1 busy"
    gate.set("queue", retry="20m, 90m, 1d", expire="3d").start()
    send(gate, to=["later@example.net"])
    gate.wait_log(r"status=deferred")
    house.wait_for("it to rest", lambda: not gate.queue()[0]["active"])
    shown = gate.cmd("queue", "show", gate.queue()[0]["id"]).stdout
    assert re.search(r"next attempt \d{4}-\d\d-\d\d \d\d:\d\d:\d\d; after failures again in 90m, 1d\n", shown), shown
    assert re.search(r"given up \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\n", shown), shown
