package mls

import (
	"slices"
)

// Pending returns the group's own staged commit, nil if there is none.
func (g *Group) Pending() *StagedCommit { return g.pending }

// MergePending applies the own staged commit, once the delivery service has
// accepted it. ErrNoPending.
func (g *Group) MergePending() error {
	if g.pending == nil {
		return ErrNoPending
	}
	return g.Merge(g.pending)
}

// DiscardPending gives up the own staged commit, if there is one.
func (g *Group) DiscardPending() {
	if g.pending == nil {
		return
	}
	g.pending.wipe()
	g.pending = nil
	g.log.delete(recordPending)
}

// Discard wipes a staged commit that is not going to be merged, of another member
// or the own pending one. What has been merged, or whose epoch is over, stays as it is.
func (g *Group) Discard(s *StagedCommit) {
	switch {
	case g.pending == s:
		g.DiscardPending()
	case s.base == g.cur:
		s.wipe()
	}
}

// Merge applies a staged commit: the epoch it ends becomes a past one, its
// proposals are forgotten, and a pending commit of one's own that is not this
// one is discarded. Where the commit removes this member, the group becomes
// read-only; where it re-initialises the group, nothing can be sent any more.
// ErrStale if the commit is not for the present epoch.
func (g *Group) Merge(s *StagedCommit) error {
	if g.removed {
		return ErrRemoved
	}
	if s.base != g.cur || s.discarded {
		return ErrStale
	}
	s.useKey(g)
	if g.pending == s {
		g.pending = nil
		g.log.delete(recordPending)
	}
	g.DiscardPending()
	g.forgetProposals()
	if s.next == nil {
		g.leave()
		return nil
	}
	g.retire(s.touched())
	prev := g.cur
	g.enter(s.next, prev.tree, prev.keys)
	for x, key := range prev.keys {
		if next := s.next.keys[x]; next == nil || &next[0] != &key[0] {
			clear(key)
			if next == nil {
				g.log.delete(recordKey32(prefixKey, uint32(x)))
			}
		}
	}
	prev.keys, prev.tree = nil, nil
	if s.ReInit != nil {
		g.suspend(s.ReInit)
	}
	return nil
}

// enter makes e the present epoch and records what it changes; prev is the tree
// on record, known are the private keys.
func (g *Group) enter(e *epoch, prev *ratchetTree, known privateKeys) {
	g.cur = e
	e.tree.census.fold()
	prev.differences(e.tree, func(x nodeIndex, n node) {
		key := recordKey32(prefixNode, uint32(x))
		if n.blank() {
			g.log.delete(key)
		} else {
			g.log.put(key, marshal(n))
		}
	})
	for x, key := range e.keys {
		if old := known[x]; old == nil || &old[0] != &key[0] {
			g.log.put(recordKey32(prefixKey, uint32(x)), slices.Clone(key))
		}
	}
	g.keys = newSecretTree(g.suite, e.context.epoch, e.tree.leaves(), e.secrets.encryption)
	e.secrets.encryption = nil
	for x, secret := range g.keys.nodes {
		g.log.put(recordOfSecret(e.context.epoch, x), slices.Clone(secret))
	}
	g.log.put(recordEpoch, marshalSecret(e))
}

// retire makes the present epoch a past one; touched are the leaves that the
// next one changes.
func (g *Group) retire(touched []LeafIndex) {
	e := g.cur
	p := &pastEpoch{
		epoch: e.context.epoch, contextRaw: e.contextRaw, senderData: slices.Clone(e.secrets.senderData),
		resumption: slices.Clone(e.secrets.resumption),
		keys:       g.keys, changed: map[LeafIndex]*LeafNode{},
	}
	e.secrets.wipe()
	p.keys.retire(g.own, g.log)
	g.log.put(recordKeyEpoch(prefixPast, p.epoch), marshalSecret(p))
	for _, i := range touched {
		leaf := e.tree.leaf(i)
		p.changed[i] = leaf
		value := []byte{}
		if leaf != nil {
			value = slices.Clone(leaf.raw)
		}
		g.log.put(recordKeyEpoch(prefixPastMember, p.epoch, uint32(i)), value)
	}
	g.past = slices.Insert(g.past, 0, p)
	for len(g.past) > g.cfg.PastEpochs {
		last := len(g.past) - 1
		g.past[last].forget(g.log)
		g.past = g.past[:last]
	}
}

// leave makes the group read-only: every secret goes but those that open late
// messages of the epochs that were.
func (g *Group) leave() {
	g.removed = true
	senderData := slices.Clone(g.cur.secrets.senderData)
	g.cur.secrets.wipe()
	g.cur.secrets = &epochSecrets{senderData: senderData}
	for x, key := range g.cur.keys {
		clear(key)
		g.log.delete(recordKey32(prefixKey, uint32(x)))
	}
	g.cur.keys = nil
	g.keys.retire(g.own, g.log)
	g.log.put(recordEpoch, marshalSecret(g.cur))
	g.recordGroup()
}

func (g *Group) recordGroup() {
	var w writer
	w.u8(recordVersion)
	w.u16(uint16(g.suite.id))
	w.u32(uint32(g.own))
	w.optional(g.removed)
	g.log.put(recordGroup, w.b)
}
