"""The benchmark's driver: clipneuron, ONNX Runtime and PyTorch take turns on the same weights and pixels.

usage: race.py BUILD [--quick] [--models RN50x4,...] [--rounds N] [--threads N] [--results FILE]
Run by bench/run.sh, which builds and installs what this needs. For each model: outputs are compared first;
then in every round each peer runs one forward pass, so that a slow minute of the machine slows all of them.
Reported are medians and ratios of medians. Appends JSON lines to BUILD/bench/results.jsonl.
docs/benchmarks.md says what each figure means.
"""
import argparse
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import time

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
REFEREE = os.path.join(ROOT, "tools/referee")

# name: (resolution, batch)
MODELS = {"RN50x4": (288, 4), "RN50": (224, 4), "ViT-B-32": (224, 4), "ViT-B-16": (224, 4)}
# The targets (docs/benchmarks.md): ratio of the peer's time to ours, at least. RN50x4 has figures of its own.
TARGETS = {
    "RN50x4": [("fp32", "ort.fp32", 1.25), ("fp32", "torch.fp32", 1.6), ("bf16", "ort.fp32", 2.2),
               ("bf16", "torch.bf16", 1.6)],
    "other": [("fp32", "ort.fp32", 1.0), ("fp32", "torch.fp32", 1.0)],
}
CONV_SHARE = 0.8         # of the fp32 peak, in the convolutions of RN50x4
MEMORY_BOUND = 1.2       # peak resident size over packed weights + planned activations
STARTUP_BOUND_S = 2.0
GROWTH_BOUND = 128 << 10 # bytes over 900 batches: pages of stacks and the C library that are first touched late
FP32_BOUND, BF16_COSINE = 1e-4, 0.999


# clipneuron as its program runs: see wait_briefly in cli/main.c. The peers keep their own defaults.
OURS = {"GOMP_SPINCOUNT": os.environ.get("GOMP_SPINCOUNT", "5000")}


class Peer:
    """A process that prints JSON, then `ready VARIANT...`, then answers each line with milliseconds."""

    def __init__(self, key, command, env=None):
        self.key, self.notes = key, []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        env={**os.environ, **(env or {})})
        self.about = json.loads(self.read())
        while not (line := self.read()).startswith("ready"):
            self.notes.append(line.strip())
        self.variants = line.split()[1:]

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.key}: ended early (status {self.process.wait()})")
        return line

    def run(self, variant, clock="wall"):
        """Milliseconds of one forward pass; by the processor time of its threads with clock "cpu"."""
        begin = self.cpu_ms() if clock == "cpu" else 0.0
        self.process.stdin.write(variant + "\n")
        self.process.stdin.flush()
        wall = float(self.read())
        return self.cpu_ms() - begin if clock == "cpu" else wall

    def cpu_ms(self):
        folder, total = f"/proc/{self.process.pid}/task", 0
        for task in os.listdir(folder):
            with open(f"{folder}/{task}/schedstat") as file:
                total += int(file.read().split()[0])
        return total * 1e-6

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def measure_peak(build, threads):
    text = subprocess.run([os.path.join(build, "bench/peak"), str(threads), "0.15"], check=True,
                          capture_output=True, text=True).stdout
    return json.loads(text)


def prepare(folder, name, size, batch, want_onnx):
    """Checkpoint, pixels and ONNX file of a model, made once."""
    checkpoint = os.path.join(folder, f"{name}.safetensors")
    pixels = os.path.join(folder, f"{name}.{batch}.pixels")
    onnx = os.path.join(folder, f"{name}.{batch}.onnx")
    if not os.path.exists(checkpoint):
        subprocess.run([sys.executable, os.path.join(REFEREE, "make_checkpoints.py"), "--arch", name,
                        "--statistics", "measured", "-o", checkpoint + ".part"], check=True, stdout=subprocess.DEVNULL)
        os.replace(checkpoint + ".part", checkpoint)
    if not os.path.exists(pixels):
        code = ("import sys, torch; sys.path.insert(0, sys.argv[1]); import make_checkpoints as m; "
                "m.random_pixels(int(sys.argv[2]), int(sys.argv[3]), torch.Generator().manual_seed(9))"
                ".numpy().tofile(sys.argv[4])")
        subprocess.run([sys.executable, "-c", code, REFEREE, str(batch), str(size), pixels], check=True)
    if want_onnx and (not os.path.exists(onnx) or os.path.getmtime(onnx) < os.path.getmtime(checkpoint)):
        subprocess.run([sys.executable, os.path.join(HERE, "export_onnx.py"), checkpoint, str(batch), onnx], check=True)
    return checkpoint, pixels, onnx


