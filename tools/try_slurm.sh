#!/usr/bin/env bash
# Does tools/grade_array.sh do what it says? Starts a Slurm of one node on this machine, in a temporary folder, grades a class
# as a job array of 4 tasks, merges it by a dependent job, and holds the bytes to those of the same class graded in one go.
#
#   tools/try_slurm.sh                exit code 0 the same bytes, 1 other bytes, 2 could not ask
#   tools/try_slurm.sh --install      first installs what is missing, as root on Debian or Ubuntu
#   tools/try_slurm.sh --count N      a class of N, not of 26
#   tools/try_slurm.sh --interrupt    meanwhile requeues task 1, and cancels task 2 and submits it again
#   GOLDREF=… tools/try_slurm.sh      another goldref than target/release/goldref
#
# Needed: Slurm and munge (slurm-wlm, munge), a goldref, and python3 with NumPy first on PATH. No root, except for --install.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
# Daemons are there, and not on everybody's path.
PATH=$PATH:/usr/sbin:/sbin
tasks=4

fail() { echo "try_slurm: $*" >&2; exit 2; }

count=26 installing=no interrupting=no
while [ $# -gt 0 ]; do
  case "$1" in
    --install) installing=yes ;;
    --interrupt) interrupting=yes ;;
    --count)
      [[ "${2:-}" =~ ^[1-9][0-9]*$ ]] || fail "--count wants a number"
      count=$2
      shift
      ;;
    *) fail "unknown argument \"$1\"; there are --install, --count N and --interrupt" ;;
  esac
  shift
done
[ "$count" -ge $tasks ] || fail "a class of $count has no submission for each of $tasks tasks"

missing() {
  { command -v slurmctld && command -v slurmd && command -v sbatch; } >/dev/null || echo slurm-wlm
  command -v munged >/dev/null || echo munge
}

