#!/bin/bash
# strace and gdb: what they print, but for addresses and numbers of processes.
export LC_ALL=C
cd /tmp || exit 1

cat > traced.sh <<'END'
echo hello | cat
(exit 3)
echo "left with $?"
trap 'echo handled' USR1
kill -USR1 $$
exec true
END

echo "strace:"
strace -ff -qq -o trace -e trace=execve,dup2,exit_group,kill,pipe2 -e 'signal=!SIGCHLD' dash traced.sh
echo "status $?"
sed 's/^[0-9]* *//; s/0x[0-9a-f]*/ADDRESS/g; s/si_pid=[0-9]*/si_pid=PID/; s/kill([0-9]*/kill(PID/; s/  *= / = /' trace.* | sort

echo "counted:"
strace -f -c -o counts -e trace=execve,exit_group dash -c 'true; /bin/true; /bin/true'
sed -n 's/^ *[0-9.]* *[0-9.]* *[0-9]* *\([0-9]*\) .*\(execve\|exit_group\)$/\1 \2/p' counts | sort

echo "injected:"
strace -qq -o trace -e inject=openat:error=EACCES:when=3 -e trace=openat cat /programs/debuggers.sh > /dev/null
grep -c INJECTED trace

echo "attached:"
sleep 60 &
sleeper=$!
strace -qq -o trace -e trace=none -p $sleeper &
tracer=$!
until grep -q "^TracerPid:.*[1-9]" /proc/$sleeper/status; do :; done
kill -TERM $sleeper
wait $sleeper
echo "status $?"
wait $tracer
sed 's/si_pid=[0-9]*/si_pid=PID/' trace

echo "gdb:"
echo 'echo hi; trap "echo caught" USR1; kill -USR1 $$; exit 5' > signalled.sh
echo 'exit 5' > left.sh
gdb -q -nx -batch \
  -ex 'set confirm off' -ex 'set startup-with-shell off' -ex 'set breakpoint pending on' -ex 'set width 0' \
  -ex 'break _exit' -ex 'run /tmp/signalled.sh' \
  -ex 'printf "signal %d\n", $_siginfo.si_signo' -ex 'continue' -ex 'continue' /bin/dash 2>&1 |
  sed 's/0x[0-9a-f]*/ADDRESS/g; s/process [0-9]*/process PID/; s/from .*libc.so.6/from libc/'
gdb -q -nx -batch \
  -ex 'set confirm off' -ex 'set startup-with-shell off' -ex 'set breakpoint pending on' -ex 'set width 0' \
  -ex 'break _exit' -ex 'run /tmp/left.sh' -ex 'info breakpoints' -ex 'p $rdi' -ex 'p (int)getppid() > 0' -ex 'stepi' -ex 'stepi' \
  -ex 'set $rdi = 6' -ex 'continue' /bin/dash 2>&1 |
  sed 's/0x[0-9a-f]*/ADDRESS/g; s/process [0-9]*/process PID/; s/from .*libc.so.6/from libc/'
