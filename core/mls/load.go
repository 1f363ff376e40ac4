package mls

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"strings"
)

// Load restores a group from its records, in any order. Where the last operation's
// changes were not stored it is the group before that operation. ErrCorruptState
// (with the reason) if the records do not make a group; ErrSigner.
func Load(cfg Config, signer crypto.Signer, records func(yield func(key, value []byte) bool)) (*Group, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	l := loader{g: &Group{cfg: cfg, signer: signer, log: changeLog{}}, records: map[string][]record{}}
	for k, v := range records {
		prefix := string(k[:bytes.IndexByte(k, '/')+1])
		if prefix == "" {
			prefix = string(k)
		}
		l.records[prefix] = append(l.records[prefix], record{string(k), bytes.Clone(v)})
	}
	if err := l.load(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorruptState, err)
	}
	if !l.g.removed {
		if err := l.g.suite.checkSigner(signer, l.g.cur.tree.leaf(l.g.own)); err != nil {
			return nil, err
		}
	}
	return l.g, nil
}

type loader struct {
	g       *Group
	records map[string][]record // by prefix, those without one by their key
}

type record struct {
	key   string
	value []byte
}

// one returns the value of a record whose key has no prefix.
func (l *loader) one(key string) (value []byte, ok bool) {
	if r := l.records[key]; len(r) > 0 {
		return r[0].value, true
	}
	return nil, false
}

func (l *loader) load() error {
	g := l.g
	value, _ := l.one(recordGroup)
	if _, err := unmarshal(value, l.readGroup); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	var err error
	value, _ = l.one(recordEpoch)
	if g.cur, err = unmarshal(value, readEpoch); err != nil {
		return fmt.Errorf("epoch: %w", err)
	}
	g.cur.keys = privateKeys{}
	for _, part := range []func() error{l.loadTree, l.loadKeys, l.loadPast, l.loadSecrets, l.loadProposals, l.loadReInit} {
		if err := part(); err != nil {
			return err
		}
	}
	if err := g.checkEpoch(g.cur); err != nil {
		return err
	}
	if value, ok := l.one(recordPending); ok {
		if g.pending, err = unmarshal(value, g.readPending); err != nil {
			return fmt.Errorf("pending: %w", err)
		}
	}
	return nil
}

func (l *loader) readGroup(r *reader) struct{} {
	if v := r.u8(); v != recordVersion {
		r.fail("group record of version %d", v)
	}
	s, err := suiteOf(Suite(r.u16()))
	if r.err == nil {
		r.err = err
	}
	l.g.suite, l.g.own, l.g.removed = s, LeafIndex(r.u32()), r.optional()
	return struct{}{}
}

// under returns the records whose key begins with prefix, in the order of keys.
func (l *loader) under(prefix string) []record {
	list := l.records[prefix]
	inOrder := func(a, b record) int { return strings.Compare(a.key, b.key) }
	if !slices.IsSortedFunc(list, inOrder) {
		slices.SortFunc(list, inOrder)
	}
	return list
}

func (l *loader) loadTree() error {
	list := l.records[prefixNode]
	places := make([]nodeIndex, len(list))
	last := nodeIndex(0)
	for i, k := range list {
		_, at, ok := parseRecordKey(k.key, prefixNode, false, 1)
		if !ok {
			return fmt.Errorf("%w: tree node", ErrMalformed)
		}
		places[i] = nodeIndex(at[0])
		if places[i].isLeaf() {
			last = max(last, places[i])
		}
	}
	// A tree of many blanks is legitimate; one of billions is not.
	if uint64(last) > 1<<20+64*uint64(len(list)) {
		return fmt.Errorf("%w: tree node %d", ErrMalformed, last)
	}
	nodes := make([]node, 2*treeSize(int(last)/2+1)-1)
	lists := interner{}
	for i, x := range places {
		n, err := unmarshalSharing(list[i].value, readNode, lists)
		if err != nil || int(x) >= len(nodes) || !n.fits(x) {
			return fmt.Errorf("%w: tree node %d", ErrMalformed, x)
		}
		nodes[x] = n
	}
	l.g.cur.tree = treeOf(l.g.suite, nodes, lists)
	return nil
}

