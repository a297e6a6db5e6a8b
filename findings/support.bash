# What the scripts beside this share: packages of an exact version unpacked into a folder that goes away, a kernel of a
# few instructions, and the verdict. To be sourced.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# unpack NAME=VERSION...: Debian's packages below $work/root.
unpack() {
  local package
  for package in "$@"; do
    (cd "$work" && apt-get download -qq -o APT::Sandbox::User=root "$package" >/dev/null) ||
      { echo "no $package in this machine's package sources: look for it on snapshot.debian.org" >&2; exit 2; }
  done
  for package in "$work"/*.deb; do
    dpkg-deb -x "$package" "$work/root"
  done
}

# The QEMU that Debian 12 has. Its libraries are the machine's.
unpack_qemu() {
  unpack qemu-system-{x86,common}=1:7.2+dfsg-7+deb12u18+b3 qemu-system-data=1:7.2+dfsg-7+deb12u18 seabios=1.16.2-1
  qemu=$work/root/usr/bin/qemu-system-x86_64
  export QEMU_MODULE_DIR=$work/root/usr/lib/x86_64-linux-gnu/qemu
  ! ldd "$qemu" | grep 'not found' || { echo "its libraries are missing: apt-get install qemu-system-x86" >&2; exit 2; }
  "$qemu" --version | head -n 1
}

# run_kernel OPTION... <ASSEMBLY: boots it by PVH, in 32-bit protected mode; `print` writes eax in hexadecimal and a
# newline to port 0xe9, `end` ends the machine. Gives what port 0xe9 was written.
run_kernel() {
  { cat <<'ASM'
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 4, 18
    .asciz "Xen"
    .long _start
    .text
    .globl _start
_start:
    mov $stack_end, %esp
ASM
    cat
    cat <<'ASM'
end:
    mov $0, %eax
    out %eax, $0xf4
1:  hlt
    jmp 1b
print:
    pusha
    mov %eax, %ebx
    mov $8, %ecx
1:  rol $4, %ebx
    mov %ebx, %eax
    and $15, %eax
    mov digits(%eax), %al
    out %al, $0xe9
    loop 1b
    mov $10, %al
    out %al, $0xe9
    popa
    ret
digits: .ascii "0123456789abcdef"
    .bss
    .skip 4096
stack_end:
buffer: .skip 4096
ASM
  } | as --32 -o "$work/kernel.o" -
  ld -m elf_i386 -Ttext=0x100000 -z noexecstack --build-id=none -o "$work/kernel" "$work/kernel.o"
  timeout 60 "$qemu" -L "$work/root/usr/share/qemu" -L "$work/root/usr/share/seabios" -nodefaults -display none -no-reboot \
    -device isa-debug-exit,iobase=0xf4,iosize=4 -debugcon "file:$work/out" -kernel "$work/kernel" "$@" || true
  cat "$work/out"
}

# verdict GUESS SEEN KNOWN: status 1 when what is seen is no longer what was known.
verdict() {
  printf 'guess: %s\nseen:  %s\n' "$1" "$2"
  [ "$2" = "$3" ] && { echo "as known"; return; }
  echo "CHANGED: known is $3"
  exit 1
}
