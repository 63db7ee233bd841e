"""What we write in front of a mail (R17): Received as RFC 5321 4.4 and RFC 3848 have it, Authentication-Results exactly as RFC 8601."""

import email.utils
import re
import smtplib
import socket
import ssl

import pytest
import talk

U1 = "user1@test-sample.jp"
CONTENT = f"From: {U1}\r\nX-First: 1\r\n\r\nx\r\n"


class Grammar:
    """RFC 8601 2.2 by descent, on an unfolded body; raises ValueError where it doesn't fit."""

    TOKEN = r"[!#$%&'*+.^_`{|}~0-9A-Za-z-]+"
    QUOTED = r'"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\[\x20-\x7e])*"'
    ATEXT = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
    LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
    KEYWORD = LABEL
    PVALUE = rf"(?:(?:(?:{ATEXT}(?:\.{ATEXT})*|{QUOTED})?@)?{LABEL}(?:\.{LABEL})+|{TOKEN}|{QUOTED})"

    def __init__(self, text):
        self.text, self.at = text, 0

    def take(self, pattern, what):
        match = re.compile(pattern).match(self.text, self.at)
        if not match:
            raise ValueError(f"no {what} at {self.text[self.at:]!r}")
        self.at = match.end()
        return match.group(0)

    def space(self):
        while self.at < len(self.text):
            if self.text[self.at] in " \t":
                self.at += 1
            elif self.text[self.at] == "(":
                self.comment()
            else:
                return

    def comment(self):
        self.take(r"\(", "comment")
        while self.text[self.at] != ")":
            if self.text[self.at] == "(":
                self.comment()
            else:
                self.take(r"\\.|[^()\\]", "comment text")
        self.at += 1

    def parse(self):
        self.space()
        host = self.take(rf"{self.TOKEN}|{self.QUOTED}", "authserv-id")
        self.space()
        if self.text[self.at:self.at + 1].isdigit():
            self.take("[0-9]+", "version")
        results = []
        while self.at < len(self.text):
            self.space()
            self.take(";", "semicolon")
            self.space()
            method = self.take(self.KEYWORD, "method")
            self.space()
            self.take("=", "=")
            self.space()
            results.append((method, self.take(self.KEYWORD, "result"), {}))
            self.properties(results[-1][2])
        if not results:
            raise ValueError("no result")
        return host, results

    def properties(self, found):
        while True:
            before = self.at
            self.space()
            if self.at == len(self.text) or self.text[self.at] == ";":
                return
            if self.at == before:
                raise ValueError(f"no blank before {self.text[self.at:]!r}")
            kind = self.take("smtp|header|body|policy", "ptype")
            self.space()
            self.take(r"\.", "dot")
            self.space()
            name = self.take(self.KEYWORD, "property")
            self.space()
            self.take("=", "=")
            self.space()
            value = self.take(rf"{self.PVALUE}(?=[ \t;(]|$)", "pvalue")
            found[f"{kind}.{name}"] = value


def unfolded(raw, name):
    header = raw.decode("latin-1").partition("\r\n\r\n")[0] + "\r\n"
    fields = re.findall(rf"^{name}:(.*(?:\r\n[ \t].*)*)\r\n", header, re.M)
    return [re.sub(r"\r\n(?=[ \t])", "", f) for f in fields]


def results(raw):
    (field,) = unfolded(raw, "Authentication-Results")
    host, found = Grammar(field).parse()
    assert host == "mail.test-sample.jp" and len(found) == 1
    return found[0]


def test_the_parser_refuses():
    for bad in ("", "host", "host;", "ho st; auth=pass", "host; auth", "host; auth=pass smtp.a", "host; auth=passsmtp.a=b",
                "host; auth=pass smtp.mailfrom=a..b@x.jp", "host; auth=pass smtp.mailfrom=a;b@x.jp", "host; auth=pass x=y",
                "host; auth=pass smtp.mailfrom=\"a\"b", "host; auth=pass smtp.mailfrom=a@localhost", "host; none x"):
        with pytest.raises((ValueError, IndexError)):
            Grammar(bad).parse()
    assert Grammar(' h (c) 1; auth=pass (x) smtp.auth="a\\"b" smtp.mailfrom=u@x.jp; spf=none').parse()[1][1][0] == "spf"


@pytest.mark.parametrize("sender", [
    U1, "User1@Test-Sample.JP", '"user1"@test-sample.jp', "info@test-sample.jp", "", "a..b@docomo.ne.jp", ".a@docomo.ne.jp", "a.@ezweb.ne.jp",
    '"a;b c"@example.net', '"a\\"(b"@example.net', "a=b/c@example.net", "u@localhost", "u@[192.0.2.1]", "u@[IPv6:2001:db8::1]", "a(b;c@example.net",
])
def test_authentication_results(gate, sink, sender):
    gate.set("trust", level="1").start()
    with gate.login() as t:
        reply = t.mail(sender=sender, content=CONTENT)
    assert reply.code == 250, reply
    method, result, properties = results(sink.wait(1).content)
    assert (method, result) == ("auth", "pass") and properties.pop("smtp.auth") == U1
    said = properties.get("smtp.mailfrom", "")
    if said != sender:
        assert re.sub(r"\\(.)", r"\1", said[1:-1]) == sender


