#!/bin/bash
# tools/slurm-scan.sh BUILD -- proves examples/slurm on a real Slurm: starts a cluster of this one machine (Debian's slurm-wlm and munge,
# installed when they are missing; needs root), scans pictures as a job array of four tasks, kills one of them in the middle and has it requeued,
# lets the dependent job merge the parts, and compares the study with that of one scan. The cluster is gone afterwards.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=$(cd "$1" && pwd)
[ "$(id -u)" = 0 ] || { echo "slurm-scan: must be root to start a cluster" >&2; exit 1; }
command -v slurmctld >/dev/null && command -v munged >/dev/null ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null; }
[ -x "$build/tests/test_resume" ] || cmake --build "$build" --target test_resume >/dev/null # compares the studies at the end
sh "$root/tools/demo-pictures.sh" "$build"
work=$(mktemp -d)
chmod 755 "$work"
host=$(hostname -s)
started=
stop() {
    for pid in $started; do kill "$pid" 2>/dev/null || true; done
    sleep 1
    for pid in $started; do kill -KILL "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap stop EXIT

# ---- the cluster: authentication, controller and node, all of this machine
mkdir -p "$work/munge" "$work/state" "$work/spool"
head -c 1024 /dev/urandom >"$work/munge/key"
chmod 700 "$work/munge"
chmod 600 "$work/munge/key"
munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" --seed-file="$work/munge/seed" \
    --log-file="$work/munge/log" >/dev/null 2>&1 &
started="$!"
cat >"$work/slurm.conf" <<CONF
ClusterName=clipneuron
SlurmctldHost=$host
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket
CryptoType=crypto/munge
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerType=sched/backfill
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
SchedulerParameters=batch_sched_delay=1,sched_interval=2
KillWait=2
NodeName=$host CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=$host Default=YES State=UP MaxTime=INFINITE
CONF
export SLURM_CONF=$work/slurm.conf
slurmctld -D >/dev/null 2>&1 &
started="$started $!"
slurmd -D >/dev/null 2>&1 &
started="$started $!"
for _ in $(seq 60); do
    sinfo -h -o %T 2>/dev/null | grep -q idle && break
    sleep 1
done
sinfo -h -o %T | grep -q idle || { echo "slurm-scan: the cluster does not start" >&2; tail -5 "$work"/*.log >&2; exit 1; }
echo "slurm-scan: $(sinfo --version) runs"

# ---- the collection, once in one scan and once as an array
export CLIPNEURON=$build/clipneuron CLIPNEURON_MODEL="$root/models/specimen.safetensors"
words="--words $root/models/words/common.txt"
"$CLIPNEURON" scan --quiet --show 0 $words "$build/demo-pictures" -o "$work/whole" >/dev/null
export PICTURES=$build/demo-pictures STUDY=$work/study SCAN_OPTIONS="--quiet --save-every 1 --threads 1 --batch 4" MERGE_OPTIONS="--quiet --show 0 $words"
cd "$work"
array=$(sbatch --parsable --export=ALL --cpus-per-task=1 --array=1-4 "$root/examples/slurm/scan.sbatch")
merge=$(sbatch --parsable --export=ALL --dependency=afterok:"$array" "$root/examples/slurm/merge.sbatch")
for _ in $(seq 600); do # until the first task has saved something
    [ -f "$STUDY.parts/1.part/work.1.npz" ] || ls "$STUDY".parts/1.part/work.*.npz >/dev/null 2>&1 && break
    sleep 0.1
done
scontrol requeue "${array}_1"
echo "slurm-scan: task 1 was killed in the middle and requeued"
for _ in $(seq 600); do
    squeue -h -j "$merge" 2>/dev/null | grep -q . || break
    sleep 1
done
[ -d "$STUDY" ] || { echo "slurm-scan: no study was made" >&2; squeue; tail -n 3 "$work"/slurm-*.out >&2; exit 1; }
runs=$(find "$STUDY.parts" -name work.sqlite | wc -l)
"$build/tests/test_resume" "$work" whole study 1e-6
echo "slurm-scan: the study of $runs parts equals that of one scan"
