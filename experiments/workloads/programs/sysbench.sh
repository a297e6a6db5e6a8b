#!/bin/bash
# sysbench's memory and threads, for a number of operations: how many were done, not how fast.
run() {
  sysbench "$@" run 2>&1 | sed -n 's/  */ /g; /total number of events/p; /transferred/s/ (.*//p; /FATAL/p; /Total operations/s/ (.*//p'
}
run memory --memory-total-size=64M --memory-block-size=4K --threads=1 --time=0
run memory --memory-total-size=64M --memory-block-size=1M --memory-oper=read --memory-access-mode=rnd --threads=2 --time=0
run threads --threads=16 --thread-yields=20 --thread-locks=4 --events=100 --time=0
run mutex --threads=8 --mutex-num=64 --mutex-locks=200 --mutex-loops=100
run cpu --cpu-max-prime=500 --events=50 --time=0 --threads=2
echo done
