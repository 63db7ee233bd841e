"""
The world of the guide, in a network of its own beside the gate's: names, addresses, and the servers that are there. Run as
guide_world.py CERTS it obeys the words of standard input: start, stop, find ID.
"""

import http.server
import os
import ssl
import subprocess
import sys
import threading

PROVIDER = "203.0.113.25"
MAILSERVER = "192.168.100.10"
NAMES = {
    "mail.test-sample.jp": "192.168.0.103",
    "mailserver.test-sample.jp": MAILSERVER,
    "smtp.provider.example": PROVIDER,
    "pop.provider.example": PROVIDER,
    "login.microsoftonline.com": PROVIDER,
}
OURS = ("192.168.0.103/24", "192.168.100.20/24", "203.0.113.1/24")
THEIRS = ("192.168.0.50/24", MAILSERVER + "/24", PROVIDER + "/24")
CERTIFICATE = ",".join(f"DNS:{name}" for name in NAMES)


def sh(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)


def give(addresses):
    sh("ip", "link", "set", "lo", "up")
    for address in addresses:
        sh("ip", "address", "add", address, "dev", "lan")
    sh("ip", "link", "set", "lan", "up")


class World:
    """Seen from the gate's side."""

    def __init__(self, certs):
        self.process = subprocess.Popen(["unshare", "--net", sys.executable, __file__, certs],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answer()
        sh("ip", "link", "add", "lan", "type", "veth", "peer", "name", "lan", "netns", str(self.process.pid))
        give(OURS)
        self.ask("go")

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "the world has ended"
        return line.strip()

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return self.answer()

    def start(self):
        self.ask("start")

    def stop(self):
        self.ask("stop")

    def find(self, name):
        """The mail with this queue id, or nothing."""
        return bytes.fromhex(self.ask(f"find {name}").partition(" ")[2])

    def prefix(self, address):
        return f"nsenter --net=/proc/{self.process.pid}/ns/net swaks --local-interface {address} "


def give_tokens(context):
    """What a token endpoint does."""
    class Endpoint(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
            good = "grant_type=client_credentials" in asked and asked.endswith("client_secret=secret-of-the-application")
            answer = b'{"token_type":"Bearer","expires_in":3599,"access_token":"eyJ0"}'
            self.send_response(200 if good else 400)
            self.send_header("Content-Length", str(len(answer)))  # else its end is that of TLS, which this server doesn't tell
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((PROVIDER, 443), Endpoint)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(certs):
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import upstream  # only here: what it needs isn't needed on the gate's side

    def say(word):
        print(word, flush=True)

    say("here")
    sys.stdin.readline()
    give(THEIRS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.path.join(certs, "world.pem"), os.path.join(certs, "world.key"))
    logins = {PROVIDER: "office@provider.example", MAILSERVER: "agent@test-sample.jp"}
    sinks = [upstream.Sink(587, tls=context, host=host, auth=(user, "office1234")) for host, user in logins.items()]
    give_tokens(context)
    say("ready")
    for line in sys.stdin:
        word, name = (line.split() + [""])[:2]
        if word == "start":
            [sink.start() for sink in sinks if sink.loop is None]
        elif word == "stop":
            [sink.stop() for sink in sinks]
        found = [mail.content.hex() for mail in sinks[0].mails if name and name.encode() in mail.content]
        say("done " + "".join(found[:1]))


if __name__ == "__main__":
    main(sys.argv[1])
