import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import house  # noqa: E402
import postfix  # noqa: E402
import upstream  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]

# Tests of tens of seconds, most of them waits: each goes to a process of its own, and they begin first, else all wait for them at the end.
LONG = ("test_p_landscape.py", "test_o_idle.py", "test_a_spool_kill.py", "test_p_boxes.py", "test_a_spool_full.py")


def pytest_configure(config):
    # What a shell starts in the background ignores it, and so would all that the tests start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "once: the program under test isn't in it, so that one run of several will do")
    house.BINARY = str(pathlib.Path(house.BINARY).resolve())
    if not os.access(house.BINARY, os.X_OK):
        pytest.exit(f"{house.BINARY} isn't there: make", 4)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling  # pylint: disable=import-outside-toplevel

    class Scheduler(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            scope = super()._split_scope(nodeid)
            return nodeid if scope.rsplit("/", 1)[-1] in LONG else scope

    return Scheduler(config, log)


def pytest_terminal_summary(terminalreporter):
    """What tests say with record_property("says", LINE), also from other processes."""
    for report in terminalreporter.stats.get("passed", []):
        for name, text in report.user_properties:
            if name == "says":
                terminalreporter.write_line(text)


@pytest.fixture(scope="session")
def worker():
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])


@pytest.fixture(scope="session")
def ports():
    return house.Ports()


def openssl(directory, *args):
    subprocess.run(["openssl", *args], cwd=directory, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def make_certificate(directory, name, host, names, days=30, ca="ca"):
    ec = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(directory, "req", "-new", *ec, "-subj", f"/CN={host}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
    (directory / f"{name}.ext").write_text(f"subjectAltName={names}\nbasicConstraints=CA:FALSE\n")
    openssl(directory, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-days", str(days), "-extfile", f"{name}.ext", "-out", f"{name}.pem")
    os.chmod(directory / f"{name}.key", 0o600)


@pytest.fixture(scope="session")
def certs(tmp_path_factory):
    """ca, and by it: server (of the gate), provider, stranger (another name); other is by another CA."""
    directory = tmp_path_factory.mktemp("certs")
    for ca in ("ca", "otherca"):
        openssl(directory, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                "30", "-subj", f"/CN=test {ca}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
    ip = "IP:127.0.0.1,DNS:localhost"
    make_certificate(directory, "server", "mail.test-sample.jp", f"DNS:mail.test-sample.jp,{ip}")
    make_certificate(directory, "provider", "smtp.provider.example", f"DNS:smtp.provider.example,{ip}")
    make_certificate(directory, "stranger", "smtp.elsewhere.example", "DNS:smtp.elsewhere.example")
    make_certificate(directory, "other", "smtp.provider.example", f"DNS:smtp.provider.example,{ip}", ca="otherca")
    return directory


@pytest.fixture(scope="session")
def peers():
    """The root of Postfix and Dovecot."""
    if os.geteuid() != 0:
        pytest.skip("Postfix and Dovecot need root")
    top, why = postfix.root()
    if not top:
        pytest.skip(why)
    return top


@pytest.fixture(scope="module")
def provided(peers, ports, certs, worker):
    """provided(postfix.Postfix, "name"): a provider before a sink of its own, .sink, until the module ends."""
    things = []

    def make(kind, name, **keys):
        sink = upstream.Sink(ports.one())
        things.append(sink)
        provider = kind(peers, f"{name}{worker}-{os.getpid()}", ports, certs, sink.port, **keys)
        things.append(provider)
        provider.sink = sink
        return provider

    yield make
    for thing in reversed(things):
        thing.close()


@pytest.fixture(scope="session")
def tls_server(certs):
    """tls_server("provider"): a context for an upstream with that certificate."""
    def make(name="provider"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certs / f"{name}.pem", certs / f"{name}.key")
        return context
    return make


@pytest.fixture(scope="session")
def tls_client(certs):
    return ssl.create_default_context(cafile=str(certs / "ca.pem"))


@pytest.fixture(scope="session")
def accounts_text(tmp_path_factory, ports, certs):
    """The accounts of the examples, as `sekimori passwd` writes them."""
    gate = house.Gate(tmp_path_factory.mktemp("accounts"), ports, certs, "").write()
    gate.accounts.unlink()
    for address, password in house.ACCOUNTS.items():
        result = gate.cmd("passwd", "--cram-md5", address, input=password + "\n")
        assert result.returncode == 0, result
    return gate.accounts.read_text()


@pytest.fixture
def make_gate(tmp_path, ports, certs, accounts_text):
    """make_gate(): another gate, not yet started; looked after at the end of the test."""
    gates = []

    def make():
        gates.append(house.Gate(tmp_path / f"gate{len(gates)}", ports, certs, accounts_text))
        return gates[-1]

    yield make
    for gate in reversed(gates):
        gate.finish()
    for gate in gates:
        shutil.rmtree(gate.dir / "spool", ignore_errors=True)


@pytest.fixture
def gate(make_gate):
    """A gate, not yet started, so that a test can set what it wants before."""
    return make_gate()


@pytest.fixture
def closing():
    """closing(x): x.close() at the end of the test."""
    things = []

    def add(thing):
        things.append(thing)
        return thing

    yield add
    for thing in reversed(things):
        thing.close()


@pytest.fixture
def sink(gate, closing):
    """A real server where the gate's relay points, without TLS and login."""
    return closing(upstream.Sink(gate.upstream_port))


@pytest.fixture
def live(gate, sink):
    """The gate, running, with its sink as gate.sink."""
    gate.sink = sink
    return gate.start()


@pytest.fixture(scope="session")
def top():
    return TOP


@pytest.fixture
def as_root():
    if os.geteuid() != 0:
        pytest.skip("needs root")
