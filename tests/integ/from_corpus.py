"""
The From: corpus: header blocks as sent by user1, level 3, envelope user1@test-sample.jp, and whether they pass. Used twice:
over a live session and by `sekimori trust`, which must agree.
"""

U1, U2 = b"user1@test-sample.jp", b"user2@test-sample.jp"

# Raw ISO-2022-JP of a name; its bytes hold `"`, `(`, `<`, `@` and `,`.
JIS = b"\x1b$B;3ED\x1b(B"
JIS_TRICKY = b"\x1b$B$\"$(\"<$@%,\x1b(B"
JIS_OLD = b"\x1b$@;3ED\x1b(J"
SJIS = "山田".encode("shift_jis")
SJIS_5C = "表示".encode("shift_jis")  # its second octet is a backslash
EUC = "山田".encode("euc_jp")
UTF8 = "山田太郎".encode()
B64 = b"=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?="


def _from(value):
    return b"From: " + value + b"\r\n"


ACCEPT = {
    "bare": _from(U1),
    "case": _from(b"<USER1@Test-Sample.JP>"),
    "quoted local part": _from(b'"user1"@test-sample.jp'),
    "quoted local part in angles": _from(b'Taro <"user1"@test-sample.jp>'),
    "name": _from(b"Taro <" + U1 + b">"),
    "quoted name with comma": _from(b'"Yamada, Taro" <' + U1 + b">"),
    "comment": _from(U1 + b" (comment)"),
    "comment in front": _from(b"(comment) " + U1),
    "encoded word": _from(B64 + b" <" + U1 + b">"),
    "two encoded words": _from(B64 + b" " + B64 + b" <" + U1 + b">"),
    "folded behind the name": b"From: Taro\r\n <" + U1 + b">\r\n",
    "folded with a tab": b"From: Taro\r\n\t<" + U1 + b">\r\n",
    "folded behind the colon": b"From:\r\n " + U1 + b"\r\n",
    "no blank": b"From:" + U1 + b"\r\n",
    "blank before the colon": b"From : " + U1 + b"\r\n",
    "upper case": b"FROM: " + U1 + b"\r\n",
    "lower case": b"from: " + U1 + b"\r\n",
    "raw ISO-2022-JP": _from(JIS + b" <" + U1 + b">"),
    "raw ISO-2022-JP with specials": _from(JIS_TRICKY + b" <" + U1 + b">"),
    "raw ISO-2022-JP quoted": _from(b'"' + JIS + b'" <' + U1 + b">"),
    "raw ISO-2022-JP of 1978": _from(JIS_OLD + b" <" + U1 + b">"),
    "raw UTF-8": _from(UTF8 + b" <" + U1 + b">"),
    "raw UTF-8 quoted": _from(b'"' + UTF8 + b'" <' + U1 + b">"),
    "raw Shift_JIS": _from(SJIS + b" <" + U1 + b">"),
    "raw Shift_JIS with a backslash": _from(SJIS_5C + b" <" + U1 + b">"),
    "raw Shift_JIS with a blank of full width": _from("山田　Taro".encode("shift_jis") + b" <" + U1 + b">"),
    "folded quoted name": _from(b'"Yamada (Sales\r\n Department), Taro" <' + U1 + b">"),
    "raw EUC-JP": _from(EUC + b" <" + U1 + b">"),
    "another's address as name": _from(b'"' + U2 + b'" <' + U1 + b">"),
    "alias": _from(b"info@test-sample.jp"),
    "alias with name": _from(b"Info <info@test-sample.jp>"),
    "shared alias": _from(b"sales@test-sample.jp"),
    "other fields around": b"Subject: a\r\nTo: " + U2 + b"\r\n" + _from(U1) + b"Reply-To: " + U2 + b"\r\n",
    "own Sender:": _from(U1) + b"Sender: " + U1 + b"\r\n",
    "From: in the body": _from(U1) + b"\r\nFrom: " + U2 + b"\r\n",
    "From: in a MIME part": _from(U1) + b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
                            b"From: " + U2 + b"\r\n\r\nx\r\n--b--\r\n",
    "From: in an attached message": _from(U1) + b"Content-Type: message/rfc822\r\n\r\nFrom: " + U2 + b"\r\n\r\nx\r\n",
    "header line of 998": _from(U1) + b"X: " + b"x" * 995 + b"\r\n",
}

