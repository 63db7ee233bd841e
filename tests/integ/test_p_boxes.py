"""Two boxes (R56): an agent's audit records at a manager, each once, whatever happens in between."""

import itertools
import re
import socket
import ssl
import subprocess
import threading

import pytest

import house

LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (\d+) ([a-z-]+)(.*) chain=([A-Za-z0-9+/]{24})$")
FIELDS = re.compile(r' ([a-z_]+)=("(?:[^"\\]|\\.)*"|\S*)')
OWN = ("file", "gap", "torn")


def records(gate):
    """The records of a gate's audit files, oldest first."""
    paths = sorted(gate.dir.glob("audit.log.[0-9]*"), key=lambda p: -int(p.suffix[1:])) + [gate.dir / "audit.log"]
    paths = [p for p in paths if not p.name.endswith((".sent", ".new")) and p.exists()]
    found = []
    for line in "".join(p.read_text("ascii") for p in paths).splitlines():
        match = LINE.match(line)
        assert match, line
        found.append({"time": match[1], "number": int(match[2]), "event": match[3], **dict(FIELDS.findall(match[4]))})
    return found


def sent(agent):
    return [r for r in records(agent) if r["event"] not in OWN]


def received(manager, agent="gate1"):
    return [r for r in records(manager) if r.get("agent") == agent]


def plain(record):
    return {k: v for k, v in record.items() if k not in ("number", "agent", "agent_stream", "agent_seq")}


def arrived(manager, agent, name="gate1", bound=house.WAIT):
    """Waits until the manager has all that the agent has; then each is there once, as it was, in the agent's order."""
    house.wait_for(lambda: f"{len(sent(agent))} records: {len(received(manager, name))}\n{manager.log()}\n{agent.log()}",
                   lambda: len(received(manager, name)) >= len(sent(agent)), bound)
    ours, theirs = sent(agent), received(manager, name)
    assert [r["number"] for r in ours] == [int(r["agent_seq"]) for r in theirs]
    assert [plain(r) for r in ours] == [plain(r) for r in theirs]
    return theirs


