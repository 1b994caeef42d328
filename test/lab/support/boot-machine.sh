#!/bin/sh
# Boots one machine of the lab: a root of its own (an overlay over this system), its own processes, host name and
# cgroup. The network namespace and the folder DISK (a tmpfs, which is the machine's disk) are the caller's.
# LAB_BASE names another root to lay it over, which is complete with programs.
# Called as: boot-machine.sh enter|boot NAME DISK PROGRAMS systemd|plain [PACKAGE-FOLDER ...]
set -eu
umask 022
step=$1 name=$2 disk=$3 programs=$4 init=$5
shift 5

if [ "$step" = enter ]; then
  # A cgroup of its own, so that a systemd in it never meets processes of this system.
  for folder in /sys/fs/cgroup /sys/fs/cgroup/unified /sys/fs/cgroup/systemd; do
    if [ -f "$folder/cgroup.procs" ]; then
      mkdir -p "$folder/$name"
      echo 0 >"$folder/$name/cgroup.procs"
    fi
  done
  exec unshare --mount --propagation private --pid --uts --ipc --cgroup --fork --kill-child \
    sh "$0" boot "$name" "$disk" "$programs" "$init" "$@"
fi

root=$disk/root
mkdir -p "$disk/upper" "$disk/work" "$root"
# Nothing of what this system itself runs or keeps: these folders are empty on a new disk. (A device 0,0 in the upper
# folder hides what is below; a folder made in its place then is an empty one.)
emptied='etc/systemd/system etc/spamd etc/mail etc/postfix etc/exim4 var/lib var/spool var/log var/cache root home'
if [ -n "${LAB_BASE:-}" ]; then emptied=; fi
if [ ! -e "$disk/booted" ]; then
  [ -z "$emptied" ] || mkdir -p "$disk/upper/etc/systemd" "$disk/upper/var"
  for folder in $emptied; do
    mknod "$disk/upper/$folder" c 0 0
  done
fi
mount -t overlay overlay -o "lowerdir=${LAB_BASE:-/},upperdir=$disk/upper,workdir=$disk/work" "$root"
if [ ! -e "$disk/booted" ]; then
  for folder in $emptied; do mkdir -p "$root/$folder"; done
  for package in "$@"; do cp -a --remove-destination "$package/." "$root/"; done
fi
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in null zero full random urandom tty; do
  : >"$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/shm" "$root/dev/pts"
mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
if [ -f /sys/fs/cgroup/cgroup.procs ]; then
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
else
  mount -t tmpfs -o mode=755 tmpfs "$root/sys/fs/cgroup"
  mkdir "$root/sys/fs/cgroup/unified" "$root/sys/fs/cgroup/systemd"
  mount -t cgroup -o none,name=systemd cgroup "$root/sys/fs/cgroup/systemd"
  mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup/unified" || :
fi
if [ -z "${LAB_BASE:-}" ]; then
  mkdir -p "$root/usr/lib/spamdctl"
  mount --bind "$programs" "$root/usr/lib/spamdctl"
fi
hostname "$name"
: >"$disk/booted"
cd "$root"
mkdir -p mnt/old
pivot_root . mnt/old
umount -l mnt/old
cd /
if [ "$init" = systemd ]; then
  exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=journal --show-status=no
fi
trap : TERM
echo up
while :; do sleep 3600 & wait $!; done
