"""A clock without a battery: stepped months ahead when NTP answers, it expires nothing that has just come."""

import pathlib
import subprocess
import time

import house
import upstream

SHIM = pathlib.Path(__file__).with_name("clock_shim.c")
HALF_A_YEAR = 15_000_000


def with_clock(gate, tmp_path, offset):
    library, file = tmp_path / "clock.so", tmp_path / "offset"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", str(library), str(SHIM)], check=True)
    file.write_text(str(offset))
    gate.prefix = ["env", f"LD_PRELOAD={library}", f"SHIM_FILE={file}",
                   "ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0"]
    return file


def test_a_step_ahead_expires_nothing_fresh(gate, closing, tmp_path):
    clock = with_clock(gate, tmp_path, -HALF_A_YEAR)
    gate.set("queue", retry="1s", expire="2d").start()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log(r"relay-down")
    clock.write_text("0")
    gate.wait_log(r"the clock was stepped by 1[45]\d{6} s")
    gate.wait_log(r"relay-down", count=2)           # it has been looked at since
    sink = closing(upstream.Sink(gate.upstream_port))
    assert sink.wait(1).to == ["friend@example.net"]
    gate.empty()
    assert "expired" not in gate.log() and len(sink.mails) == 1


def test_what_is_old_still_expires(gate, sink, tmp_path):
    """The other way round: the age of what came after the step is its own."""
    clock = with_clock(gate, tmp_path, -HALF_A_YEAR)
    sink.keeper.replies["friend@example.net"] = "450 4.2.1 later"
    gate.set("queue", retry="1s", expire="3s").start()
    gate.settled()      # it has looked at the clock, else there is no step to see
    clock.write_text("0")
    before = time.monotonic()
    with gate.login() as t:
        assert t.mail().code == 250
    gate.wait_log(r"the clock was stepped")
    gate.wait_log(r"status=expired")
    assert time.monotonic() - before > 2
    house.wait_for("the return mail", lambda: any(m.sender == "" for m in sink.mails))
