"""The logging sibling of a rule that refuses."""

from secondhop.lab.iptables import instrument


def test_a_sibling_matches_the_same_and_counts_nothing() -> None:
    drop = "-m conntrack --ctstate INVALID -m nfacct --nfacct-name invalid -j DROP"
    rules, meaning = instrument({"filter": {"KUBE-FORWARD": (drop, "-j ACCEPT")}})
    [prefix] = meaning
    assert rules["filter"]["KUBE-FORWARD"] == (
        f"-m conntrack --ctstate INVALID -j NFLOG --nflog-prefix {prefix} --nflog-group 1"
        " --nflog-threshold 1",
        drop,
        "-j ACCEPT",
    )
    assert meaning[prefix] == f"-A KUBE-FORWARD {drop}"
