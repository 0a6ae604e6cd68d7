"""Tests of what applications' own tests use."""
