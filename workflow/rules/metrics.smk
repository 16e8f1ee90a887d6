rule metrics:
    input:
        runs=jobs.in_runs("run.json"),
        scores=jobs.in_runs("scores.parquet"),
        epochs=jobs.in_runs("epochs.parquet"),
        splits=jobs.splits(),
    output:
        layout.metrics(jobs.config, jobs.config.root),
        list(layout.challenges(jobs.config, jobs.config.root).values()),
        # benchmark.reanalyse removes it, so that these numbers are computed again.
        touch("<results>/metrics/by-snakemake"),
    log:
        "<logs>/metrics.log",
    benchmark:
        "<benchmarks>/metrics.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        analysis=jobs.analysis(),
        code=jobs.code("metrics"),
        script=jobs.script("metrics"),
    message:
        "Computing AUROC, F1 and overlap of all runs"
    script:
        "../scripts/metrics.py"
