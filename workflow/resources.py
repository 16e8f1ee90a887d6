"""What jobs of runs ask a cluster for: the forecast of their method, unless the profile says it.

In Snakemake a rule's own resources hide those of ``default-resources``, and only ``set-resources``
hides a rule's. Here a rule has no resource of its own that ``default-resources`` gives, so that
both reach every job.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

from benchmark.scheduling import requests
from benchmark.scheduling.requests import Request
from workflow.jobs import Jobs, Stack

STACKED = Request(minutes=0, megabytes=16_000, threads=4)
"""Memory and threads of a stack on a GPU; its time is that of one of its runs on a CPU."""

GROUP = "short"
"""The group of runs that take seconds; a profile says how many of them make up a job."""


def threads(stack: Stack) -> int:
    """The threads of the jobs of a rule."""
    return STACKED.threads if stack.gpus else requests.THREADS


def of_runs(jobs: Jobs, stack: Stack) -> dict[str, Any]:
    """The resources of the jobs of a rule, more with each attempt; those not given elsewhere."""
    request = _request(jobs, stack)

    def runtime(wildcards: Any, attempt: int) -> int:
        return request(wildcards).minutes * attempt

    def mem_mb(wildcards: Any, attempt: int) -> int:
        return (STACKED if stack.values else request(wildcards)).megabytes * attempt

    own = {"mem_mb": mem_mb, "runtime": runtime, "gpu": stack.gpus}
    # Snakemake's own defaults, unlike those of profile and command line, have no source text.
    given = jobs.workflow.resource_settings.default_resources or {}
    said = {name for name in own if name in given and given[name].raw is not None}
    return {name: value for name, value in own.items() if name not in said}


def group(jobs: Jobs, stack: Stack) -> Callable[[Any], str | None]:
    """The group of a job: short runs on a CPU, where jobs go to a cluster."""
    is_short = cache(partial(requests.is_short, jobs.config, jobs.config.root))

    def group(wildcards: Any) -> str | None:
        if stack.values or jobs.workflow.local_exec:
            return None
        return GROUP if is_short(wildcards.dataset, wildcards.method) else None

    return group


def _request(jobs: Jobs, stack: Stack) -> Callable[[Any], Request]:
    """What one run asks for, worked out once per data set and method, and when its split is there.

    Thousands of jobs ask for it.
    """
    config, root = jobs.config, jobs.config.root

    @cache
    def worked_out(dataset: str, method: str, has_split: bool) -> Request:
        return requests.request(config, root, dataset, method)

    def request(wildcards: Any) -> Request:
        dataset = stack.values["dataset"][0] if stack.values else wildcards.dataset
        has_split = requests.has_size(config, root, dataset)
        return worked_out(dataset, wildcards.method, has_split)

    return request
