"""
Headers for the judges: built from the grammar of RFC 5322 (its obsolete forms too) with Japanese names in every dress, made by
mutation of the corpus, and a list of what honest mail programs write. All by one seed, so that a finding can be had again.
"""

import base64
import os
import quopri
import random

import from_corpus

SEED = int(os.environ.get("SEKIMORI_SEED", "20261122"))
U1, U2 = from_corpus.U1, from_corpus.U2
OWN = [U1, b"info@test-sample.jp", b"sales@test-sample.jp"]
FOREIGN = [U2, b"user10@test-sample.jp", b"xuser1@test-sample.jp", b"user1@evil.example", U1 + b".evil.example",
           b"user1@sub.test-sample.jp", b"support@test-sample.jp", b"ceo@example.net"]
NAMES = ["山田太郎", "鈴木 一郎", "金子千恵", "山田　Taro", "表示", "ソフトウェア開発部", "田中・ウィリアムズ", "髙橋", "能登 十郎", "総務部　佐藤", "ゼゾダ", "ー",
         "芦屋", "株式会社サンプル（営業）", "東京支社", "予約受付センター", "小野妹子"]
LATIN = [b"Taro", b"Yamada", b"Y.", b"T.Y.", b"O'Neill", b"Jean-Luc", b"user1", b"a", b"MFP", b"2F", b"R&D", b"No.1", b"x_y"]
SPECIALS = [b'"', b"(", b")", b"<", b">", b"@", b",", b";", b":", b"\\", b".", b"[", b"]", b" ", b"\t", b"\r\n ", b"\r\n\t",
            b"=?", b"?=", b"\x1b", b"\x1b$B", b"\x1b(B", b"\x1b(J", b"\x1b(I", b"\x1b$@", b"\x81", b"\x81@", b"\x83\\", b"\x81[",
            b"\x82\xa0", b"\xe3\x81\x82", b"\xc0", b"\xff", b"\xa0", b"\x85", b"\r", b"\n", b"\r\n", b"\0", b"\x0b", b"\x0c", b"\x7f",
            b"<" + U1 + b">", b"<" + U2 + b">", U1, U2, b"," + U2, b"\r\nFrom: ", b"\r\nFrom: " + U2, b"\r\nSender: " + U2,
            b"\r\n \r\n ", b"G:", b"@a:", b"%", b"!", b"''", b"`", b"\\\"", b"\\(", b"\\)", b"\\\\", b"(())", b'""', b"<>", b"\r\nX: ",
            b"&lt;", b"\xef\xbc\xa0", b"\xe2\x80\xae", b"\xef\xbb\xbf", b"..", b"*", b"{", b"|"]


