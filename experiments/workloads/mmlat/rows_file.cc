// Rows over a mapped file. The file lies in /tmp, in memory, and every page of it exists before the span.
#include <fcntl.h>
#include <unistd.h>

#include <cstring>

#include "experiments/workloads/mmlat/memory.h"
#include "experiments/workloads/mmlat/rows.h"

namespace mmlat {
namespace {

constexpr const char* kPath = "/tmp/mmlat.data";

class ScratchFile {
 public:
  explicit ScratchFile(size_t bytes) : bytes_(bytes) {
    fd_ = open(kPath, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    expect(fd_ >= 0, "open /tmp/mmlat.data");
    static char block[64 * 1024];
    std::memset(block, 5, sizeof block);
    for (size_t done = 0; done < bytes; done += sizeof block) {
      expect(write(fd_, block, sizeof block) == static_cast<ssize_t>(sizeof block), "write /tmp/mmlat.data");
    }
  }
  ~ScratchFile() {
    close(fd_);
    unlink(kPath);
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  Bytes map(int flags) const {
    void* result = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, flags, fd_, 0);
    if (result == MAP_FAILED) fail("mmap of a file");
    return static_cast<Bytes>(result);
  }
  uint8_t byte_at(off_t offset) const {
    uint8_t byte = 0;
    expect(pread(fd_, &byte, 1, offset) == 1, "pread");
    return byte;
  }

 private:
  size_t bytes_;
  int fd_;
};

size_t file_bytes() { return scaled(16) * kMiB; }

}  // namespace

void run_shared_read(const char* name) {
  const size_t bytes = file_bytes();
  const ScratchFile file(bytes);
  Bytes memory = file.map(MAP_SHARED);
  read_pages(memory, kMiB);
  unmap(memory, bytes);
  memory = file.map(MAP_SHARED);
  begin_span(name);
  read_pages(memory, bytes);
  end_span(bytes / kPage);
  expect_pages(memory, bytes, 5);
  unmap(memory, bytes);
}

void run_shared_write(const char* name) {
  const size_t bytes = file_bytes();
  const ScratchFile file(bytes);
  Bytes memory = file.map(MAP_SHARED);
  write_pages(memory, kMiB, 6);
  unmap(memory, bytes);
  memory = file.map(MAP_SHARED);
  begin_span(name);
  write_pages(memory, bytes, 6);
  end_span(bytes / kPage);
  expect(file.byte_at(static_cast<off_t>(bytes - kPage)) == 6, "a shared write did not reach the file");
  unmap(memory, bytes);
}

void run_shared_unmap(const char* name) {
  const size_t bytes = file_bytes();
  const ScratchFile file(bytes);
  Bytes memory = file.map(MAP_SHARED);
  write_pages(memory, bytes, 6);
  unmap(memory, bytes);
  memory = file.map(MAP_SHARED);
  write_pages(memory, bytes, 6);
  begin_span(name);
  unmap(memory, bytes);
  end_span(bytes / kPage);
}

void run_private_write(const char* name) {
  const size_t bytes = file_bytes();
  const ScratchFile file(bytes);
  Bytes memory = file.map(MAP_PRIVATE);
  write_pages(memory, kMiB, 6);
  unmap(memory, bytes);
  memory = file.map(MAP_PRIVATE);
  begin_span(name);
  write_pages(memory, bytes, 6);
  end_span(bytes / kPage);
  expect_pages(memory, bytes, 6);
  expect(file.byte_at(0) == 5, "a private write reached the file");
  unmap(memory, bytes);
}

}  // namespace mmlat
