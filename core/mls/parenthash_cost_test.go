package mls

import (
	"slices"
	"testing"
)

// TestParentHashCost has a parent whose hash a whole half of the tree carries, so
// that each leaf there may be the one that it is checked by.
func TestParentHashCost(t *testing.T) {
	const n = 1024
	s, err := suiteOf(SuiteX25519)
	if err != nil {
		t.Fatal(err)
	}
	p := &parentNode{encryptionKey: []byte("parent")}
	for i := range LeafIndex(n - 1) {
		p.unmerged = append(p.unmerged, i)
	}
	tree := func(parentHash []byte) *ratchetTree {
		nodes := make([]node, 2*n+1)
		for i := range LeafIndex(n) {
			nodes[i.node()].leaf = &LeafNode{parentHash: slices.Clone(parentHash)}
		}
		nodes[2*n] = node{leaf: &LeafNode{}}
		nodes[2*n-1] = node{parent: p}
		return treeOf(s, nodes, nil)
	}
	r := tree(nil)
	root := r.root()
	want := r.parentHashOf(p, root.right())
	r = tree(want)
	r.rootHash()
	valid := false
	allocs := testing.AllocsPerRun(5, func() { valid = r.parentHashValid(root, p) })
	if !valid {
		t.Error("the last leaf has the parent's hash and all others are unmerged, and yet it is not valid")
	}
	if allocs > n/2 {
		t.Errorf("%v allocations for %d leaves", allocs, n)
	}
	p.unmerged = p.unmerged[1:]
	if r.parentHashValid(root, p) {
		t.Error("valid with a leaf below that is neither merged nor unmerged")
	}
}
