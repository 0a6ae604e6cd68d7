"""One seeded simulation of several nodes, a Redis server and clients, in one process."""
