package mls

import "slices"

// ratchetTree is the tree of RFC 9420 §7: a full binary tree of places.
type ratchetTree struct {
	suite  *suite
	height int // of the root above the leaves
	top    *subtree
	census *census
}

// newTree returns a tree of this many leaves (a power of two), all blank.
func newTree(s *suite, leaves uint32) *ratchetTree {
	return &ratchetTree{suite: s, height: rootOf(leaves).level(), census: newCensus()}
}

// treeOf makes a tree of its array form, which may lack blanks at its end, and
// of what its leaves were read with.
func treeOf(s *suite, nodes []node, lists interner) *ratchetTree {
	t := newTree(s, treeSize(len(nodes)/2+1))
	t.top = build(nodes, t.root())
	t.census = censusOf(nodes, lists)
	return t
}

// clone costs nothing: what it has in common with t is shared.
func (t *ratchetTree) clone() *ratchetTree {
	return &ratchetTree{suite: t.suite, height: t.height, top: t.top, census: t.census.fork()}
}

// leaves is the number of leaf places.
func (t *ratchetTree) leaves() uint32 { return 1 << t.height }

func (t *ratchetTree) root() nodeIndex { return rootOf(t.leaves()) }

// has tells whether x is in the tree, blank or not.
func (t *ratchetTree) has(x nodeIndex) bool { return uint64(x) < 2*uint64(t.leaves())-1 }

// at returns the subtree of root x, nil where there is none.
func (t *ratchetTree) at(x nodeIndex) *subtree {
	if !t.has(x) {
		return nil
	}
	s := t.top
	for at := t.root(); at != x && s != nil; {
		if x < at {
			s, at = s.left, at.left()
		} else {
			s, at = s.right, at.right()
		}
	}
	return s
}

// node returns the node at x, blank where the tree has none.
func (t *ratchetTree) node(x nodeIndex) node {
	n, _, _ := t.at(x).parts()
	return n
}

func (t *ratchetTree) leaf(i LeafIndex) *LeafNode {
	if uint64(i) >= uint64(t.leaves()) {
		return nil
	}
	return t.node(i.node()).leaf
}

func (t *ratchetTree) set(x nodeIndex, n node) {
	t.census.replace(t.node(x), n)
	t.top = t.top.with(t.root(), x, n)
}

// changePath changes a leaf and its ancestors, the root first.
func (t *ratchetTree) changePath(i LeafIndex, f func(nodeIndex, node) node) {
	t.top = t.top.withPath(t.root(), i, func(x nodeIndex, old node) node {
		n := f(x, old)
		t.census.replace(old, n)
		return n
	})
}

// setLeaf puts a leaf at a place and blanks its ancestors.
func (t *ratchetTree) setLeaf(i LeafIndex, leaf *LeafNode) {
	t.changePath(i, func(x nodeIndex, _ node) node {
		if x.isLeaf() {
			return node{leaf: leaf}
		}
		return node{}
	})
}

// update replaces a leaf by an Update proposal (§12.1.2).
func (t *ratchetTree) update(i LeafIndex, leaf *LeafNode) { t.setLeaf(i, t.own(leaf)) }

// remove blanks a leaf and its path and lets the tree shrink (§7.7, §12.1.3).
func (t *ratchetTree) remove(i LeafIndex) {
	t.setLeaf(i, nil)
	t.shrink()
}

// own returns a copy of a leaf that shares no memory with the message it came in,
// but what it can with the tree.
func (t *ratchetTree) own(leaf *LeafNode) *LeafNode { return leaf.detach(t.census.lists) }

// shrink halves the tree while its right half is blank.
func (t *ratchetTree) shrink() {
	for t.height > 0 {
		_, left, right := t.top.parts()
		if right.resolution() > 0 {
			return
		}
		t.top, t.height = left, t.height-1
	}
}

// grow extends the tree to this many leaves, a power of two.
func (t *ratchetTree) grow(leaves uint32) {
	for t.leaves() < leaves {
		t.top, t.height = newSubtree(node{}, t.top, nil), t.height+1
	}
}

// vacancy finds the leftmost blank place, where the tree grows if there is none,
// for a leaf that is going to be put there (§7.7).
func (t *ratchetTree) vacancy() LeafIndex {
	if t.top.size() == t.leaves() {
		t.grow(2 * t.leaves())
	}
	s, x := t.top, t.root()
	for !x.isLeaf() && s != nil {
		if _, n := x.left().span(); s.left.size() < n {
			s, x = s.left, x.left()
		} else {
			s, x = s.right, x.right()
		}
	}
	first, _ := x.span()
	return first
}

// add puts a leaf at the leftmost blank place (§12.1.1).
func (t *ratchetTree) add(leaf *LeafNode) LeafIndex {
	i := t.vacancy()
	leaf = t.own(leaf)
	t.changePath(i, func(x nodeIndex, old node) node {
		switch {
		case x.isLeaf():
			return node{leaf: leaf}
		case old.parent == nil:
			return old
		}
		p := *old.parent
		at, _ := slices.BinarySearch(p.unmerged, i)
		p.unmerged = slices.Insert(slices.Clone(p.unmerged), at, i)
		return node{parent: &p}
	})
	return i
}

// resolution returns the resolution of x (§4.1.1).
func (t *ratchetTree) resolution(x nodeIndex) []nodeIndex { return t.at(x).resolve(x, nil) }

// pathStep is a node of a filtered direct path with its child on the copath.
type pathStep struct{ node, copath nodeIndex }

// filteredPath returns the filtered direct path of a leaf (§4.1.2), bottom up.
func (t *ratchetTree) filteredPath(i LeafIndex) []pathStep {
	var steps []pathStep
	s := t.top
	for x := t.root(); !x.isLeaf(); {
		_, left, right := s.parts()
		copath, other := x.right(), right
		s = left
		if i.node() > x {
			copath, other, s = x.left(), left, right
		}
		if other.resolution() > 0 {
			steps = append(steps, pathStep{x, copath})
		}
		x = copath.sibling()
	}
	slices.Reverse(steps)
	return steps
}

// members calls f for each leaf that is not blank until it returns false.
func (t *ratchetTree) members(f func(LeafIndex, *LeafNode) bool) {
	t.top.walk(t.root(), func(x nodeIndex, n node) bool {
		return n.leaf == nil || f(x.leaf(), n.leaf)
	})
}

// differences calls f for each node of next that t does not have, blanks included.
func (t *ratchetTree) differences(next *ratchetTree, f func(nodeIndex, node)) {
	height := max(t.height, next.height)
	differ(t.raised(height), next.raised(height), rootOf(1<<height), f)
}

// raised is the tree under as many blank roots as make it this high.
func (t *ratchetTree) raised(height int) *subtree {
	s := t.top
	for range height - t.height {
		s = &subtree{left: s}
	}
	return s
}
