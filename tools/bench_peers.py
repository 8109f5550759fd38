"""Times goldref beside PyTorch, transformers, NumPy, faer and candle, all with the same number of threads.

The programs are run in turn on the same shapes, and the medians stand in Markdown tables with the ratio of the fastest
other program to goldref: above 1 goldref is the faster one. goldref, faer and candle are served by the package in tools/peers.

    cargo build --release && cargo build --release --manifest-path tools/peers/Cargo.toml
    python tools/bench_peers.py --runs 9 --save results.json            # all rows, a quarter of an hour or more
    python tools/bench_peers.py --runs 9 --save results.json --only matmul   # measures some of them again
    python tools/bench_peers.py --from results.json --output tables.md --plot docs/speed.svg    # measures nothing

The rows are in bench_peers_rows.py, the tables and the plot in bench_peers_report.py.
"""

import argparse
import json
import os
from datetime import date

import bench_peers_report as report


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=7, help="runs of each program; the median counts. Rows of minutes run once")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every program")
    parser.add_argument("--only", default="", help="rows that contain this text")
    parser.add_argument("--list", action="store_true", help="names the rows and measures nothing")
    parser.add_argument("--recomputed", type=int, default=20,
                        help="without a cache: how many of the 20 lengths are measured, the others lie on lines between them")
    parser.add_argument("--server", default="tools/peers/target/release/peers")
    parser.add_argument("--goldref", default="target/release/goldref")
    parser.add_argument("--save", metavar="JSON", help="adds the rows to this file; a row of the same name is replaced")
    parser.add_argument("--from", dest="source", metavar="JSON", help="shows the rows of this file and measures nothing")
    parser.add_argument("--output", metavar="FILE", help="where the tables go instead of standard output")
    parser.add_argument("--plot", metavar="SVG", help="draws the ratios")
    args = parser.parse_args()
    if min(args.runs, args.threads) < 1:
        parser.error("--runs and --threads must be at least 1")
    if not 2 <= args.recomputed <= 20:
        parser.error("--recomputed must be from 2 to 20: the first and the last length are always measured")
    if args.source and (args.save or args.only or args.list):
        parser.error("--from measures nothing; leave out --save, --only and --list")
    return args


def set_threads(count):
    """For the libraries that ask the environment once, when they are loaded, and for the Rust programs."""
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"):
        os.environ[name] = str(count)
    # A fixed core type would make NumPy slower than the kernels that OpenBLAS chooses itself.
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)


def read(path):
    with open(path) as file:
        return json.load(file)


def measured(args, rows, results):
    """The results with the wanted rows measured and put in, saved after each."""
    table = rows.Rows(args)
    wanted = [row for row in table if args.only in row.name]
    if not wanted:
        raise SystemExit(f"no row contains {args.only!r}; --list names them")
    machine = rows.machine(args.threads)
    if results.setdefault("machine", machine) != machine:
        raise SystemExit(f"{args.save} was measured on {results['machine']}, this is {machine}; save to another file")
    results["versions"] = results.get("versions", {}) | rows.versions()
    order = [row.name for row in table]
    for row in wanted:
        values, note = row.measure()
        known = {old["name"]: old for old in results.get("rows", [])}
        known[row.name] = {"name": row.name, "group": row.group, "runs": row.runs, "date": str(date.today()),
                           "values": values, "note": note}
        # In the order of the tables, whatever was measured first. Rows that are no longer measured are left out.
        results["rows"] = [known[name] for name in order if name in known]
        if args.save:
            with open(args.save, "w") as file:
                json.dump(results, file, indent=1, ensure_ascii=False)
                file.write("\n")
    table.close()
    return results


def main():
    args = arguments()
    if args.source:
        results = read(args.source)
    else:
        set_threads(args.threads)
        import bench_peers_rows as rows  # loads NumPy and PyTorch, which look at the environment

        if args.list:
            print("\n".join(row.name for row in rows.Rows(args)))
            return
        known = args.save and os.path.exists(args.save)
        results = measured(args, rows, read(args.save) if known else {})
    text = report.markdown(results)
    if args.output:
        with open(args.output, "w") as file:
            file.write(text)
    else:
        print(text, end="")
    if args.plot:
        report.plot(results, args.plot)


if __name__ == "__main__":
    main()
