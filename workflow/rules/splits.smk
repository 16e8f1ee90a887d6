rule splits:
    input:
        labels=rules.data.output.labels,
        description=rules.data.output.description,
    output:
        table=f"<results>/{layout.SPLIT}.parquet",
        description=f"<results>/{layout.SPLIT}.json",
    log:
        f"<logs>/{layout.SPLIT}.log",
    benchmark:
        f"<benchmarks>/{layout.SPLIT}.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        split=jobs.split,
        code=jobs.code("splits"),
        script=jobs.script("splits"),
    message:
        "Drawing fold {wildcards.fold} of {wildcards.dataset}"
    script:
        "../scripts/splits.py"