if [ $installing = yes ]; then
  mapfile -t packages < <(missing)
  if [ ${#packages[@]} -gt 0 ]; then
    apt-get update -q
    apt-get install -qy --no-install-recommends "${packages[@]}"
  fi
fi
[ -z "$(missing)" ] || fail "missing: $(missing | xargs); run it with --install, as root"
goldref=$(realpath "${GOLDREF:-target/release/goldref}")
[ -x "$goldref" ] || fail "no goldref at $goldref; cargo build --release, or name one by GOLDREF"
python3 -c "import numpy" 2>/dev/null ||
  fail "$(command -v python3 || echo python3) has no NumPy, which submissions need;" \
    "put one that has it first on PATH: tools/README.md, Install"

# Nothing of a cluster around this script, if there is one.
unset "${!SLURM@}" "${!SBATCH@}" "${!SQUEUE@}" "${!SINFO@}" "${!SCANCEL@}"
tmp=$(mktemp -d)
# TMPDIR too: a goldref that is killed leaves the folder of the submission that it had.
export SLURM_CONF=$tmp/slurm.conf GOLDREF=$goldref TMPDIR=$tmp/tmp
daemons=() cluster_up=no

end() {
  local status=$?
  trap - EXIT
  set +e
  if [ $cluster_up = yes ]; then
    # Jobs outlive the daemons that started them.
    scancel --user="$(id -un)" && wait_for 60 "end of the jobs" queue_is_empty
  fi
  if [ "$status" -eq 2 ]; then
    tail -n 20 "$tmp"/*.log >&2
  fi
  for ((at = ${#daemons[@]} - 1; at >= 0; at--)); do
    kill "${daemons[at]}" 2>/dev/null && wait "${daemons[at]}"
  done
  rm -rf "$tmp"
  exit "$status"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# start NAME COMMAND…: in the background, until the end of this script; its log is NAME.log.
start() {
  local name=$1
  shift
  "$@" >"$tmp/$name.log" 2>&1 &
  daemons+=($!)
}

# wait_for SECONDS WHAT COMMAND…: until the command succeeds.
wait_for() {
  local until=$((SECONDS + $1)) what=$2
  shift 2
  until "$@"; do
    if [ $SECONDS -ge $until ]; then
      echo "try_slurm: waited in vain for: $what" >&2
      return 2
    fi
    sleep 0.1
  done
}

munge_answers() { munge --socket="$tmp/munge.socket" --no-input >/dev/null 2>&1; }
node_is_idle() { [ "$(sinfo --noheader --format=%T 2>/dev/null)" = idle ]; }
queue_is_empty() { local queue; queue=$(squeue --noheader) && [ -z "$queue" ]; }
has_results() { compgen -G "$tmp/results/part-$1/*.json" >/dev/null; }

# munge wants a key for no other eyes, and a socket in a folder that all may pass.
chmod 711 "$tmp"
mkdir -m 700 "$tmp/munge" "$tmp/state" "$tmp/spool" "$TMPDIR"
(umask 077 && head -c 128 /dev/urandom >"$tmp/munge/key")
start munged munged --foreground --key-file="$tmp/munge/key" --seed-file="$tmp/munge/seed" \
  --pid-file="$tmp/munge/pid" --socket="$tmp/munge.socket"
wait_for 60 "munge" munge_answers

read -r port_of_controller port_of_node < <(python3 -c '
import socket
sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
print(*(s.getsockname()[1] for s in sockets))')
host=$(hostname -s)
# Two CPUs even where there is one, so that tasks run side by side. A requeued job waits until its credential has expired.
cat >"$SLURM_CONF" <<END
ClusterName=try
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port_of_controller
SlurmdPort=$port_of_node
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthType=auth/munge
AuthInfo=socket=$tmp/munge.socket,cred_expire=15
StateSaveLocation=$tmp/state
SlurmdSpoolDir=$tmp/spool
SlurmctldPidFile=$tmp/slurmctld.pid
SlurmdPidFile=$tmp/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdParameters=config_overrides
NodeName=$host NodeAddr=127.0.0.1 CPUs=2 RealMemory=$(awk '$1 == "MemTotal:" { print int($2 / 1024) }' /proc/meminfo)
PartitionName=all Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
start slurmctld slurmctld -D -c -f "$SLURM_CONF"
start slurmd slurmd -D -f "$SLURM_CONF"
wait_for 120 "a node that is idle" node_is_idle
cluster_up=yes
echo "$(sbatch --version), $(munge --version | head -n 1 | cut -d' ' -f1), $("$goldref" --version); node $host is idle"

# The course without part d, the only one whose results have times in them; its paths are made absolute.
cd "$tmp"
fixtures=$root/fixtures
awk '
  $0 == "[[part]]" { held = $0; next }
  held != "" { if ($0 == "id = \"d\"") exit; print held; held = "" }
  { print }' "$examples/course/assignment.toml" |
  sed "s|\"\.\./|\"$fixtures/|; s|{assignment}|$examples/course|" >assignment.toml
python3 "$root/tools/wrong_submissions.py" class --count "$count"

# submit ARGUMENT…: an array; its number. One CPU a task, since the recipe asks for more than this node has.
submit() { sbatch --parsable --cpus-per-task=1 "$@"; }

job=$(submit --array=1-$tasks "$root/tools/grade_array.sh" assignment.toml class results)
dependency=afterok:$job
if [ $interrupting = yes ]; then
  wait_for 600 "first results of task 1" has_results 1
  scontrol requeue "${job}_1"
  wait_for 600 "first results of task 2" has_results 2
  scancel "${job}_2"
  again=$(submit --array=2 --dependency="afterany:${job}_2" "$root/tools/grade_array.sh" assignment.toml class results $tasks)
  dependency=afterok:${job}_1:${job}_3:${job}_4:$again
fi
sbatch --parsable --dependency="$dependency" --kill-on-invalid-dep=yes --output=merge.log \
  --wrap "\"$goldref\" merge results/part-* --output results/all" >/dev/null
# As long as a submission that hangs in each case would take; others take a second each.
wait_for $((600 + 60 * count)) "end of the jobs" queue_is_empty
[ -e results/all/class.csv ] || fail "the merge did not run, or failed"
tail -n +1 grade-*.log merge.log

echo "==> in one go <=="
"$goldref" grade assignment.toml --submissions class --output whole --jobs 2
if ! diff -r whole results/all; then
  echo "try_slurm: the merged results are not those of one run" >&2
  exit 1
fi
echo "identical: $(find whole -type f | wc -l) files"
