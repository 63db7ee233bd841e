"""What OpenWrt gets: the feed's files, the packages' structure, and the package unpacked among BusyBox's tools."""

import hashlib
import io
import os
import pathlib
import re
import shutil
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import tarfile

import pytest

import house
import upstream

FEED = "board/openwrt"
# What OpenWrt's BusyBox is built without.
NO_APPLETS = {"stat", "timeout", "realpath", "pkill", "nohup", "od", "install", "sha512sum", "tac", "shuf", "nproc"}
U1 = "user1@test-sample.jp"


@pytest.fixture(scope="module")
def package(top, tmp_path_factory):
    """package(KIND, **ENVIRONMENT): the directory of the packages of the program under test."""
    def make(kind="ipk", **environment):
        out = tmp_path_factory.mktemp("packages")
        result = house.run("sh", top / FEED / "package", kind, "x86_64", house.BINARY,
                           env={**os.environ, "OUT": str(out), **environment})
        assert result.returncode == 0, result
        return out, result
    return make


def members(data):
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        return tar.getmembers(), {m.name: tar.extractfile(m).read() for m in tar.getmembers() if m.isfile()}


def parts(path):
    order, files = members(path.read_bytes())
    assert [m.name for m in order] == ["./debian-binary", "./data.tar.gz", "./control.tar.gz"]
    return files


def fields(text):
    return dict(line.split(": ", 1) for line in text.decode().splitlines())


def test_ipk_structure(package, top):
    out, _ = package(SOURCE_DATE_EPOCH="1700000000")
    version = re.search(r"^VERSION *:= *(\S+)", (top / "Makefile").read_text(), re.M).group(1)
    path = out / f"sekimori_{version}-r1_x86_64.ipk"
    assert path.read_bytes()[:2] == b"\x1f\x8b" and path.read_bytes()[4:8] == b"\0\0\0\0"      # gzip, without a time
    files = parts(path)
    assert files["./debian-binary"] == b"2.0\n"
    rows, control = members(files["./control.tar.gz"])
    assert {m.name for m in rows} == {".", "./control", "./conffiles", "./postinst", "./prerm"}
    told = fields(control["./control"])
    assert told["Package"] == "sekimori" and told["Version"] == f"{version}-r1" and told["Architecture"] == "x86_64"
    assert told["Require-User"] == "sekimori=460:sekimori=460" and told["License"] == "ISC" and told["Section"] == "mail"
    assert told["SourceDateEpoch"] == "1700000000"
    needed = house.run("readelf", "-d", house.BINARY).stdout
    wanted = [a + b for a, b in re.findall(r"\[(lib(?:mbedtls|inih))\.so\.(\d+)\]", needed)]
    assert told["Depends"].split(", ") == ["libc", *wanted, "ca-bundle"]
    assert control["./conffiles"].decode() == "/etc/sekimori.ini\n"
    for when in ("postinst", "prerm"):
        text = control["./" + when].decode()
        assert text.startswith("#!/bin/sh\n") and "lib/functions.sh" in text and f"default_{when} $0 $@" in text
    modes = {m.name: m.mode for m in rows}
    assert modes["./postinst"] == modes["./prerm"] == 0o755
    rows, data = members(files["./data.tar.gz"])
    assert all(m.uid == m.gid == 0 and not m.uname and m.mtime == 1700000000 for m in rows)
    assert [m.name for m in rows] == sorted(m.name for m in rows)
    modes = {m.name: m.mode for m in rows if not m.isdir()}
    assert modes == {"./usr/sbin/sekimori": 0o755, "./etc/init.d/sekimori": 0o755, "./etc/sekimori.ini": 0o600,
                     "./lib/upgrade/keep.d/sekimori": 0o644}
    assert int(told["Installed-Size"]) == sum(len(v) for v in data.values())
    (out / "program").write_bytes(data["./usr/sbin/sekimori"])
    assert ".symtab" not in house.run("readelf", "-S", "-W", out / "program").stdout
    assert data["./lib/upgrade/keep.d/sekimori"].decode().split() == ["/etc/sekimori.ini", "/etc/sekimori/"]


