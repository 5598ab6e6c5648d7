#!/bin/sh
# tools/card-picture.sh STUDY UNIT OUT.png -- takes README's picture of a neuron card with headless Chromium.
# BUILD is the build folder (build), SIZE the window in px (1160,1290).
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"${BUILD:-build}/clipneuron" card "$1" "$2" -o "$scratch/card.html" >/dev/null
# The card alone: hide what stands around it.
sed -i 's@</head>@<style>header,footer,.skip{display:none!important}</style></head>@' "$scratch/card.html"
chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --blink-settings=preferredColorScheme=1 \
    --window-size="${SIZE:-1160,1290}" --screenshot="$3" "file://$scratch/card.html" >/dev/null 2>&1
