"""Tests of wampush, laid out like the package, plus end-to-end tests."""
