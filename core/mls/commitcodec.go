package mls

import "slices"

// proposalOrRef is ProposalOrRef of §12.4: one of the two is set.
type proposalOrRef struct {
	proposal *Proposal
	ref      []byte
}

func (p proposalOrRef) encode(w *writer) {
	if p.proposal != nil {
		w.u8(1)
		p.proposal.encode(w)
		return
	}
	w.u8(2)
	w.vec(p.ref)
}

func readProposalOrRef(r *reader) proposalOrRef {
	switch t := r.u8(); t {
	case 1:
		return proposalOrRef{proposal: readProposal(r)}
	case 2:
		return proposalOrRef{ref: r.vec()}
	default:
		r.fail("bad proposal or reference %d", t)
		return proposalOrRef{}
	}
}

// updatePathNode is UpdatePathNode of §7.6.
type updatePathNode struct {
	publicKey []byte
	secrets   []hpkeCiphertext
}

func (n updatePathNode) encode(w *writer) {
	w.vec(n.publicKey)
	writeList(w, n.secrets)
}

func readUpdatePathNode(r *reader) updatePathNode {
	return updatePathNode{publicKey: r.vec(), secrets: readList(r, readHPKECiphertext)}
}

type updatePath struct {
	leaf  *LeafNode
	nodes []updatePathNode
}

func (p *updatePath) encode(w *writer) {
	size := 0
	for _, n := range p.nodes {
		size += len(n.publicKey) + 8
		for _, c := range n.secrets {
			size += len(c.kemOutput) + len(c.ciphertext) + 4
		}
	}
	w.b = slices.Grow(w.b, len(p.leaf.raw)+size+8)
	p.leaf.encode(w)
	writeList(w, p.nodes)
}

func readUpdatePath(r *reader) *updatePath {
	return &updatePath{leaf: readLeafNode(r), nodes: readList(r, readUpdatePathNode)}
}

// commit is Commit of §12.4.
type commit struct {
	proposals []proposalOrRef
	path      *updatePath
}

func (c *commit) encode(w *writer) {
	writeList(w, c.proposals)
	w.optional(c.path != nil)
	if c.path != nil {
		c.path.encode(w)
	}
}

// maxCommitted bounds the proposals of a commit. A proposal may be 3 bytes long and
// is 80 times that in memory.
const maxCommitted = 1 << 15

func readCommit(r *reader) *commit {
	n := 0
	c := &commit{proposals: readList(r, func(r *reader) proposalOrRef {
		if n++; n > maxCommitted {
			r.fail("more than %d proposals in a commit", maxCommitted)
			return proposalOrRef{}
		}
		return readProposalOrRef(r)
	})}
	if r.optional() {
		c.path = readUpdatePath(r)
	}
	return c
}
