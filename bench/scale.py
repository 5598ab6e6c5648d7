"""bench/scale.py BUILD [--images 200000] [--units 2560] [--shards 1000] -- what does scanning cost when there are many pictures, units and parts?

Scans 1,000 to 200,000 tiny pictures (tars in BUILD/bench/scale) with a small random model and with invented activations of 2,560 units, asks the
largest study with the program's commands, and merges 1,000 parts. Prints what docs/study.md states, and for every target whether it is met; fails
when one is not. A question's time is the processor's, that of the program's start taken away. Only Python's standard library. Needs some 12 GB of
disk; about ten minutes."""
import argparse
import json
import os
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EACH = 1000  # pictures in a tar


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(command[:3])}: {done.stderr.strip()}")
    return done.stdout


def size_of(folder):
    return sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))


def measured(command):
    """Wall seconds and peak resident bytes of a command."""
    begin = time.perf_counter()
    pid = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    _, status, usage = os.wait4(pid.pid, 0)
    if status:
        sys.exit(f"{' '.join(command[:3])}: {pid.stderr.read().decode().strip()}")
    return time.perf_counter() - begin, usage.ru_maxrss * 1024


def asked(program, words):
    """Processor seconds of a command, the least of five runs."""
    best = None
    for _ in range(5):
        child = subprocess.Popen([program] + words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=dict(os.environ, GOMP_SPINCOUNT="5000"))
        _, status, usage = os.wait4(child.pid, 0)
        if status:
            sys.exit(f"{' '.join(words)}: {child.stderr.read().decode().strip()}")
        took = usage.ru_utime + usage.ru_stime
        best = took if best is None else min(best, took)
    return best


QUESTIONS = ["stats S", "stats S 7", "top S 7", "buckets S 7", "units S", "units S --sort kurtosis -n 24", "units S --sort label -n 24", "images S 7",
             "images S 7 12 99", "images S --image 0000.tar/000007.png", "images S --search 0000.tar/000007", "export S units"]


def ask(program, study, verdicts):
    start = asked(program, ["--version"])
    print(f"asking it (the program's start, {1e3 * start:.0f} ms, taken away):")
    for question in QUESTIONS + ["compare S S"]:
        ms = 1e3 * (asked(program, [study if w == "S" else w for w in question.split()]) - start)
        print(f"  {ms:8.1f} ms  {question}", flush=True)
        if question in QUESTIONS: # compare reads two studies whole
            verdicts.append((f"asking: {question}, ms", ms, 50, ms < 50))


def linear(points):
    """Least squares of seconds = a + b n with weights 1/seconds^2; the largest relative residual."""
    w = [1 / y ** 2 for _, y in points]
    n, sx, sy = sum(w), sum(k * x for k, (x, _) in zip(w, points)), sum(k * y for k, (_, y) in zip(w, points))
    sxx, sxy = sum(k * x * x for k, (x, _) in zip(w, points)), sum(k * x * y for k, (x, y) in zip(w, points))
    b = (n * sxy - sx * sy) / (n * sxx - sx * sx)
    a = (sy - b * sx) / n
    return a, b, max(abs(a + b * x - y) / y for x, y in points)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--images", type=int, default=200000)
    parser.add_argument("--units", type=int, default=2560)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--each", type=int, default=32, help="pictures of a part that is merged")
    o = parser.parse_args()
    build = os.path.abspath(o.build)
    bench = os.path.join(build, "bench/bench_scale")
    folder = os.path.join(build, "bench/scale")
    os.makedirs(folder, exist_ok=True)
    tars = os.path.join(folder, "tars")
    count = o.images // EACH
    if not os.path.exists(os.path.join(tars, f"{count - 1:04}.tar")):
        run([bench, "tars", tars, str(count), str(EACH)])
    verdicts = []
    sizes = sorted({n for n in (1000, 2000, 5000, 20000, 50000, o.images) if n <= o.images})

    print("a small random model, program clipneuron:")
    model = os.path.join(ROOT, "tests/data/golden/rn-small.safetensors")
    points = []
    for n in sizes:
        study = os.path.join(folder, f"model-{n}")
        shutil.rmtree(study, ignore_errors=True)
        seconds, resident = measured([os.path.join(build, "clipneuron"), "scan", "--quiet", "--force", "--no-words", "--model", model,
                                      os.path.join(tars, f"{{0000..{n // EACH - 1:04}}}.tar"), "-o", study])
        print(f"  {n:7} images: {seconds:7.1f} s, {resident / 2**20:5.0f} MiB, study {size_of(study) / n:6.0f} bytes an image", flush=True)
        points.append((n, seconds))
    verdicts.append((f"peak memory at {n} images, MiB", resident / 2**20, 600, resident / 2**20 < 600))
    a, b, worst = linear(points)
    print(f"  seconds = {a:.2f} + {1e6 * b:.1f} us an image; farthest from it {100 * worst:.1f}%")
    verdicts.append(("cost against the line, %", 100 * worst, 10, worst <= .1))

    print(f"invented activations, {o.units} units:")
    study = os.path.join(folder, "units")
    shutil.rmtree(study, ignore_errors=True)
    sizes = {}
    for n in sorted({1000, o.images}):
        r = json.loads(run([bench, "scan", tars if n == o.images else os.path.join(tars, "0000.tar"), str(o.units), study]))
        database = os.path.getsize(os.path.join(study, "study.sqlite"))
        sizes[n] = database, size_of(study) - database
        print(f"  {n:7} images: {r['seconds']:7.1f} s, {r['resident'] / 2**20:5.0f} MiB, study {sum(sizes[n]) / 2**20:.0f} MiB, its tables {database / 2**20:.0f} MiB", flush=True)
        if n != o.images:
            shutil.rmtree(study)
    if o.images > 1000:
        more = [(sizes[o.images][k] - sizes[1000][k]) / (o.images - 1000) for k in range(2)]
        print(f"  bytes for another image: {more[0]:.0f} in the tables, {more[1]:.0f} in the matrices")
    ask(os.path.join(build, "clipneuron"), study, verdicts)
    shutil.rmtree(study)

    print(f"merging {o.shards} parts of {o.each} images and {o.units} units:")
    small = os.path.join(folder, "small")
    if not os.path.exists(os.path.join(small, f"{o.shards - 1:04}.tar")):
        run([bench, "tars", small, str(o.shards), str(o.each)])
    parts = []
    for i in range(1, o.shards + 1):
        parts.append(os.path.join(folder, "parts", str(i)))
        os.makedirs(os.path.dirname(parts[-1]), exist_ok=True)
        run([bench, "scan", small, str(o.units), parts[-1], str(i), str(o.shards)])
    print(f"  a part: {size_of(parts[0]) / 2**20:.1f} MiB", flush=True)
    merged = os.path.join(folder, "merged")
    shutil.rmtree(merged, ignore_errors=True)
    r = json.loads(run([bench, "merge", str(o.units), merged] + parts))
    print(f"  {r['images']} images: {r['seconds']:.1f} s, {r['resident'] / 2**20:.0f} MiB")
    verdicts.append((f"merging {o.shards} parts, s", r["seconds"], 120, r["seconds"] < 120))
    shutil.rmtree(os.path.join(folder, "parts"))
    print()
    for title, value, target, met in verdicts:
        print(f"  {title:44} {value:9.2f}  target < {target:<6} {'met' if met else 'MISSED'}")
    return 0 if all(v[3] for v in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