class Generator:
    def __init__(self, seed=SEED):
        self.r = random.Random(seed)
        self.odd = 0.1

    def rarely(self, factor=1.0):
        return self.r.random() < self.odd * factor

    def some(self, make, most=3):
        return b"".join(make() for _ in range(self.r.randint(0, most)))

    # Blanks, folds and comments (RFC 5322 3.2.2, 4.2)

    def fws(self):
        if self.rarely(0.2):
            return self.r.choice([b"\r\n \r\n ", b" \r\n \r\n\t", b"\r\n\t \r\n "])
        return self.r.choice([b" ", b" ", b" ", b"  ", b"\t", b"\r\n ", b" \r\n\t"])

    def ctext(self):
        pieces = [b"x", b" ", b"at home", b"<", b">", b"@", b",", b";", b":", b'"', b"[", b".", b"\\)", b"\\(", b"\\\\", U1, U2,
                  b"<" + U2 + b">", self.japanese(), self.encoded(), b"\r\n ", b"\r\n ", b"\r\n "]
        return self.r.choice(pieces)

    def comment(self, depth=3):
        inner = b"".join(self.comment(depth - 1) if depth and self.r.random() < 0.2 else self.ctext()
                         for _ in range(self.r.randint(0, 3)))
        return b"(" + inner + b")"

    def cfws(self):
        if not self.rarely(2):
            return b""
        return b"".join(self.r.choice([self.fws, self.comment])() for _ in range(self.r.randint(1, 2)))

    # Words

    def japanese(self, name=None):
        name = name or self.r.choice(NAMES)
        dress = self.r.randrange(5)
        if dress == 0:
            text = bytes(self.r.randint(0x21, 0x7e) for _ in range(2 * self.r.randint(1, 6)))
            if self.rarely():
                text += self.r.choice([b"", b",", b";", b"<"]) + self.r.choice(FOREIGN) + self.r.choice([b"", b",", b">", b";"])
                text += b"!" * (len(text) % 2)
            return self.r.choice([b"\x1b$B", b"\x1b$@"]) + text + self.r.choice([b"\x1b(B", b"\x1b(B", b"\x1b(J"])
        if dress == 1:
            return name.encode("iso2022_jp", "ignore").replace(b"\x1b$B", self.r.choice([b"\x1b$B", b"\x1b$B", b"\x1b$@"]))
        if self.rarely():
            name += self.r.choice(["@test-sample.jp", "@sub.test-sample.jp", "　test-sample.jp", "ー", "表", " user2"])
        return name.encode({2: "shift_jis", 3: "euc_jp", 4: "utf-8"}[dress], "ignore")

    def encoded(self):
        text = self.r.choice([*NAMES, "user2@test-sample.jp", "<user2@test-sample.jp>", "a\" <user2@test-sample.jp>", "x>, <y",
                              "user2@test-sample.jp, x", "x, user2@test-sample.jp,", "x\" user2@test-sample.jp", "(user2@test-sample.jp"])
        charset, codec = self.r.choice([(b"UTF-8", "utf-8"), (b"ISO-2022-JP", "iso2022_jp"), (b"Shift_JIS", "shift_jis")])
        data = text.encode(codec, "ignore")
        if self.r.random() < 0.5:
            body = b"B?" + base64.b64encode(data)
        else:
            body = b"Q?" + quopri.encodestring(data, header=True).replace(b"=\n", b"").replace(b"\n", b"").replace(b"?", b"=3F")
        return b"=?" + charset + b"?" + body + b"?="

    def qcontent(self):
        return self.r.choice([b"x", b" ", b",", b"Yamada", b"(", b")", b"<", b">", b"@", b":", b";", b"\\\"", b"\\\\", b"\\x", b".", U1, U2,
                              b"<" + U2 + b">", b"\r\n ", self.japanese(), self.encoded(), b"[", b"]", b"'"])

    def quoted(self):
        return b'"' + self.some(self.qcontent, 4) + b'"'

    def word(self):
        return self.r.choice([lambda: self.r.choice(LATIN), lambda: self.r.choice(LATIN), self.quoted, self.encoded, self.japanese])()

    def phrase(self):
        words = [self.word() for _ in range(self.r.randint(1, 3))]
        if self.rarely():
            words.insert(self.r.randint(0, len(words)), self.r.choice([b".", self.comment(), b"'x'"]))
        return (b" " if not self.rarely() else self.fws()).join(words) + self.cfws()

    # Addresses

    def address(self):
        return self.r.choice(OWN if self.r.random() < self.own else FOREIGN)

    def case(self, text):
        return bytes(c ^ 0x20 if chr(c).isalpha() and self.r.random() < 0.3 else c for c in text)

    def local(self, text):
        if self.rarely(0.5):
            return b'"' + b"".join(b"\\" + bytes([c]) if self.r.random() < 0.2 else bytes([c]) for c in text) + b'"'
        if self.rarely(0.2):
            return self.cfws() + b'"' + text + b'"' + self.cfws()
        if self.rarely(0.2):
            cut = self.r.randint(1, len(text))
            return text[:cut] + self.r.choice([b".", self.cfws() + b"." + self.cfws(), b'."x"', self.encoded(), self.japanese()]) + text[cut:]
        return text

    def domain(self, text):
        if self.rarely(0.3):
            labels = text.split(b".")
            return b".".join(self.cfws() + label + self.cfws() for label in labels)
        if self.rarely(0.2):
            return self.r.choice([b"[192.0.2.1]", b"[IPv6:2001:db8::1]", text + b".", b"." + text, b"[" + text + b"]", text + b"\\"])
        return text

    def addr_spec(self):
        address = self.address()
        if self.rarely():
            address = self.case(address)
        local, domain = address.split(b"@")
        return self.local(local) + (self.cfws() + b"@" + self.cfws() if self.rarely(0.3) else b"@") + self.domain(domain)

    def angle(self):
        route = b""
        if self.rarely(0.2):
            route = self.r.choice([b"@a:", b"@a,@b.example:", b",,@a:", b"@[192.0.2.1]:"])
        return b"<" + self.cfws() + route + self.addr_spec() + self.cfws() + b">"

    def mailbox(self):
        if self.r.random() < 0.3:
            return self.cfws() + self.addr_spec() + self.cfws()
        name = self.phrase() if self.r.random() < 0.9 else b""
        return self.cfws() + name + self.r.choice([b" ", b" ", b"", b"\r\n "]) + self.angle() + self.cfws()

    def group(self):
        return self.phrase() + b":" + self.cfws() + self.some(lambda: self.mailbox() + self.r.choice([b",", b""]), 2) + b";" + self.cfws()

    def body(self):
        """Of a From: field."""
        kind = self.r.random()
        if kind > self.odd * 2:
            return self.mailbox()
        return self.r.choice([
            lambda: self.group(),
            lambda: self.mailbox() + b"," + self.mailbox(),
            lambda: b"," + self.cfws() + self.mailbox(),
            lambda: self.mailbox() + b",",
            lambda: self.mailbox() + b" " + self.mailbox(),
            lambda: self.phrase(),
            lambda: self.cfws(),
            lambda: self.angle() + self.phrase(),
            lambda: self.group() + b"," + self.mailbox(),
            lambda: self.mailbox() + b";",
            lambda: self.phrase() + b":" + self.mailbox(),
            lambda: self.phrase() + b"," + self.mailbox(),
        ])()

    # Headers

    def field(self, name):
        if self.rarely(0.5):
            name = self.case(name)
        colon = b":"
        if self.rarely(0.3):
            colon = self.r.choice([b" :", b"\t:", b"  :", b"\r\n :"])
        return name + colon + self.r.choice([b" ", b" ", b" ", b"", b"\r\n ", b"\t"]) + self.body() + b"\r\n"

    def other(self):
        return self.r.choice([b"Subject: x\r\n", b"To: " + U2 + b"\r\n", b"Reply-To: " + U2 + b"\r\n", b"X-From: " + U2 + b"\r\n",
                              b"Subject:\r\n From: " + U2 + b"\r\n", b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n",
                              b"Subject: " + self.japanese() + b"\r\n", b"MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"])

    def from_grammar(self):
        self.odd = self.r.choice([0.02, 0.1, 0.1, 0.3])
        self.own = self.r.choice([1, 0.9, 0.7, 0.3])
        fields = [self.field(b"From")] + [self.other() for _ in range(self.r.randint(0, 2))]
        if self.rarely(0.5):
            fields.append(self.field(self.r.choice([b"From", b"Sender", b"Sender", b"Resent-From", b"Resent-Sender"])))
        if self.rarely(0.2):
            fields.append(self.r.choice([b"no field\r\n", b" continues\r\n", b"From " + U2 + b"\r\n", b": empty\r\n", b"Fro\xedm: x\r\n"]))
        self.r.shuffle(fields)
        return b"".join(fields)

    def mutate(self, text):
        r = self.r
        for _ in range(r.randint(1, 4)):
            at = r.randint(0, len(text))
            end = min(len(text), at + r.choice([1, 1, 2, 5, 20]))
            how = r.randrange(8)
            if how < 3:
                text = text[:at] + r.choice(SPECIALS) + text[at:]
            elif how == 3:
                text = text[:at] + text[end:]
            elif how == 4:
                text = text[:at] + r.choice(SPECIALS) + text[end:]
            elif how == 5:
                text = text[:at] + bytes([r.randrange(256)]) + text[end:]
            elif how == 6:
                text = text[:end] + text[at:]
            else:
                to = r.randint(0, len(text))
                text = text[:to] + text[at:end] + text[to:]
        return text

    def from_mutation(self):
        base = self.r.choice(BASES) if self.r.random() < 0.7 else self.from_grammar()
        return self.mutate(base)

    def header(self):
        return self.from_mutation() if self.r.random() < 0.45 else self.from_grammar()

    # What honest programs write

    def honest_name(self):
        """The name in front of an address in angles."""
        r = self.r
        name = r.choice(NAMES)
        way = r.randrange(9)
        if way == 0:
            return r.choice([b"Taro Yamada ", b'"Yamada, Taro" ', b"Taro ", b'"user1@test-sample.jp" ', b'"R&D (2F)" ', b"O'Neill ", b'"T. \\"Boss\\" Y." '])
        if way == 1:
            return b""
        if way in (2, 3):
            encoded = b"=?ISO-2022-JP?B?" + base64.b64encode(name.replace("髙", "高").encode("iso2022_jp")) + b"?= "
            return encoded if way == 2 else b'"' + encoded[:-1] + b'" '
        if way == 4:
            return b"\r\n ".join(b"=?UTF-8?B?" + base64.b64encode(c.encode()) + b"?=" for c in [name, *r.sample(NAMES, r.randint(0, 2))]) + b" "
        if way == 5:
            return b"=?utf-8?Q?" + "".join(f"={b:02X}" for b in name.encode()).encode() + b"?= "
        codec = {6: "iso2022_jp", 7: "shift_jis", 8: "utf-8"}[way] if r.random() < 0.9 else "euc_jp"
        raw = name.replace("髙", "高").encode(codec)
        return (b'"' + raw + b'" ') if r.random() < 0.5 else raw + b" "

    def honest(self):
        """A whole header that has to pass, whatever happens to forgers."""
        r = self.r
        address = r.choice([U1, U1, b"User1@Test-Sample.JP", b"info@test-sample.jp", b"sales@test-sample.jp"])
        form = r.randrange(10)
        if form == 0:
            body = address
        elif form == 1:
            body = address + r.choice([b" (Taro Yamada)", b" (at home)", b" (" + "山田".encode("iso2022_jp") + b")"])
        else:
            name = self.honest_name()
            body = name[:-1] + r.choice([b"\r\n ", b"\r\n\t", b" "]) + b"<" + address + b">" if name else b"<" + address + b">"
        before = r.choice([b"", b"Date: Thu, 1 Jan 1970 00:00:00 +0000\r\n", b"Subject: " + "件名".encode("iso2022_jp") + b"\r\n"])
        behind = r.choice([b"", b"To: " + U2 + b"\r\nSubject: x\r\n", b"Sender: " + U1 + b"\r\n", b"Reply-To: ceo@example.net\r\n"])
        return before + r.choice([b"From: ", b"From: ", b"from:", b"FROM: ", b"From:\r\n "]) + body + b"\r\n" + behind


BASES = [header for _, _, header in from_corpus.CASES if len(header) < 600]


def message(header):
    return header + b"\r\ntest\r\n"


def stuffed(text):
    """As on the wire: RFC 5321 4.5.2. An LF alone begins no line there; the text is refused for it."""
    return (b"." if text.startswith(b".") else b"") + text.replace(b"\r\n.", b"\r\n..")
