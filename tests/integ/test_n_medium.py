"""A spool that a power cut would empty is told of."""

import shutil

import pytest

import house


def mounted(gate, command):
    """The gate where `command` has mounted something at its spool."""
    gate.prefix = ["unshare", "-m", "sh", "-c", f'{command} && exec "$@"', "sh"]
    if not shutil.which("unshare") or house.run(*gate.prefix, "true").returncode:
        pytest.skip("this can't be mounted here")
    return gate


def told(gate):
    gate.write()
    check = gate.cmd("check")
    assert check.returncode == 0, check
    gate.start()
    return check.stdout


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs"])
def test_memory(gate, as_root, kind):
    said = told(mounted(gate, f"mount -t {kind} none {gate.dir}/spool"))
    assert f"warning: the spool is in memory ({kind}): a power cut" in said
    gate.wait_log(rf"the spool {gate.dir}/spool is in memory \({kind}\): a power cut")


def test_a_directory_to_be_made(gate, as_root):
    gate.set("server", spool=gate.dir / "spool/to/be/made")
    gate.write()
    assert "is in memory (tmpfs)" in mounted(gate, f"mount -t tmpfs none {gate.dir}/spool").cmd("check").stdout


@pytest.mark.parametrize("upper", ["disk", "memory"])
def test_overlay(gate, as_root, upper):
    """OpenWrt's root is an overlay; what counts is where its writes go."""
    base, medium = gate.dir / "base", gate.dir / "upper"
    base.mkdir()
    medium.mkdir()
    there = f"mount -t {'tmpfs' if upper == 'memory' else 'ext2 -o loop'} "
    if upper == "disk":
        if not shutil.which("mkfs.ext2"):
            pytest.skip("there is no mkfs.ext2 on this machine")
        with open(gate.dir / "disk", "wb") as f:
            f.truncate(64 << 20)
        assert house.run("mkfs.ext2", "-q", "-F", gate.dir / "disk").returncode == 0
        there += f"{gate.dir}/disk {medium}"
    else:
        there += f"none {medium}"
    mounted(gate, f"{there} && mkdir -p {medium}/u {medium}/w && mount -t overlay -o "
                  f"lowerdir={base},upperdir={medium}/u,workdir={medium}/w none {gate.dir}/spool")
    assert ("is in memory (tmpfs)" in told(gate)) == (upper == "memory")
    assert ("is in memory" in gate.log()) == (upper == "memory")


def test_a_disk_needs_no_word(gate):
    if house.run("stat", "-f", "-c", "%T", gate.dir).stdout.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the tests' own directory is in memory")
    assert "is in memory" not in told(gate)
    assert "is in memory" not in gate.log()
