"""Tests of restarts on changes."""
