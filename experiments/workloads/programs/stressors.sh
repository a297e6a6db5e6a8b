#!/bin/bash
# stress-ng's stressors of files, processes, signals and IPC, each for three operations, its own checks on.
for name in access aio aiol alarm bad-altstack bigheap brk cap chattr chdir chmod chown chroot clone close context \
  copy-file daemon dentry dir dirdeep dirmany dnotify dup dynlib enosys env epoll eventfd exit-group fallocate fcntl fifo \
  file-ioctl filename flock fork fpunch fsize fstat futex get getdent getrandom hrtimers inotify \
  ioprio itimer kcmp kill lease link locka lockf lockofd membarrier memfd mincore mknod mmapaddr mmapfixed mq msg mutex \
  nanosleep nice open personality pidfd pipe; do
  said=$(stress-ng --verify --no-rand-seed --temp-path /tmp --"$name" 1 --"$name"-ops 3 --timeout 2 2>&1)
  echo "$name $?"
  grep -hE 'fail:|skip|No stress' <<<"$said" | sed 's/\[[0-9]*\] //'
done
echo done
