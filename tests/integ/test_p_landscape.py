"""Two boxes with a network between them: the link is cut, packets vanish, the manager is killed, the clock is moved."""

import pytest

import house
import landscape
from test_c_clock import HALF_A_YEAR, with_clock
from test_p_boxes import arrived, as_agent, as_manager, refusals


class Net:
    def __init__(self):
        self.land = landscape.Landscape()
        self.agent, self.manager = self.land.machine("agent"), self.land.machine("manager")
        self.land.net("192.168.7", (self.agent, 1), (self.manager, 2))
        self.cable = house.run("ip", "netns", "exec", self.agent.name, "sh", "-c",
                               "ip -o link show type veth | cut -d' ' -f2 | cut -d@ -f1").stdout.strip()

    def link(self, state):
        self.agent.do("ip", "link", "set", self.cable, state)

    def drop(self, on):
        if on:
            self.manager.do("nft", "table ip gone { chain in { type filter hook input priority 0; ip saddr 192.168.7.1 drop; }; }")
        else:
            self.manager.do("nft", "delete table ip gone")

    def close(self):
        self.land.close()


@pytest.fixture
def net(as_root, closing):
    try:
        return closing(Net())
    except landscape.Impossible as e:
        return pytest.skip(f"no network namespaces here: {e}")


@pytest.fixture
def boxes(net, make_gate, ports, certs):
    manager = as_manager(make_gate(), ports, certs)
    manager.set("manager", listen=f"192.168.7.2:{manager.agents_port}")
    agent = as_agent(make_gate(), certs, manager.agents_port)
    agent.set("manager", forward=f"tls://192.168.7.2:{manager.agents_port}", forward_name="mail.test-sample.jp")
    with net.manager.inside():
        manager.launch()
        manager.wait_log("serves")
    return agent, manager


def send(net, agent, count, first):
    with net.agent.inside():
        refusals(agent, count, first)


@pytest.mark.parametrize("how", ["link down", "packets dropped"])
def test_the_network_goes_and_comes(net, boxes, how):
    agent, manager = boxes
    with net.agent.inside():
        agent.start()
    for turn in range(2):
        agent.wait_log("forward result=connected", count=turn + 1, bound=90)
        send(net, agent, 10, 100 * turn)
        if how == "link down":
            net.link("down")
        else:
            net.drop(True)
        send(net, agent, 10, 100 * turn + 20)
        agent.wait_log("forward result=away", count=turn + 1, bound=90)
        send(net, agent, 5, 100 * turn + 40)
        if how == "link down":
            net.link("up")
        else:
            net.drop(False)
        assert len(arrived(manager, agent, bound=120)) == 25 * (turn + 1)


def test_the_manager_is_killed_behind_a_cut_link(net, boxes):
    """What it had taken and not answered for comes again, and is known."""
    agent, manager = boxes
    with net.agent.inside():
        agent.start()
    agent.wait_log("forward result=connected")
    send(net, agent, 10, 0)
    net.drop(True)
    send(net, agent, 10, 20)
    manager.kill()
    net.drop(False)
    with net.manager.inside():
        manager.launch()
    send(net, agent, 10, 40)
    assert len(arrived(manager, agent, bound=120)) == 30


def test_the_agents_clock_is_moved(net, boxes, tmp_path):
    """Half a year back no certificate is valid: records wait. Each keeps the time it was given, and its place."""
    agent, manager = boxes
    clock = with_clock(agent, tmp_path, 0)
    with net.agent.inside():
        agent.start()
    agent.wait_log("forward result=connected")
    send(net, agent, 5, 0)
    arrived(manager, agent)
    agent.stop()
    clock.write_text(str(-HALF_A_YEAR))
    with net.agent.inside():
        agent.start()
    send(net, agent, 5, 20)
    agent.wait_log("forward result=away.*clock says")
    clock.write_text("0")
    send(net, agent, 5, 40)
    found = arrived(manager, agent, bound=120)
    assert len(found) == 15
    times = [r["time"] for r in found]
    assert max(times[5:10]) < min(times[:5]) <= min(times[10:])
