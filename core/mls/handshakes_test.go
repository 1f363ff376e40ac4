package mls

import "testing"

func isPublic(t *testing.T, message []byte) bool {
	t.Helper()
	m, err := unmarshal(message, readMessage)
	if err != nil {
		t.Fatal(err)
	}
	return m.public != nil
}

func (p *peer) handshakes(policy HandshakePolicy) {
	p.cfg.Handshakes = policy
	p.restore()
}

func TestPublicHandshakes(t *testing.T) {
	eachExternalSuite(t, func(t *testing.T, suite Suite) {
		peers := newGroupOf(t, suite, 4)
		alice, bob, carol, dave := peers[0], peers[1], peers[2], peers[3]
		for _, p := range peers[:3] {
			p.handshakes(HandshakesPublic)
		}
		dave.handshakes(HandshakesMixed)
		deliver := func(from *peer, m []byte, public bool) {
			t.Helper()
			if isPublic(t, m) != public {
				t.Errorf("%s sends in public: %v", from.name, !public)
			}
			from.refuses(m, ErrOwnMessage)
			for _, p := range peers {
				if p != from {
					p.process(m)
				}
			}
		}
		update, err := bob.g.ProposeUpdate(nil)
		if err != nil {
			t.Fatal(err)
		}
		bob.save()
		deliver(bob, update, true)
		alice.refuses(update, ErrAlreadyUsed)
		eve := newPeer(t, suite, "eve")
		add, err := dave.g.Propose(AddProposal(eve.keyPackage()))
		if err != nil {
			t.Fatal(err)
		}
		dave.save()
		deliver(dave, add, false)

		s := carol.commit(CommitOptions{AAD: []byte("aad")})
		carol.restore()
		if len(s.Added) != 1 || len(s.Updated) != 2 {
			t.Errorf("commit is %+v", s)
		}
		deliver(carol, s.Message, true)
		carol.merge()
		eve.join(s.Welcome)
		eve.handshakes(HandshakesMixed)
		peers = append(peers, eve)
		text := alice.seal("what is said is never public")
		if isPublic(t, text) {
			t.Error("application data in public")
		}
		bob.hears(text, "what is said is never public", alice)
		converse(t, peers...)
	})
}

func TestHandshakesAgainstPolicy(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	alice.handshakes(HandshakesPublic)
	carol.handshakes(HandshakesMixed)
	proposal, err := alice.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	alice.save()
	s := alice.commit(CommitOptions{})
	for _, m := range [][]byte{proposal, s.Message} {
		bob.refuses(m, ErrPublicHandshake)
	}
	carol.process(proposal)
	carol.process(s.Message)
	if isPublic(t, carol.commit(CommitOptions{}).Message) {
		t.Error("carol commits in public")
	}
}
