"""From any state to any other: the kernel must end where a fresh one starts."""

import subprocess

from hypothesis import given, settings
from hypothesis import strategies as st
from support import sandboxed

from secondhop.dataplane.iptables.ruleset import Ruleset, transactions
from secondhop.lab.iptables import Restore
from secondhop.lab.netns import Namespace

NAMES = ("KUBE-A", "KUBE-B", "KUBE-C")
LEAVES = ("-j ACCEPT", "-j DROP", "-s 10.0.0.0/8 -j RETURN")


def rulesets() -> st.SearchStrategy[Ruleset]:
    """Chains that jump only to chains after them, and an entry that jumps to all there are."""

    def chains(present: list[str], choices: list[int]) -> Ruleset:
        picks = iter(choices * 4)
        made = {}
        for at, name in enumerate(present):
            targets = [f"-j {later}" for later in present[at + 1 :]] + list(LEAVES)
            made[name] = tuple(targets[next(picks) % len(targets)] for _ in range(2))
        entry = tuple(f"-j {name}" for name in present)
        return {"filter": {"FORWARD": entry, **made}}

    present = st.lists(st.sampled_from(NAMES), unique=True).map(sorted)
    return st.builds(chains, present, st.lists(st.integers(0, 5), min_size=4, max_size=8))


def kernel_after(states: list[Ruleset], limit: int) -> str:
    namespace = Namespace.create("node")
    old: Ruleset = {}
    for new in states:
        for text in transactions(old, new, limit):
            Restore(namespace, text).finish()
        old = new
    with namespace:
        command = ["/usr/sbin/iptables-nft-save"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@settings(max_examples=30, deadline=None)
@given(states=st.lists(rulesets(), min_size=2, max_size=4), limit=st.sampled_from([2, 3, 5, 250]))
def test_the_way_there_does_not_matter(states: list[Ruleset], limit: int) -> None:
    stepwise, fresh = sandboxed(
        lambda: (kernel_after(states, limit), kernel_after(states[-1:], 250))
    )
    assert rules_of(stepwise) == rules_of(fresh)


def rules_of(saved: str) -> tuple[list[str], set[str]]:
    """Rules in their order, and the chains."""
    lines = saved.splitlines()
    rules = [line for line in lines if line.startswith("-A")]
    return sorted(rules, key=lambda r: r.split()[1]), {
        x.split()[0] for x in lines if x.startswith(":KUBE")
    }


def test_equal_states_need_nothing() -> None:
    state = {"filter": {"KUBE-A": ("-j DROP",)}}
    assert transactions(state, state) == []


def test_only_the_difference_is_written() -> None:
    old = {"nat": {"KUBE-A": ("-j ACCEPT",), "KUBE-B": ("-j ACCEPT",), "KUBE-C": ()}}
    new = {"nat": {"KUBE-A": ("-j ACCEPT",), "KUBE-B": ("-j RETURN",)}}
    assert transactions(old, new) == [
        "*nat\n:KUBE-B - [0:0]\n:KUBE-C - [0:0]\n-A KUBE-B -j RETURN\n-X KUBE-C\nCOMMIT\n"
    ]


def test_new_chains_go_first_when_one_restore_would_be_too_large() -> None:
    chains = {f"KUBE-SEP-{k}": ("-j ACCEPT",) for k in range(9)}
    outer = {"KUBE-SVC": tuple(f"-j {name}" for name in chains)}
    texts = transactions({}, {"nat": {"PREROUTING": ("-j KUBE-SVC",), **outer, **chains}}, 7)
    assert len(texts) > 2
    assert texts[-1] == "*nat\n-A PREROUTING -j KUBE-SVC\nCOMMIT\n"
    assert all("PREROUTING" not in text for text in texts[:-1])
    everything = "".join(texts)
    assert everything.index(":KUBE-SEP-8 ") < everything.index(":KUBE-SVC ")


def test_a_chain_that_fits_no_transaction_is_old_or_new_at_every_moment() -> None:
    """What a packet meets in it, by reading the chain as the kernel has it after each text."""
    olden = tuple(f"-s 10.0.0.{n}/32 -j ACCEPT" for n in range(40))
    newer = tuple(f"-s 10.0.1.{n}/32 -j ACCEPT" for n in range(50))
    old: Ruleset = {"filter": {"FORWARD": ("-j KUBE-A",), "KUBE-A": olden}}
    new: Ruleset = {"filter": {"FORWARD": ("-j KUBE-A",), "KUBE-A": newer}}

    def seen() -> list[tuple[str, ...]]:
        namespace = Namespace.create("node")
        found = []
        steps = transactions(old, new, 10)
        assert max(text.count("\n") for text in steps) <= 10 + 2
        for text in (*transactions({}, old), *steps):
            Restore(namespace, text).finish()
            with namespace:
                command = ["/usr/sbin/iptables-nft-save"]
                saved = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            found.append(met("KUBE-A", saved))
        return found

    states = sandboxed(seen)
    assert set(states[1:]) <= {olden, newer}
    assert states[-1] == newer


def met(chain: str, saved: str) -> tuple[str, ...]:
    """The rules that a packet meets in a chain before it goes anywhere for good."""
    rules = [
        line.removeprefix(f"-A {chain} ")
        for line in saved.splitlines()
        if line.startswith(f"-A {chain} ")
    ]
    if rules and rules[0].startswith("-g "):
        return met(rules[0].removeprefix("-g "), saved)
    return tuple(rules)
