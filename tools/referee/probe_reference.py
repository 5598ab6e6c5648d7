#!/usr/bin/python3
"""The least objective of small sparse multinomial regressions, for tests/compose/test_multinomial.c.

    /usr/bin/python3 tools/referee/probe_reference.py tests/data/probe

Shares nothing with the library: numpy in float64, FISTA (Beck and Teboulle 2009) with restarts (O'Donoghue and Candes 2015) and a fixed
step from the largest eigenvalue, until the objective has not moved by 1e-15 in 5,000 steps. Minimises
    F(W, b) = mean_i [log sum_k exp(z_ik) - z_iy(i)] + s (m |W|_1 + (1 - m)/2 |W|_2^2),  z = X W^T + b,
b without a penalty. Writes x (features, n) float32, y int32, strength, mix, objective float64 (problems), and weights, how many are not 0."""
import sys
import numpy as np


def objective(x, y, w, b, s, m):
    z = x @ w.T + b
    top = z.max(1)
    lse = top + np.log(np.exp(z - top[:, None]).sum(1))
    return (lse - z[np.arange(len(y)), y]).mean() + s * (m * np.abs(w).sum() + (1 - m) / 2 * (w ** 2).sum())


def slopes(x, y, w, b):
    z = x @ w.T + b
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    p[np.arange(len(y)), y] -= 1
    return p.T @ x / len(y), p.mean(0)


def fista(x, y, classes, s, m):
    n, d = x.shape
    one = np.hstack([x, np.ones((n, 1))])
    step = 1 / (0.5 * np.linalg.eigvalsh(one.T @ one / n)[-1] + s * (1 - m))
    w, b = np.zeros((classes, d)), np.log(np.bincount(y, minlength=classes) / n)
    vw, vb, t, last, still = w, b, 1.0, np.inf, 0
    for i in range(2_000_000):
        gw, gb = slopes(x, y, vw, vb)
        u = vw - step * (gw + s * (1 - m) * vw)
        nw, nb = np.sign(u) * np.maximum(np.abs(u) - step * s * m, 0), vb - step * gb
        if ((vw - nw) * (nw - w)).sum() + ((vb - nb) * (nb - b)).sum() > 0:
            t = 1.0
        nt = (1 + np.sqrt(1 + 4 * t * t)) / 2
        vw, vb = nw + (t - 1) / nt * (nw - w), nb + (t - 1) / nt * (nb - b)
        w, b, t = nw, nb, nt
        if i % 100 == 99:
            now = objective(x, y, w, b, s, m)
            still = still + 1 if last - now < 1e-15 * abs(now) else 0
            last = min(last, now)
            if still == 50:
                break
    return last, w, i + 1


def problem(name, n, d, classes, seed, settings, folder):
    random = np.random.default_rng(seed)
    y = random.integers(0, classes, n)
    y[:classes] = np.arange(classes)
    signal = random.normal(size=(classes, d)) * (random.random((classes, d)) < 0.12) * 2
    x = random.normal(size=(n, d)) + signal[y] + 0.7 * random.normal(size=(n, 1))
    x = ((x - x.mean(0)) / x.std(0)).astype(np.float32)
    wide = x.astype(np.float64)
    g, _ = slopes(wide, y, np.zeros((classes, d)), np.log(np.bincount(y) / n))
    found = []
    for share, m in settings:
        s = np.abs(g).max() / m * share
        f, w, steps = fista(wide, y, classes, s, m)
        found.append((s, m, f, (w != 0).sum()))
        print(f"{name}: strength {s:.6g}, mix {m}: objective {f:.12g}, {(w != 0).sum()} weights, {steps} steps", flush=True)
    np.savez_compressed(f"{folder}/{name}.npz", x=np.ascontiguousarray(x.T), y=y.astype(np.int32),
                        strength=np.array([a[0] for a in found]), mix=np.array([a[1] for a in found]),
                        objective=np.array([a[2] for a in found]), weights=np.array([a[3] for a in found], dtype=np.int64))


folder = sys.argv[1]
problem("small", 300, 40, 5, 1, [(0.5, 1.0), (0.2, 1.0), (0.05, 1.0), (0.1, 0.5)], folder)
problem("two", 150, 20, 2, 2, [(0.3, 1.0), (0.02, 1.0), (0.1, 0.2)], folder)
problem("wide", 120, 200, 8, 3, [(0.4, 1.0), (0.1, 1.0), (0.1, 0.7)], folder)
