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
	type place struct {
		x nodeIndex
		node
	}
	var parents, leaves []place
	t.top.walk(t.root(), func(x nodeIndex, n node) bool {
		if n.leaf != nil {
			leaves = append(leaves, place{x, n})
		} else {
			parents = append(parents, place{x, n})
		}
		return true
	})
	t.rootHash() // so that from here on hashes are only read
	err := inParallel(len(parents), func(i int) error { return t.checkParent(parents[i].x, parents[i].parent) })
	if err != nil {
		return err
	}
	return inParallel(len(leaves), func(i int) error { return t.checkLeaf(groupID, leaves[i].x.leaf(), leaves[i].leaf) })
}

// checkKeys refuses keys that occur twice, and credentials not everyone supports.
func (t *ratchetTree) checkKeys() error {
	if kind, twice := t.census.repeated(); twice && kind == countSignatureKey {
		return invalid("7.3", "a signature key occurs twice in the tree")
	} else if twice {
		return invalid("7.3", "an encryption key occurs twice in the tree")
	}
	if !t.census.credentialsSupported() {
		return invalid("7.3", "a credential type in use is not supported by all members")
	}
	return nil
}

// checkLeaf checks a leaf and its signature.
func (t *ratchetTree) checkLeaf(groupID []byte, i LeafIndex, leaf *LeafNode) error {
	if err := leaf.check(t.suite); err != nil {
		return err
	}
	if !leaf.verifySignature(t.suite, groupID, i) {
		return fmt.Errorf("%w: leaf %d", ErrInvalidSignature, i)
	}
	return nil
}

// checkParent checks a parent's unmerged leaves, key and parent hash.
func (t *ratchetTree) checkParent(x nodeIndex, p *parentNode) error {
	if err := t.checkUnmerged(x, p); err != nil {
		return err
	}
	if !t.suite.validPublicKey(p.encryptionKey) {
		return invalid("7.1", "encryption key of node %d is not a key", x)
	}
	if !t.parentHashValid(x, p) {
		return invalid("7.9.2", "parent hash of node %d is not valid", x)
	}
	return nil
}

// checkUnmerged checks that the unmerged leaves of x are leaves below it that
// every parent in between knows as unmerged.
func (t *ratchetTree) checkUnmerged(x nodeIndex, p *parentNode) error {
	for k, i := range p.unmerged {
		if k > 0 && p.unmerged[k-1] == i {
			return invalid("7.1", "unmerged leaf %d occurs twice at node %d", i, x)
		}
		if !x.covers(i) {
			return invalid("12.4.3.1", "unmerged leaf %d of node %d is not a leaf below it", i, x)
		}
		s, y := t.at(x), x
		for !y.isLeaf() && s != nil {
			if s.parent != nil {
				if _, known := slices.BinarySearch(s.parent.unmerged, i); !known {
					return invalid("12.4.3.1", "leaf %d is unmerged at node %d but not at %d", i, x, y)
				}
			}
			s, y = s.childTo(y, i), y.childTo(i)
		}
		if s == nil || s.leaf == nil {
			return invalid("12.4.3.1", "unmerged leaf %d of node %d is blank", i, x)
		}
	}
	return nil
}

// parentHashValid tells whether the parent x is parent-hash valid (§7.9.2):
// for one of its children C, a node D of C's resolution carries x's parent
// hash, and the rest of that resolution is just x's unmerged leaves below C.
func (t *ratchetTree) parentHashValid(x nodeIndex, p *parentNode) bool {
	left, right := x.left(), x.right()
	return t.parentHashChained(p, left, right) || t.parentHashChained(p, right, left)
}

func (t *ratchetTree) parentHashChained(p *parentNode, child, sibling nodeIndex) bool {
	first, n := child.span()
	from, _ := slices.BinarySearch(p.unmerged, first)
	to, _ := slices.BinarySearch(p.unmerged, first+LeafIndex(n))
	below := p.unmerged[from:to]
	if int(t.at(child).resolution()) != len(below)+1 {
		return false
	}
	d, alone := theOther(t.resolution(child), below)
	return alone && bytes.Equal(t.node(d).parentHash(), t.parentHashOf(p, sibling))
}

// theOther finds the node of a resolution that is not among these leaves (ascending),
// where there is exactly one.
func theOther(res []nodeIndex, leaves []LeafIndex) (d nodeIndex, alone bool) {
	for _, x := range res {
		if x.isLeaf() {
			if _, is := slices.BinarySearch(leaves, x.leaf()); is {
				continue
			}
		}
		if alone {
			return 0, false
		}
		d, alone = x, true
	}
	return d, alone
}
