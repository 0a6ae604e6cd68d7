"""Starts servers by fork: a process imports the node once, and each server is a copy of it."""
