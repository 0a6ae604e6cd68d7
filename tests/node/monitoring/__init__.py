"""Tests of what a node shows of itself."""
