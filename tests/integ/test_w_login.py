"""w. A gate that stops while a password is being checked: the answer finds nobody any more."""

import os
import signal

import house
import talk


def helper(gate, name):
    """The process id of the helper `name`."""
    def look():
        for entry in os.scandir("/proc"):
            if entry.name.isdigit() and int(entry.name) != gate.process.pid:
                try:
                    text = house.pathlib.Path(entry.path, "stat").read_text()
                    words = text.rpartition(")")[2].split()
                    if int(words[1]) == gate.process.pid and f"({'sekimori: ' + name}"[:16] in text:
                        return int(entry.name)
                except OSError:
                    pass
        return None
    return house.wait_for(f"the helper {name}", look)


def test_no_login_after_the_end(gate):
    gate.start()
    hasher = helper(gate, "hash")
    with gate.connect() as t:
        t.ehlo()
        os.kill(hasher, signal.SIGSTOP)
        t.send("AUTH PLAIN " + talk.plain("user1", "user1234") + "\r\n")
        # The request is with the helper once the gate has answered somebody who came later.
        with gate.connect() as later:
            later.ehlo()
        gate.process.send_signal(signal.SIGTERM)
        assert t.reply().code == 421
        os.kill(hasher, signal.SIGCONT)
        gate.exits()                    # until then the connection stays
        assert t.rest() == b""
    assert not gate.lines("login result"), gate.log()
