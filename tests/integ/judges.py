"""
Judges of a message: which addresses they would show as its author's, or use. Ours is the test program `judge/verdicts`, which
is built beside the gate; the others are Python's two parsers, s-nail and Postfix's cleanup.
"""

import email
import email.policy
import email.utils
import os
import pathlib
import re
import socket
import struct
import subprocess
import threading

import generator
import house
import postfix
import talk

NAIL_PATIENCE = 10  # s; 6000 messages take less than one
OWN = {a.decode() for a in generator.OWN}


def key(address):
    """As R6 has it: unquoted, in lower case."""
    local, at, domain = address.strip().rpartition("@")
    if len(local) > 1 and local[0] == local[-1] == '"':
        local = re.sub(r"\\(.)", r"\1", local[1:-1], flags=re.S)
    return (local + at + domain).lower()


def is_address(text, plain):
    """
    Whether somebody could be meant. In a header that isn't of ASCII a reader who doesn't know the charset takes pieces of
    names for addresses (`\\x1b$B6b;R@i7C`, `\\x8eR\\x93c\\x81@Taro`): nobody's, unless the domain has two labels, the last of letters.
    """
    local, at, domain = text.strip().rpartition("@")
    if not at or not local or re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffd]|\xef\xbf\xbd", local):
        return False
    if plain and re.fullmatch(r"\[.*\]", domain):
        return True
    label = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
    return re.fullmatch(rf"{label}(\.{label})*\.?" if plain else rf"({label}\.)+[a-z]{{2,}}\.?", domain, re.I)


def is_plain(raw):
    header = raw.partition(b"\r\n\r\n")[0]
    return b"\x1b" not in header and header.isascii()


def foreign(raw, addresses):
    """Those of the addresses found in this message that are somebody else's."""
    plain = is_plain(raw)
    found = [a for a in addresses if is_address(a, plain) and key(a) not in OWN]
    # Of what can't be a local part (`x, "user1@test-sample.jp`), the end.
    return [a for a in found if key(re.search(r'("[^"]*"|[^\s"<>,@:;()\\]*)@[^@]*$', a.strip())[0]) not in OWN]


