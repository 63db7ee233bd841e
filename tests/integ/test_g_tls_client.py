"""TLS as a client (R45): every fault is a reason in plain words in log and queue, and nothing is ever sent in clear; client
certificates; resumption; a clock that is wrong."""

import datetime
import pathlib
import re
import socket
import ssl
import subprocess
import threading

import pytest

import house
import talk
import upstream

NAME = "smtp.provider.example"
OFFER = "250-x\r\n250-STARTTLS\r\n250 AUTH PLAIN"
DAY = datetime.timedelta(days=1)


def stamp(days):
    return (datetime.datetime.now(datetime.timezone.utc) + days * DAY).strftime("%Y%m%d%H%M%SZ")


def date(days):
    return (datetime.datetime.now(datetime.timezone.utc) + days * DAY).strftime("%Y-%m-%d")


def openssl(directory, *args):
    result = subprocess.run(["openssl", *map(str, args)], cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert result.returncode == 0, result.stdout
    return result.stdout


CA_CONFIG = """
[ca]
default_ca = d
[d]
database = index
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = p
unique_subject = no
copy_extensions = copy
certificate = {ca}.pem
private_key = {ca}.key
[p]
commonName = supplied
[req]
distinguished_name = dn
[dn]
"""


@pytest.fixture(scope="session")
def odd(certs):
    """odd(name, names, from, to): a certificate by the CA of `certs`, days counted from today; its path without the suffix."""
    def make(name, names=f"DNS:{NAME}", since=-10, until=10, ca="ca", kind="ec", usage=None):
        config = certs / f"{ca}.cnf"
        config.write_text(CA_CONFIG.format(ca=ca))
        (certs / "index").write_text("")
        how = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"] if kind == "ec" else ["-newkey", "rsa:2048"]
        more = ["-addext", f"extendedKeyUsage={usage}"] if usage else []
        openssl(certs, "req", "-new", *how, "-nodes", "-subj", f"/CN={NAME}", "-addext", f"subjectAltName={names}", *more,
                "-keyout", f"{name}.key", "-out", f"{name}.csr", "-config", config)
        openssl(certs, "ca", "-batch", "-notext", "-config", config, "-startdate", stamp(since), "-enddate", stamp(until),
                "-in", f"{name}.csr", "-out", f"{name}.pem")
        (certs / f"{name}.key").chmod(0o600)
        return certs / name
    return make


def server_context(base):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{base}.pem", f"{base}.key")
    return context


def send(gate):
    with gate.login() as t:
        assert t.mail().code == 250


def waits(gate, why, bound=house.WAIT):
    """Log and queue give the reason; the mail stays."""
    match = gate.wait_log(rf'relay-down .*error=.*{why}', bound=bound)
    house.wait_for(lambda: f"the reason in the queue: {gate.queue()}",
                   lambda: len(gate.queue()) == 1 and re.search(why, gate.queue()[0]["last_reply"]))
    return match


def nothing_said(script):
    assert not any(c.upper().startswith(("AUTH", "MAIL", "RCPT", "DATA")) for c in script.commands), script.commands
    assert script.contents == []


def point(gate, certs, **keys):
    return gate.upstream_login(tls_ca=certs / "ca.pem", tls_name=NAME).set("relay", **keys)


# Certificates

CERTIFICATES = {
    "expired": (dict(since=-30, until=-3), {}, lambda: rf"certificate expired on {date(-3)}; this machine's clock says {date(0)}"),
    "not yet valid": (dict(since=3, until=30), {}, lambda: rf"not yet valid, only from {date(3)}; this machine's clock says {date(0)}"),
    "another name": (dict(names="DNS:smtp.elsewhere.example,IP:192.0.2.7"), {},
                     lambda: rf"certificate is for smtp\.elsewhere\.example, 192\.0\.2\.7, not {re.escape(NAME)}: is host or tls_name right"),
    "no such address": (dict(names="IP:192.0.2.7"), dict(tls_name=None),
                        lambda: r"certificate is for 192\.0\.2\.7, not 127\.0\.0\.1: is host or tls_name right"),
    "address as a name": (dict(names="DNS:127.0.0.1"), dict(tls_name=None), lambda: r"certificate is for 127\.0\.0\.1, not 127\.0\.0\.1"),
    "a name deeper than the wildcard": (dict(names="DNS:*.example"), {}, lambda: rf"certificate is for \*\.example, not {re.escape(NAME)}"),
    "unknown CA": (dict(ca="otherca"), {}, lambda: r"from a CA that is not in the CA file: test otherca"),
    "a client's": (dict(usage="clientAuth"), {}, lambda: r"not meant for this use"),
    "wrong pin": ({}, dict(tls_pin="00" * 32), lambda: r"not the pinned one; its sha256 is [0-9a-f]{64}"),
}


@pytest.mark.parametrize("way", ["starttls", "implicit"])
@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificate_at_fault(gate, certs, odd, closing, case, way):
    how, keys, why = CERTIFICATES[case]
    base = odd(re.sub(r"\W", "-", case) + way, **how)
    bad = closing(upstream.Script(gate.upstream_port, tls=server_context(base), implicit=way == "implicit", ehlo=OFFER))
    point(gate, certs, tls=way, **keys).start()
    send(gate)
    waits(gate, why())
    nothing_said(bad)


def test_self_signed_then_pinned(gate, certs, closing):
    """The reason has the number that `tls_pin` wants; with it, the mail goes."""
    openssl(certs, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "10", "-subj",
            f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", "self.key", "-out", "self.pem")
    server = closing(upstream.Script(gate.upstream_port, tls=server_context(certs / "self"), implicit=True, ehlo=OFFER))
    point(gate, certs, tls="implicit").start()
    send(gate)
    pin = waits(gate, r"certificate is self-signed, sha256 ([0-9a-f]{64}): name its CA in tls_ca, or pin it")[1]
    nothing_said(server)
    point(gate, certs, tls="implicit", tls_pin=pin).write()
    assert gate.cmd("reload").returncode == 0
    gate.wait_log(r"status=delivered")


GOOD = {"name": (f"DNS:{NAME}", {}), "wildcard": ("DNS:*.provider.example", {}),
        "address": ("IP:127.0.0.1", dict(tls_name=None)), "address in a name": ("IP:192.0.2.9", dict(tls_name="192.0.2.9"))}


@pytest.mark.parametrize("case", GOOD)
def test_certificate_is_good(gate, certs, odd, closing, case):
    names, keys = GOOD[case]
    base = odd("good-" + case.replace(" ", "-"), names=names)
    closing(upstream.Script(gate.upstream_port, tls=server_context(base), ehlo=OFFER))
    point(gate, certs, tls="starttls", **keys).start()
    send(gate)
    gate.wait_log(r"status=delivered")


# STARTTLS

def after_220(act):
    def step(t):
        t.send("220 go on\r\n")
        return act(t)
    return step


def garbage(t):
    t.send("250 I speak no TLS\r\n" * 20)
    t.line()
    return False


def cut(t):
    t.sock.recv(1)
    t.sock.shutdown(socket.SHUT_RDWR)
    return False


def silence(t):
    t.sock.settimeout(60)
    try:
        while t.sock.recv(4096):
            pass
    except OSError:
        pass
    return False


def rubbish_record(t):
    t.send(b"\x16\x03\x03\x00\x04\x02\x00\x00\x00")
    t.sock.recv(4096)
    return False


STARTTLS = {
    "stripped": (dict(ehlo="250-x\r\n250 AUTH PLAIN"), "STARTTLS"),
    "stripped, HELO only": (dict(ehlo="502 no EHLO here"), "EHLO|STARTTLS"),
    "refused 454": (dict(starttls="454 4.7.0 TLS not available"), "454 4.7.0 TLS not available"),
    "refused 502": (dict(starttls="502 5.5.1 not implemented"), "502 5.5.1 not implemented"),
    "garbage": (dict(starttls=after_220(garbage)), "what came is not TLS"),
    "rubbish in a record": (dict(starttls=after_220(rubbish_record)), "127.0.0.1:"),
    "cut off": (dict(starttls=after_220(cut)), "closed|reset|cut off"),
}


@pytest.mark.parametrize("case", STARTTLS)
def test_starttls_at_fault(gate, certs, closing, case):
    answers, why = STARTTLS[case]
    bad = closing(upstream.Script(gate.upstream_port, **{"ehlo": OFFER, **answers}))
    point(gate, certs, tls="starttls").start()
    send(gate)
    waits(gate, why)
    nothing_said(bad)


@pytest.mark.parametrize("case", {"garbage": garbage, "cut off": cut}.items(), ids=lambda c: c[0])
def test_implicit_at_fault(gate, certs, closing, case):
    why = {"garbage": "what came is not TLS", "cut off": "closed|reset|cut off"}[case[0]]
    bad = closing(talk.Server(gate.upstream_port, lambda t, _n: case[1](t)))
    point(gate, certs, tls="implicit").start()
    send(gate)
    waits(gate, why)
    assert bad.count >= 1


def test_silence_in_the_handshake(gate, certs, closing):
    closing(upstream.Script(gate.upstream_port, ehlo=OFFER, starttls=after_220(silence)))
    point(gate, certs, tls="starttls").start()
    send(gate)
    waits(gate, "time-out in the TLS handshake", bound=60)


def test_old_versions_only(gate, certs, odd, closing):
    """TLS 1.1 at most, spoken by the openssl command, which can still do so when asked."""
    base = odd("old")
    port = gate.upstream_port
    log = open(gate.dir / "s_server.log", "wb")
    server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-cert", f"{base}.pem", "-key", f"{base}.key",
                               "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-quiet"], stdin=subprocess.PIPE, stdout=log, stderr=log)
    try:
        house.wait_for("s_server to listen", lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        point(gate, certs, tls="implicit").start()
        send(gate)
        waits(gate, r"no version of TLS (or cipher )?in common: 1\.2 or later")
    finally:
        server.kill()
        server.wait()
        log.close()


def test_plaintext_injected_behind_220(gate, certs, odd, closing):
    """R34: what was said in clear behind the 220 counts for nothing: the session ends, or goes on without it."""
    context = server_context(odd("inject"))

    def inject(t):
        t.send("220 go on\r\n250-injected\r\n250 AUTH PLAIN\r\n235 fine\r\n250 ok\r\n250 ok\r\n354 ok\r\n250 kept\r\n")
        t.serve_tls(context)

    bad = closing(upstream.Script(gate.upstream_port, ehlo=OFFER, starttls=inject))
    point(gate, certs, tls="starttls").start()
    send(gate)
    waits(gate, r"had more behind it, in clear: is somebody on the way|what came is not TLS")
    nothing_said(bad)


# Our own certificate

def demanding(base, ca, version=None):
    context = server_context(base)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(ca))
    if version:
        context.minimum_version = context.maximum_version = version
    return context


VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3 where both can": None}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("way", ["starttls", "implicit"])
def test_client_certificate(gate, certs, odd, closing, way, version):
    server, own, stranger = odd("cc-server"), odd("cc-own", names="DNS:office.example"), odd("cc-strange", ca="otherca")
    script = closing(upstream.Script(gate.upstream_port, tls=demanding(server, certs / "ca.pem", VERSIONS[version]),
                                     implicit=way == "implicit", ehlo=OFFER))
    point(gate, certs, tls=way).start()
    send(gate)
    waits(gate, r"refused TLS: it demands a client certificate: write tls_certificate and tls_key")
    gate.set("relay", tls_certificate=f"{stranger}.pem", tls_key=f"{stranger}.key").write()
    assert gate.cmd("reload").returncode == 0
    waits(gate, r"refused TLS: our certificate is from a CA it doesn't know \(unknown_ca\)")
    nothing_said(script)
    gate.set("relay", tls_certificate=f"{own}.pem", tls_key=f"{own}.key").write()
    assert gate.cmd("reload").returncode == 0
    gate.cmd("queue", "retry")
    gate.wait_log(r"status=delivered")
    assert script.contents


KEY_FAULTS = {
    "does not fit": lambda own, other, d: (own, f"{other}.key", "tls_key", r"does not fit the first certificate"),
    "encrypted": lambda own, other, d: (own, d / "locked.key", "tls_key", r"the key is encrypted; store it without passphrase"),
    "open to others": lambda own, other, d: (own, d / "open.key", "tls_key", r"open to others: chmod 640"),
    "no certificate": lambda own, other, d: (d / "locked", f"{other}.key", "tls_certificate", r"no certificate in PEM"),
}


