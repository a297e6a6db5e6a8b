#include "guest-mm/kernel/net/record.h"

namespace nopte::guest::net {

namespace {

Record* g_dead = nullptr;
bool g_freeing = false;

void destroy_record(Record* record) {
  const u64 block_bytes = record->charge();
  record->~Record();
  heap_free(record, block_bytes);
}

}  // namespace

Record* make_record(u64 bytes) {
  void* const block = heap_alloc(sizeof(Record) + bytes);
  if (block == nullptr) {
    return nullptr;
  }
  auto* const record = ::new (block) Record;
  record->bytes = bytes;
  return record;
}

void free_record(Record* record) {
  if (!record->files) {
    destroy_record(record);
    return;
  }
  record->next = g_dead;
  g_dead = record;
  if (g_freeing) {
    return;
  }
  g_freeing = true;
  while (g_dead != nullptr) {
    destroy_record(std::exchange(g_dead, g_dead->next));
  }
  g_freeing = false;
}

u64 RecordQueue::waiting_bytes() const {
  u64 bytes = 0;
  for (const Record* record = first_; record != nullptr; record = record->next) {
    bytes += record->bytes - record->taken;
  }
  return bytes;
}

void RecordQueue::append(Record* record) {
  record->next = nullptr;
  *end_ = record;
  end_ = &record->next;
  ++count_;
  charged_ += record->charge();
}

Record* RecordQueue::pop() {
  Record* const record = first_;
  first_ = record->next;
  if (first_ == nullptr) {
    end_ = &first_;
  }
  --count_;
  charged_ -= record->charge();
  return record;
}

void RecordQueue::clear() {
  while (first_ != nullptr) {
    free_record(pop());
  }
}

}  // namespace nopte::guest::net
