"""Tests of what judges several nodes with faults."""
