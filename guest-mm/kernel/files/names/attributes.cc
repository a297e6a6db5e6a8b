#include "guest-mm/kernel/files/names/attributes.h"

#include <cstring>
#include <utility>

namespace nopte::guest::files {

Attributes::~Attributes() {
  while (first_ != nullptr) {
    destroy(std::exchange(first_, first_->next));
  }
}

Attributes::Attribute** Attributes::find(std::string_view name) {
  Attribute** at = &first_;
  while (*at != nullptr && (*at)->text() > name) {
    at = &(*at)->next;
  }
  return at;
}

std::expected<Attributes::Value, Errno> Attributes::get(std::string_view name) const {
  for (const Attribute* at = first_; at != nullptr; at = at->next) {
    if (at->text() == name) {
      return Value{at->value.data(), at->value.bytes()};
    }
  }
  return std::unexpected(kENODATA);
}

i64 Attributes::set(std::string_view name, HeapBuffer value, u32 flags) {
  Attribute** const at = find(name);
  const bool there = *at != nullptr && (*at)->text() == name;
  if (there && (flags & kCreate) != 0) {
    return -kEEXIST;
  }
  if (!there && (flags & kReplace) != 0) {
    return -kENODATA;
  }
  TmpfsCharge charge;
  if (!charge.raise(sizeof(Attribute) + name.size() + value.bytes())) {
    return -kENOSPC;
  }
  if (!there) {
    auto made = make_unique<Attribute>();
    HeapBuffer text(name.size());
    if (!made || !text) {
      return -kENOSPC;
    }
    std::memcpy(text.data(), name.data(), name.size());
    made->name = std::move(text);
    made->next = *at;
    *at = made.release();
  }
  (*at)->value = std::move(value);
  (*at)->charge = std::move(charge);
  return 0;
}

i64 Attributes::remove(std::string_view name) {
  Attribute** const at = find(name);
  if (*at == nullptr || (*at)->text() != name) {
    return -kENODATA;
  }
  destroy(std::exchange(*at, (*at)->next));
  return 0;
}

void Attributes::for_each(FunctionRef<void(std::string_view name)> visit) const {
  for (const Attribute* at = first_; at != nullptr; at = at->next) {
    visit(at->text());
  }
}

}  // namespace nopte::guest::files
