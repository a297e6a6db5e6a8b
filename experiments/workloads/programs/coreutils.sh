#!/bin/bash
# bash and coreutils, line by line the same as on Linux: nothing here depends on their version, the clock or who runs it.
set -u -o pipefail
export LC_ALL=C TZ=UTC
work=$(mktemp -d /tmp/coreutils.XXXXXX) || exit 1
cd "$work" || exit 1
section() { printf '== %s\n' "$1"; }

section arithmetic and strings
for ((i = 1; i <= 5; i++)); do printf '%d:%d ' "$i" $((i ** 3 % 7)); done; echo
text="the quick brown fox"
echo "${text^^} ${#text} ${text#the } ${text%fox} ${text/quick/slow} ${text:4:5}"
printf '%s\n' "$((16#ff)) $((2#1010)) $((1 << 20))"
printf '%05.2f|%-8s|%8s|%x|%q\n' 3.14159 left right 48879 'a b$c'
declare -A map=([one]=1 [two]=2 [three]=3)
for key in $(printf '%s\n' "${!map[@]}" | sort); do printf '%s=%s ' "$key" "${map[$key]}"; done; echo
list=(alpha beta gamma delta)
echo "${list[@]:1:2} ${#list[@]} ${list[-1]}"
[[ $text =~ q([a-z]+)k ]] && echo "matched ${BASH_REMATCH[1]}"
fibonacci() { local n=$1; if ((n < 2)); then echo "$n"; else echo $(($(fibonacci $((n - 1))) + $(fibonacci $((n - 2))))); fi; }
echo "fibonacci $(fibonacci 7)"

section pipes and sorting
seq 1 1000 >numbers
wc -l -w -c numbers
sort -rn numbers | head -3 | paste -sd,
sort numbers | tail -2
seq 20 | shuf --random-source=numbers | sort -n | md5sum
tac numbers | head -1
sort -n <(seq 5 -1 1) <(seq 10 -2 2) | uniq -c | tr -s ' '
printf 'b 2\na 1\nc 3\n' | sort >left; printf 'a x\nb y\nd z\n' >right
join left right
comm -12 <(cut -d' ' -f1 left) <(cut -d' ' -f1 right)
paste -d: left right
tr a-z A-Z <left
head -c 20 numbers | od -An -tx1
fold -w 10 <<<"abcdefghijklmnopqrstuvwxyz"
nl -ba -w3 -s'. ' left
expand -t4 <<<$'a\tb\tc' | cat -A
printf 'a b\nb c\nc d\n' | tsort
pr -t -3 -l 4 <(seq 12)
numfmt --to=iec 1048576 123456789
factor 97 1001 1234567
seq -s+ 1 10 | tee sum | tr -d '\n'; echo " = $(($(cat sum)))"
yes no | head -3 | uniq

section checksums
for tool in md5sum sha1sum sha256sum sha512sum b2sum cksum sum; do printf '%s ' "$tool"; $tool <numbers | head -c 32; echo; done
base64 -w 40 numbers | head -3
base64 numbers | base64 -d | cmp - numbers; base64 numbers | base64 -d | md5sum
sha256sum numbers >check && sha256sum -c check
echo spoiled >>numbers; sha256sum -c check 2>/dev/null; echo "status $?"
truncate -s 3893 numbers; sha256sum -c check

