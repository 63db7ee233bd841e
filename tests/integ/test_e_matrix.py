"""
e. The matrix (R1-R12, R14-R16, R21): who speaks x level x envelope x From: x the settings of [trust], each cell a live
transaction. What to expect comes from a model of its own below, written from the tables of the requirements.
"""

import random
import socket

import pytest

import talk

DOMAIN = "test-sample.jp"
OTHER, EXTERNAL, MFP = f"user2@{DOMAIN}", "someone@example.net", f"mfp1@{DOMAIN}"
SHARED, NOT_SHARED = f"sales@{DOMAIN}", f"support@{DOMAIN}"
NAMES = {1: "auth", 2: "auth=envelope", 3: "auth=envelope=from"}
PATIENCE = 14  # refusals of a session; twenty end it

# account: its own level and action
ACCOUNTS = {"user1": {}, "cram1": {}, "low1": {"level": 1}, "high1": {"level": 3}, "loose1": {"level": 3, "action": "log"}}
SOURCES = {"mfp1": "127.0.0.2", "peer": "127.0.0.3"}
SPEAKERS = [*ACCOUNTS, "mfp1", "peer", "nobody", "nobody-required"]
CHOICES = {"null_sender": ["from", "deny", "allow"], "subaddress": ["none", "+"], "from_alias": ["yes", "no"],
           "match": ["account", "exact"], "display_addr": ["log", "refuse"], "action": ["refuse", "refuse", "log", "tag"]}


def configurations():
    """Every level with the settings as they come, then others by the dozen; the same ones each time."""
    plain = {key: values[0] for key, values in CHOICES.items()}
    r = random.Random(4)
    for level, count in ((1, 2), (2, 7), (3, 12)):
        yield {"level": level, **plain}
        for key, values in CHOICES.items():
            if level == 3:
                yield {"level": level, **plain, key: values[1]} if key != "action" else {"level": level, **plain, key: "tag"}
        for _ in range(count):
            yield {"level": level, **{key: r.choice(values) for key, values in CHOICES.items()}}


# The model. An address is (text, key): what R6 makes of it.

def key(address):
    local, _, domain = address.rpartition("@")
    return (local.strip('"') + "@" + domain).lower()


def own(settings, who, address, alias):
    """R6, R7, R12."""
    local, _, domain = key(address).rpartition("@")
    if settings["subaddress"] == "+" and domain == DOMAIN:
        local = local.partition("+")[0]
    if domain != DOMAIN:
        return False
    if who == "mfp1":
        return key(address) == MFP
    return local == who or (alias and local in ("info-" + who, "sales"))


def level_of(settings, who):
    return ACCOUNTS.get(who, {}).get("level", settings["level"])


def lenient(settings, who):
    return ACCOUNTS.get(who, {}).get("action", settings["action"]) != "refuse"


def expect_mail(settings, who, envelope):
    if who.startswith("nobody"):
        return 530
    if who == "peer" or level_of(settings, who) == 1 or lenient(settings, who):
        return 250
    if envelope == "":
        return 550 if who == "mfp1" or settings["null_sender"] == "deny" else 250
    return 250 if own(settings, who, envelope, True) else 550


def good_from(settings, who, envelope, form):
    """R8-R10; form: (the one address or None, looks like somebody else, a foreign Sender:)."""
    address, misleading, _ = form
    if address is None or not own(settings, who, address, settings["from_alias"] == "yes"):
        return False
    if settings["match"] == "exact" and envelope and key(envelope) != key(address):
        return False
    return not (misleading and settings["display_addr"] == "refuse")


def expect_data(settings, who, envelope, form):
    level = level_of(settings, who)
    by_null = level == 2 and envelope == "" and settings["null_sender"] == "from"
    if who == "peer" or lenient(settings, who) or (level < 3 and not by_null):
        return 250
    good = good_from(settings, who, envelope, form) and not (form[2] and level == 3)
    return 250 if good else 552


def envelopes(who):
    local = who if who in ACCOUNTS or who == "mfp1" else "user1"
    return [f"{local}@{DOMAIN}", f"{local.upper()}@Test-Sample.JP", f'"{local}"@{DOMAIN}', f"info-{local}@{DOMAIN}", SHARED, NOT_SHARED,
            OTHER, EXTERNAL, "", f"{local}+tag@{DOMAIN}", f"{local}@sub.{DOMAIN}", f"{local}@{DOMAIN}.", f"{local}@[192.0.2.1]",
            f"{local}0@{DOMAIN}", f"x{local}@{DOMAIN}", f"{local}@{DOMAIN}.evil.example", MFP]


def forms(who):
    """The header, and what it says to the model."""
    local = who if who in ACCOUNTS or who == "mfp1" else "user1"
    me = f"{local}@{DOMAIN}"
    for address in (me, f"{local.upper()}@Test-Sample.JP", f'"{local}"@{DOMAIN}', f"info-{local}@{DOMAIN}", SHARED, NOT_SHARED, OTHER,
                    EXTERNAL, f"{local}+tag@{DOMAIN}", f"{local}@sub.{DOMAIN}", f"{local}0@{DOMAIN}"):
        yield f"From: Taro <{address}>", (address, False, False)
    yield f"From: {me}", (me, False, False)
    yield f'From: "{OTHER}" <{me}>', (me, True, False)
    yield f"From: {me}\r\nSender: {OTHER}", (me, False, True)
    for bad in ("Subject: none", "From:", f"From: {me}\r\nFrom: {me}", f"From: {me}, {OTHER}", f"From: G:{me};", f"From: <@a.example:{me}>",
                f"From: {local}\xe9@{DOMAIN}", f"From: {me}.", "From: Taro", f"From: {OTHER} (<{me}>)", f"From: <{me}"):
        yield bad, (None, False, False)


