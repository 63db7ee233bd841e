"""w. A disk that fails to flush the audit file: what it may have forgotten is written anew, and nobody is told before that it is kept."""

import os
import pathlib
import re
import subprocess

import pytest

import house
from test_p_boxes import arrived, as_agent, as_manager, received, records, refusals

SHIM = pathlib.Path(__file__).parent / "flush_shim.c"


@pytest.fixture
def failing(tmp_path):
    """failing(gate): its flushes fail as said by what is written to the path that comes back."""
    library = tmp_path / "flush.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", library, SHIM], check=True)

    def attach(gate):
        file = gate.dir / "flushes"
        file.write_text("")
        gate.prefix = ["env", f"LD_PRELOAD={library}", f"SHIM_FILE={file}",
                       "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"]
        return file
    return attach


def whole(gate):
    result = gate.cmd("log", "--check")
    assert result.returncode == 0, result
    return result.stdout


def no_copy_left(gate):
    """Flushes that come while they fail make one more."""
    house.wait_for("no copy to be left", lambda: not list(gate.dir.glob("*.mend")))


def test_the_file_is_written_anew(gate, failing):
    flushes = failing(gate)
    flushes.write_text("audit.log")
    gate.start()
    path = gate.dir / "audit.log"
    house.wait_for("the file", path.exists)
    before = os.stat(path).st_ino
    refusals(gate, 5)
    gate.wait_log(r"audit alarm=audit file=\S+ error=\"flush: Input/output error")
    rewritten = int(gate.wait_log(r"audit rewritten=(\d+) lost=0 file=\S+audit\.log$")[1])
    assert rewritten >= 1 and os.stat(path).st_ino != before and os.stat(path).st_mode & 0o777 == 0o640
    refusals(gate, 3, 100)
    assert [r["from"] for r in records(gate) if r["event"] == "refused"] == [
        f"other{n}@test-sample.jp" for n in (0, 1, 2, 3, 4, 100, 101, 102)]
    flushes.write_text("")
    no_copy_left(gate)
    assert "whole" in whole(gate)


def test_until_it_can_be(gate, failing):
    """Whatever fails of it, it is tried again, with what has come meanwhile and from where the gate was stopped."""
    flushes = failing(gate)
    flushes.write_text("audit.log audit.log.mend")
    gate.start()
    refusals(gate, 2)
    gate.wait_log(r"audit alarm=audit")
    refusals(gate, 2, 100)
    house.wait_for("the marker", lambda: (gate.dir / "audit.log.mend").exists())
    assert gate.json("status")["audit"]["error"] and not gate.lines("rewritten=")
    gate.stop()
    assert (gate.dir / "audit.log.mend").exists()
    flushes.write_text("audit.log")
    gate.start()
    assert int(gate.wait_log(r"audit rewritten=(\d+) lost=0")[1]) >= 4
    flushes.write_text("")
    no_copy_left(gate)
    assert "whole" in whole(gate)
    assert [r["from"] for r in records(gate) if r["event"] == "refused"] == [f"other{n}@test-sample.jp" for n in (0, 1, 100, 101)]


def test_a_manager_answers_for_what_is_written_anew(make_gate, ports, certs, failing):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    flushes = failing(manager)
    flushes.write_text("audit.log audit.log.mend")
    manager.launch()
    manager.wait_log("serves")
    agent = as_agent(make_gate(), certs, manager.agents_port, tls=False).start()
    refusals(agent, 5)
    house.wait_for("a record", lambda: received(manager))
    manager.wait_log(r"audit alarm=audit")
    assert agent.json("status")["forward"]["waiting"] >= 5
    flushes.write_text("audit.log")
    manager.wait_log(r"audit rewritten=\d+ lost=0")
    flushes.write_text("")
    house.wait_for("the answer", lambda: agent.json("status")["forward"]["waiting"] == 0)
    refusals(agent, 5, 100)
    assert len(arrived(manager, agent)) == 10
    whole(manager)


def test_what_the_disk_has_forgotten_is_sent_again(make_gate, ports, certs, failing):
    manager = as_manager(make_gate(), ports, certs, tls=False)
    flushes = failing(manager)
    manager.launch()
    manager.wait_log("serves")
    agent = as_agent(make_gate(), certs, manager.agents_port, tls=False).start()
    refusals(agent, 5)
    arrived(manager, agent)
    house.wait_for("the answer", lambda: agent.json("status")["forward"]["waiting"] == 0)
    flushes.write_text("audit.log drop")
    refusals(agent, 5, 100)
    assert int(manager.wait_log(r"audit rewritten=\d+ lost=(\d+) file=")[1]) >= 1
    flushes.write_text("")
    manager.wait_log(r"agent result=ended agent=gate1 end=disk")
    refusals(agent, 2, 200)
    house.wait_for(manager.log, lambda: len(received(manager)) >= 12)
    assert len(arrived(manager, agent)) == 12
    lost = sum(int(n) for n in re.findall(r"audit rewritten=\d+ lost=(\d+) file=", manager.log()))
    assert sum(int(r["lost"]) for r in records(manager) if r["event"] == "gap") == lost
    assert "gaps that are marked" in whole(manager)
