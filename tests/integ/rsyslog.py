"""Debian's rsyslog in the peers' root (see `peers`), with a configuration of its own on loopback: octet-counted TCP, or mutual TLS."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess

import house

CONF = """
global(workDirectory="{base}" maxMessageSize="16k"{tls})
module(load="imtcp"{driver})
input(type="imtcp" address="127.0.0.1" port="{port}" supportOctetCountedFraming="on")
template(name="line" type="string"
         string="%timestamp:::date-rfc3339%|%hostname%|%app-name%|%msgid%|%syslogfacility-text%.%syslogseverity-text%|%structured-data%|%msg%\\n")
action(type="omfile" file="{base}/out" template="line")
"""
TLS = """ defaultNetstreamDriverCAFile="{base}/ca.pem"
       defaultNetstreamDriverCertFile="{base}/cert.pem" defaultNetstreamDriverKeyFile="{base}/key.pem\""""
DRIVER = """ streamDriver.name="gtls" streamDriver.mode="1" streamDriver.authMode="x509/name"
       permittedPeer=["{peer}"]"""


class Rsyslog:
    def __init__(self, top, name, port, certs=None, peer=None):
        self.top, self.base, self.port = top, pathlib.Path("/run") / name, port
        self.outside = top / f"run/{name}"
        self.process = None
        shutil.rmtree(self.outside, ignore_errors=True)
        self.outside.mkdir(parents=True)
        if certs:
            for ours, theirs in (("ca.pem", "ca.pem"), ("server.pem", "cert.pem"), ("server.key", "key.pem")):
                shutil.copy(certs / ours, self.outside / theirs)
        values = {"base": self.base, "port": port, "tls": TLS.format(base=self.base) if certs else "",
                  "driver": DRIVER.format(peer=peer) if certs else ""}
        (self.outside / "conf").write_text(CONF.format(**values))

    def start(self):
        with open(self.outside / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["chroot", self.top, "/usr/sbin/rsyslogd", "-n", "-f", self.base / "conf", "-i", self.base / "pid"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        house.wait_for(self.log, self._open)
        return self

    def _open(self):
        assert self.process.poll() is None, self.log()
        try:
            socket.create_connection(("127.0.0.1", self.port), 2).close()
            return True
        except OSError:
            return False

    def log(self):
        return (self.outside / "log").read_text(errors="replace")

    def lines(self):
        out = self.outside / "out"
        return out.read_text().splitlines() if out.exists() else []

    def stop(self, how=signal.SIGTERM):
        if self.process:
            os.killpg(self.process.pid, how)
            self.process.wait(house.WAIT)
        self.process = None

    def close(self):
        self.stop(signal.SIGKILL)
        shutil.rmtree(self.outside, ignore_errors=True)
