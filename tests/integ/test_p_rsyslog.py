"""Audit records at Debian's rsyslog: octet-counted TCP and mutual TLS, away and back."""

import os
import re
import signal

import pytest

import house
import postfix
import rsyslog
from test_p_boxes import as_agent, refusals, sent

PARAM = re.compile(r' ([a-z_]+)="((?:[^"\\\]]|\\["\\\]])*)"')


@pytest.fixture
def server(request, ports, certs, worker, closing):
    top, missing = postfix.root()
    if missing:
        pytest.skip(missing)
    tls = request.param == "tls"
    return closing(rsyslog.Rsyslog(top, f"rsyslog{worker}-{os.getpid()}", ports.one(), certs if tls else None,
                                   "smtp.provider.example"))


def heard(server):
    """What arrived: the fields of each message by its own parser's parts."""
    found = []
    for line in server.lines():
        time, host, program, event, priority, data, text = line.split("|", 6)
        assert (host, program, priority) == ("mail.test-sample.jp", "sekimori", "mail.info"), line
        assert re.match(r'\[timeQuality tzKnown="1" isSynced="[01]"\]\[sekimori@32473 stream=', data), line
        fields = {k: re.sub(r'\\(["\\\]])', r"\1", v) for k, v in PARAM.findall(data.split("[sekimori@32473", 1)[1])}
        found.append({"time": time, "event": event, "text": text.strip(), **fields})
    return found


def all_there(server, agent):
    wanted = [r["number"] for r in sent(agent)]
    house.wait_for(lambda: f"{len(server.lines())} of {len(wanted)}\n{server.log()}\n{agent.log()}",
                   lambda: {int(r["seq"]) for r in heard(server)} >= set(wanted))
    return heard(server)


@pytest.mark.parametrize("server", ["tcp", "tls"], indirect=True)
def test_rsyslog_has_every_record(server, gate, certs, request):
    tls = "tls" in request.node.name
    server.start()
    as_agent(gate, certs, server.port, tls=tls, forward_ack="no").start()
    gate.wait_log("forward result=connected" + (".* tls=TLSv1" if tls else ""))
    refusals(gate, 20)
    with gate.connect() as t:
        t.ehlo()
        assert t.cmd('MAIL FROM:<"a]\\"b\\\\"@x.example>').code == 530
    found = all_there(server, gate)
    assert [int(r["seq"]) for r in found] == [r["number"] for r in sent(gate)]      # once, and in order
    assert len({r["stream"] for r in found}) == 1
    for record, ours in zip(found, sent(gate)):
        assert record["event"] == ours["event"] == "refused" and record["time"].startswith(ours["time"][:19])
        assert record["text"].startswith(f"refused at={ours['at']} ")
        for key in set(ours) - {"time", "number", "event"}:
            value = ours[key]
            assert record[key] == (value[1:-1] if value.startswith('"') else value), (key, record, ours)
    # Away and back: nothing is lost, and what comes twice is seen by its number.
    server.stop()
    refusals(gate, 20, 100)
    gate.wait_log("forward result=away")
    server.start()
    all_there(server, gate)
    server.stop(signal.SIGKILL)
    refusals(gate, 5, 200)
    server.start()
    found = all_there(server, gate)
    fresh = [int(r["seq"]) for r in found]
    assert fresh == sorted(fresh) or len(set(fresh)) == len({r["number"] for r in sent(gate)})


@pytest.mark.parametrize("server", ["tls"], indirect=True)
def test_rsyslog_knows_us_by_our_certificate(server, gate, certs):
    server.start()
    as_agent(gate, certs, server.port, "stranger", forward_ack="no").start()
    refusals(gate, 2)
    gate.wait_log("forward result=away")
    assert not server.lines()
    gate.stop()
    as_agent(gate, certs, server.port, forward_ack="no").start()
    all_there(server, gate)


@pytest.mark.parametrize("server", ["tcp"], indirect=True)
def test_no_answer_is_told(server, gate, certs):
    """forward_ack = yes at a server that doesn't answer: the records wait, and the log says what to write."""
    server.start()
    as_agent(gate, certs, server.port, tls=False).start()
    gate.wait_log("forward result=connected")
    refusals(gate, 1)
    gate.wait_log("forward result=away.*needs forward_ack = no", bound=90)
