# One rule for every run on the CPU; on an accelerator one per data set, whose jobs train all inlier
# classes of a method, fold and seed together. A job leaves runs as they are that are there
# already (to have one made again, remove its folder), so Snakemake must not remove their files.
for stack in jobs.stacks:

    rule:
        name:
            stack.rule
        input:
            images=stack.files(rules.data.output.images),
            data=stack.files(rules.data.output.description),
            split=stack.files(rules.splits.output.table),
        output:
            run=map(update, stack.files(f"<results>/runs/{RUN}/run.json")),
            scores=map(update, stack.files(f"<results>/runs/{RUN}/scores.parquet")),
            epochs=map(update, stack.files(f"<results>/runs/{RUN}/epochs.parquet")),
            history=map(update, stack.files(f"<results>/runs/{RUN}/history.csv")),
        log:
            f"<logs>/runs/{stack.place}.log",
        benchmark:
            f"<benchmarks>/runs/{stack.place}.jsonl"
        wildcard_constraints:
            method="|".join(stack.methods),
        priority: jobs.priority(stack)
        group:
            resources.group(jobs, stack)
        conda:
            "../../environment.yml"
        threads: resources.threads(stack)
        resources:
            **resources.of_runs(jobs, stack),
        params:
            method=jobs.method,
            script=jobs.script("runs"),
        message:
            "Training; its progress is in {log}"
        script:
            "../scripts/runs.py"
