"""``gricol-zoo compare``."""

from __future__ import annotations

import argparse
from pathlib import Path

from gricol_zoo.commands.common import interval

HELP = "compare two cross-validations on the same images: confidence interval by case, McNemar's test, corrected t-test"


def add_options(command: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    command.add_argument("first", type=Path, metavar="DIR", help="an output folder of `crossval`")
    command.add_argument("second", type=Path, metavar="DIR", help="another one, on the same images")
    command.add_argument("--out", type=Path, metavar="JSON", help="write the results to this file")


def run(options: argparse.Namespace) -> int:
    """Run the command; return the exit status."""
    from gricol_zoo.evaluation.compare import compare_runs
    from gricol_zoo.evaluation.report import write_report

    result = compare_runs(options.first, options.second)
    test, mcnemar = result["corrected_t_test"], result["mcnemar"]
    print(f"{options.first}: {result['accuracy_first']:.4f}; {options.second}: {result['accuracy_second']:.4f}")
    bounds = interval(result["difference_ci95"], "+.4f")
    print(f"difference {result['difference']:+.4f} ({bounds}), {result['images']} images")
    print(
        f"exact McNemar test: {mcnemar['only_first']} correct only in the first, {mcnemar['only_second']} only in the second, "
        f"p = {mcnemar['p']:.3g}"
    )
    if test:
        print(f"corrected t-test over the folds: t = {test['t']:.3f}, p = {test['p']:.3g}")
    else:
        why = "all folds differ by the same amount" if result["same_folds"] else "the folds are not the same"
        print(f"no t-test: {why}")
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_report(result, options.out)
    return 0
