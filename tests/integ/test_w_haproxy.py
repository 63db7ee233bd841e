"""w. Two gates behind Debian's HAProxy, with the file of the guide (section 11.3)."""

import itertools
import os
import shutil
import socket
import subprocess

import pytest

import guide_blocks
import house
import talk
import upstream

CONFIG = "/etc/haproxy/haproxy.cfg"
U1 = "user1@test-sample.jp"
GATES = ("192.168.0.105", "192.168.0.106")


def guides_file():
    found, = [b.text for b in guide_blocks.blocks(guide_blocks.read("en")) if b.kind == "text" and b.info == CONFIG]
    return found


class HAProxy:
    def __init__(self, directory, text):
        self.path, self.log_path = directory / "haproxy.cfg", directory / "haproxy.log"
        self.path.write_text(text)
        checked = house.run(PROGRAM, "-c", "-f", self.path)
        assert checked.returncode == 0, checked
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-db", "-f", str(self.path)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def log(self):
        return self.log_path.read_text(errors="backslashreplace")

    def close(self):
        self.process.kill()
        self.process.wait()


PROGRAM = shutil.which("haproxy") or "/usr/sbin/haproxy"


@pytest.fixture
def farm(make_gate, ports, closing, tmp_path, as_root):
    """Two gates with their upstreams, and farm.proxy() in front of them."""
    if not os.access(PROGRAM, os.X_OK):
        pytest.skip("needs haproxy")

    class Farm:
        gates = [make_gate(), make_gate()]
        submission, smtps = ports.one(), ports.one()

        def proxy(self, change=lambda text: text):
            text = change(guides_file())
            text = text.replace("bind :587", f"bind 127.0.0.1:{self.submission}").replace("bind :465", f"bind 127.0.0.1:{self.smtps}")
            for address, gate in zip(GATES, self.gates):
                text = text.replace(f"{address}:587", f"127.0.0.1:{gate.port}")
                text = text.replace(f"{address}:465 check port 587", f"127.0.0.1:{gate.tls_port} check port {gate.port}")
            # Quicker to notice than in an office.
            text = text.replace("inter 10s", "inter 200ms").replace("log /dev/log local2", "log stdout format raw local2")
            found = closing(HAProxy(tmp_path, text))
            house.wait_for(found.log, lambda: self.answers(self.submission))
            return found

        @staticmethod
        def answers(port):
            try:
                with socket.create_connection(("127.0.0.1", port), house.WAIT) as s:
                    return s.recv(4) == b"220 "
            except OSError:
                return False

    found = Farm()
    for n, gate in enumerate(found.gates):
        gate.sink = closing(upstream.Sink(gate.upstream_port))
        gate.set("limits", sessions_per_client=200)
        gate.set(f"device mfp{n}", ip="127.0.0.9", sender=f"mfp{n}@test-sample.jp")
        gate.set("listen submission", auth="optional").start()
    return found


def came_to(farm):
    return [len(gate.sink.mails) for gate in farm.gates]


def connect(port, source="127.0.0.1"):
    return talk.Talk(sock=socket.create_connection(("127.0.0.1", port), house.WAIT, (source, 0)))


hosts = itertools.cycle(f"127.0.7.{n}" for n in range(1, 250))     # none sends so much that it is turned away


def send(farm, tls_client):
    """By STARTTLS, through HAProxy."""
    with connect(farm.submission, next(hosts)) as t:
        t.ehlo()
        assert t.cmd("STARTTLS").code == 220
        t.starttls(tls_client, "mail.test-sample.jp")
        assert t.cmd("EHLO client.example").code == 250
        assert t.cmd("AUTH PLAIN " + talk.plain("user1", "user1234")).code == 235
        assert t.mail().code == 250


def test_mail_goes_by_those_that_are_there(farm, tls_client):
    proxy = farm.proxy()
    house.wait_for(lambda: f"mail by both: {came_to(farm)}\n{proxy.log()}", lambda: send(farm, tls_client) or all(came_to(farm)))
    one, two = farm.gates
    # What they see is HAProxy.
    assert "client=[127.0.0.1]" in one.lines("message id")[0] and "127.0.7." not in one.log() + two.log()
    assert one.lines("message id")[0].count("account=" + U1) == 1
    house.wait_for("all of it", lambda: sum(came_to(farm)) == len(one.lines("verdict=accepted") + two.lines("verdict=accepted")))
    before = came_to(farm)
    one.kill()
    for _ in range(6):
        send(farm, tls_client)
    house.wait_for("six by the other", lambda: came_to(farm) == [before[0], before[1] + 6])
    one.start()
    house.wait_for("mail by both again", lambda: send(farm, tls_client) or came_to(farm)[0] > before[0])
    with socket.create_connection(("127.0.0.1", farm.smtps), house.WAIT) as raw:
        with tls_client.wrap_socket(raw, server_hostname="mail.test-sample.jp") as s:
            assert s.recv(4) == b"220 "


def test_devices_are_none_behind_it_and_guessers_are_turned_away(farm):
    with connect(farm.gates[0].port, "127.0.0.9") as t:
        t.ehlo()
        assert t.cmd("MAIL FROM:<mfp0@test-sample.jp>").code == 250
    proxy = farm.proxy()
    with connect(farm.submission, "127.0.0.9") as t:
        t.ehlo()
        assert t.cmd("MAIL FROM:<mfp0@test-sample.jp>").code == 530

    def guess(source):
        try:
            with connect(farm.submission, source) as t:
                return t.line()
        except ConnectionError:
            return ""
    house.wait_for(proxy.log, lambda: guess("127.0.0.9") == "")
    assert guess("127.0.0.8").startswith("220 ")
    assert not any("turned-away" in gate.log() for gate in farm.gates)


def test_no_mail_passes_with_send_proxy(farm):
    """As the guide says; what the gates are told of an address by whoever connects is nothing that they believe."""
    with connect(farm.gates[0].port) as t:
        assert t.reply().code == 220
        assert t.cmd("PROXY TCP4 127.0.0.9 127.0.0.1 40000 587").code == 500
        t.cmd("EHLO client.example")
        assert t.cmd("MAIL FROM:<mfp0@test-sample.jp>").code == 530