def test_the_mta_is_a_link_of_its_own(package):
    out, _ = package()
    (path,) = out.glob("sekimori-mta_*_all.ipk")
    files = parts(path)
    told = fields(members(files["./control.tar.gz"])[1]["./control"])
    assert told["Architecture"] == "all"
    assert told["Alternatives"] == "100:/usr/sbin/sendmail:/usr/sbin/sekimori" and "sekimori" in told["Depends"].split(", ")
    assert not members(files["./data.tar.gz"])[1]


def test_two_builds_are_equal(package):
    first, _ = package(SOURCE_DATE_EPOCH="1700000000")
    os.umask(os.umask(0o077) and 0o077)
    try:
        second, _ = package(SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo", LC_ALL="C")
    finally:
        os.umask(0o022)
    digests = [{p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in out.iterdir()} for out in (first, second)]
    assert digests[0] == digests[1] and len(digests[0]) == 2


# OpenWrt's functions.sh, as far as our scripts call it.
FUNCTIONS = """say() {
	call=$1
	shift
	[ -n "$pkgname" ] || local pkgname="$(basename ${1%.*})"
	echo "$call $pkgname" >> "$IPKG_INSTROOT/calls"
}
add_group_and_user() { say users "$@"; }
default_postinst() { say postinst "$@"; }
default_prerm() { say prerm "$@"; }
"""


@pytest.fixture
def openwrt(tmp_path):
    """A root directory for a real apk or opkg."""
    root = tmp_path / "openwrt"
    for directory in ("bin", "lib", "etc", "tmp", "usr/lib/opkg", "var/lock"):
        (root / directory).mkdir(parents=True)
    (root / "lib/functions.sh").write_text(FUNCTIONS)
    shutil.copy(shutil.which("busybox"), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    return root


def installed(root):
    """What both have to have laid there."""
    assert stat.S_IMODE((root / "etc/sekimori").stat().st_mode) == 0o750
    modes = {name: stat.S_IMODE((root / name).stat().st_mode)
             for name in ("usr/sbin/sekimori", "etc/init.d/sekimori", "etc/sekimori.ini", "lib/upgrade/keep.d/sekimori")}
    assert list(modes.values()) == [0o755, 0o755, 0o600, 0o644], modes
    assert (root / "usr/sbin/sekimori").stat().st_uid == 0


def test_apk(package, openwrt, tmp_path, as_root):
    """apk-tools 3: Debian has no package of them."""
    out, result = package("apk", SOURCE_DATE_EPOCH="1700000000")
    if "SKIPPED" in result.stderr:
        pytest.skip("there is no apk (apk-tools 3) on this machine: no .apk was made")
    again, _ = package("apk", SOURCE_DATE_EPOCH="1700000000", TZ="Asia/Tokyo")
    ours = sorted(out.iterdir())
    assert [p.name.rsplit("-", 2)[0] for p in ours] == ["sekimori", "sekimori-mta"]
    assert [p.read_bytes() for p in ours] == [p.read_bytes() for p in sorted(again.iterdir())]
    assert house.run("apk", "verify", "--allow-untrusted", *ours).returncode == 0
    told = house.run("apk", "adbdump", ours[0]).stdout
    others, nothing = [], tmp_path / "nothing"
    nothing.mkdir()
    for name in re.findall(r"^    - (\S+)$", re.search(r"^  depends:.*\n((?:    - .*\n)+)", told, re.M)[1], re.M):
        others.append(tmp_path / f"{name}-1-r1.apk")
        made = house.run("apk", "mkpkg", "--info", f"name:{name}", "--info", "version:1-r1", "--info", "arch:noarch", "--files", nothing,
                         "--output", others[-1])
        assert made.returncode == 0, made

    def apk(*args):
        done = house.run("apk", "--root", openwrt, "--arch", "x86_64", "--allow-untrusted", "--no-network", "--repositories-file",
                         "/dev/null", *args)
        assert done.returncode == 0, done

    apk("--initdb", "add", *others, *ours)
    installed(openwrt)
    assert (openwrt / "calls").read_text().splitlines() == ["users sekimori", "postinst sekimori", "users sekimori-mta",
                                                            "postinst sekimori-mta"]
    apk("del", "sekimori-mta", "sekimori")
    assert (openwrt / "calls").read_text().splitlines()[4:] == ["prerm sekimori-mta", "prerm sekimori"]
    assert not (openwrt / "usr/sbin/sekimori").exists()


def test_opkg(package, openwrt, tmp_path, as_root):
    """OpenWrt's opkg, of 24.10 and before: Debian has no package of it."""
    tool = shutil.which("opkg") or shutil.which("opkg-cl")
    if not tool:
        pytest.skip("there is no opkg on this machine")
    out, _ = package()
    ours = sorted(out.glob("sekimori_*.ipk")) + sorted(out.glob("sekimori-mta_*.ipk"))
    (openwrt / "etc/opkg.conf").write_text("dest root /\nlists_dir ext /var/opkg-lists\narch all 1\narch x86_64 10\n")
    others = []
    for name in fields(members(parts(ours[0])["./control.tar.gz"])[1]["./control"])["Depends"].split(", "):
        others.append(tmp_path / f"{name}.ipk")
        inside = tmp_path / name
        for part, text in (("control/control", f"Package: {name}\nVersion: 1\nArchitecture: all\nDescription: x\n"), ("data/tmp/x", "")):
            (inside / part).parent.mkdir(parents=True)
            (inside / part).write_text(text)
        (inside / "debian-binary").write_text("2.0\n")
        for part in ("control", "data"):
            house.run("tar", "-C", inside / part, "-czf", inside / f"{part}.tar.gz", ".")
        house.run("tar", "-C", inside, "-czf", others[-1], "./debian-binary", "./data.tar.gz", "./control.tar.gz")

    def opkg(*args):
        done = house.run(tool, "-f", openwrt / "etc/opkg.conf", "-o", openwrt, *args, env={**os.environ, "IPKG_INSTROOT": str(openwrt)})
        assert done.returncode == 0 and "Collected errors" not in done.stdout + done.stderr, done
        return done.stdout

    opkg("--force-overwrite", "--force-postinstall", "install", *others, *ours)
    installed(openwrt)
    assert "Status: install user installed" in opkg("status", "sekimori") and "/etc/sekimori.ini " in opkg("status", "sekimori")
    assert os.readlink(openwrt / "usr/sbin/sendmail") == "/usr/sbin/sekimori"
    assert (openwrt / "calls").read_text().splitlines() == ["postinst sekimori", "postinst sekimori-mta"]
    (openwrt / "etc/sekimori.ini").write_text("mine\n")
    opkg("remove", "sekimori-mta", "sekimori")
    assert (openwrt / "etc/sekimori.ini").read_text() == "mine\n" and not (openwrt / "usr/sbin/sekimori").exists()


# Keeps what it was told, in place of the package.
FAKE_APK = """#!/bin/sh
for last; do :; done
mkdir -p "$last"
printf '%s\\n' "$@" > "$last/arguments"
while [ $# -gt 0 ]; do
	case $1 in
	--script) cp "${2#*:}" "$last/${2%%:*}"; shift ;;
	--files) cp -a "$2" "$last/files"; shift ;;
	esac
	shift
done
"""


def test_what_apk_is_told(package, tmp_path):
    (tmp_path / "apk").write_text(FAKE_APK)
    os.chmod(tmp_path / "apk", 0o755)
    out, _ = package("apk", PATH=f"{tmp_path}:{os.environ['PATH']}", SOURCE_DATE_EPOCH="1700000000")
    gate, mta = sorted(out.glob("sekimori-[0-9]*.apk")), sorted(out.glob("sekimori-mta-*.apk"))
    assert len(gate) == len(mta) == 1 and re.fullmatch(r"sekimori-[0-9.]+-r1\.apk", gate[0].name)
    told = (gate[0] / "arguments").read_text().splitlines()
    assert told[0] == "mkpkg" and {"name:sekimori", "arch:x86_64", "license:ISC"} <= set(told)
    (depends,) = [t for t in told if t.startswith("depends:")]
    assert depends.startswith("depends:libc ") and depends.endswith(" ca-bundle") and "," not in depends
    assert "arch:noarch" in (mta[0] / "arguments").read_text().splitlines()
    lists = gate[0] / "files/lib/apk/packages"
    assert (lists / "sekimori.list").read_text().split() == ["/etc/init.d/sekimori", "/etc/sekimori.ini",
                                                             "/lib/upgrade/keep.d/sekimori", "/usr/sbin/sekimori"]
    assert (lists / "sekimori.rusers").read_text() == "sekimori=460:sekimori=460\n"
    assert (lists / "sekimori.conffiles").read_text().split() == ["/etc/sekimori.ini", "/etc/sekimori/"]
    digest = hashlib.sha256((gate[0] / "files/etc/sekimori.ini").read_bytes()).hexdigest()
    assert (lists / "sekimori.conffiles_static").read_text() == f"/etc/sekimori.ini {digest}\n"
    alternatives = mta[0] / "files/lib/apk/packages/sekimori-mta.alternatives"
    assert alternatives.read_text() == "100:/usr/sbin/sendmail:/usr/sbin/sekimori\n"
    for when, words in (("post-install", "default_postinst"), ("post-upgrade", "default_postinst"), ("pre-deinstall", "default_prerm")):
        text = (gate[0] / when).read_text()
        assert 'export pkgname="sekimori"\n' in text and text.endswith(words + "\n")
        assert ("PKG_UPGRADE=1" in text) == (when == "post-upgrade")
    assert all(int(os.lstat(p).st_mtime) == 1700000000 for p in (gate[0] / "files").rglob("*"))


def test_make_knows_the_targets(top):
    result = house.run("make", "-s", "-C", top, "ipk", "TARGET=vax", "BUILD=" + os.path.dirname(house.BINARY))
    assert result.returncode and "unknown target vax" in result.stderr
    for target in ("mipsel_24kc", "mips_24kc", "arm_cortex-a7_neon-vfpv4", "aarch64_cortex-a53", "x86_64"):
        assert target + ")" in (top / FEED / "package").read_text()


# The feed

def test_the_menu_is_current(top):
    made = house.run("sh", top / FEED / "options", top / "Kconfig", top / FEED / "defconfig").stdout
    assert made == (top / FEED / "sekimori/Config.in").read_text(), \
        "sh board/openwrt/options Kconfig board/openwrt/defconfig > board/openwrt/sekimori/Config.in"
    ours = re.findall(r"^config (\w+)", (top / "Kconfig").read_text(), re.M)
    assert re.findall(r"^config (\w+)", made, re.M) == ["SEKIMORI_" + name for name in ours]
    for line in re.findall(r"^\s*(?:depends on|select|imply) (.*)", made, re.M):
        assert all(word.startswith("SEKIMORI_") for word in re.findall(r"[A-Z][A-Z0-9_]+", line)), line


def test_the_menu_is_kconfig(top, tmp_path):
    kconfiglib = pytest.importorskip("kconfiglib")
    (tmp_path / "Config").write_text("config PACKAGE_sekimori\n\tbool\n\tdefault y\n" +
                                     (top / FEED / "sekimori/Config.in").read_text())
    menu = kconfiglib.Kconfig(str(tmp_path / "Config"), warn_to_stderr=False)
    assert not menu.warnings
    plain = kconfiglib.Kconfig(str(top / "Kconfig"), warn_to_stderr=False)
    plain.load_config(str(top / FEED / "defconfig"))
    for name, symbol in plain.syms.items():
        if symbol.nodes:
            assert menu.syms["SEKIMORI_" + name].str_value == symbol.str_value


STAND_IN = """
# What a dump of OpenWrt's package.mk says of each package, and no more.
define BuildPackage
$(eval $(Package/$(1)))
$(info Package: $(1)|$(SECTION)|$(CATEGORY)|$(TITLE)|$(DEPENDS)|$(USERID)|$(MENU)|$(ALTERNATIVES)|$(PKG_VERSION)-r$(PKG_RELEASE))
$(info Config: $(strip $(Package/$(1)/config)))
$(info Conffiles: $(Package/$(1)/conffiles))
$(info Description: $(Package/$(1)/description))
$(if $(Package/$(1)/install),,$(error no install of $(1)))
endef
all: ; @echo "Depends: $(PKG_CONFIG_DEPENDS)"; echo 'Source: $(SEKIMORI_TREE)'
"""


def test_the_feed_parses(top, tmp_path):
    (tmp_path / "include").mkdir()
    (tmp_path / "rules.mk").write_text("INCLUDE_DIR:=$(TOPDIR)/include\n")
    (tmp_path / "include/package.mk").write_text(STAND_IN)
    feed = top / FEED / "sekimori"
    result = house.run("make", "-s", "-C", feed, f"TOPDIR={tmp_path}", "DUMP=1", "all", "MAKEFLAGS=")
    assert result.returncode == 0, result
    version = re.search(r"^VERSION *:= *(\S+)", (top / "Makefile").read_text(), re.M).group(1)
    told = result.stdout
    assert ("Package: sekimori|mail|Mail|SMTP gate that checks who sends under whose name|+libmbedtls +libinih +ca-bundle|"
            f"sekimori=460:sekimori=460|1||{version}-r1") in told
    assert "|100:/usr/sbin/sendmail:/usr/sbin/sekimori|" in told
    assert "Conffiles: /etc/sekimori.ini\n/etc/sekimori/" in told
    depends = re.search(r"^Depends: (.*)", told, re.M).group(1).split()
    assert depends == ["CONFIG_SEKIMORI_" + n for n in re.findall(r"^config (\w+)", (top / "Kconfig").read_text(), re.M)]
    assert f"Source: {top}" in told


def test_the_feed_is_written_as_openwrt_wants(top):
    text = (top / FEED / "sekimori/Makefile").read_text()
    for body in re.findall(r"^define Package/[\w-]+\n(.*?)^endef", text, re.S | re.M):
        assert all(line.startswith("  ") and not line.startswith("\t") for line in body.splitlines())
    for body in re.findall(r"^define (?:Build/\w+|Package/[\w-]+/install)\n(.*?)^endef", text, re.S | re.M):
        assert all(line.startswith("\t") for line in body.splitlines())
    assert "/etc/sekimori.ini\n" in re.search(r"/conffiles\n(.*?)endef", text, re.S).group(1)
    for name in ("sekimori", "sekimori-mta"):
        assert f"\ndefine Package/{name}\n" in text and f"$(eval $(call BuildPackage,{name}))" in text


# On the device

RC_COMMON = """#!/bin/sh
# A small stand-in of rc.common and procd.sh: what a script asks of procd is written down.
initscript=$1 action=$2
note() { echo "$*" >> /tmp/calls; }
procd_open_instance() { note open; }
procd_close_instance() { note close; }
procd_set_param() { note param "$@"; }
procd_add_raw_trigger() { note trigger "$@"; }
procd_add_restart_mount_trigger() { note mount "$@"; }
procd_send_signal() { note signal "$@"; }
uci() { [ "$*" = "-q get system.@system[0].hostname" ] && echo OpenWrt; }
. "$initscript"
case $action in
start) start_service; service_triggers ;;
reload) reload_service ;;
esac
"""

PX5G = """#!/bin/sh
echo "$*" >> /tmp/px5g
case "$*" in "selfsigned -newkey ec -pkeyopt ec_paramgen_curve:P-256 "*) ;; *) exit 1 ;; esac
while [ $# -gt 1 ]; do
	case $1 in -keyout) cat /tmp/made.key > "$2" ;; -out) cat /tmp/made.pem > "$2" ;; esac
	shift
done
"""


class Device:
    """A root file system of BusyBox with the package unpacked in it."""

    def __init__(self, root, ipk, port, upstream_port, certs):
        self.root, self.port, self.daemon = root, port, None
        for directory in ("bin", "sbin", "usr/bin", "usr/sbin", "etc", "tmp", "srv", "dev", "proc", "var", "lib"):
            (root / directory).mkdir(parents=True, exist_ok=True)
        (root / "var/run").mkdir()
        (root / "run").symlink_to("var/run")
        busybox = shutil.which("busybox")
        shutil.copy(busybox, root / "bin/busybox")
        for applet in house.run(busybox, "--list").stdout.split():
            if applet not in NO_APPLETS | {"busybox"}:
                (root / "bin" / applet).symlink_to("busybox")
        for path in re.findall(r"(/\S+) \(0x", house.run("ldd", house.BINARY).stdout):
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\nsekimori:x:460:460:sekimori:/var/run:/bin/false\n")
        (root / "etc/group").write_text("root:x:0:\nsekimori:x:460:\n")
        for name in ("null", "urandom", "random"):
            (root / "dev" / name).touch()
        (root / "etc/rc.common").write_text(RC_COMMON)
        (root / "usr/sbin/px5g").write_text(PX5G)
        for name in ("etc/rc.common", "usr/sbin/px5g"):
            os.chmod(root / name, 0o755)
        for made, own in (("key", "server.key"), ("pem", "server.pem")):
            shutil.copy(certs / own, root / f"tmp/made.{made}")
        with tarfile.open(fileobj=io.BytesIO(parts(ipk)["./data.tar.gz"]), mode="r:gz") as tar:
            for m in tar.getmembers():
                tar.extract(m, root)
        self.ini = root / "etc/sekimori.ini"
        self.upstream_port = upstream_port

    def fill_in(self):
        text = self.ini.read_text()
        for pattern, line in ((r"^domains  *=$", "domains = test-sample.jp"),
                              (r"^;hostname .*", "hostname = mail.test-sample.jp"),
                              (r"^address  *= 0.*", f"address = 127.0.0.1:{self.port}"),
                              (r"^host  *=$", f"host = 127.0.0.1\nport = {self.upstream_port}"),
                              (r"^tls  *= starttls\ntls_ca .*", "tls = none"),
                              (r"^user  *=$\n^password_file .*", ""),
                              (r"^from  *=$", "from = postmaster@test-sample.jp")):
            text, n = re.subn(pattern, line, text, count=1, flags=re.M)
            assert n == 1, pattern
        self.ini.write_text(text + "\n[local]\nsender = router@test-sample.jp\nowner = admin@test-sample.jp\n")

    def command(self, *args):
        mounts = " && ".join(f"mount --bind /dev/{n} dev/{n}" for n in ("null", "urandom", "random"))
        return ["unshare", "-m", "sh", "-c", f'cd "$0" && {mounts} && mount -t proc proc proc && exec chroot . /bin/busybox env -i '
                'PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"', str(self.root), *args]

    def run(self, *args, **kwargs):
        return house.run(*self.command(*args), **kwargs)

    def service(self, action):
        calls = self.root / "tmp/calls"
        calls.unlink(missing_ok=True)
        result = self.run("/etc/rc.common", "/etc/init.d/sekimori", action)
        assert result.returncode == 0, result
        return calls.read_text().splitlines() if calls.exists() else [], result.stderr

    def start(self, command):
        with open(self.root / "tmp/log", "ab") as log:
            self.daemon = subprocess.Popen(self.command(*command), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        house.wait_for(lambda: f"the gate; {self.log()}", self._open)

    def _open(self):
        assert self.daemon.poll() is None, self.log()
        with socket.socket() as s:
            return not s.connect_ex(("127.0.0.1", self.port))

    def log(self):
        return (self.root / "tmp/log").read_text()

    def close(self):
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            assert self.daemon.wait(house.WAIT) == 0, self.log()
            self.daemon = None


@pytest.fixture
def device(as_root, package, tmp_path, ports, certs, closing):
    if not shutil.which("busybox") or house.run("busybox", "--list").returncode:
        pytest.skip("there is no busybox on this machine (busybox-static)")
    if house.run("unshare", "-m", "true").returncode:
        pytest.skip("no mount namespaces here")
    if house.run("ldd", shutil.which("busybox")).returncode == 0:
        pytest.skip("busybox is not static (busybox-static)")
    out, _ = package()
    (ipk,) = out.glob("sekimori_*.ipk")
    d = Device(tmp_path / "root", ipk, ports.one(), ports.one(), certs)
    closing(d)
    return d


def test_on_busybox(device, closing, certs):
    sink = closing(upstream.Sink(device.upstream_port))
    # As installed: not set up, so nothing is started, and it says so.
    calls, said = device.service("start")
    assert "open" not in calls and "not set up yet" in said
    assert "trigger acme.renew 5000 /etc/init.d/sekimori reload" in calls
    device.fill_in()
    calls, said = device.service("start")
    assert "does not start" not in said, said
    assert "mount /srv/sekimori" in calls
    assert calls[calls.index("open"):calls.index("close")] == [
        "open", "param command /usr/sbin/sekimori -c /etc/sekimori.ini run -f", "param file /usr/sbin/sekimori",
        "param respawn 3600 5 0", "param limits core=0"]
    # What it prepared: nothing that the daemon's user may change but the spool.
    facts = {name: (os.lstat(device.root / name).st_uid, os.lstat(device.root / name).st_gid,
                    os.lstat(device.root / name).st_mode & 0o7777)
             for name in ("etc/sekimori.ini", "etc/sekimori", "srv/sekimori", "etc/sekimori/key.pem", "etc/sekimori/accounts")}
    assert facts == {"etc/sekimori.ini": (0, 460, 0o640), "etc/sekimori": (0, 460, 0o750), "srv/sekimori": (460, 460, 0o700),
                     "etc/sekimori/key.pem": (0, 460, 0o640), "etc/sekimori/accounts": (0, 460, 0o640)}
    assert "made a first certificate" in said and "/CN=mail.test-sample.jp" in (device.root / "tmp/px5g").read_text()
    assert device.run("sekimori", "--version").stdout.startswith("sekimori ")
    assert device.run("sekimori", "passwd", U1, input="user1234\n").returncode == 0
    device.start(calls[calls.index("open") + 1].split()[2:])
    assert f"Uid:\t460" in pathlib.Path(f"/proc/{device.daemon.pid}/status").read_text()
    with smtplib.SMTP("127.0.0.1", device.port, timeout=house.WAIT) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(certs / "ca.pem")))
        client.login(U1, "user1234")
        client.sendmail(U1, "friend@example.net", f"From: {U1}\r\nSubject: from a router\r\n\r\nHello\r\n")
    sink.wait()
    # What the alternatives of sekimori-mta make, as BusyBox's cron calls it.
    (device.root / "usr/sbin/sendmail").symlink_to("/usr/sbin/sekimori")
    result = device.run("/usr/sbin/sendmail", "-ti", "root", input="To: root\nSubject: cron: ls\n\nout\n")
    assert result.returncode == 0 and result.stderr == "", result
    house.wait_for("cron's mail", lambda: len(sink.keeper.mails) == 2)
    assert sink.keeper.mails[1].sender == "router@test-sample.jp" and set(sink.keeper.mails[1].to) == {"admin@test-sample.jp"}
    calls, _ = device.service("reload")
    assert calls == ["signal sekimori"]
    device.daemon.send_signal(signal.SIGHUP)
    house.wait_for("the reload", lambda: "reloaded /etc/sekimori.ini" in device.log())
    # A second start changes nothing: neither certificate nor accounts.
    _, said = device.service("start")
    assert said == "" and len((device.root / "tmp/px5g").read_text().splitlines()) == 1
    assert device.run("sekimori", "status").returncode == 0


def test_a_fault_is_told_and_tried_again_in_a_minute(device):
    device.fill_in()
    device.ini.write_text(device.ini.read_text().replace("level            = auth=envelope=from", "level = 9"))
    calls, said = device.service("start")
    assert re.search(r"does not start: .*/etc/sekimori.ini:\d+: level = 9", said), said
    assert "param respawn 3600 60 0" in calls


def test_no_certificate_can_be_made(device):
    device.fill_in()
    (device.root / "usr/sbin/px5g").write_text("#!/bin/sh\nexit 1\n")
    calls, said = device.service("start")
    assert "no first certificate could be made" in said and "param respawn 3600 60 0" in calls
    assert not list((device.root / "etc/sekimori").glob("*.new"))
    (device.root / "usr/sbin/px5g").write_text(PX5G)
    calls, said = device.service("start")
    assert "made a first certificate" in said and "param respawn 3600 5 0" in calls
