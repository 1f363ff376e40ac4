package mls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"
)

// succession is a successor group that its author may falsify.
type succession struct {
	link     pskID
	secret   []byte
	params   CreateParams
	joiners  []*peer
	earlier  int  // commits before the one that adds the others
	external bool // also an external PSK
}

// forgeSuccessor makes a successor of p's group past all checks on its side, and
// returns the Welcome into it.
func (p *peer) forgeSuccessor(usage uint8, as *peer, joiners []*peer, edit func(*succession)) []byte {
	p.t.Helper()
	f := &succession{
		link:   pskID{typ: pskResumption, usage: usage, groupID: p.g.ID(), epoch: p.g.Epoch()},
		secret: p.g.cur.secrets.resumption, joiners: joiners,
		params: CreateParams{GroupID: []byte("branch"), Suite: as.suite, Credential: as.credential, Signer: as.signer, ExtraCapabilities: testCapabilities},
	}
	if r := p.g.reInit; r != nil {
		f.params.GroupID, f.params.GroupContextExtensions = r.GroupID, r.Extensions
	}
	edit(f)
	cfg := p.cfg
	cfg.ExternalPSK = func([]byte) ([]byte, bool) { return []byte("external"), f.external }
	next, err := Create(cfg, f.params)
	if err != nil {
		p.t.Fatal(err)
	}
	for range f.earlier {
		if _, err := next.Commit(CommitOptions{}); err != nil {
			p.t.Fatal(err)
		}
		if err := next.MergePending(); err != nil {
			p.t.Fatal(err)
		}
	}
	f.link.nonce = next.suite.randomSecret()
	next.origin = &presharedKey{f.link, f.secret}
	proposals := []Proposal{{typ: ProposalPSK, psk: f.link}}
	if f.external {
		proposals = append(proposals, ExternalPSKProposal([]byte("id")))
	}
	for _, q := range f.joiners {
		proposals = append(proposals, AddProposal(q.keyPackage()))
	}
	staged, err := next.Commit(CommitOptions{Proposals: proposals})
	if err != nil {
		p.t.Fatal(err)
	}
	return staged.Welcome
}

// resecret replaces the secrets of a Welcome for p.
func (p *peer) resecret(welcome []byte, edit func(*groupSecrets)) []byte {
	p.t.Helper()
	secrets := openWelcome(p, welcome)
	edit(secrets)
	m, err := unmarshal(bytes.Clone(welcome), readMessage)
	if err != nil {
		p.t.Fatal(err)
	}
	s, err := suiteOf(p.suite)
	if err != nil {
		p.t.Fatal(err)
	}
	for i := range m.welcome.secrets {
		e := &m.welcome.secrets[i]
		if !bytes.Equal(e.newMember, p.bundle.Ref()) {
			continue
		}
		if e.secrets, err = s.encryptWithLabel(p.bundle.kp.initKey, "Welcome", m.welcome.groupInfo, marshal(secrets)); err != nil {
			p.t.Fatal(err)
		}
	}
	return marshal(m)
}

// closedGroup is a group that has been re-initialised for this suite, and its members again.
func closedGroup(t *testing.T, from, to Suite) (peers, next []*peer) {
	peers = newGroupOf(t, from, 3)
	s := peers[0].commit(CommitOptions{Proposals: []Proposal{ReInitProposal(ReInit{
		GroupID: []byte("next"), Suite: to, Extensions: []Extension{{Type: extTest, Data: []byte("name")}},
	})}})
	peers[0].merge()
	deliver(s.Message, peers[0], peers)
	return peers, again(t, to, peers)
}

