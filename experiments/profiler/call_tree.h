// Who called whom, as a tree: a node for each function below each different chain of callers. Counts are of
// the time since the last cut.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace profiler {

using Function = uint32_t;  // as the table numbers them (table.h)
using NodeId = uint32_t;

struct Node {
  NodeId parent = 0;
  Function function = 0;
  uint64_t instructions = 0;  // its own
  uint64_t calls = 0;
  bool touched = false;
};

class CallTree {
 public:
  static constexpr NodeId kRoot = 0;

  CallTree() : nodes_(1) {}

  // The node of `function` below `parent`, made when it is not there yet.
  NodeId child(NodeId parent, Function function) {
    const auto [found, fresh] =
        children_.try_emplace(uint64_t{parent} << 32 | function, static_cast<NodeId>(nodes_.size()));
    if (fresh) nodes_.push_back({parent, function});
    return found->second;
  }
  void count_instructions(NodeId node, uint64_t instructions) {
    nodes_[node].instructions += instructions;
    touch(node);
  }
  // It was counted, and had not been executed.
  void take_back_instruction(NodeId node) { --nodes_[node].instructions; }
  void count_call(NodeId node) {
    ++nodes_[node].calls;
    touch(node);
  }

  [[nodiscard]] const Node& operator[](NodeId node) const { return nodes_[node]; }
  [[nodiscard]] size_t nodes() const { return nodes_.size(); }

  // Gives every node that was counted since the last cut to `take`, and begins again at zero.
  template <typename Take>
  void cut(Take take) {
    for (const NodeId id : touched_) {
      Node& node = nodes_[id];
      take(id, node);
      node.instructions = node.calls = 0;
      node.touched = false;
    }
    touched_.clear();
  }

 private:
  void touch(NodeId node) {
    if (nodes_[node].touched) return;
    nodes_[node].touched = true;
    touched_.push_back(node);
  }

  std::vector<Node> nodes_;
  std::vector<NodeId> touched_;
  std::unordered_map<uint64_t, NodeId> children_;
};

}  // namespace profiler
