rule metrics:
    input:
        runs=plan.in_runs("run.json"),
        scores=plan.in_runs("scores.parquet"),
        epochs=plan.in_runs("epochs.parquet"),
        splits=plan.splits(),
    output:
        outputs.metrics(plan.config, plan.config.root),
        list(outputs.challenges(plan.config, plan.config.root).values()),
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
        analysis=plan.analysis(),
        code=plan.code("metrics"),
        study=plan.code("cure_tsr.study"),
    message:
        "Computing AUROC, F1 and overlap of all runs"
    script:
        "../scripts/metrics.py"
