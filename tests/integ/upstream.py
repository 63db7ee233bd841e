"""Upstreams in this process: aiosmtpd as a real server that keeps what it gets, and a scripted one for misbehaviour."""

import asyncio
import threading
import time

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

import house
import talk


class Mail:
    def __init__(self, session, envelope):
        self.peer = session.peer
        self.sender = "" if envelope.mail_from == "<>" else envelope.mail_from
        self.to = list(envelope.rcpt_tos)
        self.content = envelope.content
        self.tls = session.ssl is not None
        self.login = getattr(session, "sekimori_login", None)


class Keeper:
    """Keeps each mail; `reply` of a recipient or of "data" may be set to refuse."""

    def __init__(self):
        self.mails = []
        self.replies = {}
        self.connections = 0
        self.delay = 0

    async def handle_MAIL(self, server, session, envelope, address, options):
        if self.replies.get("mail:" + address):
            return self.replies["mail:" + address]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if self.replies.get(address):
            return self.replies[address]
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.replies.get("data"):
            return self.replies["data"]
        self.mails.append(Mail(session, envelope))
        return "250 2.0.0 Kept"


class Sink:
    """A real SMTP server on a port; see Keeper. Stops and starts again as often as a test likes."""

    def __init__(self, port, tls=None, implicit=False, auth=None, start=True, host="127.0.0.1"):
        self.port, self.host, self.tls, self.implicit, self.auth = port, host, tls, implicit, auth
        self.keeper = Keeper()
        self.logins = []
        self.loop = None
        if start:
            self.start()

    def _authenticate(self, server, session, envelope, mechanism, data):
        if not isinstance(data, LoginPassword):
            return AuthResult(success=False, handled=False)
        pair = (data.login.decode(), data.password.decode())
        self.logins.append((mechanism, *pair))
        if pair == self.auth:
            session.sekimori_login = pair[0]
            return AuthResult(success=True, auth_data=pair[0])
        return AuthResult(success=False, handled=False)

    def _protocol(self):
        self.keeper.connections += 1
        options = {"hostname": "sink.provider.example", "loop": self.loop}
        if self.tls and not self.implicit:
            options.update(tls_context=self.tls, require_starttls=True)
        if self.auth:
            options.update(authenticator=self._authenticate, auth_required=True,
                           auth_require_tls=bool(self.tls) and not self.implicit)
        return SMTP(self.keeper, **options)

    def start(self):
        started = threading.Event()

        def work():
            asyncio.set_event_loop(self.loop)
            self.server = self.loop.run_until_complete(self.loop.create_server(
                self._protocol, self.host, self.port, ssl=self.tls if self.implicit else None))
            started.set()
            self.loop.run_forever()
            self.server.close()
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            self.loop.run_until_complete(asyncio.sleep(0))
            self.loop.close()

        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=work, daemon=True)
        self.thread.start()
        assert started.wait(house.WAIT)
        return self

    def stop(self):
        if self.loop:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self.thread.join(house.WAIT)
            self.loop = None

    close = stop

    @property
    def mails(self):
        return self.keeper.mails

    def wait(self, count=1, bound=house.WAIT):
        house.wait_for(lambda: f"{count} mails at the sink, {len(self.mails)} came",
                       lambda: len(self.mails) >= count, bound)
        return self.mails[count - 1]


def stays(look, seconds=1.0):
    """True while look() holds over a stretch of time: for what must not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not look():
            return False
        time.sleep(0.02)
    return True


class Script:
    """
    The usual course of a session with an answer replaced here and there: Script(data="554 no") answers the content so.
    Steps: greeting, ehlo, starttls, auth, mail, rcpt, DATA (the command), data (the content), quit, rset. An answer is
    a text without CRLF, or a function of the connection that says and does as it likes and ends the session by
    returning False.
    """

    usual = {
        "greeting": "220 scripted.example ESMTP", "ehlo": "250-scripted.example\r\n250-PIPELINING\r\n250 8BITMIME",
        "helo": "250 scripted.example", "starttls": "220 go on", "auth": "235 2.7.0 fine", "mail": "250 2.1.0 fine",
        "rcpt": "250 2.1.5 fine", "DATA": "354 go on", "data": "250 2.0.0 kept", "quit": "221 bye", "rset": "250 fine",
    }

    def __init__(self, port, tls=None, implicit=False, host="127.0.0.1", **answers):
        self.answers = {**self.usual, **answers}
        self.tls, self.implicit = tls, implicit
        self.commands = []
        self.contents = []
        self.server = talk.Server(port, self.play, host)

    @property
    def count(self):
        return self.server.count

    def close(self):
        self.server.close()

    def say(self, t, step):
        answer = self.answers[step]
        if callable(answer):
            return answer(t) is not False
        t.send(answer + "\r\n")
        return True

    def play(self, t, _number):
        if self.implicit:
            t.serve_tls(self.tls)
        going = self.say(t, "greeting")
        while going:
            line = t.line()
            if not line:
                return
            self.commands.append(line.rstrip("\r\n"))
            verb = line.split()[0].lower() if line.split() else ""
            if verb == "data":
                going = self.say(t, "DATA") and (not str(self.answers["DATA"]).startswith("354") or self.content(t))
            elif verb in self.answers:
                going = self.say(t, verb)
                if verb == "starttls" and going and self.tls and str(self.answers["starttls"]).startswith("220"):
                    t.serve_tls(self.tls)
                going = going and verb != "quit"
            else:
                t.send("500 what\r\n")

    def content(self, t):
        lines = []
        while True:
            line = t.line()
            if not line:
                return False
            if line == ".\r\n":
                break
            lines.append(line)
        self.contents.append("".join(lines))
        return self.say(t, "data")
