rule verdicts:
    input:
        metrics=rules.metrics.output,
        published=jobs.published(),
        claims=jobs.asset("verdicts/claims.yaml"),
    output:
        layout.verdicts(jobs.config, jobs.config.root),
    log:
        "<logs>/verdicts.log",
    benchmark:
        "<benchmarks>/verdicts.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        analysis=jobs.analysis(),
        code=jobs.code("verdicts"),
        script=jobs.script("verdicts"),
    message:
        "Comparing published with reproduced numbers"
    script:
        "../scripts/verdicts.py"
