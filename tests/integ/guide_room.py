"""
Runs the guide's blocks in order, in a room of its own: guide_room.py WORK SEKIMORI CERTS, as root in new mount, network, UTS
and PID namespaces. Its /etc is a copy; /dev, /run, /root, /var/spool, /var/log and /usr/local are its own; the addresses and
names of the guide are this room's. Writes WORK/results.json: what was done with each block.
"""

import json
import os
import pathlib
import re
import shutil
import smtplib
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(__file__))

import guide_blocks  # noqa: E402
import guide_world  # noqa: E402
import house  # noqa: E402

TOP = pathlib.Path(__file__).resolve().parents[2]
INI = pathlib.Path("/etc/sekimori.ini")
BOUND = 60  # s; of each block
OWN = ("/run", "/root", "/var/spool", "/var/log", "/usr/local")
NODES = ("null", "zero", "full", "random", "urandom", "tty", "ptmx")
STOP = "kill $(pidof sekimori) && while pidof sekimori; do sleep 0.1; done"
PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def sh(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)


def furnish(work, binary, certs):
    """Mounts and names."""
    sh("cp", "-a", "/etc", str(work / "etc"))
    for name in ("passwd", "group", "shadow", "gshadow"):
        path = work / "etc" / name
        if path.exists():
            path.write_text("".join(l for l in path.read_text().splitlines(True) if not l.startswith("sekimori:")))
    shutil.rmtree(work / "etc/sekimori", ignore_errors=True)
    (work / "etc/sekimori.ini").unlink(missing_ok=True)
    shutil.copytree(TOP / "rootfs/etc/fail2ban", work / "etc/fail2ban", dirs_exist_ok=True)
    authorities = work / "etc/ssl/certs/ca-certificates.crt"
    authorities.parent.mkdir(parents=True, exist_ok=True)
    with open(authorities, "a") as f:
        f.write((certs / "ca.pem").read_text())
    with open(work / "etc/hosts", "w") as f:
        f.write("127.0.0.1 localhost\n" + "".join(f"{a} {n}\n" for n, a in guide_world.NAMES.items()))
    dev = work / "dev"
    dev.mkdir()
    sh("mount", "-t", "tmpfs", "tmpfs", str(dev))
    for node in NODES:
        if os.path.exists(f"/dev/{node}"):
            (dev / node).touch()
            sh("mount", "--bind", f"/dev/{node}", str(dev / node))
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        (dev / name).symlink_to("/proc/self/fd" + target)
    for path in OWN:
        (work / path[1:]).mkdir(parents=True)
    for name in ("bin", "sbin"):
        (work / "usr/local" / name).mkdir()
    shutil.copy(binary, work / "usr/local/sbin/sekimori")
    (work / "usr/local/sbin/sekimori").chmod(0o755)
    for path in ("/etc", *OWN):
        sh("mount", "--bind", str(work / path[1:]), path)
    sh("mount", "--rbind", str(dev), "/dev")
    socket.sethostname("mail")
    shutil.copy(certs / "world.pem", "/root/mailserver.pem")
    live = pathlib.Path("/etc/letsencrypt/live/mail.test-sample.jp")
    live.mkdir(parents=True)
    shutil.copy(certs / "world.pem", live / "fullchain.pem")
    shutil.copy(certs / "world.key", live / "privkey.pem")


def keep_log():
    """What a syslogd does: /dev/log to /var/log/mail.log."""
    log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    log.bind("/dev/log")
    os.chmod("/dev/log", 0o666)

    def keep():
        while True:
            line = log.recv(65536).decode(errors="backslashreplace")
            with open("/var/log/mail.log", "a") as f:
                f.write(re.sub(r"^<\d+>(\w+ [ \d]\d [\d:]{8}) ", r"\1 mail ", line).rstrip("\0\n") + "\n")

    threading.Thread(target=keep, daemon=True).start()


