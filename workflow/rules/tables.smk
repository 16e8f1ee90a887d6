rule tables:
    input:
        metrics=rules.metrics.output,
        published=jobs.published(),
        verdicts=rules.verdicts.output,
    output:
        [
            report(
                table.path,
                caption=f"../report/{table.kind}.rst",
                category="Tables",
                subcategory=table.dataset,
                labels={"data set": table.dataset, "table": table.kind},
            )
            for table in jobs.tables()
            if table.shown
        ],
        [table.path for table in jobs.tables() if not table.shown],
    log:
        "<logs>/tables.log",
    benchmark:
        "<benchmarks>/tables.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        analysis=jobs.analysis(),
        code=jobs.code("tables"),
        script=jobs.script("tables"),
    message:
        "Setting tables beside the published values"
    script:
        "../scripts/tables.py"