def start_peers(build, folder, name, size, batch, threads):
    checkpoint, pixels, onnx = prepare(folder, name, size, batch, True)
    out = os.path.join(folder, "out." + name)
    peers, n = [], str(threads)
    omp = {"OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n}
    makers = [
        ("ours", lambda: Peer("ours", [os.path.join(build, "bench/bench_forward"), "serve", checkpoint, pixels,
                                       str(batch), n, out + ".ours", "fp32", "bf16"], OURS)),
        ("ort", lambda: Peer("ort", ["node", os.path.join(HERE, "peer_ort.js"), onnx, pixels, str(batch), str(size), n,
                                     out + ".ort.fp32"])),
        ("torch", lambda: Peer("torch", [
            sys.executable, os.path.join(HERE, "peer_torch.py"), checkpoint, pixels, str(batch), str(size), n,
            out + ".torch", "fp32", "fp32-channels-last", "fp32-frozen", "bf16", "bf16-channels-last", "bf16-frozen"],
            omp)),
    ]
    for key, make in makers:
        try:
            peers.append(make())
        except (OSError, RuntimeError, ValueError) as error:
            print(f"  {key} is missing: {error}", flush=True)
    return peers, out, checkpoint, pixels


def check_outputs(peers, out):
    """Every peer's embeddings against PyTorch fp32 (else the first there is): {variant: (max error, cosine)}."""
    outputs = {}
    for peer in peers:
        for variant in peer.variants:
            outputs[f"{peer.key}.{variant}"] = np.fromfile(f"{out}.{peer.key}.{variant}", np.float32).astype(np.float64)
    reference = outputs.get("torch.fp32", next(iter(outputs.values())))
    checks = {}
    for key, value in outputs.items():
        if value.shape != reference.shape:
            raise SystemExit(f"race: {key} gave {value.shape} values, expected {reference.shape}")
        error = float(np.abs(value - reference).max() / np.abs(reference).max())
        cosine = float(value @ reference / np.linalg.norm(value) / np.linalg.norm(reference))
        checks[key] = (error, cosine)
    return checks


def primitives(build, checkpoint, pixels, batch, threads, variant, out):
    """Time (the best of three passes) and operations by kind of primitive, from oneDNN's own log."""
    env = {**os.environ, "DNNL_VERBOSE": "1", "ONEDNN_VERBOSE": "1"}
    text = subprocess.run([os.path.join(build, "bench/bench_forward"), "serve", checkpoint, pixels, str(batch),
                           str(threads), out, variant], input=f"{variant}\n" * 4, env=env, capture_output=True,
                          text=True).stdout
    lines = text[text.index("ready"):].splitlines() if "ready" in text else []
    passes, current = [], []
    for line in lines[1:]:
        if re.match(r"(one)?dnn[l]?_verbose,", line):
            fields = line.split(",")
            if "exec" in fields and "error" not in fields:
                current.append(fields)
        elif re.match(r"[0-9.]+$", line):
            passes.append(current)
            current = []
    if len(passes) < 2 or not passes[-1]:
        return None
    kinds = {}
    entries = [p for p in passes[1:] if len(p) == len(passes[-1])]
    for i, fields in enumerate(passes[-1]):
        at = fields.index("cpu") if "cpu" in fields else 2             # ...,exec,cpu,KIND,IMPLEMENTATION,...
        kind, name = fields[at + 1], fields[at + 2]
        ms = min(float(p[i][-1]) for p in entries)
        flops = conv_flops(fields[-2]) if kind == "convolution" else 0.0
        group = kinds.setdefault(kind, {"ms": 0.0, "gflop": 0.0, "count": 0})
        group["ms"] += ms
        group["gflop"] += flops * 1e-9
        group["count"] += 1
        if kind == "convolution":
            part = "winograd" if "wino" in name else "direct"
            group = kinds.setdefault(f"convolution/{part}", {"ms": 0.0, "gflop": 0.0, "count": 0})
            group["ms"] += ms
            group["gflop"] += flops * 1e-9
            group["count"] += 1
    return kinds


def conv_flops(shape):
    """Operations of `mb4_ic40oc80_ih144oh144kh3sh1..._iw144ow144kw3...`, batch and groups included."""
    def number(key, default=None):
        found = re.search(r"(?:^|_|\d)" + key + r"(\d+)", shape)
        return int(found.group(1)) if found else default
    try:
        return 2.0 * number("mb") * number("ic") * number("oc") * number("oh") * number("ow", number("oh")) * \
            number("kh") * number("kw", number("kh")) / (number("g", 1) or 1)
    except TypeError:
        return 0.0


def race(build, folder, name, rounds, threads, clock, results):
    size, batch = MODELS[name]
    print(f"\n{name}: {batch} images of {size}x{size} px, random weights stored in fp16, {threads} threads", flush=True)
    peers, out, checkpoint, pixels = start_peers(build, folder, name, size, batch, threads)
    if not peers:
        raise SystemExit("race: no peer could start")
    for peer in peers:
        about = " ".join(f"{k} {v}" for k, v in peer.about.items() if k not in ("peer", "image_gflop"))
        print(f"  {peer.about['peer']}: {about}" + "".join(f"\n    {note}" for note in peer.notes), flush=True)
    checks = check_outputs(peers, out)
    gflop = next((p.about["image_gflop"] for p in peers if p.key == "ours"), {"RN50x4": 39.0}.get(name, 0.0)) * batch
    times = {f"{p.key}.{v}": [] for p in peers for v in p.variants}
    peak = measure_peak(build, threads)
    for i in range(rounds + 1):                              # the first round warms up
        for peer in peers:
            for variant in peer.variants:
                time.sleep(0.03)                             # lets the threads of the one before go to sleep
                ms = peer.run(variant, clock)
                if i:
                    times[f"{peer.key}.{variant}"].append(ms)
        if i in (rounds // 2, rounds):
            again = measure_peak(build, threads)
            for key in ("fp32_gflops", "bf16_gflops"):
                peak[key] = max(peak[key], again[key])
    for peer in peers:
        peer.close()
    medians = {key: statistics.median(values) for key, values in times.items()}
    print(f"  peak measured: fp32 {peak['fp32_gflops']:.0f}, bf16 {peak['bf16_gflops']:.0f} GFLOP/s ({peak['isa']})")
    print(f"  {'':24}{'median ms':>10}{'best ms':>9}{'images/s':>10}{'GFLOP/s':>9}{'of peak':>9}"
          f"{'max error':>11}{'cosine':>10}")
    rows = {}
    for key, median in medians.items():
        own = peak["bf16_gflops" if ".bf16" in key else "fp32_gflops"] or peak["fp32_gflops"]
        rate = gflop / median * 1e3
        rows[key] = {"median_ms": median, "best_ms": min(times[key]), "images_per_s": batch / median * 1e3,
                     "gflops": rate, "share_of_peak": rate / own, "max_error": checks[key][0], "cosine": checks[key][1]}
        print(f"  {key:24}{median:10.1f}{min(times[key]):9.1f}{batch / median * 1e3:10.2f}{rate:9.0f}{rate / own:9.0%}"
              f"{checks[key][0]:11.1e}{checks[key][1]:10.6f}")
    results.append({"what": "forward", "model": name, "batch": batch, "size": size, "threads": threads,
                    "rounds": rounds, "clock": clock, "gflop": gflop, "peak": peak, "rows": rows,
                    "versions": {p.key: p.about for p in peers}})
    verdicts = []
    if "ours.fp32" in medians:
        ahead = TARGETS.get(name, TARGETS["other"])
        for ours, peer, target in ahead:
            if f"ours.{ours}" in medians and peer in medians:
                ratio = medians[peer] / medians[f"ours.{ours}"]
                verdicts.append((f"{name} {ours} against {NAMES[peer]}", ratio, target, ratio >= target, "x"))
        for dtype in ("fp32", "bf16"):
            mine = medians.get(f"ours.{dtype}")
            variants = {k: v for k, v in medians.items() if k.startswith(f"torch.{dtype}")}
            if mine and variants:
                best = min(variants, key=variants.get)
                verdicts.append((f"{name} {dtype} against PyTorch's best ({best[6:]})", variants[best] / mine, 1.0,
                                 variants[best] >= mine, "x"))
        error = checks["ours.fp32"][0]
        verdicts.append((f"{name} fp32 largest error", error, FP32_BOUND, error <= FP32_BOUND, "<="))
        if "ours.bf16" in checks:
            # Weights that are random and deep spread rounding errors: the measure is what PyTorch's bf16 reaches.
            cosine = checks["ours.bf16"][1]
            theirs = checks.get("torch.bf16", (0, 1))[1]
            bound = min(BF16_COSINE, 1 - 1.25 * (1 - theirs))
            verdicts.append((f"{name} bf16 cosine (PyTorch's: {theirs:.4f})", cosine, bound, cosine >= bound, ">="))
        for variant in (v for v in ("fp32", "bf16") if f"ours.{v}" in medians):
            kinds = primitives(build, checkpoint, pixels, batch, threads, variant, out + ".verbose")
            if not kinds:
                continue
            own = peak["bf16_gflops" if variant == "bf16" else "fp32_gflops"] or peak["fp32_gflops"]
            print(f"  primitives, {variant}: " + ", ".join(
                f"{k} {v['count']}x {v['ms']:.1f} ms" + (f" ({v['gflop'] / v['ms'] * 1e3 / own:.0%} of peak)"
                                                         if v["gflop"] else "") for k, v in kinds.items()))
            results.append({"what": "primitives", "model": name, "variant": variant, "kinds": kinds})
            conv = kinds.get("convolution")
            if name == "RN50x4" and variant == "fp32" and conv and conv["gflop"]:
                share = conv["gflop"] / conv["ms"] * 1e3 / own
                verdicts.append((f"{name} fp32 convolutions, share of peak", share, CONV_SHARE, share >= CONV_SHARE, ">="))
                direct = kinds.get("convolution/direct")
                if direct and "convolution/winograd" in kinds:
                    share = direct["gflop"] / direct["ms"] * 1e3 / own
                    verdicts.append((f"{name} fp32 direct convolutions, share of peak", share, CONV_SHARE,
                                     share >= CONV_SHARE, ">="))
        if name == "RN50x4":
            verdicts += memory_and_startup(build, folder, name, checkpoint, pixels, batch, threads, results)
    return verdicts


SEE = {"model": "RN50x4", "size": 256, "batch": 4}
SEE_TARGETS = [("fp32", "torch.fp32", 1.7), ("bf16", "torch.fp32", 3.0)]


def race_see(build, folder, rounds, threads, clock, results):
    """Steps of feature visualisation: a step is pictures, transforms, forward and backward pass and Adam."""
    name, size, batch = SEE["model"], SEE["size"], SEE["batch"]
    print(f"\nsee: {batch} pictures of {size} px for units of {name}'s last block, {threads} threads", flush=True)
    checkpoint, _, _ = prepare(folder, name, *MODELS[name], False)
    n, peers = str(threads), []
    omp = {"OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n}
    makers = [("ours", [os.path.join(build, "bench/bench_see"), checkpoint, str(batch), str(size), n, "fp32", "bf16"], OURS),
              ("torch", [sys.executable, os.path.join(HERE, "peer_see_torch.py"), checkpoint, str(batch), str(size), n, "fp32",
                         "fp32-channels-last", "bf16", "bf16-channels-last"], omp)]
    for key, command, env in makers:
        try:
            peers.append(Peer(key, command, env))
        except (OSError, RuntimeError, ValueError) as error:
            print(f"  {key} is missing: {error}", flush=True)
    times = {f"{p.key}.{v}": [] for p in peers for v in p.variants}
    peak = measure_peak(build, threads)
    for i in range(rounds + 1):                              # the first round warms up
        for peer in peers:
            for variant in peer.variants:
                time.sleep(0.03)
                ms = peer.run(variant, clock)
                if i:
                    times[f"{peer.key}.{variant}"].append(ms)
    # The trunk forward and backward to its input: twice the operations of a forward pass, by the share of pixels.
    gflop = next((p.about["image_gflop"] for p in peers if p.key == "ours"), 0.0) * batch * 2 * (size / MODELS[name][0]) ** 2
    for peer in peers:
        for note in peer.notes:
            print(f"    {note}")
        peer.close()
    medians = {key: statistics.median(values) for key, values in times.items()}
    print(f"  {'':24}{'median ms':>10}{'best ms':>9}{'steps/s':>9}{'GFLOP/s':>9}{'of peak':>9}")
    for key, median in medians.items():
        own = peak["bf16_gflops" if ".bf16" in key else "fp32_gflops"] or peak["fp32_gflops"]
        rate = gflop / median * 1e3
        print(f"  {key:24}{median:10.1f}{min(times[key]):9.1f}{1e3 / median:9.2f}{rate:9.0f}{rate / own:9.0%}")
    results.append({"what": "see", **SEE, "threads": threads, "rounds": rounds, "gflop": gflop, "peak": peak,
                    "median_ms": medians, "best_ms": {k: min(v) for k, v in times.items()}})
    return [(f"see, {ours} against PyTorch {peer[6:]}", medians[peer] / medians[f"ours.{ours}"], target,
             medians[peer] / medians[f"ours.{ours}"] >= target, "x")
            for ours, peer, target in SEE_TARGETS if f"ours.{ours}" in medians and peer in medians]


NAMES = {"ort.fp32": "ONNX Runtime fp32", "torch.fp32": "PyTorch fp32 eager", "torch.bf16": "PyTorch bf16 autocast"}


def run_json(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def memory_and_startup(build, folder, name, checkpoint, pixels, batch, threads, results):
    program = os.path.join(build, "bench/bench_forward")
    verdicts = []
    for variant in ("fp32", "bf16"):
        try:
            m = run_json([program, "memory", checkpoint, pixels, str(batch), str(threads), variant])
        except subprocess.CalledProcessError:
            continue
        ratio = m["peak_rss_bytes"] / (m["weight_bytes"] + m["activation_bytes"])
        print(f"  memory, {variant}: peak {m['peak_rss_bytes'] / 2**20:.0f} MiB, packed weights "
              f"{m['weight_bytes'] / 2**20:.0f}, planned activations {m['activation_bytes'] / 2**20:.0f}, "
              f"outputs {m['output_bytes'] / 2**20:.1f}, input {m['pixel_bytes'] / 2**20:.1f}")
        results.append({"what": "memory", "model": name, "variant": variant, **m})
        verdicts.append((f"{name} {variant} peak memory over weights + activations", ratio, MEMORY_BOUND,
                         ratio <= MEMORY_BOUND, "<="))
    small = os.path.join(folder, "tiny.safetensors")
    if not os.path.exists(small):
        subprocess.run([sys.executable, os.path.join(REFEREE, "make_checkpoints.py"), "-o", small + ".part"], check=True,
                       stdout=subprocess.DEVNULL)
        os.replace(small + ".part", small)
    g = run_json([program, "growth", small, pixels, "2", str(threads), "fp32", "1000"])
    results.append({"what": "growth", **g})
    verdicts.append(("growth over the last 900 of 1,000 batches, bytes", g["growth_bytes"], GROWTH_BOUND,
                     g["growth_bytes"] <= GROWTH_BOUND, "<="))
    cli = os.path.join(build, "clipneuron")
    picture = os.path.join(ROOT, "tests/data/golden/astronaut.png")
    if os.path.exists(cli) and os.path.exists(picture):
        seconds = []
        for _ in range(4):
            begin = time.perf_counter()
            done = subprocess.run([cli, "embed", "--model", checkpoint, "--threads", str(threads), "--image", picture,
                                   "-o", os.path.join(folder, "startup.npy")], capture_output=True, text=True)
            seconds.append(time.perf_counter() - begin)
            if done.returncode:
                print(f"  embed failed: {done.stderr.strip()}")
                return verdicts
        results.append({"what": "startup", "model": name, "seconds": seconds})
        verdicts.append((f"{name} start to first embedding, s", statistics.median(seconds[1:]), STARTUP_BOUND_S,
                         statistics.median(seconds[1:]) <= STARTUP_BOUND_S, "<="))
    return verdicts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--quick", action="store_true", help="RN50x4 only, few rounds")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--rounds", type=int, default=0, help="0: 9, or 3 with --quick")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall",
                        help="cpu: processor time, for a busy machine; exact with --threads 1 only")
    parser.add_argument("--see", action="store_true", help="feature visualisation alone")
    parser.add_argument("--no-see", action="store_true", help="all but feature visualisation")
    parser.add_argument("--results")
    args = parser.parse_args()
    names = ["RN50x4"] if args.quick else args.models.split(",")
    for name in names:
        if name not in MODELS:
            parser.error(f"unknown model {name}; known: {' '.join(MODELS)}")
    folder = os.path.join(args.build, "bench")
    os.makedirs(folder, exist_ok=True)
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    load = os.getloadavg()[0]
    print(f"clipneuron against its peers: {cpu}, {args.threads} threads, {datetime.date.today()}, load {load:.1f}"
          + ("   (the machine is not idle: trust the ratios, not the times)" if load > 0.7 else ""))
    path = args.results or os.path.join(folder, "results.jsonl")
    verdicts = []
    for name in names + ["see"] * (not args.no_see):
        results = []
        rounds = args.rounds or (3 if args.quick else 9)
        if name == "see":
            own = race_see(args.build, folder, rounds, args.threads, args.clock, results)
        elif args.see:
            continue
        else:
            own = race(args.build, folder, name, rounds, args.threads, args.clock, results)
        verdicts += own
        stamp = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        with open(path, "a") as file:
            for row in results:
                file.write(json.dumps({"time": stamp, "cpu": cpu, "load": load, **row}) + "\n")
            for title, value, target, met, sign in own:
                file.write(json.dumps({"time": stamp, "what": "target", "title": title, "value": value,
                                       "target": target, "met": bool(met)}) + "\n")
    if verdicts:
        print(f"\n{'':58}{'value':>12}  target")
        for title, value, target, met, sign in verdicts:
            text = f"{value:.2f}x" if sign == "x" else f"{value:.4g}" if abs(value) < 100 else f"{value:.0f}"
            goal = f">= {target:g}x" if sign == "x" else f"{sign} {target:.4g}" if abs(target) < 100 else f"{sign} {target:.0f}"
            print(f"{title:58}{text:>12}  {goal:10} {'met' if met else 'NOT MET'}")
        print(f"{sum(v[3] for v in verdicts)} of {len(verdicts)} met; details in {os.path.relpath(path)}")


if __name__ == "__main__":
    main()
