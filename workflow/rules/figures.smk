rule figures:
    input:
        metrics=rules.metrics.output,
        verdicts=rules.verdicts.output,
        published=jobs.published(),
        style=jobs.asset("figures/figures.mplstyle"),
    output:
        [
            report(
                figure.path,
                caption=f"../report/{figure.kind}.rst",
                category="Figures",
                subcategory=figure.dataset,
                labels={"data set": figure.dataset, "figure": figure.kind},
            )
            for figure in jobs.figures()
            if figure.shown
        ],
        [figure.path for figure in jobs.figures() if not figure.shown],
    log:
        "<logs>/figures.log",
    benchmark:
        "<benchmarks>/figures.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        analysis=jobs.analysis(),
        code=jobs.code("figures"),
        script=jobs.script("figures"),
    message:
        "Drawing figures"
    script:
        "../scripts/figures.py"
