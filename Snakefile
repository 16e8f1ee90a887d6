import gc
import os
import sys
from pathlib import Path

from snakemake.utils import min_version

from benchmark import config as configuration
from benchmark import layout, part
from benchmark.errors import InputError
from benchmark.layout import RUN
from benchmark.runs import device
from benchmark.utils import stacking
from benchmark.utils.running import share
from workflow import failures, interrupts, resources, targets
from workflow.jobs import Jobs

min_version("9.27")

# Planning makes millions of objects that stay: a search for garbage among them finds next to none.
gc.set_threshold(100_000, 50, 50)

running = share()
if workflow.is_main_process:
    failures.say_last(interrupts.pass_on())


# The paper's configuration, unless --configfile names others: these replace it. They are read here,
# as Snakemake reads text where YAML 1.2 has numbers, and takes a key twice.
given = workflow.overwrite_configfiles or [
    Path(workflow.basedir, "config", "paper.yaml")
]
files = " + ".join(map(os.path.relpath, given))
try:
    config = configuration.merged(*given, workflow.config_settings.config)
    config = part.of(config, files)
    settings = configuration.load(config, files, data=False)
    jobs = Jobs(settings, device.choose(), files, workflow)
except InputError as error:
    sys.exit(str(error))

# Jobs on other machines parse this file again: there the choice must be the same.
os.environ["GRADCON_DEVICE"] = jobs.device
os.environ.setdefault(stacking.VARIABLE, "0")


envvars:
    "GRADCON_DEVICE",
    stacking.VARIABLE,


pathvars:
    results=str(jobs.config.root),
    logs=str(jobs.config.root / "logs"),
    benchmarks=str(jobs.config.root / "benchmarks"),


wildcard_constraints:
    dataset="|".join(jobs.config.datasets),
    method="|".join(jobs.config.methods),
    fold=r"\d+",
    inlier=r"\d+",
    seed=r"\d+",


report: "workflow/report/workflow.rst"


localrules:
    all,
    data,
    splits,
    metrics,
    verdicts,
    tables,
    figures,
    report,
    reanalyse,


include: "workflow/rules/data.smk"
include: "workflow/rules/splits.smk"
include: "workflow/rules/runs.smk"
include: "workflow/rules/metrics.smk"
include: "workflow/rules/verdicts.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        # Asked for by name: without one of them what was made from it counts as up to date.
        jobs.in_runs("run.json"),
        rules.metrics.output,
        rules.verdicts.output,
        rules.tables.output,
        rules.figures.output,
        rules.report.output,


# One kind of table or figure: `snakemake auroc`. The stages keep their names.
for kind, paths in jobs.kinds(*(rule.name for rule in workflow.rules)).items():

    rule:
        name:
            kind
        input:
            paths,
        localrule: True


# It takes whatever runs there are, so it has no input. It runs whenever it is asked for, so it has
# no output either, and no benchmark, which would count as one.
rule reanalyse:
    log:
        "<logs>/reanalyse.log",
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    message:
        "Rebuilding metrics, verdicts, tables, figures and the report from the runs that exist"
    script:
        "workflow/scripts/reanalyse.py"


if workflow.is_main_process:
    try:
        targets.check(
            targets.on_command_line(),
            {rule.name: not rule.has_wildcards() for rule in workflow.rules},
            [file.path for file in (*jobs.tables(), *jobs.figures())],
        )
    except InputError as error:
        sys.exit(str(error))
