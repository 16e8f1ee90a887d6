# One rule for every run on the CPU; on an accelerator one per data set, whose jobs train all inlier
# classes and seeds of a method and fold together.
for stack in plan.stacks:

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
            f"<logs>/train/{stack.place}.log",
        benchmark:
            f"<benchmarks>/train/{stack.place}.jsonl"
        conda:
            "../../environment.yml"
        threads: 4 if plan.on_gpu else 1
        resources:
            mem_mb=16000 if plan.on_gpu else 3000,
            runtime=2880,
            gpu=1 if plan.on_gpu else 0,
        params:
            method=plan.method,
        message:
            "Training; its progress is in {log}"
        script:
            "../scripts/train.py"
