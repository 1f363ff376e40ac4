package mls

import (
	"bytes"
	"fmt"
	"testing"
)

// chain is what leads to the message keys of a leaf, derived on its own from
// the secret of the tree's root.
type chain struct {
	above    [][]byte // the secrets of the root and all nodes down to the leaf
	copath   [][]byte
	ratchets [2][][]byte // by kind and generation
	keys     [2][][]byte
}

func chainOf(g *Group, leaf LeafIndex, generations uint32) chain {
	s, x := g.suite, rootOf(g.keys.leaves)
	secret := bytes.Clone(g.keys.nodes[x])
	var c chain
	for c.above = [][]byte{secret}; !x.isLeaf(); c.above = append(c.above, secret) {
		left := s.expandWithLabel(secret, "tree", []byte("left"), s.nh)
		right := s.expandWithLabel(secret, "tree", []byte("right"), s.nh)
		if x.left().covers(leaf) {
			x, secret, c.copath = x.left(), left, append(c.copath, right)
		} else {
			x, secret, c.copath = x.right(), right, append(c.copath, left)
		}
	}
	for kind, label := range []string{"handshake", "application"} {
		r := s.expandWithLabel(secret, label, nil, s.nh)
		for n := range generations {
			c.ratchets[kind] = append(c.ratchets[kind], r)
			c.keys[kind] = append(c.keys[kind], s.deriveTreeSecret(r, "key", n, s.nk))
			r = s.deriveTreeSecret(r, "secret", n, s.nh)
		}
	}
	return c
}

func TestForwardSecrecyOfMessages(t *testing.T) {
	spy := newSpy(t)
	peers := newGroupOf(t, suiteSpied, 5)
	alice, bob := peers[0], peers[1]
	bob.cfg.OutOfOrder = 2
	bob.restore()
	c := chainOf(bob.g, 0, 8)
	keys, ratchets := c.keys[ratchetApplication], c.ratchets[ratchetApplication]
	present(t, bob, "encryption secret", c.above[0])
	var sent [][]byte
	for range 6 {
		before := hold(alice)
		sent = append(sent, alice.seal("x"))
		before.swept(t)
	}
	absent(t, alice, "what led to sent messages", append(c.above, append(ratchets[:6], keys[:7]...)...)...)
	present(t, alice, "next ratchet secret", ratchets[6])

	refused := bytes.Clone(sent[2])
	refused[len(refused)-1] ^= 1
	spy.seen = nil
	bob.refuses(refused, ErrDecrypt)
	spy.wiped(t)
	present(t, bob, "encryption secret", c.above[0])

	before := hold(bob)
	bob.hears(sent[2], "x", alice)
	before.swept(t, ".keys.nodes[7]")
	spy.wiped(t)
	absent(t, bob, "what led to an opened message", append(c.above, ratchets[0], ratchets[1], ratchets[2], keys[2])...)
	present(t, bob, "what has yet to come", append(c.copath, ratchets[3], keys[0], keys[1], c.ratchets[ratchetHandshake][0])...)

	before = hold(bob)
	bob.hears(sent[1], "x", alice)
	before.swept(t, ".keys.ratchets[{0 1}].skipped[1].key")
	absent(t, bob, "a skipped key that was used", keys[1])
	present(t, bob, "another skipped key", keys[0])

	before = hold(bob)
	bob.hears(sent[5], "x", alice) // keys 3 and 4 push out key 0
	before.swept(t, ".keys.ratchets[{0 1}].skipped[0].key")
	absent(t, bob, "an expired key", keys[0], ratchets[3], keys[5])
	present(t, bob, "skipped keys", keys[3], keys[4], ratchets[6])
	bob.restore()
	absent(t, bob, "what was gone", append(c.above, keys[0], keys[1], keys[2], keys[5])...)
}

// epochPaths are the secrets of an epoch that nothing is needed of once it is over.
var epochPaths = []string{
	".cur.secrets.init", ".cur.secrets.exporter", ".cur.secrets.external", ".cur.secrets.confirmation",
	".cur.secrets.membership", ".cur.secrets.authenticator",
}

func with(paths []string, more ...string) []string {
	return append(append([]string{}, paths...), more...)
}

