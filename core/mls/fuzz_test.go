package mls

import (
	"bytes"
	"slices"
	"testing"
)

// FuzzMessage: what decodes encodes to the same bytes, and nothing panics.
func FuzzMessage(f *testing.F) {
	peers := newGroupOf(f, SuiteX25519, 3)
	newcomer := newPeer(f, SuiteX25519, "newcomer")
	s := peers[0].commit(CommitOptions{Proposals: []Proposal{AddProposal(newcomer.keyPackage())}})
	f.Add(s.Message)
	f.Add(s.Welcome)
	f.Add(peers[1].seal("x"))
	f.Add(marshal(&message{wireFormat: wireKeyPackage, keyPackage: newcomer.bundle.kp}))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := unmarshal(bytes.Clone(b), readMessage)
		if err == nil && !bytes.Equal(marshal(m), b) {
			t.Errorf("%x decodes, but encodes to %x", b, marshal(m))
		}
		_, _ = Peek(b)
	})
}

func FuzzKeyPackage(f *testing.F) {
	for _, suite := range []Suite{SuiteX25519, SuiteXWing} {
		p := newPeer(f, suite, "x")
		f.Add(p.keyPackage())
	}
	cfg, _ := Config{Auth: anyone{}}.withDefaults()
	f.Fuzz(func(t *testing.T, b []byte) {
		kp, err := ParseKeyPackage(b)
		if err != nil {
			return
		}
		if !bytes.Equal(kp.Bytes(), b) {
			t.Error("decodes, but encodes to something else")
		}
		_ = kp.Verify(cfg.now())
		kp.Ref()
	})
}

func FuzzTree(f *testing.F) {
	peers := newGroupOf(f, SuiteX25519, 5)
	f.Add(marshal(peers[0].g.cur.tree))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := parseTree(suites[0], b)
		if err != nil {
			return
		}
		if !bytes.Equal(marshal(tree), b) {
			t.Error("decodes, but encodes to something else")
		}
		if tree.validate([]byte("a group")) == nil {
			tree.rootHash()
		}
	})
}

// fuzzGroup is bob's view of a group with traffic by alice.
func fuzzGroup(f *testing.F) (bob *peer, traffic [][]byte) {
	peers := newGroupOf(f, SuiteX25519, 5)
	alice, bob := peers[0], peers[1]
	traffic = append(traffic, alice.seal("x"))
	proposal, err := alice.g.ProposeUpdate(nil)
	if err != nil {
		f.Fatal(err)
	}
	newcomer := newPeer(f, SuiteX25519, "newcomer")
	commit := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(newcomer.keyPackage()), RemoveProposal(3)}})
	traffic = append(traffic, proposal, commit.Message, commit.Welcome)
	alice.g.DiscardPending()
	alice.save()

	bob.cfg.Handshakes = HandshakesMixed
	bob.restore()
	remove := marshal(&Proposal{typ: ProposalRemove, removed: 2})
	joiner := newPeer(f, SuiteX25519, "joiner")
	info := alice.groupInfo(true)
	ask, err := NewJoinProposal(alice.g.ID(), alice.g.Epoch(), newcomer.bundle, newcomer.signer)
	if err != nil {
		f.Fatal(err)
	}
	return bob, append(traffic, alice.forgeContent(contentProposal, remove, nil, wirePublic), joiner.joinByCommit(ExternalJoinOptions{GroupInfo: info}),
		info, ask, marshal(&message{wireFormat: wireKeyPackage, keyPackage: newcomer.bundle.kp}))
}

// FuzzProcess: mutated traffic is refused without a trace, or taken.
func FuzzProcess(f *testing.F) {
	bob, traffic := fuzzGroup(f)
	for _, m := range traffic {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, m []byte) {
		bob.t = t
		bob.restore()
		before := dump(bob.g)
		r, err := bob.g.Process(m)
		if err != nil {
			if c := bob.g.TakeChanges(); len(c) != 0 || dump(bob.g) != before {
				t.Errorf("a refused message changed %d records", len(c))
			}
			return
		}
		if s, ok := r.(*StagedCommit); ok {
			if err := bob.g.Merge(s); err != nil {
				t.Error(err)
			}
		}
	})
}

// FuzzCommit: past decryption and signature, any commit content is refused
// without a trace, or taken.
func FuzzCommit(f *testing.F) {
	peers := newGroupOf(f, SuiteX25519, 5)
	mallory, bob := peers[0], peers[1]
	newcomer := newPeer(f, SuiteX25519, "newcomer")
	kp, err := ParseKeyPackage(newcomer.keyPackage())
	if err != nil {
		f.Fatal(err)
	}
	mallory.forge(func(c *forgery) {
		f.Add(marshal(c.c))
		c.byValue(&Proposal{typ: ProposalAdd, keyPackage: kp}, &Proposal{typ: ProposalRemove, removed: 2})
		f.Add(marshal(c.c))
		c.c.proposals = nil
	})
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := unmarshal(b, readCommit)
		if err != nil {
			return
		}
		content := mallory.g.content(contentCommit, b, nil)
		content.content.commit = c
		_, _ = bob.g.stage(content)
		if c := bob.g.TakeChanges(); len(c) != 0 {
			t.Errorf("staging changed %d records", len(c))
		}
	})
}

// FuzzJoin: a mutated Welcome, and whatever comes as a tree.
func FuzzJoin(f *testing.F) {
	alice, dave := newGroupOf(f, SuiteX25519, 3)[0], newPeer(f, SuiteX25519, "dave")
	s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(dave.keyPackage())}})
	f.Add(s.Welcome, []byte{})
	f.Add(s.Welcome, marshal(s.next.tree))
	f.Fuzz(func(t *testing.T, welcome, tree []byte) {
		g, err := Join(dave.cfg, dave.signer, dave.bundle, welcome, tree)
		if err == nil && !bytes.Equal(g.EpochAuthenticator(), s.EpochAuthenticator()) {
			t.Error("joined another group")
		}
	})
}

// FuzzLoad: a group from records with one replaced or missing is refused, or
// does not panic whatever one does with it.
func FuzzLoad(f *testing.F) {
	bob, traffic := fuzzGroup(f)
	bob.process(traffic[1])
	bob.process(traffic[0])
	bob.commit(CommitOptions{Proposals: []Proposal{RemoveProposal(4)}})
	keys := make([]string, 0, len(bob.store))
	for k := range bob.store {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for i, k := range keys {
		f.Add(i, []byte(k), bob.store[k])
		f.Add(i, []byte(k), []byte{})
		f.Add(i, []byte(k+"x"), bob.store[k])
	}
	f.Fuzz(func(t *testing.T, i int, key, value []byte) {
		store := records{}
		for k, v := range bob.store {
			store[k] = bytes.Clone(v)
		}
		if i >= 0 && i < len(keys) {
			delete(store, keys[i])
		}
		store[string(key)] = value
		g, err := Load(bob.cfg, bob.signer, store.each)
		if err != nil {
			return
		}
		_, _ = g.Seal([]byte("x"), nil)
		_, _ = g.ProposeSelfRemove()
		for _, m := range traffic {
			if r, err := g.Process(m); err == nil {
				if s, ok := r.(*StagedCommit); ok && i%2 == 0 {
					_ = g.Merge(s)
				}
			}
		}
		_ = g.MergePending()
		_, _ = g.Commit(CommitOptions{})
		_ = g.MergePending()
		for range g.Members() {
			g.TakeChanges()
		}
	})
}
