"""A mail client and a mail server by hand, over plain sockets: they say just what a test says, and no more."""

import base64
import hashlib
import hmac
import socket
import ssl
import threading

TIMEOUT = 30  # s; a bound, not an expectation: sanitizers on two shared cores are slow


def plain(user, password, authzid=""):
    return base64.b64encode(f"{authzid}\0{user}\0{password}".encode()).decode()


def b64(text):
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


class Reply:
    def __init__(self, lines):
        self.lines = lines
        self.text = "\n".join(lines)
        self.code = int(lines[-1][:3]) if lines and lines[-1][:3].isdigit() else 0

    def __repr__(self):
        return f"<{self.text}>"


class Talk:
    """One connection, either side of it. The end of the connection reads as an empty line."""

    def __init__(self, address=None, sock=None):
        self.sock = sock or socket.create_connection(address, TIMEOUT)
        self.sock.settimeout(TIMEOUT)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Ends with RST: what a crashed or unplugged peer looks like."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def send(self, data):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def line(self):
        while b"\n" not in self.buffer:
            try:
                data = self.sock.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                return ""
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return (line + b"\n").decode("latin-1")

    def rest(self):
        """All that comes until the peer ends the connection."""
        data, self.buffer = self.buffer, b""
        while True:
            try:
                more = self.sock.recv(65536)
            except ConnectionError:
                return data
            if not more:
                return data
            data += more

    def reply(self):
        lines = []
        while True:
            line = self.line()
            lines.append(line.rstrip("\r\n"))
            if line[3:4] != "-":
                return Reply(lines)

    def cmd(self, line):
        self.send(line + "\r\n")
        return self.reply()

    def starttls(self, context, name=None):
        self.sock = context.wrap_socket(self.sock, server_hostname=name)

    def serve_tls(self, context):
        self.sock = context.wrap_socket(self.sock, server_side=True)

    # Whole steps of a client

    def ehlo(self):
        greeting = self.reply()
        assert greeting.code == 220, greeting
        return self.cmd("EHLO client.example")

    def login(self, user="user1@test-sample.jp", password="user1234"):
        self.ehlo()
        reply = self.cmd("AUTH PLAIN " + plain(user, password))
        assert reply.code == 235, reply
        return self

    def cram_md5(self, user, password):
        challenge = self.cmd("AUTH CRAM-MD5")
        assert challenge.code == 334, challenge
        digest = hmac.new(password.encode(), base64.b64decode(challenge.text[4:]), hashlib.md5).hexdigest()
        return self.cmd(b64(f"{user} {digest}"))

    def data(self, content):
        """DATA and the content, to which the final dot is added."""
        reply = self.cmd("DATA")
        if reply.code != 354:
            return reply
        self.send(content)
        self.send("\r\n.\r\n" if not content.endswith("\r\n" if isinstance(content, str) else b"\r\n") else ".\r\n")
        return self.reply()

    def mail(self, sender="user1@test-sample.jp", to=("friend@example.net",), content=None):
        """A whole mail; the first refusal, or the reply to the final dot."""
        for line in [f"MAIL FROM:<{sender}>"] + [f"RCPT TO:<{r}>" for r in to]:
            reply = self.cmd(line)
            if reply.code != 250:
                return reply
        return self.data(content or f"From: {sender}\r\nSubject: test\r\n\r\ntest\r\n")


class Server:
    """Accepts connections on a port and lets `script(talk, number)` play each of them, in a thread of its own."""

    def __init__(self, port, script, host="127.0.0.1"):
        self.script = script
        self.count = 0
        self.errors = []
        self.open = []
        self.sock = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            self.count += 1
            talk = Talk(sock=sock)
            self.open.append(talk)
            threading.Thread(target=self._play, args=(talk, self.count), daemon=True).start()

    def _play(self, talk, number):
        try:
            self.script(talk, number)
        except (OSError, ssl.SSLError, ValueError) as error:
            self.errors.append(error)
        finally:
            talk.close()

    def close(self):
        # Wakes accept(2), which closing alone doesn't.
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()
        for talk in self.open:
            talk.close()
