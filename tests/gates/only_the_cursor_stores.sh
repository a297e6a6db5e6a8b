#!/usr/bin/env bash
# Only the translation layer's entry primitive stores page-table entries: sinks and the cursor go through it,
# nobody else names it but shadow, the validator (xen), the tests and the tables of a hypervisor's own. Fails when
#  - the primitive (store_entry, exchange_entry) is defined or bypassed by atomic stores outside tables/;
#  - something outside the translation layer, shadow and the tests calls the primitive.
set -euo pipefail
cd "$(dirname "$0")/../.."
status=0

complain() {
  echo "only_the_cursor_stores: $1" >&2
  echo "$2" | sed 's/^/  /' >&2
  status=1
}

# Not within a pipeline: a folder that is not there ends the gate.
sources() { tests/support/sources .h .cc .S -- "$@"; }
everywhere=$(sources native-fallback hv-mm guest-mm pvops experiments tests)
past_the_cursor=$(sources native-fallback/engine native-fallback/guest hv-mm guest-mm)
with_tables=$(sources native-fallback hv-mm)

# Calls of the primitive: the sinks, and in the hypervisor shadow, validator and nested, which own other tables.
allowed='^(native-fallback/(tables|sinks)/|hv-mm/(shadow|nested|xen|boot)/|hv-mm/arch/|tests/)'
calls=$(echo "$everywhere" |
  xargs grep -nE '\b(store_entry|exchange_entry)[[:space:]]*\(' | grep -vE "$allowed" || true)
[[ -z $calls ]] || complain "these call the entry primitive:" "$calls"

# Sinks' writing methods are the cursor's: the engine fills private tables and nothing else.
writes=$(echo "$past_the_cursor" |
  xargs grep -nE '\b(sink_|sink)\.(set|exchange|link|unlink)[[:space:]]*\(' || true)
[[ -z $writes ]] || complain "these write reachable tables past the cursor:" "$writes"

# No other 64-bit atomic or volatile store in the layers that know tables.
stores=$(echo "$with_tables" | grep -vE '^native-fallback/tables/entry\.h$' |
  xargs grep -nE '__atomic_(store|exchange|compare_exchange)|std::atomic_ref<u64>|volatile[[:space:]]+u64[[:space:]]*\*' || true)
[[ -z $stores ]] || complain "these store 64-bit words as a page-table store would:" "$stores"

exit $status
