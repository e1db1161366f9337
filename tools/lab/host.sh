# First process of a lab host; see host.mjs. Arguments: host name.
set -e
hostname "$1"
# A sysfs of this network namespace (/sys/class/net), with the machine's cgroups bound back in.
cgroups=$(mktemp -d)
mount --rbind /sys/fs/cgroup "$cgroups"
mount -t sysfs sysfs /sys
mount --rbind "$cgroups" /sys/fs/cgroup
umount -l "$cgroups"
rmdir "$cgroups"
# Everything that runs on a host has its sockets, locks and process ids in a /run of its own.
resolver=$(readlink -m /etc/resolv.conf)
mount -t tmpfs tmpfs /run
mkdir -p /run/lock "${resolver%/*}"
[ -e "$resolver" ] || : >"$resolver"
touch /run/ready
# A shell that waits reaps what is orphaned: of a killed dockerd, containerd and the containers.
sleep infinity &
while :; do wait || :; done
