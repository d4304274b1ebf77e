"""Check that the weight files in git are small enough, over its whole history.

    python .ci/weights_in_git.py [REPOSITORY]

A file that was committed once is downloaded by every later clone. So a weight file may have at most 60 MB, and all
versions of all weight files together at most 400 MB. Prints the sum and what is too large; the exit status is 1 if
anything is.
"""

import subprocess
import sys
from pathlib import Path

SUFFIXES = (".safetensors", ".bin", ".pt", ".pth", ".onnx", ".npy", ".npz")
MAX_EACH = 60_000_000
MAX_TOGETHER = 400_000_000


def git(repository: Path, *arguments: str, given: str = "") -> str:
    """Return what git prints."""
    return subprocess.run(
        ["git", "-C", str(repository), *arguments], input=given, capture_output=True, text=True, check=True
    ).stdout


def weight_files(repository: Path) -> dict[str, tuple[str, int]]:
    """Return the weight files of all commits of all branches: hash -> (one of its paths, size in bytes)."""
    objects = git(repository, "rev-list", "--objects", "--all")
    named = dict(line.split(" ", 1) for line in objects.splitlines() if line.endswith(SUFFIXES))
    sizes = git(repository, "cat-file", "--batch-check=%(objectname) %(objectsize)", given="\n".join(named))
    return {name: (named[name], int(size)) for name, size in map(str.split, sizes.splitlines())}


def too_large(files: dict[str, tuple[str, int]], each: int = MAX_EACH, together: int = MAX_TOGETHER) -> list[str]:
    """Return one line for each limit that is exceeded."""
    found = [
        f"{path} ({name[:12]}) has {size} bytes: expected at most {each}. Take it out of the commit; put it on the Hub."
        for name, (path, size) in sorted(files.items(), key=lambda item: item[1])
        if size > each
    ]
    total = sum(size for _, size in files.values())
    if total > together:
        found.append(f"All weight files have {total} bytes: expected at most {together}. Commit weights once, when final.")
    return found


def main() -> int:
    """Check a repository; return the exit status."""
    repository = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent
    if not (repository / ".git").exists():
        print(f"{repository} is not a clone, so there is no history to check")
        return 0
    files = weight_files(repository)
    shallow = (
        " (a shallow clone: only what is here)" if git(repository, "rev-parse", "--is-shallow-repository") == "true\n" else ""
    )
    print(f"{len(files)} weight files in git's history, {sum(size for _, size in files.values())} bytes{shallow}")
    wrong = too_large(files)
    for line in wrong:
        print(f"WRONG: {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
