"""kube-proxy's iptables mode: the same questions, file by file, as its sibling `nftables`."""
