"""The keyed stamp and `sekimori verify` (R17): did this mail pass here, as whom, and what was changed since."""

import base64
import email
import email.policy
import hashlib
import hmac
import json
import os
import re
import socket

import pytest
import talk

U1 = "user1@test-sample.jp"
SECRET = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HEADER = f"From: Taro <{U1}>\r\nSubject: x\r\nMessage-ID: <one@test-sample.jp>\r\nDate: Mon, 1 Jan 2024 00:00:00 +0900\r\n"
BODY = "\r\nline one\r\n..dots  and\tblanks \r\n\r\nFrom here on\r\n\r\n\r\n"


@pytest.fixture
def stamping(gate, sink):
    gate.sink = sink
    gate.keys = gate.secret("stamp.key", f"k1:{SECRET}\n")
    return gate.set("stamp", key_file=gate.keys)


def passed(gate, content=HEADER + BODY, count=1, sender=U1):
    with gate.login() as t:
        assert t.mail(sender=sender, content=content).code == 250
    return gate.sink.wait(count).content


def verify(gate, raw, *args):
    path = gate.dir / "mail"
    path.write_bytes(raw)
    return gate.cmd("verify", *args, path)


def said(gate, raw):
    result = verify(gate, raw, "--json")
    assert result.returncode in (0, 1) and not result.stderr, result
    found = json.loads(result.stdout)
    assert (found["result"] == "intact") == (result.returncode == 0)
    return found


def relaxed(body):
    """RFC 6376 3.4.4, once more."""
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    while lines and not lines[-1]:
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def test_the_stamp_is_what_it_says(stamping):
    raw = passed(stamping.start())
    mail = email.message_from_bytes(raw, policy=email.policy.compat32)
    stamp = re.sub(r"\s", "", mail["X-Sekimori-Stamp"])
    host, _, rest = stamp.partition(";")
    tags = dict(part.split("=", 1) for part in rest.split(";"))
    queued = stamping.wait_log(r"message id=(\S+) verdict=accepted").group(1)
    assert host == "mail.test-sample.jp"
    assert (tags["v"], tags["k"], tags["i"], tags["p"]) == ("1", "k1", queued, "account")
    assert tags["a"] == tags["f"] == tags["h"] == U1 and tags["m"] == "<one@test-sample.jp>"
    body = raw.partition(b"\r\n\r\n")[2]
    assert base64.b64decode(tags["b"]) == hashlib.sha256(relaxed(body)).digest()
    assert base64.b64decode(tags["c"]) == hashlib.sha256(f"1:Taro <{U1}>".encode()).digest()
    sealed = stamp[:stamp.rindex("s=") + 2].encode()
    assert base64.b64decode(tags["s"]) == hmac.new(SECRET.encode(), sealed, "sha256").digest()
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert raw.endswith((HEADER + BODY.replace("\r\n..", "\r\n.")).encode()), "nothing but added in front"


def test_intact_however_it_was_saved(stamping):
    raw = passed(stamping.start())
    found = said(stamping, raw)
    assert found["result"] == "intact" and found["changed"] == []
    assert (found["account"], found["envelope"], found["from"], found["kind"]) == (U1, U1, U1, "account")
    assert found["message_id"] == "<one@test-sample.jp>" and found["key"] == "k1" and found["host"] == "mail.test-sample.jp"
    unix = raw.replace(b"\r\n", b"\n")
    mbox = b"From user1@test-sample.jp Mon Jan  1 00:00:00 2024\n" + unix.replace(b"\nFrom here", b"\n>From here") + b"\n"
    head, _, body = raw.partition(b"\r\n\r\n")
    stamp = re.search(rb"X-Sekimori-Stamp:.*?\r\n(?![ \t])", raw, re.S).group(0)
    for saved in (unix, mbox, b"\xef\xbb\xbf" + raw, raw.rstrip() + b"\r\n", raw.rstrip(), raw + b"\r\n\r\n",
                  b"Received: from a by b; Mon, 1 Jan 2024 00:00:00 +0900\r\nDelivered-To: x\r\n" + raw,
                  head.replace(b"Subject: x", b"Subject: [list] y") + b"\r\n\r\n" + body,
                  head + b"\r\n\r\n" + body.replace(b"blanks \r\n", b"blanks\r\n"),
                  raw.replace(stamp, re.sub(rb"\r\n\t", b"\r\n ", stamp)), raw.replace(stamp, re.sub(rb"\r\n\t", b" ", stamp)),
                  raw.replace(stamp, b"").replace(b"Subject: x\r\n", b"Subject: x\r\n" + stamp)):
        assert said(stamping, saved)["result"] == "intact", saved
    assert stamping.cmd("verify", "-", input=raw.decode()).returncode == 0


