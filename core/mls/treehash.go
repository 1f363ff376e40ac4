package mls

import "slices"

// hash returns the tree hash of the subtree at x (RFC 9420 §7.8).
func (t *ratchetTree) hash(x nodeIndex) []byte {
	if t.hashes[x] == nil {
		var left, right []byte
		if !x.isLeaf() {
			left, right = t.hash(x.left()), t.hash(x.right())
		}
		t.hashes[x] = t.hashNode(x, t.nodes[x], left, right)
	}
	return t.hashes[x]
}

func (t *ratchetTree) rootHash() []byte { return t.hash(t.root()) }

func (t *ratchetTree) hashNode(x nodeIndex, n node, left, right []byte) []byte {
	var w writer
	if x.isLeaf() {
		w.u8(nodeTypeLeaf)
		w.u32(uint32(x.leaf()))
		w.optional(n.leaf != nil)
		if n.leaf != nil {
			return t.suite.digest(w.b, n.leaf.raw)
		}
		return t.suite.digest(w.b)
	}
	w.u8(nodeTypeParent)
	w.optional(n.parent != nil)
	if n.parent != nil {
		n.parent.encode(&w)
	}
	w.vec(left)
	w.vec(right)
	return t.suite.digest(w.b)
}

// hashWithout is the tree hash of x as it was before the leaves of without
// (ascending) were added (§7.9): they are blank and unmerged nowhere.
func (t *ratchetTree) hashWithout(x nodeIndex, without []LeafIndex) []byte {
	first, n := x.span()
	from, _ := slices.BinarySearch(without, first)
	to, _ := slices.BinarySearch(without, first+LeafIndex(n))
	without = without[from:to]
	if len(without) == 0 {
		return t.hash(x)
	}
	if x.isLeaf() {
		return t.hashNode(x, node{}, nil, nil)
	}
	at := t.nodes[x]
	if at.parent != nil {
		p := *at.parent
		p.unmerged = slices.DeleteFunc(slices.Clone(p.unmerged), func(i LeafIndex) bool {
			return slices.Contains(without, i)
		})
		at.parent = &p
	}
	return t.hashNode(x, at, t.hashWithout(x.left(), without), t.hashWithout(x.right(), without))
}

// parentHashOf is the parent hash (§7.9) that a child of x has where sibling is
// the other child.
func (t *ratchetTree) parentHashOf(x nodeIndex, sibling nodeIndex) []byte {
	p := t.nodes[x].parent
	var w writer
	w.vec(p.encryptionKey)
	w.vec(p.parentHash)
	w.vec(t.hashWithout(sibling, p.unmerged))
	return t.suite.digest(w.b)
}
