"""kube-proxy's nftables mode: the same questions, file by file, as its sibling `iptables`."""