REFUSE = {
    "other": _from(U2),
    "external": _from(b"someone@example.net"),
    "missing": b"Subject: no from\r\n",
    "no header": b"",
    "empty": b"From:\r\n",
    "blank": b"From: \r\n",
    "no domain": _from(b"user1"),
    "no domain in angles": _from(b"<user1>"),
    "two fields, same": _from(U1) + _from(U1),
    "two fields, other first": _from(U2) + _from(U1),
    "two fields, other last": _from(U1) + _from(U2),
    "two fields, far apart": _from(U1) + b"".join(b"X-%d: " % i + b"x" * 900 + b"\r\n" for i in range(66)) + _from(U2),
    "two, other in angles first": _from(b"<" + U2 + b">, " + U1),
    "two bare": _from(U1 + b", " + U2),
    "two own": _from(U1 + b", " + U1),
    "address, then other in angles": _from(U1 + b" <" + U2 + b">"),
    "two in angles": _from(b"<" + U1 + b"> <" + U2 + b">"),
    "backslash comma": _from(U2 + b"\\, <" + U1 + b">"),
    "group": _from(b"G:" + U1 + b";"),
    "empty group": _from(b"G:;"),
    "source route": _from(b"<@a,@b:" + U1 + b">"),
    "own in a comment": _from(U2 + b" (<" + U1 + b">)"),
    "own in a quoted name": _from(b'"a\\"<' + U1 + b'>" <' + U2 + b">"),
    "prefix of another": _from(b"user10@test-sample.jp"),
    "suffix of another": _from(b"xuser1@test-sample.jp"),
    "longer domain": _from(U1 + b".evil.example"),
    "trailing dot": _from(U1 + b"."),
    "sub-domain": _from(b"user1@sub.test-sample.jp"),
    "address literal": _from(b"user1@[192.168.0.103]"),
    "percent hack": _from(b"user1%test-sample.jp@evil.example"),
    "NUL": _from(b"Ta\0ro <" + U1 + b">"),
    "ESC outside of Japanese": _from(b"Ta\x1bro <" + U1 + b">"),
    "control character": _from(b"Ta\x07ro <" + U1 + b">"),
    "unterminated ISO-2022-JP": _from(b"\x1b$B;3ED <" + U1 + b">"),
    "unterminated quote": _from(b'"Taro <' + U1 + b">"),
    "unterminated comment": _from(b"(Taro <" + U1 + b">"),
    "unterminated angle": _from(b"Taro <" + U1),
    "stray angle": _from(b"Taro " + U1 + b">"),
    "8-bit in the address": _from(b"<us\xc3\xa9r1@test-sample.jp>"),
    "encoded word in the address": _from(b"<=?us-ascii?q?user1?=@test-sample.jp>"),
    "encoded word is the address": _from(b"=?us-ascii?q?user1=40test-sample.jp?="),
    "header line over 998": _from(U1) + b"X: " + b"x" * 1200 + b"\r\n",
    "From: line over 998": _from(b"x" * 1200 + b" <" + U1 + b">"),
    "header over its limit": b"".join(b"X-%d: " % i + b"x" * 900 + b"\r\n" for i in range(80)) + _from(U1),
    "first line a continuation": b" " + _from(U1) + _from(U1),
    "line without a colon": b"what is this\r\n" + _from(U1),
    "line without a colon behind": _from(U1) + b"what is this\r\n",
    "mbox line": b"From user1@test-sample.jp Thu Jan  1 00:00:00 1970\r\n" + _from(U1),
    "bare LF before": b"Subject: a\n" + _from(U1),
    "bare LF hides another": b"Subject: a\nFrom: " + U2 + b"\r\n" + _from(U1),
    "bare LF in": b"From: Taro\n <" + U1 + b">\r\n",
    "bare LF after": b"From: " + U1 + b"\nSubject: a\r\n",
    "bare CR in": b"From: Ta\rro <" + U1 + b">\r\n",
    "bare CR in the name of the field": b"Fr\rom: " + U1 + b"\r\n" + _from(U1),
    "bare CR after": b"From: " + U1 + b"\r\r\n",
    # RFC 5322 4.5 has blanks before the colon, but no fold: to some it is the field, to others two lines that are none.
    "folded before the colon": b"From\r\n : " + U1 + b"\r\n",
    "folded before the colon, another": _from(U1) + b"From\r\n : " + U2 + b"\r\n",
    "folded before the colon of something else": b"Subject\r\n : x\r\n" + _from(U1),
    "other in a folded quote": _from(b'"\r\n <' + U2 + b'>" <' + U1 + b">"),
    "other in a folded comment": _from(b"(\r\n " + U2 + b", ) " + U1),
    "comment folded in a comment": _from(U1 + b"((\r\n ).evil.example)"),
    "line of blanks amid the field": _from(b'"' + U2 + b'"\r\n \r\n <' + U1 + b">"),
    "other in an encoded word's angles": _from(b"=?UTF-8?B?YSIgPHVzZXIyQHRlc3Qtc2FtcGxlLmpwPg==?= <" + U1 + b">"),
    "Shift_JIS blank for an @": _from(b"user2\x81@test-sample.jp <" + U1 + b">"),
    "other in quotes before Shift_JIS": _from(b'"' + U2 + b'" ' + SJIS_5C + b" <" + U1 + b">"),
    "foreign Sender:": _from(U1) + b"Sender: " + U2 + b"\r\n",
    "Sender: is no excuse": _from(U2) + b"Sender: " + U1 + b"\r\n",
    "Resent-From: is no excuse": b"Resent-From: " + U1 + b"\r\n" + _from(U2),
}

CASES = [(name, True, header) for name, header in ACCEPT.items()]
CASES += [(name, False, header) for name, header in REFUSE.items()]


def message(header):
    """The header as a message with a body, dot-stuffed: no line of the corpus begins with a dot."""
    return header + b"\r\ntest\r\n"