// checkEpoch checks that an epoch's parts belong together.
func (g *Group) checkEpoch(e *epoch) error {
	if e.context.suite != g.suite.id {
		return fmt.Errorf("%w: suite of the epoch", ErrMalformed)
	}
	if !bytes.Equal(e.tree.rootHash(), e.context.treeHash) {
		return fmt.Errorf("%w: tree hash", ErrMalformed)
	}
	if g.removed {
		return nil
	}
	for x, key := range e.keys {
		if len(key) == 0 || !e.tree.has(x) {
			return fmt.Errorf("%w: private key", ErrMalformed)
		}
	}
	if e.tree.leaf(g.own) == nil || e.keys[g.own.node()] == nil {
		return fmt.Errorf("%w: own leaf", ErrMalformed)
	}
	for _, secret := range e.secrets.stored() {
		if len(*secret) != g.suite.nh {
			return fmt.Errorf("%w: epoch secret", ErrMalformed)
		}
	}
	return nil
}

func (l *loader) loadKeys() error {
	for _, k := range l.under(prefixKey) {
		_, at, ok := parseRecordKey(k.key, prefixKey, false, 1)
		if !ok {
			return fmt.Errorf("%w: private key", ErrMalformed)
		}
		l.g.cur.keys[nodeIndex(at[0])] = k.value
	}
	return nil
}

func (l *loader) loadPast() error {
	g := l.g
	for _, k := range slices.Backward(l.under(prefixPast)) {
		number, _, ok := parseRecordKey(k.key, prefixPast, true, 0)
		if !ok || number >= g.cur.context.epoch {
			return fmt.Errorf("%w: past epoch", ErrMalformed)
		}
		p, err := unmarshal(k.value, readPastEpoch(g.suite, number))
		if err != nil {
			return fmt.Errorf("past epoch: %w", err)
		}
		g.past = append(g.past, p)
	}
	for _, k := range l.under(prefixPastMember) {
		number, at, ok := parseRecordKey(k.key, prefixPastMember, true, 1)
		i := slices.IndexFunc(g.past, func(p *pastEpoch) bool { return p.epoch == number })
		if !ok || i < 0 {
			return fmt.Errorf("%w: past member", ErrMalformed)
		}
		var leaf *LeafNode
		if v := k.value; len(v) > 0 {
			var err error
			if leaf, err = unmarshal(v, readLeafNode); err != nil {
				return fmt.Errorf("past member: %w", err)
			}
		}
		g.past[i].changed[LeafIndex(at[0])] = leaf
	}
	return nil
}

// secretTree finds the secret tree of an epoch, nil where there is none.
func (l *loader) secretTree(number uint64) *secretTree {
	if number == l.g.keys.epoch {
		return l.g.keys
	}
	for _, p := range l.g.past {
		if p.epoch == number {
			return p.keys
		}
	}
	return nil
}

func (l *loader) loadSecrets() error {
	g := l.g
	g.keys = emptySecretTree(g.suite, g.cur.context.epoch, g.cur.tree.leaves())
	for _, k := range l.under(prefixSecret) {
		number, at, ok := parseRecordKey(k.key, prefixSecret, true, 1)
		t := l.secretTree(number)
		if !ok || t == nil || len(k.value) != g.suite.nh || uint64(at[0]) >= 2*uint64(t.leaves)-1 {
			return fmt.Errorf("%w: tree secret", ErrMalformed)
		}
		t.nodes[nodeIndex(at[0])] = k.value
	}
	for _, k := range l.under(prefixRatchet) {
		number, at, ok := parseRecordKey(k.key, prefixRatchet, true, 1)
		t := l.secretTree(number)
		if !ok || t == nil {
			return fmt.Errorf("%w: ratchet", ErrMalformed)
		}
		r, err := unmarshal(k.value, readRatchet(g.suite))
		if err != nil {
			return fmt.Errorf("ratchet: %w", err)
		}
		t.ratchets[ratchetID{LeafIndex(at[0] / 2), ratchetKind(at[0] % 2)}] = r
	}
	return nil
}

func (l *loader) loadProposals() error {
	for _, k := range l.under(prefixProposal) {
		_, at, ok := parseRecordKey(k.key, prefixProposal, false, 1)
		p, err := unmarshal(k.value, readCachedProposal)
		if !ok || err != nil {
			return fmt.Errorf("%w: proposal", ErrMalformed)
		}
		p.seq = at[0]
		l.g.proposals = append(l.g.proposals, p)
	}
	return nil
}
