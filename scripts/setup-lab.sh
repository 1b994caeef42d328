#!/bin/sh
# Fetches the mail servers that the lab's machines run (test/lab), Prometheus, pgbouncer, and Chromium, which looks at
# reports, into .lab, one folder for each package and what it needs beyond this system. Nothing is installed: packages
# are only unpacked, so that no service starts, nothing conflicts, and the machine is not changed. Safe to run again.
#
#   sh scripts/setup-lab.sh           what the quick stories of `npm test` need
#   sh scripts/setup-lab.sh all       what `npm run lab` needs
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup-lab: %s\n' "$*" >&2; }

wanted='postfix prometheus pgbouncer'
[ -x /lib/systemd/systemd ] || wanted="$wanted systemd"
if [ "${1:-}" = all ]; then
  wanted="$wanted exim4-daemon-light opensmtpd haproxy chromium prometheus-node-exporter openssh-server ucarp conntrackd keepalived"
fi

missing=
for package in $wanted; do
  [ -f ".lab/$package/.complete" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(uname -s)" != Linux ] || ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
  say "not a Debian system: the lab's machines cannot be set up, its stories will be skipped"
  exit 0
fi

fetched=$(mktemp -d)
trap 'rm -rf "$fetched"' EXIT
updated=
for package in $missing; do
  # The packages that this system lacks, as computed by apt; only the package itself if it is already installed.
  needs=$(apt-get -s install --no-install-recommends "$package" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p')
  if [ -z "$needs" ] && [ -z "$updated" ] && [ "$(id -u)" -eq 0 ]; then
    apt-get -o DPkg::Lock::Timeout=300 update -q >&2 || true
    updated=yes
    needs=$(apt-get -s install --no-install-recommends "$package" 2>/dev/null | sed -n 's/^Inst \([^ ]*\).*/\1/p')
  fi
  case " $(echo $needs) " in *" $package "*) ;; *) needs="$needs $package" ;; esac
  say "fetching $(echo $needs)"
  mkdir -p "$fetched/$package"
  # shellcheck disable=SC2086
  (cd "$fetched/$package" && apt-get -q -o APT::Sandbox::User=root download $needs >&2)
  # Two runs may share a checkout: the folder appears complete or not at all.
  tree=".lab/.$package.$$"
  rm -rf "$tree"
  mkdir -p "$tree"
  for file in "$fetched/$package"/*.deb; do dpkg -x "$file" "$tree"; done
  # The systems below have bin, lib and sbin in /usr, and a folder of that name would hide theirs.
  for folder in bin sbin lib lib64; do
    if [ -d "$tree/$folder" ] && [ ! -L "$tree/$folder" ]; then
      mkdir -p "$tree/usr/$folder"
      cp -a "$tree/$folder/." "$tree/usr/$folder/"
      rm -rf "${tree:?}/$folder"
    fi
  done
  # Their scripts for cron, init and the like are not needed.
  rm -rf "$tree/etc/init.d" "$tree/etc/cron.d" "$tree/etc/cron.daily" "$tree/etc/network"
  chmod 755 "$tree"
  touch "$tree/.complete"
  rm -rf ".lab/$package"
  mv "$tree" ".lab/$package"
done
