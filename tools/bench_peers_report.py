"""The Markdown tables and the plot of bench_peers.py, from its results. Measures nothing and needs neither NumPy nor PyTorch.

Results are `machine` (a line), `versions` (program to version) and `rows`. A row has a `name`, a `group`, the number of
`runs`, a `date`, `values` (program to seconds, or to bytes in the group `memory`) and perhaps a `note`.
"""

OWN = "goldref"
# The two that products are held to, in f32 and f64: what most people have, and what is written in Rust as goldref is.
HELD_TO = ("PyTorch", "faer")
# Factor from the unit of the results to the unit of the table.
MILLISECONDS, SECONDS, MEGABYTES = (1e3, "ms"), (1.0, "s"), (1e-6, "MB")
# Name, title, unit.
GROUPS = (
    ("products", "Products", MILLISECONDS),
    ("attention", "Attention", MILLISECONDS),
    ("models", "Models", MILLISECONDS),
    ("variants", "goldref's own variants", MILLISECONDS),
    ("cache", "With a cache and without", SECONDS),
    ("memory", "Most memory resident, in a process that does only this", MEGABYTES),
    ("check", "Whole process", SECONDS),
)
# In these groups the others are goldref itself in another way, or there are none, so that no bar is drawn.
NO_PEERS = ("variants", "cache", "memory", "check")
WITHOUT = "goldref without cache"


def others(row):
    return {name: value for name, value in row["values"].items() if name != OWN}


def ratio(row, among=None):
    """The least of the others, or of those named, over goldref's own; `None` if there are none."""
    values = [value for name, value in others(row).items() if among is None or name in among]
    return min(values) / row["values"][OWN] if values else None


def ratios(group):
    """The headings of the columns behind the values, and what stands in them."""
    if group == "products":
        yield "ratio to the better of PyTorch and faer", lambda row: ratio(row, HELD_TO)
        yield "ratio to the best of all", ratio
    elif group == "cache":
        yield "ratio (its limit is 20)", ratio
    elif group == "memory":
        yield "ratio to the least of the others", ratio
    elif group in ("attention", "models"):
        yield "ratio to the best", ratio
    elif group == "variants":
        yield "ratio", ratio


def cells(words):
    return "| " + " | ".join(words) + " |\n"


def table(group, title, unit, rows):
    factor, symbol = unit
    programs = list(dict.fromkeys(name for row in rows for name in row["values"]))
    columns = list(ratios(group))
    text = f"\n**{title}**, {symbol}\n\n"
    text += cells(["work", *programs, *(heading for heading, _ in columns)])
    text += "|---" * (1 + len(programs) + len(columns)) + "|\n"
    number = lambda value, scale=1.0: "—" if value is None else f"{scale * value:.2f}"
    for row in rows:
        text += cells([row["name"], *(number(row["values"].get(name), factor) for name in programs),
                       *(number(of(row)) for _, of in columns)])
    notes = dict.fromkeys(row["note"] for row in rows if row["note"])
    return text + "".join(f"\n{note}\n" for note in notes)


def span(values):
    first, last = min(values), max(values)
    return f"{first}" if first == last else f"{first} to {last}"


def markdown(results):
    rows = results["rows"]
    runs = span([row["runs"] for row in rows])
    text = f"{results['machine']}  \n{span([row['date'] for row in rows])}, "
    text += "single runs  \n" if runs == "1" else f"medians of {runs} runs in turn  \n"
    text += ", ".join(f"{name} {version}" for name, version in results["versions"].items()) + "\n"
    for group, title, unit in GROUPS:
        of_group = [row for row in rows if row["group"] == group]
        if of_group:
            text += table(group, title, unit, of_group)
    return text


def plot(results, path):
    """A bar for each row that has peers; the same results give the same bytes with the same matplotlib."""
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    rows = [row for row in results["rows"] if row["group"] not in NO_PEERS]
    if not rows:
        raise SystemExit("no row with peers is measured yet, so there is nothing to plot; measure one of matmul, attention, Llama")
    bars = [ratio(row) for row in rows]
    best = [min(others(row), key=others(row).get) for row in rows]
    # With the generic family, for a reader without DejaVu.
    fonts = {"svg.fonttype": "none", "font.family": ["sans-serif"], "font.sans-serif": ["DejaVu Sans", "sans-serif"], "font.size": 9}
    plt.rcParams.update({"svg.hashsalt": "goldref", **fonts})
    figure, axes = plt.subplots(figsize=(9, 1.3 + 0.27 * len(rows)), facecolor="white", layout="constrained")
    colors = ["#2a7f62" if bar >= 1 else "#c98a2b" for bar in bars]
    axes.barh([row["name"] for row in rows], bars, color=colors, height=0.7)
    for place, (bar, name) in enumerate(zip(bars, best)):
        axes.text(1.01, place, f"{bar:.2f}  {name}", va="center", transform=axes.get_yaxis_transform())
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlim(0, max(1.1, *bars))
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_xlabel("time of the fastest other program / time of goldref")
    figure.suptitle(results["machine"], fontsize=9)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(figure)
