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
	l := loader{g: &Group{cfg: cfg, signer: signer, log: changeLog{}}, records: map[string][]byte{}}
	for k, v := range records {
		l.records[string(k)] = bytes.Clone(v)
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
	records map[string][]byte
}

func (l *loader) load() error {
	g := l.g
	if _, err := unmarshal(l.records[recordGroup], l.readGroup); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	var err error
	if g.cur, err = unmarshal(l.records[recordEpoch], readEpoch); err != nil {
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
	if value, ok := l.records[recordPending]; ok {
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

// under yields the records whose key begins with prefix, in the order of keys.
func (l *loader) under(prefix string) []string {
	var keys []string
	for k := range l.records {
		if strings.HasPrefix(k, prefix) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

func (l *loader) loadTree() error {
	keys := l.under(prefixNode)
	changes := make([]nodeChange, 0, len(keys))
	lists := interner{}
	last := nodeIndex(0)
	for _, k := range keys {
		_, at, ok := parseRecordKey(k, prefixNode, false, 1)
		n, err := unmarshalSharing(l.records[k], readNode, lists)
		if !ok || err != nil || !n.fits(nodeIndex(at[0])) {
			return fmt.Errorf("%w: tree node", ErrMalformed)
		}
		changes = append(changes, nodeChange{nodeIndex(at[0]), n})
		if n.leaf != nil {
			last = max(last, nodeIndex(at[0]))
		}
	}
	// A tree of many blanks is legitimate; one of billions is not.
	if uint64(last) > 1<<20+64*uint64(len(keys)) {
		return fmt.Errorf("%w: tree node %d", ErrMalformed, last)
	}
	nodes := make([]node, 2*treeSize(int(last)/2+1)-1)
	for _, c := range changes {
		if int(c.x) >= len(nodes) {
			return fmt.Errorf("%w: tree node %d", ErrMalformed, c.x)
		}
		nodes[c.x] = c.node
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
		_, at, ok := parseRecordKey(k, prefixKey, false, 1)
		if !ok {
			return fmt.Errorf("%w: private key", ErrMalformed)
		}
		l.g.cur.keys[nodeIndex(at[0])] = l.records[k]
	}
	return nil
}

func (l *loader) loadPast() error {
	g := l.g
	for _, k := range slices.Backward(l.under(prefixPast)) {
		number, _, ok := parseRecordKey(k, prefixPast, true, 0)
		if !ok || number >= g.cur.context.epoch {
			return fmt.Errorf("%w: past epoch", ErrMalformed)
		}
		p, err := unmarshal(l.records[k], readPastEpoch(g.suite, number))
		if err != nil {
			return fmt.Errorf("past epoch: %w", err)
		}
		g.past = append(g.past, p)
	}
	for _, k := range l.under(prefixPastMember) {
		number, at, ok := parseRecordKey(k, prefixPastMember, true, 1)
		i := slices.IndexFunc(g.past, func(p *pastEpoch) bool { return p.epoch == number })
		if !ok || i < 0 {
			return fmt.Errorf("%w: past member", ErrMalformed)
		}
		var leaf *LeafNode
		if v := l.records[k]; len(v) > 0 {
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
		number, at, ok := parseRecordKey(k, prefixSecret, true, 1)
		t := l.secretTree(number)
		if !ok || t == nil || len(l.records[k]) != g.suite.nh || uint64(at[0]) >= 2*uint64(t.leaves)-1 {
			return fmt.Errorf("%w: tree secret", ErrMalformed)
		}
		t.nodes[nodeIndex(at[0])] = l.records[k]
	}
	for _, k := range l.under(prefixRatchet) {
		number, at, ok := parseRecordKey(k, prefixRatchet, true, 2)
		t := l.secretTree(number)
		if !ok || t == nil || at[1] > uint32(ratchetApplication) {
			return fmt.Errorf("%w: ratchet", ErrMalformed)
		}
		r, err := unmarshal(l.records[k], readRatchet(g.suite))
		if err != nil {
			return fmt.Errorf("ratchet: %w", err)
		}
		t.ratchets[ratchetID{LeafIndex(at[0]), ratchetKind(at[1])}] = r
	}
	return nil
}

func (l *loader) loadProposals() error {
	for _, k := range l.under(prefixProposal) {
		_, at, ok := parseRecordKey(k, prefixProposal, false, 1)
		p, err := unmarshal(l.records[k], readCachedProposal)
		if !ok || err != nil {
			return fmt.Errorf("%w: proposal", ErrMalformed)
		}
		p.seq = at[0]
		l.g.proposals = append(l.g.proposals, p)
	}
	return nil
}
