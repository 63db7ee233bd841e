"""A final dot without an answer: the mail may be there, so it is tried at that host again and at no other (lesson 27)."""

import upstream

U1 = "user1@test-sample.jp"


def test_the_same_host_and_no_other(gate, closing):
    said = []

    def first_time_nothing(t):
        said.append(1)
        if len(said) == 1:
            return False
        t.send("250 2.0.0 kept\r\n")
        return True

    # Both are up; 127.0.0.9 is only tried when the first refuses to talk, which it does after the doubtful mail.
    greetings = []

    def greeting(t):
        greetings.append(1)
        if len(greetings) == 2:
            return False            # down for a moment: a temptation to go to the next host
        t.send("220 scripted.example ESMTP\r\n")
        return True

    first = closing(upstream.Script(gate.upstream_port, host="127.0.0.1", data=first_time_nothing, greeting=greeting))
    second = closing(upstream.Script(gate.upstream_port, host="127.0.0.9"))
    gate.set("relay", host="127.0.0.1, 127.0.0.9").start()
    with gate.login() as t:
        assert t.mail(to=["x@example.com"]).code == 250
    gate.wait_log(r"status=deferred .*not known whether the mail got through")
    gate.wait_log(r"status=delivered")
    assert len(first.contents) == 2 and len(greetings) == 3
    assert second.count == 0
    gate.empty()
    # Other mail is free to go anywhere, and does when the first host is gone.
    first.close()
    with gate.login() as t:
        assert t.mail(to=["y@example.com"]).code == 250
    gate.wait_log(r"status=delivered", count=2)
    assert len(second.contents) == 1
