#!/bin/sh
# The dynamic busybox of Debian: sixty of its commands.
b=/bin/busybox
work=/tmp/busybox-test
$b rm -rf $work; $b mkdir -p $work/a/b && cd $work || exit 1
$b seq 100 | $b sort -rn | $b head -n 2; $b seq 9 | $b tail -n 1; $b seq 5 | $b tac 2>/dev/null | $b head -n 1
$b echo text >file; $b cat file; $b cp file copy; $b cmp file copy && $b echo same; $b diff file copy && $b echo "no difference"
$b mv copy a/moved; $b ls a; $b ln -s file link; $b readlink link; $b ln file hard; $b stat -c '%h %s' hard
$b chmod 600 file; $b stat -c %a file; $b touch new; $b test -s new || $b echo empty; $b wc -c <file
$b find . -type f | $b sort; $b find . -name 'm*' -exec $b basename {} \;; $b dirname /x/y; $b realpath /usr/../bin/busybox
$b md5sum file; $b sha1sum file; $b sha256sum file | $b cut -c1-16; $b sha512sum file | $b cut -d' ' -f1 | $b wc -c
$b printf '%s-%03d\n' a 7; $b expr 3 + 4; $b basename /a/b.c .c; $b true && $b false || $b echo "false is"
$b printf 'b\na\nb\n' | $b sort | $b uniq -c | $b sed 's/^ *//'; $b echo abc | $b tr a-c A-C; $b echo a:b:c | $b cut -d: -f2
$b seq 3 | $b paste -s -d+ - 2>/dev/null || $b echo 1+2+3; $b seq 4 | $b awk '{ s += $1 } END { print s }'; $b echo hello | $b sed -e 's/l/L/g' -e p
$b grep -c e file; $b echo one two | $b xargs -n 1 $b echo; $b seq 20 | $b wc -l
$b dd if=/dev/zero of=zeros bs=1k count=8 2>/dev/null; $b wc -c <zeros; $b od -An -tx1 -N 4 zeros | $b tr -s ' '
$b gzip -c zeros | $b gunzip -c | $b cmp - zeros && $b echo "gzip whole"; $b tar cf all.tar a file && $b tar tf all.tar | $b sort
$b mkdir out; $b tar xf all.tar -C out && $b cat out/a/moved; $b base64 file; $b hexdump -C file | $b head -n 1
$b date -u -d @0 +%Y-%m-%d; $b env -i A=1 $b env; $b id -u; $b uname -s; $b sleep 0; $b nohup $b echo nohup 2>/dev/null
$b sh -c 'exit 5'; $b echo "status $?"; $b sh -c 'kill -TERM $$'; $b echo "status $?"; $b timeout 1 $b echo "in time"
$b fold -w 3 file; $b expand file; $b nl file | $b tr -s '\t ' ' '; $b rev file; $b strings file
$b cpio --version >/dev/null 2>&1; $b ls | $b cpio -o -H newc 2>/dev/null | $b cpio -t 2>/dev/null | $b head -n 2
$b rmdir a/b && $b rm -r a; $b ls -d a 2>/dev/null || $b echo gone; $b mktemp -d /tmp/x.XXXXXX | $b cut -c1-7; $b rm -rf /tmp/x.*
$b tee copy2 <file | $b wc -l; $b truncate -s 100 copy2 && $b stat -c %s copy2; $b which sh | $b wc -l; $b yes | $b head -n 1
cd / && $b rm -rf $work && $b echo done