func TestForwardSecrecyOfEpochs(t *testing.T) {
	spy := newSpy(t)
	peers := newGroupOf(t, suiteSpied, 4)
	alice, bob, carol, dave := peers[0], peers[1], peers[2], peers[3]
	spy.wiped(t)
	spy.gone(t, peers...)

	// A commit of bob's: his leaf is node 2, under the nodes 1 and 3.
	c := chainOf(carol.g, 1, 1)
	before, others := hold(bob), hold(carol)
	s := bob.commit(CommitOptions{})
	absent(t, bob, "the key of a commit sent", c.keys[ratchetHandshake][0])
	bob.merge()
	before.swept(t, with(epochPaths, ".cur.keys[2]")...)
	carol.process(s.Message)
	others.swept(t, epochPaths...)
	alice.process(s.Message)
	dave.process(s.Message)
	absent(t, carol, "the key of a commit", append(c.above, c.keys[ratchetHandshake][0], c.ratchets[ratchetHandshake][0])...)
	spy.wiped(t)
	spy.gone(t, peers...)

	// Another one replaces the node keys of the first.
	s = alice.commit(CommitOptions{})
	before, others = hold(bob), hold(alice)
	alice.merge()
	for _, p := range []*peer{bob, carol, dave} {
		p.process(s.Message)
	}
	before.swept(t, with(epochPaths, ".cur.keys[1]", ".cur.keys[3]")...)
	others.swept(t, with(epochPaths, ".cur.keys[0]", ".cur.keys[3]")...)
	spy.wiped(t)
	spy.gone(t, peers...)
	for _, p := range peers {
		p.restore()
	}
	spy.gone(t, peers...)
}

func TestForwardSecrecyOfJoining(t *testing.T) {
	spy := newSpy(t)
	peers := newGroupOf(t, suiteSpied, 3)
	alice, dave := peers[0], newPeer(t, suiteSpied, "dave")
	psk := bytes.Repeat([]byte{0x5e}, 32)
	find := func([]byte) ([]byte, bool) { return psk, true }
	for _, p := range append(peers, dave) {
		p.cfg.ExternalPSK = find
		if p.g != nil {
			p.g.cfg.ExternalPSK = find
		}
	}
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(dave.keyPackage()), ExternalPSKProposal([]byte("id"))}})
	spy.wiped(t)
	alice.merge()
	for _, p := range peers[1:] {
		p.process(s.Message)
	}
	spy.wiped(t)
	dave.join(s.Welcome)
	spy.wiped(t)
	dave.bundle.Destroy()
	if !allZero(dave.bundle.initPrivate) || !allZero(dave.bundle.encryptPrivate) {
		t.Error("a destroyed bundle has its keys")
	}
	peers = append(peers, dave)
	agree(t, peers...)
	spy.gone(t, peers...)
	for _, p := range peers {
		absent(t, p, "pre-shared key", psk)
	}
	dave.seal("the leaf's key is a copy")
	if allZero(dave.g.cur.keys[dave.g.own.node()]) {
		t.Error("the destroyed bundle has taken the leaf's key with it")
	}

	// A Welcome that fails at the end leaves nothing.
	erin := newPeer(t, suiteSpied, "erin")
	erin.cfg.Auth = refusing{"peer 1"}
	s = alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(erin.keyPackage())}})
	spy.seen = nil
	_, err := Join(erin.cfg, erin.signer, erin.bundle, s.Welcome, nil)
	expect(t, err, errRefused)
	spy.wiped(t)
}

func TestForwardSecrecyOfExternalCommits(t *testing.T) {
	spy := newSpy(t)
	peers := newGroupOf(t, suiteSpied, 3)
	alice, bob, erin := peers[0], peers[1], newPeer(t, suiteSpied, "erin")
	info := alice.groupInfo(true)
	spy.seen = nil // the external secret is in use as long as the epoch
	m := erin.joinByCommit(ExternalJoinOptions{GroupInfo: info})
	spy.wiped(t)
	before := hold(bob)
	for _, p := range peers {
		p.process(m)
	}
	before.swept(t, epochPaths...)
	spy.wiped(t)
	peers = append(peers, erin)
	agree(t, peers...)
	spy.gone(t, peers...)
}

func TestForwardSecrecyOfSuccessors(t *testing.T) {
	spy := newSpy(t)
	peers := newGroupOf(t, suiteSpied, 2)
	alice, bob := peers[0], peers[1]
	s := alice.commit(CommitOptions{Proposals: []Proposal{ReInitProposal(ReInit{GroupID: []byte("next"), Suite: suiteSpied})}})
	alice.merge()
	bob.process(s.Message)
	spy.wiped(t)
	next := again(t, suiteSpied, peers)
	g, staged, err := alice.g.Reinitialize(next[0].successorOptions(next[1:]))
	spy.wiped(t)
	welcome := next[0].starts(g, staged, err)
	next[1].succeeds(bob, welcome)
	spy.wiped(t)
	agree(t, next...)
	for _, p := range next {
		absent(t, p, "the old group's resumption PSK", alice.g.cur.secrets.resumption)
	}
	spy.gone(t, next...)
}

