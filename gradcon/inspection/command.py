"""Find odd images among images of one kind.

Fit a model to a folder of good images, then score new ones:

  gradcon fit parts/good -o model              learn what good parts look like
  gradcon score model new --csv scores.csv     file, score and verdict of every new image
  gradcon explain model new/7.png -o why.png   where that image is odd
  gradcon evaluate model parts                 how many defects are found, in a labelled folder

A labelled folder has the layout of MVTec AD, train/good, test/good, test/<defect>, or good and
<defect> side by side. `gradcon COMMAND --help` explains each command.
"""

import argparse
import csv
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np

import gradcon
from benchmark.config import methods
from benchmark.detector import FitFailed
from benchmark.errors import InputError
from benchmark.statistics.roc import placements
from benchmark.utils import imports
from benchmark.utils.files import atomic
from gradcon.inspection import OutlierEstimator
from gradcon.inspection.folders import GOOD, labelled, to_score
from gradcon.inspection.images import Aspect, Unreadable, files
from gradcon.inspection.threshold import percent, share_interval

UNREADABLE = "unreadable"
VERDICTS = {1: "inlier", -1: "outlier"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; the exit status.

    >>> main(["score", "no/model", "new"])
    1
    """
    parser = argparse.ArgumentParser(
        prog="gradcon", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=gradcon.__version__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for add in (_add_fit, _add_score, _add_explain, _add_evaluate):
        add(commands)
    chosen = parser.parse_args(arguments)
    try:
        chosen.run(chosen)
    except (InputError, OSError, FitFailed) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted: the same `gradcon fit` goes on where it was", file=sys.stderr)
        return 130
    return 0


def _add_fit(commands: Any) -> None:
    parser = _command(
        commands,
        "fit",
        "learn what good images look like",
        """Learn what good images look like, and set a threshold.

FOLDER holds good images only, in any sizes and formats; or it has the folder train/good, as in
MVTec AD, or good. A fifth of them is held out to set the threshold, so that the false-alarm rate
holds for new images: for 5 % there must be 95 images or more.

An interrupted training goes on when the same command is given again.""",
        """examples:
  gradcon fit parts/good -o model
  gradcon fit mvtec/bottle -o model --set epochs=200 --image-size 60
  gradcon fit parts/good -o model --patience 20           end when nothing improves
  gradcon fit parts/good -o model --method kde            a method without a network, in seconds""",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="good images")
    parser.add_argument(
        "-o",
        "--output",
        metavar="MODEL",
        type=Path,
        required=True,
        help="folder to write the model to",
    )
    parser.add_argument(
        "--method",
        default="cae_grad",
        choices=methods.METHODS,
        metavar="NAME",
        help="cae_grad, which is GradCon (default); or "
        + ", ".join(name for name in methods.METHODS if name != "cae_grad"),
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="values",
        help="a hyperparameter of the method, such as epochs=200",
    )
    parser.add_argument(
        "--image-size",
        type=int,
        default=28,
        metavar="PIXELS",
        help="images are resized to this height and width (default 28)",
    )
    parser.add_argument(
        "--aspect",
        choices=get_args(Aspect),
        default="pad",
        help="how images become square: filled up at the edges (pad, the default), "
        "cut off at both ends (crop), or stretched",
    )
    parser.add_argument(
        "--false-alarm-rate",
        type=float,
        default=0.05,
        metavar="RATE",
        help="share of good images that may be called outliers (default 0.05)",
    )
    parser.add_argument(
        "--patience",
        type=int,
        metavar="EPOCHS",
        help="end when the validation loss has not improved for so many epochs",
    )
    parser.add_argument("--seed", type=int, default=0, help="the same seed, the same model")
    parser.add_argument("--device", help="cpu, cuda or cuda:1; by default a GPU if there is one")
    parser.set_defaults(run=_fit)


def _fit(chosen: argparse.Namespace) -> None:
    estimator = OutlierEstimator(
        imports.load(methods.METHODS[chosen.method].path)(**_hyperparameters(chosen)),
        image_size=chosen.image_size,
        aspect=chosen.aspect,
        false_alarm_rate=chosen.false_alarm_rate,
        patience=chosen.patience,
        random_state=chosen.seed,
        device=chosen.device,
        checkpoint=chosen.output / ".checkpoint",
    )
    estimator.fit(chosen.folder)
    estimator.save(chosen.output)
    print(f"Written: {chosen.output}; score images by: gradcon score {chosen.output} FOLDER")


def _hyperparameters(chosen: argparse.Namespace) -> dict[str, Any]:
    """The values of ``--set``; ``InputError`` for a name that the method does not have."""
    path = methods.METHODS[chosen.method].path
    names = methods.hyperparameters(path).model_fields
    values = {}
    for text in chosen.values:
        name, equals, value = text.partition("=")
        if not equals or name not in names:
            raise InputError(
                f"--set {text}: write NAME=VALUE with a hyperparameter of {chosen.method}: "
                + (", ".join(names) or "it has none")
            )
        try:
            values[name] = json.loads(value)
        except ValueError:
            values[name] = value
    return values


def _add_score(commands: Any) -> None:
    parser = _command(
        commands,
        "score",
        "score new images",
        """Score new images: the higher the score, the odder the image.

Prints the outliers, the oddest first. The CSV has a line for every image: file, score, and the
verdict `inlier` or `outlier` by the model's threshold, or `unreadable` for a damaged file. Of a
folder in MVTec AD's layout the part `test` is scored. However many images there are, memory does
not grow.""",
        """examples:
  gradcon score model new
  gradcon score model new/1.png new/2.png --csv scores.csv""",
    )
    _add_model(parser)
    parser.add_argument(
        "images", metavar="FOLDER", type=Path, nargs="+", help="a folder of images, or image files"
    )
    parser.add_argument("--csv", metavar="FILE", type=Path, help="file to write the scores to")
    parser.set_defaults(run=_score)


def _score(chosen: argparse.Namespace) -> None:
    estimator = OutlierEstimator.load(chosen.model)
    paths = [file for path in chosen.images for file in files(to_score(path))]
    unreadable: Unreadable = {}
    normality = estimator.score_samples(paths, unreadable)
    verdicts = np.where(normality < estimator.offset_, -1, 1)
    if chosen.csv:
        texts = ["" if np.isnan(value) else f"{-value:.6g}" for value in normality]
        words = [VERDICTS[int(verdict)] for verdict in verdicts]
        for number in unreadable:
            words[number] = UNREADABLE
        _write(chosen.csv, file=paths, score=texts, verdict=words)
    outliers = np.flatnonzero(verdicts == -1)
    print(f"{len(outliers):,} of {len(paths):,} images are outliers ({_threshold(estimator)})")
    for number in outliers[np.argsort(normality[outliers])]:
        print(f"{-normality[number]:10.4g}  {paths[number]}")
    if unreadable:
        lines = [str(error) for _, error in sorted(unreadable.items())]
        raise InputError("\n".join(lines))


def _add_explain(commands: Any) -> None:
    parser = _command(
        commands,
        "explain",
        "show where images are odd",
        """Show where images are odd, in one picture with a row for each image.

From left to right: the image as the model takes it, its reconstruction, the squared error of each
pixel, and for each layer of the decoder the places that turn the gradient away from that of the
training (red) or towards it (blue). Only GradCon's four autoencoders have the latter; methods that
reconstruct nothing have no picture.""",
        """examples:
  gradcon explain model new/7.png -o why.png
  gradcon explain model new/7.png good/1.png -o why.png   beside a good one""",
    )
    _add_model(parser)
    parser.add_argument("images", metavar="IMAGE", type=Path, nargs="+", help="image files")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        type=Path,
        required=True,
        help="picture to write: .png, .svg or .pdf",
    )
    parser.set_defaults(run=_explain)


def _explain(chosen: argparse.Namespace) -> None:
    from gradcon.inspection.explanation import draw

    if chosen.output.suffix not in (".png", ".svg", ".pdf"):
        raise InputError(f"{chosen.output}: no picture; name a .png, .svg or .pdf file")
    estimator = OutlierEstimator.load(chosen.model)
    paths = [file for path in chosen.images for file in files(path)]
    scores, verdicts = -estimator.score_samples(paths), estimator.predict(paths)
    titles = [
        f"{path.name}: {score:.3g}, {VERDICTS[int(verdict)]}"
        for path, score, verdict in zip(paths, scores, verdicts, strict=True)
    ]
    figure = draw(estimator.explain(paths), titles)
    with atomic(chosen.output) as beside:
        figure.savefig(beside)
    print(f"Written: {chosen.output}")


def _add_evaluate(commands: Any) -> None:
    parser = _command(
        commands,
        "evaluate",
        "measure a model on a labelled folder",
        """Measure a model on a labelled folder, of which no image should have been fitted to.

FOLDER has test/good and test/<defect>, as in MVTec AD, whose masks in ground_truth are passed
over; or good and <defect> side by side. Every image is tested, however few have a defect. AUROC is
the share of pairs of a good image and a defect in which the defect scores higher. Intervals are
exact 95 % intervals.""",
        """example:
  gradcon evaluate model mvtec/bottle --csv scores.csv""",
    )
    _add_model(parser)
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="labelled images")
    parser.add_argument(
        "--csv",
        metavar="FILE",
        type=Path,
        help="file to write the scores to: file, kind, score, verdict",
    )
    parser.set_defaults(run=_evaluate)


def _evaluate(chosen: argparse.Namespace) -> None:
    estimator = OutlierEstimator.load(chosen.model)
    images = labelled(chosen.folder)
    scores = -estimator.score_samples([image.file for image in images])
    outlier = scores > -estimator.offset_
    if chosen.csv:
        _write(
            chosen.csv,
            file=[image.file for image in images],
            kind=[image.kind for image in images],
            score=[f"{score:.6g}" for score in scores],
            verdict=[VERDICTS[-1 if above else 1] for above in outlier],
        )
    kinds = defaultdict(list)
    for number, image in enumerate(images):
        kinds[image.kind].append(number)
    good = kinds.pop(GOOD)
    width = max(map(len, [*kinds, "all defects"]))
    defects = [number for numbers in kinds.values() for number in numbers]
    rows = {GOOD: good, **kinds, "all defects": defects}
    print(f"{'':{width}}  images  AUROC  called outliers, with 95 % interval")
    for kind, numbers in rows.items():
        auroc = placements(scores[good], scores[numbers]).mean()
        value = "" if kind == GOOD else f"{auroc:.3f}"
        low, high = share_interval(int(outlier[numbers].sum()), len(numbers))
        share = f"{percent(outlier[numbers].mean())} ({percent(low)} to {percent(high)})"
        print(f"{kind:{width}}  {len(numbers):6,}  {value:5}  {share}")
    print(f"The rate at `{GOOD}` is that of false alarms ({_threshold(estimator)})")


def _write(path: Path, **columns: Sequence[Any]) -> None:
    """Write a CSV file with these columns."""
    with atomic(path) as beside, beside.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(columns)
        table.writerows(zip(*columns.values(), strict=True))


def _threshold(estimator: OutlierEstimator) -> str:
    limit = f"threshold {-estimator.offset_:.4g}"
    return f"{limit}: {estimator.threshold_}" if estimator.threshold_ else limit


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder that `fit` has written")


def _command(
    commands: Any, name: str, summary: str, description: str, examples: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
