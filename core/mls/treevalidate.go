package mls

import (
	"bytes"
	"fmt"
	"slices"
)

// validate checks a tree that came from outside as RFC 9420 §12.4.3.1 asks,
// but for what the group context and the authentication service have to say.
func (t *ratchetTree) validate(groupID []byte) error {
	if err := t.checkKeys(); err != nil {
		return err
	}
	for x, n := range t.nodes {
		if n.parent == nil {
			continue
		}
		if err := t.checkUnmerged(nodeIndex(x)); err != nil {
			return err
		}
		if !t.suite.validPublicKey(n.parent.encryptionKey) {
			return invalid("7.1", "encryption key of node %d is not a key", x)
		}
		if !t.parentHashValid(nodeIndex(x)) {
			return invalid("7.9.2", "parent hash of node %d is not valid", x)
		}
	}
	return t.checkLeaves(groupID)
}

// checkKeys refuses keys that occur twice, and credentials not everyone supports.
func (t *ratchetTree) checkKeys() error {
	for k, n := range t.census.base {
		switch {
		case k.kind == countEncryptionKey && n > 1:
			return invalid("7.3", "an encryption key occurs twice in the tree")
		case k.kind == countSignatureKey && n > 1:
			return invalid("7.3", "a signature key occurs twice in the tree")
		}
	}
	if !t.census.credentialsSupported() {
		return invalid("7.3", "a credential type in use is not supported by all members")
	}
	return nil
}

// checkLeaves checks every leaf and its signature, over all cores.
func (t *ratchetTree) checkLeaves(groupID []byte) error {
	return inParallel(int(t.leaves()), func(i int) error { return t.checkLeaf(groupID, LeafIndex(i)) })
}

func (t *ratchetTree) checkLeaf(groupID []byte, i LeafIndex) error {
	leaf := t.leaf(i)
	if leaf == nil {
		return nil
	}
	if err := leaf.check(t.suite); err != nil {
		return err
	}
	if !leaf.verifySignature(t.suite, groupID, i) {
		return fmt.Errorf("%w: leaf %d", ErrInvalidSignature, i)
	}
	return nil
}

// checkUnmerged checks that the unmerged leaves of x are leaves below it that
// every parent in between knows as unmerged.
func (t *ratchetTree) checkUnmerged(x nodeIndex) error {
	for k, i := range t.nodes[x].parent.unmerged {
		if k > 0 && t.nodes[x].parent.unmerged[k-1] == i {
			return invalid("7.1", "unmerged leaf %d occurs twice at node %d", i, x)
		}
		if t.leaf(i) == nil || !x.covers(i) {
			return invalid("12.4.3.1", "unmerged leaf %d of node %d is not a leaf below it", i, x)
		}
		for y := i.node().parent(); y != x; y = y.parent() {
			if p := t.nodes[y].parent; p != nil && !slices.Contains(p.unmerged, i) {
				return invalid("12.4.3.1", "leaf %d is unmerged at node %d but not at %d", i, x, y)
			}
		}
	}
	return nil
}

// parentHashValid tells whether the parent x is parent-hash valid (§7.9.2):
// for one of its children C, a node D of C's resolution carries x's parent
// hash, and the rest of that resolution is just x's unmerged leaves below C.
func (t *ratchetTree) parentHashValid(x nodeIndex) bool {
	left, right := x.left(), x.right()
	return t.parentHashChained(x, left, right) || t.parentHashChained(x, right, left)
}

func (t *ratchetTree) parentHashChained(x, child, sibling nodeIndex) bool {
	res := t.resolution(child, nil)
	var below []nodeIndex
	for _, i := range t.nodes[x].parent.unmerged {
		if child.covers(i) {
			below = append(below, i.node())
		}
	}
	if len(res) != len(below)+1 {
		return false
	}
	want := t.parentHashOf(x, sibling)
	for _, d := range res {
		if !bytes.Equal(t.nodes[d].parentHash(), want) {
			continue
		}
		rest := slices.DeleteFunc(slices.Clone(res), func(y nodeIndex) bool { return y == d })
		slices.Sort(rest)
		if slices.Equal(rest, below) {
			return true
		}
	}
	return false
}
