#!/bin/sh
# tools/demo-pictures.sh BUILD [TAR] -- unpacks the pictures of TAR (models/demo-pictures.tar) as BUILD/demo-pictures,
# with the table that lies beside TAR as labels.csv, where `clipneuron scan` looks for labels. Does nothing when
# that is done already. The folder appears complete or not at all, however many runs begin or are interrupted.
set -eu
tar=${2:-$(dirname "$0")/../models/demo-pictures.tar}
table=${tar%.tar}.csv
folder=$1/demo-pictures
mkdir -p "$1"
exec 9>"$folder.lock"
flock 9 # of two runs at once, the second finds the work done
made_from=$(stat -L -c '%s bytes of %.9Y' "$tar" "$table" "$0")
[ "$(cat "$folder/.made-from" 2>/dev/null)" != "$made_from" ] || exit 0
new=$folder.new
rm -rf "$new" # of a run that was interrupted
mkdir "$new"
tar -xf "$tar" -C "$new" --no-same-owner --wildcards '*.png'
cp "$table" "$new/labels.csv"
echo "$made_from" >"$new/.made-from"
rm -rf "$folder/.made-from" "$folder"
mv "$new" "$folder"
