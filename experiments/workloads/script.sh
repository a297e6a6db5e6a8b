# The whole-program workload: ordinary shell work, the same lines on a host's busybox and in every mode.
export LC_ALL=C
work=/tmp/nopte-script
rm -rf $work
mkdir -p $work
cd $work || exit 1

echo "== loops and arithmetic"
i=0
sum=0
while [ $i -lt 50 ]; do
  i=$((i + 1))
  sum=$((sum + i * i))
done
echo "sum of squares to $i: $sum"

echo "== a file of words, sorted"
for word in guest kernel page table region fault space object frame clone; do
  echo "$word ${#word}"
done > words
sort words > sorted
cat sorted
sort -k2,2nr -k1,1 words | head -n 3

echo "== pipes"
seq 1 200 | grep 7 | wc -l
seq 1 100 | awk '{ s += $1 } END { print "awk sum", s, "mean", s / NR }'
cut -d' ' -f1 sorted | tr 'a-z' 'A-Z' | sed -e 's/^/<</' -e 's/$/>>/' | tail -n 4
awk '{ count[length($1)]++ } END { for (n in count) print n, count[n] }' words | sort -n

echo "== checksums"
seq 1 5000 > numbers
md5sum numbers
sha256sum < numbers
dd if=/dev/zero of=zeroes bs=4096 count=64 2>/dev/null
sha1sum zeroes
wc -c < zeroes

echo "== redirection"
{ echo one; echo two >&2; } > out 2> err
cat out err
cat << END >> out
three $((1 + 2))
END
wc -l < out
tr -d '\n' < out | od -c | head -n 1

echo "== background and wait"
(seq 1 1000 | md5sum > left) &
(seq 1001 2000 | md5sum > right) &
wait
cat left right
false &
wait $!
echo "status of a failed job: $?"

echo "== files"
mkdir -p tree/a tree/b
cp words tree/a/copy
mv tree/a/copy tree/b/moved
ln -s b/moved tree/link
cmp words tree/link && echo "same"
find tree | sort
test -f tree/b/moved && test ! -e tree/a/copy && echo "moved"
diff words sorted > /dev/null || echo "differ"

echo "== functions, signals, subshells"
fib() {
  if [ "$1" -lt 2 ]; then echo "$1"; else echo $(($(fib $(($1 - 1))) + $(fib $(($1 - 2))))); fi
}
fib 7
(trap 'echo caught; exit 5' TERM; kill -TERM "$(exec sh -c 'echo $PPID')"; echo missed)
echo "status $?"
seq 1 20 | xargs -n 5 echo
basename /a/b/c.txt .txt
expr 6 \* 7

cd /
rm -rf $work
echo "== done"
