#include "pvops/regions/gap_index.h"

namespace nopte {

void GapIndex::put_in(RegionNode& node) {
  classes_[static_cast<unsigned>(node.gap_class)].insert(node);
  non_empty_ |= u64{1} << node.gap_class;
}

void GapIndex::take_out(RegionNode& node) {
  Class& set = classes_[static_cast<unsigned>(node.gap_class)];
  set.erase(set.iterator_to(node));
  if (set.empty()) non_empty_ &= ~(u64{1} << node.gap_class);
}

void GapIndex::update(RegionNode& node, u64 gap_pages) {
  const int wanted = class_of(gap_pages);
  if (wanted == node.gap_class) return;
  remove(node);
  if (wanted < 0) return;
  node.gap_class = wanted;
  if (hot_ == nullptr) {
    hot_ = &node;
  } else {
    put_in(node);
  }
}

void GapIndex::remove(RegionNode& node) {
  if (node.gap_class < 0) return;
  if (hot_ == &node) {
    hot_ = nullptr;
  } else {
    take_out(node);
  }
  node.gap_class = -1;
}

void GapIndex::finish_copy(GapIndex& from) {
  non_empty_ = from.non_empty_;
  for (u64 left = non_empty_; left != 0; left &= left - 1) {
    const auto n = static_cast<unsigned>(std::countr_zero(left));
    TreeShape<Class>::finish(classes_[n], from.classes_[n]);
  }
  hot_ = from.hot_ == nullptr ? nullptr : from.hot_->beside;
}

void GapIndex::forget() {
  for (; non_empty_ != 0; non_empty_ &= non_empty_ - 1) {
    TreeShape<Class>::forget(classes_[static_cast<unsigned>(std::countr_zero(non_empty_))]);
  }
  hot_ = nullptr;
}

void GapIndex::hand_over(RegionNode& from, RegionNode& to, u64 gap_pages) {
  const int wanted = class_of(gap_pages);
  if (wanted < 0 || from.gap_class < 0) return update(to, gap_pages);
  remove(to);
  if (hot_ != &from) {
    take_out(from);
    if (hot_ != nullptr) put_in(*hot_);
  }
  from.gap_class = -1;
  to.gap_class = wanted;
  hot_ = &to;
}

}  // namespace nopte
