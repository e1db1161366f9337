# Proves that this kernel has no tunnels, bridges or switches of its own and can get none. Prints a line of evidence for
# each fact; exit code 1 when one of them is not so.
wrong=0
evidence() { echo "evidence: $*"; }
wrong() {
  echo "disproof: $*"
  wrong=1
}

evidence "kernel $(uname -r), $(uname -v)"
evidence "modules loaded: $(cut -d' ' -f1 /proc/modules | sort | tr '\n' ' ')"
if [ "$(cat /proc/sys/kernel/modules_disabled)" = 1 ]; then
  evidence 'modules_disabled = 1: no module can be loaded until the next boot'
else
  wrong 'modules can be loaded'
fi
found=$(find / -xdev -name '*.ko*' | grep -E '/(vxlan|bridge|geneve|openvswitch|vport_vxlan|ip_gre|ip6_gre)\.ko')
if [ -z "$found" ]; then
  evidence 'no module file of vxlan, bridge, geneve, openvswitch or gre in the image'
else
  wrong "in the image: $(echo $found)"
fi
for symbol in vxlan_xmit vxlan_rcv br_handle_frame ovs_vport_receive geneve_xmit; do
  if grep -qw "$symbol" /proc/kallsyms; then wrong "the kernel has the symbol $symbol"; fi
done
evidence "vxlan in kallsyms: $(grep -ci vxlan /proc/kallsyms) of $(wc -l </proc/kallsyms) symbols: $(grep -i vxlan /proc/kallsyms | cut -d' ' -f3 | tr '\n' ' ')"
refused() {
  type=$1
  shift
  if answer=$(ip link add name probe type "$type" "$@" 2>&1); then
    ip link del dev probe
    wrong "\`ip link add type $type\` succeeds"
  else
    evidence "\`ip link add type $type\`: $answer"
  fi
}
refused vxlan id 42 remote 192.0.2.1 dstport 4789
refused geneve id 42 remote 192.0.2.1
refused bridge
refused gretap remote 192.0.2.1 local 192.0.2.2
# The probe itself: a type that there is must be made.
if ip link add name probe type veth peer name probe2 && ip link del dev probe; then
  evidence '`ip link add type veth` succeeds, so the refusals are about the type'
else
  wrong 'not even a veth can be made'
fi
exit $wrong
