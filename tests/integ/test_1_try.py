"""1. The two commands: what `make run` and `make demo` start, without the installing."""

import os
import re
import signal
import socket
import subprocess

import house
import talk


def environment(tmp_path):
    """The scripts look for the program in BUILD; they may write there."""
    build = tmp_path / "build"
    build.mkdir()
    (build / "sekimori").symlink_to(house.BINARY)
    return {**os.environ, "BUILD": str(build)}


def script(top, word, env, **kwargs):
    return subprocess.Popen(["sh", str(top / "board/debian/try"), word], env=env, stdin=subprocess.DEVNULL,
                            text=True, **kwargs)


def test_demo_shows_three_fates(top, tmp_path):
    demo = script(top, "demo", environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    out, _ = demo.communicate(timeout=180)
    assert demo.returncode == 0, out
    assert re.search(r"^<~\*? *250 2\.0\.0 <\w+>\.\.\. Message accepted for delivery\.", out, re.M), out
    assert re.search(r"^<~\* *550 5\.7\.1 Please mail to a valid e-mail address\.", out, re.M), out
    assert re.search(r"^<~\* *552 5\.7\.1 Requested mail action aborted", out, re.M), out
    assert "===== mail 1 arrived" in out and "===== mail 2 arrived" not in out
    # Both houses have put themselves into the mail, and the log tells the three fates.
    assert out.count("Received: from") == 2
    assert re.search(r"^.*message .*verdict=accepted", out, re.M)
    assert re.search(r"^.*refused .*code=550", out, re.M)
    assert re.search(r"^.*message .*verdict=refused code=552", out, re.M)


def test_run_stays_until_interrupted_and_stops_its_own(top, tmp_path):
    env = environment(tmp_path)
    with open(tmp_path / "out", "w+") as out:
        run = script(top, "run", env, stdout=out, stderr=out, start_new_session=True)
        try:
            house.wait_for(lambda: (tmp_path / "out").read_text(),
                           lambda: "Ctrl-C stops it all" in (tmp_path / "out").read_text() or run.poll() is not None)
            assert run.poll() is None, (tmp_path / "out").read_text()
            shown = (tmp_path / "out").read_text()
            assert all(word in shown for word in ("swaks --server 127.0.0.1:2525", "curl ", "telnet 127.0.0.1 2525"))
            for port in (2525, 2465, 2587, 2526):
                socket.create_connection(("127.0.0.1", port), 5).close()
            with talk.Talk(("127.0.0.1", 2525)) as t:
                assert t.login().mail().code == 250
            house.wait_for("the mail in the output", lambda: "===== mail 1 arrived" in (tmp_path / "out").read_text())
            # The provider demands TLS and a login.
            with talk.Talk(("127.0.0.1", 2587)) as t:
                assert t.ehlo().text.count("AUTH") == 0
                assert t.cmd("MAIL FROM:<office@provider.example>").code == 530
            # A second one says what is wrong, and leaves the first alone.
            second = script(top, "run", env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            said, _ = second.communicate(timeout=60)
            assert second.returncode == 1 and "is taken" in said and len(said.splitlines()) == 1, said
            assert run.poll() is None
        finally:
            run.send_signal(signal.SIGINT)
            run.wait(house.WAIT)
    for port in (2525, 2465, 2587, 2526):
        with socket.socket() as s:
            assert s.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is still open"


def test_needs_is_silent_where_all_is_there(top):
    for goal in ("build", "run", "check"):
        result = house.run("sh", top / "board/debian/needs", goal)
        assert (result.returncode, result.stdout, result.stderr) == (0, "", ""), goal