func TestJoinReinitializedValidation(t *testing.T) {
	old, next := closedGroup(t, SuiteX25519, SuiteXWing)
	mallory, bob, me := old[0], old[1], next[1]
	stranger, twin := newPeer(t, SuiteXWing, "stranger"), newPeer(t, SuiteXWing, "peer 1")
	nothing := func(*succession) {}
	same := func(w []byte) []byte { return w }
	for _, c := range []struct {
		name  string
		want  any
		edit  func(*succession)
		after func([]byte) []byte
	}{
		{"nothing falsified", nil, nothing, same},
		{"an external PSK besides", nil, func(f *succession) { f.external = true }, same},
		{"epoch 2", "11.2", func(f *succession) { f.earlier = 1 }, same},
		{"another group id", "11.2", func(f *succession) { f.params.GroupID = []byte("other") }, same},
		{"other extensions", "11.2", func(f *succession) { f.params.GroupContextExtensions = nil }, same},
		{"other data of an extension", "11.2", func(f *succession) {
			f.params.GroupContextExtensions = []Extension{{Type: extTest, Data: []byte("mine")}}
		}, same},
		{"a member missing", "11.2", func(f *succession) { f.joiners = f.joiners[:1] }, same},
		{"a stranger added", "11.2", func(f *succession) { f.joiners = append(f.joiners, stranger) }, same},
		{"a stranger instead", "11.2", func(f *succession) { f.joiners = []*peer{me, stranger} }, same},
		{"a member twice", "11.2", func(f *succession) { f.joiners = []*peer{me, twin} }, same},
		{"made by a stranger", "11.2", func(f *succession) {
			f.params.Signer, f.params.Credential = stranger.signer, stranger.credential
		}, same},
		{"PSK of the epoch before", "11.2", func(f *succession) { f.link.epoch-- }, same},
		{"PSK of an epoch to come", "11.2", func(f *succession) { f.link.epoch++ }, same},
		{"PSK of another group", ErrWrongGroup, func(f *succession) { f.link.groupID = []byte("another") }, same},
		{"PSK of a branch", ErrReInit, func(f *succession) { f.link.usage = usageBranch }, same},
		{"by one without the PSK", ErrDecrypt, func(f *succession) { f.secret = make([]byte, 32) }, same},
		{"two PSKs of a re-initialisation", "12.4.3.1", nothing, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) {
				s.psks = append(s.psks, s.psks[0])
				s.psks[1].nonce = make([]byte, 48)
			})
		}},
		{"PSKs of a re-initialisation and of a branch", "12.4.3.1", nothing, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) {
				s.psks = append(s.psks, s.psks[0])
				s.psks[1].usage = usageBranch
			})
		}},
		{"no PSK", "12.4.3.1", nothing, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) { s.psks = nil })
		}},
		{"nonce of the old suite's length", "8.4", nothing, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) { s.psks[0].nonce = s.psks[0].nonce[:32] })
		}},
		{"a PSK twice", "12.2", func(f *succession) { f.external = true }, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) { s.psks = append(s.psks, s.psks[1]) })
		}},
		{"more PSKs than a commit can have", "12.2", nothing, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) {
				for i := range maxCommitted {
					nonce := binary.BigEndian.AppendUint32(make([]byte, 44), uint32(i))
					s.psks = append(s.psks, pskID{typ: pskExternal, nonce: nonce})
				}
			})
		}},
		{"PSK of unknown usage", ErrMalformed, nothing, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) { s.psks[0].usage = 4 })
		}},
		{"PSKs in another order", ErrDecrypt, func(f *succession) { f.external = true }, func(w []byte) []byte {
			return me.resecret(w, func(s *groupSecrets) { s.psks[0], s.psks[1] = s.psks[1], s.psks[0] })
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bob.cfg.ExternalPSK = func([]byte) ([]byte, bool) { return []byte("external"), true }
			bob.restore()
			welcome := c.after(mallory.forgeSuccessor(usageReInit, next[0], []*peer{me, next[2]}, c.edit))
			bob.unchanged(func() {
				g, err := bob.g.JoinSuccessor(me.signer, me.bundle, welcome, nil)
				if c.want != nil {
					expect(t, err, c.want)
				} else if err != nil || g.Epoch() != 1 || g.MemberCount() != 3 {
					t.Error(err)
				}
			})
		})
	}
	t.Run("another suite", func(t *testing.T) {
		other := again(t, SuiteP256, old)
		welcome := mallory.forgeSuccessor(usageReInit, other[0], other[1:], nothing)
		bob.unchanged(func() {
			_, err := bob.g.JoinSuccessor(other[1].signer, other[1].bundle, welcome, nil)
			expect(t, err, "11.2")
		})
	})
	t.Run("without the old group", func(t *testing.T) {
		welcome := mallory.forgeSuccessor(usageReInit, next[0], []*peer{me, next[2]}, nothing)
		_, err := Join(me.cfg, me.signer, me.bundle, welcome, nil)
		var refusal *SuccessorError
		if !errors.As(err, &refusal) || string(refusal.GroupID) != "a group" || refusal.Epoch != bob.g.Epoch() || refusal.Branch {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ordinary welcome", func(t *testing.T) {
		alice := newGroupOf(t, SuiteXWing, 1)[0]
		s := alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(me.keyPackage())}})
		_, err := bob.g.JoinSuccessor(me.signer, me.bundle, s.Welcome, nil)
		expect(t, err, "12.4.3.1")
	})
}