section files
mkdir -p a/b/c d && touch -d @1000000000 a/b/file && stat -c '%n %s %a %Y %F %h' a/b/file && stat -c '%n %a %F %h' a/b
echo contents >a/b/file && cp -a a e && ls -R e && cat e/b/file
ln a/b/file hard && ln -s a/b/file soft && ln -s missing dangling
stat -c '%n %h %F' hard soft dangling
readlink soft; readlink -f soft | sed "s|$work|WORK|"
[ hard -ef soft ] && echo "the same"
[ -e dangling ] || echo "dangling"
mv hard d/ && ls d; rmdir d 2>&1 | sed 's/.*: //'
chmod 640 a/b/file && stat -c %a a/b/file; chmod u+x,g-r a/b/file && stat -c %A a/b/file
touch -r a/b/file same && [ ! same -nt a/b/file ] && [ ! same -ot a/b/file ] && echo "as old"
dd if=/dev/zero of=zeros bs=1024 count=64 status=none && wc -c <zeros && cksum zeros
dd if=numbers of=piece bs=1 skip=100 count=10 status=none && od -c piece | head -1
dd if=/dev/zero of=sparse bs=1 count=1 seek=1M status=none && stat -c %s sparse
truncate -s 10K grown && cmp grown <(head -c 10240 /dev/zero) && echo "zeros"
split -l 300 numbers part. && wc -l part.* | tail -1 && cat part.* | cmp - numbers && echo "whole again"
csplit -s -f section. numbers '/^500$/' '/^900$/' && wc -l section.0?
install -m 700 numbers installed && stat -c '%a %s' installed
rm -r e && [ ! -e e ] && echo "gone"
rm nothing 2>/dev/null; echo "status $?"
basename /usr/lib/file.so .so; dirname /usr/lib/file.so; realpath -m /a/../b/./c
du -a --apparent-size -b a/b/file | cut -f1
find_files() { local f; for f in "$1"/*; do [ -d "$f" ] && find_files "$f" || echo "${f#./}"; done; }
find_files . | sort | head -8

section here documents and redirections
cat <<EOF | tr 'a-z' 'b-za'
expanded: ${list[0]}
EOF
cat <<'EOF'
kept: ${list[0]}
EOF
exec 5>fifth && echo "through five" >&5 && exec 5>&- && cat fifth
{ echo out; echo err >&2; } 2>&1 >only-out | cat; cat only-out
cat nothing 2>&1 >/dev/null | wc -l
read -r first second rest <<<"one two three four" && echo "$rest|$second|$first"
while IFS=: read -r name value; do echo "$value-$name"; done < <(printf 'a:1\nb:2\n')
mapfile -t lines <numbers && echo "${#lines[@]} ${lines[499]}"
mkfifo pipe && { echo "through a pipe" >pipe & } && cat pipe && wait

section processes
bash -c 'trap "echo trap: left" EXIT; echo before; exit 3'; echo "status $?"
(exit 7); echo "status $?"
false | true; echo "pipefail $?"
jobs=(); for i in 1 2 3; do (exit $i) & jobs+=($!); done; for job in "${jobs[@]}"; do wait "$job"; echo -n "$? "; done; echo
sleep 100 & kill $! && wait $! 2>/dev/null; echo "killed $?"
timeout 0.1 sleep 10; echo "timeout $?"
sh=$(bash -c 'echo $$; exec bash -c "echo \$\$"' | sort -u | wc -l); echo "exec keeps its id: $sh"
{ bash -c 'kill -SEGV $$'; } 2>/dev/null; echo "signal $?"
trap 'echo "got USR1"' USR1; kill -USR1 $$; trap - USR1
env -i A=1 B=2 env | sort
echo one two three | { read -ra words; echo "${#words[@]}"; }
coproc double { while read -r n; do echo $((n * 2)); done; }
echo 21 >&"${double[1]}" && read -r answer <&"${double[0]}" && echo "coproc $answer"
pid=$double_PID; eval "exec ${double[1]}>&-"; wait "$pid" 2>/dev/null
umask 027 && touch masked && stat -c %a masked
echo $((RANDOM < 32768)) "$(date -d @86400 +%F)" "$(date -u -d '2024-02-29 +1 year' +%F)"
test -t 0 && echo "a terminal" || echo "no terminal"
expr 6 '*' 7; expr abc : 'a\(.*\)'
printf '%s\n' {a..e}{1..2} | paste -sd' '
case $text in *fox) echo fox ;; *) echo none ;; esac
select_ok=$(printf '2\n' | { select x in red green; do echo "$x"; break; done; } 2>/dev/null); echo "$select_ok"
total=0; while read -r n; do ((total += n)); done <numbers; echo "total $total"
big=$(head -c 200000 /dev/zero | tr '\0' x); echo "${#big}"; echo "$big" | md5sum
deep() { (($1 == 0)) || (deep $(($1 - 1)) && echo -n .); }; deep 20; echo

section loops
for shell in until while; do
  n=0
  eval "$shell"' ((n '$([ $shell = until ] && echo '>=' || echo '<')' 3)); do ((n++)); done'
  echo "$shell $n"
done
for word in one "two three" four; do
  for ((i = 0; i < 3; i++)); do
    ((i == 1)) && continue
    [[ $word == four ]] && break 2
    echo "$i $word"
  done
done
matrix=("1 2 3" "4 5 6" "7 8 9")
for ((column = 1; column <= 3; column++)); do
  for row in "${matrix[@]}"; do cut -d' ' -f$column <<<"$row"; done | paste -sd' '
done
primes=()
for ((n = 2; n < 60; n++)); do
  for p in "${primes[@]}"; do ((n % p == 0)) && continue 2; done
  primes+=("$n")
done
echo "${primes[*]}"
sieve=$(seq 2 200 | factor | while IFS=: read -r n factors; do [ "$factors" = " $n" ] && echo "$n"; done | wc -l)
echo "primes below 200: $sieve"

section words
cat >poem <<'EOF'
the mouse ran up the clock
the clock struck one
the mouse ran down
hickory dickory dock
EOF
tr -s ' ' '\n' <poem | sort | uniq -c | sort -k1,1nr -k2 | head -5 | while read -r count word; do echo "$word $count"; done
cut -c1-9 poem | sort -u
sort -k2,2 -s poem | tail -n +2 | head -2
while read -ra words; do echo "${#words[@]} ${words[0]} ${words[-1]}"; done <poem
fmt -w 20 poem | head -4
ptx -G poem 2>/dev/null | head -1 | cut -c1-3
wc -L poem
dir=$PWD; pushd a >/dev/null && [ "$OLDPWD" = "$dir" ] && popd >/dev/null && [ "$PWD" = "$dir" ] && echo "there and back"

section many processes
count=0
for ((i = 0; i < 20; i++)); do
  result=$(echo "$i" | cat | tail -1)
  ((count += result))
done
echo "sum $count"
for i in 1 2 3 4 5; do { echo "job $i" >"job.$i"; } & done
wait
cat job.? | sort
seq 100 | while read -r n; do echo $((n * n)); done | paste -sd+ | head -c 40; echo
(cd a && (cd b && pwd | grep -c "b$"))
exec 3< <(seq 3); read -r first <&3; read -r second <&3; exec 3<&-; echo "$first $second"
bash -c 'exec -a other bash -c "echo \$0"' | head -1
type -t cd section if; hash -r; command -v no-such-program; echo "status $?"
(set -e; false; echo "not reached"); echo "set -e $?"
(set -o nounset; echo "$unset_name") 2>/dev/null; echo "nounset $?"

section done
cd / && rm -rf "$work" && [ ! -e "$work" ] && echo left
