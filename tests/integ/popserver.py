"""A POP3 server in this process, as good or bad as a test wants it, and the door that a login opens for its address."""

import hashlib
import threading
import time

import talk

USER, PASSWORD = "office@provider.example", "office1234"
STAMP = "<1896.697170952@pop.provider.example>"


class Door:
    """Who has logged in by POP may relay for `window` seconds."""

    def __init__(self, window=3600):
        self.window = window
        self.opened = {}
        self.denials = 0
        self.lock = threading.Lock()

    def open(self, address):
        with self.lock:
            self.opened[address] = time.monotonic()

    def shut(self):
        with self.lock:
            self.opened.clear()

    def is_open(self, address):
        with self.lock:
            return time.monotonic() - self.opened.get(address, -1e9) < self.window

    def rcpt(self, denied="554 5.7.1 <friend@example.net>: Relay access denied"):
        """A Script's answer to RCPT."""
        def answer(t):
            allowed = self.is_open(t.sock.getpeername()[0])
            self.denials += not allowed
            t.send(("250 2.1.5 fine" if allowed else denied) + "\r\n")
        return answer


class Pop:
    """
    Answers replace the usual ones: greeting, capa, stls, user, pass, digest (of APOP), quit; a text without CRLF, or a function of the connection that
    ends the session by returning False.
    """

    def __init__(self, port, door=None, tls=None, implicit=False, apop=False, host="127.0.0.1", password=PASSWORD, **answers):
        self.answers = answers
        self.door, self.tls, self.implicit, self.apop, self.password = door, tls, implicit, apop, password
        self.commands = []          # per connection
        self.peers = []
        self.server = talk.Server(port, self.play, host)

    @property
    def count(self):
        return self.server.count

    @property
    def verbs(self):
        return [" ".join(line.split()[:1]) for line in sum(self.commands, [])]

    def close(self):
        self.server.close()

    def say(self, t, step, usual):
        answer = self.answers.get(step, usual)
        if callable(answer):
            return answer(t) is not False
        t.send(answer + "\r\n")
        return answer.startswith("+OK")

    def let_in(self, t, step, good):
        good = self.say(t, step, "+OK logged in" if good else "-ERR [AUTH] no such pair") and good
        if good and self.door:
            self.door.open(t.sock.getpeername()[0])

    def play(self, t, _number):
        heard = []
        self.commands.append(heard)
        self.peers.append(t.sock.getpeername())
        if self.implicit:
            t.serve_tls(self.tls)
        if not self.say(t, "greeting", f"+OK ready {STAMP}" if self.apop else "+OK ready"):
            return
        user = None
        while True:
            line = t.line()
            if not line:
                return
            heard.append(line.rstrip("\r\n"))
            verb, _, rest = heard[-1].partition(" ")
            if verb == "CAPA":
                self.say(t, "capa", "+OK\r\nUSER\r\n" + ("STLS\r\n" if self.tls else "") + ".")
            elif verb == "STLS":
                if self.say(t, "stls", "+OK go on" if self.tls else "-ERR no") and self.tls:
                    t.serve_tls(self.tls)
            elif verb == "USER":
                user = rest
                self.say(t, "user", "+OK")
            elif verb == "PASS":
                self.let_in(t, "pass", (user, rest) == (USER, self.password))
            elif verb == "APOP":
                digest = hashlib.md5((STAMP + self.password).encode()).hexdigest()
                self.let_in(t, "digest", rest == f"{USER} {digest}")
            elif verb == "QUIT":
                self.say(t, "quit", "+OK bye")
                return
            else:
                t.send("-ERR what\r\n")