@pytest.fixture
def everybody(gate, sink):
    gate.sink = sink
    gate.set("listen submission", auth="optional").set("trust", level="1")
    gate.set("device mfp1", ip="127.0.0.2", sender="mfp1@test-sample.jp").set("peer mailserver", ip="127.0.0.3")
    return gate.start()


def enter(gate, source, tls=None, hello="EHLO", name="client.example"):
    t = talk.Talk(sock=socket.create_connection(("127.0.0.1", gate.port), 30, (source, 0)))
    t.reply()
    if tls:
        t.cmd("EHLO x")
        assert t.cmd("STARTTLS").code == 220
        t.starttls(tls, "localhost")
    assert t.cmd(f"{hello} {name}").code == 250
    return t


RECEIVED = re.compile(
    r" from (?P<helo>[\w.:\[\]-]+|\S+)\s+\((?P<client>\[[^\]]+\])\)\s+by mail\.test-sample\.jp with (?P<with>\w+)"
    r"(?:\s+\((?P<tls>TLSv1\.[23]) cipher (?P<cipher>[\w-]+)\))?\s+id (?P<id>B\w{10})(?:\s+for <(?P<for>[^>]+)>)?;\s+(?P<date>.*)")


@pytest.mark.parametrize("source, sender, trust", [("127.0.0.1", U1, "account"), ("127.0.0.2", "mfp1@test-sample.jp", "device"),
                                                   ("127.0.0.3", "x@example.net", "peer")])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("hello", ["EHLO", "HELO"])
def test_received(everybody, tls_client, source, sender, trust, tls, hello):
    if trust == "account" and hello == "HELO":
        return  # no AUTH without EHLO
    with enter(everybody, source, tls_client if tls else None, hello) as t:
        if trust == "account":
            assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 235
        cipher = t.sock.cipher()[0] if tls else None
        version = t.sock.version() if tls else None
        assert t.mail(sender=sender, content=CONTENT).code == 250
    mail = everybody.sink.wait(1)
    (field,) = unfolded(mail.content, "Received")
    got = RECEIVED.fullmatch(field)
    assert got, field
    expected = "SMTP" if hello == "HELO" else "ESMTP" + ("S" if tls else "") + ("A" if trust == "account" else "")
    assert got["with"] == expected and got["helo"] == "client.example" and got["client"] == f"[{source}]"
    assert got["tls"] == version and (not tls or same_cipher(got["cipher"], cipher))
    assert got["for"] == "friend@example.net" and email.utils.parsedate_to_datetime(got["date"])
    assert everybody.wait_log(rf"message id={got['id']} verdict=accepted")
    method, result, properties = results(mail.content)
    assert (method, result) == ("auth", "pass" if trust == "account" else "none")
    assert ("smtp.auth" in properties) == (trust == "account") and properties["smtp.mailfrom"] == sender


def same_cipher(ours, openssl):
    """IANA's name in either library's spelling: the parts that both have."""
    def parts(name):
        return {p for p in re.split(r"[-_]", name.upper()) if p not in ("TLS1", "3", "TLS", "WITH", "AES256", "AES128", "AES", "256", "128")}
    return bool(parts(ours) & parts(openssl))


def test_implicit_tls(everybody, tls_client):
    with smtplib.SMTP_SSL("127.0.0.1", everybody.tls_port, context=tls_client, local_hostname="pc.example") as s:
        s.login(U1, "user1234")
        s.sendmail(U1, ["a@example.net", "b@example.net"], CONTENT)
    (field,) = unfolded(everybody.sink.wait(1).content, "Received")
    got = RECEIVED.fullmatch(field)
    assert got and got["with"] == "ESMTPSA" and got["tls"] and got["for"] is None, "several recipients don't see each other"


@pytest.mark.parametrize("name", ["a)b(c", "x (evil [1.2.3.4])", "a;b", "[127.0.0.1]", "x" * 250, "-"])
def test_a_name_writes_no_clauses(everybody, name):
    with enter(everybody, "127.0.0.3", name=name) as t:
        assert t.mail(sender="x@example.net", content=CONTENT).code == 250
    (field,) = unfolded(everybody.sink.wait(1).content, "Received")
    got = RECEIVED.fullmatch(field)
    assert got and got["client"] == "[127.0.0.3]" and not set(got["helo"]) & set("();\"\\<>@ ")
    assert not [line for line in everybody.sink.mails[0].content.split(b"\r\n") if len(line) > 998]


def test_version_of_tls_is_told(gate, sink, certs):
    gate.start()
    context = ssl.create_default_context(cafile=str(certs / "ca.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with enter(gate, "127.0.0.1", context) as t:
        assert t.cmd("AUTH PLAIN " + talk.plain(U1, "user1234")).code == 235
        assert t.mail(content=CONTENT).code == 250
    (field,) = unfolded(sink.wait(1).content, "Received")
    assert RECEIVED.fullmatch(field)["tls"] == "TLSv1.2"
