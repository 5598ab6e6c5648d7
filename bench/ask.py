#!/usr/bin/env python3
"""bench/ask.py BUILD STUDY [IMAGES [UNITS]] -- processor time of questions to a large study (large_study.py makes it, 200,000 pictures and
2,560 units unless told otherwise), the start of the program subtracted. Prints a table and JSON lines; fails when a question about units
or pictures takes more than 50 ms. STUDY gives the schema. Needs 3 GB in BUILD for the while."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

LIMIT, TIMES = 0.050, 5  # s


def seconds(program, words):
    with open(os.devnull, "w") as null:
        best = None
        for _ in range(TIMES):
            child = subprocess.Popen([program] + words, stdout=null, env=dict(os.environ, GOMP_SPINCOUNT="5000"))
            _, status, usage = os.wait4(child.pid, 0)
            if status:
                sys.exit(f"failed: {words}")
            took = usage.ru_utime + usage.ru_stime
            best = took if best is None else min(best, took)
    return best


def main():
    build, study = sys.argv[1:3]
    program = os.path.join(os.path.abspath(build), "clipneuron")
    with tempfile.TemporaryDirectory(dir=build) as folder:
        large = os.path.join(folder, "large")
        subprocess.check_call([sys.executable, os.path.join(os.path.dirname(__file__), "large_study.py"), study, large] + sys.argv[3:])
        start = seconds(program, ["--version"])
        questions = ["stats S", "stats S 7", "top S 7", "buckets S 7", "units S", "units S --sort kurtosis -n 24", "units S --sort word -n 24",
                     "images S 7", "images S 7 12 99", "images S --image n00000000_0.jpg", "images S --search zzzz", "export S units", "compare S S"]
        slow = []
        for question in questions:
            took = seconds(program, [large if w == "S" else w for w in question.split()]) - start
            print(f"{1e3 * took:8.1f} ms  {question}")
            print(json.dumps({"bench": "ask", "question": question, "seconds": round(took, 4)}), file=sys.stderr)
            if took > LIMIT and not question.startswith("compare"):
                slow.append(question)
    if slow:
        sys.exit(f"more than {1e3 * LIMIT:.0f} ms: {', '.join(slow)}")


if __name__ == "__main__":
    main()
