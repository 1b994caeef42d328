#!/bin/sh
# Installs the Debian packages that a benchmark compares with or a story of the lab needs, named as arguments; does nothing for those present.
set -eu
missing=''
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed$' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" -ne 0 ]; then
  echo "install-peers: hint: run as root: apt-get install$missing" >&2
  exit 1
fi
apt-get update -q >&2
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing >&2
