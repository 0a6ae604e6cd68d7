"""Stores of what topics keep."""
