#!/bin/bash
# A server of data in memory and its clients over a UNIX socket; it forks to save while it is written to, and is restarted
# from what it saved.
set -e
mkdir -p /tmp/redis && cd /tmp/redis
socket=/tmp/redis/socket
start() {
  redis-server --port 0 --unixsocket $socket --dir /tmp/redis --save "" --appendonly no --daemonize no --loglevel warning \
    --hz 1 --jemalloc-bg-thread no --enable-debug-command local >server.log 2>&1 &
  server=$!
  until redis-cli -s $socket ping 2>/dev/null | grep -q PONG; do sleep 0.05; done
}
cli() { redis-cli -s $socket "$@"; }
start
cli debug populate 20000 key 200
cli dbsize
redis-benchmark -s $socket -q -n 2000 -c 10 -d 100 -t set,get,lpush,incr 2>&1 | tr '\r' '\n' | sed -n 's/: .* requests per second.*/ done/p'
cli set counter 41 && cli incr counter
cli eval 'local s = 0 for i = 1, 1000 do s = s + i end return s' 0
before=$(cli debug digest)
cli bgsave
redis-benchmark -s $socket -q -n 2000 -c 4 -d 100 -r 20000 set key:__rand_int__ changed 2>&1 | tr '\r' '\n' | sed -n 's/.*requests per second.*/written under the save/p'
while [ "$(cli info persistence | tr -d '\r' | sed -n 's/^rdb_bgsave_in_progress://p')" != 0 ]; do sleep 0.05; done
cli info persistence | tr -d '\r' | sed -n '/^rdb_last_bgsave_status/p'
cli shutdown nosave 2>/dev/null || true
wait $server && echo "server ended"
redis-check-rdb dump.rdb | grep -c 'RDB looks OK'
start
[ "$(cli debug digest)" = "$before" ] && echo "what was saved is what there was when it began"
cli get counter
cli flushall && cli dbsize
cli shutdown nosave 2>/dev/null || true
wait $server && echo "server ended"
cd / && rm -r /tmp/redis
echo done
