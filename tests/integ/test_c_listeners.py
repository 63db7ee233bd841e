"""Reload and listeners (R20): a port that changes its address, all or nothing, and one that nobody else may lose."""

import signal
import socket

import house


def opens(host, port):
    try:
        socket.create_connection((host, port), 2).close()
        return True
    except OSError:
        return False


def test_a_listener_becomes_wider_and_narrower_on_its_port(gate):
    gate.start()
    assert not opens("127.0.0.9", gate.port)
    gate.set("listen submission", address=f"0.0.0.0:{gate.port}").write()
    assert gate.cmd("reload").returncode == 0, gate.log()
    assert opens("127.0.0.9", gate.port) and opens("127.0.0.1", gate.port)
    gate.set("listen submission", address=f"127.0.0.1:{gate.port}").write()
    assert gate.cmd("reload").returncode == 0, gate.log()
    house.wait_for("the wide one to close", lambda: not opens("127.0.0.9", gate.port))
    assert opens("127.0.0.1", gate.port)


def test_when_another_listener_cant_open_the_old_ones_are_back(gate, ports):
    gate.start()
    with socket.create_server(("127.0.0.1", ports.one())) as other:
        taken = other.getsockname()[1]
        gate.set("listen submission", address=f"0.0.0.0:{gate.port}, 127.0.0.1:{taken}").write()
        for _ in range(3):
            result = gate.cmd("reload")
            assert result.returncode != 0 and str(taken) in result.stderr
            assert opens("127.0.0.1", gate.port) and not opens("127.0.0.9", gate.port)
    with gate.login() as t:
        assert t.cmd("NOOP").code == 250


def test_no_reload_while_it_stops(gate):
    gate.start()
    held = gate.login()                # a session that it waits for, for a moment
    gate.process.send_signal(signal.SIGTERM)
    gate.wait_log(r"\bstopping\b")
    gate.process.send_signal(signal.SIGHUP)
    assert gate.exits() == 0
    held.close()
    assert "reloaded" not in gate.log()
