// Trees of regions that are made, or go, as a whole: nothing is searched for, nothing rebalanced.
//
// A copy has the shape of its original. Its nodes are copied in the order of their addresses, and each edge
// is made at its later end: a left child is there before its parent, a right child behind it.
//
//         D            B: its left child A is there, B-A; it is nobody's right child
//       /   \          C: the right child of B, B-C
//      B     E         D: its left child B is there, D-B
//     / \              E: the right child of D, D-E
//    A   C
#pragma once

#include "pvops/regions/region_node.h"

namespace nopte {

// Tree: a boost::intrusive set of RegionNode, linked by one of their hooks. While a tree is copied
// RegionNode::beside of each original is its copy.
template <class Tree>
struct TreeShape {
  using Hook = typename Tree::value_traits;
  using Nodes = typename Tree::node_traits;
  using NodePtr = typename Tree::node_ptr;

  // Links `copy` to what of the tree is there. Precondition: all originals below it have their copies.
  [[gnu::always_inline]] static void link(RegionNode& copy, RegionNode& original) {
    const NodePtr from = Hook::to_node_ptr(original);
    const NodePtr to = Hook::to_node_ptr(copy);
    Nodes::set_color(to, Nodes::get_color(from));
    Nodes::set_right(to, NodePtr());
    const NodePtr left = Nodes::get_left(from);
    if (left) {
      const NodePtr child = copy_of(left);
      Nodes::set_left(to, child);
      Nodes::set_parent(child, to);
    } else {
      Nodes::set_left(to, NodePtr());
    }
    const NodePtr parent = Nodes::get_parent(from);
    // The header's right is the last node, and its parent the root.
    if (Nodes::get_right(parent) == from && Nodes::get_parent(parent) != from) {
      const NodePtr above = copy_of(parent);
      Nodes::set_right(above, to);
      Nodes::set_parent(to, above);
    }
  }

  // When all nodes are linked. Precondition: `copy` is empty, and `original` is not.
  static void finish(Tree& copy, Tree& original) {
    const NodePtr from = original.end().pointed_node();
    const NodePtr header = copy.end().pointed_node();
    const NodePtr root = copy_of(Nodes::get_parent(from));
    Nodes::set_parent(root, header);
    Nodes::set_parent(header, root);
    Nodes::set_left(header, copy_of(Nodes::get_left(from)));
    Nodes::set_right(header, copy_of(Nodes::get_right(from)));
  }

  // Forgets all nodes; each is to be unlinked before it ends.
  static void forget(Tree& tree) { Tree::node_algorithms::init_header(tree.end().pointed_node()); }
  // Of a node in no tree, or in one that is forgotten or was not finished.
  static void unlink(RegionNode& node) { Nodes::set_parent(Hook::to_node_ptr(node), NodePtr()); }

 private:
  static NodePtr copy_of(NodePtr node) { return Hook::to_node_ptr(*Hook::to_value_ptr(node)->beside); }
};

}  // namespace nopte
