package mls

import (
	"bytes"
	"crypto"
	"fmt"
	"slices"
	"testing"
)

// outsider is an external sender of a test.
type outsider struct {
	signer crypto.Signer
	ExternalSender
}

func newOutsider(t testing.TB, suite Suite, name string) outsider {
	t.Helper()
	signer, err := GenerateSigner(suite)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewExternalSender(suite, signer, BasicCredential([]byte(name)))
	if err != nil {
		t.Fatal(err)
	}
	return outsider{signer, s}
}

// withOutsiders makes a group of n that takes the proposals of four external senders.
func withOutsiders(t testing.TB, suite Suite, n int) ([]*peer, []outsider) {
	t.Helper()
	peers := newGroupOf(t, suite, n)
	var out []outsider
	var list []ExternalSender
	for i := range 4 {
		out = append(out, newOutsider(t, suite, fmt.Sprintf("server %d", i)))
		list = append(list, out[i].ExternalSender)
	}
	s := peers[0].commit(CommitOptions{Proposals: []Proposal{GroupContextExtensionsProposal([]Extension{ExternalSendersExtension(list)})}})
	peers[0].merge()
	for _, p := range peers[1:] {
		p.process(s.Message)
	}
	return peers, out
}

// proposes makes an external proposal to the group that g is in.
func (o outsider) proposes(t testing.TB, g *Group, index uint32, p Proposal) []byte {
	t.Helper()
	m, err := NewExternalProposal(ExternalProposalParams{
		Suite: g.Suite(), GroupID: g.ID(), Epoch: g.Epoch(), Sender: index, Signer: o.signer, Proposal: p, AAD: []byte("aad"),
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestExternalProposals(t *testing.T) {
	eachExternalSuite(t, func(t *testing.T, suite Suite) {
		peers, out := withOutsiders(t, suite, 5)
		secret := func(id []byte) ([]byte, bool) { return []byte("psk"), string(id) == "id" }
		for _, p := range peers {
			p.cfg.ExternalPSK = secret
			p.restore()
		}
		eve, frank := newPeer(t, suite, "eve"), newPeer(t, suite, "frank")
		frank.keyPackage()
		// Number 3 is not the member at leaf 3, who commits what that one proposes.
		const index = 3
		extensions := []Extension{ExternalSendersExtension([]ExternalSender{out[0].ExternalSender}), {Type: extTest, Data: []byte("new")}}
		committer := peers[index]
		propose := []Proposal{
			AddProposal(eve.keyPackage()), RemoveProposal(1), ExternalPSKProposal([]byte("id")), GroupContextExtensionsProposal(extensions),
		}
		for i, p := range propose {
			m := out[index].proposes(t, committer.g, index, p)
			for _, q := range peers {
				r := q.process(m).(*ReceivedProposal)
				if r.From != SenderExternal || r.Sender != index || r.SenderLeaf != nil || r.Kind != p.Type() ||
					i == 1 && r.Target != 1 || i == 0 && r.Leaf == nil || string(r.AAD) != "aad" {
					t.Errorf("proposal is %+v", r)
				}
				q.refuses(m, ErrAlreadyUsed)
			}
		}
		join, err := NewJoinProposal(committer.g.ID(), committer.g.Epoch(), frank.bundle, frank.signer)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range peers {
			r := q.process(join).(*ReceivedProposal)
			if r.From != SenderNewMemberProposal || r.Kind != ProposalAdd || string(r.SenderLeaf.Credential.Identity) != "frank" || r.Leaf != r.SenderLeaf {
				t.Errorf("proposal is %+v", r)
			}
			before := q.proposalsOnRecord()
			q.restore() // the kind of sender survives
			if !bytes.Equal(before, q.proposalsOnRecord()) {
				t.Error("proposals are not loaded as they were")
			}
		}
		s := committer.commit(CommitOptions{})
		want := []CommittedProposal{
			{ProposalGroupContextExtensions, SenderExternal, index, index},
			{ProposalPSK, SenderExternal, index, index},
			{ProposalRemove, SenderExternal, index, 1},
			{ProposalAdd, SenderExternal, index, 5},
			{ProposalAdd, SenderNewMemberProposal, 0, 1},
		}
		check := func(s *StagedCommit) {
			t.Helper()
			got := slices.Clone(s.Proposals)
			for i := range got {
				if got[i].Kind == ProposalAdd {
					got[i].Target = 0 // the two take 1 and 5 in the order of the commit
				}
			}
			for _, w := range want {
				if w.Kind == ProposalAdd {
					w.Target = 0
				}
				if !slices.Contains(got, w) {
					t.Errorf("proposals are %+v, want %+v", got, w)
				}
			}
			if len(got) != len(want) || s.External || s.Committer != index {
				t.Errorf("commit is %+v", s)
			}
		}
		check(s)
		committer.restore()
		check(committer.g.Pending())
		committer.merge()
		for _, q := range peers {
			if q != committer {
				check(q.process(s.Message).(*StagedCommit))
			}
		}
		for _, p := range []*peer{eve, frank} {
			p.cfg.ExternalPSK = secret
			p.join(s.Welcome)
		}
		in := []*peer{peers[0], peers[2], peers[3], peers[4], eve, frank}
		converse(t, in...)

		// The extension is another one now: only number 0 is left.
		m := out[index].proposes(t, in[0].g, index, RemoveProposal(2))
		_, err = in[0].g.Process(m)
		expect(t, err, "12.1.8.1")
		in[0].process(out[0].proposes(t, in[0].g, 0, RemoveProposal(2)))
		s = in[0].commit(CommitOptions{Proposals: []Proposal{GroupContextExtensionsProposal(nil)}})
		if len(s.Removed) != 1 {
			t.Errorf("commit is %+v", s)
		}
		in[0].merge()
		_, err = in[0].g.Process(out[0].proposes(t, in[0].g, 0, RemoveProposal(3)))
		expect(t, err, "12.1.8.1")
	})
}

// A member and an external sender of one number are two senders, in every respect.
func TestExternalSenderIsNotThatLeaf(t *testing.T) {
	peers, out := withOutsiders(t, SuiteX25519, 5)
	alice, dave := peers[0], peers[3]
	const index = 3
	// Dave's own update and what the external sender wants of others stand side by side.
	update, err := dave.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	dave.save()
	for _, q := range []*peer{alice, peers[1], peers[2], peers[4]} {
		q.process(update)
	}
	remove := out[index].proposes(t, alice.g, index, RemoveProposal(1))
	for _, q := range peers {
		q.process(remove)
		q.restore()
	}
	s := alice.commit(CommitOptions{})
	if len(s.Removed) != 1 || len(s.Updated) != 2 || len(s.Proposals) != 2 {
		t.Errorf("commit is %+v", s)
	}
	alice.merge()
	in := []*peer{alice, peers[2], dave, peers[4]}
	for _, q := range in[1:] {
		q.process(s.Message)
	}
	agree(t, in...)

	// An external sender may ask for the removal of the leaf of its number, of which
	// that member must not make a commit of its own.
	remove = out[index].proposes(t, alice.g, index, RemoveProposal(index))
	for _, q := range in {
		q.process(remove)
	}
	if s := dave.commit(CommitOptions{}); len(s.Proposals) != 0 {
		t.Errorf("dave commits his own removal: %+v", s.Proposals)
	}
	s = alice.commit(CommitOptions{})
	if r := dave.process(s.Message).(*StagedCommit); !r.RemovesSelf() {
		t.Error("dave is still in")
	}
}

func TestExternalProposalValidation(t *testing.T) {
	eachExternalSuite(t, testExternalProposalValidation)
}

func testExternalProposalValidation(t *testing.T, suite Suite) {
	peers, out := withOutsiders(t, suite, 4)
	bob, g := peers[1], peers[1].g
	newcomer := newPeer(t, suite, "newcomer")
	newcomer.keyPackage()
	forge := func(from sender, typ contentType, body []byte, signer crypto.Signer) []byte {
		m := &publicMessage{authenticatedContent: authenticatedContent{wireFormat: wirePublic, content: framedContent{
			groupID: g.ID(), epoch: g.Epoch(), sender: from, typ: typ, body: body,
		}}}
		m.confirmationTag = []byte{1}
		if err := m.sign(g.suite, signer, g.cur.contextRaw); err != nil {
			t.Fatal(err)
		}
		return marshal(&message{wireFormat: wirePublic, public: m})
	}
	external := func(p *Proposal) []byte {
		return forge(sender{SenderExternal, 2}, contentProposal, marshal(p), out[2].signer)
	}
	joins := func(p *Proposal, signer crypto.Signer) []byte {
		return forge(sender{typ: SenderNewMemberProposal}, contentProposal, marshal(p), signer)
	}
	add := &Proposal{typ: ProposalAdd, keyPackage: newcomer.bundle.kp}
	remove := &Proposal{typ: ProposalRemove, removed: 3}
	commit := marshal(&commit{})
	inContext := func(p *Proposal, from sender, signer crypto.Signer) []byte {
		// as a member would sign it, with the group context
		m := &publicMessage{authenticatedContent: authenticatedContent{wireFormat: wirePublic, content: framedContent{
			groupID: g.ID(), epoch: g.Epoch(), sender: from, typ: contentProposal, body: marshal(p),
		}}}
		tbs := append(m.tbs(nil), g.cur.contextRaw...)
		var err error
		if m.signature, err = g.suite.signWithLabel(signer, "FramedContentTBS", tbs); err != nil {
			t.Fatal(err)
		}
		return marshal(&message{wireFormat: wirePublic, public: m})
	}
	old, err := NewJoinProposal(g.ID(), g.Epoch()-1, newcomer.bundle, newcomer.signer)
	if err != nil {
		t.Fatal(err)
	}
	future, err := NewJoinProposal(g.ID(), g.Epoch()+1, newcomer.bundle, newcomer.signer)
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name string
		want any
		m    []byte
	}{
		{"no such sender", "12.1.8.1", out[0].proposes(t, g, 4, RemoveProposal(3))},
		{"very great number", "12.1.8.1", out[0].proposes(t, g, 1<<32-1, RemoveProposal(3))},
		{"another's number", ErrInvalidSignature, out[0].proposes(t, g, 1, RemoveProposal(3))},
		{"a member's key", ErrInvalidSignature, forge(sender{SenderExternal, 0}, contentProposal, marshal(remove), peers[0].signer)},
		{"external: signed in the context", ErrInvalidSignature, inContext(remove, sender{SenderExternal, 2}, out[2].signer)},
		{"external: removes a blank", "12.1.3", out[0].proposes(t, g, 0, RemoveProposal(4))},
		{"external: update", "12.1.8", external(&Proposal{typ: ProposalUpdate, leaf: g.cur.tree.leaf(2)})},
		{"external: self-remove", "12.1.8", external(&Proposal{typ: ProposalSelfRemove})},
		{"external: external init", "12.1.6", external(&Proposal{typ: ProposalExternalInit, kemOutput: []byte{1}})},
		{"external: short PSK nonce", "12.1.4", external(&Proposal{typ: ProposalPSK, psk: pskID{typ: pskExternal, nonce: []byte{1}}})},
		{"external: extension twice", "13.4", external(&Proposal{
			typ: ProposalGroupContextExtensions, extensions: []Extension{{Type: extTest}, {Type: extTest}},
		})},
		{"external: senders malformed", ErrMalformed, external(&Proposal{
			typ: ProposalGroupContextExtensions, extensions: []Extension{{Type: ExtExternalSenders, Data: []byte{7}}},
		})},
		{"external: commit", "6", forge(sender{SenderExternal, 2}, contentCommit, commit, out[2].signer)},
		{"external: application", "6.2", forge(sender{SenderExternal, 2}, contentApplication, []byte{1, 1}, out[2].signer)},
		{"joins: removal", "12.1.8", joins(remove, newcomer.signer)},
		{"joins: with a member's number", ErrInvalidSignature, joins(add, peers[0].signer)},
		{"joins: signed in the context", ErrInvalidSignature, inContext(add, sender{typ: SenderNewMemberProposal}, newcomer.signer)},
		{"joins: bad key package", ErrInvalidSignature, func() []byte {
			kp := *newcomer.bundle.kp
			kp.raw = bytes.Clone(kp.raw)
			kp.raw[len(kp.raw)-1] ^= 1
			return joins(&Proposal{typ: ProposalAdd, keyPackage: &kp}, newcomer.signer)
		}()},
		{"joins: application", "6.2", forge(sender{typ: SenderNewMemberProposal}, contentApplication, []byte{1, 1}, newcomer.signer)},
		{"commits: proposal", "6", forge(sender{typ: SenderNewMemberCommit}, contentProposal, marshal(add), newcomer.signer)},
		{"joins: old epoch", ErrOldEpoch, old},
		{"joins: future epoch", ErrFutureEpoch, future},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			bob.resists(t, c.m, c.want)
		})
	}
	t.Run("sending", func(t *testing.T) {
		_, err := NewExternalProposal(ExternalProposalParams{Suite: suite, Signer: out[0].signer, Proposal: Proposal{typ: ProposalSelfRemove}})
		expect(t, err, "12.1.8")
		_, err = NewExternalProposal(ExternalProposalParams{Suite: suite, Signer: out[0].signer, Proposal: AddProposal(nil)})
		expect(t, err, ErrMalformed)
		_, err = NewExternalProposal(ExternalProposalParams{Suite: suite, Proposal: RemoveProposal(1)})
		expect(t, err, ErrSigner)
		_, err = NewExternalProposal(ExternalProposalParams{Suite: 0x0a0a, Signer: out[0].signer, Proposal: RemoveProposal(1)})
		expect(t, err, ErrUnsupported)
		_, err = NewJoinProposal(g.ID(), 1, newcomer.bundle, out[0].signer)
		expect(t, err, ErrSigner)
		_, err = NewExternalSender(suite, nil, Credential{})
		expect(t, err, ErrSigner)
	})
	// A newcomer whom the authentication service refuses is not even kept.
	bob.cfg.Auth = refusing{"newcomer"}
	bob.restore()
	bob.refuses(joins(add, newcomer.signer), errRefused)
	bob.refuses(external(add), errRefused)
}

