rule data:
    output:
        images=f"<results>/{layout.DATA}/images.npy",
        labels=f"<results>/{layout.DATA}/labels.npy",
        description=f"<results>/{layout.DATA}/dataset.json",
    log:
        f"<logs>/{layout.DATA}.log",
    benchmark:
        f"<benchmarks>/{layout.DATA}.jsonl"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        data=jobs.data,
        files=jobs.source_files,
        code=jobs.reader,
        script=jobs.script("data"),
    message:
        "Reading and resizing {wildcards.dataset}"
    script:
        "../scripts/data.py"
