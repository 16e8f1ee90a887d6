# One rule for every run on the CPU; on an accelerator one per data set, whose jobs train all inlier
# classes and seeds of a method and fold together.
for stack in jobs.stacks:

    rule:
        name:
            stack.rule
        input:
            images=stack.files(rules.data.output.images),
            data=stack.files(rules.data.output.description),
            split=stack.files(rules.splits.output.table),
        output:
            run=stack.files(f"<results>/runs/{RUN}/run.json"),
            scores=stack.files(f"<results>/runs/{RUN}/scores.parquet"),
            epochs=stack.files(f"<results>/runs/{RUN}/epochs.parquet"),
            history=stack.files(f"<results>/runs/{RUN}/history.csv"),
        log:
            f"<logs>/runs/{stack.place}.log",
        benchmark:
            f"<benchmarks>/runs/{stack.place}.jsonl"
        conda:
            "../../environment.yml"
        threads: 4 if jobs.on_gpu else 1
        resources:
            mem_mb=16000 if jobs.on_gpu else 3000,
            runtime=2880,
            gpu=1 if jobs.on_gpu else 0,
        params:
            method=jobs.method,
            script=jobs.script("runs"),
        message:
            "Training; its progress is in {log}"
        script:
            "../scripts/runs.py"
