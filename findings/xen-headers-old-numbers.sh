#!/usr/bin/env bash
# Xen's public headers give a program that does not define __XEN_INTERFACE_VERSION__ the oldest interface: sched_op is
# call 6, not 29, and event_channel_op 16, not 32. It compiles without a word.
# Why it matters: who takes an interface's numbers from its own headers takes the wrong ones; papers/interface-xen.md
# names the version that it follows.
# Source: xen/include/public/xen-compat.h ("Guests which do not specify a version get the legacy interface"), xen.h.
. "$(dirname "$0")/support.bash"
unpack libxen-dev=4.17.7+13-g2445b30a44-0+deb12u1
dpkg-deb -f "$work"/libxen-dev_*.deb Package Version
numbers() {
  printf '#include <xen/xen.h>\nsched __HYPERVISOR_sched_op event __HYPERVISOR_event_channel_op\n' |
    g++ -E -P -x c++ -I "$work/root/usr/include" "$@" - | sed -n 's/^sched \(.*\) event \(.*\)/\1 \2/p'
}
echo "with the version: $(numbers -D__XEN_INTERFACE_VERSION__=0x00040e00)"
verdict "29 32" "$(numbers)" "6 16"
