"""The seeds' three topologies in networks of their own (R44, R52 to R54, R57): a provider outside, the mail server in the DMZ behind us, and
before us; with swaks, Postfix, Dovecot and a router that masquerades. `sekimori probe` says of each that it is well."""

import os
import poplib
import re
import shutil

import pytest

import house
import landscape
import popprovider
import postfix
import upstream

U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"
GLOBAL_A = "203.0.113.1"            # of the office, as the seed's figure calls it
PROVIDER = "203.0.113.10"


class Fixed:
    """The ports that a machine of its own can have."""

    def __init__(self, *ports):
        self.ports = list(ports)

    def one(self):
        return self.ports.pop(0)


@pytest.fixture(scope="module")
def peers():
    if os.geteuid() != 0:
        pytest.skip("networks, Postfix and Dovecot need root")
    top, why = postfix.root()
    if not top:
        pytest.skip(why)
    return top


@pytest.fixture
def land(closing):
    try:
        made = landscape.Landscape()
    except landscape.Impossible as e:
        pytest.skip(f"no networks of our own: {e}")
    closing(made)
    return lambda build: build(made)


def office(made):
    """The office's net with a PC and a place for the gate, a router that masquerades, the provider outside."""
    pc, place, router, provider = (made.machine(name) for name in ("pc", "gate", "router", "prov"))
    made.net("192.168.0", (pc, 10), (place, 5), (router, 1))
    made.net("203.0.113", (router, 1), (provider, 10))
    router.forward()
    router.masquerade("192.168.0.0/24")
    for machine in (pc, place):
        machine.route("192.168.0.1")
    return pc, place, provider


def swaks(machine, server, port, *more):
    """A mail program's mail; its answer."""
    with machine.inside():
        return house.run("swaks", "--server", server, "--port", port, "--timeout", 20, *more)


def sink_at(machine, port=2500):
    with machine.inside():
        return upstream.Sink(port)


def placed(gate, machine, address, certs):
    """The gate on a machine: its listener there, its sections as usual."""
    gate.set("listen submission", address=f"{address}:587")
    gate.sections.pop("listen smtps")
    gate.set("relay", port=None)
    with machine.inside():
        gate.start()
    return gate


def probed(gate, machine):
    with machine.inside():
        result = gate.cmd("probe")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def stop(gate, machine):
    with machine.inside():
        gate.stop()


# Hosting: the seed's ① to ④

def smallest(top):
    """The file of README.md, as it stands there."""
    text = (top / "README.md").read_text()
    found = re.search(r"The smallest useful .*?\n\n((?:    .*\n)+)", text)
    return "".join(line[4:] + "\n" for line in found.group(1).splitlines())


@pytest.fixture
def bare(tmp_path, certs, top):
    """A machine's /etc, /run and /var/spool with nothing but what README.md says: a prefix for commands on it."""
    etc = tmp_path / "etc"
    (etc / "sekimori").mkdir(parents=True)
    (etc / "ssl/certs").mkdir(parents=True)
    for name in ("run", "spool"):
        (tmp_path / name).mkdir()
    (etc / "passwd").write_text("root:x:0:0::/root:/bin/sh\nsekimori:x:971:971::/:/bin/false\n")
    (etc / "group").write_text("root:x:0:\nsekimori:x:971:\n")
    (etc / "nsswitch.conf").write_text("hosts: files\n")
    (etc / "resolv.conf").write_text("")
    (etc / "hosts").write_text(f"127.0.0.1 localhost\n{PROVIDER} smtp.provider.example\n")
    (etc / "sekimori.ini").write_text(smallest(top))
    shutil.copy(certs / "ca.pem", etc / "ssl/certs/ca-certificates.crt")
    shutil.copy(certs / "server.pem", etc / "sekimori/cert.pem")
    shutil.copy(certs / "server.key", etc / "sekimori/key.pem")
    (etc / "sekimori/relay.secret").write_text(postfix.PASSWORD + "\n")
    for name in ("key.pem", "relay.secret"):
        (etc / "sekimori" / name).chmod(0o600)
        os.chown(etc / "sekimori" / name, 971, 971)
    mounts = " && ".join(f"mount --bind {tmp_path}/{name} {at}" for name, at in (("run", "/run"), ("spool", "/var/spool"), ("etc", "/etc")))
    prefix = ["unshare", "-m", "-u", "sh", "-c",
              f'echo gate.example.co.jp > /proc/sys/kernel/hostname && {mounts} && exec "$@"', "sh", house.BINARY]
    if house.run(*prefix, "--version").returncode:
        pytest.skip("no mount namespaces here")
    return prefix


