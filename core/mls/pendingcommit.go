package mls

// marshalPending writes the record of the own staged commit: its messages, what
// it does, and how the next epoch differs from the present one.
func marshalPending(s *StagedCommit) []byte {
	w := writer{secret: true}
	w.u8(recordVersion)
	w.vec(s.Message)
	w.vec(s.Welcome)
	w.vec(s.AAD)
	for _, list := range [][]Member{s.Added, s.Removed, s.Updated} {
		w.length(4 * len(list))
		for _, m := range list {
			w.u32(uint32(m.Index))
		}
	}
	writeList(&w, s.Proposals)
	w.optional(s.ReInit != nil)
	if s.ReInit != nil {
		s.ReInit.encode(&w)
	}
	w.nested(s.next.encode)
	w.vec(s.next.secrets.encryption)
	w.u32(s.next.tree.leaves())
	w.nested(func(w *writer) {
		s.base.tree.differences(s.next.tree, func(x nodeIndex, n node) {
			w.u32(uint32(x))
			w.optional(!n.blank())
			if !n.blank() {
				n.encode(w)
			}
		})
	})
	w.nested(func(w *writer) {
		for x, key := range s.next.keys {
			w.u32(uint32(x))
			w.vec(key)
		}
	})
	return w.b
}

type nodeChange struct {
	x    nodeIndex
	node node
}

// readPending is the inverse of marshalPending, given the group's present state.
func (g *Group) readPending(r *reader) *StagedCommit {
	if v := r.u8(); v != recordVersion {
		r.fail("pending record of version %d", v)
	}
	s := &StagedCommit{Message: r.vec(), Welcome: r.vec(), AAD: r.vec(), Committer: g.own}
	s.suite, s.base, s.own, s.signer = g.suite, g.cur, g.own, g.signer
	if len(s.Welcome) == 0 {
		s.Welcome = nil
	}
	s.Epoch = g.cur.context.epoch
	readIndex := func(r *reader) LeafIndex { return LeafIndex(r.u32()) }
	added, removed, updated := readList(r, readIndex), readList(r, readIndex), readList(r, readIndex)
	s.Proposals = readList(r, readCommittedProposal)
	if r.optional() {
		s.ReInit = readReInit(r)
	}
	next, err := unmarshal(r.vec(), readEpoch)
	if r.err != nil || err != nil {
		r.fail("epoch of the pending commit")
		return s
	}
	s.next = next
	next.secrets.encryption = r.vec()
	leaves := r.u32()
	changes := readList(r, func(r *reader) nodeChange {
		c := nodeChange{x: nodeIndex(r.u32())}
		if r.optional() {
			c.node = readNode(r)
		}
		return c
	})
	next.keys = privateKeys{}
	readList(r, func(r *reader) struct{} {
		x := nodeIndex(r.u32())
		next.keys[x] = r.vec()
		return struct{}{}
	})
	if r.err != nil {
		return s
	}
	if next.tree = g.changedTree(leaves, changes); next.tree == nil {
		r.fail("tree of the pending commit")
		return s
	}
	if err := g.checkEpoch(next); err != nil {
		r.fail("%v", err)
		return s
	}
	for _, i := range removed {
		if g.cur.tree.leaf(i) == nil {
			r.fail("removed leaf %d", i)
		}
	}
	for _, i := range append(added, updated...) {
		if next.tree.leaf(i) == nil {
			r.fail("changed leaf %d", i)
		}
	}
	s.describe(added, removed, updated, next.tree)
	return s
}

// changedTree applies recorded changes to a copy of the tree, nil where they do not fit.
func (g *Group) changedTree(leaves uint32, changes []nodeChange) *ratchetTree {
	t := g.cur.tree.clone()
	size := t.leaves()
	if leaves == 0 || leaves&(leaves-1) != 0 || int64(leaves) > 2*(int64(size)+int64(len(changes))) {
		return nil
	}
	if leaves > size {
		t.grow(leaves)
	}
	for _, c := range changes {
		if !t.has(c.x) || !c.node.fits(c.x) {
			return nil
		}
		t.set(c.x, c.node)
	}
	t.shrink()
	if t.leaves() != leaves {
		return nil
	}
	return t
}
