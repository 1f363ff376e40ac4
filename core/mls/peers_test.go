package mls

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"testing"
)

// peer is a client of a test: a group, its records as a vault would have them,
// and what it takes to load them.
type peer struct {
	t      testing.TB
	name   string
	suite  Suite
	cfg    Config
	signer crypto.Signer
	bundle *KeyPackageBundle
	g      *Group
	store  records

	capabilities Capabilities // beside the package's own
	credential   Credential
}

func newPeer(t testing.TB, suite Suite, name string) *peer {
	t.Helper()
	signer, err := GenerateSigner(suite)
	if err != nil {
		t.Fatal(err)
	}
	return &peer{t: t, name: name, suite: suite, cfg: Config{Auth: anyone{}}, signer: signer, store: records{}, capabilities: testCapabilities, credential: BasicCredential([]byte(name))}
}

// GoString keeps rapid's reports readable.
func (p *peer) GoString() string { return p.name }

const extTest uint16 = 0xF0C1

var testCapabilities = Capabilities{Extensions: []uint16{extTest}}

func (p *peer) keyPackage() []byte {
	p.t.Helper()
	b, err := NewKeyPackage(KeyPackageOptions{
		Suite: p.suite, Credential: p.credential, Signer: p.signer, ExtraCapabilities: p.capabilities,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.bundle = b
	return b.KeyPackage()
}

func (p *peer) create() {
	p.t.Helper()
	p.createWith()
}

func (p *peer) createWith(context ...Extension) {
	p.t.Helper()
	g, err := Create(p.cfg, CreateParams{
		GroupID: []byte("a group"), Suite: p.suite, Credential: p.credential, Signer: p.signer,
		ExtraCapabilities: p.capabilities, GroupContextExtensions: context,
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.g = g
	p.save()
}

func (p *peer) join(welcome []byte) {
	p.t.Helper()
	g, err := Join(p.cfg, p.signer, p.bundle, welcome, nil)
	if err != nil {
		p.t.Fatalf("%s joins: %v", p.name, err)
	}
	p.g, p.store = g, records{}
	p.save()
}

// save stores the changes, as after every operation.
func (p *peer) save() { p.store.apply(p.g.TakeChanges()) }

// restore loads the group from its records.
func (p *peer) restore() {
	p.t.Helper()
	g, err := Load(p.cfg, p.signer, p.store.each)
	if err != nil {
		p.t.Fatalf("%s restores: %v", p.name, err)
	}
	p.g = g
}

func (p *peer) commit(o CommitOptions) *StagedCommit {
	p.t.Helper()
	s, err := p.g.Commit(o)
	if err != nil {
		p.t.Fatalf("%s commits: %v", p.name, err)
	}
	p.save()
	return s
}

func (p *peer) merge() {
	p.t.Helper()
	if err := p.g.MergePending(); err != nil {
		p.t.Fatalf("%s merges: %v", p.name, err)
	}
	p.save()
}

// process processes, merges commits, and stores.
func (p *peer) process(message []byte) Result {
	p.t.Helper()
	r, err := p.g.Process(message)
	if err != nil {
		p.t.Fatalf("%s processes: %v", p.name, err)
	}
	if s, ok := r.(*StagedCommit); ok {
		if err := p.g.Merge(s); err != nil {
			p.t.Fatalf("%s merges: %v", p.name, err)
		}
	}
	p.save()
	return r
}

func (p *peer) seal(text string) []byte {
	p.t.Helper()
	m, err := p.g.Seal([]byte(text), nil)
	if err != nil {
		p.t.Fatalf("%s seals: %v", p.name, err)
	}
	p.save()
	return m
}

// hears checks that a message opens as text by sender.
func (p *peer) hears(message []byte, text string, sender *peer) {
	p.t.Helper()
	a, ok := p.process(message).(*Application)
	if !ok || string(a.Data) != text || string(a.SenderLeaf.Credential.Identity) != sender.name {
		p.t.Fatalf("%s hears %+v", p.name, a)
	}
}

// refuses checks that a message fails with this error and changes no record.
func (p *peer) refuses(message []byte, want error) {
	p.t.Helper()
	_, err := p.g.Process(message)
	if err == nil || want != nil && !errors.Is(err, want) {
		p.t.Fatalf("%s: got error %v, want %v", p.name, err, want)
	}
	if c := p.g.TakeChanges(); len(c) != 0 {
		p.t.Fatalf("%s: a refused message changed %d records", p.name, len(c))
	}
}

func agree(t testing.TB, peers ...*peer) {
	t.Helper()
	for _, p := range peers[1:] {
		if p.g.Epoch() != peers[0].g.Epoch() || !bytes.Equal(p.g.EpochAuthenticator(), peers[0].g.EpochAuthenticator()) {
			t.Fatalf("%s (epoch %d) and %s (epoch %d) disagree", peers[0].name, peers[0].g.Epoch(), p.name, p.g.Epoch())
		}
	}
}

// newGroupOf makes a group of n, all added by the first in one commit.
func newGroupOf(t testing.TB, suite Suite, n int) []*peer {
	t.Helper()
	peers := make([]*peer, n)
	var adds []Proposal
	for i := range peers {
		peers[i] = newPeer(t, suite, fmt.Sprintf("peer %d", i))
		if i > 0 {
			adds = append(adds, AddProposal(peers[i].keyPackage()))
		}
	}
	peers[0].create()
	if n == 1 {
		return peers
	}
	s := peers[0].commit(CommitOptions{Proposals: adds})
	peers[0].merge()
	for _, p := range peers[1:] {
		p.join(s.Welcome)
	}
	agree(t, peers...)
	return peers
}

func eachSuite(t *testing.T, f func(*testing.T, Suite)) {
	for _, s := range suites {
		t.Run(s.id.String(), func(t *testing.T) {
			t.Parallel()
			f(t, s.id)
		})
	}
}
