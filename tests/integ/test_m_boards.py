"""Each board's program as a gate: mail goes through, forged mail doesn't, and what was left out is refused, never ignored."""

import os
import pathlib
import re
import subprocess

import pytest

import house
import upstream

TOP = pathlib.Path(__file__).resolve().parents[2]
BOARDS = [name if name == "host" else pytest.param(name, marks=pytest.mark.once)
          for name in sorted(path.parent.name for path in TOP.glob("board/*/defconfig"))]
U1, U2 = "user1@test-sample.jp", "user2@test-sample.jp"

# A key, or key = word, of each feature; [section] first. What --version calls it is beside.
KEYS = {
    "TLS": ("tls", [("listen submission", "tls", "starttls"), ("listen submission", "tls", "implicit"),
                    ("relay", "tls", "starttls"), ("relay", "tls_pin", "00"), ("tls", "certificate", "/nowhere"),
                    ("tls", "min_version", "1.3")]),
    "LOCKOUT": ("lockout", [("limits", "lockout_after", "5")]),
    "SCRAM": ("scram-sha-256", [("relay", "auth", "scram-sha-256")]),
    "XOAUTH2": ("xoauth2", [("relay", "auth", "xoauth2"), ("relay", "token_command", "/bin/true")]),
    "CREDENTIALS_SENDER": ("credentials-sender", [("relay", "credentials", "sender"), ("relay", "credentials_file", "/x")]),
    "CREDENTIALS_CLIENT": ("credentials-client", [("relay", "credentials", "client")]),
    "POP_BEFORE_SMTP": ("pop-before-smtp", [("relay", "pop_before_smtp", "agent"), ("relay", "pop_before_smtp", "client")]),
    "DIRECT": ("direct", [("relay", "mode", "direct"), ("relay", "mode", "direct-only"), ("relay", "direct_wait", "9s")]),
    "STAMP": ("stamp", [("stamp", "key_file", "/nowhere")]),
    "ALARM_MAIL": ("alarm-mail", [("manager", "alarm_to", "a@test-sample.jp")]),
    "RETURN_JA": ("return-ja", [("return", "language", "ja"), ("return", "language", "ja+en")]),
}
COMMANDS = {"PASSWD": "passwd", "VERIFY_COMMAND": "verify", "TRUST_COMMAND": "trust"}
NAMES = {"CRAM_MD5": "cram-md5", "FAST_CRC": "fast-crc", "CHANGES": "changes", "SUMMARY": "summary", "METRICS": "metrics"}


def config_of(board):
    """As make reads it."""
    made = subprocess.run(["sh", "board/config", "header", "Kconfig", f"board/{board}/defconfig"], cwd=TOP, check=True,
                          stdout=subprocess.PIPE, text=True).stdout
    return dict(re.findall(r"^#define CONFIG_(\w+) (\d+)$", made, re.M))


@pytest.fixture(scope="module", params=BOARDS)
def board(request, tmp_path_factory):
    """A board, its symbols and its program: make check's, or built here."""
    name = request.param
    if name == "host":
        return name, config_of(name), pathlib.Path(house.BINARY)
    made = pathlib.Path(os.environ.get("BOARDS", "/nowhere")).resolve() / f"board-{name}" / "sekimori"
    if not made.exists():
        build = tmp_path_factory.mktemp("build")
        subprocess.run(["make", "-s", "-j2", f"BUILD={build}", f"BOARD={name}", "CFLAGS=-O0", str(build / "sekimori")],
                       cwd=TOP, check=True, stdout=subprocess.DEVNULL, timeout=600)
        made = build / "sekimori"
    return name, config_of(name), made


@pytest.fixture
def ours(board, gate, monkeypatch):
    """A gate of the board's program, with a file that says no more than it has to."""
    _, symbols, binary = board
    monkeypatch.setattr(house, "BINARY", str(binary))
    gate.secret("accounts", "".join(f"{a}:{{PLAIN}}{p}:\n" for a, p in house.ACCOUNTS.items()))
    gate.sections.pop("manager")
    if symbols["TLS"] == "0":
        gate.sections.pop("tls")
        gate.sections.pop("listen smtps")
        gate.set("listen submission", tls="none")
    return gate


def test_mail_goes_through_and_forged_mail_does_not(ours, closing):
    sink = closing(upstream.Sink(ours.upstream_port))
    ours.start()
    with ours.login() as t:
        reply = t.mail(content=f"From: {U1}\r\nSubject: hello\r\n\r\nhi\r\n")
        assert reply.code == 250, reply
        sink.wait()
        reply = t.mail(content=f"From: {U2}\r\nSubject: forged\r\n\r\nhi\r\n")
        assert reply.code == 552, reply
    with ours.connect() as t:
        t.ehlo()
        assert t.cmd(f"MAIL FROM:<{U1}>").code == 530
    ours.empty()
    assert len(sink.mails) == 1 and b"Subject: hello" in bytes(sink.mails[0].content)


def test_left_out_keys_are_refused(ours, board):
    name, symbols, _ = board
    tried = 0
    for symbol, (_, rows) in KEYS.items():
        if symbols[symbol] == "1":
            continue
        for section, key, value in rows:
            kept = {title: dict(keys) for title, keys in ours.sections.items()}
            ours.set(section, **{key: value}).write()
            line = 1 + ours.path.read_text().splitlines().index(f"{key} = {value}")
            result = ours.cmd("check")
            ours.sections = kept
            assert result.returncode == 78, (key, value, result)
            assert f"{ours.path}:{line}: {key}" in result.stderr and "is not available in this version" in result.stderr, result
            tried += 1
    assert ours.write().cmd("check").returncode == 0
    assert tried or name not in ("none", "small")


def test_version_and_commands(ours, board):
    _, symbols, binary = board
    said = house.run(binary, "--version").stdout.split()
    names = {symbol: word for symbol, (word, _) in KEYS.items()} | COMMANDS | NAMES
    for symbol, word in names.items():
        assert (word in said) == (symbols[symbol] == "1"), (symbol, said)
    usage = house.run(binary, "--help").stdout
    for symbol, command in COMMANDS.items():
        there = symbols[symbol] == "1"
        assert (f" {command} " in usage) == there
        if not there:
            result = ours.cmd(command, "x")
            assert result.returncode == 64 and f"there is no command {command}" in result.stderr


def test_cram_md5_secrets_need_it(ours, board):
    _, symbols, _ = board
    ours.secret("accounts", U1 + ":{CRAM-MD5}50ff964abfed45ff93fe658e4a465e45ab3a6c13460c8b8fa1e5675b31674aa3:\n")
    ours.sections["alias"].pop("sales@test-sample.jp")
    result = ours.write().cmd("check")
    if symbols["CRAM_MD5"] == "1":
        assert result.returncode == 0, result
    else:
        assert result.returncode == 78 and "accounts:1: " in result.stderr, result