def ours(gate, messages, account="user1", envelope="user1@test-sample.jp"):
    """For each message (good, reason, display, address)."""
    program = pathlib.Path(house.BINARY).parent / "judge/verdicts"
    wire = b"".join(struct.pack(">I", len(m)) + m for m in map(generator.stuffed, messages))
    result = subprocess.run([str(program), str(gate.path), account, envelope], input=wire, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    lines = [line.split(" ", 3) for line in result.stdout.decode("latin-1").splitlines()]
    assert len(lines) == len(messages)
    return [(code == "250", reason, display == "1", address) for code, reason, display, address in lines]


def python_compat32(raw):
    """The old parser, given octets and given text, and the functions beside it."""
    found = []
    for text in {raw.decode("latin-1"), raw.decode("ascii", "surrogateescape"), raw.decode("utf-8", "replace")}:
        values = [str(v) for v in email.message_from_string(text).get_all("from", [])]
        found += [a for _, a in email.utils.getaddresses(values)]
        found += [email.utils.parseaddr(v)[1] for v in values]
        found += [a for v in values for _, a in email.utils._AddressList(v).addresslist]
    values = [str(v) for v in email.message_from_bytes(raw).get_all("from", [])]
    return found + [a for _, a in email.utils.getaddresses(values)]


def python_policy(raw, policy=email.policy.SMTP):
    """The new one; `policy.default` differs only in the line ends that it writes, and is tried on a part (see the test)."""
    found = []
    for field in email.message_from_bytes(raw, policy=policy).get_all("from", []):
        found += [a.addr_spec for a in field.addresses]
    return found


class Judge:
    """foreign(raws): what it would show or use of each message that is somebody else's. A judge that falls over shows nothing."""

    def foreign(self, raws):
        return [foreign(raw, found) for raw, found in zip(raws, self.found(raws), strict=True)]


class Python(Judge):
    def __init__(self, function):
        self.function = function
        self.fell = 0

    def one(self, raw):
        try:
            return self.function(raw)
        except (AttributeError, IndexError, TypeError, ValueError):  # bugs of the new parser; what it shows is a traceback
            self.fell += 1
            return []

    def found(self, raws):
        return [self.one(raw) for raw in raws]


class Nail(Judge):
    """s-nail: what `digmsg` takes From: apart to, and what its summary shows."""

    def __init__(self, directory):
        self.mbox = pathlib.Path(directory) / "mbox"
        self.lost = []

    def _run(self, commands):
        """What it prints, cut to lines, and whether it came to the end: there are headers over which it turns for ever."""
        env = {**os.environ, "MAILRC": "/dev/null", "HOME": str(self.mbox.parent), "LC_ALL": "C.UTF-8", "COLUMNS": "1000"}
        command = ["s-nail", "-#:/", "-R", "-S", "v15-compat=y", "-S", "headline=@%m %-300f", "-f", str(self.mbox)]
        ended = True
        try:
            output = subprocess.run(command, input=commands.encode(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env,
                                    timeout=NAIL_PATIENCE, check=False).stdout
        except subprocess.TimeoutExpired as late:
            output, ended = late.stdout or b"", False
        return output.decode("latin-1").split("\n"), ended

    def _dig(self, count):
        """From: taken apart: the addresses of each, or the number of the message it got lost in."""
        found = [[] for _ in range(count)]
        at = 0
        lines, ended = self._run("".join(f"echo @{n}\ndigmsg create {n} -\ndigmsg {n} header show From\ndigmsg remove {n}\n"
                                         for n in range(1, count + 1)))
        for line in lines:
            if re.fullmatch(r"@\d+", line):
                at = int(line[1:])
            elif line and not re.match(r"[1-5]\d\d ", line):
                found[at - 1].append(line[1:line.index("'", 1)] if re.match(r"'.*'", line) else line.split(" ")[0])
        assert not ended or at == count, (at, count)
        return found if ended else at

    def _summary(self, found):
        """The same for its list of messages."""
        lines, ended = self._run("from *\n")
        shown = [match for match in (re.match(r"[^@]{0,4}@ *(\d+) (.*)", line) for line in lines) if match]
        if not ended:
            return len(shown) + 1
        assert len(shown) == len(found), (len(shown), len(found), lines[-5:])
        for match in shown:
            found[int(match[1]) - 1].append(match[2].strip())
        return found

    @staticmethod
    def _in_mbox(raw):
        lines = [b">" + line if line.startswith(b"From ") else line for line in raw.replace(b"\r\n", b"\n").split(b"\n")]
        return b"From user1@test-sample.jp Thu Jan  1 00:00:00 1970\n" + b"\n".join(lines) + b"\n"

    def found(self, raws):
        raws = list(raws)
        while True:
            self.mbox.write_bytes(b"".join(map(self._in_mbox, raws)))
            found = self._dig(len(raws))
            if isinstance(found, list):
                found = self._summary(found)
            if isinstance(found, list):
                return found
            self.lost.append(raws[found - 1])
            assert len(self.lost) < 6, self.lost
            raws[found - 1] = b"Subject: x\r\n\r\nx\r\n"


MAIN_CF = """\
mynetworks = 127.0.0.0/8
local_header_rewrite_clients = permit_mynetworks
smtpd_relay_restrictions = permit_mynetworks, reject
default_transport = discard:
sender_canonical_maps = socketmap:inet:127.0.0.1:{map}:seen
sender_canonical_classes = header_sender
"""


class Cleanup(Judge):
    """
    Postfix's cleanup: every address that it takes out of From: is looked up in a table, and that table is here. Told to rewrite
    a header, it takes the words of a raw Japanese name for users of its own domain; there is no way to let such names pass and
    to keep it from that, so those don't count. In headers of ASCII they do.
    """

    def __init__(self, top, ports):
        self.seen = []
        self.table = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        self.postfix = postfix.Cleanup(top, f"cleanup{os.getpid()}", ports, MAIN_CF, self.table.getsockname()[1])

    def _accept(self):
        while True:
            try:
                sock, _ = self.table.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(sock.makefile("rwb"),), daemon=True).start()

    def _answer(self, f):
        """RFC-less, but simple: netstrings of `MAP KEY`, answered by netstrings (socketmap_table(5))."""
        while True:
            length = b""
            while (c := f.read(1)).isdigit():
                length += c
            if c != b":":
                return
            self.seen.append(f.read(int(length)).decode("latin-1").partition(" ")[2])
            f.read(1)
            f.write(b"9:NOTFOUND ,")
            f.flush()

    def found(self, raws):
        found = []
        # Fields besides From: that it looks at.
        raws = [re.sub(rb"^reply-to", b"X-Other", raw, flags=re.I | re.M) for raw in raws]
        with talk.Talk(("127.0.0.1", self.postfix.port)) as t:
            t.ehlo()
            for raw in raws:
                self.seen.clear()
                assert t.cmd("MAIL FROM:<user1@test-sample.jp>").code == 250
                assert t.cmd("RCPT TO:<friend@example.net>").code == 250
                assert t.cmd("DATA").code == 354
                t.send(generator.stuffed(raw) + b".\r\n")
                reply = t.reply()
                assert reply.code == 250, (raw, reply)
                found.append([a for a in self.seen if is_plain(raw) or not a.endswith("@smtp.provider.example")])
        return found

    def close(self):
        self.postfix.close()
        self.table.close()