class Room:
    def __init__(self, certs):
        self.certs = certs
        self.world = guide_world.World(str(certs))
        self.files = {}
        self.said = ""
        self.environment = {"PATH": PATHS, "HOME": "/root", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8",
                            # Where a gate that has gone behind can complain.
                            **{k: os.environ.get(k, "") + ":log_path=/var/log/sanitizer/report"
                               for k in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}}
        reports = pathlib.Path("/var/log/sanitizer")
        reports.mkdir()
        reports.chmod(0o777)

    def run(self, script, text=""):
        done = subprocess.run(["sh", "-eu", "-c", script], input=text, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, errors="backslashreplace", cwd="/root", env=self.environment, timeout=BOUND, check=False)
        return done.returncode, done.stdout

    def must(self, script):
        status, said = self.run(script)
        assert status == 0, f"{script}: status {status}: {said}"
        return said

    # A mail of user1's, sent by the room itself.

    def send(self):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", 587, timeout=30) as client:
            client.starttls(context=context)
            client.login("user1", "user1234")
            client.mail("user1@test-sample.jp")
            client.rcpt("friend@example.net")
            code, reply = client.data(b"From: user1@test-sample.jp\r\nSubject: of the room\r\n\r\nHello\r\n")
        assert code == 250, reply
        return re.search(rb"<(B\w{10})>", reply).group(1).decode()

    def arrived(self):
        self.world.start()
        name = self.send()

        def look():
            self.run("sekimori queue retry")
            return self.world.find(name)
        pathlib.Path("/root/mail.eml").write_bytes(house.wait_for("a mail at the provider", look))

    def queued(self):
        self.world.stop()
        return self.send()

    # Configurations

    def missing(self, text):
        """Files that it names and that nobody has made yet: made, and named, so that they can be taken away."""
        found = dict(re.findall(r"^(\w+)[ \t]*=[ \t]*(/\S+)", text, re.M))
        found.setdefault("accounts", "/etc/sekimori/accounts")
        if "[listen" in text:
            found.setdefault("certificate", "/etc/sekimori/cert.pem")
            found.setdefault("key", "/etc/sekimori/key.pem")
        made = []
        for key, name in found.items():
            path = pathlib.Path(name)
            if path.exists() or key in ("spool", "control", "audit"):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            content = {"accounts": "", "key_file": "k1:" + 32 * "x" + "\n"}.get(key, "secret\n")
            if key.endswith(("certificate", "_ca")):
                content = (self.certs / "world.pem").read_text()
            elif key.endswith("key"):
                content = (self.certs / "world.key").read_text()
            path.write_text(content)
            path.chmod(0o755 if key == "token_command" else 0o600)
            made.append(path)
        return made

    def check(self, path):
        made = self.missing(path.read_text())
        try:
            self.said = self.must(f"sekimori -c {path} check")
        finally:
            for file in made:
                file.unlink()

    def ini(self, block):
        if block.info in ("part", "check"):
            part = pathlib.Path("/root/part.ini")
            part.write_text(block.text if block.info == "check" else merge(self.files["4.1"], block.text))
            self.check(part)
        elif block.info == "add":
            INI.write_text(INI.read_text() + "\n" + block.text)
            self.check(INI)
        else:
            assert block.info.startswith("/"), block.info
            self.files.setdefault(block.section, block.text)
            pathlib.Path(block.info).write_text(block.text)
            self.check(pathlib.Path(block.info))

    # Blocks

    def sh(self, block):
        options = block.options()
        script = block.text
        if "with" in options:
            self.put_back(options["with"])
        if "on" in options:
            script = script.replace("swaks ", self.world.prefix(options["on"]))
        if "restart" in options:
            self.must(STOP + " && sekimori run")
        if "mail" in options:
            self.arrived()
        if "queued" in options:
            script = script.replace(options["queued"], self.queued())
        wanted = int(options.get("status", 0))
        end = time.monotonic() + house.WAIT
        while True:
            status, self.said = self.run(script, options.get("input", "").replace("\\n", "\n") + "\n")
            if status == wanted or not ("wait" in options or status == 75) or time.monotonic() > end:
                break
            time.sleep(0.1)
        if "queued" in options:
            self.world.start()
            self.run("sekimori queue retry")
        assert status == wanted, f"status {status}, not {wanted}: {self.said}"

    def put_back(self, section):
        INI.write_text(self.files[section])
        self.must("sekimori reload")

    def output(self, block):
        for line in block.text.splitlines():
            pattern = ".*".join(re.escape(part) for part in line.split("..."))
            assert re.search(pattern, self.said), f"{line!r} is not in what was said:\n{self.said}"

    def smtp(self, block):
        if "with" in block.options():
            self.put_back(block.options()["with"])
        first, *lines = block.text.splitlines()
        host, port = re.fullmatch(r"\$ telnet (\S+) (\d+)", first).groups()
        with socket.create_connection((host, int(port)), 30) as s, s.makefile("rwb") as file:
            for line in lines:
                if line.startswith("C:"):
                    file.write(line[2:].strip().encode() + b"\r\n")
                    file.flush()
                    continue
                answer = self.one_or_more(file, line[3:])
                pattern = ".*".join(re.escape(part) for part in line[3:].split("..."))
                assert re.fullmatch(pattern, answer), f"{line!r}: the answer was {answer!r}"
            assert file.readline() == b"", "the connection was not closed"

    @staticmethod
    def one_or_more(file, expected):
        """`250-...` stands for any number of lines: what follows the last of them waits for its turn."""
        answer = file.readline().decode().rstrip("\r\n")
        while expected == "250-..." and file.peek(4)[:4] == b"250-":
            answer = file.readline().decode().rstrip("\r\n")
        return answer

    def text(self, _):
        pass


def sections(text):
    found = {}
    for part in re.split(r"^(?=\[)", text, flags=re.M):
        if part.startswith("["):
            found[part.split("]")[0]] = part.rstrip() + "\n"
    return found


def merge(whole, part):
    return "\n".join({**sections(whole), **sections(part)}.values())


def main(work, binary, certs):
    work, certs = pathlib.Path(work), pathlib.Path(certs)
    furnish(work, pathlib.Path(binary), certs)
    keep_log()
    room = Room(certs)
    results = []
    for block in guide_blocks.blocks(guide_blocks.read("en")):
        result = {"line": block.line, "section": block.section, "kind": block.kind, "not_run": block.not_run, "error": None}
        if not block.not_run:
            try:
                getattr(room, block.kind)(block)
            except (AssertionError, OSError, subprocess.TimeoutExpired, smtplib.SMTPException, KeyError) as e:
                result["error"] = f"{type(e).__name__}: {e}"
        result["said"] = room.said[-3000:]
        results.append(result)
    room.run(STOP)
    report = {"blocks": results, "log": pathlib.Path("/var/log/mail.log").read_text(),
              "sanitizer": [file.read_text() for file in pathlib.Path("/var/log/sanitizer").iterdir()]}
    (work / "results.json").write_text(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
