"""A real cluster, through the user's own kubectl: credentials, proxies and contexts are its own."""
