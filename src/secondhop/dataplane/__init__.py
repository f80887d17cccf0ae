"""The rules that kube-proxy and flannel would write on a node. Pure: (Cluster, node) to text."""
