package mls

import "math/bits"

// nodeIndex is a node of the array form of a full binary tree (RFC 9420
// appendix C): leaves at the even places, the root of n leaves at n-1.
type nodeIndex uint32

func (i LeafIndex) node() nodeIndex { return nodeIndex(2 * i) }

func (x nodeIndex) isLeaf() bool    { return x&1 == 0 }
func (x nodeIndex) leaf() LeafIndex { return LeafIndex(x / 2) }

// level is the height above the leaves.
func (x nodeIndex) level() int { return bits.TrailingZeros32(^uint32(x)) }

// left and right are the children of a parent node.
func (x nodeIndex) left() nodeIndex  { return x ^ 1<<(x.level()-1) }
func (x nodeIndex) right() nodeIndex { return x ^ 3<<(x.level()-1) }

// childTo is the child of a parent node on the way to a leaf below it.
func (x nodeIndex) childTo(leaf LeafIndex) nodeIndex {
	if leaf.node() < x {
		return x.left()
	}
	return x.right()
}

// parent and sibling have no meaning for the root.
func (x nodeIndex) parent() nodeIndex {
	k := x.level()
	return (x | 1<<k) &^ (1 << (k + 1))
}

func (x nodeIndex) sibling() nodeIndex {
	p := x.parent()
	if x < p {
		return p.right()
	}
	return p.left()
}

// covers tells whether leaf is under x, or is x.
func (x nodeIndex) covers(leaf LeafIndex) bool {
	k := x.level()
	return uint32(leaf)>>k == uint32(x)>>(k+1) // leaf may come from outside and be no index of any tree
}

// span returns the first leaf under x and the number of leaves there.
func (x nodeIndex) span() (first LeafIndex, n uint32) {
	k := x.level()
	return LeafIndex(x >> (k + 1) << k), 1 << k
}

func rootOf(leaves uint32) nodeIndex { return nodeIndex(leaves - 1) }

// treeSize returns the number of leaves of the smallest full tree with n leaves or more.
func treeSize(n int) uint32 {
	if n <= 1 {
		return 1
	}
	return 1 << bits.Len32(uint32(n-1))
}
