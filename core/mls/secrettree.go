package mls

type ratchetKind uint32

const (
	ratchetHandshake   ratchetKind = 0
	ratchetApplication ratchetKind = 1
)

func (t contentType) ratchet() ratchetKind {
	if t == contentApplication {
		return ratchetApplication
	}
	return ratchetHandshake
}

type ratchetID struct {
	leaf LeafIndex
	kind ratchetKind
}

// secretTree holds the message keys of an epoch (RFC 9420 §9): the tree
// secrets not yet used up, and the ratchets of the senders heard of.
type secretTree struct {
	suite    *suite
	epoch    uint64
	leaves   uint32
	nodes    map[nodeIndex][]byte
	ratchets map[ratchetID]*ratchet
}

// newSecretTree takes over the encryption secret. Where the tree is so high that
// the first message of a sender would leave more secrets behind than fit on
// record with it (see maxDescent), it begins with those of subtrees.
func newSecretTree(s *suite, epoch uint64, leaves uint32, encryptionSecret []byte) *secretTree {
	t := emptySecretTree(s, epoch, leaves)
	t.expand(rootOf(leaves), encryptionSecret, maxDescent(s))
	return t
}

// expand keeps a secret, or instead of it those of the subtrees of this height.
func (t *secretTree) expand(x nodeIndex, secret []byte, height int) {
	if x.level() <= height {
		t.nodes[x] = secret
		return
	}
	left, right := t.suite.treeSecrets(secret)
	clear(secret)
	t.expand(x.left(), left, height)
	t.expand(x.right(), right, height)
}

// treeSecrets derives the secrets of a node's children (RFC 9420 §9).
func (s *suite) treeSecrets(secret []byte) (left, right []byte) {
	return s.expandWithLabel(secret, "tree", []byte("left"), s.nh), s.expandWithLabel(secret, "tree", []byte("right"), s.nh)
}

func emptySecretTree(s *suite, epoch uint64, leaves uint32) *secretTree {
	return &secretTree{
		suite: s, epoch: epoch, leaves: leaves,
		nodes: map[nodeIndex][]byte{}, ratchets: map[ratchetID]*ratchet{},
	}
}

// keyStep is a message key together with the state of the tree after its use,
// which takes effect only by apply.
type keyStep struct {
	keyUse
	tree     *secretTree
	id       ratchetID
	ratchet  *ratchet
	consumed nodeIndex // where the descent began
	opened   *descent  // nil where the ratchet existed
}

// descent is what opening a leaf's ratchets gives.
type descent struct {
	copath   map[nodeIndex][]byte
	ratchets [2]*ratchet // by kind
}

// receive finds the key of a message. The tree stays as it is until apply.
func (t *secretTree) receive(leaf LeafIndex, kind ratchetKind, generation uint32, forward, outOfOrder int) (*keyStep, error) {
	step, err := t.open(leaf, kind)
	if err != nil {
		return nil, err
	}
	if step.keyUse, err = t.suite.take(step.ratchet, generation, forward, outOfOrder); err != nil {
		step.discard()
		return nil, err
	}
	return step, nil
}

// send gives the next key of one's own ratchet.
func (t *secretTree) send(leaf LeafIndex, kind ratchetKind) (*keyStep, error) {
	step, err := t.open(leaf, kind)
	if err != nil {
		return nil, err
	}
	if step.ratchet.next == lastGeneration {
		step.discard()
		return nil, ErrTooFarAhead
	}
	step.keyUse = t.suite.step(step.ratchet)
	return step, nil
}

func (t *secretTree) open(leaf LeafIndex, kind ratchetKind) (*keyStep, error) {
	id := ratchetID{leaf, kind}
	if r, ok := t.ratchets[id]; ok {
		return &keyStep{tree: t, id: id, ratchet: r.clone()}, nil
	}
	if uint32(leaf) >= t.leaves {
		return nil, ErrDecrypt
	}
	from := leaf.node()
	for t.nodes[from] == nil {
		if from == rootOf(t.leaves) {
			return nil, ErrAlreadyUsed
		}
		from = from.parent()
	}
	d := t.descend(from, leaf)
	return &keyStep{tree: t, id: id, ratchet: d.ratchets[kind], consumed: from, opened: d}, nil
}

// descend derives from a node's secret down to the ratchets of a leaf below.
func (t *secretTree) descend(from nodeIndex, leaf LeafIndex) *descent {
	s := t.suite
	d := &descent{copath: map[nodeIndex][]byte{}}
	secret := t.nodes[from]
	for x := from; !x.isLeaf(); {
		left, right := s.treeSecrets(secret)
		if x != from {
			clear(secret)
		}
		if x.left().covers(leaf) {
			d.copath[x.right()], secret, x = right, left, x.left()
		} else {
			d.copath[x.left()], secret, x = left, right, x.right()
		}
	}
	d.ratchets[ratchetHandshake] = &ratchet{secret: s.expandWithLabel(secret, "handshake", nil, s.nh)}
	d.ratchets[ratchetApplication] = &ratchet{secret: s.expandWithLabel(secret, "application", nil, s.nh)}
	if from != leaf.node() {
		clear(secret)
	}
	return d
}

// apply makes the use of the key final: it is gone from the tree and, by way of
// the log, from the records.
func (k *keyStep) apply(log changeLog) {
	t := k.tree
	if d := k.opened; d != nil {
		clear(t.nodes[k.consumed])
		delete(t.nodes, k.consumed)
		log.delete(recordOfSecret(t.epoch, k.consumed))
		for x, secret := range d.copath {
			t.nodes[x] = secret
			log.put(recordOfSecret(t.epoch, x), append([]byte(nil), secret...))
		}
		for kind, r := range d.ratchets {
			t.setRatchet(ratchetID{k.id.leaf, ratchetKind(kind)}, r, log)
		}
		return
	}
	t.ratchets[k.id].wipe()
	t.setRatchet(k.id, k.ratchet, log)
}

// discard wipes a step that is not going to be applied.
func (k *keyStep) discard() {
	k.wipe()
	k.ratchet.wipe()
	if k.opened == nil {
		return
	}
	for _, secret := range k.opened.copath {
		clear(secret)
	}
	for _, r := range k.opened.ratchets {
		r.wipe()
	}
}

func (t *secretTree) setRatchet(id ratchetID, r *ratchet, log changeLog) {
	t.ratchets[id] = r
	log.put(recordOfRatchet(t.epoch, id), marshalSecret(r))
}

// forget wipes the tree and deletes its records.
func (t *secretTree) forget(log changeLog) {
	for x, secret := range t.nodes {
		clear(secret)
		log.delete(recordOfSecret(t.epoch, x))
	}
	for id, r := range t.ratchets {
		r.wipe()
		log.delete(recordOfRatchet(t.epoch, id))
	}
	clear(t.nodes)
	clear(t.ratchets)
}

// retire wipes the ratchets that an epoch that is over has no use for: those of
// handshakes and those of this member itself.
func (t *secretTree) retire(own LeafIndex, log changeLog) {
	for id, r := range t.ratchets {
		if id.kind == ratchetHandshake || id.leaf == own {
			r.wipe()
			delete(t.ratchets, id)
			log.delete(recordOfRatchet(t.epoch, id))
		}
	}
}