def test_hosting_by_the_smallest_file(land, peers, bare, certs, closing, make_gate):
    pc, place, outside = land(office)
    sink = closing(sink_at(outside))
    with outside.inside():
        provider = closing(postfix.Postfix(peers, f"hosting{os.getpid()}", Fixed(587, 465), certs, 2500, auth_only="yes",
                                           host=PROVIDER))
    made = house.run(*bare, "passwd", "taro@example.co.jp", input="taro1234\n")
    assert made.returncode == 0, made
    gate = make_gate()
    gate.command = lambda *args: [*bare, *[str(a) for a in args]]
    gate.write = lambda: gate
    gate.sections = {"listen": {"address": "192.168.0.5:587"}}
    with place.inside():
        checked = gate.cmd("check")
        assert checked.returncode == 0 and "STARTTLS" in checked.stdout, checked
        told = gate.cmd("probe")
        assert told.returncode == 0, told.stdout + told.stderr
        gate.start()
    assert re.search(rf"^ok +lookup +{PROVIDER}$", told.stdout, re.M)
    assert re.search(r"^ok +connect +203\.0\.113\.10:587 from 192\.168\.0\.5$", told.stdout, re.M)
    assert re.search(rf"^ok +login +as {postfix.USER} by ", told.stdout, re.M)
    sent = swaks(pc, "192.168.0.5", 587, "-tls", "--auth", "LOGIN", "--auth-user", "taro@example.co.jp", "--auth-password", "taro1234",
                 "--from", "taro@example.co.jp", "--to", "friend@example.net")
    assert sent.returncode == 0, sent.stdout
    mail = sink.wait()
    assert mail.sender == "taro@example.co.jp" and mail.to == ["friend@example.net"]
    assert re.search(rf"connect from unknown\[{re.escape(GLOBAL_A)}\]", provider.log())
    assert re.search(rf"client=unknown\[{re.escape(GLOBAL_A)}\], sasl_method=\S+, sasl_username={postfix.USER}", provider.log())
    # A forged sender gets no further than the gate.
    forged = swaks(pc, "192.168.0.5", 587, "-tls", "--auth", "LOGIN", "--auth-user", "taro@example.co.jp", "--auth-password", "taro1234",
                   "--from", "hanako@example.co.jp", "--to", "friend@example.net")
    assert "550 5.7.1 Please mail to a valid e-mail address." in forged.stdout
    stop(gate, place)
    assert len(sink.mails) == 1


# POP before SMTP behind the office's NAT: the provider knows the office by its one address

def pop_office(land, peers, certs, closing):
    pc, place, outside = land(office)
    sink = closing(sink_at(outside))
    with outside.inside():
        provider = closing(popprovider.Provider(peers, f"nat{os.getpid()}", Fixed(25, 110, 995), certs, 2500, host=PROVIDER))
    provider.sink = sink
    return pc, place, provider


def send(gate, place, subject):
    with place.inside():
        with house.talk.Talk(("192.168.0.5", 587)) as t:
            t.login(U1, "user1234")
            assert t.mail(content=f"From: {U1}\r\nSubject: {subject}\r\n\r\nx\r\n").code == 250


@pytest.mark.parametrize("way", ["none", "starttls", "implicit"])
def test_pop_before_smtp_by_the_agent_through_nat(gate, land, peers, certs, closing, way):
    _, place, provider = pop_office(land, peers, certs, closing)
    gate.set("relay", host=PROVIDER, tls="none", pop_before_smtp="agent", pop_user=popprovider.USER, pop_tls=way, pop_wait="0s",
             pop_password_file=gate.secret("pop", popprovider.PASSWORD + "\n"))
    if way != "none":
        gate.set("relay", tls_ca=certs / "ca.pem", pop_tls_name="smtp.provider.example")
    gate.set("listen submission", plaintext_auth="192.168.0.0/24")
    placed(gate, place, "192.168.0.5", certs)
    send(gate, place, "agent")
    provider.sink.wait()
    assert provider.opened() == {GLOBAL_A}
    provider.shut()
    told = probed(gate, place)
    assert "pop-login" in told and provider.opened() == {GLOBAL_A}
    stop(gate, place)