@pytest.mark.parametrize("case", KEY_FAULTS)
def test_client_certificate_at_fault(gate, certs, odd, case):
    """FILE:LINE of the key that is to blame, exit 78."""
    own, other = odd("kf-own"), odd("kf-other")
    openssl(gate.dir, "pkey", "-aes128", "-passout", "pass:x", "-in", f"{own}.key", "-out", "locked.key")
    (gate.dir / "locked.pem").write_text("nothing\n")
    (gate.dir / "locked.key").chmod(0o600)
    (gate.dir / "open.key").write_bytes(pathlib.Path(f"{own}.key").read_bytes())
    (gate.dir / "open.key").chmod(0o644)
    certificate, key, line, why = KEY_FAULTS[case](own, other, gate.dir)
    point(gate, certs, tls="starttls", tls_certificate=f"{certificate}.pem", tls_key=key).write()
    result = gate.cmd("check")
    number = next(i for i, text in enumerate(gate.path.read_text().splitlines(), 1) if text.startswith(line))
    assert result.returncode == 78
    assert re.search(rf"{re.escape(str(gate.path))}:{number}: .*{why}", result.stderr), result.stderr


# Resumption

@pytest.mark.parametrize("version", VERSIONS)
def test_second_connection_resumes(gate, certs, odd, closing, version):
    context = server_context(odd("resume"))
    if VERSIONS[version]:
        context.maximum_version = VERSIONS[version]
    reused = []

    def mail(t):
        reused.append((t.sock.session_reused, t.sock.version()))
        t.send("250 2.1.0 fine\r\n")

    # The last answer ends the connection, so that each mail needs its own.
    def data(t):
        t.send("250 2.0.0 kept\r\n")
        return False

    closing(upstream.Script(gate.upstream_port, tls=context, ehlo=OFFER, mail=mail, data=data))
    point(gate, certs, tls="starttls").start()
    for n in range(3):
        send(gate)
        gate.wait_log(r"status=delivered", n + 1)
    assert [r for r, _ in reused] == [False, True, True], reused
    # After a reload the first one is complete again: sessions go with the configuration.
    assert gate.cmd("reload").returncode == 0
    send(gate)
    gate.wait_log(r"status=delivered", 4)
    assert not reused[3][0]


