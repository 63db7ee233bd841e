"""100,000 queued messages: what each takes of memory, how long a start takes, and that they are all there."""

import pathlib
import shutil
import time

import pytest
import torture_load
import torture_strace

import house

COUNT = 100000
TOP = pathlib.Path(__file__).resolve().parents[2]


def build(directory):
    """The generator, of the spool's own sources."""
    cc = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if not cc:
        pytest.skip("no C compiler")
    program = directory / "torture_fill"
    sources = [TOP / "tests/integ/torture_fill.c", *sorted(TOP.glob("src/spool/*.c"))]
    sources += [TOP / f"src/base/{name}.c" for name in ("buffer", "clock", "crc32", "crc32_fast", "fault", "record", "slice")]
    config = directory / "config.h"
    config.write_text(house.run("sh", TOP / "board/config", "header", TOP / "Kconfig", TOP / "board/host/defconfig").stdout)
    made = house.run(cc, "-std=c11", "-include", config, "-D_GNU_SOURCE", "-O2", f"-I{TOP}/src", "-o", program, *sources)
    assert made.returncode == 0, made.stderr
    return program


def resident(pid):
    """KiB of memory that it uses."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:"))


def timed_start(gate):
    began = time.monotonic()
    gate.start()
    return time.monotonic() - began


def test_a_hundred_thousand(gate, closing):
    gate.set("server", spool_size="256M").set("queue", retry="1h")
    empty_start = timed_start(gate)
    empty = resident(gate.process.pid)
    assert gate.stop() == 0
    program = build(gate.dir)
    began = time.monotonic()
    made = house.run(program, gate.dir / "spool", 256 << 20, COUNT)
    assert made.returncode == 0, made
    filled = time.monotonic() - began
    start = timed_start(gate)
    gate.wait_log(rf"serves, {COUNT} messages")
    full = resident(gate.process.pid)
    began = time.monotonic()
    ids = {m["id"] for m in gate.queue()}
    listed = time.monotonic() - began
    assert len(ids) == COUNT
    # One more fits in, is delivered beside them, and a crash loses none.
    sink = closing(torture_load.Torture(gate, clients=0, sink=False))
    with gate.login() as t:
        assert t.mail(content=torture_load.content(COUNT, 1000)).code == 250
    torture_strace.kill(gate)
    again = timed_start(gate)
    assert {m["id"] for m in gate.queue()} > ids and len(gate.queue()) == COUNT + 1
    # The first thousands leave as they should while the rest waits.
    sink.start_sink()
    assert gate.cmd("queue", "retry").returncode == 0
    house.wait_for(lambda: f"3000 at the sink, {len(sink.came)}", lambda: len(sink.came) >= 3000)
    assert not sink.damaged and max(map(len, sink.came.copy().values())) == 1
    print(f"{COUNT} messages: {(full - empty) * 1024 / COUNT:.0f} octets of memory each "
          f"({empty} KiB empty, {full} KiB full); start {start:.2f} s, after a kill {again:.2f} s (empty "
          f"{empty_start:.2f} s); listed in {listed:.1f} s; written in {filled:.1f} s")
