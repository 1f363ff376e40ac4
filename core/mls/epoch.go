package mls

import "fmt"

// epoch is the state of a group in one epoch, but for its message keys.
type epoch struct {
	context         groupContext
	contextRaw      []byte
	tree            *ratchetTree
	secrets         *epochSecrets
	interim         []byte // transcript hash
	confirmationTag []byte
	keys            privateKeys
}

// encode writes the epoch's record: everything but tree and private keys.
func (e *epoch) encode(w *writer) {
	w.u8(recordVersion)
	w.vec(e.contextRaw)
	w.vec(e.interim)
	w.vec(e.confirmationTag)
	for _, secret := range e.secrets.stored() {
		w.vec(*secret)
	}
}

func readEpoch(r *reader) *epoch {
	if v := r.u8(); v != recordVersion {
		r.fail("epoch record of version %d", v)
	}
	e := &epoch{contextRaw: r.vec(), interim: r.vec(), confirmationTag: r.vec(), secrets: &epochSecrets{}}
	for _, secret := range e.secrets.stored() {
		*secret = r.vec()
	}
	if r.err == nil {
		e.context, r.err = unmarshal(e.contextRaw, readGroupContext)
	}
	return e
}

// pastEpoch is what remains of an epoch for the messages that arrive late.
type pastEpoch struct {
	epoch      uint64
	contextRaw []byte
	senderData []byte // secret
	resumption []byte // secret
	keys       *secretTree
	// changed holds the leaves as they were that the next epoch changed, nil
	// for a blank: with the epochs after it, it tells who was a member.
	changed map[LeafIndex]*LeafNode
}

func (p *pastEpoch) encode(w *writer) {
	w.u8(recordVersion)
	w.vec(p.contextRaw)
	w.vec(p.senderData)
	w.vec(p.resumption)
	w.u32(p.keys.leaves)
}

func readPastEpoch(s *suite, number uint64) func(*reader) *pastEpoch {
	return func(r *reader) *pastEpoch {
		if v := r.u8(); v != recordVersion {
			r.fail("past epoch record of version %d", v)
		}
		p := &pastEpoch{epoch: number, contextRaw: r.vec(), senderData: r.vec(), resumption: r.vec(), changed: map[LeafIndex]*LeafNode{}}
		leaves := r.u32()
		if leaves == 0 || leaves&(leaves-1) != 0 {
			r.fail("past epoch of %d leaves", leaves)
		}
		p.keys = emptySecretTree(s, number, leaves)
		return p
	}
}

func (p *pastEpoch) forget(log changeLog) {
	clear(p.senderData)
	clear(p.resumption)
	p.keys.forget(log)
	log.delete(recordKeyEpoch(prefixPast, p.epoch))
	for i := range p.changed {
		log.delete(recordKeyEpoch(prefixPastMember, p.epoch, uint32(i)))
	}
}

// messageEpoch is what it takes to open an application message.
type messageEpoch struct {
	contextRaw []byte
	senderData []byte
	keys       *secretTree
	leaf       func(LeafIndex) *LeafNode
}

// messageEpoch finds the keys of an epoch, present or past.
func (g *Group) messageEpoch(number uint64) (*messageEpoch, error) {
	switch {
	case number > g.cur.context.epoch && g.removed:
		return nil, ErrRemoved
	case number >= g.cur.context.epoch && g.reInit != nil:
		return nil, ErrReInit
	case number > g.cur.context.epoch:
		return nil, fmt.Errorf("%w: %d, the present one is %d", ErrFutureEpoch, number, g.cur.context.epoch)
	case number == g.cur.context.epoch:
		return &messageEpoch{g.cur.contextRaw, g.cur.secrets.senderData, g.keys, g.cur.tree.leaf}, nil
	}
	for k, p := range g.past {
		if p.epoch == number {
			return &messageEpoch{p.contextRaw, p.senderData, p.keys, g.leafThen(k)}, nil
		}
	}
	return nil, fmt.Errorf("%w: %d, the present one is %d", ErrOldEpoch, number, g.cur.context.epoch)
}

// leafThen finds leaves as they were in the k-th last epoch.
func (g *Group) leafThen(k int) func(LeafIndex) *LeafNode {
	return func(i LeafIndex) *LeafNode {
		for n := k; n >= 0; n-- {
			if leaf, ok := g.past[n].changed[i]; ok {
				return leaf
			}
		}
		return g.cur.tree.leaf(i)
	}
}
