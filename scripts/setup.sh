#!/bin/sh
# Makes this checkout ready to run and to test. Safe to run again: a second run finds everything in place and
# ends at once. npm calls it before `npm start` and `npm test`. With --sources it leaves out what takes long and is
# needed to run the programs only: the native modules and the lab; `npm test` compiles these beside its checks.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*" >&2; }

# What a Debian machine needs, as "package=file or program that proves it": the compiler and headers build the two
# native modules; the programs and their tests use the rest.
debian_needs='g++=g++ make=make python3=python3 libpcap-dev=/usr/include/pcap/pcap.h
nftables=nft iproute2=ip iptables=iptables ipset=ipset tcpdump=tcpdump sqlite3=sqlite3 mandoc=mandoc curl=curl
bsdutils=logger procps=ps util-linux=unshare bmake=bmake pax=pax shellcheck=shellcheck
postgresql=/usr/lib/postgresql'
# Shells whose completions are tested; not required if not root.
if [ "$(id -u)" -eq 0 ]; then debian_needs="$debian_needs zsh=zsh fish=fish"; fi

# Administration programs are in sbin, which the PATH of an ordinary user may lack.
PATH="$PATH:/usr/sbin:/sbin:/usr/local/sbin"

has() {
  case $1 in
    /*) [ -e "$1" ] ;;
    *) command -v "$1" >/dev/null 2>&1 ;;
  esac
}

missing_packages() {
  for need in $1; do
    has "${need#*=}" || printf '%s ' "${need%%=*}"
  done
}

# install_or_tell COMMAND PACKAGES...: installs if root, otherwise prints the command that root must run.
install_or_tell() {
  command=$1
  shift
  if [ "$(id -u)" -ne 0 ]; then
    say "packages are missing: $*"
    say "hint: run as root: $command $*"
    exit 1
  fi
  say "installing $*"
  # shellcheck disable=SC2086
  $command "$@" >&2
}

case $(uname -s) in
  Linux)
    missing=$(missing_packages "$debian_needs")
    if [ -n "$missing" ]; then
      if ! has apt-get; then
        say "not a Debian system: please install these, or what your system calls them: $missing"
        exit 1
      fi
      if [ "$(id -u)" -eq 0 ]; then
        apt-get update -q >&2
        # The tests run their own servers: Debian's package would create a system cluster and start it.
        if [ ! -e /usr/lib/postgresql ] && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
          mkdir -p /etc/postgresql-common
          echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
        fi
      fi
      # shellcheck disable=SC2086
      install_or_tell 'env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o Dpkg::Options::=--force-confold' $missing
    fi
    ;;
  OpenBSD)
    missing=$(missing_packages 'python%3=python3 sqlite3=sqlite3 curl=curl')
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_or_tell 'pkg_add' $missing
    ;;
  FreeBSD)
    missing=$(missing_packages 'python3=python3 sqlite3=sqlite3 curl=curl gmake=gmake')
    # shellcheck disable=SC2086
    [ -z "$missing" ] || install_or_tell 'pkg install -y' $missing
    ;;
esac

node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || {
  say "Node $(node --version) is too old: 20.19 or later is needed"
  exit 1
}

only_sources=''
if [ "${1:-}" = --sources ]; then only_sources=1; fi

# The mail servers of the quick lab stories: unpacked, not installed, while the native modules are compiled. Without
# them (no root, no network), the stories are skipped and say so.
lab=''
if [ "$(id -u)" -eq 0 ] && [ -z "$only_sources" ]; then
  sh scripts/setup-lab.sh &
  lab=$!
fi

# node_modules is up to date if it was made from this lock file for this Node; the modules if they were compiled in it.
want="$(node -p 'process.version + process.platform + process.arch') $(cksum <package-lock.json)"
is_done() { [ "$(cat "node_modules/.spamdctl-$1" 2>/dev/null || true)" = "$want" ]; }
if ! is_done packages; then
  say 'installing the npm packages'
  npm ci --ignore-scripts --no-audit --no-fund >&2
  printf '%s' "$want" >node_modules/.spamdctl-packages
fi

# The native modules are compiled if no prebuilt ones can be fetched. SQLite is one file that takes one core a minute and
# a half: this goes on while the sources are built.
compile_modules() {
  say 'installing the native modules'
  # If Node's headers are installed with it, no download from nodejs.org is needed for that.
  headers=$(node scripts/find-node-headers.js)
  if [ -n "$headers" ]; then export npm_package_config_node_gyp_nodedir="$headers"; fi
  # Node 24 needs it at once (object-wrap.h says why); compiled without it, better-sqlite3 would be compiled twice.
  case $PWD in
  *[[:space:]]*) ;;
  *) export CXXFLAGS="${CXXFLAGS:-} -include $PWD/src/platform/native/object-wrap.h" ;;
  esac
  # Others that have an install script need it for speed only, or are optional.
  JOBS=max npm rebuild better-sqlite3 >&2
  JOBS=max npm rebuild pcap >&2 || say 'pcap cannot be compiled: spamlogd runs tcpdump instead'
  npm run --silent install >&2
  printf '%s' "$want" >node_modules/.spamdctl-modules
}
own_modules=src/platform/native/build/Release
built=$own_modules/user_ids.node
if [ "$(uname -s)" = Linux ]; then built=$own_modules/nft_generation.node; fi
modules=''
if [ -z "$only_sources" ] && { ! is_done modules || [ ! -e "$built" ]; }; then
  compile_modules &
  modules=$!
fi

# The build is up to date if no source is newer. The native modules are not part of it: they are compiled into a folder
# among the sources, and while this runs.
newer_sources() {
  find src commands scripts package.json tsconfig.json -path src/platform/native/build -prune \
    -o ! -path src/platform/native -newer dist/.sources -print
}
if [ ! -f dist/.sources ] || [ -n "$(newer_sources | head -n 1)" ]; then
  say 'building'
  rm -rf dist
  npm run --silent build:sources >&2
  touch dist/.sources
fi

[ -z "$modules" ] || wait "$modules"
# Bundles come with V8's cache of what a run compiled: the programs must run.
if [ -z "$only_sources" ] && { [ ! -f dist/.built ] || [ -n "$(find dist/.sources -newer dist/.built -print)" ]; }; then
  npm run --silent build:bundles >&2
  touch dist/.built
fi
if [ -n "$lab" ] && ! wait "$lab"; then say 'the lab is not complete: its stories will be skipped'; fi