// A group that goes on has no successor.
func TestJoinPrematureSuccessor(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	next := again(t, SuiteX25519, peers)
	bob, me := peers[1], next[1]
	for _, c := range []struct {
		name string
		want any
		edit func(*succession)
	}{
		{"not re-initialised", "11.2", func(*succession) {}},
		{"to be re-initialised", ErrFutureEpoch, func(f *succession) { f.link.epoch++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			welcome := peers[0].forgeSuccessor(usageReInit, next[0], next[1:], c.edit)
			bob.unchanged(func() {
				_, err := bob.g.JoinSuccessor(me.signer, me.bundle, welcome, nil)
				expect(t, err, c.want)
			})
		})
	}
}

func TestJoinBranchValidation(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	some := again(t, SuiteX25519, peers)
	mallory, bob, me := peers[0], peers[1], some[1]
	stranger := newPeer(t, SuiteX25519, "stranger")
	for _, c := range []struct {
		name string
		want any
		edit func(*succession)
	}{
		{"nothing falsified", nil, func(*succession) {}},
		{"another device of a member", nil, func(f *succession) {
			f.joiners = append(f.joiners, newPeer(t, SuiteX25519, "peer 1"))
		}},
		{"epoch 2", "11.3", func(f *succession) { f.earlier = 1 }},
		{"id of the group", "11.3", func(f *succession) { f.params.GroupID = []byte("a group") }},
		{"a stranger", "11.3", func(f *succession) { f.joiners = append(f.joiners, stranger) }},
		{"made by a stranger", "11.3", func(f *succession) {
			f.params.Signer, f.params.Credential = stranger.signer, stranger.credential
		}},
		{"of an epoch to come", ErrFutureEpoch, func(f *succession) { f.link.epoch++ }},
		{"of an epoch not seen", ErrMissingPSK, func(f *succession) { f.link.epoch = 0 }},
		{"of another group", ErrWrongGroup, func(f *succession) { f.link.groupID = []byte("another") }},
		{"of a re-initialisation", "11.2", func(f *succession) { f.link.usage = usageReInit }},
		{"by one without the PSK", ErrDecrypt, func(f *succession) { f.secret = make([]byte, 32) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			welcome := mallory.forgeSuccessor(usageBranch, some[0], []*peer{me, some[2]}, c.edit)
			bob.unchanged(func() {
				g, err := bob.g.JoinSuccessor(me.signer, me.bundle, welcome, nil)
				if c.want != nil {
					expect(t, err, c.want)
				} else if err != nil || g.Epoch() != 1 {
					t.Error(err)
				}
			})
		})
	}
	t.Run("another suite", func(t *testing.T) {
		other := again(t, SuiteP256, peers)
		welcome := mallory.forgeSuccessor(usageBranch, other[0], other[1:2], func(*succession) {})
		bob.unchanged(func() {
			_, err := bob.g.JoinSuccessor(other[1].signer, other[1].bundle, welcome, nil)
			expect(t, err, "11.3")
		})
	})
	t.Run("without the old group", func(t *testing.T) {
		welcome := mallory.forgeSuccessor(usageBranch, some[0], some[1:2], func(*succession) {})
		_, err := Join(me.cfg, me.signer, me.bundle, welcome, nil)
		var refusal *SuccessorError
		if !errors.As(err, &refusal) || !refusal.Branch {
			t.Errorf("got %v", err)
		}
	})
}

// Who is who is for Config.Identifier to say.
func TestSuccessorIdentifier(t *testing.T) {
	old, next := closedGroup(t, SuiteX25519, SuiteX25519)
	for _, p := range next {
		p.credential = BasicCredential([]byte(p.name + "/new device"))
	}
	o := next[0].successorOptions(next[1:])
	_, _, err := old[0].g.Reinitialize(o)
	expect(t, err, "11.2")
	for _, p := range old {
		p.cfg.Identifier = func(l *LeafNode) []byte {
			name, _, _ := bytes.Cut(l.Credential.Identity, []byte("/"))
			return name
		}
		p.restore()
	}
	welcome := next[0].starts(old[0].g.Reinitialize(o))
	for i, p := range next[1:] {
		p.succeeds(old[i+1], welcome)
	}
	agree(t, next...)
}
