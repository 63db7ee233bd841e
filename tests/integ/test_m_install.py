"""make install and uninstall into a DESTDIR; what systemd's own tools say of the unit, the user and the directories."""

import os
import pathlib
import shutil
import stat
import subprocess

import pytest

import house

TOP = pathlib.Path(__file__).resolve().parents[2]
MANUAL = {"man8/sekimori.8", "man8/sekimori-sendmail.8", "man5/sekimori.ini.5"}
SYSTEMD = {"usr/lib/systemd/system/sekimori.service", "usr/lib/sysusers.d/sekimori.conf", "usr/lib/tmpfiles.d/sekimori.conf",
           "etc/fail2ban/filter.d/sekimori.conf", "etc/fail2ban/jail.d/sekimori.conf"}
PROCD = {"etc/init.d/sekimori", "lib/upgrade/keep.d/sekimori"}


def make(goal, dest, **variables):
    """`all` is what is built already: the tree's own build directory isn't touched."""
    build = pathlib.Path(dest).parent / "build"
    if not build.exists():
        build.mkdir()
        shutil.copy(house.BINARY, build / "sekimori")
    result = subprocess.run(["make", "-s", f"BUILD={build}", f"DESTDIR={dest}", "-o", "all", goal]
                            + [f"{k}={v}" for k, v in variables.items()],
                            cwd=TOP, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    assert result.returncode == 0, result.stdout


def files(dest):
    return {str(path.relative_to(dest)) for path in pathlib.Path(dest).rglob("*") if not path.is_dir()}


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("init, prefix", [("systemd", "/usr"), ("procd", "/usr"), ("none", "/usr"), ("systemd", "/usr/local")])
def test_install(tmp_path, init, prefix):
    dest = tmp_path / "dest"
    make("install", dest, INIT=init, PREFIX=prefix)
    base = prefix[1:]
    services = {"systemd": SYSTEMD, "procd": PROCD, "none": set()}[init]
    guides = {f"{base}/share/doc/sekimori/{path.name}" for path in TOP.glob("rootfs/usr/share/doc/sekimori/*.md")}
    assert files(dest) == {f"{base}/sbin/sekimori", "etc/sekimori.ini"} | {f"{base}/share/man/{p}" for p in MANUAL} | services | guides
    assert mode(dest / base / "sbin/sekimori") == 0o755
    assert mode(dest / "etc/sekimori.ini") == 0o640
    for name in services:
        text = (dest / name).read_text()
        assert mode(dest / name) == (0o755 if name.startswith("etc/init.d") else 0o644), name
        assert text.replace(f"{prefix}/sbin/sekimori", "").count("sbin/sekimori") == 0, name
    assert house.run(dest / base / "sbin/sekimori", "--version").returncode == 0


def test_a_configuration_stays(tmp_path):
    dest = tmp_path / "dest"
    (dest / "etc").mkdir(parents=True)
    (dest / "etc/sekimori.ini").write_text("mine\n")
    os.chmod(dest / "etc/sekimori.ini", 0o600)
    make("install", dest, INIT="systemd")
    assert (dest / "etc/sekimori.ini").read_text() == "mine\n" and mode(dest / "etc/sekimori.ini") == 0o600
    assert (dest / "etc/sekimori.ini.new").read_bytes() == (TOP / "rootfs/etc/sekimori.ini").read_bytes()
    make("uninstall", dest, INIT="systemd")
    assert files(dest) == {"etc/sekimori.ini", "etc/sekimori.ini.new"}


@pytest.fixture
def root(tmp_path):
    """A root directory with the gate in it, for systemd's tools."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd isn't there")
    dest = tmp_path / "root"
    make("install", dest, INIT="systemd")
    return dest


def test_unit_is_good(root):
    unit = root / "usr/lib/systemd/system/sekimori.service"
    # The program has to be there under its own name for `verify`.
    text = unit.read_text().replace("/usr/sbin/sekimori", str(root / "usr/sbin/sekimori"))
    unit.write_text(text)
    result = house.run("systemd-analyze", "verify", "--man=no", unit)
    assert result.returncode == 0 and "sekimori.service" not in result.stderr, result


def test_unit_is_tight(root):
    unit = root / "usr/lib/systemd/system/sekimori.service"
    result = house.run("systemd-analyze", "security", "--offline=true", "--threshold=40", unit)
    if "unrecognized option" in result.stderr:
        pytest.skip("this systemd-analyze can't look at a file")
    assert result.returncode == 0, result.stdout


def test_user_and_directories(root, as_root):
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    result = house.run("systemd-sysusers", f"--root={root}")
    assert result.returncode == 0, result
    user = next(line for line in (root / "etc/passwd").read_text().splitlines() if line.startswith("sekimori:")).split(":")
    assert user[5] == "/var/spool/sekimori" and user[6].endswith("nologin")
    result = house.run("systemd-tmpfiles", "--create", f"--root={root}", "--prefix=/var/spool", "--prefix=/etc")
    assert result.returncode == 0, result
    uid, gid = int(user[2]), int(user[3])
    spool, secrets, ini = (root / p for p in ("var/spool/sekimori", "etc/sekimori", "etc/sekimori.ini"))
    assert (spool.stat().st_uid, spool.stat().st_gid, mode(spool)) == (uid, gid, 0o700)
    assert (secrets.stat().st_uid, secrets.stat().st_gid, mode(secrets)) == (0, gid, 0o750)
    assert (ini.stat().st_uid, ini.stat().st_gid, mode(ini)) == (0, gid, 0o640)
