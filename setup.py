"""What pyproject.toml cannot say: packages, with folders from beside them that a wheel needs."""

from setuptools import find_packages, setup

SHIPPED = {
    "benchmark.shipped.config": "config",
    "benchmark.shipped.results.published": "results/published",
}
"""Folders of the checkout, at the place where ``benchmark.utils.shipped`` looks for them."""

setup(
    packages=[*find_packages(include=["baselines*", "benchmark*", "gradcon*"]), *SHIPPED],
    package_dir=SHIPPED,
)
