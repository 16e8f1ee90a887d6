rule tables:
    input:
        metrics=rules.metrics.output,
        published=plan.published(),
        claims=plan.asset("claims.yaml"),
    output:
        [
            report(
                table.path,
                caption=f"../report/{table.kind}.rst",
                category="Tables",
                subcategory=table.dataset,
                labels={"data set": table.dataset, "table": table.kind},
            )
            for table in plan.tables()
            if table.shown
        ],
        [table.path for table in plan.tables() if not table.shown],
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
        analysis=plan.analysis(),
        code=plan.code("tables"),
    message:
        "Setting tables beside the published values"
    script:
        "../scripts/tables.py"
