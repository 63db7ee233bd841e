"""The spool and kill -9: 200 times at random moments under load, and nothing that was acknowledged is lost."""

import os
import random
import time

import torture_load
import torture_strace

ROUNDS = int(os.environ.get("ROUNDS", 200))


def test_kill_9_two_hundred_times(gate, closing):
    seed = int(os.environ.get("SEED", time.time()))
    print(f"SEED={seed}")
    draw = random.Random(seed)
    gate.set("server", spool_size="32M").set("limits", sessions_per_client=100).set("relay", connections=8)
    load = closing(torture_load.Torture(gate, seed=seed))
    began = time.monotonic()
    for _ in range(ROUNDS):
        gate.start()
        # Some moments lie in the start, most in the load.
        time.sleep(draw.choice((0.0, 0.02, 0.1, 0.1, 0.2, 0.3)) * draw.random())
        torture_strace.kill(gate)
        load.end_life()
    gate.start()
    load.settle()
    gate.empty()
    print(f"{ROUNDS} kills in {time.monotonic() - began:.0f} s: {load.check()}")
    assert len(load.acknowledged) >= ROUNDS, "hardly any load"
    # All outcomes are on disk once it has ended: nothing comes again.
    assert gate.stop() == 0
    load.end_life()
    gate.start()
    assert gate.queue() == []
    load.check()
