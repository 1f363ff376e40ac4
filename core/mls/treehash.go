package mls

import (
	"hash"
	"slices"
)

// treeHasher computes tree hashes (RFC 9420 §7.8) with one hash and one buffer.
// Several may work on disjoint subtrees at a time.
type treeHasher struct {
	nh int
	h  hash.Hash
	w  writer
}

func (s *suite) newTreeHasher() *treeHasher { return &treeHasher{nh: s.nh, h: s.hash()} }

// leaf appends the hash of a leaf, nil for a blank one.
func (t *treeHasher) leaf(out []byte, i LeafIndex, leaf *LeafNode) []byte {
	t.w.b = t.w.b[:0]
	t.w.u8(nodeTypeLeaf)
	t.w.u32(uint32(i))
	t.w.optional(leaf != nil)
	t.h.Reset()
	t.h.Write(t.w.b)
	if leaf != nil {
		t.h.Write(leaf.raw)
	}
	return t.h.Sum(out)
}

// parent appends the hash of a parent, nil for a blank one, over its halves' hashes.
func (t *treeHasher) parent(out []byte, p *parentNode, left, right []byte) []byte {
	t.w.b = t.w.b[:0]
	t.w.u8(nodeTypeParent)
	t.w.optional(p != nil)
	if p != nil {
		p.encode(&t.w)
	}
	t.w.vec(left)
	t.w.vec(right)
	t.h.Reset()
	t.h.Write(t.w.b)
	return t.h.Sum(out)
}

// of gives the hash of the subtree that is, or will be, at *s.
func (t *treeHasher) of(s **subtree, x nodeIndex) []byte {
	if x.isLeaf() {
		// Not kept: a leaf is hashed in no time, and most are hashed only once.
		n, _, _ := (*s).parts()
		return t.leaf(make([]byte, 0, t.nh), x.leaf(), n.leaf)
	}
	if *s == nil {
		*s = &subtree{hash: t.blanks(make([]byte, 0, t.nh), x)}
	}
	return t.under(*s, x)
}

// under gives the hash of a parent's subtree and keeps it.
func (t *treeHasher) under(s *subtree, x nodeIndex) []byte {
	if s.hash == nil {
		left, right := t.of(&s.left, x.left()), t.of(&s.right, x.right())
		s.hash = t.parent(make([]byte, 0, t.nh), s.parent, left, right)
	}
	return s.hash
}

// blanks appends the hash of a subtree of blanks.
func (t *treeHasher) blanks(out []byte, x nodeIndex) []byte {
	if x.isLeaf() {
		return t.leaf(out, x.leaf(), nil)
	}
	var left, right [64]byte
	return t.parent(out, nil, t.blanks(left[:0], x.left()), t.blanks(right[:0], x.right()))
}

// without is the hash of x as it was before the leaves of added (ascending)
// came (§7.9): they are blank and unmerged nowhere.
func (t *treeHasher) without(s **subtree, x nodeIndex, added []LeafIndex) []byte {
	first, n := x.span()
	from, _ := slices.BinarySearch(added, first)
	to, _ := slices.BinarySearch(added, first+LeafIndex(n))
	added = added[from:to]
	if len(added) == 0 {
		return t.of(s, x)
	}
	if x.isLeaf() {
		return t.leaf(nil, x.leaf(), nil)
	}
	at, left, right := (*s).parts()
	if at.parent != nil {
		p := *at.parent
		p.unmerged = slices.DeleteFunc(slices.Clone(p.unmerged), func(i LeafIndex) bool {
			_, is := slices.BinarySearch(added, i)
			return is
		})
		at.parent = &p
	}
	return t.parent(nil, at.parent, t.without(&left, x.left(), added), t.without(&right, x.right(), added))
}

// parallelHashing is how many members make it worth hashing on all cores.
const parallelHashing = 512

// rootHash returns the tree hash of the whole tree.
func (t *ratchetTree) rootHash() []byte {
	if t.top != nil && t.top.hash == nil && t.top.members >= parallelHashing {
		t.hashInParallel()
	}
	return t.suite.newTreeHasher().of(&t.top, t.root())
}

// hashInParallel hashes the subtrees some levels below the root that are not hashed yet.
func (t *ratchetTree) hashInParallel() {
	type job struct {
		s *subtree
		x nodeIndex
	}
	jobs := []job{{t.top, t.root()}}
	for range 5 {
		var below []job
		for _, j := range jobs {
			for _, half := range []job{{j.s.left, j.x.left()}, {j.s.right, j.x.right()}} {
				if half.s != nil && half.s.hash == nil {
					below = append(below, half)
				}
			}
		}
		jobs = below
	}
	_ = inParallel(len(jobs), func(i int) error {
		t.suite.newTreeHasher().under(jobs[i].s, jobs[i].x)
		return nil
	})
}

// hash returns the tree hash of the subtree at x.
func (t *ratchetTree) hash(x nodeIndex) []byte {
	s := t.at(x)
	return t.suite.newTreeHasher().of(&s, x)
}

// parentHashOf is the parent hash (§7.9) that a child of p has, where sibling is
// the root of p's other half.
func (t *ratchetTree) parentHashOf(p *parentNode, sibling nodeIndex) []byte {
	s := t.at(sibling)
	var w writer
	w.vec(p.encryptionKey)
	w.vec(p.parentHash)
	w.vec(t.suite.newTreeHasher().without(&s, sibling, p.unmerged))
	return t.suite.digest(w.b)
}
