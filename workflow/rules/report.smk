rule report:
    input:
        metrics=rules.metrics.output,
        verdicts=rules.verdicts.output,
        tables=rules.tables.output,
        figures=rules.figures.output,
        template=jobs.asset("report/report.html.j2"),
        page_script=jobs.asset("report/page.js"),
    output:
        report(
            layout.report(jobs.config, jobs.config.root),
            caption="../report/report.rst",
            category="Report",
        ),
    log:
        "<logs>/report.log",
    benchmark:
        "<benchmarks>/report.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        analysis=jobs.analysis(),
        code=jobs.code("report"),
        script=jobs.script("report"),
    message:
        "Writing the report"
    script:
        "../scripts/report.py"
