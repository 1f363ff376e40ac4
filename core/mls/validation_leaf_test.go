package mls

import (
	"slices"
	"testing"
)

// TestLeafValidation breaks each rule about a leaf that a member replaces its own
// with, once in an Update proposal and once in the path of a commit.
func TestLeafValidation(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 5)
	mallory, bob, carol := peers[0], peers[1], peers[2]
	required := Extension{Type: ExtRequiredCapabilities, Data: []byte{2, 0xF0, 0xC1, 0, 0}}
	s := carol.commit(CommitOptions{Proposals: []Proposal{GroupContextExtensionsProposal([]Extension{{Type: extTest}, required})}})
	carol.merge()
	for _, p := range []*peer{bob, mallory} {
		p.process(s.Message)
	}
	g := mallory.g
	// Rules about all members at once: the proposal is kept, since another one may
	// make it valid, and no commit may contain it as it is.
	const kept = "kept"
	cases := []struct {
		name           string
		update, commit any // what is to be expected of either
		edit           func(*LeafNode)
	}{
		{"leaf of a key package in an update", "12.1.2", "12.4.2", func(l *LeafNode) {
			l.Source, l.Lifetime = SourceKeyPackage, Lifetime{0, 1 << 40}
		}},
		{"update's leaf in a path and path's in an update", "12.1.2", "12.4.2", func(l *LeafNode) {
			l.Source = SourceUpdate + SourceCommit - l.Source
		}},
		{"the old encryption key", "7.3", "7.3", func(l *LeafNode) { l.EncryptionKey = g.cur.tree.leaf(0).EncryptionKey }},
		{"another leaf's encryption key", kept, "12.4.2", func(l *LeafNode) { l.EncryptionKey = g.cur.tree.leaf(2).EncryptionKey }},
		{"a parent's encryption key", kept, "12.4.2", func(l *LeafNode) {
			l.EncryptionKey = g.cur.tree.node(5).encryptionKey() // of carol and her neighbour
		}},
		{"encryption key that is none", "7.3", "7.3", func(l *LeafNode) { l.EncryptionKey = []byte("short") }},
		{"another leaf's signature key", ErrInvalidSignature, ErrInvalidSignature, func(l *LeafNode) {
			l.SignatureKey = g.cur.tree.leaf(2).SignatureKey
		}},
		{"version not among the capabilities", "7.2", "7.2", func(l *LeafNode) { l.Capabilities.Versions = []uint16{2} }},
		{"suite not among the capabilities", "7.2", "7.2", func(l *LeafNode) { l.Capabilities.Suites = nil }},
		{"credential not among the capabilities", "7.3", "7.3", func(l *LeafNode) { l.Capabilities.Credentials = []uint16{2} }},
		{"credential that others do not support", kept, "7.3", func(l *LeafNode) {
			l.Credential = Credential{Type: CredentialX509, Certificates: [][]byte{{1}}}
			l.Capabilities.Credentials = []uint16{1, 2}
		}},
		{"leaf extension not among the capabilities", "7.3", "7.3", func(l *LeafNode) { l.Extensions = []Extension{{Type: 0xF0FF}} }},
		{"leaf extension twice", "13.4", "13.4", func(l *LeafNode) {
			l.Extensions = []Extension{{Type: ExtApplicationID}, {Type: ExtApplicationID}}
		}},
		{"group context extension not among the capabilities", "7.2", "7.2", func(l *LeafNode) {
			l.Capabilities.Extensions = slices.DeleteFunc(slices.Clone(l.Capabilities.Extensions), func(e uint16) bool { return e == extTest })
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := mallory.forgeUpdate(c.edit, g.own)
			if c.update == kept {
				bob.process(m)
				ref := bob.g.proposals[len(bob.g.proposals)-1].ref
				bob.resists(t, carol.forge(func(f *forgery) { f.c.proposals = []proposalOrRef{{ref: ref}} }), "7.3")
			} else {
				bob.resists(t, m, c.update)
			}
			bob.resists(t, mallory.forge(func(f *forgery) {
				l := f.path.path.leaf
				l.raw, l.Capabilities = nil, cloneCapabilities(l.Capabilities)
				c.edit(l)
				if l.Source == SourceKeyPackage {
					l.parentHash = nil
				}
				f.resignLeaf()
			}), c.commit)
		})
	}
	t.Run("update signed for another place", func(t *testing.T) {
		bob.resists(t, mallory.forgeUpdate(func(*LeafNode) {}, 2), ErrInvalidSignature)
	})
	t.Run("update that the authentication service refuses", func(t *testing.T) {
		bob.g.cfg.Auth = refusing{"somebody else"}
		bob.resists(t, mallory.forgeUpdate(func(l *LeafNode) { l.Credential.Identity = []byte("somebody else") }, 0), "5.3.1")
		bob.g.cfg.Auth = anyone{}
	})
	bob.process(mallory.forgeUpdate(func(*LeafNode) {}, g.own))
	bob.process(mallory.forge(func(*forgery) {}))
}

func cloneCapabilities(c Capabilities) Capabilities {
	return Capabilities{
		slices.Clone(c.Versions), slices.Clone(c.Suites), slices.Clone(c.Extensions), slices.Clone(c.Proposals), slices.Clone(c.Credentials),
	}
}

// forgeUpdate makes an Update proposal past the checks on the sending side.
func (p *peer) forgeUpdate(edit func(*LeafNode), place LeafIndex) []byte {
	p.t.Helper()
	g := p.g
	leaf := *g.cur.tree.leaf(g.own)
	_, public, err := g.suite.generateKeyPair()
	if err != nil {
		p.t.Fatal(err)
	}
	leaf.raw, leaf.EncryptionKey, leaf.Source, leaf.parentHash = nil, public, SourceUpdate, nil
	leaf.Capabilities = cloneCapabilities(leaf.Capabilities)
	edit(&leaf)
	if err := leaf.sign(g.suite, g.signer, g.cur.context.groupID, place); err != nil {
		p.t.Fatal(err)
	}
	return p.forgeProposal(&Proposal{typ: ProposalUpdate, leaf: &leaf})
}