def test_pop_before_smtp_by_a_client_through_nat(gate, land, peers, certs, closing):
    """The seed's figure: PC "B" fetches mail, the address "A" is let in, and the agent's mail with it."""
    pc, place, provider = pop_office(land, peers, certs, closing)
    gate.set("relay", host=PROVIDER, tls="none", pop_before_smtp="client")
    gate.set("listen submission", plaintext_auth="192.168.0.0/24")
    placed(gate, place, "192.168.0.5", certs)
    send(gate, place, "client")
    gate.wait_log(r"status=deferred .*a mail program must fetch mail by POP first")
    with place.inside():
        assert gate.cmd("probe").returncode == 75
    with pc.inside():
        b = poplib.POP3(PROVIDER, 110, 20)
        b.user(popprovider.USER)
        b.pass_(popprovider.PASSWORD)
        b.quit()
    provider.sink.wait()
    assert provider.opened() == {GLOBAL_A}
    probed(gate, place)
    stop(gate, place)


# DMZ

def dmz(made):
    """The office's net, the DMZ, and the provider outside; the router between them masquerades only to the outside."""
    pc, server, place, router, outside = (made.machine(name) for name in ("pc", "mail", "gate", "router", "prov"))
    made.net("192.168.0", (pc, 10), (router, 1))
    made.net("192.168.100", (place, 5), (server, 10), (router, 1))
    made.net("203.0.113", (router, 1), (outside, 10))
    router.forward()
    router.masquerade("192.168.0.0/16")
    for machine, by in ((pc, "192.168.0.1"), (place, "192.168.100.1"), (server, "192.168.100.1")):
        machine.route(by)
    return pc, server, place, outside


def test_dmz_1(gate, land, peers, certs, closing):
    """Clients send to us, we to the mail server in the DMZ; our own domain's recipients go there too (R53)."""
    pc, server, place, _ = land(dmz)
    sink = closing(sink_at(server))
    with server.inside():
        mailserver = closing(postfix.Postfix(peers, f"dmz1{os.getpid()}", Fixed(587, 465), certs, 2500, host="192.168.100.10"))
    gate.upstream_login(postfix.USER, postfix.PASSWORD, host="192.168.100.10", tls="starttls", tls_ca=certs / "ca.pem",
                        tls_name="smtp.provider.example")
    placed(gate, place, "192.168.100.5", certs)
    for to in (U2, "friend@example.net"):
        sent = swaks(pc, "192.168.100.5", 587, "-tls", "--auth", "CRAM-MD5", "--auth-user", U1, "--auth-password", "user1234", "--from",
                     U1, "--to", to)
        assert sent.returncode == 0, sent.stdout
    sink.wait(2)
    assert sorted(m.to[0] for m in sink.mails) == ["friend@example.net", U2]
    assert re.search(r"client=unknown\[192\.168\.100\.5\], sasl_method", mailserver.log())
    assert "192.168.0.10" in gate.log(), gate.log()
    told = probed(gate, place)
    assert "though the login is another's" in told
    stop(gate, place)


def test_dmz_2(gate, land, peers, certs, closing):
    """Clients keep sending to the mail server, which relays to us; we know it by its address, and go on to the smarthost (R16, R54)."""
    pc, server, place, outside = land(dmz)
    sink = closing(sink_at(outside))
    with outside.inside():
        provider = closing(postfix.Postfix(peers, f"smart{os.getpid()}", Fixed(587, 465), certs, 2500, host=PROVIDER))
    rules = "mynetworks = 192.168.0.0/24\nsmtpd_relay_restrictions = permit_mynetworks, reject\n" \
            "smtpd_recipient_restrictions = permit_mynetworks, reject\nmyhostname = mail.test-sample.jp\n"
    with server.inside():
        closing(postfix.Postfix(peers, f"dmz2{os.getpid()}", Fixed(25, 465), certs, 0, host="192.168.100.10",
                                next_hop="[192.168.100.5]:587", more=rules))
    gate.set("listen submission", auth="optional").set("peer mailserver", ip="192.168.100.10")
    gate.upstream_login(postfix.USER, postfix.PASSWORD, host=PROVIDER, tls="starttls", tls_ca=certs / "ca.pem",
                        tls_name="smtp.provider.example")
    placed(gate, place, "192.168.100.5", certs)
    for sender in ("user1@test-sample.jp", "somebody@partner.example", "<>"):
        sent = swaks(pc, "192.168.100.10", 25, "--from", sender, "--to", "friend@example.net")
        assert sent.returncode == 0, sent.stdout
    sink.wait(3)
    assert sorted(m.sender for m in sink.mails) == ["", "somebody@partner.example", U1]
    assert len(re.findall(r"trust=peer", gate.log())) >= 3
    assert re.search(rf"client=unknown\[{re.escape(GLOBAL_A)}\], sasl_method", provider.log())
    # The PC itself is nobody to us.
    direct = swaks(pc, "192.168.100.5", 587, "--from", U1, "--to", "friend@example.net")
    assert "530 5.7.0" in direct.stdout
    probed(gate, place)
    stop(gate, place)
