#!/bin/bash
# The jobs of examples/slurm ask for the right thing: run as Slurm would run them, with a program that prints its arguments.
# tools/slurm-scan.sh runs them on a real Slurm.
. "$CN_SOURCE_DIR/tests/architecture/checks.sh"

jobs=$PWD/examples/slurm
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
printf '#!/bin/sh\necho "$*"\n' >program
chmod +x program
export CLIPNEURON=./program PICTURES=pics STUDY=study SLURM_ARRAY_TASK_ID=17 SLURM_CPUS_PER_TASK=2
unset SHARDS SCAN_OPTIONS MERGE_OPTIONS SLURM_RESTART_COUNT

expect() { # EXPECTED GOT
    [ "$1" = "$2" ] || echo "expected \"$1\", got \"$2\""
}

part="scan --shard 17/64 --threads 2 pics -o study.parts/17"
a_task_scans_its_part() { expect "$part" "$(SLURM_ARRAY_TASK_COUNT=64 bash "$jobs/scan.sbatch")"; }
a_task_submitted_again_scans_the_same_part() { expect "$part" "$(SLURM_ARRAY_TASK_COUNT=1 SHARDS=64 bash "$jobs/scan.sbatch")"; }

merge="merge study.parts/17 -o study"
the_merge_takes_all_parts() {
    mkdir -p study.parts/17
    expect "$merge" "$(bash "$jobs/merge.sbatch")"
    expect "$merge" "$(SLURM_RESTART_COUNT=1 bash "$jobs/merge.sbatch")" # requeued before it made a study
}
a_requeued_merge_that_is_done_does_nothing() {
    mkdir -p study && touch study/study.sqlite
    expect "$merge" "$(bash "$jobs/merge.sbatch")" # no doing of its own: the program says that it is in the way
    expect "study: was merged before this job was requeued" "$(SLURM_RESTART_COUNT=1 bash "$jobs/merge.sbatch")"
    expect "merge --quiet --force study.parts/17 -o study" "$(SLURM_RESTART_COUNT=1 MERGE_OPTIONS="--quiet --force" bash "$jobs/merge.sbatch")"
}

check a_task_scans_its_part a_task_scans_its_part
check a_task_submitted_again_scans_the_same_part a_task_submitted_again_scans_the_same_part
check the_merge_takes_all_parts the_merge_takes_all_parts
check a_requeued_merge_that_is_done_does_nothing a_requeued_merge_that_is_done_does_nothing
exit "$failed"
