package mls

import "slices"

const (
	nodeTypeLeaf   = 1
	nodeTypeParent = 2
)

func (p *parentNode) encode(w *writer) {
	w.vec(p.encryptionKey)
	w.vec(p.parentHash)
	w.length(4 * len(p.unmerged))
	for _, i := range p.unmerged {
		w.u32(uint32(i))
	}
}

func readParentNode(r *reader) *parentNode {
	p := &parentNode{encryptionKey: r.vec(), parentHash: r.vec()}
	p.unmerged = readList(r, func(r *reader) LeafIndex { return LeafIndex(r.u32()) })
	return p
}

// encode writes Node of RFC 9420 §12.4.3.3; the node is not blank.
func (n node) encode(w *writer) {
	if n.leaf != nil {
		w.u8(nodeTypeLeaf)
		n.leaf.encode(w)
		return
	}
	w.u8(nodeTypeParent)
	n.parent.encode(w)
}

func readNode(r *reader) node {
	switch t := r.u8(); t {
	case nodeTypeLeaf:
		return node{leaf: readLeafNode(r)}
	case nodeTypeParent:
		return node{parent: readParentNode(r)}
	default:
		r.fail("bad node type %d", t)
		return node{}
	}
}

// encode writes the ratchet_tree extension: all nodes up to the last that is not blank.
func (t *ratchetTree) encode(w *writer) {
	w.nested(func(w *writer) {
		next := nodeIndex(0)
		t.top.walk(t.root(), func(x nodeIndex, n node) bool {
			for ; next < x; next++ {
				w.optional(false)
			}
			next++
			w.optional(true)
			n.encode(w)
			return true
		})
	})
}

// maxBlanks bounds the blank nodes of a tree that comes from outside. Each is one
// byte there and, with its hash, a hundred in memory.
const maxBlanks = 1 << 20

// parseTree decodes a ratchet_tree extension and checks its shape: node types
// in their places and no blank at the end. Everything else is for validate.
func parseTree(s *suite, b []byte) (*ratchetTree, error) {
	blanks := 0
	r := reader{b: b, lists: interner{}}
	nodes := readList(&r, func(r *reader) node {
		if r.optional() {
			return readNode(r)
		}
		if blanks++; blanks > maxBlanks {
			r.fail("more than %d blank nodes in a ratchet tree", maxBlanks)
		}
		return node{}
	})
	if err := r.end(); err != nil {
		return nil, err
	}
	if len(nodes) == 0 || nodes[len(nodes)-1].blank() {
		return nil, invalid("12.4.3.3", "ratchet tree ends in a blank node")
	}
	if len(nodes)%2 == 0 {
		return nil, invalid("12.4.3.3", "ratchet tree ends in a parent node")
	}
	for x, n := range nodes {
		if !n.fits(nodeIndex(x)) {
			return nil, invalid("12.4.3.3", "node %d of the ratchet tree has the wrong type", x)
		}
		if n.parent != nil && !slices.IsSorted(n.parent.unmerged) {
			return nil, invalid("7.1", "unmerged leaves of node %d are not in order", x)
		}
	}
	return treeOf(s, nodes, r.lists), nil
}
