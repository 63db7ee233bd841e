"""
Clients and a sink in one loop, so that what happened before what is known without clocks: each mail has a number
of its own, and a tick counts all that either side sees.
"""

import asyncio
import base64
import random
import re
import threading

import house

U1 = "user1@test-sample.jp"
PLAIN = base64.b64encode(b"\0user1@test-sample.jp\0user1234").decode()
HEAD = re.compile(rb"\r\nX-Number: <(\d+)>\r\n")
LINE = b"All work and no play makes Jack a dull boy, and the log a long one.\r\n"


def content(number, octets):
    """A mail of about that size that can be checked when it arrives."""
    body = LINE * (octets // len(LINE) + 1)
    return b"From: %s\r\nX-Number: <%d>\r\nX-Octets: <%d>\r\n\r\n%send <%d>\r\n" % (
        U1.encode(), number, len(body), body, number)


def number_of(mail):
    """Of a whole mail; an error for a cut or mixed one."""
    number = HEAD.search(mail)
    assert number, mail[:2000]
    end = mail.index(b"\r\nX-Octets: <")
    octets = int(mail[end + 13:mail.index(b">", end + 13)])
    body = mail[mail.index(b"\r\n\r\n") + 4:]
    assert body == LINE * (octets // len(LINE)) + b"end <" + number[1] + b">\r\n", (len(body), octets, body[-300:])
    return int(number[1])


class Delivery:
    def __init__(self, life):
        self.life = life
        self.settled = None  # tick at which the gate had heard our 250: it went on on the same connection


class Fate:
    """Of a mail: what the client knows of it."""

    def __init__(self, life):
        self.life = life
        self.dot = None  # tick at which the final dot was sent
        self.code = 0  # the reply to it; 0: none came


class Torture:
    def __init__(self, gate, clients=6, octets=(200, 20000), seed=0, sink=True):
        self.gate, self.octets, self.seed = gate, octets, seed
        self.tick = 0
        self.life = 0
        self.sent = 0
        self.mails = {}  # number: Fate
        self.came = {}  # number: [Delivery, ...]
        self.replies = {}  # code of MAIL that wasn't 250: how often
        self.answer = b"250 2.0.0 kept\r\n"  # of the sink, to a whole mail
        self.later = set()  # numbers of those that the sink puts off
        self.octets_taken = 0  # by the gate, in mails that it acknowledged
        self.damaged = []
        self.clients, self.with_sink = clients, sink
        self.open = 0  # connections, of clients and to the sink
        self.sending = True
        self.server = None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._work, daemon=True)
        self.started = threading.Event()
        self.thread.start()
        assert self.started.wait(house.WAIT)

    # What came of it

    @property
    def acknowledged(self):
        return {n for n, fate in self.mails.copy().items() if fate.code == 250}

    @property
    def refused(self):
        return {n for n, fate in self.mails.copy().items() if fate.code >= 400}

    def settle(self, bound=house.WAIT):
        """No more mail; waits until each client has heard its last reply, and all that was acknowledged has come."""
        self.stop_sending()
        house.wait_until_none(lambda: f"acknowledged mails, such as {sorted(self.missing())[:9]}; log:\n{self.gate.log()[-3000:]}",
                              lambda: len(self.missing()), bound)

    def missing(self):
        return self.acknowledged - set(self.came)

    def check(self):
        """
        Nothing damaged, nothing that was refused or never ended, and nothing twice but what a crash left in doubt:
        not within one life of the gate, and not after its outcome had to be on disk. Its figures, in words.
        """
        assert not self.damaged, self.damaged[:3]
        wrong = [n for n in self.came if self.mails[n].dot is None or self.mails[n].code >= 400]
        assert not wrong, f"refused or not finished, and came: {[(n, self.mails[n].code) for n in wrong]}"
        flushed = {}  # life: the latest dot of a mail that was acknowledged in it
        for fate in self.mails.values():
            if fate.code == 250:
                flushed[fate.life] = max(flushed.get(fate.life, 0), fate.dot)
        twice = 0
        for number, deliveries in self.came.items():
            lives = [d.life for d in deliveries]
            assert len(lives) == len(set(lives)), f"{number} came twice in one life: {lives}"
            for d in deliveries[:-1]:
                # A mail that began after the outcome was recorded was acknowledged: so the outcome was on disk.
                assert d.settled is None or d.settled >= flushed.get(d.life, 0), f"{number} came again: {lives}"
            twice += len(deliveries) - 1
        doubt = sum(1 for n in self.came if self.mails[n].code == 0)
        return (f"{len(self.acknowledged)} acknowledged, all came; {doubt} came whose 250 was not heard; "
                f"{twice} second deliveries, all in doubt at a crash; {len(self.refused)} refused")

    # From the test's thread

    def end_life(self):
        """To be called with the gate dead: what it said last is heard before another life begins."""
        house.wait_for(lambda: f"the end of {self.open} connections", lambda: self.open == 0)
        self.life += 1

    def stop_sending(self):
        self.sending = False
        for _ in range(200):
            if not self.senders or all(s.done() for s in self.senders):
                break
            threading.Event().wait(0.05)
        assert all(s.done() for s in self.senders), "clients that got no answer"

    def add_clients(self, count):
        async def add():
            self.senders += [self.loop.create_task(self._client(len(self.senders) + n)) for n in range(count)]

        asyncio.run_coroutine_threadsafe(add(), self.loop).result(house.WAIT)

    def send(self, talk, number, octets):
        """A mail of the test's own, in one go; the reply."""
        fate = self.mails[number] = Fate(self.life)
        fate.dot = self.now()
        reply = talk.mail(content=content(number, octets))
        fate.code = reply.code
        return reply

    def start_sink(self):
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(house.WAIT)

    def close(self):
        self.sending = False
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(house.WAIT)

    # In the loop's thread

    def _work(self):
        asyncio.set_event_loop(self.loop)
        if self.with_sink:
            self.loop.run_until_complete(self._listen())
        self.senders = [self.loop.create_task(self._client(n)) for n in range(self.clients)]
        self.started.set()
        self.loop.run_forever()
        if self.server:
            self.server.close()
        tasks = asyncio.all_tasks(self.loop)
        for task in tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self.loop.close()

    async def _listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.gate.upstream_port, limit=1 << 24)

    def now(self):
        self.tick += 1
        return self.tick

    async def _serve(self, reader, writer):
        self.open += 1
        try:
            await self._session(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            writer.close()

    async def _session(self, reader, writer):
        fresh = None  # delivered, and the gate has not gone on yet
        writer.write(b"220 sink ESMTP\r\n")
        while True:
            line = await reader.readline()
            if not line:
                return
            if fresh:
                fresh.settled = self.now()
                fresh = None
            verb = line[:4].upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                mail = await reader.readuntil(b"\r\n.\r\n")
                if self.later and number_of(mail[:-3]) in self.later:
                    writer.write(b"450 4.2.1 later\r\n")
                    continue
                if self.answer.startswith(b"250"):
                    fresh = self._take(mail[:-3])
                writer.write(self.answer)
            elif verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            else:
                writer.write(b"250-sink\r\n250 8BITMIME\r\n" if verb == b"EHLO" else b"250 fine\r\n")

    def _take(self, mail):
        try:
            number = number_of(mail)
        except (AssertionError, ValueError) as error:
            self.damaged.append(str(error))
            return None
        delivery = Delivery(self.life)
        self.came.setdefault(number, []).append(delivery)
        return delivery

    async def _client(self, which):
        draw = random.Random(self.seed * 1000 + which)
        while self.sending:
            try:
                await self._talk(draw)
            except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await asyncio.sleep(0.01)

    async def _reply(self, reader):
        while True:
            line = await reader.readuntil(b"\n")
            if line[3:4] != b"-":
                return int(line[:3])

    async def _command(self, streams, line):
        streams[1].write(line.encode() + b"\r\n")
        return await self._reply(streams[0])

    async def _talk(self, draw):
        streams = await asyncio.open_connection("127.0.0.1", self.gate.port)
        heard = False
        try:
            # Where the listener's queue was full, the other end may never have heard of us.
            await asyncio.wait_for(self._reply(streams[0]), 5)
            heard = True
            self.open += 1
            await self._command(streams, "EHLO client.example")
            if await self._command(streams, "AUTH PLAIN " + PLAIN) != 235:
                return
            while self.sending:
                await self._mail(streams, draw)
        finally:
            self.open -= heard
            streams[1].close()

    async def _mail(self, streams, draw):
        code = await self._command(streams, f"MAIL FROM:<{U1}>")
        if code != 250:
            self.replies[code] = self.replies.get(code, 0) + 1
            await asyncio.sleep(0.05)
            return
        await self._command(streams, "RCPT TO:<friend@example.net>")
        if await self._command(streams, "DATA") != 354:
            return
        self.sent += 1
        number, fate = self.sent, Fate(self.life)
        self.mails[number] = fate
        mail = content(number, int(self.octets[0] * (self.octets[1] / self.octets[0]) ** draw.random()))
        streams[1].write(mail)
        await streams[1].drain()
        fate.dot = self.now()
        streams[1].write(b".\r\n")
        fate.code = await self._reply(streams[0])
        self.octets_taken += len(mail) * (fate.code == 250)
