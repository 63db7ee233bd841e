"""A mail signed with DKIM by the sender's own program still verifies behind the gate (R68): only added in front, nothing changed."""

import base64
import subprocess

import pytest

dkim = pytest.importorskip("dkim", reason="python3-dkim is not installed: sh board/debian/needs check")

U1 = "user1@test-sample.jp"
HEADER = (f"From: Taro <{U1}>\r\nTo: friend@example.net\r\nSubject: signed\r\n"
          "Message-ID: <dkim@test-sample.jp>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0900\r\n")
LONG = "x" * 998
MAILS = {
    "plain": HEADER + "\r\nline one\r\nline two\r\n",
    "empty body": HEADER + "\r\n",
    "no body": HEADER,
    "trailing blanks": HEADER + "\r\none \t \r\ntwo  words\t\r\n \r\n\r\n\r\n",
    "dots": HEADER + "\r\n.\r\n..\r\n.leading\r\nmid.dle\r\n...\r\n",
    "long lines": HEADER + f"\r\n{LONG}\r\n.{LONG[1:]}\r\n" * 20,
    "8bit": HEADER + "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n日本語の本文\r\n",
    "iso-2022-jp": HEADER + "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + "日本語".encode("iso-2022-jp").decode("latin-1") + "\r\n",
    "folded": HEADER.replace("Subject: signed", "Subject: signed\r\n  and folded\t\r\n\tthrice") + "X-Empty:\r\n\r\nx\r\n",
    "of another host": "Authentication-Results: mx.elsewhere.example; spf=pass\r\n" + HEADER + "\r\nx\r\n",
    "large": HEADER + "\r\n" + ("0123456789abcdef" * 4 + "\r\n.\r\n \r\n") * 15000,
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """algorithm: (private key, TXT record)."""
    directory = tmp_path_factory.mktemp("dkim")
    rsa = directory / "rsa.pem"
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", rsa, "2048"], check=True, stderr=subprocess.DEVNULL)
    public = subprocess.run(["openssl", "rsa", "-in", rsa, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    found = {b"rsa-sha256": (rsa.read_bytes(), b"v=DKIM1; k=rsa; p=" + base64.b64encode(public))}
    signing = pytest.importorskip("nacl.signing", reason="python3-nacl is not installed: sh board/debian/needs check")
    key = signing.SigningKey(b"\x07" * 32)
    found[b"ed25519-sha256"] = (base64.b64encode(bytes(key)),
                                b"v=DKIM1; k=ed25519; p=" + base64.b64encode(bytes(key.verify_key)))
    return found


def octets(content):
    return content.encode("utf-8") if any(ord(c) > 255 for c in content) else content.encode("latin-1")


def stuffed(raw):
    """As on the wire (RFC 5321 4.5.2); talk sends just what it is given."""
    return b"".join(b"." + line if line.startswith(b".") else line for line in raw.splitlines(keepends=True))


def verifies(raw, record):
    return dkim.verify(raw, dnsfunc=lambda name, timeout=5: record)


@pytest.mark.parametrize("algorithm", [b"rsa-sha256", b"ed25519-sha256"])
@pytest.mark.parametrize("form", [(b"relaxed", b"relaxed"), (b"simple", b"simple"), (b"relaxed", b"simple")])
def test_still_verifies(live, keys, algorithm, form):
    private, record = keys[algorithm]
    with live.login() as t:
        for count, (name, content) in enumerate(MAILS.items()):
            raw = octets(content)
            signature = dkim.sign(raw, b"s1", b"test-sample.jp", private, canonicalize=form, signature_algorithm=algorithm,
                                  include_headers=[b"from", b"from", b"to", b"subject", b"date", b"message-id"])
            signed = signature + raw
            assert verifies(signed, record), name
            eight = b" BODY=8BITMIME" if any(c > 127 for c in raw) else b""
            for line in (b"MAIL FROM:<" + U1.encode() + b">" + eight, b"RCPT TO:<friend@example.net>"):
                t.send(line + b"\r\n")
                assert t.reply().code == 250
            assert t.data(stuffed(signed)).code == 250, name
            arrived = live.sink.wait(count + 1).content
            assert arrived.endswith(signed), name
            assert verifies(arrived, record), name
            assert not verifies(arrived.replace(b"Taro", b"Boss"), record), "the check itself can fail"


def test_with_a_stamp_and_removals(gate, sink, keys):
    """What we take out is ours alone: a signer has no cause to sign it. The stamp is one more field in front."""
    private, record = keys[b"rsa-sha256"]
    gate.set("stamp", key_file=gate.secret("stamp.key", "k1:" + "s" * 32 + "\n")).start()
    raw = (HEADER + "\r\nbody \r\n\r\n").encode()
    signed = dkim.sign(raw, b"s1", b"test-sample.jp", private) + raw
    ours = b"Authentication-Results: mail.test-sample.jp; auth=pass\r\nX-Sekimori-Verdict: x\r\n"
    with gate.login() as t:
        assert t.mail(content=ours + signed).code == 250
    arrived = sink.wait(1).content
    assert arrived.endswith(signed) and b"X-Sekimori-Stamp" in arrived and b"X-Sekimori-Verdict" not in arrived
    assert verifies(arrived, record)


def test_repaired(live, keys):
    """Repairs go in front as well: a mail signed without Date: and Message-ID: is given them and still verifies."""
    private, record = keys[b"rsa-sha256"]
    raw = f"From: {U1}\r\nSubject: bare\r\n\r\nx\r\n".encode()
    signed = dkim.sign(raw, b"s1", b"test-sample.jp", private, include_headers=[b"from", b"subject"]) + raw
    with live.login() as t:
        assert t.mail(content=signed).code == 250
    arrived = live.sink.wait(1).content
    assert b"Date:" in arrived and b"Message-ID:" in arrived and verifies(arrived, record)
