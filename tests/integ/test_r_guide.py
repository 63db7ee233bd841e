"""R75. The guide: its two languages say the same, its commands and configurations work, its words are those of the program."""

import collections
import json
import os
import re
import shutil
import sys

import conftest
import guide_blocks
import guide_world
import house
import pytest

LANGUAGES = ("en", "ja")
PAGES = guide_blocks.DOC.parents[1] / "man"


def parts(text):
    """What must be the same in both languages, outside of blocks: tables' shapes, list items, code in the text, links."""
    outside = re.sub(r"^```.*?^```$", "BLOCK", text, flags=re.S | re.M)
    shape = []
    for line in outside.splitlines():
        if line.startswith("#"):
            shape.append("#" * (len(line) - len(line.lstrip("#"))))
        elif line.startswith("|"):
            shape.append(f"row of {line.count('|')}")
        elif line == "BLOCK":
            shape.append("block")
        elif re.match(r"[①-④] ", line):
            shape.append(line[0])
        elif re.match(r"[-*] |\d+\. ", line):
            shape.append("item")
    return shape


def test_the_languages_are_parallel():
    en, ja = (guide_blocks.read(language) for language in LANGUAGES)
    assert [h[:2] for h in guide_blocks.headings(en)] == [h[:2] for h in guide_blocks.headings(ja)]
    assert [(b.kind, b.info, b.text) for b in guide_blocks.blocks(en)] == \
        [(b.kind, b.info, b.text) for b in guide_blocks.blocks(ja)]
    assert parts(en) == parts(ja)


def code(text):
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)))


def test_code_in_the_text_is_the_same_in_both_languages():
    en, ja = (code(guide_blocks.read(language)) for language in LANGUAGES)
    assert en == ja, (en - ja, ja - en)


@pytest.mark.parametrize("language", LANGUAGES)
def test_sections_that_are_referred_to_exist(language):
    text = guide_blocks.read(language)
    numbers = {h[1].rstrip(".") for h in guide_blocks.headings(text)}
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    said = re.findall(r"[Ss]ections? (\d+(?:\.\d+)?)(?: (?:to|and) (\d+(?:\.\d+)?))?", outside) if language == "en" else \
        re.findall(r"(?<![\d.])(\d+\.\d+)(?:〜(\d+\.\d+))?(?= ?[でをのに）])", outside) + \
        [(n, "") for n in re.findall(r"(\d+) 章", outside)]
    assert said
    for pair in said:
        assert set(pair) - {""} <= numbers, pair


def test_the_logs_words_are_those_of_the_manual():
    """reason=, end=, alarm= and their like, wherever the guide quotes them."""
    page = (PAGES / "man8/sekimori.8").read_text()
    known = set(re.findall(r"[\w-]+", " ".join(re.findall(r"^\.(?:It )?(?:Cm|Ic) (.+)$", page, re.M))))
    said = set(re.findall(r"\b(?:reason|end|alarm|scope|waits_for)=([\w-]+)", " ".join(code(guide_blocks.read("en")))))
    assert said
    assert said <= known, said - known


def anchor(heading):
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_the_readme_leads_to_it():
    links = re.findall(r"\]\((rootfs/[^)#]+)(?:#([^)]+))?\)", (conftest.TOP / "README.md").read_text())
    assert {f"guide.{language}.md" for language in LANGUAGES} <= {os.path.basename(name) for name, _ in links}
    for name, place in links:
        text = (conftest.TOP / name).read_text()
        assert not place or place in [anchor(h) for h in re.findall(r"^#+ (.+)$", text, re.M)], (name, place)


def test_make_install_installs_it(tmp_path):
    build, root = tmp_path / "build", tmp_path / "root"
    build.mkdir()
    shutil.copy(house.BINARY, build / "sekimori")
    words = ["make", "-C", conftest.TOP, "-o", "all", "install", "INIT=none", f"BUILD={build}", f"DESTDIR={root}"]
    assert house.run(*words).returncode == 0
    installed = root / "usr/share/doc/sekimori"
    assert {f.name for f in installed.iterdir()} == {f"guide.{language}.md" for language in LANGUAGES}
    words[words.index("install")] = "uninstall"
    assert house.run(*words).returncode == 0
    assert not list(installed.iterdir())


def test_blocks_that_are_not_run_say_why():
    for block in guide_blocks.blocks(guide_blocks.read("en")):
        assert block.kind in ("sh", "ini", "output", "smtp", "text"), (block.line, block.kind)
        assert block.not_run is None or len(block.not_run) > 10, block.line


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The room's report; made once."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for tool in ("unshare", "nsenter", "ip", "swaks", "openssl", "curl", "useradd", "fail2ban-regex"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    room = ["unshare", "--mount", "--net", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if house.run(*room, "true").returncode:
        pytest.skip("namespaces aren't permitted here")
    work, certs = tmp_path_factory.mktemp("guide"), tmp_path_factory.mktemp("guide-certs")
    conftest.openssl(certs, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                     "-subj", "/CN=test ca", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                     "-keyout", "ca.key", "-out", "ca.pem")
    conftest.make_certificate(certs, "world", "smtp.provider.example", guide_world.CERTIFICATE)
    result = house.run(*room, sys.executable, conftest.TOP / "tests/integ/guide_room.py", work, house.BINARY, certs, timeout=600)
    assert (work / "results.json").exists(), result
    return json.loads((work / "results.json").read_text())


def test_commands_and_configurations_work(ran, record_property):
    errors = [f"line {b['line']} ({b['section']}, {b['kind']}): {b['error']}" for b in ran["blocks"] if b["error"]]
    assert not errors, "\n".join(errors) + "\n" + ran["log"][-5000:]
    done = collections.Counter(b["kind"] for b in ran["blocks"] if not b["not_run"])
    assert done["sh"] > 20 and done["ini"] > 5 and done["smtp"] == 1
    left = collections.Counter(b["not_run"] for b in ran["blocks"] if b["not_run"])
    record_property("says", f"guide: {done['sh']} command blocks run, {done['ini']} configurations checked, {done['smtp']} dialogue, "
                    f"{done['output']} outputs compared, {sum(left.values())} not run")
    for reason, count in left.items():
        record_property("says", f"guide: {count} not run: {reason}")


def test_nothing_went_wrong_on_the_way(ran):
    assert not ran["sanitizer"]
    assert re.search(r"sekimori\S*: message .*verdict=accepted", ran["log"])
