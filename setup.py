"""The optional extension in C; everything else is in pyproject.toml.

Where it cannot be compiled, the build goes on without it. With WAMPUSH_PURE_PYTHON=1, the wheel has
Python code only and fits every machine.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup  # type: ignore[import-untyped]

PURE = os.environ.get("WAMPUSH_PURE_PYTHON") == "1"
SPEEDUPS = Extension(
    "wampush._speedups",
    [f"wampush/{name}.c" for name in ("_speedups", "_openings", "_receives", "_sends")],
    depends=[f"wampush/{name}.h" for name in ("_openings", "_receives", "_sends")],
    # The stable ABI of CPython 3.11: one build for all later versions.
    py_limited_api=True,
    optional=True,
    extra_compile_args=["-O2", "-Wall", "-Wextra", "-fvisibility=hidden", "-pthread"],
    extra_link_args=["-pthread"],
)

setup(
    ext_modules=[] if PURE else [SPEEDUPS],
    options={} if PURE else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
