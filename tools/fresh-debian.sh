#!/bin/bash
# tools/fresh-debian.sh 12|13 [TARGET...] -- proves that a new Debian can build and test this project, and with 13
# that src/nn/onednn.c compiles against oneDNN 3.x: debootstraps a minimal userland, clones the last
# commit into it, installs make there and nothing else, and runs `make TARGET` (demo and test).
# Needs root, debootstrap and a mirror. Userlands are kept in FRESH_DIR (/var/tmp/clipneuron-fresh) for
# the next run. The host's apt configuration and certificates are lent to the userland, so that it
# reaches what the host reaches.
set -eu
cd "$(dirname "$0")/.."
case ${1:-} in
12) suite=bookworm ;;
13) suite=trixie ;;
*) echo "usage: tools/fresh-debian.sh 12|13 [TARGET...]" >&2; exit 2 ;;
esac
shift
[ $# -gt 0 ] || set -- demo test
dir=${FRESH_DIR:-/var/tmp/clipneuron-fresh}
mirror=${MIRROR:-http://deb.debian.org/debian}
base=$dir/$suite-base root=$dir/$suite
[ "$(id -u)" = 0 ] || { echo "fresh-debian: must be root for chroot" >&2; exit 1; }
mkdir -p "$dir"

if [ ! -f "$base.done" ]; then
    rm -rf "$base"
    debootstrap --variant=minbase "$suite" "$base" "$mirror" >"$dir/$suite.log" 2>&1 || { tail "$dir/$suite.log" >&2; exit 1; }
    touch "$base.done"
fi
rm -rf --one-file-system "$root"
cp -a "$base" "$root"

for file in /etc/apt/apt.conf.d/*; do
    if grep -qiE 'proxy|Acquire' "$file"; then cp "$file" "$root/etc/apt/apt.conf.d/"; fi
done
cp -L /etc/resolv.conf /etc/hosts "$root/etc/" 2>/dev/null || true
if [ -f /etc/ssl/certs/ca-certificates.crt ]; then
    cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/host-certificates.crt"
fi
git clone -q --depth 1 "file://$PWD" "$root/root/clipneuron"

# A mount namespace of its own: nothing stays mounted when the shell ends, however it ends.
exec unshare --mount --fork bash -eu -c '
    root=$1; shift
    mount -t proc proc "$root/proc"
    mount --rbind /dev "$root/dev"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb PATH=/usr/sbin:/usr/bin:/sbin:/bin \
        NODE_EXTRA_CA_CERTS=/etc/host-certificates.crt npm_config_cafile=/etc/host-certificates.crt \
        bash -eu -c "
            . /etc/os-release; echo \"fresh-debian: \$PRETTY_NAME\"
            apt-get update -qq && apt-get install -qq -y --no-install-recommends make >/dev/null
            cd /root/clipneuron
            for target; do make \"\$target\"; done
            echo \"fresh-debian: oneDNN \$(dpkg-query -W -f \"\\\${Version}\" libdnnl-dev), gcc \$(gcc -dumpfullversion): done\"
        " fresh "$@"' fresh "$root" "$@"