func TestForwardSecrecyOfLeaving(t *testing.T) {
	spy := newSpy(t)
	peers := newGroupOf(t, suiteSpied, 4)
	alice, bob, carol := peers[0], peers[1], peers[2]
	late := carol.seal("late")
	update, err := bob.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	bob.save()
	carol.process(update)
	bob.seal("own ratchet")
	own := bytes.Clone(bob.g.keys.ratchets[ratchetID{1, ratchetApplication}].secret)
	bob.commit(CommitOptions{}) // which is lost
	s := alice.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(1)}})
	before := hold(bob)
	bob.process(s.Message)
	before.swept(t, with(epochPaths, ".cur.secrets.resumption", ".cur.keys[1]", ".cur.keys[2]", ".cur.keys[3]", ".proposals[0].newPrivate",
		".pending.next.secrets.exporter", ".pending.next.secrets.encryption", ".pending.next.keys[2]")...)
	absent(t, bob, "the own ratchet", own)
	spy.wiped(t)
	spy.gone(t, bob)
	bob.restore()
	spy.gone(t, bob)
	bob.hears(late, "late", carol)
	absent(t, bob, "the own ratchet", own)
}

func TestForwardSecrecyOfPending(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	discarded := func(p *peer, drop func()) {
		t.Helper()
		p.commit(CommitOptions{})
		p.g.Pending().Export("x", nil, 32)
		before := hold(p)
		drop()
		p.save()
		before.swept(t, ".pending.next.secrets.init", ".pending.next.secrets.exporter", ".pending.next.secrets.encryption",
			fmt.Sprintf(".pending.next.keys[%d]", p.g.own.node()), ".pending.next.keys[3]")
		for key := range p.store {
			if key == recordPending {
				t.Error("the discarded commit is on record")
			}
		}
	}
	discarded(alice, alice.g.DiscardPending)
	discarded(alice, func() { alice.process(bob.commit(CommitOptions{}).Message); bob.merge() })
}

func TestForwardSecrecyOfUpdates(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	propose := func() []byte {
		m, err := bob.g.ProposeUpdate(nil)
		if err != nil {
			t.Fatal(err)
		}
		bob.save()
		return m
	}
	// Two updates, of which none is committed, then one that is.
	propose()
	alice.process(propose())
	before := hold(bob)
	alice.g.forgetProposals()
	bob.process(alice.commit(CommitOptions{}).Message)
	alice.merge()
	before.swept(t, ".proposals[0].newPrivate", ".proposals[1].newPrivate")

	alice.process(propose())
	before = hold(bob)
	bob.process(alice.commit(CommitOptions{}).Message)
	alice.merge()
	before.swept(t, ".cur.keys[2]")
	agree(t, alice, bob)
	present(t, bob, "the new leaf key", before.copied[".proposals[0].newPrivate"])
	if !allZero(before.memory[".proposals[0].newPrivate"]) {
		t.Error("the proposal's copy of the key is not wiped")
	}
}

func TestForwardSecrecyOfPastEpochs(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	bob.cfg.PastEpochs = 2
	bob.restore()
	next := func() {
		t.Helper()
		s := alice.commit(CommitOptions{})
		alice.merge()
		bob.process(s.Message)
	}
	alice.seal("never arrives")
	bob.hears(alice.seal("arrives"), "arrives", alice)
	next()
	next()
	before := hold(bob)
	next()
	before.swept(t, ".past[1].senderData", ".past[1].resumption", ".past[1].keys.ratchets[{0 1}].secret",
		".past[1].keys.ratchets[{0 1}].skipped[0].key", ".past[1].keys.nodes[2]", ".past[1].keys.nodes[5]")
	bob.restore()
	absent(t, bob, "the expired epoch's sender data secret", before.copied[".past[1].senderData"])
	for key := range bob.store {
		for _, prefix := range []string{prefixPast, prefixSecret, prefixRatchet, prefixPastMember} {
			if bytes.HasPrefix([]byte(key), []byte(prefix)) && []byte(key)[len(prefix)+7] < byte(bob.g.Epoch()-2) {
				t.Errorf("record %q is of an expired epoch", key)
			}
		}
	}
}