class Speaker:
    """Sessions of one of them, a new one before the gate loses its patience."""

    def __init__(self, gate, who):
        self.gate, self.who, self.talk, self.refused, self.cells = gate, who, None, PATIENCE, 0

    def close(self):
        if self.talk:
            self.talk.close()
        self.talk = None

    def session(self):
        if self.talk and self.refused < PATIENCE:
            return self.talk
        self.close()
        port = self.gate.required_port if self.who == "nobody-required" else self.gate.port
        self.talk = talk.Talk(sock=socket.create_connection(("127.0.0.1", port), 30, (SOURCES.get(self.who, "127.0.0.1"), 0)))
        self.talk.ehlo()
        if self.who == "cram1":
            assert self.talk.cram_md5(f"cram1@{DOMAIN}", "user1234").code == 235
        elif self.who in ACCOUNTS:
            assert self.talk.cmd("AUTH PLAIN " + talk.plain(self.who, "user1234")).code == 235
        self.refused = 0
        return self.talk

    def mail(self, envelope):
        """MAIL alone, and that a refused one opens nothing."""
        t = self.session()
        t.send(f"MAIL FROM:<{envelope}>\r\nRCPT TO:<a@example.net>\r\nRSET\r\n")
        mail, rcpt, rset = (t.reply().code for _ in range(3))
        assert (rcpt, rset) == (250 if mail == 250 else 503, 250)
        self.refused += 0 if mail == 250 else 2
        self.cells += 1
        return mail

    def data(self, envelope, header):
        t = self.session()
        t.send(f"MAIL FROM:<{envelope}>\r\nRCPT TO:<a@example.net>\r\nDATA\r\n")
        codes = [t.reply().code for _ in range(3)]
        assert codes == [250, 250, 354], (self.who, envelope, codes)
        t.send(header + "\r\n\r\nx\r\n.\r\n")
        code = t.reply().code
        self.refused += code != 250
        self.cells += 1
        return code


@pytest.fixture(scope="module")
def matrix_gate(tmp_path_factory, ports, certs, accounts_text):
    """Mail stays in its queue: nobody listens where it would go."""
    import house
    gate = house.Gate(tmp_path_factory.mktemp("matrix"), ports, certs, accounts_text)
    user1 = next(line for line in accounts_text.splitlines() if line.startswith("user1@"))
    address, secrets, _ = user1.split(":", 2)
    text = accounts_text
    for name, options in ACCOUNTS.items():
        if name == "user1":
            continue
        kept = [s for s in secrets.split(" ") if name != "cram1" or s.startswith("{CRAM-MD5}")]
        words = " ".join(f"{k}={NAMES[v] if k == 'level' else v}" for k, v in options.items())
        text += f"{address.replace('user1', name)}:{' '.join(kept)}:{words}\n"
    gate._secret(gate.accounts, text)
    gate.required_port = ports.one()
    gate.set("listen submission", auth="optional").set("listen strict", address=f"127.0.0.1:{gate.required_port}", tls="starttls", auth="required")
    gate.set("server", spool_size="256M").set("queue", retry="1h").set("limits", sessions_per_client=100)
    gate.set("device mfp1", ip=SOURCES["mfp1"], sender=MFP).set("peer mailserver", ip=SOURCES["peer"])
    gate.sections["alias"] = {f"info-{a}@{DOMAIN}": f"{a}@{DOMAIN}" for a in ACCOUNTS}
    gate.sections["alias"] |= {SHARED: ", ".join(f"{a}@{DOMAIN}" for a in ACCOUNTS), NOT_SHARED: OTHER}
    gate.start()
    yield gate
    gate.finish()


def test_matrix(matrix_gate, record_property):
    gate, cells, passed, refused = matrix_gate, 0, 0, 0
    for settings in configurations():
        gate.set("trust", **{**settings, "level": NAMES[settings["level"]]}).write()
        result = gate.cmd("reload")
        assert result.returncode == 0, result
        for who in SPEAKERS:
            speaker = Speaker(gate, who)
            open_to = []
            for envelope in envelopes(who):
                code = speaker.mail(envelope)
                assert code == expect_mail(settings, who, envelope), (settings, who, envelope, code)
                refused += code != 250
                if code == 250:
                    open_to.append(envelope)
            # All forms with one's own and the null sender, and with each other one a few in turn.
            rows = list(forms(who))
            for n, envelope in enumerate(open_to):
                full = envelope in ("", f"{who}@{DOMAIN}") and who in ("user1", "mfp1", "high1")
                for header, form in rows if full else [rows[(5 * n + i) % len(rows)] for i in range(3)]:
                    code = speaker.data(envelope, header)
                    assert code == expect_data(settings, who, envelope, form), (settings, who, envelope, header, code)
                    passed += code == 250
                    refused += code != 250
            cells += speaker.cells
            speaker.close()
    record_property("says", f"matrix: {cells} cells, {passed} mails accepted, {refused} refused")
    assert cells > 5000 and passed > 1000 and refused > 1000