// However many propose to join, members and external senders are still heard, and
// the group's memory is bounded.
func TestFloodFromOutside(t *testing.T) {
	peers, out := withOutsiders(t, SuiteX25519, 2)
	bob := peers[1]
	join := func(i int) []byte {
		p := newPeer(t, SuiteX25519, fmt.Sprint("newcomer ", i))
		p.keyPackage()
		m, err := NewJoinProposal(bob.g.ID(), bob.g.Epoch(), p.bundle, p.signer)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for i := range maxProposals {
		bob.process(join(i))
	}
	bob.refuses(join(maxProposals), ErrTooManyProposals)
	bob.restore()
	bob.refuses(join(maxProposals), ErrTooManyProposals)
	for range maxProposals { // a member's leaf has number 0, too
		bob.process(out[0].proposes(t, bob.g, 0, ExternalPSKProposal([]byte("id"))))
	}
	bob.refuses(out[0].proposes(t, bob.g, 0, RemoveProposal(0)), ErrTooManyProposals)
	bob.process(out[1].proposes(t, bob.g, 1, RemoveProposal(0)))
	m, err := peers[0].g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	bob.process(m)
}

// Useless proposals from outside do not push members' proposals out of a commit.
func TestUselessExternalProposals(t *testing.T) {
	peers, out := withOutsiders(t, SuiteX25519, 3)
	alice, bob := peers[0], peers[1]
	double := newPeer(t, SuiteX25519, "double")
	double.signer = peers[2].signer
	double.keyPackage()
	m, err := NewJoinProposal(alice.g.ID(), alice.g.Epoch(), double.bundle, double.signer)
	if err != nil {
		t.Fatal(err)
	}
	alice.process(m)
	update, err := bob.g.ProposeUpdate(nil)
	if err != nil {
		t.Fatal(err)
	}
	bob.save()
	alice.process(update)
	good := newPeer(t, SuiteX25519, "good")
	alice.process(out[0].proposes(t, alice.g, 0, AddProposal(good.keyPackage())))
	if s := alice.commit(CommitOptions{}); len(s.Added) != 1 || len(s.Updated) != 2 {
		t.Errorf("commit is %+v", s)
	}
	alice.g.DiscardPending()
	alice.process(out[0].proposes(t, alice.g, 0, AddProposal(double.bundle.KeyPackage())))
	if s := alice.commit(CommitOptions{}); len(s.Added) != 0 || len(s.Updated) != 2 {
		t.Errorf("commit is %+v", s)
	}
	alice.g.DiscardPending()
	alice.g.forgetProposals()

	late := newPeer(t, SuiteX25519, "late")
	b, err := NewKeyPackage(KeyPackageOptions{
		Suite: SuiteX25519, Credential: BasicCredential(nil), Signer: late.signer, ExtraCapabilities: testCapabilities,
		NotBefore: alice.g.cfg.now().AddDate(-1, 0, 0), NotAfter: alice.g.cfg.now().AddDate(0, 0, -1),
	})
	if err != nil {
		t.Fatal(err)
	}
	if m, err = NewJoinProposal(alice.g.ID(), alice.g.Epoch(), b, late.signer); err != nil {
		t.Fatal(err)
	}
	alice.process(m)
	if s := alice.commit(CommitOptions{}); len(s.Added) != 0 {
		t.Error("a key package past its lifetime is committed")
	}
}