def fingerprint(certs, name):
    text = subprocess.run(["openssl", "x509", "-in", certs / f"{name}.pem", "-noout", "-fingerprint", "-sha256"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    return text.split("=")[1].strip()


def as_manager(gate, ports, certs, tls=True):
    port = ports.one()
    for section in ("listen submission", "listen smtps", "alias", "relay"):
        gate.sections.pop(section, None)
    gate.set("manager", role="manager")
    if tls:
        gate.set("manager", listen=f"127.0.0.1:{port}", listen_ca=certs / "ca.pem")
        gate.set("agent gate1", tls_pin=fingerprint(certs, "provider"))
        gate.set("agent gate2", tls_name="smtp.elsewhere.example")
    else:
        gate.set("manager", listen_tcp=f"127.0.0.1:{port}")
        gate.set("agent gate1", ip="127.0.0.0/8")
    gate.agents_port = port
    return gate


def as_agent(gate, certs, port, certificate="provider", tls=True, **keys):
    gate.set("manager", role="agent", forward=f"{'tls' if tls else 'tcp'}://127.0.0.1:{port}")
    if tls:
        gate.set("manager", forward_ca=certs / "ca.pem", forward_certificate=certs / f"{certificate}.pem",
                 forward_key=certs / f"{certificate}.key")
    gate.set("manager", **keys)
    return gate


@pytest.fixture(params=["tls", "tcp"])
def boxes(request, make_gate, ports, certs):
    tls = request.param == "tls"
    manager = as_manager(make_gate(), ports, certs, tls)
    return as_agent(make_gate(), certs, manager.agents_port, tls=tls), manager


def refusals(agent, count, first=0):
    """Refused senders: a record each, without an upstream."""
    for start in range(first, first + count, 15):       # more in one session are a guesser's
        with agent.login() as t:
            for n in range(start, min(start + 15, first + count)):
                assert t.mail(sender=f"other{n}@test-sample.jp").code == 550


def test_each_record_arrives_once(boxes):
    agent, manager = boxes
    manager.launch()
    manager.wait_log("serves")
    agent.start()
    agent.wait_log(r"forward result=connected")
    refusals(agent, 10, 10)
    found = arrived(manager, agent)
    assert len(found) == 10 and found[0]["event"] == "refused" and found[3]["from"] == "other13@test-sample.jp"
    manager.wait_log(r"agent result=connected agent=gate1 client=127\.0\.0\.1" + (" tls=TLSv1" if "listen" in manager.sections["manager"] else ""))
    shown = manager.cmd("log", "--agent", "gate1", "--from", "other13@test-sample.jp", "--json")
    assert shown.returncode == 0 and "other13" in shown.stdout and "other12" not in shown.stdout, shown
    assert manager.cmd("log", "--agent", "gate2").returncode == 1
    # A quiet day, and both stop and go on.
    agent.stop()
    assert int((agent.dir / "audit.log.sent").read_text().split()[1]) <= int(found[-1]["agent_seq"])
    agent.start()
    refusals(agent, 3, 20)
    assert len(arrived(manager, agent)) == 13
    assert manager.stop() == 0
    refusals(agent, 3, 30)
    agent.wait_log(r"forward result=away waiting=\d")
    manager.launch()
    assert len(arrived(manager, agent)) == 16


class Wire:
    """A proxy that can be cut: it lets so many octets pass to the manager, so many back, and then resets both ends."""

    def __init__(self, port, target):
        self.target, self.limits, self.sockets, self.count = target, [], [], 0
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                if self.listener.fileno() < 0:
                    return
                near.close()
                continue
            forth, back = self.limits.pop(0) if self.limits else (None, None)
            self.count += 1
            self.sockets += [near, far]
            for args in ((near, far, forth), (far, near, back)):
                threading.Thread(target=self._pass, args=args, daemon=True).start()

    @staticmethod
    def _cut(*sockets):
        for s in sockets:
            try:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def _pass(self, source, sink, limit):
        try:
            while limit is None or limit > 0:
                data = source.recv(4096 if limit is None else min(limit, 4096))
                if not data:
                    break
                sink.sendall(data)
                limit = None if limit is None else limit - len(data)
        except OSError:
            pass
        self._cut(source, sink)

    def close(self):
        self.listener.close()
        self._cut(*self.sockets)


@pytest.mark.parametrize("limits", [
    [(1, None), (500, None), (4000, None), (9000, None)],           # cut within records
    [(None, 0), (None, 1), (None, 4), (None, 7)],                   # the answer is lost, or half of it
])
def test_a_wire_that_breaks(make_gate, ports, certs, closing, limits):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    port = ports.one()
    wire = closing(Wire(port, manager.agents_port))
    wire.limits = list(limits)
    agent = as_agent(make_gate(), certs, port, tls=False)
    manager.launch()
    manager.wait_log("serves")
    agent.start()
    refusals(agent, 30)
    arrived(manager, agent, bound=80)
    house.wait_for("the last connection but one", lambda: wire.count >= len(limits), 80)
    # Its limit may be reached only by what comes next.
    more = itertools.count(50)
    house.wait_for("the last connection", lambda: wire.count > len(limits) or refusals(agent, 1, next(more)), 80)
    refusals(agent, 5, 1000)
    assert len(arrived(manager, agent, bound=80)) == 30 + next(more) - 50 + 5
    if limits[0][0] is None:
        assert sum(int(m) for m in re.findall(r"doubles=(\d+)", manager.log())) > 0


def test_both_are_killed_again_and_again(boxes):
    agent, manager = boxes
    manager.launch()
    manager.wait_log("serves")
    for turn in range(3):
        agent.start()
        refusals(agent, 10, 100 * turn)
        manager.kill()
        refusals(agent, 10, 100 * turn + 20)
        agent.kill()
        manager.launch()
    agent.start()
    refusals(agent, 1, 900)
    assert len(arrived(manager, agent, bound=80)) == 61


def test_mail_does_not_wait(gate, certs, ports, closing):
    """A manager that takes the connection and is silent, and one that isn't there."""
    port = ports.one()
    as_agent(gate, certs, port, tls=False).start()
    refusals(gate, 3)
    gate.wait_log(r"forward result=away waiting=\d+ host=127.0.0.1 error=.*refused")
    silent = closing(socket.create_server(("127.0.0.1", port)))
    gate.wait_log(r"forward result=connected")
    refusals(gate, 300, 10)
    assert silent.fileno() >= 0 and len(sent(gate)) == 300 + 3


def test_what_is_rotated_away_is_told(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    agent = as_agent(make_gate(), certs, manager.agents_port, tls=False, audit_size="64K", audit_keep=1)
    manager.launch()
    manager.wait_log("serves")
    agent.start()
    refusals(agent, 2)
    arrived(manager, agent)
    house.wait_for("the answer", lambda: (agent.dir / "audit.log.sent").read_text().split()[1] == "3")
    manager.kill()
    house.wait_for("three rotations", lambda: refusals(agent, 200) or len(agent.lines("refused")) > 1800)
    left = sent(agent)
    assert left[0]["number"] > 100
    manager.launch()
    house.wait_for(lambda: manager.log() + agent.log(),
                   lambda: any(int(r["agent_seq"]) == left[-1]["number"] for r in received(manager)))
    found = received(manager)
    gaps = [i for i, r in enumerate(found) if r["event"] == "missing"]
    assert gaps == [2]
    before, gap, after = found[1], found[2], found[3]
    assert int(gap["lost"]) == int(gap["agent_seq"]) - int(before["agent_seq"])
    assert int(after["agent_seq"]) <= int(gap["agent_seq"]) + 2         # FILE's own first record is between
    assert [int(r["agent_seq"]) for r in found[3:]] == [r["number"] for r in left]
    agent.wait_log(rf"forward result=missing lost={gap['lost']}")


def test_a_lost_audit_file_is_numbered_anew(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    agent = as_agent(make_gate(), certs, manager.agents_port, tls=False)
    manager.launch()
    manager.wait_log("serves")
    agent.start()
    refusals(agent, 20)
    arrived(manager, agent)
    agent.stop()
    (agent.dir / "audit.log").unlink()
    agent.start()
    agent.wait_log(r"forward result=renumbered")
    refusals(agent, 5, 50)
    house.wait_for(manager.log, lambda: len(received(manager)) == 25)
    manager.wait_log(r"agent result=renumbered agent=gate1 stream=[0-9a-f]{16}")
    found = received(manager)
    assert len({r["agent_stream"] for r in found}) == 2 and [r["from"] for r in found[20:]] == [
        f"other{n}@test-sample.jp" for n in range(50, 55)]


# Who may come, and what they may say

def test_agents_are_known_by_their_certificates(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs)
    manager.launch()
    manager.wait_log("serves")
    first = as_agent(make_gate(), certs, manager.agents_port).start()
    second = as_agent(make_gate(), certs, manager.agents_port, "stranger").start()
    refusals(first, 2)
    refusals(second, 3, 10)
    arrived(manager, first)
    arrived(manager, second, "gate2")
    for certificate, why in (("other", "this certificate is no agent's"), ("server", "this certificate is no agent's"),
                             (None, "an agent shows a certificate")):
        third = as_agent(make_gate(), certs, manager.agents_port, certificate or "other")
        if not certificate:
            third.set("manager", forward_certificate=None, forward_key=None)
        third.start()
        third.wait_log("forward result=away.*the manager says: no " + why)
        third.stop()
    manager.wait_log(r"agent result=refused reason=certificate client=127.0.0.1 sha256=[0-9a-f]{64}")
    manager.wait_log(r"agent result=refused reason=no-certificate client=127.0.0.1")
    assert {r.get("agent") for r in records(manager) if r["event"] not in OWN} == {"gate1", "gate2"}


def test_the_manager_is_known_by_its_certificate(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs)
    manager.set("tls", certificate=certs / "stranger.pem", key=certs / "stranger.key")
    manager.launch()
    manager.wait_log("serves")
    agent = as_agent(make_gate(), certs, manager.agents_port).start()
    agent.wait_log(r"forward result=away.*certificate is for smtp.elsewhere.example, not 127.0.0.1")
    agent.stop()
    agent.set("manager", forward_name="smtp.elsewhere.example").start()
    refusals(agent, 2)
    arrived(manager, agent)
    agent.stop()
    agent.set("manager", forward_name=None, forward_ca=None, forward_pin=fingerprint(certs, "stranger")).start()
    refusals(agent, 2, 10)
    assert len(arrived(manager, agent)) == 4


HEAD = '<22>1 2026-11-22T06:30:00Z gate.example sekimori - refused [timeQuality tzKnown="1" isSynced="0"]'


def message(number, fields='at="mail"', stream="abc"):
    return f'{HEAD}[sekimori@32473 stream="{stream}" seq="{number}" {fields}]'.encode()


def framed(data):
    return b"%d %s" % (len(data), data)


def says(port, data, end=True):
    """What the manager answers to these octets until it hangs up, or has answered a line."""
    with socket.create_connection(("127.0.0.1", port), house.WAIT) as s:
        s.settimeout(house.WAIT)
        s.sendall(data)
        got = b""
        while True:
            try:
                some = s.recv(4096)
            except ConnectionResetError:
                some = b""
            got += some
            if not some or (not end and got.endswith(b"\n")):
                return got


HOSTILE = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "no count": b"<22>1 2026-11-22T06:30:00Z a b - c -\n",
    "too long": b"8193 " + b"x" * 8193,
    "a huge count": b"99999999999999999999 x",
    "a leading zero": b"010 0123456789",
    "a syslog message that is none of ours": framed(b"<22>1 2026-11-22T06:30:00Z a postfix 1 - - hello"),
    "no message": framed(b"x"),
    "NUL": framed(message(1, 'at="m\0ail"')),
    "LF": framed(message(1, 'at="mail\nforged"')),
    "a second element": framed(message(1)[:-1] + b'][x@1 a="b"]'),
    "a record of the file's own": framed(message(1).replace(b" refused ", b" file ")),
    "a gap, with what follows": framed(message(1, 'lost="9"').replace(b" refused ", b" gap ")),
    "another agent's name": framed(message(1, 'at="mail" agent="gate2"')),
    "no agent's name": framed(message(1, 'agent=""')),
    "another number": framed(message(1, 'at="mail" number="7"')),
    "another time": framed(message(1, 'time="2020-01-01T00:00:00Z"')),
    "number 0": framed(message(0)),
    "not UTF-8, nor ASCII": framed(message(1).replace(b'"mail"', b'"\xff\xfe"')),
}


def test_hostile_input(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    manager.launch()
    manager.wait_log("serves")
    for name, data in HOSTILE.items():
        got = says(manager.agents_port, data)
        assert got == b"" or got.startswith((b"no this is no record", b"no this is no octet-counted")), (name, got)
    assert not received(manager)
    # What comes before a broken frame counts; nothing of ours can be forged by a field.
    forged = 'agent="other" agent_stream="x" agent_seq="9" chain="AAAAAAAAAAAAAAAAAAAAAAAA"'
    says(manager.agents_port, framed(message(1)) + framed(message(2)) + framed(message(3, forged)))
    house.wait_for(manager.log, lambda: len(received(manager)) == 2)
    text = (manager.dir / "audit.log").read_text()
    assert len(re.findall(r" refused agent=gate1 agent_stream=abc agent_seq=[12] ", text)) == 2 and "other" not in text, text
    # Nor does what was refused look as if our disk had lost it.
    assert not [r for r in records(manager) if r["event"] == "gap"], text
    # Octet by octet, and numbers that go back.
    with socket.create_connection(("127.0.0.1", manager.agents_port), house.WAIT) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for octet in framed(message(3)):
            s.sendall(bytes([octet]))
        assert s.recv(100) == b"ok 3\n"
        s.sendall(framed(message(2)))
        assert s.recv(100) == b"ok 2\n"
    assert len(re.findall(r"agent_seq=2 ", (manager.dir / "audit.log").read_text())) == 1
    # Many at once, and none of them says anything.
    many = [socket.create_connection(("127.0.0.1", manager.agents_port), house.WAIT) for _ in range(100)]
    assert says(manager.agents_port, framed(message(4)), end=False) == b"ok 4\n"
    for s in many:
        s.close()


def test_only_from_given_networks(make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs, tls=False).set("agent gate1", ip="192.0.2.0/24")
    manager.launch()
    manager.wait_log("serves")
    assert says(manager.agents_port, framed(message(1))) == b""
    manager.wait_log(r"agent result=refused reason=address client=127.0.0.1")
    manager.set("agent gate1", ip="127.0.0.1").write()
    assert manager.cmd("reload").returncode == 0
    assert says(manager.agents_port, framed(message(1)), end=False) == b"ok 1\n"


def test_tls_that_never_comes(make_gate, ports, certs):
    """Places are held by who says nothing; an agent still gets in from elsewhere, and when they are gone."""
    manager = as_manager(make_gate(), ports, certs)
    manager.launch()
    manager.wait_log("serves")
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    context.load_cert_chain(certs / "provider.pem", certs / "provider.key")
    for n in range(1, 11):      # the manager may be anywhere in its turn when they go
        many = [socket.create_connection(("127.0.0.1", manager.agents_port), house.WAIT) for _ in range(20)]
        manager.wait_log("agent result=refused reason=busy")
        for s in many:
            s.close()
        with socket.create_connection(("127.0.0.1", manager.agents_port), house.WAIT) as raw, \
                context.wrap_socket(raw, server_hostname="mail.test-sample.jp") as s:
            s.sendall(framed(message(n)))
            assert s.recv(100) == b"ok %d\n" % n
