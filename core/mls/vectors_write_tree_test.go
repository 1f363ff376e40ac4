package mls

import (
	"bytes"
	"crypto"
	"slices"
	"testing"
)

// treeMaker builds a ratchet tree of which all private keys are known.
type treeMaker struct {
	t       *testing.T
	suite   *suite
	groupID []byte
	tree    *ratchetTree
	signers map[LeafIndex]crypto.Signer
	leaves  map[LeafIndex]*treeKEMLeaf
}

// newTreeMaker makes a tree of n leaves, whose first has sent a path, and then adds more.
func newTreeMaker(t *testing.T, s *suite, n, more int) *treeMaker {
	m := &treeMaker{
		t: t, suite: s, groupID: random(16), tree: newTree(s, 1),
		signers: map[LeafIndex]crypto.Signer{}, leaves: map[LeafIndex]*treeKEMLeaf{},
	}
	for range n {
		m.add()
	}
	m.commitPath(0)
	for range more {
		m.add()
	}
	return m
}

func (m *treeMaker) keyPackage() (*peer, *KeyPackage) {
	p := newPeer(m.t, m.suite.id, string(rune('a'+len(m.leaves))))
	p.keyPackage()
	return p, p.bundle.kp
}

func (m *treeMaker) add() {
	p, kp := m.keyPackage()
	i := m.tree.add(kp.leaf)
	m.signers[i] = p.signer
	m.leaves[i] = &treeKEMLeaf{
		Index: i, Encryption: bytes.Clone(p.bundle.encryptPrivate), Signature: must(MarshalSigner(p.suite, p.signer)),
		Secrets: []treeKEMSecret{},
	}
}

// commitPath applies an update path and hands its secrets to those below it.
func (m *treeMaker) commitPath(from LeafIndex) {
	path := must(m.tree.createPath(from, m.tree.leaf(from), m.signers[from], m.groupID))
	m.leaves[from].Encryption = path.keys[from.node()]
	for k, step := range path.steps {
		for i, l := range m.leaves {
			if step.node.covers(i) {
				l.Secrets = append(l.Secrets, treeKEMSecret{step.node, bytes.Clone(path.secrets[k])})
			}
		}
	}
}

func newTreeKEM(t *testing.T, s *suite) []any {
	m := newTreeMaker(t, s, 2, 1)
	v := treeKEMVector{CipherSuite: s.id, GroupID: m.groupID, Epoch: 9, Confirmed: random(s.nh), Tree: marshal(m.tree)}
	for i := range LeafIndex(len(m.leaves)) {
		v.Leaves = append(v.Leaves, *m.leaves[i])
	}
	const from = 1
	after := m.tree.clone()
	path := must(after.createPath(from, after.leaf(from), m.signers[from], v.GroupID))
	context := marshal(&groupContext{
		suite: s.id, groupID: v.GroupID, epoch: v.Epoch, treeHash: after.rootHash(), confirmedTranscriptHash: v.Confirmed,
	})
	if err := path.seal(after, nil, context); err != nil {
		t.Fatal(err)
	}
	u := treeKEMPath{
		Sender: from, Path: marshal(&path.path), CommitSecret: path.commitSecret, TreeHashAfter: after.rootHash(),
		Secrets: make([]*hexBytes, len(m.leaves)),
	}
	for i := range u.Secrets {
		if i != from {
			secret := hexBytes(path.secretFor(LeafIndex(i)))
			u.Secrets[i] = &secret
		}
	}
	v.Paths = append(v.Paths, u)
	return []any{v}
}

func newTreeValidation(t *testing.T, s *suite) []any {
	m := newTreeMaker(t, s, 2, 1)
	v := treeValidationVector{CipherSuite: s.id, GroupID: m.groupID, Tree: marshal(m.tree)}
	for x := range nodeIndex(2*m.tree.leaves() - 1) {
		v.Hashes = append(v.Hashes, m.tree.hash(x))
		v.Resolutions = append(v.Resolutions, append([]nodeIndex{}, m.tree.resolution(x)...))
	}
	return []any{v}
}

// newTreeOperations has one of the operations by turns: the trees are large.
func newTreeOperations(t *testing.T, s *suite) []any {
	m := newTreeMaker(t, s, 2, 0)
	v := treeOperationsVector{CipherSuite: s.id, Sender: 0, Before: marshal(m.tree), HashBefore: m.tree.rootHash()}
	var p Proposal
	switch slices.Index(suites, s) % 3 {
	case 0:
		_, kp := m.keyPackage()
		p = Proposal{typ: ProposalAdd, keyPackage: kp}
		m.tree.add(kp.leaf)
	case 1:
		leaf := *m.tree.leaf(1)
		_, public, err := s.generateKeyPair()
		leaf.EncryptionKey = must(public, err)
		leaf.raw, leaf.Source, leaf.parentHash, leaf.Lifetime = nil, SourceUpdate, nil, Lifetime{}
		if err := leaf.sign(s, m.signers[1], m.groupID, 1); err != nil {
			t.Fatal(err)
		}
		v.Sender, p = 1, Proposal{typ: ProposalUpdate, leaf: &leaf}
		m.tree.update(1, &leaf)
	default:
		p = RemoveProposal(1)
		m.tree.remove(1)
	}
	v.Proposal, v.After, v.HashAfter = marshal(&p), marshal(m.tree), m.tree.rootHash()
	return []any{v}
}
