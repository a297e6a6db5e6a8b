// Reverse lists: who refers to something, as small sets of 32-bit references. An empty list and a list of one
// take no memory beside the 32-bit head; longer ones chain nodes of a fixed pool.
//
//   head = 0                     empty
//   head = reference             one
//   head = kNodeBit | node  ->  {reference, head of the rest}
//
// Used for the parents of a shadow page and for the writable mappings of a guest frame. When the pool is
// empty or the list long, add() fails and the caller drops an older reference, so no guest ever fails for it.
#pragma once

#include <span>

#include "pvops/base/panic.h"
#include "pvops/base/types.h"

namespace nopte::hv {

// A set of non-zero references below kNodeBit. Owned by whoever holds the head.
struct RefList {
  u32 head = 0;
  [[nodiscard]] bool empty() const { return head == 0; }
};

class RefPool {
 public:
  struct Node {
    u32 reference;
    u32 rest;
  };
  static constexpr u32 kNodeBit = u32{1} << 31;
  // Bounds every operation.
  static constexpr unsigned kMostMembers = 128;

  // Node 0 is not used. Precondition: nodes.size() < kNodeBit.
  void init(std::span<Node> nodes) {
    nodes_ = nodes;
    free_ = 0;
    fresh_ = 1;
  }

  [[nodiscard]] static bool single(RefList list) { return list.head != 0 && !(list.head & kNodeBit); }
  // Any one member. Precondition: not empty.
  [[nodiscard]] u32 first(RefList list) const {
    return list.head & kNodeBit ? nodes_[list.head & ~kNodeBit].reference : list.head;
  }

  // The list without first(). Precondition: not empty.
  [[nodiscard]] RefList rest(RefList list) const {
    return {list.head & kNodeBit ? nodes_[list.head & ~kNodeBit].rest : 0};
  }

  [[nodiscard]] bool contains(RefList list, u32 reference) const {
    for (; !list.empty(); list = rest(list)) {
      if (first(list) == reference) return true;
    }
    return false;
  }

  // Precondition: not a member. False when there is no node or the list has kMostMembers: it is unchanged.
  [[nodiscard]] bool add(RefList& list, u32 reference) {
    if (list.head == 0) {
      list.head = reference;
      return true;
    }
    unsigned members = 1;
    for (u32 at = list.head; at & kNodeBit; at = nodes_[at & ~kNodeBit].rest) {
      if (++members == kMostMembers) return false;
    }
    u32 node = free_;
    if (node != 0) {
      free_ = nodes_[node].rest;
    } else if (fresh_ < nodes_.size()) {
      node = fresh_++;
    } else {
      return false;
    }
    nodes_[node] = {reference, list.head};
    list.head = kNodeBit | node;
    return true;
  }

  // Precondition: a member.
  void remove(RefList& list, u32 reference) {
    u32* link = &list.head;
    while (true) {
      if (*link == reference) {  // the last one, without a node
        NOPTE_ASSERT(link == &list.head);
        *link = 0;
        return;
      }
      NOPTE_ASSERT(*link & kNodeBit);
      const u32 at = *link & ~kNodeBit;
      Node& node = nodes_[at];
      if (node.reference == reference) {
        *link = node.rest;
      } else if (node.rest == reference) {
        *link = node.reference;
      } else {
        link = &node.rest;
        continue;
      }
      release(at);
      return;
    }
  }

  // Takes any member out and gives it. Precondition: not empty.
  u32 pop(RefList& list) {
    if (!(list.head & kNodeBit)) {
      const u32 reference = list.head;
      list.head = 0;
      return reference;
    }
    const u32 at = list.head & ~kNodeBit;
    list.head = nodes_[at].rest;
    const u32 reference = nodes_[at].reference;
    release(at);
    return reference;
  }

 private:
  void release(u32 node) {
    nodes_[node] = {0, free_};
    free_ = node;
  }

  std::span<Node> nodes_;
  u32 free_ = 0;   // first node given back, chained by rest
  u32 fresh_ = 1;  // nodes from here on were never used
};

}  // namespace nopte::hv
