#!/usr/bin/env python3
"""Counts of the code's structure: of the checkout, or of a commit.

    Tests/structure.py [COMMIT ...]
    Tests/structure.py --check

The first prints the table of docs/design.md ("Counts"), a column per commit; without one, the files as they are on the
disk. The counts are of Sources/ alone, and by patterns: good for comparing two states of this code, not for other code.

The second looks for the files that README, CONTRIBUTING and docs/ name, and compares the sizes that docs/design.md
gives them; it prints what is wrong and returns 1 then.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
DECLARATION = re.compile(
    r"^(?:@\w+(?:\([^)]*\))? )*((?:(?:public|package|private|fileprivate|final|indirect|nonisolated) )*)"
    r"(?:struct|class|enum|protocol|actor) (\w+)",
    re.M,
)


def sources(commit: str | None) -> dict[str, str]:
    """Paths below Sources/, with their text."""
    if commit is None:
        paths = sorted(path for path in (ROOT / "Sources").rglob("*") if path.suffix in (".swift", ".c", ".h"))
        return {str(path.relative_to(ROOT / "Sources")): path.read_text() for path in paths}
    git = ["git", "-C", str(ROOT)]
    names = subprocess.run(
        [*git, "ls-tree", "-r", "--name-only", commit, "Sources"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    names = [name for name in names if name.endswith((".swift", ".c", ".h"))]
    result = {}
    for name in names:
        shown = subprocess.run([*git, "show", f"{commit}:{name}"], capture_output=True, text=True, check=True)
        result[name.removeprefix("Sources/")] = shown.stdout
    return result


def without_comments(text: str) -> str:
    """Code alone: what a comment or a plain string says is no use of it."""
    text = re.sub(r'"""(?:.|\n)*?"""', '""', text)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"', '""', text)
    return re.sub(r"//.*", "", text)


def circles(code: dict[str, str]) -> list[list[str]]:
    """Files of one module that name each other's types, directly or by others between them."""
    found = []
    for module in sorted({path.split("/")[0] for path in code}):
        files = {path: text for path, text in code.items() if path.startswith(module + "/")}
        declared = {}
        for path, text in files.items():
            for match in DECLARATION.finditer(text):
                if "private" not in match[1]:
                    declared[match[2]] = path
        uses = {
            path: {declared[word] for word in re.findall(r"\w+", text) if word in declared}
            for path, text in files.items()
        }

        def reached(start: str, uses: dict[str, set[str]] = uses) -> set[str]:
            seen, waiting = set(), [start]
            while waiting:
                for other in uses[waiting.pop()] - seen:
                    seen.add(other)
                    waiting.append(other)
            return seen

        ways = {path: reached(path) - {path} for path in files}
        circle = {frozenset([path, *(other for other in ways[path] if path in ways[other])]) for path in files}
        found += [sorted(files) for files in circle if len(files) > 1]
    return found


def counts(files: dict[str, str]) -> dict[str, int]:
    """The table's rows."""
    swift = {path: without_comments(text) for path, text in files.items() if path.endswith(".swift")}
    lines = {path: text.count("\n") for path, text in files.items()}
    types = {
        path: [name for modifiers, name in DECLARATION.findall(text) if "private" not in modifiers]
        for path, text in swift.items()
    }
    # Functions between ranks that take or give bytes, and the calls of them elsewhere; who hands over a whole buffer,
    # or fills memory that a host's ranks share, packs nothing.
    rooms = ("Communication/", "Collectives/")
    ranks = {path: text for path, text in swift.items() if path.startswith(rooms)}
    bytes_of_ranks = {
        match[1]
        for text in ranks.values()
        for match in re.finditer(r"func (\w+)(?:<[^>]*>)?\(([^{}]*?)(?=\n\n|\{|\n  (?:func|public|///))", text)
        if "UInt8" in match[2] or "RawBufferPointer" in match[2]
    }
    names = "|".join(sorted(bytes_of_ranks - {"copyToHosts"}))
    call = re.compile(rf"communicator\.(?:{names})(?:\s*\{{|\((?!\s*Unsafe(?:Mutable)?Raw))")
    between = {path: text for path, text in swift.items() if not path.startswith(rooms)}
    public = re.compile(r"^public (?:final |indirect )*(?:struct|class|enum|protocol|actor|func|typealias)", re.M)
    return {
        "modules": len({path.split("/")[0] for path in files}),
        "files of Swift": len(swift),
        "lines of Swift": sum(lines[path] for path in swift),
        "lines of C": sum(count for path, count in lines.items() if path not in swift),
        "lines of the longest file": max(lines.values()),
        "lines of a file, mean": round(sum(lines.values()) / len(lines)),
        "public types and functions": sum(len(public.findall(text)) for text in swift.values()),
        "public members": sum(len(re.findall(r"^ +public ", text, re.M)) for text in swift.values()),
        "files with three types or more": sum(len(types[path]) > 2 for path in swift),
        "types": sum(map(len, types.values())),
        "places that pack bytes for other ranks": sum(len(call.findall(text)) for text in between.values()),
        "circles of files within a module": len(circles(swift)),
        "files in such circles": sum(map(len, circles(swift))),
    }


def check() -> list[str]:
    """What the documentation says of files and is not so."""
    folders = [ROOT / name for name in ("Sources", "Tests", "cluster", "packaging", "configs")]
    names = ["/" + str(path.relative_to(ROOT)) for folder in folders for path in folder.rglob("*") if path.is_file()]
    names.append("/Package.swift")
    wrong, sizes = [], 0
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            place = f"{page.relative_to(ROOT)}:{number}"
            # Scripts without a folder are other programs'.
            for name in re.findall(r"`([\w+./-]+\.(?:swift|h|c|sh|py))`", line):
                if "/" not in name and name.endswith((".sh", ".py")):
                    continue
                if not any(path.endswith("/" + name) for path in names):
                    wrong.append(f"{place}: there is no file {name}")
            row = re.match(r"\| `([\w+./-]+)` \| (\d+) \|", line)
            if row and (ROOT / "Sources" / row[1]).is_file():
                sizes += 1
                count = (ROOT / "Sources" / row[1]).read_text().count("\n")
                if abs(count - int(row[2])) > max(10, int(row[2]) / 5):
                    wrong.append(f"{place}: {row[1]} has {count} lines, not {row[2]}")
    if sizes < 20:
        wrong.append("docs/design.md: the tables of its walks have another form than this script reads")
    return wrong


def main() -> None:
    """Prints a column per commit, or what the documentation has wrong."""
    if sys.argv[1:] == ["--check"]:
        wrong = check()
        print("\n".join(wrong), end="\n" if wrong else "")
        sys.exit(1 if wrong else 0)
    commits = sys.argv[1:] or [None]
    columns = [counts(sources(commit)) for commit in commits]
    print("| | " + " | ".join(commit or "now" for commit in commits) + " |")
    print("| --- |" + " ---: |" * len(commits))
    for row in columns[0]:
        print(f"| {row} | " + " | ".join(f"{column[row]:,}" for column in columns) + " |")


if __name__ == "__main__":
    main()
