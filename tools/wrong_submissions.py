"""Writes the submissions of examples/course: the right one, and wrong ones that are the right one with an edit.

    python3 tools/wrong_submissions.py DEST            DEST/right, DEST/forgets_the_scale, …
    python3 tools/wrong_submissions.py DEST --count N  a class of N that goes through them again and again:
                                                       DEST/student_001_right, …

The edits are in examples/course/submissions/wrong.toml. Needs Python 3.11 and nothing else.
"""

import argparse
import pathlib
import sys
import tomllib

COURSE = pathlib.Path(__file__).resolve().parents[1] / "examples" / "course" / "submissions"
FILES = ("answers.toml", "candidate.py")


def edits_of(wrong):
    """A wrong submission has `edits`, or is one itself."""
    return wrong.get("edits") or [wrong]


def edited(right, wrong):
    """The files of the right submission with the edits of a wrong one."""
    texts = dict(right)
    for edit in edits_of(wrong):
        text, old = texts[edit["file"]], edit["old"]
        # An edit that is nowhere, or in two places, would be another bug than the one predicted.
        if text.count(old) != 1:
            raise ValueError(f"{wrong['name']}: {old!r} is {text.count(old)} times in {edit['file']}, not once")
        texts[edit["file"]] = text.replace(old, edit["new"])
    return texts


def submissions():
    """Name and files of all of them, the right one first."""
    right = {name: (COURSE / "right" / name).read_text(encoding="utf-8") for name in FILES}
    listed = tomllib.loads((COURSE / "wrong.toml").read_text(encoding="utf-8"))["wrong"]
    return [("right", right)] + [(wrong["name"], edited(right, wrong)) for wrong in listed]


def write(folder, texts):
    # Not into a folder that is there: files of an older run would be judged with these.
    folder.mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dest", type=pathlib.Path, help="folder to write them into")
    parser.add_argument("--count", type=int, metavar="N", help="write a class of N")
    options = parser.parse_args()
    every = submissions()
    if options.count is not None:
        if options.count < 1:
            parser.error("--count must be at least 1")
        cycled = [every[i % len(every)] for i in range(options.count)]
        every = [(f"student_{i:03}_{name}", texts) for i, (name, texts) in enumerate(cycled, 1)]
    for name, texts in every:
        write(options.dest / name, texts)
    print(f"{len(every)} submissions in {options.dest}")


if __name__ == "__main__":
    try:
        main()
    except FileExistsError as error:
        sys.exit(f"{error.filename} is already there; name another folder")
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"error: {error}")
