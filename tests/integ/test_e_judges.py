"""
e. Whoever reads the mail sees what we saw (R8, R9): headers by the ten thousand (generator.py), judged by us and by other
readers (judges.py). Wherever one of those would show or use somebody else's address, we have refused. SEKIMORI_SEED and
SEKIMORI_HEADERS choose others, and more.
"""

import os
import shutil

import pytest

import generator
import house
import judges
import postfix
import talk

COUNT = int(os.environ.get("SEKIMORI_HEADERS", "60000"))
PLAIN_REASONS = ("from-not-own", "several", "group", "from-fields", "route", "ambiguous")
U1 = "user1@test-sample.jp"


class Generated:
    def __init__(self, gate):
        g = generator.Generator()
        self.all = list(dict.fromkeys(generator.message(g.header()) for _ in range(COUNT)))
        verdicts = judges.ours(gate, self.all)
        self.verdicts = dict(zip(self.all, verdicts, strict=True))
        self.accepted = [m for m in self.all if self.verdicts[m][0]]
        self.refused = [m for m in self.all if not self.verdicts[m][0]]


@pytest.fixture(scope="module")
def gate(tmp_path_factory, ports, certs, accounts_text):
    """Not running: its configuration is what our judge reads."""
    gate = house.Gate(tmp_path_factory.mktemp("judges"), ports, certs, accounts_text)
    yield gate.write()
    gate.finish()


@pytest.fixture(scope="module")
def generated(gate):
    return Generated(gate)


@pytest.fixture
def says(record_property):
    """A line for the end of the run (conftest.py)."""
    return lambda text: record_property("says", f"judges: {text}; seed {generator.SEED}")


def compare(judge, accepted, refused, says, name):
    """Nothing foreign in what we accepted; and plenty in what we refused, or the judge is blind."""
    for raw, bad in zip(accepted, judge.foreign(accepted), strict=True):
        assert bad == [], (name, raw)
    forged = sum(bad != [] for bad in judge.foreign(refused))
    says(f"{name}: {len(accepted)} accepted, none foreign; of {len(refused)} refused {forged} foreign")
    assert forged > len(refused) / 10


def test_share(generated, says):
    """Refusing everything would pass all the others."""
    says(f"{COUNT} headers, {len(generated.all)} different, {len(generated.accepted)} accepted")
    assert len(generated.all) >= COUNT * 0.8
    assert 0.1 < len(generated.accepted) / len(generated.all) < 0.4
    assert len({reason for _, reason, _, _ in generated.verdicts.values()}) >= 14


def test_honest_forms_are_accepted(gate, says):
    g = generator.Generator()
    honest = list(dict.fromkeys(generator.message(g.honest()) for _ in range(5000)))
    refused = [(m, v) for m, v in zip(honest, judges.ours(gate, honest), strict=True) if not v[0]]
    assert refused == []
    says(f"{len(honest)} honest headers accepted")
    assert len(honest) > 2000


@pytest.mark.parametrize("name", ["python_compat32", "python_policy"])
def test_python(generated, says, name):
    compare(judges.Python(getattr(judges, name)), generated.accepted, generated.refused[:5000], says, name)


def test_python_policies_read_alike(generated):
    """policy.default differs from policy.SMTP in what it writes only."""
    for raw in generated.accepted[:1000]:
        try:
            found = judges.python_policy(raw)
        except (AttributeError, IndexError, TypeError, ValueError):
            continue
        assert found == judges.python_policy(raw, judges.email.policy.default)


@pytest.mark.skipif(not shutil.which("s-nail"), reason="s-nail isn't there")
def test_s_nail(generated, tmp_path, says):
    # It turns for ever over some of what we refuse: kinds of raw Japanese.
    refused = [m for m in generated.refused if generated.verdicts[m][1] in PLAIN_REASONS and judges.is_plain(m)]
    compare(judges.Nail(tmp_path), generated.accepted[:6000], refused[:500], says, "s-nail")


def test_postfix_cleanup(generated, ports, says, closing):
    root, why = postfix.root()
    if root is None:
        pytest.skip(why)
    # What we refuse for the bytes themselves it may well refuse, too.
    refused = [m for m in generated.refused if generated.verdicts[m][1] in PLAIN_REASONS]
    compare(closing(judges.Cleanup(root, ports)), generated.accepted[:1000], refused[:200], says, "cleanup")


@pytest.fixture
def talking(make_gate, closing):
    import upstream
    gate = make_gate()
    gate.set("server", spool_size="64M").set("limits", sessions_per_client=100)
    closing(upstream.Sink(gate.upstream_port))
    return gate.start()


def live_codes(gate, messages):
    """The code of each message, a fresh session whenever one is ended for too many refusals."""
    t = gate.login()
    try:
        for message in messages:
            reply = talk.Reply([""])
            while reply.code in (0, 421):
                reply = t.mail(content=generator.stuffed(message))
                if reply.code in (0, 421):
                    t.close()
                    t = gate.login()
            yield reply.code
    finally:
        t.close()


def test_session_command_and_judge_agree(talking, generated, says):
    """R73: over a sample of the generator; test_4_trust.py does it for the corpus."""
    sample = generated.accepted[:200] + generated.refused[:500]
    # A bare CR or LF in the body is refused with 550, which isn't trust's to say.
    sample = [m for m in sample if generated.verdicts[m][0] or generated.verdicts[m][1] != "bare-cr-lf"]
    for n, (message, code) in enumerate(zip(sample, live_codes(talking, sample), strict=True)):
        good = generated.verdicts[message][0]
        assert code == (250 if good else 552), message
        if n % 8 == 0:
            path = talking.dir / "message"
            path.write_bytes(message)
            result = talking.cmd("trust", "user1", U1, path)
            assert result.returncode == (0 if good else 1), (message, result)
            assert good or f"reason={generated.verdicts[message][1]}" in result.stdout, (message, result)
    says(f"{len(sample)} live sessions and {len(sample) // 8} commands agree")
    assert len(sample) > 500