def test_session_is_no_pass_for_another_certificate(gate, certs, odd, closing):
    """A server in its place that has another certificate, and cannot know the session, is judged like anybody."""
    good = upstream.Script(gate.upstream_port, tls=server_context(odd("place-good")), ehlo=OFFER, data=lambda t: t.send("250 kept\r\n") or False)
    point(gate, certs, tls="starttls").start()
    send(gate)
    gate.wait_log(r"status=delivered")
    good.close()
    bad = closing(upstream.Script(gate.upstream_port, tls=server_context(odd("place-bad", ca="otherca")), ehlo=OFFER))
    send(gate)
    waits(gate, "CA that is not in the CA file")
    nothing_said(bad)


# The clock

def test_clock_before_the_program(gate, certs, odd, closing, tmp_path):
    """R45: the reason names the clock, not the certificate; with the clock set the mail goes."""
    from test_c_clock import with_clock
    closing(upstream.Script(gate.upstream_port, tls=server_context(odd("clock")), ehlo=OFFER))
    clock = with_clock(gate, tmp_path, -40 * 365 * 86400)
    point(gate, certs, tls="starttls").start()
    year = datetime.date.today().year - 40
    gate.wait_log(rf"clock alarm=clock today={year}-\d\d-\d\d built=20\d\d-\d\d-\d\d$")
    send(gate)
    waits(gate, rf"this machine's clock says {year}-\d\d-\d\d, which can't be, this program was made on 20\d\d-\d\d-\d\d: set the clock")
    assert "expired" not in gate.log() and "not yet valid" not in gate.log()
    clock.write_text("0")
    gate.wait_log(r"status=delivered")
