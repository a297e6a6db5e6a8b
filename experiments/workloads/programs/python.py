"""Python allocates, maps, forks and reads files, the same as on Linux."""

import errno
import gc
import hashlib
import mmap
import os
import signal
import struct
import subprocess
import sys
import tempfile
import time

print("allocations", sum(len(bytearray(1 << size)) for size in range(24)))
table = {str(n): [n] * (n % 7) for n in range(50_000)}
print("table", len(table), sum(map(len, table.values())))
del table
gc.collect()

with mmap.mmap(-1, 1 << 20) as shared:
    child = os.fork()
    if child == 0:
        shared[0:5] = b"child"
        os._exit(7)
    print("child", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shared[0:5])

with tempfile.TemporaryFile() as file:
    file.write(hashlib.sha256(b"x").digest() * 4096)
    file.flush()
    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as mapped:
        print("mapped", len(mapped), hashlib.md5(mapped).hexdigest(), mapped.find(mapped[-32:]))
    with mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE) as private:
        private[0:4] = bytes(4)
    file.seek(0)
    print("unchanged", struct.unpack("<I", file.read(4))[0] != 0)

reader, writer = os.pipe()
children = []
for number in range(8):
    child = os.fork()
    if child == 0:
        os.write(writer, struct.pack("<I", sum(range(number * 1000))))
        os._exit(0)
    children.append(child)
for child in children:
    os.waitpid(child, 0)
print("sums", sorted(struct.unpack("<8I", os.read(reader, 4096))))

done = subprocess.run([sys.executable, "-c", "import sys; print(len(sys.argv)); sys.exit(3)", "one", ""], capture_output=True, text=True)
print("subprocess", done.returncode, done.stdout.strip(), done.stderr)
print("shell", subprocess.run("echo $A | tr a-z A-Z", shell=True, env={"A": "value", "PATH": os.environ["PATH"]}, capture_output=True).stdout)

try:
    open("/no/such/file")
except OSError as error:
    print("error", errno.errorcode[error.errno], error.filename)
try:
    mmap.mmap(-1, 1 << 60)
except OSError as error:
    print("error", errno.errorcode[error.errno])

caught = []
signal.signal(signal.SIGALRM, lambda *_: caught.append("alarm"))
signal.setitimer(signal.ITIMER_REAL, 0.01)
while not caught:
    signal.pause()
print("signals", caught)
before = time.monotonic()
time.sleep(0.02)
print("slept", time.monotonic() - before >= 0.02)

deep = lambda n: 0 if n == 0 else 1 + deep(n - 1)  # noqa: E731
print("deep", deep(900))
names = sorted(name for name in os.listdir("/") if name in ("bin", "etc", "usr", "lib", "tmp"))
print("names", names, os.path.realpath("/bin"))
with tempfile.TemporaryDirectory() as folder:
    for number in range(200):
        with open(f"{folder}/{number:03}", "w") as file:
            file.write(str(number))
    with os.scandir(folder) as entries:
        print("files", sum(int(open(entry.path).read()) for entry in entries if entry.stat().st_size > 1))
    os.rename(f"{folder}/000", f"{folder}/moved")
    print("moved", os.path.exists(f"{folder}/000"), os.stat(f"{folder}/moved").st_nlink)
print("done")
