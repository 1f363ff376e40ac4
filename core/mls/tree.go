package mls

import (
	"slices"
)

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
	if n.leaf != nil {
		return n.leaf.parentHash
	}
	return n.parent.parentHash
}

// parentNode is ParentNode of RFC 9420 §7.1. Immutable once in a tree.
type parentNode struct {
	encryptionKey []byte
	parentHash    []byte
	unmerged      []LeafIndex // ascending
}

// ratchetTree is the tree of §7: a full binary tree in array form whose nodes
// are immutable, so that a clone costs one copy of the pointers. hashes caches
// tree hashes; where one is nil, so are those of all its ancestors.
type ratchetTree struct {
	suite      *suite
	nodes      []node
	hashes     [][]byte
	census     *census
	firstBlank LeafIndex // no blank leaf is left of it
}

// newTree returns a tree of this many leaves (a power of two), all blank.
func newTree(s *suite, leaves uint32) *ratchetTree {
	return &ratchetTree{
		suite: s, nodes: make([]node, 2*leaves-1), hashes: make([][]byte, 2*leaves-1), census: newCensus(),
	}
}

func (t *ratchetTree) clone() *ratchetTree {
	return &ratchetTree{
		suite: t.suite, nodes: slices.Clone(t.nodes), hashes: slices.Clone(t.hashes),
		census: t.census.fork(), firstBlank: t.firstBlank,
	}
}

// leaves is the number of leaf places.
func (t *ratchetTree) leaves() uint32 { return uint32(len(t.nodes)+1) / 2 }

func (t *ratchetTree) root() nodeIndex { return rootOf(t.leaves()) }

func (t *ratchetTree) leaf(i LeafIndex) *LeafNode {
	if uint64(i) >= uint64(t.leaves()) {
		return nil
	}
	return t.nodes[i.node()].leaf
}

func (t *ratchetTree) set(x nodeIndex, n node) {
	t.census.addNode(t.nodes[x], -1)
	t.census.addNode(n, 1)
	t.nodes[x] = n
	if x.isLeaf() && n.blank() {
		t.firstBlank = min(t.firstBlank, x.leaf())
	}
	for t.hashes[x] != nil {
		t.hashes[x] = nil
		if x == t.root() {
			break
		}
		x = x.parent()
	}
}

// blankPath blanks the ancestors of a leaf.
func (t *ratchetTree) blankPath(i LeafIndex) {
	for _, x := range directPath(i.node(), t.leaves()) {
		if !t.nodes[x].blank() {
			t.set(x, node{})
		}
	}
}

// update replaces a leaf by an Update proposal (§12.1.2).
func (t *ratchetTree) update(i LeafIndex, leaf *LeafNode) {
	t.set(i.node(), node{leaf: leaf.detach()})
	t.blankPath(i)
}

// remove blanks a leaf and its path and lets the tree shrink (§7.7, §12.1.3).
func (t *ratchetTree) remove(i LeafIndex) {
	t.set(i.node(), node{})
	t.blankPath(i)
	t.shrink()
}

// shrink halves the tree while its right half is blank.
func (t *ratchetTree) shrink() {
	for t.leaves() > 1 && !t.occupied(t.root().right()) {
		t.nodes = t.nodes[:len(t.nodes)/2]
		t.hashes = t.hashes[:len(t.nodes)]
	}
}

// grow extends the tree to this many leaves, a power of two.
func (t *ratchetTree) grow(leaves uint32) {
	more := int(2*leaves-1) - len(t.nodes)
	t.nodes = append(t.nodes, make([]node, more)...)
	t.hashes = append(t.hashes, make([][]byte, more)...)
}

// vacancy finds the leftmost blank place, where the tree grows if there is none,
// for a leaf that is going to be put there (§7.7).
func (t *ratchetTree) vacancy() LeafIndex {
	i := t.firstBlank
	for t.leaf(i) != nil {
		i++
	}
	t.firstBlank = i + 1
	if uint32(i) >= t.leaves() {
		t.grow(2 * t.leaves())
	}
	return i
}

// add puts a leaf at the leftmost blank place (§12.1.1).
func (t *ratchetTree) add(leaf *LeafNode) LeafIndex {
	i := t.vacancy()
	t.set(i.node(), node{leaf: leaf.detach()})
	for _, x := range directPath(i.node(), t.leaves()) {
		if p := t.nodes[x].parent; p != nil {
			q := *p
			at, _ := slices.BinarySearch(p.unmerged, i)
			q.unmerged = slices.Insert(slices.Clone(p.unmerged), at, i)
			t.set(x, node{parent: &q})
		}
	}
	return i
}

// occupied tells whether a node under x, or x, is not blank: whether the
// resolution of x is not empty.
func (t *ratchetTree) occupied(x nodeIndex) bool {
	first, n := x.span()
	if !t.nodes[x].blank() {
		return true
	}
	// A parent that is not blank has a leaf below it, so the leaves tell.
	for i := range n {
		if t.nodes[(first+LeafIndex(i)).node()].leaf != nil {
			return true
		}
	}
	return false
}

// resolution appends the resolution of x (§4.1.1) to out.
func (t *ratchetTree) resolution(x nodeIndex, out []nodeIndex) []nodeIndex {
	switch n := t.nodes[x]; {
	case n.leaf != nil:
		return append(out, x)
	case n.parent != nil:
		out = append(out, x)
		for _, i := range n.parent.unmerged {
			out = append(out, i.node())
		}
		return out
	case x.isLeaf():
		return out
	default:
		return t.resolution(x.right(), t.resolution(x.left(), out))
	}
}

// pathStep is a node of a filtered direct path with its child on the copath.
type pathStep struct{ node, copath nodeIndex }

// filteredPath returns the filtered direct path of a leaf (§4.1.2), bottom up.
func (t *ratchetTree) filteredPath(i LeafIndex) []pathStep {
	var steps []pathStep
	for x := i.node(); x != t.root(); x = x.parent() {
		if t.occupied(x.sibling()) {
			steps = append(steps, pathStep{x.parent(), x.sibling()})
		}
	}
	return steps
}

// members calls f for each leaf that is not blank until it returns false.
func (t *ratchetTree) members(f func(LeafIndex, *LeafNode) bool) {
	for x := 0; x < len(t.nodes); x += 2 {
		if l := t.nodes[x].leaf; l != nil && !f(nodeIndex(x).leaf(), l) {
			return
		}
	}
}
