package mls

import "slices"

// node is a place in the ratchet tree: a leaf, a parent, or blank.
type node struct {
	leaf   *LeafNode
	parent *parentNode
}

func (n node) blank() bool { return n.leaf == nil && n.parent == nil }

func (n node) encryptionKey() []byte {
	if n.leaf != nil {
		return n.leaf.EncryptionKey
	}
	return n.parent.encryptionKey
}

func (n node) parentHash() []byte {
	switch {
	case n.leaf != nil:
		return n.leaf.parentHash
	case n.parent != nil:
		return n.parent.parentHash
	default:
		return nil
	}
}

// fits tells whether a node may be at x: a leaf at a leaf's place, a parent at a parent's.
func (n node) fits(x nodeIndex) bool {
	return n.blank() || (n.leaf != nil) == x.isLeaf()
}

// parentNode is ParentNode of RFC 9420 §7.1. Immutable once in a tree.
type parentNode struct {
	encryptionKey []byte
	parentHash    []byte
	unmerged      []LeafIndex // ascending
}

// subtree is a node with everything below it; nil is a subtree of blanks. But for
// the hash that it keeps once asked for, it never changes: a change makes a new
// one that shares all it can, so that trees of successive epochs differ by the
// paths that were touched and a copy of a tree costs nothing.
type subtree struct {
	node
	left, right *subtree
	hash        []byte // tree hash of a parent, nil until asked for
	members     uint32 // leaves that are not blank
	resolved    uint32 // length of the resolution
}

func newSubtree(n node, left, right *subtree) *subtree {
	if n.blank() && left == nil && right == nil {
		return nil
	}
	s := &subtree{node: n, left: left, right: right, members: left.size() + right.size()}
	switch {
	case n.leaf != nil:
		s.members, s.resolved = 1, 1
	case n.parent != nil:
		s.resolved = 1 + uint32(len(n.parent.unmerged))
	default:
		s.resolved = left.resolution() + right.resolution()
	}
	return s
}

// size is the number of leaves that are not blank.
func (s *subtree) size() uint32 {
	if s == nil {
		return 0
	}
	return s.members
}

func (s *subtree) resolution() uint32 {
	if s == nil {
		return 0
	}
	return s.resolved
}

// parts gives the node and both halves, all blank where s is nil.
func (s *subtree) parts() (node, *subtree, *subtree) {
	if s == nil {
		return node{}, nil, nil
	}
	return s.node, s.left, s.right
}

// childTo is the half of a subtree of root at that a leaf is in.
func (s *subtree) childTo(at nodeIndex, leaf LeafIndex) *subtree {
	if leaf.node() < at {
		return s.left
	}
	return s.right
}

// build makes the subtree of root x from the array form, which may lack blanks at its end.
func build(nodes []node, x nodeIndex) *subtree {
	first, _ := x.span()
	if int(first.node()) >= len(nodes) {
		return nil
	}
	var left, right *subtree
	if !x.isLeaf() {
		left, right = build(nodes, x.left()), build(nodes, x.right())
	}
	if int(x) >= len(nodes) {
		return newSubtree(node{}, left, right)
	}
	return newSubtree(nodes[x], left, right)
}

// with returns the subtree of root at with n in place of its node x.
func (s *subtree) with(at, x nodeIndex, n node) *subtree {
	old, left, right := s.parts()
	switch {
	case x < at:
		return newSubtree(old, left.with(at.left(), x, n), right)
	case x > at:
		return newSubtree(old, left, right.with(at.right(), x, n))
	default:
		return newSubtree(n, left, right)
	}
}

// withPath returns the subtree of root at with every node from there down to a
// leaf changed by f, which is called in this order.
func (s *subtree) withPath(at nodeIndex, i LeafIndex, f func(nodeIndex, node) node) *subtree {
	old, left, right := s.parts()
	n := f(at, old)
	switch {
	case i.node() < at:
		left = left.withPath(at.left(), i, f)
	case i.node() > at:
		right = right.withPath(at.right(), i, f)
	}
	return newSubtree(n, left, right)
}

// walk calls f for each node that is not blank, in the order of the array form,
// until it returns false.
func (s *subtree) walk(at nodeIndex, f func(nodeIndex, node) bool) bool {
	if s == nil {
		return true
	}
	if !at.isLeaf() && !s.left.walk(at.left(), f) || !s.blank() && !f(at, s.node) {
		return false
	}
	return at.isLeaf() || s.right.walk(at.right(), f)
}

// differ calls f for each node in which s and t, both of root at, differ, with that of t.
func differ(s, t *subtree, at nodeIndex, f func(nodeIndex, node)) {
	if s == t {
		return
	}
	old, sLeft, sRight := s.parts()
	n, tLeft, tRight := t.parts()
	if !at.isLeaf() {
		differ(sLeft, tLeft, at.left(), f)
	}
	if n != old {
		f(at, n)
	}
	if !at.isLeaf() {
		differ(sRight, tRight, at.right(), f)
	}
}

// resolve appends the resolution of s, of root at, to out (§4.1.1).
func (s *subtree) resolve(at nodeIndex, out []nodeIndex) []nodeIndex {
	switch {
	case s.resolution() == 0:
		return out
	case s.leaf != nil:
		return append(out, at)
	case s.parent != nil:
		out = append(out, at)
		for _, i := range s.parent.unmerged {
			out = append(out, i.node())
		}
		return out
	default:
		return s.right.resolve(at.right(), s.left.resolve(at.left(), slices.Grow(out, int(s.resolved))))
	}
}