@pytest.mark.parametrize("change, what", [
    ((f"From: Taro <{U1}>", "From: Taro <user2@test-sample.jp>"), ["from"]),
    ((f"From: Taro <{U1}>", f"From: Boss <{U1}>"), ["from-name"]),
    ((f"From: Taro <{U1}>", f"From: Taro <{U1}>\r\nFrom: Boss <boss@test-sample.jp>"), ["from"]),
    ((f"From: Taro <{U1}>\r\n", ""), ["from"]),
    (("<one@test-sample.jp>\r\nDate", "<two@test-sample.jp>\r\nDate"), ["message-id"]),
    (("line one", "line two"), ["body"]),
    (("line one", "line one\r\nmore"), ["body"]),
    (("From here on\r\n", ""), ["body"]),
    ((f"From: Taro <{U1}>\r\nSubject: x", "From: a@b\r\nMessage-ID: <x@y>\r\n\r\nx"), ["from", "message-id", "body"]),
])
def test_what_was_changed(stamping, change, what):
    raw = passed(stamping.start()).decode()
    changed = raw.replace(*change)
    assert changed != raw
    found = said(stamping, changed.encode())
    assert found["result"] == "changed" and found["changed"] == what and found["account"] == U1
    words = verify(stamping, changed.encode()).stdout
    assert words.startswith("changed: this mail passed here, but") and words.count("\nchanged:") == len(what)


def test_not_ours(stamping):
    raw = passed(stamping.start())
    stamp = re.search(rb"X-Sekimori-Stamp:.*?\r\n(?![ \t])", raw, re.S).group(0)
    for fake, result in ((b"", "none"), (stamp.replace(b"a=user1", b"a=user2"), "forged"), (stamp.replace(b"; t=1", b"; t=2"), "forged"),
                         (stamp.replace(b"X-Sekimori-Stamp: mail", b"X-Sekimori-Stamp: nail"), "forged"),
                         (stamp.replace(b"k=k1", b"k=k2"), "unknown-key"), (b"X-Sekimori-Stamp: x\r\n", "damaged"),
                         (re.sub(rb"s=[^\r]*", b"s=", stamp), "forged"), (re.sub(rb"s=[^\r]*", b"s=AAAA", stamp), "forged")):
        assert said(stamping, raw.replace(stamp, fake))["result"] == result, fake
    assert said(stamping, raw.replace(stamp, b"X-Sekimori-Stamp: x\r\n" + stamp))["result"] == "intact", "the genuine one counts"
    for bad in (b"", b"no mail\n", b"From a@b Mon Jan  1 00:00:00 2024\nA: b\n\nx\n\nFrom c@d Mon Jan  1 00:00:00 2024\nA: b\n\ny\n"):
        assert verify(stamping, bad).returncode == 65, bad
    assert stamping.cmd("verify", "/nonexistent").returncode == 65
    assert stamping.cmd("verify").returncode == stamping.cmd("verify", "--what").returncode == 64


def test_a_clients_own_stamp_is_removed(stamping):
    """Even a genuine one: it says something of another mail."""
    raw = passed(stamping.start())
    stamp = re.search(rb"X-Sekimori-Stamp:.*?\r\n(?![ \t])", raw, re.S).group(0).decode()
    again = passed(stamping, stamp + HEADER.replace("<one@", "<two@") + BODY, count=2)
    assert again.count(b"X-Sekimori-Stamp:") == 1 and said(stamping, again)["message_id"] == "<two@test-sample.jp>"
    stamping.wait_log("message .*removed=stamp")


def test_every_kind_of_mail(stamping):
    """Repairs, the null sender, odd addresses, no body at all, a large one: what leaves is what is stamped."""
    stamping.set("trust", level=1).set("listen submission", auth="optional").set("server", max_message_size="4M")
    stamping.set("device mfp1", ip="127.0.0.2", sender="mfp1@test-sample.jp", rewrite_from="yes")
    stamping.set("peer mailserver", ip="127.0.0.3")
    stamping.start()
    long = "x" * 998
    mails = [
        ("", f"From: {U1}\r\n\r\nx\r\n"), (U1, f"From: {U1}\r\n"), (U1, f"From: {U1}\r\n\r\n"), (U1, "Subject: no from\r\n\r\nx\r\n"),
        ('"a; b%"@example.net', "From: =?utf-8?q?x?= <a;b>\r\nMessage-ID: (c) <x y;%>\r\n\r\n" + f"{long}\r\n..\r\n" * 1000),
        (U1, f"From: a@b, {U1}\r\nFrom: c@d\r\n\r\nx \t \r\n"), (U1, f"From: \udce3\udc81\udc82 <{U1}>\r\n\r\n\udcff\r\n"),
        (U1, "Message-ID:\r\n <" + "m" * 500 + f"@x>\r\nFrom: {U1}\r\n\r\n..\r\n"),
    ]
    for i, (sender, content) in enumerate(mails):
        raw = passed(stamping, content.encode(errors="surrogateescape"), i + 1, sender)
        found = said(stamping, raw)
        assert found["result"] == "intact", (content[:200], found)
        assert found["envelope"] == sender
    for source, sender, kind, name in (("127.0.0.2", "mfp1@test-sample.jp", "device", "mfp1"), ("127.0.0.3", "x@example.net", "peer", "mailserver")):
        with talk.Talk(sock=socket.create_connection(("127.0.0.1", stamping.port), 30, (source, 0))) as t:
            t.ehlo()
            assert t.mail(sender=sender, content=f"From: Scan <{U1}>\r\n\r\nx\r\n").code == 250
        count = len(mails) + (1 if kind == "device" else 2)
        found = said(stamping, stamping.sink.wait(count).content)
        assert found["result"] == "intact" and found["kind"] == kind and found["account"] == name, found
        assert found["from"] == (sender if kind == "device" else U1)


