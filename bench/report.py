"""The tables. Every row is printed as soon as it is measured."""

from statistics import median, quantiles

from measure import interleaved

LIMITS = """\
| work | connections | req/s of CPU | req/s by the wall | p50 / p99 ms |
|---|--:|--:|--:|--:|"""

COMPARED = """\
| work | connections | baseline req/s of CPU | Countersign req/s of CPU | ratio per CPU | ratio by the wall | target | verdict | p50 / p99 ms |
|---|--:|--:|--:|--:|--:|---|---|--:|"""

FACTS = """
| work | figure | target | verdict |
|---|---|---|---|"""


def row(*cells):
    return f"| {' | '.join(map(str, cells))} |"


def verdict(met):
    return "met" if met else "missed"


def rate(samples, name="per_cpu"):
    return f"{median(getattr(sample, name) for sample in samples):,.0f}".replace(",", " ")


def latency(samples):
    p50, p99 = (median(getattr(sample, name) for sample in samples) for name in ("p50", "p99"))
    return f"{p50:.2f} / {p99:.2f}"


def ratio(found):
    """The median, and how it is shown: with the bounds of the middle half."""
    low, middle, high = quantiles(list(found), n=4, method="inclusive")
    return middle, f"{middle:.2f} ({low:.2f}..{high:.2f})"


def limit(work, load, connections, options):
    samples = [taken for taken, in interleaved([load], connections, options)]
    print(row(work, connections, rate(samples), rate(samples, "per_wall"), latency(samples)),
          flush=True)


def compared(work, baseline, ours, connections, options, cpu=None, wall=None):
    """One row: ours against the baseline; `cpu` or `wall` is the ratio to reach, if any."""
    rounds = interleaved([baseline, ours], connections, options)
    # The ratio is taken within a round: its two runs met the same noise.
    per_cpu, cpu_shown = ratio(our.per_cpu / base.per_cpu for base, our in rounds)
    per_wall, wall_shown = ratio(our.per_wall / base.per_wall for base, our in rounds)
    target, met = "–", "–"
    if cpu:
        target, met = f"≥ {cpu:.2f} per CPU", verdict(per_cpu >= cpu)
    if wall:
        target, met = f"≥ {wall:.2f} by the wall", verdict(per_wall >= wall)
    bases, ours = zip(*rounds)
    print(row(work, connections, rate(bases), rate(ours), cpu_shown, wall_shown,
              target, met, latency(ours)), flush=True)
