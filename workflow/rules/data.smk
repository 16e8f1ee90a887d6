rule data:
    input:
        plan.sources,
    output:
        images="<results>/data/{dataset}/images.npy",
        labels="<results>/data/{dataset}/labels.npy",
        description="<results>/data/{dataset}/dataset.json",
    log:
        "<logs>/data/{dataset}.log",
    benchmark:
        "<benchmarks>/data/{dataset}.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        data=plan.data,
        code=plan.code("datasets"),
    message:
        "Reading and resizing {wildcards.dataset}"
    script:
        "../scripts/data.py"


rule splits:
    input:
        labels=rules.data.output.labels,
        description=rules.data.output.description,
    output:
        table="<results>/splits/{dataset}/fold-{fold}.parquet",
        description="<results>/splits/{dataset}/fold-{fold}.json",
    log:
        "<logs>/splits/{dataset}/fold-{fold}.log",
    benchmark:
        "<benchmarks>/splits/{dataset}/fold-{fold}.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        split=plan.split,
        code=plan.code("splits"),
    message:
        "Drawing fold {wildcards.fold} of {wildcards.dataset}"
    script:
        "../scripts/splits.py"
