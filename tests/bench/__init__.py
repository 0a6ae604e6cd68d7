"""Tests of bench/. The tests of a file run one after the other, so slow scenarios have several."""
