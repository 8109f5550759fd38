#!/usr/bin/env bash
#SBATCH --job-name=goldref-grade
#SBATCH --cpus-per-task=4
#SBATCH --mem-per-cpu=3G
#SBATCH --time=02:00:00
#SBATCH --output=grade-%A_%a.log
#SBATCH --open-mode=append
#SBATCH --requeue
#
# Grades a class as a job array of Slurm, each task a share of it. What is said on sbatch's command line goes before the
# lines above; --mem-per-cpu is the [limits] memory of the assignment and some more, since there is a submission on each CPU.
#
#   sbatch --array=1-4 tools/grade_array.sh ASSIGNMENT SUBMISSIONS RESULTS
#   sbatch --array=2,3 tools/grade_array.sh ASSIGNMENT SUBMISSIONS RESULTS 4    shares 2 and 3 of those 4 once more
#   GOLDREF=/path/to/goldref sbatch …                                           a goldref that is not on the path
#
# All nodes need the same goldref, the folders at the same paths, and the programs that the assignment starts: its python3
# with NumPy is the first one on PATH. Share N goes to RESULTS/part-N.
# A task that was stopped and comes again goes on where it was: --resume.
# Where the kernel of nodes is older than Linux 6.12, add --weak-sandbox to the last line, for all nodes alike.
#
# To merge, give a job that waits for the array, and runs only if no task failed:
#
#   JOB=$(sbatch --parsable --array=1-4 tools/grade_array.sh ASSIGNMENT SUBMISSIONS RESULTS)
#   sbatch --dependency=afterok:$JOB --wrap "goldref merge RESULTS/part-* --output RESULTS/all"
set -euo pipefail

fail() { echo "grade_array: $*" >&2; exit 2; }

if [ $# -lt 3 ] || [ $# -gt 4 ]; then
  fail "usage: sbatch --array=1-N tools/grade_array.sh ASSIGNMENT SUBMISSIONS RESULTS [SHARES]"
fi
assignment=$1 submissions=$2 results=$3
task=${SLURM_ARRAY_TASK_ID:-}
[ -n "$task" ] || fail "this is no task of a job array; start it by: sbatch --array=1-N tools/grade_array.sh …"

# How many shares there are is told by the array only if it is whole: --array=2 alone would grade the class as share 1 of 1.
shares=${4:-$SLURM_ARRAY_TASK_COUNT}
if [ $# -eq 3 ] && { [ "$SLURM_ARRAY_TASK_MIN" -ne 1 ] || [ "$SLURM_ARRAY_TASK_MAX" -ne "$shares" ]; }; then
  fail "the array is not --array=1-N; to grade only some shares name how many there are, as the fourth argument"
fi
[[ $shares =~ ^[1-9][0-9]*$ ]] || fail "\"$shares\" is no number of shares"
if [ "$task" -lt 1 ] || [ "$task" -gt "$shares" ]; then
  fail "there is no share $task of $shares; array tasks count from 1"
fi

goldref=${GOLDREF:-goldref}
command -v "$goldref" >/dev/null || fail "$goldref is not found; name it by the environment variable GOLDREF"

echo "grade_array: share $task of $shares, on $(hostname)"
exec "$goldref" grade "$assignment" --submissions "$submissions" --partition "slice:$task/$shares" \
  --output "$results/part-$task" --jobs "${SLURM_CPUS_PER_TASK:-1}" --resume
