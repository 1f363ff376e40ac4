package mls

import (
	"bytes"
	"testing"
)

// recording is the history of a member who never sends, in the making.
type recording struct {
	*peer
	vector passiveVector
	psks   map[string][]byte
}

// newRecording makes a member with a KeyPackage for others to add.
func newRecording(t *testing.T, s *suite, name string, psks map[string][]byte) *recording {
	r := &recording{peer: newPeer(t, s.id, name), psks: psks}
	r.know(psks)
	r.keyPackage()
	r.vector = passiveVector{
		CipherSuite: s.id, KeyPackage: keyPackageMessage(r.peer), Signature: must(MarshalSigner(s.id, r.signer)),
		Encryption: bytes.Clone(r.bundle.encryptPrivate), Init: bytes.Clone(r.bundle.initPrivate),
		ExternalPSKs: []passivePSK{}, Epochs: []passiveCommit{},
	}
	for id, psk := range psks {
		r.vector.ExternalPSKs = append(r.vector.ExternalPSKs, passivePSK{hexBytes(id), psk})
	}
	return r
}

func (p *peer) know(psks map[string][]byte) {
	p.cfg.ExternalPSK = func(id []byte) ([]byte, bool) {
		secret, ok := psks[string(id)]
		return secret, ok
	}
}

// enters joins with the tree beside the Welcome, or nil where that has it.
func (r *recording) enters(welcome, tree []byte) {
	r.t.Helper()
	r.g = must(Join(r.cfg, r.signer, r.bundle, welcome, tree))
	r.entered(welcome, tree)
}

// succeeds joins a successor of the group that old is in.
func (r *recording) succeeds(old *Group, welcome []byte) {
	r.t.Helper()
	r.g = must(old.JoinSuccessor(r.signer, r.bundle, welcome, nil))
	r.entered(welcome, nil)
}

func (r *recording) entered(welcome, tree []byte) {
	r.save()
	r.vector.Welcome, r.vector.Tree, r.vector.Authenticator = welcome, tree, r.g.EpochAuthenticator()
}

// hearsAll takes the proposals of an epoch and the commit that ends it.
func (r *recording) hearsAll(commit []byte, proposals ...[]byte) {
	r.t.Helper()
	e := passiveCommit{Proposals: []hexBytes{}, Commit: commit}
	for _, m := range proposals {
		r.process(m)
		e.Proposals = append(e.Proposals, m)
	}
	r.process(commit)
	e.Authenticator = r.g.EpochAuthenticator()
	r.vector.Epochs = append(r.vector.Epochs, e)
}

func newPassiveClients(t *testing.T, s *suite) []any {
	first, alice := passiveHistory(t, s)
	next, founder := passiveReInit(t, s, first, alice)
	branch := passiveBranch(t, s, next, founder)
	return []any{first.vector, next.vector, branch.vector}
}

// passiveHistory begins with a PSK and the tree beside the Welcome, and ends with
// the group re-initialised.
func passiveHistory(t *testing.T, s *suite) (bob *recording, alice *peer) {
	psks := map[string][]byte{"zero": random(16), "one": random(s.nh), "two": random(20)}
	alice, bob = newPeer(t, s.id, "alice"), newRecording(t, s, "bob", psks)
	alice.know(psks)
	alice.create()
	staged := alice.commit(CommitOptions{
		Proposals: []Proposal{AddProposal(bob.bundle.KeyPackage()), ExternalPSKProposal([]byte("zero"))}, OmitTree: true,
	})
	alice.merge()
	bob.enters(staged.Welcome, alice.g.RatchetTree())

	// A PSK by reference, extensions by value.
	server := newPeer(t, s.id, "server")
	external := must(NewExternalSender(s.id, server.signer, server.credential))
	psk := alice.proposes(alice.g.Propose(ExternalPSKProposal([]byte("one"))))
	staged = alice.commit(CommitOptions{Proposals: []Proposal{GroupContextExtensionsProposal([]Extension{
		ExternalSendersExtension([]ExternalSender{external}), {Type: extTest, Data: []byte("name")}, requiring(extTest, 0, 1),
	})}})
	alice.merge()
	bob.hearsAll(staged.Message, psk)

	// A newcomer who has proposed himself, added without a path.
	dave := newPeer(t, s.id, "dave")
	dave.keyPackage()
	join := must(NewJoinProposal(alice.g.ID(), alice.g.Epoch(), dave.bundle, dave.signer))
	alice.process(join)
	staged = alice.commit(CommitOptions{AddOnly: true})
	alice.merge()
	bob.hearsAll(staged.Message, join)

	// He has lost everything and comes again by an external commit.
	old := LeafIndex(2)
	again := newPeer(t, s.id, "dave")
	_, commit, err := JoinByCommit(again.cfg, ExternalJoinOptions{
		GroupInfo: must(alice.g.GroupInfo(true)), Replace: &old, Signer: again.signer, Credential: again.credential,
		ExtraCapabilities: again.capabilities,
	})
	if err != nil {
		t.Fatal(err)
	}
	alice.process(commit)
	bob.hearsAll(commit)

	// An external sender has him removed; PSKs by value.
	remove := must(NewExternalProposal(ExternalProposalParams{
		Suite: s.id, GroupID: alice.g.ID(), Epoch: alice.g.Epoch(), Signer: server.signer, Proposal: RemoveProposal(old),
	}))
	alice.process(remove)
	staged = alice.commit(CommitOptions{Proposals: []Proposal{
		ExternalPSKProposal([]byte("two")), ResumptionPSKProposal(alice.g.ID(), 1),
	}})
	alice.merge()
	bob.hearsAll(staged.Message, remove)

	staged = alice.commit(CommitOptions{AddOnly: true, Proposals: []Proposal{ReInitProposal(ReInit{
		GroupID: []byte("another group"), Suite: s.id, Extensions: []Extension{{Type: extTest, Data: []byte("new")}},
	})}})
	alice.merge()
	bob.hearsAll(staged.Message)
	return bob, alice
}

func (p *peer) proposes(m []byte, err error) []byte {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	p.save()
	return m
}

// passiveReInit joins the group that takes the place of the first one.
func passiveReInit(t *testing.T, s *suite, first *recording, alice *peer) (bob *recording, founder *peer) {
	bob, founder = newRecording(t, s, "bob", nil), newPeer(t, s.id, "alice")
	g, staged, err := alice.g.Reinitialize(SuccessorOptions{
		Credential: founder.credential, Signer: founder.signer, ExtraCapabilities: founder.capabilities,
		KeyPackages: [][]byte{bob.bundle.KeyPackage()}, AddOnly: true,
	})
	founder.g = must(g, err)
	founder.save()
	founder.merge()
	bob.succeeds(first.g, staged.Welcome)
	return bob, founder
}

// passiveBranch joins a branch of the second group.
func passiveBranch(t *testing.T, s *suite, from *recording, founder *peer) *recording {
	bob, alice := newRecording(t, s, "bob", nil), newPeer(t, s.id, "alice")
	g, staged, err := founder.g.Branch([]byte("a branch"), nil, SuccessorOptions{
		Credential: alice.credential, Signer: alice.signer, ExtraCapabilities: alice.capabilities,
		KeyPackages: [][]byte{bob.bundle.KeyPackage()}, AddOnly: true,
	})
	alice.g = must(g, err)
	alice.save()
	alice.merge()
	bob.succeeds(from.g, staged.Welcome)
	return bob
}
