// What waits in a socket: a list of records, each what one send brought or a piece of it. Streams run them
// together, the other types give them out one by one.
#pragma once

#include "guest-mm/kernel/files/file.h"
#include "guest-mm/kernel/net/linux_sockets.h"
#include "guest-mm/kernel/net/passed_files.h"

namespace nopte::guest::net {

// A socket's address, as programs see it. An AF_UNIX path has its terminator, an abstract name begins with 0.
class Name : public files::RefCounted {
 public:
  u64 bytes = 0;  // with the family
  SocketAddress address;
};

struct Record {
  Record* next = nullptr;
  u64 bytes = 0;
  u64 taken = 0;    // of a stream's
  u64 came_ns = 0;  // of a datagram, as the wall clock says; 0: nobody asked
  Credentials sender;
  // Whether its last byte is out of band (TCP), and was given as such.
  enum class Urgent : u8 { kNo, kWaits, kGiven };
  Urgent urgent = Urgent::kNo;
  Ref<Name> from;  // null: from a socket without a name
  UniquePtr<PassedFiles> files;

  char* data() { return reinterpret_cast<char*>(this + 1); }
  // Whether what is next is that byte.
  [[nodiscard]] bool at_mark() const { return urgent != Urgent::kNo && taken + 1 == bytes; }
  // What it counts for against the sender's buffer.
  [[nodiscard]] u64 charge() const { return sizeof(Record) + bytes; }
};

// A record with room for the bytes, in no queue; null: no memory.
Record* make_record(u64 bytes);
// Files that it carries may be sockets with records that carry files: never more than one deep on the stack.
void free_record(Record* record);

class RecordQueue {
 public:
  RecordQueue() = default;
  RecordQueue(const RecordQueue&) = delete;
  RecordQueue& operator=(const RecordQueue&) = delete;
  ~RecordQueue() { clear(); }

  [[nodiscard]] Record* first() const { return first_; }
  [[nodiscard]] u64 count() const { return count_; }
  [[nodiscard]] u64 charged() const { return charged_; }
  // Bytes that nobody took.
  [[nodiscard]] u64 waiting_bytes() const;
  void append(Record* record);
  // The first one is the caller's. Precondition: there is one.
  Record* pop();
  void clear();

 private:
  Record* first_ = nullptr;
  Record** end_ = &first_;
  u64 count_ = 0;
  u64 charged_ = 0;
};

}  // namespace nopte::guest::net