def test_keys_come_and_go(stamping):
    """A new key on top seals after a reload; the old one is still known, until it is taken away."""
    old = passed(stamping.start())
    result = stamping.cmd("verify", "--new-key")
    assert result.returncode == 0, result
    lines = stamping.keys.read_text().splitlines()
    assert lines[1] == f"k1:{SECRET}" and lines[0].startswith("k2") and os.stat(stamping.keys).st_mode & 0o777 == 0o600
    new = lines[0].split(":")[0]
    assert new in result.stdout and lines[0].split(":")[1] not in result.stdout
    assert stamping.cmd("reload").returncode == 0
    raw = passed(stamping, count=2)
    assert said(stamping, raw)["key"] == new and said(stamping, old)["key"] == "k1"
    assert stamping.cmd("verify", "--new-key").returncode == 0
    assert stamping.keys.read_text().splitlines()[1:] == lines
    stamping.secret("stamp.key", lines[0] + "\n")
    assert said(stamping, old)["result"] == "unknown-key" and said(stamping, raw)["result"] == "intact"


def test_the_first_key(gate, sink):
    gate.sink = sink
    keys = gate.dir / "new.key"
    gate.set("stamp", key_file=keys).write()
    assert gate.cmd("check").returncode == 78
    assert gate.cmd("verify", "--new-key").returncode == 0
    assert re.search(r"^stamp: sealed with key k\d+; 1 keys in .*new\.key$", gate.cmd("check").stdout, re.M)
    assert os.stat(keys).st_mode & 0o777 in (0o600, 0o640)
    gate.start()
    assert said(gate, passed(gate))["result"] == "intact"


def test_what_is_wrong_with_keys(stamping):
    stamping.write()
    path = stamping.dir / "mail"
    path.write_text("A: b\n\nx\n")
    for text, mode, what in ((f"k1:{SECRET}\n", 0o644, "open to others"), (f"k1:{SECRET}\n", 0o660, "open to others"),
                             ("", 0o600, "there is no key"), (f"{SECRET}\n", 0o600, "must be ID:SECRET"), ("k1:short\n", 0o600, "must have 22")):
        stamping.secret("stamp.key", text)
        stamping.keys.chmod(mode)
        for command in (["check"], ["verify", path], ["run", "-f"]):
            result = stamping.cmd(*command)
            assert result.returncode == 78 and what in result.stdout + result.stderr and SECRET not in result.stderr, result
    stamping.set("stamp", key_file=None).write()
    result = stamping.cmd("verify", path)
    assert result.returncode == 78 and "key_file" in result.stderr


def test_no_key_no_stamp(live):
    assert b"X-Sekimori-Stamp" not in passed(live)


def test_passed_on_while_it_comes_in(stamping):
    """[relay] mode = direct: our fields leave before the body is known. A mail that gets into the queue after all is sealed whole."""
    stamping.set("relay", mode="direct").start()
    raw = passed(stamping)
    found = said(stamping, raw)
    assert found["result"] == "header-only" and found["account"] == U1 and found["changed"] == []
    assert said(stamping, raw.replace(b"Taro", b"Boss"))["changed"] == ["from-name"]
    stamping.sink.stop()
    with stamping.login() as t:
        assert t.mail(content=HEADER + BODY).code == 250
    stamping.sink.start()
    assert said(stamping, stamping.sink.wait(2).content)["result"] == "intact"


@pytest.mark.parametrize("top", [
    b"From\r\n : Boss <ceo@test-sample.jp>\r\n", b"Fr\x00om: Boss <ceo@test-sample.jp>\r\n", b"From\x80: Boss <ceo@test-sample.jp>\r\n",
    b" From: Boss <ceo@test-sample.jp>\r\n", b"X: y\rFrom: Boss <ceo@test-sample.jp>\r\n", b"X: y\r\r\nFrom\x0b: Boss <ceo@test-sample.jp>\r\n",
])
def test_a_from_that_only_other_readers_see(stamping, top):
    raw = passed(stamping.start())
    assert said(stamping, raw)["changed"] == []
    assert said(stamping, b"X: from\r\n\tfrom: here\r\nX-From: y\r\n" + raw)["changed"] == []
    assert said(stamping, top + raw)["changed"] == ["from"]
    assert "some programs read as another From:" in verify(stamping, top + raw).stdout
