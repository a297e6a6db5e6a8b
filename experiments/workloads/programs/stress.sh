#!/bin/bash
# stress-ng's stressors of memory and processes, each for a number of operations, its own checks on.
one() {
  name=$1
  shift
  said=$(stress-ng --verify --no-rand-seed --temp-path /tmp --quiet --"$name" 1 "$@" 2>&1)
  echo "$name $?"
  grep -h fail: <<<"$said" | sed 's/\[[0-9]*\] //'
}
one vm --vm-bytes 4m --vm-ops 30
one mmap --mmap-bytes 4m --mmap-ops 2
one mremap --mremap-bytes 4m --mremap-ops 10
one mprotect --mprotect-ops 20
one fork --fork-ops 40
one vfork --vfork-ops 20
one clone --clone-ops 10
one brk --brk-ops 100
one stack --stack-ops 2
one fault --fault-ops 50
one madvise --madvise-ops 4
one mincore --mincore-ops 4
one mlock --mlock-ops 4
one msync --msync-bytes 1m --msync-ops 20
one malloc --malloc-bytes 4m --malloc-ops 200
one bigheap --bigheap-growth 64k --bigheap-ops 50
one remap --remap-ops 4
one shm --shm-bytes 1m --shm-objs 4 --shm-ops 2
one shm-sysv --shm-sysv-bytes 1m --shm-sysv-segs 4 --shm-sysv-ops 2
one pthread --pthread-max 16 --pthread-ops 20
one futex --futex-ops 100
one sem-sysv --sem-sysv-ops 20
one pipe --pipe-ops 200
one switch --switch-ops 50
echo done
