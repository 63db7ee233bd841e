"""
The guide's blocks. What stands behind the language of a block says what a test does with it; readers don't see it:

    sh                  run, must end with status 0; `status=N`: with N; `input=TEXT`: its standard input (\\n for further lines);
                        `wait`: tried again until it does; `with=4.1`: the configuration of that section is put back before;
                        `on=ADDRESS`: its mail comes from there; `mail`: a mail that has arrived is in mail.eml before;
                        `restart`: the gate is started again before;
                        `queued=ID`: that id stands for a mail that waits in the queue
    sh not-run: WHY     not run; counted, with the reason
    output              lines that the block before must have said; `...` is anything
    ini PATH            a complete file: written there and checked
    ini add             added to /etc/sekimori.ini
    ini check           a complete file of another machine: checked
    ini part            sections that take the place of those in 4.1: checked only
    smtp                a dialogue: `$ telnet HOST PORT`, then C: and S: lines
    text                nothing to run
    text PATH           another program's complete file; test_w_haproxy.py runs it
"""

import dataclasses
import pathlib
import re

DOC = pathlib.Path(__file__).resolve().parents[2] / "rootfs/usr/share/doc/sekimori"
WORDS = ("status", "input", "with", "on", "queued")
FLAGS = ("wait", "mail", "restart")


@dataclasses.dataclass
class Block:
    kind: str
    info: str
    text: str
    section: str
    line: int

    @property
    def not_run(self):
        return self.info[len("not-run:"):].strip() if self.info.startswith("not-run:") else None

    def options(self):
        found = dict(part.split("=", 1) if "=" in part else (part, True) for part in self.info.split())
        assert self.kind != "sh" or set(found) <= set(WORDS + FLAGS), f"line {self.line}: {self.info}"
        return found


def read(language):
    return (DOC / f"guide.{language}.md").read_text()


def headings(text):
    """Level and number of each heading outside of blocks, and its words."""
    outside = re.sub(r"^```.*?^```$", "", text, flags=re.S | re.M)
    return re.findall(r"^(#+) +([\d.]*) *(.+)$", outside, re.M)


def blocks(text):
    found, section, block = [], "", None
    for number, line in enumerate(text.splitlines(), 1):
        if block is None:
            heading = re.match(r"#+ +(\d[\d.]*)", line)
            section = heading.group(1).rstrip(".") if heading else section
            fence = re.match(r"```(\w*) ?(.*)$", line)
            if fence:
                block = Block(fence.group(1), fence.group(2), "", section, number)
        elif line == "```":
            found.append(block)
            block = None
        else:
            block.text += line + "\n"
    assert block is None, f"the block of line {block.line} has no end"
    return found
