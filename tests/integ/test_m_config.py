"""board/config, which reads Kconfig without its tools, against kconfiglib; make menuconfig; what each option's help says."""

import contextlib
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

pytestmark = pytest.mark.once
TOP = pathlib.Path(__file__).resolve().parents[2]
BOARDS = sorted(TOP.glob("board/*/defconfig"))
kconfiglib = pytest.importorskip("kconfiglib", reason="python3-kconfiglib isn't there")


def ours(config):
    """Symbols and values as the C header has them; None when it is refused."""
    result = subprocess.run(["sh", "board/config", "header", "Kconfig", str(config)], cwd=TOP, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True, check=False)
    return dict(re.findall(r"^#define CONFIG_(\w+) (\d+)$", result.stdout, re.M)) if result.returncode == 0 else None


def theirs(config):
    menu = kconfiglib.Kconfig(str(TOP / "Kconfig"), warn_to_stderr=False)
    menu.load_config(str(config))
    return menu


def agree(config):
    menu, made = theirs(config), ours(config)
    assert made is not None and set(made) == {s.name for s in menu.unique_defined_syms}
    for symbol in menu.unique_defined_syms:
        if symbol.type == kconfiglib.BOOL:
            assert made[symbol.name] == ("1" if symbol.str_value == "y" else "0"), (symbol.name, config.read_text())
        elif symbol.visibility:
            assert made[symbol.name] == symbol.str_value, (symbol.name, config.read_text())
        else:
            # A limit of what isn't there has to be a number all the same: C reads it.
            assert made[symbol.name].isdigit()
    return menu


@pytest.mark.parametrize("board", BOARDS, ids=lambda path: path.parent.name)
def test_boards(board):
    menu = agree(board)
    assert not menu.warnings, menu.warnings


def test_none_has_nothing():
    made = ours(TOP / "board/none/defconfig")
    features = {s.name for s in theirs(TOP / "board/host/defconfig").unique_defined_syms if s.type == kconfiglib.BOOL}
    assert {name for name in features if made[name] == "1"} == set()
    assert all(value == "1" for name, value in ours(TOP / "board/host/defconfig").items() if name in features)


def test_random_configurations(tmp_path):
    symbols = theirs(TOP / "board/host/defconfig").unique_defined_syms
    for seed in range(60):
        dice = random.Random(seed)
        lines = []
        for symbol in symbols:
            if dice.random() < 0.4:
                continue
            if symbol.type == kconfiglib.BOOL:
                lines.append(f"CONFIG_{symbol.name}=y" if dice.random() < 0.5 else f"# CONFIG_{symbol.name} is not set")
            else:
                low, high = (int(x.str_value) for x in symbol.ranges[0][:2])
                lines.append(f"CONFIG_{symbol.name}={dice.choice([low, high, dice.randint(low, high)])}")
        dice.shuffle(lines)
        config = tmp_path / f"config{seed}"
        config.write_text("\n".join(lines) + "\n")
        agree(config)


@pytest.mark.parametrize("line", ["CONFIG_NOBODY=y", "CONFIG_TLS=m", "CONFIG_ROUTES_MAX=0", "CONFIG_ROUTES_MAX=65",
                                  "CONFIG_ROUTES_MAX=-1", "CONFIG_ROUTES_MAX=", "rubbish", "CONFIG_TLS"])
def test_refused(tmp_path, line):
    config = tmp_path / "config"
    config.write_text(line + "\n")
    assert ours(config) is None


def test_random_boards_build(tmp_path):
    """Features that need each other would show here."""
    names = [s.name for s in theirs(TOP / "board/host/defconfig").unique_defined_syms if s.type == kconfiglib.BOOL]
    for seed in range(3):
        dice = random.Random(seed)
        config = tmp_path / "config"
        config.write_text("".join(f"# CONFIG_{name} is not set\n" for name in names if dice.random() < 0.5))
        build = tmp_path / f"build{seed}"
        result = subprocess.run(["make", "-s", "-j2", f"BUILD={build}", f"CONFIG={config}", "CFLAGS=-O1",
                                 "EXTRA_CFLAGS=-Werror", str(build / "sekimori")], cwd=TOP, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=600, check=False)
        assert result.returncode == 0, config.read_text() + result.stdout[-3000:]
        assert subprocess.run([build / "sekimori", "--version"], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_features_are_known():
    """Each feature leaves a file out, or stands in the C code; main.c names it in --version."""
    makefile, main = (TOP / "Makefile").read_text(), (TOP / "src/main.c").read_text()
    for symbol in theirs(TOP / "board/host/defconfig").unique_defined_syms:
        if symbol.type == kconfiglib.BOOL:
            assert re.search(rf"^FILES_{symbol.name}\s*:=", makefile, re.M), f"{symbol.name} leaves no file out"
            assert f"CONFIG_{symbol.name}," in main, f"--version doesn't name {symbol.name}"


def test_help_says_the_cost():
    """`make size` measures it; a feature's help has the number, a table's help says the octets of a row."""
    for symbol in theirs(TOP / "board/host/defconfig").unique_defined_syms:
        text = symbol.nodes[0].help or ""
        if symbol.type == kconfiglib.BOOL:
            assert re.search(r"^Costs -?\d+ octets of flash\b", text, re.M), f"{symbol.name}: make size says what it costs"
        else:
            assert re.search(r"octets of memory", text), f"{symbol.name}: what does a row cost?"


def test_menuconfig(tmp_path):
    """make menuconfig, in a terminal: something is left out, saved, and built from."""
    tree = tmp_path / "tree"
    tree.mkdir()
    for name in ("Makefile", "Kconfig"):
        shutil.copy(TOP / name, tree)
    shutil.copytree(TOP / "board", tree / "board")
    (tree / "src").mkdir()
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(tree)
        os.environ.update(TERM="xterm", LINES="40", COLUMNS="120")
        os.execvp("make", ["make", "menuconfig"])
    seen = b""

    def show(pattern, keys):
        nonlocal seen
        end = time.monotonic() + 60
        while pattern not in seen:
            ready, _, _ = select.select([fd], [], [], 1)
            assert time.monotonic() < end, seen[-2000:]
            if ready:
                seen += os.read(fd, 65536)
        seen = b""
        os.write(fd, keys)

    try:
        show(b"Features", b"\r")		# into the menu
        show(b"TLS, for clients", b"ns")	# the first symbol is left out; save
        show(b".config", b"\r")
        show(b"saved", b"\r")
        os.write(fd, b"q")
        _, status = os.waitpid(pid, 0)
        assert os.waitstatus_to_exitcode(status) == 0
    finally:
        # Without its terminal it would spin for ever.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        os.close(fd)
    assert ours(tree / ".config")["TLS"] == "0"
