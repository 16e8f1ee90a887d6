"""The report: one HTML file with everything in it, to be read offline.

It sets in one page what earlier stages left as files: tables as HTML, figures as SVG with the
captions that they carry, and an account of the runs. Of so many data sets that it would be heavy,
some figures stay in their files.
"""

import base64
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from benchmark import captions, layout, metrics, verdicts
from benchmark.config import Config
from benchmark.report import accounts, answer
from benchmark.utils.files import atomic

TEMPLATES = Path(__file__).parent

SCRIPT = "page.js"

LIMIT = 4_500_000
"""Characters of links, tables and figures in the page, so that it opens in a second. Figures beyond
it are read from their files, as of dozens of data sets."""

LINK = 150
"""Characters of the link to the scores of a run."""

TABLE_TITLES = {
    "ran": "What ran",
    "challenges": "Challenge study",
    "auroc": "AUROC per inlier class",
    "ablation": "Ablation: each loss as the score",
    "overlap": "Overlap of inliers and outliers",
    "outliers": "Share of outliers",
    "selection": "What the choice of the model is worth",
    "verdicts": "Published against reproduced",
    "claims": "Claims",
    "explanations": "What would give the published numbers",
    "cost": "Cost",
}
FIGURE_TITLES = {
    "forest": "Published, ours, and what others report",
    "explanations": "What would give the published numbers",
    "challenges": "AUROC against the level of each challenge",
    "signs": "A sign under the challenges",
    "histograms": "Inliers against outliers",
    "beta": "Weight of the gradient loss",
    "reconstructions": "Reconstructions",
    "epochs": "AUROC against epoch",
}


def write(config: Config, root: Path) -> None:
    """Write ``root/report/index.html`` from the metrics, tables and figures under ``root``."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page = environment.get_template("report.html.j2").render(**_content(config, root))
    (target,) = layout.report(config, root)
    with atomic(Path(target)) as beside:
        beside.write_text(page, encoding="utf-8")


def _content(config: Config, root: Path) -> dict[str, Any]:
    numbers = metrics.load(config, root)
    runs = numbers.runs
    methods = accounts.methods(config, runs)
    judgements = verdicts.load(config, root)
    first = answer.first_screen(config, numbers, judgements)
    tables = {name: _table(root, name) for name in layout.table_names(config)}
    tables = {name: table for name, table in tables.items() if table["rows"] or name == "cost"}
    figures = [name for name in layout.figure_names(config) if _drawn(root, name)]
    # The data set that the answer is about comes first.
    by_place = sorted(config.datasets.items(), key=lambda item: item[0] != first["forest"])
    forest = f"forest-{first['forest']}"
    room = LIMIT - LINK * len(runs) - sum(len(table["body"]) for table in tables.values())
    drawn = _figures(root, sorted(figures, key=lambda name: name != forest), room)
    # These stand with the table of the same name, which is of all data sets.
    beside = {f"explanations-{key}": settings.title for key, settings in config.datasets.items()}
    if "explanations" in tables:
        tables["explanations"]["figures"] = [
            drawn[name] | {"of": title} for name, title in beside.items() if name in drawn
        ]
    states = ("complete", "failed", "missing", "refused")
    return {
        "name": config.name,
        "first": first,
        "forest": drawn[forest] | {"of": config.datasets[first["forest"]].title}
        if forest in drawn
        else None,
        "script": (TEMPLATES / SCRIPT).read_text(encoding="utf-8"),
        "status": {name: int((runs["status"] == name).sum()) for name in states},
        "facts": accounts.facts(config, runs),
        "idle": accounts.not_run(methods),
        "problems": list(accounts.problems(config, runs)),
        "flags": [*accounts.stalled(config, runs), *accounts.flags(config, numbers.table)],
        "judged": [
            tables[name] for name in ("claims", "verdicts", "explanations") if name in tables
        ],
        "sections": [
            {
                "key": key,
                "title": settings.title,
                "note": settings.note,
                "claim": captions.challenge_claim(config, key, judgements.challenge_claim),
                "ran": 0,
                "methods": [],
                **methods.get(key, {}),
                "tables": [table for table in tables.values() if table["dataset"] == key],
                "figures": [
                    figure
                    for name, figure in drawn.items()
                    if name.partition("-")[2] == key and name not in (forest, *beside)
                ],
            }
            for key, settings in by_place
        ],
        "cost": tables["cost"],
        "environments": accounts.environments(runs),
        "provenance": numbers.provenance,
        "config": _as_file(config.for_new_runs),
        "configfile": f"config/{config.name}.yaml",
    }


def _as_file(config: Config) -> str:
    """The configuration as a file that gives it again."""
    plain = config.model_dump(mode="json")
    plain["methods"] = {
        key: {name: value for name, value in method.items() if name != "params"} | method["params"]
        for key, method in plain["methods"].items()
    }
    return str(yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100))


def _table(root: Path, name: str) -> dict[str, Any]:
    """A table as the stage of the tables wrote it."""
    kind, _, dataset = name.partition("-")
    verdicts = kind in ("verdicts", "claims")
    title = f"{TABLE_TITLES[kind]}{', number by number' * (verdicts and dataset != '')}"
    text = (root / "tables" / f"{name}.html").read_text(encoding="utf-8")
    _, _, body = text.partition("\n")  # without its provenance, which is the page's
    return {
        **{"name": name, "kind": kind, "dataset": dataset, "title": title, "body": body},
        "judged": verdicts,
        # The other tables have these numbers by class, with fewer words.
        "folded": kind == "verdicts" and dataset != "",
        "rows": "<tr" in body,
        "figures": [],
    }


def _drawn(root: Path, name: str) -> bool:
    """Whether there is a figure, and not only a note that says why there is none."""
    numbers = root / "figures" / f"{name}.csv"
    return numbers.is_file() and numbers.stat().st_size > 1


def _figures(root: Path, names: Iterable[str], room: int) -> dict[str, dict[str, Any]]:
    """Figures by name, with the caption that their picture carries.

    Their pictures are in the page as far as there is ``room``, in characters, in their order.
    """
    figures = {}
    for name in names:
        stem = root / "figures" / name
        with Image.open(stem.with_suffix(".png")) as picture:
            caption, _, reading = str(picture.info["Description"]).partition("\n")
        code = base64.b64encode(stem.with_suffix(".svg").read_bytes()).decode()
        inside = len(code) <= room
        room -= len(code) * inside
        figures[name] = {
            "name": name,
            "title": FIGURE_TITLES[name.partition("-")[0]],
            "body": f"data:image/svg+xml;base64,{code}" if inside else f"../figures/{name}.svg",
            "inside": inside,
            "caption": caption,
            "reading": reading,
        }
    return figures
